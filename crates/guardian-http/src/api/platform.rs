//! Moments that callers name.

use guardian_core::Timestamp;

use super::Kind;
use crate::Problem;

/// A moment of the caller's, of a year that has four digits: what is computed from it stays within the calendar.
pub(super) fn sensible(at: Timestamp) -> Result<Timestamp, Problem> {
    // 1 January 0000 and 10000, in seconds.
    if (-62_167_219_200..253_402_300_800).contains(&at.timestamp()) {
        return Ok(at);
    }
    Err(Kind::InvalidRequest.because("the year of a moment is 0000 to 9999"))
}

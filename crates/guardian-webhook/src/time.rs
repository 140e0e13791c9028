//! Sums of moments and spans that end at the last moment there is.

use std::time::Duration;

use guardian_core::Timestamp;

pub(crate) fn after(from: Timestamp, span: Duration) -> Timestamp {
    chrono::TimeDelta::from_std(span)
        .ok()
        .and_then(|span| from.checked_add_signed(span))
        .unwrap_or(Timestamp::MAX_UTC)
}

/// The span from the earlier to the later; zero if they are the other way round.
pub(crate) fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    later.signed_duration_since(earlier).to_std().unwrap_or_default()
}

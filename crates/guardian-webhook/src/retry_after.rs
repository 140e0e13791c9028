//! The `Retry-After` header of an answer, RFC 9110 section 10.2.3: seconds, or a date in one of three forms.

use std::time::Duration;

use chrono::NaiveDateTime;
use guardian_core::Timestamp;

use crate::time::between;

/// The longest time that a receiver can ask for; more counts as this.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// How long to wait from `now` on, bounded by [`MAX_RETRY_AFTER`]; `None` when it does not read. A date in the past is zero.
///
/// ```
/// use std::time::Duration;
/// use guardian_core::Timestamp;
/// use guardian_webhook::retry_after;
///
/// let now: Timestamp = "1994-11-06T08:49:30Z".parse()?;
/// assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
/// assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(7)));
/// assert_eq!(retry_after("soon", now), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if text.len() > 64 || text.is_empty() {
        return None;
    }
    let wait = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        between(now, date(text, now)?)
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

fn date(text: &str, now: Timestamp) -> Option<Timestamp> {
    const IMF: &str = "%a, %d %b %Y %H:%M:%S GMT";
    const ASCTIME: &str = "%a %b %e %H:%M:%S %Y";
    let read = |format| NaiveDateTime::parse_from_str(text, format).ok();
    let found = read(IMF).or_else(|| read(ASCTIME)).or_else(|| rfc_850(text, now))?;
    Some(found.and_utc())
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`; a year of two digits that looks to be more than 50 years ahead is of the last century.
fn rfc_850(text: &str, now: Timestamp) -> Option<NaiveDateTime> {
    use chrono::Datelike as _;
    let (_, rest) = text.split_once(", ")?;
    let (day, rest) = rest.split_once('-')?;
    let (month, rest) = rest.split_once('-')?;
    let (year, time) = rest.split_once(' ')?;
    let year: i32 = year.parse().ok().filter(|_| year.len() == 2)?;
    let century = now.year() - now.year().rem_euclid(100);
    let year = if century + year > now.year() + 50 { century + year - 100 } else { century + year };
    NaiveDateTime::parse_from_str(&format!("{day} {month} {year} {time}"), "%d %b %Y %H:%M:%S GMT").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_of_a_date_say_the_same() {
        let now = "1994-11-06T08:49:00Z".parse().unwrap();
        for text in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(retry_after(text, now), Some(Duration::from_secs(37)), "{text}");
        }
    }

    #[test]
    fn what_is_asked_for_is_bounded() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(retry_after("99999999999999999999999", now), Some(MAX_RETRY_AFTER));
        assert_eq!(retry_after("Fri, 31 Dec 9999 23:59:59 GMT", now), Some(MAX_RETRY_AFTER));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::ZERO));
        for text in ["", "-1", "1.5", "Mon", "0x10", &"9".repeat(100)] {
            assert_eq!(retry_after(text, now), None, "{text}");
        }
    }
}

//! The `Retry-After` response field, as a delay.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;

/// How long clients are asked to wait while something that a layer needs is away.
#[cfg(any(feature = "audit", feature = "authenticate", feature = "tenant"))]
pub(crate) const OUTAGE: Duration = Duration::from_secs(5);

/// How long a client should wait: the `delay-seconds` of RFC 9110 section 10.2.3.
///
/// The field knows whole seconds. The wait is rounded up, because a client that returns a fraction of a second
/// early is refused again, and it is at least one second, because `0` invites it to return at once.
///
/// Beside a `RateLimit` field it should not end before the effective window of the limit that was exceeded
/// (draft-ietf-httpapi-ratelimit-headers-11 section 6); both round up, so equal waits stay equal.
///
/// ```
/// use std::time::Duration;
/// use guardian_http::RetryAfter;
///
/// assert_eq!(RetryAfter::from(Duration::from_millis(1_001)).seconds(), 2);
/// assert_eq!(RetryAfter::from(Duration::ZERO).header_value(), "1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RetryAfter {
    seconds: u64,
}

impl RetryAfter {
    /// The delay in whole seconds, at least 1.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.seconds
    }

    /// The field's value, for [`http::header::RETRY_AFTER`].
    #[must_use]
    pub fn header_value(self) -> HeaderValue {
        HeaderValue::from(self.seconds)
    }
}

/// Rounds up to whole seconds, at least 1, and stays at [`u64::MAX`] where the next second would not fit.
impl From<Duration> for RetryAfter {
    fn from(wait: Duration) -> Self {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        Self { seconds: seconds.max(1) }
    }
}

/// The delay in seconds, as in the field.
impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seconds.fmt(f)
    }
}

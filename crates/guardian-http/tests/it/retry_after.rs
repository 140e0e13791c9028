//! `Retry-After`: whole seconds, rounded up, at least one.

use std::time::Duration;

use guardian_http::RetryAfter;
use proptest::prelude::*;

#[test]
fn seconds_round_up() {
    for (wait, seconds) in [
        (Duration::ZERO, 1),
        (Duration::from_nanos(1), 1),
        (Duration::from_nanos(999_999_999), 1),
        (Duration::from_secs(1), 1),
        (Duration::new(1, 1), 2),
        (Duration::new(1, 999_999_999), 2),
        (Duration::from_secs(2), 2),
        (Duration::from_secs(86_400), 86_400),
        (Duration::new(u64::MAX - 1, 1), u64::MAX),
        (Duration::from_secs(u64::MAX), u64::MAX),
        (Duration::MAX, u64::MAX),
    ] {
        let delay = RetryAfter::from(wait);
        assert_eq!(delay.seconds(), seconds, "{wait:?}");
        assert_eq!(delay.header_value().to_str().unwrap(), seconds.to_string());
        assert_eq!(delay.to_string(), seconds.to_string());
    }
}

proptest! {
    /// The client never comes early, and never a whole second late.
    #[test]
    fn the_delay_covers_the_wait(seconds in 0..u64::MAX, nanos in 0..1_000_000_000_u32) {
        let wait = Duration::new(seconds, nanos);
        let delay = Duration::from_secs(RetryAfter::from(wait).seconds());
        prop_assert!(delay >= wait);
        prop_assert!(delay == Duration::from_secs(1) || delay - wait < Duration::from_secs(1));
    }
}

//! The loop that every contestant runs in.

use std::hint::black_box;
use std::time::Duration;

use guardian_core::{Clock, MonoTime};
use guardian_ratelimit::FastClock;

/// Goes round and round over the same keys in the same order, one check for each.
pub(crate) struct Lap<'k, K> {
    keys: &'k [K],
    /// Where the next run begins, so that a short run does not see the same few keys each time.
    next: usize,
    clock: FastClock,
    checks: u64,
    admitted: u64,
}

impl<'k, K> Lap<'k, K> {
    pub(crate) fn new(keys: &'k [K]) -> Self {
        Self {
            keys,
            next: 0,
            clock: FastClock::new(),
            checks: 0,
            admitted: 0,
        }
    }

    /// The time that so many checks take. `check` gets the time as of the beginning of the lap and says whether the
    /// request was admitted.
    pub(crate) fn run(&mut self, checks: u64, check: impl Fn(MonoTime, &K) -> bool) -> Duration {
        let (mut left, mut admitted) = (checks, 0_u64);
        let start = self.clock.monotonic();
        while left > 0 {
            let now = self.clock.monotonic();
            let rest = self.keys.get(self.next..).unwrap_or_default();
            let steps = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            for key in rest.iter().take(steps) {
                admitted += u64::from(check(black_box(now), black_box(key)));
            }
            left -= steps as u64;
            self.next += steps;
            if self.next == self.keys.len() {
                self.next = 0;
            }
        }
        let elapsed = self.clock.monotonic().since(start);
        self.checks += checks;
        self.admitted += admitted;
        elapsed
    }

    pub(crate) fn expect_all_admitted(&self) {
        assert_eq!(
            self.admitted, self.checks,
            "a contestant denied, so the others did more work than it"
        );
    }

    pub(crate) fn expect_all_denied(&self) {
        assert_eq!(
            self.admitted, 0,
            "a contestant admitted, so it did other work than the others"
        );
    }
}

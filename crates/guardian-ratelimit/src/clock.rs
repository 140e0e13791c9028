use std::sync::Arc;

use guardian_core::{Clock, MonoTime, SystemClock, Timestamp};

/// The system's clock with its monotonic side read from the processor's time-stamp counter, where that is
/// reliable, in about a third of the time; the clock of [`Limiter::in_memory`](crate::Limiter::in_memory).
///
/// The first one in a process calibrates for up to 200 milliseconds. Where the counter cannot be trusted it falls
/// back to the system's monotonic clock by itself.
///
/// ```
/// use guardian_core::Clock;
/// use guardian_ratelimit::FastClock;
///
/// let clock = FastClock::new();
/// assert!(clock.monotonic() <= clock.monotonic());
/// ```
#[derive(Debug, Clone)]
pub struct FastClock {
    system: SystemClock,
    counter: Arc<quanta::Clock>,
    /// What the counter said at `origin_nanos`.
    origin: u64,
    origin_nanos: u64,
}

impl FastClock {
    /// A clock whose monotonic scale starts at the present Unix time.
    #[must_use]
    pub fn new() -> Self {
        let (system, counter) = (SystemClock::new(), quanta::Clock::new());
        let (origin, origin_nanos) = (counter.raw(), system.monotonic().as_nanos());
        Self { system, counter: Arc::new(counter), origin, origin_nanos }
    }
}

impl Default for FastClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        self.system.now()
    }

    #[inline]
    fn monotonic(&self) -> MonoTime {
        let elapsed = self.counter.delta_as_nanos(self.origin, self.counter.raw());
        MonoTime::from_nanos(self.origin_nanos.saturating_add(elapsed))
    }
}

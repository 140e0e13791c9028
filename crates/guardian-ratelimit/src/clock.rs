use guardian_core::{Clock, MonoTime, SystemClock, Timestamp};

use crate::grid::high_half;

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
    counter: quanta::Clock,
    scale: Scale,
    /// What the counter said at `origin_nanos`.
    origin: u64,
    origin_nanos: u64,
}

/// How long a step of the counter takes: `multiplier / 2^(64 − shift)` nanoseconds, in the numbers that cost one
/// multiplication.
#[derive(Debug, Clone, Copy)]
struct Scale {
    multiplier: u64,
    shift: u32,
}

/// So many steps are measured to learn the scale. What 2⁵⁶ steps of the slowest counter that there is (24 MHz) take
/// fits 62 bits of nanoseconds, and the calibration behind it has far fewer bits.
const MEASURE: u32 = 56;

impl Scale {
    /// The scale on which so many steps (2 to the power of [`MEASURE`]) take so many nanoseconds.
    fn new(nanos: u64) -> Self {
        // As many bits as fit, so that the product's upper half is all that is needed.
        let room = nanos.leading_zeros().min(u64::BITS - MEASURE);
        Self { multiplier: nanos << room, shift: u64::BITS - MEASURE - room }
    }

    /// How many whole nanoseconds so many steps take; exact for 292 years.
    #[inline(always)]
    fn nanos(self, steps: u64) -> u64 {
        high_half(steps << self.shift, self.multiplier)
    }
}

impl FastClock {
    /// A clock whose monotonic scale starts at the present Unix time.
    #[must_use]
    pub fn new() -> Self {
        let (system, counter) = (SystemClock::new(), quanta::Clock::new());
        let scale = Scale::new(counter.delta_as_nanos(0, 1 << MEASURE));
        let (origin, origin_nanos) = (counter.raw(), system.monotonic().as_nanos());
        Self { system, counter, scale, origin, origin_nanos }
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

    #[inline(always)]
    fn monotonic(&self) -> MonoTime {
        // Another processor's counter may be some steps behind.
        let steps = self.counter.raw().saturating_sub(self.origin);
        MonoTime::from_nanos(self.origin_nanos.saturating_add(self.scale.nanos(steps)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200_000))]

        #[test]
        fn a_scale_is_the_exact_quotient(
            // From counters of 24 MHz to 8 GHz, and the one that counts nanoseconds.
            nanos in prop_oneof![1u64 << 53..42 << 56, Just(1 << 56)],
            steps in any::<u64>(),
        ) {
            let in_292_years = (1u128 << 63 << MEASURE) / u128::from(nanos);
            let steps = u64::try_from(u128::from(steps) % in_292_years).unwrap();
            let exact = (u128::from(steps) * u128::from(nanos)) >> MEASURE;
            prop_assert_eq!(u128::from(Scale::new(nanos).nanos(steps)), exact);
        }
    }

    #[test]
    fn the_scale_is_that_of_the_counter() {
        let clock = FastClock::new();
        for steps in [0, 1, 2, 3, 1000, 1 << 20, 987_654_321_987, 1 << 50] {
            assert_eq!(clock.scale.nanos(steps), clock.counter.delta_as_nanos(0, steps), "{steps}");
        }
        let (before, counted) = (clock.system.monotonic(), clock.monotonic());
        assert!(counted.since(before).as_secs() < 60 && before.since(counted).as_secs() < 60);
    }
}

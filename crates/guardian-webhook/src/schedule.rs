//! When a delivery is tried again.

use std::time::Duration;

use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::id::DeliveryId;
use crate::time::after;

/// The waits before the attempts of a delivery, and how much they are spread.
///
/// The default is the example of Standard Webhooks: at once, then after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and
/// 24 h, ten attempts within 75 h 35 min, each wait spread by up to 10 % in both directions.
///
/// The spread is a function of the delivery and the attempt, so a schedule can be shown before it happens, and is the same in
/// every process.
///
/// ```
/// use std::time::Duration;
/// use guardian_webhook::RetrySchedule;
///
/// let schedule = RetrySchedule::default();
/// assert_eq!(schedule.attempts(), 10);
/// assert_eq!(schedule.total(), Duration::from_secs(75 * 3600 + 35 * 60 + 5));
/// assert!(RetrySchedule::new([Duration::ZERO, Duration::from_secs(60)], 0)?.attempts() == 2);
/// # Ok::<(), guardian_webhook::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct RetrySchedule {
    waits: Vec<Duration>,
    jitter_percent: u8,
}

#[derive(Serialize, Deserialize)]
struct Written {
    waits_ms: Vec<u64>,
    jitter_percent: u8,
}

impl From<RetrySchedule> for Written {
    fn from(schedule: RetrySchedule) -> Self {
        let millis = |wait: &Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self {
            waits_ms: schedule.waits.iter().map(millis).collect(),
            jitter_percent: schedule.jitter_percent,
        }
    }
}

impl TryFrom<Written> for RetrySchedule {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        Self::new(written.waits_ms.into_iter().map(Duration::from_millis), written.jitter_percent)
    }
}

impl Default for RetrySchedule {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let waits =
            [0, 5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        Self { waits: waits.map(Duration::from_secs).to_vec(), jitter_percent: 10 }
    }
}

impl RetrySchedule {
    /// The most attempts of a schedule.
    pub const MAX_ATTEMPTS: usize = 100;
    /// The longest wait: 30 days.
    pub const MAX_WAIT: Duration = Duration::from_secs(30 * 86_400);

    /// A schedule with these waits, one before each attempt, spread by so many per cent.
    ///
    /// # Errors
    /// When there are no attempts or more than [`Self::MAX_ATTEMPTS`], a wait is longer than [`Self::MAX_WAIT`], or the spread
    /// is above 50 per cent.
    pub fn new(waits: impl IntoIterator<Item = Duration>, jitter_percent: u8) -> Result<Self, Error> {
        let waits: Vec<Duration> = waits.into_iter().take(Self::MAX_ATTEMPTS + 1).collect();
        let why = if waits.is_empty() || waits.len() > Self::MAX_ATTEMPTS {
            "a schedule has 1 to 100 attempts"
        } else if waits.iter().any(|wait| *wait > Self::MAX_WAIT) {
            "no wait is longer than 30 days"
        } else if jitter_percent > 50 {
            "waits are spread by at most 50 %"
        } else {
            return Ok(Self { waits, jitter_percent });
        };
        Err(Error::Setting { why: why.to_owned() })
    }

    /// How many attempts there are.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.waits.len()).unwrap_or(u32::MAX)
    }

    /// All waits together, without the spread.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.waits.iter().sum()
    }

    /// The wait before an attempt, counted from 1, with the spread that this delivery has; `None` behind the last one.
    #[must_use]
    pub fn wait(&self, delivery: DeliveryId, attempt: u32) -> Option<Duration> {
        let index = usize::try_from(attempt.checked_sub(1)?).ok()?;
        let wait = *self.waits.get(index)?;
        let (high, low) = delivery.number().as_u64_pair();
        // SplitMix64: Steele, Lea, Flood (2014).
        let mut random =
            (high ^ low.rotate_left(32)).wrapping_add(u64::from(attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let random = u128::from((random ^ (random >> 31)) >> 32);
        // From 100 - p to 100 + p per cent, in 32 bits.
        let micros = wait.as_micros();
        let low = micros * u128::from(100 - self.jitter_percent) / 100;
        let span = micros * 2 * u128::from(self.jitter_percent) / 100;
        let spread = low + ((span * random) >> 32);
        Some(Duration::from_micros(u64::try_from(spread).unwrap_or(u64::MAX)))
    }

    /// When each attempt of a delivery would be if all failed at once: a picture of the schedule on a clock of its own.
    #[must_use]
    pub fn timeline(&self, delivery: DeliveryId, from: Timestamp) -> Vec<Timestamp> {
        let mut at = from;
        (1..=self.attempts())
            .filter_map(|attempt| {
                at = after(at, self.wait(delivery, attempt)?);
                Some(at)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    proptest! {
        #[test]
        fn a_wait_is_within_its_spread(id in any::<u128>(), percent in 0_u8..=50, seconds in 0_u32..2_000_000) {
            let schedule = RetrySchedule::new([Duration::from_secs(seconds.into()); 3], percent).unwrap();
            let id = DeliveryId::new(Uuid::from_u128(id));
            for attempt in 1..=3 {
                let wait = schedule.wait(id, attempt).unwrap().as_secs_f64();
                let (seconds, percent) = (f64::from(seconds), f64::from(percent) / 100.0);
                prop_assert!(wait >= seconds * (1.0 - percent) - 1e-6 && wait <= seconds * (1.0 + percent) + 1e-6);
            }
            prop_assert_eq!(schedule.wait(id, 0), None);
            prop_assert_eq!(schedule.wait(id, 4), None);
        }
    }

    #[test]
    fn deliveries_are_spread() {
        let schedule = RetrySchedule::new([Duration::from_secs(1000)], 10).unwrap();
        let waits: Vec<_> = (0..1000)
            .map(|id| schedule.wait(DeliveryId::new(Uuid::from_u128(id)), 1).unwrap().as_secs())
            .collect();
        for decile in 0..10 {
            let from = 900 + decile * 20;
            let count = waits.iter().filter(|wait| (from..from + 20).contains(*wait)).count();
            assert!((60..150).contains(&count), "{count} waits of 1000 from {from} s on");
        }
    }
}

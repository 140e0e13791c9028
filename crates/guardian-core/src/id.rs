use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::{Builder, Uuid};

use crate::Timestamp;

/// Where new ids come from: UUIDs of version 7 (RFC 9562, section 5.7), which sort by the time they were made.
///
/// ```
/// use guardian_core::{Clock, IdSource, ManualClock, SeededIds};
///
/// let clock = ManualClock::new();
/// let ids = SeededIds::new(7);
/// let (first, second) = (ids.next_id(clock.now()), ids.next_id(clock.now()));
/// assert!(first < second);
/// assert_eq!(first.get_version_num(), 7);
/// ```
pub trait IdSource: Send + Sync + fmt::Debug + 'static {
    /// A new id for something made at `now`; unique, and greater than every id this source gave before for the
    /// same or an earlier millisecond.
    fn next_id(&self, now: Timestamp) -> Uuid;
}

impl<S: IdSource + ?Sized> IdSource for Arc<S> {
    fn next_id(&self, now: Timestamp) -> Uuid {
        (**self).next_id(now)
    }
}

/// Ids from the operating system's randomness; should that fail, they stay ordered and unique within the process.
///
/// ```
/// use guardian_core::{Clock, IdSource, SystemClock, SystemIds};
///
/// let ids = SystemIds::new();
/// let now = SystemClock::new().now();
/// assert_ne!(ids.next_id(now), ids.next_id(now));
/// ```
#[derive(Debug, Default)]
pub struct SystemIds {
    last: Mutex<Last>,
}

impl SystemIds {
    /// A new source.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl IdSource for SystemIds {
    fn next_id(&self, now: Timestamp) -> Uuid {
        let mut random = [0; 8];
        // A failure leaves zeros; the counter in `Last` still tells the ids of this process apart.
        let _ = getrandom::fill(&mut random);
        self.last.lock().next(now, u64::from_le_bytes(random))
    }
}

/// Ids that repeat run by run: for tests, replays and golden files. Never for production.
///
/// ```
/// use guardian_core::{Clock, IdSource, ManualClock, SeededIds};
///
/// let now = ManualClock::new().now();
/// assert_eq!(SeededIds::new(1).next_id(now), SeededIds::new(1).next_id(now));
/// ```
#[derive(Debug)]
pub struct SeededIds {
    state: Mutex<(u64, Last)>,
}

impl SeededIds {
    /// A source that gives the same ids for the same seed and times.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: Mutex::new((seed, Last::default())) }
    }
}

impl IdSource for SeededIds {
    fn next_id(&self, now: Timestamp) -> Uuid {
        let mut state = self.state.lock();
        // SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
        state.0 = state.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut random = state.0;
        random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state.1.next(now, random ^ (random >> 31))
    }
}

/// The last id given: RFC 9562's fixed-length counter (section 6.2, method 1) in the 12 bits of `rand_a`.
#[derive(Debug, Default)]
struct Last {
    millis: u64,
    counter: u16,
}

impl Last {
    const COUNTER_BITS: u32 = 12;

    fn next(&mut self, now: Timestamp, random: u64) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        if millis > self.millis {
            *self = Self { millis, counter: 0 };
        } else {
            self.counter += 1;
            // A full counter borrows the next millisecond, as the RFC allows.
            if self.counter >> Self::COUNTER_BITS != 0 {
                *self = Self { millis: self.millis + 1, counter: 0 };
            }
        }
        let mut bytes = [0; 10];
        let (head, tail) = bytes.split_at_mut(2);
        head.copy_from_slice(&self.counter.to_be_bytes());
        tail.copy_from_slice(&random.to_be_bytes());
        Builder::from_unix_timestamp_millis(self.millis, &bytes).into_uuid()
    }
}

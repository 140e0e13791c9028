use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, SubsecRound, Utc};

/// A moment in civil time (UTC), to the microsecond: what records carry and people read.
///
/// Microseconds, because both databases of the suite keep exactly those.
pub type Timestamp = DateTime<Utc>;

/// Where time comes from. Nothing in the suite reads the system's clock behind the host's back.
///
/// There are two questions, and mixing them up is how a leap of the system clock locks everybody out:
/// *when did it happen* ([`now`](Self::now), may jump when the operator sets the clock) and *how long has it
/// been* ([`monotonic`](Self::monotonic), never goes back).
///
/// ```
/// use std::time::Duration;
/// use guardian_core::{Clock, ManualClock};
///
/// let clock = ManualClock::new();
/// let before = clock.monotonic();
/// clock.advance(Duration::from_secs(90));
/// assert_eq!(clock.monotonic().since(before), Duration::from_secs(90));
/// ```
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The civil time, truncated to the microsecond.
    fn now(&self) -> Timestamp;

    /// The time on a scale that never goes back, for measuring and comparing within this process.
    fn monotonic(&self) -> MonoTime;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn monotonic(&self) -> MonoTime {
        (**self).monotonic()
    }
}

/// A moment on a clock that never goes back, in nanoseconds.
///
/// Zero is the Unix epoch as the clock saw it when it was made, so that windows aligned to this scale align
/// with wall-clock minutes and hours; after a leap of the system clock the two scales differ. Values of two
/// processes, or of two clocks, do not compare: never store one.
///
/// ```
/// use std::time::Duration;
/// use guardian_core::MonoTime;
///
/// let t = MonoTime::from_nanos(5_000_000_000);
/// assert_eq!((t + Duration::from_secs(1)).since(t), Duration::from_secs(1));
/// assert_eq!(t.since(t + Duration::from_secs(1)), Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonoTime(u64);

impl MonoTime {
    /// The moment `nanos` nanoseconds after the scale's zero.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the scale's zero.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time that has passed since `earlier`; zero when `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for MonoTime {
    type Output = Self;

    /// Saturates at the end of the scale, in the year 2554.
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// The operating system's clocks.
///
/// ```
/// use guardian_core::{Clock, SystemClock};
///
/// let clock = SystemClock::new();
/// assert!(clock.monotonic() <= clock.monotonic());
/// ```
#[derive(Debug, Clone)]
pub struct SystemClock {
    origin: Instant,
    origin_nanos: u64,
}

#[expect(clippy::disallowed_methods, reason = "this type is the one place that reads the system's clocks")]
impl SystemClock {
    /// A clock whose monotonic scale starts at the present Unix time.
    #[must_use]
    pub fn new() -> Self {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { origin: Instant::now(), origin_nanos: u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::disallowed_methods, reason = "this type is the one place that reads the system's clocks")]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok();
        let whole_micros = |unix: Duration| {
            let seconds = i64::try_from(unix.as_secs()).ok()?;
            Timestamp::from_timestamp(seconds, unix.subsec_micros() * 1_000)
        };
        // A clock that is set to before 1970, or past what a timestamp can say.
        unix.and_then(whole_micros).unwrap_or_else(|| Utc::now().trunc_subsecs(6))
    }

    fn monotonic(&self) -> MonoTime {
        MonoTime(self.origin_nanos) + Instant::now().saturating_duration_since(self.origin)
    }
}

/// A clock that stands still until it is told to move: for tests, replays and simulations.
///
/// Clones share the time.
///
/// ```
/// use std::time::Duration;
/// use guardian_core::{Clock, ManualClock};
///
/// let clock = ManualClock::at("2026-03-01T00:00:00Z".parse()?);
/// clock.clone().advance(Duration::from_millis(1500));
/// assert_eq!(clock.now().to_rfc3339(), "2026-03-01T00:00:01.500+00:00");
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    nanos: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock that shows 2020-01-01T00:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        Self { nanos: Arc::new(AtomicU64::new(1_577_836_800_000_000_000)) }
    }

    /// A clock that shows `time`; a time before 1970 counts as 1970.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        let nanos = time.timestamp_nanos_opt().and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        Self { nanos: Arc::new(AtomicU64::new(nanos)) }
    }

    /// Moves the time forward; it saturates in the year 2554.
    pub fn advance(&self, span: Duration) {
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let later = |nanos: u64| Some(nanos.saturating_add(span));
        let _ = self.nanos.fetch_update(Ordering::AcqRel, Ordering::Acquire, later);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let nanos = i64::try_from(self.nanos.load(Ordering::Acquire)).unwrap_or(i64::MAX);
        DateTime::from_timestamp_nanos(nanos).trunc_subsecs(6)
    }

    fn monotonic(&self) -> MonoTime {
        MonoTime(self.nanos.load(Ordering::Acquire))
    }
}

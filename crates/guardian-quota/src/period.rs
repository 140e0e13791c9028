use std::fmt;

use chrono::DateTime;
use chrono_tz::Tz;
use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::calendar::{DAY, Date, add_months, date_of, days_of, moment_of, offset_at};
use crate::{Error, InvalidPlan};

/// How usage is divided in time.
///
/// In a plan it is written `"day"`, `"week"`, `"month"`, `"year"`, `"lifetime"`, `{"months": 3}`, `{"days": 14}`,
/// `{"rolling": 3600}` (seconds), or `{"custom": ["2026-01-05T00:00:00Z", …]}`.
///
/// ```
/// use guardian_quota::Cadence;
///
/// let quarter: Cadence = serde_json::from_str(r#"{"months": 3}"#)?;
/// assert_eq!(quarter, Cadence::Months(3));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cadence {
    /// Each day, at the anchor's time of day on the zone's clocks.
    Day,
    /// Each week, on the anchor's weekday.
    Week,
    /// Each month, on the anchor's day of the month or the month's last: 31 January, 28 February, 31 March.
    Month,
    /// Each year, on the anchor's date; 29 February falls on the 28th in other years.
    Year,
    /// Every so many days.
    Days(u16),
    /// Every so many months.
    Months(u16),
    /// The window of so many seconds that ends now. It is counted in 60 parts, and a part counts fully as long as any of it
    /// lies within the window, so that no window of that length ever has more than the limit.
    Rolling(u32),
    /// From each of these moments, in rising order, to the next; what lies before the first and after the last is one
    /// period each.
    Custom(Vec<Timestamp>),
    /// One period without an end.
    Lifetime,
}

impl Cadence {
    /// The most moments of [`Self::Custom`].
    pub const MAX_CUSTOM: usize = 1000;
    /// The longest rolling window: 400 days, in seconds.
    pub const MAX_ROLLING: u32 = 400 * 86_400;

    pub(crate) fn check(&self) -> Result<(), InvalidPlan> {
        let why = match self {
            Self::Days(0) | Self::Months(0) | Self::Rolling(0) => "its length is 0",
            Self::Rolling(seconds) if *seconds > Self::MAX_ROLLING => "a rolling window has at most 400 days",
            Self::Rolling(seconds) if *seconds < 60 => "a rolling window has at least 60 seconds",
            Self::Custom(starts) if starts.is_empty() || starts.len() > Self::MAX_CUSTOM => {
                "it has not between 1 and 1000 moments"
            }
            Self::Custom(starts) if !starts.is_sorted_by(|a, b| a < b) => "its moments do not rise",
            _ => return Ok(()),
        };
        Err(InvalidPlan::new("period", why))
    }
}

/// A span of time, half-open: the start belongs to it, the end to the next one.
///
/// ```
/// use guardian_quota::Period;
///
/// let march = Period::new("2026-03-01T00:00:00Z".parse()?, "2026-04-01T00:00:00Z".parse()?);
/// assert!(march.contains(march.start()) && !march.contains("2026-04-01T00:00:00Z".parse()?));
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Period {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// A moment of microseconds since 1970, within what [`Timestamp`] holds.
pub(crate) fn moment(micros: i64) -> Timestamp {
    DateTime::from_timestamp_micros(micros).unwrap_or(if micros < 0 {
        Timestamp::MIN_UTC
    } else {
        Timestamp::MAX_UTC
    })
}

impl Period {
    /// From one moment to before the other.
    #[must_use]
    pub fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start: start.timestamp_micros(), end: end.timestamp_micros() }
    }

    /// The first moment. A period without a beginning gives the calendar's.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        moment(self.start)
    }

    /// The moment after the last; `None` when the period has no end.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        (self.end != i64::MAX).then(|| moment(self.end))
    }

    /// Whether the moment lies within.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.has(at.timestamp_micros())
    }

    #[inline]
    pub(crate) fn has(&self, micros: i64) -> bool {
        self.start <= micros && micros < self.end
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |at: Timestamp| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
        match self.end() {
            Some(end) => write!(f, "{}/{}", text(self.start()), text(end)),
            None => write!(f, "{}/..", text(self.start())),
        }
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Period({self})")
    }
}

/// A cadence with its anchor: it knows every period there ever is.
///
/// Boundaries are computed from the anchor, never from the boundary before, so that the 31st comes back after February.
/// The anchor's date and time of day are read on the clocks of the zone; where clocks skip the time of a boundary it
/// is read with the offset before the gap, where they show it twice the first counts.
///
/// ```
/// use guardian_quota::{Cadence, Cycle};
///
/// let monthly = Cycle::new(Cadence::Month, "2026-01-30T23:00:00Z".parse()?, "Europe/Vienna")?;
/// let starts: Vec<String> = (0..4).filter_map(|n| Some(monthly.period(n)?.start().to_rfc3339())).collect();
/// assert_eq!(starts, [
///     "2026-01-30T23:00:00+00:00", // the 31st of January in Vienna
///     "2026-02-27T23:00:00+00:00", // the 28th of February
///     "2026-03-30T22:00:00+00:00", // the 31st of March, in summer time
///     "2026-04-29T22:00:00+00:00", // the 30th of April
/// ]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    cadence: Cadence,
    anchor: i64,
    /// The anchor on the zone's clocks: the date, and the microseconds since midnight.
    date: Date,
    time: i64,
    zone: Tz,
}

impl Cycle {
    /// The cycle of a cadence from an anchor, on the clocks of a zone of the IANA database.
    ///
    /// # Errors
    /// When the zone is unknown or the cadence is none.
    pub fn new(cadence: Cadence, anchor: Timestamp, zone: &str) -> Result<Self, Error> {
        cadence.check()?;
        let zone: Tz = zone.parse().map_err(|_| InvalidPlan::zone(zone))?;
        Ok(Self::of(cadence, anchor, zone))
    }

    pub(crate) fn of(cadence: Cadence, anchor: Timestamp, zone: Tz) -> Self {
        let anchor = anchor.timestamp_micros();
        let local = anchor.saturating_add(offset_at(zone, anchor));
        Self { cadence, anchor, date: date_of(local.div_euclid(DAY)), time: local.rem_euclid(DAY), zone }
    }

    /// The cadence.
    #[must_use]
    pub fn cadence(&self) -> &Cadence {
        &self.cadence
    }

    /// The width of the parts of a rolling window, in microseconds; `None` for the other cadences.
    pub(crate) fn rolling(&self) -> Option<(i64, i64)> {
        match self.cadence {
            Cadence::Rolling(seconds) => {
                let window = i64::from(seconds) * 1_000_000;
                Some((window, window.div_euclid(60) + i64::from(window % 60 != 0)))
            }
            _ => None,
        }
    }

    /// The start of the n-th period, the one that begins at the anchor being 0.
    fn start(&self, n: i64) -> Option<i64> {
        const FAR: i64 = 4_000_000;
        if n.abs() > FAR {
            return None;
        }
        let days = |each: i64| {
            let day = days_of(self.date) + n * each;
            Some(moment_of(self.zone, day.checked_mul(DAY)?.checked_add(self.time)?))
        };
        let months = |each: i64| {
            let day = days_of(add_months(self.date, n.checked_mul(each)?));
            Some(moment_of(self.zone, day.checked_mul(DAY)?.checked_add(self.time)?))
        };
        match &self.cadence {
            Cadence::Day => days(1),
            Cadence::Week => days(7),
            Cadence::Days(each) => days(i64::from(*each)),
            Cadence::Month => months(1),
            Cadence::Months(each) => months(i64::from(*each)),
            Cadence::Year => months(12),
            Cadence::Custom(starts) => match n {
                ..0 => Some(i64::MIN),
                _ => starts.get(usize::try_from(n).ok()?).map(Timestamp::timestamp_micros),
            },
            Cadence::Rolling(_) | Cadence::Lifetime => (n == 0).then_some(i64::MIN),
        }
    }

    /// The n-th period, the one that begins at the anchor being 0; `None` when there is none, or it is beyond some
    /// ten thousand years. Of custom periods the first moment begins number 0.
    #[must_use]
    pub fn period(&self, n: i64) -> Option<Period> {
        let start = self.start(n)?;
        let end = match self.cadence {
            Cadence::Rolling(_) | Cadence::Lifetime => i64::MAX,
            Cadence::Custom(_) => self.start(n + 1).unwrap_or(i64::MAX),
            _ => self.start(n + 1)?,
        };
        Some(Period { start, end })
    }

    /// The period that a moment lies in. That of a rolling window is the window that ends at the moment.
    #[must_use]
    pub fn period_at(&self, at: Timestamp) -> Period {
        let at = at.timestamp_micros();
        match self.rolling() {
            Some((window, _)) => {
                Period { start: at.saturating_sub(window).saturating_add(1), end: at.saturating_add(1) }
            }
            None => self.at(at),
        }
    }

    /// The number of the period that a moment lies in.
    #[must_use]
    pub fn number_at(&self, at: Timestamp) -> i64 {
        self.number(at.timestamp_micros())
    }

    fn number(&self, at: i64) -> i64 {
        let months = |each: i64| {
            let local = date_of(at.saturating_add(offset_at(self.zone, at)).div_euclid(DAY));
            let between =
                (local.year - self.date.year) * 12 + i64::from(local.month) - i64::from(self.date.month);
            between.div_euclid(each)
        };
        let days = |each: i64| {
            let local = at.saturating_add(offset_at(self.zone, at));
            (local.div_euclid(DAY) - days_of(self.date)).div_euclid(each)
        };
        let mut n = match &self.cadence {
            Cadence::Day => days(1),
            Cadence::Week => days(7),
            Cadence::Days(each) => days(i64::from(*each)),
            Cadence::Month => months(1),
            Cadence::Months(each) => months(i64::from(*each)),
            Cadence::Year => months(12),
            Cadence::Custom(starts) => {
                let before = starts.partition_point(|start| start.timestamp_micros() <= at);
                return i64::try_from(before).unwrap_or(i64::MAX) - 1;
            }
            Cadence::Rolling(_) | Cadence::Lifetime => return 0,
        };
        // The estimate is off by one or two, by the time of day and by clocks that change.
        while self.start(n).is_some_and(|start| start > at) {
            n -= 1;
        }
        while self.start(n + 1).is_some_and(|start| start <= at) {
            n += 1;
        }
        n
    }

    pub(crate) fn at(&self, at: i64) -> Period {
        self.period(self.number(at)).unwrap_or(Period { start: i64::MIN, end: i64::MAX })
    }

    /// The anchor.
    #[must_use]
    pub fn anchor(&self) -> Timestamp {
        moment(self.anchor)
    }
}

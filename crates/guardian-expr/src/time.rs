//! Points and lengths of time: their ranges, their texts and their parts.

use std::fmt;

use chrono::{DateTime, Datelike, TimeZone, Timelike, Utc};

use crate::error::{ErrorKind, EvalError};

const NANOS: i128 = 1_000_000_000;
/// 0001-01-01T00:00:00Z
const FIRST_SECOND: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z
const LAST_SECOND: i64 = 253_402_300_799;
/// 10,000 years of 365.25 days, as `google.protobuf.Duration` allows.
const MOST_SECONDS: i128 = 315_576_000_000;

/// A point in time from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z, exact to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

/// A length of time within ±10,000 years, exact to the nanosecond, and in sums and differences within ±2⁶³ nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    seconds: i64,
    /// Of the same sign as the seconds.
    nanos: i32,
}

fn range(what: &str) -> EvalError {
    EvalError::new(ErrorKind::Overflow, format!("the {what} is out of range"))
}

impl Timestamp {
    /// The time that is so many seconds and nanoseconds after 1970, if it is in range and `nanos` is below 10⁹.
    #[must_use]
    pub fn new(seconds: i64, nanos: u32) -> Option<Self> {
        let valid = (FIRST_SECOND..=LAST_SECOND).contains(&seconds) && nanos < 1_000_000_000;
        valid.then_some(Self { seconds, nanos })
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after the whole second.
    #[must_use]
    pub fn nanos(self) -> u32 {
        self.nanos
    }

    fn total(self) -> i128 {
        i128::from(self.seconds) * NANOS + i128::from(self.nanos)
    }

    fn of_total(total: i128) -> Result<Self, EvalError> {
        let seconds = i64::try_from(total.div_euclid(NANOS)).map_err(|_| range("timestamp"))?;
        let nanos = u32::try_from(total.rem_euclid(NANOS)).unwrap_or(0);
        Self::new(seconds, nanos).ok_or_else(|| range("timestamp"))
    }

    pub(crate) fn plus(self, duration: Duration) -> Result<Self, EvalError> {
        Self::of_total(self.total() + duration.total())
    }

    pub(crate) fn minus(self, duration: Duration) -> Result<Self, EvalError> {
        Self::of_total(self.total() - duration.total())
    }

    pub(crate) fn since(self, earlier: Self) -> Result<Duration, EvalError> {
        Duration::bounded(self.total() - earlier.total())
    }

    /// Reads RFC 3339.
    pub(crate) fn parse(text: &str) -> Result<Self, EvalError> {
        // Years have four digits; chrono would read others too.
        let well_formed =
            text.is_ascii() && text.as_bytes().get(10).is_some_and(|byte| matches!(byte, b'T' | b't'));
        let time = DateTime::parse_from_rfc3339(text).ok().filter(|_| well_formed).ok_or_else(|| {
            EvalError::new(ErrorKind::Conversion, format!("`{text}` is no timestamp in range of RFC 3339"))
        })?;
        // chrono keeps a leap second as nanoseconds beyond 10⁹.
        Self::of_total(i128::from(time.timestamp()) * NANOS + i128::from(time.timestamp_subsec_nanos()))
    }

    fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.seconds, self.nanos).unwrap_or_default()
    }

    /// A part of the date or time, in UTC or the zone.
    pub(crate) fn part(self, part: Part, zone: Option<&str>) -> Result<i64, EvalError> {
        let Some(zone) = zone else { return Ok(part.of(&self.utc())) };
        if let Some(seconds) = fixed_offset(zone) {
            let offset = chrono::FixedOffset::east_opt(seconds).ok_or_else(|| unknown_zone(zone))?;
            return Ok(part.of(&self.utc().with_timezone(&offset)));
        }
        #[cfg(feature = "timezones")]
        {
            let named: chrono_tz::Tz = zone.parse().map_err(|_| unknown_zone(zone))?;
            Ok(part.of(&self.utc().with_timezone(&named)))
        }
        #[cfg(not(feature = "timezones"))]
        Err(unknown_zone(zone))
    }
}

fn unknown_zone(zone: &str) -> EvalError {
    EvalError::new(ErrorKind::InvalidArgument, format!("`{zone}` is no time zone"))
}

/// `UTC`, or an offset such as `+05:30`, `-8:00`, `02:00`, in seconds.
fn fixed_offset(zone: &str) -> Option<i32> {
    if matches!(zone, "UTC" | "Z" | "") {
        return Some(0);
    }
    let (sign, rest) = match zone.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, zone.strip_prefix('+').unwrap_or(zone)),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str, most: i32| {
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i32>().ok().filter(|value| digits && *value <= most)
    };
    Some(sign * (number(hours, 23)? * 3600 + number(minutes, 59)? * 60))
}

/// A part of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Year,
    /// From 0.
    Month,
    /// From 1.
    Date,
    /// From 0.
    DayOfMonth,
    /// From 0, which is Sunday.
    DayOfWeek,
    /// From 0.
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

impl Part {
    fn of<Z: TimeZone>(self, time: &DateTime<Z>) -> i64 {
        match self {
            Self::Year => i64::from(time.year()),
            Self::Month => i64::from(time.month0()),
            Self::Date => i64::from(time.day()),
            Self::DayOfMonth => i64::from(time.day0()),
            Self::DayOfWeek => i64::from(time.weekday().num_days_from_sunday()),
            Self::DayOfYear => i64::from(time.ordinal0()),
            Self::Hours => i64::from(time.hour()),
            Self::Minutes => i64::from(time.minute()),
            Self::Seconds => i64::from(time.second()),
            Self::Milliseconds => i64::from(time.nanosecond() / 1_000_000),
        }
    }
}

/// RFC 3339 in UTC, with as many digits of the second as are needed.
impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.utc().format("%Y-%m-%dT%H:%M:%S"))?;
        fraction(formatter, self.nanos)?;
        formatter.write_str("Z")
    }
}

fn fraction(formatter: &mut fmt::Formatter<'_>, nanos: u32) -> fmt::Result {
    if nanos > 0 {
        let digits = format!("{nanos:09}");
        write!(formatter, ".{}", digits.trim_end_matches('0'))?;
    }
    Ok(())
}

impl Duration {
    /// The duration of so many seconds and nanoseconds, if it is in range and both are of one sign.
    #[must_use]
    pub fn new(seconds: i64, nanos: i32) -> Option<Self> {
        let mixed = seconds > 0 && nanos < 0 || seconds < 0 && nanos > 0;
        let valid = i128::from(seconds).abs() <= MOST_SECONDS && nanos.abs() < 1_000_000_000 && !mixed;
        valid.then_some(Self { seconds, nanos })
    }

    /// Whole seconds, rounded towards zero.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after the whole seconds, of the same sign.
    #[must_use]
    pub fn nanos(self) -> i32 {
        self.nanos
    }

    fn total(self) -> i128 {
        i128::from(self.seconds) * NANOS + i128::from(self.nanos)
    }

    fn of_total(total: i128) -> Result<Self, EvalError> {
        let seconds = i64::try_from(total / NANOS).map_err(|_| range("duration"))?;
        let nanos = i32::try_from(total % NANOS).unwrap_or(0);
        Self::new(seconds, nanos).ok_or_else(|| range("duration"))
    }

    /// A result of arithmetic, which holds nanoseconds in 64 bits.
    fn bounded(total: i128) -> Result<Self, EvalError> {
        i64::try_from(total).map_err(|_| range("duration"))?;
        Self::of_total(total)
    }

    pub(crate) fn plus(self, other: Self) -> Result<Self, EvalError> {
        Self::bounded(self.total() + other.total())
    }

    pub(crate) fn minus(self, other: Self) -> Result<Self, EvalError> {
        Self::bounded(self.total() - other.total())
    }

    pub(crate) fn negated(self) -> Result<Self, EvalError> {
        Self::bounded(-self.total())
    }

    /// The part of a duration; hours, minutes and seconds are the whole duration in that unit.
    pub(crate) fn part(self, part: Part) -> Option<i64> {
        Some(match part {
            Part::Hours => self.seconds / 3600,
            Part::Minutes => self.seconds / 60,
            Part::Seconds => self.seconds,
            Part::Milliseconds => i64::from(self.nanos / 1_000_000),
            _ => return None,
        })
    }

    /// Reads `1h30m`, `-1.5s`, `10ms`.
    pub(crate) fn parse(text: &str) -> Result<Self, EvalError> {
        let wrong = || {
            EvalError::new(
                ErrorKind::Conversion,
                format!("`{text}` is no duration such as `1h30m` or `0.5s`"),
            )
        };
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Self::of_total(0);
        }
        if rest.is_empty() {
            return Err(wrong());
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let end = rest.find(|each: char| !each.is_ascii_digit() && each != '.').ok_or_else(wrong)?;
            let (number, after) = rest.split_at_checked(end).ok_or_else(wrong)?;
            let length = after.find(|each: char| each.is_ascii_digit() || each == '.').unwrap_or(after.len());
            let (unit, after) = after.split_at_checked(length).ok_or_else(wrong)?;
            rest = after;
            let nanos: i128 = match unit {
                "h" => 3600 * NANOS,
                "m" => 60 * NANOS,
                "s" => NANOS,
                "ms" => 1_000_000,
                "us" | "µs" | "μs" => 1_000,
                "ns" => 1,
                _ => return Err(wrong()),
            };
            let (whole, part) = number.split_once('.').unwrap_or((number, ""));
            if whole.is_empty() && part.is_empty() || whole.len() > 18 || part.contains('.') {
                return Err(if whole.len() > 18 { range("duration") } else { wrong() });
            }
            if !whole.is_empty() {
                total += whole.parse::<i128>().map_err(|_| wrong())? * nanos;
            }
            let mut scale = nanos;
            for digit in part.bytes().take(18) {
                total += scale * i128::from(digit - b'0') / 10;
                scale /= 10;
            }
        }
        Self::bounded(if negative { -total } else { total })
    }
}

/// Seconds with as many digits as are needed: `3600s`, `-0.5s`.
impl fmt::Display for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seconds < 0 || self.nanos < 0 {
            formatter.write_str("-")?;
        }
        write!(formatter, "{}", self.seconds.unsigned_abs())?;
        fraction(formatter, self.nanos.unsigned_abs())?;
        formatter.write_str("s")
    }
}

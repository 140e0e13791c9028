use std::fmt;
use std::str::FromStr;

use chrono::{
    DateTime, Datelike, Days, FixedOffset, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc, Weekday,
};
use chrono_tz::Tz;
use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::InvalidName;

const MINUTES_OF_DAY: u16 = 24 * 60;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Hours that come again each week, on the clocks of a time zone: `mon-fri 09:00-17:30 Europe/Vienna`.
///
/// Days are single, ranges or lists (`mon-fri`, `sat,sun`, `daily`); hours that end before they begin go on past midnight
/// and belong to the day on which they begin; `00:00-24:00` is all day. The zone is one of the IANA database, `UTC`, or an
/// offset such as `+02:00`. The clock's local time counts, so an hour that a change of clocks repeats is open twice, and
/// one that it skips is not.
///
/// ```
/// use chrono::{TimeZone, Utc};
/// use guardian_rbac::Recurrence;
///
/// let office: Recurrence = "mon-fri 09:00-17:00 Europe/Vienna".parse()?;
/// // A Monday in summer: Vienna is two hours ahead.
/// assert!(office.is_open(Utc.with_ymd_and_hms(2026, 7, 6, 7, 0, 0).unwrap()));
/// assert!(!office.is_open(Utc.with_ymd_and_hms(2026, 7, 6, 15, 0, 0).unwrap()));
/// # Ok::<(), guardian_rbac::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Recurrence {
    /// One bit for each day, Monday first.
    days: u8,
    /// Minutes since midnight.
    start: u16,
    /// Minutes since midnight, up to 24:00.
    end: u16,
    zone: Zone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Zone {
    Offset(FixedOffset),
    Named(Tz),
}

impl Zone {
    fn local(self, time: Timestamp) -> NaiveDateTime {
        match self {
            Self::Offset(offset) => time.with_timezone(&offset).naive_local(),
            Self::Named(zone) => time.with_timezone(&zone).naive_local(),
        }
    }

    /// The one or two moments at which clocks show this time, or none.
    fn moments(self, local: NaiveDateTime) -> [Option<Timestamp>; 2] {
        fn both<Z: TimeZone>(zone: &Z, local: NaiveDateTime) -> [Option<Timestamp>; 2] {
            let found = zone.from_local_datetime(&local);
            [found.clone().earliest(), found.latest()].map(|time| time.map(|time| time.with_timezone(&Utc)))
        }
        match self {
            Self::Offset(offset) => both(&offset, local),
            Self::Named(zone) => both(&zone, local),
        }
    }
}

impl Recurrence {
    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        let local = self.zone.local(now);
        // At most 1,439.
        let minute = u16::try_from(local.hour() * 60 + local.minute()).unwrap_or(0);
        let today = local.weekday();
        if self.start < self.end {
            return self.on(today) && (self.start..self.end).contains(&minute);
        }
        (self.on(today) && minute >= self.start) || (self.on(today.pred()) && minute < self.end)
    }

    /// The first moment from this one on at which it is open. `None` beyond the calendar.
    #[must_use]
    pub fn next_open(&self, from: Timestamp) -> Option<Timestamp> {
        if self.is_open(from) {
            return Some(from);
        }
        let first = self.zone.local(from).date().checked_sub_days(Days::new(1))?;
        // A day that a change of clocks takes away whole may be the only one of the week.
        (0..16).find_map(|day| {
            let date = first.checked_add_days(Days::new(day))?;
            let start = date.and_hms_opt(0, 0, 0)?;
            self.on(date.weekday()).then_some(())?;
            // In a gap of the clocks the first minute behind it counts, if it is still within the hours.
            let opens = start.checked_add_signed(TimeDelta::minutes(self.start.into()))?;
            let moments = (0..self.length()).find_map(|minutes| {
                let local = opens.checked_add_signed(TimeDelta::minutes(minutes.into()))?;
                let moments = self.zone.moments(local);
                moments.iter().any(Option::is_some).then_some(moments)
            });
            moments?.into_iter().flatten().find(|at| *at >= from && self.is_open(*at))
        })
    }

    fn length(&self) -> u16 {
        if self.start < self.end { self.end - self.start } else { MINUTES_OF_DAY - self.start + self.end }
    }

    fn on(&self, day: Weekday) -> bool {
        self.days >> day.num_days_from_monday() & 1 == 1
    }
}

impl FromStr for Recurrence {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = |why: &str| InvalidName::new("hours", text, why);
        if text.len() > 128 {
            return Err(fault("they have more than 128 bytes"));
        }
        let mut words = text.split_ascii_whitespace();
        let (Some(days), Some(hours), Some(zone), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(fault(
                "write days, hours and a time zone, as in `mon-fri 09:00-17:30 Europe/Vienna`",
            ));
        };
        let days =
            parse_days(days).ok_or_else(|| fault("the days are not like `mon-fri`, `sat,sun` or `daily`"))?;
        let (start, end) = hours
            .split_once('-')
            .and_then(|(start, end)| Some((parse_minute(start)?, parse_minute(end)?)))
            .filter(|(start, _)| *start < MINUTES_OF_DAY)
            .ok_or_else(|| fault("the hours are not like `09:00-17:30`"))?;
        if start == end {
            return Err(fault("the hours are empty; write `00:00-24:00` for all day"));
        }
        let zone = parse_zone(zone).ok_or_else(|| fault("the time zone is not one of the IANA database"))?;
        Ok(Self { days, start, end, zone })
    }
}

fn parse_days(text: &str) -> Option<u8> {
    if text == "daily" {
        return Some(0b111_1111);
    }
    let number = |name: &str| DAYS.iter().position(|day| *day == name);
    text.split(',').try_fold(0_u8, |days, part| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (number(from)?, number(to)?);
        // A range may go over the end of the week: `sat-mon`.
        let count = (to + 7 - from) % 7 + 1;
        Some((0..count).fold(days, |days, step| days | 1 << ((from + step) % 7)))
    })
}

fn parse_minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= MINUTES_OF_DAY).then_some(total)
}

fn parse_zone(text: &str) -> Option<Zone> {
    if text.eq_ignore_ascii_case("utc") {
        return Some(Zone::Offset(FixedOffset::east_opt(0)?));
    }
    if text.starts_with(['+', '-']) {
        let offset = DateTime::parse_from_rfc3339(&format!("2000-01-01T00:00:00{text}")).ok()?;
        return Some(Zone::Offset(*offset.offset()));
    }
    text.parse().ok().map(Zone::Named)
}

impl fmt::Display for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days == 0b111_1111 {
            f.write_str("daily")?;
        } else {
            // A run of days as a range; the week is not a ring here, so that there is one spelling.
            let mut first = true;
            let mut day = 0;
            while day < 7 {
                let run = (day..7).take_while(|at| self.days >> at & 1 == 1).count();
                if run > 0 {
                    let name = |at: usize| DAYS.get(at).copied().unwrap_or_default();
                    f.write_str(if first { "" } else { "," })?;
                    f.write_str(name(day))?;
                    if run > 1 {
                        write!(f, "-{}", name(day + run - 1))?;
                    }
                    first = false;
                }
                day += run.max(1);
            }
        }
        let (start, end) = (self.start, self.end);
        write!(f, " {:02}:{:02}-{:02}:{:02} ", start / 60, start % 60, end / 60, end % 60)?;
        match self.zone {
            Zone::Offset(offset) if offset.local_minus_utc() == 0 => f.write_str("UTC"),
            Zone::Offset(offset) => write!(f, "{offset}"),
            Zone::Named(zone) => f.write_str(zone.name()),
        }
    }
}

impl TryFrom<String> for Recurrence {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Recurrence> for String {
    fn from(hours: Recurrence) -> Self {
        hours.to_string()
    }
}

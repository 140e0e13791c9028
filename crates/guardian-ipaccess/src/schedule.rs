//! When in the week a rule holds.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Timelike, Weekday};
use chrono_tz::Tz;
use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

/// Hours of some days of the week, in a time zone: `Mon-Fri 08:00-18:00 Europe/Berlin`.
///
/// The hours are half-open. Hours that end before they begin, such as `22:00-06:00`, end on the next day and belong to the day on
/// which they begin. Where clocks are set, the hours are those on the wall.
///
/// ```
/// use guardian_ipaccess::Schedule;
///
/// let nights: Schedule = "Fri,Sat 22:00-06:00 Europe/Paris".parse()?;
/// // Sunday, 3 in the morning in Paris.
/// assert!(nights.is_open("2026-06-07T01:00:00Z".parse()?));
/// assert!(!nights.is_open("2026-06-07T04:00:00Z".parse()?));
/// assert_eq!(nights.to_string(), "Fri,Sat 22:00-06:00 Europe/Paris");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Schedule {
    /// Bit 0 is Monday.
    days: u8,
    /// Minutes after midnight, below 1440.
    from: u16,
    /// Up to 1440.
    until: u16,
    zone: Tz,
}

/// A text that is no [`Schedule`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schedule `{input}`: {why}; write it as `Mon-Fri 08:00-18:00 Europe/Berlin`")]
#[non_exhaustive]
pub struct InvalidSchedule {
    /// What was given, at most 64 characters of it.
    pub input: String,
    /// What is wrong.
    pub why: &'static str,
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MINUTES: u16 = 24 * 60;

impl Schedule {
    /// Whether it is open at a time.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        let local = at.with_timezone(&self.zone);
        let minute = u16::try_from(local.hour() * 60 + local.minute()).unwrap_or(0);
        let today = local.weekday();
        if self.from < self.until {
            return self.has(today) && (self.from..self.until).contains(&minute);
        }
        (self.has(today) && minute >= self.from) || (self.has(today.pred()) && minute < self.until)
    }

    fn has(&self, day: Weekday) -> bool {
        self.days & (1 << day.num_days_from_monday()) != 0
    }
}

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    fn from_str(input: &str) -> Result<Self, InvalidSchedule> {
        let wrong = |why| InvalidSchedule { input: guardian_core::shorten(input), why };
        let mut words = input.split_ascii_whitespace();
        let (Some(days), Some(hours), Some(zone), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(wrong("it needs days, hours and a time zone"));
        };
        let days = parse_days(days).ok_or_else(|| wrong("the days are unknown"))?;
        let (from, until) = hours.split_once('-').ok_or_else(|| wrong("the hours are no `from-until`"))?;
        let times = parse_time(from).zip(parse_time(until));
        let (from, until) = times.ok_or_else(|| wrong("an hour is not from 00:00 to 24:00"))?;
        if from == until || from == MINUTES {
            return Err(wrong("the hours are empty"));
        }
        let zone = zone.parse().map_err(|_| wrong("the time zone is unknown"))?;
        Ok(Self { days, from, until, zone })
    }
}

fn parse_days(text: &str) -> Option<u8> {
    let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
    let mut days = 0_u8;
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(part)?, day(part)?),
        };
        // `Sat-Mon` goes around the end of the week.
        let steps = (last + DAYS.len() - first) % DAYS.len();
        for step in 0..=steps {
            days |= 1 << ((first + step) % DAYS.len());
        }
    }
    Some(days)
}

fn parse_time(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    if hours.len() != 2
        || minutes.len() != 2
        || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
    {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let time = hours * 60 + minutes;
    (minutes < 60 && time <= MINUTES).then_some(time)
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (place, day) in DAYS.iter().enumerate() {
            if self.days & (1 << place) != 0 {
                write!(f, "{}{day}", if first { "" } else { "," })?;
                first = false;
            }
        }
        let (from, until) = (self.from, self.until);
        write!(f, " {:02}:{:02}-{:02}:{:02} {}", from / 60, from % 60, until / 60, until % 60, self.zone)
    }
}

impl TryFrom<String> for Schedule {
    type Error = InvalidSchedule;

    fn try_from(input: String) -> Result<Self, InvalidSchedule> {
        input.parse()
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.to_string()
    }
}

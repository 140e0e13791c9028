use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Duration, Timelike};
use guardian_core::{Timestamp, shorten};
use serde::{Deserialize, Serialize};

use crate::definition::span::Span;
use crate::store::Listening;

/// What starts a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Trigger {
    /// An event of the host; the input is `{id, name, occurred, actor, data}`.
    Event {
        /// The event's name, `deal.updated`; a last part `*` stands for any.
        event: String,
        /// A condition on `event`; without one every such event starts a run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<String>,
    },
    /// At certain times; the input is `{scheduled}`.
    Schedule {
        /// When.
        at: Schedule,
    },
    /// Somebody starts it by hand; the input is what they give.
    Manual {},
    /// A call from outside; the input is its body. The host receives it and says which path it was.
    Webhook {
        /// The path, unique within the tenant.
        path: String,
    },
}

impl Trigger {
    /// Whether events of this name may start a run.
    #[must_use]
    pub fn listens_to(&self, name: &str) -> bool {
        match self {
            Self::Event { event, .. } => match event.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => event == name,
            },
            _ => false,
        }
    }
}

impl Trigger {
    /// How a workflow with this trigger is found; `None` for one that is started by hand.
    pub(crate) fn listening(&self) -> Option<Listening> {
        match self {
            Self::Event { event, .. } => Some(match event.strip_suffix('*') {
                Some(beginning) => Listening::Events(beginning.to_owned()),
                None => Listening::Event(event.clone()),
            }),
            Self::Schedule { .. } => Some(Listening::Schedule),
            Self::Webhook { path } => Some(Listening::Webhook(path.clone())),
            Self::Manual {} => None,
        }
    }
}

/// Times at which a run starts: five fields of cron in UTC (`30 6 * * 1-5`), or `every 15m`.
///
/// ```
/// use guardian_workflow::Schedule;
///
/// let schedule: Schedule = "30 6 * * 1-5".parse()?;
/// let friday = "2026-05-01T07:00:00Z".parse()?;
/// assert_eq!(schedule.next_after(friday).map(|time| time.to_rfc3339()).as_deref(), Some("2026-05-04T06:30:00+00:00"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Schedule {
    text: String,
    times: Times,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Times {
    Every(Span),
    /// Bits for minutes, hours, days of the month, months and days of the week.
    Cron {
        fields: [u64; 5],
        any_day: bool,
        any_weekday: bool,
    },
}

/// A text that is no [`Schedule`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid schedule `{input}`: write five fields of cron such as `30 6 * * 1-5`, or `every 15m`")]
pub struct InvalidSchedule {
    input: String,
}

const RANGES: [(u32, u32); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        let invalid = || InvalidSchedule { input: shorten(text) };
        if let Some(every) = text.strip_prefix("every ") {
            let span: Span = every.parse().map_err(|_| invalid())?;
            if span.as_millis() < 1000 {
                return Err(invalid());
            }
            return Ok(Self { text: text.to_owned(), times: Times::Every(span) });
        }
        let parts: Vec<&str> = text.split_whitespace().collect();
        let parts: [&str; 5] = parts.try_into().map_err(|_| invalid())?;
        let mut fields = [0_u64; 5];
        for ((field, part), range) in fields.iter_mut().zip(parts).zip(RANGES) {
            *field = cron_field(part, range).ok_or_else(invalid)?;
        }
        if let Some(weekdays) = fields.last_mut()
            && *weekdays & (1 << 7) != 0
        {
            // Sunday is 0 and 7.
            *weekdays |= 1;
        }
        let [_, _, day, _, weekday] = parts;
        let times =
            Times::Cron { fields, any_day: day.starts_with('*'), any_weekday: weekday.starts_with('*') };
        Ok(Self { text: text.to_owned(), times })
    }
}

fn cron_field(text: &str, (low, high): (u32, u32)) -> Option<u64> {
    let mut bits = 0_u64;
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let step = match step {
            Some(step) => step.parse::<u32>().ok().filter(|step| *step > 0)?,
            None => 1,
        };
        let (first, last) = if range == "*" {
            (low, high)
        } else if let Some((first, last)) = range.split_once('-') {
            (first.parse().ok()?, last.parse().ok()?)
        } else {
            let one: u32 = range.parse().ok()?;
            (one, if step > 1 { high } else { one })
        };
        if first < low || last > high || first > last {
            return None;
        }
        let mut at = first;
        while at <= last {
            bits |= 1_u64.checked_shl(at)?;
            at = at.checked_add(step)?;
        }
    }
    Some(bits)
}

impl Schedule {
    /// The first time after `time`; `None` where there is none within eight years, as for 30 February.
    #[must_use]
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        match &self.times {
            Times::Every(span) => {
                let step = i64::try_from(span.as_millis()).ok()?;
                let next = (time.timestamp_millis().div_euclid(step) + 1).checked_mul(step)?;
                Timestamp::from_timestamp_millis(next)
            }
            Times::Cron { fields, any_day, any_weekday } => {
                let [minutes, hours, days, months, weekdays] = *fields;
                let has = |bits: u64, at: u32| bits & 1_u64.checked_shl(at).unwrap_or(0) != 0;
                let mut at =
                    time.with_second(0)?.with_nanosecond(0)?.checked_add_signed(Duration::minutes(1))?;
                let end = time.checked_add_signed(Duration::days(8 * 366))?;
                while at < end {
                    let day = has(days, at.day());
                    let weekday = has(weekdays, at.weekday().num_days_from_sunday());
                    // As cron has it: where both are given, either will do.
                    let fits = match (any_day, any_weekday) {
                        (true, true) => true,
                        (true, false) => weekday,
                        (false, true) => day,
                        (false, false) => day || weekday,
                    };
                    if !has(months, at.month()) || !fits {
                        at = at.with_hour(0)?.with_minute(0)?.checked_add_signed(Duration::days(1))?;
                    } else if !has(hours, at.hour()) {
                        at = at.with_minute(0)?.checked_add_signed(Duration::hours(1))?;
                    } else if has(minutes, at.minute()) {
                        return Some(at);
                    } else {
                        at = at.checked_add_signed(Duration::minutes(1))?;
                    }
                }
                None
            }
        }
    }
}

impl TryFrom<String> for Schedule {
    type Error = InvalidSchedule;

    fn try_from(text: String) -> Result<Self, InvalidSchedule> {
        text.parse()
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.text
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

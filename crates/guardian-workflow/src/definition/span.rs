use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use guardian_core::shorten;
use serde::{Deserialize, Serialize};

/// A length of time in whole milliseconds, as text `90s`, `1h 30m` or in ISO 8601 `PT1H30M`.
///
/// ```
/// use guardian_workflow::Span;
///
/// let span: Span = "1h 30m".parse()?;
/// assert_eq!(span, "PT1H30M".parse()?);
/// assert_eq!(span.to_string(), "1h30m");
/// # Ok::<(), guardian_workflow::InvalidSpan>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(u64);

/// The longest: a hundred years.
const MOST: u64 = 100 * 366 * DAY;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Span {
    /// So many milliseconds; at most a hundred years.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(if millis > MOST { MOST } else { millis })
    }

    /// So many seconds; at most a hundred years.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self::from_millis(seconds.saturating_mul(SECOND))
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// As Rust's type.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// The moment that much after `time`.
    pub(crate) fn after(self, time: guardian_core::Timestamp) -> guardian_core::Timestamp {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        time.checked_add_signed(chrono::TimeDelta::milliseconds(millis))
            .unwrap_or(guardian_core::Timestamp::MAX_UTC)
    }
}

/// A text that is no [`Span`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid duration `{input}`: write it like `90s`, `1h 30m` or `PT1H30M`, at most a hundred years")]
pub struct InvalidSpan {
    input: String,
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let iso = text.strip_prefix('P');
        iso.map_or_else(|| plain(text), iso_8601)
            .filter(|millis| *millis <= MOST)
            .map(Self)
            .ok_or_else(|| InvalidSpan { input: shorten(text) })
    }
}

/// A number with up to three decimals, in thousandths, and what follows it.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.len() > 3 || whole.len() > 12 {
        return None;
    }
    let scale = [100, 10, 1].get(fraction.len() - 1)?;
    let thousandths = whole.parse::<u64>().ok()?.checked_mul(1000)? + fraction.parse::<u64>().ok()? * scale;
    Some((thousandths, rest))
}

fn plain(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (thousandths, after) = number(rest)?;
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let unit = match unit {
            "ms" => 1,
            "s" => SECOND,
            "m" => MINUTE,
            "h" => HOUR,
            "d" => DAY,
            _ => return None,
        };
        total = total.checked_add(thousandths.checked_mul(unit)? / 1000)?;
        rest = after.trim_start();
    }
    Some(total)
}

/// ISO 8601 without years and months, whose length depends on the calendar.
fn iso_8601(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let mut total = 0_u64;
    if date.is_empty() && time.is_none_or(str::is_empty) {
        return None;
    }
    for (part, units) in [
        (date, [('W', 7 * DAY), ('D', DAY), ('D', DAY)]),
        (time.unwrap_or_default(), [('H', HOUR), ('M', MINUTE), ('S', SECOND)]),
    ] {
        let (mut rest, mut allowed) = (part, units.as_slice());
        while !rest.is_empty() {
            let (thousandths, after) = number(rest)?;
            let mut characters = after.chars();
            let unit = characters.next()?;
            let at = allowed.iter().position(|(name, _)| *name == unit)?;
            let (_, millis) = allowed.get(at)?;
            total = total.checked_add(thousandths.checked_mul(*millis)? / 1000)?;
            allowed = allowed.get(at + 1..)?;
            rest = characters.as_str();
        }
    }
    Some(total)
}

impl TryFrom<String> for Span {
    type Error = InvalidSpan;

    fn try_from(text: String) -> Result<Self, InvalidSpan> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut left = self.0;
        for (unit, millis) in [("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", 1)] {
            if left >= millis {
                write!(f, "{}{unit}", left / millis)?;
                left %= millis;
            }
        }
        Ok(())
    }
}

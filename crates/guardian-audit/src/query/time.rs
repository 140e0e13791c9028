//! Times as people write them in queries: `2025`, `2025-03`, `2025-03-07`, `2025-03-07T14`, `…T14:30`, `…T14:30:05`,
//! with fractions of a second, and `Z` or an offset. A short form is the whole of what it names: a year, a day.

use chrono::{DateTime, Days, Duration, FixedOffset, Months, NaiveDate, NaiveDateTime, Utc};
use guardian_core::Timestamp;

/// The first moment of what the text names, and the first after it; `None` when it names no time.
pub(super) fn period(text: &str) -> Option<(Timestamp, Timestamp)> {
    let (date, clock) = match text.split_once(['T', 't']) {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4)?;
    let month = optional(parts.next(), 2)?;
    let day = optional(parts.next(), 2)?;
    if parts.next().is_some() {
        return None;
    }
    let first = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month.unwrap_or(1), day.unwrap_or(1))?;
    let Some(clock) = clock else {
        let next = match (month, day) {
            (None, _) => first.checked_add_months(Months::new(12))?,
            (Some(_), None) => first.checked_add_months(Months::new(1))?,
            (Some(_), Some(_)) => first.checked_add_days(Days::new(1))?,
        };
        return Some((midnight(first)?, midnight(next)?));
    };
    day?;
    let (clock, offset) = zone(clock)?;
    let mut parts = clock.split(':');
    let hour = number(parts.next()?, 2)?;
    let minute = optional(parts.next(), 2)?;
    let (second, micros, unit) = match parts.next() {
        None => (0, 0, None),
        Some(second) => match second.split_once('.') {
            None => (number(second, 2)?, 0, Some(Duration::seconds(1))),
            Some((second, fraction)) => {
                let micros = fraction_of(fraction)?;
                (number(second, 2)?, micros, Some(Duration::microseconds(1)))
            }
        },
    };
    if parts.next().is_some() {
        return None;
    }
    let unit = match (unit, minute) {
        (Some(unit), _) => unit,
        (None, Some(_)) => Duration::minutes(1),
        (None, None) => Duration::hours(1),
    };
    let local = first.and_hms_micro_opt(hour, minute.unwrap_or(0), second, micros)?;
    let from = utc(local, offset)?;
    Some((from, from.checked_add_signed(unit)?))
}

fn midnight(date: NaiveDate) -> Option<Timestamp> {
    Some(DateTime::from_naive_utc_and_offset(date.and_hms_opt(0, 0, 0)?, Utc))
}

fn utc(local: NaiveDateTime, offset: FixedOffset) -> Option<Timestamp> {
    let moment = local.checked_sub_offset(offset)?;
    Some(DateTime::from_naive_utc_and_offset(moment, Utc))
}

/// Splits the zone off: `Z`, `+02:00`, or nothing, which is UTC.
fn zone(clock: &str) -> Option<(&str, FixedOffset)> {
    let utc = FixedOffset::east_opt(0)?;
    if let Some(rest) = clock.strip_suffix(['Z', 'z']) {
        return Some((rest, utc));
    }
    let Some(at) = clock.find(['+', '-']) else {
        return Some((clock, utc));
    };
    let (rest, offset) = clock.split_at_checked(at)?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i32::try_from(hours * 3_600 + minutes * 60).ok()?;
    Some((rest, FixedOffset::east_opt(sign * seconds)?))
}

fn fraction_of(text: &str) -> Option<u32> {
    let digits = number(text, text.len())?;
    let missing = 6_u32.checked_sub(u32::try_from(text.len()).ok()?)?;
    Some(digits * 10_u32.pow(missing))
}

fn optional(text: Option<&str>, digits: usize) -> Option<Option<u32>> {
    match text {
        None => Some(None),
        Some(text) => number(text, digits).map(Some),
    }
}

/// A number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u32> {
    let plain = text.len() == digits && digits > 0 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> String {
        let Some((from, to)) = period(text) else { return "none".into() };
        format!("{} {}", from.to_rfc3339(), to - from)
    }

    #[test]
    fn short_forms_are_whole_periods() {
        assert_eq!(span("2024"), "2024-01-01T00:00:00+00:00 P31622400S".replace("P31622400S", "PT31622400S"));
        assert_eq!(span("2025-02"), "2025-02-01T00:00:00+00:00 PT2419200S");
        assert_eq!(span("2025-03-07"), "2025-03-07T00:00:00+00:00 PT86400S");
        assert_eq!(span("2025-03-07T14"), "2025-03-07T14:00:00+00:00 PT3600S");
        assert_eq!(span("2025-03-07T14:30Z"), "2025-03-07T14:30:00+00:00 PT60S");
        assert_eq!(span("2025-03-07T14:30:05+02:00"), "2025-03-07T12:30:05+00:00 PT1S");
        assert_eq!(span("2025-03-07T14:30:05.25Z"), "2025-03-07T14:30:05.250+00:00 PT0.000001S");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "20",
            "2025-13",
            "2025-02-30",
            "2025-1-1",
            "2025-01-01-01",
            "2025T10",
            "2025-01T10",
            "2025-01-01T",
            "2025-01-01T24",
            "2025-01-01T10:60",
            "2025-01-01T10:00:61",
            "2025-01-01T10:00:00.1234567",
            "2025-01-01T10:00+99:00",
            "2025-01-01T10:00+02",
            "99999",
            "-2025",
            "２０２５",
        ] {
            assert_eq!(period(text), None, "{text}");
        }
    }
}

//! The proleptic Gregorian calendar on whole numbers, and the clocks of time zones.
//!
//! The two conversions between days and dates are those of H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"
//! (2014): eras of 400 years, years that begin in March.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

/// Microseconds of a second, and of a day.
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;

/// A date: year, month from 1, day from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date {
    pub(crate) year: i64,
    pub(crate) month: u8,
    pub(crate) day: u8,
}

/// Days since 1970-01-01.
pub(crate) fn days_of(date: Date) -> i64 {
    let Date { year, month, day } = date;
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date of a day since 1970-01-01.
pub(crate) fn date_of(days: i64) -> Date {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = u8::try_from(day_of_year - (153 * month + 2) / 5 + 1).unwrap_or(1);
    let month = u8::try_from(if month < 10 { month + 3 } else { month - 9 }).unwrap_or(1);
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Date { year, month, day }
}

pub(crate) fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

pub(crate) fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        2 => 28 + u8::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The date that many months later, on the same day of the month or the month's last one.
pub(crate) fn add_months(date: Date, months: i64) -> Date {
    let total = date.year.saturating_mul(12).saturating_add(i64::from(date.month) - 1).saturating_add(months);
    let year = total.div_euclid(12);
    let month = u8::try_from(total.rem_euclid(12) + 1).unwrap_or(1);
    Date { year, month, day: date.day.min(days_in_month(year, month)) }
}

/// From this year on the rules of the zone database are continued by the calendar: a year's clocks are those of a year
/// before with the same weekdays. The database ends in 2099.
const CONTINUED_FROM: i64 = 2090;

/// The offset of a zone's clocks at a moment, in microseconds east of Greenwich.
pub(crate) fn offset_at(zone: Tz, micros: i64) -> i64 {
    let days = micros.div_euclid(DAY);
    let year = date_of(days).year;
    let like = if year < CONTINUED_FROM {
        micros
    } else {
        let first = days_of(Date { year, month: 1, day: 1 });
        let weekday = first.rem_euclid(7);
        // Within 28 years without an exception every sort of year comes up.
        let twin = (CONTINUED_FROM - 28..CONTINUED_FROM)
            .find(|twin| {
                let days = days_of(Date { year: *twin, month: 1, day: 1 });
                is_leap(*twin) == is_leap(year) && days.rem_euclid(7) == weekday
            })
            .unwrap_or(CONTINUED_FROM - 1);
        micros - (first - days_of(Date { year: twin, month: 1, day: 1 })) * DAY
    };
    let Some(moment) = DateTime::from_timestamp_micros(like) else { return 0 };
    i64::from(zone.offset_from_utc_datetime(&moment.naive_utc()).fix().local_minus_utc()) * SECOND
}

/// The moment at which the clocks show a local time, given as microseconds since 1970 on those clocks. A time that the
/// clocks skip is read with the offset before the gap, one that they show twice is the first (RFC 5545, section 3.3.5).
pub(crate) fn moment_of(zone: Tz, local: i64) -> i64 {
    let before = offset_at(zone, local.saturating_sub(DAY));
    let after = offset_at(zone, local.saturating_add(DAY));
    let early = local.saturating_sub(before);
    if before == after || offset_at(zone, early) == before {
        return early;
    }
    let late = local.saturating_sub(after);
    if offset_at(zone, late) == after { late } else { early }
}

/// A zone as its name.
pub(crate) mod zone {
    use std::borrow::Cow;

    use chrono_tz::Tz;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn serialize<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(zone.name())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        name.parse().map_err(|_| de::Error::custom(crate::InvalidPlan::zone(&name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse() {
        for days in -800_000..800_000 {
            let date = date_of(days);
            assert_eq!(days_of(date), days);
            assert!(date.day <= days_in_month(date.year, date.month));
        }
    }

    #[test]
    fn months_are_clamped_from_the_anchor() {
        let anchor = Date { year: 2026, month: 1, day: 31 };
        assert_eq!(add_months(anchor, 1), Date { year: 2026, month: 2, day: 28 });
        assert_eq!(add_months(anchor, 2), Date { year: 2026, month: 3, day: 31 });
        assert_eq!(add_months(anchor, 25), Date { year: 2028, month: 2, day: 29 });
        assert_eq!(add_months(anchor, -11), Date { year: 2025, month: 2, day: 28 });
    }
}

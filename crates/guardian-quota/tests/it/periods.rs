//! Periods against calendars that share no code with the crate's.

use chrono::{DateTime, TimeDelta};
use guardian_quota::{Cadence, Cycle, Period};
use sha2::{Digest, Sha256};

/// Made by `tests/calendar/oracle.py` with Python's calendar and its reading of the zone files.
const BOUNDARIES: &str = include_str!("../calendar/boundaries.txt");

#[test]
fn four_hundred_years_of_months_are_those_of_another_calendar() {
    let mut zones = 0;
    for line in BOUNDARIES.lines() {
        let (zone, expected) = line.split_once(' ').unwrap();
        let mut digest = Sha256::new();
        for day in 1..=31 {
            // The anchor's day of the month, on the zone's clocks.
            let first = Cycle::new(Cadence::Month, "2000-01-01T12:00:00Z".parse().unwrap(), zone).unwrap();
            let anchor = midnight(zone, day);
            let cycle = Cycle::new(Cadence::Month, anchor, zone).unwrap();
            assert_eq!(first.cadence(), cycle.cadence());
            for month in 0..4800 {
                let period = cycle.period(month).unwrap();
                digest.update(format!("{}\n", period.start().timestamp()));
                assert_eq!(period.end(), cycle.period(month + 1).map(|next| next.start()));
            }
        }
        let found: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, expected, "{zone}");
        zones += 1;
    }
    assert_eq!(zones, 10);
}

/// Midnight of a day in January 2000 on the clocks of a zone, found by looking at every quarter of an hour.
fn midnight(zone: &str, day: i64) -> DateTime<chrono::Utc> {
    let zone: chrono_tz::Tz = zone.parse().unwrap();
    let start: DateTime<chrono::Utc> = "1999-12-31T00:00:00Z".parse().unwrap();
    let wanted = format!("2000-01-{day:02} 00:00:00");
    (0..34 * 96)
        .map(|quarter| start + TimeDelta::minutes(15 * quarter))
        .find(|at| at.with_timezone(&zone).naive_local().to_string() == wanted)
        .unwrap()
}

/// A calendar that counts the days one by one.
struct Days {
    year: i64,
    month: u32,
    day: u32,
}

impl Days {
    fn next(&mut self) {
        let leap = (self.year % 4 == 0 && self.year % 100 != 0) || self.year % 400 == 0;
        let length = match self.month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        self.day += 1;
        if self.day > length {
            (self.day, self.month) = (1, self.month + 1);
        }
        if self.month > 12 {
            (self.month, self.year) = (1, self.year + 1);
        }
    }
}

#[test]
fn every_day_lies_in_the_period_that_counting_finds() {
    let at = |text: &str| text.parse::<DateTime<chrono::Utc>>().unwrap();
    let days = Cycle::new(Cadence::Day, at("1970-01-01T00:00:00Z"), "UTC").unwrap();
    let weeks = Cycle::new(Cadence::Week, at("1970-01-05T00:00:00Z"), "UTC").unwrap();
    let months = Cycle::new(Cadence::Month, at("1970-01-31T00:00:00Z"), "UTC").unwrap();
    let quarters = Cycle::new(Cadence::Months(3), at("1970-01-01T00:00:00Z"), "UTC").unwrap();
    let years = Cycle::new(Cadence::Year, at("1972-02-29T00:00:00Z"), "UTC").unwrap();
    let mut date = Days { year: 1970, month: 1, day: 1 };
    let (mut month, mut year) = (-1_i64, -3_i64);
    for day in 0..146_097_i64 {
        let noon = DateTime::from_timestamp(day * 86_400 + 43_200, 0).unwrap();
        assert_eq!(days.number_at(noon), day);
        assert_eq!(weeks.number_at(noon), (day - 4).div_euclid(7));
        let leap = (date.year % 4 == 0 && date.year % 100 != 0) || date.year % 400 == 0;
        let last = match date.month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if date.day == last {
            month += 1;
        }
        if date.month == 2 && date.day == 28 + u32::from(leap) {
            year += 1;
        }
        assert_eq!(months.number_at(noon), month, "{}-{}-{}", date.year, date.month, date.day);
        assert_eq!(years.number_at(noon), year, "{}-{}-{}", date.year, date.month, date.day);
        assert_eq!(quarters.number_at(noon), (date.year - 1970) * 4 + i64::from((date.month - 1) / 3));
        date.next();
    }
    assert_eq!(date.year, 2370);
}

#[test]
fn periods_are_half_open_and_leave_no_gap() {
    for (cadence, zone) in [
        (Cadence::Day, "Australia/Lord_Howe"),
        (Cadence::Days(10), "America/Sao_Paulo"),
        (Cadence::Week, "Europe/Vienna"),
        (Cadence::Month, "Pacific/Auckland"),
        (Cadence::Year, "Asia/Kolkata"),
    ] {
        let cycle = Cycle::new(cadence, "2026-10-31T02:30:00Z".parse().unwrap(), zone).unwrap();
        for n in -600..600 {
            let period = cycle.period(n).unwrap();
            let end = period.end().unwrap();
            assert!(period.start() < end);
            assert_eq!(cycle.number_at(period.start()), n);
            assert_eq!(cycle.number_at(end - TimeDelta::microseconds(1)), n);
            assert_eq!(cycle.number_at(end), n + 1);
            assert!(period.contains(period.start()) && !period.contains(end));
        }
    }
}

#[test]
fn clocks_that_skip_or_repeat_an_hour() {
    let starts = |anchor: &str, zone: &str, n: std::ops::Range<i64>| -> Vec<String> {
        let cycle = Cycle::new(Cadence::Day, anchor.parse().unwrap(), zone).unwrap();
        n.map(|n| cycle.period(n).unwrap().start().format("%m-%dT%H:%M").to_string()).collect()
    };
    // Vienna, 29 March 2026: 02:00 to 03:00 is skipped; 25 October: it is shown twice.
    assert_eq!(
        starts("2026-03-27T01:30:00Z", "Europe/Vienna", 0..4),
        ["03-27T01:30", "03-28T01:30", "03-29T01:30", "03-30T00:30"]
    );
    assert_eq!(
        starts("2026-10-24T00:30:00Z", "Europe/Vienna", 0..3),
        ["10-24T00:30", "10-25T00:30", "10-26T01:30"]
    );
    // New York, 8 March 2026: 02:30 is skipped.
    assert_eq!(
        starts("2026-03-07T07:30:00Z", "America/New_York", 0..3),
        ["03-07T07:30", "03-08T07:30", "03-09T06:30"]
    );
}

#[test]
fn other_cadences() {
    let at = |text: &str| text.parse::<DateTime<chrono::Utc>>().unwrap();
    let starts = vec![at("2026-01-05T00:00:00Z"), at("2026-02-20T00:00:00Z")];
    let custom = Cycle::new(Cadence::Custom(starts.clone()), at("2026-01-01T00:00:00Z"), "UTC").unwrap();
    assert_eq!(custom.number_at(at("2026-01-04T23:59:59Z")), -1);
    assert_eq!(custom.period_at(at("2026-01-05T00:00:00Z")), Period::new(starts[0], starts[1]));
    assert_eq!(custom.period_at(at("2030-01-05T00:00:00Z")).end(), None);
    let lifetime = Cycle::new(Cadence::Lifetime, at("2026-01-01T00:00:00Z"), "UTC").unwrap();
    assert_eq!(lifetime.period_at(at("1980-01-01T00:00:00Z")).end(), None);
    let rolling = Cycle::new(Cadence::Rolling(3600), at("2026-01-01T00:00:00Z"), "UTC").unwrap();
    let window = rolling.period_at(at("2026-01-01T12:00:00Z"));
    assert!(window.contains(at("2026-01-01T12:00:00Z")) && !window.contains(at("2026-01-01T11:00:00Z")));
    for wrong in [Cadence::Days(0), Cadence::Months(0), Cadence::Rolling(1), Cadence::Custom(vec![])] {
        assert!(Cycle::new(wrong, at("2026-01-01T00:00:00Z"), "UTC").is_err());
    }
    assert!(Cycle::new(Cadence::Day, at("2026-01-01T00:00:00Z"), "Europe/Nowhere").is_err());
}

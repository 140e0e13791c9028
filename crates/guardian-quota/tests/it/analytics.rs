//! Usage over time, the greatest users, forecasts that are right as often as they say, exports, and events as text.

use guardian_core::Clock;
use guardian_quota::analytics::{ExportFormat, Forecast};
use guardian_quota::testkit::{DAY, quotas};
use guardian_quota::{Cadence, Happened, Level, MemoryStore, Period, Subject, Usage};

use crate::random::Random;

#[tokio::test]
async fn series_and_the_greatest_users() {
    let (quotas, clock, scope) = quotas(MemoryStore::new(), "acme").await.unwrap();
    let team = Subject::org().team("sales").unwrap();
    for day in 0..5_u64 {
        for (user, amount) in [("ann", 3), ("bob", 2 + day)] {
            let usage = Usage::of("calls", &team.user(user).unwrap(), amount).unwrap();
            assert!(quotas.consume(&scope, &usage).await.unwrap().allowed);
        }
        clock.advance(DAY);
    }
    let span = Period::new("2026-01-14T00:00:00Z".parse().unwrap(), "2026-01-22T00:00:00Z".parse().unwrap());
    let days = quotas.usage(&scope, "calls", &team, span, Cadence::Day).await.unwrap();
    let amounts: Vec<i128> = days.iter().map(|point| point.amount).collect();
    assert_eq!(amounts, [0, 5, 6, 7, 8, 9, 0, 0]);
    let bob = team.user("bob").unwrap();
    let months = quotas.usage(&scope, "calls", &bob, span, Cadence::Month).await.unwrap();
    assert_eq!(months.iter().map(|point| point.amount).collect::<Vec<_>>(), [20]);
    let top = quotas.top(&scope, "calls", Level::User, span, 1).await.unwrap();
    assert_eq!(top, [(bob.clone(), 20)]);
    let forecast = quotas.forecast(&scope, "calls", &Subject::org()).await.unwrap().unwrap();
    // 65 are left, at 7 a day.
    assert!((forecast.per_day - 7.0).abs() < 1e-9);
    let days = (forecast.exhausted.unwrap() - clock.now()).num_hours();
    assert_eq!(days, 65 * 24 / 7);
    assert!(quotas.usage(&scope, "calls", &team, span, Cadence::Lifetime).await.is_err());
}

/// The interval of a forecast contains the true day about as often as it says, over worlds whose days are random.
#[test]
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn nine_of_ten_intervals_hold() {
    let now = "2026-03-01T00:00:00Z".parse().unwrap();
    let mut random = Random(7);
    let (mut within, mut earlier) = (0, 0);
    const WORLDS: u32 = 4_000;
    for _ in 0..WORLDS {
        let (base, spread) = (50 + random.below(100), 1 + random.below(100));
        let day = |random: &mut Random| i128::from(base + random.below(spread) + random.below(spread));
        let known: Vec<i128> = (0..28).map(|_| day(&mut random)).collect();
        let left = 2_000 + i128::from(random.below(4_000));
        let forecast = Forecast::of(&known, left, now, None).unwrap();
        // The world goes on, and the day on which it is used up is counted, with its part.
        let (mut spent, mut days) = (0, 0.0);
        loop {
            let today = day(&mut random);
            if spent + today >= left {
                days += (left - spent) as f64 / today as f64;
                break;
            }
            spent += today;
            days += 1.0;
        }
        let at = |moment: Option<guardian_core::Timestamp>| {
            (moment.unwrap() - now).num_seconds() as f64 / 86_400.0
        };
        if days < at(forecast.earliest) {
            earlier += 1;
        } else if days <= at(forecast.latest) {
            within += 1;
        }
    }
    let share = f64::from(within) / f64::from(WORLDS);
    println!("{share} within, {earlier} earlier");
    assert!((0.86..0.94).contains(&share), "{share}");
}

#[tokio::test]
async fn a_ledger_as_a_file() {
    let (quotas, clock, scope) = quotas(MemoryStore::new(), "acme").await.unwrap();
    let usage = Usage::of("calls", &Subject::org(), 9).unwrap().with_key("k/1").unwrap();
    drop(quotas.consume(&scope, &usage).await.unwrap());
    quotas.adjust(&scope, "calls", &Subject::org(), -4, "=1+1, \"a\" gift").await.unwrap();
    let span = Period::new("2026-01-01T00:00:00Z".parse().unwrap(), clock.now() + DAY);
    let (mut csv, mut lines) = (Vec::new(), Vec::new());
    assert_eq!(quotas.export(&scope, "calls", span, ExportFormat::Csv, &mut csv).await.unwrap(), 2);
    assert_eq!(quotas.export(&scope, "calls", span, ExportFormat::Ndjson, &mut lines).await.unwrap(), 2);
    let csv = String::from_utf8(csv).unwrap();
    let rows: Vec<&str> = csv.split("\r\n").collect();
    assert!(rows[1].starts_with("1,consume,calls,org,9,2026-01-15T12:00:00.000000Z,"), "{}", rows[1]);
    assert!(rows[1].contains(",k/1,,system:guardian,"), "{}", rows[1]);
    assert!(
        rows[2].starts_with("2,adjust,calls,org,-4,") && rows[2].ends_with(r#""'=1+1, ""a"" gift""#),
        "{}",
        rows[2]
    );
    for line in String::from_utf8(lines).unwrap().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn events_as_text() {
    let read = |text: &str| Happened::parse(text);
    let event =
        read(r#"{"id": "e1", "feature": "tokens", "subject": "team:a/user:b", "time": "2026-03-01T00:00:00Z", "amount": 7}"#)
            .unwrap();
    assert_eq!((event.usage.amount(), event.usage.subject().to_string()), (7, "team:a/user:b".to_owned()));
    for wrong in [
        "",
        "[]",
        "{}",
        r#"{"time": "2026-03-01T00:00:00Z"}"#,
        r#"{"time": "yesterday", "feature": "a"}"#,
        r#"{"time": "2026-03-01T00:00:00Z", "feature": "a b"}"#,
        r#"{"time": "2026-03-01T00:00:00Z", "feature": "a", "amount": -1}"#,
        r#"{"time": "2026-03-01T00:00:00Z", "feature": "a", "amount": 1.5}"#,
        r#"{"time": "2026-03-01T00:00:00Z", "feature": "a", "amount": 4611686018427387904}"#,
        r#"{"time": "2026-03-01T00:00:00Z", "feature": "a", "subject": "moon:x"}"#,
        r#"{"specversion": "0.3", "time": "2026-03-01T00:00:00Z", "type": "a", "id": "1", "source": "s"}"#,
        r#"{"specversion": "1.0", "time": "2026-03-01T00:00:00Z", "type": "a", "id": "1"}"#,
        r#"{"specversion": "1.0", "time": "2026-03-01T00:00:00Z", "type": "a", "id": "1", "source": "s", "data": {"value": 0.5}}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    assert!(read(&" ".repeat(Happened::MAX_LEN + 1)).is_err());
}

//! Series from which messages are taken back, that old messages come to, whose policy changes, and that a wrong clock was at.

use std::time::Duration;

use chrono::TimeDelta;
use guardian_core::{Clock, ManualClock, Timestamp};
use guardian_sentiment::{Observation, Trend, TrendPolicy};

use crate::random::Random;

fn start() -> Timestamp {
    ManualClock::new().now()
}

fn pick(random: &mut Random) -> f64 {
    [0.7, 0.4, 0.6, -0.3, 0.2, 0.8][usize::try_from(random.below(6)).unwrap()]
}

/// The mean of messages as the baseline weighs them.
fn mean<'m>(messages: impl Iterator<Item = &'m Observation<'static>>, newest: Timestamp) -> f64 {
    let (mut weights, mut sum) = (0.0, 0.0);
    for message in messages {
        let days = (newest - message.at).as_seconds_f64() / 86_400.0;
        let weight = (-days / 90.0).exp2();
        weights += weight;
        sum += weight * message.score;
    }
    sum / weights
}

/// Some of the last bad messages of a series without an alarm are forgotten, and it goes on as it was before them.
#[test]
fn forgetting_bad_messages_raises_no_alarm() {
    let policy = TrendPolicy::default();
    let held_against = |trend: &Trend, at| {
        let probe = Observation::new(at, 0.5);
        trend.clone().push(&probe, &policy).baseline.unwrap()
    };
    for forgotten in [3, 6, 10] {
        let (mut series, mut alarms, mut waiting) = (0, 0, 0);
        for seed in 0..300 {
            let mut random = Random(seed * 7919 + 5);
            let (mut trend, mut at, mut bad, mut is_quiet) = (Trend::new(), start(), Vec::new(), true);
            let mut all = Vec::new();
            for n in 0..60 {
                at += TimeDelta::hours(1);
                let is_bad = n >= 40 && n % 2 == 0;
                let message = Observation::new(at, if is_bad { -0.6 } else { pick(&mut random) });
                is_quiet &= trend.push(&message, &policy).alert.is_none();
                if is_bad {
                    bad.push(message.clone());
                }
                all.push(message);
            }
            if !is_quiet {
                continue;
            }
            series += 1;
            // How many messages had settled, by what is held against: those behind them wait.
            let reference = held_against(&trend, at);
            let settled = (1..=all.len())
                .find(|count| (mean(all.iter().take(*count), at) - reference).abs() < 1e-9)
                .unwrap();
            waiting += all.len() - settled;
            for message in &bad[..forgotten] {
                trend.remove(message, &policy);
            }
            // What is forgotten is out of the part that it was in, and nothing else moved.
            let left = all.iter().take(settled).filter(|message| !bad[..forgotten].contains(message));
            let (expected, reference) = (mean(left, at), held_against(&trend, at));
            assert!((reference - expected).abs() < 1e-9, "held against {reference}, not {expected}");
            let mut alarmed = false;
            for _ in 0..100 {
                at += TimeDelta::hours(1);
                let update = trend.push(&Observation::new(at, pick(&mut random)), &policy);
                alarmed |= update.alert.is_some();
            }
            alarms += u32::from(alarmed);
        }
        println!("{forgotten} messages forgotten: {alarms} of {series} series raise an alarm");
        assert!(series > 150 && alarms * 20 <= series, "{forgotten} forgotten: {alarms} of {series}");
        assert!(waiting > 1000, "{waiting} messages under suspicion");
    }
}

/// What people do with the messages of a fall.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    Nothing,
    /// One of ten is corrected, to what it says.
    Corrects,
    /// A message from before the fall is deleted for each ten.
    Deletes,
}

/// The messages of a fall until its alarm, of each of so many series of forty messages; 400 where there is none.
fn delays(fall: f64, work: Work) -> Vec<u32> {
    let policy = TrendPolicy::default();
    let mut found: Vec<u32> = (0..300)
        .map(|seed| {
            let mut random = Random(seed * 104_729 + 3);
            // Near enough to a normal distribution with a deviation of 0.55.
            let draw = |random: &mut Random, mean: f64| {
                let sum: f64 = (0..12).map(|_| random.unit()).sum();
                mean + (sum - 6.0) * 0.55
            };
            let (mut trend, mut at, mut before) = (Trend::new(), start(), Vec::new());
            for _ in 0..40 {
                at += TimeDelta::hours(1);
                let message = Observation::new(at, draw(&mut random, 0.4));
                trend.push(&message, &policy);
                before.push(message);
            }
            for n in 1..400 {
                at += TimeDelta::hours(1);
                let message = Observation::new(at, draw(&mut random, 0.4 - fall));
                if trend.push(&message, &policy).alert.is_some() {
                    return n;
                }
                match work {
                    Work::Corrects if n % 10 == 0 => trend.replace(&message, &message, &policy),
                    Work::Deletes if n % 10 == 0 && n <= 200 => {
                        trend.remove(&before.pop().unwrap(), &policy);
                    }
                    _ => {}
                }
            }
            400
        })
        .collect();
    found.sort_unstable();
    found
}

/// Who corrects or deletes messages while a series falls does not hide the fall.
#[test]
fn a_fall_is_found_while_people_work_on_its_messages() {
    for fall in [0.4, 0.6] {
        let alone = delays(fall, Work::Nothing);
        for work in [Work::Corrects, Work::Deletes] {
            let found = delays(fall, work);
            let missed = |delays: &[u32]| delays.iter().filter(|delay| **delay == 400).count();
            println!(
                "a fall by {fall}, {work:?}: median {} and {} missed; alone {} and {}",
                found[150],
                missed(&found),
                alone[150],
                missed(&alone)
            );
            if work == Work::Corrects {
                // Nothing is corrected to what it was not: exactly as without.
                assert_eq!(found, alone, "a fall by {fall}");
            }
            assert!(missed(&found) <= missed(&alone) + 10, "a fall by {fall}, {work:?}");
            assert!(found[150] <= alone[150] + 3, "a fall by {fall}, {work:?}");
        }
    }
}

/// What was counted with one half-life is taken back with it.
#[test]
fn another_policy_takes_back_what_the_first_one_counted() {
    let week = TrendPolicy::default();
    for days in [1, 30] {
        let half_life = Duration::from_secs(days * 86_400);
        let other = TrendPolicy::default().with_half_life(half_life).with_baseline_half_life(half_life);
        let (mut trend, mut expected) = (Trend::new(), Trend::new());
        let (mut random, mut gone) = (Random(days), Vec::new());
        for n in 0..60 {
            let message = Observation::new(start() + TimeDelta::hours(n * 8), pick(&mut random));
            trend.push(&message, &week);
            if n % 3 == 0 {
                gone.push(message);
            } else {
                expected.push(&message, &week);
            }
        }
        for message in &gone {
            trend.remove(message, &other);
        }
        let near = |one: Option<f64>, two: Option<f64>| (one.unwrap() - two.unwrap()).abs() < 1e-9;
        assert!(near(trend.level(), expected.level()), "{:?} {:?}", trend.level(), expected.level());
        assert!(near(trend.baseline(&other), expected.baseline(&week)));
        // Also of two series in one, and after it was kept.
        let mut merged: Trend = serde_json::from_str(&serde_json::to_string(&expected).unwrap()).unwrap();
        for message in &gone {
            merged.push(message, &other);
        }
        merged = merged.merge(&Trend::new(), &other);
        for message in &gone {
            merged.remove(message, &other);
        }
        assert!(near(merged.level(), expected.level()), "{:?} {:?}", merged.level(), expected.level());
    }
}

#[test]
fn a_series_that_is_empty_begins_with_the_policy_of_now() {
    let (week, day) =
        (TrendPolicy::default(), TrendPolicy::default().with_half_life(Duration::from_secs(86_400)));
    let (mut trend, mut expected) = (Trend::new(), Trend::new());
    let first = Observation::new(start(), 0.5);
    trend.push(&first, &week);
    trend.remove(&first, &day);
    for n in 0..10_u32 {
        let message = Observation::new(start() + TimeDelta::hours(i64::from(n) * 8), f64::from(n) / 10.0);
        trend.push(&message, &day);
        expected.push(&message, &day);
    }
    assert_eq!(trend.level(), expected.level());
}

#[test]
fn the_words_of_old_messages_do_not_rise_when_they_come_late() {
    let policy = TrendPolicy::default();
    let mut trend = Trend::new();
    for day in 0..60 {
        let text = if day < 55 { "love the dashboard" } else { "the invoice is wrong" };
        trend.push(&Observation::new(start() + TimeDelta::days(day), 0.5).with_text(text), &policy);
    }
    for day in 0..100 {
        let old = start() - TimeDelta::days(400 - day);
        trend.push(&Observation::new(old, 0.5).with_text("where is your fax number"), &policy);
    }
    let words: Vec<String> = trend.rising(9).into_iter().map(|rising| rising.word).collect();
    assert!(words.iter().any(|word| word == "invoice"), "{words:?}");
    assert!(!words.iter().any(|word| word == "fax" || word == "number"), "{words:?}");
}

#[test]
fn the_words_that_rise_do_not_depend_on_the_order_of_arrival() {
    let policy = TrendPolicy::default();
    let text = |n: i64| {
        ["love the dashboard", "the export works", "invoice wrong", "invoice refund"]
            [usize::try_from(if n < 70 { n % 2 } else { n % 4 }).unwrap()]
    };
    let mut messages: Vec<i64> = (0..90).collect();
    let rising = |messages: &[i64]| {
        let mut trend = Trend::new();
        for n in messages {
            trend.push(
                &Observation::new(start() + TimeDelta::hours(n * 20), 0.5).with_text(text(*n)),
                &policy,
            );
        }
        trend.rising(9)
    };
    let expected = rising(&messages);
    assert!(!expected.is_empty());
    for seed in 0..20 {
        Random(seed).shuffle(&mut messages);
        let found = rising(&messages);
        assert_eq!(found.len(), expected.len(), "{found:?} {expected:?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!(found.word == expected.word && (found.strength - expected.strength).abs() < 1e-6);
        }
    }
}

/// The rest of a long text costs nothing.
#[test]
fn words_are_taken_from_the_beginning_of_a_text() {
    let policy = TrendPolicy::default();
    let mut trend = Trend::new();
    let rest = format!("{} zebra", "über use ".repeat(100_000));
    for n in 0..100 {
        let text = if n < 50 { "love the dashboard".to_owned() } else { format!("invoice {rest}") };
        trend.push(&Observation::new(start() + TimeDelta::hours(n * 12), 0.5).with_text(&text), &policy);
    }
    let words: Vec<String> = trend.rising(9).into_iter().map(|rising| rising.word).collect();
    assert!(words.iter().any(|word| word == "invoice"), "{words:?}");
    assert!(!words.iter().any(|word| word == "zebra"), "{words:?}");
    // Nor a piece of the word that the bound goes through.
    let mut trend = Trend::new();
    trend.push(&Observation::new(start(), 0.5).with_text(&"dashboards ".repeat(3_000)), &policy);
    let state = serde_json::to_string(&trend).unwrap();
    assert_eq!(state.matches("\"dash").count(), 1, "{state}");
}

/// One message whose clock was far ahead, among those of clocks that go right.
#[test]
fn a_series_comes_back_from_the_future() {
    let policy = TrendPolicy::default();
    for days in [8, 30, 365] {
        let (mut trend, mut at) = (Trend::new(), start());
        let mut push = |trend: &mut Trend, score: f64, times: u32| {
            let mut alarms = 0;
            for n in 0..times {
                at += TimeDelta::hours(1);
                let message = Observation::new(at, score + f64::from(n % 5) * 0.05 - 0.1).counted_at(at);
                alarms += u32::from(trend.push(&message, &policy).alert.is_some());
            }
            (alarms, at)
        };
        let (_, now) = push(&mut trend, 0.5, 100);
        let stray = Observation::new(now + TimeDelta::days(days), -0.9);
        trend.push(&stray.clone().counted_at(stray.at), &policy);
        assert_eq!(push(&mut trend, 0.5, 40).0, 0, "{days} days");
        // The stray one is forgotten: with its whole weight, and no more.
        let before = trend.level().unwrap();
        trend.remove(&stray, &policy);
        let level = trend.level().unwrap();
        assert!(level > before && (level - 0.5).abs() < 0.05, "{days} days: {before} {level}");
        assert_eq!(push(&mut trend, -0.5, 60).0, 1, "{days} days: a fall is noticed");
        assert!(trend.level().unwrap() < 0.2, "{days} days: {:?}", trend.level());
    }
}

/// A process whose clock is far behind does not take the others' time back.
#[test]
fn one_clock_that_is_behind_is_not_believed() {
    let policy = TrendPolicy::default();
    let (mut with, mut without) = (Trend::new(), Trend::new());
    let mut random = Random(11);
    for n in 0..200 {
        let at = start() + TimeDelta::hours(n);
        let message = Observation::new(at, pick(&mut random)).counted_at(at);
        with.push(&message, &policy);
        without.push(&message, &policy);
        if n % 3 == 0 {
            let behind = at - TimeDelta::days(4_000);
            with.push(&Observation::new(behind, -0.9).counted_at(behind), &policy);
        }
    }
    assert!((with.level().unwrap() - without.level().unwrap()).abs() < 1e-9);
}

/// What was given is shown, even if there is no name in it, and never at length.
#[test]
fn what_is_no_segment_is_said_in_short() {
    let said = |text: &str| text.parse::<guardian_sentiment::Segment>().unwrap_err().to_string();
    assert_eq!(said("account:"), "invalid segment `account:`: the name is empty");
    assert!(said("acount:acme").starts_with("invalid segment `acount:acme`: it begins with none of"));
    for long in ["x".repeat(100_000), format!("topic:{}", "\u{1}".repeat(100_000))] {
        assert!(said(&long).len() < 600, "{}", said(&long).len());
    }
}

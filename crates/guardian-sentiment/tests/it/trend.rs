use std::time::Duration;

use chrono::TimeDelta;
use guardian_core::{Clock, ManualClock, Timestamp};
use guardian_sentiment::{Observation, Trend, TrendPolicy};
use proptest::prelude::*;

use crate::random::Random;

fn start() -> Timestamp {
    ManualClock::new().now()
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Anything between.
    Even,
    /// The best, or the worst.
    Extreme,
    /// Nearly always content.
    Content,
    /// As models read support messages: three heaps.
    Heaps,
}

impl Shape {
    fn draw(self, random: &mut Random) -> f64 {
        match self {
            Self::Even => random.unit() * 2.0 - 1.0,
            Self::Extreme => {
                if random.unit() < 0.6 {
                    1.0
                } else {
                    -1.0
                }
            }
            Self::Content => {
                if random.unit() < 0.95 {
                    0.8
                } else {
                    -0.9
                }
            }
            Self::Heaps => {
                let heap = random.unit();
                let centre = if heap < 0.3 {
                    -0.6
                } else if heap < 0.6 {
                    0.0
                } else {
                    0.7
                };
                centre + (random.unit() - 0.5) * 0.5
            }
        }
    }
}

/// Alarms of series that do not fall, and the messages they were given.
fn false_alarms(shape: Shape, series: u64, messages: u32, policy: &TrendPolicy) -> (u32, u64) {
    let (mut alarms, mut total) = (0, 0);
    for seed in 0..series {
        let mut random = Random(seed * 7919 + 13);
        let mut trend = Trend::new();
        let mut at = start();
        for _ in 0..messages {
            // Gaps from seconds to days.
            let gap = (random.unit() * 12.0).exp();
            #[expect(clippy::cast_possible_truncation, reason = "a gap is below two days of seconds")]
            let gap = gap as i64;
            at += TimeDelta::seconds(gap);
            let update = trend.push(&Observation::new(at, shape.draw(&mut random)), policy);
            alarms += u32::from(update.alert.is_some());
            total += 1;
        }
    }
    (alarms, total)
}

/// The promise of the policy, on four distributions: the messages to an alarm are on average at least what it says.
#[test]
fn false_alarms_are_rare() {
    let policy = TrendPolicy::default().with_messages_per_false_alarm(500.0).with_cool_down(Duration::ZERO);
    for shape in [Shape::Even, Shape::Extreme, Shape::Content, Shape::Heaps] {
        let (alarms, messages) = false_alarms(shape, 400, 1500, &policy);
        println!("{shape:?}: {alarms} false alarms in {messages} messages, allowed {}", messages / 500);
        assert!(
            u64::from(alarms) <= messages / 500,
            "{shape:?}: {alarms} false alarms in {messages} messages"
        );
    }
    let (alarms, messages) = false_alarms(Shape::Heaps, 400, 1500, &TrendPolicy::default());
    println!("by default: {alarms} false alarms in {messages} messages, allowed {}", messages / 5000);
    assert!(u64::from(alarms) <= messages / 5000, "{alarms} in {messages}");
}

/// Near the worst case that the promise covers: the series falls by more than half of the least drop that matters, which is no
/// fall, right after a long baseline.
#[test]
fn below_the_least_drop_the_promise_still_holds() {
    let policy = TrendPolicy::default()
        .with_messages_per_false_alarm(200.0)
        .with_cool_down(Duration::ZERO)
        .with_baseline_half_life(Duration::from_secs(1000 * 86_400));
    let (mut waited, runs) = (0_u64, 300_u64);
    for seed in 0..runs {
        let mut random = Random(seed * 104_729 + 7);
        let mut trend = Trend::new();
        let mut at = start();
        for _ in 0..3000 {
            at += TimeDelta::seconds(60);
            let quiet = TrendPolicy::default().with_messages_per_false_alarm(1e12);
            trend.push(&Observation::new(at, Shape::Heaps.draw(&mut random)), &quiet);
        }
        for _ in 0..5000 {
            at += TimeDelta::seconds(60);
            waited += 1;
            let fallen = Observation::new(at, Shape::Heaps.draw(&mut random) - 0.03);
            if trend.push(&fallen, &policy).alert.is_some() {
                break;
            }
        }
    }
    println!("below the least drop an alarm takes {} messages on average", waited / runs);
    assert!(waited / runs >= 200, "{}", waited / runs);
}

fn delay(drop: f64, before: u32, seed: u64, policy: &TrendPolicy) -> Option<u32> {
    let mut random = Random(seed);
    let mut trend = Trend::new();
    let mut at = start();
    for _ in 0..before {
        at += TimeDelta::minutes(30);
        trend.push(&Observation::new(at, Shape::Heaps.draw(&mut random)), policy);
    }
    (1..=500).find(|_| {
        at += TimeDelta::minutes(30);
        let score = Shape::Heaps.draw(&mut random) - drop;
        trend.push(&Observation::new(at, score), policy).alert.is_some()
    })
}

#[test]
fn a_fall_is_noticed_soon() {
    let policy = TrendPolicy::default();
    for (drop, most) in [(0.4, 80), (0.6, 40), (0.9, 25)] {
        let mut delays: Vec<u32> =
            (0..200).map(|seed| delay(drop, 200, seed * 31 + 5, &policy).unwrap_or(500)).collect();
        delays.sort_unstable();
        let (median, late) = (delays[100], delays[180]);
        println!("a fall by {drop}: median delay {median} messages, nine of ten within {late}");
        assert!(median <= most, "a fall by {drop} took {median}");
    }
}

#[test]
fn an_alarm_rests_until_the_series_has_recovered() {
    let policy = TrendPolicy::default();
    let mut trend = Trend::new();
    let mut at = start();
    let (mut alarms, mut recoveries) = (0, 0);
    let mut push = |trend: &mut Trend, score: f64, times: u32| {
        for n in 0..times {
            at += TimeDelta::minutes(20);
            let wobble = f64::from(n % 5) * 0.05 - 0.1;
            let update = trend.push(&Observation::new(at, score + wobble), &policy);
            alarms += u32::from(update.alert.is_some());
            recoveries += u32::from(update.recovered);
        }
        (alarms, recoveries)
    };
    assert_eq!(push(&mut trend, 0.5, 100), (0, 0));
    assert_eq!(push(&mut trend, -0.5, 60), (1, 0), "one alarm, however long it lasts");
    assert!(trend.falling_since().is_some());
    assert_eq!(push(&mut trend, 0.5, 120), (1, 1), "it recovers once");
    assert_eq!(trend.falling_since(), None);
    assert_eq!(push(&mut trend, -0.5, 60), (2, 1), "and may fall again");
}

#[test]
fn an_alarm_names_the_words_that_rose() {
    let policy = TrendPolicy::default();
    let mut trend = Trend::new();
    let mut at = start();
    let calm =
        ["the new report is great", "love the dashboard", "export works, thanks", "quick answer, nice team"];
    let mut alert = None;
    for n in 0..150 {
        at += TimeDelta::hours(6);
        trend.push(&Observation::new(at, 0.6).with_text(calm[n % 4]), &policy);
    }
    for n in 0..40 {
        at += TimeDelta::hours(6);
        let text =
            ["the invoice is wrong again", "wrong invoice, no answer", "where is my invoice refund?"][n % 3];
        alert = alert.or(trend.push(&Observation::new(at, -0.6).with_text(text), &policy).alert);
    }
    let words = alert.unwrap().words;
    assert_eq!(words[0].word, "invoice", "{words:?}");
    assert!(words.iter().any(|word| word.word == "wrong"), "{words:?}");
    assert!(words.iter().all(|word| word.word != "dashboard"), "{words:?}");
}

/// Its size does not grow with the messages.
#[test]
fn the_state_is_bounded() {
    let policy = TrendPolicy::default();
    let mut trend = Trend::new();
    let mut random = Random(3);
    let mut at = start();
    for n in 0..20_000 {
        at += TimeDelta::minutes(17);
        let text = format!(
            "word{} {} noun-{} thing",
            "abc".repeat(n % 5),
            "xyzuvw".split_at(n % 6).0,
            "q".repeat(n % 20)
        );
        trend.push(&Observation::new(at, random.unit()).with_text(&text), &policy);
    }
    let size = serde_json::to_string(&trend).unwrap().len();
    assert!(size < 12_000, "{size} bytes as JSON");
    assert_eq!(trend.days().len(), Trend::MAX_DAYS);
    let again: Trend = serde_json::from_str(&serde_json::to_string(&trend).unwrap()).unwrap();
    assert!(close(&trend, &again));
}

fn close(one: &Trend, two: &Trend) -> bool {
    let policy = TrendPolicy::default();
    let near = |one: Option<f64>, two: Option<f64>| match (one, two) {
        (Some(one), Some(two)) => (one - two).abs() < 1e-9,
        (one, two) => one == two,
    };
    near(one.level(), two.level())
        && near(one.baseline(&policy), two.baseline(&policy))
        && (one.messages(), one.negatives(), one.days().len())
            == (two.messages(), two.negatives(), two.days().len())
        && one.days().iter().zip(two.days()).all(|(one, two)| {
            one.day == two.day && one.messages == two.messages && (one.sum - two.sum).abs() < 1e-9
        })
}

fn messages() -> impl Strategy<Value = Vec<(i64, f64)>> {
    prop::collection::vec((0..40 * 86_400_i64, -1.0..1.0_f64), 0..40)
}

fn counted(messages: &[(i64, f64)], policy: &TrendPolicy) -> Trend {
    let mut trend = Trend::new();
    for (seconds, score) in messages {
        trend.push(&Observation::new(start() + TimeDelta::seconds(*seconds), *score), policy);
    }
    trend
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn merging_is_counting_together(one in messages(), two in messages(), three in messages()) {
        let policy = TrendPolicy::default();
        let [a, b, c] = [&one, &two, &three].map(|messages| counted(messages, &policy));
        let left = a.merge(&b, &policy).merge(&c, &policy);
        let right = a.merge(&b.merge(&c, &policy), &policy);
        prop_assert!(close(&left, &right), "associative");
        prop_assert!(close(&a.merge(&b, &policy), &b.merge(&a, &policy)), "commutative");
        prop_assert!(close(&a.merge(&Trend::new(), &policy), &a), "neutral");
        let all: Vec<_> = [one, two, three].concat();
        prop_assert!(close(&left, &counted(&all, &policy)), "as if counted in one place");
    }

    #[test]
    fn means_do_not_depend_on_the_order_of_arrival(messages in messages(), seed in any::<u64>()) {
        let policy = TrendPolicy::default();
        let mut shuffled = messages.clone();
        Random(seed).shuffle(&mut shuffled);
        prop_assert!(close(&counted(&messages, &policy), &counted(&shuffled, &policy)));
    }

    /// Against the definition, for any gaps.
    #[test]
    fn the_level_is_the_weighted_mean(messages in messages()) {
        let policy = TrendPolicy::default().with_half_life(Duration::from_secs(2 * 86_400));
        let trend = counted(&messages, &policy);
        let newest = messages.iter().map(|(at, _)| *at).max();
        let expected = newest.map(|newest| {
            let weight = |at: i64| (-f64::from(i32::try_from(newest - at).unwrap()) / (2.0 * 86_400.0)).exp2();
            let weights: f64 = messages.iter().map(|(at, _)| weight(*at)).sum();
            messages.iter().map(|(at, score)| weight(*at) * score).sum::<f64>() / weights
        });
        match (trend.level(), expected) {
            (Some(level), Some(expected)) => prop_assert!((level - expected).abs() < 1e-9, "{level} {expected}"),
            (level, expected) => prop_assert_eq!(level, expected),
        }
    }

    #[test]
    fn what_is_taken_back_was_never_there(kept in messages(), gone in messages()) {
        let policy = TrendPolicy::default();
        // The newest message stays, since sums stand at the newest moment they have seen.
        let mut trend = counted(&kept, &policy);
        let last = start() + TimeDelta::days(41);
        trend.push(&Observation::new(last, 0.3), &policy);
        let expected = trend.clone();
        for (seconds, score) in &gone {
            trend.push(&Observation::new(start() + TimeDelta::seconds(*seconds), *score), &policy);
        }
        for (seconds, score) in &gone {
            trend.remove(&Observation::new(start() + TimeDelta::seconds(*seconds), *score), &policy);
        }
        prop_assert!(close(&trend, &expected));
    }
}

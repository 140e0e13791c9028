//! The short way of plain calls in memory says what the long way says.

use std::time::Duration;

use guardian_core::ManualClock;
use guardian_quota::testkit::{plan, scope};
use guardian_quota::{MemoryStore, PlanName, Quotas, Subject, Subscription, Usage};

use crate::random::Random;

async fn world(clock: &ManualClock) -> Quotas<MemoryStore> {
    let quotas = Quotas::in_memory([plan("small").unwrap()]).unwrap().with_clock(clock.clone()).unwrap();
    let anchor = "2026-01-01T00:00:00Z".parse().unwrap();
    let subscription = Subscription::new(PlanName::new("small").unwrap(), anchor);
    quotas.subscribe(&scope("acme").unwrap(), subscription).await.unwrap();
    quotas
}

#[tokio::test]
async fn the_short_way_is_the_long_way() {
    let mut short_ways = 0;
    for seed in 0..400 {
        let mut random = Random(seed);
        let clock = ManualClock::at("2026-01-28T12:00:00Z".parse().unwrap());
        let (short, long) = (world(&clock).await, world(&clock).await);
        let scope = scope("acme").unwrap();
        let team = Subject::org().team("t").unwrap();
        let subjects =
            [Subject::org(), team.clone(), team.user("a").unwrap(), Subject::org().user("b").unwrap()];
        for turn in 0..120 {
            let subject = &subjects[usize::try_from(random.below(4)).unwrap()];
            let feature = ["calls", "tokens", "exports", "emails", "notes", "burst"]
                [usize::try_from(random.below(6)).unwrap()];
            let usage = Usage::of(feature, subject, random.below(9)).unwrap();
            // A key takes the long way.
            let keyed = usage.clone().with_key(format!("k{turn}")).unwrap();
            let one = match short.consume_at_once(&scope, &usage, short.now()) {
                Some(decision) => {
                    short_ways += 1;
                    decision
                }
                None => short.consume(&scope, &usage).await.unwrap(),
            };
            let two = long.consume(&scope, &keyed).await.unwrap();
            assert_eq!(one, two, "seed {seed}, turn {turn}: {feature} of {subject}");
            if random.below(5) == 0 {
                clock.advance(Duration::from_secs(random.below(90_000)));
            }
        }
    }
    assert!(short_ways > 5_000, "{short_ways}");
}

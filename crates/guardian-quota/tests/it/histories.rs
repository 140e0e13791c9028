//! A hundred thousand generated histories: whatever the order and the repetitions of the entries, and in whatever parts they
//! are added up, the balance is the same, and it is what the accounts say.

use std::time::Duration;

use guardian_core::{Clock, ManualClock, Scope, SeededIds};
use guardian_quota::testkit::{plan, scope};
use guardian_quota::{
    Entry, Grant, Happened, Hold, MemoryStore, PlanName, Quotas, Replay, Subject, Subscription, Usage,
};

use crate::random::Random;

const HISTORIES: u64 = 100_000;
const THREADS: u64 = 4;
const FEATURES: [&str; 3] = ["calls", "tokens", "exports"];

fn subjects() -> [Subject; 4] {
    let team = Subject::org().team("t").unwrap();
    [Subject::org(), team.clone(), team.user("a").unwrap(), Subject::org().user("b").unwrap()]
}

async fn world(seed: u64) -> (Quotas<MemoryStore>, ManualClock, Scope) {
    let clock = ManualClock::at("2026-01-28T12:00:00Z".parse().unwrap());
    let quotas = Quotas::in_memory([plan("small").unwrap()])
        .unwrap()
        .with_clock(clock.clone())
        .unwrap()
        .with_ids(SeededIds::new(seed))
        .unwrap();
    let scope = scope("acme").unwrap();
    let anchor = "2026-01-01T00:00:00Z".parse().unwrap();
    quotas.subscribe(&scope, Subscription::new(PlanName::new("small").unwrap(), anchor)).await.unwrap();
    (quotas, clock, scope)
}

async fn history(random: &mut Random) -> (Quotas<MemoryStore>, ManualClock, Scope) {
    let (quotas, clock, scope) = world(random.next()).await;
    let subjects = subjects();
    let mut holds: Vec<Hold> = Vec::new();
    for _ in 0..4 + random.below(20) {
        let subject = &subjects[usize::try_from(random.below(4)).unwrap()];
        let feature = FEATURES[usize::try_from(random.below(3)).unwrap()];
        let amount = 1 + random.below(if feature == "tokens" { 200 } else { 12 });
        let usage = Usage::of(feature, subject, amount).unwrap();
        match random.below(10) {
            0..=2 => drop(quotas.consume(&scope, &usage).await.unwrap()),
            3 => {
                let ttl = Duration::from_secs(1 + random.below(200_000));
                holds.extend(quotas.reserve(&scope, &usage, ttl).await.unwrap().hold);
            }
            4 => {
                if let Some(hold) = holds.pop() {
                    let _ = quotas.commit(&scope, &hold, random.below(30)).await;
                }
            }
            5 => {
                if let Some(hold) = holds.pop() {
                    let _ = quotas.release(&scope, &hold).await;
                }
            }
            6 => {
                let expiry = clock.now() + Duration::from_secs(1 + random.below(400_000));
                let grant = Grant::new(amount).unwrap().with_expiry(expiry);
                let _ = quotas.grant(&scope, feature, subject, &grant).await;
            }
            7 => {
                let at = clock.now() - Duration::from_secs(random.below(600_000));
                quotas.record(&scope, &Happened { usage, at }).await.unwrap();
            }
            8 => {
                let _ = quotas.give_back(&scope, &usage).await;
            }
            _ => clock.advance(Duration::from_secs(random.below(200_000))),
        }
    }
    (quotas, clock, scope)
}

async fn holds_for(random: &mut Random) -> usize {
    let (quotas, clock, scope) = history(random).await;
    let mut count = 0;
    // What was rolled over is written with the next entry.
    for (feature, subject) in
        FEATURES.iter().flat_map(|feature| subjects().map(|subject| (*feature, subject)))
    {
        quotas.adjust(&scope, feature, &subject, 0, "so that it is written").await.unwrap();
    }
    for feature in FEATURES {
        let entries = quotas.entries(&scope, feature, 0, 1000).await.unwrap();
        count += entries.len();
        let whole = quotas.replay(&scope, feature).await.unwrap();
        // Any order, any repetitions.
        let mut mixed: Vec<&Entry> =
            entries.iter().chain(entries.iter().filter(|entry| entry.seq() % 3 == 0)).collect();
        random.shuffle(&mut mixed);
        assert_eq!(
            Replay::of(guardian_quota::Aggregation::Sum, mixed.iter().copied()),
            of_sum(&whole, &entries)
        );
        // Any cut.
        let cut = usize::try_from(random.below(entries.len() as u64 + 1)).unwrap();
        let mut parts = Replay::of(guardian_quota::Aggregation::Sum, &entries[..cut]);
        assert!(parts.merge(&Replay::of(guardian_quota::Aggregation::Sum, &entries[cut..])));
        assert_eq!(parts, of_sum(&whole, &entries));
        for subject in whole.subjects() {
            let balance = quotas.balance(&scope, feature, subject).await.unwrap();
            if balance.limit.is_none() {
                continue;
            }
            let replayed = whole.at(subject, balance.period, clock.now());
            assert_eq!(
                (balance.used, balance.held),
                (replayed.used, replayed.held),
                "{feature} of {subject}"
            );
            assert_eq!(
                (balance.beyond, &balance.grants),
                (replayed.beyond, &replayed.grants),
                "{feature} of {subject}"
            );
        }
    }
    count
}

/// The same entries under the aggregation that the test adds them up by.
fn of_sum(whole: &Replay, entries: &[Entry]) -> Replay {
    let sum = Replay::of(guardian_quota::Aggregation::Sum, entries);
    assert_eq!(sum.entries(), whole.entries());
    sum
}

/// The same events, arriving in two orders with repetitions, leave the same usage of every period.
async fn arrives(random: &mut Random) {
    let subjects = subjects();
    let (first, clock, scope) = world(1).await;
    let (second, ..) = world(2).await;
    let mut events: Vec<Happened> = (0..6)
        .map(|number| {
            let subject = &subjects[usize::try_from(random.below(4)).unwrap()];
            let usage = Usage::of("calls", subject, 1 + random.below(40)).unwrap();
            let usage = usage.with_key(format!("e{number}")).unwrap();
            Happened { usage, at: clock.now() - Duration::from_secs(random.below(5_000_000)) }
        })
        .collect();
    for quotas in [&first, &second] {
        random.shuffle(&mut events);
        let again = usize::try_from(random.below(6)).unwrap();
        for event in events.iter().chain(&events[..again]) {
            quotas.record(&scope, event).await.unwrap();
        }
    }
    let (one, two) =
        (first.replay(&scope, "calls").await.unwrap(), second.replay(&scope, "calls").await.unwrap());
    for subject in &subjects {
        assert_eq!(one.periods(subject), two.periods(subject));
        for period in one.periods(subject) {
            assert_eq!(one.used(subject, period), two.used(subject, period), "{subject} {period}");
        }
        let used =
            async |quotas: &Quotas<MemoryStore>| quotas.balance(&scope, "calls", subject).await.unwrap().used;
        assert_eq!(used(&first).await, used(&second).await);
    }
}

#[test]
fn a_hundred_thousand_histories_add_up_in_any_order() {
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let mut entries = 0;
                for number in 0..HISTORIES / THREADS {
                    let mut random = Random(thread * HISTORIES + number);
                    entries += runtime.block_on(holds_for(&mut random));
                    if number % 4 == 0 {
                        runtime.block_on(arrives(&mut random));
                    }
                }
                entries
            })
        })
        .collect();
    let entries: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(entries > 100_000, "{entries}");
}

//! Every algorithm against an exact model that keeps the whole history, a million decisions each.

use std::time::Duration;

use guardian_core::{Clock, ManualClock, MonoTime};
use guardian_ratelimit::{
    Algorithm, Limit, Limiter, MemoryStore, Policy, Precision, Rate, Realm, Rule, Subject,
};

use crate::random::Random;

const CASES: u64 = 1_000_000;
const STEPS: u64 = 50;

/// What a model says: admitted or not, what is left, and how long to wait (`None` for never).
#[derive(Debug, PartialEq)]
struct Verdict {
    admits: bool,
    remaining: u64,
    retry_after: Option<u64>,
}

/// One counter, kept the naive way. Times are nanoseconds.
trait Model {
    fn decide(&self, now: u64, cost: u64) -> Verdict;
    fn take(&mut self, now: u64, cost: u64);
    fn refund(&mut self, at: u64, now: u64, cost: u64);
    fn reset(&mut self);
}

/// A token bucket in rational arithmetic: times are counted in units of window / (count · k) nanoseconds, and an
/// arrival belongs to the last whole unit.
struct BucketModel {
    count: u128,
    window: u128,
    k: u128,
    burst: u128,
    /// Unit at which the bucket is full again.
    full_at: u128,
}

impl BucketModel {
    fn new(rate: Rate, burst: u32) -> Self {
        let (count, window) = (u128::from(rate.count()), rate.window().as_nanos());
        let common =
            (1..=count).rev().find(|d| count.is_multiple_of(*d) && window.is_multiple_of(*d)).unwrap();
        let (count, window) = (count / common, window / common);
        let k = if count <= 4 { window } else { 4 * window / count };
        Self { count, window, k, burst: u128::from(burst), full_at: 0 }
    }

    fn unit(&self, now: u64) -> u128 {
        u128::from(now) * self.count * self.k / self.window
    }

    fn nanos(&self, units: u128) -> u64 {
        (units * self.window).div_ceil(self.count * self.k) as u64
    }
}

impl Model for BucketModel {
    fn decide(&self, now: u64, cost: u64) -> Verdict {
        let now = self.unit(now);
        let taken = self.full_at.saturating_sub(now);
        let (all, cost) = (self.burst * self.k, u128::from(cost) * self.k);
        let admits = taken + cost <= all;
        let left = all.saturating_sub(if admits { taken + cost } else { taken });
        let retry_after =
            if admits { Some(0) } else { (cost <= all).then(|| self.nanos(taken + cost - all)) };
        Verdict { admits, remaining: (left / self.k) as u64, retry_after }
    }

    fn take(&mut self, now: u64, cost: u64) {
        self.full_at = self.full_at.max(self.unit(now)) + u128::from(cost) * self.k;
    }

    fn refund(&mut self, at: u64, now: u64, cost: u64) {
        let refilled = self.unit(now) - self.unit(at);
        self.full_at = self.full_at.saturating_sub((u128::from(cost) * self.k).saturating_sub(refilled));
    }

    fn reset(&mut self) {
        self.full_at = 0;
    }
}

/// Everything that was admitted, with a rule for how long it counts.
struct HistoryModel<F> {
    limit: u64,
    leaves_at: F,
    /// For a refund: whether two moments are the same to this algorithm.
    stamp: fn(u64, u64) -> u64,
    stamp_size: u64,
    admitted: Vec<(u64, u64)>,
}

impl<F: Fn(u64) -> u64> HistoryModel<F> {
    fn counting(&self, now: u64) -> impl Iterator<Item = &(u64, u64)> {
        self.admitted.iter().filter(move |(at, _)| (self.leaves_at)(*at) > now)
    }
}

impl<F: Fn(u64) -> u64> Model for HistoryModel<F> {
    fn decide(&self, now: u64, cost: u64) -> Verdict {
        let used: u64 = self.counting(now).map(|(_, cost)| cost).sum();
        if used + cost <= self.limit {
            return Verdict { admits: true, remaining: self.limit - used - cost, retry_after: Some(0) };
        }
        let mut leaving: Vec<_> =
            self.counting(now).map(|(at, cost)| ((self.leaves_at)(*at), *cost)).collect();
        leaving.sort_unstable();
        let mut left = used;
        let free = leaving.iter().find(|(_, gone)| {
            left -= gone;
            left + cost <= self.limit
        });
        let retry_after = (cost <= self.limit).then(|| free.unwrap().0 - now);
        Verdict { admits: false, remaining: self.limit.saturating_sub(used), retry_after }
    }

    fn take(&mut self, now: u64, cost: u64) {
        self.admitted.push((now, cost));
    }

    fn refund(&mut self, at: u64, now: u64, mut cost: u64) {
        let stamp = (self.stamp)(at, self.stamp_size);
        for (then, taken) in &mut self.admitted {
            if (self.stamp)(*then, self.stamp_size) == stamp && (self.leaves_at)(*then) > now {
                let back = cost.min(*taken);
                *taken -= back;
                cost -= back;
            }
        }
    }

    fn reset(&mut self) {
        self.admitted.clear();
    }
}

fn exact_moment(at: u64, _size: u64) -> u64 {
    at
}

fn piece(at: u64, size: u64) -> u64 {
    at / size
}

fn model_of(rule: &Rule) -> Box<dyn Model> {
    match rule.algorithm() {
        Algorithm::TokenBucket { rate, burst } => Box::new(BucketModel::new(rate, burst)),
        Algorithm::FixedWindow { rate } => {
            let window = rate.window().as_nanos() as u64;
            let leaves_at = move |at: u64| (at / window + 1) * window;
            history(rate, leaves_at, piece, window)
        }
        Algorithm::SlidingWindow { rate, precision } => {
            let window = rate.window().as_nanos() as u64;
            let slice = |n: u16| (window / 1000).div_ceil(u64::from(n)) * 1000;
            match precision {
                Precision::Exact => history(rate, move |at| at + window, exact_moment, 1),
                Precision::Strict { slices } => {
                    let slice = slice(slices);
                    history(rate, move |at| (at / slice + 1) * slice - 1 + window, piece, slice)
                }
                Precision::Lenient { slices } => {
                    let slice = slice(slices);
                    history(rate, move |at| at / slice * slice + window, piece, slice)
                }
                _ => unreachable!(),
            }
        }
        _ => unreachable!(),
    }
}

fn history(
    rate: Rate,
    leaves_at: impl Fn(u64) -> u64 + 'static,
    stamp: fn(u64, u64) -> u64,
    stamp_size: u64,
) -> Box<dyn Model> {
    Box::new(HistoryModel {
        limit: u64::from(rate.count()),
        leaves_at,
        stamp,
        stamp_size,
        admitted: Vec::new(),
    })
}

/// Runs random sequences of checks, peeks, refunds and resets on several counters of one rule and compares every
/// answer.
fn compare_with_model(seed: u64, mut random_rule: impl FnMut(&mut Random) -> Rule) {
    let store = std::sync::Arc::new(MemoryStore::new());
    let mut cases = 0;
    for sequence in 0.. {
        if cases >= CASES {
            return;
        }
        let mut random = Random(seed ^ (sequence << 20));
        let rule = random_rule(&mut random);
        let start = ManualClock::new().monotonic().as_nanos() + random.below(1 << 60);
        let mut now = start;
        let limiter = Limiter::with_clock(std::sync::Arc::clone(&store), ManualClock::new());
        // A name of its own, so that the shared store starts each sequence anew.
        let name = format!("p{}", sequence % 512);
        let policy = limiter.define(Policy::with_rule(name.parse().unwrap(), rule)).unwrap();
        let tenant = guardian_core::TenantId::from(sequence);
        let mut models: Vec<_> = (0..3).map(|_| model_of(&rule)).collect();
        let mut last_take = [None; 3];
        for step in 0..STEPS {
            let key = random.below(3) as usize;
            let cost = random.spread(1, u64::from(rule.capacity()) + 1).max(1);
            let limits = [Limit::of(policy, key as u64).cost(cost as u32)];
            let (realm, at) = (Realm::Tenant(&tenant), MonoTime::from_nanos(now));
            let case =
                || format!("seed {seed}, sequence {sequence}, step {step}: {rule}, cost {cost} at {now}");
            let expected = models[key].decide(now, cost);
            match random.below(20) {
                0 => {
                    block_on(limiter.store_call(&limits, realm, at, StoreCall::Reset));
                    models[key].reset();
                    last_take[key] = None;
                }
                1 if last_take[key].is_some() => {
                    let (then, cost) = last_take[key].take().unwrap();
                    let limits = [Limit::of(policy, key as u64).cost(cost as u32)];
                    let refund = StoreCall::Refund(MonoTime::from_nanos(then));
                    block_on(limiter.store_call(&limits, realm, at, refund));
                    models[key].refund(then, now, cost);
                }
                choice => {
                    let peek = choice < 5;
                    let decision = if peek {
                        block_on(limiter.store_call(&limits, realm, at, StoreCall::Peek)).unwrap()
                    } else {
                        block_on(limiter.check_at(realm, &limits, at)).unwrap()
                    };
                    let outcome = decision.outcomes()[0];
                    let got = Verdict {
                        admits: decision.is_allowed(),
                        remaining: u64::from(outcome.remaining()),
                        retry_after: outcome.retry_after().map(|wait| wait.as_nanos() as u64),
                    };
                    assert_eq!(got, expected, "{}", case());
                    if got.admits && !peek {
                        models[key].take(now, cost);
                        last_take[key] = Some((now, cost));
                    }
                    cases += 1;
                }
            }
            // Stand still, move a little, move to just before or exactly to the end of the wait, or far.
            now += match (random.below(8), expected.retry_after) {
                (0..=1, _) => 0,
                (2, Some(wait)) => wait,
                (3, Some(wait)) => wait.saturating_sub(1),
                (4, _) => random.below(1000),
                (5, _) => random.below(10 * rule.window().as_nanos() as u64),
                _ => random.below(rule.window().as_nanos() as u64 / u64::from(rule.capacity()) + 1),
            };
        }
    }
}

/// The calls that a limiter makes only with its own clock, at a chosen time.
enum StoreCall {
    Peek,
    Reset,
    Refund(MonoTime),
}

trait StoreCalls {
    fn store_call(
        &self,
        limits: &[Limit<'_>],
        realm: Realm<'_>,
        at: MonoTime,
        call: StoreCall,
    ) -> impl Future<Output = Option<guardian_ratelimit::Decision>>;
}

impl StoreCalls for Limiter<std::sync::Arc<MemoryStore>, ManualClock> {
    async fn store_call(
        &self,
        limits: &[Limit<'_>],
        realm: Realm<'_>,
        at: MonoTime,
        call: StoreCall,
    ) -> Option<guardian_ratelimit::Decision> {
        let now = self.clock().monotonic();
        let behind = at.since(now);
        self.clock().advance(behind);
        match call {
            StoreCall::Peek => Some(self.peek(realm, limits).await.unwrap()),
            StoreCall::Reset => {
                self.reset(realm, limits).await.unwrap();
                None
            }
            StoreCall::Refund(then) => {
                self.refund(realm, limits, then).await.unwrap();
                None
            }
        }
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn random_rate(random: &mut Random, max_count: u64) -> Rate {
    loop {
        let window =
            random.pick(&[1_000, 10_000, 1_000_000, 7_000_001, 60_000_000, 3_600_000_000, 86_400_000_000]);
        let count = random.spread(1, max_count) as u32;
        if let Ok(rate) = Rate::new(count, Duration::from_micros(window)) {
            return rate;
        }
    }
}

#[test]
fn token_bucket_is_the_exact_rational_bucket() {
    compare_with_model(1, |random| {
        let rate = random_rate(random, 5000);
        let burst = random.spread(1, 2 * u64::from(rate.count())) as u32;
        Rule::token_bucket(rate, burst).unwrap()
    });
}

#[test]
fn exact_sliding_window_is_the_exact_log() {
    compare_with_model(2, |random| Rule::sliding_window(random_rate(random, 40), Precision::Exact).unwrap());
}

#[test]
fn strict_sliding_window_is_its_slices() {
    compare_with_model(3, |random| {
        let slices = random.spread(2, 100) as u16;
        Rule::sliding_window(random_rate(random, 200), Precision::Strict { slices }).unwrap()
    });
}

#[test]
fn lenient_sliding_window_is_its_slices() {
    compare_with_model(4, |random| {
        let slices = random.spread(2, 100) as u16;
        Rule::sliding_window(random_rate(random, 200), Precision::Lenient { slices }).unwrap()
    });
}

#[test]
fn fixed_window_is_a_count_between_multiples() {
    compare_with_model(5, |random| Rule::fixed_window(random_rate(random, 200)));
}

/// The promises themselves, from the history of what was admitted and nothing else.
#[test]
fn sliding_windows_keep_both_bounds() {
    for sequence in 0..20_000 {
        let mut random = Random(77 ^ (sequence << 16));
        let rate = random_rate(&mut random, 60);
        let slices = random.spread(2, 60) as u16;
        let (limit, window) = (u64::from(rate.count()), rate.window().as_nanos() as u64);
        let slice = (window / 1000).div_ceil(u64::from(slices)) * 1000;
        for precision in [Precision::Strict { slices }, Precision::Lenient { slices }] {
            let limiter = Limiter::with_clock(MemoryStore::new(), ManualClock::new());
            let rule = Rule::sliding_window(rate, precision).unwrap();
            let policy = limiter.define(Policy::with_rule("p".parse().unwrap(), rule)).unwrap();
            let mut admitted: Vec<(u64, u64)> = Vec::new();
            let mut now = 1_600_000_000_000_000_000 + random.below(window);
            for _ in 0..60 {
                let cost = random.spread(1, limit);
                let limits = [Limit::of(policy, Subject::Id(1)).cost(cost as u32)];
                let decision =
                    limiter.check_local_at(Realm::Shared, &limits, MonoTime::from_nanos(now)).unwrap();
                let within = |span: u64| {
                    admitted.iter().filter(|(at, _)| now - at < span).map(|(_, c)| c).sum::<u64>()
                };
                let case = format!("sequence {sequence}, {rule}, cost {cost} at {now}: {admitted:?}");
                match (precision, decision.is_allowed()) {
                    (Precision::Strict { .. }, true) => assert!(within(window) + cost <= limit, "{case}"),
                    (Precision::Strict { .. }, false) => {
                        assert!(within(window + slice) + cost > limit, "{case}");
                    }
                    (_, true) => assert!(within(window - slice) + cost <= limit, "{case}"),
                    (_, false) => assert!(within(window) + cost > limit, "{case}"),
                }
                if decision.is_allowed() {
                    admitted.push((now, cost));
                }
                now += if random.below(3) == 0 {
                    random.below(window)
                } else {
                    random.below(window / limit + 1)
                };
            }
        }
    }
}

/// In any span of time t, at most burst + rate · t: over all pairs of admissions.
#[test]
fn token_buckets_keep_their_promise_over_every_span() {
    for sequence in 0..5_000 {
        let mut random = Random(99 ^ (sequence << 16));
        let rate = random_rate(&mut random, 100_000);
        let burst = random.spread(1, 50) as u32;
        let Ok(rule) = Rule::token_bucket(rate, burst) else {
            continue;
        };
        let limiter = Limiter::with_clock(MemoryStore::new(), ManualClock::new());
        let policy = limiter.define(Policy::with_rule("p".parse().unwrap(), rule)).unwrap();
        let mut admitted: Vec<(u64, u128)> = Vec::new();
        let mut now = 1_600_000_000_000_000_000 + random.below(1 << 40);
        let pause = rate.window().as_nanos() as u64 / u64::from(rate.count());
        for _ in 0..200 {
            let cost = random.spread(1, u64::from(burst));
            let limits = [Limit::of(policy, 1).cost(cost as u32)];
            if limiter.check_local_at(Realm::Shared, &limits, MonoTime::from_nanos(now)).unwrap().is_allowed()
            {
                admitted.push((now, u128::from(cost)));
            }
            now += random.below(2 * pause + 2);
        }
        let (count, window) = (u128::from(rate.count()), rate.window().as_nanos());
        for (i, (start, _)) in admitted.iter().enumerate() {
            let mut sum = 0;
            for (at, cost) in &admitted[i..] {
                sum += cost;
                // Arrivals are stamped with ticks of at most a nanosecond, hence the one.
                let span = u128::from(at - start) + 1;
                assert!(
                    sum * window <= u128::from(burst) * window + span * count,
                    "sequence {sequence}: {rule}"
                );
            }
        }
    }
}

/// Permits against a list of who holds how many until when.
#[test]
fn concurrency_is_the_list_of_who_holds_what() {
    let mut cases = 0;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for sequence in 0.. {
        if cases >= CASES {
            return;
        }
        let mut random = Random(6 ^ (sequence << 20));
        let (permits, ttl) =
            (random.spread(1, 20) as u32, Duration::from_micros(random.spread(1000, 5_000_000)));
        let clock = ManualClock::new();
        let limiter = Limiter::with_clock(MemoryStore::new(), clock.clone());
        let rule = Rule::concurrency(permits, ttl).unwrap();
        let policy = limiter.define(Policy::with_rule("p".parse().unwrap(), rule)).unwrap();
        let mut held: Vec<(MonoTime, u32, _)> = Vec::new();
        // Kept to the end: dropped, they would be released, and nothing would show that they end by themselves.
        let mut expired = Vec::new();
        for step in 0..500 {
            let now = clock.monotonic();
            expired.extend(held.extract_if(.., |(until, _, _)| *until <= now));
            if random.below(3) == 0 && !held.is_empty() {
                let (_, _, permit) = held.swap_remove(random.below(held.len() as u64) as usize);
                drop(permit);
            }
            let cost = random.spread(1, u64::from(permits) + 1) as u32;
            let used: u32 = held.iter().map(|(_, count, _)| count).sum();
            let admits = used + cost <= permits;
            let limits = [Limit::of(policy, 1).cost(cost)];
            let got = runtime.block_on(limiter.acquire(Realm::Shared, &limits)).unwrap();
            let outcome = got.decision.outcomes()[0];
            let case = format!("sequence {sequence}, step {step}: {rule}, cost {cost}, {used} held");
            assert_eq!(got.decision.is_allowed(), admits, "{case}");
            assert_eq!(outcome.remaining(), permits - used - if admits { cost } else { 0 }, "{case}");
            if let Some(permit) = got.permit {
                held.push((now + ttl, cost, permit));
            } else if let Some(wait) = outcome.retry_after() {
                let mut ends: Vec<_> = held.iter().map(|(until, count, _)| (*until, *count)).collect();
                ends.sort_unstable();
                let mut left = used;
                let free = ends.iter().find(|(_, count)| {
                    left -= count;
                    left + cost <= permits
                });
                assert_eq!(wait, free.unwrap().0.since(now), "{case}");
            }
            cases += 1;
            clock.advance(match random.below(4) {
                0 => Duration::ZERO,
                1 => outcome.retry_after().unwrap_or_default(),
                _ => Duration::from_nanos(random.below(ttl.as_nanos() as u64)),
            });
        }
    }
}

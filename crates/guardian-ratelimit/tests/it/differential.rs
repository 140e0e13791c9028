//! A store against the memory store, and its buckets against a rational model, at chosen microseconds.

use std::time::Duration;

use guardian_core::{Clock, ManualClock, MonoTime, TenantId};
use guardian_ratelimit::store::Store;
use guardian_ratelimit::{
    Admission, Decision, Limit, Limiter, MemoryStore, Permit, Policy, PolicyId, Rate, Rule, Subject,
};
use proptest::prelude::*;
use tokio::runtime::Runtime;

type Local = Limiter<MemoryStore, ManualClock>;

/// Rules with at most 500 tokens to the window in lowest terms: more, and the memory store's quarter of a
/// nanosecond can decide otherwise within one microsecond, which the rational model covers instead.
const RULES: &[&str] = &[
    "7/s burst 5",
    "490/s burst 9",
    "13/7s burst 4",
    "9/10s sliding",
    "5/3ms sliding exact",
    "12/s sliding strict 7",
    "12/s sliding lenient 7",
    "6/5ms sliding strict 3",
    "8/s fixed",
    "5/7ms fixed",
    "4 concurrent for 2s",
    "5 concurrent for 7ms",
];
/// Rules that change while they run, to the second. A bucket's tokens convert without a rest that the memory store
/// would round otherwise.
const CHANGES: &[(&str, &str)] = &[
    ("1/s burst 5", "2/s burst 9"),
    ("2/s burst 9", "3/7s burst 2"),
    ("8/s fixed", "3/s fixed"),
    ("3 concurrent for 1s", "6 concurrent for 100ms"),
];

/// The memory store and the one that is compared with it, on one clock.
pub(crate) struct Pair<S: Store> {
    pub(crate) runtime: Runtime,
    pub(crate) clock: ManualClock,
    local: Local,
    pub(crate) remote: Limiter<S, ManualClock>,
}

/// One policy, as the local and the remote limiter know it.
type Ids = (PolicyId, PolicyId);

impl<S: Store + Clone> Pair<S> {
    /// `store` must go by the clock.
    pub(crate) fn new(runtime: Runtime, clock: ManualClock, store: S) -> Self {
        Self {
            local: Limiter::with_clock(MemoryStore::new(), clock.clone()),
            remote: Limiter::with_clock(store, clock.clone()),
            runtime,
            clock,
        }
    }

    fn define(&self, rules: impl Iterator<Item = &'static str>) -> Vec<Ids> {
        rules
            .enumerate()
            .map(|(at, rule)| {
                let policy = || Policy::new(&format!("p{at}"), rule).unwrap();
                (self.local.define(policy()).unwrap(), self.remote.define(policy()).unwrap())
            })
            .collect()
    }
}

fn round_up(span: Duration) -> u128 {
    span.as_nanos().div_ceil(1000)
}

fn assert_same(local: &Decision, remote: &Decision) {
    let shown = format!("\n{local:#?}\n{remote:#?}");
    assert_eq!(local.is_allowed(), remote.is_allowed(), "{shown}");
    assert_eq!(local.outcomes().len(), remote.outcomes().len());
    for (l, r) in local.outcomes().iter().zip(remote.outcomes()) {
        assert_eq!(l.admits(), r.admits(), "{shown}");
        assert_eq!(l.limit(), r.limit(), "{shown}");
        assert_eq!(l.remaining(), r.remaining(), "{shown}");
        assert_eq!(l.retry_after().is_some(), r.retry_after().is_some(), "{shown}");
        let waits = (l.retry_after().unwrap_or_default(), r.retry_after().unwrap_or_default());
        for (l, r) in [waits, (l.reset_after(), r.reset_after())] {
            // The memory store's ticks may say a nanosecond more or less.
            let nano = Duration::from_nanos(1);
            let range = round_up(l.saturating_sub(nano))..=round_up(l + nano);
            assert!(range.contains(&r.as_micros()), "{shown}");
            assert_eq!(r.subsec_nanos() % 1000, 0, "{shown}");
        }
    }
}

type Held<L> = Option<Permit<L, ManualClock>>;

/// One sequence of calls; `a` and `b` choose what each is about.
fn replay<S: Store + Clone>(
    pair: &Pair<S>,
    tenant: &TenantId,
    ids: &[Ids],
    changes: &[(&str, &str)],
    ops: &[(u8, u32, u32)],
) {
    let Pair { clock, local, remote, .. } = pair;
    let subjects = [Subject::Whole, Subject::Id(3), Subject::Text("3")];
    let mut refundable: Vec<([Vec<Limit<'_>>; 2], MonoTime, Duration)> = Vec::new();
    let mut held: Vec<(Held<MemoryStore>, Held<S>)> = Vec::new();
    let mut pending = ids.iter().zip(changes);
    let mut hint = Duration::from_micros(1);
    for (kind, a, b) in ops.iter().copied() {
        let limits = limits_of(ids, |ids| ids.0, &subjects, a, b);
        let theirs = limits_of(ids, |ids| ids.1, &subjects, a, b);
        let (holds, counts_for) = facts(pair, ids, a, b);
        match kind {
            // Time passes: not at all, a bit, or exactly or nearly until the last answer says that it matters.
            0..4 => clock.advance(match b % 5 {
                0 => hint,
                1 => hint.saturating_sub(Duration::from_micros(1)),
                2 => Duration::from_micros(u64::from(a % 10_000)),
                3 => Duration::from_micros(u64::from(a % 3_000_000)),
                _ => Duration::ZERO,
            }),
            4..12 => {
                let at = clock.monotonic();
                let l: Admission<_, _> = pair.runtime.block_on(local.acquire(tenant, &limits)).unwrap();
                let r = pair.runtime.block_on(remote.acquire(tenant, &theirs)).unwrap();
                assert_same(&l.decision, &r.decision);
                let longest = l.decision.binding().map(|o| o.retry_after().unwrap_or(o.reset_after()));
                hint = longest
                    .map_or(hint, |span| Duration::from_micros(u64::try_from(round_up(span)).unwrap()));
                if l.decision.is_allowed() && !holds {
                    refundable.push(([limits.clone(), theirs.clone()], at, counts_for));
                }
                if holds {
                    held.push((l.permit, r.permit));
                }
            }
            12 => {
                let l = pair.runtime.block_on(local.peek(tenant, &limits)).unwrap();
                let r = pair.runtime.block_on(remote.peek(tenant, &theirs)).unwrap();
                assert_same(&l, &r);
            }
            13 if !refundable.is_empty() => {
                let ([limits, theirs], at, counts_for) =
                    refundable.swap_remove(a as usize % refundable.len());
                if clock.monotonic().since(at) < counts_for {
                    pair.runtime.block_on(local.refund(tenant, &limits, at)).unwrap();
                    pair.runtime.block_on(remote.refund(tenant, &theirs, at)).unwrap();
                }
            }
            14 if b % 4 == 0 => {
                pair.runtime.block_on(local.reset(tenant, &limits)).unwrap();
                pair.runtime.block_on(remote.reset(tenant, &theirs)).unwrap();
                refundable.clear();
            }
            15 if b % 2 == 0 => {
                if let Some(((id, their_id), (_, rule))) = pending.next() {
                    let rule: Rule = rule.parse().unwrap();
                    local.set_rule(*id, rule).unwrap();
                    remote.set_rule(*their_id, rule).unwrap();
                    for subject in subjects {
                        let limits = [Limit::of(*id, subject)];
                        let l = pair.runtime.block_on(local.acquire(tenant, &limits)).unwrap();
                        let theirs = [Limit::of(*their_id, subject)];
                        let r = pair.runtime.block_on(remote.acquire(tenant, &theirs)).unwrap();
                        assert_same(&l.decision, &r.decision);
                        held.push((l.permit, r.permit));
                    }
                }
            }
            _ if !held.is_empty() => {
                let (l, r) = held.swap_remove(a as usize % held.len());
                if let (Some(l), Some(r)) = (l, r) {
                    pair.runtime.block_on(l.release()).unwrap();
                    pair.runtime.block_on(r.release()).unwrap();
                }
            }
            _ => {}
        }
    }
    for (l, r) in held.into_iter().filter_map(|(l, r)| Some((l?, r?))) {
        pair.runtime.block_on(l.release()).unwrap();
        pair.runtime.block_on(r.release()).unwrap();
    }
}

/// Of the same limits: whether they hold permits, and for how long a charge counts in each of them at least.
fn facts<S: Store>(pair: &Pair<S>, ids: &[Ids], a: u32, b: u32) -> (bool, Duration) {
    let rules = (0..chosen(ids, b))
        .map(|at| *pair.local.policy(ids[(a as usize + at) % ids.len()].0).unwrap().rule());
    rules.fold((false, Duration::MAX), |(holds, shortest), rule| {
        let counts_for = (rule.window() / 2).saturating_sub(Duration::from_micros(2));
        (holds || rule.holds_permits(), shortest.min(counts_for))
    })
}

fn chosen(ids: &[Ids], b: u32) -> usize {
    (1 + (b as usize >> 3) % 4).min(ids.len())
}

/// One to four limits, no two for one counter, at costs that mostly fit.
fn limits_of<'a>(
    ids: &[Ids],
    side: fn(&Ids) -> PolicyId,
    subjects: &[Subject<'a>],
    a: u32,
    b: u32,
) -> Vec<Limit<'a>> {
    let costs = [1, 1, 1, 2, 3, 1, 5, 20];
    (0..chosen(ids, b))
        .map(|at| {
            let id = side(&ids[(a as usize + at) % ids.len()]);
            let subject = subjects[(a as usize >> 8) % subjects.len()];
            Limit::of(id, subject).cost(costs[((b >> (8 + 3 * at)) % 8) as usize])
        })
        .collect()
}

/// Every decision over generated sequences of calls is the memory store's.
pub(crate) fn every_decision_is_the_memory_stores<S: Store + Clone>(pair: &Pair<S>, cases: u32) {
    let ids = pair.define(RULES.iter().copied());
    run(pair, cases, |tenant, ops| replay(pair, tenant, &ids, &[], ops));
}

/// The same while rules change.
pub(crate) fn every_decision_is_the_memory_stores_while_rules_change<S: Store + Clone>(
    pair: &Pair<S>,
    cases: u32,
) {
    let ids = pair.define(CHANGES.iter().map(|(before, _)| *before));
    run(pair, cases, |tenant, ops| {
        replay(pair, tenant, &ids, CHANGES, ops);
        for (id, their_id) in &ids {
            pair.local.set_rule(*id, None).unwrap();
            pair.remote.set_rule(*their_id, None).unwrap();
        }
    });
}

/// Each case has a tenant of its own, so that it starts with new counters.
fn run<S: Store>(pair: &Pair<S>, cases: u32, case: impl Fn(&TenantId, &[(u8, u32, u32)])) {
    let next = std::sync::atomic::AtomicU64::new(0);
    let ops = prop::collection::vec((0u8..18, any::<u32>(), any::<u32>()), 5..70);
    proptest!(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }, |(ops in ops)| {
        let tenant = TenantId::from(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        pair.clock.advance(Duration::from_micros(1_234_567));
        case(&tenant, &ops);
    });
}

/// A bucket in exact fractions: when it is full again, in units of 1/n microseconds.
#[derive(Debug)]
struct Model {
    full_at: u128,
    n: u128,
    token: u128,
    burst: u128,
}

impl Model {
    fn new(rate: Rate, burst: u32) -> Self {
        let (n, window) = (u128::from(rate.count()), rate.window().as_micros());
        let common = (1..=n.min(window).min(100_000))
            .rev()
            .find(|d| n.is_multiple_of(*d) && window.is_multiple_of(*d));
        let common = common.unwrap_or(1);
        Self { full_at: 0, n: n / common, token: window / common, burst: u128::from(burst) }
    }

    /// Admitted, remaining, retry and reset in microseconds.
    fn check(&mut self, now: u128, cost: u128) -> (bool, u128, Option<u128>, u128) {
        let debt = self.full_at.saturating_sub(now * self.n);
        let after = debt + cost * self.token;
        let most = self.burst * self.token;
        if after <= most {
            self.full_at = now * self.n + after;
            return (true, (most - after) / self.token, Some(0), after.div_ceil(self.n));
        }
        let wait = (cost <= self.burst).then(|| (after - most).div_ceil(self.n));
        (false, most.saturating_sub(debt) / self.token, wait, debt.div_ceil(self.n))
    }
}

/// A bucket of any rate decides as the rational model does.
pub(crate) fn a_bucket_is_exact_at_every_rate<S: Store + Clone>(pair: &Pair<S>, cases: u32) {
    let case = (
        1u32..1_000_000_000,
        1_000u64..31_000_000_000_000,
        1u32..1_000,
        prop::collection::vec((1u32..40, 0u8..4), 1..40),
    );
    let next = std::sync::atomic::AtomicU64::new(0);
    let checked = std::sync::atomic::AtomicU64::new(0);
    proptest!(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }, |(case in case)| {
        let (count, window, burst, steps) = case;
        let Ok(rate) = Rate::new(count, Duration::from_micros(window)) else { return Ok(()) };
        let Ok(rule) = Rule::token_bucket(rate, burst) else { return Ok(()) };
        let name = format!("m{}", next.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let mut model = Model::new(rate, burst);
        let limiter = Limiter::with_clock(pair.remote.store().clone(), pair.clock.clone());
        let id = limiter.define(Policy::with_rule(name.parse().unwrap(), rule)).unwrap();
        for (cost, step) in steps {
            let now = u128::from(pair.clock.monotonic().as_nanos() / 1000);
            let (admits, remaining, wait, reset) = model.check(now, u128::from(cost));
            let tenant = TenantId::from(1);
            let decision = pair.runtime.block_on(limiter.check(&tenant, &[Limit::whole(id).cost(cost)])).unwrap();
            let outcome = decision.outcomes()[0];
            prop_assert_eq!(outcome.admits(), admits);
            prop_assert_eq!(u128::from(outcome.remaining()), remaining);
            prop_assert_eq!(outcome.retry_after().map(|wait| wait.as_micros()), wait);
            prop_assert_eq!(outcome.reset_after().as_micros(), reset);
            checked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let wait = u64::try_from(wait.unwrap_or(0)).unwrap();
            pair.clock.advance(Duration::from_micros(match step {
                0 => wait,
                1 => wait.saturating_sub(1),
                2 => u64::from(cost),
                _ => u64::try_from(reset).unwrap() / 2,
            }));
        }
    });
    assert!(checked.into_inner() > 6 * u64::from(cases));
}

/// What has left a window is not taken from what came later.
pub(crate) fn a_refund_of_what_no_longer_counts_takes_nothing_from_others<S: Store + Clone>(pair: &Pair<S>) {
    let tenant = TenantId::from(1);
    for (at, rule) in
        ["2/s sliding", "2/s sliding strict 4", "2/s sliding lenient 4", "2/s fixed"].iter().enumerate()
    {
        let id = pair.remote.define(Policy::new(&format!("q{at}"), rule).unwrap()).unwrap();
        let limits = [Limit::whole(id)];
        let first = pair.runtime.block_on(pair.remote.check(&tenant, &limits)).unwrap();
        pair.clock.advance(Duration::from_millis(2_100));
        let _ =
            pair.runtime.block_on(pair.remote.check(&tenant, &limits.map(|limit| limit.cost(2)))).unwrap();
        pair.runtime.block_on(pair.remote.refund(&tenant, &limits, first.at())).unwrap();
        assert!(pair.runtime.block_on(pair.remote.check(&tenant, &limits)).unwrap().is_denied(), "{rule}");
    }
}

//! Leases: what is admitted, what is charged, and the bounds between the two.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use guardian_core::{ManualClock, MonoTime, StoreError, StoreErrorKind, TenantId};
use guardian_ratelimit::store::{Call, Release, Store};
use guardian_ratelimit::{
    Decision, DecisionSource, LeaseConfig, LeasedStore, Limit, Limiter, MemoryStore, OnStoreError, Policy,
    PolicyName, Subject,
};
use proptest::prelude::*;

/// A memory store that counts what is asked of it, charges, and can be away.
#[derive(Debug, Default)]
struct Remote {
    store: MemoryStore,
    calls: AtomicU64,
    charged: AtomicU64,
    refunded: AtomicU64,
    away: AtomicBool,
    slow: AtomicBool,
}

impl Remote {
    fn call(&self) -> Result<(), StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.away.load(Ordering::Relaxed) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "test"));
        }
        Ok(())
    }
}

fn cost(call: &Call<'_>) -> u64 {
    call.items.iter().map(|item| u64::from(item.cost)).sum()
}

impl Store for Remote {
    fn register(&self, name: &PolicyName) -> u32 {
        self.store.register(name)
    }

    async fn check(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        self.call()?;
        while self.slow.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        let decision = self.store.check(call).await?;
        if decision.is_allowed() {
            self.charged.fetch_add(cost(call), Ordering::Relaxed);
        }
        Ok(decision)
    }

    async fn peek(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        self.call()?;
        self.store.peek(call).await
    }

    async fn refund(&self, call: &Call<'_>, consumed_at: MonoTime) -> Result<(), StoreError> {
        self.call()?;
        self.refunded.fetch_add(cost(call), Ordering::Relaxed);
        self.store.refund(call, consumed_at).await
    }

    async fn reset(&self, call: &Call<'_>) -> Result<(), StoreError> {
        self.store.reset(call).await
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        self.store.release(release).await
    }

    fn release_detached(&self, release: Release) {
        self.store.release_detached(release);
    }
}

type Process = Limiter<LeasedStore<Arc<Remote>>, ManualClock>;

fn process(remote: &Arc<Remote>, clock: &ManualClock, config: LeaseConfig) -> Process {
    Limiter::with_clock(LeasedStore::new(Arc::clone(remote), config), clock.clone())
}

/// Memory never waits, so one poll is enough.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a call waits for something"),
    }
}

fn policy(name: &str, rule: &str) -> Policy {
    Policy::new(name, rule).unwrap().on_store_error(OnStoreError::Closed)
}

fn lease(tokens: u32) -> LeaseConfig {
    LeaseConfig::default().with_tokens(tokens)
}

#[test]
fn most_checks_ask_nobody() {
    let (remote, clock) = (Arc::new(Remote::default()), ManualClock::new());
    let limiter = process(&remote, &clock, lease(100));
    let ids = ["10000/h", "10000/h fixed", "10000/h sliding strict 60"]
        .map(|rule| limiter.define(policy(&rule.replace(['/', ' '], "."), rule)).unwrap());
    let (tenant, limits) = (TenantId::from(1), ids.map(Limit::whole));
    for _ in 0..1_000 {
        assert!(now(limiter.check(&tenant, &limits)).unwrap().is_allowed());
    }
    assert_eq!(remote.calls.load(Ordering::Relaxed), 10);
    assert_eq!(remote.charged.load(Ordering::Relaxed), 3_000);
    assert_eq!(limiter.store().held_tokens(), 0);
}

#[test]
fn permits_exact_windows_small_limits_and_dry_runs_pass_through() {
    let (remote, clock) = (Arc::new(Remote::default()), ManualClock::new());
    let limiter = process(&remote, &clock, lease(100));
    let policies = [
        policy("c", "1000 concurrent for 1min"),
        policy("x", "1000/min sliding exact"),
        policy("s", "19/min"),
        policy("d", "1000/min").dry_run(),
    ];
    let tenant = TenantId::from(1);
    for (at, policy) in policies.into_iter().enumerate() {
        let id = limiter.define(policy).unwrap();
        for _ in 0..10 {
            let admission = now(limiter.acquire(&tenant, &[Limit::whole(id)])).unwrap();
            assert!(admission.decision.is_allowed());
        }
        assert_eq!(remote.calls.load(Ordering::Relaxed), 10 * (at as u64 + 1));
        assert_eq!(limiter.store().held_tokens(), 0);
    }
}

#[test]
fn a_denial_spends_no_lease_anywhere() {
    let (remote, clock) = (Arc::new(Remote::default()), ManualClock::new());
    let limiter = process(&remote, &clock, lease(50));
    let wide = limiter.define(policy("wide", "1000/h")).unwrap();
    let narrow = limiter.define(policy("narrow", "1/h")).unwrap();
    let (tenant, limits) = (TenantId::from(1), [Limit::whole(wide), Limit::whole(narrow)]);
    assert!(now(limiter.check(&tenant, &limits)).unwrap().is_allowed());
    assert_eq!(limiter.store().held_tokens(), 49);
    for _ in 0..5 {
        let decision = now(limiter.check(&tenant, &limits)).unwrap();
        assert!(decision.is_denied());
        assert!(decision.outcomes()[0].admits() && !decision.outcomes()[1].admits());
        assert_eq!(limiter.store().held_tokens(), 49);
    }
}

#[test]
fn nobody_is_denied_for_the_leases_sake_in_one_process() {
    let (remote, clock) = (Arc::new(Remote::default()), ManualClock::new());
    let limiter = process(&remote, &clock, lease(7));
    let id = limiter.define(policy("p", "100/365day")).unwrap();
    let tenant = TenantId::from(1);
    let mut admitted = 0;
    for cost in (1..=9).cycle().take(400) {
        let limits = [Limit::whole(id).cost(cost)];
        let peeked = now(limiter.peek(&tenant, &limits)).unwrap();
        let decision = now(limiter.check(&tenant, &limits)).unwrap();
        assert_eq!(peeked.is_allowed(), decision.is_allowed());
        assert_eq!(decision.is_allowed(), admitted + cost <= 100, "{admitted} + {cost}");
        if decision.is_allowed() {
            admitted += cost;
        }
    }
    assert_eq!(admitted, 100);
}

#[test]
fn an_expired_lease_goes_back_and_the_stated_wait_is_enough() {
    let (remote, clock) = (Arc::new(Remote::default()), ManualClock::new());
    let (one, two) = (process(&remote, &clock, lease(10)), process(&remote, &clock, lease(10)));
    let tenant = TenantId::from(1);
    let id = one.define(policy("p", "100/1000s burst 100")).unwrap();
    let theirs = [Limit::whole(two.define(policy("p", "100/1000s burst 100")).unwrap())];
    let limits = [Limit::whole(id)];
    assert!(now(one.check(&tenant, &limits)).unwrap().is_allowed());
    assert_eq!(one.store().held_tokens(), 9);
    clock.advance(Duration::from_secs(2));
    // The nine go back, ten are taken anew.
    assert!(now(one.check(&tenant, &limits)).unwrap().is_allowed());
    assert_eq!(remote.refunded.load(Ordering::Relaxed), 9);
    assert_eq!(one.store().held_tokens(), 9);
    while now(two.check(&tenant, &theirs)).unwrap().is_allowed() {}
    let big = [Limit::whole(id).cost(12)];
    let decision = now(one.check(&tenant, &big)).unwrap();
    clock.advance(decision.retry_after().unwrap());
    assert!(now(one.check(&tenant, &big)).unwrap().is_allowed());
}

#[test]
fn reset_refund_and_rule_changes() {
    let (remote, clock) = (Arc::new(Remote::default()), ManualClock::new());
    let limiter = process(&remote, &clock, lease(10));
    let id = limiter.define(policy("p", "100/h")).unwrap();
    let (tenant, limits) = (TenantId::from(1), [Limit::whole(id)]);
    let decision = now(limiter.check(&tenant, &limits)).unwrap();
    let second = now(limiter.check(&tenant, &limits)).unwrap();
    assert_eq!(limiter.store().held_tokens(), 8);
    now(limiter.refund(&tenant, &limits, second.at())).unwrap();
    assert_eq!(limiter.store().held_tokens(), 9);
    // More than the lease had is the remote store's business.
    now(limiter.refund(&tenant, &limits, decision.at())).unwrap();
    assert_eq!((limiter.store().held_tokens(), remote.refunded.load(Ordering::Relaxed)), (9, 1));
    now(limiter.reset(&tenant, &limits)).unwrap();
    assert_eq!(limiter.store().held_tokens(), 0);
    assert_eq!(now(limiter.peek(&tenant, &limits)).unwrap().binding().unwrap().remaining(), 99);
    let _ = now(limiter.check(&tenant, &limits)).unwrap();
    limiter.set_rule(id, "50/h".parse::<guardian_ratelimit::Rule>().unwrap()).unwrap();
    let _ = now(limiter.peek(&tenant, &limits)).unwrap();
    assert_eq!(limiter.store().held_tokens(), 0);
}

#[test]
fn leases_outlast_a_short_outage_and_then_the_policy_decides() {
    let (remote, clock) = (Arc::new(Remote::default()), ManualClock::new());
    let limiter = process(&remote, &clock, lease(10));
    let id = limiter.define(policy("p", "100/h")).unwrap();
    let (tenant, limits) = (TenantId::from(1), [Limit::whole(id)]);
    let _ = now(limiter.check(&tenant, &limits)).unwrap();
    remote.away.store(true, Ordering::Relaxed);
    for _ in 0..9 {
        assert!(now(limiter.check(&tenant, &limits)).unwrap().is_allowed());
    }
    let decision = now(limiter.check(&tenant, &limits)).unwrap();
    assert_eq!(decision.source(), DecisionSource::FailClosed);
    remote.away.store(false, Ordering::Relaxed);
    assert_eq!(now(limiter.check(&tenant, &limits)).unwrap().source(), DecisionSource::Store);
}

#[test]
fn leases_are_bounded() {
    let (remote, clock) = (Arc::new(Remote::default()), ManualClock::new());
    let limiter = process(&remote, &clock, lease(10).with_max_leases(160));
    let id = limiter.define(policy("p", "100/h")).unwrap();
    for subject in 0..10_000 {
        let tenant = TenantId::from(subject % 97);
        let _ = now(limiter.check(&tenant, &[Limit::of(id, subject)])).unwrap();
        assert!(limiter.store().leases() <= 160);
    }
}

#[tokio::test]
async fn one_call_takes_a_lease_while_the_others_take_their_cost_and_one_given_up_leaves_no_trace() {
    let (remote, clock) = (Arc::new(Remote::default()), ManualClock::new());
    let limiter = process(&remote, &clock, lease(10));
    let id = limiter.define(policy("p", "200/365day")).unwrap();
    let tenant = TenantId::from(1);
    let limits = [Limit::whole(id)];
    remote.slow.store(true, Ordering::Relaxed);
    let mut given_up = Box::pin(limiter.check(&tenant, &limits));
    assert!(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(given_up);
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (limiter, tenant) = (limiter.clone(), tenant.clone());
            tokio::spawn(
                async move { limiter.check(&tenant, &[Limit::whole(id)]).await.unwrap().is_allowed() },
            )
        })
        .collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    remote.slow.store(false, Ordering::Relaxed);
    for call in calls {
        assert!(call.await.unwrap());
    }
    assert_eq!(limiter.store().held_tokens(), 9);
    assert_eq!(remote.charged.load(Ordering::Relaxed), 29);
}

const PROCESSES: usize = 3;
const TOKENS: u32 = 8;

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is admitted in any span is at most what the rule promises of it and what was held when it began; never
    /// more than was charged; and with all tokens gone, at most what the others hold is missing.
    #[test]
    fn the_stated_bounds_hold(
        steps in prop::collection::vec((0..PROCESSES, 1u32..6, 0u8..8, any::<u16>()), 1..160),
        rule in 0usize..4,
    ) {
        // Rule, what it promises of a span: at once, and so many in so many microseconds.
        let (rule, at_once, rate) = [
            ("100/10s burst 80", 80, (100u128, 10_000_000u128)),
            ("80/365day", 80, (0, 1)),
            ("80/365day fixed", 80, (0, 1)),
            ("80/365day sliding strict 7", 80, (0, 1)),
        ][rule];
        let (remote, clock) = (Arc::new(Remote::default()), ManualClock::new());
        let config = lease(TOKENS).with_ttl(Duration::from_millis(700));
        let processes: Vec<_> = (0..PROCESSES).map(|_| process(&remote, &clock, config)).collect();
        let ids: Vec<_> = processes.iter().map(|p| p.define(policy("p", rule)).unwrap()).collect();
        let tenant = TenantId::from(1);
        let mut admitted: Vec<(u128, u128, u128)> = Vec::new();
        let (mut total, mut denied_one) = (0u64, false);
        for (at, cost, step, advance) in steps {
            match step {
                0 => clock.advance(Duration::from_micros(u64::from(advance) * 30)),
                1 => clock.advance(Duration::from_micros(u64::from(advance))),
                _ => {}
            }
            let limits = [Limit::of(ids[at], Subject::Whole).cost(cost)];
            let held: u64 = processes.iter().map(|p| p.store().held_tokens()).sum();
            prop_assert!(held <= (PROCESSES as u64) * u64::from(TOKENS));
            let decision = now(processes[at].check(&tenant, &limits)).unwrap();
            let micros = u128::from(decision.at().as_nanos() / 1000);
            if decision.is_allowed() {
                total += u64::from(cost);
                admitted.push((micros, u128::from(cost), u128::from(held)));
            }
            denied_one |= decision.is_denied() && cost == 1;
            let charged = remote.charged.load(Ordering::Relaxed) - remote.refunded.load(Ordering::Relaxed);
            prop_assert!(total <= charged);
        }
        let (count, window) = rate;
        for (first, (start, _, held)) in admitted.iter().enumerate() {
            let mut sum = 0;
            for (end, cost, _) in &admitted[first..] {
                sum += cost;
                // Times are whole; the rate's promise is rounded up.
                let promise = at_once + (count * (end - start)).div_ceil(window);
                prop_assert!(sum <= promise + held, "{sum} in {} us", end - start);
            }
        }
        if denied_one && count == 0 {
            let missing = 80 - total.min(80);
            prop_assert!(missing <= ((PROCESSES as u64) - 1) * u64::from(TOKENS), "{missing} missing");
        }
    }
}

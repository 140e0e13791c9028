//! The limiter: overrides, dry runs, what is refused, and what happens when the store is away.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use guardian_core::{Clock, ManualClock, MonoTime, StoreError, StoreErrorKind, TenantId};
use guardian_ratelimit::store::{Call, Release, Store};
use guardian_ratelimit::{
    Decision, DecisionSource, Error, Limit, Limiter, MemoryStore, Mode, OnStoreError, Policy, PolicyName,
    Realm, Rule, Subject,
};

use crate::models::block_on;

fn rule(text: &str) -> Rule {
    text.parse().unwrap()
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn limiter() -> Limiter<MemoryStore, ManualClock> {
    Limiter::with_clock(MemoryStore::new(), ManualClock::new())
}

#[test]
fn the_closest_rule_holds() {
    let limiter = limiter();
    let policy = limiter.define(Policy::new("p", "1/min").unwrap()).unwrap();
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    let holds = |who: &TenantId, subject| limiter.effective_rule(policy, who, subject).unwrap().to_string();

    limiter.set_override(policy, &acme, rule("2/min")).unwrap();
    limiter.set_subject_override(policy, &acme, 7, rule("3/min")).unwrap();
    limiter.set_subject_override(policy, &acme, "POST /x", rule("4/min")).unwrap();
    assert_eq!(holds(&acme, Subject::Whole), "2/min burst 2");
    assert_eq!(holds(&acme, Subject::Id(7)), "3/min burst 3");
    assert_eq!(holds(&acme, Subject::Text("POST /x")), "4/min burst 4");
    assert_eq!(holds(&globex, Subject::Id(7)), "1/min burst 1");

    limiter.set_rule(policy, rule("9/min")).unwrap();
    assert_eq!(holds(&globex, Subject::Id(7)), "9/min burst 9");
    assert_eq!(holds(&acme, Subject::Id(8)), "2/min burst 2");

    limiter.set_subject_override(policy, &acme, 7, None).unwrap();
    limiter.set_override(policy, &acme, None).unwrap();
    limiter.set_rule(policy, None).unwrap();
    assert_eq!(holds(&acme, Subject::Id(7)), "1/min burst 1");
    assert_eq!(holds(&acme, Subject::Text("POST /x")), "4/min burst 4");
}

#[test]
fn a_live_change_keeps_what_every_key_has_taken() {
    let limiter = limiter();
    let policy = limiter.define(Policy::new("p", "100/h burst 100").unwrap()).unwrap();
    let acme = tenant("acme");
    // Enough keys that tables have grown and keys are counted in two kinds of units.
    for key in 0..5000u64 {
        let cost = u32::try_from(key % 50 + 1).unwrap();
        assert!(limiter.check_local(&acme, &[Limit::of(policy, key).cost(cost)]).unwrap().is_allowed());
    }
    limiter.set_rule(policy, rule("77/h burst 60")).unwrap();
    for key in 0..5000u64 {
        let left = 60 - u32::try_from(key % 50 + 1).unwrap();
        let all = limiter.check_local(&acme, &[Limit::of(policy, key).cost(left)]).unwrap();
        assert!(all.is_allowed(), "key {key}: {all:?}");
        assert!(limiter.check_local(&acme, &[Limit::of(policy, key)]).unwrap().is_denied(), "key {key}");
    }
    // Back again, and swept into the small form once all keys have the same units.
    limiter.set_rule(policy, None).unwrap();
    for key in 0..5000u64 {
        assert!(
            limiter.check_local(&acme, &[Limit::of(policy, key).cost(40)]).unwrap().is_allowed(),
            "key {key}"
        );
    }
    let mixed = limiter.store().stats().table_bytes;
    limiter.store().sweep(limiter.clock().monotonic());
    assert!(limiter.store().stats().table_bytes < mixed);
    for key in 0..5000u64 {
        assert!(limiter.check_local(&acme, &[Limit::of(policy, key)]).unwrap().is_denied(), "key {key}");
    }
}

#[test]
fn a_rule_of_another_algorithm_is_refused_and_changes_nothing() {
    let limiter = limiter();
    let policy = limiter.define(Policy::new("p", "1/min").unwrap()).unwrap();
    let error = limiter.set_rule(policy, rule("1/min fixed")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the policy `p` is `1/min burst 1` and cannot become `1/min fixed` while it runs: define a new policy"
    );
    assert_eq!(limiter.effective_rule(policy, Realm::Shared, Subject::Whole).unwrap(), rule("1/min"));
}

#[test]
fn what_cannot_be_decided_is_refused_by_name() {
    let limiter = limiter();
    let rate = limiter.define(Policy::new("rate", "1/min").unwrap()).unwrap();
    let work = limiter.define(Policy::new("work", "1 concurrent for 1min").unwrap()).unwrap();
    let elsewhere = Limiter::in_memory();
    let foreign = elsewhere.define(Policy::new("rate", "1000/s").unwrap()).unwrap();
    let long = "x".repeat(513);
    let cases: [(&[Limit<'_>], &str); 8] = [
        (&[], "a check names 1 to 8 limits, this one names 0"),
        (&[Limit::of(rate, 1); 9], "a check names 1 to 8 limits, this one names 9"),
        (
            &[Limit::of(rate, 1), Limit::of(rate, 1)],
            "the limit `rate` is named twice for one subject: add the costs",
        ),
        (&[Limit::of(rate, 1).cost(0)], "the limit `rate` has cost 0: leave it out, or peek"),
        (
            &[Limit::of(rate, 1), Limit::of(rate, 2).cost(0)],
            "the limit `rate` has cost 0: leave it out, or peek",
        ),
        (&[Limit::of(foreign, 1)], "unknown policy `0`: its id is of another limiter; define it on this one"),
        (&[Limit::of(rate, &long)], "the subject of `rate` has 513 bytes, the most is 512"),
        (
            &[Limit::whole(work)],
            "the policy `work` limits concurrency: use `acquire`, which gives a permit to hold",
        ),
    ];
    for (limits, message) in cases {
        for realm in [Realm::Shared, Realm::Tenant(&tenant("acme"))] {
            assert_eq!(limiter.check_local(realm, limits).unwrap_err().to_string(), message);
            assert_eq!(block_on(limiter.check(realm, limits)).unwrap_err().to_string(), message);
        }
    }
    let one = Limit::of(rate, 1).cost(0);
    assert!(matches!(
        limiter.check_one_local_at(Realm::Shared, &one, limiter.clock().monotonic()),
        Err(Error::ZeroCost { .. })
    ));
    // None of that was charged.
    assert!(limiter.check_local(Realm::Shared, &[Limit::of(rate, 1)]).unwrap().is_allowed());
}

#[test]
fn names_and_policies_are_checked() {
    let limiter = limiter();
    limiter.define(Policy::new("p", "1/min").unwrap()).unwrap();
    let again = limiter.define(Policy::new("p", "2/min").unwrap()).unwrap_err();
    assert_eq!(
        again.to_string(),
        "the policy `p` is defined already: keep its id, or `find` it; `set_rule` changes it"
    );
    for name in ["", "per org", "a:b", "{x}", "ü", &"n".repeat(65)] {
        assert!(matches!(Policy::new(name, "1/min"), Err(Error::InvalidPolicyName { .. })), "{name}");
    }
    for i in 1..Limiter::MAX_POLICIES {
        limiter.define(Policy::new(&format!("p{i}"), "1/min").unwrap()).unwrap();
    }
    let full = limiter.define(Policy::new("one-more", "1/min").unwrap()).unwrap_err();
    assert_eq!(full.to_string(), "a limiter holds at most 1024 policies");
    assert_eq!(limiter.policies().count(), Limiter::MAX_POLICIES);
    assert_eq!(limiter.find("p7").and_then(|id| limiter.policy(id)).unwrap().name().as_str(), "p7");
}

#[test]
fn a_policy_goes_into_and_out_of_its_dry_run_while_it_runs() {
    let limiter = limiter();
    let policy = limiter.define(Policy::new("p", "1/h").unwrap()).unwrap();
    let check = || limiter.check_local(Realm::Shared, &[Limit::of(policy, 1)]).unwrap();
    assert!(check().is_allowed());
    assert!(check().is_denied());
    limiter.set_mode(policy, Mode::DryRun).unwrap();
    let trial = check();
    assert!(trial.is_allowed() && trial.outcomes()[0].would_deny());
    limiter.set_mode(policy, Mode::Enforce).unwrap();
    assert!(check().is_denied());
}

#[test]
fn the_local_call_and_the_future_decide_the_same_on_the_same_counters() {
    let limiter = limiter();
    let org = limiter.define(Policy::new("org", "50/h").unwrap()).unwrap();
    let key = limiter.define(Policy::new("key", "7/s burst 20").unwrap()).unwrap();
    let acme = tenant("acme");
    let mut random = crate::random::Random(5);
    for step in 0..2000 {
        let limits = [Limit::whole(org), Limit::of(key, random.below(3)).cost(random.below(3) as u32 + 1)];
        let expected = block_on(limiter.peek(&acme, &limits)).unwrap();
        let got = if step % 2 == 0 {
            limiter.check_local(&acme, &limits).unwrap()
        } else {
            block_on(limiter.check(&acme, &limits)).unwrap()
        };
        assert_eq!(got.is_allowed(), expected.is_allowed(), "step {step}");
        for (got, expected) in got.outcomes().iter().zip(expected.outcomes()) {
            assert_eq!(got.remaining(), expected.remaining(), "step {step}");
            assert_eq!(got.retry_after(), expected.retry_after(), "step {step}");
            assert_eq!(got.reset_after(), expected.reset_after(), "step {step}");
        }
        limiter.clock().advance(Duration::from_millis(random.below(30_000)));
    }
}

#[test]
fn the_binding_limit_is_the_one_to_wait_for_or_the_nearest_to_its_end() {
    let limiter = limiter();
    let wide = limiter.define(Policy::new("wide", "100/h burst 100").unwrap()).unwrap();
    let narrow = limiter.define(Policy::new("narrow", "3/min burst 3").unwrap()).unwrap();
    let slow = limiter.define(Policy::new("slow", "3/day burst 3").unwrap()).unwrap();
    let limits = [Limit::of(wide, 1), Limit::of(narrow, 1), Limit::of(slow, 1)];
    let first = limiter.check_local(Realm::Shared, &limits).unwrap();
    assert_eq!(first.binding().unwrap().limit(), 3);
    for _ in 0..2 {
        assert!(limiter.check_local(Realm::Shared, &limits).unwrap().is_allowed());
    }
    let denied = limiter.check_local(Realm::Shared, &limits).unwrap();
    assert_eq!(denied.binding().unwrap().policy(), slow);
    assert_eq!(denied.retry_after(), Some(Duration::from_secs(8 * 3600)));
    assert_eq!(denied.outcomes()[0].remaining(), 96, "what would have been left of the wide limit");
}

/// A store that can be switched off.
#[derive(Debug, Default)]
struct Switch {
    inner: MemoryStore,
    off: AtomicBool,
}

impl Switch {
    fn on(&self) -> Result<&MemoryStore, StoreError> {
        let off = self.off.load(Ordering::Relaxed);
        if off { Err(StoreError::new(StoreErrorKind::Unavailable, "switch")) } else { Ok(&self.inner) }
    }
}

impl Store for Switch {
    fn register(&self, name: &PolicyName) -> u32 {
        self.inner.register(name)
    }

    async fn check(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        self.on()?.check(call).await
    }

    async fn peek(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        self.on()?.peek(call).await
    }

    async fn refund(&self, call: &Call<'_>, consumed_at: MonoTime) -> Result<(), StoreError> {
        self.on()?.refund(call, consumed_at).await
    }

    async fn reset(&self, call: &Call<'_>) -> Result<(), StoreError> {
        self.on()?.reset(call).await
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        self.on()?.release(release).await
    }

    fn release_detached(&self, release: Release) {
        if let Ok(store) = self.on() {
            store.release_detached(release);
        }
    }
}

#[test]
fn a_store_that_is_away_gives_the_declared_answer_at_once_and_recovers() {
    let store = Arc::new(Switch::default());
    let limiter = Limiter::with_clock(Arc::clone(&store), ManualClock::new());
    let quarter = OnStoreError::Local { processes: NonZeroU32::new(4).unwrap() };
    let define = |name: &str, rule: &str, answer| {
        limiter.define(Policy::new(name, rule).unwrap().on_store_error(answer)).unwrap()
    };
    let open = define("open", "1/h", OnStoreError::Open);
    let closed = define("closed", "8/h", OnStoreError::Closed);
    let local = define("local", "8/h burst 8", quarter);
    let trial = limiter
        .define(Policy::new("trial", "1/h").unwrap().on_store_error(OnStoreError::Closed).dry_run())
        .unwrap();
    let acme = tenant("acme");
    let check = |limits: &[Limit<'_>]| block_on(limiter.check(&acme, limits)).unwrap();

    store.off.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let decision = check(&[Limit::whole(open)]);
        assert!(decision.is_allowed());
        assert_eq!(decision.source(), DecisionSource::FailOpen);
    }
    let decision = check(&[Limit::whole(open), Limit::whole(closed)]);
    assert!(decision.is_denied() && decision.retry_after().is_none());
    assert_eq!(decision.source(), DecisionSource::FailClosed);
    assert!(check(&[Limit::whole(trial)]).is_allowed(), "a dry run never denies");
    for left in [1, 0] {
        let decision = check(&[Limit::whole(local), Limit::whole(open)]);
        assert!(decision.is_allowed());
        assert_eq!(decision.source(), DecisionSource::LocalShare);
        assert_eq!(decision.outcomes()[0].remaining(), left);
    }
    assert!(check(&[Limit::whole(local)]).is_denied(), "a quarter of 8 is 2");
    assert!(block_on(limiter.check(&tenant("globex"), &[Limit::whole(local)])).unwrap().is_allowed());
    assert!(matches!(block_on(limiter.peek(&acme, &[Limit::whole(open)])), Err(Error::Store(_))));
    assert!(matches!(block_on(limiter.reset(&acme, &[Limit::whole(open)])), Err(Error::Store(_))));

    store.off.store(false, Ordering::Relaxed);
    let decision = check(&[Limit::whole(local)]);
    assert!(decision.is_allowed());
    assert_eq!((decision.source(), decision.outcomes()[0].remaining()), (DecisionSource::Store, 7));
    assert!(check(&[Limit::whole(open)]).is_allowed());
    assert!(check(&[Limit::whole(open)]).is_denied());
}

#[test]
fn a_permit_whose_caller_went_away_is_given_back() {
    /// Answers a check only at the second poll, after it has happened.
    #[derive(Debug, Default)]
    struct Slow(MemoryStore);

    impl Store for Slow {
        fn register(&self, name: &PolicyName) -> u32 {
            self.0.register(name)
        }

        async fn check(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
            let decision = self.0.check(call).await;
            tokio::task::yield_now().await;
            decision
        }

        async fn peek(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
            self.0.peek(call).await
        }

        async fn refund(&self, call: &Call<'_>, consumed_at: MonoTime) -> Result<(), StoreError> {
            self.0.refund(call, consumed_at).await
        }

        async fn reset(&self, call: &Call<'_>) -> Result<(), StoreError> {
            self.0.reset(call).await
        }

        async fn release(&self, release: &Release) -> Result<(), StoreError> {
            self.0.release(release).await
        }

        fn release_detached(&self, release: Release) {
            self.0.release_detached(release);
        }
    }

    let limiter = Limiter::with_clock(Slow::default(), ManualClock::new());
    let work = limiter.define(Policy::new("work", "1 concurrent for 1h").unwrap()).unwrap();
    let limits = [Limit::whole(work)];
    for _ in 0..3 {
        let mut acquiring = Box::pin(limiter.acquire(Realm::Shared, &limits));
        let waker = std::task::Waker::noop();
        assert!(acquiring.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        drop(acquiring);
    }
    assert!(block_on(limiter.acquire(Realm::Shared, &limits)).unwrap().permit.is_some());
}

#[test]
fn permits_of_the_local_share_are_given_back_there() {
    let store = Arc::new(Switch::default());
    let limiter = Limiter::with_clock(Arc::clone(&store), ManualClock::new());
    let share = OnStoreError::Local { processes: NonZeroU32::new(2).unwrap() };
    let policy =
        limiter.define(Policy::new("w", "2 concurrent for 1h").unwrap().on_store_error(share)).unwrap();
    let other = limiter.define(Policy::new("rate", "10/h").unwrap().on_store_error(share)).unwrap();
    store.off.store(true, Ordering::Relaxed);
    assert!(block_on(limiter.check(Realm::Shared, &[Limit::whole(other)])).unwrap().is_allowed());
    let acquire = || block_on(limiter.acquire(Realm::Shared, &[Limit::whole(policy)])).unwrap();
    let held = acquire();
    assert!(held.permit.is_some());
    assert!(acquire().permit.is_none());
    drop(held);
    assert!(acquire().permit.is_some());
}

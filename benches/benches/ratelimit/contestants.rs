//! Ours and governor with the same promise, the same keys and full tables.

use std::cell::RefCell;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;
use governor::clock::{Clock as PeerClock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::{DashMapStateStore, DefaultKeyedStateStore};
use governor::{Quota, RateLimiter};
use guardian_benches::keys;
use guardian_core::{Clock, MonoTime, TenantId};
use guardian_ratelimit::{
    Decision, Gate, Limit, Limiter, MemoryConfig, MemoryStore, Outcome, Policy, PolicyId, Realm, Stack,
    Subject, Verdict,
};

type Foldhash<K> = RateLimiter<
    K,
    DashMapStateStore<K, RandomState>,
    DefaultClock,
    NoOpMiddleware<<DefaultClock as PeerClock>::Instant>,
>;
type GivenTime = RateLimiter<u64, DashMapStateStore<u64, RandomState>, GivenClock, NoOpMiddleware<Nanos>>;
type Default64 = RateLimiter<u64, DefaultKeyedStateStore<u64>, DefaultClock>;

/// A bucket that no run empties and that never fills up again either, so that no key is as good as new and a store
/// has to keep them all.
const ROOMY: Roomy = Roomy { per_second: 1000 };
/// The same for a bucket that every request takes from, which at that rate would be empty within a minute.
const ROOMY_FOR_ALL: Roomy = Roomy { per_second: 2_000_000 };

#[derive(Debug, Clone, Copy)]
struct Roomy {
    per_second: u32,
}

impl Roomy {
    const BURST: u32 = 1_000_000_000;

    fn rule(self) -> String {
        format!("{}/s burst {}", self.per_second, Self::BURST)
    }

    fn quota(self) -> Quota {
        Quota::per_second(number(self.per_second)).allow_burst(number(Self::BURST))
    }
}

fn number(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN)
}

/// A clock for the peer that costs one load, as it has no way to be told the time.
#[derive(Debug, Default)]
pub(crate) struct GivenClock(AtomicU64);

impl PeerClock for GivenClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

fn store() -> MemoryStore {
    // Room for the keys of every case: nothing is evicted, as governor never does.
    MemoryStore::with_config(MemoryConfig::default().with_max_keys(4_000_000))
}

#[expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]
fn define(limiter: &Limiter<MemoryStore>, name: &str, rule: &str) -> PolicyId {
    let policy = Policy::new(name, rule).expect("a valid policy");
    limiter.define(policy).expect("a new policy")
}

/// The policy looked up once, as by a host that knows its policies when it starts.
#[expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]
fn gate(limiter: &Limiter<MemoryStore>, policy: PolicyId) -> Gate {
    limiter.gate(policy).expect("a policy of this limiter")
}

/// An error counts as a denial, which ends the benchmark: no case has a request that is not understood.
fn admits(outcome: Result<Outcome, guardian_ratelimit::Error>) -> bool {
    outcome.is_ok_and(|outcome| outcome.admits())
}

#[expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]
fn stack(limiter: &Limiter<MemoryStore>, policies: [PolicyId; 3]) -> Stack<3> {
    limiter.stack(policies).expect("policies of this limiter")
}

fn allows<const N: usize>(verdict: Result<Verdict<N>, guardian_ratelimit::Error>) -> bool {
    verdict.is_ok_and(|verdict| verdict.is_allowed())
}

/// One limit for each request, by number.
pub(crate) struct Single {
    pub(crate) keys: Vec<u64>,
    limiter: Limiter<MemoryStore>,
    policy: PolicyId,
    gate: Gate,
    foldhash: Foldhash<u64>,
    given_time: GivenTime,
    default: Default64,
}

impl Single {
    pub(crate) fn new(count: u64) -> Self {
        let limiter = Limiter::new(store());
        let policy = define(&limiter, "per-key", &ROOMY.rule());
        let single = Self {
            keys: keys::shuffled_ids(count),
            policy,
            gate: gate(&limiter, policy),
            limiter,
            foldhash: RateLimiter::dashmap_with_hasher(ROOMY.quota(), RandomState::default()),
            given_time: RateLimiter::dashmap_with_clock_and_hasher(
                ROOMY.quota(),
                GivenClock::default(),
                RandomState::default(),
            ),
            default: RateLimiter::dashmap(ROOMY.quota()),
        };
        let now = single.now();
        for key in &single.keys {
            assert!(single.ours_one(now, key) && single.peer_foldhash(key));
            assert!(single.peer_given_time(now, key) && single.peer_default(key));
        }
        assert_eq!(single.limiter.store().stats().keys, single.foldhash.len());
        single
    }

    pub(crate) fn now(&self) -> MonoTime {
        self.limiter.clock().monotonic()
    }

    #[inline]
    pub(crate) fn ours_gate(&self, now: MonoTime, key: &u64) -> bool {
        admits(self.gate.check_at(Realm::Shared, *key, now))
    }

    #[inline]
    pub(crate) fn ours_gate_with_clock(&self, key: &u64) -> bool {
        admits(self.gate.check(Realm::Shared, *key))
    }

    #[inline]
    pub(crate) fn ours_one(&self, now: MonoTime, key: &u64) -> bool {
        admits(self.limiter.check_one_local_at(Realm::Shared, &Limit::of(self.policy, *key), now))
    }

    #[inline]
    pub(crate) fn ours_slice(&self, now: MonoTime, key: &u64) -> bool {
        let decision = self.limiter.check_local_at(Realm::Shared, &[Limit::of(self.policy, *key)], now);
        matches!(&decision, Ok(decision) if decision.is_allowed())
    }

    #[inline]
    pub(crate) fn ours_with_clock(&self, key: &u64) -> bool {
        let now = self.limiter.clock().monotonic();
        let outcome = self.limiter.check_one_local_at(Realm::Shared, &Limit::of(self.policy, *key), now);
        outcome.is_ok_and(|outcome| !outcome.denies())
    }

    #[inline]
    pub(crate) fn peer_foldhash(&self, key: &u64) -> bool {
        self.foldhash.check_key(key).is_ok()
    }

    #[inline]
    pub(crate) fn peer_given_time(&self, now: MonoTime, key: &u64) -> bool {
        self.given_time.clock().0.store(now.as_nanos(), Ordering::Relaxed);
        self.given_time.check_key(key).is_ok()
    }

    #[inline]
    pub(crate) fn peer_default(&self, key: &u64) -> bool {
        self.default.check_key(key).is_ok()
    }
}

/// Three limits for each request: the organisation's, one of eight integrations', the endpoint's.
pub(crate) struct Stacked {
    pub(crate) keys: Vec<u64>,
    tenant: TenantId,
    limiter: Limiter<MemoryStore>,
    /// Used again and again, as a host that counts nanoseconds would.
    decision: RefCell<Decision>,
    policies: [PolicyId; 3],
    stack: Stack<3>,
    foldhash: [Foldhash<u64>; 3],
    given_time: [GivenTime; 3],
}

impl Stacked {
    const ORGANISATION: u64 = 7;

    pub(crate) fn new(count: u64) -> Self {
        let limiter = Limiter::new(store());
        let rules = [ROOMY_FOR_ALL, ROOMY, ROOMY];
        let quotas = rules.map(Roomy::quota);
        let [organisation, integration, endpoint] = rules.map(Roomy::rule);
        let policies = [
            define(&limiter, "organisation", &organisation),
            define(&limiter, "integration", &integration),
            define(&limiter, "endpoint", &endpoint),
        ];
        let stacked = Self {
            keys: keys::shuffled_ids(count),
            tenant: TenantId::from(Self::ORGANISATION),
            policies,
            stack: stack(&limiter, policies),
            decision: RefCell::new(Decision::from_outcomes(limiter.clock().monotonic(), [])),
            limiter,
            foldhash: quotas.map(|quota| RateLimiter::dashmap_with_hasher(quota, RandomState::default())),
            given_time: quotas.map(|quota| {
                RateLimiter::dashmap_with_clock_and_hasher(
                    quota,
                    GivenClock::default(),
                    RandomState::default(),
                )
            }),
        };
        let now = stacked.limiter.clock().monotonic();
        for key in &stacked.keys {
            assert!(stacked.ours_in_tenant(now, key) && stacked.ours_in_shared(now, key));
            assert!(stacked.peer_foldhash(key) && stacked.peer_given_time(now, key));
        }
        stacked
    }

    #[inline]
    pub(crate) fn ours_stack_in_tenant(&self, now: MonoTime, key: &u64) -> bool {
        let subjects = [Subject::Whole, Subject::Id(*key % 8), Subject::Id(*key)];
        allows(self.stack.check_at(&self.tenant, subjects, now))
    }

    /// Three policies for one subject, such as one for each second, minute and day.
    #[inline]
    pub(crate) fn ours_stack_in_shared(&self, now: MonoTime, key: &u64) -> bool {
        allows(self.stack.check_at(Realm::Shared, [Subject::Id(*key); 3], now))
    }

    #[inline]
    pub(crate) fn ours_in_tenant(&self, now: MonoTime, key: &u64) -> bool {
        let [organisation, integration, endpoint] = self.policies;
        let limits =
            [Limit::whole(organisation), Limit::of(integration, *key % 8), Limit::of(endpoint, *key)];
        let mut decision = self.decision.borrow_mut();
        let decided = self.limiter.check_local_into(Realm::Tenant(&self.tenant), &limits, now, &mut decision);
        decided.is_ok() && decision.is_allowed()
    }

    /// As [`Self::ours_stack_in_shared`].
    #[inline]
    pub(crate) fn ours_in_shared(&self, now: MonoTime, key: &u64) -> bool {
        let limits = self.policies.map(|policy| Limit::of(policy, *key));
        let mut decision = self.decision.borrow_mut();
        let decided = self.limiter.check_local_into(Realm::Shared, &limits, now, &mut decision);
        decided.is_ok() && decision.is_allowed()
    }

    #[inline]
    pub(crate) fn peer_foldhash(&self, key: &u64) -> bool {
        let [organisation, integration, endpoint] = &self.foldhash;
        organisation.check_key(&Self::ORGANISATION).is_ok()
            && integration.check_key(&(*key % 8)).is_ok()
            && endpoint.check_key(key).is_ok()
    }

    #[inline]
    pub(crate) fn peer_given_time(&self, now: MonoTime, key: &u64) -> bool {
        let [organisation, integration, endpoint] = &self.given_time;
        for limiter in &self.given_time {
            limiter.clock().0.store(now.as_nanos(), Ordering::Relaxed);
        }
        organisation.check_key(&Self::ORGANISATION).is_ok()
            && integration.check_key(&(*key % 8)).is_ok()
            && endpoint.check_key(key).is_ok()
    }
}

/// One limit for each request, by text, used up already.
pub(crate) struct Denying {
    pub(crate) keys: Vec<String>,
    tenant: TenantId,
    limiter: Limiter<MemoryStore>,
    policy: PolicyId,
    gate: Gate,
    foldhash: Foldhash<String>,
}

impl Denying {
    pub(crate) fn new(count: u64) -> Self {
        let limiter = Limiter::new(store());
        let hour = Quota::with_period(Duration::from_secs(3600)).unwrap_or_else(|| ROOMY.quota());
        let policy = define(&limiter, "per-key", "1/h");
        let denying = Self {
            keys: (0..count).map(keys::text).collect(),
            tenant: TenantId::from(7),
            policy,
            gate: gate(&limiter, policy),
            limiter,
            foldhash: RateLimiter::dashmap_with_hasher(hour, RandomState::default()),
        };
        let now = denying.limiter.clock().monotonic();
        for key in &denying.keys {
            assert!(denying.ours_one(now, key) && denying.peer_foldhash(key));
        }
        denying
    }

    #[inline]
    pub(crate) fn ours_gate(&self, now: MonoTime, key: &String) -> bool {
        admits(self.gate.check_at(&self.tenant, key, now))
    }

    #[inline]
    pub(crate) fn ours_one(&self, now: MonoTime, key: &String) -> bool {
        let limit = Limit::of(self.policy, key);
        admits(self.limiter.check_one_local_at(Realm::Tenant(&self.tenant), &limit, now))
    }

    #[inline]
    pub(crate) fn ours_with_clock(&self, key: &String) -> bool {
        let decision = self.limiter.check_local(&self.tenant, &[Limit::of(self.policy, key)]);
        matches!(&decision, Ok(decision) if decision.is_allowed())
    }

    #[inline]
    pub(crate) fn peer_foldhash(&self, key: &String) -> bool {
        self.foldhash.check_key(key).is_ok()
    }
}

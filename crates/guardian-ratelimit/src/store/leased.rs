//! Local decisions on tokens that are leased from another store.

use std::hash::BuildHasher;
use std::time::Duration;

use arrayvec::ArrayVec;
use foldhash::fast::FixedState;
use guardian_core::{MonoTime, StoreError, StoreErrorKind};
use parking_lot::Mutex;

use super::{Call, Item, Release, Store};
use crate::{Algorithm, Decision, Limiter, Mode, Outcome, PolicyName, Precision, Realm};

mod book;

use book::{Book, Counter, Taken};

const SHARDS: usize = 16;

/// How much a [`LeasedStore`] leases, and for how long.
///
/// ```
/// use std::time::Duration;
/// use guardian_ratelimit::LeaseConfig;
///
/// let config = LeaseConfig::default().with_tokens(20);
/// assert_eq!((config.tokens, config.ttl), (20, Duration::from_secs(1)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseConfig {
    /// The most tokens of one counter to take at once; 100 unless told otherwise. Never more than a tenth of the
    /// rule's [capacity](crate::Rule::capacity), so that small limits are not hoarded: below a capacity of 20 nothing is
    /// leased.
    pub tokens: u32,
    /// For how long leased tokens may be spent; 1 s unless told otherwise.
    pub ttl: Duration,
    /// The most counters to hold leases of; 100 000 unless told otherwise. Beyond, the oldest are dropped.
    pub max_leases: usize,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self {
            tokens: 100,
            ttl: Duration::from_secs(1),
            max_leases: 100_000,
        }
    }
}

impl LeaseConfig {
    /// The smallest part of a capacity to lease is one in this.
    const PART: u32 = 10;

    /// The same with another size of a lease.
    #[must_use]
    pub fn with_tokens(mut self, tokens: u32) -> Self {
        self.tokens = tokens;
        self
    }

    /// The same with another life of a lease.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// The same with another bound on the leases held.
    #[must_use]
    pub fn with_max_leases(mut self, leases: usize) -> Self {
        self.max_leases = leases;
        self
    }

    /// How many tokens a taking asks for; 0 for a limit that is not leased.
    fn size(&self, item: &Item<'_>) -> u32 {
        let leasable = match item.rule.algorithm() {
            Algorithm::TokenBucket { .. } | Algorithm::FixedWindow { .. } => true,
            Algorithm::SlidingWindow { precision, .. } => precision != Precision::Exact,
            Algorithm::Concurrency { .. } => false,
        };
        let size = self.tokens.min(item.rule.capacity() / Self::PART);
        if leasable && item.mode == Mode::Enforce && size >= 2 {
            size
        } else {
            0
        }
    }
}

/// Decides on tokens that this process has leased from a remote store, and asks the remote store only when they run
/// out: most checks cost no round trip.
///
/// A check spends leased tokens if there are enough of them for every limit. Otherwise one remote call decides for
/// the counters that lack some, and takes a lease for each along with the cost. If the remote store denies that, a
/// second call asks for the bare cost, so that nobody is denied for the lease's sake. While one call takes a lease,
/// others for the same counter ask for their bare cost.
///
/// # What still holds
/// Let *P* processes share the remote store, and *s* be the size of a lease: [`tokens`](LeaseConfig::tokens), at
/// most a tenth of the capacity.
///
/// - **A token is charged at the remote store before it is spent**, once: in total, never more is admitted than
///   charged.
/// - **Late**: a token may be spent up to [`ttl`](LeaseConfig::ttl) after it was charged. So in any span of time at
///   most *P* · *s* (less than a tenth of the capacity for each process) is admitted beyond what the rule promises
///   of that span: the tokens held when it began.
/// - **Under-admission**: tokens that are held elsewhere look consumed, so a request may be denied although up to
///   (*P* − 1) · *s* have not been spent. An expired lease is refunded when its counter is next checked here; one
///   that is never touched again, or was dropped for room, by a crash or by a change of the rule, is lost until the
///   limit itself recovers.
/// - Concurrency limits, exact sliding windows, dry runs and capacities below 20 pass through: the remote store
///   decides each of their checks.
/// - A call that fails, or whose future is dropped, between here and the remote store may leave tokens charged there
///   that nobody spends, never the other way round.
///
/// # Numbers and other calls
/// When the leases decide, an outcome's `remaining` and `reset_after` are what the remote store last said plus what
/// is held, and so do not see what other processes took since. [`peek`](Store::peek) decides as a check would.
/// [`refund`](Store::refund) returns tokens to the present lease if they can be from it, otherwise to the remote store.
/// [`reset`](Store::reset) drops the leases here and resets the remote counters; other processes may still spend
/// theirs. While the remote store is away, checks succeed as long as the leases last; then its error is
/// returned and the policies' [`OnStoreError`](crate::OnStoreError) decides.
///
/// ```
/// use guardian_ratelimit::{LeaseConfig, LeasedStore, Limit, Limiter, MemoryStore, Policy, Realm};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
///
/// // In earnest the remote store is a `RedisStore`.
/// let store = LeasedStore::new(MemoryStore::new(), LeaseConfig::default().with_tokens(50));
/// let limiter = Limiter::new(store);
/// let policy = limiter.define(Policy::new("demo", "1000/min")?)?;
///
/// let _ = limiter.check(Realm::Shared, &[Limit::whole(policy)]).await?;
/// assert_eq!(limiter.store().held_tokens(), 49);
/// # Ok::<(), guardian_ratelimit::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct LeasedStore<R> {
    remote: R,
    config: LeaseConfig,
    books: [Mutex<Book>; SHARDS],
}

impl<R: Store> LeasedStore<R> {
    /// Leases from this store.
    #[must_use]
    pub fn new(remote: R, config: LeaseConfig) -> Self {
        Self {
            remote,
            config,
            books: Default::default(),
        }
    }

    /// The store that it leases from.
    #[must_use]
    pub fn remote(&self) -> &R {
        &self.remote
    }

    /// How many tokens are charged at the remote store and not spent, expired ones that nobody touched included.
    #[must_use]
    pub fn held_tokens(&self) -> u64 {
        self.books.iter().map(|book| book.lock().held()).sum()
    }

    /// Of how many counters there are leases.
    #[must_use]
    pub fn leases(&self) -> usize {
        self.books.iter().map(|book| book.lock().len()).sum()
    }

    /// All counters of a tenant, and all shared ones, are behind one lock.
    fn book(&self, realm: Realm<'_>) -> &Mutex<Book> {
        let hash = realm
            .tenant()
            .map_or(0, |tenant| FixedState::default().hash_one(tenant.digest()));
        let [first, rest @ ..] = &self.books;
        let at = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        at.checked_sub(1).and_then(|at| rest.get(at)).unwrap_or(first)
    }

    /// Looks at every limit and, if told to, takes what is held for it out of the book, all under one lock.
    fn plan<'c>(&'c self, call: &Call<'c>, charge: bool) -> Result<Plan<'c, R>, StoreError> {
        if call.items.len() > Limiter::MAX_LIMITS {
            let error = StoreError::new(StoreErrorKind::Internal, "leased");
            return Err(error.with_source("the call names too many limits"));
        }
        let mut plan = Plan {
            store: self,
            realm: call.realm,
            parts: ArrayVec::new(),
        };
        let most = (self.config.max_leases / SHARDS).max(1);
        let mut book = self.book(call.realm).lock();
        for item in call.items {
            let (counter, size) = (Counter::new(call.realm, item), self.config.size(item));
            let found = book.find(&counter, item.rule, call.now);
            let mut part = Part {
                item: *item,
                counter,
                need: item.cost,
                take: item.cost,
                spent: 0,
                begun: false,
                room: 0,
                new_after: Duration::ZERO,
                expired: found.expired,
            };
            if let Some(lease) = found.lease.filter(|_| size > 0) {
                part.spent = lease.tokens.min(item.cost);
                part.need = item.cost - part.spent;
                part.room = (lease.tokens - part.spent).saturating_add(lease.room);
                part.new_after = lease.new_at.since(call.now);
            }
            part.take = part.need;
            plan.parts.push(part);
        }
        if charge {
            for part in &mut plan.parts {
                book.spend(&part.counter, part.spent);
                let size = self.config.size(&part.item);
                if part.need > 0 && size > part.need {
                    part.begun = book.begin(&part.counter, part.item.rule, call.now, most);
                    part.take = if part.begun { size } else { part.need };
                }
            }
        }
        Ok(plan)
    }

    /// Decides; the plan puts everything back unless it is settled.
    async fn decide(&self, call: &Call<'_>, charge: bool) -> Result<Decision, StoreError> {
        let mut plan = self.plan(call, charge)?;
        plan.refund_expired(call).await;
        if plan.parts.iter().all(|part| part.need == 0) {
            return Ok(plan.settle(call, None, charge));
        }
        let mut answer = plan.ask(call, charge, |part| part.take).await?;
        let mut greedy = plan.parts.iter().any(|part| part.take > part.need);
        if greedy && answer.is_denied() {
            answer = plan.ask(call, charge, |part| part.need).await?;
            greedy = false;
        }
        if !greedy {
            for part in &mut plan.parts {
                part.take = part.need;
            }
        }
        Ok(plan.settle(call, Some(&answer), charge))
    }
}

/// One limit of a check.
#[derive(Debug)]
struct Part<'c> {
    item: Item<'c>,
    counter: Counter,
    /// What leased tokens do not cover.
    need: u32,
    /// What the remote store is asked for: `need`, or a lease.
    take: u32,
    /// What was taken out of the lease.
    spent: u32,
    /// Whether this call is the one that takes a lease.
    begun: bool,
    /// What would be left if the lease decides.
    room: u32,
    new_after: Duration,
    expired: Option<(u32, MonoTime)>,
}

/// What a check is about to do. Dropped before it is settled, it puts back what was taken out of the book.
#[derive(Debug)]
struct Plan<'c, R: Store> {
    store: &'c LeasedStore<R>,
    realm: Realm<'c>,
    parts: ArrayVec<Part<'c>, { Limiter::MAX_LIMITS }>,
}

impl<'c, R: Store> Plan<'c, R> {
    /// Asks the remote store about what the leases do not cover.
    async fn ask(
        &self,
        call: &Call<'c>,
        charge: bool,
        cost: impl Fn(&Part<'c>) -> u32,
    ) -> Result<Decision, StoreError> {
        let lacking = self.parts.iter().filter(|part| part.need > 0);
        let items: ArrayVec<Item<'_>, { Limiter::MAX_LIMITS }> = lacking
            .map(|part| Item {
                cost: cost(part),
                ..part.item
            })
            .collect();
        let call = Call {
            items: &items,
            ..*call
        };
        if charge {
            self.store.remote.check(&call).await
        } else {
            self.store.remote.peek(&call).await
        }
    }

    /// Gives back what has expired, so that it is not denied to whom it belongs. What cannot be given back is lost.
    async fn refund_expired(&self, call: &Call<'c>) {
        for part in &self.parts {
            if let Some((tokens, at)) = part.expired {
                let items = [Item {
                    cost: tokens,
                    ..part.item
                }];
                let call = Call {
                    items: &items,
                    ..*call
                };
                let _ = self.store.remote.refund(&call, at).await;
            }
        }
    }

    /// The decision, and what it does to the book.
    fn settle(mut self, call: &Call<'c>, answer: Option<&Decision>, charge: bool) -> Decision {
        let allowed = answer.is_none_or(Decision::is_allowed);
        let mut remote = answer.map_or(&[][..], Decision::outcomes).iter();
        let parts = std::mem::take(&mut self.parts);
        let mut book = self.store.book(self.realm).lock();
        let outcomes: ArrayVec<Outcome, { Limiter::MAX_LIMITS }> = parts
            .iter()
            .map(|part| {
                let said = (part.need > 0).then(|| remote.next()).flatten();
                let taken = said.filter(|_| allowed && part.begun && part.take > part.need);
                // Before the taking ends, as a lease without tokens is dropped then.
                if charge && !allowed {
                    book.put_back(&part.counter, part.spent);
                }
                if part.begun {
                    let taken = taken.map(|outcome| part.taken(outcome, call.now, self.store.config.ttl));
                    book.end(&part.counter, part.item.rule, taken);
                }
                part.outcome(said)
            })
            .collect();
        Decision::from_outcomes(call.now, outcomes)
    }
}

impl<R: Store> Drop for Plan<'_, R> {
    fn drop(&mut self) {
        if !self.parts.is_empty() {
            let mut book = self.store.book(self.realm).lock();
            for part in &self.parts {
                book.put_back(&part.counter, part.spent);
                if part.begun {
                    book.end(&part.counter, part.item.rule, None);
                }
            }
        }
    }
}

impl Part<'_> {
    fn taken(&self, outcome: &Outcome, at: MonoTime, ttl: Duration) -> Taken {
        let new_after = outcome.reset_after();
        // What was charged to a fixed window is not spent in the next one.
        let fixed = matches!(self.item.rule.algorithm(), Algorithm::FixedWindow { .. });
        Taken {
            tokens: self.take - self.need,
            at,
            lives: if fixed { ttl.min(new_after) } else { ttl },
            room: outcome.remaining(),
            new_after,
        }
    }

    fn outcome(&self, said: Option<&Outcome>) -> Outcome {
        let Item {
            policy, mode, rule, ..
        } = self.item;
        let limit = rule.capacity();
        let Some(said) = said else {
            let room = self.room.min(limit);
            return Outcome::new(
                policy,
                mode,
                true,
                limit,
                room,
                Some(Duration::ZERO),
                self.new_after,
            );
        };
        // What is held here counts as left: of an admitted request what was taken beyond it, of a denied one what
        // the lease still covers.
        let held = if said.admits() {
            self.take - self.need
        } else {
            self.spent
        };
        let room = said.remaining().saturating_add(held).min(limit);
        Outcome::new(
            policy,
            mode,
            said.admits(),
            limit,
            room,
            said.retry_after(),
            said.reset_after(),
        )
    }
}

impl<R: Store> Store for LeasedStore<R> {
    fn register(&self, name: &PolicyName) -> u32 {
        self.remote.register(name)
    }

    async fn check(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        self.decide(call, true).await
    }

    async fn peek(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        self.decide(call, false).await
    }

    async fn refund(&self, call: &Call<'_>, consumed_at: MonoTime) -> Result<(), StoreError> {
        let mut rest = ArrayVec::<Item<'_>, { Limiter::MAX_LIMITS }>::new();
        {
            let mut book = self.book(call.realm).lock();
            for item in call.items.iter().take(Limiter::MAX_LIMITS) {
                let counter = Counter::new(call.realm, item);
                if !book.refund(&counter, item, call.now, consumed_at) {
                    rest.push(*item);
                }
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        self.remote
            .refund(
                &Call {
                    items: &rest,
                    ..*call
                },
                consumed_at,
            )
            .await
    }

    async fn reset(&self, call: &Call<'_>) -> Result<(), StoreError> {
        {
            let mut book = self.book(call.realm).lock();
            for item in call.items {
                book.drop_lease(&Counter::new(call.realm, item));
            }
        }
        self.remote.reset(call).await
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        self.remote.release(release).await
    }

    fn release_detached(&self, release: Release) {
        self.remote.release_detached(release);
    }
}

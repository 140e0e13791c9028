//! Local decisions on tokens that are leased from another store.

use std::hash::BuildHasher;
use std::time::Duration;

use arrayvec::ArrayVec;
use foldhash::fast::FixedState;
use guardian_core::{MonoTime, StoreError, StoreErrorKind};
use parking_lot::Mutex;

use super::{Call, Item, Release, Store};
use crate::{Decision, Limiter, PolicyName, Realm};

mod book;
mod config;
mod plan;

pub use config::LeaseConfig;

use book::{Book, Counter};
use plan::{Part, Plan};

const SHARDS: usize = 16;

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
        Self { remote, config, books: Default::default() }
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
        let hash = realm.tenant().map_or(0, |tenant| FixedState::default().hash_one(tenant.digest()));
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
        let mut plan = Plan { store: self, realm: call.realm, parts: ArrayVec::new() };
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
        self.remote.refund(&Call { items: &rest, ..*call }, consumed_at).await
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

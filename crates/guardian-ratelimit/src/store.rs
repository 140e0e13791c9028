//! Where the counters live: the contract that every store keeps, and the stores that come with the crate.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use guardian_core::{MonoTime, StoreError, TenantId};

use crate::registry::Registry;
use crate::{Decision, Limit, Mode, PermitId, PolicyId, PolicyName, Realm, Rule, Subject};

mod leased;
pub mod memory;
#[cfg(any(feature = "redis", feature = "sqlite", feature = "postgres"))]
mod micros;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;

pub use leased::{LeaseConfig, LeasedStore};

/// One limit as a store sees it: everything that it needs to decide, as data.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "stores read it and their tests make it")]
pub struct Item<'a> {
    /// The policy, for the [`Outcome`](crate::Outcome).
    pub policy: PolicyId,
    /// The number that [`Store::register`] gave for the policy's name.
    pub slot: u32,
    /// The policy's name: its identity in a shared store.
    pub name: &'a PolicyName,
    /// The rule that holds for this subject now, overrides included.
    pub rule: &'a Rule,
    /// Whether the policy denies.
    pub mode: Mode,
    /// Who is counted.
    pub subject: Subject<'a>,
    /// What the request costs; at least 1.
    pub cost: u32,
}

/// One request against all its limits.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "stores read it and their tests make it")]
pub struct Call<'a> {
    /// Whose counters.
    pub realm: Realm<'a>,
    /// The caller's time. A store that several processes share uses its own clock instead, so that processes
    /// whose clocks differ agree.
    pub now: MonoTime,
    /// The limits; 1 to [`Limiter::MAX_LIMITS`](crate::Limiter::MAX_LIMITS), no two for the same counter.
    pub items: &'a [Item<'a>],
    /// The permit to record; present if any rule [holds permits](Rule::holds_permits).
    pub permit: Option<PermitId>,
}

/// A request whose policies were not looked up yet, for stores that can [decide at once](Store::check_at_once).
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub(crate) realm: Realm<'a>,
    pub(crate) limits: &'a [Limit<'a>],
    pub(crate) registry: &'a Registry,
}

impl<'a> Request<'a> {
    /// Whose counters.
    #[must_use]
    pub fn realm(&self) -> Realm<'a> {
        self.realm
    }

    /// The limits as a store sees them, in their order; `None` for one that the limiter wants decided by
    /// [`Store::check`]: its policy was changed while it runs, or there is something to complain about. Whether two
    /// are for the same counter was not looked at.
    pub fn items(&self) -> impl Iterator<Item = Option<Item<'a>>> {
        let Self { realm, limits, registry } = *self;
        limits.iter().map(move |limit| registry.item_as_defined(realm, limit))
    }
}

/// The counters to take a permit from, owned, because it happens later.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "stores read it and their tests make it")]
pub struct Release {
    /// Whose counters; `None` for [`Realm::Shared`].
    pub tenant: Option<TenantId>,
    /// The counters of the concurrency limits that the permit was given for.
    pub counters: Vec<ReleaseCounter>,
    /// The permit.
    pub permit: PermitId,
}

/// One counter of a [`Release`].
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "stores read it and their tests make it")]
pub struct ReleaseCounter {
    /// The number that [`Store::register`] gave.
    pub slot: u32,
    /// The policy's name.
    pub name: PolicyName,
    /// Who is counted.
    pub subject: OwnedSubject,
}

/// A [`Subject`] that owns its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "it mirrors `Subject`")]
pub enum OwnedSubject {
    /// The realm as a whole.
    Whole,
    /// A number.
    Id(u64),
    /// A text.
    Text(Box<str>),
}

impl OwnedSubject {
    /// The subject.
    #[must_use]
    pub fn as_subject(&self) -> Subject<'_> {
        match self {
            Self::Whole => Subject::Whole,
            Self::Id(id) => Subject::Id(*id),
            Self::Text(text) => Subject::Text(text),
        }
    }
}

impl From<Subject<'_>> for OwnedSubject {
    fn from(subject: Subject<'_>) -> Self {
        match subject {
            Subject::Whole => Self::Whole,
            Subject::Id(id) => Self::Id(id),
            Subject::Text(text) => Self::Text(text.into()),
        }
    }
}

impl Release {
    pub(crate) fn realm(&self) -> Realm<'_> {
        self.tenant.as_ref().map_or(Realm::Shared, Realm::Tenant)
    }
}

/// Keeps the counters of rate limits.
///
/// # Contract
/// A counter is named by realm, policy name and subject, each compared exactly. Counters of two tenants, of a
/// tenant and the shared realm, or of two subjects never share anything.
///
/// Every method is atomic: of two concurrent calls one happens entirely before the other, on all their counters.
/// A call that returns an error may or may not have happened, and nothing of it is half done. A missing counter
/// is the same as one on which nothing was ever consumed; a store may forget a counter as soon as the two
/// cannot be told apart.
///
/// `testkit` (feature) has each promise as a law to run against any store.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Announces a policy name and returns the number that later calls pass as [`Item::slot`]: the same number
    /// for the same name. A store that needs none returns 0.
    fn register(&self, name: &PolicyName) -> u32;

    /// Decides what [`check`](Self::check) would, right here, if the store can do so without waiting. An optional
    /// power, for stores in memory: the default declines.
    ///
    /// `decision` is empty when it comes in, and knows the time. `None` declines, with nothing charged and `decision`
    /// left in any state; then `check` is called.
    #[inline]
    fn check_at_once(&self, request: &Request<'_>, decision: &mut Decision) -> Option<()> {
        let _ = (request, decision);
        None
    }

    /// Decides and, if every enforced item admits, charges every item that admits; otherwise charges none.
    fn check(&self, call: &Call<'_>) -> impl Future<Output = Result<Decision, StoreError>> + Send;

    /// Decides the same and charges nothing.
    fn peek(&self, call: &Call<'_>) -> impl Future<Output = Result<Decision, StoreError>> + Send;

    /// Puts back what an allowed check at `consumed_at` charged, as far as it still counts; never makes a counter
    /// better than new. Concurrency limits are released instead.
    fn refund(
        &self,
        call: &Call<'_>,
        consumed_at: MonoTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Makes the counters as good as new, whatever the items' costs.
    fn reset(&self, call: &Call<'_>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends a permit. One that has expired, was released before or never given is nothing to end.
    fn release(&self, release: &Release) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends a permit without waiting, as far as the store can; otherwise the permit ends by itself in its time.
    /// Called when a permit is dropped.
    fn release_detached(&self, release: Release);
}

impl<S: Store> Store for Arc<S> {
    fn register(&self, name: &PolicyName) -> u32 {
        (**self).register(name)
    }

    #[inline(always)]
    fn check_at_once(&self, request: &Request<'_>, decision: &mut Decision) -> Option<()> {
        (**self).check_at_once(request, decision)
    }

    fn check(&self, call: &Call<'_>) -> impl Future<Output = Result<Decision, StoreError>> + Send {
        (**self).check(call)
    }

    fn peek(&self, call: &Call<'_>) -> impl Future<Output = Result<Decision, StoreError>> + Send {
        (**self).peek(call)
    }

    fn refund(
        &self,
        call: &Call<'_>,
        consumed_at: MonoTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        (**self).refund(call, consumed_at)
    }

    fn reset(&self, call: &Call<'_>) -> impl Future<Output = Result<(), StoreError>> + Send {
        (**self).reset(call)
    }

    fn release(&self, release: &Release) -> impl Future<Output = Result<(), StoreError>> + Send {
        (**self).release(release)
    }

    fn release_detached(&self, release: Release) {
        (**self).release_detached(release);
    }
}

/// Any store, chosen while the program runs. A call that the store does not decide [at once](Store::check_at_once) costs an
/// allocation, which is nothing beside a network.
///
/// ```
/// use guardian_ratelimit::{AnyStore, Limiter, MemoryStore};
///
/// let store = AnyStore::new(MemoryStore::new());
/// let limiter: Limiter = Limiter::new(store);
/// # let _ = limiter;
/// ```
#[derive(Debug, Clone)]
pub struct AnyStore(Arc<dyn Erased>);

impl AnyStore {
    /// Erases a store's type.
    #[must_use]
    pub fn new(store: impl Store) -> Self {
        Self(Arc::new(store))
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`Store`] in a form that can be a trait object.
trait Erased: Send + Sync + fmt::Debug + 'static {
    fn register(&self, name: &PolicyName) -> u32;
    fn check_at_once(&self, request: &Request<'_>, decision: &mut Decision) -> Option<()>;
    fn check<'a>(&'a self, call: &'a Call<'a>) -> Boxed<'a, Decision>;
    fn peek<'a>(&'a self, call: &'a Call<'a>) -> Boxed<'a, Decision>;
    fn refund<'a>(&'a self, call: &'a Call<'a>, consumed_at: MonoTime) -> Boxed<'a, ()>;
    fn reset<'a>(&'a self, call: &'a Call<'a>) -> Boxed<'a, ()>;
    fn release<'a>(&'a self, release: &'a Release) -> Boxed<'a, ()>;
    fn release_detached(&self, release: Release);
}

impl<S: Store> Erased for S {
    fn register(&self, name: &PolicyName) -> u32 {
        Store::register(self, name)
    }

    fn check_at_once(&self, request: &Request<'_>, decision: &mut Decision) -> Option<()> {
        Store::check_at_once(self, request, decision)
    }

    fn check<'a>(&'a self, call: &'a Call<'a>) -> Boxed<'a, Decision> {
        Box::pin(Store::check(self, call))
    }

    fn peek<'a>(&'a self, call: &'a Call<'a>) -> Boxed<'a, Decision> {
        Box::pin(Store::peek(self, call))
    }

    fn refund<'a>(&'a self, call: &'a Call<'a>, consumed_at: MonoTime) -> Boxed<'a, ()> {
        Box::pin(Store::refund(self, call, consumed_at))
    }

    fn reset<'a>(&'a self, call: &'a Call<'a>) -> Boxed<'a, ()> {
        Box::pin(Store::reset(self, call))
    }

    fn release<'a>(&'a self, release: &'a Release) -> Boxed<'a, ()> {
        Box::pin(Store::release(self, release))
    }

    fn release_detached(&self, release: Release) {
        Store::release_detached(self, release);
    }
}

impl Store for AnyStore {
    fn register(&self, name: &PolicyName) -> u32 {
        self.0.register(name)
    }

    fn check_at_once(&self, request: &Request<'_>, decision: &mut Decision) -> Option<()> {
        self.0.check_at_once(request, decision)
    }

    async fn check(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        self.0.check(call).await
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

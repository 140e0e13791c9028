//! Where accounts and ledgers live: the contract, and the stores that come with the crate.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use guardian_core::{Scope, StoreError, TenantId, Timestamp};

use crate::account::Account;
use crate::call::Call;
use crate::entry::Entry;
use crate::subscription::Subscription;
use crate::{Decision, Error, FeatureName, Usage};

pub mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;

/// What became of a call.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a call is decided, or it went by another plan")]
pub enum Executed {
    /// It was decided.
    Decided(Decision),
    /// The tenant's subscription was changed meanwhile: nothing happened, ask again with the new one.
    Stale,
}

/// The state of one account, opaque.
#[derive(Debug, Clone, Default)]
pub struct AccountState(pub(crate) Account);

/// The ledger of one tenant's meter, as whoever relays it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "stores make it")]
pub struct Book {
    /// The tenant.
    pub tenant: TenantId,
    /// The meter.
    pub feature: FeatureName,
    /// The number of the last entry.
    pub last: u64,
    /// The number of the last entry that was relayed.
    pub sent: u64,
}

/// Keeps accounts, ledgers and subscriptions.
///
/// The decisions are not a store's business: they are one pure function of the crate, which a store calls on the accounts it
/// has. So the trait is for the crate's own stores, and for wrappers around them.
///
/// # Contract
/// [`execute`](Self::execute) is atomic: the accounts of all levels and the entry change together or not at all, and of two
/// calls on one meter of a tenant one happens entirely before the other. The numbers of entries follow that order, without a
/// gap. A call whose identity is in the ledger already changes nothing and is answered from there, for ever. A call that
/// returns an error of the store may or may not have happened.
///
/// Nothing of one tenant is ever seen by another. `testkit` (feature) has each promise as a law.
pub trait QuotaStore: Send + Sync + fmt::Debug + 'static {
    /// Decides a plain consumption at once, if the store can do so without waiting, nothing about it is special, and the store
    /// decided about the meter before by terms of the same epoch. An optional power, for stores in memory: the default
    /// declines.
    #[inline]
    fn consume_at_once(&self, scope: &Scope, usage: &Usage, epoch: u64, now: Timestamp) -> Option<Decision> {
        let _ = (scope, usage, epoch, now);
        None
    }

    /// Decides a call and, if it is allowed, does it.
    fn execute(&self, call: &Call) -> impl Future<Output = Result<Executed, Error>> + Send;

    /// The states of the accounts that a call would touch; `None` when the subscription was changed meanwhile.
    fn accounts(
        &self,
        call: &Call,
    ) -> impl Future<Output = Result<Option<Vec<AccountState>>, StoreError>> + Send;

    /// At most `limit` entries of a meter's ledger after a number, in their order.
    fn entries(
        &self,
        scope: &Scope,
        feature: &FeatureName,
        after: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;

    /// The tenant's subscription.
    fn subscription(
        &self,
        scope: &Scope,
    ) -> impl Future<Output = Result<Option<Subscription>, StoreError>> + Send;

    /// Keeps a subscription if its revision is one above the one that is kept, and says whether it did.
    fn subscribe(
        &self,
        scope: &Scope,
        subscription: &Subscription,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// At most `limit` ledgers of all tenants that have entries which were not relayed, behind this one in the order of
    /// tenants and meters.
    fn unsent(
        &self,
        after: Option<&Book>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Book>, StoreError>> + Send;

    /// The number of the last entry of a ledger that was relayed.
    fn relayed(
        &self,
        scope: &Scope,
        feature: &FeatureName,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Takes a ledger for relaying until a moment, and says from which entry on and under which fencing number. `None` when
    /// somebody else has it.
    fn claim(
        &self,
        tenant: &TenantId,
        feature: &FeatureName,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<Option<(u64, i64)>, StoreError>> + Send;

    /// Notes that entries up to a number were relayed, and gives the ledger back. `false` when it was taken over.
    fn advance(
        &self,
        tenant: &TenantId,
        feature: &FeatureName,
        fence: i64,
        sent: u64,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

impl<S: QuotaStore> QuotaStore for Arc<S> {
    #[inline]
    fn consume_at_once(&self, scope: &Scope, usage: &Usage, epoch: u64, now: Timestamp) -> Option<Decision> {
        (**self).consume_at_once(scope, usage, epoch, now)
    }

    fn execute(&self, call: &Call) -> impl Future<Output = Result<Executed, Error>> + Send {
        (**self).execute(call)
    }

    fn accounts(
        &self,
        call: &Call,
    ) -> impl Future<Output = Result<Option<Vec<AccountState>>, StoreError>> + Send {
        (**self).accounts(call)
    }

    fn entries(
        &self,
        scope: &Scope,
        feature: &FeatureName,
        after: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send {
        (**self).entries(scope, feature, after, limit)
    }

    fn subscription(
        &self,
        scope: &Scope,
    ) -> impl Future<Output = Result<Option<Subscription>, StoreError>> + Send {
        (**self).subscription(scope)
    }

    fn subscribe(
        &self,
        scope: &Scope,
        subscription: &Subscription,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send {
        (**self).subscribe(scope, subscription)
    }

    fn unsent(
        &self,
        after: Option<&Book>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Book>, StoreError>> + Send {
        (**self).unsent(after, limit)
    }

    fn relayed(
        &self,
        scope: &Scope,
        feature: &FeatureName,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send {
        (**self).relayed(scope, feature)
    }

    fn claim(
        &self,
        tenant: &TenantId,
        feature: &FeatureName,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<Option<(u64, i64)>, StoreError>> + Send {
        (**self).claim(tenant, feature, now, until)
    }

    fn advance(
        &self,
        tenant: &TenantId,
        feature: &FeatureName,
        fence: i64,
        sent: u64,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send {
        (**self).advance(tenant, feature, fence, sent)
    }
}

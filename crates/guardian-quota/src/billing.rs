//! Billing: what was spent goes to a billing system, every bit of it and nothing twice.
//!
//! The ledger is the outbox: an entry is written in the transaction that decides, so that nothing is spent that is not to be
//! billed and nothing billed that was not spent. A [`Relay`] hands the entries over in their order, as often as it takes, each
//! under an id that never changes; the billing system tells repetitions by it, as Stripe's meters (`identifier`) and OpenMeter
//! (`id`, `source`) do.

use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{StoreError, TenantId, Timestamp};
use serde_json::{Value, json};
use siphasher::sip128::{Hasher128, SipHasher13};
use uuid::Uuid;

use crate::entry::{Entry, EntryKind};
use crate::{FeatureName, Period, Subject};

mod invoice;
mod reconcile;
mod relay;

pub use invoice::InvoiceLine;
pub use reconcile::{Reconciliation, ReconciliationRow};
pub use relay::{Progress, Relay, RelayConfig};

/// Something that was spent, as a billing system is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BillingEvent {
    /// Its id: the same whenever and by whomever the entry is relayed.
    pub id: Uuid,
    /// Whose.
    pub tenant: TenantId,
    /// Of which meter.
    pub feature: FeatureName,
    /// By whom.
    pub subject: Subject,
    /// How much; negative of a correction that gives back.
    pub value: i128,
    /// When it was spent.
    pub at: Timestamp,
    /// The period of the organisation that it counts for.
    pub period: Period,
    /// The number of the entry.
    pub entry: u64,
}

/// An id that follows from what it is of.
pub(crate) fn derived(tenant: &TenantId, feature: &FeatureName, seq: u64, more: &[u64]) -> Uuid {
    let mut hasher = SipHasher13::new_with_keys(0, 4);
    for text in [tenant.as_str(), feature.as_str()] {
        hasher.write(text.as_bytes());
        hasher.write(&[0]);
    }
    hasher.write(&seq.to_be_bytes());
    for each in more {
        hasher.write(&each.to_be_bytes());
    }
    uuid::Builder::from_custom_bytes(hasher.finish128().as_u128().to_be_bytes()).into_uuid()
}

impl BillingEvent {
    /// What a billing system is told of an entry; `None` of one that spends nothing, and of a reset, which lifts a limit and
    /// takes no spending back.
    #[must_use]
    pub fn of(tenant: &TenantId, feature: &FeatureName, entry: &Entry) -> Option<Self> {
        if !entry.is_billed() {
            return None;
        }
        Some(Self {
            id: derived(tenant, feature, entry.seq(), &[]),
            tenant: tenant.clone(),
            feature: feature.clone(),
            subject: entry.subject().clone(),
            value: entry.amount(),
            at: entry.at(),
            period: entry.period(),
            entry: entry.seq(),
        })
    }

    /// The body of Stripe's `POST /v1/billing/meter_events`, for a customer of theirs: the meter's event name is the feature.
    ///
    /// ```
    /// # fn shape(event: &guardian_quota::billing::BillingEvent) {
    /// let body = event.to_stripe("cus_N1");
    /// assert_eq!(body["payload"]["stripe_customer_id"], "cus_N1");
    /// # }
    /// ```
    #[must_use]
    pub fn to_stripe(&self, customer: &str) -> Value {
        json!({
            "event_name": self.feature,
            "identifier": self.id,
            "timestamp": self.at.timestamp(),
            "payload": { "stripe_customer_id": customer, "value": self.value.to_string() },
        })
    }

    /// The event as OpenMeter takes it: a CloudEvent (version 1.0 of the specification, JSON format). The type is the
    /// feature, the subject the tenant.
    #[must_use]
    pub fn to_cloud_event(&self, source: &str) -> Value {
        json!({
            "specversion": "1.0",
            "id": self.id,
            "source": source,
            "type": self.feature,
            "subject": self.tenant,
            "time": self.at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
            "datacontenttype": "application/json",
            "data": { "value": self.value.to_string(), "subject": self.subject, "entry": self.entry },
        })
    }
}

impl Entry {
    /// Whether a billing system is told of it.
    #[must_use]
    pub fn is_billed(&self) -> bool {
        self.billed && self.kind.is_spending() && self.kind != EntryKind::Reset && self.amount != 0
    }
}

/// What became of a [`BillingEvent`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Receipt {
    /// The billing system has it, from now or from before.
    Accepted,
    /// It will never take it, and says why. The relay tells the event sink, and goes on.
    Rejected(String),
}

/// A billing system.
///
/// # Contract
/// Events come in the order of their ledger, and come again when an answer got lost: the system keeps one of each id. `Ok` has
/// a receipt for each event, in their order; an error means that nobody knows, and all of them come again.
#[async_trait]
pub trait BillingSink: Send + Sync + fmt::Debug + 'static {
    /// Takes events over.
    ///
    /// # Errors
    /// When it cannot now.
    async fn send(&self, events: &[BillingEvent]) -> Result<Vec<Receipt>, StoreError>;

    /// How much the system has of a tenant's meter in a period, where it can say: for reconciling.
    ///
    /// # Errors
    /// When it cannot be asked now.
    async fn total(
        &self,
        tenant: &TenantId,
        feature: &FeatureName,
        period: Period,
    ) -> Result<Option<i128>, StoreError> {
        let _ = (tenant, feature, period);
        Ok(None)
    }
}

#[async_trait]
impl<B: BillingSink + ?Sized> BillingSink for Arc<B> {
    async fn send(&self, events: &[BillingEvent]) -> Result<Vec<Receipt>, StoreError> {
        (**self).send(events).await
    }

    async fn total(
        &self,
        tenant: &TenantId,
        feature: &FeatureName,
        period: Period,
    ) -> Result<Option<i128>, StoreError> {
        (**self).total(tenant, feature, period).await
    }
}

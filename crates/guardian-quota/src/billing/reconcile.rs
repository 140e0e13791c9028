use std::collections::BTreeMap;

use guardian_core::Scope;

use super::{BillingSink, Relay};
use crate::store::QuotaStore;
use crate::{Error, FeatureName, Period};

/// The ledger beside the billing system.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconciliation {
    /// The meter.
    pub feature: FeatureName,
    /// A row for each period, oldest first.
    pub rows: Vec<ReconciliationRow>,
}

/// One period of a [`Reconciliation`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReconciliationRow {
    /// The period.
    pub period: Period,
    /// What the ledger has to bill.
    pub ledger: i128,
    /// How much of it was handed over.
    pub sent: i128,
    /// How much the billing system says it has; `None` where it cannot say.
    pub acknowledged: Option<i128>,
}

impl ReconciliationRow {
    /// What the billing system lacks of what was handed over; negative where it has more. `None` where it cannot say.
    #[must_use]
    pub fn differing(&self) -> Option<i128> {
        Some(self.sent - self.acknowledged?)
    }

    /// Whether everything was handed over and nothing differs.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.ledger == self.sent && self.differing().is_none_or(|differing| differing == 0)
    }
}

impl<S: QuotaStore, B: BillingSink> Relay<S, B> {
    /// Compares a tenant's meter with the billing system: what is to be billed, what was handed over, and what it says it has.
    /// It reads the whole ledger.
    ///
    /// # Errors
    /// When the store or the billing system fails.
    pub async fn reconcile(&self, scope: &Scope, feature: &str) -> Result<Reconciliation, Error> {
        let feature = FeatureName::new(feature)?;
        let quotas = self.quotas();
        let upto = quotas.store().relayed(scope, &feature).await?;
        let mut sums: BTreeMap<Period, (i128, i128)> = BTreeMap::new();
        let mut after = 0;
        loop {
            let entries = quotas.store().entries(scope, &feature, after, crate::quotas::MAX_ENTRIES).await?;
            let Some(last) = entries.last() else { break };
            after = last.seq();
            for entry in entries.iter().filter(|entry| entry.is_billed()) {
                let (ledger, sent) = sums.entry(entry.period()).or_default();
                *ledger += entry.amount();
                if entry.seq() <= upto {
                    *sent += entry.amount();
                }
            }
        }
        let mut rows = Vec::with_capacity(sums.len());
        for (period, (ledger, sent)) in sums {
            let acknowledged = self.sink().total(scope.tenant(), &feature, period).await?;
            rows.push(ReconciliationRow { period, ledger, sent, acknowledged });
        }
        Ok(Reconciliation { feature, rows })
    }
}

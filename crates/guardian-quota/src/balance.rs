use guardian_core::Timestamp;
use uuid::Uuid;

use crate::account::Account;
use crate::period::moment;
use crate::terms::LevelTerms;
use crate::{FeatureName, GrantBalance, Period, Subject};

/// How an account stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Balance {
    /// The meter.
    pub feature: FeatureName,
    /// The subject.
    pub subject: Subject,
    /// The period; of a rolling window, the window that ends now.
    pub period: Period,
    /// The amount that the period includes; `None` where nothing limits it.
    pub limit: Option<u64>,
    /// What was spent in it.
    pub used: i128,
    /// What is held now. It is not spent.
    pub held: i128,
    /// How much of what was spent or is held goes beyond the limit.
    pub beyond: i128,
    /// How much a call could have now; `None` for any amount.
    pub remaining: Option<i128>,
    /// The grants, in the order in which they are used up. Of those that are used up some may be missing.
    pub grants: Vec<GrantBalance>,
    /// The holds: which, how much, and until when.
    pub holds: Vec<(Uuid, i128, Timestamp)>,
    /// When usage starts anew; `None` for never.
    pub resets_at: Option<Timestamp>,
    /// The highest threshold of the period that was told, in per cent; 0 for none.
    pub told: u16,
    /// What grants of the period had that are missing.
    dropped: i128,
}

impl Balance {
    pub(crate) fn new(
        feature: &FeatureName,
        subject: &Subject,
        terms: &LevelTerms,
        account: &Account,
        now: Timestamp,
    ) -> Self {
        let micros = now.timestamp_micros();
        Self {
            feature: feature.clone(),
            subject: subject.clone(),
            period: match terms.cycle.rolling() {
                Some(_) => terms.cycle.period_at(now),
                None => account.period,
            },
            limit: (!terms.is_unlimited)
                .then(|| u64::try_from(terms.allowance(account.period.start)).unwrap_or(u64::MAX)),
            used: account.used,
            held: account.holds.iter().map(|hold| hold.amount).sum(),
            beyond: account.over,
            remaining: account.available(terms, micros),
            grants: account.grants.iter().map(GrantBalance::from).collect(),
            holds: account.holds.iter().map(|hold| (hold.id, hold.amount, moment(hold.expires))).collect(),
            resets_at: account.resets_at(terms),
            told: account.told,
            dropped: account.dropped,
        }
    }

    /// How many per cent of the limit were spent; `None` where nothing limits it. For people, not for decisions.
    #[must_use]
    pub fn percent(&self) -> Option<i128> {
        let granted: i128 = self.grants.iter().map(|grant| grant.amount).sum();
        let limit = i128::from(self.limit?) + granted + self.dropped;
        (limit > 0).then(|| self.used.saturating_mul(100) / limit)
    }
}

use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid, Version};

use crate::limit::MAX_AMOUNT;
use crate::period::moment;
use crate::{Error, Period};

/// Units given besides what a plan includes: credit that was bought, a top-up, a present.
///
/// Units are taken from grants and from the plan's allowance in the order of priority, the smaller number first; the
/// allowance has [`Self::ALLOWANCE`]. Of one priority the grant that expires first goes first, then the older one.
///
/// ```
/// use guardian_quota::Grant;
///
/// let top_up = Grant::new(50_000)?.with_expiry("2027-01-01T00:00:00Z".parse()?);
/// assert_eq!((top_up.amount(), top_up.priority()), (50_000, Grant::TOP_UP));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub(crate) id: Option<Uuid>,
    pub(crate) amount: u64,
    pub(crate) priority: u8,
    pub(crate) starts: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
}

impl Grant {
    /// The priority of units that were rolled over from the period before.
    pub const ROLLOVER: u8 = 50;
    /// The priority of the plan's allowance.
    pub const ALLOWANCE: u8 = 100;
    /// The priority of a grant that names none: behind the allowance.
    pub const TOP_UP: u8 = 200;

    /// So many units, from now on and without an end.
    ///
    /// # Errors
    /// When it is 0 or above [`MAX_AMOUNT`].
    pub fn new(amount: u64) -> Result<Self, Error> {
        if amount == 0 || amount > MAX_AMOUNT {
            return Err(Error::range("the amount of a grant", "1 to 2^62 - 1"));
        }
        Ok(Self { id: None, amount, priority: Self::TOP_UP, starts: None, expires: None })
    }

    /// The same under an id of the caller's, by which a repetition is known.
    #[must_use]
    pub fn with_id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// The same with another priority.
    #[must_use]
    pub fn with_priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// The same from a later moment on.
    #[must_use]
    pub fn with_start(mut self, starts: Timestamp) -> Self {
        self.starts = Some(starts);
        self
    }

    /// The same with an end: from that moment on what is left is gone.
    #[must_use]
    pub fn with_expiry(mut self, expires: Timestamp) -> Self {
        self.expires = Some(expires);
        self
    }

    /// How many units.
    #[must_use]
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// Which priority.
    #[must_use]
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// As an account keeps it.
    pub(crate) fn opened(&self, id: Uuid, now: Timestamp) -> Result<GrantState, Error> {
        let now = now.timestamp_micros();
        let starts = self.starts.map_or(now, |at| at.timestamp_micros());
        let expires = self.expires.map_or(i64::MAX, |at| at.timestamp_micros());
        if expires <= starts || expires <= now {
            return Err(Error::range("the expiry of a grant", "after its start, and in the future"));
        }
        let amount = i128::from(self.amount);
        Ok(GrantState { id, amount, left: amount, priority: self.priority, starts, expires, created: now })
    }
}

/// A grant in an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GrantState {
    pub(crate) id: Uuid,
    pub(crate) amount: i128,
    /// What was neither spent nor is held.
    pub(crate) left: i128,
    pub(crate) priority: u8,
    pub(crate) starts: i64,
    pub(crate) expires: i64,
    pub(crate) created: i64,
}

impl GrantState {
    /// The order in which grants are used up.
    pub(crate) fn rank(&self) -> (u8, i64, i64, Uuid) {
        (self.priority, self.expires, self.created, self.id)
    }

    pub(crate) fn is_live(&self, now: i64) -> bool {
        self.starts <= now && now < self.expires
    }
}

/// What is left of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrantBalance {
    /// Its id.
    pub id: Uuid,
    /// How many units it had.
    pub amount: i128,
    /// How many are neither spent nor held.
    pub left: i128,
    /// Its priority.
    pub priority: u8,
    /// From when on it can be used.
    pub starts: Timestamp,
    /// From when on it cannot; `None` for never.
    pub expires: Option<Timestamp>,
}

impl From<&GrantState> for GrantBalance {
    fn from(grant: &GrantState) -> Self {
        Self {
            id: grant.id,
            amount: grant.amount,
            left: grant.left,
            priority: grant.priority,
            starts: moment(grant.starts),
            expires: (grant.expires != i64::MAX).then(|| moment(grant.expires)),
        }
    }
}

/// Units taken out of the way until a call is over, see [`Quotas::reserve`](crate::Quotas::reserve).
///
/// A hold is not spending. It ends by itself at its time, whether anybody looks or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hold {
    /// Its id.
    pub id: Uuid,
    /// Of which feature.
    pub feature: crate::FeatureName,
    /// Whose units.
    pub subject: crate::Subject,
    /// How many.
    pub amount: u64,
    /// When it ends by itself.
    pub expires: Timestamp,
}

impl Hold {
    /// Whether it was made by [`Quotas::reserve_for_caller`](crate::Quotas::reserve_for_caller), and not by the host for itself. Its
    /// id says so, of which the ledger knows whether there is such a hold: callers' are UUIDs of version 8, the host's of version 7.
    #[must_use]
    pub fn is_callers(&self) -> bool {
        self.id.get_version_num() == Self::CALLERS
    }

    const CALLERS: usize = 8;

    /// An id of the one kind or the other, whatever the source of ids gives.
    pub(crate) fn mark(id: Uuid, is_callers: bool) -> Uuid {
        let version = if is_callers { Version::Custom } else { Version::SortRand };
        Builder::from_bytes(id.into_bytes()).with_version(version).into_uuid()
    }
}

/// A hold in an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HoldState {
    pub(crate) id: Uuid,
    pub(crate) amount: i128,
    pub(crate) parts: Parts,
    pub(crate) expires: i64,
    /// The period that it was opened in, which is the one that its commit counts for.
    pub(crate) period: Period,
}

/// What an amount is made of. Negative where something is given back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Parts {
    /// From the plan's allowance of the period.
    #[serde(default, rename = "a")]
    pub(crate) allowance: i128,
    /// Beyond everything: soft, grace or overage.
    #[serde(default, rename = "o", skip_serializing_if = "is_zero")]
    pub(crate) over: i128,
    /// From grants.
    #[serde(default, rename = "g", skip_serializing_if = "Vec::is_empty")]
    pub(crate) grants: Vec<(Uuid, i128)>,
}

pub(crate) fn is_zero(amount: &i128) -> bool {
    *amount == 0
}

impl Parts {
    pub(crate) fn total(&self) -> i128 {
        self.allowance + self.over + self.grants.iter().map(|(_, amount)| amount).sum::<i128>()
    }
}

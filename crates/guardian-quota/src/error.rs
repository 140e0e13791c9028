use guardian_core::{StoreError, shorten};

use crate::name::InvalidName;
use crate::subject::InvalidSubject;

/// Why no decision could be made. A denial is none of these: it is a [`Decision`](crate::Decision).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name or a key is none.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A subject is none.
    #[error(transparent)]
    Subject(#[from] InvalidSubject),
    /// A plan, a limit or a cadence is none.
    #[error(transparent)]
    Plan(#[from] InvalidPlan),
    /// The catalog of this process has no such plan.
    #[error("this process has no plan `{0}`: pass it to `Quotas::new` or `define` it")]
    UnknownPlan(String),
    /// The tenant's plan has no such feature.
    #[error("the plan `{plan}` has no feature `{feature}`")]
    UnknownFeature {
        /// The plan.
        plan: String,
        /// The feature.
        feature: String,
    },
    /// The feature has no meter, or one that cannot do this.
    #[error("the feature `{feature}` {why}")]
    WrongKind {
        /// The feature.
        feature: String,
        /// What is wrong about it.
        why: &'static str,
    },
    /// The tenant has no subscription.
    #[error("the tenant `{0}` has no subscription: give it one with `subscribe`")]
    NoSubscription(String),
    /// The tenant was given its subscription before.
    #[error("the tenant `{0}` has a subscription already: use `change_plan`")]
    AlreadySubscribed(String),
    /// The subscription is not at the revision that the change was to start from.
    #[error("the subscription was changed meanwhile, and is at the revision {revision}: read it again")]
    Changed {
        /// The revision that it is at.
        revision: u64,
    },
    /// The id of an event was used before, for something else.
    #[error("the key `{key}` was used before, for something else")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// The hold was committed or released before, in another way.
    #[error("the hold `{hold}` was {}", closed(*.committed))]
    HoldClosed {
        /// The hold.
        hold: uuid::Uuid,
        /// The amount that it was committed with; `None` when it was released.
        committed: Option<i128>,
    },
    /// There is no such hold.
    #[error("there is no hold `{hold}`")]
    UnknownHold {
        /// The hold.
        hold: uuid::Uuid,
    },
    /// An amount, a time or a number is out of its range.
    #[error("{what} is out of range: {why}")]
    OutOfRange {
        /// Which one.
        what: &'static str,
        /// What the range is.
        why: &'static str,
    },
    /// A correction would take back more than was used.
    #[error("the correction is out of range: at most {used}, which were used in the period by `{subject}`")]
    MoreThanUsed {
        /// Whose account has no more: the subject of the call, or one above it.
        subject: String,
        /// What it used in the period.
        used: i128,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    pub(crate) fn range(what: &'static str, why: &'static str) -> Self {
        Self::OutOfRange { what, why }
    }

    pub(crate) fn kind(feature: &crate::FeatureName, why: &'static str) -> Self {
        Self::WrongKind { feature: feature.to_string(), why }
    }
}

fn closed(committed: Option<i128>) -> String {
    match committed {
        Some(amount) => format!("committed with {amount} before"),
        None => "released before".to_owned(),
    }
}

/// A plan that is none, or a part of one; says where and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct InvalidPlan {
    /// What is wrong, and of what; empty where the reason says it.
    place: String,
    why: String,
}

impl InvalidPlan {
    pub(crate) fn new(place: impl Into<String>, why: impl Into<String>) -> Self {
        Self { place: place.into(), why: why.into() }
    }

    /// Of a time zone that the zone database lacks.
    pub(crate) fn zone(name: &str) -> Self {
        let name = shorten(name);
        Self::new("", format!("there is no time zone `{name}`: write an IANA name such as `Europe/Vienna`"))
    }

    fn text(&self) -> String {
        if self.place.is_empty() { self.why.clone() } else { format!("invalid {}: {}", self.place, self.why) }
    }

    pub(crate) fn within(mut self, outer: &str) -> Self {
        self.place = format!("{} of `{}`", self.place, shorten(outer));
        self
    }
}

use guardian_core::StoreError;

use crate::name::{InvalidName, shown};
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
    /// The catalog has no such plan.
    #[error("there is no plan `{0}`")]
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
    #[error("the tenant `{0}` has no subscription")]
    NoSubscription(String),
    /// The id of an event was used before, for something else.
    #[error("the key `{key}` was used before, for something else")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// The hold was committed or released before, in another way.
    #[error("the hold `{hold}` was closed before, in another way")]
    HoldClosed {
        /// The hold.
        hold: uuid::Uuid,
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

/// A plan that is none; says where and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {place}: it has {why}")]
pub struct InvalidPlan {
    place: String,
    why: String,
}

impl InvalidPlan {
    pub(crate) fn new(place: impl Into<String>, why: impl Into<String>) -> Self {
        Self { place: place.into(), why: why.into() }
    }

    pub(crate) fn within(mut self, outer: &str) -> Self {
        self.place = format!("{} of `{}`", self.place, shown(outer));
        self
    }
}

use guardian_core::{Actor, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::grant::{GrantState, Parts};
use crate::period::moment;
use crate::{EventKey, Level, Period, Subject};

/// What an entry of the ledger says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EntryKind {
    /// Units were given.
    Grant,
    /// Units were held.
    Reserve,
    /// A hold was prolonged.
    Extend,
    /// A hold became spending.
    Commit,
    /// A hold was given up.
    Release,
    /// Units were spent.
    Consume,
    /// Spending was corrected, or came late into a period that was over.
    Adjust,
    /// The spending of a period was set to nothing.
    Reset,
}

impl EntryKind {
    /// The kind as text: `consume`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Reserve => "reserve",
            Self::Extend => "extend",
            Self::Commit => "commit",
            Self::Release => "release",
            Self::Consume => "consume",
            Self::Adjust => "adjust",
            Self::Reset => "reset",
        }
    }

    /// Whether it changes what was spent.
    #[must_use]
    pub fn is_spending(self) -> bool {
        matches!(self, Self::Commit | Self::Consume | Self::Adjust | Self::Reset)
    }
}

/// One line of the ledger of a tenant's meter. Lines are added and never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    #[serde(rename = "n")]
    pub(crate) seq: u64,
    #[serde(rename = "s")]
    pub(crate) subject: Subject,
    #[serde(rename = "k")]
    pub(crate) kind: EntryKind,
    #[serde(rename = "q")]
    pub(crate) amount: i128,
    #[serde(rename = "t")]
    pub(crate) at: i64,
    #[serde(rename = "r")]
    pub(crate) recorded: i64,
    #[serde(rename = "by")]
    pub(crate) actor: Actor,
    /// Whether the meter was billed when this was written.
    #[serde(rename = "b", default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) billed: bool,
    #[serde(rename = "e")]
    pub(crate) effects: Effects,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub(crate) extra: Option<Box<Extra>>,
}

/// What an entry does to the accounts of its subject and of those above.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Effects {
    /// The amount was spent of the allowance of this period, at each of these levels (a bit each, the organisation's lowest).
    #[serde(rename = "p")]
    Plain(Period, u8),
    #[serde(rename = "d")]
    Detailed(Box<[Effect]>),
}

/// What an entry does to one account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Effect {
    #[serde(rename = "l")]
    pub(crate) level: Level,
    #[serde(rename = "p")]
    pub(crate) period: Period,
    #[serde(rename = "m", default)]
    pub(crate) parts: Parts,
    /// Grants that unused units became on the way.
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) rolled: Vec<GrantState>,
    /// The period whose usage counts for this one from now on, because a change of plan moved its bounds.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Period>,
    /// Thresholds, in per cent, that were reached for the first time in the period.
    #[serde(rename = "t", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) told: Vec<u16>,
    /// What the thresholds are per cent of.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<i128>,
    /// What was spent afterwards.
    #[serde(rename = "u", default)]
    pub(crate) used: i128,
}

/// What few entries have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Extra {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<EventKey>,
    #[serde(default)]
    pub(crate) fingerprint: u128,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<u128>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hold: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grant: Option<GrantState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<Box<str>>,
}

impl Entry {
    /// Its number among the entries of the tenant's meter, from 1 without a gap.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Whose usage it is.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What it says.
    #[must_use]
    pub fn kind(&self) -> EntryKind {
        self.kind
    }

    /// The amount: that of a meter that does not add up is what was reported; a correction may be negative.
    #[must_use]
    pub fn amount(&self) -> i128 {
        self.amount
    }

    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        moment(self.at)
    }

    /// When it was written.
    #[must_use]
    pub fn recorded(&self) -> Timestamp {
        moment(self.recorded)
    }

    /// Who did it.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The caller's id of the event, if there was one.
    #[must_use]
    pub fn key(&self) -> Option<&EventKey> {
        self.extra.as_ref()?.key.as_ref()
    }

    /// The hold that it is about.
    #[must_use]
    pub fn hold(&self) -> Option<Uuid> {
        self.extra.as_ref()?.hold
    }

    /// Why, of a correction.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.extra.as_ref()?.note.as_deref()
    }

    /// The period of the organisation's account that it counts for.
    #[must_use]
    pub fn period(&self) -> Period {
        match &self.effects {
            Effects::Plain(period, _) => *period,
            Effects::Detailed(effects) => {
                effects.first().map_or(Period { start: i64::MIN, end: i64::MAX }, |effect| effect.period)
            }
        }
    }

    /// How much went beyond the limit of the organisation.
    #[must_use]
    pub fn beyond(&self) -> i128 {
        match &self.effects {
            Effects::Plain(..) => 0,
            Effects::Detailed(effects) => effects.first().map_or(0, |effect| effect.parts.over),
        }
    }

    /// The thresholds that it reached, with their level, the per cent, and of how much.
    pub(crate) fn told(&self) -> impl Iterator<Item = (&Effect, u16)> {
        let effects: &[Effect] = match &self.effects {
            Effects::Plain(..) => &[],
            Effects::Detailed(effects) => effects,
        };
        effects.iter().flat_map(|effect| effect.told.iter().map(move |percent| (effect, *percent)))
    }

    pub(crate) fn value(&self) -> Option<u128> {
        self.extra.as_ref()?.value
    }

    pub(crate) fn fingerprint(&self) -> u128 {
        self.extra.as_ref().map_or(0, |extra| extra.fingerprint)
    }
}

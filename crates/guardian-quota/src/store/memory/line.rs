//! Entries as memory keeps them: most are plain, and take a cache line.

use std::borrow::Cow;

use guardian_core::Actor;

use crate::entry::{Effects, Entry, EntryKind};
use crate::{Period, Subject};

/// An entry. Its number follows from its place.
#[derive(Debug)]
pub(super) enum Line {
    /// Something consumed of the allowance alone, when it was written, with nothing else to say about it.
    Plain(PlainLine),
    Full(Box<Entry>),
}

#[derive(Debug)]
pub(super) struct PlainLine {
    pub(super) subject: Subject,
    pub(super) actor: Actor,
    pub(super) at: i64,
    pub(super) amount: u64,
    /// The place of its period among those of the ledger.
    pub(super) period: u32,
    pub(super) levels: u8,
    pub(super) billed: bool,
}

impl Line {
    /// The entry of a number; `periods` are those of the ledger.
    pub(super) fn entry(&self, seq: u64, periods: &[Period]) -> Option<Cow<'_, Entry>> {
        let line = match self {
            Self::Full(entry) => return Some(Cow::Borrowed(entry)),
            Self::Plain(line) => line,
        };
        let period = *periods.get(usize::try_from(line.period).ok()?)?;
        Some(Cow::Owned(Entry {
            seq,
            subject: line.subject.clone(),
            kind: EntryKind::Consume,
            amount: line.amount.into(),
            at: line.at,
            recorded: line.at,
            actor: line.actor.clone(),
            billed: line.billed,
            effects: Effects::Plain(period, line.levels),
            extra: None,
        }))
    }

    /// The key of the entry, if it has one.
    pub(super) fn key(&self) -> Option<&crate::EventKey> {
        match self {
            Self::Full(entry) => entry.key(),
            Self::Plain(_) => None,
        }
    }
}

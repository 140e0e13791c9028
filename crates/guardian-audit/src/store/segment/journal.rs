//! What the journal says: the batches that are not in a sealed file yet.

use guardian_core::TenantId;

use super::number::{Input, put, put_bytes, wide};
use crate::store::Draft;

const EVENTS: u8 = 1;

/// One frame of the journal: events that were appended together.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) base: u64,
    pub(crate) recorded: i64,
    pub(crate) events: Vec<Event<'a>>,
}

/// An event in the journal.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) body: &'a [u8],
    /// The terms that cannot be told from the body.
    pub(crate) blind: Vec<&'a str>,
}

/// Writes the frame of events that are appended together.
pub(crate) fn write<'d>(
    out: &mut Vec<u8>,
    tenant: &TenantId,
    base: u64,
    recorded: i64,
    drafts: impl ExactSizeIterator<Item = &'d Draft>,
) {
    out.push(EVENTS);
    put_bytes(out, tenant.as_str().as_bytes());
    put(out, base);
    out.extend_from_slice(&recorded.to_le_bytes());
    put(out, wide(drafts.len()));
    for draft in drafts {
        put_bytes(out, &draft.body);
        put(out, wide(draft.blind.len()));
        draft.blind.iter().for_each(|term| put_bytes(out, term.as_bytes()));
    }
}

/// Reads a frame; `None` when it is not one.
pub(crate) fn read(payload: &[u8]) -> Option<Entry<'_>> {
    let mut input = Input(payload);
    let [kind] = input.array()?;
    let tenant = TenantId::new(std::str::from_utf8(input.bytes()?).ok()?).ok()?;
    if kind != EVENTS {
        return None;
    }
    let base = input.number()?;
    let recorded = i64::from_le_bytes(input.array()?);
    let count = input.size()?;
    let mut events = Vec::with_capacity(count.min(4_096));
    for _ in 0..count {
        let body = input.bytes()?;
        let blind = (0..input.size()?).map(|_| std::str::from_utf8(input.bytes()?).ok());
        events.push(Event { body, blind: blind.collect::<Option<_>>()? });
    }
    input.0.is_empty().then_some(Entry { tenant, base, recorded, events })
}

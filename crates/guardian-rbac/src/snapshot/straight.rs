//! The straight way: what nearly every check is, in few instructions.
//!
//! It is for somebody with grants of their own alone, one area, and roles without special rules about the permission. Whatever
//! else there is sends the check the general way, which begins anew; the tests hold both against the naive model.

use guardian_core::Timestamp;

use super::areas::TENANT;
use super::people::{Brief, Slot};
use super::{AreaTable, Snapshot};
use crate::{Outcome, Resource};

/// What was decided, and the place of the grant that it rests on.
pub(crate) type Straight = (Outcome, Option<usize>);

impl Snapshot {
    /// The decision, if it lies on the straight way.
    #[inline]
    pub(crate) fn straight(
        &self,
        person: Brief<'_>,
        (word, mask): (usize, u64),
        within: &[u32],
        time: Timestamp,
    ) -> Option<Straight> {
        if person.linked || !self.people.only_own() {
            return None;
        }
        if person.slots.len() == 1 {
            // Whose role says nothing about it needs no look at the grant itself.
            let cell = self.roles.cell(person.role, word);
            if (cell.allow | cell.deny | cell.special) & mask == 0 {
                return Some((Outcome::NotPermitted, None));
            }
        }
        let mut allow = None;
        let mut missed = false;
        for (at, slot) in person.slots.iter().enumerate() {
            let cell = self.roles.cell(slot.role, word);
            if (cell.allow | cell.deny | cell.special) & mask == 0 {
                continue;
            }
            if slot.cold || cell.special & mask != 0 {
                return None;
            }
            if slot.area != TENANT && !within.contains(&slot.area) {
                continue;
            }
            if slot.timed {
                let now = time.timestamp_micros();
                if now < slot.from || now >= slot.until {
                    missed = true;
                    continue;
                }
            }
            if cell.deny & mask != 0 {
                slot.touch();
                return Some((Outcome::Forbidden, Some(at)));
            }
            allow = allow.or(Some(at));
        }
        match allow {
            Some(at) => {
                if let Some(slot) = person.slots.get(at) {
                    Slot::touch(slot);
                }
                Some((Outcome::Allow, Some(at)))
            }
            // When it was or will be, the general way finds out.
            None if missed => None,
            None => Some((Outcome::NotPermitted, None)),
        }
    }
}

/// The one area that a resource lies in, with all above it; nothing for the tenant as a whole, `None` where there are several.
#[inline]
pub(crate) fn single<'s>(areas: &'s AreaTable, resource: &Resource<'_>) -> Option<&'s [u32]> {
    let own = resource.own.and_then(|(kind, id)| areas.find(kind, id));
    let given = match resource.within {
        [] => None,
        [area] => areas.find(area.kind(), area.id()),
        _ => return None,
    };
    match (own, given) {
        (Some(_), Some(_)) => None,
        (Some(area), None) | (None, Some(area)) => Some(areas.within(area)),
        (None, None) => Some(&[]),
    }
}

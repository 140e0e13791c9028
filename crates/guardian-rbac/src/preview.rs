//! What a change would mean to people, before it is made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use guardian_core::Timestamp;
use serde::Serialize;

use crate::snapshot::people::Person;
use crate::snapshot::walk::{Places, Walk};
use crate::{Area, Outcome, Permission, PermissionHandle, Principal, Snapshot};

/// Somebody gains or loses a permission in an area.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// Who; `None` for everyone.
    pub principal: Option<Principal>,
    /// What.
    pub permission: Permission,
    /// Where: the tenant as a whole, or an area that the policy names.
    pub area: Area,
    /// The answer before.
    pub before: Outcome,
    /// The answer after.
    pub after: Outcome,
}

impl Difference {
    /// Whether it is allowed after and was not before.
    #[must_use]
    pub fn is_gain(&self) -> bool {
        self.after.is_allowed() && !self.before.is_allowed()
    }

    /// Whether it was allowed before and is not after.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        self.before.is_allowed() && !self.after.is_allowed()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.principal.as_ref().map_or_else(|| "everyone".to_owned(), ToString::to_string);
        let verb = if self.is_gain() { "gains" } else { "loses" };
        write!(
            f,
            "{who} {verb} {} in {} ({} before, {} after)",
            self.permission, self.area, self.before, self.after
        )
    }
}

/// Who gains and who loses what, in the tenant as a whole and in the areas in which somebody has something; conditions that
/// need facts count as not met.
///
/// O(principals), and for those for whom something is new O(permissions × their areas).
#[must_use]
pub fn difference(before: &Snapshot, after: &Snapshot, now: Timestamp) -> Vec<Difference> {
    let mut found = Vec::new();
    let new = News::of(before, after);
    let mut names: BTreeMap<String, &Principal> = BTreeMap::new();
    for (name, person) in after.people.iter() {
        let known = before.people.find(name.borrowed()).and_then(|at| before.people.person(at));
        if new.concerns(known.unwrap_or_default(), person) {
            names.insert(name.to_string(), name);
        }
    }
    for (name, _) in before.people.iter() {
        if after.people.find(name.borrowed()).is_none() {
            names.insert(name.to_string(), name);
        }
    }
    if new.concerns(before.people.everyone(), after.people.everyone()) {
        compare(None, before, after, now, &mut found);
    }
    for name in names.into_values() {
        compare(Some(name), before, after, now, &mut found);
    }
    found
}

/// What is new for whoever has it.
struct News {
    roles: Vec<bool>,
    groups: bool,
    all: bool,
}

impl News {
    fn of(before: &Snapshot, after: &Snapshot) -> Self {
        let count = before.roles.len().max(after.roles.len());
        let roles = (0..crate::snapshot::roles::number(count))
            .map(|role| {
                let of = |snapshot: &Snapshot| {
                    let closure = snapshot.roles.closure(role);
                    let rules = |at: &u32| snapshot.roles.source(*at).map(|role| role.rules.clone());
                    closure.iter().map(rules).collect::<Vec<_>>()
                };
                of(before) != of(after)
            })
            .collect();
        let all = before.areas.len() != after.areas.len()
            || (0..crate::snapshot::roles::number(after.areas.len()))
                .any(|area| before.areas.within(area) != after.areas.within(area));
        Self { roles, groups: !before.people.same_groups(&after.people), all }
    }

    fn concerns(&self, before: Person<'_>, after: Person<'_>) -> bool {
        if self.all || before.links != after.links || (self.groups && !after.links.is_empty()) {
            return true;
        }
        let grants = |person: Person<'_>| -> Vec<_> {
            let rows = person.slots.iter().map(|slot| (slot.role, slot.area, slot.from, slot.until));
            rows.collect()
        };
        let conditions = |person: Person<'_>| -> Vec<_> {
            person
                .cold
                .iter()
                .map(|cold| cold.chain.iter().map(|grant| grant.id).collect::<Vec<_>>())
                .collect()
        };
        let is_new = |role: u32| self.roles.get(role as usize).copied().unwrap_or(true);
        let shared = after.links.iter().any(|_| self.roles.contains(&true));
        shared
            || after.slots.iter().any(|slot| is_new(slot.role))
            || grants(before) != grants(after)
            || conditions(before) != conditions(after)
    }
}

fn compare(
    who: Option<&Principal>,
    before: &Snapshot,
    after: &Snapshot,
    now: Timestamp,
    found: &mut Vec<Difference>,
) {
    let person = |snapshot: &Snapshot| -> Option<(u32, u32)> { snapshot.people.find(who?.borrowed()) };
    let mut areas: BTreeSet<Area> = BTreeSet::from([Area::tenant()]);
    for snapshot in [before, after] {
        let ask = who.map_or(crate::snapshot::NOBODY, |who| who.borrowed());
        snapshot.each_grant(ask, |slot, _, _| areas.extend(snapshot.areas.name(slot.area).cloned()));
        areas.extend(snapshot.areas_of_rules());
    }
    for area in areas {
        for (handle, permission) in after.catalog().permissions() {
            let outcome = |snapshot: &Snapshot| -> Outcome {
                outcome_at(snapshot, person(snapshot), handle, &area, now)
            };
            let (before, after) = (outcome(before), outcome(after));
            if before.is_allowed() != after.is_allowed() {
                let (principal, permission) = (who.cloned(), permission.clone());
                found.push(Difference { principal, permission, area: area.clone(), before, after });
            }
        }
    }
}

fn outcome_at(
    snapshot: &Snapshot,
    who: Option<(u32, u32)>,
    permission: PermissionHandle,
    area: &Area,
    now: Timestamp,
) -> Outcome {
    let at = snapshot.areas.find(area.kind(), area.id());
    let places = Places::one(at.map(|at| snapshot.areas.within(at)).unwrap_or_default());
    let walk = Walk::new(snapshot, permission, &places, now, None, at, None);
    walk.outcome_of(who.and_then(|who| snapshot.people.person(who)).unwrap_or_default())
}

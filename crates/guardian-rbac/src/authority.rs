//! Nobody gives more than they hold: the rule of Kubernetes against escalation, for every change of a policy.
//!
//! A change is looked at for what anybody gains by it: what a grant gives, what a prohibition that goes no longer takes, what an
//! area brings that another comes to lie in. Whoever makes the change must hold all of that already, in that place, for as long,
//! and without conditions. The judgement is on the safe side: what cannot be told to be held is not.

use std::collections::BTreeSet;

use guardian_core::Timestamp;

use crate::catalog::{BIND, ESCALATE, REVIEW, WRITE_AREAS, WRITE_CONSTRAINTS, WRITE_GRANTS, WRITE_ROLES};
use crate::policy::Key;
use crate::snapshot::Snapshot;
use crate::snapshot::areas::TENANT;
use crate::{
    Area, Ask, Error, Grant, GrantId, Item, Membership, PermissionHandle, Place, Policy, Principal, Resource,
    Role, Rule, Subject, Window,
};

/// A thing before and after a change.
#[derive(Debug)]
pub(crate) struct Edit {
    pub(crate) before: Option<Item>,
    pub(crate) after: Option<Item>,
}

/// Who makes a change, and what is known about the policy before it and after it.
pub(crate) struct Authority<'a> {
    pub(crate) actor: &'a Principal,
    pub(crate) before: &'a Snapshot,
    pub(crate) after: &'a Snapshot,
    /// The policy with the change made.
    pub(crate) policy: &'a Policy,
    /// Of the grants that were passed on those that held before.
    pub(crate) held_before: &'a BTreeSet<GrantId>,
    pub(crate) now: Timestamp,
}

impl Authority<'_> {
    /// Whether the actor may make these edits.
    pub(crate) fn allows(&self, edits: &[Edit]) -> Result<(), Error> {
        let mut related = false;
        for edit in edits {
            match (&edit.before, &edit.after) {
                (before, Some(Item::Role(role))) => {
                    related = true;
                    let before = before
                        .as_ref()
                        .and_then(|item| if let Item::Role(role) = item { Some(role) } else { None });
                    self.role(before, role)?;
                }
                (Some(Item::Role(_)), None) => self.may(WRITE_ROLES, &Area::tenant())?,
                (Some(Item::Grant(before)), Some(Item::Grant(grant))) if is_certified(before, grant) => {
                    self.may(REVIEW, &grant.area)?;
                }
                (before, Some(Item::Grant(grant))) => {
                    if let Some(Item::Grant(before)) = before {
                        self.loses_grant(before)?;
                    }
                    self.gains_grant(grant)?;
                }
                (Some(Item::Grant(grant)), None) => self.loses_grant(grant)?,
                (before, Some(Item::Membership(membership))) => {
                    self.may(WRITE_GRANTS, &Area::tenant())?;
                    if let Some(Item::Membership(before)) = before {
                        self.membership(before, false)?;
                    }
                    self.membership(membership, true)?;
                }
                (Some(Item::Membership(membership)), None) => {
                    self.may(WRITE_GRANTS, &Area::tenant())?;
                    self.membership(membership, false)?;
                }
                (Some(Item::Place(place)), _) | (None, Some(Item::Place(place))) => {
                    related = true;
                    self.place(place)?;
                }
                (Some(Item::Constraint(_)), _) | (None, Some(Item::Constraint(_))) => {
                    self.may(WRITE_CONSTRAINTS, &Area::tenant())?;
                }
                (None, None) => {}
                // One key never finds things of two kinds; should it, nobody but the host may do that.
                _ => self.may("the host's own", &Area::tenant())?,
            }
        }
        if related { self.awakened() } else { Ok(()) }
    }

    fn has(&self, permission: &str, area: &Area) -> bool {
        let ask = Ask::new(self.actor, permission).on(Resource::area(area));
        self.before.check(&ask, self.now).is_ok_and(|decision| decision.is_allowed())
    }

    fn may(&self, permission: &str, area: &Area) -> Result<(), Error> {
        if self.has(permission, area) {
            return Ok(());
        }
        Err(Error::NotAllowed {
            actor: self.actor.clone(),
            permission: permission.to_owned(),
            area: area.clone(),
        })
    }

    /// Every role that changes by the edit of one must not become more than the actor holds everywhere, for good.
    fn role(&self, before: Option<&Role>, role: &Role) -> Result<(), Error> {
        self.may(WRITE_ROLES, &Area::tenant())?;
        if self.has(ESCALATE, &Area::tenant()) {
            return Ok(());
        }
        let Some(edited) = self.after.roles.index(&role.id) else { return Ok(()) };
        let everywhere = |bits: &[u64]| self.hold(bits, &Area::tenant(), &Window::always(), None);
        let emergency = role.break_glass > before.and_then(|role| role.break_glass);
        if emergency {
            everywhere(&self.after.roles.extent(edited).0)?;
        }
        for at in 0..crate::snapshot::roles::number(self.after.roles.len()) {
            if self.after.roles.includes(at, edited) || self.before.roles.includes(at, edited) {
                everywhere(&self.gained(at))?;
            }
        }
        Ok(())
    }

    /// What whoever has this role has after the change that they did not have for certain before.
    fn gained(&self, role: u32) -> Vec<u64> {
        let (before, after) = (&self.before.roles, &self.after.roles);
        let special = |table: &crate::snapshot::roles::RoleTable| -> Vec<(u32, Vec<Rule>)> {
            let rules = |holder: &u32| {
                let rules = table.source(*holder).map(|role| role.rules.clone()).unwrap_or_default();
                (*holder, rules.into_iter().filter(|rule| !rule.is_plain()).collect())
            };
            table.with_special(role).iter().map(rules).collect()
        };
        let changed = special(before) != special(after);
        let (_, deny_before) = before.extent(role);
        let (allow_after, _) = after.extent(role);
        let plain_before = before.row(role);
        (0..after.words())
            .map(|word| {
                let bits = |all: &[u64]| all.get(word).copied().unwrap_or(0);
                let old = plain_before.get(word).copied().unwrap_or_default();
                let new = after.cell(role, word);
                let given = if changed { bits(&allow_after) } else { new.allow } & !old.allow;
                let no_longer_taken = if changed { bits(&deny_before) } else { old.deny };
                // What is taken from everybody who has the role is gained by nobody.
                (given | no_longer_taken) & !new.deny
            })
            .collect()
    }

    fn gains_grant(&self, grant: &Grant) -> Result<(), Error> {
        if grant.break_glass {
            // Its own rule was looked at; see `break_glass`.
            return Ok(());
        }
        if let Some(parent) = grant.parent {
            return self.passes_on(grant, parent);
        }
        self.may(WRITE_GRANTS, &grant.area)?;
        if self.has(BIND, &grant.area) {
            return Ok(());
        }
        self.hold(&self.gives(grant), &grant.area, &grant.window, None)
    }

    /// What whoever has the grant's role may come to have.
    fn gives(&self, grant: &Grant) -> Vec<u64> {
        let roles = &self.after.roles;
        let Some(role) = roles.index(&grant.role) else { return Vec::new() };
        let (allow, _) = roles.extent(role);
        allow.iter().zip(roles.row(role)).map(|(allow, cell)| allow & !cell.deny).collect()
    }

    fn takes(&self, grant: &Grant) -> Vec<u64> {
        let roles = &self.before.roles;
        roles.index(&grant.role).map(|role| roles.extent(role).1).unwrap_or_default()
    }

    fn passes_on(&self, grant: &Grant, parent: GrantId) -> Result<(), Error> {
        let not = |why| Err(Error::NotDelegable { grant: parent, why });
        let Some(parent) = self.policy.grant(parent) else {
            return Err(Error::UnknownGrant { grant: parent });
        };
        if parent.subject != Subject::Principal(self.actor.clone()) {
            return not("it is not the actor's own");
        }
        if parent.depth == 0 {
            return not("it may not be passed on");
        }
        if grant.depth >= parent.depth {
            return not("it would be passed on more often than it may be");
        }
        if parent.break_glass {
            return not("it was taken in an emergency");
        }
        let mut chain = Some(parent);
        while let Some(grant) = chain {
            if grant.condition.is_some() {
                return not("it has a condition");
            }
            chain = grant.parent.and_then(|parent| self.policy.grant(parent));
        }
        let roles = &self.before.roles;
        let (Some(held), Some(given)) = (roles.index(&parent.role), roles.index(&grant.role)) else {
            return not("its role is gone");
        };
        if !roles.includes(held, given) {
            return not("its role does not include the one that is given");
        }
        if !self.lies_in(&grant.area, &parent.area) {
            return not("its area does not include the one that is given");
        }
        if !self.covers_remaining(&parent.window, &grant.window) {
            return not("its window does not include the one that is given");
        }
        self.hold(&self.gives(grant), &grant.area, &grant.window, Some(parent.id))
    }

    fn lies_in(&self, area: &Area, other: &Area) -> bool {
        if other.is_tenant() || area == other {
            return true;
        }
        let areas = &self.before.areas;
        match (areas.find(area.kind(), area.id()), areas.find(other.kind(), other.id())) {
            (Some(area), Some(other)) => areas.lies_in(area, other),
            _ => false,
        }
    }

    /// What was before now does not matter.
    fn remaining(&self, window: &Window) -> Window {
        let start = window.start().map_or(self.now, |start| start.max(self.now));
        let made = Window::new(Some(start), window.end()).unwrap_or_else(|_| window.clone());
        match window.hours() {
            Some(hours) => made.with_hours(hours.clone()),
            None => made,
        }
    }

    fn covers_remaining(&self, outer: &Window, inner: &Window) -> bool {
        // What is passed on is open only while that is which it was passed on from, so its hours are no concern.
        let bounds = |window: &Window| self.remaining(window).bounds();
        let (outer, inner) = (bounds(outer), bounds(inner));
        outer.0 <= inner.0 && inner.1 <= outer.1
    }

    fn loses_grant(&self, grant: &Grant) -> Result<(), Error> {
        let own = grant.giver == *self.actor || grant.subject == Subject::Principal(self.actor.clone());
        if !own {
            self.may(WRITE_GRANTS, &grant.area)?;
        }
        // A prohibition that was passed on, or given, is not the giver's to take back unless the permission is held.
        self.hold(&self.takes(grant), &grant.area, &grant.window, None)
    }

    /// Whoever comes into a group gains all that it has, and whoever leaves it sheds its prohibitions.
    fn membership(&self, membership: &Membership, joins: bool) -> Result<(), Error> {
        let group = Subject::Group(membership.group.clone());
        for holder in self.policy.groups_of(&group) {
            for grant in self.policy.grants_of(&holder) {
                let bits = if joins { self.gives(grant) } else { self.takes(grant) };
                self.hold(&bits, &grant.area, &membership.window, None)?;
            }
        }
        Ok(())
    }

    /// In an area that comes to lie in another holds what holds there; in one that no longer does, nothing is taken there.
    fn place(&self, place: &Place) -> Result<(), Error> {
        self.may(WRITE_AREAS, &Area::tenant())?;
        let within = |snapshot: &Snapshot| -> BTreeSet<Area> {
            let areas = &snapshot.areas;
            let at = areas.find(place.area.kind(), place.area.id());
            let within = at.map(|at| areas.within(at)).unwrap_or_default();
            within.iter().filter_map(|area| areas.name(*area).cloned()).collect()
        };
        let (before, after) = (within(self.before), within(self.after));
        let came: BTreeSet<&Area> = after.difference(&before).filter(|area| **area != place.area).collect();
        let went: BTreeSet<&Area> = before.difference(&after).filter(|area| **area != place.area).collect();
        if came.is_empty() && went.is_empty() {
            return Ok(());
        }
        for grant in self.policy.grants() {
            if came.contains(&grant.area) {
                self.hold(&self.gives(grant), &place.area, &Window::always(), None)?;
            }
            if went.contains(&grant.area) {
                self.hold(&self.takes(grant), &place.area, &Window::always(), None)?;
            }
        }
        for role in self.policy.roles() {
            for rule in &role.rules {
                if !came.contains(&rule.area) && !went.contains(&rule.area) {
                    continue;
                }
                let bits = self.bits(self.before.catalog().resolve(&rule.permissions));
                self.hold(&bits, &place.area, &Window::always(), None)?;
            }
        }
        Ok(())
    }

    fn bits(&self, permissions: impl Iterator<Item = PermissionHandle>) -> Vec<u64> {
        let mut bits = vec![0_u64; self.before.catalog().words()];
        for permission in permissions {
            let (word, mask) = crate::snapshot::roles::place(permission);
            if let Some(word) = bits.get_mut(word) {
                *word |= mask;
            }
        }
        bits
    }

    /// Grants that were passed on and had ended, because roles or areas had changed, must not come back to life by another
    /// such change unless the actor holds what they give; and those that end must not take a prohibition along.
    fn awakened(&self) -> Result<(), Error> {
        let held = passed_on_that_hold(self.policy, self.after);
        for grant in held.difference(self.held_before).filter_map(|grant| self.policy.grant(*grant)) {
            self.hold(&self.gives(grant), &grant.area, &grant.window, None)?;
        }
        for grant in self.held_before.difference(&held).filter_map(|grant| self.policy.grant(*grant)) {
            self.hold(&self.takes(grant), &grant.area, &grant.window, None)?;
        }
        Ok(())
    }

    /// The actor holds these permissions in this area for as long as the window may be open from now on, without conditions,
    /// by one grant each, and nothing takes them meanwhile, anywhere.
    fn hold(&self, bits: &[u64], area: &Area, window: &Window, via: Option<GrantId>) -> Result<(), Error> {
        if bits.iter().all(|bits| *bits == 0) {
            return Ok(());
        }
        let held = self.held(area, window, via);
        for (word, bits) in bits.iter().enumerate() {
            let missing = bits & !held.get(word).copied().unwrap_or(0);
            if missing != 0 {
                let at =
                    PermissionHandle::of(word * 64 + usize::try_from(missing.trailing_zeros()).unwrap_or(0));
                let permission = self.before.catalog().permission(at).map(ToString::to_string);
                return Err(Error::Escalation {
                    actor: self.actor.clone(),
                    permission: permission.unwrap_or_default(),
                    area: area.clone(),
                });
            }
        }
        Ok(())
    }

    fn held(&self, area: &Area, window: &Window, via: Option<GrantId>) -> Vec<u64> {
        let (snapshot, roles) = (self.before, &self.before.roles);
        let (from, until) = self.remaining(window).bounds();
        let areas = &snapshot.areas;
        let place = areas.find(area.kind(), area.id());
        let covers = |other: u32| other == TENANT || place.is_some_and(|place| areas.lies_in(place, other));
        let mut held = vec![0_u64; roles.words()];
        let mut taken = vec![0_u64; roles.words()];
        snapshot.each_grant(self.actor.borrowed(), |slot, cold, link| {
            let (link_from, link_until) = link.map_or((i64::MIN, i64::MAX), |link| (link.from, link.until));
            let (start, end) = (slot.from.max(link_from), slot.until.min(link_until));
            if start < until && from < end {
                let (_, deny) = roles.extent(slot.role);
                for (taken, deny) in taken.iter_mut().zip(deny) {
                    *taken |= deny;
                }
            }
            let own = via.is_some() && cold.grant().map(|grant| grant.id) == via;
            let sure = (own || !slot.cold) && link.is_none_or(|link| link.hours.is_empty());
            if sure && covers(slot.area) && start <= from && until <= end {
                for (held, cell) in held.iter_mut().zip(roles.row(slot.role)) {
                    *held |= cell.allow;
                }
            }
        });
        held.iter().zip(taken).map(|(held, taken)| held & !taken).collect()
    }
}

/// Whether nothing but the look at it is new.
fn is_certified(before: &Grant, after: &Grant) -> bool {
    Grant { certified: before.certified, ..after.clone() } == *before
}

/// Of the grants that were passed on those that hold, as far as roles and areas go.
pub(crate) fn passed_on_that_hold(policy: &Policy, snapshot: &Snapshot) -> BTreeSet<GrantId> {
    let (roles, areas) = (&snapshot.roles, &snapshot.areas);
    let holds = |grant: &Grant| {
        let mut at = grant.clone();
        while let Some(parent) = at.parent {
            let Some(parent) = policy.grant(parent) else { return false };
            let (Some(above), Some(below)) = (roles.index(&parent.role), roles.index(&at.role)) else {
                return false;
            };
            let place = |area: &Area| areas.find(area.kind(), area.id());
            let inside = match (place(&parent.area), place(&at.area)) {
                (Some(above), Some(below)) => areas.lies_in(below, above),
                _ => false,
            };
            if !inside || !roles.includes(above, below) {
                return false;
            }
            at = (**parent).clone();
        }
        true
    };
    policy.grants().filter(|grant| grant.parent.is_some() && holds(grant)).map(|grant| grant.id).collect()
}

/// The edits that changes make, from what undoes them.
pub(crate) fn edits(changes: &[crate::Change], undo: &[crate::Change]) -> Vec<Edit> {
    // Of several changes of one thing the first tells what was before, the last what is after.
    let mut edits: std::collections::BTreeMap<Key, Edit> = std::collections::BTreeMap::new();
    for (change, undo) in changes.iter().zip(undo) {
        let item = |change: &crate::Change| match change {
            crate::Change::Put(item) => Some(item.clone()),
            crate::Change::Remove(_) => None,
        };
        edits
            .entry(change.key())
            .and_modify(|edit| edit.after = item(change))
            .or_insert_with(|| Edit { before: item(undo), after: item(change) });
    }
    edits.into_values().collect()
}

use std::collections::BTreeSet;

use super::{Change, Item, Key, Policy};
use crate::name::nearest;
use crate::{
    Area, Catalog, Constraint, Duty, Error, Grant, InvalidName, Membership, Place, Role, RoleId, Subject,
    graph,
};

/// A policy with changes in it that are undone when this is dropped.
pub(crate) struct Checked<'p> {
    policy: &'p mut Policy,
    undo: Vec<Change>,
}

impl<'p> Checked<'p> {
    /// Makes the changes, and looks whether the policy makes sense with them.
    pub(crate) fn try_on(
        policy: &'p mut Policy,
        catalog: &Catalog,
        changes: &[Change],
    ) -> Result<Self, Error> {
        let undo = changes.iter().map(|change| policy.apply(change.clone())).collect();
        let tried = Self { policy, undo };
        tried.policy.validate(catalog, changes)?;
        Ok(tried)
    }

    pub(crate) fn policy(&self) -> &Policy {
        self.policy
    }

    /// The changes that undo these, each at the place of that which it undoes.
    pub(crate) fn undo(&self) -> &[Change] {
        &self.undo
    }

    /// The changes and those that undo them: everything that they touch.
    pub(crate) fn touched(&self, changes: &[Change]) -> Vec<Change> {
        changes.iter().chain(&self.undo).cloned().collect()
    }
}

impl Drop for Checked<'_> {
    fn drop(&mut self) {
        while let Some(change) = self.undo.pop() {
            self.policy.apply(change);
        }
    }
}

impl Policy {
    /// Whether the policy makes sense after these changes, which were made, if it did before.
    ///
    /// # Errors
    /// What does not make sense first.
    pub fn validate(&self, catalog: &Catalog, changes: &[Change]) -> Result<(), Error> {
        for change in changes {
            match change {
                Change::Put(Item::Role(role)) => self.check_role(catalog, role)?,
                Change::Put(Item::Grant(grant)) => self.check_grant(grant)?,
                Change::Put(Item::Place(place)) => self.check_place(place)?,
                Change::Put(Item::Constraint(constraint)) => self.check_constraint(constraint)?,
                Change::Put(Item::Membership(membership)) => {
                    let group = Subject::Group(membership.group.clone());
                    let up = |subject: &Subject| {
                        self.memberships_of(subject).map(|each| Subject::Group(each.group.clone())).collect()
                    };
                    cycle("membership", &group, up)?;
                }
                Change::Remove(Key::Role(role)) => self.check_unused(role)?,
                Change::Remove(Key::Grant(grant)) => {
                    if let Some(left) = self.passed_on_from(*grant).next() {
                        return Err(Error::UnknownGrant { grant: left });
                    }
                }
                Change::Remove(_) => {}
            }
        }
        self.check_separations(changes)
    }

    fn check_role(&self, catalog: &Catalog, role: &Role) -> Result<(), Error> {
        role.check_sizes()?;
        for rule in &role.rules {
            catalog.check(&rule.permissions)?;
        }
        for parent in &role.parents {
            self.check_known(parent)?;
        }
        cycle("inheritance", &role.id, |id| {
            self.role(id).map(|role| role.parents.clone()).unwrap_or_default()
        })
    }

    fn check_known(&self, role: &RoleId) -> Result<(), Error> {
        if self.role(role).is_some() {
            return Ok(());
        }
        let similar = nearest(role.as_str(), self.roles().map(|role| role.id.as_str()));
        let similar = similar.and_then(|name| RoleId::new(name).ok());
        Err(Error::UnknownRole { role: role.clone(), similar })
    }

    fn check_unused(&self, role: &RoleId) -> Result<(), Error> {
        if self.role(role).is_some() {
            // It was written again behind.
            return Ok(());
        }
        let in_use = |by: String| Err(Error::RoleInUse { role: role.clone(), by });
        if let Some(uses) = self.uses.get(role).filter(|uses| **uses > 0) {
            return in_use(format!("{uses} grant{}", if *uses == 1 { "" } else { "s" }));
        }
        if let Some(heir) = self.roles().find(|heir| heir.parents.contains(role)) {
            return in_use(format!("the role `{}`, which inherits from it", heir.id));
        }
        if let Some(constraint) = self.constraints().find(|constraint| constraint.roles.contains(role)) {
            return in_use(format!("the separation of duty `{}`", constraint.id));
        }
        Ok(())
    }

    fn check_grant(&self, grant: &Grant) -> Result<(), Error> {
        grant.check_texts()?;
        self.check_known(&grant.role)?;
        if let Some(parent) = grant.parent
            && self.grant(parent).is_none()
        {
            return Err(Error::UnknownGrant { grant: parent });
        }
        cycle("passing on", &grant.id, |id| {
            self.grant(*id).and_then(|grant| grant.parent).into_iter().collect()
        })
    }

    fn check_place(&self, place: &Place) -> Result<(), Error> {
        if place.area.is_tenant() {
            return Err(InvalidName::new("area", "tenant", "the tenant lies in no area").into());
        }
        if place.parents.len() > Place::MAX_PARENTS {
            let why = format!("it lies in {} areas, the most is {}", place.parents.len(), Place::MAX_PARENTS);
            return Err(InvalidName::new("area", &place.area.to_string(), why).into());
        }
        cycle("areas", &place.area, |area: &Area| {
            self.place(area).map(|place| place.parents.clone()).unwrap_or_default()
        })
    }

    fn check_constraint(&self, constraint: &Constraint) -> Result<(), Error> {
        constraint.check()?;
        constraint.roles.iter().try_for_each(|role| self.check_known(role))
    }

    /// The role and all that it inherits from.
    pub(crate) fn closure(&self, role: &RoleId) -> BTreeSet<RoleId> {
        graph::reach(role, |id| self.role(id).map(|role| role.parents.clone()).unwrap_or_default())
    }

    /// The subject, the groups that it is in, and those that they are in.
    pub(crate) fn groups_of(&self, subject: &Subject) -> BTreeSet<Subject> {
        graph::reach(subject, |subject| {
            self.memberships_of(subject).map(|membership| Subject::Group(membership.group.clone())).collect()
        })
    }

    /// The subject and, if it is a group, all that are in it.
    pub(crate) fn members_of(&self, subject: &Subject) -> BTreeSet<Subject> {
        graph::reach(subject, |subject| {
            subject.group().map(|group| self.members(group).cloned().collect()).unwrap_or_default()
        })
    }

    /// Whose roles may have become more, where there is a separation of duty to break.
    fn check_separations(&self, changes: &[Change]) -> Result<(), Error> {
        let all: Vec<_> = self.constraints().filter(|constraint| constraint.duty == Duty::Static).collect();
        if all.is_empty() {
            return Ok(());
        }
        let mut affected: BTreeSet<Subject> = BTreeSet::new();
        for change in changes {
            match change {
                Change::Put(
                    Item::Grant(Grant { subject, .. }) | Item::Membership(Membership { member: subject, .. }),
                ) if *subject != Subject::Everyone => {
                    affected.extend(self.members_of(subject));
                }
                // Everybody may have the role, or be under the new constraint.
                Change::Put(Item::Role(_) | Item::Constraint(_) | Item::Grant(_) | Item::Membership(_)) => {
                    affected.extend(self.subjects().cloned());
                }
                Change::Put(Item::Place(_)) | Change::Remove(_) => {}
            }
        }
        for subject in &affected {
            let mut held: BTreeSet<RoleId> = BTreeSet::new();
            let mut from = self.groups_of(subject);
            from.insert(Subject::Everyone);
            for holder in &from {
                for grant in self.grants_of(holder) {
                    held.extend(self.closure(&grant.role));
                }
            }
            for constraint in &all {
                let together: Vec<RoleId> =
                    constraint.roles.iter().filter(|role| held.contains(*role)).cloned().collect();
                if together.len() >= usize::try_from(constraint.limit).unwrap_or(usize::MAX) {
                    return Err(Error::Separation {
                        subject: subject.clone(),
                        constraint: constraint.id.clone(),
                        roles: together,
                    });
                }
            }
        }
        Ok(())
    }
}

fn cycle<K: Ord + Clone + ToString>(
    what: &'static str,
    start: &K,
    next: impl FnMut(&K) -> Vec<K>,
) -> Result<(), Error> {
    match graph::cycle(start, next) {
        Some(path) => Err(Error::Cycle { what, path: path.iter().map(ToString::to_string).collect() }),
        None => Ok(()),
    }
}

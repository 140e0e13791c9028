//! The policy of a tenant as it is written: roles, groups, areas, grants, separations of duty.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};
use serde::{Deserialize, Serialize};

use crate::{
    Area, Constraint, ConstraintId, Grant, GrantId, GroupId, Membership, Place, Role, RoleId, Subject,
};

mod validate;

pub(crate) use validate::Checked;

/// One thing in a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Item {
    /// A role.
    Role(Role),
    /// Somebody in a group.
    Membership(Membership),
    /// An area and those that it lies in.
    Place(Place),
    /// A role that somebody has.
    Grant(Grant),
    /// A separation of duty.
    Constraint(Constraint),
}

/// What one thing in a policy is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Key {
    /// A role, by its name.
    Role(RoleId),
    /// Somebody in a group.
    Membership(GroupId, Subject),
    /// An area.
    Place(Area),
    /// A grant, by its id.
    Grant(GrantId),
    /// A separation of duty, by its name.
    Constraint(ConstraintId),
}

/// A change of a policy: something is written, or goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "changes come in short lists that do not stay")]
#[expect(clippy::exhaustive_enums, reason = "stores write both and know no third")]
pub enum Change {
    /// Writes it, in the place of what has the same key.
    Put(Item),
    /// Removes it. What is not there is nothing to remove.
    Remove(Key),
}

impl Item {
    /// What it is found by.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Role(role) => Key::Role(role.id.clone()),
            Self::Membership(membership) => {
                Key::Membership(membership.group.clone(), membership.member.clone())
            }
            Self::Place(place) => Key::Place(place.area.clone()),
            Self::Grant(grant) => Key::Grant(grant.id),
            Self::Constraint(constraint) => Key::Constraint(constraint.id.clone()),
        }
    }
}

impl Key {
    /// What it is, as stores keep it: `role`, `membership`, `place`, `grant`, `constraint`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Role(_) => "role",
            Self::Membership(..) => "membership",
            Self::Place(_) => "place",
            Self::Grant(_) => "grant",
            Self::Constraint(_) => "constraint",
        }
    }

    /// Its name within its kind, as stores keep it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Role(id) => id.to_string(),
            // A group's name has no control character, so this is unambiguous.
            Self::Membership(group, member) => format!("{group}\n{member}"),
            Self::Place(area) => area.to_string(),
            Self::Grant(id) => id.to_string(),
            Self::Constraint(id) => id.to_string(),
        }
    }
}

impl Change {
    /// The key of what is changed.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Put(item) => item.key(),
            Self::Remove(key) => key.clone(),
        }
    }
}

/// The policy of a tenant, as plain data: what is compiled, stored, imported and compared.
///
/// ```
/// use guardian_rbac::{Change, Item, Policy, Role, Rule};
///
/// let mut policy = Policy::new();
/// policy.apply(Change::Put(Item::Role(Role::new("viewer")?.with(Rule::allow("*:read")?))));
/// assert!(policy.role(&"viewer".parse()?).is_some());
/// # Ok::<(), guardian_rbac::InvalidName>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Policy {
    roles: BTreeMap<RoleId, Arc<Role>>,
    places: BTreeMap<Area, Arc<Place>>,
    constraints: BTreeMap<ConstraintId, Arc<Constraint>>,
    grants: HashMap<GrantId, Arc<Grant>>,
    /// By member and group.
    memberships: HashMap<Subject, BTreeMap<GroupId, Arc<Membership>>>,
    /// The members of each group.
    members: HashMap<GroupId, Vec<Subject>>,
    grants_of: HashMap<Subject, Vec<GrantId>>,
    /// What was passed on from each grant.
    passed_on: HashMap<GrantId, Vec<GrantId>>,
    /// How many grants name each role.
    uses: HashMap<RoleId, usize>,
}

impl Policy {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { grants: HashMap::new(), ..Self::default() }
    }

    /// A policy of these things.
    #[must_use]
    pub fn of(items: impl IntoIterator<Item = Item>) -> Self {
        let mut policy = Self::new();
        for item in items {
            policy.apply(Change::Put(item));
        }
        policy
    }

    /// Makes a change without looking whether it makes sense, and returns the change that undoes it.
    pub fn apply(&mut self, change: Change) -> Change {
        let key = change.key();
        let before = match change {
            Change::Put(item) => self.put(item),
            Change::Remove(key) => self.remove(&key),
        };
        before.map_or(Change::Remove(key), Change::Put)
    }

    fn put(&mut self, item: Item) -> Option<Item> {
        let before = self.remove(&item.key());
        match item {
            Item::Role(role) => {
                self.roles.insert(role.id.clone(), Arc::new(role));
            }
            Item::Place(place) => {
                self.places.insert(place.area.clone(), Arc::new(place));
            }
            Item::Constraint(constraint) => {
                self.constraints.insert(constraint.id.clone(), Arc::new(constraint));
            }
            Item::Membership(membership) => {
                self.members.entry(membership.group.clone()).or_default().push(membership.member.clone());
                let groups = self.memberships.entry(membership.member.clone()).or_default();
                groups.insert(membership.group.clone(), Arc::new(membership));
            }
            Item::Grant(grant) => {
                self.grants_of.entry(grant.subject.clone()).or_default().push(grant.id);
                if let Some(parent) = grant.parent {
                    self.passed_on.entry(parent).or_default().push(grant.id);
                }
                *self.uses.entry(grant.role.clone()).or_default() += 1;
                self.grants.insert(grant.id, Arc::new(grant));
            }
        }
        before
    }

    fn remove(&mut self, key: &Key) -> Option<Item> {
        match key {
            Key::Role(id) => self.roles.remove(id).map(|role| Item::Role(Arc::unwrap_or_clone(role))),
            Key::Place(area) => {
                self.places.remove(area).map(|place| Item::Place(Arc::unwrap_or_clone(place)))
            }
            Key::Constraint(id) => self
                .constraints
                .remove(id)
                .map(|constraint| Item::Constraint(Arc::unwrap_or_clone(constraint))),
            Key::Membership(group, member) => {
                let removed = self.memberships.get_mut(member)?.remove(group)?;
                drop_from(&mut self.members, group, member);
                Some(Item::Membership(Arc::unwrap_or_clone(removed)))
            }
            Key::Grant(id) => {
                let removed = self.grants.remove(id)?;
                drop_from(&mut self.grants_of, &removed.subject, id);
                if let Some(parent) = removed.parent {
                    drop_from(&mut self.passed_on, &parent, id);
                }
                if let Some(uses) = self.uses.get_mut(&removed.role) {
                    *uses = uses.saturating_sub(1);
                }
                Some(Item::Grant(Arc::unwrap_or_clone(removed)))
            }
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn role(&self, id: &RoleId) -> Option<&Arc<Role>> {
        self.roles.get(id)
    }

    /// All roles, ordered by name.
    #[must_use]
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &Arc<Role>> {
        self.roles.values()
    }

    /// The grant of this id.
    #[must_use]
    pub fn grant(&self, id: GrantId) -> Option<&Arc<Grant>> {
        self.grants.get(&id)
    }

    /// All grants, in no order.
    #[must_use]
    pub fn grants(&self) -> impl ExactSizeIterator<Item = &Arc<Grant>> {
        self.grants.values()
    }

    /// The grants that this subject has itself, and not through a group.
    pub fn grants_of(&self, subject: &Subject) -> impl Iterator<Item = &Arc<Grant>> {
        self.grants_of.get(subject).into_iter().flatten().filter_map(|id| self.grants.get(id))
    }

    /// The grants that were passed on from this one directly.
    pub fn passed_on_from(&self, grant: GrantId) -> impl Iterator<Item = GrantId> {
        self.passed_on.get(&grant).into_iter().flatten().copied()
    }

    /// The groups that this subject is in directly.
    pub fn memberships_of(&self, member: &Subject) -> impl Iterator<Item = &Arc<Membership>> {
        self.memberships.get(member).into_iter().flat_map(BTreeMap::values)
    }

    /// Who is in the group directly.
    pub fn members(&self, group: &GroupId) -> impl Iterator<Item = &Subject> {
        self.members.get(group).into_iter().flatten()
    }

    /// All memberships, in no order.
    pub fn memberships(&self) -> impl Iterator<Item = &Arc<Membership>> {
        self.memberships.values().flat_map(BTreeMap::values)
    }

    /// What the policy knows of the area.
    #[must_use]
    pub fn place(&self, area: &Area) -> Option<&Arc<Place>> {
        self.places.get(area)
    }

    /// All areas that it knows of, ordered.
    #[must_use]
    pub fn places(&self) -> impl ExactSizeIterator<Item = &Arc<Place>> {
        self.places.values()
    }

    /// The separation of duty of this name.
    #[must_use]
    pub fn constraint(&self, id: &ConstraintId) -> Option<&Arc<Constraint>> {
        self.constraints.get(id)
    }

    /// All separations of duty, ordered by name.
    #[must_use]
    pub fn constraints(&self) -> impl ExactSizeIterator<Item = &Arc<Constraint>> {
        self.constraints.values()
    }

    /// Everybody who has a grant or is in a group directly.
    pub fn subjects(&self) -> impl Iterator<Item = &Subject> {
        let granted =
            self.grants_of.iter().filter(|(_, grants)| !grants.is_empty()).map(|(subject, _)| subject);
        let only_members = self
            .memberships
            .iter()
            .filter(|(subject, groups)| {
                !groups.is_empty() && self.grants_of.get(*subject).is_none_or(Vec::is_empty)
            })
            .map(|(subject, _)| subject);
        granted.chain(only_members)
    }

    /// Everything, in an order in which each thing comes behind those that it needs.
    pub fn items(&self) -> impl Iterator<Item = Item> {
        let roles = self.roles.values().map(|role| Item::Role((**role).clone()));
        let places = self.places.values().map(|place| Item::Place((**place).clone()));
        let memberships = self.memberships().map(|membership| Item::Membership((**membership).clone()));
        let grants = self.grants.values().map(|grant| Item::Grant((**grant).clone()));
        let constraints =
            self.constraints.values().map(|constraint| Item::Constraint((**constraint).clone()));
        roles.chain(places).chain(memberships).chain(grants).chain(constraints)
    }
}

fn drop_from<K: std::hash::Hash + Eq, V: PartialEq>(map: &mut HashMap<K, Vec<V>>, key: &K, value: &V) {
    if let Some(values) = map.get_mut(key) {
        values.retain(|other| other != value);
        if values.is_empty() {
            map.remove(key);
        }
    }
}

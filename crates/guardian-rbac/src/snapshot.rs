//! A policy compiled to answer: immutable, shared, swapped as a whole.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use guardian_core::{ActorKind, Timestamp};

use crate::{
    Area, Ask, Catalog, Change, Constraint, Decision, Error, Grant, Item, Key, Outcome, PermissionHandle,
    PermissionRef, Policy, PrincipalRef, Revision,
};

pub(crate) mod areas;
pub(crate) mod people;
pub(crate) mod roles;
mod straight;
pub(crate) mod walk;

use areas::AreaTable;
use people::{Base, Cold, Dirty, Link, People, Slot};
use roles::RoleTable;
use walk::{Places, Quiet, Walk};

/// The number of a principal in the policy of its tenant: the fast way to ask. Kept in a session or a request.
///
/// It stays valid while the policy changes, and ends when the policy is loaded anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrincipalHandle {
    epoch: u32,
    at: (u32, u32),
}

/// The number of an area in the policy of its tenant. Valid as long as a [`PrincipalHandle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AreaHandle {
    epoch: u32,
    at: u32,
}

/// A policy at a revision, compiled. Reading it takes no lock; a change makes a new one that shares what is the same.
///
/// ```
/// use chrono::{TimeZone, Utc};
/// use guardian_core::ActorKind;
/// use guardian_rbac::{Ask, Catalog, Item, Policy, PrincipalRef, Revision, Role, Rule, Snapshot};
///
/// let catalog = Catalog::builder().permission("deal:read", "See deals").build()?;
/// let policy = Policy::of([Item::Role(Role::new("viewer")?.with(Rule::allow("*:read")?))]);
/// let snapshot = Snapshot::compile(&policy, &catalog, Revision::new(1))?;
/// let ask = Ask::new(PrincipalRef::new(ActorKind::User, "ann"), "deal:read");
/// assert!(!snapshot.check(&ask, Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap())?.is_allowed());
/// # Ok::<(), guardian_rbac::Error>(())
/// ```
#[derive(Clone)]
pub struct Snapshot {
    revision: Revision,
    epoch: u32,
    catalog: Catalog,
    pub(crate) roles: Arc<RoleTable>,
    pub(crate) areas: Arc<AreaTable>,
    pub(crate) people: People,
    pub(crate) constraints: Arc<[Arc<Constraint>]>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("revision", &self.revision)
            .field("roles", &self.roles.len())
            .field("principals", &self.people.len())
            .finish_non_exhaustive()
    }
}

impl Snapshot {
    /// Compiles a whole policy. O(everything in it).
    ///
    /// # Errors
    /// [`Error::TooManyWays`] where somebody is in groups on an absurd number of ways.
    pub fn compile(policy: &Policy, catalog: &Catalog, revision: Revision) -> Result<Self, Error> {
        static EPOCHS: AtomicU32 = AtomicU32::new(0);
        // Whoever chooses ids that collide must not know how they are hashed.
        let seed = RandomState::new().build_hasher().finish();
        let nothing = Self {
            revision,
            epoch: EPOCHS.fetch_add(1, Ordering::Relaxed),
            catalog: catalog.clone(),
            roles: Arc::new(RoleTable::empty()),
            areas: Arc::new(AreaTable::new(seed)),
            people: People::empty(seed.rotate_left(32)),
            constraints: Arc::default(),
        };
        nothing.advance(policy, true, true, &Dirty { all: true, ..Dirty::default() }, revision)
    }

    /// The snapshot of the policy after changes; `touched` are the changes that were made, and those that would undo them.
    ///
    /// What did not change is shared with this one. O(what changed), and O(roles) where a role did.
    ///
    /// # Errors
    /// As for [`Self::compile`].
    pub fn next(&self, policy: &Policy, touched: &[Change], revision: Revision) -> Result<Self, Error> {
        let mut dirty = Dirty::default();
        let (mut roles, mut places) = (false, false);
        let mut grants: BTreeSet<_> = BTreeSet::new();
        for change in touched {
            match change {
                Change::Put(Item::Role(_)) | Change::Remove(Key::Role(_)) => roles = true,
                Change::Put(Item::Place(_)) | Change::Remove(Key::Place(_)) => places = true,
                Change::Put(Item::Grant(grant)) => {
                    dirty.subjects.insert(grant.subject.clone());
                    grants.insert(grant.id);
                }
                Change::Remove(Key::Grant(grant)) => {
                    grants.insert(*grant);
                }
                Change::Put(Item::Membership(membership)) => {
                    dirty.subjects.extend(policy.members_of(&membership.member));
                }
                Change::Remove(Key::Membership(_, member)) => {
                    dirty.subjects.extend(policy.members_of(member));
                }
                Change::Put(Item::Constraint(_)) | Change::Remove(Key::Constraint(_)) => {}
            }
        }
        // What was passed on from a grant holds as far as that does.
        let mut waiting: Vec<_> = grants.into_iter().collect();
        while let Some(grant) = waiting.pop() {
            for passed in policy.passed_on_from(grant) {
                if let Some(grant) = policy.grant(passed) {
                    dirty.subjects.insert(grant.subject.clone());
                }
                waiting.push(passed);
            }
        }
        dirty.all = self.people.passes_on && (roles || places);
        self.advance(policy, roles, places, &dirty, revision)
    }

    fn advance(
        &self,
        policy: &Policy,
        roles: bool,
        places: bool,
        dirty: &Dirty,
        revision: Revision,
    ) -> Result<Self, Error> {
        let constraints = policy.constraints().cloned().collect();
        let mut next = Self { revision, constraints, ..self.clone() };
        if !roles && !places && !dirty.all && dirty.subjects.is_empty() {
            return Ok(next);
        }
        let mut areas: AreaTable = (*self.areas).clone();
        if places {
            areas.relate(policy);
        }
        if roles {
            next.roles = Arc::new(self.roles.next(policy, &self.catalog, &mut areas));
        }
        let mut base = Base { policy, roles: &next.roles, areas: &mut areas, passes_on: false };
        next.people = self.people.next(dirty, &mut base)?;
        next.areas = Arc::new(areas);
        Ok(next)
    }

    /// The same at another revision.
    #[must_use]
    pub(crate) fn at(&self, revision: Revision) -> Self {
        Self { revision, ..self.clone() }
    }

    /// How new it is.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The permissions that there are.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The number of a principal that has a grant or is in a group; `None` for others, who have what everyone has.
    #[must_use]
    pub fn principal<'a>(&self, who: impl Into<PrincipalRef<'a>>) -> Option<PrincipalHandle> {
        self.people.find(who.into()).map(|at| PrincipalHandle { epoch: self.epoch, at })
    }

    /// The number of an area that the policy names; `None` for others, in which holds what holds for the whole tenant.
    #[must_use]
    pub fn area(&self, area: &Area) -> Option<AreaHandle> {
        self.areas.find(area.kind(), area.id()).map(|at| AreaHandle { epoch: self.epoch, at })
    }

    pub(crate) fn handle(&self, permission: PermissionRef<'_>) -> Result<PermissionHandle, Error> {
        match permission {
            PermissionRef::Handle(handle) => Ok(handle),
            PermissionRef::Name(name) => self.catalog.handle(name),
        }
    }

    /// Answers a question as of a time.
    ///
    /// # Errors
    /// [`Error::UnknownPermission`] for a permission that the catalog does not have.
    #[inline]
    pub fn check(&self, ask: &Ask<'_>, now: Timestamp) -> Result<Decision, Error> {
        let permission = self.handle(ask.permission)?;
        let who = self.people.find(ask.who);
        if ask.session.is_none()
            && let Some(within) = straight::single(&self.areas, &ask.resource)
        {
            let person = who.and_then(|at| self.people.brief(at)).unwrap_or_default();
            if let Some((outcome, at)) = self.straight(person, roles::place(permission), within, now) {
                let by = at.zip(who).and_then(|(at, who)| self.people.cold(who, at));
                return Ok(Decision {
                    outcome,
                    grant: by.map(|cold| cold.id),
                    revision: self.revision,
                    emergency: by.is_some_and(|cold| cold.emergency),
                });
            }
        }
        let places = Places::of(&self.areas, &ask.resource);
        let active = ask.session.map(|session| session.active_in(&self.roles));
        let walk = Walk::new(self, permission, &places, now, Some(ask), None, active.as_deref());
        Ok(walk.decide(who, &mut Quiet))
    }

    /// The fastest way to ask: with numbers that were looked up before, and without facts for conditions.
    ///
    /// # Errors
    /// [`Error::ForeignHandle`] for a handle of another policy.
    #[inline]
    pub fn check_handles(
        &self,
        who: PrincipalHandle,
        permission: PermissionHandle,
        area: AreaHandle,
        now: Timestamp,
    ) -> Result<Outcome, Error> {
        if who.epoch != self.epoch || area.epoch != self.epoch {
            return Err(Error::ForeignHandle);
        }
        let within = self.areas.within(area.at);
        let person = self.people.brief(who.at).unwrap_or_default();
        if let Some((outcome, _)) = self.straight(person, roles::place(permission), within, now) {
            return Ok(outcome);
        }
        let places = Places::one(within);
        let walk = Walk::new(self, permission, &places, now, None, Some(area.at), None);
        Ok(walk.outcome(Some(who.at), &mut Quiet))
    }

    /// Each grant that somebody has: own ones, those of groups, and everyone's.
    pub(crate) fn each_grant<'s>(
        &'s self,
        who: PrincipalRef<'_>,
        mut found: impl FnMut(&'s Slot, &'s Cold, Option<&'s Link>),
    ) {
        let person = self.people.find(who).and_then(|at| self.people.person(at)).unwrap_or_default();
        for person in [person, self.people.everyone()] {
            for (slot, cold) in person.slots.iter().zip(person.cold) {
                found(slot, cold, None);
            }
            for link in person.links {
                if let Some(block) = self.people.group(link.group) {
                    for (slot, cold) in block.slots.iter().zip(&block.cold) {
                        found(slot, cold, Some(link));
                    }
                }
            }
        }
    }

    /// The areas to which rules of roles are limited.
    pub(crate) fn areas_of_rules(&self) -> BTreeSet<Area> {
        let roles = (0..roles::number(self.roles.len())).filter_map(|role| self.roles.source(role));
        let areas = roles.flat_map(|role| role.rules.iter().map(|rule| rule.area.clone()));
        areas.filter(|area| !area.is_tenant()).collect()
    }

    /// The grants that decided something since this was last asked, and forgets that they did.
    pub(crate) fn take_uses(&self) -> Vec<Arc<Grant>> {
        self.people.take_uses()
    }

    /// How many principals have a grant or are in a group.
    #[must_use]
    pub fn principals(&self) -> usize {
        self.people.len()
    }

    /// All principals that have, or had, a grant or are in a group, in no order.
    pub fn principal_names(&self) -> impl Iterator<Item = PrincipalRef<'_>> {
        self.people.iter().map(|(name, _)| name.borrowed())
    }
}

/// Nobody in particular, who has what everyone has.
pub(crate) const NOBODY: PrincipalRef<'static> = PrincipalRef { kind: ActorKind::User, id: "" };

//! Changes: each is tried on the policy in memory, judged, stored if nobody was faster, and then seen by the next check.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use guardian_core::{Event, Scope, Timestamp};
use serde_json::{Value, json};

use super::{Rbac, TenantPolicy};
use crate::authority::{Authority, edits, passed_on_that_hold};
use crate::policy::Checked;
use crate::preview::{Difference, difference};
use crate::store::{Committed, MAX_CHANGES};
use crate::{
    Area, Change, Constraint, ConstraintId, Error, Grant, GrantId, GroupId, Item, Key, Membership, NewGrant,
    Place, Policy, Revision, Role, RoleId, Snapshot, Subject, WindowState,
};

/// How often a change is tried again when others wrote at the same time.
const ATTEMPTS: usize = 16;

/// What is to be done, found out by looking at the policy as it is.
pub(super) type Plan = Vec<Change>;

/// Changes that were judged, and the policy behind them.
struct Prepared {
    changes: Vec<Change>,
    events: Vec<Event>,
    next: Snapshot,
}

impl TenantPolicy {
    /// The policy with what was stored, unless a refresh has brought it meanwhile.
    fn install(&self, expected: Revision, changes: Vec<Change>, next: Snapshot) {
        let mut live = self.0.live.lock();
        if self.0.current.load().revision() == expected {
            for change in changes {
                live.apply(change);
            }
            self.0.current.store(Arc::new(next));
        }
    }
}

impl Rbac {
    /// Writes a role, in the place of one of the same name. By anybody but the host it takes
    /// [`WRITE_ROLES`](crate::WRITE_ROLES) and everything that the role, or one that inherits from it, gains.
    ///
    /// # Errors
    /// [`Error::UnknownPermission`], [`Error::UnknownRole`], [`Error::Cycle`], [`Error::RoleTooLarge`],
    /// [`Error::Separation`], [`Error::NotAllowed`], [`Error::Escalation`], or the store fails.
    pub async fn put_role(&self, scope: &Scope, role: Role) -> Result<Revision, Error> {
        self.write(scope, |_, _, _| Ok(vec![Change::Put(Item::Role(role.clone()))])).await
    }

    /// Removes a role that nothing needs any more.
    ///
    /// # Errors
    /// [`Error::RoleInUse`], [`Error::UnknownRole`], [`Error::NotAllowed`], or the store fails.
    pub async fn remove_role(&self, scope: &Scope, role: &RoleId) -> Result<Revision, Error> {
        self.write(scope, |policy, _, _| {
            if policy.role(role).is_none() {
                return Err(Error::UnknownRole { role: role.clone(), similar: None });
            }
            Ok(vec![Change::Remove(Key::Role(role.clone()))])
        })
        .await
    }

    /// Puts somebody into a group. By anybody but the host it takes [`WRITE_GRANTS`](crate::WRITE_GRANTS) and everything
    /// that the group has.
    ///
    /// # Errors
    /// [`Error::Cycle`], [`Error::Separation`], [`Error::NotAllowed`], [`Error::Escalation`], or the store fails.
    pub async fn put_member(&self, scope: &Scope, membership: Membership) -> Result<Revision, Error> {
        self.write(scope, |_, _, _| Ok(vec![Change::Put(Item::Membership(membership.clone()))])).await
    }

    /// Takes somebody out of a group.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::NotAllowed`], [`Error::Escalation`] where that sheds a prohibition, or the store fails.
    pub async fn remove_member(
        &self,
        scope: &Scope,
        group: &GroupId,
        member: &Subject,
    ) -> Result<Revision, Error> {
        self.write(scope, |policy, _, _| {
            if !policy.memberships_of(member).any(|each| each.group == *group) {
                return Err(Error::Unknown { what: "membership", name: format!("{member} in {group}") });
            }
            Ok(vec![Change::Remove(Key::Membership(group.clone(), member.clone()))])
        })
        .await
    }

    /// Says in which areas an area lies.
    ///
    /// # Errors
    /// [`Error::Cycle`], [`Error::NotAllowed`], [`Error::Escalation`], or the store fails.
    pub async fn put_place(&self, scope: &Scope, area: Area, parents: Vec<Area>) -> Result<Revision, Error> {
        let place = Place { area, parents };
        self.write(scope, |_, _, _| Ok(vec![Change::Put(Item::Place(place.clone()))])).await
    }

    /// Forgets in which areas an area lies: it lies in the tenant alone.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::NotAllowed`], [`Error::Escalation`], or the store fails.
    pub async fn remove_place(&self, scope: &Scope, area: &Area) -> Result<Revision, Error> {
        self.write(scope, |policy, _, _| {
            if policy.place(area).is_none() {
                return Err(Error::Unknown { what: "area", name: area.to_string() });
            }
            Ok(vec![Change::Remove(Key::Place(area.clone()))])
        })
        .await
    }

    /// Writes a separation of duty. One that somebody breaks already is refused.
    ///
    /// # Errors
    /// [`Error::UnknownRole`], [`Error::Separation`], [`Error::NotAllowed`], or the store fails.
    pub async fn put_constraint(&self, scope: &Scope, constraint: Constraint) -> Result<Revision, Error> {
        self.write(scope, |_, _, _| Ok(vec![Change::Put(Item::Constraint(constraint.clone()))])).await
    }

    /// Removes a separation of duty.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::NotAllowed`], or the store fails.
    pub async fn remove_constraint(&self, scope: &Scope, id: &ConstraintId) -> Result<Revision, Error> {
        self.write(scope, |policy, _, _| {
            if policy.constraint(id).is_none() {
                return Err(Error::Unknown { what: "separation of duty", name: id.to_string() });
            }
            Ok(vec![Change::Remove(Key::Constraint(id.clone()))])
        })
        .await
    }

    /// Gives a role. By anybody but the host it takes [`WRITE_GRANTS`](crate::WRITE_GRANTS) in the area and everything that
    /// the role gives, there, for as long, without conditions.
    ///
    /// # Errors
    /// [`Error::UnknownRole`], [`Error::WindowOver`], [`Error::Separation`], [`Error::NotAllowed`],
    /// [`Error::Escalation`], or the store fails.
    pub async fn grant(&self, scope: &Scope, new: NewGrant) -> Result<(GrantId, Revision), Error> {
        let id = GrantId::new(self.inner.ids.next_id(self.inner.clock.now()));
        let revision = self
            .write(scope, |_, _, now| {
                check_open(&new, now)?;
                let grant = Grant::of(new.clone(), id, Self::actor(scope), now);
                Ok(vec![Change::Put(Item::Grant(grant))])
            })
            .await?;
        Ok((id, revision))
    }

    /// Gives many roles at once, all or none: what each alone would meet is met by all.
    ///
    /// # Errors
    /// [`Error::Batch`] for none or more than 10,000, and as for [`grant`](Self::grant).
    pub async fn grant_all(
        &self,
        scope: &Scope,
        new: &[NewGrant],
    ) -> Result<(Vec<GrantId>, Revision), Error> {
        let ids: Vec<_> =
            new.iter().map(|_| GrantId::new(self.inner.ids.next_id(self.inner.clock.now()))).collect();
        let revision = self
            .write(scope, |_, _, now| {
                let each = new.iter().zip(&ids).map(|(new, id)| {
                    check_open(new, now)?;
                    Ok(Change::Put(Item::Grant(Grant::of(new.clone(), *id, Self::actor(scope), now))))
                });
                each.collect()
            })
            .await?;
        Ok((ids, revision))
    }

    /// Takes many roles back, and all that was passed on from them, all or none; how many grants that were.
    ///
    /// # Errors
    /// [`Error::Batch`] for none or more than 10,000, and as for [`revoke`](Self::revoke).
    pub async fn revoke_all(&self, scope: &Scope, grants: &[GrantId]) -> Result<(usize, Revision), Error> {
        let counted = AtomicUsize::new(0);
        let revision = self
            .write(scope, |policy, _, _| {
                let (mut seen, mut changes) = (BTreeSet::new(), Vec::new());
                for &grant in grants {
                    if policy.grant(grant).is_none() {
                        return Err(Error::UnknownGrant { grant });
                    }
                    let tree = tree(policy, grant).into_iter().filter(|id| seen.insert(*id));
                    changes.extend(tree.map(|id| Change::Remove(Key::Grant(id))));
                }
                counted.store(changes.len(), Ordering::Relaxed);
                Ok(changes)
            })
            .await?;
        Ok((counted.into_inner(), revision))
    }

    /// Passes on a grant of the actor's own, or a part of it: a role that its role includes, in the same area or below, within
    /// its window, as often as it may be. What is passed on holds as far as that does from which it comes.
    ///
    /// # Errors
    /// [`Error::NotDelegable`], [`Error::UnknownGrant`], [`Error::Escalation`] where something takes from the actor what
    /// would be given, and as for [`grant`](Self::grant).
    pub async fn delegate(
        &self,
        scope: &Scope,
        of: GrantId,
        new: NewGrant,
    ) -> Result<(GrantId, Revision), Error> {
        let id = GrantId::new(self.inner.ids.next_id(self.inner.clock.now()));
        let actor = Self::actor(scope);
        let revision = self
            .write_as(scope, true, |policy, _, now| {
                check_open(&new, now)?;
                let parent = policy.grant(of).ok_or(Error::UnknownGrant { grant: of })?;
                if let WindowState::Over { at } = parent.window.state(now) {
                    return Err(Error::WindowOver { until: at, now });
                }
                let mut grant = Grant::of(new.clone(), id, actor.clone(), now);
                grant.parent = Some(of);
                Ok(vec![Change::Put(Item::Grant(grant))])
            })
            .await?;
        Ok((id, revision))
    }

    /// Takes a role back, and all that was passed on from it. Givers and holders may do so, and who has
    /// [`WRITE_GRANTS`](crate::WRITE_GRANTS) in the area. The next check in this process sees it.
    ///
    /// # Errors
    /// [`Error::UnknownGrant`], [`Error::NotAllowed`], [`Error::Escalation`] where that sheds a prohibition, or the store
    /// fails.
    pub async fn revoke(&self, scope: &Scope, grant: GrantId) -> Result<Revision, Error> {
        self.write(scope, |policy, _, _| {
            if policy.grant(grant).is_none() {
                return Err(Error::UnknownGrant { grant });
            }
            Ok(tree(policy, grant).into_iter().map(|id| Change::Remove(Key::Grant(id))).collect())
        })
        .await
    }

    /// Makes changes of any kind at once: an import, a migration. For the host alone.
    ///
    /// # Errors
    /// [`Error::Batch`] for none or more than 10,000, [`Error::NotAllowed`] for others than the host, and what each change
    /// alone would meet.
    pub async fn import(&self, host: &Scope, changes: Vec<Change>) -> Result<Revision, Error> {
        if !Self::is_host(host) {
            return Err(Error::NotAllowed {
                actor: Self::actor(host),
                permission: "the host's own".to_owned(),
                area: Area::tenant(),
            });
        }
        self.write(host, |_, _, _| Ok(changes.clone())).await
    }

    /// What would change for whom if these changes were made: who gains and who loses what, and where. Nothing is written.
    ///
    /// # Errors
    /// What the changes would meet.
    pub async fn preview(&self, scope: &Scope, changes: &[Change]) -> Result<Vec<Difference>, Error> {
        let tenant = self.load(scope).await?;
        let mut live = tenant.0.live.lock();
        let before = tenant.snapshot();
        let tried = Checked::try_on(&mut live, &self.inner.catalog, changes)?;
        let after = before.next(tried.policy(), &tried.touched(changes), before.revision().next())?;
        drop(tried);
        drop(live);
        Ok(difference(&before, &after, self.inner.clock.now()))
    }

    pub(super) async fn write(
        &self,
        scope: &Scope,
        plan: impl Fn(&Policy, &Snapshot, Timestamp) -> Result<Plan, Error> + Send + Sync,
    ) -> Result<Revision, Error> {
        self.write_as(scope, false, plan).await
    }

    /// Finds out what is to be done, does it unless others were faster, and tells.
    pub(super) async fn write_as(
        &self,
        scope: &Scope,
        even_the_host: bool,
        plan: impl Fn(&Policy, &Snapshot, Timestamp) -> Result<Plan, Error> + Send + Sync,
    ) -> Result<Revision, Error> {
        let tenant = self.load(scope).await?;
        if self.base.is_some_and(|base| tenant.snapshot().revision() < base) {
            // The caller has read it from another process.
            self.refresh(scope).await?;
        }
        for _ in 0..ATTEMPTS {
            let Prepared { changes, events, next } = self.prepare(scope, &tenant, even_the_host, &plan)?;
            let expected = Revision::new(next.revision().number() - 1);
            match self.inner.store.commit(scope, expected, &changes, &events).await? {
                Committed::Done(revision) => {
                    tenant.install(expected, changes, next.at(revision));
                    self.hand_over(scope, events).await;
                    return Ok(revision);
                }
                Committed::Conflict(_) => {
                    self.refresh(scope).await?;
                }
            }
        }
        Err(Error::Contended)
    }

    /// Tries the changes on the policy in memory, judges what comes of them, and takes them back.
    fn prepare(
        &self,
        scope: &Scope,
        tenant: &TenantPolicy,
        even_the_host: bool,
        plan: &impl Fn(&Policy, &Snapshot, Timestamp) -> Result<Plan, Error>,
    ) -> Result<Prepared, Error> {
        let mut live = tenant.0.live.lock();
        let before = tenant.snapshot();
        if let Some(wanted) = self.base
            && before.revision() != wanted
        {
            return Err(Error::Changed { actual: before.revision(), wanted });
        }
        let now = self.inner.clock.now();
        let changes = plan(&live, &before, now)?;
        if changes.is_empty() || changes.len() > MAX_CHANGES {
            return Err(Error::Batch { given: changes.len(), most: MAX_CHANGES });
        }
        let judged = even_the_host || !Self::is_host(scope);
        let held_before = if judged { passed_on_that_hold(&live, &before) } else { BTreeSet::new() };
        let tried = Checked::try_on(&mut live, &self.inner.catalog, &changes)?;
        let revision = before.revision().next();
        let next = before.next(tried.policy(), &tried.touched(&changes), revision)?;
        let edits = edits(&changes, tried.undo());
        if judged {
            let actor = Self::actor(scope);
            let authority = Authority {
                actor: &actor,
                before: &before,
                after: &next,
                policy: tried.policy(),
                held_before: &held_before,
                now,
            };
            authority.allows(&edits)?;
        }
        let events = edits
            .iter()
            .map(|edit| {
                let (name, data) = told(edit.before.as_ref(), edit.after.as_ref(), revision);
                self.event(scope, now, name, data)
            })
            .collect();
        Ok(Prepared { changes, events, next })
    }

    /// What the sink does not take now waits in the store.
    async fn hand_over(&self, scope: &Scope, events: Vec<Event>) {
        for event in events {
            let id = event.id;
            if self.inner.sink.emit(event).await.is_err()
                || self.inner.store.delivered(scope, id).await.is_err()
            {
                return;
            }
        }
    }
}

fn check_open(new: &NewGrant, now: Timestamp) -> Result<(), Error> {
    match new.window.end() {
        Some(until) if until <= now => Err(Error::WindowOver { until, now }),
        _ => Ok(()),
    }
}

/// The grant behind all that was passed on from it.
pub(super) fn tree(policy: &Policy, grant: GrantId) -> Vec<GrantId> {
    let mut found = vec![grant];
    let mut at = 0;
    while let Some(next) = found.get(at).copied() {
        at += 1;
        found.extend(policy.passed_on_from(next));
    }
    found.reverse();
    found
}

/// The event of an edit.
fn told(before: Option<&Item>, after: Option<&Item>, revision: Revision) -> (&'static str, Value) {
    let name = match (before, after) {
        (_, Some(Item::Role(_))) => "rbac.role.written",
        (Some(Item::Role(_)), None) => "rbac.role.removed",
        (_, Some(Item::Membership(_))) => "rbac.member.added",
        (Some(Item::Membership(_)), None) => "rbac.member.removed",
        (_, Some(Item::Place(_))) => "rbac.area.placed",
        (Some(Item::Place(_)), None) => "rbac.area.removed",
        (_, Some(Item::Constraint(_))) => "rbac.constraint.written",
        (Some(Item::Constraint(_)), None) => "rbac.constraint.removed",
        (None, Some(Item::Grant(grant))) if grant.break_glass => "rbac.break_glass.opened",
        (None, Some(Item::Grant(grant))) if grant.parent.is_some() => "rbac.grant.delegated",
        (None, Some(Item::Grant(_))) => "rbac.grant.given",
        (Some(_), Some(Item::Grant(_))) => "rbac.grant.changed",
        (Some(Item::Grant(_)), None) => "rbac.grant.revoked",
        (None, None) => "rbac.nothing.changed",
    };
    (name, json!({ "revision": revision, "before": before, "after": after }))
}

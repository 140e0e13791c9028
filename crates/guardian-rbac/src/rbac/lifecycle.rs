//! What becomes of grants: emergencies, reviews, expiry.

use std::time::Duration;

use chrono::TimeDelta;
use guardian_core::{Scope, Timestamp};
use serde::Serialize;

use super::Rbac;
use super::writes::tree;
use crate::{
    Area, Ask, BREAK_GLASS, Change, Error, Grant, GrantId, Item, Key, NewGrant, Resource, Revision, RoleId,
    Subject, Window, WindowState,
};

/// A grant under review.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReviewItem {
    /// The grant.
    pub grant: Grant,
    /// When it last decided something, as far as noted.
    pub last_used: Option<Timestamp>,
    /// When somebody last looked at it: when it was given, or certified since.
    pub last_seen: Timestamp,
}

/// What a sweep removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Swept {
    /// The grants.
    pub grants: Vec<GrantId>,
    /// The revision behind it; `None` where there was nothing to remove.
    pub revision: Option<Revision>,
}

impl Rbac {
    /// Takes a role in an emergency, for the actor alone and for a time. The role must be marked for it
    /// ([`Role::for_emergencies`](crate::Role::for_emergencies)), and it takes [`BREAK_GLASS`] by its full name. The event
    /// `rbac.break_glass.opened` is the alarm; each decision that rests on the grant is an event too.
    ///
    /// # Errors
    /// [`Error::NoEmergency`], [`Error::NotAllowed`], [`Error::UnknownRole`], or the store fails.
    pub async fn break_glass(
        &self,
        scope: &Scope,
        role: &RoleId,
        area: Area,
        reason: &str,
        time: Duration,
    ) -> Result<(GrantId, Revision), Error> {
        let id = GrantId::new(self.inner.ids.next_id(self.inner.clock.now()));
        let actor = Self::actor(scope);
        let refused = |why: String| Error::NoEmergency { role: role.clone(), why };
        let revision = self
            .write(scope, |policy, snapshot, now| {
                let found =
                    policy.role(role).ok_or(Error::UnknownRole { role: role.clone(), similar: None })?;
                let most = found
                    .break_glass
                    .ok_or_else(|| refused("it is not marked for emergencies".to_owned()))?;
                if time.is_zero() || time > Duration::from_secs(most.into()) {
                    return Err(refused(format!(
                        "the time must be at least a second and at most {most} seconds"
                    )));
                }
                let ask = Ask::new(&actor, BREAK_GLASS).on(Resource::area(&area));
                if !snapshot.check(&ask, now)?.is_allowed() {
                    let (actor, area) = (actor.clone(), area.clone());
                    return Err(Error::NotAllowed { actor, permission: BREAK_GLASS.to_owned(), area });
                }
                let span = TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
                let until =
                    now.checked_add_signed(span).ok_or_else(|| refused("it would not end".to_owned()))?;
                let new = NewGrant::new(Subject::Principal(actor.clone()), role.as_str(), reason)?
                    .in_area(area.clone())
                    .during(Window::between(now, until)?);
                let mut grant = Grant::of(new, id, actor.clone(), now);
                grant.break_glass = true;
                Ok(vec![Change::Put(Item::Grant(grant))])
            })
            .await?;
        Ok((id, revision))
    }

    /// Who has what, when it was last used and last looked at: the longest unseen first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn review(&self, scope: &Scope) -> Result<Vec<ReviewItem>, Error> {
        let tenant = self.load(scope).await?;
        let uses = self.uses(scope).await?;
        let live = tenant.0.live.lock();
        let mut items: Vec<ReviewItem> = live
            .grants()
            .map(|grant| ReviewItem {
                last_used: uses.get(&grant.id).copied(),
                last_seen: grant.certified.unwrap_or(grant.created),
                grant: (**grant).clone(),
            })
            .collect();
        items.sort_by_key(|item| (item.last_seen, item.grant.id));
        Ok(items)
    }

    /// Says that somebody looked at a grant and it stays.
    ///
    /// # Errors
    /// [`Error::UnknownGrant`], [`Error::NotAllowed`], or the store fails. It takes [`REVIEW`](crate::REVIEW).
    pub async fn recertify(&self, scope: &Scope, grant: GrantId) -> Result<Revision, Error> {
        self.write(scope, |policy, _, now| {
            let found = policy.grant(grant).ok_or(Error::UnknownGrant { grant })?;
            let mut certified = (**found).clone();
            certified.certified = Some(now);
            Ok(vec![Change::Put(Item::Grant(certified))])
        })
        .await
    }

    /// Removes grants that nobody looked at for so long: recertify or lose it.
    ///
    /// # Errors
    /// As for [`revoke`](Self::revoke).
    pub async fn revoke_unseen(&self, scope: &Scope, longer_than: Duration) -> Result<Swept, Error> {
        self.sweep(scope, move |grant, now| {
            grant.certified.unwrap_or(grant.created) <= before(now, longer_than)
        })
        .await
    }

    /// Removes grants that were not used for so long, nor given or certified since.
    ///
    /// # Errors
    /// As for [`revoke`](Self::revoke).
    pub async fn revoke_unused(&self, scope: &Scope, longer_than: Duration) -> Result<Swept, Error> {
        let uses = self.uses(scope).await?;
        self.sweep(scope, move |grant, now| {
            let used = uses.get(&grant.id).copied();
            let last = used.into_iter().chain(grant.certified).chain([grant.created]).max();
            last.is_some_and(|last| last <= before(now, longer_than))
        })
        .await
    }

    /// Removes grants whose windows are over for so long. They give nothing before that either: this tidies up, and tells.
    ///
    /// # Errors
    /// As for [`revoke`](Self::revoke).
    pub async fn sweep_expired(&self, scope: &Scope, longer_than: Duration) -> Result<Swept, Error> {
        self.sweep(scope, move |grant, now| match grant.window.state(now) {
            WindowState::Over { at } => at <= before(now, longer_than),
            _ => false,
        })
        .await
    }

    async fn sweep(
        &self,
        scope: &Scope,
        goes: impl Fn(&Grant, Timestamp) -> bool + Send + Sync,
    ) -> Result<Swept, Error> {
        const AT_ONCE: usize = 1_000;
        let mut swept = Swept::default();
        loop {
            // What goes is found out again by the write, which may find less.
            let found = parking_lot::Mutex::new(Vec::new());
            let done = self
                .write(scope, |policy, _, now| {
                    let mut gone = std::collections::BTreeSet::new();
                    let mut changes = Vec::new();
                    for grant in policy.grants().filter(|grant| goes(grant, now)) {
                        if changes.len() >= AT_ONCE {
                            break;
                        }
                        for id in tree(policy, grant.id) {
                            if gone.insert(id) {
                                changes.push(Change::Remove(Key::Grant(id)));
                            }
                        }
                    }
                    *found.lock() = gone.into_iter().collect();
                    Ok(changes)
                })
                .await;
            match done {
                Ok(revision) => {
                    swept.revision = Some(revision);
                    swept.grants.append(&mut found.lock());
                }
                Err(Error::Batch { given: 0, .. }) => return Ok(swept),
                Err(error) => return Err(error),
            }
        }
    }
}

fn before(now: Timestamp, span: Duration) -> Timestamp {
    let span = TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
    now.checked_sub_signed(span).unwrap_or(Timestamp::MIN_UTC)
}

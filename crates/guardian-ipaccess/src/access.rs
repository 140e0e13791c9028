//! The service: doors of tenants, and changes that do not lock their author out.

use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::TimeDelta;
use foldhash::HashMap;
use guardian_core::{Clock, Event, EventSink, IdSource, NullSink, Scope, SystemClock, SystemIds, TenantId};
use parking_lot::{Mutex, RwLock};
use serde_json::{Value, json};

use crate::door::Ready;
use crate::geography::{Geography, Nowhere};
use crate::store::{AccessStore, Stored};
use crate::{AccessPolicy, AccessRequest, BreakGlass, CompiledPolicy, Defaults, Door, Error, PolicyError};

/// Whether somebody who would lock themselves out means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "they mean it or have to be asked")]
pub enum Confirm {
    /// They have to be asked: such a change is refused.
    Ask,
    /// They mean it.
    Meant,
}

/// The policies of tenants, on top of a store.
///
/// ```
/// use guardian_ipaccess::{IpAccess, MemoryStore};
///
/// let access = IpAccess::new(MemoryStore::new());
/// # let _ = access;
/// ```
///
/// # Several processes
/// A change shows at once in the process that makes it. Others see it when they [`refresh`](Self::refresh), which asks the store for
/// a number and reads the policy only if it is another: a host that refreshes each second is a second behind at most.
#[derive(Debug)]
pub struct IpAccess<S> {
    store: S,
    geography: Arc<dyn Geography>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    events: Arc<dyn EventSink>,
    otherwise: AccessPolicy,
    doors: RwLock<HashMap<TenantId, Door>>,
    retired: Retired,
}

impl<S: AccessStore> IpAccess<S> {
    /// The longest that an emergency override may hold.
    pub const MAX_BREAK_GLASS: TimeDelta = TimeDelta::hours(24);

    /// Over a store, without geography, with the system's clock and without listeners. A tenant without a policy of its own is open.
    pub fn new(store: S) -> Self {
        Self {
            store,
            geography: Arc::new(Nowhere),
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(SystemIds::new()),
            events: Arc::new(NullSink),
            otherwise: AccessPolicy::new(Defaults::open()),
            doors: RwLock::default(),
            retired: Retired::default(),
        }
    }

    /// The same with a geography.
    #[must_use]
    pub fn with_geography(mut self, geography: impl Geography) -> Self {
        self.geography = Arc::new(geography);
        self
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The same with another source of event ids.
    #[must_use]
    pub fn with_ids(mut self, ids: impl IdSource) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// The same with somebody who hears of changes: `ip_access.policy_changed`, `ip_access.break_glass_opened`,
    /// `ip_access.break_glass_closed`.
    #[must_use]
    pub fn with_events(mut self, events: impl EventSink) -> Self {
        self.events = Arc::new(events);
        self
    }

    /// The same with another policy for tenants that have none of their own.
    #[must_use]
    pub fn with_default_policy(mut self, policy: AccessPolicy) -> Self {
        self.otherwise = policy;
        self
    }

    /// The clock by which overrides begin and end.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The tenant's door. The first time it reads the store; later it is at hand.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn door(&self, scope: &Scope) -> Result<Door, Error> {
        if let Some(door) = self.door_at_hand(scope) {
            return Ok(door);
        }
        let ready = self.read(scope).await?;
        Ok(self.show(scope, ready))
    }

    /// The tenant's door if it is at hand, without reading the store.
    #[must_use]
    pub fn door_at_hand(&self, scope: &Scope) -> Option<Door> {
        self.doors.read().get(scope.tenant()).cloned()
    }

    /// Looks whether another process has changed the tenant's policy, and takes it up; whether it did.
    ///
    /// # Errors
    /// When the store fails; what was there goes on deciding.
    pub async fn refresh(&self, scope: &Scope) -> Result<bool, Error> {
        let known = self.doors.read().get(scope.tenant()).map(Door::revision);
        if known.is_some() && known == Some(self.store.revision(scope).await?) {
            return Ok(false);
        }
        let ready = self.read(scope).await?;
        self.show(scope, ready);
        Ok(true)
    }

    /// Looks for the tenants that are at hand whether another process has changed their policies, and takes them up: what the host does each
    /// second, say. It asks the store for a number a tenant.
    ///
    /// # Errors
    /// The first fault of the store, after all were asked; what was there goes on deciding.
    pub async fn follow(&self) -> Result<(), Error> {
        let known: Vec<TenantId> = self.doors.read().keys().cloned().collect();
        let mut first = Ok(());
        for tenant in known {
            let refreshed = self.refresh(&Scope::system(tenant)).await;
            first = first.and(refreshed.map(drop));
        }
        first
    }

    /// The tenant's policy and its revision; the default one and 0 if it has none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn policy(&self, scope: &Scope) -> Result<(AccessPolicy, i64), Error> {
        let (revision, stored) = self.stored(scope).await?;
        Ok((stored.policy.clone(), revision))
    }

    /// Changes the tenant's policy; the new revision. `author` is the request that asks for the change: if the new policy would deny
    /// it, and denials are not only reported, the change is refused unless it is [meant](Confirm::Meant).
    ///
    /// # Errors
    /// When the change fails, would lock the author out, or another one came first; nothing is stored then. When the store fails. When
    /// the change is stored and its event was not taken.
    pub async fn change(
        &self,
        scope: &Scope,
        author: &AccessRequest<'_>,
        confirm: Confirm,
        change: impl FnOnce(&mut AccessPolicy) -> Result<(), PolicyError> + Send,
    ) -> Result<i64, Error> {
        let stored = self.stored(scope).await?;
        self.change_stored(scope, stored, author, confirm, change).await
    }

    /// Changes the policy as [`change`](Self::change) does, if it still has the revision that the author has seen.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it has another one; else as [`change`](Self::change).
    pub async fn change_at(
        &self,
        scope: &Scope,
        revision: i64,
        author: &AccessRequest<'_>,
        confirm: Confirm,
        change: impl FnOnce(&mut AccessPolicy) -> Result<(), PolicyError> + Send,
    ) -> Result<i64, Error> {
        let stored = self.stored(scope).await?;
        if stored.0 != revision {
            return Err(Error::Conflict { expected: revision, actual: stored.0 });
        }
        self.change_stored(scope, stored, author, confirm, change).await
    }

    async fn change_stored(
        &self,
        scope: &Scope,
        (revision, before): (i64, Arc<Stored>),
        author: &AccessRequest<'_>,
        confirm: Confirm,
        change: impl FnOnce(&mut AccessPolicy) -> Result<(), PolicyError> + Send,
    ) -> Result<i64, Error> {
        let mut after = Stored::clone(&before);
        change(&mut after.policy)?;
        let compiled = CompiledPolicy::new(after.policy.clone());
        if confirm == Confirm::Ask {
            let decision = compiled.decide_in(author, &*self.geography);
            if !decision.is_allowed() {
                return Err(Error::WouldLockOut { addr: author.addr, reason: decision.reason() });
            }
        }
        let data = difference(&before.policy, &after.policy, author, confirm);
        let ready = Ready { revision: revision + 1, compiled, overrides: after.overrides.clone() };
        self.keep(scope, revision, after, ready).await?;
        self.report(scope, "ip_access.policy_changed", data, revision + 1).await
    }

    /// Lets a user in for a while, whatever the rules say, in place of what the user was given before; the new revision. Overrides
    /// that have ended are forgotten.
    ///
    /// # Errors
    /// When it would hold for no time or for longer than [`MAX_BREAK_GLASS`](Self::MAX_BREAK_GLASS), or has no reason; then as
    /// [`change`](Self::change).
    pub async fn break_glass(
        &self,
        scope: &Scope,
        user: &str,
        reason: &str,
        holds: TimeDelta,
    ) -> Result<i64, Error> {
        if holds <= TimeDelta::zero() || holds > Self::MAX_BREAK_GLASS {
            return Err(Error::BreakGlass { why: "has to hold for some time, at most for a day" });
        }
        if reason.trim().is_empty() || reason.len() > AccessPolicy::MAX_TEXT || user.is_empty() {
            return Err(Error::BreakGlass { why: "needs a user, and a reason of at most 256 bytes" });
        }
        let from = self.clock.now();
        let (user, reason) = (user.to_owned(), reason.to_owned());
        let glass = BreakGlass { user, reason, given_by: scope.actor().clone(), from, until: from + holds };
        let data = json!({ "user": glass.user, "reason": glass.reason, "until": glass.until });
        self.change_overrides(scope, "ip_access.break_glass_opened", data, |overrides| {
            overrides.retain(|other| other.user != glass.user);
            overrides.push(glass);
        })
        .await
    }

    /// Ends a user's emergency overrides; the new revision.
    ///
    /// # Errors
    /// As [`change`](Self::change).
    pub async fn close_break_glass(&self, scope: &Scope, user: &str) -> Result<i64, Error> {
        let data = json!({ "user": user });
        let close = |overrides: &mut Vec<BreakGlass>| overrides.retain(|glass| glass.user != user);
        self.change_overrides(scope, "ip_access.break_glass_closed", data, close).await
    }

    async fn change_overrides(
        &self,
        scope: &Scope,
        name: &str,
        data: Value,
        change: impl FnOnce(&mut Vec<BreakGlass>) + Send,
    ) -> Result<i64, Error> {
        let (revision, before) = self.stored(scope).await?;
        let mut after = Stored::clone(&before);
        let now = self.clock.now();
        after.overrides.retain(|glass| glass.until > now);
        change(&mut after.overrides);
        let compiled = CompiledPolicy::new(after.policy.clone());
        let ready = Ready { revision: revision + 1, compiled, overrides: after.overrides.clone() };
        self.keep(scope, revision, after, ready).await?;
        self.report(scope, name, data, revision + 1).await
    }

    async fn keep(&self, scope: &Scope, expected: i64, stored: Stored, ready: Ready) -> Result<(), Error> {
        if !self.store.save(scope, expected, Arc::new(stored)).await? {
            let actual = self.store.revision(scope).await?;
            return Err(Error::Conflict { expected, actual });
        }
        self.show(scope, ready);
        Ok(())
    }

    async fn report(&self, scope: &Scope, name: &str, mut data: Value, revision: i64) -> Result<i64, Error> {
        let now = self.clock.now();
        if let Some(data) = data.as_object_mut() {
            data.insert("revision".into(), revision.into());
        }
        let event = Event::new(self.ids.next_id(now), now, scope, name).with_data(data);
        let taken = self.events.emit(event).await;
        taken.map(|()| revision).map_err(|source| Error::Unreported { revision, source })
    }

    async fn stored(&self, scope: &Scope) -> Result<(i64, Arc<Stored>), Error> {
        let found = self.store.load(scope).await?;
        Ok(found.unwrap_or_else(|| {
            (0, Arc::new(Stored { policy: self.otherwise.clone(), overrides: Vec::new() }))
        }))
    }

    async fn read(&self, scope: &Scope) -> Result<Ready, Error> {
        let (revision, stored) = self.stored(scope).await?;
        let compiled = CompiledPolicy::new(stored.policy.clone());
        Ok(Ready { revision, compiled, overrides: stored.overrides.clone() })
    }

    /// Swaps what decides, unless something newer does already.
    fn show(&self, scope: &Scope, ready: Ready) -> Door {
        let ready = Arc::new(ready);
        let mut doors = self.doors.write();
        let fresh = || Door {
            current: Arc::new(ArcSwap::new(Arc::clone(&ready))),
            geography: Arc::clone(&self.geography),
        };
        let door = doors.entry(scope.tenant().clone()).or_insert_with(fresh);
        let old = (door.revision() < ready.revision).then(|| door.current.swap(ready));
        let door = door.clone();
        drop(doors);
        self.retired.take(old);
        door
    }
}

/// Policies that no longer decide, until the last request has left them. Freeing a hundred thousand rules takes milliseconds, which
/// whoever changes the policy has and a request has not.
#[derive(Debug, Default)]
struct Retired(Mutex<Vec<Arc<Ready>>>);

impl Retired {
    fn take(&self, old: Option<Arc<Ready>>) {
        let mut waiting = self.0.lock();
        waiting.extend(old);
        // Whom only this list knows nobody can come back to.
        let left: Vec<_> = waiting.extract_if(.., |ready| Arc::strong_count(ready) == 1).collect();
        drop(waiting);
        drop(left);
    }
}

/// What a change did, for its event: rules as they are written, at most a hundred of each.
fn difference(
    before: &AccessPolicy,
    after: &AccessPolicy,
    author: &AccessRequest<'_>,
    confirm: Confirm,
) -> Value {
    const SHOWN: usize = 100;
    let missing = |from: &AccessPolicy, of: &AccessPolicy| {
        let gone = of.rules().iter().filter(|rule| from.rule(rule.id) != Some(*rule));
        gone.map(|rule| format!("{} {rule}", rule.id)).collect::<Vec<_>>()
    };
    let (added, removed) = (missing(before, after), missing(after, before));
    json!({
        "from": (!author.addr.is_unspecified()).then_some(author.addr),
        "confirmed": confirm == Confirm::Meant,
        "added": added.iter().take(SHOWN).collect::<Vec<_>>(),
        "added_count": added.len(),
        "removed": removed.iter().take(SHOWN).collect::<Vec<_>>(),
        "removed_count": removed.len(),
        "defaults": (before.defaults() != after.defaults()).then(|| after.defaults()),
        "dry_run": after.is_dry_run(),
    })
}

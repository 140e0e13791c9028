use std::collections::BTreeSet;

use guardian_core::Timestamp;

use crate::snapshot::roles::RoleTable;
use crate::snapshot::walk::combined;
use crate::{Duty, Error, Principal, RoleId, Snapshot};

/// The roles that somebody has made active: a part of those held, for as long as the session lasts (INCITS 359-2004).
///
/// With [`Ask::in_session`](crate::Ask::in_session) only the active roles, and what they inherit, give something. What any
/// role takes is taken all the same, so that nobody sheds a prohibition by not making its role active. A role that is no
/// longer held gives nothing, active or not.
///
/// ```
/// use chrono::{TimeZone, Utc};
/// use guardian_rbac::{Catalog, Policy, Principal, Revision, Session, Snapshot};
///
/// let snapshot = Snapshot::compile(&Policy::new(), &Catalog::builder().build()?, Revision::new(0))?;
/// let mut session = Session::new(Principal::user("ann")?);
/// let now = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
/// let error = session.activate(&snapshot, &"admin".parse()?, now).unwrap_err();
/// assert_eq!(error.to_string(), "`user:ann` does not have the role `admin` now");
/// # Ok::<(), guardian_rbac::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    principal: Principal,
    active: BTreeSet<RoleId>,
}

impl Session {
    /// A session in which no role is active yet.
    #[must_use]
    pub fn new(principal: Principal) -> Self {
        Self { principal, active: BTreeSet::new() }
    }

    /// Whose it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The active roles.
    #[must_use]
    pub fn active(&self) -> impl ExactSizeIterator<Item = &RoleId> {
        self.active.iter()
    }

    /// Makes a role active that the principal has, or that one of its roles inherits from.
    ///
    /// # Errors
    /// [`Error::NotHeld`], or [`Error::Separation`] where it must not be active beside another.
    pub fn activate(&mut self, snapshot: &Snapshot, role: &RoleId, now: Timestamp) -> Result<(), Error> {
        let not_held = || Error::NotHeld { principal: self.principal.clone(), role: role.clone() };
        let roles = &snapshot.roles;
        let wanted = roles.index(role).filter(|at| roles.own(*at).is_some()).ok_or_else(not_held)?;
        if !snapshot.held(&self.principal, now).into_iter().any(|held| roles.includes(held, wanted)) {
            return Err(not_held());
        }
        let mut all: BTreeSet<u32> = self.active_in(roles).into_iter().collect();
        all.insert(wanted);
        let with_parents: BTreeSet<u32> = all.iter().flat_map(|at| roles.closure(*at)).collect();
        for constraint in snapshot.constraints.iter().filter(|constraint| constraint.duty == Duty::Dynamic) {
            let is_active = |role: &&RoleId| roles.index(role).is_some_and(|at| with_parents.contains(&at));
            let together: Vec<RoleId> = constraint.roles.iter().filter(is_active).cloned().collect();
            if together.len() >= usize::try_from(constraint.limit).unwrap_or(usize::MAX) {
                return Err(Error::Separation {
                    subject: self.principal.clone().into(),
                    constraint: constraint.id.clone(),
                    roles: together,
                });
            }
        }
        self.active.insert(role.clone());
        Ok(())
    }

    /// Makes a role inactive; returns whether it was active.
    pub fn deactivate(&mut self, role: &RoleId) -> bool {
        self.active.remove(role)
    }

    pub(crate) fn active_in(&self, roles: &RoleTable) -> Vec<u32> {
        self.active.iter().filter_map(|role| roles.index(role)).collect()
    }
}

impl Snapshot {
    /// The roles of grants whose windows are open now, anywhere.
    pub(crate) fn held(&self, principal: &Principal, now: Timestamp) -> Vec<u32> {
        let mut held = Vec::new();
        self.each_grant(principal.borrowed(), |slot, cold, link| {
            let (from, until) = link.map_or((i64::MIN, i64::MAX), |link| (link.from, link.until));
            let hours = cold.chain.iter().filter_map(|grant| grant.window.hours());
            let hours = hours.chain(link.into_iter().flat_map(|link| &link.hours));
            if combined(slot.from.max(from), slot.until.min(until), hours, now) == crate::WindowState::Open {
                held.push(slot.role);
            }
        });
        held.sort_unstable();
        held.dedup();
        held
    }
}

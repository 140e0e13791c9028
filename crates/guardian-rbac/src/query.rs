//! Lists: who can do something, what somebody can do.

use guardian_core::Timestamp;

use crate::snapshot::walk::{Places, Walk};
use crate::{
    Area, Ask, Error, Outcome, PermissionHandle, PermissionRef, Principal, PrincipalRef, Resource, Snapshot,
};

/// Who can do something.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WhoCan {
    /// Whether everyone can, known or not, but for those whom something forbids it.
    pub everyone: bool,
    /// The principals of the policy who can, ordered by kind and id.
    pub principals: Vec<Principal>,
}

/// What somebody can do in an area.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CanDo {
    /// The permission.
    pub permission: PermissionHandle,
    /// What is answered: everything but `NotPermitted` is listed.
    pub outcome: Outcome,
}

impl Snapshot {
    /// Who can do this to the resource. Conditions see the resource's facts and each principal's kind and id, and no context;
    /// what they make depend on more is not given. O(principals).
    ///
    /// # Errors
    /// [`Error::UnknownPermission`].
    pub fn who_can<'a>(
        &self,
        permission: impl Into<PermissionRef<'a>>,
        resource: &Resource<'_>,
        now: Timestamp,
    ) -> Result<WhoCan, Error> {
        let handle = self.handle(permission.into())?;
        let mut principals = Vec::new();
        let conditional = self.roles.has_conditions() || self.people.has_conditions();
        if conditional {
            for (name, _) in self.people.iter() {
                let ask = Ask::new(name, handle).on(*resource);
                if self.peek(&ask, now)?.is_allowed() {
                    principals.push(name.clone());
                }
            }
        } else {
            // Without conditions nothing depends on who it is, and one walk serves all.
            let places = Places::of(&self.areas, resource);
            let walk = Walk::new(self, handle, &places, now, None, None, None);
            let can = self.people.iter().filter(|(_, person)| walk.outcome_of(*person).is_allowed());
            principals.extend(can.map(|(name, _)| name.clone()));
        }
        principals.sort_unstable_by(|left: &Principal, right| {
            let key = |who: &Principal| crate::principal::kind_number(who.kind());
            key(left).cmp(&key(right)).then_with(|| left.id().cmp(right.id()))
        });
        let nobody = Ask::new(crate::snapshot::NOBODY, handle).on(*resource);
        Ok(WhoCan { everyone: self.peek(&nobody, now)?.is_allowed(), principals })
    }

    /// What somebody can do to the resource, will be able to, could, or is forbidden. O(permissions).
    pub fn what_can<'a>(
        &self,
        who: impl Into<PrincipalRef<'a>>,
        resource: &Resource<'_>,
        now: Timestamp,
    ) -> Vec<CanDo> {
        let who = who.into();
        let outcome = |permission| {
            let ask = Ask::new(who, permission).on(*resource);
            self.peek(&ask, now).map_or(Outcome::NotPermitted, |outcome| outcome)
        };
        let all = self
            .catalog()
            .permissions()
            .map(|(permission, _)| CanDo { permission, outcome: outcome(permission) });
        all.filter(|can| can.outcome != Outcome::NotPermitted).collect()
    }

    /// A check that does not count as a use of a grant.
    pub(crate) fn peek(&self, ask: &Ask<'_>, now: Timestamp) -> Result<Outcome, Error> {
        let handle = self.handle(ask.permission)?;
        let places = Places::of(&self.areas, &ask.resource);
        let active = ask.session.map(|session| session.active_in(&self.roles));
        let walk = Walk::new(self, handle, &places, now, Some(ask), None, active.as_deref());
        let person = self.people.find(ask.who).and_then(|at| self.people.person(at)).unwrap_or_default();
        Ok(walk.outcome_of(person))
    }

    /// The areas that the policy names, for lists over all of them.
    pub fn areas(&self) -> impl Iterator<Item = &Area> {
        self.areas.names()
    }
}

//! Why: the chain behind a decision, and what came near.

use std::fmt;

use guardian_core::Timestamp;
use serde::Serialize;

use crate::snapshot::roles::place;
use crate::snapshot::walk::{Fate, Listener, Note, Places, Walk};
use crate::window::seconds;
use crate::{
    Area, Ask, Decision, Effect, Error, GrantId, GroupId, Permission, Principal, RoleId, Snapshot, Subject,
    Window, WindowState,
};

/// The most grants beside the deciding one that an explanation names.
const MAX_OTHERS: usize = 16;

/// A decision with its reasons, for people ([`Display`](fmt::Display)) and programs (JSON).
///
/// It is for those who may read the policy: it names groups, roles and grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// Who asked.
    pub principal: Principal,
    /// For what.
    pub permission: Permission,
    /// On what.
    pub resource: String,
    /// As of when.
    pub at: Timestamp,
    /// The decision, the same as that of a check.
    pub decision: Decision,
    /// The chain that it rests on, where one rule decided.
    pub because: Option<Chain>,
    /// Grants that are about the permission and had no say, with why not; at most 16.
    pub others: Vec<Miss>,
}

/// From somebody to a rule: through groups to a grant, from its role through what it inherits to the one with the rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Chain {
    /// The groups on the way, the nearest first; empty where the grant is the principal's own.
    pub groups: Vec<GroupId>,
    /// The grant.
    pub grant: GrantId,
    /// To whom it was given.
    pub subject: Subject,
    /// The grants that it was passed on from, the nearest first.
    pub passed_on_from: Vec<GrantId>,
    /// The role of the grant, those between, and the one with the rule.
    pub roles: Vec<RoleId>,
    /// What the rule does, where one is to be named.
    pub effect: Option<Effect>,
    /// Where the grant holds.
    pub area: Area,
    /// When.
    #[serde(skip_serializing_if = "Window::is_always")]
    pub window: Window,
    /// Who gave it.
    pub giver: Principal,
    /// Why.
    pub reason: String,
}

/// A grant that had no say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Miss {
    /// Why not.
    pub why: Why,
    /// The way to it.
    pub chain: Chain,
}

/// Why a grant had no say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "why")]
#[non_exhaustive]
pub enum Why {
    /// It, or its rule, is about another area.
    Elsewhere,
    /// It is over.
    Expired {
        /// Since when.
        at: Timestamp,
    },
    /// It is not open yet.
    NotYetActive {
        /// When it will be.
        at: Timestamp,
    },
    /// A condition does not hold.
    ConditionUnmet {
        /// The condition.
        condition: String,
    },
    /// A condition failed; what it was for is then denied.
    ConditionFailed {
        /// The condition.
        condition: String,
        /// How it failed.
        error: String,
    },
    /// Its role is not active in the session.
    Inactive,
}

impl Snapshot {
    /// Answers a question like [`check`](Self::check), on the same way, and says why.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    pub fn explain(&self, ask: &Ask<'_>, now: Timestamp) -> Result<Explanation, Error> {
        let handle = self.handle(ask.permission)?;
        let Some(permission) = self.catalog().permission(handle) else {
            return Err(Error::ForeignHandle);
        };
        let mut heard = Heard { notes: Vec::new() };
        let places = Places::of(&self.areas, &ask.resource);
        let active = ask.session.map(|session| session.active_in(&self.roles));
        let walk = Walk::new(self, handle, &places, now, Some(ask), None, active.as_deref());
        let decision = walk.decide(self.people.find(ask.who), &mut heard);
        let wanted = if decision.outcome == crate::Outcome::Forbidden { Effect::Deny } else { Effect::Allow };
        let mut because = None;
        let mut others = Vec::new();
        for note in heard.notes {
            let why = match &note.fate {
                Fate::Decides(effect) => {
                    if because.is_none() && *effect == wanted && decision.grant.is_some() {
                        because = self.chain(&note, handle, Some(*effect));
                    }
                    continue;
                }
                Fate::Elsewhere => Why::Elsewhere,
                Fate::Inactive => Why::Inactive,
                Fate::Closed(WindowState::Over { at }) => Why::Expired { at: *at },
                Fate::Closed(WindowState::NotYet { at }) => Why::NotYetActive { at: *at },
                Fate::Closed(WindowState::Open) => continue,
                Fate::Unmet(condition, None) => Why::ConditionUnmet { condition: condition.to_string() },
                Fate::Unmet(condition, Some(error)) => {
                    Why::ConditionFailed { condition: condition.to_string(), error: error.to_string() }
                }
            };
            if others.len() < MAX_OTHERS {
                let effect = note.rule.map(|(_, rule)| rule.effect);
                others.extend(self.chain(&note, handle, effect).map(|chain| Miss { why, chain }));
            }
        }
        Ok(Explanation {
            principal: ask.who.to_principal(),
            permission: permission.clone(),
            resource: ask.resource.to_string(),
            at: now,
            decision,
            because,
            others,
        })
    }

    fn chain(
        &self,
        note: &Note<'_>,
        handle: crate::PermissionHandle,
        effect: Option<Effect>,
    ) -> Option<Chain> {
        let grant = note.cold.grant()?;
        let at = place(handle);
        let plain = |effect| self.roles.path_to_plain(note.slot.role, at, effect);
        let (path, effect) = match (note.rule, effect) {
            (Some((holder, rule)), _) => {
                (self.roles.path(note.slot.role, |role| role == holder), Some(rule.effect))
            }
            (None, Some(effect)) => (plain(effect), Some(effect)),
            (None, None) => match plain(Effect::Deny) {
                Some(path) => (Some(path), Some(Effect::Deny)),
                None => match plain(Effect::Allow) {
                    Some(path) => (Some(path), Some(Effect::Allow)),
                    None => (None, None),
                },
            },
        };
        let path = path.unwrap_or_else(|| vec![note.slot.role]);
        let groups = note.link.map(|link| &*link.path).unwrap_or_default();
        Some(Chain {
            groups: groups.iter().filter_map(|group| self.people.group_name(*group).cloned()).collect(),
            grant: grant.id,
            subject: grant.subject.clone(),
            passed_on_from: note.cold.chain.iter().skip(1).map(|grant| grant.id).collect(),
            roles: path.into_iter().filter_map(|role| self.roles.id(role).cloned()).collect(),
            effect,
            area: grant.area.clone(),
            window: grant.window.clone(),
            giver: grant.giver.clone(),
            reason: grant.reason.clone(),
        })
    }
}

struct Heard<'s> {
    notes: Vec<Note<'s>>,
}

impl<'s> Listener<'s> for Heard<'s> {
    const LISTENS: bool = true;

    fn note(&mut self, note: Note<'s>) {
        // Somebody with very many grants elsewhere is not worth a list of them.
        if self.notes.len() < 4 * MAX_OTHERS || matches!(note.fate, Fate::Decides(_)) {
            self.notes.push(note);
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { principal, permission, resource, at, decision, because, others } = self;
        write!(f, "`{permission}` on {resource} is {} to {principal}", decision.outcome)?;
        writeln!(f, " (at {}, revision {})", seconds(*at), decision.revision)?;
        if let Some(chain) = because {
            writeln!(f, "  because {chain}")?;
        }
        for Miss { why, chain } in others {
            writeln!(f, "  not by {chain}: {why}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in &self.groups {
            write!(f, "group {group} -> ")?;
        }
        let (first, rest) =
            self.roles.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        write!(f, "grant {} of {first} to {}", self.grant, self.subject)?;
        if !self.area.is_tenant() {
            write!(f, " in {}", self.area)?;
        }
        if !self.window.is_always() {
            write!(f, " {}", self.window)?;
        }
        for parent in &self.passed_on_from {
            write!(f, " passed on from {parent}")?;
        }
        for role in rest {
            write!(f, " -> {role}")?;
        }
        match self.effect {
            Some(Effect::Allow) => f.write_str(", which allows it"),
            Some(Effect::Deny) => f.write_str(", which denies it"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere => f.write_str("it is about another area"),
            Self::Expired { at } => write!(f, "it expired at {}", seconds(*at)),
            Self::NotYetActive { at } => write!(f, "it begins at {}", seconds(*at)),
            Self::ConditionUnmet { condition } => write!(f, "`{condition}` does not hold"),
            Self::ConditionFailed { condition, error } => write!(f, "`{condition}` failed: {error}"),
            Self::Inactive => f.write_str("its role is not active in the session"),
        }
    }
}

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a search can ask of an event besides its text: the name before the colon in `actor:ann`.
///
/// Values compare without regard to case. Times and addresses have tests of their own, see
/// [`Condition`](crate::query::Condition).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Dimension {
    /// `action:`
    Action,
    /// `actor:` the actor's id, e-mail address or name.
    Actor,
    /// `actor_id:`
    ActorId,
    /// `actor_kind:`
    ActorKind,
    /// `actor_name:`
    ActorName,
    /// `email:`
    ActorEmail,
    /// `impersonator:`
    Impersonator,
    /// `api_key:`
    ApiKey,
    /// `session:`
    Session,
    /// `category:`
    Category,
    /// `outcome:`
    Outcome,
    /// `target:` the target's id or name.
    Target,
    /// `target_kind:`
    TargetKind,
    /// `target_id:`
    TargetId,
    /// `target_name:`
    TargetName,
    /// `ip:` one address, or a network as `10.0.0.0/8`.
    Address,
    /// `country:`
    Country,
    /// `agent:` the user agent as a whole.
    UserAgent,
    /// `request:`
    Request,
    /// `source:`
    Source,
    /// `risk:`
    Risk,
    /// `reason:` the name of a risk rule.
    Reason,
    /// `changed:` the path of a changed field, `/stage`.
    Changed,
    /// `id:` the event's id.
    Id,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 24] = [
        Self::Action,
        Self::Actor,
        Self::ActorId,
        Self::ActorKind,
        Self::ActorName,
        Self::ActorEmail,
        Self::Impersonator,
        Self::ApiKey,
        Self::Session,
        Self::Category,
        Self::Outcome,
        Self::Target,
        Self::TargetKind,
        Self::TargetId,
        Self::TargetName,
        Self::Address,
        Self::Country,
        Self::UserAgent,
        Self::Request,
        Self::Source,
        Self::Risk,
        Self::Reason,
        Self::Changed,
        Self::Id,
    ];

    /// The name in a query.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// The first byte of its terms in an index; `None` for one that stands for several others.
    pub(crate) fn code(self) -> Option<char> {
        self.row().1
    }

    /// The dimensions that this one stands for.
    pub(crate) fn parts(self) -> Vec<Self> {
        match self {
            Self::Actor => vec![Self::ActorId, Self::ActorEmail, Self::ActorName],
            Self::Target => vec![Self::TargetId, Self::TargetName],
            other => vec![other],
        }
    }

    /// The dimension of this name, or of one that people know from elsewhere.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let name = match name {
            "operation" | "event" => "action",
            "user" => "actor",
            "actor_type" | "actor.kind" | "actor.type" => "actor_kind",
            "actor.id" => "actor_id",
            "actor.name" => "actor_name",
            "actor.email" | "actor_email" => "email",
            "key" => "api_key",
            "target_type" | "target.kind" | "target.type" => "target_kind",
            "target.id" => "target_id",
            "target.name" => "target_name",
            "actor_ip" | "address" => "ip",
            "user_agent" => "agent",
            "request_id" => "request",
            "session_id" => "session",
            other => other,
        };
        Self::ALL.into_iter().find(|dimension| dimension.name() == name)
    }

    fn row(self) -> (&'static str, Option<char>) {
        match self {
            Self::Action => ("action", Some('a')),
            Self::Actor => ("actor", None),
            Self::ActorId => ("actor_id", Some('b')),
            Self::ActorKind => ("actor_kind", Some('c')),
            Self::ActorName => ("actor_name", Some('d')),
            Self::ActorEmail => ("email", Some('e')),
            Self::Impersonator => ("impersonator", Some('f')),
            Self::ApiKey => ("api_key", Some('g')),
            Self::Session => ("session", Some('h')),
            Self::Category => ("category", Some('i')),
            Self::Outcome => ("outcome", Some('j')),
            Self::Target => ("target", None),
            Self::TargetKind => ("target_kind", Some('k')),
            Self::TargetId => ("target_id", Some('l')),
            Self::TargetName => ("target_name", Some('n')),
            Self::Address => ("ip", Some('o')),
            Self::Country => ("country", Some('p')),
            Self::UserAgent => ("agent", Some('q')),
            Self::Request => ("request", Some('r')),
            Self::Source => ("source", Some('s')),
            Self::Risk => ("risk", Some('t')),
            Self::Reason => ("reason", Some('u')),
            Self::Changed => ("changed", Some('v')),
            Self::Id => ("id", Some('x')),
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

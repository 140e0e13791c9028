use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use guardian_core::{Actor, ActorKind};
use serde::{Deserialize, Serialize};

use crate::name::check_text;
use crate::{GroupId, InvalidName};

/// Who asks: a user, an API key, a service, or the host itself, written `user:ann`.
///
/// Every [`Actor`] is one. The id may be any text of 1 to 256 bytes without control characters, so that policies of other
/// systems can be imported.
///
/// ```
/// use guardian_core::Actor;
/// use guardian_rbac::Principal;
///
/// let ann: Principal = "user:ann".parse()?;
/// assert_eq!(ann, Principal::from(&Actor::user("ann").unwrap()));
/// # Ok::<(), guardian_rbac::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Principal {
    kind: ActorKind,
    id: Arc<str>,
}

impl Principal {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 256;

    /// A principal of this kind and id.
    ///
    /// # Errors
    /// When the id is not 1 to [`Self::MAX_LEN`] bytes without control characters.
    pub fn new(kind: ActorKind, id: impl AsRef<str>) -> Result<Self, InvalidName> {
        let id = id.as_ref();
        check_text("principal", id, Self::MAX_LEN)?;
        Ok(Self { kind, id: id.into() })
    }

    /// A user.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn user(id: impl AsRef<str>) -> Result<Self, InvalidName> {
        Self::new(ActorKind::User, id)
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> ActorKind {
        self.kind
    }

    /// Its id within its kind.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> PrincipalRef<'_> {
        PrincipalRef { kind: self.kind, id: &self.id }
    }
}

impl From<&Actor> for Principal {
    fn from(actor: &Actor) -> Self {
        Self { kind: actor.kind(), id: actor.id().as_str().into() }
    }
}

/// A principal whose id is borrowed: what a check is asked about, without an allocation.
///
/// ```
/// use guardian_core::ActorKind;
/// use guardian_rbac::PrincipalRef;
///
/// let who = PrincipalRef::new(ActorKind::User, "ann");
/// assert_eq!(who.to_string(), "user:ann");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrincipalRef<'a> {
    pub(crate) kind: ActorKind,
    pub(crate) id: &'a str,
}

impl<'a> PrincipalRef<'a> {
    /// Of this kind and id. An id that no principal can have is that of nobody.
    #[must_use]
    pub fn new(kind: ActorKind, id: &'a str) -> Self {
        Self { kind, id }
    }

    pub(crate) fn to_principal(self) -> Principal {
        Principal { kind: self.kind, id: self.id.into() }
    }
}

impl<'a> From<&'a Principal> for PrincipalRef<'a> {
    fn from(principal: &'a Principal) -> Self {
        principal.borrowed()
    }
}

impl<'a> From<&'a Actor> for PrincipalRef<'a> {
    fn from(actor: &'a Actor) -> Self {
        Self { kind: actor.kind(), id: actor.id().as_str() }
    }
}

impl fmt::Display for PrincipalRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Principal({self})")
    }
}

impl FromStr for Principal {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kind = |name| match name {
            "user" => Some(ActorKind::User),
            "api_key" => Some(ActorKind::ApiKey),
            "service" => Some(ActorKind::Service),
            "system" => Some(ActorKind::System),
            _ => None,
        };
        match text.split_once(':').and_then(|(name, id)| Some((kind(name)?, id))) {
            Some((kind, id)) => Self::new(kind, id),
            None => {
                let why = "write `user:ID`, `api_key:ID`, `service:ID` or `system:ID`";
                Err(InvalidName::new("principal", text, why))
            }
        }
    }
}

impl TryFrom<String> for Principal {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Principal> for String {
    fn from(principal: Principal) -> Self {
        principal.to_string()
    }
}

/// Who is given a role: one principal, a group, or everyone, written `user:ann`, `group:sales`, `everyone`.
///
/// ```
/// use guardian_rbac::Subject;
///
/// let sales: Subject = "group:sales".parse()?;
/// assert_eq!(sales.to_string(), "group:sales");
/// # Ok::<(), guardian_rbac::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Subject {
    /// One principal.
    Principal(Principal),
    /// The members of a group, and those of the groups in it.
    Group(GroupId),
    /// Whoever asks, known or not.
    Everyone,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Principal(principal) => principal.fmt(f),
            Self::Group(group) => write!(f, "group:{group}"),
            Self::Everyone => f.write_str("everyone"),
        }
    }
}

impl FromStr for Subject {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "everyone" {
            return Ok(Self::Everyone);
        }
        if let Some(group) = text.strip_prefix("group:") {
            return Ok(Self::Group(GroupId::new(group)?));
        }
        text.parse().map(Self::Principal).map_err(|error: InvalidName| {
            let named =
                ["user:", "api_key:", "service:", "system:"].iter().any(|kind| text.starts_with(kind));
            let why = "write `user:ID`, `api_key:ID`, `service:ID`, `group:NAME` or `everyone`";
            if named { error } else { InvalidName::new("subject", text, why) }
        })
    }
}

impl TryFrom<String> for Subject {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

impl From<Principal> for Subject {
    fn from(principal: Principal) -> Self {
        Self::Principal(principal)
    }
}

impl From<GroupId> for Subject {
    fn from(group: GroupId) -> Self {
        Self::Group(group)
    }
}

/// The order of maps: by kind, then by id.
impl PartialOrd for Subject {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Subject {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.sort_key().cmp(&other.sort_key())
    }
}

impl Subject {
    fn sort_key(&self) -> (u8, &str) {
        match self {
            Self::Everyone => (0, ""),
            Self::Group(group) => (1, group.as_str()),
            Self::Principal(principal) => (2 + kind_number(principal.kind()), principal.id()),
        }
    }

    /// The principal, if it is one.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Principal(principal) => Some(principal),
            _ => None,
        }
    }

    /// The group, if it is one.
    #[must_use]
    pub fn group(&self) -> Option<&GroupId> {
        match self {
            Self::Group(group) => Some(group),
            _ => None,
        }
    }
}

/// A number for each kind; what is added to the vocabulary later shares one, which costs collisions and no answers.
pub(crate) fn kind_number(kind: ActorKind) -> u8 {
    match kind {
        ActorKind::User => 0,
        ActorKind::ApiKey => 1,
        ActorKind::Service => 2,
        ActorKind::System => 3,
        _ => 4,
    }
}

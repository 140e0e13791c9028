use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::shorten;
use crate::tenant::check_id_text;

/// Who does something: a person, an API key, a service, or the system itself.
///
/// ```
/// use guardian_core::{Actor, ActorKind};
///
/// let ann = Actor::user("u_17")?;
/// assert_eq!(ann.kind(), ActorKind::User);
/// assert_eq!(ann.to_string(), "user:u_17");
/// assert_eq!(Actor::system().to_string(), "system:guardian");
/// # Ok::<(), guardian_core::InvalidActor>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    kind: ActorKind,
    id: ActorId,
}

impl Actor {
    /// An actor of any kind.
    #[must_use]
    pub fn new(kind: ActorKind, id: ActorId) -> Self {
        Self { kind, id }
    }

    /// A person who signed in.
    ///
    /// # Errors
    /// When `id` is not an [`ActorId`].
    pub fn user(id: impl AsRef<str>) -> Result<Self, InvalidActor> {
        Ok(Self::new(ActorKind::User, ActorId::new(id)?))
    }

    /// An API key or token; `id` is the key's public id, never its secret.
    ///
    /// # Errors
    /// When `id` is not an [`ActorId`].
    pub fn api_key(id: impl AsRef<str>) -> Result<Self, InvalidActor> {
        Ok(Self::new(ActorKind::ApiKey, ActorId::new(id)?))
    }

    /// Another service of the host.
    ///
    /// # Errors
    /// When `id` is not an [`ActorId`].
    pub fn service(id: impl AsRef<str>) -> Result<Self, InvalidActor> {
        Ok(Self::new(ActorKind::Service, ActorId::new(id)?))
    }

    /// Guardian's own maintenance: retention, timers, expiry.
    #[must_use]
    pub fn system() -> Self {
        Self { kind: ActorKind::System, id: ActorId("guardian".into()) }
    }

    /// What tenants' workflows do, `service:workflow`: with the permissions that a tenant gives this actor, and no others.
    #[must_use]
    pub fn workflow() -> Self {
        Self { kind: ActorKind::Service, id: ActorId("workflow".into()) }
    }

    /// What sort of actor this is.
    #[must_use]
    pub fn kind(&self) -> ActorKind {
        self.kind
    }

    /// The actor's id, unique among actors of its kind.
    #[must_use]
    pub fn id(&self) -> &ActorId {
        &self.id
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}

/// The sorts of [`Actor`]; as text `user`, `api_key`, `service` and `system`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ActorKind {
    /// A person who signed in.
    User,
    /// An API key or token.
    ApiKey,
    /// Another service of the host.
    Service,
    /// Guardian itself.
    System,
}

impl fmt::Display for ActorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::ApiKey => "api_key",
            Self::Service => "service",
            Self::System => "system",
        })
    }
}

/// The id of an [`Actor`]: 1 to 128 characters of the set that [`TenantId`](crate::TenantId) uses, and `@ +`
/// besides, so that an e-mail address may serve as one.
///
/// ```
/// use guardian_core::ActorId;
///
/// assert!(ActorId::new("ann+crm@example.com").is_ok());
/// assert!(ActorId::new("ann\nadmin").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ActorId(Arc<str>);

impl ActorId {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 128;

    /// Reads an actor id.
    ///
    /// # Errors
    /// When the text is empty, too long, or has a character outside the set.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidActor> {
        let text = text.as_ref();
        let plain: String = text.chars().map(|c| if matches!(c, '@' | '+') { '-' } else { c }).collect();
        check_id_text(&plain, Self::MAX_LEN).map_err(|why| InvalidActor { input: shorten(text), why })?;
        Ok(Self(text.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ActorId {
    type Error = InvalidActor;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<ActorId> for String {
    fn from(id: ActorId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not an [`ActorId`]; says which text and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid actor id `{input}`: {why}")]
pub struct InvalidActor {
    input: String,
    why: String,
}

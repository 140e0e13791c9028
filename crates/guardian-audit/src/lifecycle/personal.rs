//! Which fields of an event are personal, and the sealing of them.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::net::IpAddr;

use chacha20poly1305::aead::{Aead, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use guardian_core::{Scope, StoreError, StoreErrorKind};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::Sha256;
use uuid::Uuid;

use super::subject::Subject;
use crate::change::Change;
use crate::dimension::Dimension;
use crate::event::{AuditEvent, StoredEvent};
use crate::keys::{KeyStore, SubjectKey};
use crate::query::{Condition, Query};
use crate::sealed::Sealed;

/// Which fields of events are personal data, and whose: they are sealed with the key of that person before the event is
/// hashed, indexed or stored.
///
/// Sealed values are found by equality alone (`email:ann@acme.example`): the index has a keyed hash of them, of a key of
/// the tenant. Sealed texts are not searched. The ids of actors and targets are not sealed: let them say nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PersonalData {
    /// Kinds of actors that are people.
    pub actor_kinds: Vec<String>,
    /// Kinds of targets that are people.
    pub target_kinds: Vec<String>,
    /// Whose the message is.
    pub message: Option<Whose>,
    /// Whose the changes are.
    pub changes: Option<Whose>,
    /// Whose entries of metadata are.
    pub metadata: BTreeMap<String, Whose>,
}

/// Whose a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Whose {
    /// The actor's, when that is a person.
    Actor,
    /// The target's, when that is a person, else the actor's.
    Target,
}

impl Default for PersonalData {
    /// Actors of the kind `user` and targets of the kinds `user` and `contact` are people; their names and addresses are
    /// theirs, and the message and the changes are the target's.
    fn default() -> Self {
        Self {
            actor_kinds: vec!["user".into()],
            target_kinds: vec!["user".into(), "contact".into()],
            message: Some(Whose::Target),
            changes: Some(Whose::Target),
            metadata: BTreeMap::new(),
        }
    }
}

impl PersonalData {
    /// The same policy with one more personal entry of metadata.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, whose: Whose) -> Self {
        self.metadata.insert(key.into(), whose);
        self
    }

    /// The same policy with other kinds of targets that are people.
    #[must_use]
    pub fn with_target_kinds<T: Into<String>>(mut self, kinds: impl IntoIterator<Item = T>) -> Self {
        self.target_kinds = kinds.into_iter().map(Into::into).collect();
        self
    }

    fn actor(&self, event: &AuditEvent) -> Option<Subject> {
        let actor = event.actor.as_ref().filter(|actor| self.actor_kinds.contains(&actor.kind))?;
        Some(Subject::new(&actor.kind, &actor.id))
    }

    fn target(&self, event: &AuditEvent) -> Option<Subject> {
        let target = event.target.as_ref().filter(|target| self.target_kinds.contains(&target.kind))?;
        Some(Subject::new(&target.kind, &target.id))
    }
}

/// The name under which the tenant's key for keyed terms is kept: no subject has it.
const INDEX_KEY: &str = "\0index";

/// Personal fields of one subject, taken out of an event.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Change>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    metadata: Map<String, Value>,
}

/// An event without its personal fields, these sealed, and the keyed terms they are found by.
#[derive(Debug)]
pub(crate) struct SealedEvent {
    pub(crate) event: AuditEvent,
    pub(crate) sealed: Vec<Sealed>,
    pub(crate) blind: Vec<String>,
}

/// Seals the personal fields of an event that has its id.
pub(crate) async fn seal(
    policy: &PersonalData,
    keys: &dyn KeyStore,
    scope: &Scope,
    mut event: AuditEvent,
) -> Result<SealedEvent, StoreError> {
    let (actor, target) = (policy.actor(&event), policy.target(&event));
    let whose = |whose: Whose| match whose {
        Whose::Actor => actor.clone(),
        Whose::Target => target.clone().or_else(|| actor.clone()),
    };
    let mut taken: BTreeMap<Subject, Fields> = BTreeMap::new();
    if let Some(subject) = &actor {
        let fields = taken.entry(subject.clone()).or_default();
        if let Some(actor) = &mut event.actor {
            (fields.actor_name, fields.actor_email) = (actor.name.take(), actor.email.take());
        }
        (fields.address, fields.user_agent) = (event.origin.address.take(), event.origin.user_agent.take());
    }
    if let (Some(subject), Some(of)) = (&target, &mut event.target) {
        taken.entry(subject.clone()).or_default().target_name = of.name.take();
    }
    if let Some(subject) = policy.message.and_then(whose) {
        taken.entry(subject).or_default().message = event.message.take();
    }
    if let Some(subject) = policy.changes.and_then(whose) {
        taken.entry(subject).or_default().changes = std::mem::take(&mut event.changes);
    }
    for (key, of) in &policy.metadata {
        if let Some(subject) = whose(*of)
            && let Some(value) = event.metadata.remove(key)
        {
            taken.entry(subject).or_default().metadata.insert(key.clone(), value);
        }
    }
    let (mut sealed, mut blind) = (Vec::new(), Vec::new());
    let id = event.id.unwrap_or_default();
    for (subject, fields) in taken {
        let plain = serde_json::to_vec(&fields).map_err(|error| failed(&error.to_string()))?;
        if plain == b"{}" {
            continue;
        }
        let index = keys.key_of(scope, INDEX_KEY).await?;
        let values = [
            (Dimension::ActorName, fields.actor_name.as_deref()),
            (Dimension::ActorEmail, fields.actor_email.as_deref()),
            (Dimension::UserAgent, fields.user_agent.as_deref()),
            (Dimension::TargetName, fields.target_name.as_deref()),
        ];
        blind
            .extend(values.iter().filter_map(|(dimension, value)| blind_term(&index, *dimension, (*value)?)));
        blind.extend(
            fields
                .address
                .and_then(|ip| blind_term(&index, Dimension::Address, &ip.to_canonical().to_string())),
        );
        let key = keys.key_of(scope, &subject.owner()).await?;
        sealed.push(encrypt(&key, id, &plain)?);
    }
    Ok(SealedEvent { event, sealed, blind })
}

/// The key for the tenant's keyed terms.
pub(crate) async fn index_key(keys: &dyn KeyStore, scope: &Scope) -> Result<SubjectKey, StoreError> {
    keys.key_of(scope, INDEX_KEY).await
}

/// The keyed term of a value.
pub(crate) fn blind_term(index: &SubjectKey, dimension: Dimension, value: &str) -> Option<String> {
    let code = dimension.code()?;
    let mut block = [0; 64];
    block.iter_mut().zip(index.secret.iter()).for_each(|(to, from)| *to = *from);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(crate::terms::value_term(code, value).as_bytes());
    let mut term = format!("{code}~");
    for byte in mac.finalize().into_bytes().iter().take(16) {
        let _ = write!(term, "{byte:02x}");
    }
    Some(term)
}

/// What stands for a value that may be a person's.
const VEIL: &str = "sealed";

/// The query with every value that may be personal taken out: texts, names, addresses. Ids are kept.
pub(crate) fn veiled(query: &Query) -> Query {
    let all = |queries: &[Query]| queries.iter().map(veiled).collect();
    match query {
        Query::All => Query::All,
        Query::Not(inner) => Query::Not(Box::new(veiled(inner))),
        Query::And(queries) => Query::And(all(queries)),
        Query::Or(queries) => Query::Or(all(queries)),
        Query::Is(condition) => Query::Is(match condition {
            Condition::Text(_) | Condition::TextPrefix(_) => Condition::Text(VEIL.into()),
            Condition::Network(_) => Condition::Equals(Dimension::Address, VEIL.into()),
            Condition::Metadata(key, _) | Condition::MetadataPrefix(key, _) => {
                Condition::Metadata(key.clone(), VEIL.into())
            }
            Condition::Equals(dimension, _) | Condition::StartsWith(dimension, _)
                if is_personal(*dimension) =>
            {
                Condition::Equals(*dimension, VEIL.into())
            }
            other => other.clone(),
        }),
    }
}

fn is_personal(dimension: Dimension) -> bool {
    matches!(
        dimension,
        Dimension::Actor
            | Dimension::ActorName
            | Dimension::ActorEmail
            | Dimension::Target
            | Dimension::TargetName
            | Dimension::Address
            | Dimension::UserAgent
    )
}

/// Whether the value of a term is a keyed one.
pub(crate) fn is_blind(value: &str) -> bool {
    let digits = value.strip_prefix('~').unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

fn encrypt(key: &SubjectKey, id: Uuid, plain: &[u8]) -> Result<Sealed, StoreError> {
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce).map_err(|error| failed(&error.to_string()))?;
    let cipher = XChaCha20Poly1305::new((&*key.secret).into());
    // The fields belong to this event: put into another they do not open.
    let payload = Payload { msg: plain, aad: id.as_bytes() };
    let ciphertext = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| failed("encryption"))?;
    Ok(Sealed { key: key.id, nonce, ciphertext })
}

/// Puts the sealed fields of events back, as far as their keys exist; what cannot be opened stays sealed.
pub(crate) async fn open(
    keys: &dyn KeyStore,
    scope: &Scope,
    events: &mut [StoredEvent],
) -> Result<(), StoreError> {
    let mut ids: Vec<Uuid> = events.iter().flat_map(|event| &event.sealed).map(|sealed| sealed.key).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(());
    }
    let keys = keys.keys(scope, &ids).await?;
    for stored in events {
        let id = stored.event.id.unwrap_or_default();
        let sealed = std::mem::take(&mut stored.sealed);
        for one in sealed {
            match decrypt(&keys, id, &one) {
                Some(fields) => restore(&mut stored.event, fields),
                None => stored.sealed.push(one),
            }
        }
    }
    Ok(())
}

fn decrypt(keys: &HashMap<Uuid, SubjectKey>, id: Uuid, sealed: &Sealed) -> Option<Fields> {
    let cipher = XChaCha20Poly1305::new((&*keys.get(&sealed.key)?.secret).into());
    let payload = Payload { msg: &sealed.ciphertext, aad: id.as_bytes() };
    let plain = cipher.decrypt(&XNonce::from(sealed.nonce), payload).ok()?;
    serde_json::from_slice(&plain).ok()
}

fn restore(event: &mut AuditEvent, fields: Fields) {
    if let Some(actor) = &mut event.actor {
        actor.name = actor.name.take().or(fields.actor_name);
        actor.email = actor.email.take().or(fields.actor_email);
    }
    if let Some(target) = &mut event.target {
        target.name = target.name.take().or(fields.target_name);
    }
    event.origin.address = event.origin.address.or(fields.address);
    event.origin.user_agent = event.origin.user_agent.take().or(fields.user_agent);
    event.message = event.message.take().or(fields.message);
    if event.changes.is_empty() {
        event.changes = fields.changes;
    }
    event.metadata.extend(fields.metadata);
}

fn failed(what: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Internal, "keys").with_source(what.to_owned())
}

//! An event, as it is told and as it is recorded.

use guardian_audit::{
    Assessment, AuditEvent, Change, EventActor, Origin, Outcome, Receipt, StoredEvent, Target,
};
use guardian_core::{Scope, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::sensible;
use crate::Problem;
use crate::api::Kind;

/// Something that happened, as the log holds it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditRecord {
    /// Its place in the log: 0, 1, 2 … without a gap.
    sequence: u64,
    /// Its id.
    #[schema(format = "uuid")]
    id: Option<String>,
    /// When the log took it.
    #[schema(value_type = String, format = DateTime)]
    recorded: Timestamp,
    /// When it happened, by the clock of who recorded it.
    #[schema(value_type = Option<String>, format = DateTime)]
    occurred: Option<Timestamp>,
    /// What happened: `deal.updated`.
    action: String,
    /// The class of the action.
    category: String,
    /// How it ended: `success`, `failure` or `denied`.
    outcome: &'static str,
    /// Who did it.
    actor: Option<AuditActor>,
    /// What it was done to.
    target: Option<AuditTarget>,
    /// Where it came from.
    origin: AuditOrigin,
    /// What it changed, field by field.
    changes: Vec<AuditChange>,
    /// One sentence for people.
    message: Option<String>,
    /// Anything else.
    #[schema(value_type = BTreeMap<String, Value>)]
    metadata: serde_json::Map<String, Value>,
    /// How risky it is.
    risk: AuditRisk,
    /// Whether fields are sealed that nobody can read, of a person who was forgotten.
    sealed: bool,
}

/// Who did something.
#[derive(Debug, Serialize, ToSchema)]
struct AuditActor {
    /// `user`, `api_key`, `service`, `system`, or another kind.
    kind: String,
    /// The id.
    id: String,
    /// The name that people know the actor by.
    name: Option<String>,
    /// The e-mail address.
    email: Option<String>,
    /// Who acted in this actor's name.
    impersonator: Option<String>,
    /// The public id of the API key that was used.
    api_key: Option<String>,
    /// The session.
    session: Option<String>,
}

/// What something was done to.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AuditTarget {
    /// The type: `deal`.
    #[schema(max_length = 1024)]
    kind: String,
    /// The id.
    #[schema(max_length = 1024)]
    id: String,
    /// The name that people know it by.
    #[schema(max_length = 1024)]
    name: Option<String>,
}

/// Where something came from.
#[derive(Debug, Serialize, ToSchema)]
struct AuditOrigin {
    /// The client's address.
    address: Option<String>,
    /// The country, two capital letters (ISO 3166-1).
    country: Option<String>,
    /// The `User-Agent` field.
    user_agent: Option<String>,
    /// The id of the request.
    request: Option<String>,
    /// The door: `web`, `api`, `import`.
    source: Option<String>,
}

/// What a field was and is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AuditChange {
    /// Where the field is, as a JSON pointer (RFC 6901): `/stage`.
    #[schema(max_length = 1024)]
    path: String,
    /// What it was; left out when the field is new.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<Value>)]
    before: Option<Value>,
    /// What it is now; left out when the field is gone.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<Value>)]
    after: Option<Value>,
}

/// A field that is there and null is not one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// How risky an event was found, and why.
#[derive(Debug, Serialize, ToSchema)]
struct AuditRisk {
    /// `low`, `medium`, `high` or `critical`.
    level: &'static str,
    /// 0 to 100.
    #[schema(maximum = 100)]
    score: u8,
    /// The names of the rules that added to the score.
    reasons: Vec<String>,
}

/// Something to be recorded. The caller is who did it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAuditRecord {
    /// Your own id of it: what the same caller records under the same id again is not recorded again. The log makes its own id of it,
    /// which the receipt tells.
    #[schema(format = "uuid")]
    id: Option<String>,
    /// When it happened; now when nothing is said.
    #[schema(value_type = Option<String>, format = DateTime)]
    occurred: Option<Timestamp>,
    /// What happened, `noun.past_tense`.
    #[schema(min_length = 1, max_length = 128)]
    action: String,
    /// The class of the action; its part before the first full stop when nothing is said.
    #[schema(max_length = 1024)]
    category: Option<String>,
    /// How it ended; `success` when nothing is said.
    #[serde(default)]
    outcome: AuditOutcome,
    /// What it was done to.
    target: Option<AuditTarget>,
    /// What it changed, field by field.
    #[serde(default)]
    changes: Vec<AuditChange>,
    /// One sentence for people.
    #[schema(max_length = 16_384)]
    message: Option<String>,
    /// Anything else.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Value>)]
    metadata: serde_json::Map<String, Value>,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AuditOutcome {
    /// It was done.
    #[default]
    Success,
    /// It was tried and did not work.
    Failure,
    /// It was not allowed.
    Denied,
}

/// What the log says of an event that it took.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditReceipt {
    /// The event's id in the log.
    #[schema(format = "uuid")]
    id: String,
    /// Its place in the log.
    sequence: u64,
    /// When the log took it.
    #[schema(value_type = String, format = DateTime)]
    recorded: Timestamp,
    /// How risky it was found.
    risk: AuditRisk,
    /// Whether the caller recorded this id already; nothing was recorded then.
    pub(super) duplicate: bool,
}

/// The id of what a caller records under an id. It is none of those that events get elsewhere, whose ids are seen before the log has
/// heard of them: who could take one would keep the true event out of the log.
fn own_id(scope: &Scope, id: Uuid) -> Uuid {
    let mut hash = Sha256::new();
    for part in [scope.tenant().as_str(), &scope.actor().to_string()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(id.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, from)| *byte = from);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// How the actions begin that the log records of itself: they are evidence, and nobody else's to write.
const OWN: [&str; 2] = ["audit_log.", "data_subject."];

impl NewAuditRecord {
    /// The event that the scope's actor tells of.
    pub(super) fn event(self, scope: &Scope) -> Result<AuditEvent, Problem> {
        if OWN.iter().any(|own| self.action.starts_with(own)) {
            let action = guardian_core::shorten(&self.action);
            return Err(
                Kind::Unprocessable.because(format_args!("`{action}` is for the log itself to record"))
            );
        }
        if self
            .category
            .as_deref()
            .is_some_and(|category| OWN.iter().any(|own| own.trim_end_matches('.') == category))
        {
            return Err(Kind::Unprocessable.because("the category is for the log itself"));
        }
        let mut event = AuditEvent::new(self.action).with_outcome(match self.outcome {
            AuditOutcome::Success => Outcome::Success,
            AuditOutcome::Failure => Outcome::Failure,
            AuditOutcome::Denied => Outcome::Denied,
        });
        if let Some(id) = &self.id {
            let id = Uuid::parse_str(id);
            let id = id.map_err(|_| Kind::InvalidRequest.because("the id of an event is a UUID"))?;
            event = event.with_id(own_id(scope, id));
        }
        if let Some(occurred) = self.occurred {
            event = event.with_occurred(sensible(occurred)?);
        }
        if self.changes.iter().any(|change| change.path.chars().nth(1024).is_some()) {
            return Err(Kind::InvalidRequest.because("the path of a change has at most 1024 characters"));
        }
        event.category = self.category;
        event.target = self.target.map(|of| {
            let target = Target::new(of.kind, of.id);
            match of.name {
                Some(name) => target.with_name(name),
                None => target,
            }
        });
        event.changes =
            self.changes.into_iter().map(|of| Change::new(of.path, of.before, of.after)).collect();
        event.message = self.message;
        event.metadata = self.metadata;
        Ok(event)
    }
}

impl From<StoredEvent> for AuditRecord {
    fn from(stored: StoredEvent) -> Self {
        let category = stored.event.category().to_owned();
        let event = stored.event;
        let change = |of: Change| AuditChange { path: of.path, before: of.before, after: of.after };
        Self {
            sequence: stored.sequence,
            id: event.id.map(|id| id.to_string()),
            recorded: stored.recorded,
            occurred: event.occurred,
            action: event.action,
            category,
            outcome: event.outcome.as_str(),
            actor: event.actor.map(AuditActor::from),
            target: event.target.map(|of| AuditTarget { kind: of.kind, id: of.id, name: of.name }),
            origin: event.origin.into(),
            changes: event.changes.into_iter().map(change).collect(),
            message: event.message,
            metadata: event.metadata,
            risk: stored.risk.into(),
            sealed: !stored.sealed.is_empty(),
        }
    }
}

impl From<EventActor> for AuditActor {
    fn from(actor: EventActor) -> Self {
        Self {
            kind: actor.kind,
            id: actor.id,
            name: actor.name,
            email: actor.email,
            impersonator: actor.impersonator,
            api_key: actor.api_key,
            session: actor.session,
        }
    }
}

impl From<Origin> for AuditOrigin {
    fn from(origin: Origin) -> Self {
        Self {
            address: origin.address.map(|address| address.to_string()),
            country: origin.country,
            user_agent: origin.user_agent,
            request: origin.request,
            source: origin.source,
        }
    }
}

impl From<Assessment> for AuditRisk {
    fn from(risk: Assessment) -> Self {
        Self { level: risk.level.as_str(), score: risk.score, reasons: risk.reasons }
    }
}

impl From<Receipt> for AuditReceipt {
    fn from(receipt: Receipt) -> Self {
        Self {
            id: receipt.id.to_string(),
            sequence: receipt.sequence,
            recorded: receipt.recorded,
            risk: receipt.risk.into(),
            duplicate: receipt.duplicate,
        }
    }
}

const ID: &str = "019531a0-7c00-7000-8000-000000000004";

pub(super) fn example() -> Value {
    json!({
        "sequence": 42, "id": ID, "recorded": "2026-03-01T00:00:00Z", "occurred": "2026-03-01T00:00:00Z",
        "action": "deal.updated", "category": "deal", "outcome": "success",
        "actor": {
            "kind": "user", "id": "u_17", "name": "Ann Bauer", "email": null, "impersonator": null,
            "api_key": null, "session": null,
        },
        "target": {"kind": "deal", "id": "d_42", "name": "Acme renewal"},
        "origin": {
            "address": "203.0.113.7", "country": "AT", "user_agent": null, "request": null, "source": "web",
        },
        "changes": [{"path": "/stage", "before": "open", "after": "won"}],
        "message": "Stage changed from open to won", "metadata": {"pipeline": "enterprise"},
        "risk": {"level": "low", "score": 0, "reasons": []}, "sealed": false,
    })
}

pub(super) fn new_example() -> Value {
    json!({
        "id": ID, "action": "deal.updated", "target": {"kind": "deal", "id": "d_42", "name": "Acme renewal"},
        "changes": [{"path": "/stage", "before": "open", "after": "won"}],
        "message": "Stage changed from open to won", "metadata": {"pipeline": "enterprise"},
    })
}

pub(super) fn receipt_example() -> Value {
    json!({
        "id": "5b0c2f6e-91d4-8a37-b1f2-6d0e4c9a7f15", "sequence": 42, "recorded": "2026-03-01T00:00:00Z",
        "risk": {"level": "low", "score": 0, "reasons": []}, "duplicate": false,
    })
}

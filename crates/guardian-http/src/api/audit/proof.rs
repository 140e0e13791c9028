//! What proves the log: its head, its checkpoints, and verifying all of it.

use axum::extract::State;
use guardian_audit::checkpoint::SealedCheckpoint;
use guardian_audit::merkle::Hash;
use guardian_audit::store::{AuditStore, Note, NoteKind};
use guardian_audit::verify::{Fault, Leaf, Report, Verifier};
use guardian_audit::{AuditEvent, Target};
use guardian_core::{Scope, Timestamp, shorten};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Answer, Items, Reached, Shared, failed, reads, verifies};
use crate::Problem;
use crate::api::{Api, Caller, Json, Kind, Listed, PageParams, PathParam, page};

/// How far the log goes.
#[derive(Debug, Serialize, ToSchema)]
struct AuditHead {
    /// How many events it has, dropped ones included.
    size: u64,
    /// The root of the tree over all of them (RFC 6962), in hexadecimal digits.
    root: String,
    /// When the last one was recorded; null of an empty log.
    #[schema(value_type = Option<String>, format = DateTime)]
    recorded: Option<Timestamp>,
}

/// A sealed statement of how the log was at a size.
#[derive(Debug, Serialize, ToSchema)]
struct AuditCheckpoint {
    /// How many events it covers.
    size: u64,
    /// The root of the tree over them, in hexadecimal digits.
    root: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// The hash of the checkpoint before it, in hexadecimal digits.
    previous: Option<String>,
    /// The names of the keys that sealed it.
    keys: Vec<String>,
    /// The whole as a signed note, to be verified by others.
    note: String,
}

/// A key that checkpoints are believed by.
#[derive(Debug, Serialize, ToSchema)]
struct AuditKey {
    /// Its name.
    id: String,
    /// The public key as transparency logs write it: `NAME+HASH+BASE64`.
    key: String,
}

/// What verifying the log found.
#[derive(Debug, Serialize, ToSchema)]
struct AuditVerification {
    /// Whether nothing is wrong. Look at `unsealed` too: those events nobody vouches for yet.
    intact: bool,
    /// How many events were seen.
    events: u64,
    /// How many of them have only their hash left.
    dropped: u64,
    /// The root over all of them, in hexadecimal digits.
    root: String,
    /// How many events, from the first, a trusted checkpoint shows to be whole.
    proven: u64,
    /// How many events the last trusted checkpoint covers.
    sealed: u64,
    /// How many were appended since.
    unsealed: u64,
    /// How many checkpoints were signed by a key that is believed.
    signed_checkpoints: u64,
    /// How many checkpoints nobody could judge: there is no key for them.
    unjudged_checkpoints: u64,
    /// How many faults there are.
    fault_count: u64,
    /// The first 1000 of them.
    faults: Vec<AuditFault>,
}

/// Something that is wrong with the log.
#[derive(Debug, Serialize, ToSchema)]
struct AuditFault {
    /// What, in words.
    what: String,
    /// The first event that it is about.
    first: u64,
    /// The one behind the last.
    end: u64,
}

impl AuditCheckpoint {
    fn read(note: &Note) -> Result<Self, Problem> {
        let sealed = parsed(note)?;
        let checkpoint = sealed.checkpoint();
        Ok(Self {
            size: checkpoint.size(),
            root: checkpoint.root().to_string(),
            time: checkpoint.time(),
            previous: checkpoint.previous().map(|hash| hash.to_string()),
            keys: sealed.seals().iter().map(|seal| seal.key().to_string()).collect(),
            note: sealed.note(),
        })
    }
}

impl From<&Report> for AuditVerification {
    fn from(report: &Report) -> Self {
        let told = |fault: &Fault| AuditFault { what: fault.to_string(), first: fault.first, end: fault.end };
        Self {
            intact: report.is_intact(),
            events: report.events,
            dropped: report.dropped,
            root: report.root.to_string(),
            proven: report.proven,
            sealed: report.sealed,
            unsealed: report.unsealed,
            signed_checkpoints: report.signed_checkpoints,
            unjudged_checkpoints: report.unjudged_checkpoints,
            fault_count: report.fault_count(),
            faults: report.faults().iter().map(told).collect(),
        }
    }
}

/// The root of RFC 6962 for one empty leaf, which stands for any.
const ROOT: &str = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";

fn checkpoint_example() -> Value {
    json!({
        "size": 1, "root": ROOT, "time": "2026-03-01T00:00:00Z", "previous": null,
        "keys": ["audit.example.com/2026+4f7a2b1c"],
        "note": "guardian/audit/acme\n1\nbjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n",
    })
}

pub(super) fn declare<S: AuditStore>(api: Api<Shared<S>>) -> Api<Shared<S>> {
    let head = reads("readAuditHead", "How far the log goes").answers::<AuditHead>(
        StatusCode::OK,
        "The head.",
        json!({"size": 1, "root": ROOT, "recorded": "2026-03-01T00:00:00Z"}),
    );
    let checkpoints = reads("listAuditCheckpoints", "The log's checkpoints, the newest first")
        .pages()
        .answers::<Listed<AuditCheckpoint>>(
            StatusCode::OK,
            "A page.",
            json!({"items": [checkpoint_example()], "next": null}),
        );
    let checkpoint = reads("readAuditCheckpoint", "The checkpoint of a size")
        .path("size", "How many events it covers.", "1")
        .answers::<AuditCheckpoint>(StatusCode::OK, "The checkpoint.", checkpoint_example());
    let keys = reads("listAuditKeys", "The public keys that checkpoints are believed by")
        .answers::<Listed<AuditKey>>(
            StatusCode::OK,
            "All keys.",
            json!({
                "items": [{
                    "id": "audit.example.com/2026+4f7a2b1c",
                    "key": "audit.example.com/2026+4f7a2b1c+AeplWlQ5DJb4UJ0kzFAdX6oQX7GT8X7aGVRk0vVkrBjS",
                }],
                "next": null,
            }),
        );
    let verify = verifies("verifyAudit", "Verify the whole log")
        .about(
            "Each event is held against its leaf, and the tree against the checkpoints and the head: it takes as long as the log is. \
             What is wrong is an answer and no failure. The log records that it was verified. While one runs, another of the \
             same tenant is a conflict.",
        )
        .answers::<AuditVerification>(
            StatusCode::OK,
            "What was found.",
            json!({
                "intact": true, "events": 1, "dropped": 0, "root": ROOT, "proven": 1, "sealed": 1,
                "unsealed": 0, "signed_checkpoints": 1, "unjudged_checkpoints": 0, "fault_count": 0,
                "faults": [],
            }),
        );
    api.get("/audit/head", head, read_head::<S>)
        .get("/audit/checkpoints", checkpoints, list_checkpoints::<S>)
        .get("/audit/checkpoints/{size}", checkpoint, read_checkpoint::<S>)
        .get("/audit/keys", keys, list_keys::<S>)
        .post("/audit/verify", verify, verify_log::<S>)
}

fn parsed(note: &Note) -> Result<SealedCheckpoint, Problem> {
    let read = std::str::from_utf8(&note.bytes).ok().and_then(|text| SealedCheckpoint::parse(text).ok());
    read.ok_or_else(|| Kind::Internal.because("a checkpoint could not be read"))
}

/// The notes of the checkpoints, in the order of their sizes.
async fn notes<S: AuditStore>(reached: &Reached<S>, scope: &Scope) -> Result<Vec<Note>, Problem> {
    let notes = reached.log.store().notes(scope, NoteKind::Checkpoint).await;
    notes.map_err(|error| failed(&error.into()))
}

/// A checkpoint's name: its size in 20 digits.
fn name(size: u64) -> String {
    format!("{size:020}")
}

async fn read_head<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
) -> Answer<AuditHead> {
    let head = reached.log.head(&scope).await.map_err(|error| failed(&error))?;
    let root = Hash::from(head.root).to_string();
    Ok(Json(AuditHead { size: head.size, root, recorded: head.recorded }))
}

async fn list_checkpoints<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
    page: PageParams,
) -> Items<AuditCheckpoint> {
    let page = page.request()?;
    let before = page::behind(&page)?.map(|bytes| name(u64::from_be_bytes(bytes)));
    let notes = notes(&reached, &scope).await?;
    let older = notes.iter().rev().filter(|note| before.as_ref().is_none_or(|before| note.name < *before));
    let size = usize::try_from(page.size()).unwrap_or(usize::MAX);
    // One more than is wanted tells whether there is another page.
    let items = older.take(size + 1).map(AuditCheckpoint::read).collect::<Result<Vec<_>, _>>()?;
    let found = page::cut(items, &page, |last| last.size.to_be_bytes());
    Ok(Json(Listed::of(found, |checkpoint| checkpoint)))
}

async fn read_checkpoint<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
    PathParam(size): PathParam<String>,
) -> Answer<AuditCheckpoint> {
    let none = || {
        let size = shorten(&size);
        Kind::NotFound.because(format_args!("there is no checkpoint of `{size}` events"))
    };
    let wanted = name(size.parse().map_err(|_| none())?);
    let notes = notes(&reached, &scope).await?;
    let found = notes.iter().find(|note| note.name == wanted).ok_or_else(none)?;
    AuditCheckpoint::read(found).map(Json)
}

async fn list_keys<S: AuditStore>(State(reached): State<Shared<S>>, Caller(_): Caller) -> Items<AuditKey> {
    let keys = reached.ring.keys().map(|key| AuditKey { id: key.id().to_string(), key: key.to_string() });
    Ok(Json(Listed::whole(keys.collect())))
}

/// How many events are read at once.
const BATCH: usize = 1000;

async fn verify_log<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
) -> Answer<AuditVerification> {
    let _alone = reached.verifying.enter(&scope)?;
    let report = verified(&reached, &scope).await?;
    let event = AuditEvent::new("audit_log.verified")
        .with_category("audit_log")
        .with_target(Target::new("audit_log", scope.tenant().as_str()))
        .with_metadata("events", report.events)
        .with_metadata("faults", report.fault_count());
    reached.log.record(&scope, event).await.map_err(|error| failed(&error))?;
    Ok(Json((&report).into()))
}

async fn verified<S: AuditStore>(reached: &Reached<S>, scope: &Scope) -> Result<Report, Problem> {
    let (store, tenant) = (reached.log.store(), scope.tenant());
    // The checkpoints before the head: they cover no more than the log has.
    let chain = notes(reached, scope).await?;
    let chain = chain.iter().map(parsed).collect::<Result<Vec<_>, _>>()?;
    let head = reached.log.head(scope).await.map_err(|error| failed(&error))?;
    let mut verifier = Verifier::new(tenant.clone(), &reached.ring)
        .with_checkpoints(chain)
        .with_head(head.size, head.root.into());
    let mut from = 0;
    while from < head.size {
        let records = store.records(scope, from, BATCH).await.map_err(|error| failed(&error.into()))?;
        let leaves = store.leaves(scope, from, BATCH).await.map_err(|error| failed(&error.into()))?;
        let Some(last) = records.last().map(|record| record.sequence) else { break };
        // Both are the events that are there, in one order, whatever their sequences are.
        let mut leaves = leaves.into_iter().map(Hash::from);
        for record in &records {
            let hash = leaves.next();
            if record.sequence >= head.size {
                continue;
            }
            let bytes = record.leaf(tenant);
            let mut leaf = Leaf::dropped(record.sequence, Hash::ZERO);
            leaf.hash = hash;
            leaf.record = bytes.as_deref();
            verifier.push(leaf);
        }
        from = last.saturating_add(1);
    }
    Ok(verifier.finish())
}

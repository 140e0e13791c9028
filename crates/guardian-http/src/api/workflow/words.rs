//! What the API says of workflows and runs.

use guardian_core::Timestamp;
use guardian_workflow::{
    Diff, Doing, Entry, MigrationReport, Report, Run, RunRecord, Severity, Version, Workflow,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::api::PageParams;

pub(super) const RUN: &str = "018f3a4e-0000-7000-8000-000000000000";

/// A workflow without its content.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WorkflowRow {
    /// Its name.
    name: String,
    /// How often it was changed: its `ETag`.
    revision: u64,
    /// The number of its newest version.
    draft: u64,
    /// The version that new runs get.
    published: Option<u64>,
    /// The version that some new runs get instead.
    canary: Option<CanaryOut>,
    /// Whether nothing starts it any more.
    archived: bool,
    /// When it was made, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// When it was changed last, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    updated: Timestamp,
}

/// A version that a part of the new runs get.
#[derive(Debug, Serialize, ToSchema)]
struct CanaryOut {
    /// The version.
    version: u64,
    /// How many of a hundred runs get it.
    weight: u8,
}

impl WorkflowRow {
    pub(super) fn of(workflow: &Workflow) -> Self {
        Self {
            name: workflow.name.clone(),
            revision: workflow.revision,
            draft: workflow.draft,
            published: workflow.published,
            canary: workflow
                .canary
                .map(|canary| CanaryOut { version: canary.version, weight: canary.weight }),
            archived: workflow.archived,
            created: workflow.created,
            updated: workflow.updated,
        }
    }
}

pub(super) fn row_example() -> Value {
    json!({
        "name": "follow-up", "revision": 4, "draft": 2, "published": 1, "canary": null, "archived": false,
        "created": "2026-01-01T00:00:00Z", "updated": "2026-01-02T00:00:00Z",
    })
}

/// A workflow with its newest version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WorkflowOut {
    /// Its name.
    name: String,
    /// The version that new runs get.
    published: Option<u64>,
    /// Whether nothing starts it any more.
    archived: bool,
    /// The newest version.
    draft: VersionOut,
}

impl WorkflowOut {
    pub(super) fn of(workflow: &Workflow, draft: &Version) -> Self {
        Self {
            name: workflow.name.clone(),
            published: workflow.published,
            archived: workflow.archived,
            draft: VersionOut::of(draft),
        }
    }
}

pub(super) fn workflow_example() -> Value {
    json!({"name": "follow-up", "published": 1, "archived": false, "draft": version_example()})
}

pub(super) fn definition_example() -> Value {
    json!({"schema": 1, "name": "Follow up", "start": "end", "nodes": {"end": {"type": "end"}}})
}

/// A version without its content.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionRow {
    /// Its number.
    number: u64,
    /// Its name in semantic versioning.
    semver: String,
    /// Who made it.
    author: String,
    /// Why.
    message: String,
    /// When, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// The hash of its content.
    hash: String,
}

impl VersionRow {
    pub(super) fn of(version: &Version) -> Self {
        Self {
            number: version.number,
            semver: version.semver.to_string(),
            author: version.author.to_string(),
            message: version.message.clone(),
            created: version.created,
            hash: version.hash.to_string(),
        }
    }
}

pub(super) fn version_row_example() -> Value {
    json!({
        "number": 2, "semver": "1.1.0", "author": "user:ann", "message": "asks twice", "created": "2026-01-02T00:00:00Z",
        "hash": "0".repeat(64),
    })
}

/// A version with its content.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionOut {
    /// Its number.
    number: u64,
    /// Its name in semantic versioning.
    semver: String,
    /// Who made it.
    author: String,
    /// Why.
    message: String,
    /// When, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// The definition, as the guide to workflows describes it.
    #[schema(value_type = Object)]
    definition: Value,
}

impl VersionOut {
    pub(super) fn of(version: &Version) -> Self {
        Self {
            number: version.number,
            semver: version.semver.to_string(),
            author: version.author.to_string(),
            message: version.message.clone(),
            created: version.created,
            definition: version.definition.to_value(),
        }
    }
}

pub(super) fn version_example() -> Value {
    json!({
        "number": 2, "semver": "1.1.0", "author": "user:ann", "message": "asks twice", "created": "2026-01-02T00:00:00Z",
        "definition": definition_example(),
    })
}

/// A definition to save.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveIn {
    /// The definition, as the guide to workflows describes it.
    #[schema(value_type = Object)]
    pub(super) definition: Value,
    /// Why it was changed.
    #[serde(default)]
    pub(super) message: String,
}

/// What is wrong with a definition.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReportOut {
    /// Whether it could be saved.
    valid: bool,
    /// The findings.
    findings: Vec<FindingOut>,
}

/// One thing that is wrong, or probably not meant.
#[derive(Debug, Serialize, ToSchema)]
struct FindingOut {
    /// `error` or `warning`.
    severity: &'static str,
    /// At which node; null for the whole.
    node: Option<String>,
    /// Where in the node, as a JSON pointer.
    path: String,
    /// What is wrong.
    message: String,
    /// What would mend it.
    mend: String,
}

impl ReportOut {
    pub(super) fn of(report: &Report) -> Self {
        let finding = |finding: &guardian_workflow::Finding| FindingOut {
            severity: if finding.severity == Severity::Error { "error" } else { "warning" },
            node: finding.node.as_ref().map(ToString::to_string),
            path: finding.path.clone(),
            message: finding.message.clone(),
            mend: finding.mend.clone(),
        };
        Self { valid: report.is_valid(), findings: report.findings.iter().map(finding).collect() }
    }
}

/// What is different between two versions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DiffOut {
    /// `cosmetic`, `preserving`, `changing` or `breaking`.
    class: String,
    /// The changes, in words.
    changes: Vec<String>,
}

impl DiffOut {
    pub(super) fn of(diff: &Diff) -> Self {
        Self {
            class: diff.class().to_string(),
            changes: diff.changes.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Since which version.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct From {
    /// The version to compare with; the one before when it is missing.
    pub(super) from: Option<u64>,
}

/// The number of a version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NumberIn {
    /// The number of the version.
    pub(super) version: u64,
}

/// A version that a part of the new runs are to get.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CanaryIn {
    /// The version.
    pub(super) version: u64,
    /// How many of a hundred runs get it; 0 ends the canary.
    #[schema(maximum = 100)]
    pub(super) weight: u8,
}

/// Whether nothing starts a workflow any more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Archived {
    /// Nothing does.
    pub(super) archived: bool,
}

/// A run to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Begin {
    /// What it is given: any value.
    #[serde(default)]
    pub(super) input: Value,
    /// In which version, the published one or the canary; one of them when it is missing.
    pub(super) version: Option<u64>,
}

/// A run that began.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Started {
    /// Its id.
    pub(super) id: String,
}

/// Which runs, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct RunQuery {
    /// Those of this workflow.
    pub(super) workflow: Option<String>,
    /// Those that are `running`, `compensating`, `completed`, `failed` or `cancelled`.
    pub(super) status: Option<String>,
    /// How many at most, 1 to 1000; 50 by default.
    #[param(minimum = 1, maximum = 1000)]
    size: Option<u32>,
    /// Where the page begins: `next` of the page before.
    after: Option<String>,
}

impl RunQuery {
    pub(super) fn page(&self) -> PageParams {
        PageParams { size: self.size, after: self.after.clone() }
    }
}

/// A run in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunRow {
    /// Its id.
    id: String,
    /// The workflow.
    workflow: String,
    /// The version that it is pinned to.
    version: u64,
    /// What started it.
    trigger: String,
    /// `running`, `compensating`, `completed`, `failed` or `cancelled`.
    status: &'static str,
    /// When it began, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
}

impl RunRow {
    pub(super) fn of(run: &RunRecord) -> Self {
        Self {
            id: run.id.to_string(),
            workflow: run.workflow.to_string(),
            version: run.version,
            trigger: run.trigger.to_string(),
            status: run.state.status.as_str(),
            created: run.created,
        }
    }
}

pub(super) fn run_row_example() -> Value {
    json!({
        "id": RUN, "workflow": "follow-up", "version": 1, "trigger": "manual", "status": "running",
        "created": "2026-01-02T00:00:00Z",
    })
}

/// A run, and where it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunOut {
    /// Its id.
    id: String,
    /// The workflow.
    workflow: String,
    /// The version that it is pinned to.
    version: u64,
    /// What started it.
    trigger: String,
    /// `running`, `compensating`, `completed`, `failed` or `cancelled`.
    status: &'static str,
    /// What came of it, as `{"result": …}`, `{"failure": …}` or `{"cancelled": REASON}`; null while it goes on.
    #[schema(value_type = Option<Object>)]
    outcome: Option<Value>,
    /// Where it stands.
    positions: Vec<PositionOut>,
}

/// A place at which a run stands.
#[derive(Debug, Serialize, ToSchema)]
struct PositionOut {
    /// The node.
    node: String,
    /// `ready`, `acting`, `backing_off`, `sleeping`, `listening`, `approving` or `joining`.
    doing: &'static str,
    /// What is asked, where somebody has to decide.
    prompt: Option<String>,
    /// Who may decide, as the host writes it; null where everybody may.
    #[schema(value_type = Value)]
    approvers: Value,
    /// Until when, where that is known, RFC 3339.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

impl RunOut {
    pub(super) fn of(run: &Run) -> Self {
        let outcome = run.state.outcome.as_ref().and_then(|outcome| serde_json::to_value(outcome).ok());
        let positions = run.positions.iter().map(|at| {
            let (doing, asked) = match &at.doing {
                Doing::Ready => ("ready", None),
                Doing::Acting => ("acting", None),
                Doing::BackingOff => ("backing_off", None),
                Doing::Sleeping => ("sleeping", None),
                Doing::Listening => ("listening", None),
                Doing::Approving { prompt, approvers } => {
                    ("approving", Some((prompt.clone(), approvers.clone())))
                }
                _ => ("joining", None),
            };
            let (prompt, approvers) =
                asked.map_or((None, Value::Null), |(prompt, approvers)| (Some(prompt), approvers));
            PositionOut { node: at.node.to_string(), doing, prompt, approvers, until: at.until }
        });
        Self {
            id: run.id.to_string(),
            workflow: run.workflow.clone(),
            version: run.version,
            trigger: run.trigger.clone(),
            status: run.state.status.as_str(),
            outcome,
            positions: positions.collect(),
        }
    }
}

pub(super) fn run_example() -> Value {
    json!({
        "id": RUN, "workflow": "follow-up", "version": 1, "trigger": "manual", "status": "running", "outcome": null,
        "positions": [{"node": "wait", "doing": "sleeping", "prompt": null, "approvers": null, "until": "2026-01-03T00:00:00Z"}],
    })
}

/// One entry of a run's history.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntryOut {
    /// Its number within the run.
    number: u64,
    /// The node.
    node: String,
    /// Which attempt.
    attempt: u32,
    /// When it was entered, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    started: Timestamp,
    /// When it was done, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    ended: Timestamp,
    /// All that is kept of it.
    #[schema(value_type = Object)]
    entry: Value,
}

impl EntryOut {
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            number: entry.number,
            node: entry.node.to_string(),
            attempt: entry.attempt,
            started: entry.started,
            ended: entry.ended,
            entry: serde_json::to_value(entry).unwrap_or_default(),
        }
    }
}

pub(super) fn entry_example() -> Value {
    json!({
        "number": 1, "node": "end", "attempt": 1, "started": "2026-01-02T00:00:00Z", "ended": "2026-01-02T00:00:00Z", "entry": {},
    })
}

/// A signal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignalIn {
    /// Its name.
    #[schema(min_length = 1, max_length = 128)]
    pub(super) name: String,
    /// What it carries: any value.
    #[serde(default)]
    pub(super) payload: Value,
}

/// A decision about an approval.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DecisionIn {
    /// The approval node.
    pub(super) node: String,
    /// Yes or no.
    pub(super) approved: bool,
    /// What the caller adds.
    #[serde(default)]
    pub(super) comment: String,
}

/// The end of a run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelIn {
    /// Why.
    pub(super) reason: String,
    /// Whether what was done is undone.
    #[serde(default)]
    pub(super) compensate: bool,
}

/// Where a run goes on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryIn {
    /// The node.
    pub(super) node: String,
}

/// A message that a worker takes in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Messaged {
    /// Its number within the run.
    pub(super) message: i64,
}

/// To which version.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct To {
    /// The number of the version.
    pub(super) to: u64,
}

/// Whether a run could go on in another version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MigrationOut {
    /// The version in which it is.
    from: u64,
    /// The other one.
    to: u64,
    /// Whether it could.
    possible: bool,
    /// Why not.
    obstacles: Vec<String>,
    /// What is different between the versions.
    diff: DiffOut,
}

impl MigrationOut {
    pub(super) fn of(report: &MigrationReport) -> Self {
        Self {
            from: report.from,
            to: report.to,
            possible: report.is_possible(),
            obstacles: report.obstacles.clone(),
            diff: DiffOut::of(&report.diff),
        }
    }
}

pub(super) fn migration_example() -> Value {
    json!({"from": 1, "to": 2, "possible": true, "obstacles": [], "diff": {"class": "preserving", "changes": []}})
}

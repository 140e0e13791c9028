//! Workflows: definitions with their versions, and the runs of them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::State;
use guardian_core::{Cursor, Page, Scope, shorten};
use guardian_workflow::{
    Definition, Doing, Engine, Error, Library, Message, NodeId, Note, RunFilter, Start, Status, Workflow,
    WorkflowStore, validate,
};
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::bound::bounded;
use super::{
    Api, Caller, IdempotencyKey, IfMatch, IfNoneMatch, Json, Kind, Listed, Operation, PageParams, Params,
    PathParam, Tagged,
};
use crate::Problem;

mod following;
mod words;

use words::{
    Archived, Begin, CanaryIn, CancelIn, DecisionIn, DiffOut, EntryOut, From, Messaged, MigrationOut,
    NumberIn, ReportOut, RetryIn, RunOut, RunQuery, RunRow, SaveIn, SignalIn, Started, VersionOut,
    VersionRow, WorkflowOut, WorkflowRow,
};

/// Who may decide an approval: the port to whatever the host writes into the `approvers` of its nodes.
#[async_trait]
pub trait Approvers: fmt::Debug + Send + Sync + 'static {
    /// Whether the scope's actor is one of them. They are what the expression of the node gave; null where it has none.
    ///
    /// # Errors
    /// The problem to answer with when nobody can tell.
    async fn are(&self, approvers: &Value, scope: &Scope) -> Result<bool, Problem>;
}

/// Approvers by their names: a list of actors as they are written, such as `user:cfo` or `api_key:billing`, or one of them. Where a node
/// has none, everybody may who has the permission `workflows:decide`; what is no such name is nobody.
#[derive(Debug, Clone, Copy)]
pub struct ByName;

#[async_trait]
impl Approvers for ByName {
    async fn are(&self, approvers: &Value, scope: &Scope) -> Result<bool, Problem> {
        let actor = scope.actor().to_string();
        Ok(match approvers {
            Value::Null => true,
            Value::String(name) => *name == actor,
            Value::Array(names) => names.iter().any(|name| name.as_str() == Some(&actor)),
            _ => false,
        })
    }
}

#[async_trait]
impl<A: Approvers + ?Sized> Approvers for Arc<A> {
    async fn are(&self, approvers: &Value, scope: &Scope) -> Result<bool, Problem> {
        (**self).are(approvers, scope).await
    }
}

/// The operations on workflows and runs: permissions `workflows:read`, `workflows:manage`, and `workflows:decide` for approvals, which
/// those may decide whom the node names. What drives the runs is a worker of the host's.
pub fn api<S: WorkflowStore + Clone>(
    library: Library<S>,
    engine: Engine<S>,
    approvers: impl Approvers,
) -> Api {
    let api = Api::new("workflows", "What tenants automate.");
    let reached = Reached { library: Arc::new(library), engine, approvers: Arc::new(approvers) };
    following::declare(steering(running(channels(versions(definitions(api)))))).with_state(reached)
}

/// What the handlers reach.
#[derive(Debug)]
struct Reached<S> {
    library: Arc<Library<S>>,
    engine: Engine<S>,
    approvers: Arc<dyn Approvers>,
}

impl<S> Clone for Reached<S> {
    fn clone(&self) -> Self {
        Self {
            library: Arc::clone(&self.library),
            engine: self.engine.clone(),
            approvers: Arc::clone(&self.approvers),
        }
    }
}

type Routes<S> = Api<Reached<S>>;

fn reads(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, summary).takes("workflows:read")
}

fn manages(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, summary).takes("workflows:manage")
}

fn named(operation: Operation) -> Operation {
    operation.path("workflow", "The name of the workflow.", "follow-up")
}

fn of_run(operation: Operation) -> Operation {
    operation.path("run", "The id of the run.", words::RUN)
}

fn definitions<S: WorkflowStore + Clone>(api: Routes<S>) -> Routes<S> {
    api.get(
        "/workflows",
        reads("listWorkflows", "All workflows").pages().answers::<Listed<WorkflowRow>>(
            StatusCode::OK,
            "A page of them, by name.",
            json!({"items": [words::row_example()], "next": null}),
        ),
        list::<S>,
    )
    .get(
        "/workflows/{workflow}",
        named(reads("readWorkflow", "A workflow with its newest version"))
            .about("Its `ETag` is the workflow's revision, which each save, publication and other change raises.")
            .tagged()
            .answers::<WorkflowOut>(StatusCode::OK, "The workflow.", words::workflow_example()),
        read::<S>,
    )
    .put(
        "/workflows/{workflow}",
        named(manages("putWorkflow", "Save a definition: a new workflow, or a new version of one"))
            .about("`If-Match: \"0\"` makes a new workflow and never overwrites one that is there.")
            .if_match()
            .tagged()
            .may(Kind::Unprocessable)
            .may(Kind::Conflict)
            .body::<SaveIn>(json!({"definition": words::definition_example(), "message": "the first one"}))
            .answers::<WorkflowOut>(StatusCode::OK, "The workflow as it is now.", words::workflow_example()),
        save::<S>,
    )
    .post(
        "/workflow-validations",
        reads("validateWorkflow", "What is wrong with a definition, without saving it")
            .body::<SaveIn>(json!({"definition": words::definition_example()}))
            .answers::<ReportOut>(StatusCode::OK, "The findings.", json!({"valid": true, "findings": []})),
        check::<S>,
    )
}

fn versions<S: WorkflowStore + Clone>(api: Routes<S>) -> Routes<S> {
    let version = |operation: Operation| named(operation).path("version", "The number of the version.", "2");
    api.get(
        "/workflows/{workflow}/versions",
        named(reads("listVersions", "The versions of a workflow")).pages().answers::<Listed<VersionRow>>(
            StatusCode::OK,
            "A page of them, the newest first.",
            json!({"items": [words::version_row_example()], "next": null}),
        ),
        list_versions::<S>,
    )
    .get(
        "/workflows/{workflow}/versions/{version}",
        version(reads("readVersion", "One version")).answers::<VersionOut>(
            StatusCode::OK,
            "The version.",
            words::version_example(),
        ),
        read_version::<S>,
    )
    .get(
        "/workflows/{workflow}/versions/{version}/diff",
        version(reads("compareVersions", "What a version changed since another"))
            .query::<From>()
            .answers::<DiffOut>(
                StatusCode::OK,
                "The changes.",
                json!({"class": "changing", "changes": ["the node `b` is new"]}),
            ),
        compare::<S>,
    )
}

fn channels<S: WorkflowStore + Clone>(api: Routes<S>) -> Routes<S> {
    let change = |id, summary| {
        named(manages(id, summary)).if_match().tagged().may(Kind::Conflict).may(Kind::Unprocessable)
    };
    let answer = |operation: Operation| {
        operation.answers::<WorkflowRow>(StatusCode::OK, "The workflow as it is now.", words::row_example())
    };
    api.put(
        "/workflows/{workflow}/publication",
        answer(
            change("publishWorkflow", "Let new runs get a version").body::<NumberIn>(json!({"version": 2})),
        ),
        publish::<S>,
    )
    .put(
        "/workflows/{workflow}/canary",
        answer(
            change("putCanary", "Let some new runs get another version")
                .body::<CanaryIn>(json!({"version": 2, "weight": 10})),
        ),
        canary::<S>,
    )
    .post(
        "/workflows/{workflow}/rollback",
        answer(
            change("rollBackWorkflow", "Make a new version that says what an earlier one said")
                .about("It is published if the newest one was. Nothing of what was in between is lost.")
                .body::<NumberIn>(json!({"version": 1})),
        ),
        roll_back::<S>,
    )
    .put(
        "/workflows/{workflow}/archived",
        answer(
            change("archiveWorkflow", "Let no further run begin, or let them begin again")
                .body::<Archived>(json!({"archived": false})),
        ),
        archive::<S>,
    )
}

fn running<S: WorkflowStore + Clone>(api: Routes<S>) -> Routes<S> {
    api.post(
        "/workflows/{workflow}/runs",
        named(manages("startRun", "Start a run"))
            .idempotency_key()
            .may(Kind::Unprocessable)
            .body::<Begin>(json!({"input": {"deal": 7}}))
            .answers::<Started>(StatusCode::CREATED, "It began.", json!({"id": words::RUN})),
        start::<S>,
    )
    .get(
        "/runs",
        reads("listRuns", "Runs").query::<RunQuery>().answers::<Listed<RunRow>>(
            StatusCode::OK,
            "A page of them, the newest first.",
            json!({"items": [words::run_row_example()], "next": null}),
        ),
        runs::<S>,
    )
    .get(
        "/runs/{run}",
        of_run(reads("readRun", "One run, and where it stands")).answers::<RunOut>(
            StatusCode::OK,
            "The run.",
            words::run_example(),
        ),
        run::<S>,
    )
    .get(
        "/runs/{run}/history",
        of_run(reads("readRunHistory", "What a run did")).pages().answers::<Listed<EntryOut>>(
            StatusCode::OK,
            "A page of entries, in their order.",
            json!({"items": [words::entry_example()], "next": null}),
        ),
        history::<S>,
    )
}

fn steering<S: WorkflowStore + Clone>(api: Routes<S>) -> Routes<S> {
    let sent = |id, summary| of_run(manages(id, summary)).may(Kind::Conflict).may(Kind::Unprocessable);
    let taken = |operation: Operation| {
        operation.answers::<Messaged>(StatusCode::ACCEPTED, "A worker takes it in.", json!({"message": 1}))
    };
    api.post(
        "/runs/{run}/signals",
        taken(sent("signalRun", "Send a signal").body::<SignalIn>(json!({"name": "paid", "payload": {"amount": 100}}))),
        signal::<S>,
    )
    .post(
        "/runs/{run}/decisions",
        taken(
            sent("decideRun", "Decide an approval, as the caller")
                .takes("workflows:decide")
                .about("Only those may whom the node names as its approvers.")
                .body::<DecisionIn>(json!({"node": "approve", "approved": true, "comment": "fine"})),
        ),
        decide::<S>,
    )
    .post(
        "/runs/{run}/cancellation",
        taken(
            sent("cancelRun", "End a run wherever it stands")
                .body::<CancelIn>(json!({"reason": "no longer needed", "compensate": true})),
        ),
        cancel::<S>,
    )
    .post("/runs/{run}/pause", taken(sent("pauseRun", "Begin nothing new until it is resumed")), pause::<S>)
    .post("/runs/{run}/resume", taken(sent("resumeRun", "Go on")), resume::<S>)
    .post(
        "/runs/{run}/retry",
        taken(
            sent("retryRun", "Let a run that failed or was cancelled go on at a node")
                .body::<RetryIn>(json!({"node": "charge"})),
        ),
        retry::<S>,
    )
    .get(
        "/runs/{run}/migration",
        of_run(reads("previewMigration", "Whether a run could go on in another version"))
            .query::<words::To>()
            .answers::<MigrationOut>(StatusCode::OK, "Whether it could.", words::migration_example()),
        preview::<S>,
    )
    .post(
        "/runs/{run}/migration",
        sent("migrateRun", "Let a run go on in another version").body::<NumberIn>(json!({"version": 2})).answers::<MigrationOut>(
            StatusCode::ACCEPTED,
            "A worker takes it in.",
            words::migration_example(),
        ),
        migrate::<S>,
    )
}

async fn list<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    page: PageParams,
) -> Result<Json<Listed<WorkflowRow>>, Problem> {
    let page = reached.library.workflows(&scope, &page.request()?).await.map_err(|error| failed(&error))?;
    Ok(Json(Listed::of(page, |workflow| WorkflowRow::of(&workflow))))
}

async fn whole<S: WorkflowStore + Clone>(
    reached: &Reached<S>,
    scope: &Scope,
    name: &str,
) -> Result<Tagged<WorkflowOut>, Problem> {
    let workflow = reached.library.workflow(scope, name).await.map_err(|error| failed(&error))?;
    let mut draft =
        reached.library.version(scope, name, workflow.draft).await.map_err(|error| failed(&error))?;
    // Versions have no layout; who sends back what they read means to keep it.
    draft.definition.layout.clone_from(&workflow.layout);
    Ok(Tagged::new(workflow.revision, WorkflowOut::of(&workflow, &draft)))
}

async fn read<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
    known: IfNoneMatch,
) -> Result<Tagged<WorkflowOut>, Problem> {
    Ok(whole(&reached, &scope, &name).await?.unless(known))
}

/// The workflow that the caller has seen.
fn based<S: WorkflowStore + Clone>(reached: &Reached<S>, wanted: IfMatch) -> Library<S> {
    match wanted {
        IfMatch::Revision(revision) => reached.library.based_on(revision),
        IfMatch::Any => Library::clone(&reached.library),
    }
}

fn steered(changed: Result<Workflow, Error>) -> Result<Tagged<WorkflowRow>, Problem> {
    let workflow = changed.map_err(|error| failed(&error))?;
    Ok(Tagged::new(workflow.revision, WorkflowRow::of(&workflow)))
}

async fn save<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
    wanted: IfMatch,
    Json(body): Json<SaveIn>,
) -> Result<Tagged<WorkflowOut>, Problem> {
    let definition = definition(body.definition)?;
    let note = Note::new(body.message);
    based(&reached, wanted).save(&scope, &name, &definition, &note).await.map_err(|error| failed(&error))?;
    whole(&reached, &scope, &name).await
}

async fn check<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(_): Caller,
    Json(body): Json<SaveIn>,
) -> Result<Json<ReportOut>, Problem> {
    let report = validate(&definition(body.definition)?, reached.library.catalog());
    Ok(Json(ReportOut::of(&report)))
}

async fn list_versions<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
    page: PageParams,
) -> Result<Json<Listed<VersionRow>>, Problem> {
    reached.library.workflow(&scope, &name).await.map_err(|error| failed(&error))?;
    let page =
        reached.library.versions(&scope, &name, &page.request()?).await.map_err(|error| failed(&error))?;
    Ok(Json(Listed::of(page, |version| VersionRow::of(&version))))
}

async fn read_version<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam((name, version)): PathParam<(String, String)>,
) -> Result<Json<VersionOut>, Problem> {
    let version =
        reached.library.version(&scope, &name, number(&version)?).await.map_err(|error| failed(&error))?;
    Ok(Json(VersionOut::of(&version)))
}

async fn compare<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam((name, version)): PathParam<(String, String)>,
    Params(query): Params<From>,
) -> Result<Json<DiffOut>, Problem> {
    let new = number(&version)?;
    let old = query.from.unwrap_or_else(|| new.saturating_sub(1));
    let diff = reached.library.compare(&scope, &name, old, new).await.map_err(|error| failed(&error))?;
    Ok(Json(DiffOut::of(&diff)))
}

async fn publish<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
    wanted: IfMatch,
    Json(body): Json<NumberIn>,
) -> Result<Tagged<WorkflowRow>, Problem> {
    steered(based(&reached, wanted).publish(&scope, &name, body.version).await)
}

async fn canary<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
    wanted: IfMatch,
    Json(body): Json<CanaryIn>,
) -> Result<Tagged<WorkflowRow>, Problem> {
    if body.weight > 100 {
        return Err(
            Kind::InvalidRequest.because(format_args!("a weight of {} is more than 100", body.weight))
        );
    }
    steered(based(&reached, wanted).canary(&scope, &name, body.version, body.weight).await)
}

async fn roll_back<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
    wanted: IfMatch,
    Json(body): Json<NumberIn>,
) -> Result<Tagged<WorkflowRow>, Problem> {
    let back = based(&reached, wanted).roll_back(&scope, &name, body.version).await;
    steered(back.map(|update| update.workflow))
}

async fn archive<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
    wanted: IfMatch,
    Json(body): Json<Archived>,
) -> Result<Tagged<WorkflowRow>, Problem> {
    steered(based(&reached, wanted).archive(&scope, &name, body.archived).await)
}

async fn start<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<Begin>,
) -> Result<(StatusCode, Json<Started>), Problem> {
    let mut start = Start::with(body.input);
    if let Some(version) = body.version {
        start = start.version(version).released();
    }
    if let Some(key) = key {
        start = start.key(key);
    }
    let id = reached.engine.start(&scope, &name, start).await.map_err(|error| failed(&error))?;
    Ok((StatusCode::CREATED, Json(Started { id: id.to_string() })))
}

async fn runs<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    Params(query): Params<RunQuery>,
) -> Result<Json<Listed<RunRow>>, Problem> {
    let page = query.page().request()?;
    let mut filter = RunFilter::new();
    if let Some(workflow) = query.workflow {
        filter = filter.workflow(workflow);
    }
    if let Some(status) = &query.status {
        filter = filter.status(standing(status)?);
    }
    let page = reached.engine.runs(&scope, &filter, &page).await.map_err(|error| failed(&error))?;
    Ok(Json(Listed::of(page, |run| RunRow::of(&run))))
}

fn standing(text: &str) -> Result<Status, Problem> {
    let all = [Status::Running, Status::Compensating, Status::Completed, Status::Failed, Status::Cancelled];
    all.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
        let why = format!(
            "the status `{}` is not running, compensating, completed, failed or cancelled",
            shorten(text)
        );
        Kind::InvalidRequest.because(why)
    })
}

async fn run<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
) -> Result<Json<RunOut>, Problem> {
    let run = reached.engine.run(&scope, run_id(&id)?).await.map_err(|error| failed(&error))?;
    Ok(Json(RunOut::of(&run)))
}

async fn history<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    page: PageParams,
) -> Result<Json<Listed<EntryOut>>, Problem> {
    let (id, page) = (run_id(&id)?, page.request()?);
    // A run that is not there is not found; an empty history would say something else.
    reached.engine.run(&scope, id).await.map_err(|error| failed(&error))?;
    let after = match page.cursor() {
        Some(cursor) => <[u8; 8]>::try_from(cursor.as_bytes())
            .map(u64::from_be_bytes)
            .map_err(|_| Kind::InvalidRequest.because("the cursor does not belong to this list"))?,
        None => 0,
    };
    let found = reached.engine.history(&scope, id, after, page.size()).await;
    // About so many come; the rest is for the next page.
    let mut entries = found.map_err(|error| failed(&error))?;
    let size = usize::try_from(page.size()).unwrap_or(usize::MAX);
    let more = entries.len() >= size;
    entries.truncate(size);
    let next = entries.last().filter(|_| more).map(|last| Cursor::from_bytes(&last.number.to_be_bytes()));
    Ok(Json(Listed::of(Page::new(entries, next), |entry| EntryOut::of(&entry))))
}

async fn signal<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    Json(body): Json<SignalIn>,
) -> Result<(StatusCode, Json<Messaged>), Problem> {
    bounded("name", &body.name, 1, 128)?;
    send(&reached, &scope, &id, &Message::Signal { name: body.name, payload: body.payload }).await
}

async fn decide<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    Json(body): Json<DecisionIn>,
) -> Result<(StatusCode, Json<Messaged>), Problem> {
    let (node, id) = (node(&body.node)?, run_id(&id)?);
    let run = reached.engine.run(&scope, id).await.map_err(|error| failed(&error))?;
    let asked = run.positions.iter().filter(|at| at.node == node).filter_map(|at| match &at.doing {
        Doing::Approving { approvers, .. } => Some(approvers),
        _ => None,
    });
    let (mut theirs, mut is_anybody_asked) = (None, false);
    for approvers in asked {
        is_anybody_asked = true;
        if reached.approvers.are(approvers, &scope).await? {
            theirs = Some(approvers.clone());
            break;
        }
    }
    let decided = match theirs {
        Some(approvers) => {
            reached.engine.decide_for(&scope, id, &node, approvers, body.approved, &body.comment).await
        }
        None if is_anybody_asked => {
            return Err(Kind::Forbidden.because("this is for others to decide: the node names its approvers"));
        }
        // The engine says that nobody is asked.
        None => reached.engine.decide(&scope, id, &node, body.approved, &body.comment).await,
    };
    Ok((StatusCode::ACCEPTED, Json(Messaged { message: decided.map_err(|error| failed(&error))? })))
}

async fn cancel<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    Json(body): Json<CancelIn>,
) -> Result<(StatusCode, Json<Messaged>), Problem> {
    send(&reached, &scope, &id, &Message::Cancel { reason: body.reason, compensate: body.compensate }).await
}

async fn pause<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
) -> Result<(StatusCode, Json<Messaged>), Problem> {
    send(&reached, &scope, &id, &Message::Pause).await
}

async fn resume<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
) -> Result<(StatusCode, Json<Messaged>), Problem> {
    send(&reached, &scope, &id, &Message::Resume).await
}

async fn retry<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    Json(body): Json<RetryIn>,
) -> Result<(StatusCode, Json<Messaged>), Problem> {
    send(&reached, &scope, &id, &Message::RetryFrom { node: node(&body.node)? }).await
}

async fn send<S: WorkflowStore + Clone>(
    reached: &Reached<S>,
    scope: &Scope,
    id: &str,
    message: &Message,
) -> Result<(StatusCode, Json<Messaged>), Problem> {
    let message = reached.engine.send(scope, run_id(id)?, message).await.map_err(|error| failed(&error))?;
    Ok((StatusCode::ACCEPTED, Json(Messaged { message })))
}

async fn preview<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    Params(query): Params<words::To>,
) -> Result<Json<MigrationOut>, Problem> {
    let report =
        reached.engine.can_migrate(&scope, run_id(&id)?, query.to).await.map_err(|error| failed(&error))?;
    Ok(Json(MigrationOut::of(&report)))
}

async fn migrate<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    Json(body): Json<NumberIn>,
) -> Result<(StatusCode, Json<MigrationOut>), Problem> {
    let report =
        reached.engine.migrate(&scope, run_id(&id)?, body.version).await.map_err(|error| failed(&error))?;
    Ok((StatusCode::ACCEPTED, Json(MigrationOut::of(&report))))
}

fn definition(value: Value) -> Result<Definition, Problem> {
    Definition::from_value(value).map_err(|error| failed(&error))
}

fn node(text: &str) -> Result<NodeId, Problem> {
    text.parse().map_err(|error| Kind::InvalidRequest.because(error))
}

/// A text that is no number is the number of nothing.
fn number(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Kind::NotFound.because("there is no such version"))
}

fn run_id(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| Kind::NotFound.because("there is no such run"))
}

fn failed(error: &Error) -> Problem {
    match error {
        Error::NoWorkflow { .. } | Error::NoVersion { .. } | Error::NoRun { .. } => {
            Kind::NotFound.because(error)
        }
        Error::Conflict { .. } | Error::Changed { .. } => Kind::Changed.because(error),
        Error::NotPublished { .. } => {
            Kind::Conflict.because("nothing is published, or not this version: publish it first")
        }
        Error::Archived { .. } => Kind::Conflict.because("the workflow is archived: no further run begins"),
        Error::Reused { .. } | Error::PathTaken { .. } | Error::RunState { .. } | Error::Migration { .. } => {
            Kind::Conflict.because(error)
        }
        Error::Invalid { .. } | Error::Input { .. } | Error::NoNode { .. } => {
            Kind::Unprocessable.because(error)
        }
        Error::Store(source) => source.into(),
        error => Kind::InvalidRequest.because(error),
    }
}

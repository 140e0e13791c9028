//! What tenants automate: workflows that run on the CRM's own events, a moment after these are committed. A deal that is won gets a
//! note, in the transaction that keeps the run, so exactly once; every save of a workflow makes a version, and any of them can be gone back to.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use guardian::core::{Clock, IdSource, PageRequest, Scope, SystemClock, SystemIds, TenantId};
use guardian::http::Problem;
use guardian::rbac::Rbac;
use guardian::sql::{Savepoint, params};
use guardian::workflow::{
    ActionSpec, Actions, Call, Definition, Error, Library, Note, RunFilter, SqlAction, SqlStore, Trouble,
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::App;
use crate::roles;
use crate::routes::{bad_request, failed};

/// The workflow that every tenant of the demo begins with.
const FOLLOW_UP: &str = include_str!("follow_up.json");

/// Writes a note, in the transaction of the run's checkpoint.
#[derive(Debug)]
pub(crate) struct AddNote(SystemIds, SystemClock);

#[async_trait::async_trait]
impl SqlAction for AddNote {
    async fn run(&self, tx: &mut Savepoint<'_, Scope>, call: &Call) -> Result<Value, Trouble> {
        let id = self.0.next_id(self.1.now());
        let body = json!({ "text": call.params.get("text") });
        let sql = "INSERT INTO notes (tenant_id, id, body) VALUES ($1, $2, $3)";
        tx.execute(sql, params![call.scope.tenant(), id, body]).await?;
        Ok(json!({ "note": id }))
    }
}

impl AddNote {
    pub(crate) const NAME: &str = "add_note";

    pub(crate) fn new() -> Self {
        Self(SystemIds::new(), SystemClock::new())
    }
}

/// What workflows can do.
pub(crate) fn actions() -> Result<Actions, Error> {
    let text = json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
    Actions::new().with_transactional(ActionSpec::new(AddNote::NAME).parameters(text))
}

/// Gives a tenant its first workflow.
pub(crate) async fn begin(library: &Library<SqlStore>, tenant: &TenantId) -> Result<(), Error> {
    let scope = Scope::system(tenant.clone());
    let known = match library.workflow(&scope, "follow-up").await {
        Err(Error::NoWorkflow { .. }) => {
            let definition = Definition::from_json(FOLLOW_UP)?;
            library.save(&scope, "follow-up", &definition, &Note::new("the first one")).await?.workflow
        }
        known => known?,
    };
    if known.published.is_none() {
        library.publish(&scope, "follow-up", 1).await?;
    }
    Ok(())
}

/// Each method behind its own permission: `workflow:read`, `workflow:edit`, `workflow:activate`.
pub(crate) fn api(rbac: &Rbac) -> Result<Router<App>, guardian::rbac::Error> {
    let takes = |action: &str| roles::takes(rbac, &format!("workflow:{action}"));
    let one = get(show).layer(takes("read")?).merge(put(save).layer(takes("edit")?));
    Ok(Router::new()
        .route("/workflows/{name}", one)
        .route("/workflows/{name}/rollback", post(roll_back).layer(takes("activate")?))
        .route("/workflows/{name}/runs", get(runs).layer(takes("read")?))
        .route("/runs/{id}/history", get(history).layer(takes("read")?)))
}

type Answer = Result<Json<Value>, Problem>;

async fn show(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
    Path(name): Path<String>,
) -> Answer {
    let library = app.guardian.workflows();
    let workflow = library.workflow(&scope, &name).await.map_err(|error| fault(&error))?;
    let page = PageRequest::first(50).map_err(|error| bad_request(&error))?;
    let versions = library.versions(&scope, &name, &page).await.map_err(|error| fault(&error))?;
    let shown: Vec<Value> = versions
        .items
        .iter()
        .map(|version| {
            json!({"number": version.number, "semver": version.semver, "author": version.author.to_string(),
                "message": version.message, "created": version.created, "definition": version.definition})
        })
        .collect();
    Ok(Json(json!({ "published": workflow.published, "versions": shown })))
}

/// Saves a definition and publishes it.
async fn save(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
    Path(name): Path<String>,
    body: Result<Json<Value>, JsonRejection>,
) -> Answer {
    let Json(value) =
        body.map_err(|rejection| Problem::new(rejection.status()).with_detail(rejection.body_text()))?;
    let definition = Definition::from_value(value).map_err(|error| fault(&error))?;
    let library = app.guardian.workflows();
    let update =
        library.save(&scope, &name, &definition, &Note::default()).await.map_err(|error| fault(&error))?;
    library.publish(&scope, &name, update.workflow.draft).await.map_err(|error| fault(&error))?;
    let changes: Vec<String> = update.diff.changes.iter().map(ToString::to_string).collect();
    Ok(Json(json!({ "version": update.workflow.draft, "changes": changes, "class": update.diff.class() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Back {
    to: u64,
}

async fn roll_back(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
    Path(name): Path<String>,
    body: Result<Json<Back>, JsonRejection>,
) -> Answer {
    let Json(back) =
        body.map_err(|rejection| Problem::new(rejection.status()).with_detail(rejection.body_text()))?;
    let update =
        app.guardian.workflows().roll_back(&scope, &name, back.to).await.map_err(|error| fault(&error))?;
    Ok(Json(json!({ "version": update.workflow.draft, "published": update.workflow.published })))
}

async fn runs(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
    Path(name): Path<String>,
) -> Answer {
    let page = PageRequest::first(50).map_err(|error| bad_request(&error))?;
    let filter = RunFilter::new().workflow(name);
    let found = app.guardian.engine().runs(&scope, &filter, &page).await.map_err(|error| fault(&error))?;
    let shown: Vec<Value> = found
        .items
        .iter()
        .map(|run| json!({"id": run.id, "version": run.version, "status": run.state.status, "outcome": run.state.outcome}))
        .collect();
    Ok(Json(json!({ "items": shown })))
}

async fn history(State(app): State<App>, Extension(scope): Extension<Scope>, Path(id): Path<Uuid>) -> Answer {
    let entries = app.guardian.engine().history(&scope, id, 0, 1000).await.map_err(|error| fault(&error))?;
    Ok(Json(json!({ "items": entries })))
}

fn fault(error: &Error) -> Problem {
    match error {
        Error::Store(error) => failed(error),
        Error::NoWorkflow { .. } | Error::NoVersion { .. } | Error::NoRun { .. } => {
            Problem::new(StatusCode::NOT_FOUND).with_detail(error.to_string())
        }
        Error::Conflict { .. } => Problem::new(StatusCode::CONFLICT).with_detail(error.to_string()),
        other => bad_request(other),
    }
}

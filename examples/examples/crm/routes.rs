//! The API: the same five operations on contacts, deals and notes.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::header::LOCATION;
use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use guardian::core::{Page, PageRequest, Scope, StoreError};
use guardian::http::Problem;
use guardian::rbac::{Error, Rbac};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::App;
use crate::moods;
use crate::quotas;
use crate::roles;
use crate::store::{Contact, Deal, Entity, Note, Record, Replaced};

pub(crate) fn index() -> Router<App> {
    Router::new().route(
        "/",
        get(async || {
            Json(json!({
                "resources": ["/contacts", "/deals", "/notes"],
                "audit": "/audit?q=words and qualifiers, as action:deal.* changed:/stage created:2025",
                "permissions": "/permissions, what your key may do",
                "addresses": "/addresses, from where your keys may be used; ?explain=ADDRESS",
                "sentiment": "/sentiment?of=account:NAME, how the notes on an account sound; without `of`, all notes",
                "usage": "/usage, what your plan includes and what is left",
                "pages": "?size=1..1000&after=CURSOR, where CURSOR is `next` of the page before",
                "workflows": ["/workflows/{name}", "/workflows/{name}/rollback", "/workflows/{name}/runs", "/runs/{id}/history"],
                "operator": "/v1/platform/…",
                "administrators": "/v1/openapi.json",
            }))
        }),
    )
}

pub(crate) fn api(rbac: &Rbac) -> Result<Router<App>, Error> {
    Ok(Router::new()
        .merge(collection::<Contact>(rbac)?)
        .merge(collection::<Deal>(rbac)?)
        .merge(collection::<Note>(rbac)?))
}

/// Each method behind its own permission: `contact:read`, `contact:create`, `contact:edit`, `contact:delete`.
fn collection<T: Entity>(rbac: &Rbac) -> Result<Router<App>, Error> {
    let takes = |action: &str| roles::takes(rbac, &format!("{}:{action}", T::SINGULAR));
    let all = get(list::<T>).layer(takes("read")?).merge(post(create::<T>).layer(takes("create")?));
    let one = get(read::<T>)
        .layer(takes("read")?)
        .merge(put(replace::<T>).layer(takes("edit")?))
        .merge(delete(remove::<T>).layer(takes("delete")?));
    Ok(Router::new().route(&format!("/{}", T::PLURAL), all).route(&format!("/{}/{{id}}", T::PLURAL), one))
}

/// `?size=20&after=CURSOR`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    size: Option<u32>,
    after: Option<String>,
}

impl PageQuery {
    const DEFAULT_SIZE: u32 = 20;

    fn request(self) -> Result<PageRequest, Problem> {
        let page = PageRequest::first(self.size.unwrap_or(Self::DEFAULT_SIZE))
            .map_err(|error| bad_request(&error))?;
        match self.after {
            Some(cursor) => Ok(page.after(cursor.parse().map_err(|error| bad_request(&error))?)),
            None => Ok(page),
        }
    }
}

async fn list<T: Entity>(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<Record<T>>>, Problem> {
    let Query(query) = query.map_err(|rejection| bad_request(&rejection.body_text()))?;
    let page = app.crm.table::<T>().list(&scope, &query.request()?).await.map_err(|error| failed(&error))?;
    page.map(Json).ok_or_else(|| bad_request(&"the cursor is not of this list"))
}

async fn create<T: Entity>(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
    body: Result<Json<T>, JsonRejection>,
) -> Result<impl IntoResponse, Problem> {
    let fields = valid(body)?;
    quotas::add_record(&app, &scope).await?;
    let record = match app.crm.table::<T>().insert(&scope, fields).await {
        Ok(record) => record,
        Err(error) => {
            // Nothing was made, so nothing is used.
            quotas::remove_record(&app, &scope).await?;
            return Err(failed(&error));
        }
    };
    moods::follow(&app.crm, app.guardian.sentiments(), &scope, &record).await;
    let location = format!("/{}/{}", T::PLURAL, record.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(record)))
}

async fn read<T: Entity>(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
    Path(id): Path<String>,
) -> Result<Json<Record<T>>, Problem> {
    let record = app.crm.table::<T>().get(&scope, known::<T>(&id)?).await.map_err(|error| failed(&error))?;
    record.map(Json).ok_or_else(|| no_such::<T>(&id))
}

async fn replace<T: Entity>(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
    Path(id): Path<String>,
    body: Result<Json<T>, JsonRejection>,
) -> Result<Json<Record<T>>, Problem> {
    let (table, fields) = (app.crm.table::<T>(), valid(body)?);
    let replaced = table.replace(&scope, known::<T>(&id)?, fields).await.map_err(|error| failed(&error))?;
    let Some(Replaced { before, now }) = replaced else { return Err(no_such::<T>(&id)) };
    if before.words() != now.fields.words() {
        moods::follow(&app.crm, app.guardian.sentiments(), &scope, &now).await;
    }
    Ok(Json(now))
}

async fn remove<T: Entity>(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let table = app.crm.table::<T>();
    let known = known::<T>(&id)?;
    let removed = table.remove(&scope, known).await.map_err(|error| failed(&error))?;
    if !removed {
        return Err(no_such::<T>(&id));
    }
    if T::HAS_WORDS {
        moods::forget(app.guardian.sentiments(), &scope, known).await;
    }
    quotas::remove_record(&app, &scope).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A text that is no id is the id of nothing.
fn known<T: Entity>(id: &str) -> Result<Uuid, Problem> {
    id.parse().map_err(|_| no_such::<T>(id))
}

fn valid<T: Entity>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    let Json(fields) =
        body.map_err(|rejection| Problem::new(rejection.status()).with_detail(rejection.body_text()))?;
    fields.check().map_err(|error| bad_request(&error))?;
    Ok(fields)
}

/// Another tenant's id gets this answer too: that it exists is nobody else's business.
fn no_such<T: Entity>(id: &str) -> Problem {
    let shown: String = id.chars().take(64).collect();
    Problem::new(StatusCode::NOT_FOUND).with_detail(format!("there is no `{shown}` in /{}", T::PLURAL))
}

/// The data could not be reached. What went wrong is for the log: clients cannot mend it.
#[expect(clippy::print_stderr, reason = "the terminal is this demo's log")]
pub(crate) fn failed(error: &StoreError) -> Problem {
    let cause = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    eprintln!("{error}{cause}");
    let status = if error.is_transient() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    };
    Problem::new(status).with_detail("the data cannot be reached at the moment")
}

pub(crate) fn bad_request(why: &impl ToString) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST).with_detail(why.to_string())
}

pub(crate) async fn not_found(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND).with_detail(format!("there is nothing at {}", uri.path()))
}

pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{method} cannot be done to {}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED).with_detail(detail)
}

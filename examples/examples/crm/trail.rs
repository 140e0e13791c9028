//! The audit trail: each change is recorded in the transaction that makes it, so there is no change without a record and no
//! record without a change.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use guardian::audit::{Error, StoredEvent};
use guardian::core::{Page, PageRequest, Scope, StoreError, StoreErrorKind};
use guardian::http::Problem;
use serde::Deserialize;

use crate::App;
use crate::routes::{bad_request, failed};

/// `GET /audit?q=deal risk:>=medium&size=20&after=CURSOR`.
pub(crate) fn api() -> Router<App> {
    Router::new().route("/audit", get(search))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    q: String,
    size: Option<u32>,
    after: Option<String>,
}

async fn search(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Page<StoredEvent>>, Problem> {
    let Query(Asked { q, size, after }) = asked.map_err(|rejection| bad_request(&rejection.body_text()))?;
    let query = q.parse().map_err(|error| bad_request(&error))?;
    let mut page = PageRequest::first(size.unwrap_or(20)).map_err(|error| bad_request(&error))?;
    if let Some(cursor) = after {
        page = page.after(cursor.parse().map_err(|error| bad_request(&error))?);
    }
    match app.guardian.audit().search(&scope, &query, &page).await {
        Ok(found) => Ok(Json(found)),
        Err(error @ Error::ForeignCursor) => Err(bad_request(&error)),
        Err(error) => Err(failed(&fault(error))),
    }
}

/// The log's errors as those of the data: the CRM's own events are always ones that the log takes.
fn fault(error: Error) -> StoreError {
    match error {
        Error::Store(error) => error,
        other => StoreError::new(StoreErrorKind::Internal, "audit").with_source(other),
    }
}

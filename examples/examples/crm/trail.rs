//! The audit trail: each change is recorded in the transaction that makes it, so there is no change without a record and no
//! record without a change.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use guardian::audit::store::SqlStore;
use guardian::audit::{
    AuditConfig, AuditEvent, AuditLog, Error, StoredEvent, Target, changes_between, migrate_outbox,
};
use guardian::core::{Page, PageRequest, Scope, StoreError, StoreErrorKind, TenantId};
use guardian::http::Problem;
use guardian::sql::{Database, TenantTx};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::App;
use crate::routes::{bad_request, failed};

/// Who changed what, in the same database as the data.
pub(crate) struct Trail {
    db: Database,
    log: AuditLog<SqlStore>,
}

impl Trail {
    /// Opens the trail, and takes up what was committed and not moved into it yet when the process ended.
    pub(crate) async fn open(
        db: Database,
        tenants: Vec<TenantId>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        migrate_outbox(&db).await?;
        let log = AuditLog::new(SqlStore::open(db.clone()).await?, AuditConfig::default());
        let trail = Self { db, log };
        for tenant in tenants {
            trail.settle(&Scope::system(tenant)).await?;
        }
        Ok(trail)
    }

    /// Records a change in its own transaction.
    pub(crate) async fn record(
        &self,
        tx: &mut TenantTx,
        action: String,
        (kind, id): (&str, Uuid),
        (before, after): (&Value, &Value),
    ) -> Result<(), StoreError> {
        let event = AuditEvent::new(action)
            .with_target(Target::new(kind, id.to_string()))
            .with_changes(changes_between(before, after));
        self.log.record_in(tx, event).await.map(drop).map_err(fault)
    }

    /// Where other parts report what they change.
    pub(crate) fn sink(&self) -> AuditLog<SqlStore> {
        self.log.clone()
    }

    /// Moves what was committed into the log.
    pub(crate) async fn settle(&self, scope: &Scope) -> Result<(), StoreError> {
        while self.log.drain_outbox(&self.db, scope, 1_000).await.map_err(fault)?.more {}
        Ok(())
    }
}

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
    match app.crm.trail().log.search(&scope, &query, &page).await {
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

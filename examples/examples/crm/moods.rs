//! What notes say of the mood: each note is read, and an account whose notes turn bad raises an event, which is in the audit
//! trail and goes to the tenant's webhooks like the changes of records do.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use guardian::core::{Event, EventSink, Scope, StoreError, StoreErrorKind, TenantId};
use guardian::http::Problem;
use guardian::rbac::Rbac;
use guardian::sentiment::{Chart, Error, Message, Segment, Sentiments, SqlStore};
use guardian::sql::Database;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::App;
use crate::roles;
use crate::routes::{bad_request, failed};
use crate::webhooks::Hooks;

pub(crate) type Moods = Sentiments;

/// The sentiments of the tenants. What was to be told when the process ended is told now.
pub(crate) async fn open(
    db: Database,
    tenants: Vec<TenantId>,
    trail: impl EventSink,
    hooks: Arc<Hooks>,
) -> Result<Moods, Box<dyn std::error::Error>> {
    let store = SqlStore::open(db).await?;
    let moods = Sentiments::new(store).with_events(Everywhere { trail: Arc::new(trail), hooks });
    for tenant in tenants {
        moods.relay(&Scope::system(tenant)).await?;
    }
    Ok(moods)
}

/// Events go to the trail and to the webhooks. Both know an event by its id, so that it may come again when one of them failed.
#[derive(Debug)]
struct Everywhere {
    trail: Arc<dyn EventSink>,
    hooks: Arc<Hooks>,
}

#[async_trait]
impl EventSink for Everywhere {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        self.hooks.tell(&event).await?;
        self.trail.emit(event).await
    }
}

/// Reads a note that was written; the account is that of the note. A mood that cannot be kept spoils no note.
#[expect(clippy::print_stderr, reason = "the terminal is this demo's log")]
pub(crate) async fn read(moods: &Moods, scope: &Scope, id: Uuid, text: &str, account: Option<&str>) {
    let message = Message::new(&id.to_string(), text).and_then(|message| match account {
        Some(account) => message.of_account(account),
        None => Ok(message),
    });
    let recorded = match message {
        Ok(message) => moods.record(scope, &message).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = recorded {
        eprintln!("crm: moods: {error}");
    }
}

/// Forgets a note that was deleted, or that is to be read anew.
#[expect(clippy::print_stderr, reason = "the terminal is this demo's log")]
pub(crate) async fn forget(moods: &Moods, scope: &Scope, id: Uuid) {
    if let Err(error) = moods.forget_message(scope, &id.to_string()).await {
        eprintln!("crm: moods: {error}");
    }
}

/// `GET /sentiment?of=account:acme`: how notes sound of late, and why it turned.
pub(crate) fn api(rbac: &Rbac) -> Result<Router<App>, guardian::rbac::Error> {
    Ok(Router::new().route("/sentiment", get(trend)).layer(roles::takes(rbac, "note:read")?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default = "everything")]
    of: String,
}

fn everything() -> String {
    Segment::all().to_string()
}

async fn trend(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(Asked { of }) = asked.map_err(|rejection| bad_request(&rejection.body_text()))?;
    let segment: Segment = of.parse().map_err(|error| bad_request(&error))?;
    let found = app.moods.trend(&scope, &segment).await.map_err(fault)?;
    Ok(Json(found.map_or(json!({"of": segment, "messages": 0}), |trend| {
        json!({
            "of": segment,
            "messages": trend.messages(),
            "negative": trend.negatives(),
            "level": trend.level(),
            "usual": trend.baseline(app.moods.policy()),
            "falling_since": trend.falling_since(),
            "words": trend.rising(5),
            "days": Chart::of(trend.days()).sparkline(30),
        })
    })))
}

fn fault(error: Error) -> Problem {
    match error {
        Error::Store(error) => failed(&error),
        other => failed(&StoreError::new(StoreErrorKind::Internal, "sentiment").with_source(other)),
    }
}

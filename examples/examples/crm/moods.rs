//! What notes say of the mood: each note is read, and an account whose notes turn bad raises an event, which is in the audit
//! trail and goes to the tenant's webhooks like the changes of records do.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use guardian::core::{PageRequest, Scope, StoreError, StoreErrorKind, TenantId};
use guardian::http::Problem;
use guardian::rbac::Rbac;
use guardian::sentiment::{Chart, Error, Message, Segment, Sentiments};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::App;
use crate::roles;
use crate::routes::{bad_request, failed};
use crate::store::{Crm, Entity, Note, Record};

pub(crate) type Moods = Sentiments;

/// Reads a note that was written or changed. The note may be changed again or deleted meanwhile, by a request that comes to its mood
/// first: whoever has read one looks whether it still is what was read. A mood that cannot be kept spoils no note.
pub(crate) async fn follow<T: Entity>(crm: &Crm, moods: &Moods, scope: &Scope, record: &Record<T>) {
    let id = record.id;
    let Some(mut read) = owned(&record.fields) else { return };
    loop {
        let (text, account) = &read;
        log(reread(moods, scope, id, text, account.as_deref()).await);
        match crm.table::<T>().get(scope, id).await {
            Ok(now) => match now.and_then(|now| owned(&now.fields)) {
                Some(now) if now == read => return,
                Some(now) => read = now,
                None => return forget(moods, scope, id).await,
            },
            Err(error) => return log(Err(error.into())),
        }
    }
}

/// Reads the notes whose mood is missing, and forgets the moods whose note is gone, because a process ended between the two, or the
/// moods could not be reached.
pub(crate) async fn catch_up(crm: &Crm, moods: &Moods, tenants: Vec<TenantId>) -> Result<(), Error> {
    for tenant in tenants {
        let scope = Scope::system(tenant);
        let mut request = PageRequest::first(100).ok();
        while let Some(page) = request.take() {
            let Some(found) = crm.table::<Note>().list(&scope, &page).await? else { break };
            for note in &found.items {
                if moods.entry(&scope, &note.id.to_string()).await?.is_none() {
                    follow(crm, moods, &scope, note).await;
                }
            }
            request = found.next.map(|next| page.after(next));
        }
        let mut request = PageRequest::first(100).ok();
        while let Some(page) = request.take() {
            let found = moods.history(&scope, &Segment::all(), &page).await?;
            for entry in &found.items {
                let Ok(note) = entry.id.parse() else { continue };
                if crm.table::<Note>().get(&scope, note).await?.is_none() {
                    forget(moods, &scope, note).await;
                }
            }
            request = found.next.map(|next| page.after(next));
        }
    }
    Ok(())
}

fn owned<T: Entity>(fields: &T) -> Option<(String, Option<String>)> {
    fields.words().map(|(text, account)| (text.to_owned(), account.map(str::to_owned)))
}

async fn reread(
    moods: &Moods,
    scope: &Scope,
    id: Uuid,
    text: &str,
    account: Option<&str>,
) -> Result<(), Error> {
    let message = Message::new(&id.to_string(), text)?;
    let message = match account {
        Some(account) => message.of_account(account)?,
        None => message,
    };
    moods.reread(scope, &message).await.map(drop)
}

#[expect(clippy::print_stderr, reason = "the terminal is this demo's log")]
fn log(done: Result<(), Error>) {
    if let Err(error) = done {
        eprintln!("crm: moods: {error}");
    }
}

/// Forgets a note that was deleted.
pub(crate) async fn forget(moods: &Moods, scope: &Scope, id: Uuid) {
    log(moods.forget_message(scope, &id.to_string()).await.map(drop));
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
    let found = app.guardian.sentiments().trend(&scope, &segment).await.map_err(fault)?;
    Ok(Json(found.map_or(json!({"of": segment, "messages": 0}), |trend| {
        json!({
            "of": segment,
            "messages": trend.messages(),
            "negative": trend.negatives(),
            "level": trend.level(),
            "usual": trend.baseline(app.guardian.sentiments().policy()),
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

//! Recording events and finding them.

use axum::extract::State;
use guardian_audit::Subject;
use guardian_audit::store::AuditStore;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::record::{AuditReceipt, AuditRecord, NewAuditRecord, example, new_example, receipt_example};
use super::{Answer, Items, Shared, failed, manages, query, reads};
use crate::Problem;
use crate::api::{Api, Caller, Json, Kind, Listed, PageParams, Params, PathParam};

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct AuditSearch {
    /// What they have in common, in the language of the log; without it, all events.
    #[param(max_length = 4096, example = "renewal action:deal.* risk:>=high -country:US")]
    q: Option<String>,
    /// How many items at most; 50 when nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    size: Option<u32>,
    /// Where the page begins: `next` of the page before.
    #[param(max_length = 1024)]
    after: Option<String>,
}

pub(super) fn declare<S: AuditStore>(api: Api<Shared<S>>) -> Api<Shared<S>> {
    let page = json!({"items": [example()], "next": null});
    let search = reads("searchAuditEvents", "The events that a query finds, the newest first")
        .about("A page begins where the one before it ended, whatever was recorded meanwhile.")
        .query::<AuditSearch>()
        .answers::<Listed<AuditRecord>>(StatusCode::OK, "A page.", page.clone());
    let record = manages("recordAuditEvent", "Record an event")
        .about("The caller is who did it. With an id of your own a repetition by the same caller is not recorded again; nobody else's events have \
             ids that could be taken so.")
        .body::<NewAuditRecord>(new_example())
        .answers::<AuditReceipt>(StatusCode::CREATED, "It is recorded.", receipt_example())
        .answers::<AuditReceipt>(StatusCode::OK, "The log had it already.", receipt_example());
    let read = reads("readAuditEvent", "The event at a place of the log")
        .path("sequence", "Its place: 0, 1, 2 …", "42")
        .answers::<AuditRecord>(StatusCode::OK, "The event.", example());
    let subject = reads("listAuditEventsOfSubject", "Everything that the log holds of a person or a thing")
        .about("As its actor or its target, the newest first: for who asks what is known of them.")
        .path("kind", "What it is: `user`, `contact`.", "user")
        .path("id", "Its id.", "u_17")
        .pages()
        .answers::<Listed<AuditRecord>>(StatusCode::OK, "A page.", page);
    api.get("/audit/events", search, search_events::<S>)
        .post("/audit/events", record, record_event::<S>)
        .get("/audit/events/{sequence}", read, read_event::<S>)
        .get("/audit/subjects/{kind}/{id}/events", subject, events_of_subject::<S>)
}

async fn search_events<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
    Params(search): Params<AuditSearch>,
) -> Items<AuditRecord> {
    let query = query(search.q.as_deref())?;
    let page = PageParams { size: search.size, after: search.after }.request()?;
    let found = reached.log.search(&scope, &query, &page).await.map_err(|error| failed(&error))?;
    Ok(Json(Listed::of(found, AuditRecord::from)))
}

async fn record_event<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
    Json(new): Json<NewAuditRecord>,
) -> Result<(StatusCode, Json<AuditReceipt>), Problem> {
    let receipt = reached.log.record(&scope, new.event(&scope)?).await.map_err(|error| failed(&error))?;
    let receipt = AuditReceipt::from(receipt);
    let status = if receipt.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(receipt)))
}

async fn read_event<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
    PathParam(sequence): PathParam<String>,
) -> Answer<AuditRecord> {
    let none = || {
        let place = guardian_core::shorten(&sequence);
        Kind::NotFound.because(format_args!("there is no event `{place}`, or retention has dropped it"))
    };
    // Stores count in 63 bits.
    let place: u64 = sequence.parse().ok().filter(|place| i64::try_from(*place).is_ok()).ok_or_else(none)?;
    let found = reached.log.get(&scope, place).await.map_err(|error| failed(&error))?;
    found.map(|event| Json(event.into())).ok_or_else(none)
}

async fn events_of_subject<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
    PathParam((kind, id)): PathParam<(String, String)>,
    page: PageParams,
) -> Items<AuditRecord> {
    let (subject, page) = (subject(&kind, &id)?, page.request()?);
    let found = reached.log.subject_events(&scope, &subject, &page).await;
    Ok(Json(Listed::of(found.map_err(|error| failed(&error))?, AuditRecord::from)))
}

pub(super) fn subject(kind: &str, id: &str) -> Result<Subject, Problem> {
    let is_plain = |text: &str| (1..=1024).contains(&text.len()) && !text.contains(char::is_control);
    if is_plain(kind) && is_plain(id) {
        return Ok(Subject::new(kind, id));
    }
    Err(Kind::InvalidRequest.because("a kind and an id have 1 to 1024 bytes and no control characters"))
}

//! The log as it grows, as server-sent events.

use async_trait::async_trait;
use axum::extract::State;
use axum::response::Response;
use guardian_audit::Query;
use guardian_audit::store::AuditStore;
use guardian_core::Scope;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

use super::record::AuditRecord;
use super::{Shared, failed, query, reads};
use crate::Problem;
use crate::api::streams::{Lasting, News, Source};
use crate::api::{Api, Caller, Kind, Params};

/// What is followed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct AuditFollowing {
    /// What the events have in common, in the language of the log; without it, all events.
    #[param(max_length = 4096, example = "action:deal.*")]
    q: Option<String>,
    /// The place in the log that the stream begins at; without it, what comes from now on. `Last-Event-ID` goes before it.
    from: Option<u64>,
}

pub(super) fn declare<S: AuditStore>(api: Api<Shared<S>>) -> Api<Shared<S>> {
    let follow = reads("followAuditEvents", "The events that a query finds, as the log takes them")
        .about(
            "Server-sent events named `audit`, each with an event of the log as its data and its place there as its id. A client that comes again \
             with `Last-Event-ID` gets what came since, each event once. An id without an event says how far was looked.",
        )
        .query::<AuditFollowing>()
        .streams("id: 42\nevent: audit\ndata: {\"sequence\":42,\"action\":\"deal.updated\"}\n\n");
    api.get("/audit/events/stream", follow, follow_events::<S>)
}

struct Following<S> {
    reached: Shared<S>,
    scope: Scope,
    query: Query,
    from: u64,
}

#[async_trait]
impl<S: AuditStore> Source for Following<S> {
    async fn look(&mut self) -> Result<News, Problem> {
        let found = self.reached.log.follow(&self.scope, &self.query, self.from).await;
        let found = found.map_err(|error| failed(&error))?;
        let mut news = News { more: found.is_behind, ..News::default() };
        let last = found.events.last().map(|event| event.sequence);
        for event in found.events {
            news.event(event.sequence, "audit", &AuditRecord::from(event))?;
        }
        if let Some(seen) =
            found.next.checked_sub(1).filter(|seen| found.next > self.from && last != Some(*seen))
        {
            news.seen(seen);
        }
        self.from = found.next;
        Ok(news)
    }
}

async fn follow_events<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
    Params(asked): Params<AuditFollowing>,
    lasting: Lasting,
) -> Result<Response, Problem> {
    let query = query(asked.q.as_deref())?;
    let size = async || reached.log.head(&scope).await.map(|head| head.size).map_err(|error| failed(&error));
    let wanted = lasting.last().map(|last| last.saturating_add(1)).or(asked.from);
    if let Some(wanted) = wanted
        && wanted > size().await?
    {
        return Err(Kind::InvalidRequest.because("the log does not go that far yet"));
    }
    // Each time: whoever says that it comes again may never have been here.
    reached.log.followed(&scope, &query).await.map_err(|error| failed(&error))?;
    let from = match wanted {
        Some(from) => from,
        None => size().await?,
    };
    Ok(lasting.stream(Following { reached: Arc::clone(&reached), scope, query, from }))
}

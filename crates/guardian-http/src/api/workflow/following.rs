//! What a run does, as server-sent events.

use async_trait::async_trait;
use axum::extract::State;
use axum::response::Response;
use guardian_core::Scope;
use guardian_workflow::{Status, WorkflowStore};
use uuid::Uuid;

use super::words::EntryOut;
use super::{Reached, Routes, failed, of_run, reads, run_id};
use crate::Problem;
use crate::api::streams::{Lasting, News, Source};
use crate::api::{Caller, Kind, PathParam};

pub(super) fn declare<S: WorkflowStore + Clone>(api: Routes<S>) -> Routes<S> {
    let follow = of_run(reads("followRun", "What a run does, as it does it"))
        .about(
            "Server-sent events: first what the run did until now, unless `Last-Event-ID` says from where. Each is named `entry`, has an entry \
             of the history as its data and the entry's number as its id. When the run has ended, an event `end` tells its status, and the \
             stream ends: close an `EventSource` then, or it comes again for the same end.",
        )
        .streams("id: 1\nevent: entry\ndata: {\"number\":1,\"node\":\"end\"}\n\n");
    api.get("/runs/{run}/history/stream", follow, follow_run::<S>)
}

struct Following<S> {
    reached: Reached<S>,
    scope: Scope,
    run: Uuid,
    after: u64,
}

#[async_trait]
impl<S: WorkflowStore + Clone> Source for Following<S> {
    async fn look(&mut self) -> Result<News, Problem> {
        const AT_ONCE: u32 = 100;
        // The status first: an end that is seen here is behind all entries that are read after it.
        let run = self.reached.engine.run(&self.scope, self.run).await.map_err(|error| failed(&error))?;
        let entries = self.reached.engine.history(&self.scope, self.run, self.after, AT_ONCE).await;
        let entries = entries.map_err(|error| failed(&error))?;
        // A store gives at least so many where there are so many.
        let is_full = u32::try_from(entries.len()).unwrap_or(u32::MAX) >= AT_ONCE;
        let mut news = News { more: is_full, ..News::default() };
        for entry in &entries {
            news.event(entry.number, "entry", &EntryOut::of(entry))?;
            self.after = entry.number;
        }
        let status = run.state.status;
        if !is_full && !matches!(status, Status::Running | Status::Compensating) {
            news.event(self.after, "end", &serde_json::json!({ "status": status.as_str() }))?;
            news.ended = true;
        }
        Ok(news)
    }
}

async fn follow_run<S: WorkflowStore + Clone>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    lasting: Lasting,
) -> Result<Response, Problem> {
    let run = run_id(&id)?;
    reached.engine.run(&scope, run).await.map_err(|error| failed(&error))?;
    let after = lasting.last().unwrap_or(0);
    if let Some(before) = after.checked_sub(1) {
        let named = reached.engine.history(&scope, run, before, 1).await.map_err(|error| failed(&error))?;
        if named.is_empty() {
            return Err(Kind::InvalidRequest.because("the run has no entry that is named in `Last-Event-ID`"));
        }
    }
    Ok(lasting.stream(Following { reached, scope, run, after }))
}

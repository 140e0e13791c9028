//! What is left of a tenant that is purged.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{PageRequest, Scope, StoreError, StoreErrorKind};
use guardian_rbac::Rbac;
use guardian_sentiment::Sentiments;
use guardian_tenant::Purger;
use guardian_webhook::Webhooks;
use guardian_workflow::{Engine, Library, Message, RunFilter, Status};

use crate::backend::Backend;
use crate::spool::{Spool as _, Teller};

/// Ends what would go on: endpoints with their secrets and queues, workflows and their runs, rules of rate limits; and what customers
/// wrote: sentiments. Then the host's own, and what waits in the outbox, when the audit log has heard of it. The log and the ledgers of
/// quotas stay, which retention and bookkeeping are about.
pub(crate) struct Purge<B: Backend> {
    pub(crate) webhooks: Webhooks<B::Webhook>,
    pub(crate) library: Library<B::Workflow>,
    pub(crate) engine: Engine<B::Workflow>,
    pub(crate) sentiments: Sentiments,
    pub(crate) rbac: Rbac,
    pub(crate) spool: Arc<B::Spool>,
    pub(crate) everybody: Arc<dyn Teller>,
    pub(crate) host: Option<Arc<dyn Purger>>,
}

impl<B: Backend> fmt::Debug for Purge<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purge").field("host", &self.host).finish_non_exhaustive()
    }
}

#[async_trait]
impl<B: Backend> Purger for Purge<B> {
    async fn purge(&self, scope: &Scope) -> Result<(), StoreError> {
        let first = || {
            PageRequest::first(100)
                .map_err(|error| StoreError::new(StoreErrorKind::Internal, "purge").with_source(error))
        };
        loop {
            let some = self.webhooks.endpoints(scope, &first()?).await.map_err(of("webhooks"))?;
            if some.items.is_empty() {
                break;
            }
            for endpoint in some.items {
                match self.webhooks.remove_endpoint(scope, endpoint.id).await {
                    // Somebody else was a moment faster.
                    Ok(()) | Err(guardian_webhook::Error::NoEndpoint { .. }) => {}
                    Err(error) => return Err(of("webhooks")(error)),
                }
            }
        }
        let mut page = Some(first()?);
        while let Some(request) = page.take() {
            let some = self.library.workflows(scope, &request).await.map_err(of("workflows"))?;
            for workflow in some.items.iter().filter(|workflow| !workflow.archived) {
                self.library.archive(scope, &workflow.name, true).await.map_err(of("workflows"))?;
            }
            page = some.next.map(|next| request.after(next));
        }
        self.end_runs(scope, &first).await?;
        self.sentiments.forget_tenant(scope).await.map_err(of("sentiment"))?;
        self.rbac.unload(scope.tenant());
        if let Some(host) = &self.host {
            host.purge(scope).await?;
        }
        // Last: the above has told of itself.
        self.spool.forget(scope.tenant(), &*self.everybody).await
    }
}

impl<B: Backend> Purge<B> {
    /// Cancels what runs or waits: a worker ends it. Nothing is undone, for nobody is there for whom.
    async fn end_runs(
        &self,
        scope: &Scope,
        first: &(impl Fn() -> Result<PageRequest, StoreError> + Sync),
    ) -> Result<(), StoreError> {
        for status in [Status::Running, Status::Compensating] {
            let filter = RunFilter::new().status(status);
            let mut page = Some(first()?);
            while let Some(request) = page.take() {
                let some = self.engine.runs(scope, &filter, &request).await.map_err(of("workflows"))?;
                for run in &some.items {
                    let reason = "the tenant is purged".to_owned();
                    match self
                        .engine
                        .send(scope, run.id, &Message::Cancel { reason, compensate: false })
                        .await
                    {
                        // It ended by itself meanwhile.
                        Ok(_) | Err(guardian_workflow::Error::RunState { .. }) => {}
                        Err(error) => return Err(of("workflows")(error)),
                    }
                }
                page = match some.next {
                    Some(next) => Some(first()?.after(next)),
                    None => None,
                };
            }
        }
        Ok(())
    }
}

fn of<E: std::error::Error + Send + Sync + 'static>(part: &'static str) -> impl Fn(E) -> StoreError {
    move |error| StoreError::new(StoreErrorKind::Unavailable, part).with_source(error)
}

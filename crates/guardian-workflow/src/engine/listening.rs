//! Runs that something starts which a workflow listens to: an event, the call of a webhook, the time of a schedule.

use std::sync::Arc;

use guardian_core::{Event, PageRequest, Scope, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use super::{Cause, Engine, Start, keyed};
use crate::definition::{NodeId, Trigger};
use crate::error::Error;
use crate::machine::context::EventContext;
use crate::plan::Plan;
use crate::store::{Occasion, WorkflowStore};
use crate::version::Workflow;

impl<S: WorkflowStore> Engine<S> {
    /// Starts the runs of all published workflows with a trigger for this event, each once however often the event comes.
    ///
    /// # Errors
    /// When the store fails. A filter that fails on the event does not let it through.
    pub async fn on_event(&self, event: &Event) -> Result<Vec<Uuid>, Error> {
        let scope = Scope::new(event.tenant.clone(), event.actor.clone());
        let seen = serde_json::json!({
            "id": event.id, "name": event.name, "occurred": event.occurred, "actor": event.actor.to_string(),
            "data": event.data,
        });
        let mut started = Vec::new();
        for workflow in self.listening(&scope, Occasion::Event(&event.name)).await? {
            let draw = u8::try_from(event.id.as_u64_pair().1 % 100).unwrap_or(0);
            let Some((version, plan)) = self.listener(&scope, &workflow, workflow.route(draw)).await? else {
                continue;
            };
            for (id, trigger, filter) in &plan.filters {
                let wanted = trigger.listens_to(&event.name)
                    && filter
                        .as_ref()
                        .is_none_or(|filter| filter.matches(&EventContext(&seen)).unwrap_or(false));
                if wanted {
                    let start = Start {
                        input: seen.clone(),
                        version: Some(version),
                        key: Some(format!("{id}:{}", event.id)),
                        trigger: Some(id.to_string()),
                        released: false,
                    };
                    started.extend(self.start_listener(&scope, &workflow.name, start, Cause::Event).await?);
                }
            }
        }
        Ok(started)
    }

    /// The workflows that listen to something, except those that are archived.
    async fn listening(&self, scope: &Scope, occasion: Occasion<'_>) -> Result<Vec<Workflow>, Error> {
        let mut all = Vec::new();
        let mut page = PageRequest::first(PageRequest::MAX_SIZE).ok();
        while let Some(request) = page.take() {
            let found = self.inner.store.listeners(scope, occasion, &request).await?;
            all.extend(found.items.into_iter().filter(|workflow| !workflow.archived));
            page =
                found.next.and_then(|next| Some(PageRequest::first(PageRequest::MAX_SIZE).ok()?.after(next)));
        }
        Ok(all)
    }

    /// The plan of a workflow that listens. One that cannot be read must not keep others from starting.
    async fn listener(
        &self,
        scope: &Scope,
        workflow: &Workflow,
        version: Option<u64>,
    ) -> Result<Option<(u64, Arc<Plan>)>, Error> {
        let Some(version) = version else { return Ok(None) };
        match self.plan(scope, &workflow.name, version).await {
            Ok(plan) => Ok(Some((version, plan))),
            Err(error) if error.is_outage() => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Starts a run of a workflow that listens; `None` if it does not take what happened, which is for its filter to say and
    /// no reason not to start others.
    async fn start_listener(
        &self,
        scope: &Scope,
        workflow: &str,
        start: Start,
        cause: Cause,
    ) -> Result<Option<Uuid>, Error> {
        match self.start_for(scope, workflow, start, cause).await {
            Ok(run) => Ok(Some(run)),
            Err(error) if error.is_outage() => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// The workflow of the tenant whose published version has this path for a webhook, and the trigger's id.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn webhook(&self, scope: &Scope, path: &str) -> Result<Option<(String, NodeId)>, Error> {
        for workflow in self.listening(scope, Occasion::Webhook(path)).await? {
            let found = self.listener(scope, &workflow, workflow.published).await?;
            let trigger = found.and_then(|(_, plan)| plan.webhook(path));
            if let Some(trigger) = trigger {
                return Ok(Some((workflow.name, trigger)));
            }
        }
        Ok(None)
    }

    /// Starts a run of the workflow whose webhook has this path: its input is the body of the call. With a key, which the
    /// caller of the webhook gives (an `Idempotency-Key`, the id of a delivery), two calls are one run, and have one body. `None` if no workflow
    /// listens there. Who may call the path is for the host to decide before.
    ///
    /// # Errors
    /// [`Error::Input`] for a body that the workflow does not take, [`Error::Reused`] for a key that comes with another body, and as for
    /// [`Self::start`].
    pub async fn on_webhook(
        &self,
        scope: &Scope,
        path: &str,
        body: Value,
        key: Option<&str>,
    ) -> Result<Option<Uuid>, Error> {
        for workflow in self.listening(scope, Occasion::Webhook(path)).await? {
            let key = key.map(|key| format!("{path}:{key}"));
            // The same call goes to the same version.
            let id = match &key {
                Some(key) => keyed(scope.tenant(), &workflow.name, Cause::Webhook, key),
                None => self.inner.ids.next_id(self.inner.clock.now()),
            };
            let draw = u8::try_from(id.as_u64_pair().1 % 100).unwrap_or(0);
            // A canary may listen at another path than the published version: then the call is for the one that does.
            let canary = workflow.canary.map(|canary| canary.version);
            for version in [workflow.route(draw), workflow.published, canary] {
                let found = self.listener(scope, &workflow, version).await?;
                let Some((version, trigger)) =
                    found.and_then(|(version, plan)| Some((version, plan.webhook(path)?)))
                else {
                    continue;
                };
                let trigger = Some(trigger.to_string());
                let start = Start { input: body, version: Some(version), key, trigger, released: false };
                return self.start_for(scope, &workflow.name, start, Cause::Webhook).await.map(Some);
            }
        }
        Ok(None)
    }

    /// Starts the runs of all schedules of a tenant that were due after `from` and at `to` or before, each once however
    /// often this is called and by how many processes.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn on_schedule(
        &self,
        scope: &Scope,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Uuid>, Error> {
        let mut started = Vec::new();
        for workflow in self.listening(scope, Occasion::Schedule).await? {
            let Some((_, plan)) = self.listener(scope, &workflow, workflow.published).await? else {
                continue;
            };
            for (id, trigger, _) in &plan.filters {
                let Trigger::Schedule { at } = trigger else { continue };
                let mut next = at.next_after(from);
                // More than a thousand times that were missed are not made up for one by one.
                for _ in 0..1000 {
                    let Some(time) = next.filter(|time| *time <= to) else { break };
                    let start = Start {
                        input: serde_json::json!({ "scheduled": time }),
                        version: None,
                        key: Some(format!("{id}:{}", time.timestamp())),
                        trigger: Some(id.to_string()),
                        released: false,
                    };
                    let begun = self.start_listener(scope, &workflow.name, start, Cause::Schedule).await?;
                    started.extend(begun);
                    next = at.next_after(time);
                }
            }
        }
        Ok(started)
    }
}

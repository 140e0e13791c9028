//! What goes on in the background.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use guardian_core::{PageRequest, Scope, Timestamp};
use guardian_tenant::{Platform, Status, Tenant, TenantFilter};
use guardian_webhook::TokioTimer;
use tokio::sync::watch;

use crate::Error;
use crate::backend::Backend;
use crate::guardian::Guardian;
use crate::rules;
use crate::spool::Spool;

/// How often is looked for what other processes did, and for what is due.
const OFTEN: Duration = Duration::from_millis(250);
/// How often is looked for what seldom is there.
const SELDOM: Duration = Duration::from_secs(30);
/// How long runs of workflows are held; their worker says in each third of it that it is still there.
const LEASE: Duration = Duration::from_secs(30);
/// The longest pause after a fault.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// How far the clocks of two processes may be apart, with what a transaction takes.
const CLOCKS: TimeDelta = TimeDelta::seconds(60);

type Trouble = dyn Fn(&'static str, &(dyn StdError + 'static)) + Send + Sync;

/// What has to go on in the background: it tells events, delivers webhooks, drives workflows, takes up what other processes changed,
/// settles and signs the audit log, and cleans up. Every process may have its own; they share the work.
///
/// A part that fails tries again after a pause that grows to half a minute, and keeps no other one waiting.
#[must_use]
pub struct Workers<B: Backend> {
    guardian: Guardian<B>,
    trouble: Arc<Trouble>,
}

impl<B: Backend> fmt::Debug for Workers<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("guardian", &self.guardian).finish_non_exhaustive()
    }
}

impl<B: Backend> Workers<B> {
    pub(crate) fn new(guardian: Guardian<B>) -> Self {
        Self { guardian, trouble: Arc::new(|_, _| {}) }
    }

    /// Somebody hears what goes wrong: the part, `events`, `webhooks`, `workflows`, `roles`, `addresses`, `limits`, `audit`, `sentiment` or
    /// `tenants`, and why. It is tried again in any case.
    pub fn on_trouble(
        mut self,
        hear: impl Fn(&'static str, &(dyn StdError + 'static)) + Send + Sync + 'static,
    ) -> Self {
        self.trouble = Arc::new(hear);
        self
    }

    /// Works until `shutdown` is done, then ends what is under way. Stop taking requests first: what they leave behind is told and
    /// delivered before this returns, as far as it can be at once; the rest is in the database for the next start.
    ///
    /// It runs within a tokio runtime with time and I/O (`enable_all()`). It may also be dropped: what was under way is done again
    /// when its lease ends.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) {
        let (stop, stopped) = watch::channel(false);
        let stopping = async {
            shutdown.await;
            stop.send_replace(true);
        };
        tokio::join!(
            stopping,
            self.tell_events(stopped.clone()),
            self.deliver_webhooks(stopped.clone()),
            self.drive_workflows(stopped.clone()),
            self.follow_roles(stopped.clone()),
            self.every(OFTEN, stopped.clone(), "addresses", || self.follow_addresses()),
            self.follow_limits(stopped.clone()),
            self.every(OFTEN, stopped.clone(), "audit", || self.settle_audit()),
            self.every(SELDOM, stopped.clone(), "sentiment", || self.relay_sentiments()),
            self.every(SELDOM, stopped, "tenants", || self.look_after_tenants()),
        );
    }

    /// Everything that is due, once, in this order: events, webhooks, workflows, what other processes changed, the audit log. For tests,
    /// and for hosts that have a scheduler of their own.
    ///
    /// # Errors
    /// The first fault, after everything was tried.
    pub async fn run_once(&self) -> Result<(), Error> {
        let mut first = self.tell_all().await;
        let parts = &self.guardian.parts;
        first = first.and(self.workflow_worker().run_once().await.map(drop).map_err(Error::from));
        // What the workflows told.
        first = first.and(self.tell_all().await);
        first = first.and(self.webhook_worker().run_once().await.map(drop).map_err(Error::from));
        first = first.and(parts.rbac.follow().await.map_err(Error::from));
        first = first.and(self.follow_addresses().await);
        first = first.and(self.take_up_limits(None).await);
        first = first.and(self.settle_audit().await);
        first = first.and(self.relay_sentiments().await);
        first.and(self.look_after_tenants().await)
    }

    /// Does something again and again, with a pause between, until it is time to stop; then once more.
    async fn every<F, W>(&self, pause: Duration, mut stop: watch::Receiver<bool>, part: &'static str, work: W)
    where
        F: Future<Output = Result<(), Error>>,
        W: Fn() -> F,
    {
        let mut failed = 0_u32;
        loop {
            let is_last = *stop.borrow();
            match work().await {
                Ok(()) => failed = 0,
                Err(error) => {
                    failed = failed.saturating_add(1);
                    (self.trouble)(part, &error);
                }
            }
            if is_last {
                return;
            }
            let pause = if failed == 0 { pause } else { after_faults(failed) };
            // Whoever could ask it to stop is gone: that is asking as well.
            let _ = tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await;
        }
    }

    async fn tell_events(&self, stop: watch::Receiver<bool>) {
        self.every(Duration::ZERO, stop.clone(), "events", || async {
            let told = self.tell_all().await;
            if told.is_ok() && !*stop.borrow() {
                let mut stop = stop.clone();
                let stopped = async {
                    let _ = stop.wait_for(|stop| *stop).await;
                };
                tokio::select! {
                    () = self.guardian.parts.spool.wait(OFTEN) => {}
                    () = stopped => {}
                }
            }
            told
        })
        .await;
    }

    /// Tells all events that wait. One that somebody did not take waits longer and is no fault of the others.
    async fn tell_all(&self) -> Result<(), Error> {
        let parts = &self.guardian.parts;
        loop {
            let turn = parts.spool.pump(&*parts.hub).await?;
            for (_, error) in &turn.refused {
                (self.trouble)("events", error);
            }
            if turn.taken == 0 {
                return Ok(());
            }
        }
    }

    fn webhook_worker(&self) -> guardian_webhook::Worker<B::Webhook, Arc<dyn guardian_webhook::HttpSender>> {
        let parts = &self.guardian.parts;
        let config = guardian_webhook::WorkerConfig::default();
        guardian_webhook::Worker::new(&parts.webhooks, Arc::clone(&parts.sender), config)
    }

    async fn deliver_webhooks(&self, stop: watch::Receiver<bool>) {
        let worker = self.webhook_worker();
        self.every(Duration::ZERO, stop.clone(), "webhooks", || async {
            let mut stop = stop.clone();
            let stopped = Box::pin(async move {
                let _ = stop.wait_for(|stop| *stop).await;
            });
            worker.run(&TokioTimer::new(), stopped).await?;
            Ok(())
        })
        .await;
    }

    fn workflow_worker(&self) -> guardian_workflow::Worker<B::Workflow> {
        let config = guardian_workflow::WorkerConfig::default().with_lease(LEASE);
        guardian_workflow::Worker::new(&self.guardian.parts.engine, config)
    }

    async fn drive_workflows(&self, stop: watch::Receiver<bool>) {
        let worker = self.workflow_worker();
        let beats = async {
            loop {
                tokio::time::sleep(LEASE / 3).await;
                if let Err(error) = worker.beat().await {
                    (self.trouble)("workflows", &error);
                }
            }
        };
        let drives = self.every(OFTEN, stop, "workflows", || async {
            worker.run_once().await?;
            Ok(())
        });
        tokio::select! {
            () = drives => {}
            () = beats => {}
        }
    }

    async fn follow_roles(&self, stop: watch::Receiver<bool>) {
        let rbac = &self.guardian.parts.rbac;
        // Notices make it faster, where the store has them; following is the floor.
        let heeds = async {
            loop {
                if rbac.heed().await.is_err() {
                    tokio::time::sleep(SELDOM).await;
                }
            }
        };
        let follows = self.every(OFTEN, stop, "roles", || async {
            rbac.follow().await?;
            Ok(())
        });
        tokio::select! {
            () = follows => {}
            () = heeds => {}
        }
    }

    async fn follow_addresses(&self) -> Result<(), Error> {
        Ok(self.guardian.parts.access.follow().await?)
    }

    async fn follow_limits(&self, stop: watch::Receiver<bool>) {
        let seen = std::sync::Mutex::new(None::<Timestamp>);
        self.every(OFTEN, stop, "limits", || async {
            let now = self.guardian.parts.clock.now();
            let since = *seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            self.take_up_limits(since.map(|since| since - CLOCKS)).await?;
            *seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(now);
            Ok(())
        })
        .await;
    }

    async fn take_up_limits(&self, since: Option<Timestamp>) -> Result<(), Error> {
        let parts = &self.guardian.parts;
        let refused = rules::take_up(&*parts.rules, &parts.limiter, since).await?;
        refused.into_iter().next().map_or(Ok(()), |first| Err(Error::Rule(first)))
    }

    async fn settle_audit(&self) -> Result<(), Error> {
        let parts = &self.guardian.parts;
        Ok(parts.spool.settle(&parts.log).await?)
    }

    async fn relay_sentiments(&self) -> Result<(), Error> {
        let mut first = Ok(());
        for tenant in self.all_tenants().await? {
            let relayed = self.guardian.parts.sentiments.relay(&Scope::system(tenant.id)).await;
            first = first.and(relayed.map(drop).map_err(Error::from));
        }
        first
    }

    /// Tells what happened to tenants, purges those whose time has come, signs what is due of their logs, forgets old webhooks.
    async fn look_after_tenants(&self) -> Result<(), Error> {
        const AT_ONCE: u32 = 1_000;
        let parts = &self.guardian.parts;
        let platform = self.platform()?;
        let mut first = parts.registry.deliver(&platform, AT_ONCE).await.map(drop).map_err(Error::from);
        first = first.and(parts.registry.purge_due(&platform, AT_ONCE).await.map(drop).map_err(Error::from));
        first = first.and(parts.webhooks.purge(parts.keep_webhooks).await.map(drop).map_err(Error::from));
        if let Some(sealer) = &parts.sealer {
            for tenant in self.all_tenants().await? {
                let scope = Scope::system(tenant.id);
                let sealed = sealer.run_once(&parts.log, &scope, parts.clock.now()).await;
                first = first.and(sealed.map(drop).map_err(Error::from));
            }
            let sealed = sealer.run_once(&parts.log, &parts.operator, parts.clock.now()).await;
            first = first.and(sealed.map(drop).map_err(Error::from));
        }
        first
    }

    fn platform(&self) -> Result<Platform, Error> {
        Ok(Platform::new(self.guardian.parts.operator.clone(), "workers look after all tenants")?)
    }

    /// Those that are there, whether they work or not.
    async fn all_tenants(&self) -> Result<Vec<Tenant>, Error> {
        let platform = self.platform()?;
        let mut all = Vec::new();
        let mut page = PageRequest::first(PageRequest::MAX_SIZE).ok();
        while let Some(request) = page.take() {
            let found =
                self.guardian.parts.registry.list(&platform, &TenantFilter::default(), &request).await?;
            all.extend(found.items.into_iter().filter(|one| !matches!(one.status, Status::Purged { .. })));
            page =
                found.next.and_then(|next| Some(PageRequest::first(PageRequest::MAX_SIZE).ok()?.after(next)));
        }
        Ok(all)
    }
}

/// The pause after so many faults in a row.
fn after_faults(failed: u32) -> Duration {
    let exponent = failed.saturating_sub(1).min(7);
    (OFTEN * 2_u32.pow(exponent)).min(MAX_PAUSE)
}

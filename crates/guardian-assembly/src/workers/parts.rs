//! The parts of the work.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use guardian_core::{PageRequest, Scope, TenantId};
use guardian_quota::FeatureName;
use guardian_quota::billing::{BillingEvent, BillingSink, Receipt, Relay};
use guardian_quota::store::Book;
use guardian_tenant::{Platform, Status, Tenant, TenantFilter};
use guardian_webhook::TokioTimer;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Workers;
use crate::Error;
use crate::backend::Backend;
use crate::rules;
use crate::spool::Spool as _;

/// How long runs of workflows are held; their worker says in each third of it that it is still there.
const LEASE: Duration = Duration::from_secs(30);
/// How far the clocks of two processes may be apart, with what a transaction takes, for rules of rate limits to be taken up.
const CLOCKS: TimeDelta = TimeDelta::minutes(10);
/// How far schedules are made up for that were due while no process was there. A workflow that is new is not started for times before it
/// was, but for these.
const MISSED: TimeDelta = TimeDelta::minutes(2);

/// A part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Events,
    Webhooks,
    Workflows,
    Schedules,
    Roles,
    Addresses,
    Limits,
    Audit,
    Quotas,
    Sentiment,
    Tenants,
}

impl Part {
    pub(super) const ALL: [Self; 11] = [
        Self::Events,
        Self::Webhooks,
        Self::Workflows,
        Self::Schedules,
        Self::Roles,
        Self::Addresses,
        Self::Limits,
        Self::Audit,
        Self::Quotas,
        Self::Sentiment,
        Self::Tenants,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Webhooks => "webhooks",
            Self::Workflows => "workflows",
            Self::Schedules => "schedules",
            Self::Roles => "roles",
            Self::Addresses => "addresses",
            Self::Limits => "limits",
            Self::Audit => "audit",
            Self::Quotas => "quotas",
            Self::Sentiment => "sentiment",
            Self::Tenants => "tenants",
        }
    }

    /// The pause between two turns that went well. Some wait within their turn.
    pub(super) fn pause(self) -> Duration {
        match self {
            Self::Events | Self::Webhooks => Duration::ZERO,
            Self::Workflows | Self::Audit | Self::Limits => Duration::from_millis(250),
            Self::Roles | Self::Addresses => Duration::from_secs(1),
            Self::Schedules => Duration::from_secs(15),
            Self::Quotas => Duration::from_secs(5),
            Self::Tenants => Duration::from_secs(30),
            Self::Sentiment => Duration::from_secs(300),
        }
    }
}

impl<B: Backend> Workers<B> {
    /// A turn of a part; it ends early when it is time to stop.
    pub(super) async fn turn(&self, part: Part, stop: watch::Receiver<bool>) -> Result<(), Error> {
        match part {
            Part::Events => {
                self.tell_all(Some(&stop)).await?;
                let mut stop = stop;
                tokio::select! {
                    () = self.guardian.parts.spool.wait(Duration::from_millis(250)) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
                Ok(())
            }
            Part::Webhooks => self.deliver(stop).await,
            Part::Workflows => self.drive_once().await,
            Part::Schedules => self.start_scheduled().await,
            Part::Roles => self.heed_roles(stop).await,
            Part::Addresses => self.follow_addresses().await,
            Part::Limits => self.follow_limits().await,
            Part::Audit => self.settle_audit().await,
            Part::Quotas => self.tell_thresholds().await,
            Part::Sentiment => self.relay_sentiments().await,
            Part::Tenants => self.look_after_tenants().await,
        }
    }

    /// Tells all events that wait, or until it is time to stop.
    pub(super) async fn tell_all(&self, stop: Option<&watch::Receiver<bool>>) -> Result<(), Error> {
        let parts = &self.guardian.parts;
        while !stop.is_some_and(|stop| *stop.borrow()) {
            let turn = parts.spool.pump(&*parts.hub).await?;
            for refusal in turn.refusals {
                (self.trouble)("events", &Refused { who: refusal.who, source: refusal.error });
            }
            if turn.taken == 0 {
                break;
            }
        }
        Ok(())
    }

    fn webhook_worker(&self) -> guardian_webhook::Worker<B::Webhook, Arc<dyn guardian_webhook::HttpSender>> {
        let parts = &self.guardian.parts;
        let config = guardian_webhook::WorkerConfig::default();
        guardian_webhook::Worker::new(&parts.webhooks, Arc::clone(&parts.sender), config)
    }

    async fn deliver(&self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let stopped = Box::pin(async move {
            let _ = stop.wait_for(|stop| *stop).await;
        });
        let progress = self.webhook_worker().run(&TokioTimer::new(), stopped).await?;
        self.hear_of_lost(progress.events_lost)
    }

    pub(super) async fn deliver_once(&self) -> Result<(), Error> {
        let progress = self.webhook_worker().run_once().await?;
        self.hear_of_lost(progress.events_lost)
    }

    #[expect(clippy::unnecessary_wraps, reason = "it ends what may fail")]
    fn hear_of_lost(&self, lost: u64) -> Result<(), Error> {
        if lost > 0 {
            (self.trouble)("webhooks", &Lost(lost));
        }
        Ok(())
    }

    /// Drives what is due, and says meanwhile that it is still there.
    pub(super) async fn drive_once(&self) -> Result<(), Error> {
        let config = guardian_workflow::WorkerConfig::default().with_lease(LEASE);
        let worker = guardian_workflow::Worker::new(&self.guardian.parts.engine, config);
        let beats = async {
            loop {
                sleep(LEASE / 3).await;
                if let Err(error) = worker.beat().await {
                    (self.trouble)("workflows", &error);
                }
            }
        };
        tokio::select! {
            driven = worker.run_once() => Ok(driven.map(drop)?),
            () = beats => Ok(()),
        }
    }

    /// Starts the runs of workflows with schedules. Each is started once by however many processes it is looked at.
    pub(super) async fn start_scheduled(&self) -> Result<(), Error> {
        let parts = &self.guardian.parts;
        let now = parts.clock.now();
        let mut first = Ok(());
        for tenant in self.all_tenants().await? {
            if !matches!(tenant.status, Status::Active) {
                continue;
            }
            // The first look of a process goes back a little, so that a restart misses none.
            let since = self.guardian.parts.scheduled.since(&tenant.id, now - MISSED);
            let started = parts.engine.on_schedule(&Scope::system(tenant.id.clone()), since, now).await;
            if started.is_ok() {
                parts.scheduled.seen(tenant.id, now);
            }
            first = first.and(started.map(drop).map_err(Error::from));
        }
        first
    }

    /// Brings roles up to date, and hears notices of other processes until it is time for the next turn.
    async fn heed_roles(&self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        self.follow_roles().await?;
        let rbac = &self.guardian.parts.rbac;
        let heeds = async {
            loop {
                if rbac.heed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            _ = timeout(Part::Roles.pause(), heeds) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        Ok(())
    }

    pub(super) async fn follow_roles(&self) -> Result<(), Error> {
        Ok(self.guardian.parts.rbac.follow().await?)
    }

    pub(super) async fn follow_addresses(&self) -> Result<(), Error> {
        Ok(self.guardian.parts.access.follow().await?)
    }

    pub(super) async fn follow_limits(&self) -> Result<(), Error> {
        let parts = &self.guardian.parts;
        let now = parts.clock.now();
        let since = parts.limits_seen.get().map(|seen| seen - CLOCKS);
        let refused = rules::take_up(&*parts.rules, &parts.limiter, since).await?;
        parts.limits_seen.set(now);
        refused.into_iter().next().map_or(Ok(()), |first| Err(Error::Rule(first)))
    }

    pub(super) async fn settle_audit(&self) -> Result<(), Error> {
        let parts = &self.guardian.parts;
        Ok(parts.spool.settle(&parts.log).await?)
    }

    /// Hands spending to the host's billing, where it has one, and tells thresholds that were reached.
    pub(super) async fn tell_thresholds(&self) -> Result<(), Error> {
        let parts = &self.guardian.parts;
        let sink = parts.billing.clone().unwrap_or_else(|| Arc::new(NoBilling));
        let relay = Relay::new(&parts.quotas, sink).with_events(Arc::clone(&parts.events));
        let trouble = Arc::clone(&self.trouble);
        let failed = move |book: &Book, source| {
            let (tenant, feature) = (book.tenant.clone(), book.feature.clone());
            trouble("quotas", &NotHandedOver { tenant, feature, source });
        };
        Ok(relay.run_hearing(failed).await.map(drop)?)
    }

    pub(super) async fn relay_sentiments(&self) -> Result<(), Error> {
        let mut first = Ok(());
        for tenant in self.all_tenants().await? {
            let relayed = self.guardian.parts.sentiments.relay(&Scope::system(tenant.id)).await;
            first = first.and(relayed.map(drop).map_err(Error::from));
        }
        first
    }

    /// Tells what happened to tenants, purges those whose time has come, signs what is due of their logs, forgets old webhooks.
    pub(super) async fn look_after_tenants(&self) -> Result<(), Error> {
        const AT_ONCE: u32 = 1_000;
        let parts = &self.guardian.parts;
        let platform = self.platform()?;
        let mut first = parts.registry.deliver(&platform, AT_ONCE).await.map(drop).map_err(Error::from);
        first = first.and(parts.registry.purge_due(&platform, AT_ONCE).await.map(drop).map_err(Error::from));
        first = first.and(parts.webhooks.purge(parts.keep_webhooks).await.map(drop).map_err(Error::from));
        if let Some(sealer) = &parts.sealer {
            let own = [parts.operator.clone()];
            let tenants = self.all_tenants().await?;
            for scope in own.into_iter().chain(tenants.into_iter().map(|tenant| Scope::system(tenant.id))) {
                let sealed = sealer.run_once(&parts.log, &scope, parts.clock.now()).await;
                first = first.and(sealed.map(drop).map_err(Error::from));
            }
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

/// Who did not take an event.
#[derive(Debug, thiserror::Error)]
#[error("{who}: {source}{}", because(.source))]
struct Refused {
    who: &'static str,
    source: guardian_core::StoreError,
}

fn because(error: &guardian_core::StoreError) -> String {
    std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"))
}

/// A ledger that waits: what was spent is billed later, and thresholds are told later.
#[derive(Debug, thiserror::Error)]
#[error("the ledger of `{feature}` of `{tenant}` could not be handed over: {source}")]
struct NotHandedOver {
    tenant: TenantId,
    feature: FeatureName,
    source: guardian_quota::Error,
}

/// Events that webhooks told of themselves and nobody took.
#[derive(Debug, thiserror::Error)]
#[error("{0} events about deliveries were lost")]
struct Lost(u64);

/// For hosts that send their bills themselves: every event is taken, and nothing is done with it.
#[derive(Debug)]
struct NoBilling;

#[async_trait::async_trait]
impl BillingSink for NoBilling {
    async fn send(&self, events: &[BillingEvent]) -> Result<Vec<Receipt>, guardian_core::StoreError> {
        Ok(vec![Receipt::Accepted; events.len()])
    }
}

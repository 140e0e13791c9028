//! Delivers what is due.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use guardian_core::{Scope, TenantId};
use parking_lot::Mutex;
use serde_json::json;

use crate::delivery::{Attempt, DeliveryState};
use crate::dispatch::{Prepared, exchange};
use crate::endpoint::{DisableReason, EndpointStatus};
use crate::error::Error;
use crate::health::{HealthChange, HealthRules};
use crate::id::EndpointId;
use crate::schedule::RetrySchedule;
use crate::send::{Answer, HttpSender, Request, SendError, judge};
use crate::store::{Claim, Claimed, DeliveryStore, Next, Settlement};
use crate::time::after;
use crate::webhooks::Webhooks;

/// How a worker works.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// Attempts at the same time; 256 by default.
    pub concurrency: u32,
    /// Deliveries that one claim takes, at most; 256 by default.
    pub batch: u32,
    /// How long it holds a delivery; 60 seconds by default. It has to be longer than the sender's time for an attempt.
    pub lease: Duration,
    /// How often it looks for what is due while it waits; 25 milliseconds by default.
    pub poll: Duration,
    /// When a delivery is tried.
    pub schedule: RetrySchedule,
    /// When the breaker opens and when an endpoint is given up.
    pub rules: HealthRules,
    /// How long an endpoint that answered 429, 502, 503 or 504 without `Retry-After` is left alone; 30 seconds by default.
    pub overload_pause: Duration,
    /// Bytes of an answer's body that the log keeps; 2048 by default.
    pub log_body: usize,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            concurrency: 256,
            batch: 256,
            lease: Duration::from_secs(60),
            poll: Duration::from_millis(25),
            schedule: RetrySchedule::default(),
            rules: HealthRules::default(),
            overload_pause: Duration::from_secs(30),
            log_body: 2048,
        }
    }
}

impl WorkerConfig {
    /// With another number of attempts at the same time, at least 1.
    #[must_use]
    pub fn with_concurrency(mut self, attempts: u32) -> Self {
        self.concurrency = attempts.max(1);
        self
    }

    /// With another number of deliveries of one claim, at least 1.
    #[must_use]
    pub fn with_batch(mut self, deliveries: u32) -> Self {
        self.batch = deliveries.max(1);
        self
    }

    /// With another lease.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// With another time between two looks.
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// With another schedule.
    #[must_use]
    pub fn with_schedule(mut self, schedule: RetrySchedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// With other rules of health.
    #[must_use]
    pub fn with_rules(mut self, rules: HealthRules) -> Self {
        self.rules = rules;
        self
    }

    /// With another pause of endpoints that have too much.
    #[must_use]
    pub fn with_overload_pause(mut self, pause: Duration) -> Self {
        self.overload_pause = pause;
        self
    }
}

/// What a worker did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Deliveries that it took.
    pub claimed: u64,
    /// Attempts that were recorded.
    pub attempts: u64,
    /// Those of them that succeeded.
    pub succeeded: u64,
    /// Deliveries that were given up.
    pub dead: u64,
    /// Deliveries that another worker had taken over, or that were cancelled meanwhile: what came of them is not recorded.
    pub lost: u64,
    /// Transactions that recorded attempts.
    pub commits: u64,
    /// Events that the sink did not take, and endpoints that could not be disabled because it or the store failed; the next attempt
    /// asks for that again.
    pub events_lost: u64,
}

/// Waits, by whatever clock the host's runtime has. With the feature `http` it is implemented for [`TokioTimer`].
#[async_trait]
pub trait Timer: Send + Sync + fmt::Debug + 'static {
    /// Waits for so long.
    async fn sleep(&self, span: Duration);
}

/// Waits by tokio's clock.
#[cfg(feature = "http")]
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct TokioTimer;

#[cfg(feature = "http")]
impl TokioTimer {
    /// A timer; it has to be used within a runtime of tokio that has time (`enable_all()`).
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

#[cfg(feature = "http")]
#[async_trait]
impl Timer for TokioTimer {
    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// Delivers what is due, in one process or many.
///
/// It claims deliveries in batches, makes their attempts side by side, and records what came of them in batches, attempt and
/// state together. It may be dropped at any time: what it held is due again when the lease ends, and an attempt that was made and
/// not recorded is made again with the same number.
pub struct Worker<S, H> {
    webhooks: Webhooks<S>,
    sender: Arc<H>,
    config: WorkerConfig,
    prepared: Mutex<HashMap<(TenantId, EndpointId), Arc<Prepared>>>,
}

impl<S: fmt::Debug, H: fmt::Debug> fmt::Debug for Worker<S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("webhooks", &self.webhooks)
            .field("sender", &self.sender)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// When a delivery comes back whose endpoint the store did not tell.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Endpoints whose opened keys are remembered.
const MAX_PREPARED: usize = 10_000;

/// How an attempt ended: the settlement, and whether the endpoint wants nothing any more.
struct Done {
    settlement: Settlement,
    disable: Option<DisableReason>,
}

type Doing = FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send>>>;

/// Waits for a future of the store and lets attempts go on meanwhile.
async fn beside<T>(doing: &mut Doing, arrived: &mut VecDeque<Done>, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        if doing.is_empty() {
            return future.await;
        }
        match select(future.as_mut(), doing.next()).await {
            Either::Left((value, _)) => return value,
            Either::Right((done, _)) => arrived.extend(done),
        }
    }
}

impl<S: DeliveryStore, H: HttpSender> Worker<S, H> {
    /// A worker.
    #[must_use]
    pub fn new(webhooks: &Webhooks<S>, sender: H, config: WorkerConfig) -> Self {
        Self { webhooks: webhooks.clone(), sender: Arc::new(sender), config, prepared: Mutex::default() }
    }

    /// What it sends with.
    #[must_use]
    pub fn sender(&self) -> &H {
        &self.sender
    }

    /// Delivers until nothing is due and nothing is under way.
    ///
    /// A delivery that fails is no error: [`Progress`] counts it, and why it failed is in the attempts of [`Webhooks::delivery`].
    ///
    /// # Errors
    /// When the store fails, after what was under way has ended and was recorded if the store could do it by then. What was not
    /// recorded is done again when the lease ends.
    pub async fn run_once(&self) -> Result<Progress, Error> {
        let mut progress = Progress::default();
        self.work(None, &mut std::future::pending(), &mut progress).await?;
        Ok(progress)
    }

    /// Delivers until `stop` is done, then waits for what is under way and records it.
    ///
    /// # Errors
    /// When the store fails, after what was under way has ended as in [`run_once`](Self::run_once); the host waits a little and
    /// calls again.
    pub async fn run(
        &self,
        timer: &dyn Timer,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<Progress, Error> {
        let mut progress = Progress::default();
        let mut stop = std::pin::pin!(stop);
        self.work(Some(timer), &mut stop, &mut progress).await?;
        Ok(progress)
    }

    async fn work<F: Future<Output = ()> + Unpin>(
        &self,
        timer: Option<&dyn Timer>,
        stop: &mut F,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let (mut doing, mut arrived) = (Doing::new(), VecDeque::new());
        let Err(error) = self.turns(timer, stop, &mut doing, &mut arrived, progress).await else {
            return Ok(());
        };
        // What is under way was sent already: it would be sent again if nobody recorded it. If the store fails again, it is.
        arrived.extend(doing.by_ref().collect::<Vec<_>>().await);
        if !arrived.is_empty() {
            let _the_first_error_is_told = self.settle(&mut doing, &mut arrived, progress).await;
        }
        Err(error)
    }

    /// Claims and settles by turns until there is nothing left to do.
    async fn turns<F: Future<Output = ()> + Unpin>(
        &self,
        timer: Option<&dyn Timer>,
        stop: &mut F,
        doing: &mut Doing,
        arrived: &mut VecDeque<Done>,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let (mut idle, mut stopping) = (false, false);
        loop {
            stopping = stopping || (&mut *stop).now_or_never().is_some();
            let busy = u32::try_from(doing.len()).unwrap_or(u32::MAX);
            let free = self.config.concurrency.saturating_sub(busy).min(self.config.batch);
            if !stopping && !idle && free > 0 {
                idle = self.claim(free, doing, arrived, progress).await? == 0;
            }
            while let Some(Some(done)) = doing.next().now_or_never() {
                arrived.push_back(done);
            }
            if !arrived.is_empty() {
                self.settle(doing, arrived, progress).await?;
                // A place became free, or the next of a lane may come.
                idle = false;
                continue;
            }
            match (doing.is_empty(), timer) {
                (true, _) if stopping => return Ok(()),
                (true, None) if idle => return Ok(()),
                (true, Some(timer)) if idle => {
                    match select(timer.sleep(self.config.poll), &mut *stop).await {
                        Either::Left(_) => idle = false,
                        Either::Right(_) => stopping = true,
                    }
                }
                (false, Some(timer)) if !stopping && (idle || free == 0) => {
                    match select(timer.sleep(self.config.poll), doing.next()).await {
                        Either::Left(_) => idle = false,
                        Either::Right((done, _)) => arrived.extend(done),
                    }
                }
                (false, _) if idle || stopping || free == 0 => arrived.extend(doing.next().await),
                _ => {}
            }
        }
    }

    /// Takes deliveries and begins their attempts; how many.
    async fn claim(
        &self,
        limit: u32,
        doing: &mut Doing,
        arrived: &mut VecDeque<Done>,
        progress: &mut Progress,
    ) -> Result<usize, Error> {
        let now = self.webhooks.now();
        let claim = Claim { now, until: after(now, self.config.lease), limit };
        let store = &self.webhooks.inner.store;
        let claimed = beside(doing, arrived, store.claim(&claim)).await?;
        progress.claimed += u64::try_from(claimed.len()).unwrap_or(0);
        let unknown = self.unknown(&claimed);
        if !unknown.is_empty() {
            match beside(doing, arrived, store.endpoints_of(&unknown)).await {
                Ok(found) => beside(doing, arrived, self.prepare(found)).await,
                // What was claimed is held: each looks for itself, or comes back soon.
                Err(_) => {
                    let mut prepared = self.prepared.lock();
                    for key in &unknown {
                        prepared.remove(key);
                    }
                }
            }
        }
        let count = claimed.len();
        let prepared = self.prepared.lock();
        for each in claimed {
            let known = prepared.get(&(each.tenant.clone(), each.endpoint)).cloned();
            let attempt = Attempting {
                webhooks: self.webhooks.clone(),
                sender: Arc::clone(&self.sender),
                config: self.config.clone(),
                prepared: known,
                claimed: each,
            };
            doing.push(Box::pin(attempt.run()));
        }
        Ok(count)
    }

    /// Endpoints of which nothing is known, or something that is not true any more.
    fn unknown(&self, claimed: &[Claimed]) -> Vec<(TenantId, EndpointId)> {
        let prepared = self.prepared.lock();
        let mut unknown: Vec<(TenantId, EndpointId)> = claimed
            .iter()
            .map(|each| ((each.tenant.clone(), each.endpoint), each.revision))
            .filter(|(key, revision)| {
                prepared.get(key).is_none_or(|known| known.endpoint.revision != *revision)
            })
            .map(|(key, _)| key)
            .collect();
        unknown.sort();
        unknown.dedup();
        unknown
    }

    async fn prepare(&self, found: Vec<(TenantId, crate::endpoint::Endpoint)>) {
        for (tenant, endpoint) in found {
            let key = (tenant.clone(), endpoint.id);
            // One whose keys do not open is tried by its attempts, which say so.
            let now = self.webhooks.now();
            let ready = Prepared::new(&tenant, endpoint, &*self.webhooks.inner.vault, now).await;
            let mut prepared = self.prepared.lock();
            if prepared.len() >= MAX_PREPARED {
                prepared.clear();
            }
            match ready {
                Ok(ready) => prepared.insert(key, Arc::new(ready)),
                Err(_) => prepared.remove(&key),
            };
        }
    }

    /// Records all that has arrived; if that fails, it has not arrived yet.
    async fn settle(
        &self,
        doing: &mut Doing,
        arrived: &mut VecDeque<Done>,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let done: Vec<Done> = arrived.drain(..).collect();
        let (settlements, disable): (Vec<Settlement>, Vec<Option<DisableReason>>) =
            done.into_iter().map(|done| (done.settlement, done.disable)).unzip();
        let store = &self.webhooks.inner.store;
        let now = self.webhooks.now();
        let settled = match beside(doing, arrived, store.settle(&settlements, &self.config.rules, now)).await
        {
            Ok(settled) => settled,
            Err(error) => {
                let done = settlements.into_iter().zip(disable);
                arrived.extend(done.map(|(settlement, disable)| Done { settlement, disable }));
                return Err(error.into());
            }
        };
        progress.commits += 1;
        for ((settlement, disable), settled) in settlements.iter().zip(disable).zip(settled) {
            if !settled.kept {
                progress.lost += 1;
                continue;
            }
            progress.attempts += u64::from(settlement.attempt.is_some());
            let dead = matches!(settlement.next, Next::Ended(DeliveryState::Dead, _));
            progress.succeeded +=
                u64::from(matches!(settlement.next, Next::Ended(DeliveryState::Succeeded, _)));
            progress.dead += u64::from(dead);
            let scope = Scope::system(settlement.tenant.clone());
            let endpoint = settlement.endpoint;
            let mut events = Vec::new();
            if dead {
                events.push((
                    "webhook.delivery.dead",
                    json!({"delivery": settlement.delivery, "endpoint": endpoint}),
                ));
            }
            match settled.change {
                Some(HealthChange::Opened(until)) => {
                    events.push(("webhook.endpoint.failing", json!({"endpoint": endpoint, "until": until})));
                }
                Some(HealthChange::Closed) => {
                    events.push(("webhook.endpoint.recovered", json!({"endpoint": endpoint})));
                }
                Some(HealthChange::GiveUp) | None => {}
            }
            for (name, data) in events {
                let told = beside(doing, arrived, self.webhooks.tell(&scope, name, data)).await;
                progress.events_lost += u64::from(told.is_err());
            }
            let given_up = (settled.change == Some(HealthChange::GiveUp)).then_some(DisableReason::Failing);
            if let Some(reason) = disable.or(given_up) {
                match beside(doing, arrived, self.webhooks.disable_endpoint(&scope, endpoint, reason)).await {
                    // It is gone, or somebody else changes it.
                    Ok(_) | Err(Error::NoEndpoint { .. } | Error::Conflict { .. }) => {}
                    // The next attempt says the same again. The others of the batch are recorded and have their events to tell.
                    Err(_) => progress.events_lost += 1,
                }
            }
        }
        Ok(())
    }
}

/// An attempt under way.
struct Attempting<S, H> {
    webhooks: Webhooks<S>,
    sender: Arc<H>,
    config: WorkerConfig,
    prepared: Option<Arc<Prepared>>,
    claimed: Claimed,
}

impl<S: DeliveryStore, H: HttpSender> Attempting<S, H> {
    async fn run(self) -> Done {
        let started = self.webhooks.now();
        let prepared = match &self.prepared {
            Some(prepared) => Arc::clone(prepared),
            None => match self.look_again().await {
                Ok(prepared) => prepared,
                Err(done) => return *done,
            },
        };
        if prepared.endpoint.status != EndpointStatus::Enabled {
            // Its queue is paused, and goes on where it was.
            return self.done(None, Next::At(started), None);
        }
        let source = &self.webhooks.inner.config.source;
        let request = match prepared.request(&self.claimed.message, started, source).await {
            Ok(request) => request,
            Err(error) => return self.unsigned(&error),
        };
        let begun = self.webhooks.inner.clock.monotonic();
        let outcome = self.sender.send(request.clone()).await;
        let latency = self.webhooks.inner.clock.monotonic().since(begun);
        self.judged(&prepared, &request, &outcome, started, latency)
    }

    fn judged(
        &self,
        prepared: &Prepared,
        request: &Request,
        outcome: &Result<Answer, SendError>,
        started: guardian_core::Timestamp,
        latency: Duration,
    ) -> Done {
        let now = self.webhooks.now();
        let verdict = judge(outcome, now);
        let attempt = Attempt {
            number: self.claimed.attempts + 1,
            started,
            latency,
            status: outcome.as_ref().ok().map(|answer| answer.status),
            address: outcome.as_ref().ok().and_then(|answer| answer.address),
            error: outcome.as_ref().err().map(ToString::to_string),
            exchange: exchange(&prepared.endpoint, request, outcome, self.config.log_body),
        };
        let next = if verdict.success {
            Next::Ended(DeliveryState::Succeeded, None)
        } else if verdict.abort {
            Next::Ended(DeliveryState::Dead, Some("the receiver asked to abort the message".to_owned()))
        } else {
            self.later(verdict.retry_after)
        };
        let mut done = self.done(Some(attempt), next, Some(verdict.success));
        done.disable = verdict.disable;
        if verdict.overload {
            done.settlement.pause =
                Some(after(now, verdict.retry_after.unwrap_or(self.config.overload_pause)));
        }
        done
    }

    /// The next attempt of the schedule, not before the receiver wants it; the end behind the last one.
    fn later(&self, at_least: Option<Duration>) -> Next {
        let round = self.claimed.attempts + 1 - self.claimed.round_start.min(self.claimed.attempts);
        match self.config.schedule.wait(self.claimed.delivery, round + 1) {
            Some(wait) => Next::At(after(self.webhooks.now(), wait.max(at_least.unwrap_or_default()))),
            None => Next::Ended(DeliveryState::Dead, Some("every attempt of the schedule failed".to_owned())),
        }
    }

    /// The endpoint as it is now, or how the holding ends without it.
    async fn look_again(&self) -> Result<Arc<Prepared>, Box<Done>> {
        let (tenant, id) = (&self.claimed.tenant, self.claimed.endpoint);
        match self.webhooks.endpoint(&Scope::system(tenant.clone()), id).await {
            Ok(endpoint) => {
                let (vault, now) = (&*self.webhooks.inner.vault, self.webhooks.now());
                match Prepared::new(tenant, endpoint, vault, now).await {
                    Ok(prepared) => Ok(Arc::new(prepared)),
                    Err(error) => Err(Box::new(self.unsigned(&error))),
                }
            }
            Err(Error::NoEndpoint { .. }) => {
                let next = Next::Ended(DeliveryState::Cancelled, Some("the endpoint was removed".to_owned()));
                Err(Box::new(self.done(None, next, None)))
            }
            // Nothing was tried, so no wait of the schedule is spent.
            Err(_) => Err(Box::new(self.done(None, Next::At(after(self.webhooks.now(), LOOK_AGAIN)), None))),
        }
    }

    /// An attempt that came to nothing on our side: it counts, so that it ends, and says nothing of the endpoint.
    fn unsigned(&self, error: &Error) -> Done {
        let attempt = Attempt {
            number: self.claimed.attempts + 1,
            started: self.webhooks.now(),
            latency: Duration::ZERO,
            status: None,
            address: None,
            error: Some(error.to_string()),
            exchange: crate::delivery::Exchange::default(),
        };
        self.done(Some(attempt), self.later(None), None)
    }

    fn done(&self, attempt: Option<Attempt>, next: Next, health: Option<bool>) -> Done {
        let settlement = Settlement {
            tenant: self.claimed.tenant.clone(),
            delivery: self.claimed.delivery,
            endpoint: self.claimed.endpoint,
            fence: self.claimed.fence,
            attempt,
            next,
            health,
            pause: None,
        };
        Done { settlement, disable: None }
    }
}

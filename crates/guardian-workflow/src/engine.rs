//! Starts runs, talks to them, and looks at them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use guardian_core::{Clock, IdSource, Page, PageRequest, Scope, TenantId, Timestamp};
use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::action::{Actions, Call};
use crate::definition::{NodeId, SubVersion};
use crate::error::Error;
use crate::library::MigrationReport;
use crate::machine::state::{MAX_NESTING, Phase, RunState, Status, is_too_deep};
use crate::machine::{Effect, Entry, MAX_INBOX, Machine, Message, Plans};
use crate::plan::Plan;
use crate::store::{RunFilter, RunRecord, WorkflowStore};
use crate::version::Version;

mod listening;

/// What a run is, for those who look at it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Run {
    /// Its id.
    pub id: Uuid,
    /// The workflow.
    pub workflow: String,
    /// The version that it is pinned to.
    pub version: u64,
    /// What started it.
    pub trigger: String,
    /// How it stands.
    pub state: RunState,
    /// Where it stands: the ids of the nodes, and what it does there.
    pub positions: Vec<Position>,
}

/// A place at which a run stands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Position {
    /// The node.
    pub node: NodeId,
    /// What it does there.
    pub doing: Doing,
    /// Until when, where that is known.
    pub until: Option<Timestamp>,
}

/// What a run does at a node.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Doing {
    /// It is about to enter it.
    Ready,
    /// The host's action goes on, or is about to.
    Acting,
    /// It waits for the next attempt.
    BackingOff,
    /// It waits for a time.
    Sleeping,
    /// It waits for a signal.
    Listening,
    /// It waits for a decision.
    Approving {
        /// What is asked.
        prompt: String,
        /// Who may decide.
        approvers: Value,
    },
    /// It waits for its branches, elements or sub-workflow.
    Joining,
}

pub(crate) struct Inner<S> {
    pub(crate) store: S,
    pub(crate) actions: Actions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    plans: Mutex<Cache>,
}

/// Plans by tenant, workflow and version.
type Cache = HashMap<(TenantId, Arc<str>, u64), Arc<Plan>>;

/// The most bytes of a message to a run, as JSON.
const MAX_MESSAGE: u64 = 1 << 20;

/// Plans that are kept in memory; beyond it they are read again.
const MAX_PLANS: usize = 10_000;

/// Starts runs of published workflows, sends them messages, and shows how they stand. What drives them is a
/// [`Worker`](crate::Worker).
///
/// Cloning it is cheap, and clones share everything.
pub struct Engine<S> {
    pub(crate) inner: Arc<Inner<S>>,
}

impl<S> Clone for Engine<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<S: fmt::Debug> fmt::Debug for Engine<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("store", &self.inner.store).finish_non_exhaustive()
    }
}

/// How a run starts.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Start {
    /// What the run is given.
    pub input: Value,
    /// A version; the one that the channels lead to where nothing is said.
    pub version: Option<u64>,
    /// Two starts of one workflow with the same key are one run; with another input the second is [`Error::Reused`].
    pub key: Option<String>,
    /// The trigger; `manual` where nothing is said.
    pub trigger: Option<String>,
    /// Whether a version has to be one that new runs get: published, or the canary. A draft is [`Error::NotPublished`] then.
    pub released: bool,
}

/// What lets a run begin. Keys of one are no keys of another: who starts runs by hand, or calls a webhook, can take nobody's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Call,
    Event,
    Webhook,
    Schedule,
}

impl Cause {
    fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Event => "event",
            Self::Webhook => "webhook",
            Self::Schedule => "schedule",
        }
    }
}

impl Start {
    /// With this input.
    #[must_use]
    pub fn with(input: Value) -> Self {
        Self { input, ..Self::default() }
    }

    /// In this version.
    #[must_use]
    pub fn version(mut self, number: u64) -> Self {
        self.version = Some(number);
        self
    }

    /// Only in a version that new runs get: published, or the canary.
    #[must_use]
    pub fn released(mut self) -> Self {
        self.released = true;
        self
    }

    /// Only once for this key: a repetition gives the run that began with it, also when the workflow was archived or published
    /// anew since; with another input it is [`Error::Reused`].
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl<S: WorkflowStore> Engine<S> {
    /// An engine on this store.
    #[must_use]
    pub fn new(store: S, actions: Actions, clock: impl Clock, ids: impl IdSource) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                actions,
                clock: Arc::new(clock),
                ids: Arc::new(ids),
                plans: Mutex::new(HashMap::new()),
            }),
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.inner.store
    }

    /// Starts a run and gives its id. It is stored when this returns, and goes on when a worker claims it.
    ///
    /// # Errors
    /// When there is no such workflow or version, it is archived, nothing is published (or not the version, where it has to be), the
    /// input does not fit, the key began a run with another input, or the store fails.
    pub async fn start(&self, scope: &Scope, workflow: &str, start: Start) -> Result<Uuid, Error> {
        self.start_for(scope, workflow, start, Cause::Call).await
    }

    async fn start_for(
        &self,
        scope: &Scope,
        workflow: &str,
        start: Start,
        cause: Cause,
    ) -> Result<Uuid, Error> {
        Ok(self.enter(scope, workflow, start, cause, None).await?.id)
    }

    async fn enter(
        &self,
        scope: &Scope,
        workflow: &str,
        start: Start,
        cause: Cause,
        held: Option<Timestamp>,
    ) -> Result<Begun, Error> {
        let Some(key) = start.key.clone() else {
            let prepared = self.prepare(scope, workflow, start, cause).await?;
            return self.put(scope, prepared, held).await;
        };
        // The run that began with this key comes first, whatever has become of the workflow since.
        let (id, input) = (keyed(scope.tenant(), workflow, cause, &key), start.input.clone());
        if self.is_same(scope, id, &key, &input).await? {
            return Ok(Begun { id, is_new: false, driven: None });
        }
        let prepared = self.prepare(scope, workflow, start, cause).await?;
        let begun = self.put(scope, prepared, held).await?;
        if !begun.is_new {
            // Somebody was faster with this key.
            self.is_same(scope, id, &key, &input).await?;
        }
        Ok(begun)
    }

    /// Whether there is a run with this id, which has to have the same input then.
    async fn is_same(&self, scope: &Scope, run: Uuid, key: &str, input: &Value) -> Result<bool, Error> {
        let Some(found) = self.inner.store.run(scope, run).await? else { return Ok(false) };
        // What was stored in a database came back from text.
        let reread = || {
            serde_json::from_str::<Value>(&input.to_string()).is_ok_and(|input| *found.state.input() == input)
        };
        if found.state.input() == input || reread() {
            return Ok(true);
        }
        Err(Error::Reused { key: guardian_core::shorten(key), run })
    }

    /// A run that begins now, not stored yet.
    async fn prepare(
        &self,
        scope: &Scope,
        workflow: &str,
        start: Start,
        cause: Cause,
    ) -> Result<(RunRecord, Plans), Error> {
        let (inner, now) = (&self.inner, self.inner.clock.now());
        let id = match &start.key {
            Some(key) => keyed(scope.tenant(), workflow, cause, key),
            None => inner.ids.next_id(now),
        };
        let version = match (cause, start.version) {
            // Whoever listens was looked up just now, with its version.
            (Cause::Event | Cause::Webhook, Some(version)) => version,
            (_, wanted) => {
                let found = inner.store.workflow(scope, workflow).await?;
                let found = found.ok_or_else(|| Error::NoWorkflow { name: workflow.to_owned() })?;
                if found.archived {
                    return Err(Error::Archived { name: workflow.to_owned() });
                }
                let unpublished = || Error::NotPublished { name: workflow.to_owned() };
                match wanted {
                    Some(version) if start.released && !found.is_released(version) => {
                        // One that does not exist is none to publish.
                        self.plan(scope, workflow, version).await?;
                        return Err(unpublished());
                    }
                    Some(version) => version,
                    None => {
                        let draw = u8::try_from(id.as_u64_pair().1 % 100).unwrap_or(0);
                        found.route(draw).ok_or_else(unpublished)?
                    }
                }
            }
        };
        let plan = self.plan(scope, workflow, version).await?;
        if let Some(why) = plan.input.as_ref().and_then(|schema| crate::schema::misfit(schema, &start.input))
        {
            return Err(Error::Input { why });
        }
        if is_too_deep(&start.input) {
            return Err(Error::Input { why: format!("it nests deeper than {MAX_NESTING}") });
        }
        let name: Arc<str> = workflow.into();
        let state = RunState::new(Arc::clone(&name), version, &plan, start.input, now);
        let mut plans = Plans::default();
        if let Some(first) = state.scopes.first() {
            plans.add(first.id, plan);
        }
        let trigger = start.trigger.unwrap_or_else(|| "manual".to_owned()).into();
        let tenant = scope.tenant().clone();
        Ok((RunRecord { id, tenant, workflow: name, version, trigger, created: now, state }, plans))
    }

    /// Lets a run go on as far as it can without the host, and stores it.
    async fn put(
        &self,
        scope: &Scope,
        (mut record, mut plans): (RunRecord, Plans),
        held: Option<Timestamp>,
    ) -> Result<Begun, Error> {
        let now = self.inner.clock.now();
        let (mut entries, mut effects) = (Vec::new(), Vec::new());
        let mut machine = Machine {
            run: record.id,
            state: &mut record.state,
            plans: &mut plans,
            now,
            entries: &mut entries,
            effects: &mut effects,
            turns: std::collections::VecDeque::new(),
        };
        let more = machine.advance();
        let due = record.state.due(now, Machine::run_time_ends(&record.state, &plans));
        let held = held.filter(|_| more || !effects.is_empty());
        let id = record.id;
        let kept = held.is_some().then(|| record.clone());
        let new = self.inner.store.start(scope, record, entries, due, held).await?;
        Ok(Begun {
            id,
            is_new: new,
            driven: kept.filter(|_| new).map(|record| (record, plans, effects, more)),
        })
    }

    /// Starts a run that the caller drives at once, as [`Worker::execute`](crate::Worker::execute) does.
    pub(crate) async fn begin(
        &self,
        scope: &Scope,
        workflow: &str,
        start: Start,
        until: Timestamp,
    ) -> Result<Begun, Error> {
        self.enter(scope, workflow, start, Cause::Call, Some(until)).await
    }

    /// Sends a run a message, which a worker takes in; gives its number.
    ///
    /// # Errors
    /// When there is no such run, the message makes no sense for it now, or the store fails.
    pub async fn send(&self, scope: &Scope, run: Uuid, message: &Message) -> Result<i64, Error> {
        if message.bytes() > MAX_MESSAGE {
            let what = if matches!(message, Message::Signal { .. }) { "signal" } else { "message" };
            return Err(Error::Input { why: format!("a {what} has at most {MAX_MESSAGE} bytes") });
        }
        let found = self.inner.store.run(scope, run).await?.ok_or(Error::NoRun { run })?;
        let status = found.state.status;
        let refused =
            |why: &str| Error::RunState { run, status: status.as_str().to_owned(), why: why.to_owned() };
        match message {
            Message::RetryFrom { node } => {
                if !matches!(status, Status::Failed | Status::Cancelled) {
                    return Err(refused("only one that failed or was cancelled goes on from a node"));
                }
                let plan = self.plan(scope, &found.workflow, found.version).await?;
                let at = plan.index.get(node.as_str()).ok_or_else(|| Error::NoNode { node: node.clone() })?;
                if !plan.step(*at).is_some_and(|step| step.outermost) {
                    return Err(refused("it can go on at nodes of the outermost part alone"));
                }
            }
            _ if status.is_final() => return Err(refused("nothing reaches it any more")),
            Message::Decide { node, approvers: of, .. } => {
                let is_asked = |doing: &Doing| match doing {
                    Doing::Approving { approvers, .. } => of.as_ref().is_none_or(|of| of == approvers),
                    _ => false,
                };
                let waits = self
                    .positions(scope, &found)
                    .await?
                    .iter()
                    .any(|at| at.node == *node && is_asked(&at.doing));
                if !waits {
                    return Err(refused("nobody is asked at this node"));
                }
            }
            Message::Signal { payload, .. } => {
                if is_too_deep(payload) {
                    return Err(Error::Input { why: format!("a signal nests no deeper than {MAX_NESTING}") });
                }
                if found.state.inbox.len() >= MAX_INBOX {
                    return Err(refused("too many signals wait for somebody to listen"));
                }
            }
            _ => {}
        }
        let now = self.inner.clock.now();
        self.inner.store.send(scope, run, message, now).await?.ok_or(Error::NoRun { run })
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub async fn signal(&self, scope: &Scope, run: Uuid, name: &str, payload: Value) -> Result<i64, Error> {
        self.send(scope, run, &Message::Signal { name: name.to_owned(), payload }).await
    }

    /// Decides an approval as the scope's actor. Whether that actor may is for the host to ask before:
    /// [`Doing::Approving`] says who may, and [`decide_for`](Self::decide_for) decides about those alone whom the host has looked at.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub async fn decide(
        &self,
        scope: &Scope,
        run: Uuid,
        node: &NodeId,
        approved: bool,
        comment: &str,
    ) -> Result<i64, Error> {
        self.send_decision(scope, run, node, None, approved, comment).await
    }

    /// The same about an item that has these approvers. Several may wait at one node, of a list say, each with its own: a decision that
    /// comes twice, or late, decides about nobody else's.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub async fn decide_for(
        &self,
        scope: &Scope,
        run: Uuid,
        node: &NodeId,
        approvers: Value,
        approved: bool,
        comment: &str,
    ) -> Result<i64, Error> {
        self.send_decision(scope, run, node, Some(approvers), approved, comment).await
    }

    async fn send_decision(
        &self,
        scope: &Scope,
        run: Uuid,
        node: &NodeId,
        approvers: Option<Value>,
        approved: bool,
        comment: &str,
    ) -> Result<i64, Error> {
        let (by, comment) = (scope.actor().to_string(), comment.to_owned());
        let decision = Message::Decide { node: node.clone(), approved, by, comment, approvers };
        self.send(scope, run, &decision).await
    }

    /// A run as it was kept last.
    ///
    /// # Errors
    /// When there is no such run, or the store fails.
    pub async fn run(&self, scope: &Scope, id: Uuid) -> Result<Run, Error> {
        let record = self.inner.store.run(scope, id).await?.ok_or(Error::NoRun { run: id })?;
        let positions = self.positions(scope, &record).await?;
        Ok(Run {
            id,
            workflow: record.workflow.to_string(),
            version: record.version,
            trigger: record.trigger.to_string(),
            state: record.state,
            positions,
        })
    }

    /// The runs, the newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn runs(
        &self,
        scope: &Scope,
        filter: &RunFilter,
        page: &PageRequest,
    ) -> Result<Page<RunRecord>, Error> {
        Ok(self.inner.store.runs(scope, filter, page).await?)
    }

    /// The history of a run: entries behind the one of number `after`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn history(
        &self,
        scope: &Scope,
        run: Uuid,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Entry>, Error> {
        Ok(self.inner.store.history(scope, run, after, limit).await?)
    }

    /// Whether and how a run could go on in another version, without doing so.
    ///
    /// # Errors
    /// When there is no such run or version, or the store fails.
    pub async fn can_migrate(&self, scope: &Scope, run: Uuid, to: u64) -> Result<MigrationReport, Error> {
        let record = self.inner.store.run(scope, run).await?.ok_or(Error::NoRun { run })?;
        let read = async |number| -> Result<Version, Error> {
            let found = self.inner.store.version(scope, &record.workflow, number).await?;
            found.ok_or_else(|| Error::NoVersion {
                name: record.workflow.to_string(),
                version: number.to_string(),
            })
        };
        let (old, new) = (read(record.version).await?, read(to).await?);
        let mut obstacles = Vec::new();
        if record.state.status != Status::Running {
            obstacles.push(format!("it is {}", record.state.status.as_str()));
        }
        let plan = self.plan(scope, &record.workflow, to).await?;
        let mut plans = self.plans(scope, &record.state).await?;
        let (mut state, mut entries, mut effects) = (record.state.clone(), Vec::new(), Vec::new());
        let mut machine = Machine {
            run,
            state: &mut state,
            plans: &mut plans,
            now: self.inner.clock.now(),
            entries: &mut entries,
            effects: &mut effects,
            turns: std::collections::VecDeque::new(),
        };
        obstacles.extend(machine.migrate(to, plan).err());
        let positions = self
            .positions(scope, &record)
            .await?
            .into_iter()
            .map(|at| {
                let there = new.definition.nodes.get(&at.node);
                let same = there.filter(|node| {
                    old.definition
                        .nodes
                        .get(&at.node)
                        .is_none_or(|old| old.kind.type_name() == node.kind.type_name())
                });
                (at.node.clone(), same.map(|node| node.kind.type_name().to_owned()))
            })
            .collect();
        let diff = crate::diff::diff(&old.definition, &new.definition);
        Ok(MigrationReport { from: record.version, to, positions, diff, obstacles })
    }

    /// Lets a run go on in another version. Refused where a node at which it stands is gone or of another type.
    ///
    /// # Errors
    /// [`Error::Migration`] with the obstacles, and as for [`Self::can_migrate`].
    pub async fn migrate(&self, scope: &Scope, run: Uuid, to: u64) -> Result<MigrationReport, Error> {
        let report = self.can_migrate(scope, run, to).await?;
        if !report.is_possible() {
            return Err(Error::Migration { run, version: to, why: report.obstacles.join("; ") });
        }
        self.send(scope, run, &Message::Migrate { version: to }).await?;
        Ok(report)
    }

    async fn positions(&self, scope: &Scope, record: &RunRecord) -> Result<Vec<Position>, Error> {
        let mut positions = Vec::new();
        for token in &record.state.tokens {
            let Some(at) = record.state.scope(token.scope) else { continue };
            let plan = self.plan(scope, &at.workflow, at.version).await?;
            let Ok(node) = NodeId::new(&*plan.id(token.at)) else { continue };
            let (doing, until) = match &token.phase {
                Phase::Ready => (Doing::Ready, None),
                Phase::Running { deadline, .. } => (Doing::Acting, *deadline),
                Phase::Backoff { until, .. } | Phase::Again { until } => (Doing::BackingOff, Some(*until)),
                Phase::Sleeping { until } => (Doing::Sleeping, Some(*until)),
                Phase::Listening { until } => (Doing::Listening, *until),
                Phase::Approving { prompt, approvers, until } => {
                    let prompt = prompt.as_str().map_or_else(|| prompt.to_string(), str::to_owned);
                    (Doing::Approving { prompt, approvers: approvers.clone() }, *until)
                }
                Phase::Joining | Phase::Loading { .. } => (Doing::Joining, None),
            };
            positions.push(Position { node, doing, until });
        }
        Ok(positions)
    }

    /// The plan of a version, from memory or the store.
    pub(crate) async fn plan(&self, scope: &Scope, workflow: &str, number: u64) -> Result<Arc<Plan>, Error> {
        let key = (scope.tenant().clone(), Arc::from(workflow), number);
        if let Some(plan) = self.inner.plans.lock().get(&key) {
            return Ok(Arc::clone(plan));
        }
        let found = self.inner.store.version(scope, workflow, number).await?;
        let version = found
            .ok_or_else(|| Error::NoVersion { name: workflow.to_owned(), version: number.to_string() })?;
        let plan = Arc::new(Plan::load(&version.definition, self.inner.actions.catalog())?);
        let mut plans = self.inner.plans.lock();
        if plans.len() >= MAX_PLANS {
            plans.clear();
        }
        plans.insert(key, Arc::clone(&plan));
        Ok(plan)
    }

    /// The plans of all scopes of a run.
    pub(crate) async fn plans(&self, scope: &Scope, state: &RunState) -> Result<Plans, Error> {
        let mut plans = Plans::default();
        for each in &state.scopes {
            plans.add(each.id, self.plan(scope, &each.workflow, each.version).await?);
        }
        Ok(plans)
    }

    /// The version that a sub-workflow runs in.
    pub(crate) async fn sub(
        &self,
        scope: &Scope,
        workflow: &str,
        version: &SubVersion,
    ) -> Result<(u64, Arc<Plan>), Error> {
        let number = match version {
            SubVersion::Number(number) => *number,
            SubVersion::Published => {
                let found = self.inner.store.workflow(scope, workflow).await?;
                let found = found.ok_or_else(|| Error::NoWorkflow { name: workflow.to_owned() })?;
                found.published.ok_or_else(|| Error::NotPublished { name: workflow.to_owned() })?
            }
        };
        Ok((number, self.plan(scope, workflow, number).await?))
    }

    /// The call of a token's action.
    pub(crate) fn call(
        &self,
        scope: &Scope,
        run: Uuid,
        state: &RunState,
        plans: &Plans,
        effect: &Effect,
    ) -> Option<Call> {
        let Effect::Call { token, visit, attempt } = effect else { return None };
        // An attempt that the token is not at any more must not be made with what it is at now.
        let token = state.token(*token)?;
        let token = Some(token).filter(|token| token.visit == *visit && token.attempt == *attempt)?;
        let Phase::Running { params, deadline } = &token.phase else { return None };
        let node = plans.node_of(token)?;
        let (action, kind) = match &token.undo {
            Some(undo) => (Arc::clone(&undo.action), "undo"),
            None => {
                let plan = plans.get(token.scope)?;
                let crate::plan::Op::Action(action) = &plan.step(token.at)?.op else { return None };
                (Arc::clone(&action.action), "do")
            }
        };
        let key = idempotency_key(run, &node, *visit, *attempt, kind);
        let (params, deadline) = (params.clone(), *deadline);
        Some(Call { scope: scope.clone(), run, node, action, params, attempt: *attempt, key, deadline })
    }
}

/// A run that was just stored, and what it needs next if the caller drives it.
pub(crate) struct Begun {
    pub(crate) id: Uuid,
    is_new: bool,
    pub(crate) driven: Option<(RunRecord, Plans, Vec<Effect>, bool)>,
}

/// The id of the run that a key stands for: the same for the same tenant, workflow, cause and key.
fn keyed(tenant: &TenantId, workflow: &str, cause: Cause, key: &str) -> Uuid {
    let mut hash = Sha256::new();
    for part in [tenant.as_str(), workflow, cause.as_str(), key] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, from)| *byte = from);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// `run/node/visit/attempt/kind`, put together without the machinery of formatting: it is made for every attempt.
fn idempotency_key(run: Uuid, node: &NodeId, visit: u64, attempt: u32, kind: &str) -> String {
    let mut buffer = Uuid::encode_buffer();
    let run = run.hyphenated().encode_lower(&mut buffer);
    let (visit, attempt) = (visit.to_string(), attempt.to_string());
    let parts = [run, node.as_str(), &visit, &attempt, kind];
    let mut key = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            key.push('/');
        }
        key.push_str(part);
    }
    key
}

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Cursor, Page, PageRequest, Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use parking_lot::Mutex;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Checkpoint, Claimed, Continue, Kept, Listening, MESSAGE_BYTES, MESSAGES, Occasion, Performed, RunFilter,
    RunRecord, Save, Saved, WorkflowStore,
};
use crate::action::{Call, Failure};
use crate::machine::{Entry, Message};
use crate::version::{Version, Workflow};

type Effect = dyn Fn(&Call) -> Result<Value, Failure> + Send + Sync;
type RunKey = (TenantId, Uuid);

/// Everything in the memory of one process: for tests, demonstrations and runs that need not outlive it.
///
/// ```
/// use guardian_workflow::MemoryStore;
///
/// let store = MemoryStore::new().with_transactional("book", |call| Ok(call.params.clone()));
/// # let _ = store;
/// ```
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
    effects: HashMap<String, Box<Effect>>,
}

#[derive(Default)]
struct Inner {
    workflows: BTreeMap<(TenantId2, String), Workflow>,
    versions: BTreeMap<(TenantId2, String, u64), Version>,
    /// What each workflow listens to, and who listens to what.
    listens: BTreeMap<(TenantId2, String), BTreeSet<Listening>>,
    listeners: BTreeSet<(TenantId2, Listening, String)>,
    runs: HashMap<RunKey, Row>,
    /// The ids of each tenant's runs, in order.
    ids: BTreeMap<TenantId2, BTreeSet<Uuid>>,
    /// When which run can be claimed.
    ready: BTreeSet<(Timestamp, TenantId2, Uuid)>,
}

/// A tenant's id with an order.
type TenantId2 = Arc<str>;

struct Row {
    record: RunRecord,
    entries: Vec<Entry>,
    /// Messages that the state may not have taken in, the first of which has the number behind `removed`.
    messages: VecDeque<Message>,
    removed: i64,
    due: Option<Timestamp>,
    held: Option<Timestamp>,
    fence: i64,
}

impl Row {
    /// When somebody can claim it.
    fn ready(&self) -> Option<Timestamp> {
        self.due.map(|due| self.held.map_or(due, |held| held.max(due)))
    }

    /// The messages that the state has not taken in.
    fn unseen(&self) -> Vec<(i64, Message)> {
        let seen = self.record.state.seen;
        let numbered = (self.removed + 1..).zip(&self.messages).filter(|(number, _)| *number > seen);
        let mut before = 0;
        let within = numbered.take(MESSAGES).take_while(|(_, message)| {
            let fits = before < MESSAGE_BYTES;
            before += message.bytes();
            fits
        });
        within.map(|(number, message)| (number, message.clone())).collect()
    }

    /// Removes the messages that the state has taken in.
    fn remove_seen(&mut self) {
        while self.removed < self.record.state.seen && self.messages.pop_front().is_some() {
            self.removed += 1;
        }
    }
}

fn text(tenant: &TenantId) -> TenantId2 {
    tenant.as_str().into()
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.lock();
        f.debug_struct("MemoryStore")
            .field("workflows", &inner.workflows.len())
            .field("runs", &inner.runs.len())
            .finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a transactional action: what it does happens together with the checkpoint. It must not call the store.
    #[must_use]
    pub fn with_transactional<F>(mut self, name: impl Into<String>, effect: F) -> Self
    where
        F: Fn(&Call) -> Result<Value, Failure> + Send + Sync + 'static,
    {
        self.effects.insert(name.into(), Box::new(effect));
        self
    }
}

impl Inner {
    /// Changes a row and keeps the order of what can be claimed.
    fn change<T>(&mut self, key: &RunKey, change: impl FnOnce(&mut Row) -> T) -> Option<T> {
        let row = self.runs.get_mut(key)?;
        let before = row.ready();
        let result = change(row);
        let after = row.ready();
        if before != after {
            let tenant = text(&key.0);
            if let Some(before) = before {
                self.ready.remove(&(before, Arc::clone(&tenant), key.1));
            }
            if let Some(after) = after {
                self.ready.insert((after, tenant, key.1));
            }
        }
        Some(result)
    }

    fn keep(&mut self, checkpoint: Checkpoint) -> Kept {
        let key = (checkpoint.tenant.clone(), checkpoint.run);
        self.change(&key, |row| {
            if row.fence != checkpoint.fence {
                return Kept::Lost;
            }
            row.record.version = checkpoint.state.version();
            row.record.state = checkpoint.state;
            row.entries.extend(checkpoint.entries);
            row.remove_seen();
            if !checkpoint.state_only {
                row.held = checkpoint.held;
                row.due = if checkpoint.held.is_some() { Some(checkpoint.now) } else { checkpoint.due };
            }
            let unseen = row.unseen();
            if checkpoint.held.is_some() {
                return Kept::Yes(unseen);
            }
            if !unseen.is_empty() {
                row.due = Some(checkpoint.now);
            }
            Kept::Yes(Vec::new())
        })
        .unwrap_or(Kept::Lost)
    }

    /// Whether another workflow listens to this.
    fn is_taken(&self, tenant: &TenantId2, what: &Listening, name: &str) -> bool {
        self.listening(tenant, what).any(|other| other != name)
    }

    /// Who listens to exactly this.
    fn listening<'s>(&'s self, tenant: &TenantId2, what: &'s Listening) -> impl Iterator<Item = &'s String> {
        let from = (Arc::clone(tenant), what.clone(), String::new());
        let tenant = Arc::clone(tenant);
        self.listeners
            .range(from..)
            .take_while(move |(owner, each, _)| *owner == tenant && each == what)
            .map(|(_, _, name)| name)
    }

    fn listen(&mut self, (tenant, name): &(TenantId2, String), listens: &BTreeSet<Listening>) {
        let entry = |each: &Listening| (Arc::clone(tenant), each.clone(), name.clone());
        let key = (Arc::clone(tenant), name.clone());
        for each in self.listens.insert(key, listens.clone()).iter().flatten() {
            self.listeners.remove(&entry(each));
        }
        self.listeners.extend(listens.iter().map(entry));
    }

    fn used(&self, tenant: &TenantId, name: &str, number: u64) -> bool {
        self.runs.values().any(|row| {
            row.record.tenant == *tenant
                && row
                    .record
                    .state
                    .scopes
                    .iter()
                    .any(|scope| *scope.workflow == *name && scope.version == number)
        })
    }
}

fn full_page<T>(mut items: Vec<T>, page: &PageRequest, cursor: impl Fn(&T) -> Cursor) -> Page<T> {
    let size = usize::try_from(page.size()).unwrap_or(usize::MAX);
    let more = items.len() > size;
    items.truncate(size);
    let next = items.last().filter(|_| more).map(cursor);
    Page::new(items, next)
}

pub(super) fn one_more(page: &PageRequest) -> usize {
    usize::try_from(page.size()).unwrap_or(usize::MAX).saturating_add(1)
}

pub(super) fn foreign(backend: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Constraint, backend)
        .with_source("the cursor does not belong to this list")
}

#[async_trait]
impl WorkflowStore for MemoryStore {
    async fn save(&self, scope: &Scope, save: &Save) -> Result<Saved, StoreError> {
        let (tenant, name) = (text(scope.tenant()), &save.workflow.name);
        let mut inner = self.inner.lock();
        let key = (Arc::clone(&tenant), name.clone());
        let stored = inner.workflows.get(&key).map_or(0, |workflow| workflow.revision);
        if stored + 1 != save.workflow.revision {
            return Ok(Saved::Conflict);
        }
        if let Some(path) = save.listens.iter().flatten().find_map(|each| match each {
            Listening::Webhook(path) => Some(path).filter(|_| inner.is_taken(&tenant, each, name)),
            _ => None,
        }) {
            return Ok(Saved::Taken(path.clone()));
        }
        if let Some(version) = &save.version {
            let at = (Arc::clone(&tenant), name.clone(), version.number);
            if inner.versions.contains_key(&at) {
                return Ok(Saved::Conflict);
            }
            inner.versions.insert(at, version.clone());
        }
        if let Some(squashed) = save.squashed
            && !inner.used(scope.tenant(), name, squashed)
        {
            inner.versions.remove(&(tenant, name.clone(), squashed));
        }
        if let Some(listens) = &save.listens {
            inner.listen(&key, listens);
        }
        inner.workflows.insert(key, save.workflow.clone());
        Ok(Saved::Done)
    }

    async fn workflow(&self, scope: &Scope, name: &str) -> Result<Option<Workflow>, StoreError> {
        Ok(self.inner.lock().workflows.get(&(text(scope.tenant()), name.to_owned())).cloned())
    }

    async fn workflows(&self, scope: &Scope, page: &PageRequest) -> Result<Page<Workflow>, StoreError> {
        let after = page.cursor().map(|cursor| String::from_utf8_lossy(cursor.as_bytes()).into_owned());
        let tenant = text(scope.tenant());
        let from = match after {
            Some(after) => Bound::Excluded((Arc::clone(&tenant), after)),
            None => Bound::Included((Arc::clone(&tenant), String::new())),
        };
        let inner = self.inner.lock();
        let found: Vec<Workflow> = inner
            .workflows
            .range((from, Bound::Unbounded))
            .take_while(|((owner, _), _)| *owner == tenant)
            .take(one_more(page))
            .map(|(_, workflow)| workflow.clone())
            .collect();
        Ok(full_page(found, page, |workflow| Cursor::from_bytes(workflow.name.as_bytes())))
    }

    async fn listeners(
        &self,
        scope: &Scope,
        occasion: Occasion<'_>,
        page: &PageRequest,
    ) -> Result<Page<Workflow>, StoreError> {
        let after = page.cursor().map(|cursor| String::from_utf8_lossy(cursor.as_bytes()).into_owned());
        let tenant = text(scope.tenant());
        let inner = self.inner.lock();
        let exact = match occasion {
            Occasion::Event(name) => Listening::Event(name.to_owned()),
            Occasion::Schedule => Listening::Schedule,
            Occasion::Webhook(path) => Listening::Webhook(path.to_owned()),
        };
        let mut names: BTreeSet<&String> = inner.listening(&tenant, &exact).collect();
        if let Occasion::Event(event) = occasion {
            let from = (Arc::clone(&tenant), Listening::Events(String::new()), String::new());
            let all = inner.listeners.range(from..).take_while(|(owner, _, _)| *owner == tenant);
            for (_, each, name) in all {
                let Listening::Events(beginning) = each else { break };
                if event.starts_with(beginning) {
                    names.insert(name);
                }
            }
        }
        let found: Vec<Workflow> = names
            .into_iter()
            .filter(|name| after.as_ref().is_none_or(|after| *name > after))
            .filter_map(|name| inner.workflows.get(&(Arc::clone(&tenant), name.clone())))
            .take(one_more(page))
            .cloned()
            .collect();
        Ok(full_page(found, page, |workflow| Cursor::from_bytes(workflow.name.as_bytes())))
    }

    async fn version(&self, scope: &Scope, name: &str, number: u64) -> Result<Option<Version>, StoreError> {
        Ok(self.inner.lock().versions.get(&(text(scope.tenant()), name.to_owned(), number)).cloned())
    }

    async fn versions(
        &self,
        scope: &Scope,
        name: &str,
        page: &PageRequest,
    ) -> Result<Page<Version>, StoreError> {
        let before = match page.cursor() {
            Some(cursor) => u64::from_be_bytes(cursor.as_bytes().try_into().map_err(|_| foreign("memory"))?),
            None => u64::MAX,
        };
        let tenant = text(scope.tenant());
        let key = |number| (Arc::clone(&tenant), name.to_owned(), number);
        let inner = self.inner.lock();
        let found: Vec<Version> = inner
            .versions
            .range((Bound::Included(key(0)), Bound::Excluded(key(before))))
            .rev()
            .take(one_more(page))
            .map(|(_, version)| version.clone())
            .collect();
        Ok(full_page(found, page, |version| Cursor::from_bytes(&version.number.to_be_bytes())))
    }

    async fn forget_versions(
        &self,
        scope: &Scope,
        name: &str,
        numbers: &[u64],
    ) -> Result<Vec<u64>, StoreError> {
        let mut inner = self.inner.lock();
        let tenant = text(scope.tenant());
        let mut gone = Vec::new();
        for number in numbers {
            if !inner.used(scope.tenant(), name, *number)
                && inner.versions.remove(&(Arc::clone(&tenant), name.to_owned(), *number)).is_some()
            {
                gone.push(*number);
            }
        }
        Ok(gone)
    }

    async fn start(
        &self,
        scope: &Scope,
        run: RunRecord,
        entries: Vec<Entry>,
        due: Option<Timestamp>,
        held: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let key = (scope.tenant().clone(), run.id);
        let tenant = text(scope.tenant());
        let mut inner = self.inner.lock();
        if inner.runs.contains_key(&key) {
            return Ok(false);
        }
        let fence = i64::from(held.is_some());
        let messages = VecDeque::new();
        let row = Row { record: run, entries, messages, removed: 0, due, held, fence };
        if let Some(ready) = row.ready() {
            inner.ready.insert((ready, Arc::clone(&tenant), key.1));
        }
        inner.ids.entry(tenant).or_default().insert(key.1);
        inner.runs.insert(key, row);
        Ok(true)
    }

    async fn run(&self, scope: &Scope, id: Uuid) -> Result<Option<RunRecord>, StoreError> {
        let inner = self.inner.lock();
        Ok(inner.runs.get(&(scope.tenant().clone(), id)).map(|row| row.record.clone()))
    }

    async fn runs(
        &self,
        scope: &Scope,
        filter: &RunFilter,
        page: &PageRequest,
    ) -> Result<Page<RunRecord>, StoreError> {
        let before = match page.cursor() {
            Some(cursor) => {
                Bound::Excluded(Uuid::from_slice(cursor.as_bytes()).map_err(|_| foreign("memory"))?)
            }
            None => Bound::Unbounded,
        };
        let inner = self.inner.lock();
        let ids = inner.ids.get(scope.tenant().as_str());
        let found: Vec<RunRecord> = ids
            .into_iter()
            .flat_map(|ids| ids.range((Bound::Unbounded, before)).rev())
            .filter_map(|id| inner.runs.get(&(scope.tenant().clone(), *id)))
            .map(|row| &row.record)
            .filter(|run| filter.shows(run))
            .take(one_more(page))
            .cloned()
            .collect();
        Ok(full_page(found, page, |run| Cursor::from_bytes(run.id.as_bytes())))
    }

    async fn history(
        &self,
        scope: &Scope,
        id: Uuid,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let inner = self.inner.lock();
        let row = inner.runs.get(&(scope.tenant().clone(), id));
        let entries = row.map(|row| row.entries.iter()).into_iter().flatten();
        Ok(entries.filter(|entry| entry.number > after).take(limit as usize).cloned().collect())
    }

    async fn send(
        &self,
        scope: &Scope,
        id: Uuid,
        message: &Message,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        Ok(self.inner.lock().change(&(scope.tenant().clone(), id), |row| {
            row.messages.push_back(message.clone());
            row.due = Some(row.due.map_or(now, |due| due.min(now)));
            row.removed + i64::try_from(row.messages.len()).unwrap_or(i64::MAX)
        }))
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<Claimed>, StoreError> {
        let mut inner = self.inner.lock();
        let due: Vec<(TenantId2, Uuid)> = inner
            .ready
            .iter()
            .take_while(|(ready, _, _)| *ready <= now)
            .take(limit as usize)
            .map(|(_, tenant, id)| (Arc::clone(tenant), *id))
            .collect();
        let mut claimed = Vec::with_capacity(due.len());
        for (tenant, id) in due {
            let Ok(tenant) = TenantId::new(&*tenant) else { continue };
            claimed.extend(inner.change(&(tenant, id), |row| {
                row.held = Some(until);
                row.fence += 1;
                Claimed { run: row.record.clone(), fence: row.fence, messages: row.unseen() }
            }));
        }
        Ok(claimed)
    }

    async fn checkpoint(&self, batch: Vec<Checkpoint>) -> Result<Vec<Kept>, StoreError> {
        let mut inner = self.inner.lock();
        Ok(batch.into_iter().map(|checkpoint| inner.keep(checkpoint)).collect())
    }

    async fn extend(
        &self,
        held: &[(TenantId, Uuid, i64)],
        until: Timestamp,
    ) -> Result<Vec<Uuid>, StoreError> {
        let mut inner = self.inner.lock();
        let mut extended = Vec::new();
        for (tenant, id, fence) in held {
            let still = inner.change(&(tenant.clone(), *id), |row| {
                let still = row.fence == *fence && row.held.is_some();
                if still {
                    row.held = Some(until);
                }
                still
            });
            if still == Some(true) {
                extended.push(*id);
            }
        }
        Ok(extended)
    }

    async fn perform(&self, call: &Call, fence: i64, next: &dyn Continue) -> Result<Performed, StoreError> {
        let Some(effect) = self.effects.get(&*call.action) else {
            return Err(unknown_action("memory", &call.action));
        };
        // The lock is the transaction: whoever looks sees the effect and the checkpoint, or neither.
        let mut inner = self.inner.lock();
        let key = (call.scope.tenant().clone(), call.run);
        if inner.runs.get(&key).is_none_or(|row| row.fence != fence) {
            return Ok(Performed::Lost);
        }
        let checkpoint = next.checkpoint(effect(call));
        match inner.keep(checkpoint.clone()) {
            Kept::Yes(messages) => Ok(Performed::Kept(Box::new(checkpoint), messages)),
            Kept::Lost => Ok(Performed::Lost),
        }
    }
}

pub(super) fn unknown_action(backend: &'static str, action: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Unsupported, backend).with_source(format!(
        "the store does not know the transactional action `{}`",
        guardian_core::shorten(action)
    ))
}

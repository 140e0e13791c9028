//! Where workflows, their versions and their runs live: the contract that every store keeps.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Page, PageRequest, Scope, StoreError, TenantId, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use crate::action::{Call, Failure};
use crate::machine::state::{RunState, Status};
use crate::machine::{Entry, Message};
use crate::version::{Version, Workflow};

mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;

pub use memory::MemoryStore;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::{MIGRATIONS, SqlAction, SqlStore, Trouble};

/// A change of a workflow: what it is then, and the version that this makes.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the library makes it and stores read it; a new field breaks both"
)]
pub struct Save {
    /// The workflow as it is then; its revision is one more than before.
    pub workflow: Workflow,
    /// A version that did not exist before.
    pub version: Option<Version>,
    /// A draft that the version takes the place of; it stays if a run needs it.
    pub squashed: Option<u64>,
    /// What the workflow listens to from now on; `None` where that stays as it is.
    pub listens: Option<BTreeSet<Listening>>,
}

/// What a workflow listens to on its channels: how it is found when that happens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the library makes it and stores read it; a new case breaks both"
)]
pub enum Listening {
    /// Events of this name.
    Event(String),
    /// Events whose names begin like this.
    Events(String),
    /// Times.
    Schedule,
    /// Calls at this path, which is one workflow's of a tenant.
    Webhook(String),
}

/// What happened, for finding the workflows that listen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the engine makes it and stores read it; a new case breaks both")]
pub enum Occasion<'a> {
    /// An event of this name.
    Event(&'a str),
    /// Time went on.
    Schedule,
    /// A call at this path.
    Webhook(&'a str),
}

/// How a change of a workflow ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "stores make it and the library reads it; a new case breaks both"
)]
pub enum Saved {
    /// All of it is stored.
    Done,
    /// The workflow has another revision, or there is one or none against what was expected. Nothing was stored.
    Conflict,
    /// A webhook's path is another workflow's. Nothing was stored.
    Taken(String),
}

/// A run as it is stored.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the engine makes it and stores read it; a new field breaks both"
)]
pub struct RunRecord {
    /// Its id, unique within the tenant.
    pub id: Uuid,
    /// Whose it is.
    pub tenant: TenantId,
    /// The workflow.
    pub workflow: Arc<str>,
    /// The version that it is pinned to.
    pub version: u64,
    /// What started it: `manual`, or the id of a trigger.
    pub trigger: Arc<str>,
    /// When it was stored first.
    pub created: Timestamp,
    /// Everything else.
    pub state: RunState,
}

/// A run that a worker holds until its lease ends.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "stores make it and workers read it; a new field breaks both")]
pub struct Claimed {
    /// The run.
    pub run: RunRecord,
    /// The number of this holding; a later one makes it worthless.
    pub fence: i64,
    /// Messages that the state has not taken in, with their numbers.
    pub messages: Vec<(i64, Message)>,
}

/// What a worker keeps of a run that it holds.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "workers make it and stores read it; a new field breaks both")]
pub struct Checkpoint {
    /// Whose run it is.
    pub tenant: TenantId,
    /// The run.
    pub run: Uuid,
    /// The number of the worker's holding.
    pub fence: i64,
    /// The state.
    pub state: RunState,
    /// What was added to the history.
    pub entries: Vec<Entry>,
    /// When somebody has to look at it again, if the worker lets go of it.
    pub due: Option<Timestamp>,
    /// Until when the worker goes on holding it; `None` if it lets go.
    pub held: Option<Timestamp>,
    /// Whether the lease and the version are as they are stored: then the state and its status alone have to be written, which
    /// spares a database its indexes.
    pub state_only: bool,
    /// Whether the state has taken in messages since it was kept last; those are removed.
    pub took: bool,
    /// The time of the worker.
    pub now: Timestamp,
}

/// What became of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "stores make it and workers read it; a new case breaks both")]
pub enum Kept {
    /// It is stored. Messages that came meanwhile are given to a worker that goes on holding the run; one that let go
    /// leaves them for whoever claims it next.
    Yes(Vec<(i64, Message)>),
    /// Another worker holds the run by now, and nothing was stored; or it stays held because what came for it meanwhile cannot be
    /// read.
    Lost,
}

/// What a transactional action's transaction came to.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "stores make it and workers read it; a new case breaks both")]
pub enum Performed {
    /// The effect and the checkpoint are stored, both.
    Kept(Box<Checkpoint>, Vec<(i64, Message)>),
    /// Another worker holds the run by now. Neither was stored.
    Lost,
}

/// Goes on with a run when the result of a transactional action is there.
pub trait Continue: Send + Sync {
    /// The checkpoint that belongs to this result. It may be asked again for another result, if the transaction has to be
    /// begun anew.
    fn checkpoint(&self, result: Result<Value, Failure>) -> Checkpoint;
}

/// Messages that a run is given at a time.
pub const MESSAGES: usize = 1000;
/// Bytes of messages after which a run is given no more of them at a time. The one that reaches them is among those that it is
/// given.
pub const MESSAGE_BYTES: u64 = 1 << 20;

/// Which runs a list shows; what is not named is not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
#[non_exhaustive]
pub struct RunFilter {
    /// Only those of this workflow.
    pub workflow: Option<String>,
    /// Only those of this version.
    pub version: Option<u64>,
    /// Only those that stand so.
    pub status: Option<Status>,
}

impl RunFilter {
    /// Every run.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those of this workflow.
    pub fn workflow(mut self, name: impl Into<String>) -> Self {
        self.workflow = Some(name.into());
        self
    }

    /// Only those of this version.
    pub fn version(mut self, number: u64) -> Self {
        self.version = Some(number);
        self
    }

    /// Only those that stand so.
    pub fn status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    pub(crate) fn shows(&self, run: &RunRecord) -> bool {
        self.workflow.as_deref().is_none_or(|name| *name == *run.workflow)
            && self.version.is_none_or(|number| number == run.version)
            && self.status.is_none_or(|status| status == run.state.status)
    }
}

/// Keeps workflows, versions, runs, their history and their messages.
///
/// # Contract
/// Every method is atomic: it happens as a whole or not at all, and of two concurrent ones one comes entirely before the
/// other. One that returns an error may have happened, but never in part. What was acknowledged survives whatever the
/// store says that it survives. A call in one tenant's scope sees nothing of another's.
///
/// The methods for workers look across tenants: a worker drives the runs of all.
///
/// The `testkit` (feature) has each promise as a law to run against any store.
#[async_trait]
pub trait WorkflowStore: Send + Sync + fmt::Debug + 'static {
    /// Stores a change of a workflow, with the version that it makes, if the stored revision is the one before
    /// `save.workflow.revision` (0: there is none yet).
    ///
    /// # Errors
    /// When the store fails; another revision is [`Saved::Conflict`].
    async fn save(&self, scope: &Scope, save: &Save) -> Result<Saved, StoreError>;

    /// The workflow of this name.
    ///
    /// # Errors
    /// When the store fails.
    async fn workflow(&self, scope: &Scope, name: &str) -> Result<Option<Workflow>, StoreError>;

    /// The workflows by name.
    ///
    /// # Errors
    /// When the store fails.
    async fn workflows(&self, scope: &Scope, page: &PageRequest) -> Result<Page<Workflow>, StoreError>;

    /// The workflows that listen to something on their channels, by name.
    ///
    /// # Errors
    /// When the store fails.
    async fn listeners(
        &self,
        scope: &Scope,
        occasion: Occasion<'_>,
        page: &PageRequest,
    ) -> Result<Page<Workflow>, StoreError>;

    /// A version of a workflow.
    ///
    /// # Errors
    /// When the store fails.
    async fn version(&self, scope: &Scope, name: &str, number: u64) -> Result<Option<Version>, StoreError>;

    /// The versions of a workflow, the newest first.
    ///
    /// # Errors
    /// When the store fails.
    async fn versions(
        &self,
        scope: &Scope,
        name: &str,
        page: &PageRequest,
    ) -> Result<Page<Version>, StoreError>;

    /// Forgets versions, except those that a run was pinned to, and says which are gone.
    ///
    /// # Errors
    /// When the store fails.
    async fn forget_versions(
        &self,
        scope: &Scope,
        name: &str,
        numbers: &[u64],
    ) -> Result<Vec<u64>, StoreError>;

    /// Stores a run that begins, with what its history has already. With `held`, the caller holds it with the fence 1 until
    /// then. `false` if there is a run with this id; nothing was stored then.
    ///
    /// # Errors
    /// When the store fails.
    async fn start(
        &self,
        scope: &Scope,
        run: RunRecord,
        entries: Vec<Entry>,
        due: Option<Timestamp>,
        held: Option<Timestamp>,
    ) -> Result<bool, StoreError>;

    /// A run as it was kept last.
    ///
    /// # Errors
    /// When the store fails.
    async fn run(&self, scope: &Scope, id: Uuid) -> Result<Option<RunRecord>, StoreError>;

    /// The runs, the newest first by their ids.
    ///
    /// # Errors
    /// When the store fails.
    async fn runs(
        &self,
        scope: &Scope,
        filter: &RunFilter,
        page: &PageRequest,
    ) -> Result<Page<RunRecord>, StoreError>;

    /// At least the next entries of a run's history behind the entry `after`, up to about `limit`; empty at its end.
    ///
    /// # Errors
    /// When the store fails.
    async fn history(
        &self,
        scope: &Scope,
        id: Uuid,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError>;

    /// Stores a message for a run and makes it due at `now`; gives the message's number, from 1. `None` if there is no such
    /// run.
    ///
    /// # Errors
    /// When the store fails.
    async fn send(
        &self,
        scope: &Scope,
        id: Uuid,
        message: &Message,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError>;

    /// Gives a worker up to `limit` runs that are due at `now` and that nobody holds then, the longest due first. It holds
    /// them until `until`, each with a fence that is greater than every earlier one. One that cannot be read, or a message of which
    /// cannot, is held as well and left out of the answer, so that it is in nobody's way. Of its messages a run gets the first
    /// [`MESSAGES`] at most, and no more behind the one that reaches [`MESSAGE_BYTES`], but one at least.
    ///
    /// # Errors
    /// When the store fails.
    async fn claim(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<Claimed>, StoreError>;

    /// Keeps checkpoints in one transaction; what became of each, in their order. A run whose fence is another one by now is
    /// left alone. A message that the state has not taken in keeps a run due that is let go; those that it has are removed.
    ///
    /// # Errors
    /// When the store fails; nothing was kept then, or all of it.
    async fn checkpoint(&self, batch: Vec<Checkpoint>) -> Result<Vec<Kept>, StoreError>;

    /// Holds runs longer; those that another worker holds by now are left out of the answer.
    ///
    /// # Errors
    /// When the store fails.
    async fn extend(&self, held: &[(TenantId, Uuid, i64)], until: Timestamp)
    -> Result<Vec<Uuid>, StoreError>;

    /// Does an action and keeps the checkpoint that follows it, in one transaction: both or neither.
    ///
    /// # Errors
    /// When the store fails, or does not know the action.
    async fn perform(&self, call: &Call, fence: i64, next: &dyn Continue) -> Result<Performed, StoreError>;
}

macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)+) => {
        #[async_trait]
        impl<S: WorkflowStore + ?Sized> WorkflowStore for Arc<S> {
            $(async fn $name(&self, $($argument: $type),*) -> Result<$result, StoreError> {
                (**self).$name($($argument),*).await
            })+
        }
    };
}

forward! {
    save(scope: &Scope, save: &Save) -> Saved;
    workflow(scope: &Scope, name: &str) -> Option<Workflow>;
    workflows(scope: &Scope, page: &PageRequest) -> Page<Workflow>;
    listeners(scope: &Scope, occasion: Occasion<'_>, page: &PageRequest) -> Page<Workflow>;
    version(scope: &Scope, name: &str, number: u64) -> Option<Version>;
    versions(scope: &Scope, name: &str, page: &PageRequest) -> Page<Version>;
    forget_versions(scope: &Scope, name: &str, numbers: &[u64]) -> Vec<u64>;
    start(scope: &Scope, run: RunRecord, entries: Vec<Entry>, due: Option<Timestamp>, held: Option<Timestamp>) -> bool;
    run(scope: &Scope, id: Uuid) -> Option<RunRecord>;
    runs(scope: &Scope, filter: &RunFilter, page: &PageRequest) -> Page<RunRecord>;
    history(scope: &Scope, id: Uuid, after: u64, limit: u32) -> Vec<Entry>;
    send(scope: &Scope, id: Uuid, message: &Message, now: Timestamp) -> Option<i64>;
    claim(now: Timestamp, until: Timestamp, limit: u32) -> Vec<Claimed>;
    checkpoint(batch: Vec<Checkpoint>) -> Vec<Kept>;
    extend(held: &[(TenantId, Uuid, i64)], until: Timestamp) -> Vec<Uuid>;
    perform(call: &Call, fence: i64, next: &dyn Continue) -> Performed;
}

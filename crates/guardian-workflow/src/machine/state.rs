//! What a run is in between its steps: everything that is kept, and nothing that is not.

use std::collections::VecDeque;
use std::sync::Arc;

use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::action::Failure;

/// The state of a run: positions, variables, loop counters, timers. As JSON it is what a checkpoint holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunState {
    /// How it stands.
    pub status: Status,
    /// Whether it was told to pause.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// When it began.
    pub started: Timestamp,
    /// The result or the failure, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    pub(crate) tokens: Vec<Token>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) joins: Vec<JoinState>,
    pub(crate) scopes: Vec<ScopeState>,
    pub(crate) next_id: u32,
    /// Nodes that were entered.
    pub(crate) steps: u64,
    /// Entries of the history.
    pub(crate) entries: u64,
    /// What would undo what was done, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) undo: Vec<Undo>,
    /// Signals that nobody waited for yet.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(crate) inbox: VecDeque<(String, Value)>,
    /// The number of the last message that was taken in.
    #[serde(default)]
    pub(crate) seen: i64,
    /// The version to which it goes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) migrating: Option<u64>,
    /// It is being cancelled, for this reason, and whether what was done is undone then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ending: Option<(String, bool)>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// It goes on, or waits.
    Running,
    /// It undoes what it did.
    Compensating,
    /// It ended well.
    Completed,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl Status {
    /// Whether nothing more happens, unless somebody says so.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The status as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Compensating => "compensating",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// With this result.
    Result(Value),
    /// With this failure.
    Failure(Failure),
    /// It was cancelled, for this reason.
    Cancelled(String),
}

/// A place at which a run stands. Parallel branches have one each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) id: u32,
    pub(crate) scope: u32,
    /// What it reports to at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) join: Option<u32>,
    /// Which branch or element of that it is.
    #[serde(default)]
    pub(crate) branch: u32,
    pub(crate) at: u32,
    pub(crate) phase: Phase,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) frames: Vec<Frame>,
    /// How often each `repeat` led back, with the number of frames around it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) repeats: Vec<(u32, u32, u32)>,
    pub(crate) attempt: u32,
    /// The number of the step at which it entered its node.
    pub(crate) visit: u64,
    pub(crate) entered: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) undo: Option<Undo>,
}

/// What a token is doing at its node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// It is about to enter the node.
    Ready,
    /// The host does something.
    Running {
        params: Value,
        deadline: Option<Timestamp>,
    },
    /// The next attempt comes then.
    Backoff {
        params: Value,
        until: Timestamp,
    },
    Sleeping {
        until: Timestamp,
    },
    Listening {
        until: Option<Timestamp>,
    },
    Approving {
        prompt: Value,
        approvers: Value,
        until: Option<Timestamp>,
    },
    /// The whole of a `try` is tried again then.
    Again {
        until: Timestamp,
    },
    /// Its branches, elements or sub-workflow go on.
    Joining,
    /// The definition of a sub-workflow is being fetched.
    Loading {
        input: Value,
    },
}

/// What a token is within, at its node's part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Frame {
    Each {
        node: u32,
        index: u32,
        items: Arc<Vec<Value>>,
        collected: Vec<Value>,
        /// Bytes of what was collected.
        #[serde(default)]
        bytes: u64,
        /// The variables that each element has for itself.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        own: Map<String, Value>,
    },
    While {
        node: u32,
        count: u32,
    },
    /// One element of a loop whose elements go side by side.
    Item {
        node: u32,
        index: u32,
        item: Value,
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        own: Map<String, Value>,
    },
    Try {
        node: u32,
        stage: Stage,
        /// Which attempt at the body it is.
        #[serde(default = "first", skip_serializing_if = "is_first")]
        attempt: u32,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    Body,
    Handler,
    /// With what happens after it; nothing if all went well.
    Finally(Option<Box<Pending>>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pending {
    Fail(Failure),
    End(Value),
    /// The token is on its way out.
    Out,
}

fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first(attempt: &u32) -> bool {
    *attempt == 1
}

impl Frame {
    /// The loop and the variables that its element has for itself.
    pub(crate) fn own(&self) -> Option<(u32, &Map<String, Value>)> {
        match self {
            Self::Each { node, own, .. } | Self::Item { node, own, .. } => Some((*node, own)),
            Self::While { .. } | Self::Try { .. } => None,
        }
    }

    pub(crate) fn own_mut(&mut self) -> Option<&mut Map<String, Value>> {
        match self {
            Self::Each { own, .. } | Self::Item { own, .. } => Some(own),
            Self::While { .. } | Self::Try { .. } => None,
        }
    }

    /// Whether it is what comes last on the way of a token that leaves.
    pub(crate) fn leads_out(&self) -> bool {
        matches!(self, Self::Try { stage: Stage::Finally(Some(pending)), .. } if **pending == Pending::Out)
    }

    /// Bytes of these variables.
    pub(crate) fn own_bytes(&self) -> u64 {
        self.own().map_or(0, |(_, own)| bytes_of(own))
    }
}

/// Bytes of variables.
pub(crate) fn bytes_of(variables: &Map<String, Value>) -> u64 {
    variables.iter().map(|(name, value)| name.len() as u64 + weight(value)).sum()
}

/// Branches that go on side by side, and for what the token at the node waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct JoinState {
    pub(crate) id: u32,
    /// The token that waits.
    pub(crate) token: u32,
    pub(crate) kind: JoinKind,
    pub(crate) total: u32,
    pub(crate) done: u32,
    pub(crate) failed: u32,
    /// How the token that waits goes on once what is below has left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closing: Option<Box<Closing>>,
}

impl JoinState {
    pub(crate) fn new(id: u32, token: u32, kind: JoinKind, total: u32) -> Self {
        Self { id, token, kind, total, done: 0, failed: 0, closing: None }
    }
}

/// How a token goes on behind branches that are taken out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Closing {
    Release,
    Raise(Failure),
    Finish(Value),
    Sub(Result<Value, Failure>),
    /// It leaves as well.
    Out,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JoinKind {
    /// So many have to end well.
    Need(u32),
    Race,
    Sub,
    /// Elements of a loop: which comes next, and what was gathered.
    Each {
        items: Arc<Vec<Value>>,
        next: u32,
        collected: Vec<Value>,
        /// Bytes of what was collected.
        #[serde(default)]
        bytes: u64,
    },
}

/// A workflow with its variables: the run's own, or a sub-workflow's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScopeState {
    pub(crate) id: u32,
    pub(crate) workflow: Arc<str>,
    pub(crate) version: u64,
    pub(crate) depth: u32,
    pub(crate) input: Value,
    pub(crate) variables: Map<String, Value>,
    /// Bytes of the variables.
    pub(crate) bytes: u64,
}

/// What undoes an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Undo {
    pub(crate) node: Arc<str>,
    pub(crate) action: Arc<str>,
    pub(crate) params: Value,
}

impl RunState {
    pub(crate) fn token(&self, id: u32) -> Option<&Token> {
        self.tokens.iter().find(|token| token.id == id)
    }

    pub(crate) fn token_mut(&mut self, id: u32) -> Option<&mut Token> {
        self.tokens.iter_mut().find(|token| token.id == id)
    }

    pub(crate) fn scope(&self, id: u32) -> Option<&ScopeState> {
        self.scopes.iter().find(|scope| scope.id == id)
    }

    pub(crate) fn scope_mut(&mut self, id: u32) -> Option<&mut ScopeState> {
        self.scopes.iter_mut().find(|scope| scope.id == id)
    }

    pub(crate) fn join_mut(&mut self, id: u32) -> Option<&mut JoinState> {
        self.joins.iter_mut().find(|join| join.id == id)
    }

    pub(crate) fn fresh(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    /// The variables of the run's own workflow.
    #[must_use]
    pub fn variables(&self) -> &Map<String, Value> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        self.scopes.first().map_or(&NONE, |scope| &scope.variables)
    }

    /// The input that the run was given.
    #[must_use]
    pub fn input(&self) -> &Value {
        self.scopes.first().map_or(&Value::Null, |scope| &scope.input)
    }

    /// The workflow that runs and its version.
    pub(crate) fn version(&self) -> u64 {
        self.scopes.first().map_or(0, |scope| scope.version)
    }

    /// When somebody has to look at it again; `None` if only a message can make it go on.
    pub(crate) fn due(&self, now: Timestamp, run_time: Option<Timestamp>) -> Option<Timestamp> {
        if self.status.is_final() {
            return None;
        }
        if self.migrating.is_some() {
            return Some(now);
        }
        if self.paused {
            return run_time;
        }
        self.tokens.iter().filter_map(|token| token.due(now)).chain(run_time).min()
    }
}

impl Token {
    fn due(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.phase {
            Phase::Ready | Phase::Running { .. } | Phase::Loading { .. } => Some(now),
            Phase::Backoff { until, .. } | Phase::Sleeping { until } | Phase::Again { until } => Some(*until),
            Phase::Listening { until } | Phase::Approving { until, .. } => *until,
            Phase::Joining => None,
        }
    }
}

/// Values of a run nest no deeper: JSON that nests deeper than 128 cannot be read again, and the state is around them.
pub(crate) const MAX_NESTING: u32 = 64;

/// About how many bytes a value has as JSON. What nests too deeply to be kept counts as nothing there.
pub(crate) fn weight(value: &Value) -> u64 {
    weigh(value, MAX_NESTING).0
}

/// Whether a value nests too deeply to be kept.
pub(crate) fn is_too_deep(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_)) && weigh(value, MAX_NESTING).1
}

/// The bytes, and whether it nests deeper than so many levels.
fn weigh(value: &Value, levels: u32) -> (u64, bool) {
    let inner = |value: &Value| match levels.checked_sub(1) {
        Some(levels) => weigh(value, levels),
        None => (0, true),
    };
    let add = |(sum, deep): (u64, bool), (more, deeper): (u64, bool)| (sum + more, deep || deeper);
    match value {
        Value::Null | Value::Bool(_) => (5, false),
        Value::Number(_) => (8, false),
        Value::String(text) => (2 + text.len() as u64, false),
        Value::Array(items) => items.iter().map(|item| add((1, false), inner(item))).fold((2, false), add),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| add((4 + name.len() as u64, false), inner(member)))
            .fold((2, false), add),
    }
}

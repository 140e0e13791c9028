//! What the host can do for a workflow.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Scope, Timestamp};
use guardian_expr::Type;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::definition::NodeId;
use crate::environment;
use crate::error::Error;

/// What an action is called, what it takes, and what it gives.
///
/// ```
/// use guardian_workflow::{ActionSpec, Catalog};
/// use serde_json::json;
///
/// let catalog = Catalog::new()
///     .with(ActionSpec::new("send_email")
///         .parameters(json!({"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}))
///         .result(json!({"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]})))?;
/// assert!(catalog.get("send_email").is_some());
/// # Ok::<(), guardian_workflow::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActionSpec {
    /// The name by which definitions call it.
    pub name: String,
    /// The JSON Schema of its parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// The JSON Schema of its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Whether it happens within the transaction of the checkpoint, exactly once.
    #[serde(default)]
    pub transactional: bool,
}

impl ActionSpec {
    /// An action that takes and gives anything.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), parameters: None, result: None, transactional: false }
    }

    /// With the schema of its parameters.
    #[must_use]
    pub fn parameters(mut self, schema: Value) -> Self {
        self.parameters = Some(schema);
        self
    }

    /// With the schema of its result.
    #[must_use]
    pub fn result(mut self, schema: Value) -> Self {
        self.result = Some(schema);
        self
    }

    /// It happens within the transaction of the checkpoint.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.transactional = true;
        self
    }
}

/// The actions that definitions may use.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    spec: ActionSpec,
    result: Type,
}

impl Catalog {
    /// No actions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With an action, which replaces an earlier one of this name.
    ///
    /// # Errors
    /// When the schema of its result is no schema.
    pub fn with(mut self, spec: ActionSpec) -> Result<Self, Error> {
        let result = match &spec.result {
            Some(schema) => environment::type_of(schema)
                .map_err(|error| Error::definition(format!("the action `{}`: {error}", spec.name)))?,
            None => Type::Dyn,
        };
        self.entries.insert(spec.name.clone(), Entry { spec, result });
        Ok(self)
    }

    /// The action of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ActionSpec> {
        self.entries.get(name).map(|entry| &entry.spec)
    }

    /// All actions, by their names.
    pub fn iter(&self) -> impl Iterator<Item = &ActionSpec> {
        self.entries.values().map(|entry| &entry.spec)
    }

    pub(crate) fn result_type(&self, name: &str) -> Type {
        self.entries.get(name).map_or(Type::Dyn, |entry| entry.result.clone())
    }

    /// The name that was probably meant.
    pub(crate) fn nearest(&self, name: &str) -> Option<&str> {
        let near = |known: &&String| distance(known, name) <= 1 + name.len() / 4;
        self.entries.keys().filter(near).min_by_key(|known| distance(known, name)).map(String::as_str)
    }
}

/// How many letters have to be changed.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (place, y) in row.iter_mut().skip(1).zip(&b) {
            let cost = diagonal + usize::from(x != *y);
            diagonal = *place;
            left = cost.min(left + 1).min(diagonal + 1);
            *place = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// A failure: of an action, of a node, of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct Failure {
    /// What kind, for retry rules and `catch`: a name of the host's, or `timeout`, `expression`, `limit.…`, `rejected`.
    pub code: String,
    /// What went wrong, for people.
    pub message: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// What the host adds.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

impl Failure {
    /// A failure of this kind.
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), node: None, data: Value::Null }
    }

    /// With particulars.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    pub(crate) fn at(mut self, node: &str) -> Self {
        if self.node.is_none() {
            self.node = NodeId::new(node).ok();
        }
        self
    }

    pub(crate) fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// One attempt at an action: everything that the host is told.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Call {
    /// The tenant whose run it is, and the actor [`Actor::workflow`](guardian_core::Actor::workflow), `service:workflow`: it has the
    /// permissions that the tenant's roles give it, and no others. It is neither who started the run, nor who wrote or published
    /// the workflow, and never the system.
    pub scope: Scope,
    /// The run.
    pub run: Uuid,
    /// The node.
    pub node: NodeId,
    /// The action.
    pub action: Arc<str>,
    /// What it is given.
    pub params: Value,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The same for every repetition of this attempt after a crash, and for nothing else: run, node, iteration, attempt.
    pub key: String,
    /// When the attempt counts as timed out.
    pub deadline: Option<Timestamp>,
}

/// An action of the host.
///
/// It may be called again with the same [`Call::key`] after a crash: an effect outside of the database has to know keys that
/// it has seen, or be harmless when repeated.
#[async_trait]
pub trait Action: Send + Sync + fmt::Debug + 'static {
    /// Does it.
    ///
    /// # Errors
    /// A failure that retry rules and `catch` may know by its code.
    async fn run(&self, call: &Call) -> Result<Value, Failure>;
}

/// A function as an action.
pub(crate) struct FnAction<F>(pub(crate) F);

impl<F> fmt::Debug for FnAction<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnAction")
    }
}

#[async_trait]
impl<F> Action for FnAction<F>
where
    F: Fn(&Call) -> Result<Value, Failure> + Send + Sync + 'static,
{
    async fn run(&self, call: &Call) -> Result<Value, Failure> {
        (self.0)(call)
    }
}

/// The actions of a host: what they are and what they do.
///
/// ```
/// use guardian_workflow::{ActionSpec, Actions};
/// use serde_json::json;
///
/// let actions = Actions::new().with_fn(ActionSpec::new("double"), |call| {
///     Ok(json!(call.params["n"].as_i64().unwrap_or(0) * 2))
/// })?;
/// assert!(actions.catalog().get("double").is_some());
/// # Ok::<(), guardian_workflow::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Actions {
    catalog: Catalog,
    actions: BTreeMap<String, Arc<dyn Action>>,
}

impl Actions {
    /// No actions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With an action, which replaces an earlier one of this name.
    ///
    /// # Errors
    /// When the schema of its result is no schema.
    pub fn with(mut self, spec: ActionSpec, action: impl Action) -> Result<Self, Error> {
        self.actions.insert(spec.name.clone(), Arc::new(action));
        self.catalog = self.catalog.with(spec)?;
        Ok(self)
    }

    /// With a function as an action.
    ///
    /// # Errors
    /// As for [`Self::with`].
    pub fn with_fn<F>(self, spec: ActionSpec, action: F) -> Result<Self, Error>
    where
        F: Fn(&Call) -> Result<Value, Failure> + Send + Sync + 'static,
    {
        self.with(spec, FnAction(action))
    }

    /// With an action that the store does within the transaction of the checkpoint; its code is registered there.
    ///
    /// # Errors
    /// As for [`Self::with`].
    pub fn with_transactional(mut self, spec: ActionSpec) -> Result<Self, Error> {
        self.catalog = self.catalog.with(spec.transactional())?;
        Ok(self)
    }

    /// What the actions are.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<dyn Action>> {
        self.actions.get(name)
    }

    pub(crate) fn is_transactional(&self, name: &str) -> bool {
        self.catalog.get(name).is_some_and(|spec| spec.transactional)
    }
}

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::identifier::{Port, VariableName};
use super::span::Span;

/// A step of a workflow: what people call it, and what it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Node {
    /// What people call it; its id serves where nothing is said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A note for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What it does.
    #[serde(flatten)]
    pub kind: NodeKind,
}

impl Node {
    /// A node without a name.
    #[must_use]
    pub fn new(kind: NodeKind) -> Self {
        Self { name: String::new(), note: String::new(), kind }
    }

    /// The same node with a name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

impl<'de> Deserialize<'de> for Node {
    /// Not `flatten`, with which no field could be unknown.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let mut members = Map::deserialize(deserializer)?;
        let mut text = |name: &str| match members.remove(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(D::Error::custom(format!("the `{name}` of a node is a text"))),
        };
        let (name, note) = (text("name")?, text("note")?);
        let kind = serde_json::from_value(Value::Object(members)).map_err(D::Error::custom)?;
        Ok(Self { name, note, kind })
    }
}

/// What a node does. Ports are named in each; a port without an edge ends the part of the run that came there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum NodeKind {
    /// Has the host do something. Ports: `next`, and `error` where an edge is there for failures.
    Action {
        /// The name under which the host registered it.
        action: String,
        /// What it is given; texts that begin with `=` are expressions, at any depth.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        params: Value,
        /// The variable that gets its result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<VariableName>,
        /// What is done about failures; the first rule that knows the failure's code counts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        retry: Vec<Retry>,
        /// How long one attempt may take.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout: Option<Span>,
        /// What undoes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        compensate: Option<Compensate>,
    },
    /// Goes to the port of the first branch that holds, else to `else`.
    Condition {
        /// The branches in the order in which they are tried.
        branches: Vec<Branch>,
    },
    /// Goes to the port of the first case that equals a value, else to `default`.
    Switch {
        /// The expression whose value is looked for.
        on: String,
        /// The cases.
        cases: Vec<Case>,
    },
    /// Repeats `body` for each element of a list, then goes to `next`.
    ForEach {
        /// An expression whose value is a list.
        items: String,
        /// The name of the element within the body.
        r#as: VariableName,
        /// The name of its number from 0 within the body.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<VariableName>,
        /// How many elements at the same time; 1 where nothing is said.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        concurrency: u32,
        /// The most elements; the workflow's limit where nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u32>,
        /// What is gathered of each iteration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        collect: Option<Collect>,
        /// The variables that each element has for itself: they begin with their first values, and what an element makes of
        /// them ends with it. With them elements that go side by side may set variables.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        own: BTreeSet<VariableName>,
    },
    /// Repeats `body` while a condition holds, then goes to `next`.
    While {
        /// The condition, looked at before each iteration.
        when: String,
        /// The most iterations; more are a failure.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u32>,
    },
    /// Goes back to an earlier node of the same part, a bounded number of times. Port: `next`.
    Repeat {
        /// How often at most; once more is a failure.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u32>,
    },
    /// Goes along all branches side by side, then to `next`.
    Parallel {
        /// The ports at which the branches begin.
        branches: Vec<Port>,
        /// For how many of them it waits; those that are left over are dropped.
        #[serde(default, skip_serializing_if = "Join::is_all")]
        join: Join,
    },
    /// Goes along all branches side by side; the first one that ends, well or not, counts, and the others are dropped.
    Race {
        /// The ports at which the branches begin.
        branches: Vec<Port>,
    },
    /// Waits. Ports: `next`, and `timeout` for a signal that did not come.
    Wait {
        /// For what.
        r#for: Wait,
    },
    /// Waits until somebody decides. Ports: `approved`, `rejected`, `timeout`.
    Approval {
        /// What is asked; a text that begins with `=` is an expression.
        prompt: String,
        /// Who may decide, in words of the host: the ids of roles or people; an expression or a list.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        approvers: Value,
        /// How long it waits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout: Option<Span>,
        /// The variable that gets `{approved, by, comment}`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<VariableName>,
    },
    /// Runs another workflow and waits for its end. Ports: `next`, and `error`.
    SubWorkflow {
        /// Its name.
        workflow: String,
        /// Which of its versions; the published one where nothing is said.
        #[serde(default, skip_serializing_if = "SubVersion::is_published")]
        version: SubVersion,
        /// Its input.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        input: Value,
        /// The variable that gets its result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<VariableName>,
    },
    /// Gives variables values, all computed before the first is set.
    Set {
        /// The values; texts that begin with `=` are expressions, at any depth.
        values: BTreeMap<VariableName, Value>,
    },
    /// Goes along `body`; a failure in it goes to the port of the first `catch` that knows its code; then `finally`, then
    /// `next`.
    Try {
        /// What is caught.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        catch: Vec<Catch>,
        /// What is done about failures before they are caught: the whole body is tried again. The first rule that knows the
        /// failure's code counts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        retry: Vec<Retry>,
    },
    /// Completes the workflow, wherever it stands.
    End {
        /// The result; texts that begin with `=` are expressions, at any depth.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
    },
    /// Fails; a `try` around it may catch that.
    Fail {
        /// The failure's code; a text that begins with `=` is an expression.
        code: String,
        /// What went wrong, for people; a text that begins with `=` is an expression.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
    },
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(number: &u32) -> bool {
    *number == 1
}

impl NodeKind {
    /// The name of the type, as in JSON.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Action { .. } => "action",
            Self::Condition { .. } => "condition",
            Self::Switch { .. } => "switch",
            Self::ForEach { .. } => "for_each",
            Self::While { .. } => "while",
            Self::Repeat { .. } => "repeat",
            Self::Parallel { .. } => "parallel",
            Self::Race { .. } => "race",
            Self::Wait { .. } => "wait",
            Self::Approval { .. } => "approval",
            Self::SubWorkflow { .. } => "sub_workflow",
            Self::Set { .. } => "set",
            Self::Try { .. } => "try",
            Self::End { .. } => "end",
            Self::Fail { .. } => "fail",
        }
    }

    /// The ports that lead to parts of its own, after which it goes on itself: bodies, branches, handlers.
    #[must_use]
    pub fn inner_ports(&self) -> Vec<Port> {
        match self {
            Self::ForEach { .. } | Self::While { .. } => vec![Port::body()],
            Self::Parallel { branches, .. } | Self::Race { branches } => branches.clone(),
            Self::Try { catch, .. } => {
                let handlers = catch.iter().map(|each| each.port.clone());
                [Port::body()].into_iter().chain(handlers).chain([Port::finally()]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether it has this port, inner or outer.
    pub(crate) fn has_port(&self, port: &Port) -> bool {
        let name = port.as_str();
        match self {
            Self::Action { .. } | Self::SubWorkflow { .. } => matches!(name, "next" | "error"),
            Self::ForEach { .. } | Self::While { .. } => matches!(name, "next" | "body"),
            Self::Condition { branches } => {
                name == "else" || branches.iter().any(|branch| branch.port == *port)
            }
            _ => self.inner_ports().contains(port) || self.outer_ports().contains(port),
        }
    }

    /// The ports from which it goes on in the part in which it stands.
    #[must_use]
    pub fn outer_ports(&self) -> Vec<Port> {
        match self {
            Self::Action { .. } | Self::SubWorkflow { .. } => vec![Port::next(), Port::error()],
            Self::Condition { branches } => {
                branches.iter().map(|branch| branch.port.clone()).chain([Port::otherwise()]).collect()
            }
            Self::Switch { cases, .. } => {
                cases.iter().map(|case| case.port.clone()).chain([Port::default_case()]).collect()
            }
            Self::Wait { r#for: Wait::Signal(Until { timeout: Some(_), .. }) } => {
                vec![Port::next(), Port::timeout()]
            }
            Self::Approval { .. } => vec![Port::approved(), Port::rejected(), Port::timeout()],
            Self::End { .. } | Self::Fail { .. } => Vec::new(),
            _ => vec![Port::next()],
        }
    }
}

/// A branch of a condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "two fields in the format, and hosts write them")]
pub struct Branch {
    /// Where it goes on.
    pub port: Port,
    /// The condition, an expression.
    pub when: String,
}

/// A case of a switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "two fields in the format, and hosts write them")]
pub struct Case {
    /// The value.
    pub equals: Value,
    /// Where it goes on.
    pub port: Port,
}

/// What a loop gathers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "two fields in the format, and hosts write them")]
pub struct Collect {
    /// The value of an iteration at its end, an expression.
    pub value: String,
    /// The variable that gets the list.
    pub output: VariableName,
}

/// For how many branches a parallel node waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Join {
    /// All; the first failure fails the node.
    #[default]
    All,
    /// The first one that ends well.
    Any,
    /// So many that end well.
    AtLeast(u32),
}

impl Join {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_all(&self) -> bool {
        *self == Self::All
    }
}

/// What a node waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Wait {
    /// A length of time, `5m`; or an expression for a duration, a number of seconds or such a text.
    Duration(String),
    /// A point in time of RFC 3339, or an expression for one.
    Until(String),
    /// A signal.
    Signal(Until),
}

/// Until a signal comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Until {
    /// The signal's name.
    pub name: String,
    /// A condition on `event`, the signal's payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// How long it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// The variable that gets the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<VariableName>,
}

impl Until {
    /// Until a signal of this name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), filter: None, timeout: None, output: None }
    }
}

/// Which version of a sub-workflow runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SubVersion {
    /// The one that is published when the node is reached.
    #[default]
    Published,
    /// The one with this number.
    Number(u64),
}

impl SubVersion {
    fn is_published(&self) -> bool {
        *self == Self::Published
    }
}

/// What is done about failures of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Retry {
    /// The codes that it knows; a last `*` stands for any text.
    #[serde(default = "any_code")]
    pub on: Vec<String>,
    /// Attempts in all, the first one included.
    pub attempts: u32,
    /// The wait before the second attempt.
    #[serde(default = "one_second")]
    pub interval: Span,
    /// By how much each wait is longer than the one before.
    #[serde(default = "two", skip_serializing_if = "is_two")]
    pub backoff: f64,
    /// The longest wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_interval: Option<Span>,
    /// Whether waits are shortened at random, so that those who failed together do not come back together.
    #[serde(default, skip_serializing_if = "Jitter::is_none")]
    pub jitter: Jitter,
}

fn any_code() -> Vec<String> {
    vec!["*".to_owned()]
}

fn one_second() -> Span {
    Span::from_secs(1)
}

fn two() -> f64 {
    2.0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::float_cmp,
    reason = "serde passes a reference; 2 is exact"
)]
fn is_two(number: &f64) -> bool {
    *number == 2.0
}

impl Retry {
    /// So many attempts in all, whatever the failure; a second before the second one, and twice as long each time.
    #[must_use]
    pub fn attempts(attempts: u32) -> Self {
        Self {
            on: any_code(),
            attempts,
            interval: one_second(),
            backoff: 2.0,
            max_interval: None,
            jitter: Jitter::None,
        }
    }
}

/// How waits are made uneven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Jitter {
    /// Not at all.
    #[default]
    None,
    /// Anything from nothing to the whole wait. The draw depends on run, node and attempt alone, so a replay waits alike.
    Full,
}

impl Jitter {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// What undoes an action that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Compensate {
    /// The action.
    pub action: String,
    /// What it is given, computed when the action was done; it may use `outcome`, the result of that.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub params: Value,
}

impl Compensate {
    /// With this action and what it is given.
    #[must_use]
    pub fn new(action: impl Into<String>, params: Value) -> Self {
        Self { action: action.into(), params }
    }
}

/// What a `try` catches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Catch {
    /// The codes that it knows; a last `*` stands for any text.
    #[serde(default = "any_code")]
    pub on: Vec<String>,
    /// Where it goes on.
    pub port: Port,
    /// The variable that gets `{code, message, node, data}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<VariableName>,
}

impl Catch {
    /// Everything, at this port.
    #[must_use]
    pub fn all(port: Port) -> Self {
        Self { on: any_code(), port, output: None }
    }
}

/// Whether one of the patterns knows the code.
pub(crate) fn knows(patterns: &[String], code: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => code.starts_with(prefix),
        None => pattern == code,
    })
}

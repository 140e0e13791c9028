//! Whether a definition makes sense, before anything runs.

use std::fmt;

use serde::Serialize;

use crate::action::Catalog;
use crate::definition::{Definition, NodeId};
use crate::plan::{self, Strictness};

pub(crate) mod flow;
pub(crate) mod graph;
pub(crate) mod secrets;

/// What validation found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The findings: those of the whole first, then by node.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing found keeps the definition from being saved.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.errors().next().is_none()
    }

    /// What keeps it from being saved.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error)
    }

    /// What is allowed and probably not meant.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Warning)
    }

    /// The findings of one code.
    pub fn of(&self, code: Code) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.code == code)
    }

    pub(crate) fn first(&self) -> String {
        self.errors().next().map(ToString::to_string).unwrap_or_default()
    }

    pub(crate) fn add(
        &mut self,
        code: Code,
        node: Option<&NodeId>,
        message: String,
        mend: impl Into<String>,
    ) {
        self.add_at(code, node, String::new(), message, mend);
    }

    pub(crate) fn add_at(
        &mut self,
        code: Code,
        node: Option<&NodeId>,
        path: String,
        message: String,
        mend: impl Into<String>,
    ) {
        // A definition that is wrong everywhere need not be told more than anybody reads.
        if self.findings.len() < 1000 {
            let severity = code.severity();
            self.findings.push(Finding {
                code,
                severity,
                node: node.cloned(),
                path,
                message,
                mend: mend.into(),
            });
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings.iter().try_for_each(|finding| {
            let severity = if finding.severity == Severity::Error { "error" } else { "warning" };
            writeln!(f, "{severity}[{}] {finding}\n  mend: {}", finding.code, finding.mend)
        })
    }
}

/// One thing that is wrong, or probably not meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What kind.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// At which node; `None` for the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// Where in the node, as a JSON pointer; empty for the node as a whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would mend it.
    pub mend: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "`{node}`{}: {}", self.path, self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// The definition cannot be saved.
    Error,
    /// It can, but is probably not meant.
    Warning,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal $severity:ident,)+) => {
        /// The kinds of findings; as text in snake case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)+
        }

        impl Code {
            /// The code as text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// How bad such a finding is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)+ }
            }
        }
    };
}

codes! {
    /// The start is no node.
    UnknownStart = "unknown_start" Error,
    /// An edge begins or ends at no node.
    DanglingEdge = "dangling_edge" Error,
    /// An edge begins at a port that its node does not have.
    UnknownPort = "unknown_port" Error,
    /// Two edges begin at one port.
    PortTaken = "port_taken" Error,
    /// Two branches of a node have the same port, or one has a name with a meaning of its own.
    DuplicatePort = "duplicate_port" Error,
    /// Nothing leads to a node.
    Unreachable = "unreachable" Error,
    /// Edges lead back without a loop node.
    Cycle = "cycle" Error,
    /// From a node no end can be reached.
    NoEnd = "no_end" Error,
    /// An edge leads into or out of a loop's body, a branch or a handler.
    CrossesParts = "crosses_parts" Error,
    /// Parts are nested too deeply.
    TooDeep = "too_deep" Error,
    /// A `repeat` does not lead back.
    RepeatForward = "repeat_forward" Error,
    /// A loop has no bound, or one beyond the workflow's limit.
    UnboundedLoop = "unbounded_loop" Error,
    /// A loop without a body, a node without branches.
    Empty = "empty" Error,
    /// A switch without an edge for what fits no case.
    MissingDefault = "missing_default" Warning,
    /// A `try` that catches nothing and has no `finally`.
    UselessTry = "useless_try" Warning,
    /// An expression that is none.
    Syntax = "syntax" Error,
    /// An expression whose types do not fit.
    TypeError = "type_error" Error,
    /// A variable that is not set on some way to where it is used.
    MaybeUnset = "maybe_unset" Error,
    /// Branches that run side by side set the same variable.
    ParallelWrite = "parallel_write" Error,
    /// An action that the host does not have.
    UnknownAction = "unknown_action" Error,
    /// Parameters that do not fit the action's schema.
    Parameters = "parameters" Error,
    /// Something that looks like a secret stands in the definition.
    SecretLiteral = "secret_literal" Error,
    /// A secret that the definition does not name.
    UnknownSecret = "unknown_secret" Error,
    /// A text that is no duration or time.
    InvalidTime = "invalid_time" Error,
    /// A value that is out of bounds.
    OutOfBounds = "out_of_bounds" Error,
    /// A schema that is none.
    InvalidSchema = "invalid_schema" Error,
    /// A first value that does not fit the variable's schema.
    InvalidValue = "invalid_value" Error,
    /// A condition that is always true or never, or other suspicious expressions.
    Suspicious = "suspicious" Warning,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says what is wrong with a definition, and what would mend it. O(nodes + edges + length of expressions).
///
/// ```
/// use guardian_workflow::{Catalog, Code, Definition, validate};
///
/// let definition = Definition::from_json(r#"{"schema": 1, "name": "x", "start": "a", "nodes": {
///     "a": {"type": "action", "action": "send_mail"}, "b": {"type": "end"}}}"#)?;
/// let report = validate(&definition, &Catalog::new());
/// assert_eq!(report.of(Code::UnknownAction).count(), 1);
/// assert_eq!(report.of(Code::Unreachable).count(), 1);
/// # Ok::<(), guardian_workflow::Error>(())
/// ```
#[must_use]
pub fn validate(definition: &Definition, catalog: &Catalog) -> Report {
    plan::compile(definition, catalog, Strictness::Full).0
}

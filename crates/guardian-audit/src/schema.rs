use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::error::InvalidEvent;
use crate::event::AuditEvent;

/// What the events of an action must look like: a JSON Schema for each, held against an event before anything of it is stored.
///
/// A schema sees the event as JSON as the host gives it, before redaction: `metadata`, `target`, `changes` and the others by the
/// names of [`AuditEvent`]'s fields, absent ones left out. Drafts 4 to 2020-12 are known; without `$schema` it is 2020-12.
/// References lead within the schema only. Patterns are matched in time that does not grow with the pattern's cunning, so they
/// know no backreferences.
///
/// ```
/// use guardian_audit::store::MemoryStore;
/// use guardian_audit::{AuditConfig, AuditEvent, AuditLog, Schemas};
/// use guardian_core::{Scope, TenantId};
/// use serde_json::json;
///
/// let schemas = Schemas::new().with_action("invoice.paid", &json!({
///     "required": ["target", "metadata"],
///     "properties": { "metadata": {
///         "required": ["amount"],
///         "properties": { "amount": { "type": "number", "minimum": 0 } },
///         "additionalProperties": false,
///     } },
/// }))?;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let log = AuditLog::new(MemoryStore::new(), AuditConfig::default().with_schemas(schemas));
/// let scope = Scope::system(TenantId::new("acme")?);
/// let event = AuditEvent::new("invoice.paid")
///     .with_target(guardian_audit::Target::new("invoice", "i_7"))
///     .with_metadata("amount", "a lot");
/// let error = log.record(&scope, event).await.unwrap_err();
/// assert_eq!(error.to_string(), "invalid event `invoice.paid`: `/metadata/amount`: value is not of type \"number\"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Schemas {
    of: HashMap<String, Arc<Validator>>,
    only_known: bool,
}

impl Schemas {
    /// No schemas: every event is taken.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with this schema for the events of this action, in the place of an earlier one.
    ///
    /// # Errors
    /// When it is no JSON Schema, or refers to another document.
    pub fn with_action(mut self, action: &str, schema: &Value) -> Result<Self, InvalidSchema> {
        let validator = jsonschema::options()
            .with_pattern_options(PatternOptions::regex())
            .build(schema)
            .map_err(|error| InvalidSchema { action: action.to_owned(), why: error.to_string() })?;
        self.of.insert(action.to_owned(), Arc::new(validator));
        Ok(self)
    }

    /// The same, refusing events of actions that have no schema; those that the log records of itself are taken.
    #[must_use]
    pub fn only_known(mut self) -> Self {
        self.only_known = true;
        self
    }

    /// Whether the event is what the schema of its action says.
    ///
    /// # Errors
    /// What is wrong first, with its path in the event; the wrong value itself is not repeated.
    pub fn check(&self, event: &AuditEvent) -> Result<(), InvalidEvent> {
        let wrong = |why: String| InvalidEvent::new("event", &event.action, why);
        let Some(validator) = self.of.get(&event.action) else {
            return match self.only_known && !is_own(&event.action) {
                true => Err(wrong("the action has no schema, and only those that have are taken".to_owned())),
                false => Ok(()),
            };
        };
        let json = serde_json::to_value(event).map_err(|error| wrong(error.to_string()))?;
        validator.validate(&json).map_err(|error| {
            let path = error.instance_path().to_string();
            let path = if path.is_empty() { "/".to_owned() } else { path };
            wrong(format!("`{path}`: {}", error.masked()))
        })
    }
}

/// What the log records of itself.
fn is_own(action: &str) -> bool {
    action.starts_with("audit_log.") || action == "data_subject.erased"
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut actions: Vec<_> = self.of.keys().collect();
        actions.sort_unstable();
        f.debug_struct("Schemas").field("of", &actions).field("only_known", &self.only_known).finish()
    }
}

/// A document that is no JSON Schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema of `{action}` is none: {why}")]
pub struct InvalidSchema {
    action: String,
    why: String,
}

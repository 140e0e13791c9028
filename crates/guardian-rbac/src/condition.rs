//! Conditions of rules and grants, in the Common Expression Language.

use std::fmt;
use std::sync::{Arc, LazyLock};

use guardian_core::Timestamp;
use guardian_expr::{Budget, Env, Limits, Lookup, Program, Type, Value};
use serde::{Deserialize, Serialize};

use crate::{Error, PrincipalRef, Resource};

/// What a condition may cost: about 0.2 ms.
const COST: u64 = 20_000;
/// What it may build, in bytes.
const MEMORY: u64 = 64 << 10;
/// The longest condition, in bytes.
const MAX_BYTES: u32 = 8 << 10;

/// A condition as text, checked when it is made: `resource.amount < 10000 && context.mfa`.
///
/// It sees `principal`, `resource` and `context` (what the check was told of them; the first two have `id` and `kind` by
/// themselves), `permission` and `now`.
///
/// One that fails, because a fact is missing or it costs too much, protects: an allowing rule does not apply, a denying one
/// does.
///
/// ```
/// use guardian_rbac::Condition;
///
/// let own = Condition::new("resource.owner == principal.id")?;
/// assert_eq!(own.as_str(), "resource.owner == principal.id");
/// let error = Condition::new("resorce.owner == principal.id").unwrap_err();
/// assert!(error.to_string().starts_with("invalid condition `resorce.owner == principal.id`"));
/// # Ok::<(), guardian_rbac::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Condition {
    program: Arc<Program>,
}

impl Condition {
    /// A condition of this text.
    ///
    /// # Errors
    /// [`Error::InvalidCondition`] when it is no expression, has unknown variables, or is certainly no truth value.
    pub fn new(text: &str) -> Result<Self, Error> {
        let invalid = |source| Error::InvalidCondition { condition: guardian_core::shorten(text), source };
        let program = ENV.as_ref().map_err(|error| invalid(error.clone()))?.compile(text).map_err(invalid)?;
        match program.result_type() {
            Type::Bool | Type::Dyn => Ok(Self { program: Arc::new(program) }),
            other => {
                Err(Error::NoCondition { condition: guardian_core::shorten(text), r#type: other.to_string() })
            }
        }
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.program.source()
    }

    /// Whether it holds.
    pub(crate) fn holds(&self, facts: &Facts<'_>) -> Result<bool, guardian_expr::EvalError> {
        let budget = Budget::default().with_cost(COST).with_memory(MEMORY);
        match self.program.run(facts, budget).value? {
            Value::Bool(holds) => Ok(holds),
            other => {
                let why = format!("a condition is a `bool`, not a `{}`", other.type_name());
                Err(guardian_expr::EvalError::new(guardian_expr::ErrorKind::NoSuchOverload, why))
            }
        }
    }
}

static ENV: LazyLock<Result<Env, guardian_expr::Error>> = LazyLock::new(|| {
    Env::builder()
        .variable("principal", Type::Dyn)
        .variable("resource", Type::Dyn)
        .variable("context", Type::Dyn)
        .variable("permission", Type::String)
        .variable("now", Type::Timestamp)
        .open(false)
        .limits(Limits::default().with_max_bytes(MAX_BYTES))
        .build()
});

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Condition {}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({})", self.as_str())
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Condition {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> Self {
        condition.as_str().to_owned()
    }
}

/// What a condition is about.
pub(crate) struct Facts<'a> {
    principal: Named<'a>,
    resource: Named<'a>,
    context: Option<&'a dyn Lookup>,
    permission: &'a str,
    now: Timestamp,
}

/// A thing with an id and a kind, and what the host says about it.
struct Named<'a> {
    kind: &'a str,
    id: &'a str,
    facts: Option<&'a dyn Lookup>,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(
        (who, about): (PrincipalRef<'a>, Option<&'a dyn Lookup>),
        resource: &Resource<'a>,
        context: Option<&'a dyn Lookup>,
        permission: &'a str,
        now: Timestamp,
    ) -> Self {
        let (kind, id) = resource.own.unwrap_or(("", ""));
        let word = match who.kind {
            guardian_core::ActorKind::User => "user",
            guardian_core::ActorKind::ApiKey => "api_key",
            guardian_core::ActorKind::Service => "service",
            _ => "system",
        };
        Self {
            principal: Named { kind: word, id: who.id, facts: about },
            resource: Named { kind, id, facts: resource.facts },
            context,
            permission,
            now,
        }
    }
}

impl Lookup for Named<'_> {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "id" => Some(Value::Str(self.id)),
            "kind" => Some(Value::Str(self.kind)),
            _ => self.facts.and_then(|facts| facts.get(name)),
        }
    }

    fn names(&self) -> Vec<&str> {
        let mut names = vec!["id", "kind"];
        names.extend(self.facts.map(Lookup::names).unwrap_or_default());
        names
    }
}

/// No facts.
struct Nothing;

impl Lookup for Nothing {
    fn get(&self, _: &str) -> Option<Value<'_>> {
        None
    }

    fn names(&self) -> Vec<&str> {
        Vec::new()
    }
}

impl Lookup for Facts<'_> {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "principal" => Some(Value::Object(&self.principal)),
            "resource" => Some(Value::Object(&self.resource)),
            "context" => Some(Value::Object(self.context.unwrap_or(&Nothing))),
            "permission" => Some(Value::Str(self.permission)),
            "now" => {
                let time =
                    guardian_expr::Timestamp::new(self.now.timestamp(), self.now.timestamp_subsec_nanos());
                time.map(Value::Timestamp)
            }
            _ => None,
        }
    }

    fn names(&self) -> Vec<&str> {
        vec!["principal", "resource", "context", "permission", "now"]
    }
}

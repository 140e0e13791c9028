//! Values in which some texts are expressions.

use std::sync::Arc;

use guardian_expr::{Budget, Lookup, Program, Type};
use serde_json::{Map, Value};

use crate::action::Failure;

/// The expression that a value is, if it is one.
pub(crate) fn expression(value: &Value) -> Option<&str> {
    value.as_str().and_then(expression_text)
}

/// The expression that a text is, if it is one.
pub(crate) fn expression_text(text: &str) -> Option<&str> {
    text.strip_prefix('=')
}

/// The type of a value that is no expression itself.
pub(crate) fn literal_type(value: &Value) -> Type {
    match value {
        Value::Bool(_) => Type::Bool,
        Value::Number(number) if number.is_i64() => Type::Int,
        Value::Number(_) => Type::Double,
        Value::String(_) => Type::String,
        Value::Array(_) | Value::Object(_) | Value::Null => Type::Dyn,
    }
}

/// A value, ready to be computed.
#[derive(Debug, Clone)]
pub(crate) enum Template {
    /// Nothing in it is an expression.
    Literal(Value),
    Computed(Arc<Program>),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// Values nest no deeper than JSON that is read.
const MAX_DEPTH: u32 = 128;

impl Template {
    /// Reads a value; `compile` is asked for each expression with its place in the value, and `None` leaves null.
    pub(crate) fn new(
        value: &Value,
        path: &str,
        compile: &mut dyn FnMut(&str, &str) -> Option<Arc<Program>>,
    ) -> Self {
        Self::read(value, path, compile, 0)
    }

    fn read(
        value: &Value,
        path: &str,
        compile: &mut dyn FnMut(&str, &str) -> Option<Arc<Program>>,
        depth: u32,
    ) -> Self {
        if depth > MAX_DEPTH || !has_expression(value, 0) {
            return Self::Literal(value.clone());
        }
        match value {
            Value::String(text) => match expression_text(text) {
                Some(source) => compile(path, source).map_or(Self::Literal(Value::Null), Self::Computed),
                None => Self::Literal(value.clone()),
            },
            Value::Array(items) => {
                let read = |(index, item)| Self::read(item, &format!("{path}/{index}"), compile, depth + 1);
                Self::List(items.iter().enumerate().map(read).collect())
            }
            Value::Object(members) => {
                let mut read = Vec::with_capacity(members.len());
                for (name, member) in members {
                    let place = format!("{path}/{}", crate::diff::pointer::escape(name));
                    read.push((name.clone(), Self::read(member, &place, compile, depth + 1)));
                }
                Self::Object(read)
            }
            _ => Self::Literal(value.clone()),
        }
    }

    /// The value on these variables, within a budget for each expression; adds what it cost.
    pub(crate) fn evaluate(
        &self,
        variables: &dyn Lookup,
        budget: Budget<'_>,
        cost: &mut u64,
    ) -> Result<Value, Failure> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Computed(program) => {
                let outcome = program.run(variables, budget);
                *cost += outcome.cost;
                outcome.value.map(|value| value.to_json()).map_err(|error| failure(program, &error))
            }
            Self::List(items) => items.iter().map(|item| item.evaluate(variables, budget, cost)).collect(),
            Self::Object(members) => {
                let mut built = Map::new();
                for (name, member) in members {
                    built.insert(name.clone(), member.evaluate(variables, budget, cost)?);
                }
                Ok(Value::Object(built))
            }
        }
    }
}

fn has_expression(value: &Value, depth: u32) -> bool {
    depth <= MAX_DEPTH
        && match value {
            Value::String(text) => text.starts_with('='),
            Value::Array(items) => items.iter().any(|item| has_expression(item, depth + 1)),
            Value::Object(members) => members.values().any(|member| has_expression(member, depth + 1)),
            _ => false,
        }
}

/// The failure of an expression that has no value.
pub(crate) fn failure(program: &Program, error: &guardian_expr::EvalError) -> Failure {
    let code = if error.kind().is_limit() { "limit.expression" } else { "expression" };
    let place = error.span().and_then(|span| {
        program.source().get(span.start as usize..span.end as usize).map(guardian_core::shorten)
    });
    let message = match place {
        Some(place) if !place.is_empty() => format!("`{place}`: {error}"),
        _ => error.to_string(),
    };
    Failure::new(code, message)
}

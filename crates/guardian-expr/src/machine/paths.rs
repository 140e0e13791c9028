//! Paths: variables and their fields, read in place.

use super::{Machine, Slot, coerced, corrupt, member, no_fields, no_key};
use crate::ast::BinaryOp;
use crate::budget::search_cost;
use crate::error::{ErrorKind, EvalError};
use crate::operators;
use crate::program::{Path, Start};
use crate::value::{Entries, Map, Value, json_member};

impl<'a> Machine<'a, '_> {
    /// The JSON at the end of a path without a place for its value, if all of it is JSON and it is there, and what it costs
    /// to find it.
    #[inline]
    pub(super) fn json(&mut self, path: &'a Path) -> Option<(&'a serde_json::Value, u64)> {
        if path.cache.is_some() {
            return None;
        }
        let (last, inner) = self.program.path_keys(path).split_last()?;
        let slot = path.slot as usize;
        if let Start::Variable(at) = path.start
            && matches!(self.slots.get(slot), Some(Slot::Empty))
        {
            self.fill(at, slot).ok()?;
        }
        let Some(Slot::Full(Value::Map(Map(Entries::Json(members))))) = self.slots.get(slot) else {
            return None;
        };
        let mut members: &'a serde_json::Map<String, serde_json::Value> = members;
        let program = self.program;
        let mut cost = u64::from(path.keys.len);
        for key in inner {
            cost += search_cost(members.len() as u64);
            match json_member(members, program.name(*key)) {
                Some(serde_json::Value::Object(next)) => members = next,
                _ => return None,
            }
        }
        cost += search_cost(members.len() as u64);
        Some((json_member(members, program.name(*last))?, cost))
    }

    #[inline]
    pub(super) fn value(&mut self, path: &'a Path) -> Result<Value<'a>, EvalError> {
        self.context.charge(u64::from(path.keys.len))?;
        let Some(cache) = path.cache else { return self.walk(path) };
        if let Some(Slot::Full(value)) = self.slots.get(cache as usize) {
            return Ok(value.clone());
        }
        let value = self.walk(path)?;
        if let Some(place) = self.slots.get_mut(cache as usize) {
            *place = Slot::Full(value.clone());
        }
        Ok(value)
    }

    /// Follows a path. JSON is followed from object to object without making values of them.
    #[inline]
    fn walk(&mut self, path: &'a Path) -> Result<Value<'a>, EvalError> {
        let slot = path.slot as usize;
        if let Start::Variable(at) = path.start
            && !matches!(self.slots.get(slot), Some(Slot::Full(_)))
        {
            self.fill(at, slot)?;
        }
        let Some((last, inner)) = self.program.path_keys(path).split_last() else {
            return match self.slots.get(slot) {
                Some(Slot::Full(value)) => Ok(coerced(value.clone(), path.coercion)),
                Some(Slot::Failed(error)) => Err(error.clone()),
                _ => Err(corrupt()),
            };
        };
        let Some(Slot::Full(Value::Map(Map(Entries::Json(members))))) = self.slots.get(slot) else {
            return self.walk_values(path);
        };
        let mut members: &'a serde_json::Map<String, serde_json::Value> = members;
        let program = self.program;
        for (step, key) in inner.iter().enumerate() {
            let key = program.name(*key);
            self.context.search(members.len())?;
            match json_member(members, key) {
                Some(serde_json::Value::Object(next)) => members = next,
                Some(other) => {
                    let next = program.path_keys(path).get(step + 1).map_or("", |key| program.name(*key));
                    return Err(no_fields(&Value::from(other), next));
                }
                None => return Err(no_key(key)),
            }
        }
        let key = program.name(*last);
        self.context.search(members.len())?;
        match json_member(members, key) {
            Some(value) => Ok(coerced(Value::from(value), path.coercion)),
            None => Err(no_key(key)),
        }
    }

    fn walk_values(&mut self, path: &'a Path) -> Result<Value<'a>, EvalError> {
        let mut value = match self.slots.get(path.slot as usize) {
            Some(Slot::Full(value)) => value.clone(),
            Some(Slot::Failed(error)) => return Err(error.clone()),
            _ => return Err(corrupt()),
        };
        for key in self.program.path_keys(path) {
            value = self.select(value, self.program.name(*key))?;
        }
        Ok(coerced(value, path.coercion))
    }

    /// Looks a variable up, once in an evaluation.
    fn fill(&mut self, at: u32, slot: usize) -> Result<(), EvalError> {
        let program = self.program;
        let name = program.checked.variable(at);
        let value = self.lookup(name)?;
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Slot::Full(value);
        }
        Ok(())
    }

    fn lookup(&self, name: &str) -> Result<Value<'a>, EvalError> {
        if let Some(value) = self.variables.get(name) {
            return Ok(value);
        }
        // A variable with dots may be the field of an object of the event.
        if let Some((first, rest)) = name.split_once('.')
            && let Some(mut value) = self.variables.get(first)
        {
            for part in rest.split('.') {
                value = member(&value, part).ok_or_else(|| no_key(part))?;
            }
            return Ok(value);
        }
        Err(EvalError::new(ErrorKind::NoSuchVariable, format!("no value for the variable `{name}`")))
    }
}

/// Compares JSON with a constant where that is a matter of a few instructions, and where what a declared type would make of a
/// number changes nothing.
#[inline]
pub(super) fn compare_json(op: BinaryOp, json: &serde_json::Value, constant: &Value<'_>) -> Option<bool> {
    match (json, constant) {
        (serde_json::Value::String(a), Value::Shared(b)) => match op {
            BinaryOp::Equal => Some(**a == **b),
            BinaryOp::NotEqual => Some(**a != **b),
            _ => None,
        },
        // Beyond this a declared type may make another number of an integer.
        (serde_json::Value::Number(a), Value::Int(b)) => {
            let a = a.as_i64().filter(|a| a.unsigned_abs() <= 1 << 53)?;
            operators::holds(op, &a, b)
        }
        // A number with a fraction is none of the integers that would have to be compared exactly.
        (serde_json::Value::Number(a), Value::Double(b)) if a.is_f64() => {
            operators::holds(op, &a.as_f64()?, b)
        }
        (serde_json::Value::Bool(a), Value::Bool(b)) => match op {
            BinaryOp::Equal => Some(a == b),
            BinaryOp::NotEqual => Some(a != b),
            _ => None,
        },
        _ => None,
    }
}

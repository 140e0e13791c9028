//! Comprehensions: the state of a loop, and its steps.

use super::{Machine, Slot, absorbs, corrupt, no_overload, not_bool};
use crate::ast::Comprehension;
use crate::error::{ErrorKind, EvalError};
use crate::operators;
use crate::program::Loop;
use crate::value::{List, Value, object_entries};

/// What a loop goes through, and what it has made so far.
#[derive(Debug, Default)]
pub(crate) struct LoopState<'a> {
    range: Range<'a>,
    at: usize,
    made: Vec<Value<'a>>,
    keys: Vec<Value<'a>>,
    found: u64,
}

#[derive(Debug, Default)]
enum Range<'a> {
    #[default]
    None,
    Json(&'a Vec<serde_json::Value>),
    List(List<'a>),
    Entries(Vec<(Value<'a>, Value<'a>)>),
}

impl<'a> Machine<'a, '_> {
    #[inline]
    fn info(&self, at: u32) -> Result<Loop, EvalError> {
        self.program.loops.get(at as usize).copied().ok_or_else(corrupt)
    }

    pub(super) fn loop_start(&mut self, at: u32) -> Result<(), EvalError> {
        let info = self.info(at)?;
        let range = match self.pop()? {
            Value::List(list) => match list.json() {
                Some(items) => Range::Json(items),
                None => Range::List(list),
            },
            Value::Map(map) if info.kind != Comprehension::SortBy => {
                self.context.charge(map.len() as u64)?;
                self.context.build_items(map.len())?;
                Range::Entries(map.entries())
            }
            Value::Object(object) if info.kind != Comprehension::SortBy => {
                let entries = object_entries(object);
                self.context.charge(entries.len() as u64)?;
                self.context.build_items(entries.len())?;
                Range::Entries(entries)
            }
            other => {
                let (name, found) = (info.kind.name(), other.type_name());
                return Err(no_overload(format!("`{name}` cannot go through a value of type `{found}`")));
            }
        };
        self.forget(info.chain);
        if let Some(state) = self.loops.get_mut(at as usize) {
            *state = LoopState { range, ..LoopState::default() };
        }
        Ok(())
    }

    #[inline]
    pub(super) fn loop_next(&mut self, at: u32, body: usize) -> Result<usize, EvalError> {
        let info = self.info(at)?;
        let state = self.loops.get_mut(at as usize).ok_or_else(corrupt)?;
        let place = state.at;
        state.at += 1;
        let (key, value) = match &state.range {
            Range::Json(items) => match items.get(place) {
                Some(item) => (None, Value::from(item)),
                None => return Ok(info.end as usize),
            },
            Range::List(list) => match list.get(place) {
                Some(item) => (None, item),
                None => return Ok(info.end as usize),
            },
            Range::Entries(entries) => match entries.get(place) {
                Some((key, value)) => (Some(key.clone()), value.clone()),
                None => return Ok(info.end as usize),
            },
            Range::None => return Err(corrupt()),
        };
        let slot = info.slot as usize;
        if info.two {
            let key = key.unwrap_or_else(|| Value::Int(crate::number::length(place)));
            self.store(slot, key);
            self.store(slot + 1, value);
        } else {
            self.store(slot, key.unwrap_or(value));
        }
        Ok(body)
    }

    #[inline]
    fn store(&mut self, slot: usize, value: Value<'a>) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Slot::Full(value);
        }
    }

    pub(super) fn loop_filter(&mut self, at: u32, body: usize) -> Result<usize, EvalError> {
        let info = self.info(at)?;
        match self.pop()? {
            Value::Bool(true) => Ok(body),
            Value::Bool(false) => Ok(info.next as usize),
            other => Err(not_bool(&other)),
        }
    }

    /// Takes what the body decided of an element, and goes to the next one where that is all.
    #[inline]
    pub(super) fn loop_decide(&mut self, at: u32, holds: bool, step: usize) -> Result<usize, EvalError> {
        let info = self.info(at)?;
        if absorbs(info.kind) && holds == (info.kind == Comprehension::All) {
            return Ok(info.next as usize);
        }
        self.stack.push(Value::Bool(holds));
        Ok(step)
    }

    /// Takes what the body made of an element.
    #[inline]
    pub(super) fn loop_step(&mut self, at: u32) -> Result<usize, EvalError> {
        let info = self.info(at)?;
        let made = self.pop()?;
        if absorbs(info.kind) {
            let decides = info.kind == Comprehension::Exists;
            match made {
                Value::Bool(value) if value == decides => {
                    self.forget(info.chain);
                    self.stack.push(Value::Bool(decides));
                    // Behind the instruction that ends the loop undecided.
                    return Ok(info.end as usize + 1);
                }
                Value::Bool(_) => {}
                other => self.keep(info.chain, not_bool(&other)),
            }
            return Ok(info.next as usize);
        }
        let slot = info.slot as usize;
        match info.kind {
            Comprehension::ExistsOne => match made {
                Value::Bool(holds) => {
                    if let Some(state) = self.loops.get_mut(at as usize) {
                        state.found += u64::from(holds);
                    }
                }
                other => return Err(not_bool(&other)),
            },
            Comprehension::Filter => match made {
                Value::Bool(true) => {
                    let element = self.local(info.slot)?;
                    self.collect(at, element)?;
                }
                Value::Bool(false) => {}
                other => return Err(not_bool(&other)),
            },
            Comprehension::TransformMap => {
                let key = self.local(info.slot)?;
                self.collect(at, made)?;
                if let Some(state) = self.loops.get_mut(at as usize) {
                    state.keys.push(key);
                }
            }
            Comprehension::TransformMapEntry => {
                let entries = match &made {
                    Value::Map(map) => map.entries(),
                    other => {
                        let found = other.type_name();
                        return Err(no_overload(format!("`transformMapEntry` makes a map, not a `{found}`")));
                    }
                };
                self.context.charge(2 * entries.len() as u64)?;
                for (key, value) in entries {
                    self.collect(at, value)?;
                    if let Some(state) = self.loops.get_mut(at as usize) {
                        state.keys.push(key);
                    }
                }
            }
            Comprehension::SortBy => {
                let element = match self.slots.get(slot) {
                    Some(Slot::Full(value)) => value.clone(),
                    _ => return Err(corrupt()),
                };
                self.collect(at, element)?;
                if let Some(state) = self.loops.get_mut(at as usize) {
                    state.keys.push(made);
                }
            }
            _ => self.collect(at, made)?,
        }
        Ok(info.next as usize)
    }

    fn collect(&mut self, at: u32, value: Value<'a>) -> Result<(), EvalError> {
        self.context.build_items(1)?;
        if let Some(state) = self.loops.get_mut(at as usize) {
            state.made.push(value);
        }
        Ok(())
    }

    pub(super) fn loop_end(&mut self, at: u32) -> Result<(), EvalError> {
        let info = self.info(at)?;
        let state = self.loops.get_mut(at as usize).map(std::mem::take).ok_or_else(corrupt)?;
        let value = match info.kind {
            Comprehension::All | Comprehension::Exists => match self.forget(info.chain) {
                Some(error) => return Err(error),
                None => Value::Bool(info.kind == Comprehension::All),
            },
            Comprehension::ExistsOne => Value::Bool(state.found == 1),
            Comprehension::TransformMap | Comprehension::TransformMapEntry => {
                let entries: Vec<_> = state.keys.into_iter().zip(state.made).collect();
                operators::build_map(entries).map_err(|error| {
                    EvalError::new(ErrorKind::InvalidArgument, format!("`{}`: {error}", info.kind.name()))
                })?
            }
            Comprehension::SortBy => {
                let pairs: Vec<_> = state.keys.into_iter().zip(state.made).collect();
                Value::list(crate::stdlib::lists::sort_pairs(&mut self.context, pairs)?)
            }
            _ => Value::list(state.made),
        };
        let value = self.context.shallow(value)?;
        self.stack.push(value);
        Ok(())
    }
}

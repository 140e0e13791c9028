//! Runs a program: one loop over its instructions, with a stack of values and without recursion.

use crate::ast::{BinaryOp, Comprehension};
use crate::budget::{Budget, Context, weight};
use crate::check::Coercion;
use crate::error::{ErrorKind, EvalError};
use crate::number;
use crate::operators;
use crate::program::{Handler, Keep, Library, Op, Program, Set};
use crate::value::{Elements, List, Lookup, Value};

mod loops;
mod paths;

use loops::LoopState;
use paths::compare_json;

/// A place for a value that may not be there yet.
#[derive(Debug, Clone, Default)]
pub(crate) enum Slot<'a> {
    #[default]
    Empty,
    Full(Value<'a>),
    /// The error that the value met; whoever uses the value meets it.
    Failed(EvalError),
}

/// What an error costs that is kept: its text was written.
pub(crate) const HANDLED: u64 = 10;
/// What an optional value costs: it may have to be made.
pub(crate) const OPTIONAL: u64 = 3;

pub(crate) struct Machine<'a, 'b> {
    program: &'a Program,
    variables: &'a dyn Lookup,
    stack: Vec<Value<'a>>,
    /// The variables of macros, those of the event, and the paths that occur more than once.
    slots: Vec<Slot<'a>>,
    loops: Vec<LoopState<'a>>,
    pending: Vec<Option<EvalError>>,
    context: Context<'b>,
    pub(crate) trace: Vec<Slot<'a>>,
    pub(crate) seen: Vec<Seen>,
}

/// Which truth values a node had.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    pub(crate) was_true: bool,
    pub(crate) was_false: bool,
}

#[cold]
pub(crate) fn no_overload(message: impl Into<String>) -> EvalError {
    EvalError::new(ErrorKind::NoSuchOverload, message)
}

#[cold]
fn no_key(key: &str) -> EvalError {
    EvalError::new(ErrorKind::NoSuchKey, format!("no such key: `{key}`"))
}

/// Code that the compiler makes never comes here; an error is better than a wrong answer.
#[cold]
fn corrupt() -> EvalError {
    EvalError::new(ErrorKind::InvalidArgument, "the program is damaged")
}

impl<'a, 'b> Machine<'a, 'b> {
    #[inline]
    pub(crate) fn new(program: &'a Program, variables: &'a dyn Lookup, budget: Budget<'b>) -> Self {
        let mut slots = Vec::new();
        slots.resize_with(program.slots as usize, Slot::default);
        let mut loops = Vec::new();
        if !program.loops.is_empty() {
            loops.resize_with(program.loops.len(), LoopState::default);
        }
        Self {
            program,
            variables,
            stack: Vec::with_capacity(program.stack as usize),
            slots,
            loops,
            pending: Vec::new(),
            context: Context::new(budget),
            trace: Vec::new(),
            seen: Vec::new(),
        }
    }

    pub(crate) fn traced(mut self) -> Self {
        let nodes = self.program.checked.ast.nodes.len();
        self.trace.resize_with(nodes, Slot::default);
        self.seen.resize_with(nodes, Seen::default);
        self
    }

    pub(crate) fn used(&self) -> u64 {
        self.context.used()
    }

    pub(crate) fn run(&mut self) -> Result<Value<'a>, EvalError> {
        let program = self.program;
        let mut at = 0_usize;
        loop {
            match self.steps(&program.code, &mut at) {
                Ok(()) => return self.stack.pop().ok_or_else(corrupt),
                Err(error) => {
                    let error = error.at(program.span(at));
                    at = self.handle(at, error)?;
                }
            }
        }
    }

    /// Finds what is to be done about an error, and where to go on.
    #[cold]
    fn handle(&mut self, at: usize, error: EvalError) -> Result<usize, EvalError> {
        if error.kind().is_limit() {
            return Err(error);
        }
        let place = crate::ast::count(at);
        let handlers = &self.program.handlers;
        let mut candidate = handlers.partition_point(|handler| handler.start <= place);
        let mut found: Option<&Handler> = candidate.checked_sub(1).and_then(|last| handlers.get(last));
        while let Some(handler) = found {
            if handler.end > place {
                break;
            }
            candidate = handler.outer as usize;
            found = handlers.get(candidate);
        }
        let Some(handler) = found else { return Err(error) };
        self.context.charge(HANDLED)?;
        self.stack.truncate(handler.height as usize);
        match handler.keep {
            Keep::Chain(chain) => self.keep(chain, error),
            Keep::Local(slot) => {
                if let Some(place) = self.slots.get_mut(slot as usize) {
                    *place = Slot::Failed(error);
                }
            }
        }
        Ok(handler.resume as usize)
    }

    /// Keeps the first error of a chain.
    #[cold]
    fn keep(&mut self, chain: u32, error: EvalError) {
        if self.pending.is_empty() {
            self.pending.resize(self.program.chains as usize, None);
        }
        if let Some(place) = self.pending.get_mut(chain as usize) {
            place.get_or_insert(error);
        }
    }

    #[inline]
    fn forget(&mut self, chain: u32) -> Option<EvalError> {
        self.pending.get_mut(chain as usize)?.take()
    }

    #[inline]
    fn pop(&mut self) -> Result<Value<'a>, EvalError> {
        self.stack.pop().ok_or_else(corrupt)
    }

    #[inline]
    fn constant(&self, at: u32) -> Result<Value<'a>, EvalError> {
        let program = self.program;
        match program.constants.get(at as usize) {
            Some(Value::Shared(text)) => Ok(Value::Str(text)),
            Some(other) => Ok(other.clone()),
            None => Err(corrupt()),
        }
    }

    fn steps(&mut self, code: &[Op], place: &mut usize) -> Result<(), EvalError> {
        while let Some(op) = code.get(*place) {
            self.context.charge(1)?;
            let mut next = *place + 1;
            match *op {
                Op::Constant(at) => {
                    let value = self.constant(at)?;
                    self.stack.push(value);
                }
                Op::Path(at) => {
                    let program = self.program;
                    let path = program.paths.get(at as usize).ok_or_else(corrupt)?;
                    if matches!(code.get(next), Some(Op::And { .. } | Op::Or { .. } | Op::Not))
                        && let Some((serde_json::Value::Bool(holds), cost)) = self.json(path)
                    {
                        self.context.charge(cost)?;
                        next = self.decide(code, *holds, next)?;
                    } else {
                        let value = self.value(path)?;
                        self.stack.push(value);
                    }
                }
                Op::ComparePath { op, path, constant } => {
                    let program = self.program;
                    let right = program.constants.get(constant as usize).ok_or_else(corrupt)?;
                    let path = program.paths.get(path as usize).ok_or_else(corrupt)?;
                    // Most comparisons are of a text or an integer of the event, which is not even made a value.
                    if let Some((json, cost)) = self.json(path)
                        && let Some(holds) = compare_json(op, json, right)
                    {
                        let text = if let Value::Shared(text) = right { text.len() } else { 0 };
                        let text = json.as_str().map_or(0, |json| json.len().min(text));
                        self.context.charge(cost + text as u64 / 16)?;
                        next = self.decide(code, holds, next)?;
                        *place = next;
                        continue;
                    }
                    let left = self.value(path)?;
                    let holds = self.compare(op, &left, right)?;
                    next = self.decide(code, holds, next)?;
                }
                Op::And { chain, end } => match self.pop()? {
                    Value::Bool(true) => {}
                    Value::Bool(false) => {
                        self.forget(chain);
                        self.stack.push(Value::Bool(false));
                        next = end as usize;
                    }
                    other => self.keep(chain, not_bool(&other)),
                },
                Op::Or { chain, end } => match self.pop()? {
                    Value::Bool(false) => {}
                    Value::Bool(true) => {
                        self.forget(chain);
                        self.stack.push(Value::Bool(true));
                        next = end as usize;
                    }
                    other => self.keep(chain, not_bool(&other)),
                },
                Op::Undecided { chain, value } => match self.forget(chain) {
                    None => self.stack.push(Value::Bool(value)),
                    Some(error) => return Err(error),
                },
                Op::Compare { op, constant } => {
                    let left = self.pop()?;
                    let program = self.program;
                    let right = program.constants.get(constant as usize).ok_or_else(corrupt)?;
                    let holds = self.compare(op, &left, right)?;
                    next = self.decide(code, holds, next)?;
                }
                Op::PathInSet { path, set } => {
                    let program = self.program;
                    let path = program.paths.get(path as usize).ok_or_else(corrupt)?;
                    let value = match self.json(path) {
                        Some((serde_json::Value::String(text), cost)) => {
                            self.context.charge(cost)?;
                            Value::Str(text)
                        }
                        _ => self.value(path)?,
                    };
                    let found = self.in_set(&value, set)?;
                    next = self.decide(code, found, next)?;
                }
                Op::InSet(set) => {
                    let value = self.pop()?;
                    let found = self.in_set(&value, set)?;
                    self.stack.push(Value::Bool(found));
                }
                Op::Select(key) => {
                    let value = self.pop()?;
                    let value = self.select(value, self.program.key(key))?;
                    self.stack.push(value);
                }
                Op::SelectOptional(key) => {
                    let value = self.pop()?;
                    self.context.charge(OPTIONAL)?;
                    self.search(&value)?;
                    let value = select_optional(value, self.program.key(key))?;
                    self.stack.push(value);
                }
                Op::Has(key) => {
                    let value = self.pop()?;
                    self.context.charge(1)?;
                    self.search(&value)?;
                    let found = self.has(value, key)?;
                    self.stack.push(Value::Bool(found));
                }
                Op::Index => {
                    let (index, of) = (self.pop()?, self.pop()?);
                    self.search(&of)?;
                    let value = operators::index(of, &index)?;
                    self.stack.push(value);
                }
                Op::IndexOptional => {
                    let (index, of) = (self.pop()?, self.pop()?);
                    self.context.charge(OPTIONAL)?;
                    self.search(&of)?;
                    let value = operators::index_optional(of, &index)?;
                    self.stack.push(value);
                }
                Op::Coerce(coercion) => {
                    let value = self.pop()?;
                    self.stack.push(coerced(value, coercion));
                }
                Op::Not => match self.pop()? {
                    Value::Bool(value) => next = self.decide(code, !value, next)?,
                    other => return Err(not_bool(&other)),
                },
                Op::Negate => {
                    let value = operators::negate(&self.pop()?)?;
                    self.stack.push(value);
                }
                Op::Binary(op) => {
                    let (right, left) = (self.pop()?, self.pop()?);
                    let value = match (&left, &right) {
                        (Value::Int(a), Value::Int(b)) => operators::of_ints(op, *a, *b),
                        _ => None,
                    };
                    let value = match value {
                        Some(value) => value,
                        None => operators::binary(&mut self.context, op, &left, &right)?,
                    };
                    next = self.give(code, value, next)?;
                }
                Op::Add(2)
                    if let [.., Value::Int(a), Value::Int(b)] = self.stack.as_slice()
                        && let Some(sum) = a.checked_add(*b) =>
                {
                    self.context.charge(1)?;
                    self.stack.pop();
                    if let Some(last) = self.stack.last_mut() {
                        *last = Value::Int(sum);
                    }
                }
                Op::Add(terms) => {
                    let base = self.stack.len().saturating_sub(terms as usize);
                    let sum = operators::add(&mut self.context, self.stack.get(base..).unwrap_or_default())?;
                    self.stack.truncate(base);
                    self.stack.push(sum);
                }
                Op::Jump(target) => next = target as usize,
                Op::Branch(otherwise) => match self.pop()? {
                    Value::Bool(true) => {}
                    Value::Bool(false) => next = otherwise as usize,
                    other => return Err(not_bool(&other)),
                },
                Op::Call { function, arguments } => {
                    let value = self.call(function, arguments)?;
                    next = self.give(code, value, next)?;
                }
                Op::CallHost { function, arguments } => self.call_host(function, arguments)?,
                Op::NoFunction(name) => {
                    let name = self.program.key(name);
                    let message = format!("no function `{name}` takes such arguments");
                    return Err(EvalError::new(ErrorKind::NoSuchFunction, message));
                }
                Op::List(length) => self.list(length, None)?,
                Op::ListOptional { length, marks } => self.list(length, Some(marks))?,
                Op::Map(length) => self.map(length, None)?,
                Op::MapOptional { length, marks } => self.map(length, Some(marks))?,
                Op::LoopStart(at) => self.loop_start(at)?,
                Op::LoopNext(at) => next = self.loop_next(at, next)?,
                Op::LoopFilter(at) => next = self.loop_filter(at, next)?,
                Op::LoopStep(at) => next = self.loop_step(at)?,
                Op::LoopEnd(at) => self.loop_end(at)?,
                Op::Store(slot) => {
                    self.context.charge(1)?;
                    let value = self.pop()?;
                    if let Some(place) = self.slots.get_mut(slot as usize) {
                        *place = Slot::Full(value);
                    }
                }
                Op::OpenOptional { slot, end } => match self.pop()? {
                    Value::Optional(Some(inner)) => {
                        if let Some(place) = self.slots.get_mut(slot as usize) {
                            *place = Slot::Full((*inner).clone());
                        }
                    }
                    Value::Optional(None) => {
                        self.stack.push(Value::Optional(None));
                        next = end as usize;
                    }
                    other => {
                        let message = format!("a value of type `{}` is not optional", other.type_name());
                        return Err(no_overload(message));
                    }
                },
                Op::Otherwise { unwrap, end } => match self.pop()? {
                    Value::Optional(None) => {}
                    Value::Optional(Some(inner)) => {
                        self.stack.push(if unwrap { (*inner).clone() } else { Value::Optional(Some(inner)) });
                        next = end as usize;
                    }
                    other => {
                        let message = format!("a value of type `{}` is not optional", other.type_name());
                        return Err(no_overload(message));
                    }
                },
                Op::WrapOptional => {
                    let value = self.pop()?;
                    self.context.build(24)?;
                    let value = self.context.shallow(Value::Optional(Some(std::sync::Arc::new(value))))?;
                    self.stack.push(value);
                }
                Op::Trace(node) => {
                    if let (Some(place), Some(value)) = (self.trace.get_mut(node as usize), self.stack.last())
                    {
                        *place = Slot::Full(value.clone());
                        if let (Value::Bool(holds), Some(seen)) = (value, self.seen.get_mut(node as usize)) {
                            seen.was_true |= holds;
                            seen.was_false |= !holds;
                        }
                    }
                }
            }
            *place = next;
        }
        Ok(())
    }

    /// Gives a truth value to the next instruction, or to the stack if it is none that takes one at once.
    #[inline]
    fn decide(&mut self, code: &[Op], holds: bool, next: usize) -> Result<usize, EvalError> {
        match code.get(next) {
            Some(Op::And { chain, end }) if !holds => {
                self.forget(*chain);
                self.stack.push(Value::Bool(false));
                Ok(*end as usize)
            }
            Some(Op::Or { chain, end }) if holds => {
                self.forget(*chain);
                self.stack.push(Value::Bool(true));
                Ok(*end as usize)
            }
            Some(Op::And { .. } | Op::Or { .. }) => Ok(next + 1),
            Some(Op::Not) => {
                self.context.charge(1)?;
                self.stack.push(Value::Bool(!holds));
                Ok(next + 1)
            }
            Some(Op::LoopStep(at)) => self.loop_decide(*at, holds, next),
            _ => {
                self.stack.push(Value::Bool(holds));
                Ok(next)
            }
        }
    }

    /// Gives a value to the next instruction.
    #[inline]
    fn give(&mut self, code: &[Op], value: Value<'a>, next: usize) -> Result<usize, EvalError> {
        if let Value::Bool(holds) = value {
            return self.decide(code, holds, next);
        }
        self.stack.push(value);
        Ok(next)
    }

    #[inline]
    fn local(&self, slot: u32) -> Result<Value<'a>, EvalError> {
        match self.slots.get(slot as usize) {
            Some(Slot::Full(value)) => Ok(value.clone()),
            Some(Slot::Failed(error)) => Err(error.clone()),
            _ => Err(corrupt()),
        }
    }

    /// Pays for finding a key in a value that has keys.
    #[inline]
    fn search(&mut self, of: &Value<'_>) -> Result<(), EvalError> {
        match of {
            Value::Map(map) => self.context.search(map.len()),
            Value::Optional(Some(inner)) => match &**inner {
                Value::Map(map) => self.context.search(map.len()),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn select(&mut self, value: Value<'a>, key: &str) -> Result<Value<'a>, EvalError> {
        self.search(&value)?;
        match value {
            Value::Map(map) => map.get_str(key).ok_or_else(|| no_key(key)),
            Value::Object(object) => object.get(key).ok_or_else(|| no_key(key)),
            Value::Optional(_) => {
                self.context.charge(OPTIONAL)?;
                select_optional(value, key)
            }
            other => Err(no_fields(&other, key)),
        }
    }

    fn has(&self, value: Value<'a>, key: u32) -> Result<bool, EvalError> {
        let key = self.program.key(key);
        let value = match value {
            Value::Optional(None) => return Ok(false),
            Value::Optional(Some(inner)) => (*inner).clone(),
            other => other,
        };
        match &value {
            Value::Map(_) | Value::Object(_) => Ok(member(&value, key).is_some()),
            other => Err(no_fields(other, key)),
        }
    }

    #[inline]
    fn compare(&mut self, op: BinaryOp, left: &Value<'_>, right: &Value<'_>) -> Result<bool, EvalError> {
        // The constants of a program are shared texts; the texts of an event are not.
        match (op, left, right) {
            (BinaryOp::Equal, Value::Str(a), Value::Shared(b)) => {
                self.context.charge(a.len().min(b.len()) as u64 / 16)?;
                Ok(**a == **b)
            }
            (BinaryOp::NotEqual, Value::Str(a), Value::Shared(b)) => {
                self.context.charge(a.len().min(b.len()) as u64 / 16)?;
                Ok(**a != **b)
            }
            (BinaryOp::Greater, Value::Int(a), Value::Int(b)) => Ok(a > b),
            (BinaryOp::GreaterEqual, Value::Int(a), Value::Int(b)) => Ok(a >= b),
            (BinaryOp::Less, Value::Int(a), Value::Int(b)) => Ok(a < b),
            (BinaryOp::LessEqual, Value::Int(a), Value::Int(b)) => Ok(a <= b),
            (BinaryOp::Equal, Value::Int(a), Value::Int(b)) => Ok(a == b),
            _ => operators::compare(&mut self.context, op, left, right),
        }
    }

    fn in_set(&mut self, value: &Value<'_>, set: u32) -> Result<bool, EvalError> {
        let program = self.program;
        let set: &Set = program.sets.get(set as usize).ok_or_else(corrupt)?;
        if let Some(text) = value.as_str() {
            self.context.charge(text.len() as u64 / 16)?;
            return Ok(set.has_text(text));
        }
        let int = match value {
            Value::Int(int) => Some(*int),
            Value::Uint(uint) => i64::try_from(*uint).ok(),
            Value::Double(double) => number::equal_int(*double),
            _ => None,
        };
        if int.is_some_and(|int| set.ints.binary_search(&int).is_ok()) {
            return Ok(true);
        }
        self.context.charge(set.others.len() as u64)?;
        for other in &set.others {
            if self.context.equal(value, other)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn call(&mut self, function: u32, arguments: u32) -> Result<Value<'a>, EvalError> {
        let Library { native, name, price, .. } =
            *self.program.natives.get(function as usize).ok_or_else(corrupt)?;
        let base = self.stack.len().saturating_sub(arguments as usize);
        let list = self.stack.get(base..).unwrap_or_default();
        let cost: u64 = list.iter().map(weight).sum();
        self.context.charge(cost + price)?;
        let value =
            native(&mut self.context, list).map_err(|error| crate::stdlib::named(error, name, list))?;
        let value = self.context.shallow(value)?;
        self.stack.truncate(base);
        Ok(value)
    }

    fn call_host(&mut self, function: u32, arguments: u32) -> Result<(), EvalError> {
        let program = self.program;
        let (name, overloads) = program.hosts.get(function as usize).ok_or_else(corrupt)?;
        let base = self.stack.len().saturating_sub(arguments as usize);
        let list = self.stack.get(base..).unwrap_or_default();
        let fitting = overloads.iter().find(|overload| operators::accepts(&overload.parameters, list));
        let Some(overload) = fitting else {
            let native = program.natives.iter().find(|native| native.name == name && native.effort.is_none());
            let Some(Library { native, name, price, .. }) = native else {
                return Err(crate::stdlib::undefined(name, list));
            };
            let cost: u64 = list.iter().map(weight).sum();
            self.context.charge(cost + price)?;
            let value =
                native(&mut self.context, list).map_err(|error| crate::stdlib::named(error, name, list))?;
            self.stack.truncate(base);
            self.stack.push(value);
            return Ok(());
        };
        self.context.charge(overload.cost)?;
        let value = (overload.implementation)(list)?;
        self.context.build(value.footprint())?;
        let value = self.context.shallow(value)?;
        self.stack.truncate(base);
        self.stack.push(value);
        Ok(())
    }

    fn marked(&self, marks: Option<u32>, at: usize) -> bool {
        let marks = marks.and_then(|marks| self.program.marks.get(marks as usize));
        marks.and_then(|marks| marks.get(at)).copied().unwrap_or(false)
    }

    fn list(&mut self, length: u32, marks: Option<u32>) -> Result<(), EvalError> {
        self.context.charge(u64::from(length))?;
        self.context.build_items(length as usize)?;
        let base = self.stack.len().saturating_sub(length as usize);
        let mut items = self.stack.split_off(base);
        if marks.is_some() {
            let mut kept = Vec::with_capacity(items.len());
            for (at, item) in items.into_iter().enumerate() {
                if !self.marked(marks, at) {
                    kept.push(item);
                } else if let Some(value) = operators::given(item)? {
                    kept.push(value);
                }
            }
            items = kept;
        }
        let value = self.context.shallow(Value::list(items))?;
        self.stack.push(value);
        Ok(())
    }

    fn map(&mut self, length: u32, marks: Option<u32>) -> Result<(), EvalError> {
        self.context.charge(u64::from(length))?;
        self.context.build_items(length as usize)?;
        let base = self.stack.len().saturating_sub(length as usize);
        let mut parts = self.stack.split_off(base).into_iter();
        let mut entries = Vec::with_capacity(length as usize / 2);
        let mut at = 0;
        while let (Some(key), Some(mut value)) = (parts.next(), parts.next()) {
            at += 2;
            if self.marked(marks, at - 1) {
                match operators::given(value)? {
                    Some(inner) => value = inner,
                    None => continue,
                }
            }
            entries.push((key, value));
        }
        let value = operators::build_map(entries)?;
        let value = self.context.shallow(value)?;
        self.stack.push(value);
        Ok(())
    }
}

#[cold]
fn not_bool(value: &Value<'_>) -> EvalError {
    no_overload(format!("a `bool` is expected, not a `{}`", value.type_name()))
}

#[cold]
fn no_fields(value: &Value<'_>, key: &str) -> EvalError {
    no_overload(format!("a value of type `{}` has no field `{key}`", value.type_name()))
}

/// The member of a map or object.
pub(crate) fn member<'a>(value: &Value<'a>, key: &str) -> Option<Value<'a>> {
    match value {
        Value::Map(map) => map.get_str(key),
        Value::Object(object) => object.get(key),
        _ => None,
    }
}

fn select_optional<'a>(value: Value<'a>, key: &str) -> Result<Value<'a>, EvalError> {
    let value = match value {
        Value::Optional(None) => return Ok(Value::Optional(None)),
        Value::Optional(Some(inner)) => (*inner).clone(),
        other => other,
    };
    match &value {
        Value::Map(_) | Value::Object(_) => Ok(Value::Optional(member(&value, key).map(std::sync::Arc::new))),
        other => Err(no_fields(other, key)),
    }
}

/// The number that a declared type asks for. JSON does not tell 1 from 1.0, the declaration does.
#[inline]
fn coerced(value: Value<'_>, coercion: Coercion) -> Value<'_> {
    match (coercion, &value) {
        (Coercion::ToDouble, Value::Int(int)) => Value::Double(number::int_to_double(*int)),
        (Coercion::ToInt, Value::Double(double)) if double.trunc() == *double => {
            number::double_to_int(*double).map_or(value, Value::Int)
        }
        _ => value,
    }
}

impl Set {
    fn has_text(&self, text: &str) -> bool {
        // Short sets are faster to scan.
        if self.texts.len() <= 8 {
            return self.texts.iter().any(|each| **each == *text);
        }
        self.texts.binary_search_by(|each| (**each).cmp(text)).is_ok()
    }
}

impl<'a> List<'a> {
    /// The place in JSON, for loops that read it in place.
    pub(crate) fn json(&self) -> Option<&'a Vec<serde_json::Value>> {
        match &self.0 {
            Elements::Json(items) => Some(items),
            Elements::Built(_) => None,
        }
    }
}

/// Whether a loop of this kind absorbs errors.
pub(crate) fn absorbs(kind: Comprehension) -> bool {
    matches!(kind, Comprehension::All | Comprehension::Exists)
}

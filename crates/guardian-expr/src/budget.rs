//! What an evaluation may cost.

use std::sync::atomic::{AtomicBool, Ordering};

use guardian_core::{Clock, MonoTime};

use crate::error::{ErrorKind, EvalError};
use crate::value::{MAX_DEPTH, Value};

/// What one evaluation may use up. Every evaluation has a budget; the default one is the limit of Kubernetes.
///
/// ```
/// use guardian_expr::{Budget, Env, ErrorKind};
///
/// let program = Env::new().compile("l.all(a, l.all(b, l.all(c, l.all(d, true))))")?;
/// let event = serde_json::json!({"l": (0..100).collect::<Vec<_>>()});
/// let error = program.evaluate(&event).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
/// # Ok::<(), guardian_expr::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Budget<'a> {
    /// Cost units: one for each step, one for each 16 bytes of text and each element that a step goes through or builds, and
    /// more for what takes longer, so that a unit is some ten nanoseconds of work. 1,000,000 by default. The same expression
    /// costs the same on the same input everywhere.
    pub cost: u64,
    /// Bytes of texts, lists and maps that the expression builds, all together; 8 MiB by default.
    pub memory: u64,
    /// When to give up; looked at about every 256 cost units. None by default.
    pub deadline: Option<(&'a dyn Clock, MonoTime)>,
    /// Gives up when it becomes true; looked at as often.
    pub cancelled: Option<&'a AtomicBool>,
}

impl Default for Budget<'_> {
    fn default() -> Self {
        Self { cost: 1_000_000, memory: 8 << 20, deadline: None, cancelled: None }
    }
}

impl<'a> Budget<'a> {
    /// With other cost units.
    #[must_use]
    pub fn with_cost(mut self, cost: u64) -> Self {
        self.cost = cost;
        self
    }

    /// With another bound on the bytes that are built.
    #[must_use]
    pub fn with_memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// With a time to give up at, on the clock's monotonic scale.
    #[must_use]
    pub fn with_deadline(mut self, clock: &'a dyn Clock, deadline: MonoTime) -> Self {
        self.deadline = Some((clock, deadline));
        self
    }

    /// With a flag by which another thread stops the evaluation.
    #[must_use]
    pub fn with_cancellation(mut self, cancelled: &'a AtomicBool) -> Self {
        self.cancelled = Some(cancelled);
        self
    }
}

/// How many cost units lie between two looks at the clock.
const CHECK_EVERY: u64 = 256;

/// What is left of a budget. Functions charge what they do beyond going once through their arguments.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) fuel: u64,
    memory: u64,
    budget: Budget<'a>,
    /// The fuel at which the clock is looked at next; 0 where there is no clock.
    check_at: u64,
}

impl<'a> Context<'a> {
    pub(crate) fn new(budget: Budget<'a>) -> Self {
        let watched = budget.deadline.is_some() || budget.cancelled.is_some();
        let check_at = if watched { budget.cost } else { 0 };
        Self { fuel: budget.cost, memory: budget.memory, budget, check_at }
    }

    /// The cost units that were used.
    pub(crate) fn used(&self) -> u64 {
        self.budget.cost - self.fuel
    }

    #[inline]
    pub(crate) fn charge(&mut self, cost: u64) -> Result<(), EvalError> {
        match self.fuel.checked_sub(cost) {
            Some(left) => {
                self.fuel = left;
                if left < self.check_at {
                    return self.look();
                }
                Ok(())
            }
            None => Err(self.exceeded()),
        }
    }

    #[cold]
    fn exceeded(&mut self) -> EvalError {
        self.fuel = 0;
        let message = format!("the expression needs more than its budget of {} cost units", self.budget.cost);
        EvalError::new(ErrorKind::BudgetExceeded, message)
    }

    #[cold]
    fn look(&mut self) -> Result<(), EvalError> {
        self.check_at = self.fuel.saturating_sub(CHECK_EVERY).max(1);
        if self.budget.cancelled.is_some_and(|cancelled| cancelled.load(Ordering::Relaxed)) {
            return Err(EvalError::new(ErrorKind::Cancelled, "the evaluation was cancelled"));
        }
        if self.budget.deadline.is_some_and(|(clock, deadline)| clock.monotonic() >= deadline) {
            return Err(EvalError::new(ErrorKind::DeadlineExceeded, "the evaluation took too long"));
        }
        Ok(())
    }

    /// Pays for something that is about to be built: its bytes, and the cost of writing them.
    pub(crate) fn build(&mut self, bytes: u64) -> Result<(), EvalError> {
        match self.memory.checked_sub(bytes) {
            Some(left) => self.memory = left,
            None => {
                let message = format!("the expression builds more than {} bytes", self.budget.memory);
                return Err(EvalError::new(ErrorKind::MemoryExceeded, message));
            }
        }
        self.charge(bytes / 16)
    }

    /// Pays for a list or map of so many elements that is about to be built.
    pub(crate) fn build_items(&mut self, items: usize) -> Result<(), EvalError> {
        self.build(items as u64 * 32)
    }

    /// A value that nests too deeply is refused, so that dropping it needs little stack.
    #[inline]
    pub(crate) fn shallow<'v>(&self, value: Value<'v>) -> Result<Value<'v>, EvalError> {
        if value.depth() > MAX_DEPTH {
            // Its parts are within the bound, so dropping it here is within it by one.
            return Err(EvalError::new(
                ErrorKind::MemoryExceeded,
                format!("a value nests deeper than {MAX_DEPTH}"),
            ));
        }
        Ok(value)
    }

    /// Pays for finding a key among so many.
    #[inline]
    pub(crate) fn search(&mut self, entries: usize) -> Result<(), EvalError> {
        match search_cost(entries as u64) {
            0 => Ok(()),
            cost => self.charge(cost),
        }
    }

    /// Whether two values are equal; pays for what is compared.
    #[inline]
    pub(crate) fn equal(&mut self, left: &Value<'_>, right: &Value<'_>) -> Result<bool, EvalError> {
        if let (Value::Int(a), Value::Int(b)) = (left, right) {
            return Ok(a == b);
        }
        if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
            self.charge(a.len().min(b.len()) as u64 / 16)?;
            return Ok(a == b);
        }
        if left.has_parts() && right.has_parts() {
            return self.equal_parts(left, right);
        }
        self.charge(weight(left).min(weight(right)))?;
        Ok(crate::value::equal_flat(left, right))
    }

    fn equal_parts(&mut self, left: &Value<'_>, right: &Value<'_>) -> Result<bool, EvalError> {
        let cost = |value: &Value<'_>| match value {
            Value::List(list) => 2 * list.len() as u64,
            Value::Map(map) => entries_cost(map.len() as u64),
            Value::Object(object) => entries_cost(object.names().len() as u64),
            other => weight(other),
        };
        // Only what both have is compared.
        crate::value::equal_paid(left, right, &mut |a, b| self.charge(cost(a).min(cost(b))))
    }
}

/// What finding a key costs beside the step itself: large maps are searched, with a step for each doubling.
#[inline]
pub(crate) fn search_cost(entries: u64) -> u64 {
    u64::from((entries | 1).ilog2()).saturating_sub(3)
}

/// The cost of comparing the entries of two maps.
fn entries_cost(entries: u64) -> u64 {
    entries.saturating_mul(4 + search_cost(entries))
}

/// The cost of going once through a value: 1 for each 16 bytes of text and each element.
#[inline]
pub(crate) fn weight(value: &Value<'_>) -> u64 {
    match value {
        Value::Str(text) => text.len() as u64 / 16,
        Value::Shared(text) => text.len() as u64 / 16,
        Value::Bytes(bytes) => bytes.len() as u64 / 16,
        Value::List(list) => list.len() as u64,
        Value::Map(map) => map.len() as u64,
        _ => 0,
    }
}

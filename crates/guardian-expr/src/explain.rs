//! Why an expression has the value that it has.

use std::fmt;

use crate::ast::{Node, NodeId, Span, count};
use crate::budget::Budget;
use crate::error::EvalError;
use crate::machine::{Machine, Slot};
use crate::program::Program;
use crate::value::{Lookup, Value};

/// Every part of an expression with its value.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Explanation<'a> {
    /// The value of the whole, or why there is none.
    pub value: Result<Value<'a>, EvalError>,
    /// The parts, each before the parts that it consists of.
    pub parts: Vec<Part<'a>>,
    /// What the evaluation cost.
    pub cost: u64,
}

/// A part of an expression.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Part<'a> {
    /// The part as text.
    pub text: String,
    /// Where it stands.
    pub span: Span,
    /// How many parts it is within.
    pub depth: usize,
    /// Its value, in a loop the last one; `None` where it was not needed or failed.
    pub value: Option<Value<'a>>,
    /// What it failed with, where it is the part that failed.
    pub error: Option<EvalError>,
}

/// Longer parts are shortened in the middle of their text.
const WIDTH: usize = 80;

impl Program {
    /// Evaluates the expression, and says of every part which value it had.
    ///
    /// The whole is evaluated without the shortcuts of [`Self::evaluate`], so the cost is higher.
    ///
    /// ```
    /// let program = guardian_expr::Env::new().compile("deal.amount > 1000 && deal.stage == 'won'")?;
    /// let event = serde_json::json!({"deal": {"amount": 5000, "stage": "open"}});
    /// let shown = program.explain(&event).to_string();
    /// assert!(shown.contains("deal.amount > 1000  →  true"));
    /// assert!(shown.contains("deal.stage == \"won\"  →  false"));
    /// # Ok::<(), guardian_expr::Error>(())
    /// ```
    #[must_use]
    pub fn explain(&self, variables: &dyn Lookup) -> Explanation<'static> {
        let traced = Self::new(&self.env, self.checked.clone(), true);
        let budget = Budget::default();
        let mut machine = Machine::new(&traced, variables, budget.with_cost(budget.cost * 4)).traced();
        let value = machine.run().map(Value::into_owned);
        let ast = &traced.checked.ast;
        let failed = value.as_ref().err().and_then(EvalError::span);
        let mut depths = vec![0_usize; ast.nodes.len()];
        let mut parts = Vec::new();
        for at in (0..count(ast.nodes.len())).rev() {
            let id = NodeId(at);
            if ast.node(id) == Node::Dead || traced.checked.role(id) == crate::check::Role::Skip {
                continue;
            }
            let parent = traced.checked.parent(id);
            let above = depths.get(parent.at()).copied().unwrap_or(0);
            let depth = if parent == id { 0 } else { above + 1 };
            if let Some(place) = depths.get_mut(id.at()) {
                *place = depth;
            }
            let found = match machine.trace.get(id.at()) {
                Some(Slot::Full(value)) => Some(value.clone().into_owned()),
                _ => None,
            };
            let error = match (&value, failed) {
                (Err(error), Some(span)) if found.is_none() && ast.span(id) == span => Some(error.clone()),
                _ => None,
            };
            let text = ast.brief(id);
            parts.push(Part { text: shortened(&text), span: ast.span(id), depth, value: found, error });
        }
        ordered(&mut parts);
        Explanation { value, parts, cost: machine.used() }
    }
}

/// Siblings from left to right: going backwards through the tree found them from right to left.
fn ordered(parts: &mut [Part<'_>]) {
    // A part stands before those within it; of two parts beside each other, the one that begins first is first.
    parts.sort_by(|a, b| {
        a.span.start.cmp(&b.span.start).then(b.span.end.cmp(&a.span.end)).then(a.depth.cmp(&b.depth))
    });
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    let front: String = text.chars().take(WIDTH - 1).collect();
    format!("{front}…")
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            let indent = "  ".repeat(part.depth.min(40));
            write!(formatter, "{indent}{}  →  ", part.text)?;
            match (&part.value, &part.error) {
                (Some(value), _) => writeln!(formatter, "{}", shortened(&value.to_string()))?,
                (None, Some(error)) => writeln!(formatter, "failed: {error}")?,
                (None, None) => writeln!(formatter, "not evaluated")?,
            }
        }
        Ok(())
    }
}

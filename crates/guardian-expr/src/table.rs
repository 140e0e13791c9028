//! Table tests: inputs, what is expected of each, and which branches they take.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::ast::{ChainOp, Node, NodeId, Span, count};
use crate::budget::Budget;
use crate::machine::{Machine, Seen};
use crate::program::Program;

/// The tests of an expression, as JSON that people write by hand.
///
/// ```
/// use guardian_expr::{Env, TestTable};
///
/// let table: TestTable = serde_json::from_str(r#"{"cases": [
///     {"name": "big", "input": {"amount": 5000}, "expected": true},
///     {"name": "small", "input": {"amount": 5}, "expected": false},
///     {"name": "no amount", "input": {}, "fails": true}
/// ]}"#)?;
/// let report = Env::new().compile("amount > 1000")?.test(&table);
/// assert!(report.passed() && report.coverage() == 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TestTable {
    /// The cases.
    pub cases: Vec<TestCase>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TestCase {
    /// How the case is called.
    #[serde(default)]
    pub name: String,
    /// The variables.
    pub input: Json,
    /// The value that the expression has, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Json>,
    /// Whether the expression has no value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fails: bool,
}

/// How the cases went.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TestReport {
    /// Each case in its order.
    pub cases: Vec<TestResult>,
    /// Each decision within the expression.
    pub branches: Vec<Branch>,
}

/// How a case went.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TestResult {
    /// The name of the case.
    pub name: String,
    /// Whether it came out as expected.
    pub passed: bool,
    /// The value that the expression had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Json>,
    /// Why it had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A truth value that the result depends on: a term of `&&` or `||`, a condition, or the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Branch {
    /// It as text.
    pub text: String,
    /// Where it begins in the source.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// Whether it was true in some case.
    pub was_true: bool,
    /// Whether it was false in some case.
    pub was_false: bool,
}

impl TestReport {
    /// Whether every case came out as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.cases.iter().all(|case| case.passed)
    }

    /// The part of the branches that were taken, from 0 to 1; 1 where there are none.
    #[must_use]
    pub fn coverage(&self) -> f64 {
        let taken: usize =
            self.branches.iter().map(|each| usize::from(each.was_true) + usize::from(each.was_false)).sum();
        let all = self.branches.len() * 2;
        if all == 0 {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "an expression has far fewer than 2⁵² branches")]
        let part = taken as f64 / all as f64;
        part
    }
}

impl Program {
    /// Evaluates the expression on every case, each within four times the default budget.
    #[must_use]
    pub fn test(&self, table: &TestTable) -> TestReport {
        let traced = Self::new(&self.env, self.checked.clone(), true);
        let mut seen = vec![Seen::default(); traced.checked.ast.nodes.len()];
        let mut cases = Vec::with_capacity(table.cases.len());
        for case in &table.cases {
            let budget = Budget::default();
            let mut machine = Machine::new(&traced, &case.input, budget.with_cost(budget.cost * 4)).traced();
            let outcome = machine.run();
            for (all, new) in seen.iter_mut().zip(&machine.seen) {
                all.was_true |= new.was_true;
                all.was_false |= new.was_false;
            }
            let (value, error) = match outcome {
                Ok(value) => (Some(value.to_json()), None),
                Err(error) => (None, Some(error.to_string())),
            };
            let passed = match (&value, &case.expected) {
                (Some(value), Some(expected)) => !case.fails && same(value, expected),
                (Some(_), None) => false,
                (None, _) => case.fails,
            };
            cases.push(TestResult { name: case.name.clone(), passed, value, error });
        }
        TestReport { cases, branches: traced.branches(&seen) }
    }

    fn branches(&self, seen: &[Seen]) -> Vec<Branch> {
        let ast = &self.checked.ast;
        let mut found: Vec<NodeId> = Vec::new();
        for at in 0..count(ast.nodes.len()) {
            match ast.node(NodeId(at)) {
                Node::Chain { op: ChainOp::And | ChainOp::Or, terms } => found.extend(ast.list(terms)),
                Node::Conditional { condition, .. } => found.push(condition),
                Node::Comprehension { range, arguments, kind, .. } => {
                    let is_condition = arguments == 2
                        || !matches!(
                            kind.name(),
                            "map" | "transformList" | "transformMap" | "transformMapEntry" | "sortBy"
                        );
                    let body = ast.comprehension(range, arguments).get(1).copied();
                    found.extend(body.filter(|_| is_condition));
                }
                _ => {}
            }
        }
        if self.checked.result == crate::types::Type::Bool {
            found.push(ast.root());
        }
        // What is decided within a part is listed there; the part itself would say the same again.
        found.retain(|id| {
            !matches!(ast.node(*id), Node::Chain { op: ChainOp::And | ChainOp::Or, .. } | Node::Bool(_))
                || *id == ast.root()
        });
        found.sort_by_key(|id| (ast.span(*id).start, ast.span(*id).end));
        found.dedup();
        let branch = |id: NodeId| {
            let Span { start, end } = ast.span(id);
            let seen = seen.get(id.at()).copied().unwrap_or_default();
            Branch { text: ast.brief(id), start, end, was_true: seen.was_true, was_false: seen.was_false }
        };
        found.into_iter().map(branch).collect()
    }
}

/// Whether two JSON values say the same, where 1 and 1.0 do.
fn same(a: &Json, b: &Json) -> bool {
    crate::value::Value::from(a) == crate::value::Value::from(b)
}

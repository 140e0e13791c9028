//! A compiled expression.

use std::fmt;

use crate::ast::{Ast, BinaryOp, Children, Comprehension, NodeId, Span};
use crate::budget::Budget;
use crate::check::{Checked, Coercion};
use crate::compile;
use crate::env::{Env, HostFunction};
use crate::error::EvalError;
use crate::machine::Machine;
use crate::stdlib::Native;
use crate::stdlib::effort::Effort;
use crate::types::Type;
use crate::value::{Lookup, Value};
use std::sync::Arc;

/// An instruction for a machine with a stack; 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Constant(u32),
    /// A variable or fields of one.
    Path(u32),
    Select(u32),
    SelectOptional(u32),
    Has(u32),
    Index,
    IndexOptional,
    Coerce(Coercion),
    Not,
    Negate,
    Binary(BinaryOp),
    /// The value on the stack with a constant.
    Compare {
        op: BinaryOp,
        constant: u32,
    },
    /// A path with a constant.
    ComparePath {
        op: BinaryOp,
        path: u32,
        constant: u32,
    },
    InSet(u32),
    PathInSet {
        path: u32,
        set: u32,
    },
    Add(u32),
    Jump(u32),
    /// Takes a condition; goes on if it is true.
    Branch(u32),
    /// Takes a term of a chain; leaves the chain if it decides.
    And {
        chain: u32,
        end: u32,
    },
    Or {
        chain: u32,
        end: u32,
    },
    /// All terms were seen: true for `&&`, false for `||`, or the error that one of them met.
    Undecided {
        chain: u32,
        value: bool,
    },
    Call {
        function: u32,
        arguments: u32,
    },
    CallHost {
        function: u32,
        arguments: u32,
    },
    /// A call that no function can answer.
    NoFunction(u32),
    List(u32),
    /// With marks for the elements that may be left out.
    ListOptional {
        length: u32,
        marks: u32,
    },
    Map(u32),
    MapOptional {
        length: u32,
        marks: u32,
    },
    LoopStart(u32),
    LoopNext(u32),
    /// Takes the condition of an element; goes to the next one if it is false.
    LoopFilter(u32),
    LoopStep(u32),
    LoopEnd(u32),
    /// Takes a value into a place; `Handled` in front of it keeps an error there instead.
    Store(u32),
    /// Takes an optional value; without one it goes on behind the body with what is absent.
    OpenOptional {
        slot: u32,
        end: u32,
    },
    WrapOptional,
    /// Takes an optional value; with one it goes on at the end, with the value or what it wraps.
    Otherwise {
        unwrap: bool,
        end: u32,
    },
    /// For `explain`: keeps the value of a node.
    Trace(u32),
}

/// Where a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Variable(u32),
    Local(u32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) start: Start,
    /// The fields, as consecutive entries of the program's table of keys.
    pub(crate) keys: Children,
    pub(crate) coercion: Coercion,
    /// Where what it begins with is kept.
    pub(crate) slot: u32,
    /// Where its value is kept, if the expression has the path more than once.
    pub(crate) cache: Option<u32>,
}

/// What is done about an error within a range of instructions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handler {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Where it goes on.
    pub(crate) resume: u32,
    /// What is left on the stack.
    pub(crate) height: u32,
    pub(crate) keep: Keep,
    /// The handler around it.
    pub(crate) outer: u32,
}

/// Where an error is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Chain(u32),
    Local(u32),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Loop {
    pub(crate) kind: Comprehension,
    pub(crate) slot: u32,
    pub(crate) two: bool,
    pub(crate) next: u32,
    pub(crate) end: u32,
    /// The chain that keeps an error of `all` and `exists`.
    pub(crate) chain: u32,
}

/// A function of the library.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Library {
    pub(crate) native: Native,
    pub(crate) name: &'static str,
    /// What a call costs beside going through its arguments.
    pub(crate) price: u64,
    /// What the pattern takes, where it is a constant.
    pub(crate) effort: Option<Effort>,
}

/// The constants of `x in [constants]`, in an order in which they can be found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Set {
    pub(crate) texts: Vec<Arc<str>>,
    pub(crate) ints: Vec<i64>,
    /// What is neither a text nor a whole number.
    pub(crate) others: Vec<Value<'static>>,
}

/// An expression, ready to run. It may be shared among threads.
///
/// ```
/// use guardian_expr::{Env, Value};
///
/// let program = Env::new().compile("deal.amount > 1000 && deal.stage in ['won', 'open']")?;
/// let event = serde_json::json!({"deal": {"amount": 5000, "stage": "open"}});
/// assert_eq!(program.evaluate(&event).unwrap(), Value::Bool(true));
/// # Ok::<(), guardian_expr::Error>(())
/// ```
#[derive(Clone)]
pub struct Program {
    pub(crate) env: Env,
    pub(crate) checked: Checked,
    pub(crate) code: Vec<Op>,
    /// The node of each instruction.
    pub(crate) nodes: Vec<u32>,
    pub(crate) constants: Vec<Value<'static>>,
    /// Where in the text of the tree the names of fields and functions stand; equal ones at the same place.
    pub(crate) keys: Vec<Span>,
    pub(crate) paths: Vec<Path>,
    pub(crate) handlers: Vec<Handler>,
    pub(crate) loops: Vec<Loop>,
    pub(crate) sets: Vec<Set>,
    pub(crate) marks: Vec<Vec<bool>>,
    pub(crate) natives: Vec<Library>,
    pub(crate) hosts: Vec<(String, Vec<Arc<HostFunction>>)>,
    pub(crate) chains: u32,
    pub(crate) slots: u32,
    pub(crate) stack: u32,
}

impl fmt::Debug for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Program")
            .field("source", &self.source())
            .field("code", &self.code.len())
            .finish_non_exhaustive()
    }
}

impl Program {
    pub(crate) fn new(env: &Env, checked: Checked, traced: bool) -> Self {
        compile::compile(env, checked, traced)
    }

    /// The text of the expression.
    #[must_use]
    pub fn source(&self) -> &str {
        self.checked.ast.source()
    }

    /// The syntax tree.
    #[must_use]
    pub fn ast(&self) -> &Ast {
        &self.checked.ast
    }

    /// The type of the value, as far as it is known.
    #[must_use]
    pub fn result_type(&self) -> &Type {
        &self.checked.result
    }

    /// The value of the expression on these variables, within the default budget.
    ///
    /// What the value shares with the variables and the program it borrows; [`Value::into_owned`] makes it independent.
    ///
    /// # Errors
    ///
    /// What the expression met, such as a key that is not there, or the limit that it met.
    pub fn evaluate<'a>(&'a self, variables: &'a dyn Lookup) -> Result<Value<'a>, EvalError> {
        self.run(variables, Budget::default()).value
    }

    /// Whether the condition holds on these variables, within the default budget.
    ///
    /// # Errors
    ///
    /// Like [`Self::evaluate`], and a value that is no truth value.
    pub fn matches(&self, variables: &dyn Lookup) -> Result<bool, EvalError> {
        match self.evaluate(variables)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(crate::machine::no_overload(format!(
                "a condition is a `bool`, not a `{}`",
                other.type_name()
            ))),
        }
    }

    /// The value within a budget, and what it cost.
    #[must_use]
    pub fn run<'a>(&'a self, variables: &'a dyn Lookup, budget: Budget<'_>) -> Outcome<'a> {
        if let ([Op::Constant(_)], Some(Value::Bool(value))) = (self.code.as_slice(), self.constants.last())
            && budget.cost > 0
        {
            return Outcome { value: Ok(Value::Bool(*value)), cost: 1 };
        }
        let mut machine = Machine::new(self, variables, budget);
        let value = machine.run();
        Outcome { value, cost: machine.used() }
    }

    pub(crate) fn span(&self, at: usize) -> Span {
        self.nodes.get(at).map(|node| self.checked.ast.span(NodeId(*node))).unwrap_or_default()
    }

    pub(crate) fn key(&self, key: u32) -> &str {
        self.name(self.keys.get(key as usize).copied().unwrap_or_default())
    }

    #[inline]
    pub(crate) fn name(&self, place: Span) -> &str {
        self.checked.ast.part(place)
    }

    #[inline]
    pub(crate) fn path_keys(&self, path: &Path) -> &[Span] {
        let start = path.keys.start as usize;
        self.keys.get(start..start + path.keys.len as usize).unwrap_or_default()
    }
}

/// What an evaluation came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outcome<'a> {
    /// The value, or why there is none.
    pub value: Result<Value<'a>, EvalError>,
    /// The cost units that were used.
    pub cost: u64,
}

//! Conditions that were written for evalexpr.

use std::fmt::Write;

use evalexpr::{Node, Operator, Value};

use crate::env::Env;
use crate::error::Error;
use crate::value::{write_double, write_text};

/// Longer texts are refused before the parser of evalexpr, which is recursive, sees them.
const MAX_BYTES: usize = 16 << 10;
/// More operators and brackets could nest too deeply for it.
const MAX_OPERATORS: usize = 500;

impl Env {
    /// The expression that says what a condition of evalexpr 11 says, as text in the one style.
    ///
    /// It is read by evalexpr's own parser. `if(a, b, c)` becomes `a ? b : c`, `contains((x, y), z)` becomes `z in [x, y]`,
    /// `len(x)` becomes `size(x)`. Dots in names become fields.
    ///
    /// ```
    /// let env = guardian_expr::Env::new();
    /// let text = env.from_evalexpr("amount >= 100 && contains((\"won\", \"open\"), stage)")?;
    /// assert_eq!(text, "amount >= 100 && stage in [\"won\", \"open\"]");
    /// # Ok::<(), guardian_expr::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What evalexpr does not read; texts above 16 KiB or 500 operators; and what has no meaning here: assignments,
    /// sequences of statements, powers, and functions that do not exist here.
    pub fn from_evalexpr(&self, text: &str) -> Result<String, Error> {
        if text.len() > MAX_BYTES {
            return Err(Error::plain(format!("the condition has more than {MAX_BYTES} bytes")));
        }
        let operators = text.bytes().filter(|byte| b"+-*/%^!&|<>=(,;".contains(byte)).count();
        if operators > MAX_OPERATORS {
            return Err(Error::plain(format!("the condition has more than {MAX_OPERATORS} operators")));
        }
        let tree = evalexpr::build_operator_tree(text)
            .map_err(|error| Error::plain(format!("evalexpr does not read it: {error}")))?;
        let written = write(&tree)?;
        Ok(self.parse(&written)?.format())
    }
}

/// What a part of the tree became: its text, and those of its elements if it is a tuple.
struct Written {
    text: String,
    elements: Option<Vec<String>>,
}

/// The text of a tree: each node once its children have theirs, with a list of what is still to do.
fn write(root: &Node) -> Result<String, Error> {
    let mut todo: Vec<(&Node, bool)> = vec![(root, false)];
    let mut done: Vec<Written> = Vec::new();
    while let Some((node, ready)) = todo.pop() {
        if !ready {
            todo.push((node, true));
            todo.extend(node.children().iter().rev().map(|child| (child, false)));
            continue;
        }
        let mut parts = done.split_off(done.len().saturating_sub(node.children().len()));
        if let (Operator::FunctionIdentifier { identifier }, Some(argument)) =
            (node.operator(), parts.first())
        {
            let alone = vec![argument.text.clone()];
            let text = call(identifier, argument.elements.as_ref().unwrap_or(&alone))?;
            done.push(Written { text, elements: None });
            continue;
        }
        // Brackets around one part are that part.
        if *node.operator() == Operator::RootNode && parts.len() == 1 {
            done.append(&mut parts);
            continue;
        }
        let texts: Vec<String> = parts.into_iter().map(|part| part.text).collect();
        let text = made(node, &texts)?;
        let elements = (*node.operator() == Operator::Tuple).then_some(texts);
        done.push(Written { text, elements });
    }
    let whole = done.pop().map(|written| written.text);
    whole.filter(|text| !text.is_empty()).ok_or_else(|| Error::plain("the condition is empty"))
}

fn meaningless(what: &str) -> Error {
    Error::plain(format!("{what} has no meaning in a condition"))
}

fn made(node: &Node, parts: &[String]) -> Result<String, Error> {
    let binary = |symbol: &str| match parts {
        [left, right] => Ok(format!("({left} {symbol} {right})")),
        _ => Err(meaningless(&format!("`{symbol}` without two operands"))),
    };
    match node.operator() {
        Operator::RootNode if parts.is_empty() => Err(Error::plain("the condition is empty")),
        Operator::RootNode => Err(meaningless("a sequence of expressions")),
        Operator::Add => binary("+"),
        Operator::Sub => binary("-"),
        Operator::Mul => binary("*"),
        Operator::Div => binary("/"),
        Operator::Mod => binary("%"),
        Operator::Eq => binary("=="),
        Operator::Neq => binary("!="),
        Operator::Gt => binary(">"),
        Operator::Lt => binary("<"),
        Operator::Geq => binary(">="),
        Operator::Leq => binary("<="),
        Operator::And => binary("&&"),
        Operator::Or => binary("||"),
        Operator::Not => Ok(format!("!{}", parts.concat())),
        Operator::Neg => Ok(format!("-({})", parts.concat())),
        Operator::Tuple => Ok(format!("[{}]", parts.join(", "))),
        Operator::Const { value } => constant(value),
        Operator::VariableIdentifierRead { identifier } => name(identifier),
        Operator::FunctionIdentifier { identifier } => call(identifier, &[]),
        Operator::Exp => Err(Error::plain("a power `^` has no meaning here: write it as a product")),
        Operator::Chain => Err(meaningless("a sequence of statements with `;`")),
        _ => Err(meaningless("an assignment")),
    }
}

fn constant(value: &Value) -> Result<String, Error> {
    let mut text = String::new();
    let _ = match value {
        Value::String(value) => write_text(&mut text, value),
        Value::Float(value) => write_double(&mut text, *value),
        Value::Int(value) => write!(text, "{value}"),
        Value::Boolean(value) => write!(text, "{value}"),
        _ => return Err(meaningless("an empty value")),
    };
    Ok(text)
}

/// A variable, whose dots become fields.
fn name(identifier: &str) -> Result<String, Error> {
    let valid = identifier.split('.').all(crate::lexer::is_plain_name)
        && !crate::lexer::is_reserved(identifier.split('.').next().unwrap_or_default());
    if valid {
        return Ok(identifier.to_owned());
    }
    Err(Error::plain(format!("`{identifier}` is no name of a variable here")))
}

/// A call of a function with these arguments.
fn call(function: &str, arguments: &[String]) -> Result<String, Error> {
    let shown = match (function, arguments) {
        ("if", [condition, then, otherwise]) => format!("({condition} ? {then} : {otherwise})"),
        ("contains", [list, value]) => format!("({value} in {list})"),
        ("contains_any", [list, values]) => format!("sets.intersects({list}, {values})"),
        ("len", [value]) => format!("size({value})"),
        ("min", [_, ..]) => format!("math.least({})", arguments.join(", ")),
        ("max", [_, ..]) => format!("math.greatest({})", arguments.join(", ")),
        ("math::abs", [value]) => format!("math.abs({value})"),
        ("math::is_nan", [value]) => format!("math.isNaN({value})"),
        ("math::is_finite", [value]) => format!("math.isFinite({value})"),
        ("math::is_infinite", [value]) => format!("math.isInf({value})"),
        ("math::sqrt", [value]) => format!("math.sqrt({value})"),
        ("floor" | "ceil" | "round", [value]) => format!("math.{function}(double({value}))"),
        ("str::trim", [value]) => format!("({value}).trim()"),
        ("str::from", [value]) => format!("string({value})"),
        ("str::regex_matches", [value, pattern]) => format!("({value}).matches({pattern})"),
        ("bitand", [a, b]) => format!("math.bitAnd({a}, {b})"),
        ("bitor", [a, b]) => format!("math.bitOr({a}, {b})"),
        ("bitxor", [a, b]) => format!("math.bitXor({a}, {b})"),
        ("bitnot", [value]) => format!("math.bitNot({value})"),
        _ => {
            let message =
                format!("the function `{function}` with {} arguments does not exist here", arguments.len());
            return Err(Error::plain(message));
        }
    };
    Ok(shown)
}

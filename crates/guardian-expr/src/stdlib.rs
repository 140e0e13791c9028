//! The functions: the standard ones of the specification, and the extension libraries of cel-go.

use crate::budget::Context;
use crate::error::{ErrorKind, EvalError};
use crate::machine::OPTIONAL;
use crate::operators;
use crate::value::Value;

mod convert;
mod dates;
pub(crate) mod effort;
pub(crate) mod encoders;
mod format;
pub(crate) mod lists;
mod math;
mod network;
mod optional;
#[cfg(feature = "regex")]
pub(crate) mod regex;
mod sets;
mod strings;

use effort::Effort;

/// A function of the library. Its arguments were paid for: it charges what it does beyond going through them once.
pub(crate) type Native = for<'a> fn(&mut Context<'_>, &[Value<'a>]) -> Result<Value<'a>, EvalError>;

/// What a part of a text costs that is replaced, beside its bytes.
pub(crate) const REPLACED: u64 = 3;

/// A function and the ways to call it.
pub(crate) type Entry = (&'static str, Native, &'static [&'static str]);

/// The names that stand for types, and the types.
pub(crate) const TYPE_NAMES: [(&str, &str); 15] = [
    ("bool", "bool"),
    ("int", "int"),
    ("uint", "uint"),
    ("double", "double"),
    ("string", "string"),
    ("bytes", "bytes"),
    ("list", "list(dyn)"),
    ("map", "map(dyn, dyn)"),
    ("null_type", "null"),
    ("type", "type(dyn)"),
    ("google.protobuf.Timestamp", "timestamp"),
    ("google.protobuf.Duration", "duration"),
    ("optional_type", "optional_type(dyn)"),
    ("net.IP", "net.IP"),
    ("net.CIDR", "net.CIDR"),
];

pub(crate) fn functions() -> impl Iterator<Item = Entry> {
    let tables: [&[Entry]; 10] = [
        convert::FUNCTIONS,
        dates::FUNCTIONS,
        encoders::FUNCTIONS,
        lists::FUNCTIONS,
        math::FUNCTIONS,
        network::FUNCTIONS,
        optional::FUNCTIONS,
        sets::FUNCTIONS,
        strings::FUNCTIONS,
        regex_functions(),
    ];
    tables.into_iter().flatten().copied()
}

/// What a call costs beside going through its arguments and what the function charges, for functions that take longer than
/// a step.
pub(crate) fn price(name: &str) -> u64 {
    match name {
        "string" | "double" => 20,
        "timestamp" | "duration" => 12,
        "ip" | "isIP" | "ip.isCanonical" | "cidr" | "isCIDR" | "containsIP" | "containsCIDR" | "masked" => 10,
        _ if name.starts_with("get") => 12,
        "bytes" | "join" | "lowerAscii" | "upperAscii" | "replace" | "split" | "substring" | "charAt"
        | "trim" | "reverse" | "strings.quote" | "format" | "base64.encode" | "base64.decode" => {
            operators::TEXT
        }
        "type" | "first" | "last" | "optional.of" | "optional.ofNonZeroValue" => OPTIONAL,
        "slice" | "flatten" | "distinct" | "sort" | "lists.range" | "unwrapOpt" | "optional.unwrap" => 4,
        _ => 0,
    }
}

/// The function for calls whose pattern is a constant of the program, if it is one of regular expressions.
#[cfg(feature = "regex")]
pub(crate) fn with_known_pattern(name: &str, pattern: &str) -> Option<(Native, Effort)> {
    Some((regex::with_known_pattern(name)?, Effort::of(pattern)))
}

#[cfg(not(feature = "regex"))]
pub(crate) fn with_known_pattern(_: &str, _: &str) -> Option<(Native, Effort)> {
    None
}

#[cfg(feature = "regex")]
fn regex_functions() -> &'static [Entry] {
    regex::FUNCTIONS
}

#[cfg(not(feature = "regex"))]
fn regex_functions() -> &'static [Entry] {
    &[]
}

/// The arguments are of types that the function is not defined for; who calls it knows its name.
#[cold]
pub(crate) fn mismatch() -> EvalError {
    EvalError::new(ErrorKind::NoSuchOverload, "")
}

#[cold]
pub(crate) fn invalid(message: impl Into<String>) -> EvalError {
    EvalError::new(ErrorKind::InvalidArgument, message)
}

/// Puts the function's name into an error that lacks it.
#[cold]
pub(crate) fn named(error: EvalError, name: &str, arguments: &[Value<'_>]) -> EvalError {
    if error.kind() == ErrorKind::NoSuchOverload && error.to_string().is_empty() {
        return undefined(name, arguments);
    }
    error
}

#[cold]
pub(crate) fn undefined(name: &str, arguments: &[Value<'_>]) -> EvalError {
    let types: Vec<&str> = arguments.iter().map(Value::type_name).collect();
    let message = format!("`{name}` is not defined for `({})`", types.join(", "));
    EvalError::new(ErrorKind::NoSuchOverload, message)
}

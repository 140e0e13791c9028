//! Types and functions as text: `list(string)`, `string.score(int) -> double`.

use std::str::FromStr;

use crate::error::Error;
use crate::types::Type;

/// How deeply a written type may nest.
const MAX_DEPTH: usize = 32;

/// A way to call a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) name: String,
    pub(crate) receiver: bool,
    /// The receiver is the first of them.
    pub(crate) parameters: Vec<Type>,
    pub(crate) result: Type,
}

impl FromStr for Type {
    type Err = Error;

    /// Reads a type as it is shown. A single capital letter is a type parameter, and an unknown name an opaque type.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut rest = text;
        let read = read_type(&mut rest, 0).filter(|_| rest.trim().is_empty());
        read.ok_or_else(|| Error::plain(format!("`{text}` is no type")))
    }
}

impl FromStr for Signature {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        read_signature(text).ok_or_else(|| {
            Error::plain(format!("`{text}` is no signature such as `score(string, int) -> double`"))
        })
    }
}

fn read_signature(text: &str) -> Option<Signature> {
    let (call, result) = text.split_once("->")?;
    let call = call.trim().strip_suffix(')')?;
    let mut depth = 0_usize;
    // The bracket that opens the parameters is the last one that is not inside of another.
    let open = call.char_indices().filter_map(|(at, each)| match each {
        '(' => {
            depth += 1;
            (depth == 1).then_some(at)
        }
        ')' => {
            depth = depth.saturating_sub(1);
            None
        }
        _ => None,
    });
    let (head, list) = call.split_at_checked(open.last()?)?;
    let mut parameters = Vec::new();
    let mut rest = list.strip_prefix('(')?;
    if !rest.trim().is_empty() {
        loop {
            parameters.push(read_type(&mut rest, 0)?);
            rest = rest.trim_start();
            match rest.strip_prefix(',') {
                Some(after) => rest = after,
                None if rest.is_empty() => break,
                None => return None,
            }
        }
    }
    let mut name = head.trim().to_owned();
    let mut receiver = false;
    // A receiver is a type, so a name with a dot is a receiver's only if a type stands in front.
    if let Some((before, method)) = name.rsplit_once('.')
        && let Ok(first) = before.parse::<Type>()
        && (!matches!(&first, Type::Opaque(..)) || matches!(before, "net.IP" | "net.CIDR"))
    {
        parameters.insert(0, first);
        receiver = true;
        name = method.to_owned();
    }
    let mut result_text = result;
    let result = read_type(&mut result_text, 0)?;
    let valid = !name.is_empty() && name.split('.').all(crate::lexer::is_plain_name);
    (valid && result_text.trim().is_empty()).then_some(Signature { name, receiver, parameters, result })
}

fn read_type(rest: &mut &str, depth: usize) -> Option<Type> {
    if depth > MAX_DEPTH {
        return None;
    }
    let text = rest.trim_start();
    let end = text
        .find(|each: char| !each.is_ascii_alphanumeric() && !matches!(each, '_' | '.'))
        .unwrap_or(text.len());
    let (name, after) = text.split_at_checked(end)?;
    *rest = after;
    let mut arguments = Vec::new();
    if let Some(inner) = after.trim_start().strip_prefix('(') {
        *rest = inner;
        if name == "param" {
            let (parameter, after) = inner.split_once(')')?;
            *rest = after;
            return Some(Type::param(parameter.trim()));
        }
        loop {
            arguments.push(read_type(rest, depth + 1)?);
            let text = rest.trim_start();
            if let Some(after) = text.strip_prefix(',') {
                *rest = after;
            } else {
                *rest = text.strip_prefix(')')?;
                break;
            }
        }
    }
    let mut arguments = arguments.into_iter();
    let mut one = || Box::new(arguments.next().unwrap_or(Type::Dyn));
    let made = match name {
        "" => return None,
        "dyn" | "any" => Type::Dyn,
        "null" | "null_type" => Type::Null,
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "timestamp" | "google.protobuf.Timestamp" => Type::Timestamp,
        "duration" | "google.protobuf.Duration" => Type::Duration,
        "type" => Type::Type(one()),
        "list" => Type::List(one()),
        "map" => Type::Map(one(), one()),
        "optional_type" => Type::Optional(one()),
        "wrapper" | "nullable" => Type::Nullable(one()),
        _ if name.len() == 1 && name.starts_with(|each: char| each.is_ascii_uppercase()) => Type::param(name),
        _ => return Some(Type::Opaque(name.to_owned(), arguments.collect())),
    };
    arguments.next().is_none().then_some(made)
}

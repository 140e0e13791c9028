//! The part of jq that our expressions have too.

use std::collections::BTreeMap;

use guardian_expr::Env;

use crate::definition::VariableName;

/// The longest expression that is translated, in bytes.
const MAX_SOURCE: usize = 8192;

/// What is in `${ … }`.
pub(super) fn inner(text: &str) -> Option<&str> {
    text.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).map(str::trim)
}

/// A text as a literal of an expression.
pub(super) fn quoted(text: &str) -> String {
    // JSON's escapes are ours too.
    serde_json::Value::from(text).to_string()
}

/// An expression of jq as one of ours; `None` where there is none. Paths, literals, objects, lists, arithmetic, comparisons,
/// `and`, `or`, `not` behind a pipe, `length` and `//` are understood.
pub(super) fn translate(source: &str, root: &str, names: &BTreeMap<String, String>) -> Option<String> {
    // Pipes are followed one within another, and each looks through the text.
    if source.len() > MAX_SOURCE {
        return None;
    }
    let mut made = String::new();
    let mut rest = source.trim();
    if let Some((left, right)) = split_pipe(rest) {
        let left = translate(left, root, names)?;
        return match right.trim() {
            "length" => Some(format!("size({left})")),
            "not" => Some(format!("!({left})")),
            "tostring" => Some(format!("string({left})")),
            "tonumber" => Some(format!("double({left})")),
            _ => None,
        };
    }
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => {
                let end = text_end(rest)?;
                let literal = rest.get(..end)?;
                // A value within a text.
                if literal.contains("\\(") {
                    return None;
                }
                made.push_str(literal);
                end
            }
            '.' => {
                let after_operand = made
                    .trim_end()
                    .ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ']' | ')' | '"'))
                    && !made.ends_with(' ');
                let end = path_end(rest);
                let steps = rest.get(..end)?;
                if after_operand {
                    made.push_str(steps);
                } else {
                    made.push_str(root);
                    if steps != "." {
                        made.push_str(&path(steps)?);
                    }
                }
                end
            }
            '$' => {
                let end = 1 + rest
                    .get(1..)?
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(rest.len() - 1);
                let name = rest.get(1..end)?;
                made.push_str(match names.get(name) {
                    Some(variable) => variable,
                    None if name == "input" => root,
                    None if name == "workflow" && rest.get(end..)?.starts_with(".input") => {
                        made.push_str("input");
                        rest = rest.get(end + ".input".len()..)?;
                        continue;
                    }
                    None => return None,
                });
                end
            }
            '/' if rest.starts_with("//") => return None,
            c if c.is_alphabetic() => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                let word = rest.get(..end)?;
                let is_key = rest.get(end..)?.trim_start().starts_with(':');
                match word {
                    _ if is_key => made.push_str(&quoted(word)),
                    "and" => made.push_str("&&"),
                    "or" => made.push_str("||"),
                    "true" | "false" | "null" => made.push_str(word),
                    _ => return None,
                }
                end
            }
            c if c.is_ascii_digit() || c.is_whitespace() || "+-*/%()[]{},:<>=!".contains(c) => {
                made.push(c);
                c.len_utf8()
            }
            _ => return None,
        };
        rest = rest.get(length..)?;
    }
    Env::new().parse(&made).ok().map(|_| made)
}

/// The last pipe outside of brackets and texts.
fn split_pipe(source: &str) -> Option<(&str, &str)> {
    let (mut depth, mut quoted, mut escaped, mut found) = (0_i32, false, false, None);
    for (at, c) in source.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '|' if depth == 0 => found = Some(at),
            _ => {}
        }
    }
    let at = found?;
    Some((source.get(..at)?, source.get(at + 1..)?))
}

fn text_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Where a path `.a.b["c"][0]` ends.
fn path_end(text: &str) -> usize {
    let (mut depth, mut quoted) = (0_u32, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' if depth > 0 => quoted = !quoted,
            _ if quoted => {}
            '[' => depth += 1,
            ']' if depth > 0 => depth -= 1,
            ']' => return at,
            _ if depth > 0 || c == '.' || c == '_' || c.is_alphanumeric() => {}
            _ => return at,
        }
    }
    text.len()
}

fn path(text: &str) -> Option<String> {
    let (mut made, mut rest) = (String::new(), text);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(".[") {
            rest = after;
        } else if let Some(after) = rest.strip_prefix('[') {
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, next) = after.split_at_checked(end)?;
            let plain =
                VariableName::new(key).is_ok() || matches!(key, "input" | "run" | "event" | "outcome");
            made.push_str(&if plain { format!(".{key}") } else { format!("[{}]", quoted(key)) });
            if key.is_empty() {
                return None;
            }
            rest = next;
            continue;
        }
        let (inside, next) = rest.split_once(']')?;
        let known = inside.parse::<u32>().is_ok()
            || (inside.starts_with('"') && inside.ends_with('"') && inside.len() > 1);
        if !known {
            return None;
        }
        made.push_str(&format!("[{inside}]"));
        rest = next;
    }
    Some(made)
}

//! Paths, calls and JSONata in the language of our expressions.

use std::collections::BTreeMap;

use guardian_expr::Env;
use serde_json::Value;

use crate::definition::VariableName;

/// The variables of a machine.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) data: String,
    pub(super) result: String,
    pub(super) caught: String,
    pub(super) failure: String,
    pub(super) item: Option<String>,
    pub(super) index: Option<String>,
    /// What the variables that its states assign, and those of the machines around it, are called here.
    pub(super) names: BTreeMap<String, String>,
}

impl Scope {
    /// What a variable is called here.
    pub(super) fn variable(&self, name: &str) -> String {
        self.names.get(name).cloned().unwrap_or_else(|| variable(name))
    }
}

/// A text as a literal of an expression.
pub(super) fn quoted(text: &str) -> String {
    let mut literal = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                literal.push('\\');
                literal.push(c);
            }
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            c if c.is_control() => literal.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => literal.push(c),
        }
    }
    literal.push('"');
    literal
}

/// A value that stands for itself.
pub(super) fn literal(value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with('=') => Value::from(format!("={}", quoted(text))),
        Value::Array(items) => items.iter().map(literal).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), literal(member))).collect()
        }
        other => other.clone(),
    }
}

/// A value with expressions as one expression.
pub(super) fn expression_of(value: &Value) -> String {
    match value {
        Value::String(text) => match text.strip_prefix('=') {
            Some(expression) => format!("({expression})"),
            None => quoted(text),
        },
        Value::Array(items) => {
            format!("[{}]", items.iter().map(expression_of).collect::<Vec<_>>().join(", "))
        }
        Value::Object(members) => {
            let member =
                |(name, member): (&String, &Value)| format!("{}: {}", quoted(name), expression_of(member));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// The name of a variable that states assign.
pub(super) fn variable(name: &str) -> String {
    if VariableName::new(name).is_ok() && !name.starts_with("data") && !name.starts_with("result") {
        return name.to_owned();
    }
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("var_{plain}")
}

/// A step of a path.
enum Step {
    Key(String),
    At(u64),
}

/// The longest path that is translated, in bytes, and the most steps of one: what is made of a path may have it once for each step.
const MAX_PATH: usize = 2048;
const MAX_STEPS: usize = 64;

fn steps(text: &str) -> Option<Vec<Step>> {
    let (mut found, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        if text.len() > MAX_PATH || found.len() == MAX_STEPS {
            return None;
        }
        if let Some(after) = rest.strip_prefix('.').filter(|after| !after.starts_with('[')) {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, next) = after.split_at_checked(end)?;
            if key.is_empty() || key.contains(['*', '(', ')', '@', '?']) {
                return None;
            }
            found.push(Step::Key(key.to_owned()));
            rest = next;
        } else {
            let after = rest.trim_start_matches('.').strip_prefix('[')?;
            let (inside, next) = match after.chars().next()? {
                quote @ ('\'' | '"') => {
                    let (key, next) = after.get(1..)?.split_once(quote)?;
                    found.push(Step::Key(key.to_owned()));
                    (None, next.strip_prefix(']')?)
                }
                _ => {
                    let (inside, next) = after.split_once(']')?;
                    (Some(inside), next)
                }
            };
            if let Some(inside) = inside {
                found.push(Step::At(inside.trim().parse().ok()?));
            }
            rest = next;
        }
    }
    Some(found)
}

fn is_identifier(name: &str) -> bool {
    VariableName::new(name).is_ok() || matches!(name, "input" | "run" | "event" | "outcome")
}

fn select(root: &str, steps: &[Step]) -> String {
    steps.iter().fold(root.to_owned(), |whole, step| match step {
        Step::Key(key) if is_identifier(key) => format!("{whole}.{key}"),
        Step::Key(key) => format!("{whole}[{}]", quoted(key)),
        Step::At(at) => format!("{whole}[{at}]"),
    })
}

/// A path as an expression; `None` where there is none.
pub(super) fn path(text: &str, root: &str, scope: &Scope) -> Option<String> {
    let rest = text.trim().strip_prefix('$')?;
    if let Some(context) = rest.strip_prefix('$') {
        let whole = [
            (".Execution.Input", Some("input".to_owned())),
            (".Execution.Id", Some("run.id".to_owned())),
            (".Execution.Name", Some("run.id".to_owned())),
            (".Execution.StartTime", Some("string(run.started)".to_owned())),
            (".State.EnteredTime", Some("string(run.now)".to_owned())),
            (".StateMachine.Name", Some("run.workflow".to_owned())),
            (".Map.Item.Value", scope.item.clone()),
            (".Map.Item.Index", scope.index.clone()),
        ];
        let (name, found) = whole.into_iter().find(|(name, _)| context.starts_with(name))?;
        return Some(select(&found?, &steps(context.get(name.len()..)?)?));
    }
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (name, rest) = rest.split_at_checked(end)?;
    let root = if name.is_empty() { root.to_owned() } else { scope.variable(name) };
    Some(select(&root, &steps(rest)?))
}

/// The keys of a path to a place in an object.
pub(super) fn keys(text: &str) -> Option<Vec<String>> {
    let found = steps(text.strip_prefix('$')?)?;
    let keys: Option<Vec<String>> = found
        .into_iter()
        .map(|step| match step {
            Step::Key(key) if !key.contains('.') => Some(key),
            _ => None,
        })
        .collect();
    keys.filter(|keys| !keys.is_empty())
}

/// Whether a place is there, as an expression.
pub(super) fn present(text: &str, root: &str) -> Option<String> {
    let (root, rest) = match text.strip_prefix("$$") {
        Some(context) => ("input", context.strip_prefix(".Execution.Input")?),
        None => (root, text.strip_prefix('$')?),
    };
    let found = steps(rest)?;
    let (mut whole, mut tests) = (root.to_owned(), Vec::new());
    for step in &found {
        match step {
            Step::Key(key) => {
                tests.push(format!("{} in {whole}", quoted(key)));
                whole = select(&whole, std::slice::from_ref(step));
            }
            Step::At(at) => {
                tests.push(format!("size({whole}) > {at}"));
                whole = format!("{whole}[{at}]");
            }
        }
    }
    Some(if tests.is_empty() { "true".to_owned() } else { tests.join(" && ") })
}

/// A pattern with `*` as a regular expression.
pub(super) fn glob(pattern: &str) -> String {
    let mut regex = String::from("^");
    let mut escaped = false;
    for c in pattern.chars() {
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            '*' if !escaped => regex.push_str(".*"),
            c if c.is_alphanumeric() || c == ' ' => regex.push(c),
            c => {
                regex.push('\\');
                regex.push(c);
            }
        }
        escaped = false;
    }
    regex.push('$');
    regex
}

/// A call of an intrinsic function as an expression; `None` where there is none.
pub(super) fn call(text: &str, root: &str, scope: &Scope) -> Option<String> {
    let (made, rest) = read_call(text.trim(), root, scope, 0)?;
    rest.trim().is_empty().then_some(made)
}

fn read_call<'t>(text: &'t str, root: &str, scope: &Scope, depth: u32) -> Option<(String, &'t str)> {
    if depth > 10 {
        return None;
    }
    let (name, mut rest) = text.strip_prefix("States.")?.split_once('(')?;
    let mut arguments = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(')') {
            rest = after;
            break;
        }
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        let (argument, after) = read_argument(rest, root, scope, depth)?;
        arguments.push(argument);
        rest = after;
    }
    let made = match (name, arguments.as_slice()) {
        ("Array", all) => format!("[{}]", all.join(", ")),
        ("ArrayLength", [list]) => format!("size({list})"),
        ("ArrayContains", [list, item]) => format!("({item} in {list})"),
        ("ArrayGetItem", [list, at]) => format!("{list}[{at}]"),
        ("MathAdd", [a, b]) => format!("({a} + {b})"),
        ("StringSplit", [text, by]) => format!("{text}.split({by})"),
        ("JsonMerge", [a, b, _]) => format!("merge({a}, {b})"),
        ("Base64Encode", [text]) => format!("base64.encode(bytes({text}))"),
        ("Base64Decode", [text]) => format!("string(base64.decode({text}))"),
        ("Format", [form, values @ ..]) => {
            // The literal keeps its `{}` as they are: no escape makes a brace.
            let parts: Vec<&str> = form.strip_prefix('"')?.strip_suffix('"')?.split("{}").collect();
            if parts.len() != values.len() + 1 {
                return None;
            }
            let mut made = format!("\"{}\"", parts.first()?);
            for (value, part) in values.iter().zip(parts.iter().skip(1)) {
                made.push_str(&format!(" + string({value}) + \"{part}\""));
            }
            format!("({made})")
        }
        _ => return None,
    };
    Some((made, rest))
}

fn read_argument<'t>(text: &'t str, root: &str, scope: &Scope, depth: u32) -> Option<(String, &'t str)> {
    match text.chars().next()? {
        '\'' => {
            let (mut plain, mut escaped) = (String::new(), false);
            for (at, c) in text.char_indices().skip(1) {
                match c {
                    c if escaped => {
                        plain.push(c);
                        escaped = false;
                    }
                    '\\' => escaped = true,
                    '\'' => return Some((quoted(&plain), text.get(at + 1..)?)),
                    c => plain.push(c),
                }
            }
            None
        }
        '$' => {
            let (mut end, mut brackets) = (text.len(), 0_u32);
            for (at, c) in text.char_indices() {
                match c {
                    '[' => brackets += 1,
                    ']' => brackets = brackets.saturating_sub(1),
                    ',' | ')' | ' ' if brackets == 0 => {
                        end = at;
                        break;
                    }
                    _ => {}
                }
            }
            let (place, rest) = text.split_at_checked(end)?;
            Some((path(place, root, scope)?, rest))
        }
        'S' => read_call(text, root, scope, depth + 1),
        _ => {
            let end = text.find([',', ')', ' ']).unwrap_or(text.len());
            let (word, rest) = text.split_at_checked(end)?;
            let known =
                matches!(word, "null" | "true" | "false") || word.parse::<f64>().is_ok_and(f64::is_finite);
            known.then(|| (word.to_owned(), rest))
        }
    }
}

/// A JSONata expression as one of ours: fields, comparisons, `and`, `or` and `&` only; `None` for anything else.
pub(super) fn jsonata(text: &str, root: &str, scope: &Scope) -> Option<String> {
    let inner = text.strip_prefix("{%")?.strip_suffix("%}")?.trim();
    let (mut made, mut rest) = (String::new(), inner);
    while let Some(first) = rest.chars().next() {
        let word_end = |text: &str| {
            text.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.')).unwrap_or(text.len())
        };
        let length = match first {
            '\'' | '"' => {
                let end = rest.get(1..)?.find(first)? + 1;
                let inside = rest.get(1..end)?;
                if inside.contains('\\') {
                    return None;
                }
                made.push_str(&quoted(inside));
                end + 1
            }
            '$' => {
                let end = 1 + word_end(rest.get(1..)?);
                let name = rest.get(1..end)?;
                let mut parts = name.split('.');
                let base = match (parts.next()?, name.starts_with("states.")) {
                    ("states", true) => match parts.next()? {
                        "input" => root.to_owned(),
                        "result" => scope.result.clone(),
                        "errorOutput" => scope.failure.clone(),
                        _ => return None,
                    },
                    (variable_name, false) if !variable_name.is_empty() => scope.variable(variable_name),
                    _ => return None,
                };
                // A call, or a name that we cannot write.
                if rest.get(end..)?.trim_start().starts_with('(') {
                    return None;
                }
                let steps: Vec<Step> = parts.map(|part| Step::Key(part.to_owned())).collect();
                made.push_str(&select(&base, &steps));
                end
            }
            c if c.is_alphabetic() => {
                let end = word_end(rest);
                made.push_str(match rest.get(..end)? {
                    "and" => "&&",
                    "or" => "||",
                    "in" => "in",
                    "true" => "true",
                    "false" => "false",
                    "null" => "null",
                    _ => return None,
                });
                end
            }
            '=' => {
                made.push_str("==");
                1
            }
            '!' if rest.starts_with("!=") => {
                made.push_str("!=");
                2
            }
            '<' | '>' => {
                let two = rest.get(1..2) == Some("=");
                made.push(first);
                if two {
                    made.push('=');
                }
                1 + usize::from(two)
            }
            '&' => {
                made.push('+');
                1
            }
            c if c.is_ascii_digit() || c.is_whitespace() || "+-*/%()[],.{}:".contains(c) => {
                made.push(c);
                c.len_utf8()
            }
            _ => return None,
        };
        rest = rest.get(length..)?;
    }
    Env::new().parse(&made).ok().map(|_| made)
}

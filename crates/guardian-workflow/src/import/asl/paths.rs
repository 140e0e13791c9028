//! Paths, intrinsic functions and JSONata expressions, as far as their form goes.

/// The deepest calls within calls.
const MAX_DEPTH: u32 = 10;

/// Whether a text is a JSONPath of the language: `$`, the context object `$$`, or a variable `$name`, and what follows.
pub(super) fn is_path(text: &str) -> bool {
    path(text, false)
}

/// Whether a path names one place: no wildcards, filters, slices, recursion or functions.
pub(super) fn is_reference(text: &str) -> bool {
    path(text, true)
}

fn path(text: &str, reference: bool) -> bool {
    let Some(rest) = text.strip_prefix('$') else { return false };
    let rest = rest.strip_prefix('$').unwrap_or_else(|| {
        // A variable.
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        rest.get(end..).unwrap_or_default()
    });
    segments(rest, reference)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '@') || (!c.is_ascii() && !c.is_whitespace())
}

fn segments(text: &str, reference: bool) -> bool {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            '.' => {
                rest = rest.get(1..).unwrap_or_default();
                if let Some(deeper) = rest.strip_prefix('.') {
                    if reference {
                        return false;
                    }
                    rest = deeper;
                }
                // As `$.['name']` and `$.[?(@.open)]`, with a dot in front that others do without.
                if rest.starts_with('[') {
                    continue;
                }
                if let Some(after) = rest.strip_prefix('*') {
                    if reference {
                        return false;
                    }
                    rest = after;
                    continue;
                }
                let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
                if end == 0 {
                    return false;
                }
                rest = rest.get(end..).unwrap_or_default();
                if let Some(call) = rest.strip_prefix('(') {
                    let Some((_, after)) = call.split_once(')') else { return false };
                    if reference {
                        return false;
                    }
                    rest = after;
                }
            }
            '[' => {
                let Some((inside, after)) = bracket(rest) else { return false };
                if !subscript(inside.trim(), reference) {
                    return false;
                }
                rest = after;
            }
            _ => return false,
        }
    }
    true
}

/// What stands in brackets, and what follows them.
fn bracket(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut quote, mut escaped) = (0_u32, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '[' | '(') => depth += 1,
            (None, ']' | ')') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return (c == ']').then(|| Some((text.get(1..at)?, text.get(at + 1..)?)))?;
                }
            }
            _ => {}
        }
    }
    None
}

fn subscript(text: &str, reference: bool) -> bool {
    let quoted = |text: &str| {
        let inner = |mark: char| text.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
        let alone = |mark: char| {
            inner(mark).is_some_and(|name| {
                !name.is_empty() && !name.replace(&format!("\\{mark}"), "").contains(mark)
            })
        };
        alone('\'') || alone('"')
    };
    let number = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    if quoted(text) || (number(text) && !(reference && text.starts_with('-'))) {
        return true;
    }
    if reference || text.is_empty() {
        return false;
    }
    text == "*"
        || text.starts_with("?(") && text.ends_with(')')
        || text.starts_with('?')
        || text.starts_with('(') && text.ends_with(')')
        || text.split(',').all(|part| {
            let part = part.trim();
            quoted(part)
                || number(part)
                || part.split(':').all(|end| end.is_empty() || number(end)) && part.contains(':')
        })
}

/// The intrinsic functions with their numbers of arguments.
const FUNCTIONS: [(&str, usize, usize); 18] = [
    ("Format", 1, usize::MAX),
    ("StringToJson", 1, 1),
    ("JsonToString", 1, 1),
    ("Array", 0, usize::MAX),
    ("ArrayPartition", 2, 2),
    ("ArrayContains", 2, 2),
    ("ArrayRange", 3, 3),
    ("ArrayGetItem", 2, 2),
    ("ArrayLength", 1, 1),
    ("ArrayUnique", 1, 1),
    ("Base64Encode", 1, 1),
    ("Base64Decode", 1, 1),
    ("Hash", 2, 2),
    ("JsonMerge", 3, 3),
    ("MathRandom", 2, 3),
    ("MathAdd", 2, 2),
    ("StringSplit", 2, 2),
    ("UUID", 0, 0),
];

/// Why a text is no call of an intrinsic function; `None` if it is one.
pub(super) fn intrinsic_fault(text: &str) -> Option<String> {
    match call(text.trim(), 0) {
        Ok("") => None,
        Ok(rest) => Some(format!("`{}` stands behind the call", guardian_core::shorten(rest))),
        Err(why) => Some(why),
    }
}

/// Whether a text is meant as a call.
pub(super) fn is_call(text: &str) -> bool {
    text.trim_start().starts_with("States.")
}

fn call(text: &str, depth: u32) -> Result<&str, String> {
    if depth > MAX_DEPTH {
        return Err(format!("calls are nested deeper than {MAX_DEPTH}"));
    }
    let text = text.strip_prefix("States.").ok_or("a function begins with `States.`")?;
    let (name, mut rest) = text.split_once('(').ok_or("a function is followed by `(`")?;
    let known = FUNCTIONS.iter().find(|(known, _, _)| *known == name);
    let (_, least, most) =
        known.ok_or_else(|| format!("there is no function `States.{}`", guardian_core::shorten(name)))?;
    let mut count = 0;
    rest = rest.trim_start();
    if let Some(after) = rest.strip_prefix(')') {
        rest = after;
    } else {
        loop {
            rest = argument(rest.trim_start(), depth)?.trim_start();
            count += 1;
            if let Some(after) = rest.strip_prefix(',') {
                rest = after;
            } else if let Some(after) = rest.strip_prefix(')') {
                rest = after;
                break;
            } else {
                return Err("expected `,` or `)` behind an argument".to_owned());
            }
        }
    }
    if count < *least || count > *most {
        return Err(format!("`States.{name}` has {count} arguments"));
    }
    Ok(rest)
}

fn argument(text: &str, depth: u32) -> Result<&str, String> {
    let unfinished = || "an argument is not finished".to_owned();
    match text.chars().next() {
        Some('\'') => {
            let mut escaped = false;
            for (at, c) in text.char_indices().skip(1) {
                match c {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '\'' => return text.get(at + 1..).ok_or_else(unfinished),
                    _ => {}
                }
            }
            Err("a text is not closed".to_owned())
        }
        Some('$') => {
            let mut end = text.len();
            let (mut brackets, mut quote) = (0_u32, None);
            for (at, c) in text.char_indices() {
                match (quote, c) {
                    (Some(open), c) if c == open => quote = None,
                    (None, '\'' | '"') if brackets > 0 => quote = Some(c),
                    (None, '[' | '(') => brackets += 1,
                    (None, ']') => brackets = brackets.saturating_sub(1),
                    (None, ')') if brackets > 0 => brackets -= 1,
                    (None, ',' | ')' | ' ') if brackets == 0 => {
                        end = at;
                        break;
                    }
                    _ => {}
                }
            }
            let path = text.get(..end).ok_or_else(unfinished)?;
            if !is_path(path) {
                return Err(format!("`{}` is no path", guardian_core::shorten(path)));
            }
            text.get(end..).ok_or_else(unfinished)
        }
        Some('S') => call(text, depth + 1),
        Some(c) if c.is_ascii_digit() || c == '-' => {
            let end = text
                .find(|c: char| !c.is_ascii_digit() && !matches!(c, '-' | '+' | '.' | 'e' | 'E'))
                .unwrap_or(text.len());
            let number = text.get(..end).ok_or_else(unfinished)?;
            number.parse::<f64>().map_err(|_| format!("`{number}` is no number"))?;
            text.get(end..).ok_or_else(unfinished)
        }
        _ => {
            let word = ["null", "true", "false"].iter().find_map(|word| text.strip_prefix(word));
            word.ok_or_else(|| format!("`{}` is no argument", guardian_core::shorten(text)))
        }
    }
}

/// Whether a text is a JSONata expression: `{% … %}`.
pub(super) fn is_jsonata(text: &str) -> bool {
    text.strip_prefix("{%")
        .and_then(|rest| rest.strip_suffix("%}"))
        .is_some_and(|inner| !inner.trim().is_empty())
}

/// Whether a text begins or ends like a JSONata expression and is none.
pub(super) fn is_broken_jsonata(text: &str) -> bool {
    (text.starts_with("{%") || text.ends_with("%}")) && !is_jsonata(text)
}

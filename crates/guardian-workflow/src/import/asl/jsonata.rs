//! Whether an expression in JSONata can be read: that operands and operators take turns and that brackets close. What an
//! expression means is not looked at.

use super::paths;

/// What may come next.
#[derive(Clone, Copy, PartialEq)]
enum Turn {
    Operand,
    Operator,
}

/// What is wrong with a text, if it begins or ends like an expression `{% … %}`.
pub(super) fn refused(text: &str) -> Option<&'static str> {
    if paths::is_broken_jsonata(text) {
        return Some("an expression is written `{% … %}`");
    }
    fault(text.strip_prefix("{%")?.strip_suffix("%}")?)
}

/// What is wrong with the text between `{%` and `%}`; `None` as well for what is beyond this reader: transforms and signatures of
/// functions.
fn fault(text: &str) -> Option<&'static str> {
    let (mut rest, mut turn, mut open, mut before) = (text, Turn::Operand, Vec::new(), '(');
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = rest.trim_start();
            continue;
        }
        if let Some(comment) = rest.strip_prefix("/*") {
            match comment.split_once("*/") {
                Some((_, after)) => rest = after,
                None => return Some("a comment has no end"),
            }
            continue;
        }
        let mut length = first.len_utf8();
        match (first, turn) {
            ('|' | '\u{3bb}', _) => return None,
            ('<', _) if before == ')' => return None,
            ('\'' | '"', Turn::Operand) => match literal(rest, first) {
                Some(end) => (length, turn) = (end, Turn::Operator),
                None => return Some("a text has no end"),
            },
            ('`', Turn::Operand) => match rest.get(1..).and_then(|rest| rest.find('`')) {
                Some(end) => (length, turn) = (end + 2, Turn::Operator),
                None => return Some("a quoted name has no end"),
            },
            ('/', Turn::Operand) => match regex(rest) {
                Some(end) => (length, turn) = (end, Turn::Operator),
                None => return Some("a regular expression has no end"),
            },
            ('(' | '[' | '{', _) => {
                open.push(first);
                turn = Turn::Operand;
            }
            (')' | ']' | '}', _) => {
                let opened = open.pop();
                if !matches!((opened, first), (Some('('), ')') | (Some('['), ']') | (Some('{'), '}')) {
                    return Some("its brackets do not match");
                }
                if turn == Turn::Operand && opened != Some(before) && before != ';' {
                    return Some("something is missing before a bracket that closes");
                }
                turn = Turn::Operator;
            }
            ('-', Turn::Operand) => {}
            ('<' | '>', Turn::Operand) if matches!(before, '(' | ',') => {}
            ('?', Turn::Operand) if matches!(before, '(' | ',') && open.last() == Some(&'(') => {
                turn = Turn::Operator;
            }
            ('*' | '%', Turn::Operand) => {
                length += usize::from(rest.starts_with("**"));
                turn = Turn::Operator;
            }
            (c, Turn::Operand) if c.is_ascii_digit() => {
                (length, turn) = (number(rest), Turn::Operator);
            }
            (c, Turn::Operand) if is_name(c) => {
                length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                turn = Turn::Operator;
            }
            (_, Turn::Operand) => return Some("an operand is missing"),
            (c, Turn::Operator) if is_name(c) => {
                length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                if !matches!(rest.get(..length), Some("and" | "or" | "in")) {
                    return Some("an operator is missing");
                }
                turn = Turn::Operand;
            }
            (_, Turn::Operator) => {
                let two = ["!=", "<=", ">=", "~>", ":=", "..", "?:", "??"];
                if two.iter().any(|operator| rest.starts_with(operator)) {
                    length = 2;
                } else if !".+-*/%&=<>:?,;@#^".contains(first) {
                    return Some("an operator is not known");
                }
                turn = Turn::Operand;
            }
        }
        before = first;
        rest = rest.get(length..).unwrap_or_default();
    }
    match (open.is_empty(), turn) {
        (false, _) => Some("a bracket is not closed"),
        (true, Turn::Operand) => Some("something is missing at its end"),
        (true, Turn::Operator) => None,
    }
}

fn is_name(c: char) -> bool {
    !c.is_whitespace() && !".[]{}(),@#;:?+-*/%|=<>^&!~'\"`".contains(c)
}

/// The length of a text with its quotes.
fn literal(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The length of a regular expression with its slashes and flags.
fn regex(text: &str) -> Option<usize> {
    let (mut escaped, mut depth) = (false, 0_u32);
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '/' if depth == 0 => {
                let flags = text.get(at + 1..)?;
                return Some(at + 1 + flags.find(|c| !matches!(c, 'i' | 'm')).unwrap_or(flags.len()));
            }
            _ => {}
        }
    }
    None
}

/// The length of a number: digits, a fraction, an exponent.
fn number(text: &str) -> usize {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let mut length = digits(text);
    let behind = |length: usize| text.get(length..).unwrap_or_default();
    if let Some(fraction) = behind(length).strip_prefix('.') {
        let more = digits(fraction);
        length += if more > 0 { more + 1 } else { 0 };
    }
    if let Some(exponent) = behind(length).strip_prefix(['e', 'E']) {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let more = digits(unsigned);
        length += if more > 0 { 1 + (exponent.len() - unsigned.len()) + more } else { 0 };
    }
    length
}

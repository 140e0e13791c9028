//! Finds the tenant predicates in a statement, to leave them out one at a time.

/// A token with the bytes it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
    start: usize,
    end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A keyword, or a name without quotes.
    Word,
    /// A name in double quotes, backticks or brackets.
    Quoted,
    /// A literal: a text or a number.
    Literal,
    Placeholder,
    Symbol,
}

/// The statement once for each tenant predicate in it, with that predicate made true for every row.
///
/// A predicate compares one of the `columns` for equality with a parameter, a literal, a call or another column, or says
/// that it is IN or = ANY of a list, where a condition can stand; an assignment after SET is none. It becomes
/// `(predicate OR 1 = 1)`, so that parameters keep their numbers and types. `JOIN … USING` and comparisons of whole rows are
/// left alone: write `ON` where this is to try them.
///
/// ```
/// use guardian_tenant::isolation::drop_predicates;
///
/// assert_eq!(
///     drop_predicates("UPDATE deals SET tenant_id = $1 WHERE tenant_id = $1 AND id = $2", &["tenant_id"]),
///     ["UPDATE deals SET tenant_id = $1 WHERE (tenant_id = $1 OR 1 = 1) AND id = $2"],
/// );
/// ```
#[must_use]
pub fn drop_predicates(statement: &str, columns: &[&str]) -> Vec<String> {
    let tokens = tokens(statement);
    let mut found: Vec<(usize, usize)> = Vec::new();
    for at in 0..tokens.len() {
        let begins_condition =
            at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|before| {
                let words = ["WHERE", "AND", "OR", "ON", "NOT", "WHEN", "HAVING"];
                before.text == "(" || words.iter().any(|word| before.text.eq_ignore_ascii_case(word))
            });
        if !begins_condition {
            continue;
        }
        let Some(rest) = tokens.get(at..) else { continue };
        if let Some(length) = predicate(rest, columns)
            && let (Some(first), Some(last)) = (rest.first(), rest.get(length - 1))
        {
            found.push((first.start, last.end));
        }
    }
    let mutate = |(start, end): (usize, usize)| {
        let (head, inside, tail) =
            (statement.get(..start)?, statement.get(start..end)?, statement.get(end..)?);
        Some(format!("{head}({inside} OR 1 = 1){tail}"))
    };
    found.into_iter().filter_map(mutate).collect()
}

/// How many tokens a tenant predicate at the start takes.
fn predicate(tokens: &[Token<'_>], columns: &[&str]) -> Option<usize> {
    let left = operand(tokens)?;
    let left_is_tenant = is_column(tokens.get(..left)?, columns);
    let operator = tokens.get(left)?;
    let rest = tokens.get(left + 1..)?;
    if operator.text.eq_ignore_ascii_case("IN") && left_is_tenant {
        return Some(left + 1 + parenthesis(rest)?);
    }
    if operator.text != "=" {
        return None;
    }
    let right = operand(rest)?;
    let right_is_tenant = is_column(rest.get(..right)?, columns);
    (left_is_tenant || right_is_tenant).then_some(left + 1 + right)
}

/// How many tokens a value takes: a placeholder, a literal, a column, a call, something in parentheses; and the casts
/// behind it.
fn operand(tokens: &[Token<'_>]) -> Option<usize> {
    let first = tokens.first()?;
    let mut length = match first.kind {
        Kind::Placeholder | Kind::Literal => 1,
        Kind::Word | Kind::Quoted => {
            let mut length = 1;
            while tokens.get(length).is_some_and(|dot| dot.text == ".")
                && tokens.get(length + 1).is_some_and(|name| matches!(name.kind, Kind::Word | Kind::Quoted))
            {
                length += 2;
            }
            length + parenthesis(tokens.get(length..)?).unwrap_or(0)
        }
        Kind::Symbol => parenthesis(tokens)?,
    };
    while tokens.get(length).is_some_and(|cast| cast.text == "::") {
        length += 2;
    }
    (length <= tokens.len()).then_some(length)
}

/// How many tokens a parenthesis at the start takes.
fn parenthesis(tokens: &[Token<'_>]) -> Option<usize> {
    tokens.first().filter(|first| first.text == "(")?;
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" => depth += 1,
            ")" if depth == 1 => return Some(at + 1),
            ")" => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Whether the tokens are one of the columns, with or without its table before and casts behind.
fn is_column(tokens: &[Token<'_>], columns: &[&str]) -> bool {
    let name = tokens.split(|token| token.text == "::").next().and_then(<[_]>::last);
    name.is_some_and(|name| {
        let plain = name.text.trim_matches(|c| matches!(c, '"' | '`' | '[' | ']'));
        matches!(name.kind, Kind::Word | Kind::Quoted)
            && columns.iter().any(|column| column.eq_ignore_ascii_case(plain))
    })
}

/// The tokens of a statement, without white space and comments; total, whatever the text.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let start = at;
        let rest = text.get(at..).unwrap_or_default();
        let kind = match byte {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'-' if rest.starts_with("--") => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            b'/' if rest.starts_with("/*") => {
                at += rest.find("*/").map_or(rest.len(), |end| end + 2);
                continue;
            }
            b'\'' | b'"' | b'`' => {
                at = closing(bytes, at + 1, *byte);
                if *byte == b'\'' { Kind::Literal } else { Kind::Quoted }
            }
            b'[' if rest.find(']').is_some()
                && rest.as_bytes().get(1).is_some_and(u8::is_ascii_alphabetic) =>
            {
                at += rest.find(']').map_or(rest.len(), |end| end + 1);
                Kind::Quoted
            }
            b'$' if rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) => {
                at += 1 + rest.bytes().skip(1).take_while(u8::is_ascii_digit).count();
                Kind::Placeholder
            }
            b'?' => {
                at += 1;
                Kind::Placeholder
            }
            byte if byte.is_ascii_digit() => {
                at += rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'.').count();
                Kind::Literal
            }
            byte if byte.is_ascii_alphabetic() || *byte == b'_' || !byte.is_ascii() => {
                at += rest
                    .bytes()
                    .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_' || !b.is_ascii())
                    .count();
                Kind::Word
            }
            b':' if rest.starts_with("::") => {
                at += 2;
                Kind::Symbol
            }
            // Operators of several characters are none of ours, but `<=` must not be read as `=`.
            b'<' | b'>' | b'!' | b'=' | b'@' | b'~' | b'|' | b'&' => {
                at += rest.bytes().take_while(|byte| b"<>!=@~|&".contains(byte)).count();
                Kind::Symbol
            }
            _ => {
                at += 1;
                Kind::Symbol
            }
        };
        tokens.push(Token { kind, text: text.get(start..at).unwrap_or_default(), start, end: at });
    }
    tokens
}

/// The place behind a closing quote; a doubled quote closes nothing.
fn closing(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    while let Some(byte) = bytes.get(at) {
        at += 1;
        if *byte == quote {
            if bytes.get(at) != Some(&quote) {
                return at;
            }
            at += 1;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_predicate_is_left_out_once() {
        let found = drop_predicates(
            "SELECT d.id FROM deals AS d JOIN firms AS f ON f.tenant_id = d.tenant_id AND f.id = d.firm_id \
             WHERE d.\"tenant_id\" = $1 AND (d.tenant_id IN ($1, 'x') OR $1 = d.tenant_id)",
            &["tenant_id"],
        );
        assert_eq!(found.len(), 4);
        assert!(found[0].contains("ON (f.tenant_id = d.tenant_id OR 1 = 1) AND"));
        assert!(found[1].contains("WHERE (d.\"tenant_id\" = $1 OR 1 = 1) AND"));
        assert!(found[2].contains("((d.tenant_id IN ($1, 'x') OR 1 = 1) OR"));
        assert!(found[3].contains("OR ($1 = d.tenant_id OR 1 = 1))"));
    }

    #[test]
    fn what_is_no_predicate_stays() {
        for statement in [
            "INSERT INTO deals (tenant_id, id) VALUES ($1, $2)",
            "UPDATE deals SET title = $2, tenant_id = $1",
            "SELECT 'WHERE tenant_id = $1', tenant_id FROM deals -- WHERE tenant_id = $1",
            "SELECT 1 WHERE tenant_id <= $1 AND tenant_idx = $1",
            "SELECT 1 FROM a JOIN b USING (tenant_id, id)",
        ] {
            assert!(drop_predicates(statement, &["tenant_id"]).is_empty(), "{statement}");
        }
    }

    #[test]
    fn calls_casts_and_any_are_values() {
        for statement in [
            "DELETE FROM deals WHERE tenant_id = guardian.current_tenant()",
            "DELETE FROM deals WHERE tenant_id = $1::text",
            "DELETE FROM deals WHERE tenant_id::text = $1",
            "DELETE FROM deals WHERE tenant_id = ANY ($1)",
        ] {
            let found = drop_predicates(statement, &["tenant_id"]);
            assert_eq!(found.len(), 1, "{statement}");
            assert!(found[0].ends_with(" OR 1 = 1)"), "{found:?}");
        }
    }
}

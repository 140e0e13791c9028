use std::ops::Range;

use super::terms::{DATE, FORWARDED, FROM, ORIGINAL, STARTS, SUBJECT, TO, VERB_BEFORE_NAME, WROTE};

/// One line of a mail.
#[derive(Debug)]
pub(super) struct Line<'t> {
    /// Its bytes with its end.
    pub(super) span: Range<usize>,
    /// Without white space around it.
    pub(super) text: &'t str,
    /// It begins with the mark of a quote.
    pub(super) quoted: bool,
}

/// What begins at a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// `On … wrote:` in so many lines.
    Wrote(usize),
    /// A date and an address, which is a header if a marked quote follows.
    Dated(usize),
    /// A block of headers, or a line that says that the original message follows.
    Block,
    /// A line that says that a forwarded message follows.
    Forwarded,
}

/// The lines over which a header may be folded, and the bytes that one may have.
const MOST_LINES: usize = 4;
const LONGEST: usize = 400;

pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    let mut start = 0;
    let mut was_quoted = false;
    text.split_inclusive('\n')
        .map(|line| {
            let span = start..start + line.len();
            start = span.end;
            let text = line.trim();
            // `>>> a link <<<` is an ornament, and an angry face is none of the marks, unless it goes on with a quote.
            let quoted =
                text.starts_with('>') && !text.ends_with("<<") && (was_quoted || !begins_with_face(text));
            was_quoted = quoted;
            Line { span, text, quoted }
        })
        .collect()
}

/// Whether a line begins with an emoticon that begins as a quote does.
fn begins_with_face(text: &str) -> bool {
    [">:(", ">:-(", ">_<"].iter().any(|face| {
        text.strip_prefix(face).is_some_and(|rest| !rest.starts_with(|symbol: char| symbol.is_alphanumeric()))
    })
}

pub(super) fn find(lines: &[Line<'_>], at: usize) -> Found {
    let Some(line) = lines.get(at).filter(|line| !line.text.is_empty() && line.text.len() <= LONGEST) else {
        return Found::Nothing;
    };
    if let Some(found) = separator(line.text) {
        return found;
    }
    if is_rule(line.text) {
        // A rule belongs to the block below it.
        let below = lines.iter().skip(at + 1).position(|line| !line.text.is_empty()).map(|n| at + 1 + n);
        return if below.is_some_and(|below| below <= at + 2 && block(lines, below)) {
            Found::Block
        } else {
            Found::Nothing
        };
    }
    if block(lines, at) {
        return Found::Block;
    }
    wrote(lines, at)
}

/// A line of dashes or underscores.
pub(super) fn is_rule(text: &str) -> bool {
    text.len() >= 5 && (text.bytes().all(|byte| byte == b'_') || text.bytes().all(|byte| byte == b'-'))
}

/// `-----Original Message-----` and `---- John Smith wrote ----`.
fn separator(text: &str) -> Option<Found> {
    let lower = text.to_lowercase();
    let bare = lower
        .trim_matches(|symbol: char| matches!(symbol, '-' | '_' | '=' | '*' | ' ' | '\u{2013}' | '\u{2014}'));
    let dashes = lower.len() - lower.trim_start_matches('-').len();
    if FORWARDED.contains(&bare.trim_end_matches([':', '：']))
        && (dashes >= 2 || bare.ends_with([':', '：']) || bare.starts_with("begin"))
    {
        return Some(Found::Forwarded);
    }
    if dashes < 2 {
        return None;
    }
    if ORIGINAL.contains(&bare.trim_end_matches(':')) {
        return Some(Found::Block);
    }
    let ends = lower.ends_with("--");
    let wrote = WROTE.iter().any(|word| bare.trim_end_matches(':').ends_with(word));
    (ends && wrote && bare.len() <= LONGEST).then_some(Found::Wrote(1))
}

/// The kind of header that a line is, of four.
fn key(text: &str) -> Option<u8> {
    let text = text.trim_start_matches(['*', ' ', '>']);
    let (name, _) = text.split_once([':', '：'])?;
    if name.len() > 40 {
        return None;
    }
    let name = name.trim_end_matches(['*', ' ', '\u{a0}']).to_lowercase();
    [FROM, DATE, TO, SUBJECT]
        .iter()
        .zip(0_u8..)
        .find(|(words, _)| words.contains(&name.as_str()))
        .map(|(_, kind)| kind)
}

/// Whether a block of headers begins here: two kinds of four with an address or a time among them, or three, in lines one
/// after the other, of which a long one may be folded.
fn block(lines: &[Line<'_>], at: usize) -> bool {
    let Some(first) = lines.get(at).and_then(|line| key(line.text)) else { return false };
    if first > 1 {
        return false;
    }
    let (mut seen, mut certain, mut folded) = (0_u8, false, 0);
    for line in lines.iter().skip(at).take(10) {
        if line.text.is_empty() {
            break;
        }
        match key(line.text) {
            Some(kind) => {
                seen |= 1 << kind;
                folded = 0;
            }
            None => {
                folded += 1;
                if folded > 2 {
                    break;
                }
            }
        }
        let line = head(line.text);
        certain |= line.contains('@') || has_time(line);
    }
    match seen.count_ones() {
        0 | 1 => false,
        2 => certain,
        _ => true,
    }
}

/// The beginning of a line, which is all that a header can be.
fn head(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

fn wrote(lines: &[Line<'_>], at: usize) -> Found {
    let Some(first) = lines.get(at) else { return Found::Nothing };
    let start = first.text.trim_start_matches(['-', '*', '_', ' ']).to_lowercase();
    let starts = STARTS.iter().any(|word| {
        start
            .strip_prefix(word)
            .is_some_and(|rest| rest.starts_with([' ', ',', '\u{a0}']) || !word.is_ascii())
    });
    let dated = starts_with_date(&start);
    if !starts && !dated && !first.text.contains('@') && !first.text.contains("wrote") {
        return Found::Nothing;
    }
    let mut joined = String::new();
    let mut fallback = Found::Nothing;
    for (n, line) in lines.iter().skip(at).take(MOST_LINES).enumerate() {
        if line.text.is_empty() || line.quoted || joined.len() + line.text.len() > LONGEST {
            break;
        }
        if n > 0 {
            joined.push(' ');
        }
        joined.push_str(&line.text.to_lowercase());
        let whole = joined.trim_end_matches(['-', '*', '_', ' ', '\u{a0}']);
        let colon = whole.strip_suffix([':', '：']);
        let body = colon.unwrap_or(whole).trim_end_matches([' ', '\u{a0}']);
        let sure = has_time(body) || has_year(body) || body.contains('@') || has_day(body);
        let said = WROTE.iter().any(|word| ends_with_word(body, word))
            || VERB_BEFORE_NAME.iter().any(|word| contains_word(body, word));
        let dashed = whole.len() < joined.len() && first.text.starts_with('-');
        if said && sure && (colon.is_some() || dashed) && (starts || dated || body.contains('@')) {
            return Found::Wrote(n + 1);
        }
        // `2014-10-17 11:28 GMT+03:00 Postmaster <postmaster@example.com>:`
        if (dated || (starts && has_year(body))) && body.ends_with('>') && body.contains('@') {
            if colon.is_some() {
                return Found::Wrote(n + 1);
            }
            if dated {
                fallback = Found::Dated(n + 1);
            }
        }
        if !starts && !dated {
            break;
        }
    }
    fallback
}

fn ends_with_word(body: &str, word: &str) -> bool {
    body.strip_suffix(word).is_some_and(|before| {
        !word.is_ascii() || before.is_empty() || before.ends_with(|symbol: char| !symbol.is_alphabetic())
    })
}

/// German and others put the name behind the verb: `Am … schrieb Anna <anna@example.com>`.
fn contains_word(body: &str, word: &str) -> bool {
    body.match_indices(word).take(8).any(|(at, _)| {
        let before = body.get(..at).and_then(|before| before.chars().next_back());
        let after = body.get(at + word.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(char::is_alphabetic) && !after.is_some_and(char::is_alphabetic)
    })
}

/// A time of day: `9:05`, `09.05`, `18h30`.
fn has_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.windows(4).any(|window| {
        matches!(window, [a, b':' | b'h', c, d] if a.is_ascii_digit() && c.is_ascii_digit() && d.is_ascii_digit())
    })
}

/// A year of four digits.
fn has_year(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.windows(4).enumerate().any(|(at, window)| {
        let alone = |at: Option<usize>| !at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        matches!(window, [b'1', b'9', c, d] | [b'2', b'0', c, d] if c.is_ascii_digit() && d.is_ascii_digit())
            && alone(at.checked_sub(1))
            && alone(at.checked_add(4))
    })
}

/// The name of a month and a day: `Nov 30`.
fn has_day(text: &str) -> bool {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    text.split([' ', ',']).zip(text.split([' ', ',']).skip(1)).any(|(month, day)| {
        MONTHS.iter().any(|name| month.starts_with(name))
            && day.len() <= 2
            && day.bytes().all(|byte| byte.is_ascii_digit())
            && !day.is_empty()
    })
}

/// `2014-10-17`, `2011/4/7`, `17.10.2014`.
fn starts_with_date(text: &str) -> bool {
    let date = text.split([' ', ',']).next().unwrap_or("");
    if date.starts_with(|symbol: char| symbol.is_ascii_digit()) && date.contains(['年', '년']) {
        return true;
    }
    let mut fields = date.trim_end_matches('.').split(['-', '/', '.']);
    let numbers = fields
        .by_ref()
        .take(3)
        .filter(|field| (1..=4).contains(&field.len()) && field.bytes().all(|byte| byte.is_ascii_digit()));
    numbers.count() == 3 && fields.next().is_none()
}

use super::Kind;
use super::header::{Line, is_rule};
use super::terms::{CLOSINGS, SENT_FROM};

/// The most lines with something on them that a signature without the standard mark has.
const MOST_LINES: usize = 8;
/// The most lines that one with the standard mark has; what is longer is taken for text.
const LONGEST: usize = 30;
/// The longest line of a signature that only a closing word begins, in characters.
const WIDEST: usize = 60;

/// Marks the signatures: each is at the end of what the sender wrote, or of a stretch of it.
pub(super) fn mark(lines: &[Line<'_>], kinds: &mut [Kind]) {
    let mut start = 0;
    while start < lines.len() {
        let is_reply = |at: usize| kinds.get(at) == Some(&Kind::Reply);
        if !is_reply(start) {
            start += 1;
            continue;
        }
        let end = (start..lines.len()).find(|at| !is_reply(*at)).unwrap_or(lines.len());
        let stretch = lines.get(start..end).unwrap_or(&[]);
        if let Some(first) = find(stretch, start == 0) {
            for kind in kinds.iter_mut().take(end).skip(start + first) {
                *kind = Kind::Signature;
            }
        }
        start = end;
    }
}

/// Where the signature of a stretch begins.
fn find(lines: &[Line<'_>], is_first: bool) -> Option<usize> {
    // A mail may be nothing but a line that looks like a signature: then it is the mail.
    let first = lines.iter().position(|line| !line.text.is_empty())?;
    // From the end: how many lines with something on them are below, and how wide they are.
    let (mut below, mut widest) = (0, 0);
    let mut found = None;
    for (at, line) in lines.iter().enumerate().rev() {
        if line.text.is_empty() {
            continue;
        }
        let alone = is_first && at == first;
        let small = below <= MOST_LINES && widest <= WIDEST;
        let is_start = matches!(line.text, "--" | "\u{2014}" | "\u{2013}")
            || (below <= 2 && is_name(line.text) && !alone)
            || (small && below > 0 && is_closing(line.text) && !alone)
            || (found.is_none() && below > 0 && below <= MOST_LINES && is_mark(line.text))
            || (below == 0 && is_sent_from(line.text) && !alone)
            || (below == 0 && found == Some(at + 1) && is_person(line.text) && !alone);
        if is_start {
            found = Some(at);
            // A name may stand above `Sent from my phone`.
            below = 0;
            widest = 0;
            continue;
        }
        below += 1;
        widest = widest.max(line.text.chars().take(WIDEST + 1).count());
        if below > if found.is_some() { MOST_LINES } else { LONGEST } {
            break;
        }
    }
    found
}

/// A line of dashes or underscores below which a footer stands.
fn is_mark(text: &str) -> bool {
    is_rule(text) || text == "---" || text == "___" || text == "__"
}

/// `-Anna` and `- Anna Berg`, which is no item of a list when a capital and nothing else follows.
fn is_name(text: &str) -> bool {
    let Some(name) = text.strip_prefix('-') else { return false };
    let mut words = name.split_whitespace();
    let named = |word: &str| {
        word.chars().next().is_some_and(char::is_uppercase)
            && word.chars().all(|symbol| symbol.is_alphabetic() || matches!(symbol, '.' | '-' | '\''))
    };
    !name.starts_with([' ', '-', '>']) && words.by_ref().take(3).all(named) && words.next().is_none()
}

/// Two or three words that all begin with a capital, right above `Sent from my phone`.
fn is_person(text: &str) -> bool {
    let named = |word: &str| {
        word.chars().next().is_some_and(char::is_uppercase)
            && word.chars().all(|symbol| symbol.is_alphabetic() || symbol == '.')
    };
    (2..=3).contains(&text.split_whitespace().count()) && text.split_whitespace().all(named)
}

/// `Sent from my phone`: a known beginning, and at most five words.
fn is_sent_from(text: &str) -> bool {
    let lower = text.to_lowercase();
    let lower = lower.trim_start_matches(['*', '_', '-', ' ', '<']);
    SENT_FROM.iter().any(|start| {
        lower.strip_prefix(start).is_some_and(|rest| {
            let rest = rest.trim_end_matches(['.', '!', '*', '_', ' ', '>']);
            rest.split_whitespace().count() <= 6 && !rest.contains([',', '.', ';', '?'])
        })
    })
}

/// A closing word alone on its line: `Best regards,`.
fn is_closing(text: &str) -> bool {
    if text.len() > 60 {
        return false;
    }
    let lower = text.to_lowercase();
    CLOSINGS.contains(&lower.trim_end_matches([',', '.', '!', ' ']))
}

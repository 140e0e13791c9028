//! Terms as the databases' indexes take them: one word of letters, digits and a few signs for each.
//!
//! Every other byte of ASCII is written as `_` and two hexadecimal digits, so that a tokenizer takes the term whole and no
//! quote is ever needed. A term is escaped byte by byte, so what begins with a text also begins with its escaped form.
//! What begins with `-` is no term but one of ours; a term's own first `-` is escaped.

use std::fmt::Write;

use crate::terms::{Terms, WORD};

/// The token that every event has.
pub(super) const EVERY: &str = "-a";

/// What stands between two texts, so that no phrase spans them.
const BREAK: &str = "-";

const MICROS_OF_A_DAY: i64 = 86_400_000_000;

/// Any 64-bit time in days since 1970 plus this is a positive number of nine digits.
const DAYS_BEFORE_1970: i64 = 200_000_000;

/// The digits of the day of a time in microseconds since 1970.
pub(super) fn day(micros: i64) -> String {
    format!("{:09}", micros.div_euclid(MICROS_OF_A_DAY) + DAYS_BEFORE_1970)
}

/// The beginning of the token of the day on which an event occurred.
pub(super) const DAY: &str = "-d";

/// A term, or the beginning of one, as a token.
pub(super) fn escape(term: &str) -> String {
    let mut token = String::with_capacity(term.len() + 8);
    push_escaped(&mut token, term);
    token
}

/// A phrase as it is in the text that [`encode`] makes, with a space before it and behind.
pub(super) fn phrase(terms: &[String], open: bool) -> String {
    let mut text = String::from(" ");
    for (at, term) in terms.iter().enumerate() {
        push_escaped(&mut text, term);
        if !open || at + 1 < terms.len() {
            text.push(' ');
        }
    }
    text
}

fn push_escaped(out: &mut String, term: &str) {
    for (at, c) in term.char_indices() {
        match c {
            'a'..='z' | '0'..='9' | '.' | '@' | '/' | ':' | '=' | '~' => out.push(c),
            '-' if at > 0 => out.push(c),
            c if c.is_ascii() => {
                let _ = write!(out, "_{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

fn unescape(token: &str) -> String {
    let mut term = String::with_capacity(token.len());
    let mut pieces = token.split('_');
    term.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let byte = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, piece.get(2..)) {
            (Some(byte), Some(rest)) => {
                term.push(char::from(byte));
                term.push_str(rest);
            }
            _ => term.push_str(piece),
        }
    }
    term
}

/// The terms of an event as one text of tokens with a space between two.
pub(super) fn encode(terms: &Terms, occurred: i64) -> String {
    let mut text = format!("{EVERY} {DAY}{}", day(occurred));
    let (mut after_word, mut broken) = (false, false);
    for term in terms.iter() {
        if term.is_empty() {
            broken = after_word;
            continue;
        }
        let is_word = term.starts_with(WORD);
        if broken && is_word {
            text.push(' ');
            text.push_str(BREAK);
        }
        text.push(' ');
        push_escaped(&mut text, term);
        (after_word, broken) = (is_word, false);
    }
    text
}

/// The terms of a text that [`encode`] made. Breaks that separate nothing are left out.
pub(super) fn decode(text: &str) -> Terms {
    let mut terms = Terms::default();
    for token in text.split(' ') {
        match token.strip_prefix('-') {
            Some("") => terms.push(""),
            Some(_) => {}
            None => terms.push(&unescape(token)),
        }
    }
    terms
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms(texts: &[String]) -> Terms {
        let mut terms = Terms::default();
        texts.iter().for_each(|text| terms.push(text));
        terms
    }

    fn filled(terms: &Terms) -> Vec<String> {
        terms.iter().filter(|term| !term.is_empty()).map(str::to_owned).collect()
    }

    proptest! {
        #[test]
        fn terms_come_back_and_neighbours_stay_neighbours(texts in prop::collection::vec("w?[\\PC\u{0} _-]{0,6}", 0..8)) {
            let before = terms(&texts);
            let text = encode(&before, 0);
            let after = decode(&text);
            prop_assert_eq!(filled(&before), filled(&after));
            let words = |terms: &Terms| {
                let all: Vec<_> = terms.iter().map(str::to_owned).collect();
                let pairs = all.windows(2).filter(|pair| pair.iter().all(|term| term.starts_with(WORD)));
                pairs.map(<[String]>::to_vec).collect::<Vec<_>>()
            };
            prop_assert_eq!(words(&before), words(&after));
            prop_assert!(text.split(' ').all(|token| !token.is_empty()));
        }

        #[test]
        fn a_beginning_stays_a_beginning(term in "\\PC{0,12}", other in "\\PC{0,12}", cut in 0_usize..12) {
            let start: String = term.chars().take(cut).collect();
            prop_assert!(escape(&term).starts_with(&escape(&start)));
            prop_assert_eq!(escape(&term).starts_with(&escape(&other)), term.starts_with(&other));
        }
    }

    #[test]
    fn days_of_all_times_have_nine_digits_in_order() {
        let days = [i64::MIN, -1, 0, MICROS_OF_A_DAY, i64::MAX].map(day);
        assert!(days.iter().all(|day| day.len() == 9) && days.is_sorted());
        assert_ne!(day(-1), day(0));
    }
}

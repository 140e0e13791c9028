//! The rules of VADER with the amendments that its users ask for.

use std::ops::Range;

use super::idiom::Phrase;
use super::rules::{CAPITALS, NEGATED, Notes, Rule, capitals_differ};
use super::token::{End, Prepared, Token, lowered};
use super::words::{Support, Tables, Term, Word};

/// How much a negated bad word is worth: `not terrible` is less than good.
const NEGATED_BAD: f64 = -0.5;
/// How far a negation reaches, in words.
const REACH: usize = 3;
/// What of a good word counts in a question: `can you help me, please?` is no praise.
const IN_QUESTION: f64 = 0.4;
/// What each exclamation mark adds, up to three.
const EXCLAIMED: f64 = 0.12;

/// The values of the tokens, of which those that are not zero have a mean that is the margin.
pub(super) fn values(
    prepared: &Prepared<'_>,
    tokens: &[Token],
    tables: &Tables,
    notes: &mut impl Notes,
) -> Vec<f64> {
    let mut reader = Reader {
        text: &prepared.text,
        tokens,
        words: Vec::with_capacity(tokens.len()),
        phrases: Vec::new(),
        values: vec![0.0; tokens.len()],
        differ: capitals_differ(tokens),
        notes,
    };
    let mut buffer = String::new();
    for (at, token) in tokens.iter().enumerate() {
        let lower = lower(&prepared.text, token, &mut buffer);
        let support = tables.support(lower);
        reader.words.push(support.map_or_else(
            || if lower.contains('\'') { tables.word(lower) } else { token.word },
            |support| support.word,
        ));
        if let Some(phrases) =
            support.map(|support: &Support| &support.phrases).filter(|found| !found.is_empty())
        {
            reader.phrases.push((at, phrases));
        }
    }
    let mut start = 0;
    for (at, token) in tokens.iter().enumerate() {
        if token.end == End::Sentence {
            reader.sentence(start..at + 1);
            start = at + 1;
        }
    }
    if start < tokens.len() {
        reader.sentence(start..tokens.len());
    }
    reader.values
}

/// The token in lower case with straight apostrophes.
fn lower<'a>(text: &'a str, token: &Token, buffer: &'a mut String) -> &'a str {
    let token = text.get(token.bytes.clone()).unwrap_or("");
    if token.contains('\u{2019}') {
        *buffer = token.to_lowercase().replace('\u{2019}', "'");
        return buffer;
    }
    lowered(token, buffer)
}

struct Reader<'a, N> {
    text: &'a str,
    tokens: &'a [Token],
    words: Vec<Word>,
    /// The tokens that begin phrases, in order.
    phrases: Vec<(usize, &'a Vec<Phrase>)>,
    values: Vec<f64>,
    differ: bool,
    notes: &'a mut N,
}

impl<N: Notes> Reader<'_, N> {
    fn sentence(&mut self, range: Range<usize>) {
        let mut at = range.start;
        // Where the last phrase ended: what stands in it neither negates nor strengthens what follows.
        let mut free = range.start;
        while at < range.end {
            if let Some((value, len)) = self.phrase(at, range.end) {
                if value != 0.0 {
                    self.notes.note(at, at, Rule::Idiom, value);
                    self.put(at, value);
                }
                at += len;
                free = at;
                continue;
            }
            let value = self.word(at, free, range.end);
            self.put(at, value);
            at += 1;
        }
        self.contrast(&range);
        self.punctuation(&range);
    }

    fn put(&mut self, at: usize, value: f64) {
        if let Some(slot) = self.values.get_mut(at) {
            *slot = value;
        }
    }

    fn get(&self, at: usize) -> Word {
        self.words.get(at).copied().unwrap_or_default()
    }

    /// The phrase that begins here, with its length.
    fn phrase(&self, at: usize, end: usize) -> Option<(f64, usize)> {
        let found = self.phrases.binary_search_by_key(&at, |(at, _)| *at).ok()?;
        let (_, phrases) = self.phrases.get(found)?;
        // Nearly all phrases differ in their second word: it is written once.
        let mut buffer = String::new();
        let second = self.follower(at, 1, end, &mut buffer)?;
        let mut further = String::new();
        let phrase = phrases.iter().find(|phrase| {
            phrase.words.get(1).is_some_and(|word| *word == second)
                && phrase.words.iter().enumerate().skip(2).all(|(n, word)| {
                    self.follower(at, n, end, &mut further).is_some_and(|next| next == *word)
                })
        })?;
        Some((phrase.value, phrase.words.len()))
    }

    /// The word so many places behind another, in lower case, if only space is between it and the one before it.
    fn follower<'a>(&'a self, at: usize, n: usize, end: usize, buffer: &'a mut String) -> Option<&'a str> {
        if at + n >= end || self.tokens.get(at + n - 1)?.end != End::Space {
            return None;
        }
        Some(lower(self.text, self.tokens.get(at + n)?, buffer))
    }

    fn word(&mut self, at: usize, free: usize, end: usize) -> f64 {
        let word = self.get(at);
        let Some(token) = self.tokens.get(at) else { return 0.0 };
        let next = (at + 1 < end && token.end == End::Space).then(|| self.get(at + 1));
        let next_term = next.map_or(Term::Other, |next| next.term);
        if word.degree != 0.0 || (word.term == Term::Kind && next_term == Term::Of) {
            return 0.0;
        }
        // A `no` before something is about that.
        if word.term == Term::No && next.is_some() {
            return 0.0;
        }
        let Some(mut value) = word.valence else { return 0.0 };
        self.notes.note(at, at, Rule::Word, value);
        if token.capitals && self.differ {
            let added = CAPITALS.copysign(value);
            self.notes.note(at, at, Rule::Capitals, added);
            value += added;
        }
        let mut negated = false;
        for distance in 1..=REACH {
            let Some(near) = at.checked_sub(distance).filter(|near| *near >= free) else { break };
            let Some(near_token) = self.tokens.get(near).filter(|near| near.end == End::Space) else { break };
            let near_word = self.get(near);
            let mut degree = near_word.degree;
            let second =
                near.checked_sub(1).filter(|second| *second >= free).map(|second| self.get(second).term);
            if matches!(
                (second, near_word.term),
                (Some(Term::Kind | Term::Sort), Term::Of) | (Some(Term::Just), Term::Enough)
            ) {
                degree = -super::words::DEGREE;
            }
            if degree != 0.0 {
                let mut added = if value < 0.0 { -degree } else { degree };
                if near_token.capitals && self.differ {
                    added += CAPITALS.copysign(value);
                }
                added *= [1.0, 1.0, 0.95, 0.9].get(distance).unwrap_or(&0.9);
                self.notes.note(at, near, Rule::Degree, added);
                value += added;
            }
            let before_term = self.get(near + 1).term;
            let is_so = distance > 1 && matches!(before_term, Term::So | Term::This);
            let least = near_word.term == Term::Least && !matches!(second, Some(Term::At | Term::Very));
            if near_word.term == Term::Never && is_so {
                self.notes.note(at, near, Rule::Degree, value * 0.25);
                value *= 1.25;
                negated = true;
            } else if !negated
                && (near_word.negates || near_word.term == Term::No || (least && distance == 1))
            {
                let factor = if value > 0.0 { NEGATED } else { NEGATED_BAD };
                self.notes.note(at, near, Rule::Negation, value * factor - value);
                value *= factor;
                negated = true;
            }
        }
        value
    }

    /// What stands before the last `but` of a sentence counts half, what stands behind it half as much again.
    fn contrast(&mut self, range: &Range<usize>) {
        let is_but = |at: &usize| self.words.get(*at).is_some_and(|word| word.term == Term::But);
        let Some(but) = range.clone().rev().find(is_but) else { return };
        for at in range.clone() {
            let factor = if at < but { 0.5 } else { 1.5 };
            self.multiply(at, factor, but, Rule::Contrast);
        }
    }

    fn multiply(&mut self, at: usize, factor: f64, cause: usize, rule: Rule) {
        let Some(value) = self.values.get_mut(at).filter(|value| **value != 0.0) else { return };
        self.notes.note(at, cause, rule, *value * factor - *value);
        *value *= factor;
    }

    fn punctuation(&mut self, range: &Range<usize>) {
        let Some(last) = range.end.checked_sub(1) else { return };
        let Some(token) = self.tokens.get(last) else { return };
        // With the marks at the token's end, or the marks that the token is.
        let rest = self.text.get(token.bytes.start..).unwrap_or("");
        let tail = rest.split(char::is_whitespace).next().unwrap_or("");
        let exclamations = tail.matches('!').take(3).map(|_| EXCLAIMED).sum::<f64>();
        let question = tail.contains('?');
        for at in range.clone() {
            if exclamations > 0.0 {
                self.multiply(at, 1.0 + exclamations, last, Rule::Punctuation);
            }
            if question && self.values.get(at).is_some_and(|value| *value > 0.0) {
                self.multiply(at, IN_QUESTION, last, Rule::Punctuation);
            }
        }
    }
}

/// The mean of the values that are not zero; what each of them weighs.
pub(super) fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.iter().filter(|value| **value != 0.0).count();
    if count == 0 {
        return (0.0, 0.0);
    }
    let weight = 1.0 / f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    (values.iter().sum::<f64>() * weight, weight)
}

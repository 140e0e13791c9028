//! A plan as a question to the databases' full-text indexes, and how far the answer can be trusted.

use guardian_sql::Dialect;

use super::pairs::Pairs;
use super::token;
use crate::plan::Plan;

/// Deeper plans are not asked of the index but of each event. FTS5 reads an expression with a stack of 100 places, of which a
/// level takes up to four.
const DEEPEST: usize = 12;

/// A range that would take more prefixes than this is asked by what its ends have in common.
const MOST_PREFIXES: usize = 128;

/// A plan as the index sees it: everything that the plan finds is within.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sieve {
    /// What to ask.
    pub(super) question: Question,
    /// The first place.
    pub(super) from: u64,
    /// The last place.
    pub(super) to: u64,
    /// Whether everything within is found by the plan, if its terms have the phrases. If not, each event is to be held against
    /// the plan.
    pub(super) is_exact: bool,
    /// What must be in the text of an event's terms, with a space before and behind: phrases that the index cannot tell.
    pub(super) phrases: Vec<String>,
    /// Bits that an event has which has the phrases.
    pub(super) pairs: Pairs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    Everything,
    Nothing,
    /// An expression of the index's language.
    Of(String),
}

enum Part {
    All,
    None,
    Is(String),
    Not(String),
}

impl Sieve {
    /// Of a plan without times of recording, for the tenant of this number.
    pub(super) fn of(plan: &Plan, dialect: Dialect, number: i64) -> Self {
        let writer = Writer { dialect, number };
        let (mut from, mut to, mut rest, mut words) = (0, u64::MAX, Vec::new(), Vec::new());
        let plans = match plan {
            Plan::And(plans) => plans.as_slice(),
            plan => std::slice::from_ref(plan),
        };
        let (mut phrases, mut pairs) = (Vec::new(), Pairs::default());
        for plan in plans {
            match plan {
                Plan::Sequence(first, last) => (from, to) = (from.max(*first), to.min(*last)),
                Plan::Phrase { terms, open } if dialect == Dialect::Postgres && is_plain(terms) => {
                    let phrase = token::phrase(terms, *open);
                    // Behind the last space is nothing, or the beginning of a word.
                    pairs = pairs.with(Pairs::of(phrase.rsplit_once(' ').map_or("", |(whole, _)| whole)));
                    phrases.push(phrase);
                    words.push(writer.words(terms, *open));
                }
                plan => rest.push(plan),
            }
        }
        let (part, is_exact) = writer.all(rest.into_iter(), 0);
        let part = writer.with_words(part, &words);
        let question = match part {
            Part::All => Question::Everything,
            Part::None => Question::Nothing,
            Part::Is(expression) => Question::Of(expression),
            Part::Not(expression) => Question::Of(writer.without(&writer.every(), &expression)),
        };
        Self { question, from, to, is_exact, phrases, pairs }
    }

    /// The question about every event, for an index that counts faster than the table.
    pub(super) fn every(dialect: Dialect, number: i64) -> String {
        Writer { dialect, number }.every()
    }
}

struct Writer {
    dialect: Dialect,
    number: i64,
}

impl Writer {
    fn every(&self) -> String {
        self.token(token::EVERY, false)
    }

    /// A token, or what begins with it. Tokens have no quotes.
    fn token(&self, token: &str, open: bool) -> String {
        let number = self.number;
        match (self.dialect, open) {
            (Dialect::Sqlite, false) => format!("\"{number}.{token}\""),
            (Dialect::Sqlite, true) => format!("\"{number}.{token}\" *"),
            (Dialect::Postgres, false) => format!("'{number}.{token}'"),
            (Dialect::Postgres, true) => format!("'{number}.{token}':*"),
        }
    }

    fn without(&self, some: &str, others: &str) -> String {
        match self.dialect {
            Dialect::Sqlite => format!("(({some}) NOT ({others}))"),
            Dialect::Postgres => format!("({some} & !({others}))"),
        }
    }

    fn both(&self, parts: &[String]) -> String {
        let sign = match self.dialect {
            Dialect::Sqlite => " AND ",
            Dialect::Postgres => " & ",
        };
        joined(parts, sign)
    }

    fn either(&self, parts: &[String]) -> String {
        let sign = match self.dialect {
            Dialect::Sqlite => " OR ",
            Dialect::Postgres => " | ",
        };
        joined(parts, sign)
    }

    /// What the index can say of a plan, and whether that is all there is to say.
    fn part(&self, plan: &Plan, depth: usize) -> (Part, bool) {
        if depth > DEEPEST {
            return (Part::All, false);
        }
        match plan {
            Plan::All => (Part::All, true),
            Plan::None => (Part::None, true),
            Plan::Term(term) if term.is_empty() => (Part::All, false),
            Plan::Term(term) => (Part::Is(self.token(&token::escape(term), false)), true),
            Plan::Prefix(start) if start.is_empty() => (Part::All, false),
            Plan::Prefix(start) => (Part::Is(self.token(&token::escape(start), true)), true),
            Plan::Range(from, to) => self.range(from, to),
            Plan::Phrase { terms, open } => self.phrase(terms, *open),
            Plan::Occurred(from, to) => self.days(*from, *to),
            // At the top these are ranges of rows; within a choice each event is asked.
            Plan::Sequence(..) | Plan::Recorded(..) => (Part::All, false),
            Plan::Not(plan) => match self.part(plan, depth + 1) {
                (Part::None, _) => (Part::All, true),
                (_, false) => (Part::All, false),
                (Part::All, true) => (Part::None, true),
                (Part::Is(expression), true) => (Part::Not(expression), true),
                (Part::Not(expression), true) => (Part::Is(expression), true),
            },
            Plan::And(plans) => self.all(plans.iter(), depth + 1),
            Plan::Or(plans) => self.any(plans, depth + 1),
        }
    }

    fn all<'p>(&self, plans: impl Iterator<Item = &'p Plan>, depth: usize) -> (Part, bool) {
        let (mut some, mut others, mut is_exact) = (Vec::new(), Vec::new(), true);
        for plan in plans {
            let (part, exact) = self.part(plan, depth);
            is_exact &= exact;
            match part {
                Part::All => {}
                Part::None => return (Part::None, true),
                Part::Is(expression) => some.push(expression),
                Part::Not(expression) => others.push(expression),
            }
        }
        let part = match (some.is_empty(), others.is_empty()) {
            (true, true) => Part::All,
            (false, true) => Part::Is(self.both(&some)),
            (true, false) => Part::Not(self.either(&others)),
            (false, false) => Part::Is(self.without(&self.both(&some), &self.either(&others))),
        };
        (part, is_exact)
    }

    fn any(&self, plans: &[Plan], depth: usize) -> (Part, bool) {
        let (mut parts, mut is_exact) = (Vec::new(), true);
        for plan in plans {
            let (part, exact) = self.part(plan, depth);
            match part {
                Part::All if exact => return (Part::All, true),
                Part::All => return (Part::All, false),
                Part::None => {}
                Part::Is(expression) => parts.push(expression),
                Part::Not(expression) => parts.push(self.without(&self.every(), &expression)),
            }
            is_exact &= exact;
        }
        match parts.is_empty() {
            true => (Part::None, true),
            false => (Part::Is(self.either(&parts)), is_exact),
        }
    }

    /// FTS5 knows where a token stands, a tsvector of ours only that it does.
    fn phrase(&self, terms: &[String], open: bool) -> (Part, bool) {
        if self.dialect == Dialect::Sqlite && is_plain(terms) {
            let tokens: Vec<_> =
                terms.iter().map(|term| format!("{}.{}", self.number, token::escape(term))).collect();
            let star = if open { " *" } else { "" };
            return (Part::Is(format!("\"{}\"{star}", tokens.join(" "))), true);
        }
        match terms.iter().all(String::is_empty) {
            true => (Part::All, false),
            false => (Part::Is(self.words(terms, open)), false),
        }
    }

    /// That the words of a phrase are there, wherever.
    fn words(&self, terms: &[String], open: bool) -> String {
        let last = terms.len().saturating_sub(1);
        let of_term = |(at, term): (usize, &String)| self.token(&token::escape(term), open && at == last);
        let parts: Vec<_> =
            terms.iter().enumerate().filter(|(_, term)| !term.is_empty()).map(of_term).collect();
        self.both(&parts)
    }

    /// A part, and these words besides.
    fn with_words(&self, part: Part, words: &[String]) -> Part {
        let (first, mut all) = match part {
            _ if words.is_empty() => return part,
            Part::None => return Part::None,
            Part::All => (None, Vec::new()),
            Part::Is(expression) => (None, vec![expression]),
            Part::Not(others) => (Some(others), Vec::new()),
        };
        all.extend_from_slice(words);
        let all = self.both(&all);
        Part::Is(match first {
            Some(others) => self.without(&all, &others),
            None => all,
        })
    }

    /// A range of numbers of one width, as addresses are, is a choice of prefixes.
    fn range(&self, from: &str, to: &str) -> (Part, bool) {
        if from > to {
            return (Part::None, true);
        }
        let common = from.bytes().zip(to.bytes()).take_while(|(one, other)| one == other).count();
        let common = (0..=common).rev().find(|at| from.is_char_boundary(*at)).unwrap_or_default();
        let start = from.get(..common).unwrap_or_default();
        let (low, high) = (from.get(common..).unwrap_or_default(), to.get(common..).unwrap_or_default());
        let is_address = start.starts_with("o4") || start.starts_with("o6");
        if is_address && low.len() == high.len() {
            let mut prefixes = Vec::new();
            if cover(start, low.as_bytes(), high.as_bytes(), b"0123456789abcdef", &mut prefixes) {
                return (self.prefixes(&prefixes), true);
            }
        }
        match start.is_empty() {
            true => (Part::All, false),
            false => (Part::Is(self.token(&token::escape(start), true)), false),
        }
    }

    /// The days of a range of times: the hours are to be held against each event.
    fn days(&self, from: i64, to: i64) -> (Part, bool) {
        let Some(last) = to.checked_sub(1).filter(|last| from <= *last) else { return (Part::None, true) };
        let (low, high) = (token::day(from), token::day(last));
        let mut prefixes = Vec::new();
        match cover(token::DAY, low.as_bytes(), high.as_bytes(), b"0123456789", &mut prefixes) {
            true => (self.prefixes(&prefixes), false),
            false => (Part::All, false),
        }
    }

    /// Prefixes that are tokens' own beginnings already.
    fn prefixes(&self, prefixes: &[String]) -> Part {
        let parts: Vec<_> = prefixes.iter().map(|start| self.token(start, true)).collect();
        Part::Is(self.either(&parts))
    }
}

fn is_plain(terms: &[String]) -> bool {
    !terms.is_empty() && terms.iter().all(|term| !term.is_empty())
}

fn joined(parts: &[String], sign: &str) -> String {
    match parts {
        [one] => one.clone(),
        parts => format!("({})", parts.join(sign)),
    }
}

/// The prefixes that all numbers between two of the same width begin with, and no others; false when they would be too
/// many, or it is not a number.
fn cover(start: &str, low: &[u8], high: &[u8], digits: &[u8], found: &mut Vec<String>) -> bool {
    if found.len() >= MOST_PREFIXES {
        return false;
    }
    let (Some((first, last)), Some((&zero, &nine))) =
        (low.split_first().zip(high.split_first()), digits.first().zip(digits.last()))
    else {
        found.push(start.to_owned());
        return true;
    };
    let is_all = |rest: &[u8], digit: u8| rest.iter().all(|other| *other == digit);
    if is_all(low, zero) && is_all(high, nine) {
        found.push(start.to_owned());
        return true;
    }
    let place = |digit: &u8| digits.iter().position(|other| other == digit);
    let (Some(from), Some(to)) = (place(first.0), place(last.0)) else { return false };
    digits.iter().enumerate().skip(from).take((to + 1).saturating_sub(from)).all(|(at, digit)| {
        let (lowest, highest) = (vec![zero; first.1.len()], vec![nine; last.1.len()]);
        let low = if at == from { first.1 } else { &lowest };
        let high = if at == to { last.1 } else { &highest };
        cover(&format!("{start}{}", char::from(*digit)), low, high, digits, found)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn prefixes_cover_a_range_and_nothing_else(one: u16, other: u16, tried: u16) {
            let (low, high) = (format!("{:04x}", one.min(other)), format!("{:04x}", one.max(other)));
            let mut prefixes = Vec::new();
            prop_assert!(cover("o", low.as_bytes(), high.as_bytes(), b"0123456789abcdef", &mut prefixes));
            let inside = (one.min(other)..=one.max(other)).contains(&tried);
            let term = format!("o{tried:04x}");
            prop_assert_eq!(prefixes.iter().filter(|prefix| term.starts_with(prefix.as_str())).count(), usize::from(inside));
        }
    }

    #[test]
    fn a_network_is_a_few_prefixes() {
        let plan = Plan::Range("o40a000000".into(), "o40affffff".into());
        let sieve = Sieve::of(&plan, Dialect::Sqlite, 7);
        assert_eq!((sieve.question, sieve.is_exact), (Question::Of("\"7.o40a\" *".into()), true));
        let plan = Plan::Range("o40a008000".into(), "o40a00ffff".into());
        let Question::Of(expression) = Sieve::of(&plan, Dialect::Postgres, 7).question else {
            panic!("a question")
        };
        assert!(expression.starts_with("('7.o40a008':* | '7.o40a009':* |"), "{expression}");
    }

    #[test]
    fn a_phrase_is_words_in_the_index_and_a_text_in_the_row() {
        let phrase = Plan::Phrase { terms: vec!["wa".into(), "wb_".into()], open: false };
        let not = Plan::Not(Box::new(Plan::Term("wc".into())));
        let sieve = Sieve::of(&Plan::And(vec![phrase, not]), Dialect::Postgres, 1);
        let asked = "(('1.wa' & '1.wb_5f') & !('1.wc'))".to_owned();
        assert_eq!((sieve.question, sieve.is_exact), (Question::Of(asked), true));
        assert_eq!((sieve.phrases, sieve.pairs), (vec![" wa wb_5f ".to_owned()], Pairs::of("wa wb_5f")));
        let open = Plan::Phrase { terms: vec!["wa".into(), "wb".into()], open: true };
        assert!(Sieve::of(&open, Dialect::Sqlite, 1).phrases.is_empty());
        let open = Sieve::of(&open, Dialect::Postgres, 1);
        assert_eq!((open.phrases, open.pairs), (vec![" wa wb".to_owned()], Pairs::default()));
    }

    #[test]
    fn what_is_not_needs_something_that_is() {
        let not = |term: &str| Plan::Not(Box::new(Plan::Term(term.into())));
        let of = |plan: &Plan| match Sieve::of(plan, Dialect::Postgres, 1).question {
            Question::Of(expression) => expression,
            question => format!("{question:?}"),
        };
        assert_eq!(of(&not("wa")), "('1.-a' & !('1.wa'))");
        assert_eq!(of(&Plan::And(vec![Plan::Term("wb".into()), not("wa")])), "('1.wb' & !('1.wa'))");
        let both = Plan::And(vec![Plan::Sequence(3, 9), Plan::Sequence(0, 5), not("wa")]);
        let sieve = Sieve::of(&both, Dialect::Postgres, 1);
        assert_eq!((sieve.from, sieve.to, sieve.is_exact), (3, 5, true));
        let unknown = Plan::Not(Box::new(Plan::Or(vec![Plan::Sequence(0, 1), Plan::Term("wa".into())])));
        assert!(!Sieve::of(&unknown, Dialect::Postgres, 1).is_exact);
        assert_eq!(of(&unknown), "Everything");
    }
}

//! Evaluates a plan on a part: backwards, event by event, for a page; as bits for counts and facets.

use std::collections::BTreeMap;
use std::io;

use super::pairs::FREQUENT;
use super::part::{Numbers, Part, Phrase, Scratch, Span};
use super::postings::{Backwards, Bits, Postings};
use crate::plan::Plan;
use crate::store::tally::Tally;

/// Spans of more terms than this become one set of bits.
const MOST_LISTS: usize = 8;

/// The places that a plan finds, newest first.
#[derive(Debug)]
pub(super) struct Finder<'p, P> {
    part: &'p P,
    reader: Reader,
    dropped: Option<std::sync::Arc<Bits>>,
    /// Where the next search begins; `None` at the end.
    at: Option<u32>,
}

impl<'p, P: Part> Finder<'p, P> {
    /// Looks for what the plan finds among the sequences below `before`.
    pub(super) fn new(part: &'p P, plan: &Plan, before: Option<u64>) -> io::Result<Self> {
        let last = match before {
            Some(before) => before.min(part.base() + u64::from(part.length())).checked_sub(part.base()),
            None => Some(part.length().into()),
        };
        let at = last.and_then(|end| u32::try_from(end).ok()?.checked_sub(1));
        let reader = if at.is_some() { Reader::new(part, plan)? } else { Reader::Nothing };
        Ok(Self { part, reader, dropped: part.dropped(), at })
    }

    /// The next place.
    pub(super) fn next(&mut self) -> io::Result<Option<u32>> {
        while let Some(at) = self.at {
            let Some(place) = self.reader.seek(self.part, at)? else {
                self.at = None;
                return Ok(None);
            };
            self.at = place.checked_sub(1);
            if !self.dropped.as_ref().is_some_and(|dropped| dropped.has(place)) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }
}

/// A way to the places of a plan. Asked for places in descending order only.
#[derive(Debug)]
enum Reader {
    Nothing,
    /// Places from one up to, and not with, another.
    Window(u32, u32),
    List {
        reader: Backwards,
        count: u64,
    },
    Bits(Bits),
    And {
        readers: Vec<Reader>,
        checks: Vec<Check>,
    },
    Or(Vec<Cached>),
    Not(Box<Cached>),
}

/// A test of one event that the index does not answer.
#[derive(Debug)]
struct Check {
    test: Test,
    scratch: Scratch,
}

#[derive(Debug)]
enum Test {
    /// Words with these numbers follow each other.
    Phrase(Box<Phrase>),
    /// It occurred from one time on, before another.
    Occurred(i64, i64),
}

/// A reader that remembers the last place it gave.
#[derive(Debug)]
struct Cached {
    reader: Reader,
    /// What it gave, if it was asked; it holds for every later question that is not below it.
    last: Option<Option<u32>>,
}

impl Cached {
    fn new(reader: Reader) -> Self {
        Self { reader, last: None }
    }

    fn seek<P: Part>(&mut self, part: &P, at_most: u32) -> io::Result<Option<u32>> {
        match self.last {
            Some(None) => return Ok(None),
            Some(Some(place)) if place <= at_most => return Ok(Some(place)),
            _ => {}
        }
        let place = self.reader.seek(part, at_most)?;
        self.last = Some(place);
        Ok(place)
    }
}

impl Reader {
    fn new<P: Part>(part: &P, plan: &Plan) -> io::Result<Self> {
        let length = part.length();
        Ok(match plan {
            Plan::All => Self::Window(0, length),
            Plan::None => Self::Nothing,
            Plan::Term(term) => part.postings(term.as_bytes())?.map_or(Self::Nothing, Self::list),
            Plan::Prefix(start) => Self::span(part, &Span::prefix(start))?,
            Plan::Range(from, to) => Self::span(part, &Span::range(from, to))?,
            Plan::Phrase { terms, open } => match phrase(part, terms, *open)? {
                None => Self::Nothing,
                Some((lists, numbers)) => Self::all(lists, vec![Check::phrase(numbers)], length),
            },
            Plan::Recorded(from, to) => Self::window(part.place_at(*from)?, part.place_at(*to)?),
            Plan::Sequence(from, to) => {
                let (from, to) = window(part, *from, *to);
                Self::window(from, to)
            }
            Plan::Occurred(from, to) => {
                // What occurred in the range was recorded in it, moved by the lag: only that is looked at.
                let (least, most) = part.lag();
                let first = part.place_at(from.saturating_add(least))?;
                match Self::window(first, part.place_at(to.saturating_add(most))?) {
                    Self::Nothing => Self::Nothing,
                    window => Self::all(vec![window], vec![Check::occurred(*from, *to)], length),
                }
            }
            Plan::Not(plan) => match Self::new(part, plan)? {
                Self::Nothing => Self::Window(0, length),
                reader => Self::Not(Box::new(Cached::new(reader))),
            },
            Plan::And(plans) => {
                let mut readers = Vec::with_capacity(plans.len());
                let mut checks = Vec::new();
                for plan in plans {
                    match Self::new(part, plan)? {
                        Self::Nothing => return Ok(Self::Nothing),
                        Self::And { readers: inner, checks: more } => {
                            readers.extend(inner);
                            checks.extend(more);
                        }
                        reader => readers.push(reader),
                    }
                }
                Self::all(readers, checks, length)
            }
            Plan::Or(plans) => {
                let mut readers = Vec::with_capacity(plans.len());
                for plan in plans {
                    match Self::new(part, plan)? {
                        Self::Nothing => {}
                        reader => readers.push(Cached::new(reader)),
                    }
                }
                Self::any(readers)
            }
        })
    }

    fn list(postings: Postings) -> Self {
        Self::List { count: postings.count(), reader: postings.backwards() }
    }

    fn window(from: u32, to: u32) -> Self {
        if from < to { Self::Window(from, to) } else { Self::Nothing }
    }

    fn span<P: Part>(part: &P, span: &Span) -> io::Result<Self> {
        let mut lists = Vec::new();
        let mut bits: Option<Bits> = None;
        part.each_term(span, &mut |_, postings| match &mut bits {
            Some(bits) => bits.add(&postings),
            None if lists.len() < MOST_LISTS => lists.push(postings),
            None => {
                let mut all = Bits::none(part.length());
                lists.iter().chain([&postings]).for_each(|postings| all.add(postings));
                bits = Some(all);
            }
        })?;
        Ok(match bits {
            Some(bits) => Self::Bits(bits),
            None => Self::any(lists.into_iter().map(Self::list).map(Cached::new).collect()),
        })
    }

    fn all(readers: Vec<Self>, checks: Vec<Check>, length: u32) -> Self {
        // Sets of bits become one: what is in all of them is found by one look, not by turns.
        let (mut rest, mut common): (_, Option<Bits>) = (Vec::with_capacity(readers.len()), None);
        for reader in readers {
            match (reader.into_bits(), &mut common) {
                (Ok(bits), Some(common)) => common.and(&bits),
                (Ok(bits), None) => common = Some(bits),
                (Err(reader), _) => rest.push(reader),
            }
        }
        let mut readers = rest;
        readers.extend(common.map(Self::Bits));
        if readers.is_empty() {
            readers.push(Self::Window(0, length));
        }
        readers.sort_by_key(|reader| reader.cost(length));
        match (readers.len(), checks.is_empty()) {
            (1, true) => readers.swap_remove(0),
            _ => Self::And { readers, checks },
        }
    }

    fn into_bits(self) -> Result<Bits, Self> {
        match self {
            Self::Bits(bits) => Ok(bits),
            Self::List { reader, count } => reader.into_bits().map_err(|reader| Self::List { reader, count }),
            other => Err(other),
        }
    }

    fn any(mut readers: Vec<Cached>) -> Self {
        match readers.len() {
            0 => Self::Nothing,
            1 => readers.swap_remove(0).reader,
            _ => Self::Or(readers),
        }
    }

    /// How many places it may give: the one with the fewest leads.
    fn cost(&self, length: u32) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Window(from, to) => u64::from(to - from),
            Self::List { count, .. } => *count,
            Self::Bits(bits) => bits.count(),
            Self::And { readers, .. } => readers.iter().map(|reader| reader.cost(length)).min().unwrap_or(0),
            Self::Or(readers) => {
                readers.iter().map(|cached| cached.reader.cost(length)).sum::<u64>().min(length.into())
            }
            Self::Not(_) => length.into(),
        }
    }

    fn seek<P: Part>(&mut self, part: &P, at_most: u32) -> io::Result<Option<u32>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Window(from, to) => Ok(Some(at_most.min(*to - 1)).filter(|place| place >= from)),
            Self::List { reader, .. } => Ok(reader.seek(at_most)),
            Self::Bits(bits) => Ok(bits.last_up_to(at_most)),
            Self::Or(readers) => {
                let mut best = None;
                for reader in readers {
                    best = best.max(reader.seek(part, at_most)?);
                }
                Ok(best)
            }
            Self::Not(inner) => {
                let mut place = at_most;
                while inner.seek(part, place)? == Some(place) {
                    match place.checked_sub(1) {
                        Some(before) => place = before,
                        None => return Ok(None),
                    }
                }
                Ok(Some(place))
            }
            Self::And { readers, checks } => {
                let mut place = at_most;
                'candidates: loop {
                    for reader in readers.iter_mut() {
                        match reader.seek(part, place)? {
                            None => return Ok(None),
                            Some(found) if found < place => {
                                place = found;
                                continue 'candidates;
                            }
                            Some(_) => {}
                        }
                    }
                    // Each reader has the place, unless a later one moved it, when all are asked again.
                    let mut holds = true;
                    for check in checks.iter_mut() {
                        holds = holds && check.holds(part, place)?;
                    }
                    if holds {
                        return Ok(Some(place));
                    }
                    match place.checked_sub(1) {
                        Some(before) => place = before,
                        None => return Ok(None),
                    }
                }
            }
        }
    }
}

impl Check {
    fn phrase(numbers: Vec<Numbers>) -> Self {
        Self { test: Test::Phrase(Box::new(Phrase::new(numbers))), scratch: Scratch::default() }
    }

    fn occurred(from: i64, to: i64) -> Self {
        Self { test: Test::Occurred(from, to), scratch: Scratch::default() }
    }

    fn holds<P: Part>(&mut self, part: &P, place: u32) -> io::Result<bool> {
        Ok(match &self.test {
            Test::Occurred(from, to) => (*from..*to).contains(&part.occurred(place, &mut self.scratch)?),
            Test::Phrase(phrase) => part.has_phrase(place, phrase, &mut self.scratch)?,
        })
    }
}

/// The lists of a phrase's words, and the numbers that its words may have; `None` when a word is nowhere, or two never follow each
/// other.
fn phrase<P: Part>(
    part: &P,
    terms: &[String],
    open: bool,
) -> io::Result<Option<(Vec<Reader>, Vec<Numbers>)>> {
    let (mut readers, mut numbers, mut spans) = (Vec::new(), Vec::new(), Vec::new());
    // The number of the word before, if it is one word, and a frequent one.
    let mut before = None;
    for (index, term) in terms.iter().enumerate() {
        let span = match open && index + 1 == terms.len() {
            true => Span::prefix(term),
            false => Span::term(term),
        };
        let found = part.word_numbers(&span)?;
        if found.is_empty() {
            return Ok(None);
        }
        // A word that stands in the phrase twice is read once.
        let at = match spans.iter().position(|known| *known == span) {
            Some(at) => at,
            None => {
                readers.push(Reader::span(part, &span)?);
                spans.push(span);
                spans.len() - 1
            }
        };
        let is_frequent = readers.get(at).is_some_and(|reader| reader.cost(part.length()) >= FREQUENT);
        let number = found.only().filter(|_| is_frequent);
        if let (Some(first), Some(second)) = (before, number)
            && !part.may_follow(first, second)?
        {
            return Ok(None);
        }
        before = number;
        numbers.push(found);
    }
    Ok(Some((readers, numbers)))
}

/// The places of sequences from one to another, both included.
fn window<P: Part>(part: &P, from: u64, to: u64) -> (u32, u32) {
    let place = |sequence: u64| {
        let place = sequence.saturating_sub(part.base()).min(part.length().into());
        u32::try_from(place).unwrap_or(u32::MAX)
    };
    match to < part.base() {
        true => (0, 0),
        false => (place(from), place(to.saturating_add(1))),
    }
}

/// Every place that the plan finds.
pub(super) fn matches<P: Part>(part: &P, plan: &Plan) -> io::Result<Bits> {
    let mut bits = evaluate(part, plan)?;
    if let Some(dropped) = part.dropped() {
        bits.minus(&dropped);
    }
    Ok(bits)
}

fn evaluate<P: Part>(part: &P, plan: &Plan) -> io::Result<Bits> {
    let length = part.length();
    let mut bits = Bits::none(length);
    match plan {
        Plan::All => return Ok(Bits::all(length)),
        Plan::None => {}
        Plan::Term(term) => {
            if let Some(postings) = part.postings(term.as_bytes())? {
                bits.add(&postings);
            }
        }
        Plan::Prefix(start) => {
            part.each_term(&Span::prefix(start), &mut |_, postings| bits.add(&postings))?;
        }
        Plan::Range(from, to) => {
            part.each_term(&Span::range(from, to), &mut |_, postings| bits.add(&postings))?;
        }
        Plan::Recorded(from, to) => {
            bits = Bits::all(length);
            bits.keep(part.place_at(*from)?, part.place_at(*to)?);
        }
        Plan::Sequence(from, to) => {
            let (from, to) = window(part, *from, *to);
            bits = Bits::all(length);
            bits.keep(from, to);
        }
        Plan::Phrase { .. } | Plan::Occurred(..) => {
            let mut reader = Reader::new(part, plan)?;
            let mut at = length.checked_sub(1);
            while let Some(from) = at {
                let Some(place) = reader.seek(part, from)? else { break };
                bits.set(place);
                at = place.checked_sub(1);
            }
        }
        Plan::Not(plan) => {
            bits = evaluate(part, plan)?;
            bits.negate();
        }
        Plan::Or(plans) => {
            for plan in plans {
                bits.or(&evaluate(part, plan)?);
            }
        }
        Plan::And(plans) => return all_of(part, plans),
    }
    Ok(bits)
}

/// Tests that look at events one by one come last, and look only at what the others left.
fn all_of<P: Part>(part: &P, plans: &[Plan]) -> io::Result<Bits> {
    let slow = |plan: &&Plan| matches!(plan, Plan::Phrase { .. } | Plan::Occurred(..));
    let mut bits: Option<Bits> = None;
    for plan in plans.iter().filter(|plan| !slow(plan)) {
        let found = evaluate(part, plan)?;
        match &mut bits {
            Some(bits) => bits.and(&found),
            None => bits = Some(found),
        }
    }
    let mut bits = bits.unwrap_or_else(|| Bits::all(part.length()));
    let slow: Vec<_> = plans.iter().filter(slow).collect();
    if slow.is_empty() {
        return Ok(bits);
    }
    let mut readers = vec![Reader::Bits(bits.clone())];
    let mut checks = Vec::new();
    for plan in slow {
        match Reader::new(part, plan)? {
            Reader::Nothing => return Ok(Bits::none(part.length())),
            Reader::And { readers: more, checks: tests } => {
                readers.extend(more);
                checks.extend(tests);
            }
            reader => readers.push(reader),
        }
    }
    let mut reader = Reader::all(readers, checks, part.length());
    bits = Bits::none(part.length());
    let mut at = part.length().checked_sub(1);
    while let Some(from) = at {
        let Some(place) = reader.seek(part, from)? else { break };
        bits.set(place);
        at = place.checked_sub(1);
    }
    Ok(bits)
}

/// Adds how many of the found events have each value of the dimensions with these codes.
pub(super) fn facets<P: Part>(part: &P, found: &Bits, codes: &[char], tally: &mut Tally) -> io::Result<()> {
    // Events that have a value under two codes, a name that is also the id, count once.
    let mut several: BTreeMap<Vec<u8>, Vec<Postings>> = BTreeMap::new();
    for code in codes {
        part.each_term(&Span::prefix(&code.to_string()), &mut |term, postings| {
            let value = term.get(1..).unwrap_or_default();
            if codes.len() > 1 {
                several.entry(value.to_vec()).or_default().push(postings);
                return;
            }
            tally.add(&String::from_utf8_lossy(value), found.count_common(&postings));
        })?;
    }
    for (value, lists) in several {
        let count = match lists.as_slice() {
            [one] => found.count_common(one),
            lists => {
                let mut bits = Bits::none(part.length());
                lists.iter().for_each(|postings| bits.add(postings));
                bits.and(found);
                bits.count()
            }
        };
        tally.add(&String::from_utf8_lossy(&value), count);
    }
    Ok(())
}

/// Adds how many of the found events were recorded between each edge and the next.
pub(super) fn histogram<P: Part>(
    part: &P,
    found: &Bits,
    edges: &[i64],
    counts: &mut [u64],
) -> io::Result<()> {
    for (pair, count) in edges.windows(2).zip(counts) {
        if let [from, to] = pair {
            *count += found.count_between(part.place_at(*from)?, part.place_at(*to)?);
        }
    }
    Ok(())
}

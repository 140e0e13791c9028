//! What lists of words say about a text: the input of the ensemble beside the n-grams.

mod opinions;
mod phrases;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::tokens::{DENIED, Hash, IDIOM, Kind, SHOUTED, Token, Tokens};

/// How many values the lists give.
pub(crate) const LEXICAL: usize = 16;

/// The values of a text.
pub(crate) type Values = [f64; LEXICAL];

/// What the lists say about the tokens, and what each token has added.
pub(crate) struct Lexical {
    /// The valence of each token, as its phrase or word has it, with capitals and intensifiers; zero for most.
    valences: Vec<f64>,
    /// The value that a token's valence goes to, if any.
    slots: Vec<u8>,
    scale: f64,
    bound: f64,
    turn: usize,
}

const GOOD: u8 = 0;
const BAD: u8 = 1;
const NOT_GOOD: u8 = 2;
const NOT_BAD: u8 = 3;
const SUM: usize = 4;
const TURNED: usize = 5;
const EMOJI: u8 = 6;
const IDIOM_GOOD: u8 = 7;
const IDIOM_BAD: u8 = 8;
const SUPPORT_GOOD: u8 = 9;
const SUPPORT_BAD: u8 = 10;
const EXCLAIM: u8 = 11;
const QUESTION: u8 = 12;
const SHOUT: usize = 13;
const PRAISE: u8 = 14;
const BLAME: u8 = 15;
const NONE: u8 = 255;

/// What VADER multiplies a denied word with, and adds for capitals and an intensifier.
const DENIAL: f64 = -0.74;
const CAPITALS: f64 = 0.733;
const INTENSE: f64 = 0.293;

/// What each word of a phrase that denies something bad is worth.
const IDIOM_WORTH: f64 = 0.8;

impl Lexical {
    /// Looks up the tokens.
    pub(crate) fn of(list: &[Token]) -> Self {
        let lists = Lists::known();
        let mut found = Self {
            valences: Vec::with_capacity(list.len()),
            slots: Vec::with_capacity(list.len()),
            scale: 0.0,
            bound: 1.0,
            turn: usize::MAX,
        };
        let (mut words, mut sum) = (0_u32, 0.0);
        let mut boost = [0.0_f64; 3];
        let mut phrase: Option<(usize, f64, u8)> = None;
        for (at, token) in list.iter().enumerate() {
            words += u32::from(token.is_word());
            if token.hash == lists.but {
                found.turn = at;
            }
            if token.has(IDIOM) {
                sum += IDIOM_WORTH;
                boost = [0.0; 3];
                phrase = None;
                found.valences.push(IDIOM_WORTH);
                found.slots.push(IDIOM_GOOD);
                continue;
            }
            if phrase.is_none() {
                phrase = lists.phrase(list.get(at..).unwrap_or_default());
            }
            let (valence, slot) = if let Some((left, share, slot)) = phrase {
                phrase = (left > 1).then_some((left - 1, share, slot));
                sum += share;
                (share, slot)
            } else {
                let (valence, slot) = lists.word(token, boost);
                sum += if matches!(slot, NOT_GOOD | NOT_BAD) {
                    valence * DENIAL
                } else if matches!(slot, EXCLAIM | QUESTION | NONE) {
                    0.0
                } else {
                    valence
                };
                (valence, slot)
            };
            let [one, two, _] = boost;
            boost = [lists.boosters.get(&token.hash).copied().unwrap_or_default(), one * 0.95, two * 0.947];
            found.valences.push(valence);
            found.slots.push(slot);
        }
        found.scale = 1.0 / f64::from(words + 4).sqrt();
        found.bound = 1.0 / (sum * sum + 15.0_f64).sqrt();
        found
    }

    /// The values of the whole text.
    pub(crate) fn values(&self, list: &[Token]) -> Values {
        let mut values = [0.0; LEXICAL];
        for (at, token) in list.iter().enumerate() {
            self.add(at, token, &mut values);
        }
        values
    }

    /// Adds what one token gives. The values of a text are the sum over its tokens.
    pub(crate) fn add(&self, at: usize, token: &Token, values: &mut Values) {
        let (Some(valence), Some(slot)) = (self.valences.get(at), self.slots.get(at)) else { return };
        if token.has(SHOUTED)
            && let Some(value) = values.get_mut(SHOUT)
        {
            *value += self.scale;
        }
        if *slot == NONE {
            return;
        }
        if let Some(value) = values.get_mut(usize::from(*slot)) {
            *value += valence * self.scale;
        }
        if matches!(*slot, EXCLAIM | QUESTION) {
            return;
        }
        let signed = if matches!(*slot, NOT_GOOD | NOT_BAD) { valence * DENIAL } else { *valence };
        if let Some(value) = values.get_mut(SUM) {
            *value += signed * self.bound;
        }
        if self.turn != usize::MAX
            && at > self.turn
            && let Some(value) = values.get_mut(TURNED)
        {
            *value += signed * self.bound;
        }
    }
}

struct Lists {
    words: HashMap<u64, f32, Identity>,
    support: HashMap<u64, f32, Identity>,
    opinions: HashMap<u64, f32, Identity>,
    boosters: HashMap<u64, f64, Identity>,
    phrases: HashMap<u64, Vec<Phrase>, Identity>,
    but: u64,
}

struct Phrase {
    words: Vec<u64>,
    valence: f64,
}

impl Lists {
    fn known() -> &'static Self {
        static LISTS: LazyLock<Lists> = LazyLock::new(Lists::load);
        &LISTS
    }

    fn load() -> Self {
        let mut words = HashMap::default();
        for line in include_str!("../data/vader/lexicon.tsv").lines() {
            let mut fields = line.split('\t');
            let (Some(word), Some(valence)) = (fields.next(), fields.next()) else { continue };
            if let Ok(valence) = valence.parse::<f32>() {
                words.insert(Hash::of(word.as_bytes()), valence);
            }
        }
        // An emoji is worth what its description is.
        for line in include_str!("../data/vader/emoji.tsv").lines() {
            let Some((emoji, description)) = line.split_once('\t') else { continue };
            let sum: f32 =
                description.split(' ').filter_map(|word| words.get(&Hash::of(word.as_bytes()))).sum();
            if sum != 0.0 {
                words.insert(Hash::of(emoji.trim_end_matches('\u{fe0f}').as_bytes()), sum);
            }
        }
        for word in phrases::UNWEIGHTED {
            words.remove(&Hash::of(word.as_bytes()));
        }
        let mut support = HashMap::default();
        for (valence, list) in phrases::SUPPORT {
            for word in list.split_whitespace() {
                support.insert(Hash::of(word.as_bytes()), *valence);
                words.remove(&Hash::of(word.as_bytes()));
            }
        }
        let mut opinions = HashMap::default();
        for (valence, list) in [(2.0, opinions::PRAISE), (-2.0, opinions::BLAME)] {
            for word in list.split_whitespace() {
                let hash = Hash::of(word.as_bytes());
                if !words.contains_key(&hash) && !support.contains_key(&hash) {
                    opinions.insert(hash, valence);
                }
            }
        }
        let mut boosters = HashMap::default();
        for (sign, list) in [(INTENSE, phrases::INTENSIFIERS), (-INTENSE, phrases::DAMPENERS)] {
            for word in list.split_whitespace() {
                boosters.insert(Hash::of(word.as_bytes()), sign);
            }
        }
        let mut known: HashMap<u64, Vec<Phrase>, Identity> = HashMap::default();
        for (valence, list) in phrases::PHRASES {
            for phrase in list.lines().map(str::trim).filter(|phrase| !phrase.is_empty()) {
                let words: Vec<u64> = Tokens::of(phrase).list.iter().map(|token| token.hash).collect();
                if let Some(first) = words.first() {
                    known.entry(*first).or_default().push(Phrase { valence: *valence, words });
                }
            }
        }
        for list in known.values_mut() {
            list.sort_by_key(|phrase| std::cmp::Reverse(phrase.words.len()));
        }
        Self { words, support, opinions, boosters, phrases: known, but: Hash::of(b"but") }
    }

    /// The longest phrase that begins here: its words, what each is worth, where it goes.
    fn phrase(&self, list: &[Token]) -> Option<(usize, f64, u8)> {
        let first = list.first()?;
        let phrase = self.phrases.get(&first.hash)?.iter().find(|phrase| {
            list.len() >= phrase.words.len()
                && phrase.words.iter().zip(list).all(|(word, token)| *word == token.hash)
        })?;
        let words = phrase.words.len();
        let slot = if phrase.valence > 0.0 {
            IDIOM_GOOD
        } else if phrase.valence < 0.0 {
            IDIOM_BAD
        } else {
            NONE
        };
        Some((words, phrase.valence / f64::from(u32::try_from(words).unwrap_or(1)), slot))
    }

    fn word(&self, token: &Token, boost: [f64; 3]) -> (f64, u8) {
        if token.kind == Kind::End {
            return if token.hash == Hash::of(b"?") || token.hash == Hash::of(b"??") {
                (1.0, QUESTION)
            } else if token.hash == Hash::of(b"!") {
                (1.0, EXCLAIM)
            } else if token.hash == Hash::of(b"!!") || token.hash == Hash::of(b"!!!") {
                (2.0, EXCLAIM)
            } else {
                (0.0, NONE)
            };
        }
        if token.kind == Kind::Pause {
            return (0.0, NONE);
        }
        if let Some(valence) = self.words.get(&token.hash) {
            let mut valence = f64::from(*valence);
            if token.kind == Kind::Emoji {
                return (valence, EMOJI);
            }
            let sign = valence.signum();
            if token.has(SHOUTED) {
                valence += sign * CAPITALS;
            }
            valence += sign * boost.iter().sum::<f64>();
            let slot = match (token.has(DENIED), sign > 0.0) {
                (false, true) => GOOD,
                (false, false) => BAD,
                (true, true) => NOT_GOOD,
                (true, false) => NOT_BAD,
            };
            return (valence, slot);
        }
        if let Some(valence) = self.support.get(&token.hash) {
            let valence = f64::from(*valence);
            return match (token.has(DENIED), valence > 0.0) {
                (false, true) => (valence, SUPPORT_GOOD),
                (false, false) => (valence, SUPPORT_BAD),
                (true, true) => (valence, NOT_GOOD),
                (true, false) => (valence, NOT_BAD),
            };
        }
        if let Some(valence) = self.opinions.get(&token.hash) {
            let valence = f64::from(*valence);
            return match (token.has(DENIED), valence > 0.0) {
                (false, true) => (valence, PRAISE),
                (false, false) => (valence, BLAME),
                (true, true) => (valence, NOT_GOOD),
                (true, false) => (valence, NOT_BAD),
            };
        }
        (0.0, NONE)
    }
}

/// The keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct Identity;

impl std::hash::BuildHasher for Identity {
    type Hasher = Taken;

    fn build_hasher(&self) -> Taken {
        Taken(0)
    }
}

struct Taken(u64);

impl std::hash::Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = Hash::of(bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

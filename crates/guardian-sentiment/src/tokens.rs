//! A text as tokens: words, marks, emoji and masks, each with its place in the caller's text.
//!
//! What stands between two spaces is read without looking at what stands around it. A text that is said twice is
//! therefore the same tokens twice, which [`Tokens::of`] notices.

mod scan;
mod scope;
#[cfg(test)]
mod tests;

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Letters, with digits among them at most.
    Word,
    /// A number of up to three digits is itself; a longer one is masked.
    Number,
    /// An address of a page or a mail, or the name of a user.
    Mask,
    /// A mark that ends a sentence: `.`, `!`, `?` and their runs.
    End,
    /// Any other mark.
    Pause,
    /// An emoji, or an emoticon of marks.
    Emoji,
}

/// Letters are all capitals, and not all words of the text are.
pub(crate) const SHOUTED: u8 = 1;
/// A letter is repeated three times or more.
pub(crate) const STRETCHED: u8 = 2;
/// The word denies what follows.
pub(crate) const DENIES: u8 = 4;
/// The word is denied.
pub(crate) const DENIED: u8 = 8;
/// A line begins here.
pub(crate) const LINE: u8 = 16;
/// The word was cut from a contraction, `n't` or `'s`.
pub(crate) const CLITIC: u8 = 32;
/// Part of a phrase that sounds bad and is praise.
pub(crate) const IDIOM: u8 = 64;

/// A piece of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Of the normalised word.
    pub(crate) hash: u64,
    start: u32,
    end: u32,
    form: u32,
    form_end: u32,
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
}

impl Token {
    /// The bytes of the caller's text.
    pub(crate) fn span(&self) -> Range<usize> {
        usize(self.start)..usize(self.end)
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn is_word(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Number)
    }
}

/// The tokens of one text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    pub(crate) list: Vec<Token>,
    /// The normalised words one after the other, each in spaces: ` word `.
    forms: Vec<u8>,
}

/// Longer texts are read up to here: spans fit into 32 bits, and no host shows more to a person.
pub(crate) const MAX_BYTES: usize = 1 << 20;

impl Tokens {
    /// Reads a text, up to [`MAX_BYTES`].
    pub(crate) fn of(text: &str) -> Self {
        let mut tokens = Self {
            list: Vec::with_capacity(text.len().min(MAX_BYTES) / 4 + 4),
            forms: Vec::with_capacity(text.len().min(MAX_BYTES) * 3 / 2 + 16),
        };
        scan::scan(head(text), &mut tokens);
        tokens.say_once();
        scope::mark(&mut tokens.list);
        tokens
    }

    /// The normalised word in spaces; empty for what is no word.
    pub(crate) fn form(&self, token: &Token) -> &[u8] {
        self.forms.get(usize(token.form)..usize(token.form_end)).unwrap_or_default()
    }

    /// Keeps what is said once of a text that says the same several times and nothing else.
    fn say_once(&mut self) {
        let period = period(&self.list);
        self.list.truncate(period);
    }
}

fn head(text: &str) -> &str {
    if text.len() <= MAX_BYTES {
        return text;
    }
    let end = (0..=MAX_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text.get(..end).unwrap_or_default()
}

/// The length of the shortest beginning of which the list is a whole number of repetitions.
fn period(list: &[Token]) -> usize {
    let len = list.len();
    let (Some(first), Some(last)) = (list.first(), list.last()) else { return len };
    for period in 1..=len / 2 {
        if !len.is_multiple_of(period) || !same(list.get(period), first) || !same(list.get(period - 1), last)
        {
            continue;
        }
        let repeated = list.iter().zip(list.iter().skip(period)).all(|(one, other)| same(Some(other), one));
        if repeated {
            return period;
        }
    }
    len
}

fn same(one: Option<&Token>, other: &Token) -> bool {
    one.is_some_and(|one| {
        one.hash == other.hash && one.kind == other.kind && (one.flags | LINE) == (other.flags | LINE)
    })
}

/// Both kinds of machines that Rust's standard library knows have at least 32 bits here, or the text is cut before.
fn usize(value: u32) -> usize {
    value as usize
}

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a over bytes, mixed at the end: the same on every machine and in every version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hash(u64);

impl Hash {
    pub(crate) const fn new() -> Self {
        Self(OFFSET)
    }

    pub(crate) const fn byte(self, byte: u8) -> Self {
        Self((self.0 ^ byte as u64).wrapping_mul(PRIME))
    }

    pub(crate) fn of(bytes: &[u8]) -> u64 {
        bytes.iter().fold(Self::new(), |hash, byte| hash.byte(*byte)).end()
    }

    pub(crate) const fn end(self) -> u64 {
        mix(self.0)
    }
}

/// Spreads each bit over all.
pub(crate) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value ^ (value >> 29)
}

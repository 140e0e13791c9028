//! The terms of an event: what every store's index holds.
//!
//! A term is a text whose first character says what it is: `w` a word of the event's text, a letter of a
//! [`Dimension`] and the value in lower case, `m` metadata as `key=value`. Stores that index (our segments, FTS5,
//! tsvector) hold exactly these; the memory store compares them one by one. One query therefore means the same in all.

use std::fmt::Write;
use std::net::IpAddr;

use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::dimension::Dimension;
use crate::event::{Assessment, AuditEvent};

/// The first character of a word.
pub(crate) const WORD: char = 'w';
/// The first character of metadata.
pub(crate) const METADATA: char = 'm';

/// A value longer than this is cut, and told from others of the same beginning by its hash.
const LONGEST_VALUE: usize = 128;
/// A word longer than this is cut.
const LONGEST_WORD: usize = 64;
/// Words beyond this many of one event are not indexed: a message of 16 KiB has some 3,000.
const MOST_WORDS: usize = 8_192;
/// Values of metadata beyond this many are not indexed.
const MOST_VALUES: usize = 256;

/// The terms of one event, in one buffer.
///
/// ```
/// use guardian_audit::{Assessment, AuditEvent, Terms};
///
/// let event = AuditEvent::new("deal.updated").with_message("Renewal of Acme");
/// let terms = Terms::of(&event, &Assessment::default());
/// let terms: Vec<_> = terms.iter().collect();
/// assert!(terms.contains(&"adeal.updated") && terms.contains(&"wrenewal"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    text: String,
    /// Where each term ends in `text`. An empty term stands between two texts, so that no phrase spans them.
    ends: Vec<u32>,
}

impl Terms {
    /// The terms of an event.
    #[must_use]
    pub fn of(event: &AuditEvent, risk: &Assessment) -> Self {
        let mut terms = Self { text: String::with_capacity(640), ends: Vec::with_capacity(64) };
        terms.value(Dimension::Action, Some(&event.action));
        terms.value(Dimension::Category, Some(event.category()));
        terms.value(Dimension::Outcome, Some(event.outcome.as_str()));
        terms.value(Dimension::Risk, Some(risk.level.as_str()));
        for reason in &risk.reasons {
            terms.value(Dimension::Reason, Some(reason));
        }
        if let Some(actor) = &event.actor {
            terms.value(Dimension::ActorId, Some(&actor.id));
            terms.value(Dimension::ActorKind, Some(&actor.kind));
            terms.value(Dimension::ActorName, actor.name.as_deref());
            terms.value(Dimension::ActorEmail, actor.email.as_deref());
            terms.value(Dimension::Impersonator, actor.impersonator.as_deref());
            terms.value(Dimension::ApiKey, actor.api_key.as_deref());
            terms.value(Dimension::Session, actor.session.as_deref());
        }
        if let Some(target) = &event.target {
            terms.value(Dimension::TargetKind, Some(&target.kind));
            terms.value(Dimension::TargetId, Some(&target.id));
            terms.value(Dimension::TargetName, target.name.as_deref());
        }
        if let Some(address) = event.origin.address {
            push_address(&mut terms.text, address);
            terms.end();
        }
        terms.value(Dimension::Country, event.origin.country.as_deref());
        terms.value(Dimension::UserAgent, event.origin.user_agent.as_deref());
        terms.value(Dimension::Request, event.origin.request.as_deref());
        terms.value(Dimension::Source, event.origin.source.as_deref());
        if let Some(id) = event.id {
            terms.value(Dimension::Id, Some(id.hyphenated().encode_lower(&mut Uuid::encode_buffer())));
        }
        for change in &event.changes {
            terms.value(Dimension::Changed, Some(&change.path));
        }
        terms.words(&event.action);
        for text in [&event.message].into_iter().flatten() {
            terms.words(text);
        }
        if let Some(actor) = &event.actor {
            actor.name.iter().chain(&actor.email).for_each(|text| terms.words(text));
        }
        if let Some(name) = event.target.as_ref().and_then(|target| target.name.as_ref()) {
            terms.words(name);
        }
        for change in &event.changes {
            for value in [&change.before, &change.after].into_iter().flatten() {
                terms.texts_in(value);
            }
        }
        terms.metadata(event);
        terms
    }

    /// Each term in the order of the event; words follow each other as in the text, an empty term stands between two
    /// texts.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(&start, &end)| {
            let range =
                usize::try_from(start).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(usize::MAX);
            self.text.get(range).unwrap_or_default()
        })
    }

    /// How many bytes they take.
    pub(crate) fn size(&self) -> usize {
        self.text.len()
    }

    /// Adds a term as it is: the keyed hash of a sealed value, say.
    pub(crate) fn push(&mut self, term: &str) {
        self.text.push_str(term);
        self.end();
    }

    fn end(&mut self) {
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }

    fn value(&mut self, dimension: Dimension, value: Option<&str>) {
        if let (Some(code), Some(value)) = (dimension.code(), value) {
            self.text.push(code);
            push_value(&mut self.text, value);
            self.end();
        }
    }

    fn words(&mut self, text: &str) {
        self.end();
        if text.is_ascii() {
            return self.ascii_words(text);
        }
        let mut left = MOST_WORDS;
        let Self { text: buffer, ends } = self;
        each_word(text, |word| {
            if let Some(fewer) = left.checked_sub(1) {
                left = fewer;
                buffer.push(WORD);
                buffer.push_str(word);
                ends.push(u32::try_from(buffer.len()).unwrap_or(u32::MAX));
            }
        });
    }

    /// What [`each_word`] finds in a text of ASCII, copied word by word and not letter by letter: most texts are such.
    fn ascii_words(&mut self, text: &str) {
        let (mut at, mut left) = (0, MOST_WORDS);
        for word in text.as_bytes().split(|byte| !byte.is_ascii_alphanumeric()) {
            let end = at + word.len();
            if at < end {
                left = match left.checked_sub(1) {
                    Some(left) => left,
                    None => return,
                };
                let start = self.text.len();
                self.text.push(WORD);
                self.text.push_str(text.get(at..end.min(at + LONGEST_WORD)).unwrap_or_default());
                if let Some(added) = self.text.get_mut(start..) {
                    added.make_ascii_lowercase();
                }
                self.end();
            }
            at = end + 1;
        }
    }

    fn texts_in(&mut self, value: &Value) {
        let mut open = vec![value];
        let mut left = MOST_VALUES;
        while let Some(value) = open.pop() {
            left = match left.checked_sub(1) {
                Some(left) => left,
                None => return,
            };
            match value {
                Value::String(text) => self.words(text),
                Value::Array(items) => open.extend(items.iter().rev()),
                Value::Object(members) => open.extend(members.values()),
                _ => {}
            }
        }
    }

    fn metadata(&mut self, event: &AuditEvent) {
        for (key, value) in event.metadata.iter().take(MOST_VALUES) {
            match value {
                Value::String(text) => push_metadata(&mut self.text, key, text),
                Value::Bool(_) | Value::Number(_) => push_metadata(&mut self.text, key, &value.to_string()),
                _ => continue,
            }
            self.end();
        }
        for value in event.metadata.values().take(MOST_VALUES) {
            self.texts_in(value);
        }
    }
}

/// The term of a value of a dimension.
pub(crate) fn value_term(code: char, value: &str) -> String {
    let mut term = String::with_capacity(1 + value.len());
    term.push(code);
    push_value(&mut term, value);
    term
}

/// The term of an entry of metadata.
pub(crate) fn metadata_term(key: &str, value: &str) -> String {
    let mut term = String::with_capacity(2 + key.len() + value.len());
    push_metadata(&mut term, key, value);
    term
}

fn push_metadata(term: &mut String, key: &str, value: &str) {
    term.push(METADATA);
    push_value(term, key);
    term.push('=');
    push_value(term, value);
}

/// The term of an address: of fixed width, so that a network is a range of terms.
pub(crate) fn address_term(address: IpAddr) -> String {
    let mut term = String::with_capacity(34);
    push_address(&mut term, address);
    term
}

fn push_address(term: &mut String, address: IpAddr) {
    let written = match address.to_canonical() {
        IpAddr::V4(address) => write!(term, "o4{:08x}", address.to_bits()),
        IpAddr::V6(address) => write!(term, "o6{:032x}", address.to_bits()),
    };
    debug_assert!(written.is_ok(), "a string takes every text");
}

/// The address of a term's value, as [`address_term`] writes it.
pub(crate) fn address_of(value: &str) -> Option<IpAddr> {
    if let Some(digits) = value.strip_prefix('4') {
        return u32::from_str_radix(digits, 16).ok().map(|bits| IpAddr::V4(bits.into()));
    }
    let digits = value.strip_prefix('6')?;
    u128::from_str_radix(digits, 16).ok().map(|bits| IpAddr::V6(bits.into()))
}

/// A value in lower case; a long one is cut and ends in the hash of the whole.
fn push_value(term: &mut String, value: &str) {
    let start = term.len();
    if value.is_ascii() {
        term.push_str(value);
        if let Some(added) = term.get_mut(start..) {
            added.make_ascii_lowercase();
        }
    } else {
        term.extend(value.chars().flat_map(char::to_lowercase));
    }
    if term.len() - start > LONGEST_VALUE {
        let digest = Sha256::digest(term.get(start..).unwrap_or_default().as_bytes());
        let mut cut = start + LONGEST_VALUE - 33;
        while !term.is_char_boundary(cut) {
            cut -= 1;
        }
        term.truncate(cut);
        term.push('~');
        for byte in digest.iter().take(16) {
            let _ = write!(term, "{byte:02x}");
        }
    }
}

/// The beginning of a value, as far as it can be compared with terms.
pub(crate) fn value_prefix(code: char, value: &str) -> String {
    let mut term = String::from(code);
    term.extend(value.chars().flat_map(char::to_lowercase));
    let mut cut = term.len().min(1 + LONGEST_VALUE - 33);
    while !term.is_char_boundary(cut) {
        cut -= 1;
    }
    term.truncate(cut);
    term
}

/// The words of a text, in order: runs of letters and digits, in lower case, the common accents of Latin letters taken
/// off. A letter of a script without spaces (Han, kana, Thai …) is a word by itself.
pub(crate) fn each_word(text: &str, mut found: impl FnMut(&str)) {
    let mut word = String::new();
    let flush = |word: &mut String, found: &mut dyn FnMut(&str)| {
        if !word.is_empty() {
            found(word);
            word.clear();
        }
    };
    for c in text.chars() {
        if c.is_ascii() {
            if c.is_ascii_alphanumeric() {
                if word.len() < LONGEST_WORD {
                    word.push(c.to_ascii_lowercase());
                }
            } else {
                flush(&mut word, &mut found);
            }
        } else if is_mark(c) {
            // A combining accent belongs to the letter before it.
        } else if !c.is_alphanumeric() {
            flush(&mut word, &mut found);
        } else if is_unspaced(c) {
            flush(&mut word, &mut found);
            word.push(c);
            flush(&mut word, &mut found);
        } else if word.len() < LONGEST_WORD {
            for lower in c.to_lowercase() {
                match unaccented(lower) {
                    Some(plain) => word.push_str(plain),
                    None if is_mark(lower) => {}
                    None => word.push(lower),
                }
            }
        }
    }
    flush(&mut word, &mut found);
}

/// The words of a text.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    each_word(text, |word| words.push(word.to_owned()));
    words
}

/// Combining diacritical marks (Unicode block 0300-036F).
fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

/// Scripts that put no spaces between words.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0e7f}'
        | '\u{0e80}'..='\u{0eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// What stands for an accented Latin letter (blocks Latin-1 and Latin Extended-A), as people type it without one.
fn unaccented(c: char) -> Option<&'static str> {
    Some(match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ĵ' => "j",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ŧ' => "t",
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'þ' => "th",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_people_type() {
        assert_eq!(words("Ann.Bauer@ACME.com d_42"), ["ann", "bauer", "acme", "com", "d", "42"]);
        assert_eq!(words("Crème brûlée, Łódź, Straße"), ["creme", "brulee", "lodz", "strasse"]);
        assert_eq!(words("cre\u{300}me"), ["creme"]);
        assert_eq!(words("契約 renewal"), ["契", "約", "renewal"]);
        assert_eq!(words("İstanbul"), ["istanbul"]);
        assert!(words(" —…\u{0} ").is_empty());
    }

    proptest::proptest! {
        /// The short way through ASCII finds what the long way finds.
        #[test]
        fn words_of_ascii_are_words(text in "[ -~]{0,200}") {
            let mut terms = Terms::default();
            terms.words(&text);
            let found: Vec<_> = terms.iter().filter_map(|term| term.strip_prefix(WORD)).collect();
            proptest::prop_assert_eq!(found, words(&text));
        }
    }

    #[test]
    fn networks_are_ranges_of_terms() {
        let term = |text: &str| address_term(text.parse().unwrap());
        assert!(term("10.0.0.1") < term("10.255.0.0"));
        assert_eq!(term("::ffff:10.0.0.1"), term("10.0.0.1"));
        assert!(term("2001:db8::1") < term("2001:db8::2"));
    }

    #[test]
    fn long_values_keep_apart() {
        let (one, other) = ("x".repeat(500), format!("{}y", "x".repeat(499)));
        assert_ne!(value_term('a', &one), value_term('a', &other));
        assert_eq!(value_term('a', &one).len(), 1 + LONGEST_VALUE);
        assert!(value_term('a', &one).starts_with(&value_prefix('a', &one)));
    }
}

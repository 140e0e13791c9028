use std::borrow::Cow;
use std::ops::Range;

use super::words::{Tables, Word};

/// One token of the text, as the rules see it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// Its bytes in the prepared text, without punctuation around it.
    pub(super) bytes: Range<usize>,
    pub(super) word: Word,
    /// All its letters are capitals.
    pub(super) capitals: bool,
    /// What stands behind it.
    pub(super) end: End,
}

/// What separates a token from the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Space,
    Clause,
    Sentence,
}

/// A text with its emoji written out.
#[derive(Debug)]
pub(super) struct Prepared<'t> {
    pub(super) text: Cow<'t, str>,
    /// Where the prepared text starts in the original one.
    start: usize,
    /// Pieces of the prepared text by their start: where each begins in the original, and the length of the emoji it stands for.
    pieces: Vec<(usize, usize, Option<usize>)>,
}

/// White space as the reference splits at it, which is Unicode's and four separators of ASCII.
fn is_space(symbol: char) -> bool {
    symbol.is_whitespace() || matches!(symbol, '\u{1c}'..='\u{1f}')
}

impl<'t> Prepared<'t> {
    pub(super) fn new(text: &'t str, tables: &Tables) -> Self {
        let first = text.char_indices().find(|(_, symbol)| tables.emoji(*symbol).is_some());
        let Some((first, _)) = first else {
            let trimmed = text.trim_start_matches(is_space);
            let start = text.len() - trimmed.len();
            return Self {
                text: Cow::Borrowed(trimmed.trim_end_matches(is_space)),
                start,
                pieces: Vec::new(),
            };
        };
        let mut written = String::with_capacity(text.len() + 64);
        let mut pieces = vec![(0, 0, None)];
        let (plain, rest) = text.split_at_checked(first).unwrap_or((text, ""));
        written.push_str(plain);
        let mut after_space = plain.chars().next_back().is_none_or(|symbol| symbol == ' ');
        for (at, symbol) in rest.char_indices() {
            let at = first + at;
            if let Some(description) = tables.emoji(symbol) {
                if !after_space {
                    written.push(' ');
                }
                pieces.push((written.len(), at, Some(symbol.len_utf8())));
                written.push_str(description);
                pieces.push((written.len(), at + symbol.len_utf8(), None));
                after_space = false;
            } else {
                written.push(symbol);
                after_space = symbol == ' ';
            }
        }
        let trimmed = written.trim_start_matches(is_space);
        let start = written.len() - trimmed.len();
        let trimmed = trimmed.trim_end_matches(is_space).to_owned();
        Self { text: Cow::Owned(trimmed), start, pieces }
    }

    /// The bytes of the original text from which these of the prepared one come.
    pub(super) fn original(&self, bytes: &Range<usize>) -> Range<usize> {
        let (start, end) = (bytes.start + self.start, bytes.end + self.start);
        if self.pieces.is_empty() {
            return start..end;
        }
        let from = self.locate(start);
        let last = end.saturating_sub(1).max(start);
        // The piece of the last byte says where the span ends: behind its emoji, or right behind that byte.
        let to = match self.piece(last) {
            Some((_, at, Some(len))) => at + len,
            Some((piece, at, None)) => at + (end - piece),
            None => end,
        };
        from..to.max(from)
    }

    fn piece(&self, at: usize) -> Option<(usize, usize, Option<usize>)> {
        let after = self.pieces.partition_point(|(piece, _, _)| *piece <= at);
        self.pieces.get(after.wrapping_sub(1)).copied()
    }

    fn locate(&self, at: usize) -> usize {
        match self.piece(at) {
            Some((_, original, Some(_))) => original,
            Some((piece, original, None)) => original + (at - piece),
            None => at,
        }
    }

    /// The tokens of the text: split at white space, with punctuation around them taken off where more than two characters
    /// remain, because what is shorter may be an emoticon.
    pub(super) fn tokens(&self, tables: &Tables) -> Vec<Token> {
        let text = &*self.text;
        let mut tokens = Vec::with_capacity(text.len() / 5 + 1);
        let mut lower = String::with_capacity(32);
        let mut rest = text;
        let mut at = 0;
        loop {
            let trimmed = rest.trim_start_matches(is_space);
            at += rest.len() - trimmed.len();
            let end = trimmed.find(is_space).unwrap_or(trimmed.len());
            let Some((raw, behind)) = trimmed.split_at_checked(end) else { break };
            if raw.is_empty() {
                break;
            }
            let headless = raw.trim_start_matches(|symbol: char| symbol.is_ascii_punctuation());
            let bare = headless.trim_end_matches(|symbol: char| symbol.is_ascii_punctuation());
            let is_word = bare.len() > 2 && bare.chars().nth(2).is_some();
            let (start, token) = if is_word { (at + raw.len() - headless.len(), bare) } else { (at, raw) };
            let tail = if is_word { headless.get(bare.len()..).unwrap_or("") } else { raw };
            tokens.push(Token {
                bytes: start..start + token.len(),
                word: tables.word(lowered(token, &mut lower)),
                capitals: is_upper(token),
                end: end_of(tail, behind),
            });
            at += raw.len();
            rest = behind;
        }
        tokens
    }
}

/// What ends behind a token with this punctuation at its end, before this rest of the text.
fn end_of(tail: &str, rest: &str) -> End {
    if rest.is_empty() || tail.ends_with(['.', '!', '?', '…']) || tail.contains(['!', '?']) {
        return End::Sentence;
    }
    if rest.chars().take_while(|symbol| is_space(*symbol)).any(|symbol| symbol == '\n') {
        return End::Sentence;
    }
    if tail.ends_with([',', ';', ':', ')', '-']) { End::Clause } else { End::Space }
}

/// The token in lower case, in the buffer where it has to change.
pub(super) fn lowered<'a>(token: &'a str, buffer: &'a mut String) -> &'a str {
    if token.is_ascii() {
        if token.bytes().any(|byte| byte.is_ascii_uppercase()) {
            buffer.clear();
            buffer.push_str(token);
            buffer.make_ascii_lowercase();
            return buffer;
        }
        return token;
    }
    *buffer = token.to_lowercase();
    buffer
}

/// Whether the token has a capital and no other letter with a case.
fn is_upper(token: &str) -> bool {
    let mut capital = false;
    for symbol in token.chars() {
        if symbol.is_lowercase() || is_title(symbol) {
            return false;
        }
        capital |= symbol.is_uppercase();
    }
    capital
}

/// The letters of Unicode's category for title case.
fn is_title(symbol: char) -> bool {
    symbol >= '\u{1c5}'
        && matches!(symbol, '\u{1c5}' | '\u{1c8}' | '\u{1cb}' | '\u{1f2}' | '\u{1f88}'..='\u{1f8f}'
            | '\u{1f98}'..='\u{1f9f}' | '\u{1fa8}'..='\u{1faf}' | '\u{1fbc}' | '\u{1fcc}' | '\u{1ffc}')
}

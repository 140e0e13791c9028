//! From characters to tokens.

use super::{CLITIC, Hash, Kind, LINE, SHOUTED, STRETCHED, Token, Tokens};

/// A word's form keeps this many bytes; what is longer is no word.
const MAX_FORM: usize = 40;

/// Emoticons, the longer ones first where one begins another.
const EMOTICONS: &[&str] = &[
    ":'(", ":'-(", ":')", ":-)", ":-(", ":-/", ":-|", ":-D", ":-P", ":-p", ";-)", "=-)", ">:(", ">:-(",
    ":((", ":))", "=))", "</3", "<3", ":)", ":(", ":D", ":P", ":p", ":/", ":\\", ":|", ":]", ":[", ":o",
    ":O", ":*", ";)", ";D", ";p", ";P", ";]", "=)", "=(", "=D", "=P", "=/", "=]", "D:", "^_^", "^^", "-_-",
    ">_<", "o_O", "O_o", "x_x",
];

pub(super) fn scan(text: &str, tokens: &mut Tokens) {
    let mut scanner = Scanner { tokens, at: 0, line: true, words: 0, shouted: 0 };
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if next.is_whitespace() {
            scanner.line |= next == '\n';
            rest = scanner.skip(rest, next.len_utf8());
            continue;
        }
        let end = chunk_end(rest);
        let (chunk, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        scanner.chunk(chunk);
        rest = after;
    }
    // Where everybody shouts, nobody does.
    if scanner.words > 0 && scanner.words == scanner.shouted {
        for token in &mut tokens.list {
            token.flags &= !SHOUTED;
        }
    }
}

fn chunk_end(rest: &str) -> usize {
    for (at, byte) in rest.bytes().enumerate() {
        if byte < 0x80 {
            if byte.is_ascii_whitespace() || byte == 0x0b {
                return at;
            }
        } else if rest.get(at..).and_then(|tail| tail.chars().next()).is_some_and(char::is_whitespace) {
            return at;
        }
    }
    rest.len()
}

struct Scanner<'a> {
    tokens: &'a mut Tokens,
    /// Bytes of the text before what is looked at.
    at: usize,
    line: bool,
    words: u32,
    shouted: u32,
}

impl Scanner<'_> {
    fn skip<'t>(&mut self, rest: &'t str, bytes: usize) -> &'t str {
        self.at += bytes;
        rest.get(bytes..).unwrap_or_default()
    }

    /// Reads what stands between two spaces.
    fn chunk(&mut self, chunk: &str) {
        if chunk.len() > 7 && (starts(chunk, "http://") || starts(chunk, "https://") || starts(chunk, "www."))
        {
            self.mask(chunk.len(), b"<url>");
            return;
        }
        if !chunk.starts_with('@') && is_mail(chunk) {
            self.mask(chunk.len(), b"<mail>");
            return;
        }
        let mut rest = chunk;
        let mut fresh = true;
        while let Some(next) = rest.chars().next() {
            if next.is_alphanumeric() {
                let emoticon = if fresh && next.is_ascii() { emoticon(rest) } else { None };
                rest = match emoticon {
                    Some(emoticon) => self.emoticon(rest, emoticon),
                    None => self.word(rest),
                };
                fresh = false;
                continue;
            }
            fresh = true;
            if next == '@' {
                let name =
                    rest.bytes().skip(1).take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
                let len = name.count();
                if len > 0 {
                    self.mask(len + 1, b"<user>");
                    rest = rest.get(len + 1..).unwrap_or_default();
                    continue;
                }
            }
            if let Some((bytes, heart)) = entity(rest) {
                if heart {
                    self.push(bytes, Hash::of(b"<3"), Kind::Emoji, 0, None);
                    rest = rest.get(bytes..).unwrap_or_default();
                } else {
                    rest = self.skip(rest, bytes);
                }
                continue;
            }
            if let Some(emoticon) = emoticon(rest) {
                rest = self.emoticon(rest, emoticon);
                continue;
            }
            if matches!(next, '\'' | '\u{2019}') && apart(rest) {
                rest = self.word(rest);
                continue;
            }
            rest = self.mark(rest, next);
        }
    }

    fn emoticon<'t>(&mut self, rest: &'t str, emoticon: &str) -> &'t str {
        self.push(emoticon.len(), Hash::of(emoticon.as_bytes()), Kind::Emoji, 0, None);
        rest.get(emoticon.len()..).unwrap_or_default()
    }

    /// Adds a token of the next `bytes` bytes.
    fn push(&mut self, bytes: usize, hash: u64, kind: Kind, flags: u8, form: Option<usize>) {
        let len = self.tokens.forms.len();
        let flags = flags | if std::mem::take(&mut self.line) { LINE } else { 0 };
        self.tokens.list.push(Token {
            hash,
            start: narrow(self.at),
            end: narrow(self.at + bytes),
            form: narrow(form.unwrap_or(len)),
            form_end: narrow(len),
            kind,
            flags,
        });
        self.at += bytes;
    }

    fn mask(&mut self, bytes: usize, name: &[u8]) {
        self.push(bytes, Hash::of(name), Kind::Mask, 0, None);
    }

    /// A mark with those like it that follow.
    fn mark<'t>(&mut self, rest: &'t str, next: char) -> &'t str {
        if !next.is_ascii() {
            return self.symbol(rest, next);
        }
        let is_end = matches!(next, '!' | '?');
        let run = rest
            .bytes()
            .take_while(|byte| if is_end { matches!(byte, b'!' | b'?') } else { char::from(*byte) == next })
            .count();
        let run = run.max(1);
        match next {
            '!' | '?' => {
                let marks = rest.get(..run).unwrap_or_default();
                let name: &[u8] = match (marks.contains('!'), marks.contains('?'), run) {
                    (true, true, _) => b"!?",
                    (true, false, 1) => b"!",
                    (true, false, 2) => b"!!",
                    (true, false, _) => b"!!!",
                    (false, _, 1) => b"?",
                    (false, ..) => b"??",
                };
                self.push(run, Hash::of(name), Kind::End, 0, None);
            }
            '.' if run == 1 => self.push(run, Hash::of(b"."), Kind::End, 0, None),
            '.' => self.push(run, Hash::of(b"..."), Kind::End, 0, None),
            // The mark of a tag says nothing, nor does what joins two words.
            '#' | '-' | '_' | '\'' | '`' if run == 1 && rest.len() > 1 => self.at += run,
            _ => {
                let hash = Hash::new().byte(rest.as_bytes().first().copied().unwrap_or_default()).end();
                self.push(run, hash, Kind::Pause, 0, None);
            }
        }
        rest.get(run..).unwrap_or_default()
    }

    /// A mark or an emoji beyond ASCII.
    fn symbol<'t>(&mut self, rest: &'t str, next: char) -> &'t str {
        let bytes = next.len_utf8();
        match next {
            '\u{2026}' => self.push(bytes, Hash::of(b"..."), Kind::End, 0, None),
            '\u{3002}' => self.push(bytes, Hash::of(b"."), Kind::End, 0, None),
            // Joiners, variation selectors and skin tones change how an emoji looks, not what it says.
            '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' => self.at += bytes,
            '\u{2018}'..='\u{201f}' | '\u{2010}'..='\u{2015}' | '\u{ab}' | '\u{bb}' => {
                self.push(bytes, Hash::of(b"\""), Kind::Pause, 0, None);
            }
            _ => {
                let mut buffer = [0; 4];
                let hash = Hash::of(next.encode_utf8(&mut buffer).as_bytes());
                self.push(bytes, hash, Kind::Emoji, 0, None);
            }
        }
        rest.get(bytes..).unwrap_or_default()
    }

    /// A word or a number, which may be a contraction.
    fn word<'t>(&mut self, rest: &'t str) -> &'t str {
        let end = word_end(rest);
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if word.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
            && !word.bytes().any(|b| b.is_ascii_alphabetic())
        {
            self.number(word);
            return after;
        }
        let (stem, clitic) = contraction(word);
        if !stem.is_empty() {
            self.form(stem);
        }
        if !clitic.is_empty() {
            self.clitic(clitic);
        }
        after
    }

    fn number(&mut self, word: &str) {
        if word.len() > 3 {
            self.push(word.len(), Hash::of(b"<number>"), Kind::Number, 0, None);
        } else {
            self.push(word.len(), Hash::of(word.as_bytes()), Kind::Number, 0, None);
        }
    }

    fn clitic(&mut self, clitic: &str) {
        let denies = clitic.ends_with(['t', 'T']);
        let name: &[u8] = if denies { b"n't" } else { b"'s" };
        let form = self.tokens.forms.len();
        if denies {
            self.tokens.forms.extend_from_slice(b" n't ");
        }
        self.push(clitic.len(), Hash::of(name), Kind::Word, CLITIC, Some(form));
    }

    /// A word: lower case, runs of a letter cut to two.
    fn form(&mut self, word: &str) {
        let form = self.tokens.forms.len();
        let forms = &mut self.tokens.forms;
        forms.push(b' ');
        let (mut hash, mut upper, mut lower, mut stretched) = (Hash::new(), 0_u32, 0_u32, false);
        let (mut last, mut run) = ('\0', 0);
        for letter in word.chars() {
            let small = if letter.is_ascii() {
                upper += u32::from(letter.is_ascii_uppercase());
                lower += u32::from(letter.is_ascii_lowercase());
                letter.to_ascii_lowercase()
            } else {
                upper += u32::from(letter.is_uppercase());
                lower += u32::from(letter.is_lowercase());
                if letter == '\u{2019}' { '\'' } else { letter.to_lowercase().next().unwrap_or(letter) }
            };
            run = if small == last { run + 1 } else { 1 };
            last = small;
            if run > 2 {
                stretched |= small.is_alphabetic();
                if small.is_alphabetic() {
                    continue;
                }
            }
            if forms.len() - form > MAX_FORM {
                continue;
            }
            if small.is_ascii() {
                forms.push(u8::try_from(small).unwrap_or(b'?'));
            } else {
                let mut buffer = [0; 4];
                forms.extend_from_slice(small.encode_utf8(&mut buffer).as_bytes());
            }
        }
        match forms.get(form + 1..).unwrap_or_default() {
            b"wo" => replace(forms, form + 1, b"will"),
            b"ca" => replace(forms, form + 1, b"can"),
            _ => {}
        }
        for byte in forms.get(form + 1..).unwrap_or_default() {
            hash = hash.byte(*byte);
        }
        forms.push(b' ');
        let shouted = upper > 1 && lower == 0;
        self.words += u32::from(upper + lower > 1);
        self.shouted += u32::from(shouted);
        let flags = if shouted { SHOUTED } else { 0 } | if stretched { STRETCHED } else { 0 };
        self.push(word.len(), hash.end(), Kind::Word, flags, Some(form));
    }
}

fn replace(forms: &mut Vec<u8>, from: usize, word: &[u8]) {
    forms.truncate(from);
    forms.extend_from_slice(word);
}

/// Texts are cut before they are longer than 32 bits can say.
fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn starts(chunk: &str, with: &str) -> bool {
    chunk.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with))
}

fn is_mail(chunk: &str) -> bool {
    chunk.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !host.contains('@') && name.is_ascii() && host.is_ascii()
    })
}

/// The length of an HTML entity that tweets are full of, and whether it begins a heart.
fn entity(rest: &str) -> Option<(usize, bool)> {
    if !rest.starts_with('&') {
        return None;
    }
    if rest.starts_with("&lt;3") {
        return Some((5, true));
    }
    ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&nbsp;"]
        .iter()
        .find(|name| rest.starts_with(**name))
        .map(|name| (name.len(), false))
}

fn emoticon(rest: &str) -> Option<&'static str> {
    if !rest.bytes().next().is_some_and(|byte| {
        matches!(byte, b':' | b';' | b'=' | b'<' | b'>' | b'^' | b'-' | b'D' | b'o' | b'O' | b'x')
    }) {
        return None;
    }
    EMOTICONS.iter().copied().find(|emoticon| {
        rest.strip_prefix(emoticon)
            .is_some_and(|after| !after.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric()))
    })
}

/// Whether a clitic stands apart, as in `it 's` and `they 'll`.
fn apart(rest: &str) -> bool {
    let word: String = rest.chars().skip(1).take(3).collect();
    ["s", "re", "ve", "ll", "m", "d", "t"].iter().any(|clitic| word.eq_ignore_ascii_case(clitic))
}

fn word_end(rest: &str) -> usize {
    let mut end = 0;
    let mut letters = rest.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let follows = letters.peek().is_some_and(|(_, next)| next.is_alphanumeric());
        let inner = match letter {
            '\'' | '\u{2019}' => follows,
            '.' | ',' | ':' => {
                follows && at > 0 && rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
            }
            _ => letter.is_alphanumeric(),
        };
        if !inner {
            break;
        }
        end = at + letter.len_utf8();
    }
    end
}

/// Contractions that are written without their apostrophe, with the length of what is before the `nt`.
const BARE: &[&str] = &[
    "dont", "cant", "wont", "didnt", "doesnt", "isnt", "wasnt", "couldnt", "wouldnt", "shouldnt", "havent",
    "hasnt", "arent", "werent", "aint", "hadnt",
];

/// The word and what is contracted with it.
fn contraction(word: &str) -> (&str, &str) {
    let split = |at: usize| word.split_at_checked(at).unwrap_or((word, ""));
    if let Some(at) = word.rfind(['\'', '\u{2019}']) {
        let tail = word.get(at..).unwrap_or_default().trim_start_matches(['\'', '\u{2019}']);
        let denies = tail.eq_ignore_ascii_case("t")
            && at > 0
            && word.get(at - 1..at).is_some_and(|before| before.eq_ignore_ascii_case("n"));
        if denies {
            // `can't` is `can` and `n't`, though the letter is there once.
            let head = word.get(..at).unwrap_or_default();
            return if head.eq_ignore_ascii_case("can") { split(at) } else { split(at - 1) };
        }
        if ["s", "re", "ve", "ll", "m", "d"].iter().any(|clitic| tail.eq_ignore_ascii_case(clitic)) {
            return split(at);
        }
        return (word, "");
    }
    if BARE.iter().any(|bare| word.eq_ignore_ascii_case(bare)) {
        let cut = if word.eq_ignore_ascii_case("cant") { 1 } else { 2 };
        return split(word.len() - cut);
    }
    if word.eq_ignore_ascii_case("cannot") {
        return split(3);
    }
    (word, "")
}

//! What a writer wrote themselves in a mail: without quoted messages, their headers, and the signature.
//!
//! For plain text; HTML has to be turned into text first. It takes time in proportion to the text, and knows the header lines
//! of mail programs in some twenty-five languages.

use std::borrow::Cow;
use std::ops::Range;

mod header;
mod signature;
mod terms;

use header::{Found, Line};

/// A mail in parts.
///
/// ```
/// use guardian_sentiment::mail::{Kind, Mail};
///
/// let mail = Mail::split(
///     "Still broken, sorry.\n\nAm 12.03.2026 um 09:15 schrieb Support <support@example.com>:\n> We fixed it. Great news!\n",
/// );
/// assert_eq!(mail.reply(), "Still broken, sorry.");
/// assert_eq!(mail.parts().iter().map(|part| part.kind).collect::<Vec<_>>(), [Kind::Reply, Kind::Quote]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail<'t> {
    text: &'t str,
    parts: Vec<Part>,
}

/// A part of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// What it is.
    pub kind: Kind,
    /// The bytes of the text; whole lines with their ends.
    pub span: Range<usize>,
}

/// What a part of a mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// What the sender wrote.
    Reply,
    /// An older message with the header that announces it.
    Quote,
    /// A message that was forwarded, with its header.
    Forwarded,
    /// Name, address, `Sent from my phone`, the footer of a mailing list.
    Signature,
    /// What lies beyond [`Mail::MAX_LEN`] and was not looked at.
    Rest,
}

impl<'t> Mail<'t> {
    /// The bytes of a text that are looked at, 1 MiB; what lies beyond is [`Kind::Rest`].
    pub const MAX_LEN: usize = 1 << 20;

    /// Takes a mail apart. The parts follow each other without a gap, and are the whole text.
    ///
    /// A header line such as `On … wrote:` makes the lines marked with `>` behind it a quote, and where none is marked all
    /// that follows. A block of `From:`, `Sent:`, `To:` and `Subject:`, or a line such as `-----Original Message-----`, makes all
    /// that follows a quote. When a mail has nothing but quotes, the reply is empty.
    #[must_use]
    pub fn split(text: &'t str) -> Self {
        let mut end = text.len().min(Self::MAX_LEN);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (read, _) = text.split_at_checked(end).unwrap_or((text, ""));
        let lines = header::lines(read);
        let mut kinds = vec![Kind::Reply; lines.len()];
        quotes(&lines, &mut kinds);
        signature::mark(&lines, &mut kinds);

        let mut parts: Vec<Part> = Vec::new();
        for (line, kind) in lines.iter().zip(kinds) {
            match parts.last_mut().filter(|last| last.kind == kind) {
                Some(last) => last.span.end = line.span.end,
                None => parts.push(Part { kind, span: line.span.clone() }),
            }
        }
        if end < text.len() {
            parts.push(Part { kind: Kind::Rest, span: end..text.len() });
        }
        Self { text, parts }
    }

    /// What the sender wrote, without empty lines around it.
    #[must_use]
    pub fn reply(&self) -> Cow<'t, str> {
        self.joined(|kind| kind == Kind::Reply)
    }

    /// The same with what the sender forwarded, header and all.
    #[must_use]
    pub fn reply_and_forwarded(&self) -> Cow<'t, str> {
        self.joined(|kind| matches!(kind, Kind::Reply | Kind::Forwarded))
    }

    fn joined(&self, wanted: impl Fn(Kind) -> bool) -> Cow<'t, str> {
        let mut found = self.parts.iter().filter(|part| wanted(part.kind)).map(|part| self.text_of(part));
        let first = found.next().unwrap_or("");
        match found.next() {
            None => Cow::Borrowed(trimmed(first)),
            Some(second) => {
                let all: String = [first, second].into_iter().chain(found).collect();
                Cow::Owned(trimmed(&all).to_owned())
            }
        }
    }

    /// Where the bytes of [`Self::reply`] are in the text: spans in their order, whose bytes are the reply.
    pub(crate) fn reply_spans(&self) -> Vec<Range<usize>> {
        let spans: Vec<Range<usize>> =
            self.parts.iter().filter(|part| part.kind == Kind::Reply).map(|part| part.span.clone()).collect();
        let all: String = spans.iter().filter_map(|span| self.text.get(span.clone())).collect();
        let (end, len) = (all.trim_end().len(), trimmed(&all).len());
        let (mut skip, mut left) = (end - len, len);
        let mut found = Vec::new();
        for span in spans {
            let start = span.start + skip.min(span.len());
            skip -= start - span.start;
            let end = span.end.min(start + left);
            left -= end - start;
            if start < end {
                found.push(start..end);
            }
        }
        found
    }

    /// The signature, without empty lines around it.
    #[must_use]
    pub fn signature(&self) -> Option<&'t str> {
        let part = self.parts.iter().rev().find(|part| part.kind == Kind::Signature)?;
        Some(trimmed(self.text_of(part)))
    }

    /// All parts in their order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn text_of(&self, part: &Part) -> &'t str {
        self.text.get(part.span.clone()).unwrap_or("")
    }
}

/// Without blank lines before it, and without white space behind it.
fn trimmed(text: &str) -> &str {
    let mut text = text.trim_end();
    while let Some((line, rest)) = text.split_once('\n')
        && line.trim().is_empty()
    {
        text = rest;
    }
    text
}

fn quotes(lines: &[Line<'_>], kinds: &mut [Kind]) {
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        if line.quoted {
            at = marked(lines, kinds, at, at);
            continue;
        }
        match header::find(lines, at) {
            Found::Nothing => at += 1,
            Found::Wrote(len) => {
                let behind = lines
                    .get(at + len..)
                    .and_then(|rest| rest.iter().position(|line| !line.text.is_empty()))
                    .map(|blank| at + len + blank);
                match behind.filter(|behind| lines.get(*behind).is_some_and(|line| line.quoted)) {
                    Some(behind) => at = marked(lines, kinds, at, behind),
                    None => return to_end(kinds, at, Kind::Quote),
                }
            }
            Found::Dated(len) => {
                let behind =
                    lines.get(at + len..).and_then(|rest| rest.iter().find(|line| !line.text.is_empty()));
                if behind.is_some_and(|line| line.quoted) {
                    at = marked(lines, kinds, at, at + len);
                } else {
                    at += 1;
                }
            }
            Found::Block => return to_end(kinds, at, Kind::Quote),
            Found::Forwarded => return to_end(kinds, at, Kind::Forwarded),
        }
    }
}

fn to_end(kinds: &mut [Kind], from: usize, kind: Kind) {
    for slot in kinds.iter_mut().skip(from) {
        *slot = kind;
    }
}

/// Marks a quote from a line on: the header, the marked lines with empty ones among them, and the empty ones behind.
fn marked(lines: &[Line<'_>], kinds: &mut [Kind], from: usize, quoted: usize) -> usize {
    let rest = lines.get(quoted..).unwrap_or(&[]);
    let len = rest.iter().take_while(|line| line.quoted || line.text.is_empty()).count();
    let end = quoted + len;
    for slot in kinds.iter_mut().take(end).skip(from) {
        *slot = Kind::Quote;
    }
    end.max(from + 1)
}

//! `Forwarded` (RFC 7239 section 4), read from the right.
//!
//! The grammar is `forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] )` with
//! `forwarded-pair = token "=" ( token / quoted-string )`. It can be read backwards without guessing: a value
//! that ends in a quotation mark is a quoted string, and its opening mark is the nearest one to the left that no
//! backslash precedes, because the opening mark follows `=` directly. The content is then checked forwards.

use std::borrow::Cow;
use std::net::IpAddr;

use super::StopReason;
use super::chain::LastElement;
use super::node::parse_node;

/// Takes the last element off `line`.
pub(super) fn take_last(line: &[u8]) -> LastElement<'_> {
    let mut reader = FromRight { rest: line };
    match reader.element() {
        Some((forwarded_for, more)) => LastElement {
            address: forwarded_for.ok_or(StopReason::NotAnAddress),
            left: more.then_some(reader.rest),
        },
        None => LastElement { address: Err(StopReason::Malformed), left: None },
    }
}

/// The part of a line that has not been read, shrinking from the right.
struct FromRight<'a> {
    rest: &'a [u8],
}

impl<'a> FromRight<'a> {
    /// Reads an element and the comma before it. Gives the address of its `for`, if it has one that is an
    /// address, and whether there was a comma; `None` when the element breaks the grammar.
    fn element(&mut self) -> Option<(Option<IpAddr>, bool)> {
        let mut forwarded_for: Option<Option<IpAddr>> = None;
        loop {
            self.skip_whitespace();
            if !matches!(self.rest.last(), None | Some(b',' | b';')) {
                let value = self.value()?;
                self.eat(b'=')?;
                let name = self.token()?;
                // A second `for` leaves open which of the two is meant (section 4 forbids it).
                if name.eq_ignore_ascii_case(b"for")
                    && forwarded_for.replace(value.text().and_then(|text| parse_node(&text))).is_some()
                {
                    return None;
                }
                self.skip_whitespace();
            }
            match self.rest.split_last() {
                None => return Some((forwarded_for.flatten(), false)),
                Some((b';', rest)) => self.rest = rest,
                Some((b',', rest)) => {
                    self.rest = rest;
                    return Some((forwarded_for.flatten(), true));
                }
                Some(_) => return None,
            }
        }
    }

    fn value(&mut self) -> Option<Value<'a>> {
        if self.rest.last() == Some(&b'"') { self.quoted_string() } else { self.token().map(Value::Token) }
    }

    fn quoted_string(&mut self) -> Option<Value<'a>> {
        self.eat(b'"')?;
        let mut marks = self.rest.iter().enumerate().rev().filter(|(_, byte)| **byte == b'"');
        let opening = marks.find_map(|(at, _)| {
            let escaped = at.checked_sub(1).and_then(|before| self.rest.get(before)) == Some(&b'\\');
            (!escaped).then_some(at)
        })?;
        let content = self.rest.get(opening + 1..)?;
        self.rest = self.rest.get(..opening)?;
        is_quoted_content(content).then_some(Value::Quoted(content))
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        let start = self.rest.iter().rposition(|&byte| !is_token_byte(byte)).map_or(0, |before| before + 1);
        let (left, token) = self.rest.split_at_checked(start)?;
        self.rest = left;
        (!token.is_empty()).then_some(token)
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        let (&last, left) = self.rest.split_last()?;
        self.rest = left;
        (last == byte).then_some(())
    }

    fn skip_whitespace(&mut self) {
        while let Some((b' ' | b'\t', left)) = self.rest.split_last() {
            self.rest = left;
        }
    }
}

/// The right side of a pair, as it was written.
enum Value<'a> {
    Token(&'a [u8]),
    Quoted(&'a [u8]),
}

impl Value<'_> {
    /// The meant text: without quotation marks, and with every quoted pair replaced by its second byte.
    fn text(&self) -> Option<Cow<'_, str>> {
        let (Value::Token(raw) | Value::Quoted(raw)) = *self;
        let text = std::str::from_utf8(raw).ok()?;
        // A token holds no backslash, so this concerns quoted strings alone.
        if !text.contains('\\') {
            return Some(Cow::Borrowed(text));
        }
        let mut meant = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(next) = chars.next() {
            meant.push(if next == '\\' { chars.next()? } else { next });
        }
        Some(Cow::Owned(meant))
    }
}

/// Whether `content` may stand between quotation marks (RFC 9110 section 5.6.4). Bytes above ASCII must be
/// UTF-8: the grammar leaves their meaning open, and an element that nobody can read is not believed.
fn is_quoted_content(content: &[u8]) -> bool {
    let mut bytes = content.iter();
    while let Some(&byte) = bytes.next() {
        let ok = match byte {
            b'"' => false,
            b'\\' => bytes.next().is_some_and(|&escaped| is_text_byte(escaped)),
            other => is_text_byte(other),
        };
        if !ok {
            return false;
        }
    }
    std::str::from_utf8(content).is_ok()
}

/// A tab, or anything that is not a control character.
fn is_text_byte(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

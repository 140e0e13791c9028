//! The part of RFC 9651 section 4.1 that the rate-limit fields need: a List of Strings with parameters that are
//! Integers, Strings or Byte Sequences.

use std::fmt::Write as _;

use http::HeaderValue;

/// The largest Integer (section 3.3.1): fifteen digits.
const MAX_INTEGER: u64 = 999_999_999_999_999;
/// The longest String that every recipient takes (section 3.3.3), in characters.
pub(super) const MAX_STRING: usize = 1024;
/// The longest Byte Sequence that every recipient takes (section 3.3.5), in bytes.
pub(super) const MAX_BYTES: usize = 16_384;

/// Writes a List, member by member.
///
/// Callers give strings of printable ASCII and keys that are fixed in the code, so what is written is always a
/// valid field value.
#[derive(Default)]
pub(super) struct Writer {
    out: String,
}

impl Writer {
    /// Begins the next member (section 4.1.1: members are separated by a comma and one space).
    pub(super) fn item(&mut self, value: &str) {
        if !self.out.is_empty() {
            self.out.push_str(", ");
        }
        self.quoted(value);
    }

    pub(super) fn integer(&mut self, key: &str, value: u64) {
        self.key(key);
        // Writing to a string does not fail.
        let _ = write!(self.out, "{}", value.min(MAX_INTEGER));
    }

    pub(super) fn string(&mut self, key: &str, value: &str) {
        self.key(key);
        self.quoted(value);
    }

    pub(super) fn bytes(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        self.out.push(':');
        push_base64(&mut self.out, value);
        self.out.push(':');
    }

    /// The field's value, `None` without members.
    pub(super) fn finish(self) -> Option<HeaderValue> {
        if self.out.is_empty() { None } else { HeaderValue::try_from(self.out).ok() }
    }

    fn key(&mut self, key: &str) {
        self.out.push(';');
        self.out.push_str(key);
        self.out.push('=');
    }

    fn quoted(&mut self, value: &str) {
        self.out.push('"');
        for character in value.chars() {
            if matches!(character, '"' | '\\') {
                self.out.push('\\');
            }
            self.out.push(character);
        }
        self.out.push('"');
    }
}

/// Appends `bytes` in the base64 of RFC 4648 section 4, with padding.
fn push_base64(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| chunk.get(at).copied().map_or(0, u32::from);
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            // One byte fills two digits, two bytes three.
            out.push(if place > chunk.len() { '=' } else { base64_digit(group >> shift & 63) });
        }
    }
}

fn base64_digit(value: u32) -> char {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = usize::try_from(value).ok().and_then(|at| DIGITS.get(at));
    digit.map_or('=', |&digit| char::from(digit))
}

//! The part of RFC 9651 section 4.1 that the rate-limit fields need: a List of Strings with parameters that are
//! Integers, Strings or Byte Sequences.

use arrayvec::ArrayVec;
use http::HeaderValue;

/// The largest Integer (section 3.3.1): fifteen digits.
const MAX_INTEGER: u64 = 999_999_999_999_999;
/// The longest String that every recipient takes (section 3.3.3), in characters.
pub(super) const MAX_STRING: usize = 1024;
/// The longest Byte Sequence that every recipient takes (section 3.3.5), in bytes.
pub(super) const MAX_BYTES: usize = 16_384;

/// What most lists take, in bytes: they are written where that costs no memory of its own.
const SHORT: usize = 256;

/// Writes a List, member by member.
///
/// Callers give strings of printable ASCII and keys that are fixed in the code, so what is written is always a
/// valid field value.
pub(super) struct Writer {
    short: ArrayVec<u8, SHORT>,
    /// All that was written, once it did not fit.
    long: Vec<u8>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { short: ArrayVec::new_const(), long: Vec::new() }
    }

    /// Begins the next member (section 4.1.1: members are separated by a comma and one space) with a String as
    /// [`quoted`] writes it.
    pub(super) fn item(&mut self, quoted: &str) {
        if !(self.short.is_empty() && self.long.is_empty()) {
            self.push(b", ");
        }
        self.push(quoted.as_bytes());
    }

    /// A parameter, `start` being all up to its value: `;r=`.
    pub(super) fn integer(&mut self, start: &str, value: u64) {
        // What the standard library does for it takes several times as long, and it is done for each response.
        let (mut text, mut from, mut left) = ([b'0'; 24], 24, value.min(MAX_INTEGER));
        for digit in text.iter_mut().rev() {
            // Below ten.
            *digit += u8::try_from(left % 10).unwrap_or_default();
            from -= 1;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        let begins = from - start.len().min(from);
        match text.get_mut(begins..from).filter(|room| room.len() == start.len()) {
            Some(room) => {
                room.copy_from_slice(start.as_bytes());
                from = begins;
            }
            None => self.push(start.as_bytes()),
        }
        self.push(text.get(from..).unwrap_or_default());
    }

    pub(super) fn string(&mut self, start: &str, value: &str) {
        self.push(start.as_bytes());
        self.push(quoted(value).as_bytes());
    }

    pub(super) fn bytes(&mut self, start: &str, value: &[u8]) {
        self.push(start.as_bytes());
        self.push(b":");
        self.base64(value);
        self.push(b":");
    }

    /// The field's value, `None` without members.
    pub(super) fn finish(self) -> Option<HeaderValue> {
        if !self.long.is_empty() {
            HeaderValue::try_from(self.long).ok()
        } else if self.short.is_empty() {
            None
        } else {
            HeaderValue::from_bytes(&self.short).ok()
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.long.is_empty() {
            if self.short.try_extend_from_slice(bytes).is_ok() {
                return;
            }
            self.long.extend_from_slice(&self.short);
        }
        self.long.extend_from_slice(bytes);
    }

    /// The base64 of RFC 4648 section 4, with padding.
    fn base64(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(3) {
            let byte = |at: usize| chunk.get(at).copied().map_or(0, u32::from);
            let group = byte(0) << 16 | byte(1) << 8 | byte(2);
            for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
                // One byte fills two digits, two bytes three.
                self.push(&[if place > chunk.len() { b'=' } else { base64_digit(group >> shift & 63) }]);
            }
        }
    }
}

/// A String as it is written (section 4.1.6).
pub(super) fn quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for character in value.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

fn base64_digit(value: u32) -> u8 {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = usize::try_from(value).ok().and_then(|at| DIGITS.get(at));
    digit.copied().unwrap_or(b'=')
}

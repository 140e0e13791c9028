//! The part of RFC 9651 section 4.1 that the rate-limit fields need: a List of Strings with parameters that are
//! Integers, Strings or Byte Sequences.

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
    short: [u8; SHORT],
    /// How many bytes of it are written.
    length: usize,
    /// All that was written, once it did not fit.
    long: Vec<u8>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { short: [0; SHORT], length: 0, long: Vec::new() }
    }

    /// Begins the next member (section 4.1.1: members are separated by a comma and one space) with a String as
    /// [`quoted`] writes it.
    pub(super) fn item(&mut self, quoted: &str) {
        if self.length > 0 || !self.long.is_empty() {
            self.push(b", ");
        }
        self.push(quoted.as_bytes());
    }

    /// A parameter, `start` being all up to its value: `;r=`.
    pub(super) fn integer<const N: usize>(&mut self, start: &[u8; N], value: u64) {
        // What the standard library does for it takes several times as long, and it is done for each response.
        let value = value.min(MAX_INTEGER);
        if value < 10
            && let Some(room) = self.room(N + 1)
            && let Some((before, [digit])) = room.split_first_chunk_mut()
        {
            // Below ten.
            (*before, *digit) = (*start, b'0' + u8::try_from(value).unwrap_or_default());
            return;
        }
        let digits = value.checked_ilog10().map_or(1, |last| usize::try_from(last).unwrap_or(0) + 1);
        if let Some(room) = self.room(N + digits)
            && let Some((before, number)) = room.split_first_chunk_mut()
        {
            *before = *start;
            write_digits(number, value);
            return;
        }
        let mut text = [b'0'; 15];
        let number = text.get_mut(..digits).unwrap_or_default();
        write_digits(number, value);
        self.push(start);
        self.push(number);
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
            return HeaderValue::try_from(self.long).ok();
        }
        let short = self.short.get(..self.length).filter(|short| !short.is_empty())?;
        HeaderValue::from_bytes(short).ok()
    }

    /// The next bytes, where so many fit.
    fn room(&mut self, length: usize) -> Option<&mut [u8]> {
        if !self.long.is_empty() {
            return None;
        }
        let room = self.short.get_mut(self.length..)?.get_mut(..length)?;
        self.length += length;
        Some(room)
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(room) = self.room(bytes.len()) {
            room.copy_from_slice(bytes);
            return;
        }
        if self.long.is_empty() {
            self.long.extend(self.short.iter().take(self.length));
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

/// Fills the room with the last digits of a number, two at a time.
fn write_digits(room: &mut [u8], mut value: u64) {
    const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
        5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    let pair = |value: u64| {
        let at = usize::try_from(value % 100).unwrap_or_default() * 2;
        PAIRS.get(at..).and_then(|rest| rest.first_chunk::<2>()).copied().unwrap_or(*b"00")
    };
    let mut pairs = room.rchunks_exact_mut(2);
    for two in &mut pairs {
        if let [tens, ones] = two {
            [*tens, *ones] = pair(value);
        }
        value /= 100;
    }
    if let [first] = pairs.into_remainder() {
        let [_, digit] = pair(value);
        *first = digit;
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

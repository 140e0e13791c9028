//! `base64`: RFC 4648 with its standard alphabet.

use super::{Entry, invalid, mismatch};
use crate::budget::Context;
use crate::error::EvalError;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Entry] = &[
    ("base64.encode", encode_value, &["base64.encode(bytes) -> string"]),
    ("base64.decode", decode_value, &["base64.decode(string) -> bytes"]),
];

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode_value<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [Value::Bytes(bytes)] = arguments else { return Err(mismatch()) };
    context.build(bytes.len() as u64 / 3 * 4 + 4)?;
    Ok(Value::Shared(encode(bytes).into()))
}

fn decode_value<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [text] = arguments else { return Err(mismatch()) };
    let text = text.as_str().ok_or_else(mismatch)?;
    context.build(text.len() as u64)?;
    let bytes = decode(text).ok_or_else(|| invalid(format!("`{text}` is no base64")))?;
    Ok(Value::Bytes(bytes.into()))
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            if at <= chunk.len() {
                let digit = ALPHABET.get((bits >> (18 - 6 * at) & 63) as usize);
                text.push(char::from(digit.copied().unwrap_or(b'=')));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// Padding may be left out, and is checked if it is there.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if digits.len() % 4 == 1 || padding > 0 && (!text.len().is_multiple_of(4) || padding > 2) {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap_or(0));
        }
    }
    Some(bytes)
}

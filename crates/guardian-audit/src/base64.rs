//! Base 64 with padding (RFC 4648, section 4), in which the notes of transparency logs are written.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut block = [0; 4];
        for (to, from) in block.iter_mut().skip(1).zip(chunk) {
            *to = *from;
        }
        let block = u32::from_be_bytes(block);
        for place in 0..4 {
            let digit = usize::try_from((block >> (18 - 6 * place)) & 0x3f).unwrap_or(0);
            // So many bytes have one digit more, the rest is padding.
            let digit = if place <= chunk.len() { DIGITS.get(digit).copied() } else { None };
            text.push(char::from(digit.unwrap_or(b'=')));
        }
    }
    text
}

/// Reads what [`encode`] wrote, and nothing else: no other spelling of the same bytes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let (blocks, rest) = text.as_bytes().as_chunks::<4>();
    let mut bytes = Vec::with_capacity(blocks.len() * 3);
    for block in blocks {
        let padding = block.iter().rev().take_while(|digit| **digit == b'=').count();
        let digits = block.get(..4 - padding.min(2))?;
        let mut value = 0;
        for digit in digits {
            value = value << 6 | digit_value(*digit)?;
        }
        value <<= 6 * (4 - digits.len());
        let [_, decoded @ ..] = u32::to_be_bytes(value);
        bytes.extend_from_slice(decoded.get(..digits.len() - 1)?);
    }
    // Padding within, and bits that are not zero behind the last byte, do not survive.
    (rest.is_empty() && encode(&bytes) == text).then_some(bytes)
}

fn digit_value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_rfc_hold() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in vectors {
            assert_eq!(encode(plain.as_bytes()), encoded);
            assert_eq!(decode(encoded).as_deref(), Some(plain.as_bytes()));
        }
    }

    #[test]
    fn every_byte_comes_back_and_other_spellings_do_not() {
        let all: Vec<u8> = (0..=255).collect();
        for end in 0..all.len() {
            assert_eq!(decode(&encode(&all[..end])).as_deref(), Some(&all[..end]));
        }
        for wrong in
            ["Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm9v\n", "Zm9-", "Zm8=Zm8=", "é0"]
        {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}

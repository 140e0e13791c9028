use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Personal fields of an event, encrypted with the key of the person whose they are.
///
/// The log commits to the cipher text. Once the key is destroyed nobody reads the fields again, and every proof over
/// the event still holds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The random name of the subject's key; says nothing of the subject.
    pub key: Uuid,
    /// The nonce of XChaCha20-Poly1305, never used twice with one key.
    #[serde(with = "hex_bytes")]
    pub nonce: [u8; 24],
    /// The fields, encrypted and authenticated.
    #[serde(with = "hex_vec")]
    pub ciphertext: Vec<u8>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(key {}, {} bytes)", self.key, self.ciphertext.len())
    }
}

fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    let digit = |d: u8| char::from(d).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let bytes =
        pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect::<Option<_>>()?;
    odd.is_empty().then_some(bytes)
}

mod hex_vec {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::to_hex(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::from_hex(&text).ok_or_else(|| D::Error::custom("it is not hexadecimal"))
    }
}

mod hex_bytes {
    use serde::{Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 24], serializer: S) -> Result<S::Ok, S::Error> {
        super::hex_vec::serialize(bytes, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 24], D::Error> {
        let bytes = super::hex_vec::deserialize(deserializer)?;
        bytes.try_into().map_err(|_| D::Error::custom("a nonce has 24 bytes"))
    }
}

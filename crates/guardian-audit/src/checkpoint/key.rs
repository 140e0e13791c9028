use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::base64;

/// Which key sealed something: its name, and 32 bits of a hash over name, algorithm and key.
///
/// As text it is `NAME+HASH`, the hash in eight hexadecimal digits. The name is 1 to 128 visible ASCII characters
/// without `+`; a good one is a domain of yours and what tells keys apart, `audit.example.com/2026`. The hash is no
/// fingerprint: it tells apart keys that share a name after a rotation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId {
    name: Arc<str>,
    hash: u32,
}

impl KeyId {
    /// The longest name, in bytes.
    pub const MAX_NAME: usize = 128;

    /// The id as C2SP signed-note computes it; `kind` is the bytes that identify the algorithm.
    pub(super) fn of(name: &str, kind: &[u8], key: &[u8]) -> Result<Self, InvalidKey> {
        let name = check_name(name)?;
        let mut hasher = Sha256::new();
        for part in [name.as_bytes(), b"\n", kind, key] {
            hasher.update(part);
        }
        let [a, b, c, d, ..] = <[u8; 32]>::from(hasher.finalize());
        Ok(Self { name, hash: u32::from_be_bytes([a, b, c, d]) })
    }

    /// The id with this name and hash, as a note has it.
    pub(super) fn from_parts(name: &str, hash: [u8; 4]) -> Result<Self, InvalidKey> {
        Ok(Self { name: check_name(name)?, hash: u32::from_be_bytes(hash) })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hash.
    #[must_use]
    pub fn hash(&self) -> u32 {
        self.hash
    }
}

fn check_name(name: &str) -> Result<Arc<str>, InvalidKey> {
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+');
    if plain && !name.is_empty() && name.len() <= KeyId::MAX_NAME {
        Ok(name.into())
    } else {
        Err(InvalidKey("a name is 1 to 128 visible ASCII characters without `+`"))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}", self.name, self.hash)
    }
}

/// The byte that stands for Ed25519 in C2SP signed-note.
pub(super) const ED25519: u8 = 1;

/// A public key that checkpoints are verified with: Ed25519 (RFC 8032).
///
/// Its text is the verifier key of Go's `note` package and of C2SP tools, `NAME+HASH+BASE64`.
///
/// ```
/// use guardian_audit::checkpoint::{Ed25519Signer, Signer, VerifyingKey};
///
/// let signer = Ed25519Signer::from_seed("audit.example.com/2026", &[7; 32])?;
/// let text = signer.verifying_key().to_string();
/// assert!(text.starts_with("audit.example.com/2026+"));
/// assert_eq!(text.parse::<VerifyingKey>()?, *signer.verifying_key());
/// # Ok::<(), guardian_audit::checkpoint::InvalidKey>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    id: KeyId,
    key: ed25519_dalek::VerifyingKey,
}

impl VerifyingKey {
    /// The longest text, in bytes.
    pub const MAX_LEN: usize = KeyId::MAX_NAME + 1 + 8 + 1 + 44;

    /// The public key of this name with these 32 bytes.
    ///
    /// # Errors
    /// When the name is none, or the bytes are no point of the curve or one of its weak ones.
    pub fn from_bytes(name: &str, bytes: &[u8; 32]) -> Result<Self, InvalidKey> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes)
            .ok()
            .filter(|key| !key.is_weak())
            .ok_or(InvalidKey("the bytes are no public key of Ed25519"))?;
        Ok(Self { id: KeyId::of(name, &[ED25519], bytes)?, key })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Whether it made this signature over the text. The strict rules hold: no weak key, no second form of a signature.
    #[must_use]
    pub fn verifies(&self, text: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.key.verify_strict(text, &signature).is_ok()
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.as_bytes());
        write!(f, "{}+{}", self.id, base64::encode(&key))
    }
}

impl FromStr for VerifyingKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        const FORM: InvalidKey = InvalidKey("a key is written `NAME+HASH+BASE64`");
        if text.len() > Self::MAX_LEN {
            return Err(InvalidKey("the text is too long for a key"));
        }
        // The key itself may have a `+`, so the parts are taken from the front.
        let (name, rest) = text.split_once('+').ok_or(FORM)?;
        let (_, key) = rest.split_once('+').ok_or(FORM)?;
        let bytes = base64::decode(key).ok_or(FORM)?;
        let key = match bytes.split_first() {
            Some((&ED25519, key)) => key.try_into().map_err(|_| FORM)?,
            _ => return Err(InvalidKey("the key is of an unknown kind: Ed25519 is known")),
        };
        let key = Self::from_bytes(name, key)?;
        // The hash in the text must be the right one.
        if key.to_string() == text {
            Ok(key)
        } else {
            Err(InvalidKey("the hash in the text is not that of the key"))
        }
    }
}

/// Something that is no key, or no name of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no key: {0}")]
pub struct InvalidKey(pub(super) &'static str);

#[cfg(test)]
mod tests {
    use super::*;

    /// The key, text and signature that implementations of C2SP signed-note show in their documentation.
    #[test]
    fn a_note_of_another_program_verifies() {
        let key: VerifyingKey =
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".parse().unwrap();
        let seal =
            "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=";
        let bytes = base64::decode(seal).unwrap();
        let (hash, signature) = bytes.split_first_chunk::<4>().unwrap();
        assert_eq!(u32::from_be_bytes(*hash), key.id().hash());
        let signature = signature.try_into().unwrap();
        assert!(key.verifies(b"This is an example message.\n", signature));
        assert!(!key.verifies(b"This is an example message", signature));
    }
}

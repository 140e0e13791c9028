//! Keys of the Standard Webhooks specification: `whsec_` for HMAC, `whsk_` and `whpk_` for Ed25519.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Error;

/// Base 64 of the standard alphabet, with or without its padding.
pub(crate) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    general_purpose::STANDARD.encode(bytes)
}

/// Longer texts are no keys: nothing is decoded.
const MAX_TEXT: usize = 256;

/// How keys begin, and what they are.
const KINDS: [(&str, &str); 3] = [
    (Secret::PREFIX, "a shared secret"),
    (PrivateKey::PREFIX, "a private key"),
    (PublicKey::PREFIX, "a public key"),
];

fn decode(text: &str, prefix: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let kind = |wanted: &dyn Fn(&str) -> bool| KINDS.into_iter().find(|(each, _)| wanted(each));
    if let (Some((other, is)), Some((_, wanted))) =
        (kind(&|each| text.starts_with(each)), kind(&|each| each == prefix))
        && other != prefix
    {
        return Err(Error::key(format!("it begins with `{other}`: {is}, not {wanted}")));
    }
    let body = text.strip_prefix(prefix).unwrap_or(text);
    if body.len() > MAX_TEXT {
        return Err(Error::key("it is longer than any key"));
    }
    LENIENT.decode(body).map(Zeroizing::new).map_err(|_| Error::key("it is not base64"))
}

/// The shared secret of a `v1` signature: 24 to 64 bytes, written `whsec_` and base64.
///
/// It reads with and without the prefix and the padding; any other length is refused, for a shorter one is weak and a
/// longer one is hashed by HMAC before it is used. It redacts itself in `Debug` and is wiped when dropped.
///
/// ```
/// use guardian_webhook::Secret;
///
/// let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
/// assert!("whsec_c2hvcnQ=".parse::<Secret>().is_err());
/// # Ok::<(), guardian_webhook::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// How it begins as text.
    pub const PREFIX: &str = "whsec_";
    /// The fewest bytes.
    pub const MIN: usize = 24;
    /// The most bytes.
    pub const MAX: usize = 64;

    /// A secret of these bytes.
    ///
    /// # Errors
    /// When they are not [`Self::MIN`] to [`Self::MAX`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if !(Self::MIN..=Self::MAX).contains(&bytes.len()) {
            return Err(Error::key(format!("a secret has 24 to 64 bytes, this has {}", bytes.len())));
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// A new secret of 32 random bytes.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(|_| Error::Random)?;
        Self::from_bytes(&*bytes)
    }

    /// The text to hand over, `whsec_…`. It is the secret: show it once.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}", Self::PREFIX, encode(&*self.0)))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(&decode(text, Self::PREFIX)?)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The private key of a `v1a` signature, Ed25519 (RFC 8032): written `whsk_` and the base64 of the seed with its public key.
///
/// Receivers get the [`PublicKey`] alone, so nothing that they lose lets anybody sign. It redacts itself in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(SigningKey);

impl PrivateKey {
    /// How it begins as text.
    pub const PREFIX: &str = "whsk_";

    /// The key of a seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// A new random key.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|_| Error::Random)?;
        Ok(Self::from_seed(&seed))
    }

    /// What receivers verify with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The text to keep, `whsk_…`. It is the private key.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}", Self::PREFIX, encode(self.0.to_keypair_bytes())))
    }

    pub(crate) fn sign(&self, content: &[u8]) -> [u8; 64] {
        self.0.sign(content).to_bytes()
    }

    pub(crate) fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }
}

impl FromStr for PrivateKey {
    type Err = Error;

    /// Reads the seed with its public key (64 bytes), or the seed alone (32).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = decode(text, Self::PREFIX)?;
        let (seed, public) = bytes.split_first_chunk::<32>().ok_or_else(|| {
            Error::key(format!(
                "a private key has 64 bytes, or 32 without its public part, this has {}",
                bytes.len()
            ))
        })?;
        let key = Self::from_seed(seed);
        if !public.is_empty() && public != key.0.verifying_key().as_bytes() {
            return Err(Error::key("its public part does not belong to its private part"));
        }
        Ok(key)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public())
    }
}

/// The public key of a `v1a` signature: written `whpk_` and base64.
///
/// Keys under which anybody could sign (points of small order) are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// How it begins as text.
    pub const PREFIX: &str = "whpk_";

    /// The key of these bytes.
    ///
    /// # Errors
    /// When they are no point of the curve, or one of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        let key = VerifyingKey::from_bytes(bytes)
            .map_err(|_| Error::key("a public key is a point of the curve"))?;
        if key.is_weak() {
            return Err(Error::key("anybody could sign under this public key"));
        }
        Ok(Self(key))
    }

    /// Its 32 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Whether the signature is this key's over the content, by the strict rule of RFC 8032.
    pub(crate) fn accepts(&self, content: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
        self.0.verify_strict(content, &signature).is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = decode(text, Self::PREFIX)?;
        let bytes: &[u8; 32] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| Error::key(format!("a public key has 32 bytes, this has {}", bytes.len())))?;
        Self::from_bytes(bytes)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, encode(self.to_bytes()))
    }
}

/// HMAC-SHA256 of several parts, one after the other.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Result<Hmac<Sha256>, Error> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).map_err(|_| Error::key("no key of HMAC has this length"))?;
    for part in parts {
        mac.update(part);
    }
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_the_wrong_length_are_refused() {
        for (length, good) in
            [(0, false), (16, false), (23, false), (24, true), (64, true), (65, false), (300, false)]
        {
            let text = format!("whsec_{}", encode(vec![7; length]));
            assert_eq!(text.parse::<Secret>().is_ok(), good, "{length}");
        }
        assert!("whsec_?".parse::<Secret>().is_err());
        assert!("whsk_AAAA".parse::<PrivateKey>().is_err());
        assert!("whpk_".parse::<PublicKey>().is_err());
        assert!(format!("whpk_{}", encode([0; 32])).parse::<PublicKey>().is_err(), "a weak key");
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said() {
        let public = PrivateKey::from_seed(&[5; 32]).public().to_string();
        let said = |text: &str| text.parse::<Secret>().unwrap_err().to_string();
        assert_eq!(
            said(&public),
            "the key cannot be used: it begins with `whpk_`: a public key, not a shared secret"
        );
        assert_eq!(said("whsec_c2hvcnQ="), "the key cannot be used: a secret has 24 to 64 bytes, this has 5");
        assert_eq!(said("whsec_?"), "the key cannot be used: it is not base64");
        assert_eq!(
            "whsec_c2hvcnQ=".parse::<PublicKey>().unwrap_err().to_string(),
            "the key cannot be used: it begins with `whsec_`: a shared secret, not a public key"
        );
        assert_eq!(
            "whpk_c2hvcnQ=".parse::<PublicKey>().unwrap_err().to_string(),
            "the key cannot be used: a public key has 32 bytes, this has 5"
        );
        assert_eq!(
            "whsk_c2hvcnQ=".parse::<PrivateKey>().unwrap_err().to_string(),
            "the key cannot be used: a private key has 64 bytes, or 32 without its public part, this has 5"
        );
    }

    #[test]
    fn texts_read_with_and_without_padding_and_prefix() {
        let secret = Secret::from_bytes(&[9; 25]).unwrap();
        let text = secret.reveal();
        let bare = text.trim_start_matches("whsec_").trim_end_matches('=');
        assert_eq!(bare.parse::<Secret>().unwrap(), secret);
        assert_eq!(text.parse::<Secret>().unwrap(), secret);
    }

    #[test]
    fn a_private_key_reads_what_it_writes_and_no_foreign_public_part() {
        let key = PrivateKey::from_seed(&[5; 32]);
        assert_eq!(key.reveal().parse::<PrivateKey>().unwrap(), key);
        let mut bytes = key.0.to_keypair_bytes();
        bytes[40] ^= 1;
        assert!(format!("whsk_{}", encode(bytes)).parse::<PrivateKey>().is_err());
    }
}

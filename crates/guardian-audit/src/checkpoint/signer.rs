use std::fmt;
use std::sync::Arc;

use ed25519_dalek::Signer as _;

use super::key::{InvalidKey, VerifyingKey};

/// Who signs checkpoints: [`Ed25519Signer`], or a host's own that asks a hardware module.
///
/// A signer that has to wait for a network is better called from outside: take
/// [`Checkpoint::text`](super::Checkpoint::text), have it signed, and put the signature into a
/// [`Seal`](super::Seal::signature).
pub trait Signer: Send + Sync + fmt::Debug + 'static {
    /// The public key that the signatures are verified with.
    fn verifying_key(&self) -> &VerifyingKey;

    /// The Ed25519 signature over these bytes.
    ///
    /// # Errors
    /// When the key is not at hand.
    fn sign(&self, text: &[u8]) -> Result<[u8; 64], SignError>;
}

impl<S: Signer + ?Sized> Signer for Arc<S> {
    fn verifying_key(&self) -> &VerifyingKey {
        (**self).verifying_key()
    }

    fn sign(&self, text: &[u8]) -> Result<[u8; 64], SignError> {
        (**self).sign(text)
    }
}

/// Why a signer did not sign.
#[derive(Debug, thiserror::Error)]
#[error("the checkpoint could not be signed")]
pub struct SignError {
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl SignError {
    /// Nothing was signed, for this reason.
    #[must_use]
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: source.into() }
    }
}

/// Signs with an Ed25519 key in this process's memory, which is overwritten when the signer goes.
///
/// ```
/// use guardian_audit::checkpoint::{Ed25519Signer, Signer};
///
/// // Thirty-two random bytes, from wherever the host keeps its secrets.
/// let seed = [7; 32];
/// let signer = Ed25519Signer::from_seed("audit.example.com/2026", &seed)?;
/// let signature = signer.sign(b"text")?;
/// assert!(signer.verifying_key().verifies(b"text", &signature));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Ed25519Signer {
    key: ed25519_dalek::SigningKey,
    public: VerifyingKey,
}

impl Ed25519Signer {
    /// The signer of this name with this secret (the private key of RFC 8032, section 5.1.5).
    ///
    /// # Errors
    /// When the name is none; see [`KeyId`](super::KeyId).
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, InvalidKey> {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = VerifyingKey::from_bytes(name, key.verifying_key().as_bytes())?;
        Ok(Self { key, public })
    }
}

impl Signer for Ed25519Signer {
    fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    fn sign(&self, text: &[u8]) -> Result<[u8; 64], SignError> {
        self.key.try_sign(text).map(|signature| signature.to_bytes()).map_err(SignError::new)
    }
}

impl fmt::Debug for Ed25519Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ed25519Signer({})", self.public.id())
    }
}

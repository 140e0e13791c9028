//! What is signed, and signatures as they travel: Standard Webhooks 1.0, `webhook-id`, `webhook-timestamp`,
//! `webhook-signature`.

use std::fmt;

use async_trait::async_trait;
use hmac::Mac as _;

use crate::error::Error;
use crate::id::MessageId;
use crate::secret::{PrivateKey, Secret, encode, hmac_sha256};

/// What a signature is over: `id.timestamp.body`, the body as bytes, whatever they mean.
///
/// An id has no dot in it, so that no two messages have the same content.
#[derive(Clone, Copy)]
pub struct SignedContent<'a> {
    id: &'a str,
    timestamp: i64,
    body: &'a [u8],
}

impl<'a> SignedContent<'a> {
    /// The content of a message with this id, attempted at this time (seconds since 1970), with this body.
    ///
    /// # Errors
    /// When the id is empty, longer than 256 bytes, or has a dot or a character in it that no header may have.
    pub fn new(id: &'a str, timestamp: i64, body: &'a [u8]) -> Result<Self, Error> {
        if id.is_empty() || id.len() > 256 || !id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.')
        {
            return Err(Error::message("an id is 1 to 256 visible characters without a dot"));
        }
        Ok(Self { id, timestamp, body })
    }

    /// The id, as in `webhook-id`.
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// Seconds since 1970, as in `webhook-timestamp`.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// All of it, as it is signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = self.head();
        let mut bytes = Vec::with_capacity(head.len() + self.body.len());
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(self.body);
        bytes
    }

    pub(crate) fn head(&self) -> String {
        format!("{}.{}.", self.id, self.timestamp)
    }
}

impl fmt::Debug for SignedContent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedContent({} and {} bytes)", self.head(), self.body.len())
    }
}

/// Makes one signature of the `webhook-signature` header. It is asynchronous, so that the key may be a key service's.
///
/// ```
/// use guardian_webhook::{PrivateKey, Secret, SignedContent, Signer};
///
/// # futures_util::FutureExt::now_or_never(async {
/// let content = SignedContent::new("msg_1", 1_614_265_330, br#"{"test": 1}"#)?;
/// let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
/// assert!(secret.sign(&content).await?.starts_with("v1,"));
/// assert!(PrivateKey::generate()?.sign(&content).await?.starts_with("v1a,"));
/// # Ok::<(), guardian_webhook::Error>(())
/// # }).unwrap()?;
/// # Ok::<(), guardian_webhook::Error>(())
/// ```
#[async_trait]
pub trait Signer: Send + Sync + fmt::Debug + 'static {
    /// The signature with its version: `v1,…` or `v1a,…`, without a space.
    ///
    /// # Errors
    /// When it cannot be made; the attempt is then tried again later.
    async fn sign(&self, content: &SignedContent<'_>) -> Result<String, Error>;
}

#[async_trait]
impl Signer for Secret {
    async fn sign(&self, content: &SignedContent<'_>) -> Result<String, Error> {
        sign_v1(self, content)
    }
}

#[async_trait]
impl Signer for PrivateKey {
    async fn sign(&self, content: &SignedContent<'_>) -> Result<String, Error> {
        Ok(sign_v1a(self, content))
    }
}

/// The `v1` signature, HMAC-SHA256.
///
/// # Errors
/// None with a [`Secret`]; the type is the primitive's.
pub fn sign_v1(secret: &Secret, content: &SignedContent<'_>) -> Result<String, Error> {
    let mac = hmac_sha256(secret.bytes(), &[content.head().as_bytes(), content.body])?;
    Ok(format!("v1,{}", encode(mac.finalize().into_bytes())))
}

/// The `v1a` signature, Ed25519.
#[must_use]
pub fn sign_v1a(key: &PrivateKey, content: &SignedContent<'_>) -> String {
    format!("v1a,{}", encode(key.sign(&content.to_bytes())))
}

/// The three headers of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignatureHeaders {
    /// `webhook-id`
    pub id: String,
    /// `webhook-timestamp`
    pub timestamp: String,
    /// `webhook-signature`, several separated by spaces while keys overlap.
    pub signature: String,
}

impl SignatureHeaders {
    /// The headers of an attempt, signed by each of these.
    ///
    /// # Errors
    /// When there is no signer, or one fails.
    pub async fn sign(
        id: MessageId,
        timestamp: i64,
        body: &[u8],
        signers: &[std::sync::Arc<dyn Signer>],
    ) -> Result<Self, Error> {
        let id = id.to_string();
        let content = SignedContent::new(&id, timestamp, body)?;
        let mut signatures = Vec::with_capacity(signers.len());
        for signer in signers {
            signatures.push(signer.sign(&content).await?);
        }
        if signatures.is_empty() {
            return Err(Error::Sign { why: "the endpoint has no key that is valid now".to_owned() });
        }
        Ok(Self { timestamp: timestamp.to_string(), signature: signatures.join(" "), id })
    }

    /// Names and values.
    #[must_use]
    pub fn pairs(&self) -> [(&'static str, &str); 3] {
        [
            ("webhook-id", &self.id),
            ("webhook-timestamp", &self.timestamp),
            ("webhook-signature", &self.signature),
        ]
    }
}

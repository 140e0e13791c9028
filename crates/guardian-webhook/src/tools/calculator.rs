//! The signature calculator: every step of a signature, to compare with one's own.

use crate::error::Error;
use crate::secret::{PrivateKey, Secret};
use crate::signature::{SignedContent, sign_v1, sign_v1a};

/// A signature with what went into it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Calculation {
    /// The bytes that were signed, as text; what is not UTF-8 is replaced.
    pub signed_content: String,
    /// How many bytes they are.
    pub signed_length: usize,
    /// The value of `webhook-signature`.
    pub signature: String,
    /// What is peculiar about the input, for people who wonder why theirs differs.
    pub hints: Vec<&'static str>,
}

/// Calculates the signature of a message with a `whsec_` secret or a `whsk_` private key.
///
/// ```
/// use guardian_webhook::tools::calculate;
///
/// let found = calculate("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330,
///     br#"{"test": 2432232314}"#)?;
/// assert_eq!(found.signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
/// # Ok::<(), guardian_webhook::Error>(())
/// ```
///
/// # Errors
/// When the key or the id does not do.
pub fn calculate(key: &str, id: &str, timestamp: i64, body: &[u8]) -> Result<Calculation, Error> {
    let content = SignedContent::new(id, timestamp, body)?;
    let signature = if key.starts_with(PrivateKey::PREFIX) {
        sign_v1a(&key.parse::<PrivateKey>()?, &content)
    } else {
        sign_v1(&key.parse::<Secret>()?, &content)?
    };
    let bytes = content.to_bytes();
    let mut hints = Vec::new();
    if body.ends_with(b"\n") {
        hints.push("the body ends with a line break, which is signed too");
    }
    if body.starts_with(b"\xef\xbb\xbf") {
        hints.push("the body begins with a byte order mark, which is signed too");
    }
    if std::str::from_utf8(body).is_err() {
        hints.push("the body is not UTF-8: sign its bytes, not a text made of them");
    }
    if timestamp > 100_000_000_000 {
        hints.push("the timestamp looks like milliseconds; it is seconds");
    }
    if !key.starts_with("whsec_") && !key.starts_with("whsk_") {
        hints.push("the key has no prefix; it was read as base64 of a shared secret");
    }
    Ok(Calculation {
        signed_content: String::from_utf8_lossy(&bytes).into_owned(),
        signed_length: bytes.len(),
        signature,
        hints,
    })
}

//! Receiving: whether a webhook is from whom it says.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use guardian_core::{StoreError, Timestamp};
use http::HeaderMap;

use crate::error::Error;
use crate::secret::{PublicKey, Secret};

mod providers;
mod standard;

/// Who sends, and what proves it.
enum Sender {
    Standard { prefix: String, secrets: Vec<Secret>, public: Vec<PublicKey> },
    Stripe { secrets: Vec<Text> },
    GitHub { secrets: Vec<Text> },
    Shopify { secrets: Vec<Text> },
    Slack { secrets: Vec<Text> },
    Twilio { tokens: Vec<Text>, url: String },
}

/// A provider's secret, used as the text that it is.
type Text = zeroize::Zeroizing<String>;

/// Verifies webhooks of one sender: Standard Webhooks (`v1` and `v1a`), Stripe, GitHub, Shopify, Slack or Twilio.
///
/// Comparisons take the same time wherever they differ. The body is the raw bytes: what a framework parsed and wrote again is
/// another body. Several secrets may be given while one follows another.
///
/// ```
/// use guardian_core::{Timestamp, Clock, ManualClock};
/// use guardian_webhook::{Verifier, VerifyError};
/// use http::HeaderMap;
///
/// let verifier = Verifier::standard(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?], [])?;
/// let mut headers = HeaderMap::new();
/// headers.insert("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".parse()?);
/// headers.insert("webhook-timestamp", "1614265330".parse()?);
/// headers.insert("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".parse()?);
/// let body = br#"{"test": 2432232314}"#;
///
/// let now: Timestamp = "2021-02-25T15:02:10Z".parse()?;
/// let verified = verifier.verify(&headers, body, now)?;
/// assert_eq!(verified.id.as_deref(), Some("msg_p5jXN8AQM9LWM0D4loKWxJek"));
///
/// let later: Timestamp = "2021-02-25T15:10:00Z".parse()?;
/// assert!(matches!(verifier.verify(&headers, body, later), Err(VerifyError::Old { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Verifier {
    sender: Sender,
    tolerance: Duration,
    replay: Option<Arc<dyn crate::replay::ReplayCache>>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("sender", &self.name())
            .field("tolerance", &self.tolerance)
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}

/// What a verified webhook says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The sender's id of what happened, the same in every attempt: to notice what was handled before. Only in Standard
    /// Webhooks is it signed.
    pub id: Option<String>,
    /// The signed time of the attempt, where the scheme has one.
    pub timestamp: Option<Timestamp>,
    /// Which of the given keys it was, from 0; secrets come before public keys.
    pub key: usize,
    /// What tells this very attempt from all others, where a time is signed.
    pub(crate) once: Option<String>,
}

/// Why a webhook is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A header that the scheme needs is not there.
    #[error("the header `{name}` is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A header that does not read, or is there twice.
    #[error("the header `{name}` does not read: {why}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The header of signatures has none of a version that is known.
    #[error("the header `{name}` has no `v1,` or `v1a,` signature")]
    NoSignature {
        /// Its name.
        name: String,
    },
    /// It was signed too long ago.
    #[error("the webhook was signed {age} s ago, more than {tolerance} s")]
    Old {
        /// Its age in seconds.
        age: i64,
        /// What is tolerated, in seconds.
        tolerance: u64,
    },
    /// It was signed too far in the future: one of the clocks is wrong.
    #[error("the webhook was signed {ahead} s in the future, more than {tolerance} s")]
    Future {
        /// How far, in seconds.
        ahead: i64,
        /// What is tolerated, in seconds.
        tolerance: u64,
    },
    /// No signature is one of a known key.
    #[error("no signature matches: another secret, or the body is not the raw bytes")]
    NoMatch,
    /// This very attempt came before.
    #[error("the webhook was received before")]
    Replayed,
    /// The replay cache failed, so nobody knows.
    #[error("the replay cache failed")]
    Cache(#[from] StoreError),
}

impl Verifier {
    /// The tolerance for old and future timestamps where nothing else is set.
    pub const TOLERANCE: Duration = Duration::from_secs(300);

    fn of(sender: Sender) -> Self {
        Self { sender, tolerance: Self::TOLERANCE, replay: None }
    }

    /// Of a sender that follows Standard Webhooks, with the secrets of `v1` and the public keys of `v1a` that may sign.
    ///
    /// # Errors
    /// When there is no key at all.
    pub fn standard(
        secrets: impl IntoIterator<Item = Secret>,
        public: impl IntoIterator<Item = PublicKey>,
    ) -> Result<Self, Error> {
        let (secrets, public): (Vec<_>, Vec<_>) =
            (secrets.into_iter().collect(), public.into_iter().collect());
        if secrets.is_empty() && public.is_empty() {
            return Err(Error::key("a verifier needs at least one"));
        }
        Ok(Self::of(Sender::Standard { prefix: "webhook".to_owned(), secrets, public }))
    }

    /// The same with headers that begin otherwise: `svix` for `svix-id` and so on.
    #[must_use]
    pub fn with_header_prefix(mut self, with: impl Into<String>) -> Self {
        if let Sender::Standard { prefix, .. } = &mut self.sender {
            *prefix = with.into();
        }
        self
    }

    /// Of Stripe: `Stripe-Signature`, with the endpoint's secrets as Stripe shows them (`whsec_…`, used as text).
    ///
    /// # Errors
    /// When there is no secret, or an empty one.
    pub fn stripe<T: Into<String>>(secrets: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        Ok(Self::of(Sender::Stripe { secrets: texts(secrets)? }))
    }

    /// Of GitHub: `X-Hub-Signature-256`. There is no timestamp in it.
    ///
    /// # Errors
    /// When there is no secret, or an empty one.
    pub fn github<T: Into<String>>(secrets: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        Ok(Self::of(Sender::GitHub { secrets: texts(secrets)? }))
    }

    /// Of Shopify: `X-Shopify-Hmac-Sha256`, with the client secret. There is no signed timestamp in it.
    ///
    /// # Errors
    /// When there is no secret, or an empty one.
    pub fn shopify<T: Into<String>>(secrets: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        Ok(Self::of(Sender::Shopify { secrets: texts(secrets)? }))
    }

    /// Of Slack: `X-Slack-Signature` and `X-Slack-Request-Timestamp`, with the signing secret.
    ///
    /// # Errors
    /// When there is no secret, or an empty one.
    pub fn slack<T: Into<String>>(secrets: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        Ok(Self::of(Sender::Slack { secrets: texts(secrets)? }))
    }

    /// Of Twilio: `X-Twilio-Signature`, with the account's token and the whole URL that Twilio was given, query included.
    ///
    /// A form is verified by its parameters, any other body by the `bodySHA256` of the URL, without which it is refused. There
    /// is no timestamp in it.
    ///
    /// # Errors
    /// When there is no token, or an empty one.
    pub fn twilio<T: Into<String>>(
        tokens: impl IntoIterator<Item = T>,
        url: impl Into<String>,
    ) -> Result<Self, Error> {
        Ok(Self::of(Sender::Twilio { tokens: texts(tokens)?, url: url.into() }))
    }

    /// With another tolerance, in whole seconds, in both directions.
    #[must_use]
    pub fn with_tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// With a cache that knows which attempts came before; [`verify_once`](Self::verify_once) asks it, of senders that sign their
    /// time.
    #[must_use]
    pub fn with_replay_cache(mut self, cache: Arc<dyn crate::replay::ReplayCache>) -> Self {
        self.replay = Some(cache);
        self
    }

    /// The sender's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.sender {
            Sender::Standard { .. } => "standard",
            Sender::Stripe { .. } => "stripe",
            Sender::GitHub { .. } => "github",
            Sender::Shopify { .. } => "shopify",
            Sender::Slack { .. } => "slack",
            Sender::Twilio { .. } => "twilio",
        }
    }

    /// Verifies the signature, and the time where it is signed.
    ///
    /// # Errors
    /// Why the webhook is not believed.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Verified, VerifyError> {
        let time = Time { now: now.timestamp(), tolerance: self.tolerance.as_secs() };
        match &self.sender {
            Sender::Standard { prefix, secrets, public } => {
                standard::verify(prefix, secrets, public, headers, body, &time)
            }
            Sender::Stripe { secrets } => providers::stripe(secrets, headers, body, &time),
            Sender::GitHub { secrets } => providers::github(secrets, headers, body),
            Sender::Shopify { secrets } => providers::shopify(secrets, headers, body),
            Sender::Slack { secrets } => providers::slack(secrets, headers, body, &time),
            Sender::Twilio { tokens, url } => providers::twilio(tokens, url, headers, body),
        }
    }

    /// The same, and refuses an attempt that came before, if there is a replay cache. A new attempt of the same message has a
    /// new time and is let through.
    ///
    /// GitHub, Shopify and Twilio sign no time, so a retry behind a failure of the handler is the same bytes as a replay. The cache is
    /// not asked for them: handle what they deliver so that twice is as good as once, by an id in the signed body.
    ///
    /// # Errors
    /// Why the webhook is not believed.
    pub async fn verify_once(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Verified, VerifyError> {
        let verified = self.verify(headers, body, now)?;
        if let (Some(cache), Some(once)) = (&self.replay, &verified.once) {
            // The time may be in the future by the tolerance, is believed for as long behind it, and is compared in whole seconds.
            let span = self.tolerance.saturating_mul(2).saturating_add(Duration::from_secs(1));
            let until = crate::time::after(now, span);
            let key = format!("{}:{once}", self.name());
            if !cache.is_first(&key, now, until).await? {
                return Err(VerifyError::Replayed);
            }
        }
        Ok(verified)
    }
}

fn texts<T: Into<String>>(secrets: impl IntoIterator<Item = T>) -> Result<Vec<Text>, Error> {
    let secrets: Vec<Text> = secrets.into_iter().map(|secret| Text::new(secret.into())).collect();
    if secrets.is_empty() || secrets.iter().any(|secret| secret.is_empty()) {
        return Err(Error::key("a verifier needs at least one, and none may be empty"));
    }
    Ok(secrets)
}

/// The receiver's time.
struct Time {
    now: i64,
    tolerance: u64,
}

impl Time {
    /// Whether a signed time is near enough; to the second, and the bound itself is near enough.
    fn check(&self, signed: i64) -> Result<(), VerifyError> {
        let age = self.now.saturating_sub(signed);
        if age.unsigned_abs() <= self.tolerance {
            return Ok(());
        }
        Err(if age > 0 {
            VerifyError::Old { age, tolerance: self.tolerance }
        } else {
            VerifyError::Future { ahead: age.saturating_neg(), tolerance: self.tolerance }
        })
    }
}

/// The one value of a header.
fn header<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, VerifyError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or_else(|| VerifyError::Missing { name: name.to_owned() })?;
    if values.next().is_some() {
        return Err(unreadable(name, "it is there twice"));
    }
    value.to_str().map_err(|_| unreadable(name, "it has characters that are not ASCII"))
}

fn unreadable(name: &str, why: &'static str) -> VerifyError {
    VerifyError::Header { name: name.to_owned(), why }
}

/// Whole seconds since 1970: digits and nothing else.
fn seconds(name: &str, text: &str) -> Result<i64, VerifyError> {
    let digits = !text.is_empty() && text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| unreadable(name, "it is a whole number of seconds"))
}

/// The moment of so many seconds.
fn moment(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_timestamp(seconds, 0)
}

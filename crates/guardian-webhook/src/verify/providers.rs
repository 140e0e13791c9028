//! The schemes of providers that have their own.

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Text, Time, Verified, VerifyError, header, moment, seconds, unreadable};
use crate::secret::{LENIENT, hmac_sha256};

/// So many signatures of a header are looked at.
const MAX_SIGNATURES: usize = 16;

/// `Stripe-Signature: t=SECONDS,v1=HEX,v1=HEX,v0=HEX` over `t.body`; `v0` is of test mode and counts for nothing.
pub(super) fn stripe(
    secrets: &[Text],
    headers: &HeaderMap,
    body: &[u8],
    time: &Time,
) -> Result<Verified, VerifyError> {
    const NAME: &str = "stripe-signature";
    let parsed = StripeSignature::parse(header(headers, NAME)?)?;
    time.check(parsed.timestamp)?;
    let head = format!("{}.", parsed.timestamp);
    let key = position(secrets, &parsed.v1, &[head.as_bytes(), body]).ok_or(VerifyError::NoMatch)?;
    Ok(Verified {
        id: json_id(body),
        timestamp: moment(parsed.timestamp),
        key,
        once: Some(format!("{}.{}", parsed.timestamp, hash(body))),
    })
}

/// What is in a `Stripe-Signature` header.
struct StripeSignature {
    timestamp: i64,
    v1: Vec<Vec<u8>>,
}

impl StripeSignature {
    fn parse(text: &str) -> Result<Self, VerifyError> {
        const NAME: &str = "stripe-signature";
        let (mut timestamp, mut v1) = (None, Vec::new());
        for part in text.split(',') {
            match part.trim().split_once('=') {
                Some(("t", value)) if timestamp.is_none() => timestamp = Some(seconds(NAME, value)?),
                Some(("t", _)) => return Err(unreadable(NAME, "it has two times")),
                Some(("v1", value)) if v1.len() < MAX_SIGNATURES => v1.extend(unhex(value)),
                _ => {}
            }
        }
        let timestamp = timestamp.ok_or_else(|| unreadable(NAME, "it has no time"))?;
        Ok(Self { timestamp, v1 })
    }
}

/// `X-Hub-Signature-256: sha256=HEX` over the body.
pub(super) fn github(secrets: &[Text], headers: &HeaderMap, body: &[u8]) -> Result<Verified, VerifyError> {
    const NAME: &str = "x-hub-signature-256";
    let signature = header(headers, NAME)?
        .strip_prefix("sha256=")
        .and_then(unhex)
        .ok_or_else(|| unreadable(NAME, "it is `sha256=` and 64 hexadecimal digits"))?;
    let key = position(secrets, &[signature], &[body]).ok_or(VerifyError::NoMatch)?;
    let id = header(headers, "x-github-delivery").ok().map(str::to_owned);
    Ok(Verified { once: None, id, timestamp: None, key })
}

/// `X-Shopify-Hmac-Sha256: BASE64` over the body.
pub(super) fn shopify(secrets: &[Text], headers: &HeaderMap, body: &[u8]) -> Result<Verified, VerifyError> {
    const NAME: &str = "x-shopify-hmac-sha256";
    let signature = LENIENT.decode(header(headers, NAME)?).map_err(|_| unreadable(NAME, "it is base64"))?;
    let key = position(secrets, &[signature], &[body]).ok_or(VerifyError::NoMatch)?;
    let id = header(headers, "x-shopify-webhook-id").ok().map(str::to_owned);
    Ok(Verified { once: None, id, timestamp: None, key })
}

/// `X-Slack-Signature: v0=HEX` over `v0:SECONDS:body`.
pub(super) fn slack(
    secrets: &[Text],
    headers: &HeaderMap,
    body: &[u8],
    time: &Time,
) -> Result<Verified, VerifyError> {
    const NAME: &str = "x-slack-signature";
    const TIME: &str = "x-slack-request-timestamp";
    let timestamp = seconds(TIME, header(headers, TIME)?)?;
    let signature = header(headers, NAME)?
        .strip_prefix("v0=")
        .and_then(unhex)
        .ok_or_else(|| unreadable(NAME, "it is `v0=` and 64 hexadecimal digits"))?;
    time.check(timestamp)?;
    let head = format!("v0:{timestamp}:");
    let key = position(secrets, &[signature], &[head.as_bytes(), body]).ok_or(VerifyError::NoMatch)?;
    Ok(Verified {
        id: json_id(body),
        timestamp: moment(timestamp),
        key,
        once: Some(format!("{timestamp}.{}", hash(body))),
    })
}

/// `X-Twilio-Signature: BASE64`, HMAC-SHA1 over the URL and, of a form, its parameters sorted by name.
pub(super) fn twilio(
    tokens: &[Text],
    url: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Verified, VerifyError> {
    const NAME: &str = "x-twilio-signature";
    let signature = LENIENT.decode(header(headers, NAME)?).map_err(|_| unreadable(NAME, "it is base64"))?;
    let parsed = url::Url::parse(url).ok();
    let body_hash = parsed
        .as_ref()
        .and_then(|url| url.query_pairs().find(|(name, _)| name == "bodySHA256"))
        .map(|(_, value)| value.into_owned());
    let is_form = headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
    let mut signed = url.to_owned();
    if is_form && body_hash.is_none() {
        let mut pairs: Vec<_> = url::form_urlencoded::parse(body).into_owned().collect();
        pairs.sort();
        pairs.dedup();
        for (name, value) in pairs {
            signed.push_str(&name);
            signed.push_str(&value);
        }
    } else {
        let matches = match &body_hash {
            Some(expected) => {
                let found = hex(&Sha256::digest(body));
                bool::from(found.as_bytes().ct_eq(expected.to_ascii_lowercase().as_bytes()))
            }
            // Nothing in the signature is about the body then.
            None => body.is_empty(),
        };
        if !matches {
            return Err(VerifyError::NoMatch);
        }
    }
    let key = tokens
        .iter()
        .position(|token| {
            Hmac::<Sha1>::new_from_slice(token.as_bytes()).is_ok_and(|mut mac| {
                mac.update(signed.as_bytes());
                mac.verify_slice(&signature).is_ok()
            })
        })
        .ok_or(VerifyError::NoMatch)?;
    let id = header(headers, "i-twilio-idempotency-token").ok().map(str::to_owned);
    Ok(Verified { once: None, id, timestamp: None, key })
}

/// Which secret made one of the signatures over the parts.
fn position(secrets: &[Text], signatures: &[Vec<u8>], parts: &[&[u8]]) -> Option<usize> {
    secrets.iter().position(|secret| {
        hmac_sha256(secret.as_bytes(), parts)
            .is_ok_and(|mac| signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok()))
    })
}

/// The `id` (Stripe) or `event_id` (Slack) of a body in JSON.
fn json_id(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Ids {
        id: Option<String>,
        event_id: Option<String>,
    }
    let ids: Ids = serde_json::from_slice(body).ok()?;
    ids.event_id.or(ids.id)
}

fn hash(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// 64 hexadecimal digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    if !odd.is_empty() || pairs.len() != 32 {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

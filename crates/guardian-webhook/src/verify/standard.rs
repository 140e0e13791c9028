//! Standard Webhooks 1.0.

use base64::Engine as _;
use hmac::Mac as _;
use http::HeaderMap;

use super::{Time, Verified, VerifyError, header, moment, seconds, unreadable};
use crate::secret::{LENIENT, PublicKey, Secret, hmac_sha256};
use crate::signature::SignedContent;

/// So many signatures of a header are looked at, so that a long header costs little.
const MAX_SIGNATURES: usize = 16;

pub(super) fn verify(
    prefix: &str,
    secrets: &[Secret],
    public: &[PublicKey],
    headers: &HeaderMap,
    body: &[u8],
    time: &Time,
) -> Result<Verified, VerifyError> {
    let (id_name, timestamp_name) = (format!("{prefix}-id"), format!("{prefix}-timestamp"));
    let id = header(headers, &id_name)?;
    let timestamp = seconds(&timestamp_name, header(headers, &timestamp_name)?)?;
    let name = format!("{prefix}-signature");
    let signatures = header(headers, &name)?;
    let known = |signature: &str| signature.starts_with("v1,") || signature.starts_with("v1a,");
    if !signatures.split(' ').take(MAX_SIGNATURES).any(known) {
        return Err(VerifyError::NoSignature { name });
    }
    time.check(timestamp)?;
    let content = SignedContent::new(id, timestamp, body)
        .map_err(|_| unreadable(&id_name, "it is 1 to 256 visible characters without a dot"))?;
    let key = matching(&content, secrets, public, signatures).ok_or(VerifyError::NoMatch)?;
    Ok(Verified {
        id: Some(id.to_owned()),
        timestamp: moment(timestamp),
        key,
        once: Some(format!("{id}.{timestamp}")),
    })
}

/// Which key made one of the signatures.
fn matching(
    content: &SignedContent<'_>,
    secrets: &[Secret],
    public: &[PublicKey],
    signatures: &str,
) -> Option<usize> {
    let head = content.head();
    let macs: Vec<_> = secrets
        .iter()
        .map(|secret| hmac_sha256(secret.bytes(), &[head.as_bytes(), content.body()]).ok())
        .collect();
    let whole = if public.is_empty() { Vec::new() } else { content.to_bytes() };
    for signature in signatures.split(' ').take(MAX_SIGNATURES) {
        let Some((version, text)) = signature.split_once(',') else { continue };
        if text.len() > 128 {
            continue;
        }
        let Ok(bytes) = LENIENT.decode(text) else { continue };
        let found = match version {
            "v1" => macs
                .iter()
                .position(|mac| mac.as_ref().is_some_and(|mac| mac.clone().verify_slice(&bytes).is_ok())),
            "v1a" => public.iter().position(|key| key.accepts(&whole, &bytes)).map(|at| at + secrets.len()),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

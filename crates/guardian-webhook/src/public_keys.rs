//! The public keys of a sender as a document, for receivers that fetch them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use guardian_core::Timestamp;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::secret::PublicKey;

/// The public keys of an endpoint that are valid, as a JSON Web Key Set (RFC 7517, RFC 8037) with the `whpk_` texts beside: to be
/// served, at `/.well-known/webhook-keys.json` say. Shared secrets and private keys are never in it.
///
/// ```
/// use guardian_webhook::{PrivateKey, PublicKeys};
///
/// let key = PrivateKey::from_seed(&[7; 32]).public();
/// let document = PublicKeys::new([key]).to_json();
/// assert_eq!(document["keys"][0]["crv"], "Ed25519");
/// assert_eq!(document["keys"][0]["whpk"], key.to_string());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicKeys(Vec<PublicKey>);

impl PublicKeys {
    /// These keys.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// The keys with which an endpoint's messages may be signed at this time.
    #[must_use]
    pub fn of(endpoint: &Endpoint, now: Timestamp) -> Self {
        let valid = endpoint.keys.iter().filter(|key| key.is_valid(now));
        Self(valid.filter_map(|key| key.public.as_deref()?.parse().ok()).collect())
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.0
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let key = |key: &PublicKey| {
            let x = URL_SAFE_NO_PAD.encode(key.to_bytes());
            json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": thumbprint(&x), "x": x, "whpk": key.to_string()})
        };
        json!({"keys": self.0.iter().map(key).collect::<Vec<_>>()})
    }
}

/// The thumbprint of RFC 7638, with the members of RFC 8037.
fn thumbprint(x: &str) -> String {
    use sha2::Digest as _;
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(canonical))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_rfc_8037_has_its_thumbprint() {
        assert_eq!(
            thumbprint("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }
}

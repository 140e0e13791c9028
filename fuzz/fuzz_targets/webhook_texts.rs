//! What strangers write: URLs, headers, ids, keys, patterns, schemas. Nothing panics, and what is accepted is what it says.
#![no_main]

use guardian_core::Timestamp;
use guardian_webhook::tools::{payload_diff, schema};
use guardian_webhook::{
    AddressClass, EgressPolicy, EventTypeName, MessageId, PrivateKey, PublicKey, Secret, TypePattern, Verifier, retry_after,
};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8], &str, u32)| {
    let (text, body, other, seconds) = input;
    let now = Timestamp::from_timestamp(i64::from(seconds), 0).expect("it is in range");
    if let Ok(target) = EgressPolicy::default().check_url(text) {
        // What was accepted stays accepted, and has no address that is not public.
        assert!(EgressPolicy::default().check_url(target.url()).is_ok(), "{text}");
        assert!(target.address().is_none_or(|address| AddressClass::of(address).is_public()), "{text}");
        assert!(!target.host().contains("localhost") && target.host() != "127.0.0.1");
    }
    if let Some(wait) = retry_after(text, now) {
        assert!(wait.as_secs() <= 86_400);
    }
    if let Ok(id) = text.parse::<MessageId>() {
        assert_eq!(id.to_string().parse::<MessageId>().expect("it was written so"), id);
    }
    if let Ok(secret) = text.parse::<Secret>() {
        assert_eq!(secret.reveal().parse::<Secret>().expect("it was written so"), secret);
    }
    let _ = (text.parse::<PrivateKey>(), text.parse::<PublicKey>());
    if let (Ok(pattern), Ok(name)) = (text.parse::<TypePattern>(), other.parse::<EventTypeName>()) {
        let _ = pattern.matches(&name);
    }
    let mut headers = HeaderMap::new();
    let values = (HeaderValue::from_str(text), HeaderValue::from_str(other), HeaderValue::from(seconds));
    if let (Ok(text), Ok(other), time) = values {
        for name in ["webhook-signature", "stripe-signature", "x-hub-signature-256", "x-shopify-hmac-sha256", "x-slack-signature", "x-twilio-signature"] {
            headers.insert(name, text.clone());
        }
        headers.insert("webhook-id", other);
        headers.insert("webhook-timestamp", time.clone());
        headers.insert("x-slack-request-timestamp", time);
        let secret = Secret::from_bytes(&[7; 32]).expect("its length is right");
        let verifiers = [
            Verifier::standard([secret], [PrivateKey::from_seed(&[7; 32]).public()]),
            Verifier::stripe(["s"]), Verifier::github(["s"]), Verifier::shopify(["s"]), Verifier::slack(["s"]),
            Verifier::twilio(["s"], "https://example.com/?bodySHA256=00"),
        ];
        for verifier in verifiers {
            // Nobody finds a signature by chance.
            assert!(verifier.expect("it has a key").verify(&headers, body, now).is_err());
        }
    }
    let _ = payload_diff(text.as_bytes(), body);
    if let Ok(given) = serde_json::from_str(text)
        && schema::check(&given).is_ok()
        && let Some(made) = schema::simulate(&given, seconds.into())
    {
        schema::validate(&given, &made).expect("it was made for this");
    }
});

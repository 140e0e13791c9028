//! The schemes of providers: what they publish, and what has to be refused.

use std::sync::Arc;
use std::time::Duration;

use guardian_core::Timestamp;
use guardian_webhook::{
    MemoryReplayCache, PrivateKey, PublicKey, Secret, SignedContent, Verifier, VerifyError, sign_v1, sign_v1a,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName};
use proptest::prelude::*;
use sha1::Sha1;
use sha2::Sha256;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap()))
        .collect()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(seconds, 0).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn hmac(key: &str, text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[test]
fn github_as_its_documentation_has_it() {
    let verifier = Verifier::github(["It's a Secret to Everybody"]).unwrap();
    let signed = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let good = headers(&[("x-hub-signature-256", signed), ("x-github-delivery", "d1")]);
    let verified = verifier.verify(&good, b"Hello, World!", at(0)).unwrap();
    assert_eq!((verified.id.as_deref(), verified.timestamp), (Some("d1"), None));
    assert!(verifier.verify(&good, b"Hello, World?", at(0)).is_err());
    for bad in ["", "sha256=", "757107", "sha1=757107", "sha256=zz", signed.get(..40).unwrap()] {
        assert!(
            verifier.verify(&headers(&[("x-hub-signature-256", bad)]), b"Hello, World!", at(0)).is_err(),
            "{bad}"
        );
    }
    assert!(matches!(verifier.verify(&HeaderMap::new(), b"", at(0)), Err(VerifyError::Missing { .. })));
}

#[test]
fn stripe_signs_its_time_and_old_secrets_go_on() {
    let verifier = Verifier::stripe(["whsec_new", "whsec_old"]).unwrap();
    let body = r#"{"id":"evt_1","type":"charge.succeeded"}"#;
    let signature = hex(&hmac("whsec_old", &format!("1700000000.{body}")));
    let header = |text: String| headers(&[("stripe-signature", &text)]);
    let good = header(format!("t=1700000000,v1={},v1={signature},v0=aa", "0".repeat(64)));
    let verified = verifier.verify(&good, body.as_bytes(), at(1_700_000_300)).unwrap();
    assert_eq!((verified.id.as_deref(), verified.key), (Some("evt_1"), 1));
    assert!(matches!(
        verifier.verify(&good, body.as_bytes(), at(1_700_000_301)),
        Err(VerifyError::Old { .. })
    ));
    let later = header(format!("t=1700000001,v1={signature}"));
    assert!(matches!(verifier.verify(&later, body.as_bytes(), at(1_700_000_001)), Err(VerifyError::NoMatch)));
    for bad in [
        format!("v1={signature}"),
        format!("t=1700000000,t=1700000000,v1={signature}"),
        format!("t=1700000000,v0={signature}"),
        "t=,v1=".to_owned(),
        String::new(),
    ] {
        assert!(verifier.verify(&header(bad.clone()), body.as_bytes(), at(1_700_000_000)).is_err(), "{bad}");
    }
}

#[test]
fn shopify_and_slack() {
    let shopify = Verifier::shopify(["hush"]).unwrap();
    let good =
        headers(&[("x-shopify-hmac-sha256", &base64(&hmac("hush", "{}"))), ("x-shopify-webhook-id", "w1")]);
    assert_eq!(shopify.verify(&good, b"{}", at(0)).unwrap().id.as_deref(), Some("w1"));
    assert!(shopify.verify(&good, b"{ }", at(0)).is_err());

    // The example of Slack's documentation.
    let slack = Verifier::slack(["8f742231b10e8888abcd99yyyzzz85a5"]).unwrap();
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let good = headers(&[("x-slack-signature", signature), ("x-slack-request-timestamp", "1531420618")]);
    assert!(slack.verify(&good, body.as_bytes(), at(1_531_420_618)).is_ok());
    assert!(matches!(slack.verify(&good, body.as_bytes(), at(1_531_421_000)), Err(VerifyError::Old { .. })));
    let other = headers(&[("x-slack-signature", signature), ("x-slack-request-timestamp", "1531420619")]);
    assert!(matches!(slack.verify(&other, body.as_bytes(), at(1_531_420_618)), Err(VerifyError::NoMatch)));
}

#[test]
fn twilio_forms_and_other_bodies() {
    // The example of Twilio's documentation and libraries.
    let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
    let body =
        "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
    let form = ("content-type", "application/x-www-form-urlencoded");
    let good = headers(&[("x-twilio-signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8="), form]);
    let verifier = Verifier::twilio(["12345"], url).unwrap();
    assert!(verifier.verify(&good, body.as_bytes(), at(0)).is_ok());
    assert!(verifier.verify(&good, b"CallSid=other", at(0)).is_err());
    // A body that is no form and of which the URL has no hash is signed by nothing.
    let unsigned = {
        let mut mac = Hmac::<Sha1>::new_from_slice(b"12345").unwrap();
        mac.update(url.as_bytes());
        base64(&mac.finalize().into_bytes())
    };
    let json = headers(&[("x-twilio-signature", &unsigned), ("content-type", "application/json")]);
    assert!(matches!(verifier.verify(&json, b"{}", at(0)), Err(VerifyError::NoMatch)));
    let hash = hex(&<Sha256 as sha2::Digest>::digest(b"{}"));
    let hashed = format!("{url}&bodySHA256={hash}");
    let mut mac = Hmac::<Sha1>::new_from_slice(b"12345").unwrap();
    mac.update(hashed.as_bytes());
    let json = headers(&[
        ("x-twilio-signature", &base64(&mac.finalize().into_bytes())),
        ("content-type", "application/json"),
    ]);
    let verifier = Verifier::twilio(["12345"], hashed).unwrap();
    assert!(verifier.verify(&json, b"{}", at(0)).is_ok());
    assert!(verifier.verify(&json, b"[]", at(0)).is_err());
}

#[tokio::test]
async fn an_attempt_is_taken_once_and_a_new_attempt_again() {
    let secret = Secret::from_bytes(&[7; 32]).unwrap();
    let verifier = Verifier::standard([secret.clone()], [])
        .unwrap()
        .with_replay_cache(Arc::new(MemoryReplayCache::new(2)));
    let attempt = |id: &str, time: i64| {
        let content = SignedContent::new(id, time, b"{}").unwrap();
        let signature = sign_v1(&secret, &content).unwrap();
        headers(&[
            ("webhook-id", id),
            ("webhook-timestamp", &time.to_string()),
            ("webhook-signature", &signature),
        ])
    };
    assert!(verifier.verify_once(&attempt("a", 1000), b"{}", at(1000)).await.is_ok());
    assert!(matches!(
        verifier.verify_once(&attempt("a", 1000), b"{}", at(1200)).await,
        Err(VerifyError::Replayed)
    ));
    assert!(verifier.verify_once(&attempt("a", 1005), b"{}", at(1200)).await.is_ok());
    assert!(matches!(
        verifier.verify_once(&attempt("b", 1000), b"{}", at(1200)).await,
        Err(VerifyError::Cache(_))
    ));
    // What is remembered outlives what would be believed.
    assert!(verifier.verify_once(&attempt("b", 1800), b"{}", at(1601)).await.is_ok());
}

#[tokio::test]
async fn an_attempt_is_remembered_for_as_long_as_it_is_believed() {
    let secret = Secret::from_bytes(&[7; 32]).unwrap();
    let content = SignedContent::new("a", 1300, b"{}").unwrap();
    let signature = sign_v1(&secret, &content).unwrap();
    let attempt =
        headers(&[("webhook-id", "a"), ("webhook-timestamp", "1300"), ("webhook-signature", &signature)]);
    let verifier =
        Verifier::standard([secret], []).unwrap().with_replay_cache(Arc::new(MemoryReplayCache::new(2)));
    assert!(verifier.verify_once(&attempt, b"{}", at(1000)).await.is_ok());
    let last = at(1600) + Duration::from_millis(999);
    assert!(matches!(verifier.verify_once(&attempt, b"{}", last).await, Err(VerifyError::Replayed)));
    let verifier = verifier.with_tolerance(Duration::MAX);
    assert!(matches!(verifier.verify_once(&attempt, b"{}", last).await, Err(VerifyError::Replayed)));
}

#[tokio::test]
async fn a_retry_without_a_signed_time_is_let_through() {
    let verifier = Verifier::github(["It's a Secret to Everybody"])
        .unwrap()
        .with_replay_cache(Arc::new(MemoryReplayCache::default()));
    let signed = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let good = headers(&[("x-hub-signature-256", signed), ("x-github-delivery", "d1")]);
    for at in [at(0), at(60)] {
        // A handler that failed the first time gets it again.
        let verified = verifier.verify_once(&good, b"Hello, World!", at).await.unwrap();
        assert_eq!(verified.id.as_deref(), Some("d1"));
    }
}

#[test]
fn a_verifier_without_a_key_is_refused_and_nothing_shows_one() {
    assert!(Verifier::standard([], []).is_err());
    assert!(Verifier::stripe([""]).is_err());
    assert!(Verifier::github(Vec::<String>::new()).is_err());
    let verifier = Verifier::slack(["hush-hush"]).unwrap().with_tolerance(Duration::from_secs(1));
    assert!(!format!("{verifier:?}").contains("hush-hush"));
}

proptest! {
    #[test]
    fn what_is_signed_is_believed_and_what_is_changed_is_not(
        seed in any::<[u8; 32]>(),
        id in "[A-Za-z0-9_-]{1,60}",
        time in 0_i64..4_000_000_000,
        body in proptest::collection::vec(any::<u8>(), 0..300),
        flip in any::<u16>(),
    ) {
        let (secret, private) = (Secret::from_bytes(&seed).unwrap(), PrivateKey::from_seed(&seed));
        let content = SignedContent::new(&id, time, &body).unwrap();
        let verifier = Verifier::standard([secret.clone()], []).unwrap();
        let public = Verifier::standard([], [private.public()]).unwrap();
        for (verifier, other, signature) in [
            (&verifier, &public, sign_v1(&secret, &content).unwrap()),
            (&public, &verifier, sign_v1a(&private, &content)),
        ] {
            let stamp = time.to_string();
            let of = |signature: &str| headers(&[("webhook-id", &id), ("webhook-timestamp", &stamp), ("webhook-signature", signature)]);
            let good = of(&format!("v9,AAAA {signature} junk"));
            prop_assert!(verifier.verify(&good, &body, at(time)).is_ok());
            prop_assert!(other.verify(&good, &body, at(time)).is_err());
            let mut changed = body.clone();
            changed.push(0);
            prop_assert!(verifier.verify(&good, &changed, at(time)).is_err());
            let mut bytes = signature.clone().into_bytes();
            let place = usize::from(flip) % (bytes.len() - 6) + 4;
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let broken = of(&String::from_utf8(bytes).unwrap());
            prop_assert!(verifier.verify(&broken, &body, at(time)).is_err());
        }
        prop_assert_eq!(private.public().to_string().parse::<PublicKey>().unwrap(), private.public());
    }
}

#[test]
fn what_was_looked_at_in_vain_is_said() {
    let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
    let verifier = Verifier::standard([secret.clone()], []).unwrap();
    let said = |signature: &str, body: &[u8]| {
        let headers = headers(&[
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", "1700000000"),
            ("webhook-signature", signature),
        ]);
        verifier.verify(&headers, body, at(1_700_000_000)).map_err(|error| error.to_string())
    };
    let signature = sign_v1(&secret, &SignedContent::new("msg_1", 1_700_000_000, b"{}").unwrap()).unwrap();
    assert!(said(&signature, b"{}").is_ok());
    let bare = signature.trim_start_matches("v1,");
    for without in ["", bare, &format!("v2,{bare}"), "v1"] {
        assert_eq!(
            said(without, b"{}").unwrap_err(),
            "the header `webhook-signature` has no `v1,` or `v1a,` signature",
            "{without}"
        );
    }
    for (signature, body) in
        [(&*signature, &b"{ }"[..]), ("v1,AAAA", b"{}"), (&signature.replace("v1,", "v1a,"), b"{}")]
    {
        assert_eq!(
            said(signature, body).unwrap_err(),
            "no signature matches: another secret, or the body is not the raw bytes",
            "{signature}"
        );
    }
}

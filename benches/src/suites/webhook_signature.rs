//! Signatures of webhooks: `published-vectors.json`, `random-vectors.json` and `verify-semantics.json`.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use guardian_core::Timestamp;
use guardian_webhook::{
    PrivateKey, PublicKey, Secret, SignedContent, Verifier, VerifyError, sign_v1, sign_v1a,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use indicatif::ProgressBar;
use serde_json::Value;

use super::Report;

/// Judges every case of the files that are in the folder; all have to pass.
pub(super) fn run(path: &Path, bar: &ProgressBar) -> Result<Report, Box<dyn Error>> {
    let mut report = Report::default();
    let mut files = 0;
    for (file, key, judge) in [
        ("published-vectors.json", "vectors", published as Judge),
        ("random-vectors.json", "vectors", random),
        ("verify-semantics.json", "cases", semantics),
    ] {
        let file = path.join(file);
        if !file.exists() {
            continue;
        }
        files += 1;
        let document: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
        let secret = document.get("secret").and_then(Value::as_str).unwrap_or_default();
        for case in document.get(key).and_then(Value::as_array).into_iter().flatten() {
            bar.inc(1);
            judge(&mut report, case, secret)?;
        }
    }
    if files == 0 {
        return Err("there is none of the suite's files".into());
    }
    if !report.failed.is_empty() {
        report.missed.push("every case passes".to_owned());
    }
    Ok(report)
}

type Judge = fn(&mut Report, &Value, &str) -> Result<(), Box<dyn Error>>;

fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str, String> {
    value.get(key).and_then(Value::as_str).ok_or_else(|| format!("`{key}` is missing in {value}"))
}

fn headers(pairs: &[(&str, &str)]) -> Result<HeaderMap, Box<dyn Error>> {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.insert(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
    }
    Ok(map)
}

fn moment(seconds: i64) -> Result<Timestamp, String> {
    Timestamp::from_timestamp(seconds, 0).ok_or_else(|| format!("`{seconds}` is no time"))
}

/// What both kinds of signature of one message have to be, and that they are believed.
fn message(
    report: &mut Report,
    message: &Value,
    version: &str,
    key: &Value,
    name: &str,
) -> Result<(), Box<dyn Error>> {
    let (id, payload) = (text(message, "id")?, text(message, "payload")?);
    let timestamp = message.get("timestamp").and_then(Value::as_i64).ok_or("`timestamp` is missing")?;
    let content = SignedContent::new(id, timestamp, payload.as_bytes())?;
    let expected = text(key, "signature")?;
    let (signature, verifier) = if version == "v1a" {
        let private: PrivateKey = text(key, "secret")?.parse()?;
        let public: PublicKey = text(key, "public")?.parse()?;
        report
            .judge(private.public() == public, || format!("{name}: the public key is {}", private.public()));
        (sign_v1a(&private, &content), Verifier::standard([], [public])?)
    } else {
        let secret: Secret = text(key, "secret")?.parse()?;
        (sign_v1(&secret, &content)?, Verifier::standard([secret], [])?)
    };
    report.judge(signature == expected, || format!("{name}: {version} is {signature}"));
    let stamp = timestamp.to_string();
    let of =
        |id| headers(&[("webhook-id", id), ("webhook-timestamp", &stamp), ("webhook-signature", expected)]);
    let now = moment(timestamp)?;
    let found = verifier.verify(&of(id)?, payload.as_bytes(), now);
    report.judge(found.is_ok(), || format!("{name}: {version} is not believed: {found:?}"));
    let changed = format!("{payload} ");
    let found = verifier.verify(&of(id)?, changed.as_bytes(), now);
    report.judge(matches!(found, Err(VerifyError::NoMatch)), || format!("{name}: a changed body: {found:?}"));
    let found = verifier.verify(&of("msg_other")?, payload.as_bytes(), now);
    report.judge(matches!(found, Err(VerifyError::NoMatch)), || format!("{name}: a changed id: {found:?}"));
    Ok(())
}

fn random(report: &mut Report, case: &Value, _: &str) -> Result<(), Box<dyn Error>> {
    let name = text(case, "id")?.to_owned();
    for version in ["v1", "v1a"] {
        if let Some(key) = case.get(version) {
            message(report, case, version, key, &name)?;
        }
    }
    Ok(())
}

fn published(report: &mut Report, case: &Value, _: &str) -> Result<(), Box<dyn Error>> {
    let name = text(case, "name")?;
    let now = moment(case.get("timestamp").and_then(Value::as_i64).unwrap_or(0))?;
    match text(case, "scheme")? {
        "standard-webhooks-v1" => message(report, case, "v1", case, name)?,
        "standard-webhooks-v1a" => message(report, case, "v1a", case, name)?,
        "github-x-hub-signature-256" => {
            let verifier = Verifier::github([text(case, "secret")?])?;
            let headers = headers(&[("x-hub-signature-256", text(case, "signature")?)])?;
            let found = verifier.verify(&headers, text(case, "payload")?.as_bytes(), now);
            report.judge(found.is_ok(), || format!("{name}: {found:?}"));
        }
        "stripe-signature-parse" => {
            // The secret is not published: the header has to read, and its time and signatures to be what is judged.
            let signed = case.get("t").and_then(Value::as_i64).ok_or("`t` is missing")?;
            let headers = headers(&[("stripe-signature", text(case, "header")?)])?;
            let verifier = Verifier::stripe(["whsec_other"])?;
            let found = verifier.verify(&headers, b"{}", moment(signed)?);
            report.judge(matches!(found, Err(VerifyError::NoMatch)), || format!("{name}: {found:?}"));
            let late = verifier.verify(&headers, b"{}", moment(signed + 301)?);
            report.judge(matches!(late, Err(VerifyError::Old { age: 301, .. })), || {
                format!("{name}, 301 s later: {late:?}")
            });
        }
        // The primitive itself, of which every scheme is made: through one that signs the body alone.
        "hmac-sha256-hex" => {
            let key = unhex(text(case, "key_hex")?)?;
            let data = unhex(text(case, "data_hex")?)?;
            let Ok(secret) = String::from_utf8(key) else {
                report.notes.push(format!("{name}: the key is no text, no scheme takes it"));
                return Ok(());
            };
            let headers = headers(&[("x-hub-signature-256", &format!("sha256={}", text(case, "mac")?))])?;
            let found = Verifier::github([secret])?.verify(&headers, &data, now);
            report.judge(found.is_ok(), || format!("{name}: {found:?}"));
        }
        other => report.failed.push(format!("{name}: the scheme `{other}` is not known")),
    }
    Ok(())
}

fn unhex(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    pairs.iter().map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

fn semantics(report: &mut Report, case: &Value, secret: &str) -> Result<(), Box<dyn Error>> {
    let name = text(case, "name")?;
    let given: BTreeMap<String, String> =
        serde_json::from_value(case.get("headers").cloned().unwrap_or_default())?;
    let pairs: Vec<(&str, &str)> =
        given.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let now = moment(case.get("now").and_then(Value::as_i64).ok_or("`now` is missing")?)?;
    let expected = case.get("ok").and_then(Value::as_bool).ok_or("`ok` is missing")?;
    let verifier = match case.get("public").and_then(Value::as_str) {
        Some(public) => Verifier::standard([], [public.parse()?])?,
        None => {
            Verifier::standard([case.get("secret").and_then(Value::as_str).unwrap_or(secret).parse()?], [])?
        }
    };
    let found = verifier.verify(&headers(&pairs)?, text(case, "payload")?.as_bytes(), now);
    report.judge(found.is_ok() == expected, || format!("{name}: {found:?}"));
    Ok(())
}

//! Where webhooks may go: `ssrf-cases.json` with addresses and URLs, and the verdict of the default policy.

use std::error::Error;
use std::path::Path;

use guardian_webhook::{AddressClass, EgressPolicy};
use indicatif::ProgressBar;
use serde::Deserialize;

use super::Report;

#[derive(Deserialize)]
struct Cases {
    ips: Vec<Address>,
    urls: Vec<Url>,
}

#[derive(Deserialize)]
struct Address {
    ip: String,
    allowed: bool,
    #[serde(default)]
    why: String,
}

#[derive(Deserialize)]
struct Url {
    url: String,
    accept: bool,
}

/// Judges every case of the file at the path, or of `ssrf-cases.json` in the folder; all have to pass.
pub(super) fn run(path: &Path, bar: &ProgressBar) -> Result<Report, Box<dyn Error>> {
    let file = if path.is_dir() { path.join("ssrf-cases.json") } else { path.to_owned() };
    let cases: Cases = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let (mut report, policy) = (Report::default(), EgressPolicy::default());
    for case in &cases.ips {
        bar.inc(1);
        let class = AddressClass::of(case.ip.parse()?);
        report
            .judge(class.is_public() == case.allowed, || format!("{}: found {class}; {}", case.ip, case.why));
        // The same address in a URL has the same verdict, on its way through another parser.
        let host = if case.ip.contains(':') { format!("[{}]", case.ip) } else { case.ip.clone() };
        let url = format!("https://{host}/");
        report.judge(policy.check_url(&url).is_ok() == case.allowed, || format!("{url}: {}", case.why));
    }
    for case in &cases.urls {
        bar.inc(1);
        let found = policy.check_url(&case.url);
        report.judge(found.is_ok() == case.accept, || format!("{}: {found:?}", case.url));
    }
    if !report.failed.is_empty() {
        report.missed.push("every case passes".to_owned());
    }
    Ok(report)
}

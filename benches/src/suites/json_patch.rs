//! The tests of JSON Patch: <https://github.com/json-patch/json-patch-tests>.

use std::error::Error;
use std::path::Path;

use guardian_workflow::JsonPatch;
use indicatif::ProgressBar;
use serde_json::Value;

use super::Report;

/// Judges every case of the files at the path; all have to pass.
pub(super) fn run(path: &Path, bar: &ProgressBar) -> Result<Report, Box<dyn Error>> {
    let mut report = Report::default();
    for file in ["tests.json", "spec_tests.json"] {
        let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path.join(file))?)?;
        for (at, case) in cases.iter().enumerate() {
            let (Some(document), Some(patch)) = (case.get("doc"), case.get("patch")) else { continue };
            if case.get("disabled") == Some(&Value::Bool(true)) {
                continue;
            }
            bar.inc(1);
            let found = JsonPatch::from_value(patch).and_then(|patch| patch.apply(document));
            let fault = match (case.get("expected"), case.get("error"), found) {
                (_, Some(why), Ok(made)) => Some(format!("expected the error {why}, found {made}")),
                (Some(expected), None, Ok(made)) if made != *expected => {
                    Some(format!("expected {expected}, found {made}"))
                }
                (_, None, Err(error)) => Some(error.to_string()),
                _ => None,
            };
            match fault {
                Some(fault) => {
                    let comment = case.get("comment").and_then(Value::as_str).unwrap_or_default();
                    report.failed.push(format!("{file} {at} {comment}: {fault}"));
                }
                None => report.passed += 1,
            }
        }
    }
    if !report.failed.is_empty() {
        report.missed.push("every case passes".to_owned());
    }
    Ok(report)
}

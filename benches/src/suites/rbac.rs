//! `rbac`: the tests of casbin, Cedar and `OpenFGA`, a folder with `casbin.json`, `cedar.json` and `openfga.json`.
//!
//! Each case becomes a policy of ours, by the importer that hosts use where there is one, and is asked through the public face.
//! What roles cannot express is counted and listed as unsupported: never as passed, and not as failed. The bar is that nothing
//! that is expressed fails.

use std::error::Error;
use std::fs;
use std::path::Path;

use indicatif::ProgressBar;
use serde_json::Value as Json;

use super::Report;

mod casbin;
mod cedar;
mod cedar_text;
mod openfga;

/// What became of a case or a part of one.
enum Verdict {
    /// It was asked, and this is what was wrong, if anything was.
    Asked(Option<String>),
    /// Roles cannot express it, for this reason.
    Unsupported(String),
}

type Judge = fn(&Json) -> Vec<(String, Verdict)>;

pub(super) fn run(path: &Path, bar: &ProgressBar) -> Result<Report, Box<dyn Error>> {
    let mut report = Report::default();
    let systems: [(&str, Judge); 3] =
        [("casbin", casbin::judge), ("cedar", cedar::judge), ("openfga", openfga::judge)];
    for (system, judge) in systems {
        let document: Json = serde_json::from_str(&fs::read_to_string(path.join(format!("{system}.json")))?)?;
        let cases = document.get("cases").and_then(Json::as_array).ok_or("a file without `cases`")?;
        bar.set_length(bar.length().unwrap_or(0) + cases.len() as u64);
        let (mut passed, mut failed, mut unsupported) = (0_u64, 0_u64, 0_u64);
        let mut reasons: Vec<String> = Vec::new();
        for case in cases {
            bar.inc(1);
            for (what, verdict) in judge(case) {
                match verdict {
                    Verdict::Asked(fault) => {
                        passed += u64::from(fault.is_none());
                        failed += u64::from(fault.is_some());
                        report.case(fault.map(|fault| format!("{what}: {fault}")));
                    }
                    Verdict::Unsupported(why) => {
                        unsupported += 1;
                        reasons.push(format!("unsupported: {what}: {why}"));
                    }
                }
            }
        }
        reasons.dedup();
        report.notes.append(&mut reasons);
        let line = format!(
            "{system}: {passed} passed, {failed} failed, {unsupported} unsupported, in {} cases",
            cases.len()
        );
        report.notes.push(line);
        if failed > 0 {
            report.missed.push(format!("{failed} of {system} that can be expressed are decided otherwise"));
        }
    }
    Ok(report)
}

fn text<'j>(json: &'j Json, key: &str) -> &'j str {
    json.get(key).and_then(Json::as_str).unwrap_or_default()
}

fn list<'j>(json: &'j Json, key: &str) -> &'j [Json] {
    json.get(key).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

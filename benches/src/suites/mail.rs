//! Mails whose reply and signature are known: cases in the files of talon (`talon_cases*.jsonl`, `talon_fixtures*.json`) and of
//! `email_reply_parser` (`email_reply_parser_fixtures*.json`). Only plain text is judged.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use guardian_sentiment::mail::Mail;
use indicatif::ProgressBar;
use serde::Deserialize;

use super::Report;

#[derive(Deserialize)]
struct Case {
    kind: String,
    name: String,
    input: String,
    expected: Option<String>,
    reply: Option<String>,
    signature: Option<String>,
    #[serde(rename = "fn")]
    function: Option<String>,
}

#[derive(Deserialize)]
struct Fixture {
    input: String,
    expect: Expected,
}

#[derive(Deserialize)]
struct Expected {
    reply: Option<String>,
    #[serde(default)]
    hidden: Vec<u8>,
    #[serde(default)]
    starts: BTreeMap<usize, String>,
    #[serde(default)]
    contains: BTreeMap<usize, String>,
    n: Option<usize>,
}

/// Judges every case of the folder; nineteen of twenty have to pass.
pub(super) fn run(path: &Path, bar: &ProgressBar) -> Result<Report, Box<dyn Error>> {
    let mut report = Report::default();
    let mut files: Vec<_> = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        let judge = match name.as_str() {
            name if name.starts_with("talon_cases") => talon_cases,
            name if name.starts_with("talon_fixtures") => talon_fixtures,
            name if name.starts_with("email_reply_parser") => fixtures,
            _ => continue,
        };
        bar.inc(1);
        judge(&fs::read_to_string(file.path())?, &mut report)?;
    }
    let failed = report.failed.len();
    if report.passed == 0 || u64::try_from(failed)? * 19 > report.passed {
        report.missed.push("19 of 20 cases pass".to_owned());
    }
    Ok(report)
}

fn judge(report: &mut Report, name: &str, input: &str, expected: &str) {
    let found = Mail::split(input).reply().into_owned();
    report.judge(found.trim() == expected.trim(), || format!("{name}: found {found:?}, not {expected:?}"));
}

fn talon_cases(text: &str, report: &mut Report) -> Result<(), Box<dyn Error>> {
    for line in text.lines() {
        let case: Case = serde_json::from_str(line)?;
        match (case.kind.as_str(), &case.expected, &case.reply) {
            // Here the test lowers talon's own limit of lines to one, which the input does not say.
            ("text", ..) if case.name == "test_too_many_lines" => {}
            // talon leaves forwarded messages as they are.
            ("text", Some(expected), _) if case.name.contains("for_forwarded") => {
                let found = Mail::split(&case.input).reply_and_forwarded().into_owned();
                let differs = || format!("{}: found {found:?}, not {expected:?}", case.name);
                report.judge(found.trim() == expected.trim(), differs);
            }
            ("text", Some(expected), _) if case.function.as_deref() != Some("preprocess") => {
                judge(report, &case.name, &case.input, expected);
            }
            // Some lines were put together from different cases: they say nothing.
            ("signature", _, Some(reply)) => {
                let whole = format!("{reply}\n{}", case.signature.as_deref().unwrap_or(""));
                if whole.split_whitespace().eq(case.input.split_whitespace()) {
                    judge(report, &case.name, &case.input, reply);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn talon_fixtures(text: &str, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let files: BTreeMap<String, String> = serde_json::from_str(text)?;
    for (name, body) in files.iter().filter(|(name, _)| name.ends_with("_body")) {
        let stem = name.strip_suffix("_body").unwrap_or(name);
        if let Some(signature) = files.get(&format!("{stem}_signature")) {
            // Training data marks the lines of the signature.
            let body = &body.replace("#sig#", "");
            let expected = body.trim_end().strip_suffix(signature.trim()).unwrap_or(body);
            judge(report, name, body, expected);
        }
    }
    Ok(())
}

fn fixtures(text: &str, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let fixtures: BTreeMap<String, Fixture> = serde_json::from_str(text)?;
    for (name, Fixture { input, expect }) in fixtures {
        if let Some(reply) = &expect.reply {
            judge(report, &name, &input, reply);
            continue;
        }
        let reply = Mail::split(&input).reply().into_owned();
        if expect.n == Some(1) {
            report
                .judge(reply.trim() == input.trim(), || format!("{name}: not all of it was kept: {reply:?}"));
        }
        for (fragment, part) in expect.starts.iter().chain(&expect.contains) {
            let is_quote = part.starts_with('>')
                || part == "On"
                || part == "_"
                || part == "-A"
                || part.starts_with("Steps");
            let hidden = expect.hidden.get(*fragment).is_some_and(|hidden| *hidden == 1) || is_quote;
            let shown = reply.lines().any(|line| line.starts_with(part.as_str()))
                || (part.contains('\n') && reply.contains(part.as_str()));
            report.judge(shown != hidden, || {
                format!("{name}: {part:?} is {}: {reply:?}", if hidden { "shown" } else { "missing" })
            });
        }
    }
    Ok(())
}

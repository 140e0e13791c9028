//! `eval SUITE PATH`: judges Guardian by the data at a path. One line for each failed case, `N passed, N failed` at the
//! end; exit 1 if the suite's bar is missed.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report goes to standard output and faults to standard error"
)]

use std::path::Path;
use std::process::ExitCode;

use guardian_benches::suites::sentiment::{self, Asked};
use guardian_benches::suites::{SUITES, Suite};
use indicatif::{ProgressBar, ProgressStyle};

/// The suite that may have a second path, another model, a part of the data, and whose speed may be left alone.
const SENTIMENT: &str = "sentiment";
/// Rows that are not judged for want of a file are no failure.
const PARTIAL: &str = "--partial";
/// Rows of speed are told and not judged.
const QUALITY: &str = "--quality";
/// The file behind it is judged in place of the shipped model.
const MODEL: &str = "--model";

const MISSED: u8 = 1;
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut asked = Asked::default();
    asked.is_partial = arguments.iter().any(|argument| argument == PARTIAL);
    asked.is_quality = arguments.iter().any(|argument| argument == QUALITY);
    arguments.retain(|argument| argument != PARTIAL && argument != QUALITY);
    let model = arguments.iter().position(|argument| argument == MODEL).map(|at| {
        arguments.remove(at);
        if at < arguments.len() { arguments.remove(at) } else { String::new() }
    });
    asked.model = model.as_ref().map(Path::new);
    let is_plain = !asked.is_partial && !asked.is_quality && asked.model.is_none();
    let (name, path) = match arguments.as_slice() {
        [name, path] if name == SENTIMENT || is_plain => (name, path),
        [name, path, training] if name == SENTIMENT && !training.starts_with("--") => {
            asked.training = Some(Path::new(training));
            (name, path)
        }
        _ => {
            eprintln!(
                "usage: eval SUITE PATH\n       eval {SENTIMENT} PATH [TRAINING] [{PARTIAL}] [{QUALITY}] [{MODEL} FILE]\n\n{}",
                listed()
            );
            return ExitCode::from(MISUSED);
        }
    };
    match SUITES.iter().find(|suite| suite.name == *name) {
        Some(suite) => judge(suite, Path::new(path), &asked),
        None => {
            eprintln!("eval: unknown suite `{name}`\n\n{}", listed());
            ExitCode::from(MISUSED)
        }
    }
}

fn listed() -> String {
    let line = |suite: &Suite| format!("  {:<12} {}\n", suite.name, suite.description);
    let lines: String = SUITES.iter().map(line).collect();
    format!("suites:\n{}", lines.trim_end())
}

fn judge(suite: &Suite, path: &Path, asked: &Asked<'_>) -> ExitCode {
    // Hidden by itself where standard error is no terminal.
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg:28} {bar:30} {pos:>6} of {len}  {eta} left") {
        bar.set_style(style.progress_chars("━╸ "));
    }
    let report = if suite.name == SENTIMENT {
        sentiment::run_with(path, asked, &bar)
    } else {
        (suite.run)(path, &bar)
    };
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            bar.finish_and_clear();
            eprintln!("eval: {}: {error}", suite.name);
            return ExitCode::from(MISSED);
        }
    };
    bar.finish_and_clear();
    for line in &report.failed {
        println!("{}: {line}", suite.name);
    }
    for line in &report.notes {
        println!("{}: {line}", suite.name);
    }
    for line in &report.missed {
        println!("{}: bar missed: {line}", suite.name);
    }
    println!("{} passed, {} failed", report.passed, report.failed.len());
    if report.missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(MISSED) }
}

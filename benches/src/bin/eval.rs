//! `eval SUITE PATH`: judges Guardian by the data at a path. One line for each failed case, `N passed, N failed` at the
//! end; exit 1 if the suite's bar is missed.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report goes to standard output and faults to standard error"
)]

use std::path::Path;
use std::process::ExitCode;

use guardian_benches::suites::{SUITES, Suite};
use indicatif::{ProgressBar, ProgressStyle};

const MISSED: u8 = 1;
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, path] = arguments.as_slice() else {
        eprintln!("usage: eval SUITE PATH\n\n{}", listed());
        return ExitCode::from(MISUSED);
    };
    match SUITES.iter().find(|suite| suite.name == *name) {
        Some(suite) => judge(suite, Path::new(path)),
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

fn judge(suite: &Suite, path: &Path) -> ExitCode {
    // Hidden by itself where standard error is no terminal.
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg:28} {bar:30} {pos:>6} of {len}  {eta} left") {
        bar.set_style(style.progress_chars("━╸ "));
    }
    let report = match (suite.run)(path, &bar) {
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

//! `cargo xtask lint`: everything that can be said about the code without running it.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::workspace::Workspace;
use crate::{process, tidy};

/// Runs every step, also after a failed one.
pub(crate) fn run() -> Result<bool> {
    let workspace = Workspace::load()?;
    let mut steps = Steps::default();
    let features = workspace.features(&[]);
    steps.step("format", || process::run(&mut cargo(&workspace, &["fmt", "--all", "--check"])))?;
    steps.step("clippy", || {
        let arguments =
            ["clippy", "--workspace", "--all-targets", "--features", &features, "--", "-D", "warnings"];
        process::run(&mut cargo(&workspace, &arguments))
    })?;
    steps.step("clippy without features", || without_features(&workspace))?;
    steps.step("documentation", || {
        let arguments = ["doc", "--workspace", "--features", &features, "--no-deps"];
        process::run(cargo(&workspace, &arguments).env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    steps.step("tidy", || tidy::report(&workspace))?;
    Ok(steps.summary())
}

/// Clippy on each library alone: asked about several at once, cargo would give each the features that the others
/// want of it, and the crate as a user with no feature gets it would never be compiled.
fn without_features(workspace: &Workspace) -> Result<bool> {
    let mut passed = true;
    for library in workspace.libraries() {
        let arguments = [
            "clippy",
            "--quiet",
            "-p",
            &library.name,
            "--no-default-features",
            "--lib",
            "--",
            "-D",
            "warnings",
        ];
        passed &= process::run(&mut cargo(workspace, &arguments))?;
    }
    Ok(passed)
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = process::cargo(&workspace.root);
    command.args(arguments);
    command
}

/// The steps that were run: name, time, outcome.
#[derive(Debug, Default)]
struct Steps(Vec<(&'static str, Duration, bool)>);

impl Steps {
    /// Runs one step and prints its line; an error of the step ends everything.
    fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<bool>) -> Result<()> {
        let start = Instant::now();
        let passed = work()?;
        let elapsed = start.elapsed();
        println!("{}", line(name, elapsed, passed));
        self.0.push((name, elapsed, passed));
        Ok(())
    }

    /// Prints all lines again, which by now are far apart, and says whether every step passed.
    fn summary(&self) -> bool {
        println!();
        for (name, elapsed, passed) in &self.0 {
            println!("{}", line(name, *elapsed, *passed));
        }
        self.0.iter().all(|(_, _, passed)| *passed)
    }
}

fn line(name: &str, elapsed: Duration, passed: bool) -> String {
    format!("lint: {name:<24} {:<6} {:6.1} s", if passed { "ok" } else { "FAILED" }, elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_step_fails_the_whole_and_does_not_stop_the_others() {
        let mut steps = Steps::default();
        steps.step("first", || Ok(false)).unwrap();
        steps.step("second", || Ok(true)).unwrap();
        assert_eq!(steps.0.len(), 2);
        assert!(!steps.summary());
    }
}

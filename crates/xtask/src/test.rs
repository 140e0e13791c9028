//! `cargo xtask test`: every test, on real servers.

use std::io::IsTerminal;
use std::process::Command;

use crate::error::{Error, Result};
use crate::process::{self, Stream};
use crate::servers::{Commits, Servers};
use crate::workspace::Workspace;

/// What to test.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The packages; all of them when empty.
    packages: Vec<String>,
    /// Arguments for the test runner.
    runner: Vec<String>,
}

impl Options {
    /// Reads `[-p CRATE]... [-- ARGS]`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let package = match argument.as_str() {
                "--" => {
                    options.runner.extend(rest.by_ref().cloned());
                    continue;
                }
                "-p" | "--package" => rest.next().map(String::as_str),
                other => other
                    .strip_prefix("--package=")
                    .or_else(|| other.strip_prefix("-p").filter(|p| !p.is_empty())),
            };
            match package {
                Some(package) => options.packages.push(package.to_owned()),
                None => return Err(Error::Usage(format!("`test` does not understand `{argument}`"))),
            }
        }
        Ok(options)
    }

    /// The selection of packages in cargo's words.
    fn selection(&self) -> Vec<&str> {
        if self.packages.is_empty() {
            return vec!["--workspace"];
        }
        self.packages.iter().flat_map(|package| ["-p", package]).collect()
    }
}

/// Runs the tests and then the doctests, even when the tests failed.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let workspace = Workspace::load()?;
    let known = |name: &String| workspace.members().any(|member| member.name == *name);
    if let Some(unknown) = options.packages.iter().find(|name| !known(name)) {
        return Err(Error::Usage(format!("there is no crate `{unknown}` in the workspace")));
    }
    let servers = Servers::start(Commits::Unsynced)?;
    let mut tests = runner(&workspace, options);
    let (passed, summary) = run_tests(tests.envs(servers.environment()))?;
    let documented = match doctests(&workspace, options) {
        Some(mut doctests) => process::run(doctests.envs(servers.environment()))?,
        None => {
            println!("test: no library among the chosen crates, so no doctests");
            true
        }
    };
    drop(servers);
    // The doctests have pushed it far up.
    println!("{}", summary.unwrap_or_default());
    let word = |ok| if ok { "ok" } else { "FAILED" };
    println!("test: tests {}, doctests {}", word(passed), word(documented));
    Ok(passed && documented)
}

/// Runs the tests and keeps the runner's summary, unless a terminal is watching: there the runner draws its progress,
/// which it would not do into a pipe.
fn run_tests(command: &mut Command) -> Result<(bool, Option<String>)> {
    if std::io::stderr().is_terminal() {
        return Ok((process::run(command)?, None));
    }
    let mut summary = None;
    let passed = process::run_and_read(command, Stream::Errors, |line| {
        if line.contains("Summary") && line.contains(" run: ") {
            summary = Some(line.to_owned());
        }
    })?;
    Ok((passed, summary))
}

/// The command for all tests but the doctests.
fn runner(workspace: &Workspace, options: &Options) -> Command {
    let mut command = process::cargo(&workspace.root);
    let features = workspace.features(&options.packages);
    if process::output(process::cargo(&workspace.root).args(["nextest", "--version"])).is_ok() {
        command.args(["nextest", "run", "--features", &features]).args(options.selection());
        if options.runner.is_empty() {
            // A crate without tests is none of our business, a filter that matches nothing is a typing error.
            command.arg("--no-tests=warn");
        }
        command.args(&options.runner);
    } else {
        println!("test: no cargo-nextest here, so `cargo test` runs the tests");
        command.args(["test", "--features", &features, "--no-fail-fast", "--lib", "--bins", "--tests"]);
        command.args(options.selection()).arg("--").args(&options.runner);
    }
    command
}

/// The command for the doctests; only libraries have them and cargo refuses to be asked about other crates alone.
fn doctests(workspace: &Workspace, options: &Options) -> Option<Command> {
    let mut command = process::cargo(&workspace.root);
    let features = workspace.features(&options.packages);
    command.args(["test", "--features", &features, "--no-fail-fast", "--doc"]);
    if options.packages.is_empty() {
        command.arg("--workspace");
        return Some(command);
    }
    let mut any = false;
    for member in
        workspace.members().filter(|member| member.has_library && options.packages.contains(&member.name))
    {
        command.args(["-p", &member.name]);
        any = true;
    }
    any.then_some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn packages_and_runner_arguments_are_told_apart() {
        let options = parse("-p a --package=b -pc --package d -- -p x name").unwrap();
        assert_eq!(options.packages, ["a", "b", "c", "d"]);
        assert_eq!(options.runner, ["-p", "x", "name"]);
        assert_eq!(parse("-p a").unwrap().selection(), ["-p", "a"]);
        assert_eq!(parse("").unwrap().selection(), ["--workspace"]);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(parse("-p"), Err(Error::Usage(_))));
        assert!(matches!(parse("name"), Err(Error::Usage(_))));
    }
}

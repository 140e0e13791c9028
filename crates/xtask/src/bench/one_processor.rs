//! A benchmark whose threads all share one processor.
//!
//! Two threads that wake each other for every operation have two speeds, depending on whether the system puts them on one
//! processor or on two, and it changes its mind within a run. On one processor there is one speed.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};
use crate::process;

/// The environment variable that makes cargo start the benchmark through `taskset`.
pub(super) fn runner(cargo: &[String]) -> Result<(String, String)> {
    // The compilation keeps all processors: cargo starts nothing but the benchmark through it.
    let program = process::find("taskset").ok_or_else(|| {
        Error::failed(
            "`--one-processor` needs the program `taskset`, which is in the package util-linux of Linux",
        )
    })?;
    let status = fs::read_to_string("/proc/self/status").map_err(Error::on(
        "`--one-processor` cannot read which processors may be used in `/proc/self/status`",
    ))?;
    let processor = last_allowed(&status)
        .ok_or_else(|| Error::failed("`/proc/self/status` does not say which processors may be used"))?;
    let triple = match target(cargo) {
        Some(triple) => triple,
        None => host(&process::output(Command::new("rustc").arg("-vV"))?)
            .ok_or_else(|| Error::failed("`rustc -vV` does not name its host"))?,
    };
    Ok((variable(&triple), line(&program, processor)?))
}

/// Cargo takes the words of a runner apart at spaces.
fn line(program: &Path, processor: u32) -> Result<String> {
    let program = program.to_string_lossy();
    if program.contains(char::is_whitespace) {
        return Err(Error::failed(format!("cargo cannot run `{program}`, its path has a space")));
    }
    Ok(format!("{program} -c {processor}"))
}

/// The last processor that this process may use: the first ones have the most interrupts.
fn last_allowed(status: &str) -> Option<u32> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    list.trim().rsplit([',', '-']).next()?.parse().ok()
}

/// What `--target` says among cargo's arguments.
fn target(cargo: &[String]) -> Option<String> {
    let mut arguments = cargo.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--target" {
            return arguments.next().cloned();
        }
        if let Some(triple) = argument.strip_prefix("--target=") {
            return Some(triple.to_owned());
        }
    }
    None
}

fn host(version: &str) -> Option<String> {
    version.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

fn variable(triple: &str) -> String {
    format!("CARGO_TARGET_{}_RUNNER", triple.to_uppercase().replace(['-', '.'], "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_last_allowed_processor_is_taken() {
        let of =
            |list: &str| last_allowed(&format!("Cpus_allowed:\t3\nCpus_allowed_list:\t{list}\nMems:\t1\n"));
        assert_eq!(
            [of("0-1"), of("0"), of("0-3,8"), of("0,2-5"), of("")],
            [Some(1), Some(0), Some(8), Some(5), None]
        );
        assert_eq!(last_allowed("Name:\txtask\n"), None);
    }

    #[test]
    fn the_variable_is_that_of_the_target() {
        assert_eq!(variable("x86_64-unknown-linux-gnu"), "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER");
        assert_eq!(variable("thumbv8m.main-none-eabi"), "CARGO_TARGET_THUMBV8M_MAIN_NONE_EABI_RUNNER");
        assert_eq!(target(&words("--features a --target t --x")).as_deref(), Some("t"));
        assert_eq!(target(&words("--target=t")).as_deref(), Some("t"));
        assert_eq!(target(&words("--features a --target-dir t")), None);
        assert_eq!(host("rustc 1.95.0\nbinary: rustc\nhost: a-b-c\nrelease: 1\n").as_deref(), Some("a-b-c"));
    }

    #[test]
    fn a_path_with_a_space_is_refused() {
        assert_eq!(line(Path::new("/usr/bin/taskset"), 3).unwrap(), "/usr/bin/taskset -c 3");
        let error = line(Path::new("/my tools/taskset"), 3).unwrap_err().to_string();
        assert!(error.contains("`/my tools/taskset`"), "{error}");
    }
}

//! What has to be measured in a process of its own.

use std::process::Command;

/// Bytes for each key: a fresh process for each contestant, as memory that was freed stays with the process.
pub(crate) fn memory() {
    for contestant in ["guardian-id", "governor-id", "guardian-text", "governor-text"] {
        run(env!("CARGO_BIN_EXE_memory"), &[contestant]);
    }
}

/// Instructions through the store's contract beside those without, counted by valgrind.
pub(crate) fn abstraction() {
    run(env!("CARGO_BIN_EXE_abstraction"), &["compare"]);
}

#[expect(clippy::print_stdout, reason = "the reader of the run must see what was not measured")]
fn run(program: &str, arguments: &[&str]) {
    match Command::new(program).args(arguments).status() {
        Ok(status) if status.success() => {}
        Ok(status) => println!("bench: `{program} {}` failed: {status}", arguments.join(" ")),
        Err(error) => println!("bench: cannot run `{program}`: {error}"),
    }
}

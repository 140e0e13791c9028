//! The workspace's own tool, run as `cargo xtask COMMAND`.
//!
//! | command | what it does |
//! |---|---|
//! | `test` | every test on real servers that it starts and stops itself |
//! | `servers` | the same servers, kept up until Ctrl-C, for work with other tools |
//! | `lint` | formatting, clippy, documentation and `tidy` |
//! | `tidy` | the rules of the house that no compiler knows |
//! | `bench` | one benchmark, its ratios against the peers, its table in `docs/benchmarks.md` |

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command-line tool prints, reads its environment and measures elapsed time"
)]

mod bench;
mod error;
mod interrupt;
mod lint;
mod process;
mod servers;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use error::{Error, Result};
use servers::Commits;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [-p CRATE]... [-- NEXTEST ARGS]      run every test, on real servers that are started for the run
  servers [--synced]                        start the servers, print their addresses, stop them on Ctrl-C;
                                            --synced has Postgres wait for the disk at each commit
  lint                                      formatting, clippy, documentation, tidy
  tidy                                      the rules of the house, one line for each violation
  bench NAME [--servers] [--synced] [--one-processor] [CARGO ARGS] [-- CRITERION ARGS]
                                            run one benchmark and rewrite its table in docs/benchmarks.md";

fn main() -> ExitCode {
    match command() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            match error {
                Error::Usage(_) => {
                    eprintln!("{USAGE}");
                    ExitCode::from(2)
                }
                // What a shell reports for a command that Ctrl-C ended.
                Error::Interrupted => ExitCode::from(130),
                Error::Failed(_) => ExitCode::FAILURE,
            }
        }
    }
}

/// Runs the command that the arguments name; the value says whether its checks passed.
fn command() -> Result<bool> {
    interrupt::install()?;
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match (name.as_str(), rest.as_slice()) {
        ("test", rest) => test::run(&test::Options::parse(rest)?),
        ("bench", rest) => bench::run(&bench::Options::parse(rest)?),
        ("servers", []) => servers::keep(Commits::Unsynced),
        ("servers", [option]) if option == "--synced" => servers::keep(Commits::Synced),
        ("lint", []) => lint::run(),
        ("tidy", []) => tidy::run(),
        ("help" | "--help" | "-h", _) => {
            println!("{USAGE}");
            Ok(true)
        }
        ("", _) => Err(Error::Usage("no command given".into())),
        ("servers" | "lint" | "tidy", [extra, ..]) => {
            Err(Error::Usage(format!("`{name}` does not take the argument `{extra}`")))
        }
        _ => Err(Error::Usage(format!("unknown command `{name}`"))),
    }
}

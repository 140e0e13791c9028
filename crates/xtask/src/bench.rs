//! `cargo xtask bench NAME`: one benchmark, ours and the peers in the same run.
//!
//! A benchmark names its criterion groups for the case and its functions `guardian` or `guardian:VARIANT` for ours and
//! `vs/PEER` for a peer. Besides, it may print lines of its own on standard output:
//!
//! - `measure NAME/CASE KEY VALUE UNIT` for a measured value that is no time;
//! - `bar NAME/CASE vs PEER MAX` for the ratio that ours is to stay below;
//! - `measure NAME/CASE median_of_turns VALUE ratio` where ours and one peer take turns: the median of the ratios of a turn
//!   and its twin, which a drift of the machine does not move. The bar of that case is judged by it.

mod one_processor;
mod page;
mod results;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};
use crate::process::{self, Stream};
use crate::servers::{Commits, Servers};
use crate::workspace::Workspace;

/// Where the tables are published.
const PAGE: &str = "docs/benchmarks.md";

/// What to measure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    name: String,
    /// Whether the benchmark needs Postgres or Redis.
    servers: bool,
    /// Whether Postgres waits for the disk, which needs the servers as well.
    synced: bool,
    /// Whether all threads of the benchmark share one processor.
    one_processor: bool,
    /// Arguments for cargo, features for example.
    cargo: Vec<String>,
    /// Arguments for criterion.
    criterion: Vec<String>,
}

impl Options {
    /// Reads `NAME [--servers] [--synced] [--one-processor] [CARGO ARGS] [-- CRITERION ARGS]`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut arguments = arguments.iter().cloned();
        let name = arguments.next().filter(|name| !name.starts_with('-'));
        let name = name.ok_or_else(|| Error::Usage("`bench` needs the name of a benchmark".into()))?;
        let mut cargo: Vec<String> = arguments.by_ref().take_while(|argument| argument != "--").collect();
        let mut take = |option: &str| {
            let given = cargo.len();
            cargo.retain(|argument| argument != option);
            cargo.len() < given
        };
        let (servers, synced, one_processor) = (take("--servers"), take("--synced"), take("--one-processor"));
        let servers = servers || synced;
        Ok(Self { name, servers, synced, one_processor, cargo, criterion: arguments.collect() })
    }

    /// The command that repeats this run.
    fn line(&self) -> String {
        let mut words = vec!["cargo xtask bench", &self.name];
        words.extend((self.servers && !self.synced).then_some("--servers"));
        words.extend(self.synced.then_some("--synced"));
        words.extend(self.one_processor.then_some("--one-processor"));
        words.extend(self.cargo.iter().map(String::as_str));
        words.extend((!self.criterion.is_empty()).then_some("--"));
        words.extend(self.criterion.iter().map(String::as_str));
        words.join(" ")
    }
}

/// Runs the benchmark, prints a line for each comparison, and rewrites the benchmark's table.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let workspace = Workspace::load()?;
    // A folder of its own, empty at the start: what is in it afterwards was measured by this run.
    let home = workspace.target.join("criterion").join(&options.name);
    if home.exists() {
        fs::remove_dir_all(&home).map_err(Error::on(format!("cannot remove `{}`", home.display())))?;
    }
    let runner = options.one_processor.then(|| one_processor::runner(&options.cargo)).transpose()?;
    let commits = if options.synced { Commits::Synced } else { Commits::Unsynced };
    let servers = options.servers.then(|| Servers::start(commits)).transpose()?;
    let mut command = process::cargo(&workspace.root);
    command.args(["bench", "-p", "guardian-benches", "--bench", &options.name]).args(&options.cargo);
    command.arg("--").args(&options.criterion).env("CRITERION_HOME", &home);
    command.envs(runner);
    command.envs(servers.iter().flat_map(Servers::environment));
    let mut reports = results::Reports::default();
    let succeeded = process::run_and_read(&mut command, Stream::Output, |line| {
        reports.read(line, &options.name);
    })?;
    drop(servers);
    if !succeeded {
        return Ok(false);
    }

    let timings = results::timings(&home)?;
    let rows = results::compare(&timings, &reports);
    if rows.is_empty() && reports.measures.is_empty() {
        return Err(Error::failed(format!("the benchmark `{}` measured nothing", options.name)));
    }
    println!();
    for fault in results::left_out(&timings).chain(results::unused_bars(&rows, &reports)) {
        println!("bench: {fault}");
    }
    for line in rows.iter().filter_map(|row| page::ratio_line(&options.name, row)) {
        println!("{line}");
    }
    let run =
        page::Run { command: options.line(), date: date()?, processor: processor(), compiler: compiler()? };
    let path = workspace.root.join(PAGE);
    let old = fs::read_to_string(&path).unwrap_or_else(|_| page::EMPTY.to_owned());
    let new = page::rewrite(&old, &options.name, &page::section(&rows, &reports.measures, &run));
    fs::create_dir_all(path.parent().unwrap_or(&path))
        .map_err(Error::on("cannot make the folder of the page"))?;
    fs::write(&path, new).map_err(Error::on(format!("cannot write `{PAGE}`")))?;
    println!("bench: wrote the table of `{}` in {PAGE}", options.name);
    Ok(true)
}

fn date() -> Result<String> {
    Ok(process::output(Command::new("date").args(["-u", "+%F"]))?.trim().to_owned())
}

fn compiler() -> Result<String> {
    let text = process::output(Command::new("rustc").arg("--version"))?;
    Ok(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// The processor's model and the number of its threads that we may use.
fn processor() -> String {
    let text = fs::read_to_string(Path::new("/proc/cpuinfo")).unwrap_or_default();
    let model =
        text.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim()));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{} ({threads} threads)", model.unwrap_or(std::env::consts::ARCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_go_where_they_belong() {
        let options =
            parse("ratelimit --features peers --one-processor --servers -- --sample-size 20").unwrap();
        assert_eq!(options.name, "ratelimit");
        assert!(options.servers && options.one_processor);
        assert_eq!(options.cargo, ["--features", "peers"]);
        assert_eq!(options.criterion, ["--sample-size", "20"]);
        let line =
            "cargo xtask bench ratelimit --servers --one-processor --features peers -- --sample-size 20";
        assert_eq!(options.line(), line);
        assert_eq!(parse(line.trim_start_matches("cargo xtask bench")).unwrap(), options);
        assert!(!parse("sql --servers").unwrap().one_processor);
        // Where Postgres is to wait for the disk, it is started.
        let synced = parse("webhook --synced").unwrap();
        assert!(synced.servers && synced.synced);
        assert_eq!(synced.line(), "cargo xtask bench webhook --synced");
        assert_eq!(parse("webhook --servers --synced").unwrap().line(), synced.line());
        assert_eq!(parse("expr").unwrap().line(), "cargo xtask bench expr");
        assert!(matches!(parse(""), Err(Error::Usage(_))));
        assert!(matches!(parse("--servers"), Err(Error::Usage(_))));
    }
}

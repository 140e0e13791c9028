//! Replays a web server's access log, in the log's own time, through one policy by four algorithms side by side.
//!
//! ```sh
//! cargo run --release --example replay -- access.log.gz --policy "60/min burst 10"
//! ```
//!
//! Without a log it explains itself and replays a made-up one.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report goes to standard output and faults to standard error"
)]

mod arguments;
mod contest;
mod order;
mod report;
mod sample;
mod timeline;

use std::error::Error;
use std::fs::File;
use std::io::{Cursor, Read};
use std::process::ExitCode;
use std::time::Duration;

use guardian_examples::access_log::{Entry, Lines};
use indicatif::{ProgressBar, ProgressStyle};

use arguments::{Arguments, By, HELP};
use contest::Contest;
use order::Ordered;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("replay: {error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match replay(&arguments) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("replay: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What was read besides requests.
#[derive(Debug, Default)]
struct Faults {
    lines: u64,
    /// The first line that is no entry, with its number.
    first: Option<String>,
    /// Lines whose time is so far back that their turn was over.
    late: u64,
}

fn replay(arguments: &Arguments) -> Result<String, Box<dyn Error>> {
    // Hidden by itself where standard error is no terminal.
    let bar = ProgressBar::no_length();
    let (name, reader): (_, Box<dyn Read>) = match &arguments.log {
        Some(path) => {
            let fault = |error| format!("cannot read `{path}`: {error}");
            let file = File::open(path).map_err(fault)?;
            bar.set_length(file.metadata().map_err(fault)?.len());
            (path.clone(), Box::new(bar.wrap_read(file)))
        }
        None => {
            let log = sample::log();
            bar.set_length(log.len() as u64);
            ("a made-up log".to_owned(), Box::new(bar.wrap_read(Cursor::new(log))))
        }
    };
    bar.set_style(
        ProgressStyle::with_template("  {bar:40} {percent:>3} %  {bytes} of {total_bytes}  {eta} left")?
            .progress_chars("━╸ "),
    );
    let mut lines = Lines::of(&name, reader)?;
    let mut contest = Contest::new(arguments)?;
    let mut ordered = Ordered::default();
    let mut faults = Faults::default();
    while let Some((number, line)) = lines.next_line()? {
        if arguments.limit.is_some_and(|limit| number > limit) {
            break;
        }
        match Entry::parse(line) {
            Ok(entry) => match entry.time.timestamp_nanos_opt().map(u64::try_from) {
                Some(Ok(at)) => ordered.push(at, subject(&entry, arguments.by)),
                _ => faults.add(number, "the time is before 1970 or after 2262"),
            },
            Err(error) => faults.add(number, &error.to_string()),
        }
        while let Some((at, subject)) = ordered.next_ready() {
            contest.replay(at, &subject)?;
        }
    }
    while let Some((at, subject)) = ordered.next() {
        contest.replay(at, &subject)?;
    }
    bar.finish_and_clear();
    faults.late = ordered.late();
    if contest.requests() == 0 {
        let first = faults.first.map(|first| format!("; {first}")).unwrap_or_default();
        return Err(format!("`{name}` has no line in the common or combined log format{first}").into());
    }
    Ok(report::text(&name, arguments, &contest, &faults))
}

impl Faults {
    fn add(&mut self, number: u64, why: &str) {
        self.lines += 1;
        self.first.get_or_insert_with(|| format!("line {number}: {why}"));
    }
}

/// Whom a request is counted for, no longer than a limit takes.
fn subject<'l>(entry: &Entry<'l>, by: By) -> &'l str {
    let subject = match by {
        By::Address => entry.client,
        // The query is the caller's to vary.
        By::Path => entry.path().map_or("-", |path| path.split('?').next().unwrap_or(path)),
        By::Agent => entry.agent().unwrap_or("-"),
    };
    let end = subject.floor_char_boundary(guardian_ratelimit::Subject::MAX_LEN);
    subject.get(..end).unwrap_or(subject)
}

/// A time span as people say it.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{} ms", span.as_millis()),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

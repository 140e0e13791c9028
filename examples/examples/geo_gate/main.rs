//! Who would be let in: reads a web server's access log and a file of rules, and prints how many requests go through, by which rule, and
//! from which countries.
//!
//! ```sh
//! cargo run --release --example geo_gate -- access.log.gz rules.txt --country GeoLite2-Country.mmdb
//! cargo run --release --example geo_gate -- --explain 203.0.113.9 rules.txt
//! ```
//!
//! Without a log and rules it shows made-up ones.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report goes to standard output and faults to standard error"
)]

mod arguments;
mod report;
mod sample;

use std::error::Error;
use std::fs::File;
use std::io::{Cursor, Read};
use std::process::ExitCode;

use guardian::ipaccess::{
    AccessPolicy, AccessRequest, CompiledPolicy, DatabaseKind, Defaults, Geography, MaxMind, Wanted,
    parse_address,
};
use guardian_examples::access_log::{Entry, Lines};
use indicatif::{ProgressBar, ProgressStyle};

use arguments::{Arguments, HELP};
use report::Tally;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("geo_gate: {error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("geo_gate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<String, Box<dyn Error>> {
    let compiled = CompiledPolicy::new(policy(arguments)?);
    let geography = geography(arguments)?;
    if let Some(address) = &arguments.explain {
        let now = guardian::core::Clock::now(&guardian::core::SystemClock::new());
        let request = AccessRequest::new(parse_address(address)?, now);
        return Ok(compiled.explain(&request, &geography).to_string());
    }
    let tally = read_log(arguments, &compiled, &geography)?;
    Ok(tally.text(&compiled))
}

fn policy(arguments: &Arguments) -> Result<AccessPolicy, Box<dyn Error>> {
    let Some(path) = &arguments.rules else {
        return Ok(AccessPolicy::parse(sample::RULES, Defaults::open())?);
    };
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read `{path}`: {error}"))?;
    let is_json = text.trim_start().starts_with('{');
    let read =
        if is_json { AccessPolicy::from_json(&text) } else { AccessPolicy::parse(&text, Defaults::open()) };
    Ok(read.map_err(|error| format!("`{path}`: {error}"))?)
}

fn geography(arguments: &Arguments) -> Result<MaxMind, Box<dyn Error>> {
    let geography = MaxMind::new();
    let databases = [
        (DatabaseKind::Country, &arguments.country),
        (DatabaseKind::Asn, &arguments.asn),
        (DatabaseKind::Anonymous, &arguments.anonymous),
    ];
    for (kind, path) in databases {
        if let Some(path) = path {
            let bytes = std::fs::read(path).map_err(|error| format!("cannot read `{path}`: {error}"))?;
            geography.load(kind, bytes).map_err(|error| {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                format!("`{path}`: {error}{cause}")
            })?;
        }
    }
    Ok(geography)
}

fn read_log(
    arguments: &Arguments,
    compiled: &CompiledPolicy,
    geography: &MaxMind,
) -> Result<Tally, Box<dyn Error>> {
    // Hidden by itself where standard error is no terminal.
    let bar = ProgressBar::no_length();
    let (name, reader): (_, Box<dyn Read>) = match &arguments.log {
        Some(path) => {
            let fault = |error| format!("cannot read `{path}`: {error}");
            let file = File::open(path).map_err(fault)?;
            bar.set_length(file.metadata().map_err(fault)?.len());
            (path.clone(), Box::new(bar.wrap_read(file)))
        }
        None => ("a made-up log".to_owned(), Box::new(bar.wrap_read(Cursor::new(sample::log())))),
    };
    bar.set_style(
        ProgressStyle::with_template("  {bar:40} {percent:>3} %  {bytes} of {total_bytes}  {eta} left")?
            .progress_chars("━╸ "),
    );
    let mut lines = Lines::of(&name, reader)?;
    let mut tally = Tally::default();
    while let Some((_, line)) = lines.next_line()? {
        let Ok(entry) = Entry::parse(line) else {
            tally.no_entry();
            continue;
        };
        let wanted = Wanted { country: true, ..Wanted::default() };
        match parse_address(entry.client) {
            Ok(addr) => {
                let at = entry.time.with_timezone(&chrono::Utc);
                let mut request = AccessRequest::new(addr, at);
                request.route = entry.path().map(|path| path.split('?').next().unwrap_or(path));
                let country = geography.look_up(addr, at, wanted).country.believed(true);
                tally.count(country, &compiled.decide_in(&request, geography));
            }
            // A host name, which a log may have where an address belongs.
            Err(_) => tally.count(None, &compiled.unparsable()),
        }
    }
    bar.finish_and_clear();
    if tally.requests() == 0 {
        return Err(format!("`{name}` has no line in the common or combined log format").into());
    }
    Ok(tally)
}

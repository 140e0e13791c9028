//! Loads audit events into a log on disk, searches them from the command line, exports what was found, and verifies the log.
//!
//! ```sh
//! cargo run --release --example audit_search -- events.ndjson 'renewal action:deal.* risk:>=medium'
//! cargo run --release --example audit_search -- events.ndjson 'country:US -source:web' --export found.csv --verify
//! ```
//!
//! Without arguments it explains itself and searches events that are made up.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "results go to standard output and faults to standard error"
)]

mod input;
mod show;

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::process::ExitCode;

use guardian::audit::merkle::{Frontier, Hash, leaf_hash};
use guardian::audit::store::{AuditStore, Maintenance, SegmentStore};
use guardian::audit::{AuditConfig, AuditLog, Dimension, ExportFormat, Query, ReadAudit};
use guardian::core::{Clock, PageRequest, Scope, SystemClock, TenantId};
use indicatif::{ProgressBar, ProgressStyle};

const HELP: &str = "\
Loads audit events into a log, searches it, and shows the newest that were found.

  cargo run --release --example audit_search -- [EVENTS.ndjson] [QUERY] [OPTION]…

  EVENTS         a file with one event as JSON in each line; made-up events without it
  QUERY          words and qualifiers: renewal acme action:user.* actor:\"ann b\" risk:>=high ip:10.0.0.0/8
                 created:2025-01..2025-03 -country:US (a OR b)
  --tenant ID    search this tenant's events; the one with the most without it
  --export FILE  write all that was found: .csv, .json, .ndjson or .ocsf
  --verify       recompute every leaf and the root of the tenant's tree
";

struct Wanted {
    events: Option<PathBuf>,
    query: Query,
    tenant: Option<TenantId>,
    export: Option<PathBuf>,
    verify: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("audit_search: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprint!(": {cause}");
                source = cause.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let Some(wanted) = read(std::env::args().skip(1))? else {
        println!("{HELP}");
        return Ok(());
    };
    let folder = tempfile::Builder::new().prefix("audit_search-").tempdir()?;
    // Looking at somebody else's log for a demonstration is nothing to record.
    let config = AuditConfig::default().with_read_audit(ReadAudit::Exports);
    let log = AuditLog::new(SegmentStore::open(folder.path())?, config);
    let largest = load(&log, wanted.events.as_deref()).await?;
    let scope = Scope::system(wanted.tenant.clone().or(largest).ok_or("there is no event in the file")?);

    let clock = SystemClock::new();
    let start = clock.monotonic();
    let page = log.search(&scope, &wanted.query, &PageRequest::first(10)?).await?;
    let searched = clock.monotonic().since(start);
    let start = clock.monotonic();
    let count = log.count(&scope, &wanted.query, None).await?;
    let counted = clock.monotonic().since(start);
    println!("\nTenant {}, query: {}\n", scope.tenant(), show::query(&wanted.query));
    show::events(&page.items);
    println!("\n{count} events; the page took {searched:.1?}, the count {counted:.1?}\n");
    for dimension in [Dimension::Action, Dimension::Risk, Dimension::Country] {
        show::facets(dimension, &log.facets(&scope, &wanted.query, dimension, 6).await?);
    }
    if let Some(path) = &wanted.export {
        export(&log, &scope, &wanted.query, path).await?;
    }
    if wanted.verify {
        verify(&log, &scope).await?;
    }
    Ok(())
}

/// What the command line asks for; nothing when it asks for help.
fn read(arguments: impl Iterator<Item = String>) -> Result<Option<Wanted>, Box<dyn Error>> {
    let mut wanted = Wanted { events: None, query: Query::All, tenant: None, export: None, verify: false };
    let mut arguments = arguments.peekable();
    if arguments.peek().is_none() {
        println!("{HELP}\nHere is how it goes with events that are made up:");
        wanted.query = "renewal action:deal.* (risk:>=medium OR outcome:denied)".parse()?;
        wanted.verify = true;
        return Ok(Some(wanted));
    }
    let mut asked = false;
    while let Some(word) = arguments.next() {
        let mut value = |name: &str| arguments.next().ok_or(format!("`{name}` wants a value"));
        match word.as_str() {
            "-h" | "--help" => return Ok(None),
            "--tenant" => wanted.tenant = Some(value("--tenant")?.parse()?),
            "--export" => wanted.export = Some(value("--export")?.into()),
            "--verify" => wanted.verify = true,
            option if option.starts_with("--") => {
                return Err(format!("unknown option `{option}`; try --help").into());
            }
            path if wanted.events.is_none() && !asked && PathBuf::from(path).is_file() => {
                wanted.events = Some(path.into());
            }
            text if !asked => {
                wanted.query = text.parse().map_err(|error| format!("the query `{text}`: {error}"))?;
                asked = true;
            }
            text => return Err(format!("one query at a time, not also `{text}`; quote it as a whole").into()),
        }
    }
    Ok(Some(wanted))
}

/// Puts the events into the log; the tenant with the most of them.
async fn load(
    log: &AuditLog<SegmentStore>,
    path: Option<&std::path::Path>,
) -> Result<Option<TenantId>, Box<dyn Error>> {
    let clock = SystemClock::new();
    let start = clock.monotonic();
    let events = match path {
        Some(path) => input::read(path)?,
        None => input::made_up(20_000)?,
    };
    let bar = bar(events.values().map(Vec::len).sum());
    let mut sizes = Vec::new();
    for (tenant, events) in events {
        let scope = Scope::system(tenant.clone());
        sizes.push((events.len(), tenant));
        let mut rest = events;
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(500));
            let count = rest.len();
            log.record_all(&scope, rest).await?;
            bar.inc(u64::try_from(count)?);
            rest = later;
        }
    }
    log.store().seal()?;
    while log.store().maintain()? != Maintenance::Idle {}
    bar.finish_and_clear();
    let all: usize = sizes.iter().map(|(count, _)| count).sum();
    println!("{all} events of {} tenants loaded in {:.1?}", sizes.len(), clock.monotonic().since(start));
    Ok(sizes.into_iter().max().map(|(_, tenant)| tenant))
}

async fn export(
    log: &AuditLog<SegmentStore>,
    scope: &Scope,
    query: &Query,
    path: &std::path::Path,
) -> Result<(), Box<dyn Error>> {
    let format = match path.extension().and_then(|end| end.to_str()) {
        Some("csv") => ExportFormat::Csv,
        Some("json") => ExportFormat::Json,
        Some("ndjson") => ExportFormat::NdJson,
        Some("ocsf") => ExportFormat::Ocsf,
        Some("parquet") => ExportFormat::Parquet,
        _ => {
            return Err(format!(
                "`{}` ends in none of .csv, .json, .ndjson, .ocsf, .parquet",
                path.display()
            )
            .into());
        }
    };
    let bar = ProgressBar::new_spinner();
    let mut file = BufWriter::new(File::create(path)?);
    let manifest = log.export(scope, query, format, &mut file, |count| bar.set_position(count)).await?;
    bar.finish_and_clear();
    println!("\n{} events exported to {}, root {}", manifest.count, path.display(), manifest.root);
    Ok(())
}

/// Every leaf from the bytes of its event, and the root from the leaves.
async fn verify(log: &AuditLog<SegmentStore>, scope: &Scope) -> Result<(), Box<dyn Error>> {
    let head = log.head(scope).await?;
    let bar = bar(usize::try_from(head.size)?);
    let mut frontier = Frontier::new();
    while frontier.size() < head.size {
        let from = frontier.size();
        let leaves = log.store().leaves(scope, from, 1_000).await?;
        let records = log.store().records(scope, from, 1_000).await?;
        for (record, leaf) in records.iter().zip(leaves) {
            if let Some(bytes) = record.leaf(scope.tenant())
                && leaf_hash(&bytes) != Hash::new(leaf)
            {
                return Err(format!("event {} is not the one that was recorded", record.sequence).into());
            }
            frontier.append(Hash::new(leaf));
        }
        bar.set_position(frontier.size());
    }
    bar.finish_and_clear();
    match frontier.root() == Hash::new(head.root) {
        true => println!("\nVerified: {} events, root {}", head.size, Hash::new(head.root)),
        false => return Err("the root is not that of the leaves".into()),
    }
    Ok(())
}

/// A bar to look at, which hides itself where standard error is no terminal.
fn bar(length: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} events  {per_sec}") {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar
}

//! `access-log`: a log in the combined format, or a folder of such.
//!
//! Cases are the lines, which must parse, each promise for each client, and the order of the lines. Lines that do not
//! parse are named; the bar is 999 of 1,000 lines and every other case.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use guardian_core::{Clock, ManualClock, MonoTime};
use guardian_examples::access_log::{Entry, Lines};
use guardian_ratelimit::{Limit, Limiter, MemoryStore, Policy, Realm};
use indicatif::ProgressBar;

use super::Report;
use crate::oracle::{Answer, Promise};

/// How far a line may be behind one above it. Servers write a line when the answer is sent, so a slow answer's line
/// comes late.
const DISORDER: Duration = Duration::from_secs(3600);

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Rules of every algorithm that bite on the traffic of a small site, and what they promise.
const RULES: &[(&str, Promise)] = &[
    ("60/min burst 10", Promise::Bucket { count: 60, window: MINUTE, burst: 10 }),
    ("7/min burst 3", Promise::Bucket { count: 7, window: MINUTE, burst: 3 }),
    ("1/h", Promise::Bucket { count: 1, window: HOUR, burst: 1 }),
    ("3/10s sliding exact", Promise::Exact { limit: 3, window: 10 * SECOND }),
    ("20/min sliding exact", Promise::Exact { limit: 20, window: MINUTE }),
    ("50/h sliding exact", Promise::Exact { limit: 50, window: HOUR }),
    ("3/10s sliding strict 5", Promise::Strict { limit: 3, window: 10 * SECOND, slice: 2 * SECOND }),
    ("20/min sliding strict 60", Promise::Strict { limit: 20, window: MINUTE, slice: SECOND }),
    ("50/h sliding strict 12", Promise::Strict { limit: 50, window: HOUR, slice: 5 * MINUTE }),
    ("3/10s sliding lenient 5", Promise::Lenient { limit: 3, window: 10 * SECOND, slice: 2 * SECOND }),
    ("20/min sliding lenient 60", Promise::Lenient { limit: 20, window: MINUTE, slice: SECOND }),
    ("50/h sliding lenient 12", Promise::Lenient { limit: 50, window: HOUR, slice: 5 * MINUTE }),
    ("3/10s fixed", Promise::Fixed { limit: 3, window: 10 * SECOND }),
    ("20/min fixed", Promise::Fixed { limit: 20, window: MINUTE }),
    ("50/day fixed", Promise::Fixed { limit: 50, window: 24 * HOUR }),
    ("3 concurrent for 1min", Promise::Concurrent { permits: 3, held: 2 * SECOND }),
    ("8 concurrent for 1min", Promise::Concurrent { permits: 8, held: 30 * SECOND }),
];

/// Who came when, in nanoseconds since 1970.
type Traffic = Vec<(u64, String)>;

pub(super) fn run(path: &Path, bar: &ProgressBar) -> Result<Report, Box<dyn Error>> {
    let mut report = Report::default();
    let mut traffic = Traffic::new();
    bar.set_message("reading");
    for log in logs(path)? {
        read(&log, &mut traffic, &mut report, bar)?;
    }
    let (lines, faulty) = (report.passed, report.failed.len() as u64);
    if lines == 0 {
        return Err(format!("`{}` has no line in the combined log format", path.display()).into());
    }
    if faulty * 1000 > lines + faulty {
        report
            .missed
            .push(format!("{faulty} of {} lines do not parse, more than one in a thousand", lines + faulty));
    }
    traffic.sort();
    bar.set_length(RULES.len() as u64);
    bar.set_position(0);
    let before = report.failed.len();
    for (rule, promise) in RULES {
        bar.set_message(*rule);
        let histories = match promise {
            Promise::Concurrent { held, .. } => hold(rule, &traffic, *held)?,
            _ => check(rule, &traffic)?,
        };
        for (client, history) in &histories {
            let broken = promise.broken_by(history);
            report.case(broken.map(|(answer, how)| {
                let after = answer.at - history.first().map_or(0, |first| first.at);
                format!("`{rule}` {how} to {client}, {} s after its first request", after / SECOND)
            }));
        }
        bar.inc(1);
    }
    let broken = report.failed.len() - before;
    if broken > 0 {
        report.missed.push(format!("{broken} promises were broken"));
    }
    Ok(report)
}

/// The log, or every log of a folder in the order of their names.
fn logs(path: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let fault = |error| format!("cannot read `{}`: {error}", path.display());
    if !fs::metadata(path).map_err(fault)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(fault)?;
    let mut logs: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    logs.retain(|log| log.extension().is_some_and(|extension| extension == "gz" || extension == "log"));
    logs.sort();
    Ok(logs)
}

/// Each line is a case: it parses, and comes no more than [`DISORDER`] after a later one.
fn read(
    log: &Path,
    traffic: &mut Traffic,
    report: &mut Report,
    bar: &ProgressBar,
) -> Result<(), Box<dyn Error>> {
    let mut lines = Lines::open(log)?;
    let mut latest = 0;
    while let Some((number, line)) = lines.next_line()? {
        bar.inc(1);
        let entry = match Entry::parse(line) {
            Ok(entry) => entry,
            Err(error) => {
                report.case(Some(format!("line {number}: {error}")));
                continue;
            }
        };
        let at = entry.time.timestamp_nanos_opt().and_then(|nanos| u64::try_from(nanos).ok());
        let Some(at) = at else {
            report.case(Some(format!("line {number}: the time {} is not of this era", entry.time)));
            continue;
        };
        latest = latest.max(at);
        let behind = Duration::from_nanos(latest - at);
        report.case((behind > DISORDER).then(|| format!("line {number}: {behind:?} behind a line above it")));
        traffic.push((at, entry.client.to_owned()));
    }
    Ok(())
}

type Histories<'t> = BTreeMap<&'t str, Vec<Answer>>;

/// What a rule answers each client.
fn check<'t>(rule: &str, traffic: &'t Traffic) -> Result<Histories<'t>, Box<dyn Error>> {
    let limiter = Limiter::new(MemoryStore::new());
    let policy = limiter.define(Policy::new("per-client", rule)?)?;
    let mut histories = Histories::new();
    for (at, client) in traffic {
        let limits = [Limit::of(policy, client)];
        let decision = limiter.check_local_at(Realm::Shared, &limits, MonoTime::from_nanos(*at))?;
        let admitted = decision.is_allowed();
        histories.entry(client).or_default().push(Answer { at: *at, admitted });
    }
    Ok(histories)
}

/// The same where each admitted request holds a permit for a while.
fn hold<'t>(rule: &str, traffic: &'t Traffic, held: u64) -> Result<Histories<'t>, Box<dyn Error>> {
    let clock = ManualClock::at(std::time::UNIX_EPOCH.into());
    let limiter = Limiter::with_clock(MemoryStore::new(), clock.clone());
    let policy = limiter.define(Policy::new("per-client", rule)?)?;
    let mut histories = Histories::new();
    let mut working = VecDeque::new();
    for (at, client) in traffic {
        while working.front().is_some_and(|(end, _)| end <= at) {
            working.pop_front();
        }
        clock.advance(MonoTime::from_nanos(*at).since(clock.monotonic()));
        let admission = ready(limiter.acquire(Realm::Shared, &[Limit::of(policy, client)]))?;
        let admitted = admission.permit.is_some();
        working.extend(admission.permit.map(|permit| (at + held, permit)));
        histories.entry(client).or_default().push(Answer { at: *at, admitted });
    }
    Ok(histories)
}

/// The value of a future that has nothing to wait for, which is every one on memory.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

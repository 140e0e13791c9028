//! Usage events in, balances out: who used how much, who is near a limit, and when it will be used up.
//!
//! ```sh
//! cargo run --example quota_metering                            # a made-up month
//! cargo run --example quota_metering -- plan.json events.ndjson
//! cargo run --example quota_metering -- plan.json - < events.ndjson
//! ```
//!
//! Each line of the events is one, of ours
//! (`{"id": "e1", "feature": "tokens", "subject": "user:u_17", "time": "2026-03-01T00:00:00Z", "amount": 1250}`) or a CloudEvent.
//! Repetitions count once, and the order does not matter.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person at a terminal")]

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::process::ExitCode;

use guardian::core::{ManualClock, Scope, TenantId, Timestamp};
use guardian::quota::analytics::UsagePoint;
use guardian::quota::{
    Balance, Cadence, FeatureName, Happened, Level, MemoryStore, Period, Plan, Quotas, Subject, Subscription,
};

const SAMPLE_PLAN: &str = include_str!("plan.json");
const USAGE: &str = "usage: quota_metering [PLAN EVENTS], where EVENTS is a file or `-`";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let done = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quota_metering: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (plan, lines) = match arguments.as_slice() {
        [] => (Plan::parse(SAMPLE_PLAN)?, sample()),
        [plan, events] => (Plan::parse(&fs::read_to_string(plan)?)?, read(events)?),
        _ => return Err(USAGE.into()),
    };
    let mut events = Vec::new();
    let mut unread = 0;
    for (line, number) in lines.iter().zip(1..) {
        match Happened::parse(line) {
            Ok(event) => events.push(event),
            Err(error) => {
                unread += 1;
                eprintln!("line {number}: {error}");
            }
        }
    }
    let first = events.iter().map(|event| event.at).min().ok_or("there is no event")?;
    let last = events.iter().map(|event| event.at).max().unwrap_or(first);

    // The clock stands where the events end, and periods are counted from the first of the month in which they begin.
    let quotas = Quotas::in_memory([plan.clone()])?.with_clock(ManualClock::at(last))?;
    let scope = Scope::system(TenantId::new("metered")?);
    let anchor: Timestamp = format!("{}-01T00:00:00Z", first.format("%Y-%m")).parse()?;
    quotas.subscribe(&scope, Subscription::new(plan.name.clone(), anchor)).await?;
    let (mut counted, mut repeated, mut refused) = (0, 0, 0);
    for event in &events {
        match quotas.record(&scope, event).await {
            Ok(posted) if posted.replayed => repeated += 1,
            Ok(_) => counted += 1,
            Err(error) => {
                refused += 1;
                eprintln!("{} of {}: {error}", event.usage.feature(), event.usage.subject());
            }
        }
    }
    println!(
        "{counted} events counted, {repeated} repeated, {refused} refused, {unread} not read; until {last}\n"
    );
    let span = Period::new(last - chrono::TimeDelta::days(29), last + chrono::TimeDelta::seconds(1));
    for feature in plan.features.keys() {
        report(&quotas, &scope, feature, span).await?;
    }
    Ok(())
}

async fn report(
    quotas: &Quotas<MemoryStore>,
    scope: &Scope,
    feature: &FeatureName,
    span: Period,
) -> Result<(), Box<dyn Error>> {
    let org = Subject::org();
    // Switches and settings have nothing to count.
    let Ok(days) = quotas.usage(scope, feature.as_str(), &org, span, Cadence::Day).await else {
        return Ok(());
    };
    println!("{feature}");
    println!("  by day, to {}:  {}", span.end().unwrap_or_default().format("%d %B"), chart(&days));
    println!("  {}", standing(&quotas.balance(scope, feature.as_str(), &org).await?));
    if let Some(forecast) = quotas.forecast(scope, feature.as_str(), &org).await? {
        let day = |at: Option<Timestamp>| {
            at.map_or_else(|| "never".to_owned(), |at| at.format("%d %B %Y").to_string())
        };
        println!(
            "  at {:.0} a day it is used up on {} (9 in 10: {} to {}){}",
            forecast.per_day,
            day(forecast.exhausted),
            day(forecast.earliest),
            day(forecast.latest),
            if forecast.resets_first { ", after it starts anew" } else { "" }
        );
    }
    for level in [Level::Team, Level::User, Level::Key] {
        let top = quotas.top(scope, feature.as_str(), level, span, 3).await?;
        if !top.is_empty() {
            let list: Vec<String> =
                top.iter().map(|(subject, amount)| format!("{subject} {amount}")).collect();
            println!("  most by {level}: {}", list.join(", "));
        }
        let all = quotas.top(scope, feature.as_str(), level, span, usize::MAX).await?;
        for (subject, _) in all {
            let balance = quotas.balance(scope, feature.as_str(), &subject).await?;
            if balance.percent().is_some_and(|percent| percent >= 80) {
                println!("  near its limit: {}", standing(&balance));
            }
        }
    }
    println!();
    Ok(())
}

fn standing(balance: &Balance) -> String {
    let mut text = format!("{}: {} used", balance.subject, balance.used);
    // Writing to a text does not fail.
    if let (Some(limit), Some(percent)) = (balance.limit, balance.percent()) {
        let _ = write!(text, " of {limit} ({percent} %)");
    }
    if balance.beyond > 0 {
        let _ = write!(text, ", {} beyond", balance.beyond);
    }
    if let Some(resets) = balance.resets_at {
        let _ = write!(text, ", anew on {}", resets.format("%d %B %Y"));
    }
    text
}

/// A column for each day, in eighths of the highest.
fn chart(days: &[UsagePoint]) -> String {
    const COLUMNS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = days.iter().map(|day| day.amount).max().unwrap_or(0).max(1);
    let column = |day: &UsagePoint| {
        let eighths = (day.amount.max(0) * 8 + highest - 1) / highest;
        usize::try_from(eighths).ok().and_then(|eighths| COLUMNS.get(eighths)).copied().unwrap_or(' ')
    };
    days.iter().map(column).collect()
}

fn read(path: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let lines: Vec<String> = if path == "-" {
        io::stdin().lock().lines().collect::<Result<_, _>>()?
    } else {
        BufReader::new(fs::File::open(path)?).lines().collect::<Result<_, _>>()?
    };
    Ok(lines.into_iter().filter(|line| !line.trim().is_empty()).collect())
}

/// A made-up month of a team that grows, one event repeated and one late.
fn sample() -> Vec<String> {
    let mut lines = Vec::new();
    let mut random = 7_u64;
    for day in 1..=24_u64 {
        for (user, team, share) in [("ann", "sales", 9), ("bob", "sales", 5), ("cid", "support", 3)] {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let amount = share * 150 + day * share * 4 + (random >> 33) % 400;
            lines.push(format!(
                r#"{{"id":"{user}-{day}","feature":"tokens","subject":"team:{team}/user:{user}","time":"2026-03-{day:02}T10:00:00Z","amount":{amount}}}"#
            ));
            lines.push(format!(
                r#"{{"specversion":"1.0","id":"{day}","source":"app/{user}","type":"people","time":"2026-03-{day:02}T10:00:00Z","data":{{"value":"{user}","subject":"org"}}}}"#
            ));
        }
    }
    lines.extend(lines.first().cloned());
    lines.push(r#"{"id":"late","feature":"tokens","subject":"team:sales/user:ann","time":"2026-02-27T10:00:00Z","amount":700}"#.to_owned());
    lines
}

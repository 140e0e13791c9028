//! What the command line says.

use std::time::Duration;

use guardian_ratelimit::{Algorithm, Rate, Rule};

pub(crate) const HELP: &str = "\
Replays an access log through one policy by four algorithms: what would each
have denied, and whom?

  cargo run --release --example replay -- [LOG] [OPTIONS]

LOG is in the common or combined log format, plain or gzip. Without it a made-up
log is replayed.

  --policy RULE        a rate; `60/min burst 10` unless given
  --by WHAT            whom to count for: `address` (default), `path` or `agent`
  --permits N          concurrency: how many at a time; the burst unless given
  --service-time TIME  concurrency: how long each request takes, `500ms` unless
                       given: a log does not say when a request began or ended
  --top N              how many of the most limited to list; 10 unless given
  --limit N            read only the first N lines
  --help               this text";

#[derive(Debug)]
pub(crate) struct Arguments {
    /// The path of the log; `None` for the made-up one.
    pub(crate) log: Option<String>,
    pub(crate) rate: Rate,
    pub(crate) burst: u32,
    pub(crate) by: By,
    pub(crate) permits: u32,
    pub(crate) service_time: Duration,
    pub(crate) top: usize,
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    Address,
    Path,
    Agent,
}

impl By {
    /// One and several of them.
    pub(crate) fn nouns(self) -> (&'static str, &'static str) {
        match self {
            Self::Address => ("address", "addresses"),
            Self::Path => ("path", "paths"),
            Self::Agent => ("agent", "agents"),
        }
    }
}

impl Arguments {
    /// `None` when help is wanted.
    pub(crate) fn parse(mut given: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let (mut log, mut policy, mut permits) = (None, "60/min burst 10".to_owned(), None);
        let (mut by, mut service_time) = (By::Address, Duration::from_millis(500));
        let (mut top, mut limit) = (10, None);
        while let Some(word) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("`{word}` needs a value"));
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--policy" => policy = value()?,
                "--by" => by = parse_by(&value()?)?,
                "--permits" => permits = Some(number("--permits", &value()?)?),
                "--service-time" => service_time = parse_time(&value()?)?,
                "--top" => top = number("--top", &value()?)?,
                "--limit" => limit = Some(number("--limit", &value()?)?),
                option if option.starts_with('-') => return Err(format!("unknown option `{option}`")),
                _ if log.is_some() => return Err(format!("there is a log already, what is `{word}`?")),
                _ => log = Some(word),
            }
        }
        let (rate, burst) = rate_and_burst(&policy)?;
        Ok(Some(Self {
            log,
            rate,
            burst,
            by,
            permits: permits.unwrap_or_else(|| burst.min(Rule::MAX_PERMITS)),
            service_time,
            top,
            limit,
        }))
    }
}

fn rate_and_burst(policy: &str) -> Result<(Rate, u32), String> {
    let rule: Rule = policy.parse().map_err(|error| format!("{error}"))?;
    match rule.algorithm() {
        Algorithm::TokenBucket { rate, burst } => Ok((rate, burst)),
        Algorithm::SlidingWindow { rate, .. } | Algorithm::FixedWindow { rate } => Ok((rate, rate.count())),
        _ => Err(format!(
            "the policy `{policy}` has no rate: write one such as `60/min`, and `--permits` for the concurrency"
        )),
    }
}

fn parse_by(text: &str) -> Result<By, String> {
    match text {
        "address" => Ok(By::Address),
        "path" => Ok(By::Path),
        "agent" => Ok(By::Agent),
        _ => Err(format!("`--by {text}`: write `address`, `path` or `agent`")),
    }
}

fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{option} {text}`: it must be a number"))
}

/// The time as a rule's time is written.
fn parse_time(text: &str) -> Result<Duration, String> {
    let rule = format!("1 concurrent for {text}").parse::<Rule>();
    rule.map(|rule| rule.window())
        .map_err(|_| format!("`--service-time {text}`: it must be a time from 1ms to 366d, such as `500ms`"))
}

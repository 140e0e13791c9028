use std::time::Duration;

use guardian_ratelimit::{Algorithm, Rate, Rule};

use crate::RetryAfter;

/// Which limits are exceeded and when to come back, for people.
pub(super) fn detail<'n>(
    exceeded: impl Iterator<Item = (&'n str, Rule)>,
    retry_after: Option<RetryAfter>,
) -> String {
    let named: Vec<String> = exceeded.map(|(name, rule)| format!("`{name}` ({})", in_words(&rule))).collect();
    let (limits, is) = if named.len() == 1 { ("the limit", "is") } else { ("the limits", "are") };
    let named = named.join(" and ");
    match retry_after {
        Some(wait) => format!("{limits} {named} {is} used up; try again in {}", seconds(wait)),
        None => format!("this request costs more than {limits} {named} will ever admit at once"),
    }
}

/// `1 second`, `30 seconds`.
pub(super) fn seconds(wait: RetryAfter) -> String {
    plural(wait.seconds(), "second")
}

fn in_words(rule: &Rule) -> String {
    match rule.algorithm() {
        Algorithm::TokenBucket { rate, burst } if burst == rate.count() => per(rate, "per"),
        Algorithm::TokenBucket { rate, burst } => format!("{}, {burst} at once", per(rate, "per")),
        Algorithm::SlidingWindow { rate, .. } => per(rate, "in any"),
        Algorithm::FixedWindow { rate } => per(rate, "in each"),
        Algorithm::Concurrency { permits, .. } => format!("{} at a time", requests(permits)),
        _ => rule.to_string(),
    }
}

fn per(rate: Rate, preposition: &str) -> String {
    format!("{} {preposition} {}", requests(rate.count()), window(rate.window()))
}

fn requests(count: u32) -> String {
    plural(u64::from(count), "request")
}

/// In the largest unit that divides it, without the number if that is 1: `minute`, `90 minutes`.
fn window(window: Duration) -> String {
    const UNITS: [(u128, &str); 6] = [
        (604_800_000, "week"),
        (86_400_000, "day"),
        (3_600_000, "hour"),
        (60_000, "minute"),
        (1_000, "second"),
        (1, "millisecond"),
    ];
    let millis = window.as_millis();
    let unit = UNITS.iter().find(|(unit, _)| millis.is_multiple_of(*unit));
    match unit {
        Some((unit, name)) if millis == *unit => (*name).to_owned(),
        Some((unit, name)) => format!("{} {name}s", millis / unit),
        None => format!("{window:?}"),
    }
}

fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

//! What came of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use guardian::ipaccess::{CompiledPolicy, Country, Decision, Reason};

/// How many were let in, and how many kept out.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    allowed: u64,
    denied: u64,
}

impl Count {
    fn add(&mut self, decision: &Decision) {
        if decision.denies() { self.denied += 1 } else { self.allowed += 1 }
    }

    fn all(self) -> u64 {
        self.allowed + self.denied
    }
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    all: Count,
    countries: BTreeMap<String, Count>,
    /// By what decides: its words, in the order of the rules.
    reasons: BTreeMap<(u32, String), (Option<Reason>, Count)>,
    no_entries: u64,
}

/// As wide as the bars of the largest entry get.
const WIDTH: u64 = 40;
const SHOWN: usize = 20;

impl Tally {
    pub(crate) fn no_entry(&mut self) {
        self.no_entries += 1;
    }

    pub(crate) fn requests(&self) -> u64 {
        self.all.all()
    }

    pub(crate) fn count(&mut self, country: Option<Country>, decision: &Decision) {
        self.all.add(decision);
        let country = country.map_or_else(|| "unknown".to_owned(), |country| country.to_string());
        self.countries.entry(country).or_default().add(decision);
        let number = decision.rule().map_or(0, guardian::ipaccess::RuleId::number);
        let entry = self.reasons.entry((number, decision.reason().to_string())).or_default();
        entry.0 = Some(decision.reason());
        entry.1.add(decision);
    }

    pub(crate) fn text(&self, compiled: &CompiledPolicy) -> String {
        let mut text = String::new();
        let Count { allowed, denied } = self.all;
        let mode = if compiled.policy().is_dry_run() { " (dry run: all are let in)" } else { "" };
        let _ = writeln!(text, "{allowed} requests let in, {denied} kept out{mode}");
        if self.no_entries > 0 {
            let _ = writeln!(text, "{} lines are no log entries", self.no_entries);
        }
        let _ = writeln!(text, "\nby which rule");
        for (reason, count) in self.reasons.values() {
            let words = match reason {
                Some(Reason::Rule(id) | Reason::Embedded(id)) => {
                    compiled.policy().rule(*id).map_or_else(|| id.to_string(), |rule| format!("{id} {rule}"))
                }
                Some(reason) => reason.to_string(),
                None => String::new(),
            };
            let _ = writeln!(text, "{:>9}  {words}", count.all());
        }
        let _ = writeln!(text, "\nfrom which country  ({} let in, {} kept out)", fill(3, 0), fill(0, 3));
        let mut countries: Vec<_> = self.countries.iter().collect();
        countries.sort_by_key(|(_, count)| std::cmp::Reverse(count.all()));
        let most = countries.first().map_or(1, |(_, count)| count.all().max(1));
        for (country, count) in countries.iter().take(SHOWN) {
            let scaled = |part: u64| (part * WIDTH).div_ceil(most);
            let _ = writeln!(
                text,
                "{country:>9}  {} {}",
                fill(scaled(count.allowed), scaled(count.denied)),
                count.all()
            );
        }
        if countries.len() > SHOWN {
            let _ = writeln!(text, "{:>9}  and {} more", "", countries.len() - SHOWN);
        }
        text
    }
}

fn fill(allowed: u64, denied: u64) -> String {
    let cells = |cell: &str, count: u64| cell.repeat(usize::try_from(count).unwrap_or(0));
    cells("█", allowed) + &cells("░", denied)
}

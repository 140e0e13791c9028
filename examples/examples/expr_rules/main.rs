//! `expr_rules [EVENTS.ndjson]`: thousands of rules of many tenants over a stream of events, one JSON object a line. Without a
//! file the events are generated. Ends with a line about the throughput.
#![expect(clippy::print_stdout, reason = "the report is the program's result")]

use std::collections::BTreeMap;
use std::error::Error;

use guardian_core::{Clock, SystemClock};
use guardian_expr::{Budget, Env, Program};
use serde_json::{Value as Json, json};

/// Rules of each tenant.
const RULES: usize = 50;

struct Rule {
    program: Program,
    hits: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let events = match std::env::args().nth(1) {
        Some(path) => {
            let text =
                std::fs::read_to_string(&path).map_err(|error| format!("cannot read `{path}`: {error}"))?;
            text.lines().map(serde_json::from_str).collect::<Result<Vec<Json>, _>>()?
        }
        None => (0..2000_u64).map(generated).collect(),
    };
    let tenant = |event: &Json| event.get("tenant").and_then(Json::as_str).unwrap_or("none").to_owned();
    let clock = SystemClock::new();
    let started = clock.monotonic();
    let env = Env::new();
    let mut tenants: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
    for event in &events {
        if let Some(name) = event.get("tenant").and_then(Json::as_str)
            && !tenants.contains_key(name)
        {
            let rules = (0..RULES).map(|rule| Ok(Rule { program: env.compile(&source(rule))?, hits: 0 }));
            tenants.insert(name.to_owned(), rules.collect::<Result<_, guardian_expr::Error>>()?);
        }
    }
    let compiled = clock.monotonic().since(started);
    let rules: usize = tenants.values().map(Vec::len).sum();
    println!("{rules} rules of {} tenants compiled in {compiled:.1?}", tenants.len());

    let started = clock.monotonic();
    let (mut evaluations, mut hits, mut failed, mut cost) = (0_u64, 0_u64, 0_u64, 0_u64);
    for event in &events {
        for rule in tenants.get_mut(&tenant(event)).into_iter().flatten() {
            let outcome = rule.program.run(event, Budget::default());
            evaluations += 1;
            cost += outcome.cost;
            match outcome.value {
                Ok(value) if value.as_bool() == Some(true) => rule.hits += 1,
                Ok(_) => {}
                Err(_) => failed += 1,
            }
        }
    }
    let spent = clock.monotonic().since(started);
    for rule in tenants.values().flatten() {
        hits += rule.hits;
    }
    let mut best: Vec<&Rule> = tenants.values().flatten().collect();
    best.sort_by_key(|rule| std::cmp::Reverse(rule.hits));
    for rule in best.iter().take(3) {
        println!("{:>6} hits: {}", rule.hits, rule.program.source());
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = evaluations as f64 / spent.as_secs_f64().max(1e-9);
    println!(
        "{} events, {evaluations} evaluations in {spent:.1?}: {rate:.0} a second, {hits} hits, {failed} failed, {cost} cost units",
        events.len()
    );
    Ok(())
}

/// The condition of a rule: kinds that tenants write, each with other values.
fn source(rule: usize) -> String {
    let pick = |list: &[&'static str]| list.get(rule % list.len()).copied().unwrap_or_default();
    let level = pick(&["low", "medium", "high", "critical"]);
    let country = pick(&["DE", "US", "MX", "FR", "JP"]);
    match rule % 5 {
        0 => format!("risk == '{level}' && outcome == 'success'"),
        1 => format!("country in ['{country}', 'AT', 'CH'] && action.startsWith('email.')"),
        2 => format!("category == 'communication' || risk == '{level}' && actor_type != 'user'"),
        3 => format!("has(meta.template) && meta.template.contains('web') && id % 7 == {rule} % 7"),
        _ => format!("cidr('{}.0.0.0/8').containsIP(ip) && source == 'mobile'", 10 + rule * 3),
    }
}

fn generated(number: u64) -> Json {
    let pick = |list: &[&str], by: u64| {
        let at = usize::try_from((number.wrapping_mul(by) >> 3) % list.len() as u64).unwrap_or(0);
        list.get(at).copied().unwrap_or_default().to_owned()
    };
    json!({
        "id": number,
        "tenant": format!("t{:03}", number % 40),
        "risk": pick(&["low", "low", "medium", "high", "critical"], 2_654_435_761),
        "outcome": pick(&["success", "success", "failure"], 40_503),
        "country": pick(&["DE", "US", "MX", "FR", "JP", "AT"], 69_069),
        "action": pick(&["email.opened", "deal.updated", "login"], 1_664_525),
        "category": pick(&["communication", "sales", "security"], 22_695_477),
        "actor_type": pick(&["user", "service"], 134_775_813),
        "ip": format!("{}.{}.3.4", number % 200 + 1, number % 251),
        "source": pick(&["mobile", "web"], 1_103_515_245),
        "meta": {"template": pick(&["webinar", "offer"], 48_271)},
    })
}

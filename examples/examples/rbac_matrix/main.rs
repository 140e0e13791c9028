//! A policy of roles on the command line: its matrix, who can do what, why, and what a change would mean.
//!
//! ```sh
//! cargo run --example rbac_matrix                                            # a sample, all of it
//! cargo run --example rbac_matrix -- policy.yaml matrix
//! cargo run --example rbac_matrix -- policy.yaml explain user:ann deal:export team:emea
//! cargo run --example rbac_matrix -- policy.yaml who-can deal:export
//! cargo run --example rbac_matrix -- policy.yaml what-can user:ann team:emea
//! cargo run --example rbac_matrix -- policy.yaml what-if changed.yaml
//! ```
//!
//! `sample.yaml` beside this file shows the form of a policy. Files ending with `.csv` are read as casbin's.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person at a terminal")]

use std::error::Error;
use std::process::ExitCode;

use guardian::core::{Clock, SystemClock};
use guardian::rbac::import::{CasbinModel, Imported, read_policy};
use guardian::rbac::{Area, Ask, Principal, Resource, Snapshot, difference};

const SAMPLE: &str = include_str!("sample.yaml");
const USAGE: &str = "usage: rbac_matrix [FILE [matrix | explain WHO PERMISSION [AREA] | who-can PERMISSION [AREA] | \
                     what-can WHO [AREA] | what-if FILE]]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rbac_matrix: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    match arguments {
        [] => {
            let policy = read("sample.yaml", SAMPLE)?;
            ask(&policy, &["matrix"])?;
            ask(&policy, &["explain", "user:ann", "deal:export", "team:vienna"])?;
            ask(&policy, &["explain", "user:bob", "deal:approve", "team:emea"])?;
            ask(&policy, &["who-can", "deal:edit", "team:vienna"])?;
            println!("What if sales could also export:\n");
            let changed = SAMPLE
                .replace("allow: [\"deal:*\"", "allow: [\"deal:*\", \"deal:export\"")
                .replace("deny: [\"deal:export\"]", "deny: []");
            compare(&policy, &read("sample.yaml", &changed)?)
        }
        [file, rest @ ..] => {
            let policy = read(file, &std::fs::read_to_string(file)?)?;
            match rest {
                ["what-if", other] => compare(&policy, &read(other, &std::fs::read_to_string(other)?)?),
                [] => ask(&policy, &["matrix"]),
                question => ask(&policy, question),
            }
        }
    }
}

fn read(name: &str, text: &str) -> Result<Imported, Box<dyn Error>> {
    let now = SystemClock::new().now();
    let imported = if name.ends_with(".csv") {
        CasbinModel::default().with_deny(true).read(text, now)
    } else {
        read_policy(text, now)
    };
    let imported = imported.map_err(|error| format!("{name}: {error}"))?;
    for note in &imported.notes {
        eprintln!("{name}: {note}");
    }
    Ok(imported)
}

fn ask(policy: &Imported, question: &[&str]) -> Result<(), Box<dyn Error>> {
    let (snapshot, now) = (policy.compile()?, SystemClock::new().now());
    let area = |text: Option<&&str>| text.map_or(Ok(Area::tenant()), |text| text.parse());
    match question {
        ["matrix"] => println!("{}", snapshot.matrix()),
        ["explain", who, permission, rest @ ..] if rest.len() <= 1 => {
            let (who, area): (Principal, Area) = (who.parse()?, area(rest.first())?);
            println!("{}", snapshot.explain(&Ask::new(&who, *permission).on(Resource::area(&area)), now)?);
        }
        ["who-can", permission, rest @ ..] if rest.len() <= 1 => {
            let area = area(rest.first())?;
            let who = snapshot.who_can(*permission, &Resource::area(&area), now)?;
            println!("{permission} in {area}:");
            if who.everyone {
                println!("  everyone");
            }
            for principal in who.principals {
                println!("  {principal}");
            }
            println!();
        }
        ["what-can", who, rest @ ..] if rest.len() <= 1 => {
            let (who, area): (Principal, Area) = (who.parse()?, area(rest.first())?);
            println!("{who} in {area}:");
            for can in snapshot.what_can(&who, &Resource::area(&area), now) {
                let name = snapshot.catalog().permission(can.permission).map(ToString::to_string);
                println!("  {:<24} {}", name.unwrap_or_default(), can.outcome);
            }
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

fn compare(before: &Imported, after: &Imported) -> Result<(), Box<dyn Error>> {
    let compiled = |policy: &Imported| -> Result<Snapshot, Box<dyn Error>> {
        // Both by the permissions of the first, so that they mean the same.
        let same = policy.policy();
        same.validate(&before.catalog, &policy.changes())?;
        Ok(Snapshot::compile(&same, &before.catalog, guardian::rbac::Revision::new(1))?)
    };
    let found = difference(&compiled(before)?, &compiled(after)?, SystemClock::new().now());
    if found.is_empty() {
        println!("nobody gains or loses anything");
    }
    for each in found {
        println!("{each}");
    }
    Ok(())
}

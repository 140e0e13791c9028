//! The floors of the house: a crate uses only crates of lower floors, so no domain ever uses another.

use std::cmp::Ordering;

use super::Violation;
use crate::workspace::Workspace;

const RULE: &str = "floors";

/// Every crate of ours on its floor, lowest first. A new crate is entered here before it builds.
const FLOORS: [&[&str]; 6] = [
    // The vocabulary, and what test kits share.
    &["guardian-core", "guardian-testkit"],
    // Ground services.
    &["guardian-expr", "guardian-sql", "guardian-yaml"],
    // Domains.
    &[
        "guardian-ratelimit",
        "guardian-quota",
        "guardian-ipaccess",
        "guardian-tenant",
        "guardian-partition",
        "guardian-audit",
        "guardian-compliance",
        "guardian-rbac",
        "guardian-sso",
        "guardian-workflow",
        "guardian-marketplace",
        "guardian-suggest",
        "guardian-sentiment",
        "guardian-routing",
        "guardian-metrics",
        "guardian-health",
        "guardian-alert",
        "guardian-webhook",
        "guardian-apidocs",
        "guardian-sdkgen",
    ],
    // Doors.
    &["guardian-http", "guardian-console"],
    // Everything put together.
    &["guardian-assembly"],
    // The face.
    &["guardian-facade"],
];

/// The floor of the domains.
const DOMAINS: usize = 2;

/// Members that nobody depends on and that may use everything.
const OUTSIDE: [&str; 3] = ["guardian-examples", "guardian-benches", "xtask"];

/// Whether the crate must be usable without any runtime or driver.
pub(super) fn is_pure(name: &str) -> bool {
    floor(name).is_some_and(|floor| floor <= DOMAINS)
}

/// Whether the rules for library crates leave this one alone.
pub(super) fn is_outside(name: &str) -> bool {
    OUTSIDE.contains(&name)
}

/// Every crate of ours has a floor, and every dependency on one leads down, dev-dependencies included.
pub(super) fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut violations = Vec::new();
    for member in workspace.members() {
        if floor(&member.name).is_none() && !is_outside(&member.name) {
            let remedy = format!("give `{}` a floor in crates/xtask/src/tidy/floors.rs", member.name);
            violations.push(Violation::new(RULE, member.folder.as_deref().unwrap_or_default(), remedy));
        }
        for dependency in &member.dependencies {
            if let Some(remedy) = fault(&member.name, &dependency.name, dependency.dev) {
                violations.push(Violation::new(
                    RULE,
                    format!("{} -> {}", member.name, dependency.name),
                    remedy,
                ));
            }
        }
    }
    violations
}

/// What is wrong with a dependency of `from` on `to`, if anything is.
fn fault(from: &str, to: &str, dev: bool) -> Option<String> {
    let ours = to.starts_with("guardian-") || is_outside(to);
    // A crate names itself among its dev-dependencies to turn its test kit on.
    if !ours || is_outside(from) || (dev && from == to) {
        return None;
    }
    if is_outside(to) {
        return Some(format!("no crate may depend on `{to}`"));
    }
    let Some(used) = floor(to) else {
        return Some(format!("`{to}` is not a crate of the house"));
    };
    // A crate without a floor has its own violation.
    let own = floor(from)?;
    match own.cmp(&used) {
        Ordering::Greater => None,
        Ordering::Equal if own == DOMAINS => {
            Some("let the two domains meet through events or a port".to_owned())
        }
        Ordering::Equal | Ordering::Less => {
            Some(format!("floor {own} may only use floors below it, not floor {used}"))
        }
    }
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|names| names.contains(&name))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::workspace::{Dependency, Package};

    /// The places of the violations of a workspace with these edges; `*` marks a dev-dependency.
    fn violations(edges: &[(&str, &str)]) -> Vec<String> {
        let package = |(from, to): &(&str, &str)| Package {
            name: (*from).to_owned(),
            folder: Some(format!("crates/{from}")),
            dependencies: vec![Dependency {
                name: to.trim_end_matches('*').to_owned(),
                dev: to.ends_with('*'),
            }],
            ..Package::default()
        };
        let packages = edges.iter().map(package).collect();
        let workspace = Workspace { root: PathBuf::new(), target: PathBuf::new(), packages };
        check(&workspace).into_iter().map(|violation| violation.place).collect()
    }

    #[test]
    fn downward_is_free() {
        let edges = [
            ("guardian-facade", "guardian-http"),
            ("guardian-http", "guardian-audit"),
            ("guardian-audit", "guardian-sql"),
            ("guardian-sql", "guardian-core"),
            ("guardian-core", "serde"),
            ("guardian-audit", "guardian-audit*"),
            ("xtask", "guardian-facade"),
            ("guardian-benches", "guardian-audit"),
        ];
        assert!(violations(&edges).is_empty());
    }

    #[test]
    fn every_other_direction_is_a_violation() {
        for (from, to) in [
            ("guardian-audit", "guardian-rbac"),
            ("guardian-audit", "guardian-rbac*"),
            ("guardian-audit", "guardian-audit"),
            ("guardian-core", "guardian-sql"),
            ("guardian-expr", "guardian-sql"),
            ("guardian-sql", "guardian-audit*"),
            ("guardian-console", "guardian-http"),
            ("guardian-http", "guardian-facade"),
            ("guardian-audit", "guardian-benches*"),
            ("guardian-audit", "guardian-typo"),
        ] {
            let place = format!("{from} -> {}", to.trim_end_matches('*'));
            assert_eq!(violations(&[(from, to)]), [place]);
        }
    }

    #[test]
    fn a_crate_without_a_floor_is_a_violation() {
        assert_eq!(violations(&[("guardian-novel", "serde")]), ["crates/guardian-novel"]);
    }
}

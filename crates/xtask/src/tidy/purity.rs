//! What a crate must not pull in: a domain without features is plain computation.

use super::{Violation, floors};
use crate::workspace::Workspace;

/// The runtimes, drivers and clients that only a feature may bring.
const IMPURE: [&str; 4] = ["tokio", "sqlx", "redis", "reqwest"];

/// The one crate that knows the SQL driver.
const SQL: &str = "guardian-sql";

/// Nothing impure in the output of `cargo tree --prefix none` of a library without features.
pub(super) fn check_tree(library: &str, tree: &str) -> Vec<Violation> {
    let pulled = tree.lines().filter_map(|line| line.split_whitespace().next());
    let impure = pulled.filter(|name| IMPURE.contains(name) || is_sqlx(name));
    let remedy = |name| format!("put what needs `{name}` behind a feature");
    impure.map(|name| Violation::new("purity", library, remedy(name))).collect()
}

/// No manifest but that of guardian-sql names sqlx.
pub(super) fn check_names(workspace: &Workspace) -> Vec<Violation> {
    let bound = workspace.members().filter(|member| member.name != SQL && !floors::is_outside(&member.name));
    let named =
        bound.flat_map(|member| member.dependencies.iter().map(move |dependency| (member, dependency)));
    let named = named.filter(|(_, dependency)| is_sqlx(&dependency.name));
    named
        .map(|(member, _)| Violation::new("purity", &member.name, format!("reach SQL through `{SQL}` only")))
        .collect()
}

fn is_sqlx(name: &str) -> bool {
    name == "sqlx" || name.starts_with("sqlx-")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::workspace::{Dependency, Package};

    #[test]
    fn a_runtime_in_the_tree_is_a_violation() {
        let tree = "guardian-audit v0.1.0 (/w/crates/guardian-audit)\nserde v1.0.229\ntokio-util v0.7.0\n\n";
        assert!(check_tree("guardian-audit", tree).is_empty());
        let tree = format!("{tree}tokio v1.54.0 (*)\nsqlx-core v0.9.0\n");
        let places: Vec<_> =
            check_tree("guardian-audit", &tree).into_iter().map(|found| found.remedy).collect();
        assert_eq!(
            places,
            ["put what needs `tokio` behind a feature", "put what needs `sqlx-core` behind a feature"]
        );
    }

    #[test]
    fn only_one_crate_names_sqlx() {
        let package = |name: &str| Package {
            name: name.to_owned(),
            folder: Some(format!("crates/{name}")),
            dependencies: vec![Dependency { name: "sqlx".to_owned(), dev: true }],
            ..Package::default()
        };
        let packages = ["guardian-sql", "guardian-audit", "guardian-benches"].map(package).into();
        let workspace = Workspace { root: PathBuf::new(), target: PathBuf::new(), packages };
        let places: Vec<_> = check_names(&workspace).into_iter().map(|violation| violation.place).collect();
        assert_eq!(places, ["guardian-audit"]);
    }
}

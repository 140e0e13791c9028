//! What the suite stands on is permissive, so that a host may ship it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Violation, floors, spdx};
use crate::workspace::{Package, Workspace};

/// Licences that everything may have.
const PERMISSIVE: [&str; 14] = [
    "MIT",
    // The same without the duty to name anybody.
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unlicense",
    "CC0-1.0",
    "0BSD",
    "Unicode-3.0",
    "BSL-1.0",
    // For data: use, change and share it freely, with the text of the licence. Mozilla's list of authorities has it.
    "CDLA-Permissive-2.0",
];

/// Licences that tools may have besides: they are used here and shipped to nobody.
/// The plus only says that later versions may be chosen too.
const TOOLING: [&str; 2] = ["MPL-2.0", "MPL-2.0+"];

/// Packages that stay out, whatever their licence.
const BANNED: [(&str, &str); 2] = [
    ("openidconnect", "its cryptography is a generation old; verify tokens with the crates already here"),
    ("standardwebhooks", "guardian-webhook signs by the same specification"),
];

/// The last version of evalexpr with a permissive licence.
const EVALEXPR: &str = "11.3.1";

/// Licences and bans over the whole resolved graph.
pub(super) fn check(workspace: &Workspace) -> Vec<Violation> {
    let shipped = shipped(workspace);
    let mut violations = Vec::new();
    for package in &workspace.packages {
        let place = format!("{} {}", package.name, package.version);
        if let Some(remedy) = ban(package) {
            violations.push(Violation::new("banned", &place, remedy));
        }
        if let Some(remedy) = fault(package.licence.as_deref(), shipped.contains(package.id.as_str())) {
            violations.push(Violation::new("licences", &place, remedy));
        }
    }
    violations
}

/// What is wrong with a licence, if anything is.
fn fault(licence: Option<&str>, shipped: bool) -> Option<String> {
    let Some(licence) = licence else {
        return Some("names no licence; do without it".to_owned());
    };
    let accepts = |name: &str| PERMISSIVE.contains(&name) || (!shipped && TOOLING.contains(&name));
    match spdx::satisfied(licence, &accepts) {
        Some(true) => None,
        Some(false) => Some(format!("`{licence}` is not permissive; do without it")),
        None => Some(format!("`{licence}` is no licence expression; do without it")),
    }
}

fn ban(package: &Package) -> Option<String> {
    if package.name == "evalexpr" && package.version != EVALEXPR {
        return Some(format!("pin `={EVALEXPR}`; later versions are AGPL"));
    }
    let (_, reason) = BANNED.iter().find(|(name, _)| *name == package.name)?;
    Some((*reason).to_owned())
}

/// The ids of the packages that a user of a library crate compiles or runs.
fn shipped(workspace: &Workspace) -> BTreeSet<&str> {
    let by_id: BTreeMap<&str, &Package> = workspace.packages.iter().map(|p| (p.id.as_str(), p)).collect();
    let libraries = workspace.members().filter(|member| !floors::is_outside(&member.name));
    let mut pending: Vec<&str> = libraries.map(|member| member.id.as_str()).collect();
    let mut reached = BTreeSet::new();
    while let Some(id) = pending.pop() {
        if let Some(package) = by_id.get(id).filter(|_| reached.insert(id)) {
            pending.extend(package.edges.iter().filter(|(_, shipped)| *shipped).map(|(to, _)| to.as_str()));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn package(name: &str, version: &str, licence: Option<&str>, edges: &[(&str, bool)]) -> Package {
        Package {
            id: name.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            licence: licence.map(str::to_owned),
            folder: name.starts_with("guardian").then(|| format!("crates/{name}")),
            edges: edges.iter().map(|(to, shipped)| ((*to).to_owned(), *shipped)).collect(),
            ..Package::default()
        }
    }

    fn places(packages: Vec<Package>) -> Vec<String> {
        let workspace = Workspace { root: PathBuf::new(), target: PathBuf::new(), packages };
        check(&workspace)
            .into_iter()
            .map(|violation| format!("{}: {}", violation.rule, violation.place))
            .collect()
    }

    #[test]
    fn copyleft_and_silence_are_violations() {
        let found = places(vec![
            package(
                "guardian-a",
                "1.0.0",
                Some("MIT OR Apache-2.0"),
                &[("copyleft", true), ("silent", true)],
            ),
            package("copyleft", "1.0.0", Some("AGPL-3.0-only"), &[]),
            package("silent", "1.0.0", None, &[]),
            package("choice", "1.0.0", Some("GPL-2.0/MIT"), &[]),
        ]);
        assert_eq!(found, ["licences: copyleft 1.0.0", "licences: silent 1.0.0"]);
    }

    #[test]
    fn tools_may_have_more_licences_than_what_is_shipped() {
        let graph = |shipped| {
            vec![
                package("guardian-a", "1.0.0", Some("MIT"), &[("tool", shipped)]),
                package("tool", "1.0.0", Some("MPL-2.0"), &[]),
            ]
        };
        assert!(places(graph(false)).is_empty());
        assert_eq!(places(graph(true)), ["licences: tool 1.0.0"]);
    }

    #[test]
    fn banned_packages_are_found_by_name_and_version() {
        let found = places(vec![
            package("evalexpr", "11.3.1", Some("MIT"), &[]),
            package("evalexpr", "12.0.0", Some("MIT"), &[]),
            package("openidconnect", "4.1.0", Some("MIT"), &[]),
        ]);
        assert_eq!(found, ["banned: evalexpr 12.0.0", "banned: openidconnect 4.1.0"]);
    }
}

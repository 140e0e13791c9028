//! Manifests: versions, edition and lints live once, in the root; every feature is explained twice, where it is
//! declared and where its user reads.

use toml::{Table, Value};

use super::Violation;

const RULE: &str = "manifests";

/// Keys of `[package]` that members take from the workspace.
const INHERITED: [&str; 4] = ["version", "edition", "rust-version", "license"];

/// Checks the manifest of one member; `folder` is relative to the root.
pub(super) fn check(folder: &str, name: &str, manifest: &str, readme: &str) -> Vec<Violation> {
    let path = format!("{folder}/Cargo.toml");
    let table: Table = match manifest.parse() {
        Ok(table) => table,
        Err(_) => return vec![Violation::new(RULE, path, "write it in TOML")],
    };
    let mut remedies = inheritance(&table);
    remedies.extend(dependencies(&table, name));
    if folder.strip_prefix("crates/").is_some_and(|base| base != name) {
        remedies.push(format!("name the folder `{name}` like the package"));
    }
    // Members outside `crates/` have no users to read a table; there the comment is enough.
    let readme = folder.starts_with("crates/").then_some(readme);
    remedies.extend(features(&table, manifest, readme));
    remedies.into_iter().map(|remedy| Violation::new(RULE, &path, remedy)).collect()
}

fn inheritance(manifest: &Table) -> Vec<String> {
    let inherits =
        |key: &str| manifest.get("package").and_then(|package| package.get(key)).is_some_and(is_inherited);
    let missing = INHERITED.iter().filter(|key| !inherits(key));
    let mut remedies: Vec<_> = missing.map(|key| format!("take `{key}` from the workspace")).collect();
    if manifest.get("lints").is_none_or(|lints| !is_inherited(lints)) {
        remedies.push("take `lints` from the workspace".to_owned());
    }
    remedies
}

/// Every dependency comes from the workspace, but for the crate itself, which tests name to turn their kit on.
fn dependencies(manifest: &Table, name: &str) -> Vec<String> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = targets.filter_map(Value::as_table).chain([manifest]);
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let named = tables
        .flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()))
        .flat_map(Table::iter)
        .filter(|(dependency, value)| !(is_inherited(value) || (*dependency == name && is_own_path(value))));
    named.map(|(dependency, _)| format!("take the version of `{dependency}` from the workspace")).collect()
}

/// Every feature has a comment right above it and, where there is a README to check, a row in a table of it.
fn features(manifest: &Table, text: &str, readme: Option<&str>) -> Vec<String> {
    let names = manifest.get("features").and_then(Value::as_table).into_iter().flat_map(Table::keys);
    let mut remedies = Vec::new();
    for feature in names.filter(|name| *name != "default") {
        if !is_commented(feature, text) {
            remedies.push(format!("write a comment right above the feature `{feature}`"));
        }
        let quoted = format!("`{feature}`");
        let is_row = |line: &str| line.trim_start().starts_with('|') && line.contains(&quoted);
        if !readme.is_none_or(|readme| readme.lines().any(is_row)) {
            remedies.push(format!("give the feature {quoted} a row in the feature table of README.md"));
        }
    }
    remedies
}

/// Whether a comment stands right above the feature's line in the section of the features.
fn is_commented(feature: &str, text: &str) -> bool {
    let section = text.lines().map(str::trim).skip_while(|line| *line != "[features]").skip(1);
    let mut above = "";
    for line in section.take_while(|line| !line.starts_with("[") || line.starts_with("[\"")) {
        let key = line.split('=').next().unwrap_or_default().trim().trim_matches('"');
        if key == feature && line.contains('=') {
            return above.starts_with('#');
        }
        above = line;
    }
    false
}

fn is_inherited(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

fn is_own_path(value: &Value) -> bool {
    value.get("path").and_then(Value::as_str) == Some(".") && value.get("version").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[package]
name = "guardian-a"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true

[features]
default = []
# Keeps state in Redis.
redis = ["dep:redis"]

[dependencies]
redis = { workspace = true, optional = true }

[dev-dependencies]
guardian-a = { path = ".", features = ["testkit"] }

[lints]
workspace = true
"#;
    const README: &str = "| feature | |\n|---|---|\n| `redis` | state in Redis |\n";

    fn remedies(manifest: &str, readme: &str) -> Vec<String> {
        let found = check("crates/guardian-a", "guardian-a", manifest, readme);
        found.into_iter().map(|violation| violation.remedy).collect()
    }

    #[test]
    fn a_member_that_inherits_and_explains_is_tidy() {
        assert!(remedies(GOOD, README).is_empty(), "{:?}", remedies(GOOD, README));
    }

    #[test]
    fn what_is_not_inherited_is_a_violation() {
        for (from, to, remedy) in [
            ("edition.workspace = true", "edition = \"2024\"", "take `edition` from the workspace"),
            ("license.workspace = true", "", "take `license` from the workspace"),
            ("[lints]\nworkspace = true", "", "take `lints` from the workspace"),
            (
                "{ workspace = true, optional = true }",
                "\"1.8\"",
                "take the version of `redis` from the workspace",
            ),
            (
                "[dependencies]",
                "[target.'cfg(unix)'.dependencies]\nnix = \"1\"\n[dependencies]",
                "take the version of `nix` from the workspace",
            ),
            (
                "guardian-a = { path",
                "guardian-b = { path",
                "take the version of `guardian-b` from the workspace",
            ),
        ] {
            assert_eq!(remedies(&GOOD.replace(from, to), README), [remedy]);
        }
        assert_eq!(remedies("= nonsense", README), ["write it in TOML"]);
    }

    #[test]
    fn an_unexplained_feature_is_a_violation() {
        let row = "give the feature `redis` a row in the feature table of README.md";
        assert_eq!(remedies(GOOD, "The feature `redis` in prose."), [row]);
        let comment = "write a comment right above the feature `redis`";
        assert_eq!(remedies(&GOOD.replace("# Keeps state in Redis.\n", ""), README), [comment]);
        assert_eq!(remedies(&GOOD.replace("in Redis.\n", "in Redis.\n\n"), README), [comment]);
    }

    #[test]
    fn the_folder_is_named_like_the_package() {
        let found = check("crates/a", "guardian-a", GOOD, README);
        assert_eq!(found.len(), 1);
        assert!(check("benches", "guardian-a", GOOD, "").is_empty());
    }
}

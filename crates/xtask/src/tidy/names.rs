//! Names and places of files: a file is named for its concept, and the top level stays small.

use std::collections::BTreeSet;

use super::{File, Violation};

/// Names under `crates/` that say nothing about what is inside.
const VAGUE: [&str; 7] =
    ["mod.rs", "util.rs", "utils.rs", "helpers.rs", "common.rs", "misc.rs", "prelude.rs"];

/// Everything that may be at the top level.
const TOP_LEVEL: [&str; 17] = [
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".config",
    ".gitattributes",
    ".gitignore",
    ".rustfmt.toml",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "benches",
    "crates",
    "docs",
    "examples",
];

/// The fuzz package is a workspace of its own.
const FUZZ: &str = "fuzz";

pub(super) fn check(files: &[File]) -> Vec<Violation> {
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let mut violations = Vec::new();
    for path in paths.iter().filter(|path| path.starts_with("crates/")) {
        let name = path.rsplit('/').next().unwrap_or_default();
        if name == "mod.rs" {
            violations.push(Violation::new(
                "names",
                *path,
                "name the file for its folder, beside the folder",
            ));
        } else if VAGUE.contains(&name) {
            violations.push(Violation::new("names", *path, "name the file for the concept inside"));
        }
    }
    let top: BTreeSet<&str> = paths.iter().filter_map(|path| path.split('/').next()).collect();
    for entry in top.into_iter().filter(|entry| !TOP_LEVEL.contains(entry) && *entry != FUZZ) {
        violations.push(Violation::new(
            "top-level",
            entry,
            "move it into one of the folders of the workspace",
        ));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn places(paths: &[&str]) -> Vec<String> {
        let files: Vec<_> = paths.iter().map(|path| file(path, "")).collect();
        check(&files).into_iter().map(|violation| violation.place).collect()
    }

    #[test]
    fn vague_names_are_violations() {
        let bad = ["crates/a/src/store/mod.rs", "crates/a/src/utils.rs", "crates/a/tests/it/common.rs"];
        assert_eq!(places(&bad), bad);
        assert!(places(&["crates/a/src/store.rs", "crates/a/src/model.rs", "docs/common.rs"]).is_empty());
    }

    #[test]
    fn the_top_level_is_closed() {
        assert_eq!(
            places(&["NOTES.md", "scripts/run", "scripts/stop", "README.md"]),
            ["NOTES.md", "scripts"]
        );
        assert!(places(&["fuzz/Cargo.toml", ".ci/run", ".cargo/config.toml"]).is_empty());
    }
}

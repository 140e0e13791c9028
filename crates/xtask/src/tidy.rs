//! `cargo xtask tidy`: the rules of the house that no compiler knows.
//!
//! Each rule is a function of parsed input in a module of its own; this module gathers the input and prints what the
//! rules say.

mod floors;
mod licences;
mod manifests;
mod names;
mod pages;
mod purity;
mod sources;
mod spdx;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};
use crate::workspace::Workspace;
use crate::{interrupt, process};

/// A rule that something breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Violation {
    rule: &'static str,
    /// The file, crate or edge.
    place: String,
    /// What to do about it.
    remedy: String,
}

impl Violation {
    fn new(rule: &'static str, place: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { rule, place: place.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tidy: {}: {}: {}", self.rule, self.place, self.remedy)
    }
}

/// A file of the project.
#[derive(Debug)]
struct File {
    /// Relative to the root, with `/` between its parts.
    path: String,
    /// Empty for files that are no text.
    text: String,
}

/// Asks cargo about the workspace and checks it.
pub(crate) fn run() -> Result<bool> {
    report(&Workspace::load()?)
}

/// Checks the workspace, prints each violation, and says whether there was none.
pub(crate) fn report(workspace: &Workspace) -> Result<bool> {
    let mut violations = check(workspace)?;
    violations.sort_by(|a, b| (a.rule, &a.place).cmp(&(b.rule, &b.place)));
    violations.dedup();
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => println!("tidy: ok"),
        n => println!("tidy: {n} violation{}", if n == 1 { "" } else { "s" }),
    }
    Ok(violations.is_empty())
}

fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let files = files(&workspace.root)?;
    let libraries: Vec<_> = workspace.libraries().filter_map(|library| library.folder.clone()).collect();
    let mut violations = floors::check(workspace);
    violations.extend(licences::check(workspace));
    violations.extend(purity::check_names(workspace));
    for library in workspace.libraries().filter(|library| floors::is_pure(&library.name)) {
        interrupt::check()?;
        violations.extend(purity::check_tree(&library.name, &tree(workspace, &library.name)?));
    }
    for member in workspace.members() {
        let folder = member.folder.as_deref().unwrap_or_default();
        let text = |name: &str| {
            let path = format!("{folder}/{name}");
            files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
        };
        // Cargo read the manifest, so it can only be absent here when it is ignored by git.
        let manifest = text("Cargo.toml").unwrap_or_default();
        violations.extend(manifests::check(
            folder,
            &member.name,
            manifest,
            text("README.md").unwrap_or_default(),
        ));
    }
    violations.extend(names::check(&files));
    violations.extend(sources::check(&files, &libraries));
    violations.extend(pages::check(&files, &libraries));
    Ok(violations)
}

/// What a library pulls in when nothing is asked of it.
fn tree(workspace: &Workspace, library: &str) -> Result<String> {
    let arguments = ["tree", "-p", library, "--no-default-features", "-e", "normal", "--prefix", "none"];
    process::output(process::cargo(&workspace.root).args(arguments))
}

/// The project's files: those that git tracks or would track, or, outside a git checkout, all but the build output.
fn files(root: &Path) -> Result<Vec<File>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let mut paths = match process::output(&mut git) {
        Ok(list) => list.split_terminator('\0').map(str::to_owned).collect(),
        Err(Error::Interrupted) => return Err(Error::Interrupted),
        Err(_) => walk(root)?,
    };
    paths.sort();
    paths.dedup();
    let existing = paths.into_iter().filter_map(|path| {
        let bytes = fs::read(root.join(&path)).ok()?;
        Some(File { text: String::from_utf8(bytes).unwrap_or_default(), path })
    });
    Ok(existing.collect())
}

/// All files below the root but those that are built.
fn walk(root: &Path) -> Result<Vec<String>> {
    let mut folders = vec![root.to_path_buf()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).map_err(Error::on(format!("cannot list `{}`", folder.display())))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let built = path.file_name().is_some_and(|name| name == "target" || name == ".git");
            if path.is_dir() && !path.is_symlink() {
                folders.extend((!built).then_some(path));
            } else if let Ok(relative) = path.strip_prefix(root) {
                found.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_one_line() {
        let violation = Violation::new("floors", "a -> b", "turn it round");
        assert_eq!(violation.to_string(), "tidy: floors: a -> b: turn it round");
    }

    #[test]
    fn build_output_is_no_part_of_the_project() {
        let root = tempfile::tempdir().unwrap();
        for path in ["crates/a/src/lib.rs", "target/debug/x.rs", ".git/config", "README.md"] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let paths: Vec<_> = files(root.path()).unwrap().into_iter().map(|file| file.path).collect();
        assert_eq!(paths, ["README.md", "crates/a/src/lib.rs"]);
    }
}

//! Pages that must exist and agree: front pages of the crates, the change log, the table of contents of the book.

use super::{File, Violation};

const RULE: &str = "pages";

/// Checks the pages; `libraries` are the folders of the library crates.
pub(super) fn check(files: &[File], libraries: &[String]) -> Vec<Violation> {
    let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    let mut violations = Vec::new();
    for library in libraries {
        let readme = format!("{library}/README.md");
        if text(&readme).is_none() {
            violations.push(Violation::new(RULE, readme, "write the front page of the crate"));
        }
        let root = format!("{library}/src/lib.rs");
        if !text(&root).is_some_and(|source| source.contains(r#"include_str!("../README.md")"#)) {
            let remedy = r#"include the front page: `#![doc = include_str!("../README.md")]`"#;
            violations.push(Violation::new(RULE, root, remedy));
        }
    }
    let first = text("CHANGELOG.md").and_then(|page| page.lines().find(|line| line.starts_with("## ")));
    if !first.is_some_and(|heading| heading.contains("Unreleased")) {
        violations.push(Violation::new(RULE, "CHANGELOG.md", "begin with a heading `## [Unreleased]`"));
    }
    let summary = text("docs/SUMMARY.md").unwrap_or_default();
    let pages = files.iter().filter_map(|file| file.path.strip_prefix("docs/"));
    for page in pages.filter(|page| page.ends_with(".md") && *page != "SUMMARY.md") {
        if !summary.contains(&format!("({page})")) && !summary.contains(&format!("(./{page})")) {
            let remedy = format!("list `{page}` in docs/SUMMARY.md");
            violations.push(Violation::new(RULE, format!("docs/{page}"), remedy));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn good() -> Vec<File> {
        vec![
            file("CHANGELOG.md", "# Changes\n\n## [Unreleased]\n\n## 0.1.0\n"),
            file("crates/guardian-a/README.md", "# guardian-a\n"),
            file("crates/guardian-a/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n"),
            file("docs/SUMMARY.md", "- [Architecture](architecture.md)\n- [Audit](./guides/audit.md)\n"),
            file("docs/architecture.md", ""),
            file("docs/guides/audit.md", ""),
        ]
    }

    fn places(files: &[File]) -> Vec<String> {
        let found = check(files, &["crates/guardian-a".to_owned()]);
        found.into_iter().map(|violation| violation.place).collect()
    }

    #[test]
    fn complete_pages_are_tidy() {
        assert!(places(&good()).is_empty());
    }

    #[test]
    fn each_missing_page_is_a_violation() {
        for path in ["CHANGELOG.md", "crates/guardian-a/README.md", "crates/guardian-a/src/lib.rs"] {
            let mut files = good();
            files.retain(|file| file.path != path);
            assert_eq!(places(&files), [path]);
        }
        let mut files = good();
        files.push(file("docs/forgotten.md", ""));
        assert_eq!(places(&files), ["docs/forgotten.md"]);
    }

    #[test]
    fn a_release_above_the_unreleased_changes_is_a_violation() {
        let mut files = good();
        files[0] = file("CHANGELOG.md", "## 0.1.0\n\n## [Unreleased]\n");
        assert_eq!(places(&files), ["CHANGELOG.md"]);
    }
}

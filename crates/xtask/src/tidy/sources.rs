//! Sizes of source files, and attributes that silence what should be heard.

use super::{File, Violation};

/// Lines of any source file.
const LONGEST_FILE: usize = 800;
/// Lines of a library's `lib.rs`: documentation and table of contents.
const LONGEST_ROOT: usize = 120;
/// Lines of all of guardian-core: a vocabulary, not a toolbox.
const LARGEST_CORE: usize = 1100;

/// Attributes that may not be on a line under `crates/`, by their names, and what to do instead. Those of `cfg_attr` count as well.
const SILENCERS: [(&str, &str); 2] = [
    ("allow", "write `expect(..., reason = \"...\")`, which ends with its cause"),
    ("ignore", "let the test run, or fail and say what it lacks"),
];

/// Checks the sources; `libraries` are the folders of the library crates.
pub(super) fn check(files: &[File], libraries: &[String]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let sources = |folder: &str| {
        let folder = format!("{folder}/");
        files.iter().filter(move |file| file.path.starts_with(&folder) && file.path.ends_with(".rs"))
    };
    for file in ["crates", "examples", "benches"].into_iter().flat_map(sources) {
        let lines = file.text.lines().count();
        if lines > LONGEST_FILE {
            let remedy = format!("split the file by concept, it has {lines} lines of at most {LONGEST_FILE}");
            violations.push(Violation::new("sizes", &file.path, remedy));
        }
    }
    for library in libraries {
        let root = format!("{library}/src/lib.rs");
        let lines = files.iter().find(|file| file.path == root).map_or(0, |file| file.text.lines().count());
        if lines > LONGEST_ROOT {
            let remedy = format!("move logic into modules, it has {lines} lines of at most {LONGEST_ROOT}");
            violations.push(Violation::new("sizes", root, remedy));
        }
    }
    let core = "crates/guardian-core/src";
    let lines: usize = sources(core).map(|file| file.text.lines().count()).sum();
    if lines > LARGEST_CORE {
        let remedy =
            format!("move out what is no vocabulary, it has {lines} lines of at most {LARGEST_CORE}");
        violations.push(Violation::new("sizes", core, remedy));
    }
    violations.extend(sources("crates").flat_map(silencers));
    violations
}

/// The attributes of one file that are not welcome.
fn silencers(file: &File) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let line = line.trim_start();
        if !line.starts_with("#[") && !line.starts_with("#![") {
            continue;
        }
        for (attribute, remedy) in SILENCERS {
            if names(line).any(|name| name == attribute) {
                let place = format!("{}:{}", file.path, number + 1);
                violations.push(Violation::new("attributes", place, remedy));
            }
        }
    }
    violations
}

/// The names on a line outside of its texts.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split('"').step_by(2);
    code.flat_map(|part| part.split(|c: char| !c.is_alphanumeric() && c != '_'))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn places(files: &[File]) -> Vec<String> {
        let found = check(files, &["crates/guardian-a".to_owned()]);
        found.into_iter().map(|violation| format!("{} {}", violation.rule, violation.place)).collect()
    }

    #[test]
    fn long_files_are_violations() {
        let lines = |count| "\n".repeat(count);
        assert!(
            places(&[file("crates/a/src/b.rs", &lines(800)), file("docs/long.md", &lines(9000))]).is_empty()
        );
        assert_eq!(places(&[file("benches/x.rs", &lines(801))]), ["sizes benches/x.rs"]);
        let roots =
            [file("crates/guardian-a/src/lib.rs", &lines(121)), file("crates/xtask/src/lib.rs", &lines(121))];
        assert_eq!(places(&roots), ["sizes crates/guardian-a/src/lib.rs"]);
        let core = ["a", "b"].map(|name| file(&format!("crates/guardian-core/src/{name}.rs"), &lines(600)));
        assert_eq!(places(&core), ["sizes crates/guardian-core/src"]);
    }

    #[test]
    fn silencing_attributes_are_violations() {
        let attribute = |inner: &str| format!("#[{inner}]\n");
        let inner = |inner: &str| format!("#![{inner}]\n");
        let source = [
            inner("allow(dead_code)"),
            format!("    {}", attribute("allow(unused)")),
            format!("#[test] {}", attribute("ignore = \"slow\"")),
            attribute("cfg_attr(unix, allow(unused))"),
            attribute("expect(a, reason = \"we allow it\")"),
            attribute("arg(ignore_case)"),
            format!("// not {}", attribute("allow(x)")),
            format!("let text = \"{}", attribute("allow(x)")),
        ]
        .concat();
        let found = places(&[file("crates/a/src/b.rs", &source)]);
        assert_eq!(found, [1, 2, 3, 4].map(|line| format!("attributes crates/a/src/b.rs:{line}")));
        assert!(places(&[file("fuzz/a.rs", &source)]).is_empty());
    }
}

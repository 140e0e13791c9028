//! The example of roles says who, what and why.

use std::process::Command;

fn output(arguments: &[&str]) -> (bool, String) {
    let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/rbac_matrix");
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn the_sample_is_explained() {
    let (fine, text) = output(&[]);
    assert!(fine, "{text}");
    assert!(text.contains("X own, i inherited, - denied"), "{text}");
    assert!(text.contains("`deal:export` on team:vienna is forbidden to user:ann"), "{text}");
    assert!(text.contains("-> grant") && text.contains("which denies it"), "{text}");
    assert!(
        text.contains("user:bob gains deal:export in team:emea (forbidden before, allowed after)"),
        "{text}"
    );
}

#[test]
fn mistakes_are_named_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, "permissions:\n  deal:read: See\nroles:\n  viewer:\n    alow: deal:read\n")
        .unwrap();
    let (fine, text) = output(&[file.to_str().unwrap(), "matrix"]);
    assert!(!fine);
    assert!(text.contains("line 5: unknown key `alow`; did you mean `allow`?"), "{text}");
}

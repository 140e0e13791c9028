//! No text becomes more than it looks.

use std::fmt::Write;

use guardian_yaml::Limits;

fn refused(limits: Limits, text: &str) -> String {
    limits.read(text).unwrap_err().to_string()
}

#[test]
fn texts_that_aliases_repeat_are_bounded() {
    let limits = Limits::default().with_bytes(100).with_aliases(100);
    let text = |length: usize| format!("- &a \"{}\"\n- [*a, *a]\n", "x".repeat(length));
    assert!(limits.read(&text(33)).is_ok());
    let why = "line 2: its anchors and aliases repeat more than 100 bytes";
    assert_eq!(refused(limits, &text(34)), why);
    // Keys are texts as well, and what an anchor keeps is a copy.
    assert_eq!(refused(limits, &format!("- &a {{{}: 1}}\n- [*a, *a]\n", "k".repeat(34))), why);
    let anchors = format!("- &a [&b [&c [&d {}]]]\n", "x".repeat(30));
    assert_eq!(refused(limits, &anchors), why.replace('2', "1"));
}

#[test]
fn a_text_that_doubles_itself_over_and_over_is_refused_before_it_grows() {
    let mut text = format!("- &a0 \"{}\"\n", "x".repeat(50_000));
    for level in 1..4 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(text, "- &a{level} [{aliases}]").unwrap();
    }
    let refused = Limits::default().with_aliases(100).read(&text).err().map(|error| error.to_string());
    assert_eq!(refused.as_deref(), Some("line 3: its anchors and aliases repeat more than 4194304 bytes"));
}

#[test]
fn an_empty_text_is_called_one() {
    for text in ["", "\n", "# nothing\n"] {
        assert_eq!(Limits::default().read_one(text).unwrap_err().why, "the text is empty");
    }
    let two = Limits::default().read_one("a: 1\n---\nb: 1\n").unwrap_err();
    assert_eq!(two.why, "the text has 2 documents, it must have one");
}

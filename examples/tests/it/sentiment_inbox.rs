//! The inbox marks the words that its model means.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::client::program;

/// Control characters of two bytes are in mails whose encoding was guessed wrongly.
#[test]
fn words_are_marked_behind_control_characters() {
    let mut command = Command::new(program("sentiment_inbox"));
    let mut process =
        command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let text = "I can\u{92}t say\u{85}more\u{1b}[31m, é: terrible, awful service\n";
    process.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("terrible⁻, awful⁻ service"), "{shown}");
    assert!(shown.lines().all(|line| !line.contains(char::is_control)), "{shown}");
}

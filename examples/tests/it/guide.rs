//! The guide's first ten minutes, command by command: what it says is answered is what is answered.

use std::time::Duration;

use crate::client::{Reply, Server};

const GUIDE: &str = include_str!("../../../docs/guide/first-ten-minutes.md");

/// Where the guide's reader has the CRM.
const ADDRESS: &str = "http://127.0.0.1:3000";

/// A command and what it prints. `…` stands for any text.
#[derive(Debug, Default)]
struct Step {
    command: String,
    printed: String,
}

/// The commands of all `console` blocks, in their order.
fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in GUIDE.lines() {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, line) => match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step { command: command.to_owned(), ..Step::default() }),
                (None, Some(step)) if step.command.ends_with('\\') => {
                    step.command.pop();
                    step.command.push_str(line.trim_start());
                }
                (None, Some(step)) => {
                    step.printed.push_str(line);
                    step.printed.push('\n');
                }
                (None, None) => panic!("`{line}` is printed by nothing"),
            },
            _ => {}
        }
    }
    steps
}

/// The words of a command line; quotes keep spaces, `$'…'` knows `\n`.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut characters = command.chars().peekable();
    while let Some(character) = characters.next() {
        let word = words.last_mut().unwrap();
        match (quote, character) {
            (None, '$') if characters.peek() == Some(&'\'') => {
                characters.next();
                quote = Some(true);
            }
            (None, '\'') => quote = Some(false),
            (Some(_), '\'') => quote = None,
            (Some(true), '\\') if characters.next() == Some('n') => word.push('\n'),
            (None, ' ') => words.push(String::new()),
            (_, other) => word.push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What a call of curl is, as far as the guide has any.
#[derive(Debug, Default)]
struct Call {
    method: Option<String>,
    target: String,
    headers: String,
    body: Option<String>,
    shows_head: bool,
    shows_status: bool,
}

fn call(command: &str) -> Call {
    let mut call = Call::default();
    let mut words = words(command).into_iter();
    assert_eq!(words.next().as_deref(), Some("curl"), "`{command}`");
    while let Some(word) = words.next() {
        match word.as_str() {
            "-i" => call.shows_head = true,
            "-so" => assert_eq!(words.next().as_deref(), Some("/dev/null")),
            "-w" => call.shows_status = words.next().as_deref() == Some("%{http_code} "),
            "-X" => call.method = words.next(),
            "-H" => call.headers.push_str(&format!("{}\r\n", words.next().unwrap())),
            "--json" => {
                call.headers.push_str("Content-Type: application/json\r\n");
                call.body = words.next();
            }
            "--data-binary" => call.body = words.next(),
            url => url.strip_prefix(ADDRESS).unwrap().clone_into(&mut call.target),
        }
    }
    call
}

fn answer(crm: &Server, call: &Call) -> String {
    let body = call.body.as_deref().unwrap_or_default();
    let method = call.method.as_deref().unwrap_or(if call.body.is_some() { "POST" } else { "GET" });
    let Reply { status, head, text, .. } = crm.raw(method, &call.target, &call.headers, body);
    if call.shows_status {
        return format!("{status} ");
    }
    if call.shows_head { format!("{}\n\n{text}", head.replace("\r\n", "\n")) } else { text }
}

/// Whether a text is as it is written, where `…` stands for any text.
fn is_as_written(text: &str, written: &str) -> bool {
    let mut parts = written.trim_end().split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut is_open = false;
    for part in parts {
        is_open = part.is_empty();
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    is_open || rest.trim_end().is_empty()
}

#[test]
fn the_first_ten_minutes_are_as_the_guide_says() {
    let folder = tempfile::tempdir().unwrap();
    let db = format!("sqlite://{}", folder.path().join("crm.db").display());
    let mut crm = Server::start_on("crm", &db);
    let steps = steps();
    let mut variables: Vec<(String, String)> = Vec::new();
    assert!(steps.len() >= 20, "{}", steps.len());
    for step in &steps {
        if let Some((name, value)) = step.command.split_once("='") {
            let value = value.strip_suffix('\'').unwrap();
            variables.push((format!("\"${name}\""), format!("'{value}'")));
            continue;
        }
        match step.command.as_str() {
            "cargo run --example crm" => continue,
            // The night.
            "pkill -9 crm; cargo run --example crm" => {
                drop(crm);
                crm = Server::start_on("crm", &db);
                continue;
            }
            _ => {}
        }
        let (command, times) = match step.command.strip_prefix("for i in $(seq 15); do ") {
            Some(many) => (many.strip_suffix("; done").unwrap(), 15),
            None => (step.command.as_str(), 1),
        };
        let command =
            variables.iter().fold(command.to_owned(), |text, (name, value)| text.replace(name, value));
        let call = call(&command);
        let mut answered = String::new();
        // What is told and done a moment later is there a moment later; what changes something is sent once.
        let tries = if call.body.is_none() && call.method.is_none() && times == 1 { 50 } else { 1 };
        for _ in 0..tries {
            answered = (0..times).map(|_| answer(&crm, &call)).collect();
            if is_as_written(&answered, &step.printed) {
                break;
            }
            std::thread::sleep(Duration::from_millis(if tries > 1 { 100 } else { 0 }));
        }
        assert!(
            is_as_written(&answered, &step.printed),
            "$ {}\nis answered\n{answered}\nand not\n{}",
            step.command,
            step.printed
        );
    }
}

#[test]
fn texts_are_compared_as_they_are_written() {
    assert!(is_as_written("{\"id\":\"7\",\"n\":1}", "{\"id\":\"…\",\"n\":1}"));
    assert!(is_as_written("HTTP/1.1 200 OK\na: b\n\n{}", "HTTP/1.1 200 OK\n…"));
    assert!(!is_as_written("{\"n\":1}", "{\"n\":2}"));
    assert!(!is_as_written("{\"n\":1} and more", "{\"n\":1}"));
    assert!(!is_as_written("{}", "…x"));
}

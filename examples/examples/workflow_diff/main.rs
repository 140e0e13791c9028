//! `workflow_diff [OLD.json NEW.json] [--svg FILE] [--text] [--patch]`: what changed between two definitions, what that means, and a
//! picture of both. Without files two versions of a workflow of a CRM are compared.
#![expect(clippy::print_stdout, reason = "the report is the program's result")]

use std::error::Error;

use guardian_workflow::picture::svg_of_difference;
use guardian_workflow::{Definition, JsonPatch, Semver, diff, diff_by_matching, text_diff};

const SAMPLE: &str = include_str!("../workflow_run/deal_won.json");

fn main() -> Result<(), Box<dyn Error>> {
    let (mut files, mut picture, mut text, mut patch) = (Vec::new(), None, false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--svg" => picture = Some(arguments.next().ok_or("`--svg` needs a file")?),
            "--text" => text = true,
            "--patch" => patch = true,
            _ => files.push(argument),
        }
    }
    let read = |path: &String| -> Result<Definition, Box<dyn Error>> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read `{path}`: {error}"))?;
        Ok(Definition::from_json(&text)?)
    };
    let (old, new) = match files.as_slice() {
        [] => {
            let newer = SAMPLE
                .replace("input.amount > 10000\"", "input.amount > 20000 && input.owner != \\\"trainee\\\"\"")
                .replace("\"name\": \"Send a gift\"", "\"name\": \"Send a present\"")
                .replace("\"timeout\": \"2d\"", "\"timeout\": \"1d\"");
            (Definition::from_json(SAMPLE)?, Definition::from_json(&newer)?)
        }
        [old, new] => (read(old)?, read(new)?),
        _ => return Err("give two files, or none".into()),
    };
    let mut found = diff(&old, &new);
    // Where no node kept its id, they were lost on the way.
    if !old.nodes.keys().any(|id| new.nodes.contains_key(id)) {
        let (matched, _, matches) = diff_by_matching(&old, &new);
        for pair in &matches {
            println!("`{}` is `{}` ({:.0} % certain)", pair.old, pair.new, pair.confidence * 100.0);
        }
        found = matched;
    }
    for change in &found.changes {
        println!("{:<10} {change}", change.class().to_string());
    }
    println!(
        "{} changes, {}; after 1.0.0 comes {}",
        found.changes.len(),
        found.class(),
        Semver::FIRST.after(found.class())
    );
    if text {
        print!("{}", text_diff(&old, &new));
    }
    if patch {
        println!("{}", serde_json::to_string_pretty(&JsonPatch::between_definitions(&old, &new))?);
    }
    if let Some(file) = picture {
        std::fs::write(&file, svg_of_difference(&old, &new))?;
        println!("both are drawn in {file}");
    }
    Ok(())
}

//! `workflow_import [FILE.json] [--svg FILE]`: reads a state machine of the Amazon States Language or a workflow of the Serverless
//! Workflow DSL, says what is wrong with it or what cannot be represented, and prints the definition. Without a file one of
//! each is read.
#![expect(clippy::print_stdout, reason = "the report is the program's result")]

use std::error::Error;

use guardian_workflow::import::{Imported, asl, serverless};
use guardian_workflow::picture::{Paints, svg};
use guardian_workflow::{ActionSpec, Catalog, validate};
use serde_json::Value;

const STATES: &str = r#"{"StartAt": "Check", "States": {
    "Check": {"Type": "Task", "Resource": "arn:aws:lambda:eu-west-1:123456789012:function:check", "ResultPath": "$.status",
              "Retry": [{"ErrorEquals": ["States.TaskFailed"], "MaxAttempts": 2}], "Next": "Ready?"},
    "Ready?": {"Type": "Choice", "Choices": [{"Variable": "$.status", "StringEquals": "ready", "Next": "Done"}], "Default": "Wait"},
    "Wait": {"Type": "Wait", "Seconds": 30, "Next": "Check"},
    "Done": {"Type": "Succeed"}}}"#;

const SERVERLESS: &str = r#"{"document": {"dsl": "1.0.0", "namespace": "crm", "name": "greet", "version": "1.0.0"},
    "do": [{"score": {"call": "score", "with": {"deal": "${ .deal }"}}},
           {"large": {"switch": [{"yes": {"when": ".value > 100", "then": "greet"}}, {"no": {"then": "end"}}]}},
           {"greet": {"call": "send_email", "with": {"text": "${ \"hello \" + .name }"}}}]}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let picture = match arguments.iter().position(|argument| argument == "--svg") {
        Some(at) if at + 1 < arguments.len() => {
            let file = arguments.remove(at + 1);
            arguments.remove(at);
            Some(file)
        }
        Some(_) => return Err("`--svg` needs a file".into()),
        None => None,
    };
    match arguments.first() {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|error| format!("cannot read `{path}`: {error}"))?;
            show(&text, picture.as_deref())
        }
        None => {
            show(STATES, None)?;
            show(SERVERLESS, picture.as_deref())
        }
    }
}

fn show(text: &str, picture: Option<&str>) -> Result<(), Box<dyn Error>> {
    let document: Value = serde_json::from_str(text)?;
    let imported: Imported = if document.get("document").is_some() {
        serverless::import(text)?
    } else {
        for fault in asl::faults(&document) {
            println!("fault {fault}");
        }
        asl::import(text)?
    };
    println!("{}", serde_json::to_string_pretty(&imported.definition)?);
    println!("needs the actions {}", imported.actions.join(", "));
    for loss in &imported.losses {
        println!("lost {}: {}", loss.path, loss.message);
    }
    let mut catalog = Catalog::new();
    for action in &imported.actions {
        catalog = catalog.with(ActionSpec::new(action))?;
    }
    print!("{}", validate(&imported.definition, &catalog));
    if let Some(file) = picture {
        std::fs::write(file, svg(&imported.definition, &Paints::default()))?;
        println!("it is drawn in {file}");
    }
    Ok(())
}

//! `expr_repl [EVENT.json]`: reads expressions from standard input, and says of each its type, its value on the event, what it
//! cost, what it may cost, and what is suspicious about it. `:explain EXPRESSION` shows the value of every part, `:format
//! EXPRESSION` the one style, `:rules EXPRESSION` the form of a visual builder.
#![expect(clippy::print_stdout, reason = "the answers are the program's result")]

use std::error::Error;
use std::io::{self, BufRead, Write};

use guardian_expr::{Budget, Env, Sizes};
use serde_json::{Value as Json, json};

fn main() -> Result<(), Box<dyn Error>> {
    let event: Json = match std::env::args().nth(1) {
        Some(path) => {
            let text =
                std::fs::read_to_string(&path).map_err(|error| format!("cannot read `{path}`: {error}"))?;
            serde_json::from_str(&text).map_err(|error| format!("`{path}` is no JSON: {error}"))?
        }
        None => {
            json!({"deal": {"amount": 5000, "stage": "open", "tags": ["vip"]}, "contact": {"country": "DE"}})
        }
    };
    let env = Env::new();
    println!("event: {event}");
    print!("> ");
    io::stdout().flush()?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let line = line.trim();
        match line.split_once(' ') {
            _ if line.is_empty() => {}
            Some((":explain", source)) => match env.compile(source) {
                Ok(program) => print!("{}", program.explain(&event)),
                Err(error) => println!("{error}"),
            },
            Some((":format", source)) => match env.parse(source) {
                Ok(ast) => println!("{}", ast.format()),
                Err(error) => println!("{error}"),
            },
            Some((":rules", source)) => match env.parse(source) {
                Ok(ast) => println!("{:#}", ast.to_rules()),
                Err(error) => println!("{error}"),
            },
            _ => answer(&env, line, &event),
        }
        print!("> ");
        io::stdout().flush()?;
    }
    println!();
    Ok(())
}

fn answer(env: &Env, source: &str, event: &Json) {
    let program = match env.compile(source) {
        Ok(program) => program,
        Err(error) => return println!("{error}"),
    };
    for lint in program.lint() {
        println!("note: {}", lint.message);
    }
    let outcome = program.run(event, Budget::default());
    match &outcome.value {
        Ok(value) => println!("{value}"),
        Err(error) => println!("error: {error}"),
    }
    let estimate = program.estimate(Sizes::at_most(10_000, 1_000, 5));
    let most = if estimate.max == u64::MAX { "any amount".to_owned() } else { estimate.max.to_string() };
    println!("  type {}, cost {} (from {} to {most})", program.result_type(), outcome.cost, estimate.min);
}

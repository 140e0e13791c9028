//! Inputs that nobody types, on a small stack: each gives a value or an error.

use guardian_expr::{Env, Limits, Value};
use serde_json::{Value as Json, json};

const MANY: usize = 100_000;

/// Does everything that can be done with an expression.
fn everything(env: &Env, source: &str) {
    let Ok(ast) = env.parse(source) else { return };
    let text = ast.format();
    assert!(env.parse(&text).is_ok());
    let _ = ast.to_rules();
    let event = json!({"a": {"a": 1}, "b": true});
    let unchecked = env.compile_unchecked(source).expect("what is parsed can be prepared");
    let _ = unchecked.evaluate(&event).map(|value| value.to_string().len());
    if let Ok(program) = env.compile_ast(ast) {
        let _ = program.evaluate(&event).map(|value| value.into_owned().to_json());
        let _ = program.estimate(guardian_expr::Sizes::at_most(100, 100, 3));
        let _ = program.lint();
        let _ = program.references();
    }
}

fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 << 10).spawn(work).unwrap().join().unwrap();
}

fn generous() -> Env {
    Env::builder()
        .limits(Limits::default().with_max_bytes(64 << 20).with_max_depth(u32::MAX))
        .build()
        .unwrap()
}

fn inputs() -> Vec<String> {
    let mut inputs: Vec<String> = vec![
        format!("{}1{}", "(".repeat(MANY), ")".repeat(MANY)),
        "(".repeat(MANY),
        ")".repeat(MANY),
        format!("{}true", "!".repeat(MANY)),
        format!("{}1", "- ".repeat(MANY)),
        format!("{}a", "-".repeat(MANY)),
        format!("{}1{}", "[".repeat(MANY), "]".repeat(MANY)),
        format!("{}1{}", "{1: ".repeat(MANY), "}".repeat(MANY)),
        format!("{}1{}", "size(".repeat(MANY), ")".repeat(MANY)),
        format!("{}1{}", "optional.of(".repeat(MANY), ")".repeat(MANY)),
        "true ? 1 : ".repeat(MANY) + "1",
        "true ? ".repeat(MANY) + "1" + &" : 1".repeat(MANY),
        format!("b{}", "[b".repeat(MANY)) + &"]".repeat(MANY),
        "a".to_owned() + &".a".repeat(MANY),
        "a".to_owned() + &".?a".repeat(MANY),
        "a".to_owned() + &"[0]".repeat(MANY),
        "a".to_owned() + &".a()".repeat(MANY),
        "[1]".to_owned() + &".map(x, x)".repeat(MANY),
        "optional.of(1)".to_owned() + &".optMap(x, [x])".repeat(MANY),
        "cel.bind(x, 1, ".repeat(MANY) + "x" + &")".repeat(MANY),
        "[1].all(x, ".repeat(MANY) + "true" + &")".repeat(MANY),
        "9".repeat(MANY * 10),
        format!("'{}'", "x".repeat(MANY * 10)),
        format!("'{}'", "\\n".repeat(MANY)),
        "x".repeat(MANY * 10),
        format!("[{}]", "1, ".repeat(MANY)),
        format!("f({}1)", "1, ".repeat(MANY)),
        format!("{{{}}}", (0..MANY / 10).map(|at| format!("{at}: {at}, ")).collect::<String>()),
        "//".to_owned() + &"x".repeat(MANY * 10),
        "\u{0}".repeat(MANY),
        "'".repeat(MANY),
        "`".repeat(MANY),
        "\\".repeat(MANY),
    ];
    for op in ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"] {
        for term in ["1", "b", "a.a", "'x'", "true", "[1]"] {
            let term = format!(" {op} {term}");
            inputs.push(
                term.trim_start_matches([
                    ' ', '+', '*', '/', '%', '=', '!', '<', '>', 'i', 'n', '&', '|', '-',
                ])
                .to_owned()
                    + &term.repeat(MANY),
            );
        }
    }
    inputs
}

#[test]
fn one_hundred_thousand_of_everything() {
    for input in inputs() {
        on_a_small_stack(move || everything(&Env::new(), &input));
    }
}

#[test]
fn without_limits_too() {
    for input in inputs() {
        on_a_small_stack(move || everything(&generous(), &input));
    }
}

#[test]
fn chains_have_values() {
    on_a_small_stack(|| {
        let env = generous();
        let none = json!({});
        let sum = "1 + ".repeat(MANY) + "1";
        assert_eq!(env.compile(&sum).unwrap().evaluate(&none).unwrap(), Value::Int(100_001));
        let difference = "1".to_owned() + &" - 1".repeat(MANY);
        assert_eq!(env.compile(&difference).unwrap().evaluate(&none).unwrap(), Value::Int(1 - 100_000));
        let or = "b || ".repeat(MANY) + "true";
        assert_eq!(env.compile(&or).unwrap().evaluate(&json!({"b": false})).unwrap(), Value::Bool(true));
        // Every term fails, and the last one decides.
        let failing = "c.d > 1 || ".repeat(MANY) + "true";
        let budget = guardian_expr::Budget::default().with_cost(10_000_000);
        let failing = env.compile(&failing).unwrap();
        assert_eq!(failing.run(&none, budget).value.unwrap(), Value::Bool(true));
        let ternaries = "false ? 1 : ".repeat(MANY) + "7";
        assert_eq!(env.compile(&ternaries).unwrap().evaluate(&none).unwrap(), Value::Int(7));
        let not = "!".repeat(MANY) + "true";
        assert_eq!(env.compile(&not).unwrap().evaluate(&none).unwrap(), Value::Bool(true));
        let brackets = "(".repeat(MANY) + "1" + &")".repeat(MANY);
        assert_eq!(env.compile(&brackets).unwrap().evaluate(&none).unwrap(), Value::Int(1));
    });
}

/// JSON that nests so deeply that dropping it the ordinary way would need a large stack.
fn deep_json() -> Json {
    let mut deep = json!(1);
    for _ in 0..MANY {
        deep = Json::Array(vec![deep]);
    }
    deep
}

fn dismantle(mut deep: Json) {
    while let Json::Array(mut items) = deep {
        deep = items.pop().unwrap_or(Json::Null);
    }
}

#[test]
fn deep_events_are_read() {
    on_a_small_stack(|| {
        let mut event = json!({"other": 1});
        event["deep"] = deep_json();
        event["same"] = deep_json();
        let env = generous();
        let budget = || guardian_expr::Budget::default().with_cost(10_000_000);
        for source in [
            "deep == same",
            "deep in [same]",
            "[deep].distinct().size()",
            "'%s'.format([deep])",
            "deep.flatten(1000000)",
            "size(deep)",
            "deep[0][0] == 1",
            "sets.contains([deep], [same])",
            "[deep]",
        ] {
            let program = env.compile(source).unwrap();
            let outcome = program.run(&event, budget());
            if let Ok(value) = &outcome.value {
                let _ = value.to_string();
                let _ = value.clone().into_owned();
                let _ = value.to_json();
            }
            let _ = program.explain(&event).to_string();
        }
        let deep = [event["deep"].take(), event["same"].take()];
        deep.into_iter().for_each(dismantle);
    });
}

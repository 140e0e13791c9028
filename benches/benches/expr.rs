//! Expressions beside the Common Expression Language of another crate, ZEN, Rhai and evalexpr.
//!
//! What makes the comparison fair:
//!
//! - `eval_*` has everything prepared: programs compiled, events in each contestant's own form. Ours reads the JSON itself.
//! - `event_crm` begins with the JSON event in hand, so each contestant pays for its own form of it.
//! - Every contestant's answers are compared with ours before anything is measured.
//! - ZEN reuses its machine, cel its environment, and Rhai its engine and scope.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use evalexpr::ContextWithMutableVariables;
use guardian_expr::Env;
use serde_json::Value as Json;

#[path = "expr/cases.rs"]
mod cases;

use cases::{Case, cases, event, schema};

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(700))
        .without_plots()
        .configure_from_args();
    bars();
    let all = cases();
    for case in &all {
        evaluate(&mut criterion, case);
    }
    if let Some(crm) = all.first() {
        from_event(&mut criterion, crm);
        compile(&mut criterion, crm);
        parse(&mut criterion, crm);
    }
    criterion.final_summary();
}

#[expect(clippy::print_stdout, reason = "bars are reported on standard output")]
fn bars() {
    println!("bar expr/eval_crm vs zen 0.50");
    println!("bar expr/eval_all_exists vs zen 0.45");
    println!("bar expr/eval_or_200 vs zen 0.45");
    println!("bar expr/event_crm vs zen 0.08");
    println!("bar expr/compile_crm vs zen 2.0");
    println!("bar expr/parse_crm vs cel 0.75");
}

/// Stops the benchmark: a contestant that answers otherwise is not measured.
#[expect(clippy::panic, reason = "a benchmark of contestants that disagree is worth nothing")]
fn disagree(case: &str, who: &str, what: &str) -> ! {
    panic!("{who} disagrees on {case}: {what}")
}

fn ours(case: &Case) -> guardian_expr::Program {
    let env = Env::builder().event_schema(&schema()).and_then(guardian_expr::EnvBuilder::build);
    let program = env.and_then(|env| env.compile(&case.cel));
    program.unwrap_or_else(|error| disagree(case.name, "guardian", &error.to_string()))
}

fn rhai_value(json: &Json) -> rhai::Dynamic {
    match json {
        Json::Null => rhai::Dynamic::UNIT,
        Json::Bool(value) => (*value).into(),
        Json::Number(number) => match number.as_i64() {
            Some(int) => int.into(),
            None => number.as_f64().unwrap_or_default().into(),
        },
        Json::String(text) => text.clone().into(),
        Json::Array(items) => items.iter().map(rhai_value).collect::<rhai::Array>().into(),
        Json::Object(members) => {
            let members = members.iter().map(|(key, value)| (key.as_str().into(), rhai_value(value)));
            members.collect::<rhai::Map>().into()
        }
    }
}

fn cel_value(json: &Json) -> cel::Value {
    match json {
        Json::Null => cel::Value::Null,
        Json::Bool(value) => cel::Value::Bool(*value),
        // Its own conversion makes positive integers uints, with which `amount * 3` fails.
        Json::Number(number) => match number.as_i64() {
            Some(int) => cel::Value::Int(int),
            None => cel::Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => cel::Value::String(Arc::new(text.clone())),
        Json::Array(items) => cel::Value::List(Arc::new(items.iter().map(cel_value).collect())),
        Json::Object(members) => {
            let members: HashMap<String, cel::Value> =
                members.iter().map(|(key, value)| (key.clone(), cel_value(value))).collect();
            cel::Value::Map(members.into())
        }
    }
}

fn cel_context<'v>(env: &Arc<cel::Env>, event: &Json) -> cel::Context<'static, 'v> {
    let mut context = cel::Context::with_env(Arc::clone(env));
    for (name, value) in event.as_object().into_iter().flatten() {
        context.add_variable_from_value(name.clone(), cel_value(value));
    }
    context
}

fn rhai_scope(event: &Json) -> rhai::Scope<'static> {
    let mut scope = rhai::Scope::new();
    for (name, value) in event.as_object().into_iter().flatten() {
        scope.push_dynamic(name.clone(), rhai_value(value));
    }
    scope
}

/// evalexpr has neither maps nor member access: the fields become variables with dots in their names.
fn evalexpr_context(event: &Json) -> evalexpr::HashMapContext {
    let mut context = evalexpr::HashMapContext::new();
    for (name, value) in event.as_object().into_iter().flatten() {
        for (field, value) in value.as_object().into_iter().flatten() {
            let value: evalexpr::Value = match value {
                Json::Bool(value) => (*value).into(),
                Json::Number(number) => match number.as_i64() {
                    Some(int) => int.into(),
                    None => number.as_f64().unwrap_or_default().into(),
                },
                Json::String(text) => text.clone().into(),
                _ => continue,
            };
            if let Err(error) = context.set_value(format!("{name}.{field}"), value) {
                disagree("the event", "evalexpr", &error.to_string());
            }
        }
    }
    context
}

fn evaluate(criterion: &mut Criterion, case: &Case) {
    let event = event();
    let mut group = criterion.benchmark_group(format!("expr/eval_{}", case.name));
    let program = ours(case);
    let wanted = match program.evaluate(&event) {
        Ok(value) => value.to_json(),
        Err(error) => disagree(case.name, "guardian", &error.to_string()),
    };
    group.bench_function("guardian", |bencher| bencher.iter(|| program.evaluate(black_box(&event))));

    let zen = zen_expression::Isolate::new().compile_standard(&case.zen);
    let zen = zen.unwrap_or_else(|error| disagree(case.name, "zen", &error.to_string()));
    let scope = zen_expression::Scope::new(zen_expression::Variable::from(&event));
    let mut machine = zen_expression::vm::VM::new();
    match zen.evaluate_with_scope(&scope, &mut machine) {
        Ok(value) if value.to_value() == wanted => {}
        other => disagree(case.name, "zen", &format!("{other:?}")),
    }
    group.bench_function("vs/zen", |bencher| {
        bencher.iter(|| zen.evaluate_with_scope(black_box(&scope), &mut machine));
    });

    let env = Arc::new(cel::Env::stdlib());
    let cel = env.compile(&case.cel);
    let cel = cel.unwrap_or_else(|error| disagree(case.name, "cel", &error.to_string()));
    let context = cel_context(&env, &event);
    match cel.execute(&context) {
        Ok(value) if value == cel_value(&wanted) => {}
        other => disagree(case.name, "cel", &format!("{other:?}")),
    }
    group.bench_function("vs/cel", |bencher| bencher.iter(|| cel.execute(black_box(&context))));

    let mut engine = rhai::Engine::new();
    engine.set_max_expr_depths(0, 0);
    let rhai = engine.compile_expression(&case.rhai).or_else(|_| engine.compile(&case.rhai));
    let rhai = rhai.unwrap_or_else(|error| disagree(case.name, "rhai", &error.to_string()));
    let mut scope = rhai_scope(&event);
    match engine.eval_ast_with_scope::<rhai::Dynamic>(&mut scope, &rhai) {
        Ok(value) if format!("{value:?}") == format!("{:?}", rhai_value(&wanted)) => {}
        other => disagree(case.name, "rhai", &format!("{other:?}")),
    }
    group.bench_function("vs/rhai", |bencher| {
        bencher.iter(|| engine.eval_ast_with_scope::<rhai::Dynamic>(black_box(&mut scope), &rhai));
    });

    if let Some(text) = &case.evalexpr {
        let tree = evalexpr::build_operator_tree(text);
        let tree = tree.unwrap_or_else(|error| disagree(case.name, "evalexpr", &error.to_string()));
        let context = evalexpr_context(&event);
        if let Err(error) = tree.eval_with_context(&context) {
            disagree(case.name, "evalexpr", &error.to_string());
        }
        group.bench_function("vs/evalexpr", |bencher| {
            bencher.iter(|| tree.eval_with_context(black_box(&context)));
        });
    }
    group.finish();
}

/// From a JSON event to the answer.
fn from_event(criterion: &mut Criterion, case: &Case) {
    let event = event();
    let mut group = criterion.benchmark_group(format!("expr/event_{}", case.name));
    let program = ours(case);
    group.bench_function("guardian", |bencher| bencher.iter(|| program.evaluate(black_box(&event))));

    let zen = zen_expression::Isolate::new().compile_standard(&case.zen);
    let zen = zen.unwrap_or_else(|error| disagree(case.name, "zen", &error.to_string()));
    let mut machine = zen_expression::vm::VM::new();
    group.bench_function("vs/zen", |bencher| {
        bencher.iter(|| zen.evaluate_with(zen_expression::Variable::from(black_box(&event)), &mut machine));
    });

    let env = Arc::new(cel::Env::stdlib());
    let cel = env.compile(&case.cel);
    let cel = cel.unwrap_or_else(|error| disagree(case.name, "cel", &error.to_string()));
    group.bench_function("vs/cel", |bencher| {
        bencher.iter(|| cel.execute(&cel_context(&env, black_box(&event))));
    });

    let engine = rhai::Engine::new();
    let rhai = engine.compile_expression(&case.rhai);
    let rhai = rhai.unwrap_or_else(|error| disagree(case.name, "rhai", &error.to_string()));
    group.bench_function("vs/rhai", |bencher| {
        bencher
            .iter(|| engine.eval_ast_with_scope::<rhai::Dynamic>(&mut rhai_scope(black_box(&event)), &rhai));
    });

    if let Some(text) = &case.evalexpr {
        let tree = evalexpr::build_operator_tree(text);
        let tree = tree.unwrap_or_else(|error| disagree(case.name, "evalexpr", &error.to_string()));
        group.bench_function("vs/evalexpr", |bencher| {
            bencher.iter(|| tree.eval_with_context(&evalexpr_context(black_box(&event))));
        });
    }
    group.finish();
}

/// From the text to a program; ours is checked against the schema of the event, nobody else's is checked.
fn compile(criterion: &mut Criterion, case: &Case) {
    let mut group = criterion.benchmark_group(format!("expr/compile_{}", case.name));
    let env = Env::builder().event_schema(&schema()).and_then(guardian_expr::EnvBuilder::build);
    let env = env.unwrap_or_else(|error| disagree(case.name, "guardian", &error.to_string()));
    group.bench_function("guardian", |bencher| bencher.iter(|| env.compile(black_box(&case.cel))));
    let mut isolate = zen_expression::Isolate::new();
    group.bench_function("vs/zen", |bencher| {
        bencher.iter(|| isolate.compile_standard(black_box(&case.zen)));
    });
    let stdlib = Arc::new(cel::Env::stdlib());
    group.bench_function("vs/cel", |bencher| bencher.iter(|| stdlib.compile(black_box(&case.cel))));
    let engine = rhai::Engine::new();
    group.bench_function("vs/rhai", |bencher| {
        bencher.iter(|| engine.compile_expression(black_box(&case.rhai)));
    });
    if let Some(text) = &case.evalexpr {
        group.bench_function("vs/evalexpr", |bencher| {
            bencher.iter(|| evalexpr::build_operator_tree(black_box(text)));
        });
    }
    group.finish();
}

/// From the text to a tree; the peer is the new, hidden parser of cel, which is faster than its default one.
fn parse(criterion: &mut Criterion, case: &Case) {
    let mut group = criterion.benchmark_group(format!("expr/parse_{}", case.name));
    let env = Env::new();
    group.bench_function("guardian", |bencher| bencher.iter(|| env.parse(black_box(&case.cel))));
    group.bench_function("vs/cel", |bencher| {
        bencher.iter(|| cel::parser::PrattParser::new().parse(black_box(&case.cel)));
    });
    group.finish();
}

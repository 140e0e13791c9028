//! The checker and what works on checked expressions.
#![no_main]

use std::sync::LazyLock;

use guardian_expr::{Env, Sizes};
use libfuzzer_sys::fuzz_target;

static ENV: LazyLock<Env> = LazyLock::new(|| {
    let schema = serde_json::json!({"type": "object", "properties": {
        "a": {"type": "integer"}, "b": {"type": "number"}, "c": {"type": "string"}, "d": {"type": ["boolean", "null"]},
        "l": {"type": "array", "items": {"type": "integer"}}, "o": {"type": "object", "properties": {"x": {"type": "string"}}},
        "y": true,
    }});
    Env::builder()
        .event_schema(&schema)
        .and_then(guardian_expr::EnvBuilder::build)
        .expect("the schema is one")
});

fuzz_target!(|text: &str| {
    if let Ok(program) = ENV.compile(text) {
        let estimate = program.estimate(Sizes::at_most(100, 100, 3));
        assert!(estimate.min <= estimate.max);
        let _ = (program.lint(), program.references(), program.result_type().to_string());
    }
});

//! The machine: it stays within the budget and the estimate, and tracing changes no value.
#![no_main]

use std::sync::LazyLock;

use guardian_expr::{Budget, Env, Sizes};
use libfuzzer_sys::fuzz_target;

static EVENT: LazyLock<serde_json::Value> = LazyLock::new(
    || serde_json::json!({"a": 5, "b": 2.5, "c": "text", "d": null, "l": [1, 2, 3], "o": {"x": "y", "l": [[1], []]}, "y": true}),
);

fuzz_target!(|text: &str| {
    let Ok(program) = Env::new().compile_unchecked(text) else { return };
    let budget = Budget::default().with_cost(5_000).with_memory(100_000);
    let outcome = program.run(&*EVENT, budget);
    assert!(outcome.cost <= 5_000);
    assert!(outcome.cost <= program.estimate(Sizes::at_most(16, 16, 4)).max, "{text}");
    if let Ok(value) = outcome.value {
        let traced = program.explain(&*EVENT);
        let shown = traced.value.map(|value| value.to_string());
        assert_eq!(shown.ok(), Some(value.to_string()), "{text}");
        let _ = value.to_json();
    }
});

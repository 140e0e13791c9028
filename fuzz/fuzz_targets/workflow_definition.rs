//! Definitions of workflows, what is built on them, and a short simulation.
#![no_main]

use guardian_workflow::picture::{Paints, mermaid, svg};
use guardian_workflow::simulate::{Stubs, simulate};
use guardian_workflow::{Catalog, Definition, diff, validate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(mut definition) = Definition::from_json(text) else { return };
    let again = Definition::from_value(definition.to_value()).expect("what was written is read");
    assert_eq!(again, definition);
    assert!(diff(&definition, &again).is_empty());
    let catalog = Catalog::new();
    let report = validate(&definition, &catalog);
    let _ = (report.to_string(), svg(&definition, &Paints::default()), mermaid(&definition));
    definition.settings.limits.steps = definition.settings.limits.steps.min(500);
    if let Ok(trace) = simulate(&definition, &catalog, serde_json::json!({"n": 1}), &Stubs::default()) {
        assert!(trace.outcome.is_some() || !trace.waiting.is_empty());
    }
});

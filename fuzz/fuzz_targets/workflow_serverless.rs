//! Workflows of the Serverless Workflow DSL.
#![no_main]

use guardian_workflow::import::serverless;
use guardian_workflow::{ActionSpec, Catalog, validate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(imported) = serverless::import(text) else { return };
    let catalog = imported.actions.iter().try_fold(Catalog::new(), |catalog, name| catalog.with(ActionSpec::new(name)));
    let _ = validate(&imported.definition, &catalog.expect("an action without schemas is one"));
});

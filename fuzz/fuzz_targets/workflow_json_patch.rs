//! JSON patches: what is applied, and what lies between two documents.
#![no_main]

use guardian_workflow::JsonPatch;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|texts: (&str, &str)| {
    let (Ok(old), Ok(new)) = (serde_json::from_str::<Value>(texts.0), serde_json::from_str::<Value>(texts.1)) else {
        return;
    };
    assert_eq!(JsonPatch::between(&old, &new).apply(&old).expect("it was made for this"), new);
    if let Ok(patch) = JsonPatch::from_value(&new) {
        let _ = patch.apply(&old);
    }
});

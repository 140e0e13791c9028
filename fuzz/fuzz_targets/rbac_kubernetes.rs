//! No documents make the reader of Kubernetes roles fail; what it makes can be compiled or says why not.
#![no_main]

use guardian_core::{Clock, ManualClock};
use guardian_rbac::import::read_kubernetes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(imported) = read_kubernetes(text, ManualClock::new().now())
        && let Err(error) = imported.compile()
    {
        assert!(!error.to_string().is_empty());
    }
});

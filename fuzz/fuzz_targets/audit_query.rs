//! A query of the audit log: any text is a query or an error that points into it; what is read is written so that it reads the
//! same.
#![no_main]

use guardian_audit::{Plan, Query};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let plan = |query: &Query| Plan::compile(query, &|_, _| None);
    match text.parse::<Query>() {
        Ok(query) => {
            let written = query.to_string();
            let again: Query = written.parse().unwrap_or_else(|error| panic!("`{written}` is no query: {error}"));
            assert_eq!(plan(&again), plan(&query), "{written}");
        }
        Err(error) => {
            let span = error.span();
            assert!(span.start <= span.end && span.start <= text.len(), "{span:?} of {}", text.len());
            assert!(!error.to_string().is_empty());
        }
    }
});

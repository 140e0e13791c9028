//! Policies about addresses: any text is read or refused, and what was read reads back.
#![no_main]

use guardian_ipaccess::{AccessPolicy, CompiledPolicy, Defaults};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = AccessPolicy::from_json(text);
    let mut table = AccessPolicy::new(Defaults::open());
    if table.add_csv(text).is_ok() {
        let mut again = AccessPolicy::new(Defaults::open());
        again.add_csv(&table.to_csv()).expect("what was written reads back");
        assert_eq!(again, table);
    }
    if let Ok(policy) = AccessPolicy::parse(text, Defaults::open()) {
        let again = AccessPolicy::parse(&policy.to_string(), Defaults::closed()).expect("what was written reads back");
        assert_eq!(again, policy);
        let _ = (policy.overlaps(), CompiledPolicy::new(policy));
    }
});

//! The text of a rule: whatever parses has one canonical spelling, which reads back as the same rule.
#![no_main]

use guardian_ratelimit::Rule;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match text.parse::<Rule>() {
        Ok(rule) => {
            let canonical = rule.to_string();
            let again: Rule = canonical.parse().expect("the canonical spelling parses");
            assert_eq!(again, rule, "`{text}` was written as `{canonical}`");
            assert_eq!(again.to_string(), canonical);
            assert!(rule.capacity() >= 1 && !rule.window().is_zero());
            // What one of several processes may admit is never more than the whole.
            assert!(rule.divided(3).capacity() <= rule.capacity());
        }
        // The message shows the input, so it must be bounded whatever the input is.
        Err(error) => assert!(error.to_string().chars().count() < 2000),
    }
});

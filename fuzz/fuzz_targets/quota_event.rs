//! Usage events, and the subjects in them.
#![no_main]

use guardian_quota::{Happened, Subject};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(subject) = text.parse::<Subject>() {
        let again: Subject = subject.to_string().parse().expect("what was written is read");
        assert_eq!(again, subject);
        assert!(Subject::org().contains(&subject) && subject.contains(&subject));
    }
    if let Ok(event) = Happened::parse(text) {
        assert!(event.usage.amount() <= guardian_quota::MAX_AMOUNT);
    }
});

//! The text of statements and migrations: where one ends, and what ends the transaction.
#![no_main]

use guardian_sql::{Dialect, fuzzing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let (count, _) = fuzzing::script(text, dialect);
        let Ok((verb, placeholders)) = fuzzing::statement(text, dialect) else {
            continue;
        };
        assert!(count <= 1, "one statement was counted as {count}");
        // A line break ends a comment at the end; an unclosed literal or block comment swallows what is added.
        let again = fuzzing::statement(&format!("{text}\n-- ; COMMIT"), dialect);
        assert_eq!(again, Ok((verb.clone(), placeholders)));
        let more = format!("{text}\n; SELECT 1");
        if let Ok(found) = fuzzing::statement(&more, dialect) {
            // Only where the end was inside of something unclosed.
            assert_eq!(found, (verb, placeholders));
            let closed = ["'", "\"", "`", "]", "*/", "$"].iter().all(|mark| !text.contains(mark) && !text.contains("/*"));
            assert!(!closed || text.contains('['), "`{more}` passed as one statement");
        }
    }
});

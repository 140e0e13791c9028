//! The text of an expression: whatever parses is written in one style, which reads back as an equal tree.
#![no_main]

use guardian_expr::Env;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let env = Env::new();
    match env.parse(text) {
        Ok(ast) => {
            let formatted = ast.format();
            let again = env.parse(&formatted).expect("the one style parses");
            assert!(again == ast, "`{text}` was written as `{formatted}`");
            assert_eq!(again.format(), formatted);
        }
        // The message shows a part of the input, so it must be bounded whatever the input is.
        Err(error) => assert!(error.to_string().chars().count() < 2000),
    }
    let _ = env.from_evalexpr(text);
});

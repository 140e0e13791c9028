//! The form of a visual builder: from text to rules and back, and from JSON to text and back.
#![no_main]

use guardian_expr::Env;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let env = Env::new();
    if let Ok(ast) = env.parse(text) {
        let rules = ast.to_rules();
        // What nests deeper than groups may is one rule with all of the text.
        let written = env.from_rules(&rules).expect("the rules of a condition are rules");
        let again = env.parse(&written).expect("what rules say parses");
        assert!(again == ast, "`{text}` became {rules} and `{written}`");
    }
    if let Ok(json) = serde_json::from_str(text)
        && let Ok(written) = env.from_rules(&json)
    {
        let back = env.parse(&written).expect("what rules say parses").to_rules();
        assert_eq!(env.from_rules(&back).ok(), Some(written));
    }
});

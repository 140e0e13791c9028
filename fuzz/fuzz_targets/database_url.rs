//! The URL of a database: read without failing, and never shown with its password.
#![no_main]

use arbitrary::Arbitrary;
use guardian_sql::fuzzing;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    text: &'a str,
    user: &'a str,
    rest: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    for text in [input.text.to_owned(), format!("sqlite:{}", input.text), format!("postgres://{}", input.text)] {
        let shown = fuzzing::address(&text).unwrap_or_else(|error| error);
        assert!(shown.len() <= 5 * guardian_limit());
    }
    // A password, well-formed or not around it, is in neither the error nor the value's debug text.
    let secret = "zQ7secretQz";
    // With an `@` before it, it stands in another place: a database or a file can be named like that.
    let plain = !input.user.contains('@') && input.user != "sqlite";
    let rest = input.rest.replace('@', "");
    if plain && ![input.user, &rest].iter().any(|part| part.contains(secret)) {
        for url in [
            format!("postgres://{}:{secret}@{rest}", input.user),
            format!("{}://{}:{secret}@{rest}", input.user, input.user),
            format!("postgres://{}:{secret}", input.user),
        ] {
            let shown = fuzzing::address(&url).unwrap_or_else(|error| error);
            assert!(!shown.contains(secret), "`{url}` is shown as `{shown}`");
            assert!(!fuzzing::redacted(&url).contains(secret));
        }
    }
});

/// The longest URL; each character may be escaped.
fn guardian_limit() -> usize {
    4096
}

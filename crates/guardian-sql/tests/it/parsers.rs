//! The reader of statements against a real database, and of URLs against anything.

use guardian_sql::testkit::Kind;
use guardian_sql::{Dialect, Migration, Migrations, fuzzing};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::basics::scope;

/// Texts made of what means something to a lexer.
fn sql() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "SELECT 1",
        "COMMIT",
        "'",
        "''",
        "\"",
        "`",
        "[",
        "]",
        ";",
        "--",
        "\n",
        "/*",
        "*/",
        "$$",
        "$a$",
        "$1",
        "$2",
        "E'",
        "\\",
        "a",
        " ",
        "BEGIN",
        "END",
        "CASE",
        "CREATE TRIGGER",
        "ATOMIC",
        "é",
        "1e5",
        "(",
        "?",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(Config::with_cases(20_000))]

    #[test]
    fn one_statement_is_one_however_it_is_read(text in sql()) {
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            let (count, _) = fuzzing::script(&text, dialect);
            if let Ok(found) = fuzzing::statement(&text, dialect) {
                prop_assert!(count <= 1);
                prop_assert_eq!(fuzzing::statement(&format!("{text}\n-- ; COMMIT"), dialect), Ok(found));
            }
        }
    }

    #[test]
    fn anything_is_read_and_no_password_is_shown(user in "[^@]{0,12}", text in ".{0,40}", rest in "[^@]{0,20}") {
        let _ = fuzzing::address(&text);
        let _ = fuzzing::address(&format!("sqlite:{text}"));
        let secret = "zQ7secretQz";
        for url in [format!("postgres://{user}:{secret}@{rest}"), format!("{user}://{user}:{secret}@{rest}")] {
            let shown = fuzzing::address(&url).unwrap_or_else(|error| error);
            prop_assert!(!shown.contains(secret), "{} is shown as {}", url, shown);
        }
    }
}

/// What passes as one statement never ends the transaction and never runs a second one, whatever it is.
#[tokio::test]
async fn no_text_gets_past_the_guard() {
    const CANARY: Migrations = Migrations::new(
        "canary",
        &[Migration::same(1, "canary", "CREATE TABLE canary (id BIGINT); INSERT INTO canary VALUES (1)")],
    );
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for kind in Kind::all() {
        let fresh = kind.open(&[&CANARY]).await.unwrap();
        let mut passed = 0;
        for _ in 0..1_500 {
            let start = prop::sample::select(vec![
                "SELECT 1 AS a ",
                "SELECT '",
                "SELECT \"a\" FROM (SELECT 2 AS a) ",
                "",
            ]);
            let end = prop::sample::select(vec!["; DELETE FROM canary", ";COMMIT", "", "' AS b"]);
            let text = (start, sql(), end).prop_map(|(start, middle, end)| format!("{start}{middle}{end}"));
            let text = Strategy::new_tree(&text, &mut runner).unwrap().current();
            if fuzzing::statement(&text, fresh.database().dialect()).is_err() {
                continue;
            }
            // The literal of a program: this one happens to be made up.
            let text: &'static str = Box::leak(text.into_boxed_str());
            let mut tx = fresh.database().begin(&scope("acme")).await.unwrap();
            tx.execute("UPDATE canary SET id = 2", &[]).await.unwrap();
            passed += u32::from(tx.execute(text, &[]).await.is_ok());
            tx.rollback().await.unwrap();
            let mut tx = fresh.database().begin(&scope("acme")).await.unwrap();
            let row = tx.fetch_optional("SELECT id FROM canary", &[]).await.unwrap();
            let id: Option<i64> = row.map(|row| row.get(0).unwrap());
            assert_eq!(id, Some(1), "{kind:?}: `{text}` got past the guard");
            tx.rollback().await.unwrap();
        }
        assert!(passed > 20, "{kind:?}: only {passed} ran");
    }
}

//! Texts that nobody meant: policies, statements and catalogs of any shape are judged and never make the crate fail.

use guardian_tenant::isolation::drop_predicates;
use guardian_tenant::lint::{Catalog, Code, Lint, SqliteCatalog};
use proptest::prelude::*;

/// Pieces that policies and statements are made of, in any order.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("tenant_id"),
        Just("="),
        Just("("),
        Just(")"),
        Just("OR"),
        Just("AND"),
        Just("NOT"),
        Just("true"),
        Just("current_setting"),
        Just("'guardian.tenant'"),
        Just("::text"),
        Just("SELECT"),
        Just("CASE WHEN"),
        Just("THEN"),
        Just("ELSE"),
        Just("END"),
        Just("NULLIF"),
        Just(","),
        Just("''"),
        Just("\""),
        Just("'"),
        Just("WHERE"),
        Just("$1"),
        Just("IN"),
        Just("IS NOT NULL"),
        Just("--"),
        Just("/*"),
        Just("ü"),
        Just("["),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.join(" "))
}

fn policy(expression: &str) -> Catalog {
    let catalog = serde_json::json!({ "current_user": "app", "relations": [{
        "oid": 1, "schema": "s", "name": "t", "kind": "r", "owner": "o", "rls": true, "forced": true,
        "columns": [{ "name": "tenant_id", "type": "text", "not_null": true }],
        "policies": [{
            "name": "p", "command": "*", "permissive": true, "roles": ["PUBLIC"], "using": expression, "check": expression,
        }],
    }] });
    Catalog::from_json(&catalog.to_string()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_policy_is_judged(expression in prop_oneof![soup(), "\\PC{0,60}"]) {
        let report = Lint::new().check(&policy(&expression));
        prop_assert_eq!(report.coverage().is_complete(), report.findings().is_empty());
    }

    #[test]
    fn a_policy_that_names_no_tenant_is_never_taken_for_the_test(expression in "[a-su-z0-9 =()<>']{0,40}") {
        let report = Lint::new().check(&policy(&expression));
        let codes: Vec<_> = report.findings().iter().map(guardian_tenant::lint::Finding::code).collect();
        let bad = |code: &Code| matches!(code, Code::PolicyWithoutTenant | Code::PolicyAlwaysTrue);
        prop_assert!(codes.iter().any(bad), "{:?}", codes);
    }

    #[test]
    fn a_mutant_is_the_statement_and_one_condition_more(statement in prop_oneof![soup(), "\\PC{0,60}"]) {
        for mutant in drop_predicates(&statement, &["tenant_id"]) {
            prop_assert_eq!(mutant.len(), statement.len() + "( OR 1 = 1)".len());
        }
    }

    #[test]
    fn any_text_is_a_catalog_or_is_not(text in prop_oneof![soup(), "\\{\"[a-z_]{0,12}\": ?[0-9\\[\\]{}\",a]{0,12}\\}"]) {
        let _ = Catalog::from_json(&text).map(|catalog| Lint::new().check(&catalog));
        let _ = SqliteCatalog::from_json(&text).map(|catalog| Lint::new().check_sqlite(&catalog));
    }
}

#[test]
fn deep_and_long_policies_are_refused_in_bounded_time() {
    for expression in [
        "(".repeat(100_000),
        "tenant_id = (SELECT ".repeat(5_000),
        "a OR ".repeat(50_000),
        "(a) AND (".repeat(9_000),
    ] {
        let report = Lint::new().check(&policy(&expression));
        assert!(!report.findings().is_empty());
    }
}

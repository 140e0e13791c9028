//! What guardian-tenant reads: settings, policies' expressions, catalogs, and statements to leave predicates out of.
#![no_main]

use guardian_tenant::Settings;
use guardian_tenant::isolation::drop_predicates;
use guardian_tenant::lint::{Catalog, Lint, SqliteCatalog};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match text.parse::<Settings>() {
        Ok(settings) => {
            let again: Settings = settings.to_string().parse().expect("what was written reads");
            assert_eq!(again, settings);
        }
        Err(error) => assert!(error.to_string().chars().count() < 2000),
    }
    for mutant in drop_predicates(text, &["tenant_id", "a"]) {
        assert_eq!(mutant.len(), text.len() + " OR 1 = 1".len() + 2);
    }
    let lint = Lint::new();
    if let Ok(catalog) = Catalog::from_json(text) {
        let report = lint.check(&catalog);
        assert_eq!(report.coverage().is_complete(), report.findings().is_empty());
    }
    if let Ok(catalog) = SqliteCatalog::from_json(text) {
        let _ = lint.check_sqlite(&catalog);
    }
    // Whatever the expression of a policy is, it is judged in bounded time.
    let policy = serde_json::json!({ "current_user": "app", "relations": [{
        "oid": 1, "schema": "s", "name": "t", "kind": "r", "owner": "o", "rls": true, "forced": true,
        "columns": [{ "name": "tenant_id", "type": "text", "not_null": true }],
        "policies": [{ "name": "p", "command": "*", "permissive": true, "roles": ["PUBLIC"], "using": text, "check": text }],
    }] });
    let catalog = Catalog::from_json(&policy.to_string()).expect("the catalog is one");
    let _ = lint.check(&catalog);
});

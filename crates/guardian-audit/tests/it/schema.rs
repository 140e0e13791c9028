//! Events that are not what the schema of their action says are refused before anything is stored.

use guardian_audit::store::{AuditStore, MemoryStore};
use guardian_audit::{
    AuditConfig, AuditEvent, AuditLog, AuditQueue, Error, Overflow, Schemas, Subject, Target,
};
use guardian_audit::{Change, PersonalData, keys::MemoryKeys};
use guardian_core::{Scope, TenantId};
use serde_json::json;

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn scope() -> Scope {
    Scope::system(TenantId::new("acme").unwrap())
}

fn schemas() -> Schemas {
    let invoice = json!({
        "required": ["target", "metadata"],
        "properties": {
            "target": { "properties": { "kind": { "const": "invoice" } } },
            "outcome": { "enum": ["success", "failure"] },
            "metadata": {
                "required": ["amount"],
                "properties": {
                    "amount": { "type": "number", "minimum": 0, "not": { "const": 7 } },
                    "currency": { "type": "string", "minLength": 3, "maxLength": 3 },
                    "tags": { "minItems": 1, "items": { "anyOf": [{ "type": "integer" }, { "type": "null" }] } },
                },
                "additionalProperties": false,
            },
            "changes": { "items": { "properties": { "path": { "enum": ["/status"] } } } },
        },
    });
    Schemas::new().with_action("invoice.paid", &invoice).unwrap()
}

fn paid() -> AuditEvent {
    AuditEvent::new("invoice.paid")
        .with_target(Target::new("invoice", "i_7"))
        .with_metadata("amount", 12.5)
        .with_metadata("currency", "EUR")
}

#[test]
fn what_is_wrong_is_named_with_its_path_and_not_its_value() {
    let log = AuditLog::new(MemoryStore::new(), AuditConfig::default().with_schemas(schemas()));
    run(log.record(&scope(), paid())).unwrap();
    run(log.record(&scope(), AuditEvent::new("deal.updated"))).unwrap();
    let secret = "4111 1111 1111 1111";
    for (event, wanted) in [
        (paid().with_metadata("amount", -1), "`/metadata/amount` "),
        (paid().with_metadata("amount", secret), "`/metadata/amount` "),
        (paid().with_metadata("currency", secret), "`/metadata/currency` "),
        (paid().with_metadata("amount", 7.0), "`/metadata/amount` "),
        (paid().with_metadata("tags", json!([1, 2.0, null, 1.5])), "`/metadata/tags/3` "),
        (paid().with_metadata("tags", json!([])), "`/metadata/tags` must be at least 1 items"),
        (paid().with_metadata("card", secret), "`/metadata/card` "),
        (paid().with_target(Target::new("deal", "d_1")), "`/target/kind` "),
        (paid().with_changes(vec![Change::new("/owner", None, None)]), "`/changes/0/path` "),
        (AuditEvent::new("invoice.paid"), "`/` has no `target`"),
    ] {
        let error = run(log.record(&scope(), event)).unwrap_err();
        assert!(matches!(error, Error::InvalidEvent(_)));
        let error = error.to_string();
        assert!(error.starts_with("invalid event `invoice.paid`: ") && error.contains(wanted), "{error}");
        assert!(!error.contains(secret), "{error}");
    }
    // Of several, one that is wrong keeps the others out; the queue asks too.
    let events = vec![paid(), AuditEvent::new("invoice.paid")];
    assert!(run(log.record_all(&scope(), events)).is_err());
    assert_eq!(run(log.head(&scope())).unwrap().size, 2);
    let queue = AuditQueue::new(log, 9, Overflow::Fail).unwrap();
    assert!(run(queue.record(&scope(), AuditEvent::new("invoice.paid"))).is_err());
    assert_eq!(queue.waiting(), 0);
}

#[test]
fn actions_without_a_schema_may_be_refused_but_not_the_logs_own() {
    let config = AuditConfig::default()
        .with_schemas(schemas().only_known())
        .with_personal_data(PersonalData::default(), MemoryKeys::new());
    let log = AuditLog::new(MemoryStore::new(), config);
    run(log.record(&scope(), paid())).unwrap();
    assert!(run(log.record(&scope(), AuditEvent::new("deal.updated"))).is_err());
    run(log.count(&scope(), &"".parse().unwrap(), None)).unwrap();
    run(log.erase_subject(&scope(), &Subject::new("user", "u_1"))).unwrap();
    assert_eq!(run(log.store().head(&scope())).unwrap().size, 3);
}

#[test]
fn what_is_no_schema_is_refused() {
    let deep = (0..40).fold(json!({}), |inner, _| json!({ "not": inner }));
    for schema in [
        json!(7),
        json!({ "type": "nothing" }),
        json!({ "$ref": "https://example.com/schema.json" }),
        json!({ "properties": { "metadata": { "pattern": "a" } } }),
        json!({ "minLength": -1 }),
        json!({ "anyOf": [] }),
        json!({ "required": "target" }),
        deep,
    ] {
        let error = Schemas::new().with_action("a.b", &schema).unwrap_err();
        assert!(error.to_string().starts_with("the schema of `a.b` is none: "), "{error}");
    }
}

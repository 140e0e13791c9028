//! All domains in one document.

use std::collections::BTreeMap;

use guardian_audit::checkpoint::KeyRing;
use guardian_audit::{AuditConfig, AuditLog};
use guardian_core::{ManualClock, SystemIds};
use guardian_http::api::{self, Api, Document, Unguarded};
use guardian_quota::Quotas;
use guardian_ratelimit::Limiter;
use guardian_webhook::{AeadVault, Answer, Config, HttpSender, Request, SendError, Webhooks};
use serde_json::Value;

use super::contract::Contract;

#[derive(Debug)]
struct Nowhere;

#[async_trait::async_trait]
impl HttpSender for Nowhere {
    async fn send(&self, _: Request) -> Result<Answer, SendError> {
        Err(SendError::Connect("nowhere".to_owned()))
    }
}

fn all() -> Vec<(&'static str, Api, usize)> {
    let store = guardian_webhook::store::MemoryStore::new();
    let vault = AeadVault::new([7; 32]);
    let webhooks = Webhooks::new(store, vault, ManualClock::new(), SystemIds::new(), Config::default());
    let log = AuditLog::new(guardian_audit::store::MemoryStore::new(), AuditConfig::default());
    vec![
        ("rate-limits", api::ratelimit::api(Limiter::in_memory(), api::ratelimit::Forgetful), 6),
        ("quotas", api::quota::api(Quotas::in_memory([]).unwrap()), 33),
        ("webhooks", api::webhook::api(webhooks, Nowhere), 23),
        ("audit", api::audit::api(log, KeyRing::new()), 20),
    ]
}

fn operations(document: &Value) -> usize {
    let paths = document["paths"].as_object().unwrap().values();
    paths.map(|item| item.as_object().unwrap().len()).sum()
}

#[test]
fn each_name_means_one_thing_in_all_domains() {
    let mut known: BTreeMap<String, (&str, Value)> = BTreeMap::new();
    let mut document = Document::new("test", "1.0.0", Unguarded);
    let mut sum = 0;
    for ((name, one, count), (.., again, _)) in all().into_iter().zip(all()) {
        let own = Document::new("test", "1.0.0", Unguarded).with(one).openapi();
        assert_eq!(operations(&own), count, "the operations on {name}");
        sum += count;
        for (schema, means) in own["components"]["schemas"].as_object().unwrap() {
            let (first, before) = known.entry(schema.clone()).or_insert_with(|| (name, means.clone()));
            assert_eq!(before, means, "{schema} of {first} and of {name}");
        }
        document = document.with(again);
    }
    assert_eq!(operations(&document.openapi()), sum, "two domains share a path");
    // Ids that are there once, references that lead somewhere, examples that fit: of all of them together.
    drop(Contract::of(document));
}

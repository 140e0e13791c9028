//! All domains in one document.

use std::collections::BTreeMap;
use std::sync::Arc;

use guardian_audit::checkpoint::KeyRing;
use guardian_audit::{AuditConfig, AuditLog};
use guardian_core::{ManualClock, SystemIds};
use guardian_http::TrustedProxies;
use guardian_http::api::{self, Api, Document, Unguarded};
use guardian_ipaccess::IpAccess;
use guardian_quota::Quotas;
use guardian_ratelimit::Limiter;
use guardian_rbac::{Catalog, Rbac};
use guardian_sentiment::Sentiments;
use guardian_tenant::Registry;
use guardian_webhook::{AeadVault, Answer, Config, HttpSender, Request, SendError, Webhooks};
use guardian_workflow::{Actions, Engine, Library};
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
    let vault = AeadVault::new([7; 32]);
    let queue = guardian_webhook::store::MemoryStore::new();
    let webhooks = Webhooks::new(queue, vault, ManualClock::new(), SystemIds::new(), Config::default());
    let access = Arc::new(IpAccess::new(guardian_ipaccess::MemoryStore::new()));
    let registry = Registry::new(guardian_tenant::MemoryStore::new());
    let roles = Rbac::new(Catalog::builder().build().unwrap(), guardian_rbac::MemoryStore::new());
    let store = Arc::new(guardian_workflow::MemoryStore::new());
    let library = Library::new(Arc::clone(&store), Actions::new().catalog().clone(), ManualClock::new());
    let engine = Engine::new(store, Actions::new(), ManualClock::new(), SystemIds::new());
    let log = AuditLog::new(guardian_audit::store::MemoryStore::new(), AuditConfig::default());
    vec![
        ("tenants", api::tenant::api(registry), 10),
        ("ip-access", api::ipaccess::api(access, TrustedProxies::none()), 10),
        ("roles", api::rbac::api(roles), 27),
        ("workflows", api::workflow::api(library, engine, api::workflow::ByName), 24),
        ("rate-limits", api::ratelimit::api(Limiter::in_memory(), api::ratelimit::Forgetful), 7),
        ("quotas", api::quota::api(Quotas::in_memory([]).unwrap()), 34),
        ("webhooks", api::webhook::api(webhooks, Nowhere), 24),
        ("sentiment", api::sentiment::api(Sentiments::new(guardian_sentiment::MemoryStore::new())), 15),
        ("audit", api::audit::api(log, KeyRing::new()), 21),
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

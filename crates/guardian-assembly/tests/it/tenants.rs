//! How a tenant becomes one, and what it does not read of itself.

use guardian_core::{Actor, Scope};
use guardian_quota::{Plan, Subject};
use guardian_tenant::Version;

use crate::host::{Ears, Letterbox, ann, builder, new_tenant, platform, recorded, tenant};

const TEAM: &str = r#"{ "name": "team", "features": { "exports": { "metered": {
    "unit": "export", "aggregation": "count", "limits": { "org": { "amount": 100 } } } } } }"#;

#[tokio::test]
async fn a_tenant_begins_with_roles_and_a_plan() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).plan(Plan::parse(TEAM).unwrap()).in_memory().await.unwrap();
    let platform = platform(&guardian);
    let acme = guardian.welcome(&platform, new_tenant("acme")).await.unwrap();
    assert_eq!(acme.version, Version::FIRST);

    let host = Scope::system(tenant("acme"));
    let snapshot = guardian.roles().load(&host).await.unwrap().snapshot();
    assert_eq!(guardian.quotas().balance(&host, "exports", &Subject::org()).await.unwrap().limit, Some(100));

    // Said again, it changes nothing: not the roles that were changed since, nor the plan.
    let revision = snapshot.revision();
    guardian.welcome(&platform, new_tenant("acme")).await.unwrap();
    assert_eq!(guardian.roles().load(&host).await.unwrap().snapshot().revision(), revision);
}

/// A tenant that is created over the API of administrators, which knows the registry alone, gets what every tenant gets.
#[tokio::test]
async fn a_tenant_of_the_registry_is_a_whole_one() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).plan(Plan::parse(TEAM).unwrap()).in_memory().await.unwrap();
    let platform = platform(&guardian);
    guardian.tenants().create(&platform, new_tenant("acme")).await.unwrap();
    let host = Scope::system(tenant("acme"));
    assert!(guardian.quotas().subscription(&host).await.unwrap().is_some());
    let snapshot = guardian.roles().load(&host).await.unwrap().snapshot();
    assert!(snapshot.revision() > guardian_rbac::Revision::default());
}

/// A slip of the pen is told, and makes no tenant that may do nothing.
#[tokio::test]
async fn a_plan_that_there_is_none_of_is_told() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).plan(Plan::parse(TEAM).unwrap()).in_memory().await.unwrap();
    let platform = platform(&guardian);
    let new = guardian_tenant::NewTenant::new(tenant("acme"), "Acme", "taem", "eu").unwrap();
    let error = guardian.welcome(&platform, new).await.unwrap_err();
    assert!(error.to_string().contains("`taem`"), "{error}");
    assert!(guardian.tenants().get(&platform, &tenant("acme")).await.is_err());
}

#[tokio::test]
async fn nobody_becomes_the_operator() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).plan(Plan::parse(TEAM).unwrap()).in_memory().await.unwrap();
    let platform = platform(&guardian);
    assert!(guardian.welcome(&platform, new_tenant("operator")).await.is_err());
    assert!(guardian.tenants().create(&platform, new_tenant("operator")).await.is_err());
    guardian.welcome_operator("team").await.unwrap();
    guardian.welcome_operator("team").await.unwrap();
    assert!(guardian.quotas().subscription(guardian.operator()).await.unwrap().is_some());
}

/// What an operator did in a tenant the tenant hears of; why, the operator alone.
#[tokio::test]
async fn an_operators_reasons_are_not_the_tenants() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).in_memory().await.unwrap();
    let acme = ann("acme");
    crate::host::listen(&guardian, &acme).await;
    let operator = Scope::new(tenant("acme"), Actor::service("operator.user:op").unwrap());
    let data = serde_json::json!({"amount": 5, "why": "they threatened to leave"});
    guardian.emit(&operator, "quota.adjusted", data).await.unwrap();
    guardian.workers().run_once().await.unwrap();
    let page = guardian_core::PageRequest::first(10).unwrap();
    let query = "action:quota.adjusted".parse().unwrap();
    let why = async |scope: &Scope| {
        let found = guardian.audit().search(scope, &query, &page).await.unwrap();
        found.items.iter().map(|stored| stored.event.metadata.get("why").cloned()).collect::<Vec<_>>()
    };
    assert_eq!(why(&acme).await, [None]);
    assert_eq!(why(guardian.operator()).await, [Some("they threatened to leave".into())]);
    assert_eq!(letters.bodies("quota.adjusted"), [serde_json::json!({"amount": 5})]);
}

/// Of a tenant that is purged nothing goes on.
#[tokio::test]
async fn a_purged_tenant_is_gone() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).in_memory().await.unwrap();
    let platform = platform(&guardian);
    guardian.welcome(&platform, new_tenant("acme")).await.unwrap();
    let acme = ann("acme");
    crate::host::listen(&guardian, &acme).await;
    let message = guardian_sentiment::Message::new("m1", "They are furious").unwrap();
    guardian.sentiments().record(&acme, &message).await.unwrap();
    let grace = std::time::Duration::ZERO;
    let deleting =
        guardian.tenants().delete(&platform, &tenant("acme"), Version::FIRST, grace).await.unwrap();
    guardian.tenants().purge(&platform, &tenant("acme"), deleting.version).await.unwrap();
    let page = guardian_core::PageRequest::first(10).unwrap();
    assert!(guardian.webhooks().endpoints(&acme, &page).await.unwrap().items.is_empty());
    assert!(guardian.workflows().workflow(&acme, "thank").await.unwrap().archived);
    assert!(guardian.sentiments().entry(&acme, "m1").await.unwrap().is_none());
    let started = guardian.engine().start(&acme, "thank", guardian_workflow::Start::default()).await;
    assert!(started.is_err());
}

/// What happened before is in the log, though nobody had told it yet; and what waited ends.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_purge_ends_runs_and_loses_no_record() {
    use guardian_workflow::{Definition, Note, Start, Status};

    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).open("sqlite::memory:").await.unwrap();
    let platform = platform(&guardian);
    guardian.welcome(&platform, new_tenant("acme")).await.unwrap();
    let acme = ann("acme");
    crate::host::listen(&guardian, &acme).await;
    let waits = serde_json::json!({"schema": 1, "name": "w", "start": "s", "edges": [],
        "nodes": {"s": {"type": "wait", "for": {"signal": {"name": "go"}}}}});
    let definition = Definition::from_value(waits).unwrap();
    guardian.workflows().save(&acme, "waits", &definition, &Note::default()).await.unwrap();
    guardian.workflows().publish(&acme, "waits", 1).await.unwrap();
    let run = guardian.engine().start(&acme, "waits", Start::default()).await.unwrap();
    guardian.workers().run_once().await.unwrap();
    assert_eq!(guardian.engine().run(&acme, run).await.unwrap().state.status, Status::Running);

    for number in 0..150 {
        guardian.emit(&acme, "deal.lost", serde_json::json!({"number": number})).await.unwrap();
    }
    let before = letters.ids_of("deal.lost").len();
    let grace = std::time::Duration::ZERO;
    let deleting =
        guardian.tenants().delete(&platform, &tenant("acme"), Version::FIRST, grace).await.unwrap();
    guardian.tenants().purge(&platform, &tenant("acme"), deleting.version).await.unwrap();
    assert_eq!(recorded(&guardian, &acme, "deal.lost").await, 150);
    assert_eq!(letters.ids_of("deal.lost").len(), before);
    guardian.workers().run_once().await.unwrap();
    assert_eq!(guardian.engine().run(&acme, run).await.unwrap().state.status, Status::Cancelled);
    assert_eq!(recorded(&guardian, &acme, "deal.lost").await, 150);
}

/// A host that does not take an event keeps the purge back, and what it has taken it does not get again.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_purge_goes_on_where_it_was() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).open("sqlite::memory:").await.unwrap();
    let platform = platform(&guardian);
    guardian.welcome(&platform, new_tenant("acme")).await.unwrap();
    guardian.workers().run_once().await.unwrap();
    let acme = ann("acme");
    for name in ["deal.lost", "deal.lost", "deal.kept", "deal.lost"] {
        guardian.emit(&acme, name, serde_json::json!({})).await.unwrap();
    }
    ears.refuse("deal.kept", 1);
    let grace = std::time::Duration::ZERO;
    let deleting =
        guardian.tenants().delete(&platform, &tenant("acme"), Version::FIRST, grace).await.unwrap();
    let purge = async || guardian.tenants().purge(&platform, &tenant("acme"), deleting.version).await;
    let heard = |name: &str| ears.names().iter().filter(|heard| *heard == name).count();
    assert!(purge().await.is_err());
    assert_eq!((heard("deal.lost"), heard("deal.kept")), (2, 0));
    purge().await.unwrap();
    assert_eq!((heard("deal.lost"), heard("deal.kept")), (3, 1));
    assert_eq!(recorded(&guardian, &acme, "deal.lost").await, 3);
    assert_eq!(recorded(&guardian, &acme, "deal.kept").await, 1);
}

#[tokio::test]
async fn a_tenant_that_is_on_its_way_out_is_not_welcome() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).in_memory().await.unwrap();
    let platform = platform(&guardian);
    guardian.welcome(&platform, new_tenant("acme")).await.unwrap();
    let grace = std::time::Duration::from_secs(60);
    guardian.tenants().delete(&platform, &tenant("acme"), Version::FIRST, grace).await.unwrap();
    assert!(guardian.welcome(&platform, new_tenant("acme")).await.is_err());
}

/// Why the platform stopped a tenant stands in the operator's log and nowhere that the tenant looks.
#[tokio::test]
async fn the_platforms_reasons_are_the_platforms() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).in_memory().await.unwrap();
    let platform = platform(&guardian);
    guardian.welcome(&platform, new_tenant("acme")).await.unwrap();
    let acme = tenant("acme");
    guardian.tenants().suspend(&platform, &acme, Version::FIRST, "they do not pay").await.unwrap();
    let operator = Scope::new(guardian.operator().tenant().clone(), Actor::user("op").unwrap());
    assert_eq!(recorded(&guardian, &operator, "tenant.suspended").await, 1);
    assert_eq!(recorded(&guardian, &ann("acme"), "tenant.*").await, 0);
    assert!(ears.names().contains(&"tenant.suspended".to_owned()));
    assert!(letters.ids_of("tenant.suspended").is_empty());
}

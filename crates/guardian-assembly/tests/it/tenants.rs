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

#[tokio::test]
async fn what_a_crash_left_undone_is_done_later() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).plan(Plan::parse(TEAM).unwrap()).in_memory().await.unwrap();
    let platform = platform(&guardian);
    // Only the first of the three steps was made.
    guardian.tenants().create(&platform, new_tenant("acme")).await.unwrap();
    let host = Scope::system(tenant("acme"));
    assert!(guardian.quotas().subscription(&host).await.unwrap().is_none());
    guardian.welcome(&platform, new_tenant("acme")).await.unwrap();
    assert!(guardian.quotas().subscription(&host).await.unwrap().is_some());
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

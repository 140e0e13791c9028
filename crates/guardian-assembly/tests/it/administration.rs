//! The API of administrators over everything.

use axum::body::Body;
use guardian_core::Scope;
use guardian_rbac::NewGrant;
use tower::ServiceExt as _;

use crate::host::{Ears, Letterbox, ann, builder, new_tenant, platform, tenant};

#[tokio::test]
async fn everything_is_there_behind_its_permission() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).in_memory().await.unwrap();
    let document = guardian.administration("Test", "1.0.0", Default::default());
    let openapi = document.openapi();
    let paths = openapi["paths"].as_object().unwrap();
    let operations: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
    assert!(operations >= 150, "{operations}");
    for permission in document.permissions() {
        assert!(guardian.roles().catalog().handle(permission).is_ok(), "{permission}");
    }

    guardian.welcome(&platform(&guardian), new_tenant("acme")).await.unwrap();
    guardian.welcome(&platform(&guardian), new_tenant("globex")).await.unwrap();
    let router = document.into_router().unwrap();
    let ask = async |scope: Option<Scope>, path: &str| {
        let mut request = axum::http::Request::get(path).body(Body::empty()).unwrap();
        if let Some(scope) = scope {
            request.extensions_mut().insert(scope);
        }
        router.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    assert_eq!(ask(None, "/roles").await, 401);
    assert_eq!(ask(Some(ann("acme")), "/workflows").await, 403);
    // Ann becomes an administrator of one tenant, and is nobody in the other.
    let grant = NewGrant::new("user:ann".parse().unwrap(), "admin", "she runs it").unwrap();
    guardian.roles().grant(&Scope::system(tenant("acme")), grant).await.unwrap();
    for path in ["/workflows", "/rate-limits", "/roles", "/audit/events", "/webhooks/endpoints"] {
        assert_eq!(ask(Some(ann("acme")), path).await, 200, "{path}");
        assert_eq!(ask(Some(ann("globex")), path).await, 403, "{path}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_told_before_anything_begins() {
    let error = guardian_assembly::Guardian::builder().in_memory().await.unwrap_err();
    assert!(error.to_string().contains("`secrets_key`"), "{error}");
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let error = builder(&ears, &letters).operator("no tenant").in_memory().await.unwrap_err();
    assert!(error.to_string().contains("no tenant"), "{error}");
}

/// What is not said is told before a file is made.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn nothing_is_opened_without_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guardian.db");
    let url = format!("sqlite://{}", file.display());
    assert!(guardian_assembly::Guardian::builder().open(&url).await.is_err());
    assert!(!file.exists());
}

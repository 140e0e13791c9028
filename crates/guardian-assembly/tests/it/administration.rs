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

/// Rows that somebody took out of the database are missed, each for itself, whether they are in the middle or at the end.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn verifying_misses_what_is_gone() {
    use guardian_sql::{Database, params};

    let (ears, letters) = (Ears::default(), Letterbox::default());
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("guardian.db").display());
    let guardian = builder(&ears, &letters).open(&url).await.unwrap();
    guardian.welcome(&platform(&guardian), new_tenant("acme")).await.unwrap();
    let acme = Scope::system(tenant("acme"));
    let grant = NewGrant::new("user:ann".parse().unwrap(), "admin", "she runs it").unwrap();
    guardian.roles().grant(&acme, grant).await.unwrap();
    let router = guardian.administration("Test", "1.0.0", Default::default()).into_router().unwrap();
    let verify = async || {
        let mut request = axum::http::Request::post("/audit/verify").body(Body::empty()).unwrap();
        request.extensions_mut().insert(ann("acme"));
        let answer = router.clone().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let what =
            body["faults"].as_array().unwrap().iter().map(|fault| fault["what"].as_str().unwrap().to_owned());
        (body["intact"].as_bool().unwrap(), what.collect::<Vec<_>>())
    };
    for number in 0..20 {
        let event = guardian_audit::AuditEvent::new("deal.seen").with_metadata("number", number);
        guardian.audit().record(&acme, event).await.unwrap();
    }
    assert_eq!(verify().await, (true, Vec::new()));

    let db = Database::open(&url).await.unwrap();
    let remove = async |sequence: u64| {
        let mut tx = db.begin(&acme).await.unwrap();
        let sql = "DELETE FROM guardian_audit_events WHERE tenant_id = $1 AND sequence = $2";
        tx.execute(sql, params![acme.tenant(), i64::try_from(sequence).unwrap()]).await.unwrap();
        tx.commit().await.unwrap();
    };
    remove(7).await;
    assert_eq!(verify().await, (false, vec!["event 7: deleted".to_owned()]));
    let last = guardian.audit().head(&acme).await.unwrap().size - 1;
    remove(last).await;
    let (_, what) = verify().await;
    assert_eq!(what, ["event 7: deleted".to_owned(), format!("event {last}: cut off the end")]);
}

/// A page that one process began another one goes on with, if they share the key.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_cursor_is_good_in_every_process_with_the_key() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("guardian.db").display());
    let one = builder(&ears, &letters).open(&url).await.unwrap();
    let acme = ann("acme");
    for _ in 0..3 {
        one.audit().record(&acme, guardian_audit::AuditEvent::new("deal.seen")).await.unwrap();
    }
    let query = "action:deal.seen".parse().unwrap();
    let first = guardian_core::PageRequest::first(2).unwrap();
    let cursor = one.audit().search(&acme, &query, &first).await.unwrap().next.unwrap();
    let next = || guardian_core::PageRequest::first(2).unwrap().after(cursor.clone());
    let same = builder(&ears, &letters).open(&url).await.unwrap();
    assert_eq!(same.audit().search(&acme, &query, &next()).await.unwrap().items.len(), 1);
    let other = builder(&ears, &letters).secrets_key([8; 32]).open(&url).await.unwrap();
    assert!(other.audit().search(&acme, &query, &next()).await.is_err());
    // A secret of the log's own comes before.
    let own = guardian_audit::AuditConfig::default().with_cursor_secret([1; 32]);
    let own = builder(&ears, &letters).audit(own).open(&url).await.unwrap();
    assert!(own.audit().search(&acme, &query, &next()).await.is_err());
}

/// Whoever audits looks and verifies, and puts nothing into the log.
#[tokio::test]
async fn an_auditor_writes_nothing() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let roles = guardian_rbac::role_sets::crm(chrono::DateTime::UNIX_EPOCH).unwrap();
    let guardian = builder(&ears, &letters).roles(roles).in_memory().await.unwrap();
    guardian.welcome(&platform(&guardian), new_tenant("acme")).await.unwrap();
    let grant = NewGrant::new("user:ann".parse().unwrap(), "auditor", "she looks").unwrap();
    guardian.roles().grant(&Scope::system(tenant("acme")), grant).await.unwrap();
    let router = guardian.administration("Test", "1.0.0", Default::default()).into_router().unwrap();
    for (method, path, status) in [
        ("GET", "/audit/events", 200),
        ("POST", "/audit/verify", 200),
        ("POST", "/audit/events", 403),
        ("POST", "/webhooks/messages", 403),
    ] {
        let mut request = axum::http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(Body::from(r#"{"action": "deal.seen"}"#))
            .unwrap();
        request.extensions_mut().insert(ann("acme"));
        let answer = router.clone().oneshot(request).await.unwrap().status().as_u16();
        assert_eq!(answer, status, "{method} {path}");
    }
}

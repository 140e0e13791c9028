//! What all APIs have in common.

use axum::extract::State;
use guardian_core::Scope;
use guardian_core::{Page, PageRequest};
use guardian_http::Problem;
use guardian_http::api::{
    Api, Caller, Document, IfMatch, IfNoneMatch, Json, Kind, Listed, Operation, PageParams, Permit, Tagged,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::contract::{Contract, plain, with};

/// A thing.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Thing {
    /// Its name.
    name: String,
}

#[derive(Debug)]
struct ReadersOnly;

#[async_trait::async_trait]
impl Permit for ReadersOnly {
    async fn permit(&self, _: &Scope, permission: &str) -> Result<(), Problem> {
        let may = permission.ends_with(":read");
        may.then_some(()).ok_or_else(|| Kind::Forbidden.because("only reading is permitted"))
    }
}

type Kept = std::sync::Arc<std::sync::Mutex<(u64, Thing)>>;

fn things() -> Api {
    let example = json!({"name": "hammer"});
    let kept: Kept = Kept::new(std::sync::Mutex::new((1, Thing { name: "hammer".to_owned() })));
    Api::new("things", "Things.")
        .get(
            "/things",
            Operation::new("listThings", "All things").takes("things:read").pages().answers::<Listed<Thing>>(
                StatusCode::OK,
                "A page.",
                json!({"items": [example], "next": null}),
            ),
            async |Caller(_): Caller, page: PageParams| {
                let request: PageRequest = page.request()?;
                let all = vec![Thing { name: format!("of {}", request.size()) }];
                Ok::<_, Problem>(Json(Listed::of(Page::new(all, request.cursor().cloned()), |thing| thing)))
            },
        )
        .get(
            "/thing",
            Operation::new("readThing", "The thing").takes("things:read").tagged().answers::<Thing>(
                StatusCode::OK,
                "It.",
                example.clone(),
            ),
            async |State(kept): State<Kept>, Caller(_): Caller, known: IfNoneMatch| {
                let (revision, thing) = kept.lock().unwrap().clone();
                Tagged::new(revision, thing).unless(known)
            },
        )
        .put(
            "/thing",
            Operation::new("putThing", "Change the thing")
                .takes("things:edit")
                .if_match()
                .tagged()
                .body::<Thing>(example.clone())
                .answers::<Thing>(StatusCode::OK, "It.", example),
            async |State(kept): State<Kept>, Caller(_): Caller, wanted: IfMatch, Json(thing): Json<Thing>| {
                let mut kept = kept.lock().unwrap();
                wanted.holds(kept.0)?;
                *kept = (kept.0 + 1, thing.clone());
                Ok::<_, Problem>(Tagged::new(kept.0, thing))
            },
        )
        .with_state(kept)
}

#[tokio::test]
async fn changes_need_the_revision_that_they_are_based_on() {
    let mut contract = Contract::unguarded(things());
    let read = contract.expect(200, "GET", "/thing", plain()).await;
    let tag = read.etag.unwrap();
    assert_eq!(tag, "\"1\"");
    let saw = with(json!({"name": "saw"}));
    contract.expect(428, "PUT", "/thing", saw.clone()).await;
    let put = contract.expect(200, "PUT", "/thing", saw.clone().if_match(tag.clone())).await;
    assert_eq!(put.etag.as_deref(), Some("\"2\""));
    contract.expect(412, "PUT", "/thing", saw.clone().if_match(tag)).await;
    contract.expect(412, "PUT", "/thing", saw.clone().if_match("W/\"2\"")).await;
    contract.expect(200, "PUT", "/thing", saw.if_match("*")).await;
    contract.expect(200, "GET", "/things?size=7", plain()).await;
    contract.finish().await;
}

#[tokio::test]
async fn what_the_caller_has_is_not_sent_again() {
    let mut contract = Contract::unguarded(things());
    let again = contract.expect(304, "GET", "/thing", plain().header("if-none-match", "\"1\"")).await;
    assert_eq!(again.etag.as_deref(), Some("\"1\""));
    contract.expect(200, "GET", "/thing", plain().header("if-none-match", "\"0\"")).await;
}

#[tokio::test]
async fn bodies_that_do_not_do_are_told_why() {
    let mut contract = Contract::unguarded(things());
    let sent = |body: &str| super::contract::with_text("application/json", body).if_match("*");
    let wrong = contract.expect(400, "PUT", "/thing", sent("{\"name\": 7}")).await;
    assert!(wrong.body["detail"].as_str().unwrap().contains("line 1 column 10"), "{}", wrong.body);
    contract.expect(400, "PUT", "/thing", sent("{\"name\": \"a\", \"colour\": 1}")).await;
    contract.expect(400, "PUT", "/thing", sent("{\"name\": \"a\"} x")).await;
    contract.expect(415, "PUT", "/thing", super::contract::with_text("text/plain", "{}").if_match("*")).await;
    contract.expect(413, "PUT", "/thing", sent(&format!("\"{}\"", "x".repeat(1 << 20)))).await;
}

#[tokio::test]
async fn permissions_are_asked_for_and_listed() {
    let document = Document::new("test", "1.0.0", ReadersOnly).with(things());
    assert_eq!(document.permissions().into_iter().collect::<Vec<_>>(), ["things:edit", "things:read"]);
    let mut contract = Contract::of(document);
    contract.expect(200, "GET", "/thing", plain()).await;
    contract.expect(403, "PUT", "/thing", with(json!({"name": "saw"})).if_match("*")).await;
    contract.scope = None;
    contract.expect(401, "GET", "/thing", plain()).await;
}

#[tokio::test]
async fn a_catalog_of_roles_can_have_all_permissions_that_operations_take() {
    use guardian_http::api::{PERMISSIONS, Unguarded, ipaccess, ratelimit, rbac, tenant};
    let mut catalog = guardian_rbac::Catalog::builder();
    for (permission, title) in PERMISSIONS {
        catalog = catalog.permission(permission, title);
    }
    let catalog = catalog.build().unwrap();
    let roles = guardian_rbac::Rbac::new(catalog.clone(), guardian_rbac::MemoryStore::new());
    let access = std::sync::Arc::new(guardian_ipaccess::IpAccess::new(guardian_ipaccess::MemoryStore::new()));
    let registry = guardian_tenant::Registry::new(guardian_tenant::MemoryStore::new());
    let document = Document::new("test", "1.0.0", Unguarded)
        .with(ratelimit::api(guardian_ratelimit::Limiter::in_memory(), ratelimit::Forgetful))
        .with(ipaccess::api(access, guardian_http::TrustedProxies::none()))
        .with(tenant::api(registry))
        .with(rbac::api(roles));
    for permission in document.permissions() {
        assert!(catalog.handle(permission).is_ok(), "{permission}");
    }
}

#[tokio::test]
async fn what_a_store_refuses_is_a_conflict_and_its_faults_are_not_told() {
    use guardian_core::{StoreError, StoreErrorKind};
    let of = |kind| {
        Problem::from(&StoreError::new(kind, "things").with_source(std::io::Error::other("table `x`")))
    };
    for (kind, status) in [
        (StoreErrorKind::Constraint, 409),
        (StoreErrorKind::Conflict, 503),
        (StoreErrorKind::Unavailable, 503),
        (StoreErrorKind::Internal, 500),
    ] {
        let problem = of(kind);
        assert_eq!(problem.status().as_u16(), status, "{kind:?}");
        assert!(!String::from_utf8(problem.to_bytes()).unwrap().contains("table"), "{kind:?}");
    }
}

#[tokio::test]
async fn a_path_below_the_api_that_is_none_is_a_problem() {
    use tower::ServiceExt as _;
    let document = Document::new("test", "1.0.0", guardian_http::api::Unguarded).with(things());
    let router = axum::Router::new().nest("/v1", document.into_router().unwrap());
    for path in ["/v1/nothing", "/v1/thing/nothing"] {
        let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
    }
}

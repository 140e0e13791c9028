//! Permissions in front of a service: who passes, and what the others hear.

use axum::body::Body;
use axum::extract::{FromRef, Path};
use axum::routing::get;
use axum::{Extension, Router};
use guardian_core::{Actor, Scope, TenantId};
use guardian_http::{Disclosure, Problem, RequirePermission, RequirePermissionLayer};
use guardian_rbac::{Area, Catalog, MemoryStore, NewGrant, Rbac, Resource, Role, Rule};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

#[derive(Clone, FromRef)]
struct App {
    rbac: Rbac,
}

async fn rbac() -> Rbac {
    let catalog =
        Catalog::builder().permission("deal:read", "").permission("deal:close", "").build().unwrap();
    let rbac = Rbac::new(catalog, MemoryStore::new());
    let host = Scope::system(TenantId::new("acme").unwrap());
    let role = Role::new("rep").unwrap().with(Rule::allow("deal:*").unwrap());
    rbac.put_role(&host, role).await.unwrap();
    let new = NewGrant::new("user:ann".parse().unwrap(), "rep", "a test").unwrap();
    rbac.grant(&host, new.in_area(Area::new("team", "emea").unwrap())).await.unwrap();
    rbac
}

async fn close(
    guard: RequirePermission,
    Path((team, id)): Path<(String, String)>,
) -> Result<&'static str, Problem> {
    let within = [Area::new("team", &team).unwrap()];
    guard.require("deal:close", Resource::record("deal", &id).within(&within)).await?;
    Ok("closed")
}

async fn ask(router: Router, path: &str, who: Option<&str>) -> (StatusCode, String, Option<String>) {
    let router = match who {
        Some(name) => {
            let scope = Scope::new(TenantId::new("acme").unwrap(), Actor::user(name).unwrap());
            router.layer(Extension(scope))
        }
        None => router,
    };
    let response: Response<Body> =
        router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let kind =
        response.headers().get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap(), kind)
}

async fn guarded(disclosure: Disclosure) -> Router {
    let team = |parts: &http::request::Parts| {
        let team = parts.uri.path().split('/').nth(1).unwrap_or_default();
        Area::new("team", team).into_iter().collect()
    };
    let layer = RequirePermissionLayer::new(rbac().await, "deal:read").unwrap();
    let layer = layer.within(team).disclosing(disclosure);
    Router::new().route("/{team}/deals", get(async || "deals").layer(layer))
}

#[tokio::test]
async fn a_layer_lets_those_through_who_may_and_tells_the_others_little() {
    let (status, body, _) = ask(guarded(Disclosure::Nothing).await, "/emea/deals", Some("ann")).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "deals"));
    let (status, body, kind) = ask(guarded(Disclosure::Nothing).await, "/apac/deals", Some("ann")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(kind.as_deref(), Some("application/problem+json"));
    assert_eq!(
        body,
        r#"{"type":"urn:guardian:problem:forbidden","title":"Not permitted","status":403,"detail":"you may not do this"}"#
    );
    let (_, body, _) = ask(guarded(Disclosure::Permission).await, "/apac/deals", Some("ann")).await;
    assert!(body.contains(r#""permission":"deal:read""#), "{body}");
    let (status, body, _) = ask(guarded(Disclosure::Hidden).await, "/emea/deals", Some("eve")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(!body.contains("deal"), "{body}");
    let (status, _, _) = ask(guarded(Disclosure::Nothing).await, "/emea/deals", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    // A permission that is none is a mistake when the layer is built, not at the first request.
    assert!(RequirePermissionLayer::new(rbac().await, "deal:raed").is_err());
}

#[tokio::test]
async fn an_extractor_asks_about_the_record() {
    let app = || async {
        Router::new().route("/{team}/{id}/close", get(close)).with_state(App { rbac: rbac().await })
    };
    assert_eq!(ask(app().await, "/emea/7/close", Some("ann")).await.0, StatusCode::OK);
    assert_eq!(ask(app().await, "/apac/7/close", Some("ann")).await.0, StatusCode::FORBIDDEN);
    assert_eq!(ask(app().await, "/emea/7/close", Some("eve")).await.0, StatusCode::FORBIDDEN);
    assert_eq!(ask(app().await, "/emea/7/close", None).await.0, StatusCode::UNAUTHORIZED);
}

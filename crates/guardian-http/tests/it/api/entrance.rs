//! What is in front of every operation, whatever its handler does.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use guardian_core::{Actor, Scope, StoreError, StoreErrorKind, TenantId};
use guardian_http::Problem;
use guardian_http::api::{
    Api, Caller, Document, IfNoneMatch, Json, Kind, Listed, Operation, OperatorCaller, PageParams, Tagged,
    Unguarded,
};
use guardian_rbac::Catalog;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use utoipa::ToSchema;

use super::contract::{Contract, plain, scope, with};

/// A door.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Door {
    /// Where it leads.
    to: String,
}

fn one(id: &'static str) -> Operation {
    Operation::new(id, "A door").answers::<Door>(StatusCode::OK, "It.", json!({"to": "acme"}))
}

fn door(to: &str) -> Door {
    Door { to: to.to_owned() }
}

fn doors() -> Api {
    Api::new("doors", "Doors.")
        .get(
            "/door",
            one("readDoor").takes("doors:read").tagged(),
            async |Caller(scope): Caller, known: IfNoneMatch| {
                Tagged::new(7, door(scope.tenant().as_str())).unless(known)
            },
        )
        // One that forgets to ask who it is.
        .get("/platform/door", one("readAnyDoor").of_the_platform(false), async || Json(door("anywhere")))
        .post(
            "/platform/{tenant}/door",
            one("openDoor").of_the_platform(true).path("tenant", "The tenant.", "acme"),
            async |operator: OperatorCaller| Json(door(operator.scope.tenant().as_str())),
        )
        .put(
            "/door",
            one("paintDoor").takes("doors:paint").body::<Door>(json!({"to": "umbrella"})),
            async |Caller(_): Caller, Json(door): Json<Door>| Json(door),
        )
        .get(
            "/doors",
            Operation::new("listDoors", "Doors").takes("doors:read").pages().answers::<Listed<Door>>(
                StatusCode::OK,
                "A page.",
                json!({"items": [], "next": null}),
            ),
            async |State(()): State<()>, Caller(_): Caller, page: PageParams| {
                page.request()?;
                let refused = StoreError::new(StoreErrorKind::Constraint, "test");
                Err::<Json<Listed<Door>>, Problem>((&refused).into())
            },
        )
        .with_state(())
}

fn by(actor: Actor) -> Scope {
    Scope::new(TenantId::new("acme").unwrap(), actor)
}

#[tokio::test]
async fn what_is_the_platforms_is_for_operators_also_where_a_handler_forgets_to_ask() {
    let mut contract = Contract::unguarded(doors());
    contract.expect(200, "GET", "/platform/door", plain()).await;
    // The system is no somebody who answers for what they do.
    let operator = contract.operator.replace(by(Actor::system()));
    contract.expect(403, "GET", "/platform/door", plain()).await;
    let why = || plain().because("tried by a test");
    contract.expect(403, "POST", "/platform/{tenant=acme}/door", why()).await;
    contract.operator = None;
    contract.expect(403, "GET", "/platform/door", plain()).await;
    contract.scope = None;
    contract.expect(401, "GET", "/platform/door", plain()).await;
    contract.operator = operator;
    contract.expect(200, "POST", "/platform/{tenant=acme}/door", why()).await;
}

#[tokio::test]
async fn the_system_and_operators_are_no_callers_of_a_tenants_own() {
    let mut contract = Contract::unguarded(doors());
    let refused = [Actor::system(), Actor::service("operator.user:ann").unwrap()];
    for actor in refused {
        contract.scope = Some(by(actor));
        contract.expect(403, "GET", "/door", plain()).await;
        contract.expect(403, "GET", "/doors", plain()).await;
    }
    let allowed = [Actor::service("operators").unwrap(), Actor::user("operator.ann").unwrap()];
    for actor in allowed {
        contract.scope = Some(by(actor));
        contract.expect(200, "GET", "/door", plain()).await;
    }
}

#[tokio::test]
async fn queries_where_there_are_none_and_nul_are_refused() {
    let mut contract = Contract::unguarded(doors());
    let wrong = contract.expect(400, "GET", "/door?size=1", plain()).await;
    assert_eq!(wrong.body["type"], Kind::InvalidRequest.type_uri());
    contract.expect(400, "GET", "/platform/door?x", plain()).await;
    contract.expect(200, "GET", "/door?", plain()).await;
    let sent = plain().because("tried by a test");
    contract.expect(400, "POST", "/platform/{tenant=acme}/door?dry_run=true", sent.clone()).await;
    contract.expect(400, "POST", "/platform/{tenant=a%00}/door", sent).await;
    contract.expect(400, "GET", "/doors?after=%00", plain()).await;
    // In a body too; but that a text writes of it is no NUL.
    let refused = contract.expect(400, "PUT", "/door", with(json!({"to": "a\0b"}))).await;
    assert!(refused.body["detail"].as_str().unwrap().contains("NUL"), "{}", refused.body);
    contract.expect(200, "PUT", "/door", with(json!({"to": "a\\u0000b"}))).await;
}

#[tokio::test]
async fn what_the_caller_has_is_compared_as_http_says() {
    let mut contract = Contract::unguarded(doors());
    for has in ["*", "\"7\"", "W/\"7\"", "\"1\", \"7\"", "\"x\" ,W/\"7\",\"9\"", ", \"7\""] {
        contract.expect(304, "GET", "/door", plain().header("if-none-match", has)).await;
    }
    for other in ["\"1\"", "7", "\"07\"", "\"+7\"", "\"1\", \"2\"", "", "\"", "\"*\""] {
        contract.expect(200, "GET", "/door", plain().header("if-none-match", other)).await;
    }
    let lines = plain().header("if-none-match", "\"1\"").header("if-none-match", "\"7\"");
    contract.expect(304, "GET", "/door", lines).await;
    let document = Document::new("test", "1.0.0", Unguarded).with(doors()).openapi();
    let names = |path: &str| -> Vec<Value> {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().cloned().unwrap_or_default();
        parameters.into_iter().map(|parameter| parameter["name"].clone()).collect()
    };
    assert_eq!(names("/door"), ["If-None-Match"]);
    assert!(names("/platform/door").is_empty());
}

#[tokio::test]
async fn data_that_a_store_refuses_is_the_callers_fault_only_where_it_is_their_cursor() {
    let mut contract = Contract::unguarded(doors());
    let ours = contract.expect(500, "GET", "/doors", plain()).await;
    assert_eq!(ours.body["type"], Kind::Internal.type_uri());
    contract.expect(500, "GET", "/doors?size=7", plain()).await;
    let theirs = contract.expect(400, "GET", "/doors?size=7&after=00ff", plain()).await;
    assert!(theirs.body["detail"].as_str().unwrap().contains("cursor"), "{}", theirs.body);
}

async fn answer(router: Router, method: Method, uri: &str) -> (StatusCode, Value) {
    let request =
        Request::builder().method(method).uri(uri).extension(scope("acme")).body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_method_that_is_none_of_a_path_has_a_type_of_the_apis_own() {
    let router = Document::new("test", "1.0.0", Unguarded).with(doors()).into_router().unwrap();
    let (status, body) = answer(router, Method::DELETE, "/door").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(body["type"], "urn:guardian:problem:method-not-allowed");
}

#[test]
fn two_operations_at_one_place_are_an_error_and_no_panic() {
    let document = || Document::new("test", "1.0.0", Unguarded);
    let twice = document().with(doors()).with(doors()).into_router().unwrap_err();
    assert_eq!(
        twice.to_string(),
        "`GET /door` of `doors` and `GET /door` of `doors` are at one place: give one of them another, or add each API once"
    );
    let at = |path: &'static str| {
        Api::new("gates", "Gates.").post(path, one("openGate"), async || Json(door("acme"))).with_state(())
    };
    // Another method at the same place is another operation; another name of the same parameter is not.
    drop(document().with(doors()).with(at("/door")).into_router().unwrap());
    let named = document().with(doors()).with(at("/platform/{gate}/door")).into_router().unwrap_err();
    assert!(named.to_string().contains("`POST /platform/{gate}/door` of `gates`"), "{named}");
    let own = Api::new("gates", "Gates.")
        .get("/openapi.json", one("readGate"), async || Json(door("acme")))
        .with_state(());
    assert!(document().with(own).into_router().unwrap_err().to_string().contains("of `openapi`"));
    let within = Api::new("gates", "Gates.")
        .get("/gate", one("readGate"), async || Json(door("acme")))
        .get("/gate", one("readGateAgain"), async || Json(door("acme")))
        .with_state(());
    assert!(document().with(within).into_router().is_err());
}

#[test]
fn permissions_that_a_catalog_lacks_are_told_before_anybody_asks() {
    let document = Document::new("test", "1.0.0", Unguarded).with(doors());
    let catalog = Catalog::builder().permission("doors:paint", "Paint doors").build().unwrap();
    assert_eq!(document.missing(&catalog).into_iter().collect::<Vec<_>>(), ["doors:read"]);
    let catalog = catalog.to_builder().permission("doors:read", "See doors").build().unwrap();
    assert!(document.missing(&catalog).is_empty());
}

//! Authentication in front of a service.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use guardian_core::{Actor, Scope, StoreError, StoreErrorKind, TenantId};
use guardian_http::api::Operator;
use guardian_http::{
    ApiKeyHeader, Authenticate, AuthenticateLayer, BearerTokens, Identity, NotAuthenticated, WeakToken,
    api_key, bearer_token,
};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use proptest::prelude::*;
use tower::{Layer, Service, ServiceExt};

const TOKEN: &str = "4bJ8Yw2mQeR7tPz1LxK9vNcD";

fn scope(tenant: &str, actor: Actor) -> Scope {
    Scope::new(TenantId::new(tenant).unwrap(), actor)
}

fn ann() -> Scope {
    scope("acme", Actor::user("ann").unwrap())
}

#[derive(Clone, Debug, PartialEq)]
struct Session(u8);

/// Who the service behind the layer sees.
type Seen = (Option<Scope>, Option<TenantId>, Option<Scope>, Option<Session>);

async fn ask<A: Authenticate>(
    layer: &AuthenticateLayer<A>,
    request: Request<()>,
) -> (Response<Vec<u8>>, Option<Seen>) {
    let seen = Arc::new(Mutex::new(None));
    let see = Arc::clone(&seen);
    let inner = tower::service_fn(move |request: Request<()>| {
        let found = request.extensions();
        *see.lock().unwrap() = Some((
            found.get::<Scope>().cloned(),
            found.get::<TenantId>().cloned(),
            found.get::<Operator>().map(|operator| operator.0.clone()),
            found.get::<Session>().cloned(),
        ));
        async { Ok::<_, std::convert::Infallible>(Response::new(Vec::new())) }
    });
    let response = layer.layer(inner).ready().await.unwrap().call(request).await.unwrap();
    let seen = seen.lock().unwrap().take();
    (response, seen)
}

fn with(values: &[&str]) -> Request<()> {
    let mut request = Request::new(());
    for value in values {
        request.headers_mut().append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    }
    request
}

fn tokens() -> BearerTokens {
    let tokens = BearerTokens::new();
    tokens.insert(TOKEN, Identity::new(ann()).with(Session(7))).unwrap();
    tokens
}

/// Answers what it is told to.
struct Port(fn() -> Result<Identity, NotAuthenticated>);

#[async_trait]
impl Authenticate for Port {
    async fn authenticate(&self, _: &Parts) -> Result<Identity, NotAuthenticated> {
        (self.0)()
    }

    fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static("ApiKey realm=\"crm\"")
    }
}

#[tokio::test]
async fn who_has_a_good_token_comes_in_as_its_owner() {
    let tokens = Arc::new(tokens());
    let layer = AuthenticateLayer::new(Arc::clone(&tokens));
    let (response, seen) = ask(&layer, with(&[&format!("Bearer {TOKEN}")])).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(seen, Some((Some(ann()), None, None, Some(Session(7)))));
    assert_eq!(ask(&layer, with(&[&format!("bEARER  {TOKEN} ")])).await.0.status(), StatusCode::OK);
    assert!(tokens.revoke(TOKEN) && !tokens.revoke(TOKEN));
    assert_eq!(ask(&layer, with(&[&format!("Bearer {TOKEN}")])).await.0.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(tokens.insert("hunter2", Identity::new(ann())), Err(WeakToken::Short));
    for unsendable in ["correct horse battery staple", "schöner-langer-schlüssel", "0123456789!0123456789!0"]
    {
        assert_eq!(
            tokens.insert(unsendable, Identity::new(ann())),
            Err(WeakToken::Unsendable),
            "{unsendable}"
        );
    }
    assert!(!format!("{tokens:?}").contains("ann"));
}

#[tokio::test]
async fn all_refusals_are_one() {
    let refused = Arc::new(Mutex::new(0));
    let count = Arc::clone(&refused);
    let layer = AuthenticateLayer::new(tokens()).on_refusal(move |_, error| {
        assert!(matches!(error, NotAuthenticated::Refused));
        *count.lock().unwrap() += 1;
    });
    let good = format!("Bearer {TOKEN}");
    let long = format!("Bearer {}", "a".repeat(65_536));
    let wrong = [
        &[][..],
        &["Bearer AAAAAAAAAAAAAAAAAAAAAAAA"],
        &["Bearer"],
        &["Bearer "],
        &["Basic YW5uOmFubg=="],
        &[TOKEN],
        &[&long],
        &[&good, &good],
        &[&good, "Bearer x"],
        &["Bearer x", &good],
        &[&format!("{good}, {good}")],
        &[&format!("{good} {good}")],
        &[&format!("{good}=a")],
    ];
    let mut answers = std::collections::HashSet::new();
    for values in wrong {
        let (response, seen) = ask(&layer, with(values)).await;
        assert_eq!((response.status(), &seen), (StatusCode::UNAUTHORIZED, &None), "{values:?}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        answers.insert((format!("{:?}", response.headers()), response.into_body()));
    }
    assert_eq!(answers.len(), 1, "whoever guesses learns nothing");
    assert_eq!(*refused.lock().unwrap(), wrong.len());
}

#[tokio::test]
async fn what_the_request_says_already_of_whom_it_is_counts_for_nothing() {
    let smuggled = || {
        let mut request = with(&[&format!("Bearer {TOKEN}")]);
        let root = scope("globex", Actor::user("root").unwrap());
        request.extensions_mut().insert(root.clone());
        request.extensions_mut().insert(root.tenant().clone());
        request.extensions_mut().insert(Operator(root));
        request
    };
    let (_, seen) = ask(&AuthenticateLayer::new(tokens()), smuggled()).await;
    assert_eq!(seen, Some((Some(ann()), None, None, Some(Session(7)))));
    // Whoever hears of a refusal hears of nobody either.
    let layer = AuthenticateLayer::new(Port(|| Err(NotAuthenticated::Refused)))
        .on_refusal(|request, _| assert!(request.extensions.get::<Scope>().is_none()));
    let (response, _) = ask(&layer, smuggled()).await;
    assert_eq!(response.headers()["www-authenticate"], "ApiKey realm=\"crm\"");
    // An extension of the port's cannot be its scope.
    let twice = Port(|| Ok(Identity::new(ann()).with(scope("globex", Actor::user("eve").unwrap()))));
    let (_, seen) = ask(&AuthenticateLayer::new(twice), Request::new(())).await;
    assert_eq!(seen.unwrap().0, Some(ann()));
    let operator = Port(|| Ok(Identity::new(ann()).with(Operator(ann()))));
    let (_, seen) = ask(&AuthenticateLayer::new(operator), Request::new(())).await;
    assert_eq!(seen.unwrap().2, Some(ann()));
}

#[tokio::test]
async fn nobody_is_the_service_itself() {
    for port in [
        Port(|| Ok(Identity::new(Scope::system(TenantId::new("acme").unwrap())))),
        Port(|| Ok(Identity::new(ann()).with(Operator(Scope::system(TenantId::new("acme").unwrap()))))),
    ] {
        let (response, seen) = ask(&AuthenticateLayer::new(port), Request::new(())).await;
        assert_eq!((response.status(), seen), (StatusCode::INTERNAL_SERVER_ERROR, None));
        assert!(String::from_utf8(response.into_body()).unwrap().contains("the service itself"));
    }
}

#[tokio::test]
async fn when_it_cannot_be_told_nobody_comes_in() {
    let away = Port(|| Err(StoreError::new(StoreErrorKind::Unavailable, "sessions").into()));
    let (response, seen) = ask(&AuthenticateLayer::new(away), Request::new(())).await;
    assert_eq!((response.status(), seen), (StatusCode::SERVICE_UNAVAILABLE, None));
    assert_eq!(response.headers()["retry-after"], "5");
    let body = String::from_utf8(response.into_body()).unwrap();
    assert!(!body.contains("sessions"), "{body}");
    let broken = Port(|| Err(StoreError::new(StoreErrorKind::Corrupt, "sessions").into()));
    let (response, _) = ask(&AuthenticateLayer::new(broken), Request::new(())).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(response.headers().get("retry-after").is_none());
}

#[test]
fn keys_in_headers_of_their_own() {
    let name = HeaderName::from_static("x-api-key");
    let read = |values: &[&[u8]]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, HeaderValue::from_bytes(value).unwrap());
        }
        api_key(&headers, &name).map(str::to_owned)
    };
    assert_eq!(read(&[b"k\"1,2"]).as_deref(), Some("k\"1,2"));
    let none: [&[&[u8]]; 7] =
        [&[], &[b""], &[b"a b"], &[b"a\tb"], &["ä".as_bytes()], &[b"a", b"a"], &[&[b'a'; 8_193]]];
    for none in none {
        assert_eq!(read(none), None);
    }
}

proptest! {
    /// Whatever stands in the field: a token that is read is one, and is what stands there.
    #[test]
    fn tokens_are_read_as_they_are(value in "(?i:bearer)[ ]{0,2}[a-zA-Z0-9._~+/ ,;=\"-]{0,40}|[ -~]{0,40}") {
        let request = with(&[&value]);
        if let Some(token) = bearer_token(request.headers()) {
            prop_assert!(value.to_ascii_lowercase().starts_with("bearer ") && value.contains(token));
            prop_assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b)));
            prop_assert!(!token.trim_end_matches('=').is_empty() && !token.trim_end_matches('=').contains('='));
        }
    }
}

#[tokio::test]
async fn keys_come_in_a_header_of_their_own() {
    let keys = Arc::new(BearerTokens::new());
    keys.insert(TOKEN, Identity::new(ann())).unwrap();
    let name = HeaderName::from_static("x-api-key");
    let layer = AuthenticateLayer::new(ApiKeyHeader::new(name, Arc::clone(&keys)));
    let request = |name: &str, value: &str| Request::builder().header(name, value).body(()).unwrap();
    let (answer, seen) = ask(&layer, request("x-api-key", TOKEN)).await;
    assert_eq!((answer.status(), seen.unwrap().0), (StatusCode::OK, Some(ann())));
    let twice = Request::builder().header("x-api-key", TOKEN).header("x-api-key", TOKEN).body(()).unwrap();
    let bearer = format!("Bearer {TOKEN}");
    for wrong in [request("x-api-key", "4bJ8Yw2mQeR7tPz1LxK9vNcX"), request("authorization", &bearer), twice]
    {
        let (answer, seen) = ask(&layer, wrong).await;
        assert_eq!((answer.status(), seen.is_none()), (StatusCode::UNAUTHORIZED, true));
        assert_eq!(answer.headers()["www-authenticate"], "ApiKey header=\"x-api-key\"");
    }
    assert!(keys.revoke(TOKEN));
    assert_eq!(ask(&layer, request("x-api-key", TOKEN)).await.0.status(), StatusCode::UNAUTHORIZED);
}

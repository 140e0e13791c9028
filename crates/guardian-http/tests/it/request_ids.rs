//! Ids of requests.

use guardian_core::{ManualClock, SeededIds};
use guardian_http::{RequestId, RequestIdLayer};
use http::{HeaderValue, Request, Response, StatusCode};
use proptest::prelude::*;
use tower::{Layer, Service, ServiceExt};

/// Answers with what it saw, refuses, and says an id of its own.
async fn answer(layer: &RequestIdLayer, request: Request<()>) -> Response<String> {
    let inner = tower::service_fn(|request: Request<()>| async move {
        let extension = request.extensions().get::<RequestId>().unwrap().to_string();
        let fields: Vec<_> = request.headers().get_all("x-request-id").iter().collect();
        assert_eq!(fields, [extension.as_str()], "whatever reads the request reads one id");
        let mut response = Response::new(extension);
        *response.status_mut() = StatusCode::FORBIDDEN;
        response.headers_mut().append("x-request-id", HeaderValue::from_static("inner"));
        Ok::<_, std::convert::Infallible>(response)
    });
    layer.layer(inner).ready().await.unwrap().call(request).await.unwrap()
}

fn request(ids: &[&[u8]]) -> Request<()> {
    let mut request = Request::new(());
    for id in ids {
        request.headers_mut().append("x-request-id", HeaderValue::from_bytes(id).unwrap());
    }
    request
}

async fn id(layer: &RequestIdLayer, ids: &[&[u8]]) -> String {
    let response = answer(layer, request(ids)).await;
    let fields: Vec<_> = response.headers().get_all("x-request-id").iter().collect();
    assert_eq!(fields, [response.body().as_str()], "the answer has the id that the service saw");
    response.into_body()
}

#[tokio::test]
async fn every_answer_has_the_id_of_its_request() {
    let layer = || RequestIdLayer::of(SeededIds::new(7), ManualClock::new());
    let ids = layer();
    let (first, second) = (id(&ids, &[]).await, id(&ids, &[]).await);
    assert!(first < second, "they sort by time");
    assert_eq!(first.len(), 36);
    assert_eq!(first.as_bytes()[14], b'7', "a UUID of version 7: {first}");
    assert_eq!(id(&layer(), &[]).await, first, "where ids come from is the host's");
    assert_ne!(id(&RequestIdLayer::default(), &[b"mine"]).await, "mine", "nobody's word is taken for it");
}

#[tokio::test]
async fn a_gateway_gives_ids_and_nothing_else_does() {
    let layer = RequestIdLayer::new().accept_from_client();
    assert_eq!(id(&layer, &[b"a-1.b_2~c:d/e+f=@"]).await, "a-1.b_2~c:d/e+f=@");
    let longest = [b'a'; RequestId::MAX_LEN];
    assert_eq!(id(&layer, &[&longest]).await.as_bytes(), longest);
    let huge = vec![b'a'; 65_536];
    for bad in [
        &b""[..],
        b" ",
        b"a b",
        b"a\tb",
        b"\"a\"",
        b"a'b",
        b"a\\b",
        b"a,b",
        b"<a>",
        b"a;b",
        b"a%0d%0ab",
        b"$(a)",
        "ä".as_bytes(),
        b"\x80",
        &[b'a'; RequestId::MAX_LEN + 1],
        &huge,
    ] {
        let given = id(&layer, &[bad]).await;
        assert_eq!(given.len(), 36, "replaced: {given}");
    }
    assert_eq!(id(&layer, &[b"one", b"two"]).await.len(), 36, "two are none");
    assert_eq!(id(&layer, &[b"one", b"one"]).await.len(), 36);
}

proptest! {
    /// An id that is taken stands in a header, a URL, a log line and a shell as it is.
    #[test]
    fn what_is_taken_from_clients_is_harmless(text in "\\PC{0,140}|[ -~]{0,140}|[a-zA-Z0-9._~:/+=@-]{0,140}") {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/+=@".contains(c);
        let expected = (1..=128).contains(&text.len()) && text.chars().all(plain);
        let taken = RequestId::of_client(&text);
        prop_assert_eq!(taken.is_some(), expected);
        prop_assert!(taken.is_none_or(|id| id.as_str() == text));
    }
}

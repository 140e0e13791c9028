//! An id for each request, by which people and logs speak of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use guardian_core::{Clock, IdSource, SystemClock, SystemIds};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// The id of a request, in the request's extensions.
///
/// ```
/// use guardian_http::RequestId;
///
/// assert_eq!(RequestId::of_client("01J8-a.b:c").map(|id| id.to_string()).as_deref(), Some("01J8-a.b:c"));
/// assert_eq!(RequestId::of_client("<script>"), None);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The field that carries it, in requests and responses.
    pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

    /// The longest id that is taken from a client, in bytes.
    pub const MAX_LEN: usize = 128;

    /// The id that a client gave, if it is one: 1 to 128 characters of `a-z A-Z 0-9 - . _ ~ : / + = @`. With these it can stand in
    /// headers, URLs, log lines and shells as it is.
    #[must_use]
    pub fn of_client(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/+=@".contains(&byte);
        let valid = (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(plain);
        valid.then(|| HeaderValue::from_str(text).ok().map(Self)).flatten()
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // It was made of visible ASCII.
        self.0.to_str().unwrap_or_default()
    }

    fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all(Self::HEADER).iter();
        let only = given.next().filter(|_| given.next().is_none())?;
        // The length is looked at first: whatever was sent, little is read of it.
        (only.len() <= Self::MAX_LEN).then(|| only.to_str().ok().and_then(Self::of_client)).flatten()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({})", self.as_str())
    }
}

/// A layer that gives each request an id: as the extension [`RequestId`], as the request's own field `X-Request-Id`, and in that
/// field of every response, those included with which layers behind this one refuse.
///
/// The id is a UUID of version 7, which sorts by time. Should a client or somebody else have sent one, it is replaced, so that
/// nothing behind the layer takes it for the true one.
///
/// ```
/// use guardian_http::RequestIdLayer;
///
/// let layer = RequestIdLayer::new();
/// // Behind a gateway of our own, which gives ids itself.
/// let behind_our_gateway = RequestIdLayer::new().accept_from_client();
/// # let _ = (layer, behind_our_gateway);
/// ```
#[derive(Clone)]
#[must_use]
pub struct RequestIdLayer {
    source: Arc<Source>,
}

#[derive(Clone)]
struct Source {
    ids: Arc<dyn IdSource>,
    clock: Arc<dyn Clock>,
    accept: bool,
}

impl RequestIdLayer {
    /// Ids of the system's randomness and clock.
    pub fn new() -> Self {
        Self::of(SystemIds::new(), SystemClock::new())
    }

    /// Ids from this source, made by this clock.
    pub fn of(ids: impl IdSource, clock: impl Clock) -> Self {
        let source = Source { ids: Arc::new(ids), clock: Arc::new(clock), accept: false };
        Self { source: Arc::new(source) }
    }

    /// Takes the id that the request has in its field `X-Request-Id`, where there is one field and its value is one that
    /// [`RequestId::of_client`] takes; everything else is replaced, and never sent back.
    ///
    /// This is for services behind a gateway that gives the ids. It is off otherwise, because a client that names its own requests
    /// can give two of them one name, or one that another client's request has, and whoever looks for it in the logs
    /// finds both.
    pub fn accept_from_client(mut self) -> Self {
        Arc::make_mut(&mut self.source).accept = true;
        self
    }
}

impl Default for RequestIdLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RequestIdLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestIdLayer").field("accept", &self.source.accept).finish_non_exhaustive()
    }
}

impl Source {
    fn id(&self, headers: &HeaderMap) -> Option<RequestId> {
        if self.accept
            && let Some(id) = RequestId::of_headers(headers)
        {
            return Some(id);
        }
        let mut text = [0; 36];
        let id = self.ids.next_id(self.clock.now());
        let text = id.hyphenated().encode_lower(&mut text);
        // Hexadecimal digits and hyphens are a value.
        HeaderValue::from_str(text).ok().map(RequestId)
    }
}

impl<T> Layer<T> for RequestIdLayer {
    type Service = RequestIdentifier<T>;

    fn layer(&self, inner: T) -> Self::Service {
        RequestIdentifier { inner, source: Arc::clone(&self.source) }
    }
}

/// A service whose requests have ids; made by [`RequestIdLayer`].
#[derive(Clone)]
pub struct RequestIdentifier<T> {
    inner: T,
    source: Arc<Source>,
}

impl<T: fmt::Debug> fmt::Debug for RequestIdentifier<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestIdentifier").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<T, RequestBody, ResponseBody> Service<Request<RequestBody>> for RequestIdentifier<T>
where
    T: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
{
    type Response = T::Response;
    type Error = T::Error;
    type Future = IdentifiedResponse<T::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let id = self.source.id(request.headers());
        if let Some(id) = &id {
            // This takes the place of all that were there.
            request.headers_mut().insert(RequestId::HEADER, id.0.clone());
            request.extensions_mut().insert(id.clone());
        }
        IdentifiedResponse { inner: self.inner.call(request), id: id.map(|id| id.0) }
    }
}

pin_project! {
    /// A response to come, that will have its request's id.
    pub struct IdentifiedResponse<F> {
        #[pin]
        inner: F,
        id: Option<HeaderValue>,
    }
}

impl<F, B, E> Future for IdentifiedResponse<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(this.inner.poll(context));
        if let (Ok(response), Some(id)) = (&mut answer, this.id.take()) {
            response.headers_mut().insert(RequestId::HEADER, id);
        }
        Poll::Ready(answer)
    }
}

impl<F> fmt::Debug for IdentifiedResponse<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentifiedResponse").field("id", &self.id).finish_non_exhaustive()
    }
}

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use axum::{Extension, Router};
use guardian_core::Scope;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::HttpMethod;
use utoipa::openapi::schema::Schema;

use super::{Kind, Operation, Permit};

/// The operations on one domain: what serves them and what describes them, declared together.
///
/// ```
/// use axum::extract::State;
/// use guardian_http::api::{Api, Caller, Json, Operation};
/// use http::StatusCode;
/// use serde_json::json;
///
/// #[derive(serde::Serialize, utoipa::ToSchema)]
/// struct Greeting {
///     /// To whom.
///     to: String,
/// }
///
/// let api = Api::new("greetings", "Kind words.")
///     .get(
///         "/greeting",
///         Operation::new("readGreeting", "A greeting")
///             .takes("greetings:read")
///             .answers::<Greeting>(StatusCode::OK, "The greeting.", json!({"to": "acme"})),
///         async |Caller(scope): Caller, State(()): State<()>| Json(Greeting { to: scope.tenant().to_string() }),
///     )
///     .with_state(());
/// # let _ = api;
/// ```
#[must_use]
pub struct Api<S = ()> {
    pub(super) tag: &'static str,
    pub(super) about: &'static str,
    pub(super) router: Router<S>,
    pub(super) operations: Vec<(&'static str, HttpMethod, utoipa::openapi::path::Operation)>,
    pub(super) schemas: Vec<(String, RefOr<Schema>)>,
    pub(super) permissions: Vec<&'static str>,
}

impl<S> fmt::Debug for Api<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("tag", &self.tag)
            .field("operations", &self.operations.len())
            .finish_non_exhaustive()
    }
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// No operations yet, under a name of one word and with what the domain is.
    pub fn new(tag: &'static str, about: &'static str) -> Self {
        Self {
            tag,
            about,
            router: Router::new(),
            operations: Vec::new(),
            schemas: Vec::new(),
            permissions: Vec::new(),
        }
    }

    /// Reads.
    pub fn get<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        operation: Operation,
        handler: H,
    ) -> Self {
        self.with(MethodFilter::GET, HttpMethod::Get, path, operation, handler)
    }

    /// Makes, or does.
    pub fn post<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        operation: Operation,
        handler: H,
    ) -> Self {
        self.with(MethodFilter::POST, HttpMethod::Post, path, operation, handler)
    }

    /// Puts in place.
    pub fn put<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        operation: Operation,
        handler: H,
    ) -> Self {
        self.with(MethodFilter::PUT, HttpMethod::Put, path, operation, handler)
    }

    /// Changes in part.
    pub fn patch<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        operation: Operation,
        handler: H,
    ) -> Self {
        self.with(MethodFilter::PATCH, HttpMethod::Patch, path, operation, handler)
    }

    /// Removes.
    pub fn delete<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        operation: Operation,
        handler: H,
    ) -> Self {
        self.with(MethodFilter::DELETE, HttpMethod::Delete, path, operation, handler)
    }

    fn with<H: Handler<T, S>, T: 'static>(
        mut self,
        filter: MethodFilter,
        method: HttpMethod,
        path: &'static str,
        mut operation: Operation,
        handler: H,
    ) -> Self {
        let mut served = on(filter, handler);
        if let Some(permission) = operation.permission {
            served = served.layer(from_fn_with_state(permission, guard));
            self.permissions.push(permission);
        }
        self.router = self.router.route(path, served);
        self.schemas.append(&mut operation.schemas);
        let described = operation.build(self.tag, &method);
        self.operations.push((path, method, described));
        self
    }

    /// With what its handlers reach.
    pub fn with_state(self, state: S) -> Api {
        let Self { tag, about, router, operations, schemas, permissions } = self;
        Api { tag, about, router: router.with_state(state), operations, schemas, permissions }
    }
}

/// Who decides, in the request's extensions: the document puts it there.
#[derive(Clone)]
pub(super) struct Gatekeeper(pub(super) Arc<dyn Permit>);

async fn guard(
    State(permission): State<&'static str>,
    gatekeeper: Option<Extension<Gatekeeper>>,
    scope: Option<Extension<Scope>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(Extension(scope)) = scope else {
        return Kind::Unauthenticated.because("this request is nobody's").into_response();
    };
    let Some(Extension(Gatekeeper(gatekeeper))) = gatekeeper else {
        // Closed: an API that is served without a document has nobody to ask.
        return Kind::Forbidden.because("nobody decides about permissions here").into_response();
    };
    match gatekeeper.permit(&scope, permission).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

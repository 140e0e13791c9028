use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use axum::{Extension, Router};
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{HttpMethod, ParameterIn};
use utoipa::openapi::schema::Schema;

use super::caller::{caller, operator};
use super::clash::Place;
use super::page::none_of_this_list;
use super::{Kind, Operation, Permit};
use crate::problem::Refused;

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

impl<S> Api<S> {
    /// Where its operations are.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.operations.iter().map(|(path, method, _)| Place::new(self.tag, method, path))
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
        if method == HttpMethod::Get || operation.has_parameter(&ParameterIn::Query, "after") {
            served = served.layer(from_fn(foreign_cursor));
        }
        served = served.layer(from_fn_with_state(operation.has_query(), readable));
        if let Some(permission) = operation.permission {
            served = served.layer(from_fn_with_state(permission, guard));
            self.permissions.push(permission);
        }
        if operation.is_of_the_platform {
            served = served.layer(from_fn(operators_only));
        }
        // Two at one place are told of by the document: a router would panic.
        let place = Place::new(self.tag, &method, path);
        if !self.places().any(|other| other.meets(&place)) {
            self.router = self.router.route(path, served);
        }
        self.schemas.append(&mut operation.schemas);
        let described = operation.build(self.tag, &method);
        self.operations.push((path, method, described));
        self
    }

    /// With an extension of the requests to the operations that it has so far.
    #[cfg(any(feature = "rbac", feature = "sentiment"))]
    pub(super) fn reaching<E: Clone + Send + Sync + 'static>(self, extension: Extension<E>) -> Self {
        Self { router: self.router.layer(extension), ..self }
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

/// The permission that was asked for, in the request's extensions: for what lasts longer than the answer to it.
#[derive(Clone, Copy)]
pub(super) struct Guarded(pub(super) &'static str);

async fn guard(
    State(permission): State<&'static str>,
    gatekeeper: Option<Extension<Gatekeeper>>,
    mut request: Request,
    next: Next,
) -> Response {
    let scope = match caller(request.extensions()) {
        Ok(scope) => scope.clone(),
        Err(problem) => return problem.into_response(),
    };
    let Some(Extension(Gatekeeper(gatekeeper))) = gatekeeper else {
        // Closed, whatever else is wrong: the document puts somebody there.
        return Kind::Forbidden.because("nobody decides about permissions here").into_response();
    };
    match gatekeeper.permit(&scope, permission).await {
        Ok(()) => {
            request.extensions_mut().insert(Guarded(permission));
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// What is the platform's is for its operators, also where a handler forgets to ask.
async fn operators_only(request: Request, next: Next) -> Response {
    match operator(request.extensions()) {
        Ok(_) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// A query where there is none is a mistake of the caller's, and no store takes the character NUL.
async fn readable(State(has_query): State<bool>, request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if !has_query && !query.is_empty() {
        return Kind::InvalidRequest.because("this operation has no parameters in the query").into_response();
    }
    if query.contains("%00") || request.uri().path().contains("%00") {
        return Kind::InvalidRequest.because("no text has the character NUL").into_response();
    }
    next.run(request).await
}

/// Data that the store refused to a list with a cursor is that cursor. To another read it is a fault of ours: it changes nothing that could
/// meet what is there.
async fn foreign_cursor(request: Request, next: Next) -> Response {
    let reads = request.method().is_safe();
    let has_cursor =
        request.uri().query().is_some_and(|query| query.split('&').any(|each| each.starts_with("after=")));
    let response = next.run(request).await;
    match response.extensions().get::<Refused>() {
        Some(_) if has_cursor => none_of_this_list().into_response(),
        Some(_) if reads => Kind::Internal.because("the data could not be read").into_response(),
        _ => response,
    }
}

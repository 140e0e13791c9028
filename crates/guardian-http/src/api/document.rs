use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::routing::get;
use axum::{Extension, Router};
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use utoipa::openapi::path::Paths;
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, RefOr, Server};

use super::clash::{self, Place};
use super::operation::{PROBLEM, SECURITY};
use super::routes::Gatekeeper;
use super::{Api, Clash, Kind, Permit, Streams};

/// Several [`Api`]s as one: the router that serves them, and the OpenAPI 3.1 document that describes them.
///
/// ```
/// use guardian_http::api::{Document, Unguarded};
///
/// let document = Document::new("CRM", "1.0.0", Unguarded);
/// assert_eq!(document.openapi()["openapi"], "3.1.0");
/// let router: axum::Router = document.into_router()?; // with the document itself at /openapi.json
/// # let _ = router;
/// # Ok::<(), guardian_http::api::Clash>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct Document {
    title: String,
    version: String,
    server: Option<String>,
    permit: Arc<dyn Permit>,
    apis: Vec<Api>,
    streams: Streams,
}

impl Document {
    /// Nothing yet, with the title and the version of the API as the document tells them, and with who decides.
    pub fn new(title: impl Into<String>, version: impl Into<String>, permit: impl Permit) -> Self {
        Self {
            title: title.into(),
            version: version.into(),
            server: None,
            permit: Arc::new(permit),
            apis: Vec::new(),
            streams: Streams::new(),
        }
    }

    /// With these operations too.
    pub fn with(mut self, api: Api) -> Self {
        self.apis.push(api);
        self
    }

    /// With the path below which the host mounts it, such as `/v1`, so that the document says so too.
    pub fn under(mut self, path: impl Into<String>) -> Self {
        self.server = Some(path.into());
        self
    }

    /// With these bounds of answers that last: streams of events, and exports.
    pub fn streams(mut self, streams: Streams) -> Self {
        self.streams = streams;
        self
    }

    /// The permissions that its operations take: what a catalog of roles has to have.
    #[must_use]
    pub fn permissions(&self) -> BTreeSet<&'static str> {
        self.apis.iter().flat_map(|api| api.permissions.iter().copied()).collect()
    }

    /// The permissions that its operations take and that a catalog of roles lacks: nobody can be given them, so to these operations
    /// everybody gets the answer 500. Ask when the host starts.
    ///
    /// ```
    /// # #[cfg(feature = "ratelimit")] {
    /// use guardian_http::api::{Document, PERMISSIONS, ratelimit};
    /// use guardian_ratelimit::Limiter;
    /// use guardian_rbac::{Catalog, MemoryStore, Rbac};
    ///
    /// let catalog = Catalog::builder().permission("deal:edit", "Change deals").build().unwrap();
    /// let document = Document::new("CRM", "1.0.0", Rbac::new(catalog.clone(), MemoryStore::new()))
    ///     .with(ratelimit::api(Limiter::in_memory(), ratelimit::Forgetful));
    /// assert!(document.missing(&catalog).contains("rate-limits:read"));
    ///
    /// let add = |catalog: guardian_rbac::CatalogBuilder, (name, title): &(&str, &str)| catalog.permission(name, title);
    /// let catalog = PERMISSIONS.iter().fold(catalog.to_builder(), add).build().unwrap();
    /// assert!(document.missing(&catalog).is_empty());
    /// # }
    /// ```
    #[cfg(feature = "rbac")]
    #[must_use]
    pub fn missing(&self, catalog: &guardian_rbac::Catalog) -> BTreeSet<&'static str> {
        let lacks = |permission: &&'static str| catalog.handle(permission).is_err();
        self.permissions().into_iter().filter(lacks).collect()
    }

    /// The OpenAPI 3.1 document.
    #[must_use]
    pub fn openapi(&self) -> Value {
        serde_json::to_value(self.build()).unwrap_or_default()
    }

    fn build(&self) -> OpenApi {
        let mut paths = Paths::new();
        let mut schemas = BTreeMap::from([(PROBLEM.to_owned(), problem())]);
        let mut tags = Vec::new();
        for api in &self.apis {
            tags.push(TagBuilder::new().name(api.tag).description(Some(api.about)).build());
            schemas.extend(api.schemas.iter().cloned());
            for (path, method, operation) in &api.operations {
                paths.add_path_operation(*path, vec![method.clone()], operation.clone());
            }
        }
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
            "A key or a token of the host's; whose it is, says which tenant is asked about.",
        ));
        let components = ComponentsBuilder::new()
            .schemas_from_iter(schemas)
            .security_scheme(SECURITY, SecurityScheme::Http(bearer.build()));
        let info = InfoBuilder::new()
            .title(self.title.clone())
            .version(self.version.clone())
            .description(Some(
                "Failures are problem documents (RFC 9457). Lists come in pages: `?size=…&after=…`.",
            ))
            .license(Some(
                LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build(),
            ));
        OpenApiBuilder::new()
            .info(info.build())
            .servers(self.server.as_ref().map(|path| [Server::new(path)]))
            .paths(paths)
            .components(Some(components.build()))
            .tags(Some(tags))
            .build()
    }

    /// The router of all operations, and of the document at `/openapi.json`, which needs nobody signed in.
    ///
    /// Authentication goes around it: a layer that puts a [`Scope`](guardian_core::Scope) into each request's extensions.
    ///
    /// # Errors
    /// When two operations are at one place, as when an API was added twice.
    pub fn into_router(self) -> Result<Router, Clash> {
        if let Some(clash) = clash::first(self.apis.iter().flat_map(Api::places)) {
            return Err(clash);
        }
        let text: Arc<str> = self.openapi().to_string().into();
        let served = get(async move || ([(CONTENT_TYPE, "application/json")], text.to_string()));
        let gatekeeper = Gatekeeper(self.permit);
        let router = self
            .apis
            .into_iter()
            .fold(Router::new(), |router, api| router.merge(api.router))
            .method_not_allowed_fallback(async || {
                Kind::MethodNotAllowed.because("what the header `Allow` names can be done here")
            })
            .layer(Extension(gatekeeper))
            .layer(Extension(self.streams))
            .fallback(async || Kind::NotFound.because("there is nothing at this path"))
            .route(Place::DOCUMENT.path, served);
        Ok(router)
    }
}

/// The schema of problem documents (RFC 9457 section 3.1); extensions are allowed.
fn problem() -> RefOr<Schema> {
    let text = |about: &'static str| ObjectBuilder::new().schema_type(Type::String).description(Some(about));
    ObjectBuilder::new()
        .description(Some("Why a request failed (RFC 9457)."))
        .property("type", text("Which kind of problem, as a URI that never changes."))
        .property("title", text("The kind in words, the same each time."))
        .property(
            "status",
            ObjectBuilder::new().schema_type(Type::Integer).description(Some("The HTTP status.")),
        )
        .property("detail", text("What happened this time."))
        .property("instance", text("Which request it was, as a URI."))
        .required("type")
        .required("title")
        .required("status")
        .examples([json!({
            "type": Kind::NotFound.type_uri(),
            "title": Kind::NotFound.title(),
            "status": 404,
            "detail": "there is no endpoint `ep_7`",
        })])
        .into()
}

use axum::extract::{FromRef, FromRequestParts};
use guardian_core::Scope;
use guardian_rbac::{Rbac, Resource};
use http::request::Parts;

use super::{Disclosure, require};
use crate::Problem;

/// An extractor for handlers that know what the request is about: who asks, and a way to require a permission.
///
/// The state of the router must give an [`Rbac`] ([`FromRef`]), and the request a [`Scope`] in its extensions; without one it
/// is answered 401.
///
/// ```
/// use axum::extract::{FromRef, Path};
/// use guardian_http::{Problem, RequirePermission};
/// use guardian_rbac::{Rbac, Resource};
///
/// #[derive(Clone, FromRef)]
/// struct App {
///     rbac: Rbac,
/// }
///
/// async fn close_deal(guard: RequirePermission, Path(id): Path<String>) -> Result<&'static str, Problem> {
///     guard.require("deal:close", Resource::record("deal", &id)).await?;
///     Ok("closed")
/// }
/// # let _ = axum::Router::<App>::new().route("/deals/{id}/close", axum::routing::post(close_deal));
/// ```
#[derive(Debug, Clone)]
pub struct RequirePermission {
    rbac: Rbac,
    scope: Scope,
    disclosure: Disclosure,
}

impl RequirePermission {
    /// Goes on if the actor has the permission on the resource.
    ///
    /// # Errors
    /// The problem to answer with: 403 (or what [`disclosing`](Self::disclosing) says) where it has not, 503 or 500 where
    /// nobody could tell.
    pub async fn require(&self, permission: &str, resource: Resource<'_>) -> Result<(), Problem> {
        require(&self.rbac, Some(&self.scope), permission, resource, self.disclosure).await
    }

    /// Who asks.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// With this much told to those who may not.
    #[must_use]
    pub fn disclosing(mut self, disclosure: Disclosure) -> Self {
        self.disclosure = disclosure;
        self
    }
}

impl<S> FromRequestParts<S> for RequirePermission
where
    S: Send + Sync,
    Rbac: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let scope = parts.extensions.get::<Scope>().cloned().ok_or_else(super::nobodys)?;
        Ok(Self { rbac: Rbac::from_ref(state), scope, disclosure: Disclosure::default() })
    }
}

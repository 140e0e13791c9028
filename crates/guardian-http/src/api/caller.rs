use axum::extract::FromRequestParts;
use guardian_core::{Actor, ActorKind, Scope, TenantId};
use http::Extensions;
use http::request::Parts;

use super::Kind;
use crate::Problem;

/// Who asks: the [`Scope`] that authentication put into the request's extensions. Without one the answer is 401.
///
/// The system itself asks nothing over HTTP, and who works for the platform in a tenant is written `service:operator.…` there: a
/// scope of either kind is none that authentication should give out, and the answer is 403.
#[derive(Debug, Clone)]
pub struct Caller(pub Scope);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        caller(&parts.extensions).cloned().map(Self)
    }
}

/// Who asks.
pub(super) fn caller(extensions: &Extensions) -> Result<&Scope, Problem> {
    let scope =
        extensions.get::<Scope>().ok_or_else(|| Kind::Unauthenticated.because("this request is nobody's"))?;
    let actor = scope.actor();
    let is_operator =
        actor.kind() == ActorKind::Service && actor.id().as_str().starts_with(OperatorCaller::PREFIX);
    if actor.kind() == ActorKind::System || is_operator {
        return Err(Kind::Forbidden.because("this caller is no tenant's own"));
    }
    Ok(scope)
}

/// An operator of the platform, whose work is about all tenants: put into a request's extensions where the host
/// authenticates its own people, and nowhere else. The scope's tenant is the operator's own, and its actor somebody: not the
/// system.
#[derive(Debug, Clone)]
pub struct Operator(pub Scope);

/// The operator who asks.
pub(super) fn operator(extensions: &Extensions) -> Result<&Scope, Problem> {
    match extensions.get::<Operator>() {
        Some(Operator(scope)) if scope.actor().kind() != ActorKind::System => Ok(scope),
        Some(_) => Err(Kind::Forbidden.because("an operator is somebody, and not the system")),
        None if extensions.get::<Scope>().is_some() => {
            Err(Kind::Forbidden.because("this is for operators of the platform"))
        }
        None => Err(Kind::Unauthenticated.because("this request is nobody's")),
    }
}

/// The operator who asks, and why. Without an [`Operator`] the answer is 403, or 401 when there is no caller at all.
#[derive(Debug, Clone)]
pub struct OperatorCaller {
    /// On whose behalf.
    pub scope: Scope,
    /// From the header `Guardian-Reason`, 10 to 200 characters of ASCII, which is required for everything but reading.
    pub reason: String,
}

impl OperatorCaller {
    /// The header that says why.
    pub const REASON: &'static str = "guardian-reason";
    /// The shortest reason, in characters.
    pub const MIN_REASON: usize = 10;
    /// The longest reason, in characters.
    pub const MAX_REASON: usize = 200;
    /// How the ids of the actors begin that operators are in other tenants: `service:operator.user:ann`. No caller of a tenant's own
    /// may have such an id.
    pub const PREFIX: &'static str = "operator.";

    /// The operator at work in a tenant: an actor that none of the tenant's own can be taken for.
    ///
    /// # Errors
    /// 404 when the text names no tenant; 403 when the operator's own id is so long that none can be made of it (at most 109
    /// characters always do).
    pub(super) fn in_tenant(&self, tenant: &str) -> Result<Scope, Problem> {
        let tenant = tenant_id(tenant)?;
        let actor = Actor::service(format!("{}{}", Self::PREFIX, self.scope.actor()));
        let actor = actor.map_err(|_| Kind::Forbidden.because("the operator's id is too long"))?;
        Ok(Scope::new(tenant, actor))
    }
}

/// A text that is no id is the id of nobody.
pub(super) fn tenant_id(text: &str) -> Result<TenantId, Problem> {
    TenantId::new(text).map_err(|_| Kind::NotFound.because("there is no such tenant"))
}

impl<S: Send + Sync> FromRequestParts<S> for OperatorCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let scope = operator(&parts.extensions)?.clone();
        let reason = match parts.headers.get(Self::REASON) {
            Some(value) => value
                .to_str()
                .ok()
                .map(str::trim)
                .filter(|reason| (Self::MIN_REASON..=Self::MAX_REASON).contains(&reason.len()))
                .ok_or_else(|| {
                    Kind::InvalidRequest.because(
                        "the header `Guardian-Reason` has not between 10 and 200 characters of ASCII",
                    )
                })?
                .to_owned(),
            None if parts.method.is_safe() => "read over the API".to_owned(),
            None => {
                return Err(Kind::InvalidRequest.because(
                    "the header `Guardian-Reason` is missing: say in 10 to 200 characters why this is done",
                ));
            }
        };
        Ok(Self { scope, reason })
    }
}

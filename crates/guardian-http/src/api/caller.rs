use axum::extract::FromRequestParts;
use guardian_core::Scope;
use http::request::Parts;

use super::Kind;
use crate::Problem;

/// Who asks: the [`Scope`] that authentication put into the request's extensions. Without one the answer is 401.
#[derive(Debug, Clone)]
pub struct Caller(pub Scope);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let nobody = || Kind::Unauthenticated.because("this request is nobody's");
        parts.extensions.get::<Scope>().cloned().map(Self).ok_or_else(nobody)
    }
}

/// An operator of the platform, whose work is about all tenants: put into a request's extensions where the host
/// authenticates its own people, and nowhere else. The scope's tenant is the operator's own.
#[derive(Debug, Clone)]
pub struct Operator(pub Scope);

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
}

impl<S: Send + Sync> FromRequestParts<S> for OperatorCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(Operator(scope)) = parts.extensions.get::<Operator>().cloned() else {
            return Err(if parts.extensions.get::<Scope>().is_some() {
                Kind::Forbidden.because("this is for operators of the platform")
            } else {
                Kind::Unauthenticated.because("this request is nobody's")
            });
        };
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

//! Permissions in front of a service: a tower layer for whole routes, and an extractor for handlers that know the record.
//!
//! Both take the tenant and the actor from the [`Scope`](guardian_core::Scope) in the request's extensions, where
//! authentication puts it. A refusal is a problem document with status 403 that says no more than it was told to.

use std::sync::Arc;

use guardian_core::Scope;
use guardian_rbac::{Decision, Error, PermissionHandle, Rbac, Resource};
use http::StatusCode;

use crate::Problem;

#[cfg(feature = "axum")]
mod extract;
mod guard;

#[cfg(feature = "axum")]
pub use extract::RequirePermission;
pub use guard::{PermissionGuard, RequirePermissionLayer};

/// What a client hears that may not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Disclosure {
    /// 403, and that it may not.
    #[default]
    Nothing,
    /// 403, and which permission it takes.
    Permission,
    /// 404, as if there were nothing: for what others must not even know of.
    Hidden,
}

/// Decides, and says what the client hears where it may not.
async fn require(
    rbac: &Rbac,
    scope: Option<&Scope>,
    permission: &str,
    resource: Resource<'_>,
    disclosure: Disclosure,
) -> Result<(), Problem> {
    let Some(scope) = scope else { return Err(nobodys()) };
    judged(rbac.check(scope, permission, resource).await, permission, disclosure)
}

/// The same without waiting; `None` where the tenant's policy is not in memory.
fn require_at_once(
    rbac: &Rbac,
    scope: Option<&Scope>,
    permission: &Known,
    resource: Resource<'_>,
    disclosure: Disclosure,
) -> Option<Result<(), Problem>> {
    let Some(scope) = scope else { return Some(Err(nobodys())) };
    match rbac.check_local(scope, permission.handle, resource) {
        Err(Error::NotLoaded { .. }) => None,
        decided => Some(judged(decided, &permission.name, disclosure)),
    }
}

fn judged(decided: Result<Decision, Error>, permission: &str, disclosure: Disclosure) -> Result<(), Problem> {
    match decided {
        Ok(decision) if decision.is_allowed() => Ok(()),
        Ok(_) => Err(refused(permission, disclosure)),
        Err(error) => Err(undecided(&error)),
    }
}

fn nobodys() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED)
        .with_type("urn:guardian:problem:unauthenticated", "Nobody is signed in")
        .with_detail("this request is nobody's")
}

fn refused(permission: &str, disclosure: Disclosure) -> Problem {
    match disclosure {
        Disclosure::Nothing => forbidden().with_detail("you may not do this"),
        Disclosure::Permission => {
            let detail = format!("this takes the permission `{permission}`");
            let problem = forbidden().with_detail(detail);
            // The name is none of the standard's own.
            problem.clone().with_extension("permission", permission).unwrap_or(problem)
        }
        Disclosure::Hidden => {
            Problem::new(StatusCode::NOT_FOUND).with_type("urn:guardian:problem:not-found", "Not found")
        }
    }
}

/// The same as the API of administrators answers.
fn forbidden() -> Problem {
    Problem::new(StatusCode::FORBIDDEN).with_type("urn:guardian:problem:forbidden", "Not permitted")
}

/// Nobody could tell, and that protects. A transient fault is worth another try, the rest is the host's mistake.
fn undecided(error: &Error) -> Problem {
    let transient = match error {
        Error::Store(error) => error.is_transient(),
        Error::Stale { .. } | Error::TooOld { .. } | Error::Contended => true,
        _ => false,
    };
    let status = if transient { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
    Problem::new(status).with_detail("permissions cannot be told at the moment")
}

/// A permission that is in the catalog.
#[derive(Clone)]
struct Known {
    name: Arc<str>,
    /// Where it is there, so that it need not be looked up for each request.
    handle: PermissionHandle,
}

impl Known {
    fn of(rbac: &Rbac, permission: &str) -> Result<Self, Error> {
        Ok(Self { handle: rbac.catalog().handle(permission)?, name: permission.into() })
    }
}

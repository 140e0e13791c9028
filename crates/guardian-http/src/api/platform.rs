//! What operations of several domains have in common: an operator at work in a tenant, and moments.

use guardian_core::Timestamp;
#[cfg(any(feature = "audit", feature = "quota"))]
use guardian_core::{Scope, TenantId};

use super::Kind;
#[cfg(any(feature = "audit", feature = "quota"))]
use super::OperatorCaller;
use crate::Problem;

/// An operator's scope in another tenant.
#[cfg(any(feature = "audit", feature = "quota"))]
pub(super) fn in_tenant(operator: &OperatorCaller, tenant: &str) -> Result<Scope, Problem> {
    let tenant = TenantId::new(tenant).map_err(|error| Kind::InvalidRequest.because(error))?;
    Ok(Scope::new(tenant, operator.scope.actor().clone()))
}

/// A moment of the caller's, of a year that has four digits: what is computed from it stays within the calendar.
pub(super) fn sensible(at: Timestamp) -> Result<Timestamp, Problem> {
    // 1 January 0000 and 10000, in seconds.
    if (-62_167_219_200..253_402_300_800).contains(&at.timestamp()) {
        return Ok(at);
    }
    Err(Kind::InvalidRequest.because("the year of a moment is 0000 to 9999"))
}

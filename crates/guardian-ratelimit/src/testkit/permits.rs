//! Work in progress.

use std::time::Duration;

use guardian_core::TenantId;

use super::{Fixture, Violation, ensure, limiter};
use crate::{Limit, Policy};

/// A permit counts until it is released, and releasing gives exactly its cost back.
///
/// # Errors
/// How the store broke the law.
pub fn a_permit_counts_until_it_is_released<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("permits")?;
    let policy = limiter.define(Policy::new("permits", "3 concurrent for 1h")?)?;
    let acquire = |cost| fixture.block_on(limiter.acquire(&tenant, &[Limit::of(policy, 1).cost(cost)]));
    let two = acquire(2)?.permit;
    let one = acquire(1)?.permit;
    ensure!(two.is_some() && one.is_some(), "denied within the limit");
    ensure!(acquire(1)?.permit.is_none(), "admitted beyond the limit");
    if let Some(two) = two {
        fixture.block_on(two.release())?;
    }
    let again = acquire(2)?.permit;
    ensure!(again.is_some(), "releasing gave too little back");
    ensure!(acquire(1)?.permit.is_none(), "releasing gave too much back");
    Ok(())
}

/// A permit that nobody releases ends after its time, and not before.
///
/// # Errors
/// How the store broke the law.
pub fn a_permit_ends_by_itself<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("expiry")?;
    let policy = limiter.define(Policy::new("expiry", "1 concurrent for 10s")?)?;
    let acquire = || fixture.block_on(limiter.acquire(&tenant, &[Limit::whole(policy)]));
    let held = acquire()?;
    ensure!(held.permit.is_some(), "denied the first permit");
    let denied = acquire()?.decision;
    ensure!(denied.is_denied(), "admitted a second permit");
    ensure!(denied.retry_after() <= Some(Duration::from_secs(10)), "a permit lasts longer than its time");
    fixture.clock().advance(Duration::from_millis(9_999));
    ensure!(acquire()?.permit.is_none(), "a permit ended early");
    fixture.clock().advance(Duration::from_millis(2));
    let next = acquire()?;
    ensure!(next.permit.is_some(), "a permit did not end by itself");
    Ok(())
}

/// Releasing a permit that has expired takes nothing from whoever came after, nor does releasing another counter's.
///
/// # Errors
/// How the store broke the law.
pub fn only_the_own_permit_is_released<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let (tenant, other) = (TenantId::new("own")?, TenantId::new("own2")?);
    let policy = limiter.define(Policy::new("own", "1 concurrent for 10s")?)?;
    let limits = [Limit::whole(policy)];
    let stale = fixture.block_on(limiter.acquire(&tenant, &limits))?.permit;
    let foreign = fixture.block_on(limiter.acquire(&other, &limits))?.permit;
    fixture.clock().advance(Duration::from_secs(11));
    let held = fixture.block_on(limiter.acquire(&tenant, &limits))?.permit;
    ensure!(held.is_some(), "an expired permit still counts");
    for permit in [stale, foreign].into_iter().flatten() {
        fixture.block_on(permit.release())?;
    }
    let next = fixture.block_on(limiter.acquire(&tenant, &limits))?.decision;
    ensure!(next.is_denied(), "releasing another's permit ended the one that is held");
    Ok(())
}

//! All or nothing, and nothing lost.

use std::sync::atomic::{AtomicU32, Ordering};

use guardian_core::TenantId;

use super::{Fixture, Violation, ensure, limiter};
use crate::{Error, Limit, Limiter, Policy};

/// A denial at any level leaves every level as it was.
///
/// # Errors
/// How the store broke the law.
pub fn a_denial_charges_nothing_anywhere<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("atomic")?;
    let wide = ["5/min burst 5", "5/min sliding exact", "5/min sliding strict 4", "5/min fixed"];
    let mut limits = Vec::new();
    for (index, rule) in wide.into_iter().enumerate() {
        limits.push(Limit::of(limiter.define(Policy::new(&format!("wide-{index}"), rule)?)?, 1));
    }
    let narrow = limiter.define(Policy::new("narrow", "1/min burst 1")?)?;
    let binding = Limit::of(narrow, "here");
    for place in 0..=limits.len() {
        fixture.block_on(limiter.reset(&tenant, &limits))?;
        fixture.block_on(limiter.reset(&tenant, &[binding]))?;
        let mut all = limits.clone();
        all.insert(place, binding);
        ensure!(fixture.block_on(limiter.check(&tenant, &all))?.is_allowed(), "denied the first request");
        for _ in 0..7 {
            let decision = fixture.block_on(limiter.check(&tenant, &all))?;
            ensure!(decision.is_denied(), "admitted against the limit at place {place}");
            let named = decision.binding().map(crate::Outcome::policy);
            ensure!(named == Some(narrow), "the binding limit is at place {place}, not {named:?}");
        }
        for limit in &limits {
            let four = fixture.block_on(limiter.check(&tenant, &[limit.cost(4)]))?;
            ensure!(four.is_allowed(), "a denial at place {place} was charged elsewhere");
            let one = fixture.block_on(limiter.check(&tenant, &[*limit]))?;
            ensure!(one.is_denied(), "an allowed request was not charged");
        }
    }
    Ok(())
}

/// A dry run counts like any limit, says what it would have done, and neither denies nor is charged for what it
/// would have denied.
///
/// # Errors
/// How the store broke the law.
pub fn a_dry_run_never_denies<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("dry")?;
    let trial = limiter.define(Policy::new("trial", "2/min burst 2")?.dry_run())?;
    let real = limiter.define(Policy::new("real", "4/min burst 4")?)?;
    let limits = [Limit::whole(trial), Limit::whole(real)];
    for step in 0..6 {
        let decision = fixture.block_on(limiter.check(&tenant, &limits))?;
        let would_deny = decision.outcomes().first().is_some_and(crate::Outcome::would_deny);
        ensure!(would_deny == (step >= 2), "step {step}: would deny is {would_deny}");
        ensure!(decision.is_allowed() == (step < 4), "step {step}: allowed is {}", decision.is_allowed());
    }
    Ok(())
}

/// Several threads that race on stacked limits are admitted exactly as often as the narrowest allows, and every
/// limit is charged exactly for those.
///
/// # Errors
/// How the store broke the law.
pub fn concurrent_checks_admit_exactly_the_capacity<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    const THREADS: usize = 4;
    const TRIES: u32 = 60;
    const CAPACITY: u32 = 100;
    let limiter = limiter(fixture);
    let tenant = TenantId::new("race")?;
    let rules = ["100/h burst 100", "100/h sliding exact", "100/h sliding strict 5", "100/h fixed"];
    for (index, rule) in rules.into_iter().enumerate() {
        let narrow = limiter.define(Policy::new(&format!("race-{index}"), rule)?)?;
        let wide = limiter.define(Policy::new(&format!("race-wide-{index}"), "10000/h burst 10000")?)?;
        let limits = [Limit::whole(wide), Limit::of(narrow, 1)];
        let admitted = AtomicU32::new(0);
        std::thread::scope(|scope| {
            let run = || {
                for _ in 0..TRIES {
                    let decision = fixture.block_on(limiter.check(&tenant, &limits))?;
                    admitted.fetch_add(u32::from(decision.is_allowed()), Ordering::Relaxed);
                }
                Ok(())
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(run)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok::<(), Error>(())))
        })?;
        let admitted = admitted.into_inner();
        ensure!(admitted == CAPACITY, "`{rule}` admitted {admitted} of {CAPACITY}");
        ensure_left(fixture, &limiter, &tenant, Limit::whole(wide), 10_000 - CAPACITY)?;
    }
    Ok(())
}

fn ensure_left<F: Fixture>(
    fixture: &F,
    limiter: &Limiter<F::Store, guardian_core::ManualClock>,
    tenant: &TenantId,
    limit: Limit<'_>,
    left: u32,
) -> Result<(), Violation> {
    let all = fixture.block_on(limiter.peek(tenant, &[limit.cost(left)]))?;
    let more = fixture.block_on(limiter.peek(tenant, &[limit.cost(left + 1)]))?;
    ensure!(
        all.is_allowed() && more.is_denied(),
        "the wider limit was not charged exactly: {left} should be left"
    );
    Ok(())
}

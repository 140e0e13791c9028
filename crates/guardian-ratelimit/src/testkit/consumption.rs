//! What a check takes, and what gives it back.

use std::time::Duration;

use guardian_core::TenantId;

use super::{Fixture, Violation, ensure, limiter};
use crate::{Limit, Policy};

/// A new bucket admits exactly its burst at one moment.
///
/// # Errors
/// How the store broke the law.
pub fn a_bucket_admits_its_burst_and_no_more<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("burst")?;
    for (index, rule) in ["10/min burst 3", "7/s burst 3", "1000/s burst 3"].into_iter().enumerate() {
        let policy = limiter.define(Policy::new(&format!("burst-{index}"), rule)?)?;
        let limits = [Limit::of(policy, 1)];
        for left in [2, 1, 0] {
            let decision = fixture.block_on(limiter.check(&tenant, &limits))?;
            ensure!(decision.is_allowed(), "`{rule}` denied a request with {} left", left + 1);
            let remaining = decision.outcomes().first().map(crate::Outcome::remaining);
            ensure!(remaining == Some(left), "`{rule}` says that {remaining:?} remain, {left} do");
        }
        let decision = fixture.block_on(limiter.check(&tenant, &limits))?;
        ensure!(decision.is_denied(), "`{rule}` admitted a fourth request");
    }
    Ok(())
}

/// A new window admits exactly its limit at one moment, whatever its precision.
///
/// # Errors
/// How the store broke the law.
pub fn every_window_admits_its_limit_and_no_more<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("windows")?;
    let rules = ["3/min sliding exact", "3/min sliding strict 6", "3/min sliding lenient 6", "3/min fixed"];
    for (index, rule) in rules.into_iter().enumerate() {
        let policy = limiter.define(Policy::new(&format!("window-{index}"), rule)?)?;
        let limits = [Limit::of(policy, "endpoint")];
        for left in [2, 1, 0] {
            let decision = fixture.block_on(limiter.check(&tenant, &limits))?;
            ensure!(decision.is_allowed(), "`{rule}` denied a request with {} left", left + 1);
            let remaining = decision.outcomes().first().map(crate::Outcome::remaining);
            ensure!(remaining == Some(left), "`{rule}` says that {remaining:?} remain, {left} do");
        }
        let decision = fixture.block_on(limiter.check(&tenant, &limits))?;
        ensure!(decision.is_denied(), "`{rule}` admitted a fourth request");
    }
    Ok(())
}

/// A request of cost n takes n, and one above the capacity is denied for good.
///
/// # Errors
/// How the store broke the law.
pub fn a_cost_is_charged_in_full<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("costs")?;
    let rules = ["10/min burst 10", "10/min sliding exact", "10/min sliding strict 5", "10/min fixed"];
    for (index, rule) in rules.into_iter().enumerate() {
        let policy = limiter.define(Policy::new(&format!("cost-{index}"), rule)?)?;
        let check = |cost| fixture.block_on(limiter.check(&tenant, &[Limit::whole(policy).cost(cost)]));
        let never = check(11)?;
        ensure!(never.is_denied() && never.retry_after().is_none(), "`{rule}` may admit a cost of 11");
        ensure!(check(7)?.is_allowed(), "`{rule}` denied a cost of 7 with 10 left");
        ensure!(check(4)?.is_denied(), "`{rule}` admitted a cost of 4 with 3 left");
        ensure!(check(3)?.is_allowed(), "`{rule}` denied a cost of 3 with 3 left");
        ensure!(check(1)?.is_denied(), "`{rule}` admitted a cost of 1 with nothing left");
    }
    Ok(())
}

/// Any number of peeks leaves everything as it was.
///
/// # Errors
/// How the store broke the law.
pub fn a_peek_charges_nothing<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("peeks")?;
    let rules = ["2/min burst 2", "2/min sliding exact", "2/min sliding strict 5", "2/min fixed"];
    for (index, rule) in rules.into_iter().enumerate() {
        let policy = limiter.define(Policy::new(&format!("peek-{index}"), rule)?)?;
        let limits = [Limit::of(policy, 5)];
        for _ in 0..5 {
            let decision = fixture.block_on(limiter.peek(&tenant, &limits))?;
            ensure!(decision.is_allowed(), "`{rule}`: a peek was charged");
        }
        for _ in 0..2 {
            let decision = fixture.block_on(limiter.check(&tenant, &limits))?;
            ensure!(decision.is_allowed(), "`{rule}`: the peeks before were charged");
        }
        ensure!(
            fixture.block_on(limiter.peek(&tenant, &limits))?.is_denied(),
            "`{rule}`: a peek saw too much"
        );
    }
    Ok(())
}

/// A refund gives back what was charged, and no sequence of refunds makes a counter better than new.
///
/// # Errors
/// How the store broke the law.
pub fn a_refund_gives_back_and_never_more<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("refunds")?;
    let rules = ["5/min burst 5", "5/min sliding exact", "5/min sliding strict 5", "5/min fixed"];
    for (index, rule) in rules.into_iter().enumerate() {
        let policy = limiter.define(Policy::new(&format!("refund-{index}"), rule)?)?;
        let of = |cost| [Limit::of(policy, 5).cost(cost)];
        let first = fixture.block_on(limiter.check(&tenant, &of(5)))?;
        ensure!(first.is_allowed(), "`{rule}` denied the first request");
        fixture.block_on(limiter.refund(&tenant, &of(2), first.at()))?;
        ensure!(
            fixture.block_on(limiter.peek(&tenant, &of(2)))?.is_allowed(),
            "`{rule}`: 2 were not refunded"
        );
        ensure!(
            fixture.block_on(limiter.peek(&tenant, &of(3)))?.is_denied(),
            "`{rule}`: more than 2 were refunded"
        );
        for _ in 0..5 {
            fixture.block_on(limiter.refund(&tenant, &of(5), first.at()))?;
        }
        ensure!(
            fixture.block_on(limiter.check(&tenant, &of(5)))?.is_allowed(),
            "`{rule}`: not all was refunded"
        );
        ensure!(fixture.block_on(limiter.check(&tenant, &of(1)))?.is_denied(), "`{rule}`: better than new");
    }
    Ok(())
}

/// A refund of what has left its window takes nothing from what came later.
///
/// # Errors
/// How the store broke the law.
pub fn a_late_refund_gives_nothing_back<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("late")?;
    let rules = [
        "2/10s burst 2",
        "2/10s sliding exact",
        "2/10s sliding strict 10",
        "2/10s sliding lenient 10",
        "2/10s fixed",
    ];
    for (index, rule) in rules.into_iter().enumerate() {
        let policy = limiter.define(Policy::new(&format!("late-{index}"), rule)?)?;
        let limits = [Limit::of(policy, 1)];
        let check = || fixture.block_on(limiter.check(&tenant, &limits));
        let old = check()?;
        fixture.clock().advance(Duration::from_secs(25));
        ensure!(check()?.is_allowed() && check()?.is_allowed(), "`{rule}`: the past counts for too long");
        fixture.block_on(limiter.refund(&tenant, &limits, old.at()))?;
        ensure!(check()?.is_denied(), "`{rule}`: a refund of the past was taken from the present");
    }
    Ok(())
}

/// After a reset a counter admits its whole capacity, and other counters are as they were.
///
/// # Errors
/// How the store broke the law.
pub fn a_reset_makes_as_good_as_new<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("resets")?;
    let rules = ["3/min burst 3", "3/min sliding exact", "3/min sliding strict 5", "3/min fixed"];
    for (index, rule) in rules.into_iter().enumerate() {
        let policy = limiter.define(Policy::new(&format!("reset-{index}"), rule)?)?;
        let (one, other) = ([Limit::of(policy, 1).cost(3)], [Limit::of(policy, 2).cost(3)]);
        for limits in [&one, &other] {
            ensure!(
                fixture.block_on(limiter.check(&tenant, limits))?.is_allowed(),
                "`{rule}` denied at first"
            );
        }
        fixture.block_on(limiter.reset(&tenant, &one))?;
        ensure!(
            fixture.block_on(limiter.check(&tenant, &other))?.is_denied(),
            "`{rule}`: reset another counter"
        );
        ensure!(
            fixture.block_on(limiter.check(&tenant, &one))?.is_allowed(),
            "`{rule}`: the reset did nothing"
        );
        ensure!(
            fixture.block_on(limiter.check(&tenant, &one))?.is_denied(),
            "`{rule}`: the reset did too much"
        );
    }
    Ok(())
}

/// A rule that changes keeps the tokens taken and the requests counted.
///
/// # Errors
/// How the store broke the law.
pub fn a_changed_rule_keeps_what_was_taken<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("changes")?;
    let rules = [
        ("10/h burst 10", "20/h burst 20", "6/h burst 6"),
        ("10/h burst 10", "33/min burst 20", "7/day burst 6"),
        ("10/h sliding exact", "20/h sliding exact", "6/h sliding exact"),
        ("10/h sliding exact", "20/h sliding strict 6", "6/h sliding lenient 6"),
        ("10/h fixed", "20/h fixed", "6/h fixed"),
    ];
    for (index, (rule, larger, smaller)) in rules.into_iter().enumerate() {
        let policy = limiter.define(Policy::new(&format!("change-{index}"), rule)?)?;
        let check = |cost| fixture.block_on(limiter.check(&tenant, &[Limit::of(policy, 1).cost(cost)]));
        ensure!(check(8)?.is_allowed(), "`{rule}` denied the first request");
        limiter.set_override(policy, &tenant, larger.parse::<crate::Rule>().map_err(crate::Error::from)?)?;
        ensure!(check(13)?.is_denied(), "`{rule}` to `{larger}`: what was taken is forgotten");
        ensure!(check(12)?.is_allowed(), "`{rule}` to `{larger}`: what was added is not there");
        limiter.set_override(policy, &tenant, smaller.parse::<crate::Rule>().map_err(crate::Error::from)?)?;
        ensure!(check(1)?.is_denied(), "`{rule}` to `{smaller}`: what was taken is forgotten");
        limiter.set_override(policy, &tenant, None)?;
        ensure!(check(1)?.is_denied(), "`{rule}` without the override: what was taken is forgotten");
    }
    Ok(())
}

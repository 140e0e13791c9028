//! What the passing of time gives back.

use std::time::Duration;

use guardian_core::{Clock, TenantId};

use super::{Fixture, Violation, ensure, limiter};
use crate::{Limit, Policy};

/// An empty bucket admits one request for every share of its window that passes, and not a microsecond earlier.
///
/// # Errors
/// How the store broke the law.
pub fn a_bucket_refills_at_its_rate<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("refill")?;
    // 4 per second refill every 250 ms; 7 per second every 142 857.142… µs, 7 of them in exactly a second.
    for (name, rule, count) in [("even", "4/s burst 4", 4u32), ("odd", "7/s burst 7", 7)] {
        let policy = limiter.define(Policy::new(name, rule)?)?;
        let limits = [Limit::whole(policy)];
        let all = [Limit::whole(policy).cost(count)];
        ensure!(fixture.block_on(limiter.check(&tenant, &all))?.is_allowed(), "`{rule}` denied its burst");
        // A thousand refills, one by one: an interval that is rounded drifts by more than a microsecond.
        let start = fixture.clock().monotonic();
        for refill in 1..=1000u64 {
            let due = Duration::from_nanos((refill * 1_000_000_000).div_ceil(u64::from(count)));
            let early = due.saturating_sub(Duration::from_micros(2));
            let passed = fixture.clock().monotonic().since(start);
            fixture.clock().advance(early.saturating_sub(passed));
            let decision = fixture.block_on(limiter.peek(&tenant, &limits))?;
            ensure!(decision.is_denied(), "`{rule}` refilled for the {refill}th time before {due:?}");
            fixture.clock().advance(Duration::from_micros(3));
            let decision = fixture.block_on(limiter.check(&tenant, &limits))?;
            ensure!(decision.is_allowed(), "`{rule}` did not refill for the {refill}th time after {due:?}");
        }
    }
    Ok(())
}

/// A fixed window forgets at a multiple of its length since the epoch, and only there.
///
/// # Errors
/// How the store broke the law.
pub fn a_fixed_window_starts_at_its_multiples<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("fixed")?;
    let policy = limiter.define(Policy::new("fixed-multiples", "2/min fixed")?)?;
    let limits = [Limit::whole(policy)];
    let check = || fixture.block_on(limiter.check(&tenant, &limits));
    let minute = Duration::from_secs(60);
    for _ in 0..3 {
        let into = fixture.clock().monotonic().as_nanos() % 60_000_000_000;
        fixture.clock().advance(minute - Duration::from_nanos(into) + Duration::from_secs(59));
        ensure!(check()?.is_allowed() && check()?.is_allowed(), "denied at the end of a window");
        let decision = check()?;
        ensure!(decision.is_denied(), "admitted a third request in a window");
        ensure!(decision.retry_after() <= Some(Duration::from_secs(1)), "a window lasts beyond its multiple");
        fixture.clock().advance(Duration::from_secs(1));
        ensure!(check()?.is_allowed() && check()?.is_allowed(), "a window did not start at its multiple");
        ensure!(check()?.is_denied(), "admitted a third request in the next window");
    }
    Ok(())
}

/// No window of the length of a strict or exact sliding window ever holds more than the limit, and a lenient one
/// admits at least what that history leaves room for.
///
/// # Errors
/// How the store broke the law.
pub fn a_sliding_window_never_exceeds_its_limit<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("sliding")?;
    let window = Duration::from_secs(10);
    for (name, rule) in [
        ("exact", "5/10s sliding exact"),
        ("strict", "5/10s sliding strict 5"),
        ("lenient", "5/10s sliding lenient 5"),
    ] {
        let policy = limiter.define(Policy::new(name, rule)?)?;
        let limits = [Limit::whole(policy)];
        let mut admitted = Vec::new();
        // Steps of a length that shares no factor with a slice, so that requests fall everywhere in them.
        for _ in 0..200 {
            fixture.clock().advance(Duration::from_millis(733));
            let decision = fixture.block_on(limiter.check(&tenant, &limits))?;
            let now = fixture.clock().monotonic();
            let counted = admitted.iter().filter(|at| now.since(**at) < window).count();
            if decision.is_allowed() {
                ensure!(name == "lenient" || counted < 5, "`{rule}` admitted with {counted} in the window");
                admitted.push(now);
            } else {
                ensure!(name == "strict" || counted >= 5, "`{rule}` denied with {counted} in the window");
            }
        }
    }
    Ok(())
}

/// After the wait that a denial names, the same request is admitted.
///
/// # Errors
/// How the store broke the law.
pub fn retry_after_is_enough<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("retry")?;
    let rules = [
        "7/s burst 9",
        "100/min burst 9",
        "9/7s sliding exact",
        "9/7s sliding strict 13",
        "9/7s sliding lenient 13",
        "9/7s fixed",
    ];
    for (index, rule) in rules.into_iter().enumerate() {
        let policy = limiter.define(Policy::new(&format!("retry-{index}"), rule)?)?;
        let mut denied = 0;
        for step in 0..120u64 {
            let limits = [Limit::of(policy, 1).cost(u32::try_from(1 + step * 7 % 9).unwrap_or(1))];
            let decision = fixture.block_on(limiter.check(&tenant, &limits))?;
            if decision.is_denied() {
                denied += 1;
                let Some(wait) = decision.retry_after() else {
                    return Err(Violation::new(format!(
                        "`{rule}` denies for good what is within its capacity"
                    )));
                };
                ensure!(!wait.is_zero(), "`{rule}` denies with nothing to wait for");
                fixture.clock().advance(wait);
                let decision = fixture.block_on(limiter.check(&tenant, &limits))?;
                ensure!(decision.is_allowed(), "`{rule}` denied after the wait of {wait:?} that it named");
            }
            fixture.clock().advance(Duration::from_micros(step * 1013));
        }
        ensure!(denied > 10, "`{rule}` denied only {denied} times: the law saw too little");
    }
    Ok(())
}

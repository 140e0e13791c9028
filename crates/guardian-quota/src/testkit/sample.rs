use std::time::Duration;

use guardian_core::{ManualClock, Scope, SystemIds, TenantId};

use crate::store::QuotaStore;
use crate::{Plan, Quotas, Subscription};

/// A day.
pub const DAY: Duration = Duration::from_secs(86_400);

/// A plan with a meter of each kind.
///
/// # Errors
/// None; the type is the parser's.
pub fn plan(name: &str) -> Result<Plan, crate::Error> {
    let scale: u64 = if name == "large" { 10 } else { 1 };
    let text = serde_json::json!({
        "name": name,
        "features": {
            "sso": {"boolean": name == "large"},
            "region": {"static": "eu"},
            "calls": {"metered": {"unit": "call", "aggregation": "count", "billed": true, "limits": {
                "org": {"amount": 100 * scale, "thresholds": [50, 80, 100]},
                "team": {"amount": 60 * scale},
                "user": {"amount": 20 * scale, "period": "day"}
            }}},
            "tokens": {"metered": {"unit": "token", "aggregation": "sum", "billed": true, "late": "always", "limits": {
                "org": {"amount": 1000 * scale, "rollover": {"most": 300, "periods": 2}},
                "user": {"amount": 0}
            }}},
            "exports": {"metered": {"unit": "export", "aggregation": "count", "limits": {
                "org": {"amount": 10, "at_limit": {"grace": {"extra": 5, "seconds": 3600}}}
            }}},
            "emails": {"metered": {"unit": "email", "aggregation": "sum", "excess": "refuse", "late": "refuse", "limits": {
                "org": {"amount": 10, "at_limit": {"overage": {"price": {"currency": "usd", "micros": 5_000_000}, "cap": 4}}}
            }}},
            "burst": {"metered": {"unit": "call", "aggregation": "count", "limits": {
                "org": {"amount": 30, "period": {"rolling": 3600}}
            }}},
            "peak": {"metered": {"unit": "thread", "aggregation": "max", "limits": {"org": {"amount": 8}}}},
            "people": {"metered": {"unit": "person", "aggregation": "unique", "limits": {"org": {"amount": 3}}}},
            "stored": {"metered": {"unit": "byte", "aggregation": "latest", "limits": {
                "org": {"amount": 1000, "period": "lifetime"}
            }}},
            "notes": {"metered": {"unit": "note", "aggregation": "sum"}}
        }
    });
    Ok(Plan::parse(&text.to_string())?)
}

/// A tenant of its own for a test.
///
/// # Errors
/// When the name is no tenant's.
pub fn scope(name: &str) -> Result<Scope, guardian_core::InvalidTenantId> {
    Ok(Scope::system(TenantId::new(name)?))
}

/// Quotas over a store, on a clock that stands at 15 January 2026, with a tenant on the plan `small`.
///
/// # Errors
/// When the store fails.
pub async fn quotas<S: QuotaStore>(
    store: S,
    tenant: &str,
) -> Result<(Quotas<S>, ManualClock, Scope), super::Violation> {
    let clock = ManualClock::at("2026-01-15T12:00:00Z".parse()?);
    let quotas = beside(store, &clock)?;
    let scope = scope(tenant)?;
    let anchor = "2026-01-01T00:00:00Z".parse()?;
    quotas.subscribe(&scope, Subscription::new(crate::PlanName::new("small")?, anchor)).await?;
    Ok((quotas, clock, scope))
}

/// Another process's quotas, on the same clock.
pub(super) fn beside<S: QuotaStore>(store: S, clock: &ManualClock) -> Result<Quotas<S>, crate::Error> {
    Quotas::new(store, [plan("small")?, plan("large")?])?
        .with_clock(clock.clone())?
        .with_ids(SystemIds::new())
}

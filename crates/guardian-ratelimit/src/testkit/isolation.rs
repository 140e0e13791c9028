//! Counters that must never meet.

use guardian_core::TenantId;

use super::{Fixture, Violation, ensure, limiter};
use crate::{Limit, Policy, Realm, Subject};

/// One tenant's requests are never counted against another's, nor against the shared realm, whatever the subjects
/// and the ids look like.
///
/// # Errors
/// How the store broke the law.
pub fn tenants_do_not_meet<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let policy = limiter.define(Policy::new("tenants", "1/h burst 1")?)?;
    // Ids that a careless joining of names would confuse.
    let names = ["a", "b", "a:b", "a:i", "1", "a:i:1", "shared", "-", "A"];
    let tenants = names.map(TenantId::new);
    let subjects =
        [Subject::Whole, Subject::Id(1), Subject::Text("1"), Subject::Text("b:1"), Subject::Text("")];
    for subject in subjects {
        let limits = [Limit { policy, subject, cost: 1 }];
        for tenant in &tenants {
            let tenant = tenant.clone()?;
            let first = fixture.block_on(limiter.check(&tenant, &limits))?;
            ensure!(first.is_allowed(), "{subject:?} of `{tenant}` was counted for another tenant");
            let second = fixture.block_on(limiter.check(&tenant, &limits))?;
            ensure!(second.is_denied(), "{subject:?} of `{tenant}` was not counted for it");
        }
        let shared = fixture.block_on(limiter.check(Realm::Shared, &limits))?;
        ensure!(shared.is_allowed(), "{subject:?} of a tenant was counted in the shared realm");
    }
    // Resetting one tenant's counter leaves the other's.
    let (Ok(a), Ok(b)) = (TenantId::new("a"), TenantId::new("b")) else {
        return Ok(());
    };
    fixture.block_on(limiter.reset(&a, &[Limit::of(policy, 1)]))?;
    let other = fixture.block_on(limiter.check(&b, &[Limit::of(policy, 1)]))?;
    ensure!(other.is_denied(), "resetting one tenant's counter reset another's");
    Ok(())
}

/// Subjects of different kinds or contents are counted apart.
///
/// # Errors
/// How the store broke the law.
pub fn subjects_do_not_meet<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("subjects")?;
    let policy = limiter.define(Policy::new("subjects", "1/h burst 1")?)?;
    let long = "x".repeat(Subject::MAX_LEN);
    let texts = [
        "", "1", "i:1", "w", "a", "A", "a ", " a", "a:b", "a::b", "{a}", "a}", "%7B", "{", "a\nb", "a\0b",
        "a\0", "é", "e\u{301}", "GET /x", "GET /x?", &long,
    ];
    let numbers = [0, 1, 2, 256, u64::MAX, u64::from(u32::MAX), 1 << 63].map(Subject::Id);
    let subjects = texts.iter().map(|text| Subject::Text(text)).chain(numbers).chain([Subject::Whole]);
    for realm in [Realm::Tenant(&tenant), Realm::Shared] {
        for subject in subjects.clone() {
            let limits = [Limit { policy, subject, cost: 1 }];
            let first = fixture.block_on(limiter.check(realm, &limits))?;
            ensure!(first.is_allowed(), "{subject:?} was counted for another subject");
            let second = fixture.block_on(limiter.check(realm, &limits))?;
            ensure!(second.is_denied(), "{subject:?} was not counted");
        }
    }
    Ok(())
}

/// Policies are counted apart, even where one name begins with the other.
///
/// # Errors
/// How the store broke the law.
pub fn policies_do_not_meet<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let limiter = limiter(fixture);
    let tenant = TenantId::new("policies")?;
    for name in ["p", "p.q", "p-q", "p_q", "P", "pq"] {
        let policy = limiter.define(Policy::new(name, "1/h burst 1")?)?;
        for subject in [Subject::Id(1), Subject::Text("q"), Subject::Whole] {
            let limits = [Limit { policy, subject, cost: 1 }];
            let first = fixture.block_on(limiter.check(&tenant, &limits))?;
            ensure!(first.is_allowed(), "`{name}` was counted for another policy");
        }
    }
    Ok(())
}

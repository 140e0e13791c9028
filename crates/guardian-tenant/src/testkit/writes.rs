//! Laws of single tenants and their events.

use std::time::Duration;

use guardian_core::Scope;

use super::{Fixture, Maker, Violation, ensure};
use crate::store::{TenantStore, Written};
use crate::{DisplayName, Industry, Settings, Transition, Version};

/// A second tenant of the same id is refused, and the first stays as it is.
///
/// # Errors
/// When the store breaks the law.
pub fn an_id_is_never_given_twice<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let (maker, store) = (Maker::new()?, fixture.store());
    let first = maker.tenant("acme")?;
    let mut second = maker.tenant("acme")?;
    second.name = DisplayName::new("Another")?;
    fixture.block_on(async {
        let done = store.insert(&maker.platform, &first, &maker.event(&first)).await?;
        ensure!(done == Written::Done, "a new tenant was {done:?}");
        let done = store.insert(&maker.platform, &second, &maker.event(&second)).await?;
        ensure!(done == Written::Exists, "a second tenant of one id was {done:?}");
        let kept = store.get(&maker.platform, &first.id).await?;
        ensure!(kept.as_ref() == Some(&first), "the first tenant became {kept:?}");
        // Ids differ by case.
        let upper = maker.tenant("ACME")?;
        let done = store.insert(&maker.platform, &upper, &maker.event(&upper)).await?;
        ensure!(done == Written::Done, "`ACME` was taken for `acme`: {done:?}");
        Ok(())
    })
}

/// A replacement happens only in the place of the version that it names.
///
/// # Errors
/// When the store breaks the law.
pub fn a_replacement_names_the_version<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let (maker, store) = (Maker::new()?, fixture.store());
    let first = maker.tenant("acme")?;
    let mut second = first.clone();
    second.version = Version::new(2);
    second.name = DisplayName::new("Renamed")?;
    fixture.block_on(async {
        let done = store.replace(&maker.platform, &second, Version::FIRST, &maker.event(&second)).await?;
        ensure!(done == Written::Missing, "a replacement of nothing was {done:?}");
        store.insert(&maker.platform, &first, &maker.event(&first)).await?;
        let done = store.replace(&maker.platform, &second, Version::new(7), &maker.event(&second)).await?;
        ensure!(done == Written::Conflict(Version::FIRST), "a replacement of another version was {done:?}");
        let kept = store.get(&maker.platform, &first.id).await?;
        ensure!(kept.as_ref() == Some(&first), "a refused replacement left {kept:?}");
        let done = store.replace(&maker.platform, &second, Version::FIRST, &maker.event(&second)).await?;
        ensure!(done == Written::Done, "a right replacement was {done:?}");
        let kept = store.get(&maker.platform, &first.id).await?;
        ensure!(kept.as_ref() == Some(&second), "the replacement left {kept:?}");
        Ok(())
    })
}

/// A scope reads the tenant that it is of.
///
/// # Errors
/// When the store breaks the law.
pub fn a_tenant_reads_itself_and_no_other<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let (maker, store) = (Maker::new()?, fixture.store());
    let (acme, other) = (maker.tenant("acme")?, maker.tenant("acme-2")?);
    fixture.block_on(async {
        for tenant in [&acme, &other] {
            store.insert(&maker.platform, tenant, &maker.event(tenant)).await?;
        }
        for tenant in [&acme, &other] {
            let own = store.own(&Scope::system(tenant.id.clone())).await?;
            ensure!(own.as_ref() == Some(tenant), "`{}` read {own:?}", tenant.id);
        }
        let nobody = store.own(&Scope::system(maker.tenant("acm")?.id)).await?;
        ensure!(nobody.is_none(), "a tenant that does not exist read {nobody:?}");
        Ok(())
    })
}

/// An event is stored with its change, and with none that was refused.
///
/// # Errors
/// When the store breaks the law.
pub fn a_write_and_its_event_go_together<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let (maker, store) = (Maker::new()?, fixture.store());
    let first = maker.tenant("acme")?;
    let mut second = first.clone();
    second.version = Version::new(2);
    let events: Vec<_> = (0..4).map(|_| maker.event(&first)).collect();
    fixture.block_on(async {
        let [created, taken, late, changed] = events.as_slice() else { return Ok(()) };
        store.insert(&maker.platform, &first, created).await?;
        store.insert(&maker.platform, &first, taken).await?;
        store.replace(&maker.platform, &second, Version::new(9), late).await?;
        store.replace(&maker.platform, &second, Version::FIRST, changed).await?;
        let waiting = store.undelivered(&maker.platform, 10).await?;
        ensure!(waiting == [created.clone(), changed.clone()], "after two changes there wait {waiting:?}");
        Ok(())
    })
}

/// Events wait in the order of their ids until they are delivered.
///
/// # Errors
/// When the store breaks the law.
pub fn a_delivered_event_is_forgotten<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let (maker, store) = (Maker::new()?, fixture.store());
    fixture.block_on(async {
        let mut ids = Vec::new();
        for name in ["z", "a", "m"] {
            let tenant = maker.tenant(name)?;
            let event = maker.event(&tenant);
            ids.push(event.id);
            store.insert(&maker.platform, &tenant, &event).await?;
        }
        let two = store.undelivered(&maker.platform, 2).await?;
        let seen: Vec<_> = two.iter().map(|event| event.id).collect();
        ensure!(Some(seen.as_slice()) == ids.get(..2), "the first two of {ids:?} were {seen:?}");
        for id in seen {
            store.delivered(&maker.platform, id).await?;
            // Twice is as good as once.
            store.delivered(&maker.platform, id).await?;
        }
        let left = store.undelivered(&maker.platform, 10).await?;
        let left: Vec<_> = left.iter().map(|event| event.id).collect();
        ensure!(Some(left.as_slice()) == ids.get(2..), "of {ids:?} there were left {left:?}");
        Ok(())
    })
}

/// Every field survives.
///
/// # Errors
/// When the store breaks the law.
pub fn a_tenant_comes_back_as_it_was_stored<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let (maker, store) = (Maker::new()?, fixture.store());
    maker.clock.advance(Duration::from_micros(123_456));
    let mut tenant = maker.tenant("A.b_c:d-9")?;
    tenant.name = DisplayName::new("Ünïted \"Widgets\" & 株式会社 🦀 o'Hara\\n")?;
    tenant.industry = Some(Industry::new("real-estate")?);
    tenant.settings = r#"{"z": 1, "a": [true, null, -9223372036854775808, 0.5, "x\ty"], "": {"ü": {}}}"#
        .replace("\"\":", "\"deep\":")
        .parse::<Settings>()?;
    tenant.internal = r#"{"note": "pays late"}"#.parse::<Settings>()?;
    let suspended = tenant.status.after(&Transition::Suspend { reason: "unpaid '\"".into() }, maker.now())?;
    let deleting =
        suspended.after(&Transition::Delete { grace: Duration::from_micros(86_400_000_001) }, maker.now())?;
    fixture.block_on(async {
        store.insert(&maker.platform, &tenant, &maker.event(&tenant)).await?;
        for status in [suspended, deleting] {
            let expected = tenant.version;
            tenant.version = Version::new(expected.number() + 1);
            tenant.status = status;
            store.replace(&maker.platform, &tenant, expected, &maker.event(&tenant)).await?;
            let kept = store.get(&maker.platform, &tenant.id).await?;
            ensure!(kept.as_ref() == Some(&tenant), "{tenant:?} came back as {kept:?}");
        }
        Ok(())
    })
}

/// Of several replacements of one version exactly one happens.
///
/// # Errors
/// When the store breaks the law.
pub fn of_concurrent_replacements_one_wins<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    const WRITERS: usize = 4;
    let (maker, store) = (Maker::new()?, fixture.store());
    let first = maker.tenant("acme")?;
    fixture.block_on(store.insert(&maker.platform, &first, &maker.event(&first)))?;
    for round in 1..=8 {
        let expected = Version::new(round);
        let mut next = first.clone();
        next.version = Version::new(round + 1);
        let outcomes: Vec<_> = std::thread::scope(|threads| {
            let writer = |_| {
                let (store, next, event) = (fixture.store(), &next, maker.event(&next));
                let platform = &maker.platform;
                threads.spawn(move || {
                    fixture.block_on(async { store.replace(platform, next, expected, &event).await })
                })
            };
            let writers: Vec<_> = (0..WRITERS).map(writer).collect();
            writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
        });
        let mut won = 0;
        for outcome in outcomes {
            let outcome = outcome.map_err(|_| Violation::new("a writer panicked"))??;
            won += usize::from(outcome == Written::Done);
        }
        ensure!(won == 1, "of {WRITERS} replacements of version {round} there won {won}");
    }
    Ok(())
}

//! Laws of lists.

use std::time::Duration;

use guardian_core::{Cursor, PageRequest, StoreErrorKind};

use super::{Fixture, Maker, Violation, ensure};
use crate::store::{TenantFilter, TenantOrder, TenantStore};
use crate::{DisplayName, Plan, Region, Status, Transition, Version};

/// A walk through the pages meets each tenant once, in the order of the ids' bytes, whatever is inserted meanwhile.
///
/// # Errors
/// When the store breaks the law.
pub fn pages_show_each_tenant_once_in_order<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let (maker, store) = (Maker::new()?, fixture.store());
    // Upper case sorts before lower case, punctuation before and between.
    let ids = ["B", "a", "_x", "a-b", "a.b", "aB", "ab", "A", "b", "0", "a:1"];
    fixture.block_on(async {
        for id in ids {
            let tenant = maker.tenant(id)?;
            store.insert(&maker.platform, &tenant, &maker.event(&tenant)).await?;
        }
        let mut expected: Vec<_> = ids.iter().map(|id| (*id).to_owned()).collect();
        expected.sort_unstable();
        for size in [1, 2, 3, 11, 12] {
            let mut seen = Vec::new();
            let mut page = PageRequest::first(size)?;
            loop {
                let found = store.list(&maker.platform, &TenantFilter::new(), &page).await?;
                let most = usize::try_from(size).unwrap_or(usize::MAX);
                ensure!(found.items.len() <= most, "a page of {size} held {}", found.items.len());
                seen.extend(found.items.iter().map(|tenant| tenant.id.as_str().to_owned()));
                // Somebody arrives behind our back, before the place that the walk has reached.
                let late = maker.tenant(&format!("-late{size}.{}", seen.len()))?;
                store.insert(&maker.platform, &late, &maker.event(&late)).await?;
                let Some(next) = found.next else { break };
                page = PageRequest::first(size)?.after(next);
            }
            let old: Vec<_> = seen.iter().filter(|id| !id.starts_with("-late")).cloned().collect();
            ensure!(old == expected, "pages of {size} showed {old:?}");
            let mut unique = seen.clone();
            unique.sort_unstable();
            unique.dedup();
            ensure!(unique.len() == seen.len(), "pages of {size} showed one twice: {seen:?}");
        }
        Ok(())
    })
}

/// A filter shows what matches all of it.
///
/// # Errors
/// When the store breaks the law.
pub fn a_filter_shows_what_matches<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let (maker, store) = (Maker::new()?, fixture.store());
    fixture.block_on(async {
        let mut all = Vec::new();
        for n in 0..24 {
            let mut tenant = maker.tenant(&format!("t{n:02}"))?;
            tenant.plan = Plan::new(if n % 2 == 0 { "team" } else { "free" })?;
            tenant.region = Region::new(if n % 3 == 0 { "us" } else { "eu" })?;
            if n % 4 == 0 {
                tenant.status =
                    tenant.status.after(&Transition::Suspend { reason: "test".into() }, maker.now())?;
            }
            store.insert(&maker.platform, &tenant, &maker.event(&tenant)).await?;
            all.push(tenant);
        }
        let (team, eu) = (Plan::new("team")?, Region::new("eu")?);
        for filter in [
            TenantFilter::new(),
            TenantFilter::new().plan(team.clone()),
            TenantFilter::new().region(eu.clone()),
            TenantFilter::new().status("suspended"),
            TenantFilter::new().status("suspended").plan(team).region(eu),
            TenantFilter::new().status("%"),
        ] {
            let page = store.list(&maker.platform, &filter, &PageRequest::first(100)?).await?;
            let expected: Vec<_> = all.iter().filter(|tenant| filter.matches(tenant)).cloned().collect();
            ensure!(page.items == expected, "{filter:?} showed {:?}", page.items);
            ensure!(page.next.is_none(), "the last page has a next one");
        }
        Ok(())
    })
}

/// Pages in each order meet each tenant once, where two are equal by id, together with a filter; a cursor of another order is refused.
///
/// # Errors
/// When the store breaks the law.
pub fn each_order_shows_each_tenant_once<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let (maker, store) = (Maker::new()?, fixture.store());
    let orders =
        [TenantOrder::id(), TenantOrder::name(), TenantOrder::created()].map(|up| [up, up.descending()]);
    fixture.block_on(async {
        let mut all = Vec::new();
        // Names and times go neither with ids nor with each other, and some are equal; letters are not all of one alphabet.
        for (n, name) in ["b", "Ä", "a", "a", "Z", "a b", "ab", "🎉", "b"].into_iter().enumerate() {
            maker.clock.advance(Duration::from_secs(u64::from(n % 3 > 0)));
            let mut tenant = maker.tenant(&format!("t{}", (n * 5) % 9))?;
            tenant.name = DisplayName::new(name)?;
            tenant.region = Region::new(if n == 4 { "us" } else { "eu" })?;
            store.insert(&maker.platform, &tenant, &maker.event(&tenant)).await?;
            all.push(tenant);
        }
        // One that is renamed stands elsewhere.
        let last = all.last_mut().ok_or_else(|| Violation::new("no tenant was made"))?;
        last.name = DisplayName::new("0")?;
        last.version = last.version.next();
        store.replace(&maker.platform, last, Version::FIRST, &maker.event(last)).await?;
        for (order, other) in orders.iter().flat_map(|[up, down]| [(*up, *down), (*down, *up)]) {
            let filter = TenantFilter::new().region(Region::new("eu")?).order(order);
            let mut expected: Vec<_> = all.iter().filter(|tenant| filter.matches(tenant)).cloned().collect();
            expected.sort_by(|one, other| order.compare(&order.place_of(one), &order.place_of(other)));
            for size in [1, 3, 8, 9] {
                let (mut seen, mut page) = (Vec::new(), PageRequest::first(size)?);
                loop {
                    let found = store.list(&maker.platform, &filter, &page).await?;
                    seen.extend(found.items);
                    let Some(next) = found.next else { break };
                    page = PageRequest::first(size)?.after(next);
                    let elsewhere = TenantFilter::new().order(other);
                    let refused = store.list(&maker.platform, &elsewhere, &page).await;
                    let kind = refused.as_ref().err().map(guardian_core::StoreError::kind);
                    ensure!(kind == Some(StoreErrorKind::Constraint), "{other:?} took a cursor of {order:?}");
                }
                ensure!(seen == expected, "pages of {size} by {order:?} showed {seen:?}");
            }
        }
        Ok(())
    })
}

/// A cursor that no page gave is refused, not guessed at.
///
/// # Errors
/// When the store breaks the law.
pub fn a_cursor_of_another_list_is_refused<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let (maker, store) = (Maker::new()?, fixture.store());
    fixture.block_on(async {
        let bodies = [
            &b"\xff\xfe"[..],
            b"",
            b"a b",
            b"' OR 1=1 --",
            b"12345678",
            b"\0t1",
            b"n\0",
            b"a\0b\0t1",
            b"\x7f\0t1",
        ];
        for order in [TenantOrder::id(), TenantOrder::name(), TenantOrder::created()] {
            for (letter, body) in
                ["", "i", "n", "c", "I"].iter().flat_map(|one| bodies.map(|body| (*one, body)))
            {
                let bytes = [letter.as_bytes(), body].concat();
                // That is one of this list.
                if order == TenantOrder::id() && letter == "i" && body == b"12345678" {
                    continue;
                }
                let page = PageRequest::first(10)?.after(Cursor::from_bytes(&bytes));
                let refused = store.list(&maker.platform, &TenantFilter::new().order(order), &page).await;
                let kind = refused.as_ref().err().map(guardian_core::StoreError::kind);
                ensure!(
                    kind == Some(StoreErrorKind::Constraint),
                    "{order:?}: the cursor {bytes:?} gave {refused:?}"
                );
            }
        }
        Ok(())
    })
}

/// Those whose grace is over come ordered by when it ended, and no others.
///
/// # Errors
/// When the store breaks the law.
pub fn those_due_come_in_order<F: Fixture>(fixture: &F) -> Result<(), Violation> {
    let (maker, store) = (Maker::new()?, fixture.store());
    let now = maker.now();
    fixture.block_on(async {
        for (id, seconds) in [("late", 90), ("b", 60), ("a", 60), ("first", 30), ("not-yet", 91)] {
            let mut tenant = maker.tenant(id)?;
            let grace = Duration::from_secs(seconds);
            tenant.status = tenant.status.after(&Transition::Delete { grace }, now)?;
            store.insert(&maker.platform, &tenant, &maker.event(&tenant)).await?;
        }
        let active = maker.tenant("active")?;
        store.insert(&maker.platform, &active, &maker.event(&active)).await?;
        let mut purged = maker.tenant("purged")?;
        purged.status = Status::Purged { since: now };
        store.insert(&maker.platform, &purged, &maker.event(&purged)).await?;
        maker.clock.advance(Duration::from_secs(90));
        let due = store.due(&maker.platform, maker.now(), 10).await?;
        let due: Vec<_> = due.iter().map(|tenant| tenant.id.as_str()).collect();
        ensure!(due == ["first", "a", "b", "late"], "those due were {due:?}");
        let two = store.due(&maker.platform, maker.now(), 2).await?;
        ensure!(two.len() == 2, "two of those due were {}", two.len());
        Ok(())
    })
}

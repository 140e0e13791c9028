//! The laws, each with a life of its own in the store.

use std::collections::BTreeSet;

use super::{
    Claim, Clock as _, Duration, EndpointStatus, Enqueue, Fixture, LEASE, Next, Publish, Violation, World,
    after, ensure, first, ids, settings,
};
use crate::delivery::{DeliveryFilter, DeliveryState};
use crate::endpoint::DisableReason;
use crate::store::{DeliveryStore as _, Enqueued, Removed, Saved};

/// A change of an endpoint names the revision that it is made from; another one is refused, and nothing of it is stored.
///
/// # Errors
/// How the store broke the law.
pub fn an_old_revision_is_refused(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let (store, scope, now) = (&world.store, &world.scope, world.now());
        let mut endpoint = world.draft(settings());
        let before = store.endpoints_revision(scope).await?;
        ensure!(store.put_endpoint(scope, &endpoint, now).await? == Saved::Done, "the first was refused");
        ensure!(store.put_endpoint(scope, &endpoint, now).await? == Saved::Conflict, "the first came twice");
        ensure!(store.endpoints_revision(scope).await? != before, "the number of the state did not change");
        endpoint.revision = 3;
        ensure!(
            store.put_endpoint(scope, &endpoint, now).await? == Saved::Conflict,
            "a revision was left out"
        );
        endpoint.revision = 2;
        endpoint.settings.description = "new".to_owned();
        ensure!(store.put_endpoint(scope, &endpoint, now).await? == Saved::Done, "the second was refused");
        let found = store.endpoint(scope, endpoint.id).await?;
        ensure!(found.as_ref() == Some(&endpoint), "it came back as {found:?}");
        for _ in 0..4 {
            world.plain().await?;
        }
        let page = store.endpoints(scope, &first(3)?).await?;
        let next = page.next.clone().ok_or_else(|| Violation::new("there is no second page"))?;
        let rest = store.endpoints(scope, &first(3)?.after(next)).await?;
        let all: BTreeSet<_> = page.items.iter().chain(&rest.items).map(|each| each.id).collect();
        ensure!(
            page.items.len() == 3 && rest.items.len() == 2 && all.len() == 5 && rest.next.is_none(),
            "pages: {page:?} {rest:?}"
        );
        Ok(())
    })
}

/// A tenant sees nothing of another's, and touches nothing.
///
/// # Errors
/// How the store broke the law.
pub fn a_tenant_sees_its_own_alone(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let ours = World::new(fixture.store(), "acme")?;
        let theirs = World::new(fixture.store(), "umbrella")?;
        let endpoint = ours.plain().await?;
        let enqueue = ours.message(&[&endpoint], None, "deal.won")?;
        ours.store.enqueue(&ours.scope, std::slice::from_ref(&enqueue)).await?;
        let (store, scope, now) = (&theirs.store, &theirs.scope, theirs.now());
        let all = DeliveryFilter::new();
        ensure!(store.endpoint(scope, endpoint.id).await?.is_none(), "an endpoint shows");
        ensure!(store.endpoints(scope, &first(10)?).await?.items.is_empty(), "endpoints show");
        ensure!(store.message(scope, enqueue.message.id).await?.is_none(), "a message shows");
        ensure!(store.deliveries(scope, &all, &first(10)?).await?.items.is_empty(), "deliveries show");
        ensure!(store.queue(scope, endpoint.id).await?.is_none(), "a queue shows");
        ensure!(store.cancel(scope, &all, 10, now).await? == 0, "it was cancelled");
        for revision in [None, Some(endpoint.revision)] {
            let removed = store.remove_endpoint(scope, endpoint.id, revision, now).await?;
            ensure!(removed == Removed::Missing, "another tenant's: {removed:?}");
        }
        let claimed = ours.claim(10).await?;
        ensure!(claimed.len() == 1, "it is not there: {claimed:?}");
        Ok(())
    })
}

/// What was stored comes back byte by byte, whatever bytes they are, in every version.
///
/// # Errors
/// How the store broke the law.
pub fn bodies_come_back_as_they_were(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let endpoint = world.plain().await?;
        let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        let publish = Publish::bytes("deal.won", "application/octet-stream", bytes)?
            .with_version("2025-01", *b"\0old\xff")
            .with_ordering_key("key of ünïcode");
        let Enqueue { message, fanout, .. } = world.message(&[&endpoint], None, "deal.won")?;
        let message = crate::Message::of(message.id, message.created, publish);
        let enqueue = Enqueue { message: message.clone(), fanout, idempotency: None };
        world.store.enqueue(&world.scope, &[enqueue]).await?;
        let found = world.store.message(&world.scope, message.id).await?;
        ensure!(found.as_ref() == Some(&message), "the message is another one");
        let claimed = world.claim(1).await?;
        ensure!(claimed.first().is_some_and(|each| *each.message == message), "a worker gets another one");
        Ok(())
    })
}

/// What is queued is held by one worker until its lease ends, then by another one.
///
/// # Errors
/// How the store broke the law.
pub fn what_is_queued_is_held_by_one(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let endpoint = world.plain().await?;
        ensure!(world.claim(10).await?.is_empty(), "there is something in an empty store");
        let queued = world.queue(&endpoint, 3, None).await?;
        let one = world.claim(2).await?;
        let two = world.claim(10).await?;
        let mut all = [ids(&one), ids(&two)].concat();
        all.sort();
        ensure!(one.len() == 2 && all == queued, "of {queued:?} came {one:?} and {two:?}");
        ensure!(world.claim(10).await?.is_empty(), "somebody else's was given away");
        world.clock.advance(LEASE - Duration::from_secs(1));
        ensure!(world.claim(10).await?.is_empty(), "a lease ended early");
        world.clock.advance(Duration::from_secs(1));
        let again = world.claim(10).await?;
        ensure!(again.len() == 3, "behind their leases came {again:?}");
        for each in &again {
            let before = one.iter().chain(&two).find(|old| old.delivery == each.delivery);
            ensure!(before.is_some_and(|old| old.fence < each.fence), "the fence of {each:?} did not grow");
            ensure!(each.attempts == 0, "an attempt that nobody recorded was counted");
        }
        Ok(())
    })
}

/// Whoever lost its holding records nothing; of one attempt there is one record.
///
/// # Errors
/// How the store broke the law.
pub fn a_fence_keeps_out_who_was_too_slow(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let endpoint = world.plain().await?;
        world.queue(&endpoint, 1, None).await?;
        let slow = world.claim(1).await?;
        world.clock.advance(LEASE);
        let quick = world.claim(1).await?;
        let (Some(slow), Some(quick)) = (slow.first(), quick.first()) else {
            return Err(Violation::new("nothing was claimed"));
        };
        ensure!(!world.succeed(slow).await?, "the slow one was let in before");
        ensure!(world.fail(quick, Duration::from_secs(5)).await?, "the holder was kept out");
        ensure!(!world.succeed(slow).await? && !world.succeed(quick).await?, "a holding ended twice");
        let attempts = world.store.attempts(&world.scope, quick.delivery).await?;
        ensure!(
            attempts.len() == 1 && attempts.iter().all(|each| each.status == Some(500)),
            "recorded: {attempts:?}"
        );
        ensure!(world.claim(1).await?.is_empty(), "it was due before its time");
        world.clock.advance(Duration::from_secs(5));
        let third = world.claim(1).await?;
        let Some(third) = third.first() else { return Err(Violation::new("it was not due at its time")) };
        ensure!(third.attempts == 1, "one attempt was recorded, not {}", third.attempts);
        ensure!(world.succeed(third).await?, "the third was kept out");
        let found = world.store.deliveries(&world.scope, &DeliveryFilter::new(), &first(10)?).await?.items;
        let Some(found) = found.first() else { return Err(Violation::new("it is not in the log")) };
        ensure!(
            found.state == DeliveryState::Succeeded
                && found.attempts == 2
                && found.last_status == Some(200)
                && found.next_at.is_none(),
            "it ended as {found:?}"
        );
        Ok(())
    })
}

/// A holding that was lost and the one that followed it may end in one call, in either order: the later one counts.
///
/// # Errors
/// How the store broke the law.
pub fn two_holdings_of_one_delivery_end_in_one_call(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let endpoint = world.plain().await?;
        for slow_first in [true, false] {
            world.queue(&endpoint, 1, None).await?;
            let slow = world.claim(1).await?;
            world.clock.advance(LEASE);
            let quick = world.claim(1).await?;
            let (Some(slow), Some(quick)) = (slow.first(), quick.first()) else {
                return Err(Violation::new("nothing was claimed"));
            };
            let ended = |status| {
                Next::Ended(if status == 200 { DeliveryState::Succeeded } else { DeliveryState::Dead }, None)
            };
            let mut batch =
                vec![world.settlement(slow, 500, ended(500)), world.settlement(quick, 200, ended(200))];
            if !slow_first {
                batch.reverse();
            }
            let settled = world.store.settle(&batch, &world.rules, world.now()).await?;
            let kept: Vec<bool> = settled.iter().map(|each| each.kept).collect();
            ensure!(
                kept == [!slow_first, slow_first],
                "the slow one first: {slow_first}; kept were {kept:?}"
            );
            let attempts = world.store.attempts(&world.scope, quick.delivery).await?;
            ensure!(
                attempts.len() == 1 && attempts.iter().all(|each| each.status == Some(200)),
                "recorded: {attempts:?}"
            );
        }
        Ok(())
    })
}

/// Tenants, keys and lanes whose names read the same when they are put together have nothing in common.
///
/// # Errors
/// How the store broke the law.
pub fn names_that_run_together_share_nothing(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let ours = World::new(fixture.store(), "acme")?;
        let one = ours.endpoint(settings().with_ordering(true)).await?;
        for (seed, mark) in [(8, ':'), (9, '-'), (10, '.'), (11, '_')] {
            let mut theirs = World::new(fixture.store(), &format!("acme{mark}eu"))?;
            theirs.ids = super::SeededIds::new(seed);
            let until = after(ours.now(), Duration::from_secs(100));
            let mut answers = Vec::new();
            for (world, key) in [(&ours, format!("eu{mark}deal-7")), (&theirs, "deal-7".to_owned())] {
                let message = world.message(&[], None, "deal.won")?;
                let enqueue = Enqueue { idempotency: Some((key, until)), ..message };
                answers.extend(world.store.enqueue(&world.scope, &[enqueue]).await?);
            }
            ensure!(answers == [Enqueued::New, Enqueued::New], "keys with `{mark}`: {answers:?}");

            let tenant = format!("acme{mark}{}", one.id.number().simple());
            theirs.scope = guardian_core::Scope::system(guardian_core::TenantId::new(tenant)?);
            let other = theirs.endpoint(settings().with_ordering(true)).await?;
            let lane = format!("{}{mark}deal-7", other.id.number().simple());
            ours.queue(&one, 1, Some(&lane)).await?;
            theirs.queue(&other, 1, Some("deal-7")).await?;
            let came = ours.claim(10).await?;
            ensure!(came.len() == 2, "of two lanes with `{mark}` {} came", came.len());
            for each in &came {
                ensure!(ours.succeed(each).await?, "a holder was kept out");
            }
        }
        Ok(())
    })
}

/// Deliveries of a lane come one after the other, in the order in which they were stored, over failures and lost leases; lanes go
/// beside each other.
///
/// # Errors
/// How the store broke the law.
pub fn a_lane_comes_in_order(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let endpoint = world.endpoint(settings().with_ordering(true)).await?;
        let a = world.queue(&endpoint, 3, Some("a")).await?;
        let b = world.queue(&endpoint, 1, Some("b")).await?;
        let plain = world.queue(&endpoint, 1, None).await?;
        let heads = world.claim(10).await?;
        let expected: BTreeSet<_> =
            [a.first(), b.first(), plain.first()].into_iter().flatten().copied().collect();
        ensure!(ids(&heads).into_iter().collect::<BTreeSet<_>>() == expected, "the heads are {heads:?}");
        let Some(head) = heads.iter().find(|each| a.contains(&each.delivery)) else { return Ok(()) };
        ensure!(world.fail(head, Duration::from_secs(30)).await?, "the head was kept out");
        for each in heads.iter().filter(|each| !a.contains(&each.delivery)) {
            ensure!(world.succeed(each).await?, "the holder of another lane was kept out");
        }
        a_second_comes_behind(&world, &endpoint).await?;
        ensure!(world.claim(10).await?.is_empty(), "the second came while the first waits for its retry");
        world.clock.advance(Duration::from_secs(30));
        for expected in &a {
            let mut came = world.claim(10).await?;
            came.retain(|each| a.contains(&each.delivery));
            ensure!(ids(&came) == [*expected], "expected {expected:?}, came {came:?}");
            ensure!(
                world.claim(10).await?.iter().all(|each| !a.contains(&each.delivery)),
                "two of a lane at once"
            );
            if let Some(each) = came.first() {
                ensure!(world.succeed(each).await?, "the holder was kept out");
            }
        }
        Ok(())
    })
}

/// A message that is queued while the head of its lane waits does not come before it.
async fn a_second_comes_behind<S: crate::DeliveryStore>(
    world: &World<S>,
    endpoint: &crate::Endpoint,
) -> Result<(), Violation> {
    world.queue(endpoint, 1, Some("a")).await?;
    ensure!(world.claim(10).await?.is_empty(), "a later one of the lane came first");
    Ok(())
}

/// When the head of a lane is cancelled, the next one comes; one that is redriven comes behind all others.
///
/// # Errors
/// How the store broke the law.
pub fn a_cancelled_head_lets_its_lane_go_on(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let endpoint = world.endpoint(settings().with_ordering(true)).await?;
        let lane = world.queue(&endpoint, 3, Some("a")).await?;
        let [one, two, three] = lane.as_slice() else { return Ok(()) };
        let only = |id: &crate::DeliveryId| DeliveryFilter::new().delivery(*id);
        let now = world.now();
        ensure!(
            world.store.cancel(&world.scope, &only(two), 10, now).await? == 1,
            "the second was not cancelled"
        );
        ensure!(
            world.store.cancel(&world.scope, &only(one), 10, now).await? == 1,
            "the head was not cancelled"
        );
        ensure!(
            world.store.cancel(&world.scope, &only(one), 10, now).await? == 0,
            "the head was cancelled twice"
        );
        ensure!(
            world.store.redrive(&world.scope, &only(one), 10, now).await? == 1,
            "the head was not redriven"
        );
        for expected in [three, one] {
            let came = world.claim(10).await?;
            ensure!(ids(&came) == [*expected], "expected {expected:?}, came {came:?}");
            if let Some(each) = came.first() {
                ensure!(world.succeed(each).await?, "the holder was kept out");
            }
        }
        ensure!(world.claim(10).await?.is_empty(), "something is left");
        Ok(())
    })
}

/// An endpoint has no more attempts at the same time than it wants; a place that becomes free is taken.
///
/// # Errors
/// How the store broke the law.
pub fn an_endpoint_has_its_concurrency(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let endpoint = world.endpoint(settings().with_concurrency(2)).await?;
        world.queue(&endpoint, 5, None).await?;
        let held = world.claim(10).await?;
        ensure!(held.len() == 2, "two were allowed, {} came", held.len());
        ensure!(world.claim(10).await?.is_empty(), "more came while two are under way");
        if let Some(each) = held.first() {
            world.succeed(each).await?;
        }
        let more = world.claim(10).await?;
        ensure!(more.len() == 1, "one place is free, {} came", more.len());
        world.clock.advance(LEASE);
        ensure!(world.claim(10).await?.len() == 2, "places of leases that ended were not free");
        Ok(())
    })
}

/// An endpoint has no more attempts a second than it wants.
///
/// # Errors
/// How the store broke the law.
pub fn an_endpoint_has_its_rate(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let endpoint = world.endpoint(settings().with_concurrency(1000).with_rate(Some(4))).await?;
        world.queue(&endpoint, 40, None).await?;
        let mut came = 0;
        for _ in 0..50 {
            for each in world.claim(100).await? {
                came += 1;
                world.succeed(&each).await?;
            }
            world.clock.advance(Duration::from_millis(100));
        }
        ensure!((16..=24).contains(&came), "4 a second for 5 seconds were {came}");
        Ok(())
    })
}

/// Failures open the breaker: nothing comes, no attempt is spent; then one at a time, until one succeeds.
///
/// # Errors
/// How the store broke the law.
pub fn a_breaker_opens_and_lets_one_probe_through(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let mut world = World::new(fixture.store(), "acme")?;
        world.rules =
            world.rules.with_failures(3)?.with_open(Duration::from_secs(30), Duration::from_secs(600));
        let (bad, good) = (world.plain().await?, world.plain().await?);
        world.queue(&bad, 10, None).await?;
        let held = world.claim(3).await?;
        let batch: Vec<_> = held
            .iter()
            .map(|each| world.settlement(each, 500, Next::At(after(world.now(), Duration::from_secs(1)))))
            .collect();
        let settled = world.store.settle(&batch, &world.rules, world.now()).await?;
        let changes: Vec<_> = settled.iter().filter_map(|each| each.change).collect();
        ensure!(
            matches!(changes.as_slice(), [crate::HealthChange::Opened(_)]),
            "three failures changed {changes:?}"
        );
        world.queue(&bad, 2, None).await?;
        world.queue(&good, 1, None).await?;
        world.clock.advance(Duration::from_secs(29));
        let came = world.claim(10).await?;
        ensure!(
            came.len() == 1 && came.iter().all(|each| each.endpoint == good.id),
            "through an open breaker came {came:?}"
        );
        for each in &came {
            world.succeed(each).await?;
        }
        world.clock.advance(Duration::from_secs(1));
        let probe = world.claim(10).await?;
        ensure!(probe.len() == 1, "of probes there is one, not {}", probe.len());
        ensure!(world.claim(10).await?.is_empty(), "a second probe came");
        let Some(probe) = probe.first() else { return Ok(()) };
        world.fail(probe, Duration::from_secs(1)).await?;
        world.clock.advance(Duration::from_secs(59));
        ensure!(world.claim(10).await?.is_empty(), "the second time is not longer");
        world.clock.advance(Duration::from_secs(1));
        let probe = world.claim(10).await?;
        let Some(probe) = probe.first() else { return Err(Violation::new("there is no second probe")) };
        world.succeed(probe).await?;
        let rest = world.claim(100).await?;
        ensure!(rest.len() == 10, "behind a closed breaker {} came", rest.len());
        let attempts: u32 = rest.iter().map(|each| each.attempts).sum();
        ensure!((3..=4).contains(&attempts), "waiting spent attempts: {attempts}");
        Ok(())
    })
}

/// What is queued for a disabled endpoint waits, and goes on when it is enabled.
///
/// # Errors
/// How the store broke the law.
pub fn an_endpoint_that_is_disabled_waits(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let mut endpoint = world.plain().await?;
        world.queue(&endpoint, 2, None).await?;
        let since = world.now();
        endpoint.status = EndpointStatus::Disabled { since, reason: DisableReason::ByHand };
        endpoint.revision += 1;
        world.store.put_endpoint(&world.scope, &endpoint, since).await?;
        ensure!(world.claim(10).await?.is_empty(), "a disabled endpoint got something");
        world.queue(&endpoint, 1, None).await?;
        world.clock.advance(Duration::from_secs(86_400));
        ensure!(world.claim(10).await?.is_empty(), "a disabled endpoint got something later");
        endpoint.status = EndpointStatus::Enabled;
        endpoint.revision += 1;
        world.store.put_endpoint(&world.scope, &endpoint, world.now()).await?;
        let came = world.claim(10).await?;
        ensure!(
            came.len() == 3 && came.iter().all(|each| each.revision == 3),
            "enabled again it got {came:?}"
        );
        Ok(())
    })
}

/// With an endpoint goes what was queued for it; what ended stays in the log.
///
/// # Errors
/// How the store broke the law.
pub fn a_removed_endpoint_takes_its_queue_along(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let endpoint = world.plain().await?;
        world.queue(&endpoint, 3, None).await?;
        let held = world.claim(2).await?;
        if let Some(each) = held.first() {
            world.succeed(each).await?;
        }
        for (revision, expected) in [
            (Some(endpoint.revision + 1), Removed::Conflict),
            // What no endpoint has is not the same as any.
            (Some(0), Removed::Conflict),
            (Some(endpoint.revision), Removed::Done),
            (Some(endpoint.revision), Removed::Missing),
            (None, Removed::Missing),
        ] {
            let removed =
                world.store.remove_endpoint(&world.scope, endpoint.id, revision, world.now()).await?;
            ensure!(removed == expected, "removed at {revision:?}: {removed:?}");
        }
        if let Some(each) = held.get(1) {
            ensure!(!world.succeed(each).await?, "an attempt for a removed endpoint was recorded");
        }
        world.clock.advance(LEASE);
        ensure!(world.claim(10).await?.is_empty(), "a removed endpoint got something");
        let count = async |state| -> Result<usize, Violation> {
            let filter = DeliveryFilter::new().state(state);
            Ok(world.store.deliveries(&world.scope, &filter, &first(10)?).await?.items.len())
        };
        ensure!(count(DeliveryState::Succeeded).await? == 1, "what had ended is gone");
        ensure!(count(DeliveryState::Cancelled).await? == 2, "what had not ended was not cancelled");
        let all = DeliveryFilter::new();
        ensure!(
            world.store.redrive(&world.scope, &all, 10, world.now()).await? == 0,
            "a removed endpoint was sent to"
        );
        Ok(())
    })
}

/// A tenant with many endpoints and much to send does not keep another one waiting.
///
/// # Errors
/// How the store broke the law.
pub fn tenants_take_turns(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let (big, small) = (World::new(fixture.store(), "big")?, World::new(fixture.store(), "small")?);
        for _ in 0..20 {
            let endpoint = big.plain().await?;
            big.queue(&endpoint, 20, None).await?;
        }
        big.clock.advance(Duration::from_secs(1));
        small.clock.advance(Duration::from_secs(1));
        let endpoint = small.plain().await?;
        small.queue(&endpoint, 2, None).await?;
        let came = big.claim(8).await?;
        let theirs = came.iter().filter(|each| each.tenant == *small.scope.tenant()).count();
        ensure!(theirs > 0, "of {} deliveries none was the small tenant's", came.len());
        let mut endpoints = BTreeSet::new();
        for _ in 0..40 {
            endpoints.extend(big.claim(8).await?.iter().map(|each| each.endpoint));
        }
        ensure!(endpoints.len() >= 20, "only {} of 20 endpoints had a turn", endpoints.len());
        Ok(())
    })
}

/// What ended can be sent again, with its schedule begun anew, and only what the filter shows.
///
/// # Errors
/// How the store broke the law.
pub fn dead_letters_come_back(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let endpoint = world.plain().await?;
        let queued = world.queue(&endpoint, 3, None).await?;
        let held = world.claim(10).await?;
        for (at, each) in held.iter().enumerate() {
            let state = if at == 0 { DeliveryState::Succeeded } else { DeliveryState::Dead };
            let status = if at == 0 { 200 } else { 500 };
            world.settle(each, status, Next::Ended(state, (at > 0).then(|| "it failed".to_owned()))).await?;
        }
        let dead = DeliveryFilter::new().state(DeliveryState::Dead);
        let found = world.store.deliveries(&world.scope, &dead, &first(10)?).await?.items;
        ensure!(
            found.len() == 2
                && found
                    .iter()
                    .all(|each| each.reason.as_deref() == Some("it failed") && each.finished.is_some()),
            "the dead are {found:?}"
        );
        ensure!(world.claim(10).await?.is_empty(), "what had ended came");
        world.clock.advance(Duration::from_secs(60));
        ensure!(
            world.store.redrive(&world.scope, &dead, 1, world.now()).await? == 1,
            "the bound was not kept"
        );
        ensure!(
            world.store.redrive(&world.scope, &dead, 10, world.now()).await? == 1,
            "the rest was not sent again"
        );
        let came = world.claim(10).await?;
        ensure!(came.len() == 2, "sent again were 2, {} came", came.len());
        ensure!(came.iter().all(|each| each.attempts == 1 && each.round_start == 1), "the round is {came:?}");
        for each in &came {
            world.succeed(each).await?;
            let attempts = world.store.attempts(&world.scope, each.delivery).await?;
            let numbers: Vec<u32> = attempts.iter().map(|each| each.number).collect();
            ensure!(numbers == [1, 2], "its attempts are {numbers:?}");
        }
        let done = DeliveryFilter::new().state(DeliveryState::Succeeded);
        ensure!(
            world.store.deliveries(&world.scope, &done, &first(10)?).await?.items.len() == queued.len(),
            "not all have succeeded"
        );
        Ok(())
    })
}

/// The log shows what the filter says, newest first, in pages that leave nothing out and show nothing twice.
///
/// # Errors
/// How the store broke the law.
pub fn the_log_shows_what_the_filter_says(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let (one, two) = (world.plain().await?, world.plain().await?);
        let begun = world.now();
        let mut messages = Vec::new();
        for at in 0..30_u32 {
            let kind = if at % 3 == 0 { "deal.won" } else { "deal.lost" };
            let to: &[&crate::Endpoint] = if at % 2 == 0 { &[&one, &two] } else { &[&one] };
            let enqueue = world.message(to, None, kind)?;
            messages.push(enqueue.message.id);
            world.store.enqueue(&world.scope, &[enqueue]).await?;
            world.clock.advance(Duration::from_secs(1));
            if at % 5 == 0 {
                for each in world.claim(2).await? {
                    world.settle(&each, 503, Next::Ended(DeliveryState::Dead, None)).await?;
                }
            }
        }
        let all = world.store.deliveries(&world.scope, &DeliveryFilter::new(), &first(1000)?).await?.items;
        ensure!(all.len() == 45, "45 were queued, {} are in the log", all.len());
        ensure!(all.windows(2).all(|pair| matches!(pair, [a, b] if a.id > b.id)), "the newest is not first");
        let won = "deal.won".parse()?;
        let middle = after(begun, Duration::from_secs(10));
        let filters = [
            DeliveryFilter::new().endpoint(two.id),
            DeliveryFilter::new().state(DeliveryState::Dead),
            DeliveryFilter::new().state(DeliveryState::Queued).endpoint(one.id),
            DeliveryFilter::new().event_type(won),
            DeliveryFilter::new().status(503),
            DeliveryFilter::new().since(middle),
            DeliveryFilter::new().until(middle),
            DeliveryFilter::new().since(middle).until(after(middle, Duration::from_secs(5))).endpoint(one.id),
            messages.get(4).map_or_else(DeliveryFilter::new, |id| DeliveryFilter::new().message(*id)),
            all.get(7).map_or_else(DeliveryFilter::new, |each| DeliveryFilter::new().delivery(each.id)),
        ];
        for filter in filters {
            let expected: Vec<_> = all.iter().filter(|each| filter.shows(each)).cloned().collect();
            let (mut found, mut request) = (Vec::new(), Some(first(4)?));
            while let Some(page) = request {
                let part = world.store.deliveries(&world.scope, &filter, &page).await?;
                found.extend(part.items);
                request = match part.next {
                    Some(next) => Some(first(4)?.after(next)),
                    None => None,
                };
            }
            ensure!(
                !expected.is_empty() && found == expected,
                "{filter:?} shows {} of {}",
                found.len(),
                expected.len()
            );
        }
        Ok(())
    })
}

/// Two claims at the same time have nothing in common.
///
/// # Errors
/// How the store broke the law.
pub fn concurrent_claims_share_nothing(fixture: &impl Fixture) -> Result<(), Violation> {
    let world = fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        for _ in 0..10 {
            let endpoint = world.plain().await?;
            world.queue(&endpoint, 20, None).await?;
        }
        Ok::<_, Violation>(world)
    })?;
    let now = world.clock.now();
    let claim = Claim { now, until: after(now, LEASE), limit: 7 };
    let came: Vec<_> = std::thread::scope(|threads| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let store = fixture.store();
                threads.spawn(move || {
                    fixture.block_on(async {
                        let mut came = Vec::new();
                        for _ in 0..10 {
                            came.extend(store.claim(&claim).await?.into_iter().map(|each| each.delivery));
                        }
                        Ok::<_, Violation>(came)
                    })
                })
            })
            .collect();
        workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let mut all = Vec::new();
    for each in came {
        all.extend(each.map_err(|_| Violation::new("a worker panicked"))??);
    }
    fixture.block_on(async {
        // What two of them wanted at the same time, neither may have got.
        loop {
            let rest = world.claim(50).await?;
            if rest.is_empty() {
                return Ok::<_, Violation>(());
            }
            all.extend(ids(&rest));
        }
    })?;
    let different: BTreeSet<_> = all.iter().collect();
    ensure!(different.len() == all.len(), "{} of {} came twice", all.len() - different.len(), all.len());
    ensure!(all.len() == 100, "each of ten endpoints has ten at the same time; {} came", all.len());
    Ok(())
}

/// Messages are forgotten when they are old and all their deliveries have ended, and not before.
///
/// # Errors
/// How the store broke the law.
pub fn old_messages_are_forgotten(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let endpoint = world.plain().await?;
        world.queue(&endpoint, 2, None).await?;
        if let Some(each) = world.claim(1).await?.first() {
            world.succeed(each).await?;
        }
        world.clock.advance(Duration::from_secs(3600));
        world.queue(&endpoint, 1, None).await?;
        let before = after(world.now(), Duration::from_secs(0));
        ensure!(world.store.purge(before, before, 100).await? == 1, "one message is old and has ended");
        ensure!(world.store.purge(before, before, 100).await? == 0, "it was forgotten twice");
        let left = world.store.deliveries(&world.scope, &DeliveryFilter::new(), &first(10)?).await?.items;
        ensure!(left.len() == 2, "{} deliveries are left of 2", left.len());
        ensure!(world.claim(10).await?.len() == 2, "what had not ended was forgotten");
        Ok(())
    })
}

//! A long life by chance: workers that succeed, fail, are late and vanish.

use std::collections::{BTreeMap, BTreeSet};

use super::{Claimed, DeliveryId, Duration, Fixture, Violation, World, after, ensure, first, settings};
use crate::delivery::{DeliveryFilter, DeliveryState};
use crate::store::DeliveryStore as _;

/// `SplitMix64`.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut next = self.0;
        next = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        next = (next ^ (next >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (next ^ (next >> 31)) % bound.max(1)
    }
}

/// In a life by chance: no two hold the same delivery, a lane comes in order, attempts are numbered without a gap, nothing is lost,
/// and in the end everything has ended.
///
/// # Errors
/// How the store broke the law.
pub fn a_random_life_keeps_every_promise(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let mut world = World::new(fixture.store(), "acme")?;
        world.rules = world.rules.with_open(Duration::from_secs(10), Duration::from_secs(40));
        let mut chance = Chance(42);
        let mut endpoints = Vec::new();
        for at in 0..4_u32 {
            endpoints.push(world.endpoint(settings().with_ordering(at % 2 == 0).with_concurrency(3)).await?);
        }
        let mut queued: BTreeSet<DeliveryId> = BTreeSet::new();
        let mut lanes: BTreeMap<(crate::EndpointId, String), Vec<DeliveryId>> = BTreeMap::new();
        let mut held: Vec<(Claimed, crate::store::Claim)> = Vec::new();
        let mut ended: Vec<DeliveryId> = Vec::new();
        let mut recorded: BTreeMap<DeliveryId, u32> = BTreeMap::new();
        for step in 0..1500_u32 {
            let draining = step >= 400;
            match chance.below(6) {
                0 | 1 if !draining => {
                    let Some(endpoint) = endpoints.get(usize::try_from(chance.below(4)).unwrap_or(0)) else {
                        continue;
                    };
                    let lane = format!("lane-{}", chance.below(3));
                    let count = usize::try_from(chance.below(3)).unwrap_or(0);
                    let new = world.queue(endpoint, count, Some(&lane)).await?;
                    queued.extend(&new);
                    if endpoint.settings.ordered {
                        lanes.entry((endpoint.id, lane)).or_default().extend(new);
                    }
                }
                0..=3 => {
                    let now = world.now();
                    let claim = crate::store::Claim { now, until: after(now, super::LEASE), limit: 4 };
                    for each in world.store.claim(&claim).await? {
                        let rival = held
                            .iter()
                            .any(|(other, lease)| other.delivery == each.delivery && lease.until > now);
                        ensure!(!rival, "{each:?} is held by two");
                        ensure!(
                            each.attempts == recorded.get(&each.delivery).copied().unwrap_or(0),
                            "attempts of {each:?}"
                        );
                        held.push((each, claim));
                    }
                }
                4 if !held.is_empty() => {
                    let at = usize::try_from(chance.below(held.len() as u64)).unwrap_or(0);
                    let (claimed, lease) = held.swap_remove(at);
                    let success = draining || chance.below(3) > 0;
                    let kept = if success {
                        world.succeed(&claimed).await?
                    } else {
                        world.fail(&claimed, Duration::from_secs(chance.below(20))).await?
                    };
                    let newer = held
                        .iter()
                        .any(|(other, _)| other.delivery == claimed.delivery && other.fence > claimed.fence);
                    ensure!(
                        kept || newer || lease.until <= world.now(),
                        "a holder was kept out: {claimed:?}"
                    );
                    ensure!(!(kept && newer), "somebody who was too slow was let in: {claimed:?}");
                    if kept {
                        *recorded.entry(claimed.delivery).or_default() += 1;
                        if success {
                            ended.push(claimed.delivery);
                        }
                    }
                }
                _ => world.clock.advance(Duration::from_secs(chance.below(if draining { 30 } else { 5 }))),
            }
            // Sometimes a worker vanishes with what it holds.
            if !draining && chance.below(40) == 0 {
                held.pop();
            }
        }
        // Whatever is left comes when leases and breakers have ended.
        for _ in 0..500 {
            world.clock.advance(Duration::from_secs(61));
            for each in world.claim(50).await? {
                if world.succeed(&each).await? {
                    *recorded.entry(each.delivery).or_default() += 1;
                    ended.push(each.delivery);
                }
            }
            if ended.len() == queued.len() {
                break;
            }
        }
        let different: BTreeSet<_> = ended.iter().copied().collect();
        ensure!(different.len() == ended.len(), "something ended twice");
        ensure!(different == queued, "{} of {} never ended", queued.len() - different.len(), queued.len());
        for (lane, expected) in &lanes {
            let came: Vec<_> = ended.iter().filter(|id| expected.contains(id)).copied().collect();
            ensure!(came == *expected, "the lane {lane:?} came as {came:?} instead of {expected:?}");
        }
        for (id, count) in recorded {
            let numbers: Vec<u32> =
                world.store.attempts(&world.scope, id).await?.iter().map(|each| each.number).collect();
            ensure!(
                numbers == (1..=count).collect::<Vec<_>>(),
                "the attempts of {id} are {numbers:?}, not 1 to {count}"
            );
        }
        let done = DeliveryFilter::new().state(DeliveryState::Succeeded);
        let log = world.store.deliveries(&world.scope, &done, &first(1000)?).await?.items;
        ensure!(log.len() == queued.len(), "the log has {} of {}", log.len(), queued.len());
        for endpoint in &endpoints {
            let queue = world.store.queue(&world.scope, endpoint.id).await?;
            ensure!(
                queue.as_ref().is_some_and(|queue| queue.open == 0 && queue.next_at.is_none()),
                "a queue is {queue:?}"
            );
        }
        Ok(())
    })
}

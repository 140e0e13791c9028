//! Concurrency: permits that end when they are released, and by themselves after their time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::PermitId;
use crate::reading::Reading;

/// A concurrency limit's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PermitSpec {
    permits: u32,
    ttl: u64,
}

impl PermitSpec {
    pub(crate) fn new(permits: u32, ttl: Duration) -> Self {
        Self { permits, ttl: u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX) }
    }
}

/// The state of a key: who holds how many permits until when, the first to end first, with the sum.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Permits {
    held: VecDeque<Held>,
    used: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    id: PermitId,
    until: u64,
    count: u32,
}

impl Permits {
    pub(crate) fn idle_at(&self) -> u64 {
        self.held.back().map_or(0, |held| held.until)
    }

    fn settle(&mut self, now: u64) {
        while let Some(held) = self.held.front().filter(|held| held.until <= now) {
            self.used -= u64::from(held.count);
            self.held.pop_front();
        }
    }

    pub(crate) fn probe(&mut self, spec: &PermitSpec, now: u64, cost: u32) -> Reading {
        self.settle(now);
        let limit = u64::from(spec.permits);
        let after = self.used.saturating_add(u64::from(cost));
        if after <= limit {
            let reset = self.idle_at().saturating_sub(now).max(spec.ttl);
            return Reading::new(true, spec.permits, limit - after, 0, reset);
        }
        let wait = if cost > spec.permits { Reading::NEVER } else { self.wait_for(after - limit, now) };
        let reset = self.idle_at().saturating_sub(now);
        Reading::new(false, spec.permits, limit.saturating_sub(self.used), wait, reset)
    }

    /// How long until enough has expired, if nobody releases anything before.
    fn wait_for(&self, needed: u64, now: u64) -> u64 {
        let mut freed = 0;
        let enough = self.held.iter().find(|held| {
            freed += u64::from(held.count);
            freed >= needed
        });
        enough.map_or(0, |held| held.until.saturating_sub(now))
    }

    pub(crate) fn take(&mut self, spec: &PermitSpec, now: u64, cost: u32, id: PermitId) {
        let until = now.saturating_add(spec.ttl);
        // At the end, unless the rule's time was shortened or arrivals were swapped.
        let place = self.held.partition_point(|held| held.until <= until);
        self.held.insert(place, Held { id, until, count: cost });
        self.used += u64::from(cost);
    }

    /// Ends a permit; one that has expired or was never given is nothing to end. O(permits held).
    pub(crate) fn release(&mut self, id: PermitId) {
        if let Some(place) = self.held.iter().position(|held| held.id == id)
            && let Some(held) = self.held.remove(place)
        {
            self.used -= u64::from(held.count);
        }
    }
}

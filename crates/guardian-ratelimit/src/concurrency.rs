//! Concurrency: permits that end when they are released, and by themselves after their time.

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

/// The state of a key: who holds how many permits until when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Permits {
    held: Vec<Held>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    id: PermitId,
    until: u64,
    count: u32,
}

impl Permits {
    pub(crate) fn idle_at(&self) -> u64 {
        self.held.iter().map(|held| held.until).max().unwrap_or(0)
    }

    fn settle(&mut self, now: u64) {
        self.held.retain(|held| held.until > now);
    }

    pub(crate) fn probe(&mut self, spec: &PermitSpec, now: u64, cost: u32) -> Reading {
        self.settle(now);
        let used: u64 = self.held.iter().map(|held| u64::from(held.count)).sum();
        let limit = u64::from(spec.permits);
        let after = used.saturating_add(u64::from(cost));
        if after <= limit {
            let reset = self.idle_at().saturating_sub(now).max(spec.ttl);
            return Reading::new(true, spec.permits, limit - after, 0, reset);
        }
        let wait = if cost > spec.permits { Reading::NEVER } else { self.wait_for(after - limit, now) };
        let reset = self.idle_at().saturating_sub(now);
        Reading::new(false, spec.permits, limit.saturating_sub(used), wait, reset)
    }

    /// How long until enough has expired, if nobody releases anything before.
    fn wait_for(&self, needed: u64, now: u64) -> u64 {
        let mut ends: Vec<_> = self.held.iter().map(|held| (held.until, held.count)).collect();
        ends.sort_unstable();
        let mut freed = 0;
        let enough = ends.iter().find(|(_, count)| {
            freed += u64::from(*count);
            freed >= needed
        });
        enough.map_or(0, |(until, _)| until.saturating_sub(now))
    }

    pub(crate) fn take(&mut self, spec: &PermitSpec, now: u64, cost: u32, id: PermitId) {
        self.held.push(Held { id, until: now.saturating_add(spec.ttl), count: cost });
    }

    /// Ends a permit; one that has expired or was never given is nothing to end.
    pub(crate) fn release(&mut self, id: PermitId) {
        self.held.retain(|held| held.id != id);
    }
}

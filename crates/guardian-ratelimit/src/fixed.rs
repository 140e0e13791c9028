//! The fixed window: a count and when it ends.

use crate::Rate;
use crate::reading::Reading;

/// A fixed window's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FixedSpec {
    limit: u32,
    window: u64,
}

/// The state of a key. An end of 0 means no state at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FixedCount {
    end: u64,
    /// The length of the window that was counted in, which tells a changed rule from a late arrival.
    window: u64,
    count: u32,
}

impl FixedSpec {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { limit: rate.count(), window: rate.window_nanos() }
    }

    fn window_end(&self, now: u64) -> u64 {
        (now / self.window).saturating_add(1).saturating_mul(self.window)
    }
}

impl FixedCount {
    pub(crate) fn is_vacant(&self) -> bool {
        self.end == 0
    }

    pub(crate) fn counted(&self) -> u64 {
        u64::from(self.count)
    }

    pub(crate) fn idle_at(&self) -> u64 {
        self.end
    }

    /// The window that `now` belongs to. A late arrival, whose time was read before another's that has begun the next
    /// window, belongs to that one. What was counted under another window's length counts in the present one.
    fn current(&self, spec: &FixedSpec, now: u64) -> Self {
        let (end, window) = (spec.window_end(now), spec.window);
        if self.end <= now {
            Self { end, window, count: 0 }
        } else if self.window == window {
            *self
        } else {
            Self { end, window, count: self.count }
        }
    }

    pub(crate) fn probe(&self, spec: &FixedSpec, now: u64, cost: u32) -> Reading {
        let Self { end, count, .. } = self.current(spec, now);
        let limit = u64::from(spec.limit);
        let after = u64::from(count) + u64::from(cost);
        let reset = end.saturating_sub(now);
        if after <= limit {
            Reading::new(true, spec.limit, limit - after, 0, reset)
        } else {
            let wait = if cost > spec.limit { Reading::NEVER } else { reset };
            Reading::new(false, spec.limit, limit.saturating_sub(u64::from(count)), wait, reset)
        }
    }

    pub(crate) fn take(&mut self, spec: &FixedSpec, now: u64, cost: u32) {
        *self = self.current(spec, now);
        self.count = self.count.saturating_add(cost);
    }

    /// Takes back what was consumed at `at`, if its window still runs.
    pub(crate) fn put_back(&mut self, spec: &FixedSpec, at: u64, now: u64, cost: u32) {
        let still_runs = self.end > now && at >= self.end.saturating_sub(self.window);
        *self = self.current(spec, now);
        if still_runs {
            self.count = self.count.saturating_sub(cost);
        }
    }
}

//! The sliding window: an exact log, or a ring of slices.

use std::collections::VecDeque;

use crate::reading::Reading;
use crate::{Precision, Rate};

/// A sliding window's numbers, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WindowSpec {
    limit: u32,
    keeping: Keeping,
}

/// What the state of a key depends on; a state of other keeping is converted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Keeping {
    window: u64,
    precision: Precision,
    /// The length of a slice; unused by a log.
    slice: u64,
}

impl WindowSpec {
    pub(crate) fn new(rate: Rate, precision: Precision) -> Self {
        let window = rate.window_nanos();
        let slice = match precision {
            Precision::Exact => 0,
            // Whole microseconds, so that every store cuts time at the same places.
            Precision::Strict { slices } | Precision::Lenient { slices } => {
                (window / 1000).div_ceil(u64::from(slices)) * 1000
            }
        };
        Self { limit: rate.count(), keeping: Keeping { window, precision, slice } }
    }

    #[cfg(any(feature = "redis", feature = "sqlite", feature = "postgres"))]
    pub(crate) fn slice_nanos(&self) -> u64 {
        self.keeping.slice
    }
}

impl Keeping {
    /// When what was counted at `stamp` (a log's time, a slice's number) stops counting.
    fn leaves_at(&self, stamp: u64) -> u64 {
        let end = match self.precision {
            Precision::Exact => stamp,
            // Until its last nanosecond is outside the window: what it holds may have come then.
            Precision::Strict { .. } => stamp.saturating_add(1).saturating_mul(self.slice).saturating_sub(1),
            // Until its first nanosecond is outside: from then on what it holds may have left.
            Precision::Lenient { .. } => stamp.saturating_mul(self.slice),
        };
        end.saturating_add(self.window)
    }

    fn stamp(&self, now: u64) -> u64 {
        if matches!(self.precision, Precision::Exact) { now } else { now / self.slice.max(1) }
    }
}

/// The state of a key: what was admitted and still counts, oldest first, with its sum.
///
/// A log has one entry for each moment at which something was admitted, a ring one for each slice; both are
/// the same queue of (stamp, count), only the stamps differ. So a ring is as short as its traffic allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WindowLog {
    keeping: Keeping,
    total: u64,
    entries: VecDeque<(u64, u32)>,
}

impl WindowLog {
    pub(crate) fn new(spec: &WindowSpec) -> Self {
        Self { keeping: spec.keeping, total: 0, entries: VecDeque::new() }
    }

    /// What was counted when it was last looked at.
    pub(crate) fn counted(&self) -> u64 {
        self.total
    }

    /// When the last of it stops counting.
    pub(crate) fn idle_at(&self) -> u64 {
        self.entries.back().map_or(0, |(stamp, _)| self.keeping.leaves_at(*stamp))
    }

    /// Drops what no longer counts, and follows a rule that was changed.
    fn settle(&mut self, spec: &WindowSpec, now: u64) {
        if self.keeping != spec.keeping {
            self.convert(spec.keeping, now);
        }
        while let Some((stamp, count)) = self.entries.front().copied() {
            if self.keeping.leaves_at(stamp) > now {
                break;
            }
            self.total = self.total.saturating_sub(u64::from(count));
            self.entries.pop_front();
        }
    }

    pub(crate) fn probe(&mut self, spec: &WindowSpec, now: u64, cost: u32) -> Reading {
        self.settle(spec, now);
        let limit = u64::from(spec.limit);
        let after = self.total.saturating_add(u64::from(cost));
        if after <= limit {
            let last = self.keeping.leaves_at(self.keeping.stamp(now).max(self.newest()));
            return Reading::new(true, spec.limit, limit - after, 0, last.saturating_sub(now));
        }
        let wait = if cost > spec.limit { Reading::NEVER } else { self.wait_for(after - limit, now) };
        let reset = self.idle_at().saturating_sub(now);
        Reading::new(false, spec.limit, limit.saturating_sub(self.total), wait, reset)
    }

    /// How long until at least `needed` has left.
    fn wait_for(&self, needed: u64, now: u64) -> u64 {
        let mut leaving = 0;
        let enough = self.entries.iter().find(|(_, count)| {
            leaving += u64::from(*count);
            leaving >= needed
        });
        enough.map_or(0, |(stamp, _)| self.keeping.leaves_at(*stamp).saturating_sub(now))
    }

    fn newest(&self) -> u64 {
        self.entries.back().map_or(0, |(stamp, _)| *stamp)
    }

    pub(crate) fn take(&mut self, spec: &WindowSpec, now: u64, cost: u32) {
        self.settle(spec, now);
        // Two threads may arrive with their times swapped; the log stays in order.
        let stamp = self.keeping.stamp(now).max(self.newest());
        self.total = self.total.saturating_add(u64::from(cost));
        match self.entries.back_mut() {
            Some((last, count)) if *last == stamp => *count = count.saturating_add(cost),
            _ => self.entries.push_back((stamp, cost)),
        }
    }

    /// Takes back what was consumed at `at`, as far as it still counts: what has left the window is not taken from
    /// what came later.
    pub(crate) fn put_back(&mut self, spec: &WindowSpec, at: u64, now: u64, cost: u32) {
        self.settle(spec, now);
        let stamp = self.keeping.stamp(at);
        if self.keeping.leaves_at(stamp) <= now {
            return;
        }
        // A late arrival was counted at a later stamp: the first one at or after its own.
        let place = self.entries.partition_point(|(s, _)| *s < stamp);
        if let Some((_, count)) = self.entries.get_mut(place) {
            let back = cost.min(*count);
            *count -= back;
            self.total = self.total.saturating_sub(u64::from(back));
            if *count == 0 {
                self.entries.remove(place);
            }
        }
    }

    /// Re-counts the past under another keeping. Where an entry's time is known only to a slice, it is taken
    /// to be the end of the slice, or its beginning if the new keeping must never deny wrongly.
    fn convert(&mut self, keeping: Keeping, now: u64) {
        let old = std::mem::replace(&mut self.keeping, keeping);
        let lenient = matches!(keeping.precision, Precision::Lenient { .. });
        for (stamp, count) in std::mem::take(&mut self.entries) {
            let time = match old.precision {
                Precision::Exact => stamp,
                _ if lenient => stamp.saturating_mul(old.slice),
                _ => stamp.saturating_add(1).saturating_mul(old.slice).saturating_sub(1).min(now),
            };
            let stamp = keeping.stamp(time);
            match self.entries.back_mut() {
                Some((last, sum)) if *last >= stamp => *sum = sum.saturating_add(count),
                _ => self.entries.push_back((stamp, count)),
            }
        }
    }
}

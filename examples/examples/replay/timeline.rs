//! Requests and denials over time, in bins that grow with the span of the log.

use std::collections::BTreeMap;

use crate::contest::ALGORITHMS;

const SECOND: u64 = 1_000_000_000;

/// Widths of a bin in seconds that people know, each a multiple of the one before.
const WIDTHS: [u64; 14] = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 604_800];

/// The most bins that are kept. A log of several years has fewer weeks.
const MOST: usize = 4096;

#[derive(Debug)]
pub(crate) struct Timeline {
    /// In seconds.
    width: u64,
    bins: BTreeMap<u64, Bin>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bin {
    pub(crate) requests: u64,
    pub(crate) denied: [u64; ALGORITHMS],
}

impl Default for Timeline {
    fn default() -> Self {
        Self { width: 1, bins: BTreeMap::new() }
    }
}

impl Bin {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        for (count, more) in self.denied.iter_mut().zip(other.denied) {
            *count += more;
        }
    }
}

impl Timeline {
    pub(crate) fn add(&mut self, at: u64, denied: [bool; ALGORITHMS]) {
        let denied = denied.map(u64::from);
        let bin = self.bins.entry(at / SECOND / self.width).or_default();
        bin.add(&Bin { requests: 1, denied });
        while self.bins.len() > MOST {
            let wider = WIDTHS.into_iter().find(|width| *width > self.width);
            *self = self.with_width(wider.unwrap_or(self.width * 2));
        }
    }

    /// The bins from the first to the last in at most so many columns: the beginning in seconds since 1970, the width
    /// in seconds, and the bins.
    pub(crate) fn columns(&self, most: u64) -> (u64, u64, Vec<Bin>) {
        let ends = |timeline: &Self| {
            let first = timeline.bins.first_key_value().map_or(0, |(at, _)| *at);
            (first, timeline.bins.last_key_value().map_or(0, |(at, _)| *at))
        };
        let wide = |width: &u64| *width >= self.width;
        let multiples = (1..).map(|weeks| 604_800 * weeks);
        let fitting = WIDTHS.into_iter().chain(multiples).filter(wide).find_map(|width| {
            let timeline = self.with_width(width);
            let (first, last) = ends(&timeline);
            (last - first < most).then_some(timeline)
        });
        let timeline = fitting.unwrap_or_default();
        let (first, last) = ends(&timeline);
        let bins = (first..=last).map(|at| timeline.bins.get(&at).copied().unwrap_or_default());
        (first * timeline.width, timeline.width, bins.collect())
    }

    fn with_width(&self, width: u64) -> Self {
        let mut bins = BTreeMap::<u64, Bin>::new();
        for (at, bin) in &self.bins {
            bins.entry(at * self.width / width).or_default().add(bin);
        }
        Self { width, bins }
    }
}

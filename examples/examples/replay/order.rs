//! Requests in the order of their times, in bounded memory.
//!
//! Servers write a line when the answer is sent and keep several files, so logs are not quite sorted. As many requests
//! as fit are held back and the earliest goes first; one that comes later than that takes its turn at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How many requests are held back.
const HELD: usize = 65_536;

#[derive(Debug, Default)]
pub(crate) struct Ordered {
    heap: BinaryHeap<Reverse<(u64, u64, Box<str>)>>,
    /// Keeps requests of the same second in the order of their lines.
    next_number: u64,
    /// The time of the last one that went.
    reached: u64,
    late: u64,
}

impl Ordered {
    pub(crate) fn push(&mut self, at: u64, subject: &str) {
        self.late += u64::from(at < self.reached);
        let at = at.max(self.reached);
        self.heap.push(Reverse((at, self.next_number, subject.into())));
        self.next_number += 1;
    }

    /// The next request, if no more can be held back.
    pub(crate) fn next_ready(&mut self) -> Option<(u64, Box<str>)> {
        if self.heap.len() > HELD { self.next() } else { None }
    }

    /// The next request.
    pub(crate) fn next(&mut self) -> Option<(u64, Box<str>)> {
        let Reverse((at, _, subject)) = self.heap.pop()?;
        self.reached = at;
        Some((at, subject))
    }

    /// How many came too late to take their turn.
    pub(crate) fn late(&self) -> u64 {
        self.late
    }
}

use std::collections::BTreeMap;

/// Something about the order of a log's sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anomaly {
    /// No event has these sequences.
    Missing { first: u64, end: u64 },
    /// One event too many stands before this sequence.
    Extra { place: u64 },
    /// An event with another sequence stands here.
    Replaced { place: u64 },
    /// Events between these sequences stand in each other's places.
    Moved { first: u64, end: u64 },
}

/// Reads the sequences of a log, which should be 0, 1, 2 and so on, and says what happened where they are not.
///
/// An odd sequence alone does not say whether events are missing before it, or it was put in: the one behind tells. What
/// is missing in one place and too much in another was moved, which is known at the end.
#[derive(Debug, Default)]
pub(super) struct Order {
    expected: u64,
    /// The sequence of an odd event whose meaning the next one tells.
    odd: Option<u64>,
    /// The sequences that stood where they do not belong, with the one that belongs there.
    strays: BTreeMap<u64, u64>,
    gaps: Vec<Gap>,
}

/// Sequences that were not where they belong, and whether something else stands there.
#[derive(Debug, Clone, Copy)]
struct Gap {
    first: u64,
    end: u64,
    filled: bool,
}

/// The most gaps and strays that are told apart. A log with more is beyond being described.
const MOST: usize = 4_096;

impl Order {
    /// The sequence that should come next. An odd event at the very end counts as what it says to be, if that lies ahead.
    pub(super) fn expected(&self) -> u64 {
        self.odd.map_or(self.expected, |odd| self.expected.max(odd.saturating_add(1)))
    }

    /// The next event's sequence.
    pub(super) fn push(&mut self, sequence: u64) {
        let expected = self.expected;
        let Some(odd) = self.odd.take() else {
            if sequence == expected {
                self.expected = expected.saturating_add(1);
            } else {
                self.odd = Some(sequence);
            }
            return;
        };
        if sequence == expected {
            // The log goes on as if the odd one were not there.
            self.stray(odd);
        } else if odd > expected && Some(sequence) == odd.checked_add(1) {
            // It goes on behind the odd one.
            self.gap(odd, false);
        } else if Some(sequence) == expected.checked_add(1) {
            // The odd one stands where another belongs.
            self.stray(odd);
            self.gap(sequence, true);
        } else {
            // One odd event behind another.
            self.settle(odd);
            self.odd = Some(sequence);
            return;
        }
        self.expected = sequence.saturating_add(1);
    }

    /// An odd event about which the next one says nothing.
    fn settle(&mut self, odd: u64) {
        if odd > self.expected {
            self.gap(odd, false);
            self.expected = odd.saturating_add(1);
        } else {
            self.stray(odd);
        }
    }

    fn stray(&mut self, sequence: u64) {
        if self.strays.len() < MOST {
            self.strays.entry(sequence).or_insert(self.expected);
        }
    }

    fn gap(&mut self, end: u64, filled: bool) {
        if self.gaps.len() < MOST {
            self.gaps.push(Gap { first: self.expected, end, filled });
        }
    }

    /// What happened, at the end.
    pub(super) fn finish(&mut self) -> Vec<Anomaly> {
        if let Some(odd) = self.odd.take() {
            self.settle(odd);
        }
        let mut anomalies = Vec::new();
        for Gap { first, end, filled } in std::mem::take(&mut self.gaps) {
            let found: Vec<(u64, u64)> =
                self.strays.range(first..end).map(|(sequence, place)| (*sequence, *place)).collect();
            if filled && found.is_empty() {
                anomalies.push(Anomaly::Replaced { place: first });
                continue;
            }
            let mut at = first;
            for (sequence, place) in found {
                self.strays.remove(&sequence);
                let (low, high) = (place.min(sequence), place.max(sequence));
                anomalies.push(Anomaly::Moved { first: low, end: high.saturating_add(1) });
                missing(at, sequence, &mut anomalies);
                at = sequence.saturating_add(1);
            }
            missing(at, end, &mut anomalies);
        }
        // What should be the last, and stood before.
        while let Some(place) = self.strays.remove(&self.expected) {
            let next = self.expected.saturating_add(1);
            anomalies.push(Anomaly::Moved { first: place, end: next });
            self.expected = next;
        }
        let extra = std::mem::take(&mut self.strays).into_values();
        anomalies.extend(extra.map(|place| Anomaly::Extra { place }));
        anomalies
    }
}

fn missing(first: u64, end: u64, anomalies: &mut Vec<Anomaly>) {
    if first < end {
        anomalies.push(Anomaly::Missing { first, end });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sequences: impl IntoIterator<Item = u64>) -> Vec<Anomaly> {
        let mut order = Order::default();
        sequences.into_iter().for_each(|sequence| order.push(sequence));
        order.finish()
    }

    #[test]
    fn what_happened_is_told_from_the_neighbours() {
        assert_eq!(read(0..9), []);
        assert_eq!(read([0, 1, 4, 5, 6]), [Anomaly::Missing { first: 2, end: 4 }]);
        assert_eq!(read([2, 3]), [Anomaly::Missing { first: 0, end: 2 }]);
        assert_eq!(read([0, 1, 5]), [Anomaly::Missing { first: 2, end: 5 }]);
        assert_eq!(read([0, 1, 1, 2, 3]), [Anomaly::Extra { place: 2 }]);
        assert_eq!(read([0, 1, 99, 2, 3]), [Anomaly::Extra { place: 2 }]);
        assert_eq!(read([0, 1, 2, 2]), [Anomaly::Extra { place: 3 }]);
        assert_eq!(read([0, 1, 0, 3, 4]), [Anomaly::Replaced { place: 2 }, Anomaly::Extra { place: 2 }]);
    }

    #[test]
    fn what_is_missing_here_and_too_much_there_was_moved() {
        assert_eq!(read([0, 2, 1, 3, 4]).first(), Some(&Anomaly::Moved { first: 1, end: 3 }));
        assert_eq!(read([0, 4, 2, 3, 1, 5, 6]).first(), Some(&Anomaly::Moved { first: 1, end: 5 }));
        assert_eq!(read([0, 2, 3, 4, 1, 5, 6]), [Anomaly::Moved { first: 1, end: 6 }]);
        assert_eq!(read([1, 0]).first(), Some(&Anomaly::Moved { first: 0, end: 2 }));
    }

    #[test]
    fn every_odd_order_is_an_anomaly() {
        // All sequences of five over six numbers.
        for code in 0..6_u32.pow(5) {
            let sequences: Vec<u64> = (0..5).map(|place| u64::from(code / 6_u32.pow(place) % 6)).collect();
            let in_order = sequences == [0, 1, 2, 3, 4];
            assert_eq!(read(sequences.clone()).is_empty(), in_order, "{sequences:?}");
        }
    }
}

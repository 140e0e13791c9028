//! Counts of values, as facets need them.

use std::collections::BTreeMap;

use guardian_core::{StoreError, StoreErrorKind};

use super::Facet;
use crate::dimension::Dimension;
use crate::lifecycle::personal::is_blind;

/// Of more values than this there are no facets: so many take some 100 MB.
const MOST_VALUES: usize = 1_000_000;

/// How many events have each value of a dimension; in memory that does not grow with the log.
#[derive(Debug)]
pub(crate) struct Tally {
    counts: BTreeMap<String, u64>,
    top: usize,
    /// Each value is counted once, so that the first ones in their order are the most frequent.
    is_unique: bool,
    is_full: bool,
}

impl Tally {
    /// For the `top` values of this dimension.
    pub(crate) fn new(dimension: Dimension, top: usize) -> Self {
        Self { counts: BTreeMap::new(), top, is_unique: dimension == Dimension::Id, is_full: false }
    }

    /// Counts a value so many times more.
    pub(crate) fn add(&mut self, value: &str, count: u64) {
        // Keyed hashes of sealed values say nothing to anybody.
        if self.is_full || count == 0 || is_blind(value) {
            return;
        }
        if let Some(known) = self.counts.get_mut(value) {
            *known += count;
            return;
        }
        self.counts.insert(value.to_owned(), count);
        if self.is_unique && self.counts.len() > self.top {
            self.counts.pop_last();
        }
        if self.counts.len() > MOST_VALUES {
            (self.is_full, self.counts) = (true, BTreeMap::new());
        }
    }

    /// The values that most events have, and of the same number in their order.
    ///
    /// # Errors
    /// `Unsupported` when there were too many values.
    pub(crate) fn finish(self, backend: &'static str) -> Result<Vec<Facet>, StoreError> {
        if self.is_full {
            return Err(StoreError::new(StoreErrorKind::Unsupported, backend)
                .with_source("there are more than 1,000,000 values to count: narrow the query"));
        }
        let mut facets: Vec<_> =
            self.counts.into_iter().map(|(value, count)| Facet::new(value, count)).collect();
        facets.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        facets.truncate(self.top);
        Ok(facets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_take_no_more_memory_than_are_asked_for() {
        let mut tally = Tally::new(Dimension::Id, 3);
        for id in [5, 1, 4, 2, 3, 0] {
            tally.add(&id.to_string(), 1);
            assert!(tally.counts.len() <= 3);
        }
        let values: Vec<_> = tally.finish("test").unwrap().into_iter().map(|facet| facet.value).collect();
        assert_eq!(values, ["0", "1", "2"]);
    }

    #[test]
    fn too_many_values_are_an_error_and_not_a_wrong_answer() {
        let mut tally = Tally::new(Dimension::Request, 3);
        (0..=MOST_VALUES).for_each(|value| tally.add(&value.to_string(), 1));
        tally.add("late", 9);
        assert_eq!(tally.finish("test").unwrap_err().kind(), StoreErrorKind::Unsupported);
    }
}

use std::time::Duration;

use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

/// Sums of values that lose half of their weight with each half-life, as they stand at the newest value.
///
/// A sum is the sum of `2^-(age / half-life)` times a value, so it does not matter in which order the values came, and two sums
/// become one when both are brought to the same moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Decayed {
    at: Option<Timestamp>,
    /// Weights, weights times values, weights times squares, squares of weights.
    sums: [f64; 4],
}

/// What is left after this many half-lives is nothing beside any new value.
const OLDEST: f64 = 200.0;

pub(super) fn weight(age: chrono::TimeDelta, half_life: Duration) -> f64 {
    let micros = age.num_microseconds().unwrap_or(i64::MAX);
    let seconds = Duration::from_micros(u64::try_from(micros).unwrap_or(0)).as_secs_f64();
    let halvings = seconds / half_life.as_secs_f64().max(1e-6);
    if halvings > OLDEST { 0.0 } else { (-halvings).exp2() }
}

impl Decayed {
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.at
    }

    /// Adds a value, or takes it back with a sign below zero.
    pub(super) fn add(&mut self, at: Timestamp, value: f64, sign: f64, half_life: Duration) {
        let newest = self.at.map_or(at, |newest| newest.max(at));
        self.advance(newest, half_life);
        let weight = weight(newest - at, half_life);
        let added = [weight, weight * value, weight * value * value, weight * weight];
        for (sum, added) in self.sums.iter_mut().zip(added) {
            *sum += sign * added;
        }
    }

    /// Whether the sums may have a value of this time in them.
    pub(super) fn holds(&self, at: Timestamp, half_life: Duration) -> bool {
        let [weights, ..] = self.sums;
        self.at.is_some_and(|newest| newest >= at && weights >= weight(newest - at, half_life) * (1.0 - 1e-9))
    }

    /// Whether nothing is left but the rounding.
    pub(super) fn is_empty(&self) -> bool {
        let [weights, ..] = self.sums;
        weights <= 1e-9
    }

    fn advance(&mut self, to: Timestamp, half_life: Duration) {
        if let Some(at) = self.at.filter(|at| *at < to) {
            let factor = weight(to - at, half_life);
            let factors = [factor, factor, factor, factor * factor];
            for (sum, factor) in self.sums.iter_mut().zip(factors) {
                *sum *= factor;
            }
        }
        self.at = Some(to);
    }

    /// The same sums as if the newest value were not newer than that.
    pub(super) fn rewind(&mut self, to: Timestamp) {
        self.at = self.at.map(|at| at.min(to));
    }

    pub(super) fn merge(&self, half_life: Duration, other: &Self, half_life_of_other: Duration) -> Self {
        let Some(newest) = self.at.max(other.at) else { return *self };
        if other.at.is_none() {
            return *self;
        }
        if self.at.is_none() {
            return *other;
        }
        let (mut one, mut two) = (*self, *other);
        one.advance(newest, half_life);
        two.advance(newest, half_life_of_other);
        for (sum, added) in one.sums.iter_mut().zip(two.sums) {
            *sum += added;
        }
        one
    }

    pub(super) fn mean(&self) -> Option<f64> {
        let [weights, values, ..] = self.sums;
        (weights > 1e-12).then(|| (values / weights).clamp(-1.0, 1.0))
    }

    /// The standard error of the mean.
    pub(super) fn error(&self) -> f64 {
        let [weights, values, squares, square_weights] = self.sums;
        if weights <= 1e-12 {
            return 1.0;
        }
        let mean = values / weights;
        let variance = (squares / weights - mean * mean).max(0.0);
        // One more observation of the whole range, so that a few equal values are not taken for certainty.
        let effective = (weights * weights / square_weights.max(1e-300)).max(1.0);
        ((variance * effective + 0.25) / (effective * effective)).sqrt()
    }
}

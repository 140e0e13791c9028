//! Logistic regression over the n-grams of corrections, starting at what the shipped model says.

use std::collections::HashMap;

use super::{Kept, share};
use crate::readout::softmax;
use crate::tokens::mix;

/// How often each correction is seen.
const EPOCHS: u32 = 30;

/// How strongly weights of n-grams are held at zero.
const RIDGE: f64 = 0.02;

/// How strongly the bias and the slopes are held.
const RIDGE_DENSE: f64 = 0.002;

const RATE: f64 = 0.15;

/// How far a slope of the shipped margin may go from what is shipped.
const SLOPE: f64 = 0.7;

/// A message as the regression sees it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Case {
    /// The shipped model's logarithms of the chances of negative, neutral, positive.
    pub(super) base: [f32; 3],
    pub(super) feelings: [f32; 5],
    pub(super) grams: Vec<u32>,
}

/// What is learned: for each class a bias, a slope of the shipped margin, weights of n-grams.
#[derive(Clone, Debug, Default)]
pub(super) struct Delta {
    polarity: Layer<3>,
    feelings: Layer<5>,
}

#[derive(Clone, Debug)]
struct Layer<const N: usize> {
    bias: [f64; N],
    margin: [f64; N],
    neutrality: [f64; N],
    grams: HashMap<u32, [f64; N], foldhash::fast::FixedState>,
}

impl<const N: usize> Default for Layer<N> {
    fn default() -> Self {
        Self { bias: [0.0; N], margin: [0.0; N], neutrality: [0.0; N], grams: HashMap::default() }
    }
}

impl Case {
    #[expect(clippy::cast_possible_truncation, reason = "24 bits of a logarithm are enough")]
    pub(super) fn new(polarity: [f64; 3], feelings: [f64; 5], grams: Vec<u32>) -> Self {
        let logs = |chance: f64| chance.max(1e-30).ln() as f32;
        Self { base: softmax(polarity).map(logs), feelings: softmax(feelings).map(logs), grams }
    }

    /// Whether it is of the same text.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.grams == other.grams && self.base == other.base
    }

    /// A number of the text: of its n-grams.
    pub(super) fn text(&self) -> u64 {
        self.grams.iter().fold(0, |hash, gram| mix(hash ^ u64::from(*gram)))
    }

    fn margin(&self) -> f64 {
        let [bad, _, good] = self.base.map(f64::from);
        (good - bad) / 2.0
    }

    fn neutrality(&self) -> f64 {
        let [bad, neutral, good] = self.base.map(f64::from);
        neutral - f64::midpoint(bad, good)
    }
}

impl<const N: usize> Layer<N> {
    fn logits(&self, base: [f64; N], case: &Case) -> [f64; N] {
        let mut logits = base;
        let (margin, neutrality) = (case.margin(), case.neutrality());
        let dense = self.bias.iter().zip(&self.margin).zip(&self.neutrality);
        for (logit, ((bias, by_margin), by_neutrality)) in logits.iter_mut().zip(dense) {
            *logit += bias + by_margin * margin + by_neutrality * neutrality;
        }
        let share = share(case.grams.len());
        for gram in &case.grams {
            if let Some(weights) = self.grams.get(gram) {
                for (logit, weight) in logits.iter_mut().zip(weights) {
                    *logit += weight * share;
                }
            }
        }
        logits
    }

    /// Adaptive gradient descent (Duchi et al. 2011), always in the same order.
    fn fit(
        cases: &[(&Case, [f64; N], usize)],
        neutrality_of: impl Fn(usize) -> bool,
        slopes: [(f64, f64); N],
    ) -> Self {
        let mut layer = Self::default();
        if cases.is_empty() {
            return layer;
        }
        let mut squares = Self::default();
        let ridge = RIDGE_DENSE;
        for _ in 0..EPOCHS {
            for (case, base, class) in cases {
                let chances = softmax(layer.logits(*base, case));
                let (margin, neutrality) = (case.margin(), case.neutrality());
                let share = share(case.grams.len());
                for (at, chance) in chances.iter().enumerate() {
                    let error = chance - if at == *class { 1.0 } else { 0.0 };
                    step(&mut layer.bias, &mut squares.bias, at, error, ridge);
                    step(&mut layer.margin, &mut squares.margin, at, error * margin, ridge);
                    if let (Some(slope), Some((least, most))) = (layer.margin.get_mut(at), slopes.get(at)) {
                        *slope = slope.clamp(*least, *most);
                    }
                    if neutrality_of(at) {
                        step(&mut layer.neutrality, &mut squares.neutrality, at, error * neutrality, ridge);
                    }
                }
                for gram in &case.grams {
                    let weights = layer.grams.entry(*gram).or_insert([0.0; N]);
                    let squares = squares.grams.entry(*gram).or_insert([0.0; N]);
                    for (at, chance) in chances.iter().enumerate() {
                        let error = chance - if at == *class { 1.0 } else { 0.0 };
                        step(weights, squares, at, error * share, RIDGE);
                    }
                }
            }
        }
        layer
    }
}

fn step<const N: usize>(weights: &mut [f64; N], squares: &mut [f64; N], at: usize, slope: f64, ridge: f64) {
    if let (Some(weight), Some(square)) = (weights.get_mut(at), squares.get_mut(at)) {
        let slope = slope + ridge * *weight;
        *square += slope * slope;
        *weight -= RATE * slope / (square.sqrt() + 1e-3);
    }
}

/// Learns from corrections.
pub(super) fn fit(kept: &[&Kept]) -> Delta {
    let classes: Vec<(&Case, [f64; 3], usize)> = kept
        .iter()
        .filter_map(|kept| Some((&kept.case, kept.case.base.map(f64::from), usize::from(kept.class?))))
        .collect();
    // The margin of good over bad stays a sum over parts: how neutral a text is moves the chance of neutral alone.
    let polarity = {
        // Words may mean the opposite in a trade, but the shipped opinion as a whole is never turned around.
        Layer::fit(&classes, |class| class == 1, [(-SLOPE, SLOPE); 3])
    };
    let mut delta = Delta { polarity, feelings: Layer::default() };
    let feelings: Vec<(&Case, [f64; 5], usize)> = kept
        .iter()
        .filter_map(|kept| {
            let chances = softmax(delta.polarity(&kept.case));
            Some((&kept.case, delta.moved(&kept.case, chances), usize::from(kept.feeling?)))
        })
        .collect();
    delta.feelings = Layer::fit(&feelings, |_| true, [(-SLOPE, SLOPE); 5]);
    delta
}

impl Delta {
    pub(super) fn is_empty(&self) -> bool {
        self.polarity.grams.is_empty() && self.feelings.grams.is_empty()
    }

    /// The logits of negative, neutral, positive.
    pub(super) fn polarity(&self, case: &Case) -> [f64; 3] {
        self.polarity.logits(case.base.map(f64::from), case)
    }

    /// The chances of the types, for these chances of negative, neutral and positive.
    pub(super) fn feelings(&self, case: &Case, chances: [f64; 3]) -> [f64; 5] {
        softmax(self.feelings.logits(self.moved(case, chances), case))
    }

    /// The logarithms of the shipped chances of types, each moved as far as the chance of its class has moved.
    fn moved(&self, case: &Case, chances: [f64; 3]) -> [f64; 5] {
        let [bad, neutral, good] = case.base.map(f64::from);
        let [now_bad, now_neutral, now_good] = chances.map(|chance| chance.max(1e-9).ln());
        let (bad, neutral, good) = (now_bad - bad, now_neutral - neutral, now_good - good);
        let [satisfied, angry, disappointed, confused, calm] = case.feelings.map(f64::from);
        [satisfied + good, angry + bad, disappointed + bad, confused + neutral, calm + neutral]
    }

    /// What the shipped margin is multiplied with.
    pub(super) fn slope(&self) -> f64 {
        let [bad, _, good] = self.polarity.margin;
        1.0 + (good - bad) / 2.0
    }

    /// What is added to the margin of every text.
    pub(super) fn shift(&self) -> f64 {
        let [bad, _, good] = self.polarity.bias;
        good - bad
    }

    /// What an n-gram adds to the margin, before its share.
    pub(super) fn gram(&self, gram: u32) -> f64 {
        self.polarity.grams.get(&gram).map_or(0.0, |[bad, _, good]| good - bad)
    }
}

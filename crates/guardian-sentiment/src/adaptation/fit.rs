//! Logistic regression over the n-grams of corrections, starting at what the shipped model says.

use super::Kept;
use crate::readout::{log_softmax, softmax};
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
    /// Each n-gram once, in their order, with what it is worth in the text.
    pub(super) grams: Vec<(u32, f32)>,
}

/// What is learned: for each class a bias, a slope of the shipped margin, weights of n-grams.
#[derive(Clone, Debug, Default)]
pub(super) struct Delta {
    polarity: Dense<3>,
    feelings: Dense<5>,
    /// The weights of n-grams, in the order of these.
    grams: Vec<Gram>,
}

/// An n-gram, and what it adds to the classes and to the types: 36 bytes, as there may be many.
#[derive(Clone, Copy, Debug)]
struct Gram {
    hash: u32,
    polarity: [f32; 3],
    feelings: [f32; 5],
}

/// What does not hang on n-grams.
#[derive(Clone, Copy, Debug)]
struct Dense<const N: usize> {
    bias: [f64; N],
    margin: [f64; N],
    neutrality: [f64; N],
}

impl<const N: usize> Default for Dense<N> {
    fn default() -> Self {
        Self { bias: [0.0; N], margin: [0.0; N], neutrality: [0.0; N] }
    }
}

/// What is being learned.
struct Layer<const N: usize> {
    dense: Dense<N>,
    grams: Vec<[f64; N]>,
}

/// A message that is learned from: the place of each n-gram among all, with its worth.
struct Lesson<'c, const N: usize> {
    case: &'c Case,
    grams: &'c [(usize, f64)],
    base: [f64; N],
    class: usize,
}

impl Case {
    #[expect(clippy::cast_possible_truncation, reason = "24 bits of a logarithm are enough")]
    pub(super) fn new(polarity: [f64; 3], feelings: [f64; 5], grams: Vec<(u32, f32)>) -> Self {
        let base = log_softmax(polarity).map(|log| log as f32);
        let feelings = log_softmax(feelings).map(|log| log as f32);
        Self { base, feelings, grams }
    }

    /// Whether it is of the same text.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.grams == other.grams && self.base == other.base
    }

    /// A number of the text: of its n-grams.
    pub(super) fn text(&self) -> u64 {
        self.grams.iter().fold(0, |hash, (gram, _)| mix(hash ^ u64::from(*gram)))
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

impl<const N: usize> Dense<N> {
    /// Adds to the logits of a case what it has no n-gram for.
    fn add(&self, logits: &mut [f64; N], case: &Case) {
        let (margin, neutrality) = (case.margin(), case.neutrality());
        let dense = self.bias.iter().zip(&self.margin).zip(&self.neutrality);
        for (logit, ((bias, by_margin), by_neutrality)) in logits.iter_mut().zip(dense) {
            *logit += bias + by_margin * margin + by_neutrality * neutrality;
        }
    }
}

impl<const N: usize> Layer<N> {
    fn new(grams: usize) -> Self {
        Self { dense: Dense::default(), grams: vec![[0.0; N]; grams] }
    }

    fn logits(&self, lesson: &Lesson<'_, N>) -> [f64; N] {
        let mut logits = lesson.base;
        self.dense.add(&mut logits, lesson.case);
        for (at, worth) in lesson.grams {
            for (logit, weight) in logits.iter_mut().zip(self.grams.get(*at).into_iter().flatten()) {
                *logit += weight * worth;
            }
        }
        logits
    }

    /// Adaptive gradient descent (Duchi et al. 2011), always in the same order.
    fn fit(
        grams: usize,
        lessons: &[Lesson<'_, N>],
        neutrality_of: impl Fn(usize) -> bool,
        slopes: [(f64, f64); N],
    ) -> Self {
        let mut layer = Self::new(grams);
        if lessons.is_empty() {
            return layer;
        }
        let mut squares = Self::new(grams);
        let ridge = RIDGE_DENSE;
        for _ in 0..EPOCHS {
            for lesson in lessons {
                let mut errors = softmax(layer.logits(lesson));
                if let Some(right) = errors.get_mut(lesson.class) {
                    *right -= 1.0;
                }
                let (margin, neutrality) = (lesson.case.margin(), lesson.case.neutrality());
                let (dense, squared) = (&mut layer.dense, &mut squares.dense);
                for (at, error) in errors.iter().enumerate() {
                    step(&mut dense.bias, &mut squared.bias, at, *error, ridge);
                    step(&mut dense.margin, &mut squared.margin, at, error * margin, ridge);
                    if let (Some(slope), Some((least, most))) = (dense.margin.get_mut(at), slopes.get(at)) {
                        *slope = slope.clamp(*least, *most);
                    }
                    if neutrality_of(at) {
                        step(&mut dense.neutrality, &mut squared.neutrality, at, error * neutrality, ridge);
                    }
                }
                for (gram, worth) in lesson.grams {
                    let (weights, squared) = (layer.grams.get_mut(*gram), squares.grams.get_mut(*gram));
                    let (Some(weights), Some(squared)) = (weights, squared) else { continue };
                    for (at, error) in errors.iter().enumerate() {
                        step(weights, squared, at, error * worth, RIDGE);
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
#[expect(clippy::cast_possible_truncation, reason = "24 bits of a weight are enough")]
pub(super) fn fit(kept: &[&Kept]) -> Delta {
    let mut hashes: Vec<u32> = kept.iter().flat_map(|kept| &kept.case.grams).map(|(hash, _)| *hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let places: Vec<Vec<(usize, f64)>> = kept
        .iter()
        .map(|kept| {
            let place =
                |(hash, worth): &(u32, f32)| Some((hashes.binary_search(hash).ok()?, f64::from(*worth)));
            kept.case.grams.iter().filter_map(place).collect()
        })
        .collect();
    let classes: Vec<Lesson<'_, 3>> = kept
        .iter()
        .zip(&places)
        .filter_map(|(kept, grams)| {
            let base = kept.case.base.map(f64::from);
            Some(Lesson { case: &kept.case, grams, base, class: usize::from(kept.class?) })
        })
        .collect();
    // The margin of good over bad stays a sum over parts: how neutral a text is moves the chance of neutral alone.
    // Words may mean the opposite in a trade, but the shipped opinion as a whole is never turned around.
    let polarity = Layer::fit(hashes.len(), &classes, |class| class == 1, [(-SLOPE, SLOPE); 3]);
    let feelings: Vec<Lesson<'_, 5>> = kept
        .iter()
        .zip(&places)
        .filter_map(|(kept, grams)| {
            let case = &kept.case;
            let class = usize::from(kept.feeling?);
            let now = Lesson { case, grams, base: case.base.map(f64::from), class };
            Some(Lesson { case, grams, base: moved(case, log_softmax(polarity.logits(&now))), class })
        })
        .collect();
    let feelings = Layer::fit(hashes.len(), &feelings, |_| true, [(-SLOPE, SLOPE); 5]);
    let weights = polarity.grams.iter().zip(&feelings.grams);
    let gram = |(hash, (polarity, feelings)): (u32, (&[f64; 3], &[f64; 5]))| Gram {
        hash,
        polarity: polarity.map(|weight| weight as f32),
        feelings: feelings.map(|weight| weight as f32),
    };
    let grams = hashes.into_iter().zip(weights).map(gram).collect();
    Delta { polarity: polarity.dense, feelings: feelings.dense, grams }
}

impl Delta {
    pub(super) fn is_empty(&self) -> bool {
        self.grams.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.grams.len()
    }

    fn find(&self, hash: u32) -> Option<&Gram> {
        self.grams.binary_search_by_key(&hash, |gram| gram.hash).ok().and_then(|at| self.grams.get(at))
    }

    /// The logits of negative, neutral, positive.
    pub(super) fn polarity(&self, case: &Case) -> [f64; 3] {
        self.added(case).0
    }

    /// The chances of negative, neutral and positive, and of the types.
    pub(super) fn chances(&self, case: &Case) -> ([f64; 3], [f64; 5]) {
        let (polarity, by_grams) = self.added(case);
        let mut feelings = moved(case, log_softmax(polarity));
        self.feelings.add(&mut feelings, case);
        for (logit, added) in feelings.iter_mut().zip(by_grams) {
            *logit += added;
        }
        (softmax(polarity), softmax(feelings))
    }

    /// The logits of the classes, and what n-grams add to those of types.
    fn added(&self, case: &Case) -> ([f64; 3], [f64; 5]) {
        let (mut polarity, mut feelings) = (case.base.map(f64::from), [0.0; 5]);
        self.polarity.add(&mut polarity, case);
        for (hash, worth) in &case.grams {
            let Some(gram) = self.find(*hash) else { continue };
            let worth = f64::from(*worth);
            for (logit, weight) in polarity.iter_mut().zip(gram.polarity) {
                *logit += f64::from(weight) * worth;
            }
            for (logit, weight) in feelings.iter_mut().zip(gram.feelings) {
                *logit += f64::from(weight) * worth;
            }
        }
        (polarity, feelings)
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

    /// What an n-gram adds to the margin, times its worth.
    pub(super) fn gram(&self, hash: u32) -> f64 {
        self.find(hash).map_or(0.0, |gram| {
            let [bad, _, good] = gram.polarity.map(f64::from);
            good - bad
        })
    }
}

/// The logarithms of the shipped chances of types, each moved as far as the logarithm of its class's chance has moved.
fn moved(case: &Case, [now_bad, now_neutral, now_good]: [f64; 3]) -> [f64; 5] {
    let [bad, neutral, good] = case.base.map(f64::from);
    let (bad, neutral, good) = (now_bad - bad, now_neutral - neutral, now_good - good);
    let [satisfied, angry, disappointed, confused, calm] = case.feelings.map(f64::from);
    [satisfied + good, angry + bad, disappointed + bad, confused + neutral, calm + neutral]
}

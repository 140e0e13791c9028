//! From what the heads and the lists say to chances.

use crate::lexical::{LEXICAL, Values};
use crate::weights::{HEADS, Margins};

/// How many values a readout weighs.
pub(crate) const INPUTS: usize = HEADS + 3 + 2 * LEXICAL + 2;

/// What a readout weighs.
pub(crate) type Inputs = [f64; INPUTS];

/// Bends of other inputs, which only the chance of neutral depends on.
pub(crate) const BENDS: usize = 3;

/// The head that tells reviews of films from the rest.
const FILM: usize = 3;

/// The value of the lists that sums up the others.
const SUM: usize = 4;

/// Weights from inputs to chances.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Readout {
    /// Of negative, neutral, positive; then those of the bends in the chance of neutral.
    pub(crate) polarity: [[f32; INPUTS]; 3],
    pub(crate) bends: [f32; BENDS],
    /// In the order of `Feeling::ALL`.
    pub(crate) feelings: [[f32; INPUTS]; 5],
    pub(crate) feeling_bends: [[f32; BENDS]; 5],
}

/// How much a text is like a film review.
pub(crate) fn gate(margins: &Margins) -> f64 {
    let film = margins.get(FILM).copied().unwrap_or_default();
    1.0 / (1.0 + (-3.0 * film).exp())
}

/// The inputs that a text, or a part of one, adds: a linear function of margins and values for a given gate.
pub(crate) fn inputs(margins: &Margins, lexical: &Values, gate: f64, constant: f64) -> Inputs {
    let mut inputs = [0.0; INPUTS];
    let [valence, review, objective, ..] = margins;
    let gated = [valence * gate, review * gate, objective * gate];
    let gated_lexical = lexical.map(|value| value * gate);
    let constants = [constant, constant * gate];
    let values = margins.iter().chain(&gated).chain(lexical).chain(&gated_lexical).chain(&constants);
    for (input, value) in inputs.iter_mut().zip(values) {
        *input = *value;
    }
    inputs
}

/// What is bent of the inputs.
pub(crate) fn bends(margins: &Margins, lexical: &Values) -> [f64; BENDS] {
    let [valence, review, ..] = margins;
    let sum = lexical.get(SUM).copied().unwrap_or_default();
    [valence.abs(), review.abs(), sum.abs()]
}

pub(crate) fn dot(weights: &[f32], inputs: &[f64]) -> f64 {
    weights.iter().zip(inputs).map(|(weight, input)| f64::from(*weight) * input).sum()
}

/// Chances from logits.
pub(crate) fn softmax<const N: usize>(logits: [f64; N]) -> [f64; N] {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers = logits.map(|logit| (logit - top).exp());
    let sum: f64 = powers.iter().sum();
    powers.map(|power| power / sum)
}

/// The logarithms of chances, from logits: finite where a chance is too small for a number.
pub(crate) fn log_softmax<const N: usize>(logits: [f64; N]) -> [f64; N] {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - top).exp()).sum();
    logits.map(|logit| logit - top - sum.ln())
}

impl Readout {
    /// The logits of negative, neutral and positive.
    pub(crate) fn polarity(&self, inputs: &Inputs, bends: &[f64; BENDS]) -> [f64; 3] {
        let [bad, neutral, good] = &self.polarity;
        [dot(bad, inputs), dot(neutral, inputs) + dot(&self.bends, bends), dot(good, inputs)]
    }

    pub(crate) fn feelings(&self, inputs: &Inputs, bends: &[f64; BENDS]) -> [f64; 5] {
        let mut logits = [0.0; 5];
        for ((logit, weights), bent) in logits.iter_mut().zip(&self.feelings).zip(&self.feeling_bends) {
            *logit = dot(weights, inputs) + dot(bent, bends);
        }
        logits
    }
}

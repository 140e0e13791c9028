//! What the model says of texts that its heads were not trained on, and where to cut its scales.

use super::document::{Sample, Source};
use super::readouts::class_of;
use crate::Feeling;
use crate::core::Bounds;

/// What the ensemble says of a sample.
pub(super) struct Verdict {
    pub(super) chances: [f64; 3],
    pub(super) feelings: [f64; 5],
}

/// A valence from here on is strong.
const STRONG: f64 = 0.75;

/// How often the likeliest class has to be right: from here on the confidence is low, medium, high. The first holds for texts near
/// the cut, the others for all beyond it.
const PRECISIONS: [f64; 3] = [0.5, 0.75, 0.88];

/// Where to cut the scales, and how good the model is.
pub(super) fn judge(samples: &[Sample], verdicts: &[Verdict]) -> (Bounds, Vec<(String, f64)>) {
    let tilts = tilts(samples, verdicts);
    let mut held_out = Vec::new();
    let sources = [Source::Film, Source::Product, Source::Social, Source::News, Source::Phrase];
    for (source, name) in sources.into_iter().zip(["film", "product", "social", "news", "phrase"]) {
        let (mut all, mut right) = (0.0, 0.0);
        for (sample, verdict) in samples.iter().zip(verdicts).filter(|(sample, _)| sample.source == source) {
            let Some(valence) = sample.valence.filter(|valence| *valence != 0.0) else { continue };
            let [bad, _, good] = verdict.chances;
            all += 1.0;
            right += if (good > bad) == (valence > 0.0) { 1.0 } else { 0.0 };
        }
        if all > 0.0 {
            held_out.push((format!("accuracy of two classes, {name}"), right / all));
        }
    }
    held_out.push(("mean F1 of five types".to_owned(), mean_f1(&cases(samples, verdicts), &tilts)));
    // Sources that have all three classes.
    let three: Vec<(f64, bool)> = samples
        .iter()
        .zip(verdicts)
        .filter(|(sample, _)| matches!(sample.source, Source::Film | Source::Social))
        .filter_map(|(sample, verdict)| {
            let class = class_of(sample)?;
            let top = verdict.chances.iter().copied().fold(0.0, f64::max);
            Some((top, verdict.chances.get(class).is_some_and(|chance| *chance >= top)))
        })
        .collect();
    held_out.push(("calibration error of three classes".to_owned(), calibration_error(&three)));
    let bands = bands(&three);
    let [_, _, high] = bands;
    let sure = three.iter().filter(|(top, _)| *top >= f64::from(high)).count();
    held_out.push(("share of high confidence".to_owned(), share(sure, three.len())));
    (Bounds { very: very(samples, verdicts), bands, tilts }, held_out)
}

fn share(part: usize, whole: usize) -> f64 {
    let float = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    float(part) / float(whole).max(1.0)
}

/// The mean distance between the chance of the likeliest class and how often it is right, over ten ranges of the chance.
fn calibration_error(cases: &[(f64, bool)]) -> f64 {
    let mut error = 0.0;
    for bin in 0..10_u32 {
        let (from, to) = (f64::from(bin) / 10.0, f64::from(bin + 1) / 10.0);
        let within = cases.iter().filter(|(top, _)| *top > from && *top <= to);
        let (chances, right) = within.fold((0.0, 0.0), |(chances, right), (top, is)| {
            (chances + top, right + if *is { 1.0 } else { 0.0 })
        });
        error += (chances - right).abs();
    }
    error / f64::from(u32::try_from(cases.len()).unwrap_or(u32::MAX)).max(1.0)
}

#[expect(clippy::cast_possible_truncation, reason = "hundredths")]
fn bands(cases: &[(f64, bool)]) -> [f32; 3] {
    let right = |from: f64, to: f64| {
        let within: Vec<bool> =
            cases.iter().filter(|(top, _)| *top >= from && *top < to).map(|(_, right)| *right).collect();
        (within.len() >= 20).then(|| share(within.iter().filter(|right| **right).count(), within.len()))
    };
    let steps = || (34..=99).map(|step| f64::from(step) / 100.0);
    let [low, medium, high] = PRECISIONS;
    let near = steps().find(|at| right(*at, at + 0.04).is_some_and(|right| right >= low)).unwrap_or(0.5);
    let beyond = |precision: f64, least: f64| {
        steps()
            .filter(|at| *at >= least)
            .find(|at| right(*at, 2.0).is_some_and(|right| right >= precision))
            .unwrap_or(0.99)
    };
    let medium = beyond(medium, near);
    [near as f32, medium as f32, beyond(high, medium) as f32]
}

/// The scores that best tell strong from weak, on each side: where as many strong ones are taken for weak as weak ones for strong,
/// in parts of each.
#[expect(clippy::cast_possible_truncation, reason = "hundredths")]
fn very(samples: &[Sample], verdicts: &[Verdict]) -> [f32; 2] {
    let cut = |side: f64| {
        let cases: Vec<(f64, bool)> = samples
            .iter()
            .zip(verdicts)
            .filter(|(sample, _)| sample.source == Source::Film)
            .filter_map(|(sample, verdict)| {
                let valence = sample.valence? * side;
                let [bad, neutral, good] = verdict.chances;
                let score = (good - bad) * side;
                (valence > 0.0 && score > 0.0 && neutral < good.max(bad))
                    .then_some((score, valence >= STRONG))
            })
            .collect();
        let strong = cases.iter().filter(|(_, strong)| *strong).count();
        let gain = |cut: f64| {
            let caught = cases.iter().filter(|(score, strong)| *strong && *score >= cut).count();
            let passed = cases.iter().filter(|(score, strong)| !*strong && *score < cut).count();
            share(caught, strong) + share(passed, cases.len() - strong)
        };
        let mut best = (0.0, 0.8);
        for step in 40..=98 {
            let at = f64::from(step) / 100.0;
            let found = gain(at);
            if strong > 0 && found > best.0 {
                best = (found, at);
            }
        }
        best.1
    };
    [-cut(-1.0) as f32, cut(1.0) as f32]
}

fn cases(samples: &[Sample], verdicts: &[Verdict]) -> Vec<(usize, [f64; 5])> {
    samples
        .iter()
        .zip(verdicts)
        .filter_map(|(sample, verdict)| {
            let class = Feeling::ALL.iter().position(|feeling| Some(*feeling) == sample.feeling)?;
            Some((class, verdict.feelings.map(|chance| chance.max(1e-12).ln())))
        })
        .collect()
}

/// How far to prefer each type so that rare ones are found: the factors with the best mean F1, found one at a time.
fn tilts(samples: &[Sample], verdicts: &[Verdict]) -> [f32; 5] {
    let cases = cases(samples, verdicts);
    let mut tilts = [0.0_f32; 5];
    let mut best = mean_f1(&cases, &tilts);
    for step in [0.4_f32, 0.2, 0.1, 0.05] {
        for _ in 0..4 {
            for class in 0..5 {
                for sign in [step, -step] {
                    let mut tried = tilts;
                    if let Some(tilt) = tried.get_mut(class) {
                        *tilt += sign;
                    }
                    let found = mean_f1(&cases, &tried);
                    if found > best {
                        (best, tilts) = (found, tried);
                    }
                }
            }
        }
    }
    tilts
}

fn mean_f1(cases: &[(usize, [f64; 5])], tilts: &[f32; 5]) -> f64 {
    let (mut right, mut said, mut is) = ([0.0; 5], [0.0; 5], [0.0; 5]);
    for (class, logits) in cases {
        let mut top = (0, f64::NEG_INFINITY);
        for (at, (logit, tilt)) in logits.iter().zip(tilts).enumerate() {
            let value = logit + f64::from(*tilt);
            if value > top.1 {
                top = (at, value);
            }
        }
        let count = |list: &mut [f64; 5], at: usize| {
            if let Some(count) = list.get_mut(at) {
                *count += 1.0;
            }
        };
        count(&mut said, top.0);
        count(&mut is, *class);
        if top.0 == *class {
            count(&mut right, *class);
        }
    }
    right
        .iter()
        .zip(said)
        .zip(is)
        .map(|((right, said), is)| if said + is > 0.0 { 2.0 * right / (said + is) } else { 0.0 })
        .sum::<f64>()
        / 5.0
}

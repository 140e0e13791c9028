use std::sync::Arc;

use super::document::{Document, Sample, Source, frequencies};
use super::logistic::{self, Example};
use super::svm::{self, Head, Lesson};
use crate::core::{Bounds, Core};
use crate::lexical::LEXICAL;
use crate::readout::{BENDS, INPUTS, Readout, bends, gate, inputs, softmax};
use crate::weights::{HEADS, Margins, Weights};
use crate::{Feeling, Linear};

/// How a model is trained.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// Rows of the table; each takes eight bytes of the model file.
    pub rows: usize,
    /// How often each text is seen.
    pub epochs: usize,
    /// How many parts the texts are cut into to learn how far to trust the heads.
    pub folds: u64,
    /// What a mistake costs, for each head.
    pub costs: [f32; 8],
    /// How far counts of classes weigh on n-grams (naive Bayes), from 0 to 1.
    pub bayes: [f32; 8],
    /// How much each source counts in the readout.
    pub shares: [f64; 5],
    /// Free numbers for experiments.
    pub knobs: [f64; 8],
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rows: 240_000,
            epochs: 12,
            folds: 4,
            costs: [0.5, 0.5, 0.5, 1.0, 0.3, 0.3, 0.3, 0.3],
            bayes: [0.0; 8],
            shares: [1.0, 1.0, 0.3, 1.0, 0.5],
            knobs: [1.0; 8],
        }
    }
}

/// A trained model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trained {
    /// The model.
    pub model: Linear,
    /// What the ensemble says of each sample, with heads that were not trained on it: chances of negative, neutral,
    /// positive, and of the types.
    pub held_out: Vec<([f64; 3], [f64; 5])>,
}

impl Trained {
    /// How far each type is preferred.
    #[must_use]
    pub fn tilts(&self) -> [f32; 5] {
        self.model.core.bounds.tilts
    }
}

/// What is done, of how much.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Trains a model. The same samples in the same order with the same options give the same bytes.
pub fn train(samples: &[Sample], options: &Options, progress: Progress<'_>) -> Trained {
    let documents: Vec<Document> = samples.iter().map(|sample| Document::of(sample, options.rows)).collect();
    let all = (options.folds + 1) * HEADS as u64;
    let mut done = 0;
    let mut margins: Vec<Margins> = vec![[0.0; HEADS]; documents.len()];
    for fold in 0..options.folds {
        for head in 0..HEADS {
            let lessons = lessons(samples, head, options);
            let seen: Vec<Lesson> = lessons
                .into_iter()
                .filter(|lesson| documents.get(lesson.document).is_some_and(|document| document.fold % options.folds != fold))
                .collect();
            let trained = head_of(&documents, &seen, head, options);
            for (document, margins) in documents.iter().zip(&mut margins) {
                if document.fold % options.folds == fold {
                    if let Some(margin) = margins.get_mut(head) {
                        *margin = f64::from(trained.margin(document));
                    }
                }
            }
            done += 1;
            progress(done, all);
        }
    }
    let mut heads = Vec::new();
    for head in 0..HEADS {
        heads.push(head_of(&documents, &lessons(samples, head, options), head, options));
        done += 1;
        progress(done, all);
    }
    let weights = quantise(&heads, options.rows, &frequencies(&documents, options.rows));
    let linear = readout(samples, &documents, &margins, options, false);
    let ensemble = readout(samples, &documents, &margins, options, true);
    let held_out: Vec<([f64; 3], [f64; 5])> = documents
        .iter()
        .zip(&margins)
        .map(|(document, margins)| {
            let inputs = inputs(margins, &document.lexical, gate(margins), 1.0);
            let bends = bends(margins, &document.lexical);
            (softmax(ensemble.polarity(&inputs, &bends)), softmax(ensemble.feelings(&inputs, &bends)))
        })
        .collect();
    let tilts = tilts(samples, &held_out);
    let bounds = Bounds { very: [-0.8, 0.8], bands: [0.45, 0.6, 0.8], tilts };
    let core = Core { weights, linear, ensemble, bounds, manifest: String::new(), checksum: 0 };
    Trained { model: Linear { core: Arc::new(core) }, held_out }
}

/// How far to prefer each type so that rare ones are found: the factors with the best mean F1, found one at a time.
fn tilts(samples: &[Sample], held_out: &[([f64; 3], [f64; 5])]) -> [f32; 5] {
    let cases: Vec<(usize, [f64; 5])> = samples
        .iter()
        .zip(held_out)
        .filter_map(|(sample, (_, chances))| {
            let class = Feeling::ALL.iter().position(|feeling| Some(*feeling) == sample.feeling)?;
            Some((class, chances.map(|chance| chance.max(1e-12).ln())))
        })
        .collect();
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
        let mut count = |list: &mut [f64; 5], at: usize| {
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
    right.iter().zip(said).zip(is).map(|((right, said), is)| if said + is > 0.0 { 2.0 * right / (said + is) } else { 0.0 }).sum::<f64>() / 5.0
}

fn head_of(documents: &[Document], lessons: &[Lesson], head: usize, options: &Options) -> Head {
    let bayes = options.bayes.get(head).copied().unwrap_or_default();
    let gains = (bayes > 0.0).then(|| gains(documents, lessons, options.rows, bayes));
    svm::train(documents, lessons, options.rows, gains.as_deref(), options.epochs)
}

/// The log ratio of how frequent each row is in both classes (Wang and Manning 2012), mixed with 1.
fn gains(documents: &[Document], lessons: &[Lesson], rows: usize, share: f32) -> Vec<f32> {
    let mut counts = vec![[1.0_f32; 2]; rows];
    let mut totals = [0.0_f32; 2];
    for lesson in lessons {
        let class = usize::from(lesson.target > 0.0);
        let Some(document) = documents.get(lesson.document) else { continue };
        for row in &document.rows {
            if let Some(count) = counts.get_mut(*row as usize).and_then(|counts| counts.get_mut(class)) {
                *count += 1.0;
            }
        }
        if let Some(total) = totals.get_mut(class) {
            *total += f32::from(u16::try_from(document.rows.len()).unwrap_or(u16::MAX));
        }
    }
    let [bad_total, good_total] = totals;
    let log = ((good_total + 1.0) / (bad_total + 1.0)).ln();
    counts.iter().map(|[bad, good]| (1.0 - share) + share * ((good / bad).ln() - log).abs()).collect()
}

fn lessons(samples: &[Sample], head: usize, options: &Options) -> Vec<Lesson> {
    let cost = options.costs.get(head).copied().unwrap_or(1.0);
    let [film_elsewhere, neutral_news, ambiguous, product_in_review, phrase_share, ..] = options.knobs;
    let mut lessons = Vec::new();
    for (document, sample) in samples.iter().enumerate() {
        let polar = sample.valence.filter(|valence| *valence != 0.0);
        let sign = |good: bool| if good { 1.0 } else { -1.0 };
        let (target, share) = match head {
            0 => {
                let Some(valence) = polar else { continue };
                let share = match sample.source {
                    Source::Film => film_elsewhere,
                    Source::Phrase => phrase_share,
                    _ => 1.0,
                };
                (sign(valence > 0.0), share)
            }
            1 => {
                let Some(valence) = polar else { continue };
                let share = match sample.source {
                    Source::Film => 1.0,
                    Source::Product => product_in_review,
                    Source::Phrase => phrase_share * 0.5,
                    _ => continue,
                };
                (sign(valence > 0.0), share)
            }
            2 => {
                let Some(valence) = sample.valence else { continue };
                let share = match sample.source {
                    Source::News => neutral_news,
                    Source::Phrase => 0.2,
                    _ => 1.0,
                };
                (sign(valence == 0.0), share)
            }
            3 => (sign(sample.source == Source::Film), if sample.source == Source::Phrase { 0.3 } else { 1.0 }),
            _ => {
                let Some(feeling) = sample.feeling else { continue };
                let wanted = match head {
                    4 => Feeling::Satisfied,
                    5 => Feeling::Angry,
                    6 => Feeling::Disappointed,
                    _ => Feeling::Confused,
                };
                let share = if head > 4 && feeling == wanted { ambiguous } else { 1.0 };
                (sign(feeling == wanted), share)
            }
        };
        #[expect(clippy::cast_possible_truncation, reason = "a cost needs no more than 24 bits")]
        let cost = cost * (share * sample.weight) as f32;
        lessons.push(Lesson { document, target, cost });
    }
    lessons
}

#[expect(clippy::cast_possible_truncation, reason = "the values are small and rounded")]
fn quantise(heads: &[Head], rows: usize, counts: &[u32]) -> Weights {
    let mut weights = Weights { rows: vec![0; rows], steps: [1.0; HEADS], biases: [0.0; HEADS] };
    for (at, head) in heads.iter().enumerate() {
        let top = head.weights.iter().fold(0.0_f32, |top, weight| top.max(weight.abs()));
        // Few weights are far out. Cutting them off leaves finer steps for the others: what errs least, wins.
        let mut best = (f64::INFINITY, 1.0_f32);
        for cut in [1.0_f32, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2] {
            let step = (top * cut / 127.0).max(1e-9);
            let errors = head.weights.iter().zip(counts).map(|(weight, count)| {
                let error = f64::from((weight / step).round().clamp(-127.0, 127.0) * step - weight);
                error * error * f64::from(*count)
            });
            let error = errors.sum();
            if error < best.0 {
                best = (error, step);
            }
        }
        let step = best.1;
        if let (Some(slot), Some(bias)) = (weights.steps.get_mut(at), weights.biases.get_mut(at)) {
            (*slot, *bias) = (step, head.bias);
        }
        for (row, weight) in weights.rows.iter_mut().zip(&head.weights) {
            let value = (weight / step).round().clamp(-127.0, 127.0) as i16 + 128;
            *row |= u64::from(value.unsigned_abs()) << (8 * at);
        }
    }
    weights
}

fn class_of(sample: &Sample) -> Option<usize> {
    sample.valence.map(|valence| if valence < 0.0 { 0 } else if valence > 0.0 { 2 } else { 1 })
}

fn readout(
    samples: &[Sample],
    documents: &[Document],
    margins: &[Margins],
    options: &Options,
    lists: bool,
) -> Readout {
    let rows: Vec<Vec<f64>> = documents
        .iter()
        .zip(margins)
        .map(|(document, margins)| {
            let lexical = if lists { document.lexical } else { [0.0; LEXICAL] };
            let mut row = inputs(margins, &lexical, gate(margins), 1.0).to_vec();
            row.extend_from_slice(&bends(margins, &lexical));
            row
        })
        .collect();
    // Each class of a source counts alike.
    let mut counts = std::collections::BTreeMap::<(Source, usize), f64>::new();
    for sample in samples {
        if let Some(class) = class_of(sample) {
            *counts.entry((sample.source, class)).or_default() += sample.weight;
        }
    }
    let share = |source: Source| {
        let [film, product, phrase, social, news] = options.shares;
        match source {
            Source::Film => film,
            Source::Product => product,
            Source::Phrase => phrase,
            Source::Social => social,
            Source::News => news,
        }
    };
    let [.., balance, _, _] = options.knobs;
    let examples: Vec<Example<'_>> = samples
        .iter()
        .zip(&rows)
        .filter_map(|(sample, inputs)| {
            let class = class_of(sample)?;
            let count = counts.get(&(sample.source, class)).copied().unwrap_or(1.0);
            let total: f64 = (0..3).filter_map(|class| counts.get(&(sample.source, class))).sum();
            let weight = share(sample.source) * sample.weight * (total / (3.0 * count)).powf(balance);
            Some(Example { inputs, class, weight })
        })
        .collect();
    let may = |class: usize, input: usize| class == 1 || input < INPUTS;
    let polarity = logistic::train(&examples, 3, INPUTS + BENDS, 1e-5, 300, may);
    let feelings: Vec<Example<'_>> = samples
        .iter()
        .zip(&rows)
        .filter_map(|(sample, inputs)| {
            let feeling = sample.feeling?;
            let class = Feeling::ALL.iter().position(|other| *other == feeling)?;
            Some(Example { inputs, class, weight: sample.weight })
        })
        .collect();
    let feelings = logistic::train(&feelings, 5, INPUTS + BENDS, 1e-5, 300, |_, _| true);
    let mut readout = Readout {
        polarity: [[0.0; INPUTS]; 3],
        bends: [0.0; BENDS],
        feelings: [[0.0; INPUTS]; 5],
        feeling_bends: [[0.0; BENDS]; 5],
    };
    for (row, weights) in readout.polarity.iter_mut().zip(&polarity) {
        copy(row, weights);
    }
    if let Some(weights) = polarity.get(1).and_then(|weights| weights.get(INPUTS..)) {
        copy(&mut readout.bends, weights);
    }
    for ((row, bends), weights) in readout.feelings.iter_mut().zip(&mut readout.feeling_bends).zip(&feelings) {
        copy(row, weights);
        copy(bends, weights.get(INPUTS..).unwrap_or_default());
    }
    readout
}

#[expect(clippy::cast_possible_truncation, reason = "the file keeps 24 bits of each weight")]
fn copy(to: &mut [f32], from: &[f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from as f32;
    }
}

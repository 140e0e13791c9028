use super::document::{Document, Sample, Source, frequencies};
use super::readouts::readout;
use super::svm::{self, Head, Lesson};
use super::verdict::{Verdict, judge};
use crate::core::Core;
use crate::readout::{bends, gate, inputs, softmax};
use crate::weights::{HEADS, Margins, Weights};
use crate::{Feeling, Linear, ModelError, file};

/// How a model is trained.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// Rows of the table; each takes eight bytes of the model file.
    pub rows: usize,
    /// How often each text is seen.
    pub epochs: usize,
    /// How many parts the texts are cut into to learn how far to trust the heads; at least two.
    pub folds: u64,
    /// What a mistake costs, for each head.
    pub costs: [f32; 8],
    /// How far counts of classes weigh on n-grams (naive Bayes), from 0 to 1.
    pub bayes: [f32; 8],
    /// How much each source counts in the readout.
    pub shares: [f64; 5],
}

/// How much a text counts for a head that is mainly for texts from elsewhere.
const ELSEWHERE: f64 = 0.5;

impl Default for Options {
    fn default() -> Self {
        Self {
            rows: 240_000,
            epochs: 12,
            folds: 4,
            costs: [0.7, 0.5, 0.5, 1.0, 0.3, 0.3, 0.3, 0.3],
            bayes: [0.6, 0.8, 0.5, 0.0, 0.5, 0.5, 0.5, 0.5],
            shares: [1.0, 1.0, 0.3, 1.0, 0.5],
        }
    }
}

/// A trained model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trained {
    /// The model.
    pub model: Linear,
    /// How well the ensemble reads the samples, each with heads that were not trained on it.
    pub held_out: Vec<(String, f64)>,
    /// The chances of negative, neutral and positive that the trainer itself comes to for each sample, in their order: by weights that
    /// are not rounded to bytes yet, of n-grams that it has listed itself. The model's are to be near them, or it reads otherwise than it
    /// learned. `None` for long texts, which are learned whole and read sentence by sentence.
    pub chances: Vec<Option<[f64; 3]>>,
}

/// Trains a model. On one platform the same samples in the same order with the same options give the same bytes. `progress` is
/// told how many of how many steps are done.
///
/// # Errors
/// What was trained makes no model: the table has no rows or too many, or there are so few samples that a weight has no value.
pub fn train(
    samples: &[Sample],
    options: &Options,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Trained, ModelError> {
    let documents: Vec<Document> = samples.iter().map(|sample| Document::of(sample, options.rows)).collect();
    let folds = options.folds.max(2);
    let all = (folds + 1) * HEADS as u64;
    let mut done = 0;
    let mut margins: Vec<Margins> = vec![[0.0; HEADS]; documents.len()];
    for fold in 0..folds {
        for head in 0..HEADS {
            let lessons = lessons(samples, head, options);
            let seen: Vec<Lesson> = lessons
                .into_iter()
                .filter(|lesson| {
                    documents.get(lesson.document).is_some_and(|document| document.fold % folds != fold)
                })
                .collect();
            let trained = head_of(&documents, &seen, head, options);
            for (document, margins) in documents.iter().zip(&mut margins) {
                if document.fold % folds == fold
                    && let Some(margin) = margins.get_mut(head)
                {
                    *margin = f64::from(trained.margin(document));
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
    let verdicts: Vec<Verdict> = documents
        .iter()
        .zip(&margins)
        .map(|(document, margins)| {
            let inputs = inputs(margins, &document.lexical, gate(margins), 1.0);
            let bends = bends(margins, &document.lexical);
            Verdict {
                chances: softmax(ensemble.polarity(&inputs, &bends)),
                feelings: softmax(ensemble.feelings(&inputs, &bends)),
            }
        })
        .collect();
    let chances = documents
        .iter()
        .map(|document| {
            let mut margins: Margins = [0.0; HEADS];
            for (margin, head) in margins.iter_mut().zip(&heads) {
                *margin = f64::from(head.margin(document));
            }
            let inputs = inputs(&margins, &document.lexical, gate(&margins), 1.0);
            let bends = bends(&margins, &document.lexical);
            document.is_whole.then(|| softmax(ensemble.polarity(&inputs, &bends)))
        })
        .collect();
    let (bounds, held_out) = judge(samples, &verdicts);
    let core = Core { weights, linear, ensemble, bounds, manifest: String::new(), checksum: 0 };
    // Through the file, so that the trained model is in all details the one that is read again.
    let model = Linear::from_bytes(&file::write(&core))?;
    Ok(Trained { model, held_out, chances })
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
    let mut lessons = Vec::new();
    for (document, sample) in samples.iter().enumerate() {
        let polar = sample.valence.filter(|valence| *valence != 0.0);
        let sign = |good: bool| if good { 1.0 } else { -1.0 };
        let (target, share) = match head {
            0 => {
                let Some(valence) = polar else { continue };
                let share = match sample.source {
                    Source::Film => ELSEWHERE,
                    _ => 1.0,
                };
                (sign(valence > 0.0), share)
            }
            1 => {
                let Some(valence) = polar else { continue };
                let share = match sample.source {
                    Source::Film => 1.0,
                    Source::Product | Source::Phrase => ELSEWHERE,
                    _ => continue,
                };
                (sign(valence > 0.0), share)
            }
            2 => {
                let Some(valence) = sample.valence else { continue };
                let share = match sample.source {
                    Source::Phrase => 0.2,
                    _ => 1.0,
                };
                (sign(valence == 0.0), share)
            }
            3 => {
                (sign(sample.source == Source::Film), if sample.source == Source::Phrase { 0.3 } else { 1.0 })
            }
            _ => {
                let Some(feeling) = sample.feeling else { continue };
                let wanted = match head {
                    4 => Feeling::Satisfied,
                    5 => Feeling::Angry,
                    6 => Feeling::Disappointed,
                    _ => Feeling::Confused,
                };
                (sign(feeling == wanted), 1.0)
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

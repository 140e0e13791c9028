//! Shares, correlations and speeds.
#![expect(clippy::disallowed_methods, reason = "speed is measured by the machine's own clock")]

use std::hint::black_box;
use std::time::Instant;

use guardian_sentiment::SentimentModel;

/// How many of how many.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    right: u32,
    all: u32,
}

impl Tally {
    pub(super) fn count(&mut self, right: bool) {
        self.all += 1;
        self.right += u32::from(right);
    }

    pub(super) fn share(&self) -> f64 {
        f64::from(self.right) / f64::from(self.all.max(1))
    }
}

/// The mean of each type's F1; rows are what is, columns what was said.
pub(super) fn mean_f1(counts: &[[u32; 5]; 5]) -> f64 {
    let mut sum = 0.0;
    for (at, row) in counts.iter().enumerate() {
        let right = f64::from(row.get(at).copied().unwrap_or_default());
        let is: u32 = row.iter().sum();
        let said: u32 = counts.iter().filter_map(|row| row.get(at)).sum();
        sum += 2.0 * right / f64::from((is + said).max(1));
    }
    sum / 5.0
}

/// Pearson's.
pub(super) fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let count = f64::from(u32::try_from(pairs.len()).unwrap_or(u32::MAX)).max(1.0);
    let mean_x = pairs.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = pairs.iter().map(|(_, y)| y).sum::<f64>() / count;
    let (mut both, mut x_square, mut y_square) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        both += (x - mean_x) * (y - mean_y);
        x_square += (x - mean_x).powi(2);
        y_square += (y - mean_y).powi(2);
    }
    both / (x_square * y_square).sqrt()
}

/// The mean distance between the chance of the likeliest class and how often it is right, in fifteen ranges of the chance
/// (Guo et al. 2017).
pub(super) fn calibration_error(cases: &[([f64; 3], usize)]) -> f64 {
    let mut bins = [(0.0, 0.0); 15];
    for (chances, class) in cases {
        let top = chances.iter().copied().fold(0.0, f64::max);
        let right = chances.get(*class).is_some_and(|chance| *chance >= top);
        let edges = (1..=15).map(|edge| f64::from(edge) / 15.0);
        if let Some(((chance, rights), _)) = bins.iter_mut().zip(edges).find(|(_, edge)| top <= *edge + 1e-12)
        {
            *chance += top;
            *rights += if right { 1.0 } else { 0.0 };
        }
    }
    let off: f64 = bins.iter().map(|(chance, rights): &(f64, f64)| (chance - rights).abs()).sum();
    off / f64::from(u32::try_from(cases.len()).unwrap_or(u32::MAX)).max(1.0)
}

/// How fast a model is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Speed {
    /// Texts of 114 bytes that are read a second.
    pub reads: f64,
    /// Texts of 114 bytes that are explained a second.
    pub explanations: f64,
    /// Milliseconds in which 99 of 100 single readings of a text of ten kilobytes are done.
    pub long_p99: f64,
}

/// Measures, in the median of five rounds, on real texts of about 114 bytes, and on real texts that are joined to ten kilobytes. Where the system says how
/// long a thread was on a processor, that is taken: other programs do not count.
#[must_use]
pub fn speed(model: &dyn SentimentModel, texts: &[&str]) -> Speed {
    let usual: Vec<String> = (0..2_000).map(|at| joined(texts, at * 7, 114)).collect();
    let long: Vec<String> = (0..300).map(|at| joined(texts, at * 31, 10_000)).collect();
    for text in &usual {
        black_box(model.read(text));
    }
    let (mut reads, mut explanations) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let count = f64::from(u32::try_from(usual.len()).unwrap_or(u32::MAX));
        let time = seconds(|| usual.iter().for_each(|text| drop(black_box(model.read(text)))));
        reads.push(count / time);
        let time = seconds(|| {
            for text in &usual {
                black_box((model.read(text), model.explain(text)));
            }
        });
        explanations.push(count / time);
    }
    // Each single run counts, by the clock: also those in which other programs came between.
    let mut times = Vec::new();
    for _ in 0..9 {
        for text in &long {
            let start = Instant::now();
            drop(black_box(model.read(text)));
            times.push(1e3 * start.elapsed().as_secs_f64());
        }
    }
    Speed { reads: at(reads, 50), explanations: at(explanations, 50), long_p99: at(times, 99) }
}

/// The value that so many of a hundred are below.
fn at(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() * percent / 100).copied().unwrap_or_default()
}

fn joined(texts: &[&str], from: usize, bytes: usize) -> String {
    let mut text = String::new();
    for other in texts.iter().cycle().skip(from % texts.len().max(1)) {
        text.push_str(other);
        if text.len() >= bytes {
            break;
        }
        text.push(' ');
    }
    let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text.truncate(end);
    text
}

/// The processor time of the work in seconds, or its whole time where the system does not say.
fn seconds(work: impl FnOnce()) -> f64 {
    let (before, start) = (on_processor(), Instant::now());
    work();
    let whole = start.elapsed().as_secs_f64();
    match (before, on_processor()) {
        (Some(before), Some(after)) if after > before => (after - before) / 1e9,
        _ => whole,
    }
}

/// Nanoseconds that this thread was on a processor (Linux).
fn on_processor() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok()
}

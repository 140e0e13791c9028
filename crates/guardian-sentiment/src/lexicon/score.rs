use std::collections::BTreeSet;

use super::rules::{Notes, Rule, capitals_differ, valence};
use super::token::Token;
use super::words::Term;

/// The scores of VADER, rounded as the reference implementation rounds them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "these four are what the reference has")]
pub struct VaderScores {
    /// The share of the text that is negative, 0 to 1, to three decimals.
    pub negative: f64,
    /// The share that is neither.
    pub neutral: f64,
    /// The share that is positive.
    pub positive: f64,
    /// All in one, from -1 to 1, to four decimals.
    pub compound: f64,
}

/// Sums over the words of a text, cheap features for other models.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Valences {
    /// The sum of the values above zero.
    pub positive: f64,
    /// The sum of those below zero, as a number below zero.
    pub negative: f64,
    /// How many tokens have a value above zero.
    pub positives: u32,
    /// How many have one below.
    pub negatives: u32,
    /// How many tokens there are.
    pub tokens: u32,
    /// How many tokens are all capitals.
    pub capitals: u32,
    /// How many tokens negate.
    pub negations: u32,
    /// How many exclamation marks there are.
    pub exclamations: u32,
    /// How many question marks there are.
    pub questions: u32,
    /// The lowest value.
    pub lowest: f64,
    /// The highest value.
    pub highest: f64,
    /// The value of the last token that has one.
    pub last: f64,
}

/// The values of all tokens.
pub(super) fn values(tokens: &[Token], notes: &mut impl Notes) -> Vec<f64> {
    let differ = capitals_differ(tokens);
    let mut values: Vec<f64> = (0..tokens.len()).map(|i| valence(tokens, i, differ, notes)).collect();
    let but = tokens.iter().position(|token| token.word.term == Term::But);
    if let Some(but) = but {
        contrast(&mut values, but, notes);
    }
    values
}

/// What stands before `but` counts half, what stands behind it half as much again.
///
/// The reference looks for each value's place by its first occurrence, so that of equal values the first may change twice
/// and another not at all. Zeros stay zeros; the others are looked up in order, which keeps long texts linear but for a logarithm.
fn contrast(values: &mut [f64], but: usize, notes: &mut impl Notes) {
    let mut places: BTreeSet<(u64, usize)> = values
        .iter()
        .enumerate()
        .filter(|(_, value)| **value != 0.0)
        .map(|(place, value)| (value.to_bits(), place))
        .collect();
    for at in 0..values.len() {
        let Some(value) = values.get(at).copied().filter(|value| *value != 0.0) else { continue };
        let bits = value.to_bits();
        let Some((_, first)) = places.range((bits, 0)..=(bits, usize::MAX)).next().copied() else { continue };
        let factor = match first.cmp(&but) {
            std::cmp::Ordering::Less => 0.5,
            std::cmp::Ordering::Equal => continue,
            std::cmp::Ordering::Greater => 1.5,
        };
        let new = value * factor;
        places.remove(&(bits, first));
        if new != 0.0 {
            places.insert((new.to_bits(), first));
        }
        if let Some(slot) = values.get_mut(first) {
            *slot = new;
        }
        notes.note(first, but, Rule::Contrast, new - value);
    }
}

/// The emphasis of up to four exclamation marks, and of two question marks or more.
pub(super) fn emphasis(exclamations: usize, questions: usize) -> f64 {
    let exclamation = [0.0, 1.0, 2.0, 3.0, 4.0].get(exclamations).unwrap_or(&4.0) * 0.292;
    let question = match questions {
        0 | 1 => 0.0,
        2 => 2.0 * 0.18,
        3 => 3.0 * 0.18,
        _ => 0.96,
    };
    exclamation + question
}

/// Between -1 and 1.
pub(super) fn normalized(sum: f64, alpha: f64) -> f64 {
    (sum / (sum * sum + alpha).sqrt()).clamp(-1.0, 1.0)
}

/// The sum of the values with the emphasis in its direction, and what the emphasis added.
pub(super) fn margin(values: &[f64], emphasis: f64) -> (f64, f64) {
    let sum: f64 = values.iter().sum();
    let added = if sum > 0.0 {
        emphasis
    } else if sum < 0.0 {
        -emphasis
    } else {
        0.0
    };
    (sum + added, added)
}

pub(super) fn scores(values: &[f64], emphasis: f64) -> VaderScores {
    if values.is_empty() {
        return VaderScores::default();
    }
    let (margin, _) = margin(values, emphasis);
    let (mut positive, mut negative, mut neutral) = (0.0, 0.0, 0.0);
    for value in values {
        if *value > 0.0 {
            positive += value + 1.0;
        } else if *value < 0.0 {
            negative += value - 1.0;
        } else {
            neutral += 1.0;
        }
    }
    if positive > f64::abs(negative) {
        positive += emphasis;
    } else if positive < f64::abs(negative) {
        negative -= emphasis;
    }
    let total = positive + f64::abs(negative) + neutral;
    VaderScores {
        negative: rounded(f64::abs(negative / total), 3),
        neutral: rounded(f64::abs(neutral / total), 3),
        positive: rounded(f64::abs(positive / total), 3),
        compound: rounded(normalized(margin, 15.0), 4),
    }
}

/// Rounds the exact binary value to some decimals, halves to even.
fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    let scaled = value * scale;
    let fraction = (scaled - scaled.trunc()).abs();
    if (fraction - 0.5).abs() > 1e-6 {
        return scaled.round() / scale;
    }
    // Too near to a half for a product that is itself rounded: written out, every digit is exact.
    let decimals = usize::try_from(decimals).unwrap_or(0);
    format!("{value:.decimals$}").parse().unwrap_or(value)
}

pub(super) fn valences(tokens: &[Token], values: &[f64], exclamations: usize, questions: usize) -> Valences {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mut found = Valences {
        tokens: count(tokens.len()),
        capitals: count(tokens.iter().filter(|token| token.capitals).count()),
        negations: count(
            tokens.iter().filter(|token| token.word.negates || token.word.term == Term::No).count(),
        ),
        exclamations: count(exclamations),
        questions: count(questions),
        ..Valences::default()
    };
    for value in values.iter().copied().filter(|value| *value != 0.0) {
        if value > 0.0 {
            found.positive += value;
            found.positives += 1;
        } else {
            found.negative += value;
            found.negatives += 1;
        }
        found.lowest = found.lowest.min(value);
        found.highest = found.highest.max(value);
        found.last = value;
    }
    found
}

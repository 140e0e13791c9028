use super::document::{Document, Sample, Source};
use super::logistic::{self, Example};
use super::pipeline::Options;
use crate::Feeling;
use crate::lexical::LEXICAL;
use crate::readout::{BENDS, INPUTS, Readout, bends, gate, inputs};
use crate::weights::Margins;

/// 0 for negative, 1 for neutral, 2 for positive.
pub(super) fn class_of(sample: &Sample) -> Option<usize> {
    sample.valence.map(|valence| {
        if valence < 0.0 {
            0
        } else if valence > 0.0 {
            2
        } else {
            1
        }
    })
}

/// Learns how far to trust each head and the lists.
pub(super) fn readout(
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
    let examples: Vec<Example<'_>> = samples
        .iter()
        .zip(&rows)
        .filter_map(|(sample, inputs)| {
            let class = class_of(sample)?;
            let count = counts.get(&(sample.source, class)).copied().unwrap_or(1.0);
            let total: f64 = (0..3).filter_map(|class| counts.get(&(sample.source, class))).sum();
            let weight = share(sample.source) * sample.weight * total / (3.0 * count);
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
    for ((row, bends), weights) in readout.feelings.iter_mut().zip(&mut readout.feeling_bends).zip(&feelings)
    {
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

//! What a trained model is, and how it reads: shared by [`crate::Linear`] and [`crate::Ensemble`].

use crate::lexical::{LEXICAL, Lexical, Values};
use crate::readout::{BENDS, Inputs, Readout, bends, gate, inputs, softmax};
use crate::tokens::{Kind, LINE, Token, Tokens};
use crate::weights::Weights;
use crate::{Confidence, Explanation, Feeling, Part, Polarity, Reading, Sentiment};

/// Texts of more words are read sentence by sentence.
const WHOLE: usize = 60;

/// Sentences are gathered until they have so many words.
const PIECE: usize = 20;

/// The last piece of a long text says more than the others: that is where people conclude.
const LAST: f64 = 1.5;

/// A trained model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Core {
    pub(crate) weights: Weights,
    /// Without the lists of words, and with them.
    pub(crate) linear: Readout,
    pub(crate) ensemble: Readout,
    pub(crate) bounds: Bounds,
    pub(crate) manifest: String,
    /// Of the file.
    pub(crate) checksum: u64,
}

/// Where the scale is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    /// Scores from which on a negative text is very negative and a positive one very positive.
    pub(crate) very: [f32; 2],
    /// The chance of the likeliest class from which on the confidence is low, medium, high.
    pub(crate) bands: [f32; 3],
    /// Added to the logarithm of each type's chance before the largest is taken, so that rare types are found.
    pub(crate) tilts: [f32; 5],
}

/// Which readout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// Only the n-grams.
    Linear,
    /// The n-grams and the lists.
    Ensemble,
}

/// What a text is read from.
pub(crate) struct Features {
    pub(crate) inputs: Inputs,
    pub(crate) bends: [f64; BENDS],
}

impl Core {
    pub(crate) fn readout(&self, view: View) -> &Readout {
        match view {
            View::Linear => &self.linear,
            View::Ensemble => &self.ensemble,
        }
    }

    /// The inputs of a text: those of its pieces by their weights.
    pub(crate) fn features(&self, tokens: &Tokens, view: View) -> Features {
        let list = tokens.list.as_slice();
        let pieces = pieces(list);
        if let [_] = pieces.as_slice() {
            return self.piece(tokens, list, view);
        }
        let mut all = Features { inputs: [0.0; crate::readout::INPUTS], bends: [0.0; BENDS] };
        for (range, weight) in pieces {
            let piece = self.piece(tokens, list.get(range).unwrap_or_default(), view);
            for (sum, input) in all.inputs.iter_mut().zip(piece.inputs) {
                *sum += input * weight;
            }
            for (sum, bend) in all.bends.iter_mut().zip(piece.bends) {
                *sum += bend * weight;
            }
        }
        all
    }

    fn piece(&self, tokens: &Tokens, list: &[Token], view: View) -> Features {
        let margins = self.weights.margins(tokens, list);
        let lexical = match view {
            View::Linear => [0.0; LEXICAL],
            View::Ensemble => Lexical::of(list).values(list),
        };
        Features { inputs: inputs(&margins, &lexical, gate(&margins), 1.0), bends: bends(&margins, &lexical) }
    }

    pub(crate) fn read(&self, text: &str, view: View) -> Reading {
        let tokens = Tokens::of(text);
        if tokens.list.is_empty() {
            return Reading::Empty;
        }
        let features = self.features(&tokens, view);
        let readout = self.readout(view);
        let chances = softmax(readout.polarity(&features.inputs, &features.bends));
        let feelings = softmax(readout.feelings(&features.inputs, &features.bends));
        Reading::Read(self.bounds.sentiment(chances, feelings))
    }

    pub(crate) fn explain(&self, text: &str, view: View) -> Option<Explanation> {
        let tokens = Tokens::of(text);
        let list = tokens.list.as_slice();
        if list.is_empty() {
            return None;
        }
        let readout = self.readout(view);
        let [bad, _, good] = &readout.polarity;
        let difference = |inputs: &Inputs| {
            good.iter()
                .zip(bad)
                .zip(inputs)
                .map(|((good, bad), input)| f64::from(good - bad) * input)
                .sum::<f64>()
        };
        let (mut bias, mut parts) = (0.0, Vec::with_capacity(list.len()));
        for (range, weight) in pieces(list) {
            let piece = list.get(range).unwrap_or_default();
            let margins = self.weights.margins(&tokens, piece);
            let gate = gate(&margins);
            let nothing: Values = [0.0; LEXICAL];
            bias += weight * difference(&inputs(&self.weights.biases.map(f64::from), &nothing, gate, 1.0));
            let lexical = match view {
                View::Linear => None,
                View::Ensemble => Some(Lexical::of(piece)),
            };
            for (at, (token, margins)) in piece.iter().zip(self.weights.parts(&tokens, piece)).enumerate() {
                let mut values = nothing;
                if let Some(lexical) = &lexical {
                    lexical.add(at, token, &mut values);
                }
                let contribution = weight * difference(&inputs(&margins, &values, gate, 0.0));
                parts.push(Part { span: token.span(), contribution });
            }
        }
        let features = self.features(&tokens, view);
        Some(Explanation { bias, parts, margin: difference(&features.inputs) })
    }
}

impl Bounds {
    pub(crate) fn sentiment(&self, chances: [f64; 3], feelings: [f64; 5]) -> Sentiment {
        let [bad, neutral, good] = chances;
        let score = good - bad;
        let [very_bad, very_good] = self.very.map(f64::from);
        let polarity = if neutral >= bad && neutral >= good {
            Polarity::Neutral
        } else if bad > good {
            if score <= very_bad { Polarity::VeryNegative } else { Polarity::Negative }
        } else if score >= very_good {
            Polarity::VeryPositive
        } else {
            Polarity::Positive
        };
        let mut feeling = (Feeling::Neutral, f64::NEG_INFINITY);
        for ((name, chance), tilt) in Feeling::ALL.into_iter().zip(feelings).zip(self.tilts) {
            let value = chance * f64::from(tilt).exp();
            if value > feeling.1 {
                feeling = (name, value);
            }
        }
        let top = bad.max(neutral).max(good);
        let [low, medium, high] = self.bands.map(f64::from);
        let confidence = if top >= high {
            Confidence::High
        } else if top >= medium {
            Confidence::Medium
        } else if top >= low {
            Confidence::Low
        } else {
            Confidence::Abstain
        };
        Sentiment { score, chances, polarity, feeling: feeling.0, feelings, confidence }
    }
}

/// The pieces of a text with their weights, which add up to 1: one piece of a short text, else some sentences each.
pub(crate) fn pieces(list: &[Token]) -> Vec<(std::ops::Range<usize>, f64)> {
    if list.len() <= WHOLE {
        return vec![(0..list.len(), 1.0)];
    }
    let mut pieces: Vec<(std::ops::Range<usize>, f64)> = Vec::new();
    let (mut start, mut words) = (0, 0_u32);
    for (at, token) in list.iter().enumerate() {
        words += u32::from(token.is_word());
        let next_line = list.get(at + 1).is_some_and(|next| next.flags & LINE != 0);
        let ends = token.kind == Kind::End || next_line;
        if (ends && words as usize >= PIECE) || at + 1 - start >= WHOLE {
            pieces.push((start..at + 1, f64::from(words)));
            (start, words) = (at + 1, 0);
        }
    }
    if start < list.len() {
        pieces.push((start..list.len(), f64::from(words)));
    }
    if let Some((_, weight)) = pieces.last_mut() {
        *weight *= LAST;
    }
    let total: f64 = pieces.iter().map(|(_, weight)| weight).sum();
    let share = 1.0 / f64::from(u32::try_from(pieces.len()).unwrap_or(u32::MAX));
    for (_, weight) in &mut pieces {
        *weight = if total > 0.0 { *weight / total } else { share };
    }
    pieces
}

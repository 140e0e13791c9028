use crate::Feeling;
use crate::core::pieces;
use crate::features::{Block, grams};
use crate::lexical::{Lexical, Values};
use crate::tokens::{Hash, Tokens};
use crate::weights::{block_scale, row};

/// Where a text comes from, because people write otherwise about films than to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Source {
    /// Reviews of films.
    Film,
    /// Reviews of goods and places.
    Product,
    /// Phrases cut from news.
    Phrase,
    /// What people write to each other.
    Social,
    /// Sentences of newspapers.
    News,
}

/// A text with what is known of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// The text.
    pub text: String,
    /// Where it comes from.
    pub source: Source,
    /// From -1 for the worst to 1 for the best, 0 for neutral; `None` where that is unknown.
    pub valence: Option<f64>,
    /// The type, where it is known.
    pub feeling: Option<Feeling>,
    /// How much the sample counts.
    pub weight: f64,
}

impl Sample {
    /// A text of which nothing is known.
    #[must_use]
    pub fn new(text: impl Into<String>, source: Source) -> Self {
        Self { text: text.into(), source, valence: None, feeling: None, weight: 1.0 }
    }

    /// Its valence, from -1 to 1.
    #[must_use]
    pub fn with_valence(mut self, valence: f64) -> Self {
        self.valence = Some(valence);
        self
    }

    /// Its type.
    #[must_use]
    pub fn with_feeling(mut self, feeling: Feeling) -> Self {
        self.feeling = Some(feeling);
        self
    }

    /// How much it counts; 1 for most.
    #[must_use]
    pub fn with_weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }
}

/// A sample as the trainer sees it.
pub(super) struct Document {
    /// The rows of its n-grams: those of words, then those of letters.
    pub(super) rows: Vec<u32>,
    /// How many of them are of words.
    pub(super) words: usize,
    /// What each n-gram of a block is worth.
    pub(super) scales: [f32; 2],
    /// By how much n-grams that share a row make it longer than they are apart, squared: 1 where none do.
    pub(super) crowding: f32,
    pub(super) lexical: Values,
    /// Whether it is read in one piece, as the trainer sees it, and not sentence by sentence.
    pub(super) is_whole: bool,
    /// The same text is in the same fold, wherever it comes from.
    pub(super) fold: u64,
}

impl Document {
    pub(super) fn of(sample: &Sample, rows: usize) -> Self {
        let tokens = Tokens::of(&sample.text);
        let (mut words, mut letters) = (Vec::new(), Vec::new());
        grams(&tokens, &tokens.list, |_, block, hash| {
            let row = u32::try_from(row(hash, rows)).unwrap_or_default();
            match block {
                Block::Words => words.push(row),
                Block::Letters => letters.push(row),
            }
        });
        let count = |list: &Vec<u32>| u32::try_from(list.len()).unwrap_or(u32::MAX);
        #[expect(clippy::cast_possible_truncation, reason = "training needs no more than 24 bits")]
        let scales = [
            block_scale(Block::Words, count(&words)) as f32,
            block_scale(Block::Letters, count(&letters)) as f32,
        ];
        let mut fold = Hash::new();
        for token in tokens.list.iter().filter(|token| token.is_word()) {
            fold = token.hash.to_le_bytes().iter().fold(fold, |hash, byte| hash.byte(*byte));
        }
        let count = words.len();
        words.append(&mut letters);
        let lexical = Lexical::of(&tokens.list).values(&tokens.list);
        let is_whole = matches!(pieces(&tokens.list).as_slice(), [_]);
        let crowding = crowding(&words, count, scales);
        Self { rows: words, words: count, scales, crowding, lexical, is_whole, fold: fold.end() }
    }
}

fn crowding(rows: &[u32], words: usize, scales: [f32; 2]) -> f32 {
    let [word_scale, letter_scale] = scales;
    let scale = |at: usize| if at < words { word_scale } else { letter_scale };
    let mut each: Vec<(u32, f32)> = rows.iter().enumerate().map(|(at, row)| (*row, scale(at))).collect();
    each.sort_unstable_by_key(|(row, _)| *row);
    let apart: f32 = each.iter().map(|(_, value)| value * value).sum();
    let together: f32 = each
        .chunk_by(|(one, _), (other, _)| one == other)
        .map(|same| same.iter().map(|(_, value)| value).sum::<f32>().powi(2))
        .sum();
    if apart > 0.0 { together / apart } else { 1.0 }
}

/// How often each row is used.
pub(super) fn frequencies(documents: &[Document], rows: usize) -> Vec<u32> {
    let mut counts = vec![0; rows];
    for row in documents.iter().flat_map(|document| &document.rows) {
        if let Some(count) = counts.get_mut(*row as usize) {
            *count += 1;
        }
    }
    counts
}

//! The table of weights: eight columns of one byte for each row, which the hash of an n-gram finds.

use crate::features::{Block, grams};
use crate::tokens::{Token, Tokens};

/// How many heads read each text: the columns of the table.
pub(crate) const HEADS: usize = 8;

/// What the heads make of a text.
pub(crate) type Margins = [f64; HEADS];

/// The weight of the block of letters beside the block of words, before training.
pub(crate) const LETTERS_SHARE: f64 = 0.8;

/// The weights of all heads.
#[derive(Clone, PartialEq)]
pub(crate) struct Weights {
    /// One row in each number, one weight in each byte, 128 for zero.
    pub(crate) rows: Vec<u64>,
    /// What one step of a weight is worth, for each head.
    pub(crate) steps: [f32; HEADS],
    /// What a head says of nothing.
    pub(crate) biases: [f32; HEADS],
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Weights").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

/// The row of an n-gram among so many.
#[inline]
pub(crate) fn row(hash: u64, rows: usize) -> usize {
    (((hash >> 32) * rows as u64) >> 32) as usize
}

const LOW: u64 = 0x00ff_00ff_00ff_00ff;
const ZERO: i32 = 128;

/// Sums of rows: eight lanes of sixteen bits in two numbers, emptied before they overflow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    even: u64,
    odd: u64,
    held: i32,
    count: u32,
    totals: [i32; HEADS],
}

impl Sums {
    #[inline]
    pub(crate) fn add(&mut self, row: u64) {
        self.even += row & LOW;
        self.odd += (row >> 8) & LOW;
        self.held += 1;
        self.count += 1;
        if self.held == 256 {
            self.empty();
        }
    }

    fn empty(&mut self) {
        let (even, odd) = (self.even.to_le_bytes(), self.odd.to_le_bytes());
        let lanes = even.chunks_exact(2).zip(odd.chunks_exact(2)).flat_map(|(even, odd)| [even, odd]);
        for (total, lane) in self.totals.iter_mut().zip(lanes) {
            if let [low, high] = lane {
                *total += i32::from(u16::from_le_bytes([*low, *high])) - ZERO * self.held;
            }
        }
        (self.even, self.odd, self.held) = (0, 0, 0);
    }

    /// The sums of the weights, and of how many rows.
    pub(crate) fn finish(mut self) -> ([i32; HEADS], u32) {
        self.empty();
        (self.totals, self.count)
    }
}

/// By how much a block of so many n-grams is made shorter.
pub(crate) fn block_scale(block: Block, count: u32) -> f64 {
    let share = match block {
        Block::Words => 1.0,
        Block::Letters => LETTERS_SHARE,
    };
    share / f64::from(count.max(1)).sqrt()
}

impl Weights {
    /// What the heads make of the tokens.
    pub(crate) fn margins(&self, tokens: &Tokens, list: &[Token]) -> Margins {
        let mut sums = [Sums::default(); 2];
        grams(tokens, list, |_, block, hash| self.take(&mut sums, block, hash));
        let scales = scales(&sums);
        let mut margins = self.biases.map(f64::from);
        self.spread(sums, scales, &mut margins);
        margins
    }

    /// What each token adds to what the heads make of the text.
    pub(crate) fn parts(&self, tokens: &Tokens, list: &[Token]) -> Vec<Margins> {
        let mut all = [Sums::default(); 2];
        let mut each = vec![[Sums::default(); 2]; list.len()];
        grams(tokens, list, |at, block, hash| {
            self.take(&mut all, block, hash);
            if let Some(sums) = each.get_mut(at) {
                self.take(sums, block, hash);
            }
        });
        let scales = scales(&all);
        let part = |sums: [Sums; 2]| {
            let mut margins = [0.0; HEADS];
            self.spread(sums, scales, &mut margins);
            margins
        };
        each.into_iter().map(part).collect()
    }

    #[inline]
    fn take(&self, sums: &mut [Sums; 2], block: Block, hash: u64) {
        let [words, letters] = sums;
        let sums = match block {
            Block::Words => words,
            Block::Letters => letters,
        };
        if let Some(row) = self.rows.get(row(hash, self.rows.len())) {
            sums.add(*row);
        }
    }

    fn spread(&self, sums: [Sums; 2], scales: [f64; 2], margins: &mut Margins) {
        for (sums, scale) in sums.into_iter().zip(scales) {
            let (totals, _) = sums.finish();
            for ((margin, total), step) in margins.iter_mut().zip(totals).zip(self.steps) {
                *margin += f64::from(total) * f64::from(step) * scale;
            }
        }
    }
}

fn scales(sums: &[Sums; 2]) -> [f64; 2] {
    let [words, letters] = sums;
    [block_scale(Block::Words, words.count), block_scale(Block::Letters, letters.count)]
}

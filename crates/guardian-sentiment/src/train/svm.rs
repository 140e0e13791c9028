//! A linear support vector machine with squared hinge loss, by dual coordinate descent (Hsieh et al. 2008).

use super::document::Document;

/// What one head learns from one document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lesson {
    pub(super) document: usize,
    /// 1 or -1.
    pub(super) target: f32,
    /// How much a mistake costs.
    pub(super) cost: f32,
}

/// The weights of one head.
pub(super) struct Head {
    pub(super) weights: Vec<f32>,
    pub(super) bias: f32,
}

impl Head {
    pub(super) fn margin(&self, document: &Document) -> f32 {
        let mut sums = [0.0_f32; 2];
        let (words, letters) = document.rows.split_at_checked(document.words).unwrap_or_default();
        for (sum, rows) in sums.iter_mut().zip([words, letters]) {
            *sum = rows.iter().filter_map(|row| self.weights.get(*row as usize)).sum();
        }
        let [words, letters] = sums;
        let [word_scale, letter_scale] = document.scales;
        words * word_scale + letters * letter_scale + self.bias
    }
}

/// A generator of the order in which documents are seen (`SplitMix64`).
pub(super) struct Shuffle(pub(super) u64);

impl Shuffle {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            let other = usize::try_from(self.next() % (end as u64 + 1)).unwrap_or_default();
            list.swap(end, other);
        }
    }
}

/// Trains one head. `gains` multiplies each row while learning, and is part of the weights in the end.
pub(super) fn train(
    documents: &[Document],
    lessons: &[Lesson],
    rows: usize,
    gains: Option<&[f32]>,
    epochs: usize,
) -> Head {
    let mut head = Head { weights: vec![0.0; rows], bias: 0.0 };
    let mut alphas = vec![0.0_f32; lessons.len()];
    let mut order: Vec<usize> = (0..lessons.len()).collect();
    let mut shuffle = Shuffle(0x5e47_1e57);
    let gain = |row: u32| gains.map_or(1.0, |gains| gains.get(row as usize).copied().unwrap_or(1.0));
    // The square of each document's length.
    let squares: Vec<f32> = lessons
        .iter()
        .map(|lesson| {
            let Some(document) = documents.get(lesson.document) else { return 1.0 };
            let [word_scale, letter_scale] = document.scales;
            let square = |(at, row): (usize, &u32)| {
                let scale = if at < document.words { word_scale } else { letter_scale };
                (scale * gain(*row)).powi(2)
            };
            document.rows.iter().enumerate().map(square).sum::<f32>() * document.crowding + 1.0
        })
        .collect();
    for _ in 0..epochs {
        shuffle.shuffle(&mut order);
        for &at in &order {
            let (Some(lesson), Some(square), Some(alpha)) =
                (lessons.get(at), squares.get(at), alphas.get_mut(at))
            else {
                continue;
            };
            let Some(document) = documents.get(lesson.document) else { continue };
            let slack = 0.5 / lesson.cost;
            let gradient = lesson.target * head.margin(document) - 1.0 + *alpha * slack;
            if *alpha <= 0.0 && gradient >= 0.0 {
                continue;
            }
            let new = (*alpha - gradient / (square + slack)).max(0.0);
            let step = (new - *alpha) * lesson.target;
            *alpha = new;
            if step == 0.0 {
                continue;
            }
            let [word_scale, letter_scale] = document.scales;
            let (words, letters) = document.rows.split_at_checked(document.words).unwrap_or_default();
            for (rows, scale) in [(words, word_scale), (letters, letter_scale)] {
                for row in rows {
                    if let Some(weight) = head.weights.get_mut(*row as usize) {
                        let gain = gain(*row);
                        *weight += step * scale * gain * gain;
                    }
                }
            }
            head.bias += step;
        }
    }
    head
}

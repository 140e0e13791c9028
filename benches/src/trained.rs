//! Whether a model file reads as the trainer does.

use guardian_sentiment::train::{Sample, Trained};
use guardian_sentiment::{Ensemble, Linear, Reading, SentimentModel};
use thiserror::Error;

/// A chance of the model may be so far from the trainer's own, which has weights that are not rounded to bytes.
pub const NEAR: f64 = 0.1;

/// On average it may be so far.
pub const NEAR_ON_AVERAGE: f64 = 0.005;

/// Why a model file is not what was trained.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Differs {
    /// The file reads a text otherwise than the model in memory.
    #[error("the file reads or explains otherwise than the model in memory: `{text}`")]
    File {
        /// The text.
        text: String,
    },
    /// The file gives other chances than the trainer.
    #[error("the file's chances are {off:.4} from the trainer's, at most {NEAR}: `{text}`")]
    Trainer {
        /// How far.
        off: f64,
        /// The text.
        text: String,
    },
    /// The file gives other chances on average.
    #[error("the file's chances are {mean:.5} from the trainer's on average, at most {NEAR_ON_AVERAGE}")]
    Average {
        /// How far.
        mean: f64,
    },
    /// No text was short enough to be compared with the trainer.
    #[error("no text could be compared with the trainer")]
    Nothing,
}

/// How far the model and the trainer are apart.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Comparison {
    /// Texts that both models read alike.
    pub texts: usize,
    /// Texts whose chances were held against the trainer's own.
    pub near: usize,
    /// Texts that the trainer learned whole, and that are read sentence by sentence.
    pub long: usize,
    /// The most that a chance was off.
    pub most: f64,
    /// What a chance was off on average.
    pub mean: f64,
}

/// Reads every text with the model in memory and with the one of the file, which may not differ by a bit, and holds the file's chances
/// against the trainer's own.
///
/// # Errors
/// The first text that is read otherwise.
pub fn compare(trained: &Trained, loaded: &Linear, samples: &[Sample]) -> Result<Comparison, Differs> {
    let (memory, file) = (Ensemble::from(trained.model.clone()), Ensemble::from(loaded.clone()));
    let mut found = Comparison::default();
    let mut sum = 0.0;
    for (sample, chances) in samples.iter().zip(&trained.chances) {
        let text = sample.text.as_str();
        let read = file.read(text);
        let is_same = memory.read(text) == read
            && memory.explain(text) == file.explain(text)
            && trained.model.read(text) == loaded.read(text);
        if !is_same {
            return Err(Differs::File { text: text.to_owned() });
        }
        found.texts += 1;
        let Reading::Read(read) = read else { continue };
        let Some(chances) = chances else {
            found.long += 1;
            continue;
        };
        for (trainers, models) in chances.iter().zip(read.chances) {
            let off = (trainers - models).abs();
            // What is no number is not near.
            if off.is_nan() || off > NEAR {
                return Err(Differs::Trainer { off, text: text.to_owned() });
            }
            found.most = found.most.max(off);
            sum += off;
        }
        found.near += 1;
    }
    if found.near == 0 {
        return Err(Differs::Nothing);
    }
    found.mean = sum / f64::from(u32::try_from(3 * found.near).unwrap_or(u32::MAX));
    if found.mean > NEAR_ON_AVERAGE {
        return Err(Differs::Average { mean: found.mean });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use guardian_sentiment::train::{Options, Source, train};

    use super::*;

    fn samples() -> Vec<Sample> {
        let mut all = Vec::new();
        for thing in ["pump", "valve", "gauge", "filter", "hose", "tank", "switch", "lamp"] {
            for (what, valence) in [
                ("works nicely", 0.5),
                ("is a joy", 1.0),
                ("grumbles", -0.5),
                ("broke", -1.0),
                ("is on a shelf", 0.0),
            ] {
                for end in ["", " today", " again", " in the cellar"] {
                    all.push(
                        Sample::new(format!("the {thing} {what}{end}"), Source::Product)
                            .with_valence(valence),
                    );
                }
            }
        }
        all
    }

    #[test]
    fn another_model_or_another_trainer_is_found() {
        let mut options = Options::default();
        options.rows = 5_000;
        let samples = samples();
        let mut trained = train(&samples, &options, &mut |_, _| {}).unwrap();
        let loaded = Linear::from_bytes(&trained.model.to_bytes()).unwrap();
        let found = compare(&trained, &loaded, &samples).unwrap();
        assert_eq!((found.texts, found.near, found.long), (samples.len(), samples.len(), 0));
        assert!(found.mean > 0.0 && found.mean <= found.most);
        assert!(matches!(compare(&trained, &Linear::shipped(), &samples), Err(Differs::File { .. })));

        let rights = trained.chances.clone();
        if let Some(Some([bad, ..])) = trained.chances.first_mut() {
            *bad += 2.0 * NEAR;
        }
        assert!(matches!(compare(&trained, &loaded, &samples), Err(Differs::Trainer { .. })));
        // All a little off is as bad as one far off.
        trained.chances = rights.clone();
        for chance in trained.chances.iter_mut().flatten().flatten() {
            *chance += 10.0 * NEAR_ON_AVERAGE;
        }
        assert!(matches!(compare(&trained, &loaded, &samples), Err(Differs::Average { .. })));
        trained.chances = vec![None; samples.len()];
        assert!(matches!(compare(&trained, &loaded, &samples), Err(Differs::Nothing)));
    }
}

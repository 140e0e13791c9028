use std::sync::{Arc, LazyLock};

use crate::core::{Core, View};
use crate::{Explanation, ModelError, Reading, SentimentModel, file};

/// A linear model over hashed n-grams of words and letters, with weights of one byte.
///
/// It knows nothing but what it was trained on. [`crate::Ensemble`] reads with the same weights and lists of words beside them,
/// and is the better choice where texts are unlike those of the training.
///
/// ```
/// use guardian_sentiment::{Linear, Reading, SentimentModel};
///
/// let Reading::Read(sentiment) = Linear::shipped().read("The food was wonderful.") else { panic!() };
/// assert!(sentiment.score > 0.5);
/// ```
#[derive(Clone, Debug)]
pub struct Linear {
    pub(crate) core: Arc<Core>,
}

static SHIPPED: LazyLock<Arc<Core>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is part of the crate, and a test reads it")]
    let core = file::read(include_bytes!("../data/english.model")).expect("the shipped model is whole");
    Arc::new(core)
});

impl Linear {
    /// The model for English that comes with the crate. The first call takes some milliseconds, later ones nothing.
    #[must_use]
    pub fn shipped() -> Self {
        Self { core: Arc::clone(&SHIPPED) }
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// The bytes are no model, are of another version, or are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        Ok(Self { core: Arc::new(file::read(bytes)?) })
    }

    /// The model as a file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        file::write(&self.core)
    }

    /// The same model with another manifest.
    ///
    /// # Errors
    /// The manifest is longer than 64 KiB.
    pub fn with_manifest(&self, manifest: &str) -> Result<Self, ModelError> {
        let mut core = Core::clone(&self.core);
        manifest.clone_into(&mut core.manifest);
        Self::from_bytes(&file::write(&core))
    }

    /// What the model was trained from and how: a JSON object, in the words of whoever trained it.
    #[must_use]
    pub fn manifest(&self) -> &str {
        &self.core.manifest
    }

    /// Tells models apart: the checksum of the file.
    #[must_use]
    pub fn checksum(&self) -> u64 {
        self.core.checksum
    }

    /// How many rows the table of weights has; each takes eight bytes.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.core.weights.rows.len()
    }
}

impl SentimentModel for Linear {
    fn read(&self, text: &str) -> Reading {
        self.core.read(text, View::Linear)
    }

    fn explain(&self, text: &str) -> Option<Explanation> {
        self.core.explain(text, View::Linear)
    }
}

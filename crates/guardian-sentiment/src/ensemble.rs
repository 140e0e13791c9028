use std::sync::Arc;

use crate::core::{Core, View};
use crate::{Explanation, Linear, Reading, SentimentModel};

/// The linear model together with lists of words and phrases: the model to use unless there is a reason for another.
///
/// ```
/// use guardian_sentiment::{Ensemble, Feeling, Reading, SentimentModel};
///
/// let model = Ensemble::default();
/// let Reading::Read(sentiment) = model.read("Two hours on hold and nobody helped. This is ridiculous!") else { panic!() };
/// assert!(sentiment.score < -0.5);
/// assert_eq!(sentiment.feeling, Feeling::Angry);
/// ```
#[derive(Clone, Debug)]
pub struct Ensemble {
    pub(crate) core: Arc<Core>,
}

impl Ensemble {
    /// The weights that it reads with.
    #[must_use]
    pub fn linear(&self) -> Linear {
        Linear { core: Arc::clone(&self.core) }
    }
}

/// Reads with the model that comes with the crate.
impl Default for Ensemble {
    fn default() -> Self {
        Linear::shipped().into()
    }
}

impl From<Linear> for Ensemble {
    fn from(linear: Linear) -> Self {
        Self { core: linear.core }
    }
}

impl SentimentModel for Ensemble {
    fn read(&self, text: &str) -> Reading {
        self.core.read(text, View::Ensemble)
    }

    fn explain(&self, text: &str) -> Option<Explanation> {
        self.core.explain(text, View::Ensemble)
    }
}

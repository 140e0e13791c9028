use std::sync::Arc;

use crate::core::{Core, View};
use crate::{Explanation, Linear, Reading, SentimentModel};

/// The linear model together with lists of words and phrases: the model to use unless there is a reason for another.
#[derive(Clone, Debug)]
pub struct Ensemble {
    pub(crate) core: Arc<Core>,
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

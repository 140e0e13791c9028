use std::sync::Arc;

use crate::core::{Core, View};
use crate::{Explanation, Reading, SentimentModel};

/// A linear model over hashed n-grams of words and letters, with weights of one byte.
#[derive(Clone, Debug)]
pub struct Linear {
    pub(crate) core: Arc<Core>,
}

impl SentimentModel for Linear {
    fn read(&self, text: &str) -> Reading {
        self.core.read(text, View::Linear)
    }

    fn explain(&self, text: &str) -> Option<Explanation> {
        self.core.explain(text, View::Linear)
    }
}

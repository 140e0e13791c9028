use std::fmt::Debug;

use crate::{Explanation, Reading};

/// Something that reads sentiment from texts.
///
/// A model is a pure function of the text: the same text has the same reading, on any machine.
pub trait SentimentModel: Debug + Send + Sync {
    /// Reads one text: a message as its writer sent it, without quoted replies.
    fn read(&self, text: &str) -> Reading;

    /// Reads the text and says why; `None` where the reading is not [`Reading::Read`], and where the model cannot say.
    fn explain(&self, text: &str) -> Option<Explanation>;
}

//! What must hold of every text.

use guardian_sentiment::{Reading, SentimentModel};

/// The most that the score moves when a text is said several times, and the most that the parts and the bias of an explanation
/// miss its margin.
pub(super) fn worst(model: &dyn SentimentModel, texts: &[String]) -> (f64, f64) {
    let score = |text: &str| match model.read(text) {
        Reading::Read(sentiment) => sentiment.score,
        _ => 0.0,
    };
    let (mut moved, mut off) = (0.0_f64, 0.0_f64);
    for (at, text) in texts.iter().enumerate() {
        let times = [2, 3, 5, 17].get(at % 4).copied().unwrap_or(2);
        let joint = [" ", "\n", "\n\n"].get(at % 3).copied().unwrap_or(" ");
        let repeated = vec![text.as_str(); times].join(joint);
        moved = moved.max((score(text) - score(&repeated)).abs());
        for text in [text, &repeated] {
            if let Some(explanation) = model.explain(text) {
                let sum: f64 = explanation.parts.iter().map(|part| part.contribution).sum();
                off = off.max((explanation.bias + sum - explanation.margin).abs());
            }
        }
    }
    (moved, off)
}

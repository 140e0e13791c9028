//! Reading sentiment from any text: it ends, chances are chances, spans lie in the text, and parts add up to the margin.
#![no_main]

use guardian_sentiment::{Ensemble, Reading, SentimentModel};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let model = Ensemble::default();
    let Reading::Read(sentiment) = model.read(text) else { return };
    assert!((sentiment.chances.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    assert!((sentiment.feelings.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let explanation = model.explain(text).expect("what is read is explained");
    let mut sum = explanation.bias;
    for part in &explanation.parts {
        assert!(text.get(part.span.clone()).is_some_and(|word| !word.is_empty()));
        sum += part.contribution;
    }
    assert!((sum - explanation.margin).abs() < 1e-4);
    let twice = format!("{text} {text}");
    let Reading::Read(again) = model.read(&twice) else { panic!("said twice, it is not read") };
    assert!((again.score - sentiment.score).abs() < 0.02);
});

//! Reading sentiment from any text: it ends, chances are chances, spans lie in the text, and parts add up to the margin.
#![no_main]

use std::sync::OnceLock;

use guardian_sentiment::{Adaptation, Adapted, Ensemble, Polarity, Reading, SentimentModel};
use libfuzzer_sys::fuzz_target;

/// A tenant's own model, which sees the n-grams of the whole text.
fn own() -> &'static Adapted {
    static OWN: OnceLock<Adapted> = OnceLock::new();
    OWN.get_or_init(|| {
        let mut tenant = Adaptation::new(&Ensemble::default());
        tenant.learn("1", "the service was good", Polarity::Negative);
        tenant.learn("2", "waiting for a refund", Polarity::Neutral);
        tenant.model()
    })
}

fuzz_target!(|text: &str| {
    judge(&Ensemble::default(), text);
    judge(own(), text);
});

fn judge(model: &dyn SentimentModel, text: &str) {
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
}

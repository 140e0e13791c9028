//! Mails, the rules of the lexicon, languages and series names from any text: they end, parts are the whole, and effects add up.
#![no_main]

use guardian_sentiment::mail::Mail;
use guardian_sentiment::{Language, Lexicon, Reading, Segment, SentimentModel};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mail = Mail::split(text);
    let mut at = 0;
    for part in mail.parts() {
        assert_eq!(part.span.start, at);
        assert!(text.get(part.span.clone()).is_some_and(|part| !part.is_empty()));
        at = part.span.end;
    }
    assert_eq!(at, text.len());
    assert!(mail.reply().len() <= text.len() && mail.reply_and_forwarded().len() >= mail.reply().len());

    for model in [Lexicon::vader(), Lexicon::improved()] {
        let scores = model.scores(text);
        assert!((-1.0..=1.0).contains(&scores.compound));
        let Some(explanation) = model.explain(text) else {
            assert_eq!(model.read(text), Reading::Empty);
            continue;
        };
        let sum: f64 = explanation.parts.iter().map(|part| part.contribution).sum();
        assert!(
            (sum + explanation.bias - explanation.margin).abs() < 1e-6 * (1.0 + explanation.margin.abs())
        );
        for part in &explanation.parts {
            assert!(text.get(part.span.clone()).is_some_and(|part| !part.is_empty()));
        }
    }
    let _ = Language::of(text);
    if let Ok(segment) = text.parse::<Segment>() {
        assert_eq!(segment.to_string(), text);
    }
});

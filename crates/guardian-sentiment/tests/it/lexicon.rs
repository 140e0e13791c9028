use std::fmt::Write as _;

use guardian_sentiment::{Feeling, Lexicon, Polarity, Reading, Rule, Sentiment, SentimentModel};
use proptest::prelude::*;

fn compound(text: &str) -> f64 {
    Lexicon::improved().scores(text).compound
}

fn read(text: &str) -> Sentiment {
    match Lexicon::improved().read(text) {
        Reading::Read(sentiment) => sentiment,
        other => panic!("`{text}` was not read: {other:?}"),
    }
}

/// The lines of the file were computed by the reference implementation.
#[test]
fn vader_is_equal_to_the_reference() {
    let mut differ = String::new();
    let mut count = 0;
    for line in include_str!("vader.jsonl").lines() {
        let (text, negative, neutral, positive, compound): (String, f64, f64, f64, f64) =
            serde_json::from_str(line).unwrap();
        let scores = Lexicon::vader().scores(&text);
        let ours = [scores.negative, scores.neutral, scores.positive, scores.compound];
        let theirs = [negative, neutral, positive, compound];
        if ours != theirs {
            writeln!(differ, "{text:?}: {ours:?}, not {theirs:?}").unwrap();
        }
        count += 1;
    }
    assert!(differ.is_empty(), "{differ}");
    assert_eq!(count, 598);
}

/// Issues 151, 70, 71, 123 and 155 of vaderSentiment.
#[test]
fn what_users_of_vader_report() {
    let long = "bad good ".repeat(300) + "bad";
    assert!(Lexicon::vader().scores(&long).compound < -0.5, "the reference still diverges");
    assert!(compound(&long).abs() < 0.3, "{}", compound(&long));

    for text in [
        "no problems ever",
        "No complaints",
        "We have had no problems ever. No complaints!",
        "No issues so far",
    ] {
        assert!(compound(text) > 0.4, "{text}: {}", compound(text));
    }
    let worst = compound("Not the worst");
    assert!((0.0..0.4).contains(&worst), "{worst}");
    assert!(compound("No bad smell. Nothing to worry about") > 0.3);
    assert!(compound("Kindly stop") < 0.0);
    assert_eq!(compound("Kindly send me the invoice"), 0.0);
    assert!(compound("Not bad") > 0.3);
    assert!(compound("Can't complain.") > 0.4);
    assert!(compound("can’t complain") > 0.4, "with a typographic apostrophe");
    assert!(Lexicon::vader().scores("thanks for nothing").compound > 0.4);
    assert!(compound("thanks for nothing") < -0.5);
}

#[test]
fn negation_stays_in_its_clause() {
    assert!(compound("not now, great") > 0.4);
    assert!(compound("It was not a great week") < 0.0);
    assert!(compound("I did not call. Good service") > 0.4);
    assert!(compound("never so happy") > compound("happy"));
    assert!(compound("the least helpful answer") < 0.0);
    assert!(compound("at least helpful") > 0.0);
}

#[test]
fn questions_are_no_praise() {
    assert!(compound("Is there a good way to export?") < compound("This is a good way to export."));
    let asked = read("How do I change the owner? I am confused, what does this mean?");
    assert_eq!(asked.feeling, Feeling::Confused);
}

#[test]
fn readings_are_whole() {
    let glad = read("Absolutely love it, fantastic support!");
    assert_eq!((glad.polarity, glad.feeling), (Polarity::VeryPositive, Feeling::Satisfied));
    assert!(glad.score > 0.7);
    let angry = read("This is RIDICULOUS, the worst service ever, I hate it!!!");
    assert_eq!(angry.feeling, Feeling::Angry);
    assert!(angry.polarity < Polarity::Neutral);
    let sad = read("Sadly I was disappointed with the slow answers.");
    assert_eq!(sad.feeling, Feeling::Disappointed);
    assert_eq!(read("The invoice is attached.").feeling, Feeling::Neutral);
    assert_eq!(Lexicon::improved().read(" \n"), Reading::Empty);
    assert_eq!(Lexicon::improved().explain(""), None);
}

#[test]
fn effects_name_their_causes() {
    let text = "🎉 We are not VERY happy";
    let effects = Lexicon::improved().effects(text);
    let named = |rule: Rule| {
        let effect = effects
            .iter()
            .find(|effect| effect.rule == rule && text.get(effect.span.clone()) == Some("happy"))
            .unwrap();
        text.get(effect.cause.clone()).unwrap()
    };
    assert_eq!((named(Rule::Degree), named(Rule::Negation)), ("VERY", "not"));
    let emoji = Lexicon::vader().effects("good 💔");
    // It stands for two words, broken heart.
    assert_eq!(emoji.iter().filter(|effect| effect.span == (5..9)).count(), 2, "{emoji:?}");
}

fn word() -> impl Strategy<Value = String> {
    let words = "good bad great terrible not never no but problem problems VERY so kind of love hate the at least 😀 💔 :) \
                 without doubt this yeah right can't complain can’t stop isn't Great? fine! awful, ok. Σ ß ǅ İ \u{1c} \n";
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    prop_oneof![8 => prop::sample::select(words), 1 => "\\PC{0,4}"]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(word(), 0..24).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn contributions_add_up_to_the_margin(text in text()) {
        for model in [Lexicon::vader(), Lexicon::improved()] {
            let Some(explanation) = model.explain(&text) else {
                prop_assert_eq!(model.read(&text), Reading::Empty);
                continue;
            };
            let sum: f64 = explanation.bias + explanation.parts.iter().map(|part| part.contribution).sum::<f64>();
            prop_assert!((sum - explanation.margin).abs() < 1e-9, "{sum} {}", explanation.margin);
            for part in &explanation.parts {
                prop_assert!(text.get(part.span.clone()).is_some_and(|part| !part.is_empty()));
            }
        }
    }

    /// A message that was sent several times says no more than once.
    #[test]
    fn repeating_a_text_does_not_move_the_score(text in text(), times in 2..12_usize) {
        let once = Lexicon::improved().read(&text);
        let often = Lexicon::improved().read(&vec![text; times].join("\n"));
        if let (Reading::Read(once), Reading::Read(often)) = (once, often) {
            prop_assert!((once.score - often.score).abs() < 0.02, "{} {}", once.score, often.score);
        }
    }

    #[test]
    fn chances_are_chances(text in text()) {
        for model in [Lexicon::vader(), Lexicon::improved()] {
            if let Reading::Read(sentiment) = model.read(&text) {
                prop_assert!((sentiment.chances.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                prop_assert!((sentiment.feelings.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                prop_assert!((-1.0..=1.0).contains(&sentiment.score));
            }
        }
    }
}

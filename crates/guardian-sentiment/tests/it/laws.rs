//! What holds of every text, whatever is in it.

use guardian_sentiment::{Adaptation, Ensemble, Explanation, Linear, Polarity, Reading, SentimentModel};
use proptest::prelude::*;

/// Words, marks, emoji, masks, other scripts, and characters without rules.
fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        8 => prop::sample::select(vec![
            "good", "bad", "not", "no", "never", "GREAT", "terrible", "the", "service", "was", "but", "soooo", "very",
            "waiting", "thanks", "problem", "problems", "complain", "can't", "won't", "it", "'s", "n't", "wo", "I",
            "love", "hate", "refund", "why", "confused", "5", "10/10", "2024-01-01", "@user", "http://a.example/x?y=1",
            "me@example.com", "#fail", "&amp;", "&lt;3", ":)", ":-(", "<3", "😀", "😡", "👍🏽", "…", "—", "«gut»", "schlecht",
            "très", "bien", "素晴らしい", "плохо", "سيئ", "!", "!!!", "?", "?!", ".", "...", ",", ";", "\"", "(", ")", "\n",
        ]).prop_map(str::to_owned),
        1 => "[a-zA-Z']{1,60}",
        1 => "\\PC{1,12}",
        1 => any::<String>(),
    ];
    prop::collection::vec((word, prop::sample::select(vec![" ", "", "\n", "  "])), 0..40)
        .prop_map(|words| words.into_iter().flat_map(|(word, space)| [word, space.to_owned()]).collect())
}

fn models() -> Vec<Box<dyn SentimentModel>> {
    let base = Ensemble::default();
    let mut tenant = Adaptation::new(&base);
    tenant.learn("1", "the service was good", Polarity::Negative);
    tenant.learn("2", "waiting for a refund", Polarity::Neutral);
    tenant.learn("3", "bad but good", Polarity::Positive);
    let own = tenant.model();
    vec![Box::new(base), Box::new(Linear::shipped()), Box::new(own)]
}

fn score(model: &dyn SentimentModel, text: &str) -> f64 {
    match model.read(text) {
        Reading::Read(sentiment) => sentiment.score,
        _ => 0.0,
    }
}

fn sum(explanation: &Explanation) -> f64 {
    explanation.bias + explanation.parts.iter().map(|part| part.contribution).sum::<f64>()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_text_that_is_repeated_keeps_its_score(
        text in text(),
        times in 2_usize..40,
        joint in prop::sample::select(vec![" ", "\n", "\n\n", "\t"]),
    ) {
        let repeated = vec![text.as_str(); times].join(joint);
        for model in models() {
            prop_assert!((score(model.as_ref(), &text) - score(model.as_ref(), &repeated)).abs() < 0.02);
        }
    }

    #[test]
    fn the_parts_and_the_bias_add_up_to_the_margin(text in text(), times in 1_usize..30) {
        let long = vec![text.as_str(); times].join(" x ");
        for model in models() {
            for text in [&text, &long] {
                let Some(explanation) = model.explain(text) else { continue };
                prop_assert!((sum(&explanation) - explanation.margin).abs() < 1e-4);
                let Reading::Read(sentiment) = model.read(text) else { panic!("explained but not read") };
                let [bad, _, good] = sentiment.chances;
                prop_assert!(((good / bad).ln() - explanation.margin).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn spans_lie_between_characters_in_the_order_of_the_text(text in text()) {
        for model in models() {
            let Some(explanation) = model.explain(&text) else { continue };
            let mut end = 0;
            for part in &explanation.parts {
                prop_assert!(part.span.start >= end && part.span.start < part.span.end);
                prop_assert!(text.get(part.span.clone()).is_some());
                end = part.span.end;
            }
        }
    }

    #[test]
    fn chances_add_up_and_the_score_is_their_difference(text in text()) {
        for model in models() {
            let Reading::Read(sentiment) = model.read(&text) else { continue };
            let [bad, _, good] = sentiment.chances;
            prop_assert!((sentiment.chances.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!((sentiment.feelings.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!((good - bad - sentiment.score).abs() < 1e-9);
            prop_assert!(sentiment.chances.iter().all(|chance| (0.0..=1.0).contains(chance)));
            match sentiment.polarity {
                Polarity::VeryNegative | Polarity::Negative => prop_assert!(sentiment.score < 0.0),
                Polarity::Positive | Polarity::VeryPositive => prop_assert!(sentiment.score > 0.0),
                Polarity::Neutral => {}
            }
        }
    }
}

/// Where a chance is too small to be told from none, the explanation still is of what was read.
#[test]
fn the_explanation_of_an_extreme_text_is_of_what_was_read() {
    let long = ["<3\nwas "; 20].join(" x ");
    for model in models() {
        let explanation = model.explain(&long).unwrap();
        let Reading::Read(sentiment) = model.read(&long) else { panic!("explained but not read") };
        let [bad, _, good] = sentiment.chances;
        assert!(((good / bad).ln() - explanation.margin).abs() < 1e-4);
    }
}

/// What was taught has moved no class of an extreme text that has none of its words: the types of it are as they are shipped.
#[test]
fn what_was_taught_elsewhere_leaves_the_type_of_an_extreme_text() {
    let base = Ensemble::default();
    let mut tenant = Adaptation::new(&base);
    tenant.learn("1", "the invoice is in order", Polarity::Neutral);
    for text in ["<3 ", "worst awful terrible ", "great love excellent "] {
        let long = text.repeat(18);
        let (Reading::Read(shipped), Reading::Read(own)) = (base.read(&long), tenant.model().read(&long))
        else {
            panic!("{text} is not read")
        };
        assert_eq!((own.polarity, own.feeling), (shipped.polarity, shipped.feeling), "{text}");
    }
}

/// The example of VADER's issue 151: the score of a text must not run away with its length.
#[test]
fn ten_thousand_words_are_no_more_extreme_than_ten() {
    let model = Ensemble::default();
    let mixed = "good bad good bad bad good good bad fine poor ";
    assert!((score(&model, &mixed.repeat(1_000)) - score(&model, mixed)).abs() < 0.02);
    let story = "The parcel came on Monday. I opened it at home. It is blue. ";
    let long = format!("{}The blue is lovely. {}", story.repeat(40), story.repeat(3));
    assert!(score(&model, &long).abs() < 0.6);
}

/// What a tenant taught says no more of a long text than of a short one, whatever stands at its end.
#[test]
fn what_was_taught_does_not_run_away_with_length() {
    let base = Ensemble::default();
    let mut tenant = Adaptation::new(&base);
    for n in 0..20 {
        tenant.learn(&format!("m{n}"), &format!("The spinner {n} again"), Polarity::Negative);
        tenant.learn(&format!("n{n}"), &format!("The export {n} is here"), Polarity::Neutral);
    }
    let own = tenant.model();
    let margin = |model: &dyn SentimentModel, text: &str| model.explain(text).unwrap().margin;
    let nothing = "qwx";
    let (at_nought, base_at_nought) = (margin(&own, nothing), margin(&base, nothing));
    let slope = (margin(&own, "xqw! Lovely") - at_nought) / (margin(&base, "xqw! Lovely") - base_at_nought);
    // What the n-grams add, beside what is said of the shipped margin.
    let taught = |text: &str| margin(&own, text) - at_nought - slope * (margin(&base, text) - base_at_nought);
    let short = taught("spinner again. Ann");
    assert!(short < -0.1, "{short}");
    for times in [3, 30, 300] {
        let long = taught(&format!("{}Ann", "spinner again. ".repeat(times)));
        assert!((long - short).abs() < 0.35 * short.abs(), "{times} times: {long}, not {short}");
    }
    // Other words in between make less of it, not more; and the end of a mail is heard as its beginning is.
    let story = |word: &str| -> String { (0..150).map(|n| format!("{word}{n} ")).collect() };
    let (first, last) = (
        taught(&format!("spinner again. {}", story("w"))),
        taught(&format!("{} spinner again.", story("w"))),
    );
    assert!(first < 0.0 && last < 0.0, "{first} {last}");
    assert!((first - last).abs() < 0.2 * first.abs() && first > short, "{first} {last} {short}");
    // However much of it there is.
    let much: String = (0..400).map(|n| format!("the spinner {} again. ", n % 20)).collect();
    let twice = format!("{much} x {much} y");
    assert!((taught(&twice) - taught(&much)).abs() < 0.05 * taught(&much).abs());
}

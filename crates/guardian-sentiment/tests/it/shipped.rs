//! The model that comes with the crate.

use guardian_sentiment::{
    Confidence, Ensemble, Feeling, Linear, ModelError, Polarity, Reading, Sentiment, SentimentModel,
};

fn read(text: &str) -> Sentiment {
    match Ensemble::default().read(text) {
        Reading::Read(sentiment) => sentiment,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn it_is_whole_small_and_says_where_it_comes_from() {
    let bytes = Linear::shipped().to_bytes();
    assert!(bytes.len() <= 2_000_000, "{} bytes", bytes.len());
    let manifest: serde_json::Value = serde_json::from_str(Linear::shipped().manifest()).unwrap();
    assert_eq!(manifest["may_be_shipped"], true);
    // These and no others: what may not be shipped is not to be listed, it is not here.
    let files: Vec<&String> = manifest["files"].as_object().unwrap().keys().collect();
    let sources = ["cr", "goemotions", "mpqa", "sst5", "uci", "vader_gt"];
    assert_eq!(files, sources.map(|source| format!("{source}.train.tsv.gz")).iter().collect::<Vec<_>>());
    let again = Linear::from_bytes(&bytes).unwrap();
    assert_eq!(again.checksum(), Linear::shipped().checksum());
    assert_eq!(again.read("So glad this works again!"), Linear::shipped().read("So glad this works again!"));
}

/// A model in ONNX comes by `External`; a feature that is spoken of is there.
#[test]
fn the_features_are_those_that_are_told() {
    let (manifest, readme) = (include_str!("../../Cargo.toml"), include_str!("../../README.md"));
    let features = manifest.split("[features]").nth(1).unwrap().split("[dependencies]").next().unwrap();
    let names = features.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name);
    for name in names.filter(|name| *name != "default") {
        assert!(readme.contains(&format!("| `{name}` |")), "{name}");
    }
    assert!(features.contains("default = []"), "nothing is on by itself, a runtime least of all");
}

#[test]
fn what_lists_of_words_get_wrong_is_read_right() {
    let good = [
        "No problems ever.",
        "No complaints here.",
        "I can't complain.",
        "Not bad at all!",
        "No bad smell. Nothing to worry about.",
        "Couldn't be happier with it.",
        "You can't go wrong with this one.",
        "Never had any issues, works great.",
    ];
    for text in good {
        assert!(read(text).score > 0.2, "{text}: {:?}", read(text));
    }
    let bad = [
        "Not good.",
        "I would not recommend it.",
        "It doesn't work.",
        "Still waiting for my refund.",
        "Two hours on hold and then they hung up on me.",
        "Don't waste your money.",
        "I am not happy with the service.",
        "What a waste of time.",
    ];
    for text in bad {
        assert!(read(text).score < -0.2, "{text}: {:?}", read(text));
    }
    for text in [
        "Could you kindly send the invoice to our office?",
        "My order number is 12345.",
        "The meeting is on Monday.",
    ] {
        assert!(read(text).score.abs() < 0.55, "{text}: {:?}", read(text));
    }
}

#[test]
fn types_are_those_that_a_support_team_acts_on() {
    let cases = [
        ("Thank you so much, you saved my day!", Feeling::Satisfied),
        ("This is outrageous! I am so angry at you people.", Feeling::Angry),
        ("I'm really sad and disappointed that it ended like this.", Feeling::Disappointed),
        ("I'm confused, I don't understand how this is supposed to work?", Feeling::Confused),
        ("The invoice is attached.", Feeling::Neutral),
    ];
    for (text, feeling) in cases {
        assert_eq!(read(text).feeling, feeling, "{text}");
    }
}

#[test]
fn strength_and_confidence_follow_the_text() {
    assert_eq!(read("Absolutely wonderful, I love it, best purchase ever!").polarity, Polarity::VeryPositive);
    assert_eq!(
        read("Horrible, terrible, the worst garbage I ever bought. Awful!").polarity,
        Polarity::VeryNegative
    );
    assert_eq!(read("Absolutely wonderful, I love it, best purchase ever!").confidence, Confidence::High);
    assert!(read("The thing with the other thing").confidence < Confidence::High);
}

#[test]
fn nothing_is_read_as_nothing() {
    assert_eq!(Ensemble::default().read(""), Reading::Empty);
    assert_eq!(Ensemble::default().read(" \n\t"), Reading::Empty);
    assert_eq!(Ensemble::default().explain(""), None);
}

#[test]
fn an_explanation_names_the_words() {
    let text = "The room was lovely but the breakfast was disgusting.";
    let explanation = Ensemble::default().explain(text).unwrap();
    let of = |word: &str| {
        explanation.parts.iter().find(|part| text.get(part.span.clone()) == Some(word)).unwrap().contribution
    };
    assert!(of("lovely") > 0.2);
    assert!(of("disgusting") < -0.2);
    assert!(of("room").abs() < of("lovely").abs());
}

#[test]
fn damaged_files_are_refused() {
    let bytes = Linear::shipped().to_bytes();
    for at in [0, 7, 8, 12, 20, 40, 5_000, 500_000, bytes.len() - 9, bytes.len() - 1] {
        for flip in [1, 0x80] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            assert!(Linear::from_bytes(&damaged).is_err(), "byte {at}");
        }
    }
    for length in [0, 4, 8, 27, 28, 1_000, bytes.len() - 8, bytes.len() - 1] {
        assert!(Linear::from_bytes(&bytes[..length]).is_err(), "{length} bytes");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(
        Linear::from_bytes(&longer).unwrap_err(),
        ModelError::Length { found: bytes.len() + 1, expected: bytes.len() }
    );
    assert!(matches!(Linear::from_bytes(b"PNG"), Err(ModelError::Foreign { .. })));
}

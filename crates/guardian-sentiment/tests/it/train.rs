//! A small model is trained, written, read again, and scores as it did.

use guardian_sentiment::train::{Options, Sample, Source, train};
use guardian_sentiment::{Ensemble, Feeling, Linear, Reading, SentimentModel};

/// Sentences of few words, whose labels follow from them.
fn samples() -> Vec<Sample> {
    let things = ["pump", "valve", "gauge", "filter", "hose", "tank", "switch", "lamp"];
    let good = [("zorps nicely", 0.5), ("is blimful", 1.0), ("hums along", 0.5)];
    let bad = [("grumbles", -0.5), ("is vexlow", -1.0), ("broke apart", -0.5)];
    let mut all = Vec::new();
    for (at, thing) in things.iter().enumerate() {
        for (what, valence) in good.iter().chain(&bad) {
            for end in ["", " today", " again and again", " in the cellar"] {
                let source = if at % 2 == 0 { Source::Product } else { Source::Social };
                let feeling = if *valence > 0.0 { Feeling::Satisfied } else { Feeling::Angry };
                let text = format!("the {thing} {what}{end}");
                all.push(Sample::new(text, source).with_valence(*valence).with_feeling(feeling));
            }
        }
        for what in ["is on shelf", "comes in", "has number"] {
            for count in 0..6 {
                let text = format!("the {thing} {what} {count}");
                all.push(Sample::new(text, Source::Social).with_valence(0.0).with_feeling(Feeling::Neutral));
            }
        }
        all.push(
            Sample::new(format!("which {thing} is it?"), Source::Social).with_feeling(Feeling::Confused),
        );
        all.push(Sample::new(format!("a film about a {thing}"), Source::Film).with_valence(0.5));
        all.push(Sample::new(format!("no film about a {thing}"), Source::Film).with_valence(-0.5));
    }
    all
}

fn options() -> Options {
    let mut options = Options::default();
    options.rows = 5_000;
    options
}

#[test]
fn loading_and_scoring_agree() {
    let mut steps = Vec::new();
    let trained = train(&samples(), &options(), &mut |done, all| steps.push((done, all))).unwrap();
    assert!(steps.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!(steps.last().map(|(done, all)| done == all), Some(true));
    let model = trained.model.with_manifest("{\"name\":\"sample\"}").unwrap();
    let bytes = model.to_bytes();
    let again = Linear::from_bytes(&bytes).unwrap();
    assert_eq!(again.to_bytes(), bytes);
    assert_eq!(again.manifest(), "{\"name\":\"sample\"}");
    let (one, other) = (Ensemble::from(model.clone()), Ensemble::from(again.clone()));
    for sample in samples() {
        assert_eq!(model.read(&sample.text), again.read(&sample.text));
        assert_eq!(one.read(&sample.text), other.read(&sample.text));
        assert_eq!(one.explain(&sample.text), other.explain(&sample.text));
    }
}

/// What is learned with is what is read with: n-grams, their worth, the lists, the readout. Only the rounding to bytes is between.
#[test]
fn the_trainer_and_the_model_read_alike() {
    let mut samples = samples();
    let long: String = (0..40).map(|n| format!("The pump number {n} grumbles. ")).collect();
    samples.push(Sample::new(long, Source::Product).with_valence(-0.5));
    let trained = train(&samples, &options(), &mut |_, _| {}).unwrap();
    assert_eq!(trained.chances.len(), samples.len());
    assert_eq!(trained.chances.last(), Some(&None), "it is read in pieces");
    let model = Ensemble::from(trained.model);
    let mut compared = 0;
    for (sample, chances) in samples.iter().zip(trained.chances) {
        let (Some(chances), Reading::Read(read)) = (chances, model.read(&sample.text)) else { continue };
        compared += 1;
        for (one, other) in chances.iter().zip(read.chances) {
            assert!((one - other).abs() < 0.05, "{}: {chances:?} and {:?}", sample.text, read.chances);
        }
    }
    assert_eq!(compared, samples.len() - 1);
}

#[test]
fn what_is_in_the_samples_is_learned() {
    let model = train(&samples(), &options(), &mut |_, _| {}).unwrap().model;
    let score = |text: &str| match model.read(text) {
        Reading::Read(sentiment) => sentiment.score,
        other => panic!("{other:?}"),
    };
    assert!(score("this one is blimful") > 0.3);
    assert!(score("this one is vexlow") < -0.3);
    assert!(score("the crate is on shelf 9").abs() < 0.5);
}

#[test]
fn the_same_samples_give_the_same_bytes() {
    let bytes = || train(&samples(), &options(), &mut |_, _| {}).unwrap().model.to_bytes();
    assert_eq!(bytes(), bytes());
}

#[test]
fn no_samples_are_no_crash() {
    if let Ok(trained) = train(&[], &options(), &mut |_, _| {}) {
        assert!(matches!(trained.model.read("text"), Reading::Read(_)));
    }
    let mut crowded = options();
    crowded.rows = 16;
    assert!(train(&samples(), &crowded, &mut |_, _| {}).is_ok(), "n-grams share rows");
    let mut options = options();
    options.rows = 0;
    assert!(train(&samples(), &options, &mut |_, _| {}).is_err());
}

//! Classifiers of the host.

use guardian_sentiment::{
    Class, Classifier, Confidence, External, Feeling, Polarity, Reading, Sentiment, SentimentModel,
};

#[derive(Debug)]
struct Fixed(Vec<f32>);

impl Classifier for Fixed {
    fn logits(&self, text: &str) -> Option<Vec<f32>> {
        (text != "bonjour").then(|| self.0.clone())
    }
}

fn steps() -> Vec<Class> {
    Polarity::ALL.into_iter().map(Class::Polarity).collect()
}

fn read(model: &dyn SentimentModel, text: &str) -> Sentiment {
    match model.read(text) {
        Reading::Read(sentiment) => sentiment,
        other => panic!("{other:?}"),
    }
}

#[test]
fn five_steps_are_taken_as_they_are() {
    let model = External::new(Fixed(vec![4.0, 1.0, 0.0, 0.0, 0.0]), steps());
    let sentiment = read(&model, "a text");
    assert_eq!(sentiment.polarity, Polarity::VeryNegative);
    assert_eq!(sentiment.confidence, Confidence::High);
    let model = External::new(Fixed(vec![1.0, 4.0, 0.0, 0.0, 0.0]), steps());
    assert_eq!(read(&model, "a text").polarity, Polarity::Negative);
    assert!(model.explain("a text").is_none());
}

#[test]
fn the_temperature_makes_it_less_sure() {
    let classes =
        || vec![Class::Polarity(Polarity::Negative), Class::Polarity(Polarity::Positive), Class::Other];
    let sure = External::new(Fixed(vec![0.0, 3.0, 9.0]), classes());
    let calm = External::new(Fixed(vec![0.0, 3.0, 9.0]), classes()).with_temperature(3.0);
    assert!(read(&sure, "x").score > read(&calm, "x").score);
    // What is no number above zero changes nothing.
    let wrong = External::new(Fixed(vec![0.0, 3.0, 9.0]), classes()).with_temperature(-1.0);
    assert_eq!(read(&sure, "x"), read(&wrong, "x"));
}

#[test]
fn types_that_the_classifier_does_not_know_are_shared_out_as_shipped() {
    let classes = vec![Class::Polarity(Polarity::Negative), Class::Polarity(Polarity::Positive)];
    let model = External::new(Fixed(vec![3.0, -3.0]), classes);
    assert_eq!(read(&model, "I am furious, you idiots!").feeling, Feeling::Angry);
    assert_eq!(read(&model, "I am so sad and disappointed.").feeling, Feeling::Disappointed);
    let sentiment = read(&model, "whatever");
    let [satisfied, angry, disappointed, confused, neutral] = sentiment.feelings;
    let [bad, middle, good] = sentiment.chances;
    assert!((satisfied - good).abs() < 1e-6 && (angry + disappointed - bad).abs() < 1e-6);
    assert!((confused + neutral - middle).abs() < 1e-6);
}

#[test]
fn types_say_the_polarity_where_nothing_else_does() {
    let classes: Vec<Class> = Feeling::ALL.into_iter().map(Class::Feeling).collect();
    let model = External::new(Fixed(vec![0.0, 5.0, 1.0, 0.0, 0.0]), classes);
    let sentiment = read(&model, "x");
    assert_eq!((sentiment.feeling, sentiment.polarity), (Feeling::Angry, Polarity::Negative));
}

#[test]
fn what_is_not_given_is_not_guessed() {
    let undetermined = Reading::Unsupported("und".to_owned());
    for logits in [vec![], vec![1.0], vec![f32::NAN; 5], vec![f32::INFINITY; 5]] {
        assert_eq!(External::new(Fixed(logits), steps()).read("a text"), undetermined);
    }
    assert_eq!(External::new(Fixed(vec![0.0; 5]), steps()).read("  "), Reading::Empty);
    let others = External::new(Fixed(vec![0.0; 5]), vec![Class::Other; 5]);
    assert_eq!(others.read("a text"), undetermined);
}

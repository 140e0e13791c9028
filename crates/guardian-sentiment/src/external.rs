use crate::core::Bounds;
use crate::readout::softmax;
use crate::{Ensemble, Explanation, Feeling, Polarity, Reading, Sentiment, SentimentModel};

/// A classifier that the host brings along, such as a transformer.
///
/// Nothing is downloaded: the host loads its weights and runs them as it likes.
pub trait Classifier: std::fmt::Debug + Send + Sync {
    /// What the classifier gives for a text before it becomes chances: one number for each of its classes, in their order.
    /// `None` where it gives nothing, because the text is in a language that it does not know, for example.
    fn logits(&self, text: &str) -> Option<Vec<f32>>;
}

/// What a class of a host's classifier means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// A step of polarity.
    Polarity(Polarity),
    /// A type.
    Feeling(Feeling),
    /// Nothing that matters here.
    Other,
}

/// A host's classifier as a model.
///
/// Where its classes say nothing of types, or nothing of polarity, the shipped model says how the chance is shared out: how much
/// of what is negative is angry and how much disappointed, for example. Only a classifier that has classes for the outer steps is read as
/// very negative or very positive. It explains nothing, because the classifier is closed.
///
/// ```
/// use guardian_sentiment::{Class, Classifier, External, Polarity, Reading, SentimentModel};
///
/// #[derive(Debug)]
/// struct Transformer; // Runs an ONNX file, for example.
///
/// impl Classifier for Transformer {
///     fn logits(&self, text: &str) -> Option<Vec<f32>> {
///         Some(if text.contains("never") { vec![2.0, -2.0] } else { vec![-2.0, 2.0] })
///     }
/// }
///
/// let classes = [Class::Polarity(Polarity::Negative), Class::Polarity(Polarity::Positive)];
/// let model = External::new(Transformer, classes).with_temperature(1.3);
/// let Reading::Read(sentiment) = model.read("They never answer.") else { panic!() };
/// assert_eq!(sentiment.polarity, Polarity::Negative);
/// ```
#[derive(Clone, Debug)]
pub struct External<C> {
    classifier: C,
    classes: Vec<Class>,
    temperature: f64,
    types: Ensemble,
}

impl<C: Classifier> External<C> {
    /// A model of a classifier, and what its classes mean in the order of its logits.
    #[must_use]
    pub fn new(classifier: C, classes: impl Into<Vec<Class>>) -> Self {
        Self { classifier, classes: classes.into(), temperature: 1.0, types: Ensemble::default() }
    }

    /// What the logits are divided by so that the chances come true, as measured on labelled texts: above 1 for a classifier
    /// that is too sure of itself. Values that are not above zero are taken as 1.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = if temperature.is_finite() && temperature > 0.0 { temperature } else { 1.0 };
        self
    }

    fn sentiment(&self, text: &str, shipped: &Sentiment) -> Option<Sentiment> {
        let logits = self.classifier.logits(text)?;
        if logits.len() != self.classes.len() || logits.iter().any(|logit| !logit.is_finite()) {
            return None;
        }
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f64> =
            logits.iter().map(|logit| (f64::from(logit - top) / self.temperature).exp()).collect();
        let (mut steps, mut types) = ([0.0; 5], [0.0; 5]);
        for (class, power) in self.classes.iter().zip(powers) {
            let slot = match class {
                Class::Polarity(polarity) => slot(&mut steps, &Polarity::ALL, polarity),
                Class::Feeling(feeling) => slot(&mut types, &Feeling::ALL, feeling),
                Class::Other => None,
            };
            if let Some(slot) = slot {
                *slot += power;
            }
        }
        let chances = match (part(steps), part(types)) {
            (Some([very_bad, bad, neutral, good, very_good]), _) => {
                [very_bad + bad, neutral, good + very_good]
            }
            (None, Some([satisfied, angry, disappointed, confused, calm])) => {
                [angry + disappointed, confused + calm, satisfied]
            }
            (None, None) => return None,
        };
        let feelings = part(types).unwrap_or_else(|| shared(chances, shipped.feelings));
        let bounds = Bounds { very: [-0.8, 0.8], bands: [0.45, 0.6, 0.8], tilts: [0.0; 5] };
        let mut sentiment = bounds.sentiment(chances, feelings);
        // How strong a sentiment is, a classifier of five steps says itself, and no other can say.
        let outer = part(steps)
            .filter(|_| self.knows_strength())
            .map(|[very_bad, bad, _, good, very_good]| (very_bad > bad, very_good > good));
        let (very_bad, very_good) = outer.unwrap_or_default();
        sentiment.polarity = match sentiment.polarity {
            Polarity::Negative | Polarity::VeryNegative if very_bad => Polarity::VeryNegative,
            Polarity::Negative | Polarity::VeryNegative => Polarity::Negative,
            Polarity::Positive | Polarity::VeryPositive if very_good => Polarity::VeryPositive,
            Polarity::Positive | Polarity::VeryPositive => Polarity::Positive,
            Polarity::Neutral => Polarity::Neutral,
        };
        Some(sentiment)
    }

    fn knows_strength(&self) -> bool {
        let outer =
            |class: &Class| matches!(class, Class::Polarity(Polarity::VeryNegative | Polarity::VeryPositive));
        self.classes.iter().any(outer)
    }
}

fn slot<'s, T: PartialEq>(slots: &'s mut [f64; 5], all: &[T; 5], one: &T) -> Option<&'s mut f64> {
    slots.iter_mut().zip(all).find(|(_, other)| *other == one).map(|(slot, _)| slot)
}

/// The values as parts of 1; `None` where there are none.
fn part(values: [f64; 5]) -> Option<[f64; 5]> {
    let sum: f64 = values.iter().sum();
    (sum > 0.0).then(|| values.map(|value| value / sum))
}

/// The chances of types that go with these of negative, neutral and positive, shared out as the shipped model does.
fn shared([bad, neutral, good]: [f64; 3], shipped: [f64; 5]) -> [f64; 5] {
    let [_, angry, disappointed, confused, calm] = shipped.map(|chance| chance.max(1e-6));
    let (worse, other) = (bad / (angry + disappointed), neutral / (confused + calm));
    let logs = [good, angry * worse, disappointed * worse, confused * other, calm * other];
    softmax(logs.map(|chance| chance.max(1e-12).ln()))
}

impl<C: Classifier> SentimentModel for External<C> {
    /// A text for which the classifier gives nothing, or not one finite number for each class, is read as
    /// [`Reading::Unsupported`] of the language `und`, which is ISO 639's word for undetermined.
    fn read(&self, text: &str) -> Reading {
        match self.types.read(text) {
            Reading::Empty => Reading::Empty,
            Reading::Read(shipped) => self
                .sentiment(text, &shipped)
                .map_or_else(|| Reading::Unsupported("und".to_owned()), Reading::Read),
            // What the shipped model cannot read may be what the host's is there for.
            Reading::Unsupported(language) => {
                let even = Sentiment {
                    score: 0.0,
                    chances: [1.0 / 3.0; 3],
                    polarity: Polarity::Neutral,
                    feeling: Feeling::Neutral,
                    feelings: [0.2; 5],
                    confidence: crate::Confidence::Abstain,
                };
                self.sentiment(text, &even).map_or(Reading::Unsupported(language), Reading::Read)
            }
        }
    }

    /// `None`: the classifier is closed.
    fn explain(&self, _: &str) -> Option<Explanation> {
        None
    }
}

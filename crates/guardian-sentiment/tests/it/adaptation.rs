//! What a tenant's corrections teach.

use guardian_sentiment::{
    Adaptation, Correction, Ensemble, Feeling, Learned, Linear, MAX_CORRECTIONS, ModelError, Polarity,
    Reading, Sentiment, SentimentModel,
};
use proptest::prelude::*;

fn read(model: &dyn SentimentModel, text: &str) -> Sentiment {
    match model.read(text) {
        Reading::Read(sentiment) => sentiment,
        other => panic!("{text}: {other:?}"),
    }
}

/// In this trade, a sick beat is a good one, and a stable horse is no praise.
fn trade() -> Vec<(String, Polarity)> {
    let mut all = Vec::new();
    for at in 0..40 {
        all.push((format!("That beat number {at} is sick"), Polarity::Positive));
        all.push((format!("The kick {at} is dirty and sick"), Polarity::Positive));
        all.push((format!("Take {at} is clean and polite"), Polarity::Negative));
        all.push((format!("Session {at} at noon"), Polarity::Neutral));
    }
    all
}

fn taught(base: &Ensemble) -> Adaptation {
    let mut tenant = Adaptation::new(base);
    for (at, (text, polarity)) in trade().iter().enumerate() {
        assert_eq!(tenant.learn(&format!("m{at}"), text, *polarity), Learned::New);
    }
    tenant
}

#[test]
fn a_trade_of_its_own_is_learned_and_the_shadow_says_so() {
    let base = Ensemble::default();
    let tenant = taught(&base);
    let own = tenant.model();
    assert!(read(&base, "this one is sick").score < 0.0);
    assert!(read(&own, "this one is sick").score > 0.0);
    assert!(read(&own, "clean and polite").score < 0.0);
    assert_eq!(read(&own, "this one is sick").feeling, Feeling::Satisfied);
    let shadow = tenant.shadow();
    assert_eq!(shadow.messages, 160);
    assert!(shadow.is_better() && shadow.own_right > 140, "{shadow:?}");
}

/// Canned messages, which many customers send, are no messages that the model has not seen.
#[test]
fn one_text_that_comes_often_proves_nothing() {
    let mut tenant = Adaptation::new(&Ensemble::default());
    for at in 0..40 {
        tenant.learn(&format!("m{at}"), "That beat is sick", Polarity::Positive);
    }
    let shadow = tenant.shadow();
    assert_eq!((shadow.messages, shadow.own_right), (40, shadow.base_right), "{shadow:?}");
    assert!(!shadow.is_better(), "{shadow:?}");
    // Other texts teach the same word: then the text is read right, and decides once.
    for at in ["kick", "drum", "bass", "hook", "loop", "horn"] {
        tenant.learn(at, &format!("This {at} is so sick"), Polarity::Positive);
    }
    let shadow = tenant.shadow();
    assert!(shadow.p_value > 0.01, "{shadow:?}");
}

#[test]
fn other_texts_are_read_much_as_before() {
    let base = Ensemble::default();
    let own = taught(&base).model();
    for text in ["I love it, thank you!", "This is terrible, I want my money back."] {
        assert_eq!(read(&own, text).score > 0.0, read(&base, text).score > 0.0, "{text}");
    }
}

#[test]
fn a_message_counts_once() {
    let base = Ensemble::default();
    let mut tenant = taught(&base);
    let (bytes, version) = (tenant.to_bytes(), tenant.version());
    assert_eq!(tenant.learn("m0", "That beat number 0 is sick", Polarity::Positive), Learned::Known);
    // The outer steps count as the inner ones.
    assert_eq!(tenant.learn("m0", "That beat number 0 is sick", Polarity::VeryPositive), Learned::Known);
    assert_eq!((tenant.to_bytes(), tenant.version()), (bytes, version));
    assert_eq!(tenant.learn("m0", "That beat number 0 is sick", Polarity::Neutral), Learned::Replaced);
    assert_eq!(tenant.len(), 160);
}

#[test]
fn nothing_is_learned_from_nothing() {
    let mut tenant = Adaptation::new(&Ensemble::default());
    assert_eq!(tenant.learn("", "text", Polarity::Positive), Learned::Nothing);
    assert_eq!(tenant.learn("a", "  ", Polarity::Positive), Learned::Nothing);
    assert_eq!(tenant.learn(&"x".repeat(201), "text", Polarity::Positive), Learned::Nothing);
    assert!(tenant.is_empty());
    assert_eq!(tenant.model().read("text"), Ensemble::default().read("text"));
    assert_eq!(tenant.shadow().p_value, 1.0);
}

#[test]
fn types_are_learned_too() {
    let base = Ensemble::default();
    let mut tenant = Adaptation::new(&base);
    for at in 0..20 {
        tenant.learn(&format!("a{at}"), &format!("ticket {at} bounced to tier two"), Feeling::Angry);
        tenant.learn(&format!("c{at}"), &format!("ticket {at} which tab is it"), Feeling::Confused);
        tenant.learn(
            &format!("d{at}"),
            "we move on",
            Correction::new(Polarity::Negative, Feeling::Disappointed),
        );
    }
    let own = tenant.model();
    assert_eq!(read(&own, "ticket bounced to tier two").feeling, Feeling::Angry);
    assert_eq!(read(&own, "which tab is it").feeling, Feeling::Confused);
    assert_eq!(read(&own, "we move on").feeling, Feeling::Disappointed);
}

#[test]
fn the_oldest_goes_when_there_are_too_many() {
    let mut tenant = Adaptation::new(&Ensemble::default());
    for at in 0..=MAX_CORRECTIONS {
        tenant.learn(&format!("m{at}"), "fine", Polarity::Positive);
    }
    assert_eq!(tenant.len(), MAX_CORRECTIONS);
    assert_eq!(tenant.ids().next(), Some("m1"));
}

#[test]
fn bytes_of_another_model_or_damaged_ones_are_refused() {
    let base = Ensemble::default();
    let tenant = taught(&base);
    let bytes = tenant.to_bytes();
    let other = Ensemble::from(Linear::shipped().with_manifest("{}").unwrap());
    assert!(matches!(Adaptation::from_bytes(&other, &bytes), Err(ModelError::OtherModel { .. })));
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(Adaptation::from_bytes(&base, &damaged).is_err(), "byte {at}");
    }
    // Of the texts nothing is kept.
    assert!(!bytes.windows(4).any(|window| window == b"beat"));
}

#[derive(Clone, Debug)]
enum Step {
    Learn(u8, u8, u8),
    Forget(u8),
    RollBack(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u8..6, 0_u8..5, 0_u8..3).prop_map(|(id, text, label)| Step::Learn(id, text, label)),
        1 => (0_u8..6).prop_map(Step::Forget),
        1 => any::<u8>().prop_map(Step::RollBack),
    ];
    prop::collection::vec(step, 0..14)
}

const TEXTS: [&str; 5] = ["sick beat", "a clean take", "the bus is late", "why me", "so it goes"];
const LABELS: [Polarity; 3] = [Polarity::Negative, Polarity::Neutral, Polarity::Positive];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever was learned, replaced, forgotten and rolled back, the model is that of the corrections that are left.
    #[test]
    fn the_model_follows_from_what_is_left(steps in steps()) {
        let base = Ensemble::default();
        let mut tenant = Adaptation::new(&base);
        let mut naive: Vec<(u64, u8, u8, u8)> = Vec::new();
        let mut version = 0_u64;
        for step in steps {
            match step {
                Step::Learn(id, text, label) => {
                    let known = naive.iter().any(|(_, other, t, l)| (*other, *t, *l) == (id, text, label));
                    tenant.learn(&format!("m{id}"), TEXTS[usize::from(text)], LABELS[usize::from(label)]);
                    if !known {
                        version += 1;
                        naive.retain(|(_, other, ..)| *other != id);
                        naive.push((version, id, text, label));
                    }
                }
                Step::Forget(id) => {
                    let there = naive.iter().any(|(_, other, ..)| *other == id);
                    prop_assert_eq!(tenant.forget(&format!("m{id}")), there);
                    naive.retain(|(_, other, ..)| *other != id);
                    version += u64::from(there);
                }
                Step::RollBack(to) => {
                    let to = u64::from(to) % (version + 1);
                    tenant.roll_back(to);
                    naive.retain(|(at, ..)| *at <= to);
                }
            }
            prop_assert_eq!(tenant.version(), version);
        }
        let mut fresh = Adaptation::new(&base);
        for (_, id, text, label) in &naive {
            fresh.learn(&format!("m{id}"), TEXTS[usize::from(*text)], LABELS[usize::from(*label)]);
        }
        let again = Adaptation::from_bytes(&base, &tenant.to_bytes()).unwrap();
        prop_assert_eq!(again.to_bytes(), tenant.to_bytes());
        for text in TEXTS {
            prop_assert_eq!(tenant.model().read(text), fresh.model().read(text));
            prop_assert_eq!(again.model().read(text), tenant.model().read(text));
        }
    }
}

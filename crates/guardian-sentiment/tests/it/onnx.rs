//! Classifiers in ONNX: what they give is held against ONNX's own reference evaluator, and against the same computed by hand.

use std::panic;
use std::sync::Arc;

use guardian_sentiment::{
    Class, Classifier, Feeling, MemoryStore, Message, Onnx, OnnxError, OnnxOptions, Polarity, Reading,
    SentimentModel, Sentiments, Tokenized,
};
use proptest::prelude::*;

const MEAN: &[u8] = include_bytes!("onnx/mean.onnx");
const FIXED: &[u8] = include_bytes!("onnx/fixed.onnx");
const ATTENTION: &[u8] = include_bytes!("onnx/attention.onnx");
const EXPECTED: &str = include_str!("onnx/expected.tsv");

/// Texts of these tests are the numbers of their tokens; another word is token 1.
fn numbers(text: &str, most: usize) -> Option<Tokenized> {
    Some(Tokenized::new(text.split_whitespace().map(|word| word.parse().unwrap_or(1_i64)).take(most)))
}

fn open(bytes: &[u8]) -> Onnx {
    Onnx::from_bytes(bytes, numbers, OnnxOptions::default()).unwrap()
}

fn classes() -> [Class; 3] {
    [Polarity::Negative, Polarity::Neutral, Polarity::Positive].map(Class::Polarity)
}

/// The lines of one model: tokens, and the logits that the reference evaluator gives.
fn expected(name: &str) -> Vec<(String, Vec<f64>)> {
    let lines = EXPECTED.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let of = lines.filter(|fields| fields[0] == name);
    of.map(|fields| {
        (fields[1].to_owned(), fields[2].split(' ').map(|logit| logit.parse().unwrap()).collect())
    })
    .collect()
}

#[track_caller]
fn assert_near(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (one, other) in found.iter().zip(expected) {
        assert!((f64::from(*one) - other).abs() < 1e-5, "{found:?} instead of {expected:?}");
    }
}

/// As the script has it: numbers from -1 to 1 by a formula.
fn weight(at: i64, seed: i64) -> f64 {
    f64::from(i32::try_from((at * (2 * seed + 7) + seed * 11) % 41 - 20).unwrap()) / 20.0
}

/// The model `mean.onnx` without any of ONNX.
fn by_hand(ids: &[i64]) -> Vec<f64> {
    let count = f64::from(u32::try_from(ids.len()).unwrap());
    let pooled: Vec<f64> =
        (0..8).map(|column| ids.iter().map(|id| weight(id * 8 + column, 1)).sum::<f64>() / count).collect();
    let logit = |class: i64| {
        let product: f64 =
            pooled.iter().zip(0..).map(|(value, row)| value * weight(row * 3 + class, 2)).sum();
        product + weight(class, 3)
    };
    (0..3).map(logit).collect()
}

#[test]
fn logits_are_those_of_the_reference_evaluator() {
    for (name, bytes) in [("mean", MEAN), ("attention", ATTENTION)] {
        let onnx = open(bytes);
        assert_eq!(onnx.classes(), 3);
        let lines = expected(name);
        assert_eq!(lines.len(), 6);
        for (tokens, logits) in lines {
            assert_near(&onnx.run(&tokens).unwrap(), &logits);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn logits_are_those_that_are_computed_by_hand(ids in prop::collection::vec(0_i64..32, 1..40)) {
        let text: Vec<String> = ids.iter().map(i64::to_string).collect();
        assert_near(&open(MEAN).run(&text.join(" ")).unwrap(), &by_hand(&ids));
    }
}

/// What fills a row up has a mask of 0 and changes nothing.
#[test]
fn rows_of_one_length_give_the_same() {
    let fixed = open(FIXED);
    for (tokens, logits) in expected("mean").into_iter().filter(|(tokens, _)| tokens.split(' ').count() <= 8)
    {
        assert_near(&fixed.run(&tokens).unwrap(), &logits);
    }
    let padded = OnnxOptions::default().with_most_tokens(16).with_padding(7).padded();
    let padded = Onnx::from_bytes(ATTENTION, numbers, padded).unwrap();
    for (tokens, logits) in expected("attention") {
        assert_near(&padded.run(&tokens).unwrap(), &logits);
    }
    // The tokenizer is asked for as many as a row has.
    assert_near(&fixed.run("1 2 3 4 5 6 7 8 9 10").unwrap(), &by_hand(&[1, 2, 3, 4, 5, 6, 7, 8]));
}

#[test]
fn masks_and_parts_of_the_tokenizer_are_used() {
    let masked = |text: &str, _: usize| {
        let ids: Vec<i64> = text.split(' ').map(|word| word.parse().unwrap_or(1)).collect();
        let mask: Vec<u32> = ids.iter().map(|id| u32::from(*id != 9)).collect();
        Some(Tokenized::new(ids).with_mask(mask))
    };
    let onnx = Onnx::from_bytes(MEAN, masked, OnnxOptions::default()).unwrap();
    assert_near(&onnx.run("3 9 4 9").unwrap(), &by_hand(&[3, 4]));
    let parts = |text: &str, most: usize| {
        let tokens = numbers(text, most)?;
        let count = i64::try_from(text.split_whitespace().count()).ok()?;
        Some(tokens.with_types((0..count).map(|at| at.min(1))))
    };
    let one = Onnx::from_bytes(ATTENTION, parts, OnnxOptions::default()).unwrap().run("3 4 5").unwrap();
    let other = open(ATTENTION).run("3 4 5").unwrap();
    assert!(one.iter().zip(&other).any(|(one, other)| (one - other).abs() > 1e-3), "{one:?}");
}

#[test]
fn it_is_a_model_like_the_others() {
    let model = open(MEAN).into_model(classes()).unwrap();
    // The logits are 1.45, -3.14 and 0.36.
    let Reading::Read(sentiment) = model.read("1") else { panic!("it is not read") };
    assert_eq!(sentiment.polarity, Polarity::Negative);
    let powers = by_hand(&[1]).into_iter().map(f64::exp).collect::<Vec<_>>();
    let sum: f64 = powers.iter().sum();
    for (chance, power) in sentiment.chances.iter().zip(powers) {
        assert!((chance - power / sum).abs() < 1e-5);
    }
    assert!(model.explain("1").is_none());
    assert_eq!(model.read(" "), Reading::Empty);

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let scope = guardian_core::Scope::system(guardian_core::TenantId::new("acme").unwrap());
        let sentiments = Sentiments::with_model(MemoryStore::new(), Arc::new(model));
        let recorded = sentiments.record(&scope, &Message::new("m", "1").unwrap()).await.unwrap();
        assert_eq!(recorded.entry.polarity(), Some(Polarity::Negative));
    });
}

/// One model serves all threads.
#[test]
fn threads_share_a_model() {
    let onnx = open(ATTENTION);
    let lines = expected("attention");
    std::thread::scope(|threads| {
        for start in 0..4 {
            let (onnx, lines) = (onnx.clone(), &lines);
            threads.spawn(move || {
                for at in 0..60 {
                    let (tokens, logits) = &lines[(start + at) % lines.len()];
                    assert_near(&onnx.run(tokens).unwrap(), logits);
                }
            });
        }
    });
}

#[test]
fn files_are_read_up_to_their_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.onnx");
    let open = |options: OnnxOptions| Onnx::open(&path, numbers, options);
    assert!(matches!(open(OnnxOptions::default()), Err(OnnxError::File { .. })));
    std::fs::write(&path, MEAN).unwrap();
    let size = u64::try_from(MEAN.len()).unwrap();
    assert!(open(OnnxOptions::default().with_most_bytes(size)).is_ok());
    let refused = open(OnnxOptions::default().with_most_bytes(size - 1));
    assert!(matches!(refused, Err(OnnxError::Size { found, .. }) if found == size), "{refused:?}");
    let refused = Onnx::from_bytes(MEAN, numbers, OnnxOptions::default().with_most_bytes(10));
    assert_eq!(refused.unwrap_err().to_string(), format!("a model of `{size}` bytes; at most `10` are read"));
}

#[test]
fn long_texts_are_cut_and_too_many_tokens_refused() {
    let eager = |text: &str, _: usize| numbers(text, usize::MAX);
    let onnx = Onnx::from_bytes(MEAN, eager, OnnxOptions::default().with_most_tokens(10)).unwrap();
    assert!(onnx.run("1 2 3 4 5 6 7 8 9 10").is_ok());
    let refused = onnx.run("1 2 3 4 5 6 7 8 9 10 11");
    assert!(matches!(refused, Err(OnnxError::Tokens { found: 11, most: 10 })), "{refused:?}");
    assert_eq!(onnx.logits("1 2 3 4 5 6 7 8 9 10 11"), None);
    let undetermined = Reading::Unsupported("und".to_owned());
    assert_eq!(onnx.into_model(classes()).unwrap().read("1 2 3 4 5 6 7 8 9 10 11"), undetermined);

    // Of a long text the tokenizer sees the beginning, in whole characters.
    let bytes = |text: &str, most: usize| {
        assert!(text.len() <= 7);
        Some(Tokenized::new(text.chars().map(|letter| i64::from(letter == 'ä')).take(most)))
    };
    let onnx = Onnx::from_bytes(MEAN, bytes, OnnxOptions::default().with_most_text(7)).unwrap();
    assert_near(&onnx.run("ääääääää").unwrap(), &by_hand(&[1, 1, 1]));
}

#[test]
fn tokenizers_that_give_nothing_fitting_are_said() {
    let options = OnnxOptions::default;
    let none = Onnx::from_bytes(MEAN, |_: &str, _: usize| None, options());
    assert!(matches!(none, Err(OnnxError::NoTokens)), "{none:?}");
    let empty = Onnx::from_bytes(MEAN, |_: &str, _: usize| Some(Tokenized::default()), options());
    assert!(matches!(empty, Err(OnnxError::NoTokens)), "{empty:?}");
    let short = |_: &str, _: usize| Some(Tokenized::new([1_i64, 2]).with_mask([1_i64]));
    let short = Onnx::from_bytes(MEAN, short, options());
    assert!(matches!(short, Err(OnnxError::Lengths { tokens: 2, found: 1 })), "{short:?}");
    // A word that the model does not know.
    let onnx = open(MEAN);
    for token in ["32", "4000000000", "-33", "9223372036854775807"] {
        let failed = onnx.run(token);
        assert!(matches!(failed, Err(OnnxError::Run { .. })), "{token}: {failed:?}");
    }
    assert!(onnx.run("31").is_ok(), "a failure is over when it is said");
    // A mask of nothing divides by nothing.
    let nothing = |text: &str, most: usize| {
        let tokens = numbers(text, most)?;
        Some(if text == "0" { tokens.with_mask([0_i64]) } else { tokens })
    };
    let onnx = Onnx::from_bytes(MEAN, nothing, options()).unwrap();
    let failed = onnx.run("0");
    assert!(matches!(failed, Err(OnnxError::NotFinite)), "{failed:?}");
}

#[test]
fn as_many_classes_are_named_as_there_are() {
    let refused = open(MEAN).into_model(Feeling::ALL.map(Class::Feeling)).unwrap_err();
    assert_eq!(refused.to_string(), "the model has `3` classes, and `5` were named");
}

/// The bytes of a model with one name in place of another of the same length.
fn renamed(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while at + from.len() <= bytes.len() {
        if bytes[at..].starts_with(from.as_bytes()) {
            bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        }
        at += 1;
    }
    bytes
}

#[test]
fn models_that_want_or_give_something_else_are_refused() {
    let load = |bytes: &[u8]| Onnx::from_bytes(bytes, numbers, OnnxOptions::default());
    let unknown = load(&renamed(MEAN, "attention_mask", "attention_what")).unwrap_err();
    assert!(matches!(&unknown, OnnxError::Input { name, .. } if name == "attention_what"), "{unknown:?}");
    let unknown = load(&renamed(MEAN, "input_ids", "input_idx")).unwrap_err();
    assert!(matches!(&unknown, OnnxError::Input { name, .. } if name == "input_idx"), "{unknown:?}");

    let named = OnnxOptions::default().with_output("pooled");
    let unknown = Onnx::from_bytes(MEAN, numbers, named).unwrap_err();
    assert_eq!(unknown.to_string(), "the model has no output `pooled`; it has `logits`");
    assert!(Onnx::from_bytes(MEAN, numbers, OnnxOptions::default().with_output("logits")).is_ok());

    let longer = OnnxOptions::default().with_most_tokens(7);
    let refused = Onnx::from_bytes(FIXED, numbers, longer).unwrap_err();
    assert!(matches!(refused, OnnxError::Input { .. }), "{refused:?}");
    let other = OnnxOptions::default().with_most_tokens(9).padded();
    let refused = Onnx::from_bytes(FIXED, numbers, other).unwrap_err();
    assert!(matches!(refused, OnnxError::Input { .. }), "{refused:?}");
    // An operator that nobody has.
    let refused = load(&renamed(MEAN, "ReduceSum", "RedoubSum")).unwrap_err();
    assert!(matches!(refused, OnnxError::Model { .. }), "{refused:?}");
}

/// Whatever becomes of the bytes of a model, it is refused or it runs; nothing panics.
#[test]
fn damaged_models_are_refused_or_run() {
    // The runtime may give up by a panic that is caught: its words are not for the report of the tests.
    let (mut refused, mut run) = (0_u32, 0_u32);
    let mut load = |bytes: &[u8]| match Onnx::from_bytes(bytes, numbers, OnnxOptions::default()) {
        Ok(onnx) => {
            run += 1;
            let _ = onnx.run("1 2 3");
        }
        Err(_) => refused += 1,
    };
    panic::set_hook(Box::new(|_| {}));
    for end in (0..MEAN.len()).step_by(9) {
        load(&MEAN[..end]);
    }
    // Every bit comes by, and each third byte.
    for (turn, at) in (0..MEAN.len()).step_by(3).enumerate() {
        let mut bytes = MEAN.to_vec();
        bytes[at] ^= 1 << (turn % 8);
        load(&bytes);
    }
    drop(panic::take_hook());
    assert!(refused > 200 && run > 0, "{refused} refused, {run} run");
}

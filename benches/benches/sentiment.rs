//! Sentiment: how fast one processor reads, explains and learns, beside another crate.
//!
//! What makes the comparison fair:
//!
//! - All read the same texts of 114 bytes, made of a few hundred sentences as customers write them; what is made of them is
//!   thrown away alike.
//! - `vader-parity` has its lists loaded. It gives VADER's four numbers; `guardian:lexicon` gives the same four, and
//!   `guardian:ensemble` gives chances of three classes and of five types, which is more.
//!
//! What is promised of speed is measured as the suite `sentiment` of `eval` measures it, in processor time of single texts, with the
//! language looked at first, and printed beside its bar.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use guardian_benches::suites::sentiment::speed;
use guardian_sentiment::{Adaptation, English, Ensemble, Lexicon, Linear, Polarity, SentimentModel};

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_500))
        .without_plots()
        .configure_from_args();
    bars();
    usual(&mut criterion);
    long(&mut criterion);
    tenant(&mut criterion);
    promised();
    criterion.final_summary();
}

#[expect(clippy::print_stdout, reason = "bars are reported on standard output")]
fn bars() {
    println!("bar sentiment/read_114_bytes:ensemble vs vader-parity 1");
}

const SUBJECTS: [&str; 8] = [
    "The new dashboard",
    "Your support team",
    "@AcmeHelp my last order",
    "The invoice for March",
    "This app",
    "The delivery to Leeds",
    "My colleague's account",
    "The export to CSV",
];
const VERBS: [&str; 8] = [
    "works great, thank you so much!",
    "hasn't arrived and nobody answers :(",
    "is SO slow today, what a joke!!!",
    "was fixed within an hour, impressive",
    "is not bad but could be clearer",
    "keeps crashing whenever I log in",
    "confuses me: where do I find the settings?",
    "came with number 48213 on Monday",
];
const ENDS: [&str; 6] = [
    "Still waiting for a refund.",
    "I can't complain.",
    "Please see https://example.com/t/98 for details.",
    "Would recommend to anyone 😀",
    "Never again.",
    "Is there a way to change that?",
];

/// Texts of so many bytes, no two alike at the beginning.
fn texts(count: usize, bytes: usize) -> Vec<String> {
    (0..count)
        .map(|at| {
            let mut text = String::new();
            let mut turn = at;
            while text.len() < bytes {
                let pick = |list: &[&str], by: usize| {
                    list.get(turn / by % list.len()).copied().unwrap_or_default().to_owned()
                };
                text += &format!("{} {} {} ", pick(&SUBJECTS, 1), pick(&VERBS, 8), pick(&ENDS, 64));
                turn = turn.wrapping_mul(31).wrapping_add(7);
            }
            let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
            text.truncate(end);
            text
        })
        .collect()
}

fn usual(criterion: &mut Criterion) {
    let texts = texts(256, 114);
    let (ensemble, linear) = (Ensemble::default(), Linear::shipped());
    let (vader, improved) = (Lexicon::vader(), Lexicon::improved());
    let peer = vader_parity::SentimentIntensityAnalyzer::new();
    let mut group = criterion.benchmark_group("read_114_bytes");
    group.throughput(Throughput::Elements(texts.len() as u64));
    group.bench_function("guardian:ensemble", |bencher| {
        bencher.iter(|| texts.iter().for_each(|text| drop(black_box(ensemble.read(text)))));
    });
    group.bench_function("guardian:linear", |bencher| {
        bencher.iter(|| texts.iter().for_each(|text| drop(black_box(linear.read(text)))));
    });
    group.bench_function("guardian:lexicon", |bencher| {
        bencher.iter(|| texts.iter().for_each(|text| _ = black_box(vader.scores(text))));
    });
    group.bench_function("guardian:lexicon_improved", |bencher| {
        bencher.iter(|| texts.iter().for_each(|text| drop(black_box(improved.read(text)))));
    });
    group.bench_function("vs/vader-parity", |bencher| {
        bencher.iter(|| texts.iter().for_each(|text| _ = black_box(peer.polarity_scores(text))));
    });
    group.finish();
    let mut group = criterion.benchmark_group("read_and_explain_114_bytes");
    group.throughput(Throughput::Elements(texts.len() as u64));
    group.bench_function("guardian:ensemble", |bencher| {
        bencher.iter(|| {
            for text in &texts {
                black_box((ensemble.read(text), ensemble.explain(text)));
            }
        });
    });
    group.finish();
}

fn long(criterion: &mut Criterion) {
    let texts = texts(16, 10_000);
    let ensemble = Ensemble::default();
    let peer = vader_parity::SentimentIntensityAnalyzer::new();
    let mut group = criterion.benchmark_group("read_10_kilobytes");
    group.throughput(Throughput::Elements(texts.len() as u64));
    group.bench_function("guardian:ensemble", |bencher| {
        bencher.iter(|| texts.iter().for_each(|text| drop(black_box(ensemble.read(text)))));
    });
    group.bench_function("vs/vader-parity", |bencher| {
        bencher.iter(|| texts.iter().for_each(|text| _ = black_box(peer.polarity_scores(text))));
    });
    group.finish();
}

/// A tenant with five hundred corrections: reading with its own model, and computing that model anew.
fn tenant(criterion: &mut Criterion) {
    let base = Ensemble::default();
    let mut tenant = Adaptation::new(&base);
    let labels = [Polarity::Negative, Polarity::Neutral, Polarity::Positive];
    for (at, text) in texts(500, 114).iter().enumerate() {
        if let Some(label) = labels.get(at % 3) {
            tenant.learn(&at.to_string(), text, *label);
        }
    }
    let (own, texts) = (tenant.model(), texts(256, 114));
    let mut group = criterion.benchmark_group("tenant_of_500_corrections");
    group.bench_function("guardian:read_256", |bencher| {
        bencher.iter(|| texts.iter().for_each(|text| drop(black_box(own.read(text)))));
    });
    group.bench_function("guardian:model", |bencher| bencher.iter(|| black_box(tenant.model())));
    group.finish();
}

/// What is promised, each with its bar: at least so many texts a second, at most so many milliseconds.
#[expect(clippy::print_stdout, reason = "measures are reported on standard output")]
fn promised() {
    let texts = texts(256, 90);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let found = speed(&English(Ensemble::default()), &texts);
    let line = |case: &str, key: &str, value: f64, bar: f64, unit: &str| {
        println!("measure sentiment/{case} {key} {value} {unit}");
        println!("measure sentiment/{case} {key}_bar {bar} {unit}");
    };
    line("read_114_bytes", "a_second", found.reads.round(), 100_000.0, "texts/s");
    line("read_and_explain_114_bytes", "a_second", found.explanations.round(), 40_000.0, "texts/s");
    let thousandths = |value: f64| (value * 1e3).round() / 1e3;
    line("read_10_kilobytes", "p99_of_single_runs", thousandths(found.long_p99), 1.0, "ms");
}

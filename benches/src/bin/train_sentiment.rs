//! `train-sentiment DATA [--research] [OUT]`: trains the sentiment model that the crate ships from the labelled texts in a
//! folder. The same files give the same bytes.
//!
//! Without OUT the model goes to `crates/guardian-sentiment/data/english.model`. With `--research` tweets and airline messages
//! are trained from too; such a model may not be shipped, and OUT must be named.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report goes to standard output and faults to standard error"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use guardian_benches::sentiment::{research_samples, shipped_samples};
use guardian_sentiment::train::{Options, Sample, train};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

const SHIPPED: &str = "crates/guardian-sentiment/data/english.model";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let research = arguments.iter().any(|argument| argument == "--research");
    let paths: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let (data, out) = match (paths.as_slice(), research) {
        ([data], false) => (data, PathBuf::from(SHIPPED)),
        ([data, out], _) => (data, PathBuf::from(out)),
        _ => {
            eprintln!("usage: train-sentiment DATA [OUT]\n       train-sentiment DATA --research OUT");
            return ExitCode::from(2);
        }
    };
    match run(Path::new(data), research, &out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("train-sentiment: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is written into the file about how it came to be.
#[derive(Serialize)]
struct Manifest<'m> {
    name: &'m str,
    language: &'m str,
    may_be_shipped: bool,
    /// Samples of each file.
    files: BTreeMap<String, usize>,
    rows: usize,
    epochs: usize,
    folds: u64,
    costs: [f32; 8],
    bayes: [f32; 8],
    held_out: BTreeMap<String, f64>,
}

fn run(data: &Path, research: bool, out: &Path) -> Result<(), Box<dyn Error>> {
    let mut files = shipped_samples(data)?;
    if research {
        files.extend(research_samples(data)?);
    }
    let counts = files.iter().map(|(name, samples)| (name.clone(), samples.len())).collect();
    let samples: Vec<Sample> = files.into_iter().flat_map(|(_, samples)| samples).collect();
    let options = Options::default();
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg:12} {bar:30} {pos:>4} of {len}  {eta} left") {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar.set_message("training");
    let trained = train(&samples, &options, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let held_out: BTreeMap<String, f64> =
        trained.held_out.iter().map(|(name, value)| (name.clone(), (value * 1e4).round() / 1e4)).collect();
    for (name, value) in &held_out {
        println!("held out: {name} {value}");
    }
    let manifest = Manifest {
        name: if research { "english, for research alone" } else { "english" },
        language: "eng",
        may_be_shipped: !research,
        files: counts,
        rows: options.rows,
        epochs: options.epochs,
        folds: options.folds,
        costs: options.costs,
        bayes: options.bayes,
        held_out,
    };
    let model = trained.model.with_manifest(&serde_json::to_string(&manifest)?)?;
    let bytes = model.to_bytes();
    std::fs::write(out, &bytes)?;
    println!("{} samples, {} bytes to {}", samples.len(), bytes.len(), out.display());
    Ok(())
}

//! `train-sentiment DATA [--research] [--sample N] [--check] [OUT]`: trains the sentiment model that the crate ships from the
//! labelled texts in a folder. The same files give the same bytes.
//!
//! Without OUT the model goes to `crates/guardian-sentiment/data/english.model`. With `--research` tweets and airline messages
//! are trained from too; such a model may not be shipped, and OUT must be named. `--sample N` trains from N of the texts, evenly
//! drawn, always the same; such a model is not to be shipped either. `--check` trains, writes the file, and exits with 1 unless the file
//! scores as the trainer does and a second training gives the same bytes; without OUT the file is removed then.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report goes to standard output and faults to standard error"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use guardian_benches::sentiment::{drawn, research_samples, shipped_samples};
use guardian_benches::trained::{NEAR, NEAR_ON_AVERAGE, compare};
use guardian_sentiment::Linear;
use guardian_sentiment::train::{Options, Sample, Trained, train};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

const SHIPPED: &str = "crates/guardian-sentiment/data/english.model";

const USAGE: &str = "usage: train-sentiment DATA [OUT]
       train-sentiment DATA --research [--sample N] OUT
       train-sentiment DATA --sample N OUT
       train-sentiment DATA [--research] [--sample N] --check [OUT]";

/// What is asked for.
struct Asked {
    data: PathBuf,
    out: Option<PathBuf>,
    is_research: bool,
    sample: Option<usize>,
    is_check: bool,
}

impl Asked {
    fn of(arguments: impl IntoIterator<Item = String>) -> Option<Self> {
        let (mut paths, mut arguments) = (Vec::new(), arguments.into_iter());
        let (mut is_research, mut sample, mut is_check) = (false, None, false);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--research" => is_research = true,
                "--check" => is_check = true,
                "--sample" => sample = Some(arguments.next()?.parse().ok().filter(|count| *count > 0)?),
                option if option.starts_with("--") => return None,
                _ => paths.push(PathBuf::from(argument)),
            }
        }
        let mut paths = paths.into_iter();
        let (data, out) = (paths.next()?, paths.next());
        let is_fit = is_check || out.is_some() || (!is_research && sample.is_none());
        (is_fit && paths.next().is_none()).then_some(Self { data, out, is_research, sample, is_check })
    }

    /// Not of tweets and airline messages, whose terms forbid it, and not of a sample, which makes a poor one.
    fn may_be_shipped(&self) -> bool {
        !self.is_research && self.sample.is_none()
    }

    fn name(&self) -> &'static str {
        match (self.is_research, self.sample) {
            (true, _) => "english, for research alone",
            (false, Some(_)) => "english, of a sample",
            (false, None) => "english",
        }
    }
}

fn main() -> ExitCode {
    let Some(asked) = Asked::of(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&asked) {
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

fn run(asked: &Asked) -> Result<(), Box<dyn Error>> {
    let mut files = shipped_samples(&asked.data)?;
    if asked.is_research {
        files.extend(research_samples(&asked.data)?);
    }
    if let Some(count) = asked.sample {
        drawn(&mut files, count);
    }
    let counts: BTreeMap<String, usize> =
        files.iter().map(|(name, samples)| (name.clone(), samples.len())).collect();
    let samples: Vec<Sample> = files.into_iter().flat_map(|(_, samples)| samples).collect();
    if !asked.may_be_shipped() && asked.out.as_ref().is_some_and(|out| out.ends_with(SHIPPED)) {
        return Err(format!("`{SHIPPED}` is for the model that is shipped").into());
    }
    let trained = model(asked, &counts, &samples)?;
    for (name, value) in &trained.held_out {
        println!("held out: {name} {value:.4}");
    }
    let bytes = trained.model.to_bytes();
    let temporary = || std::env::temp_dir().join(format!("train-sentiment-{}.model", std::process::id()));
    let out = match (&asked.out, asked.is_check) {
        (Some(out), _) => out.clone(),
        (None, true) => temporary(),
        (None, false) => PathBuf::from(SHIPPED),
    };
    std::fs::write(&out, &bytes)?;
    println!("{} samples, {} bytes to {}", samples.len(), bytes.len(), out.display());
    if asked.is_check {
        let checked = check(asked, &counts, &samples, &trained, &out);
        if asked.out.is_none() {
            std::fs::remove_file(&out)?;
        }
        checked?;
    }
    Ok(())
}

/// Trains, and writes into the model how it came to be.
fn model(
    asked: &Asked,
    counts: &BTreeMap<String, usize>,
    samples: &[Sample],
) -> Result<Trained, Box<dyn Error>> {
    let options = Options::default();
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg:12} {bar:30} {pos:>4} of {len}  {eta} left") {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar.set_message("training");
    let mut trained = train(samples, &options, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let rounded = |(name, value): &(String, f64)| (name.clone(), (value * 1e4).round() / 1e4);
    let manifest = Manifest {
        name: asked.name(),
        language: "eng",
        may_be_shipped: asked.may_be_shipped(),
        files: counts.clone(),
        rows: options.rows,
        epochs: options.epochs,
        folds: options.folds,
        costs: options.costs,
        bayes: options.bayes,
        held_out: trained.held_out.iter().map(rounded).collect(),
    };
    trained.model = trained.model.with_manifest(&serde_json::to_string(&manifest)?)?;
    Ok(trained)
}

/// Holds the file against the trainer, and the training against another one.
fn check(
    asked: &Asked,
    counts: &BTreeMap<String, usize>,
    samples: &[Sample],
    trained: &Trained,
    out: &Path,
) -> Result<(), Box<dyn Error>> {
    let bytes = std::fs::read(out)?;
    let loaded = Linear::from_bytes(&bytes)?;
    let found = compare(trained, &loaded, samples)?;
    println!(
        "check: {} texts are read and explained alike by the model in memory and by that of the file",
        found.texts
    );
    println!(
        "check: the trainer's own chances are at most {:.4} (bound {NEAR}) and on average {:.5} (bound {NEAR_ON_AVERAGE}) off, of \
         {} texts; {} are long",
        found.most, found.mean, found.near, found.long
    );
    if model(asked, counts, samples)?.model.to_bytes() != bytes {
        return Err("a second training gives other bytes".into());
    }
    println!("check: a second training gives the same {} bytes", bytes.len());
    Ok(())
}

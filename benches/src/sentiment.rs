//! Labelled texts for training and judging sentiment, as files that are not part of the project.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use guardian_sentiment::Feeling;
use guardian_sentiment::train::{Sample, Source};
use thiserror::Error;

/// Why a file is not read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// It cannot be opened or unpacked.
    #[error("`{path}` cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        source: std::io::Error,
    },
    /// A line has too few fields or an unknown label.
    #[error("`{path}`, line {line}: not what the file is to hold")]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
    },
}

/// The lines of a file of fields.
#[derive(Debug, Clone)]
pub struct Table {
    /// The file.
    pub path: PathBuf,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads `NAME.PART.tsv.gz`, or `NAME.PART.tsv`, of the first of the parts that is there.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn find(folder: &Path, name: &str, parts: &[&str]) -> Result<Option<Self>, DataError> {
        for part in parts {
            for ending in ["tsv.gz", "tsv"] {
                let path = folder.join(format!("{name}.{part}.{ending}"));
                if path.exists() {
                    return Self::read(path).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn read(path: PathBuf) -> Result<Self, DataError> {
        let failed = |source| DataError::File { path: path.clone(), source };
        let mut text = String::new();
        let file = BufReader::new(File::open(&path).map_err(failed)?);
        if path.extension().is_some_and(|ending| ending == "gz") {
            MultiGzDecoder::new(file).read_to_string(&mut text).map_err(failed)?;
        } else {
            BufReader::new(file).read_to_string(&mut text).map_err(failed)?;
        }
        let rows = text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
        Ok(Self { path, rows })
    }

    /// The file's name.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// How many lines it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Makes something of each line; lines of which nothing is to be made are left out.
    ///
    /// # Errors
    /// A line is not what it should be.
    pub fn map<T>(&self, of: impl Fn(&[&str]) -> Option<Option<T>>) -> Result<Vec<T>, DataError> {
        let mut all = Vec::with_capacity(self.rows.len());
        for (at, row) in self.rows.iter().enumerate() {
            let fields: Vec<&str> = row.iter().map(String::as_str).collect();
            match of(&fields) {
                Some(made) => all.extend(made),
                None => return Err(DataError::Line { path: self.path.clone(), line: at + 1 }),
            }
        }
        Ok(all)
    }
}

/// Whether a label of two is the good one.
#[must_use]
pub fn is_good(label: &str) -> Option<bool> {
    match label {
        "pos" => Some(true),
        "neg" => Some(false),
        _ => None,
    }
}

/// 0 for negative, 1 for neutral, 2 for positive.
#[must_use]
pub fn class(label: &str) -> Option<usize> {
    match label {
        "neg" | "negative" => Some(0),
        "neu" | "neutral" => Some(1),
        "pos" | "positive" => Some(2),
        _ => None,
    }
}

/// The type that an emotion of `GoEmotions` belongs to. Surprise and insight are none of the other four.
#[must_use]
pub fn feeling(emotion: &str) -> Option<Feeling> {
    Some(match emotion {
        "admiration" | "amusement" | "approval" | "caring" | "desire" | "excitement" | "gratitude"
        | "joy" | "love" | "optimism" | "pride" | "relief" => Feeling::Satisfied,
        "anger" | "annoyance" | "disapproval" | "disgust" => Feeling::Angry,
        "disappointment" | "embarrassment" | "fear" | "grief" | "nervousness" | "remorse" | "sadness" => {
            Feeling::Disappointed
        }
        "confusion" | "curiosity" => Feeling::Confused,
        "neutral" | "realization" | "surprise" => Feeling::Neutral,
        _ => return None,
    })
}

/// The type of a text with these emotions; the inner `None` where they belong to several.
#[must_use]
pub fn feeling_of(emotions: &str) -> Option<Option<Feeling>> {
    let all: Vec<Feeling> = emotions.split(',').map(feeling).collect::<Option<_>>()?;
    let first = all.first().copied()?;
    Some(all.iter().all(|other| *other == first).then_some(first))
}

/// 0 for negative, 1 for neutral, 2 for positive; the inner `None` where the emotions are of several classes, or of none, as
/// confusion, curiosity, surprise and insight are.
#[must_use]
pub fn emotion_class(emotions: &str) -> Option<Option<usize>> {
    let class = |emotion: &str| {
        Some(match (emotion, feeling(emotion)?) {
            ("neutral", _) => Some(1),
            (_, Feeling::Satisfied) => Some(2),
            (_, Feeling::Angry | Feeling::Disappointed) => Some(0),
            _ => None,
        })
    };
    let all: Vec<Option<usize>> = emotions.split(',').map(class).collect::<Option<_>>()?;
    let first = all.first().copied()?;
    Some(if all.iter().all(|other| *other == first) { first } else { None })
}

/// Sentences of UCI's are few and are judged with care: each counts as often as this.
const UCI_WEIGHT: f64 = 2.0;

/// The tweets of VADER's own data are the only ones that may be trained from.
const VADER_TWEETS_WEIGHT: f64 = 3.0;

/// People judged by a mean from -4 to 4; what is nearer to nought than this is neutral.
const VADER_NEUTRAL: f64 = 0.5;

/// The samples of the model that is shipped, with the files and how many samples each gave. The parts named `train` alone
/// are read, and never those whose licence or origin forbids it: airline messages, tweets of others, ratings of films.
///
/// # Errors
/// A file is missing or not what it should be.
pub fn shipped_samples(folder: &Path) -> Result<Vec<(String, Vec<Sample>)>, DataError> {
    let mut all = Vec::new();
    let polar = |good: bool| if good { 1.0 } else { -1.0 };
    all.push(samples(folder, "sst5", |fields| {
        let [label, text] = fields else { return None };
        let valence = match *label {
            "0" => -1.0,
            "1" => -0.5,
            "2" => 0.0,
            "3" => 0.5,
            "4" => 1.0,
            _ => return None,
        };
        Some(Some(Sample::new(*text, Source::Film).with_valence(valence)))
    })?);
    all.push(samples(folder, "cr", |fields| {
        let [label, text] = fields else { return None };
        Some(Some(Sample::new(*text, Source::Product).with_valence(polar(is_good(label)?))))
    })?);
    all.push(samples(folder, "uci", |fields| {
        let [domain, label, text] = fields else { return None };
        let source = if *domain == "imdb" { Source::Film } else { Source::Product };
        let sample = Sample::new(*text, source).with_valence(polar(is_good(label)?));
        Some(Some(sample.with_weight(UCI_WEIGHT)))
    })?);
    all.push(samples(folder, "mpqa", |fields| {
        let [label, text] = fields else { return None };
        Some(Some(Sample::new(*text, Source::Phrase).with_valence(polar(is_good(label)?))))
    })?);
    all.push(samples(folder, "goemotions", |fields| {
        let [emotions, text] = fields else { return None };
        let mut sample = Sample::new(*text, Source::Social);
        let (feeling, class) = (feeling_of(emotions)?, emotion_class(emotions)?);
        if let Some(feeling) = feeling {
            sample = sample.with_feeling(feeling);
        }
        if let Some(class) = class {
            sample = sample.with_valence([-1.0, 0.0, 1.0].get(class).copied()?);
        }
        Some((feeling.is_some() || class.is_some()).then_some(sample))
    })?);
    all.push(samples(folder, "vader_gt", |fields| {
        let [domain, _, mean, text] = fields else { return None };
        let mean: f64 = mean.parse().ok()?;
        let (source, weight) = match *domain {
            "amazon" => (Source::Product, 1.0),
            "tweets" => (Source::Social, VADER_TWEETS_WEIGHT),
            _ => (Source::News, 1.0),
        };
        let valence = if mean.abs() < VADER_NEUTRAL { 0.0 } else { (mean / 4.0).clamp(-1.0, 1.0) };
        Some(Some(Sample::new(*text, source).with_valence(valence).with_weight(weight)))
    })?);
    Ok(all)
}

/// What a model for research alone may be trained from besides: tweets and airline messages, whose terms forbid more.
///
/// # Errors
/// A file is missing or not what it should be.
pub fn research_samples(folder: &Path) -> Result<Vec<(String, Vec<Sample>)>, DataError> {
    let valence = |label: &str| class(label).and_then(|class| [-1.0, 0.0, 1.0].get(class).copied());
    let tweets = samples(folder, "semeval3", |fields| {
        let [label, text] = fields else { return None };
        Some(Some(Sample::new(*text, Source::Social).with_valence(valence(label)?)))
    })?;
    let airline = samples(folder, "airline", |fields| {
        let [label, _, _, _, _, text] = fields else { return None };
        Some(Some(Sample::new(*text, Source::Social).with_valence(valence(label)?)))
    })?;
    Ok(vec![tweets, airline])
}

/// Leaves so many of all samples, evenly drawn over all files in their order: always the same.
pub fn drawn(files: &mut [(String, Vec<Sample>)], count: usize) {
    let all: usize = files.iter().map(|(_, samples)| samples.len()).sum();
    if count >= all {
        return;
    }
    let mut at = 0;
    for (_, samples) in files {
        samples.retain(|_| {
            at += 1;
            at * count / all > (at - 1) * count / all
        });
    }
}

fn samples(
    folder: &Path,
    name: &str,
    of: impl Fn(&[&str]) -> Option<Option<Sample>>,
) -> Result<(String, Vec<Sample>), DataError> {
    let table = Table::find(folder, name, &["train"])?.ok_or_else(|| DataError::File {
        path: folder.join(format!("{name}.train.tsv.gz")),
        source: std::io::ErrorKind::NotFound.into(),
    })?;
    Ok((table.name(), table.map(of)?))
}

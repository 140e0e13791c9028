//! Classifiers in ONNX files, run by tract in this process.

mod error;
mod network;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

pub use error::OnnxError;
use network::{Network, Row};

use crate::{Class, Classifier, External};

/// Turns texts into what a model was trained on. The crate has no tokenizer of its own, because each model has another: bring the one
/// that belongs to it.
///
/// Closures are tokenizers: `|text: &str, most: usize| Some(Tokenized::new(ids))`.
pub trait Tokenizer: Send + Sync {
    /// The tokens of a text, with those that begin and end it, at most so many: what is longer is to be cut, because only the tokenizer knows
    /// what has to stay at the end. `None` where the text cannot be put in tokens.
    fn tokens(&self, text: &str, most: usize) -> Option<Tokenized>;
}

impl<F: Fn(&str, usize) -> Option<Tokenized> + Send + Sync> Tokenizer for F {
    fn tokens(&self, text: &str, most: usize) -> Option<Tokenized> {
        self(text, most)
    }
}

/// A text in tokens, as a model takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokenized {
    ids: Vec<i64>,
    mask: Option<Vec<i64>>,
    types: Option<Vec<i64>>,
}

impl Tokenized {
    /// The numbers of the tokens in the model's vocabulary. All of them are attended to, and belong to the first part of the text.
    #[must_use]
    pub fn new(ids: impl IntoIterator<Item = impl Into<i64>>) -> Self {
        Self { ids: ids.into_iter().map(Into::into).collect(), mask: None, types: None }
    }

    /// The same with an attention mask: 1 for a token of the text, 0 for one that only fills the row; one for each token.
    #[must_use]
    pub fn with_mask(mut self, mask: impl IntoIterator<Item = impl Into<i64>>) -> Self {
        self.mask = Some(mask.into_iter().map(Into::into).collect());
        self
    }

    /// The same with the part of the text that each token is in: one for each token.
    #[must_use]
    pub fn with_types(mut self, types: impl IntoIterator<Item = impl Into<i64>>) -> Self {
        self.types = Some(types.into_iter().map(Into::into).collect());
        self
    }
}

/// How much of a model and of a text is taken, and how the model is fed.
///
/// ```
/// use guardian_sentiment::OnnxOptions;
///
/// let options = OnnxOptions::default().with_most_tokens(128).with_padding(1);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnnxOptions {
    /// The most bytes that a model may have; 512 MiB by default.
    pub most_bytes: u64,
    /// The most tokens of a text, from 1; 512 by default.
    pub most_tokens: usize,
    /// The most bytes of a text that the tokenizer sees; of longer texts it is given the beginning. 64 KiB by default.
    pub most_text: usize,
    /// Whether each text is filled up to the most tokens, which costs as much for short texts as for long ones, instead of running at its own
    /// length: for models that cannot be prepared for any length. Off by default.
    pub is_padded: bool,
    /// The token that rows are filled up with; 0 by default.
    pub padding: i64,
    /// The output that has the logits; by default the only one, or else the one that is called `logits`.
    pub output: Option<String>,
}

impl Default for OnnxOptions {
    fn default() -> Self {
        Self {
            most_bytes: 512 << 20,
            most_tokens: 512,
            most_text: 64 << 10,
            is_padded: false,
            padding: 0,
            output: None,
        }
    }
}

impl OnnxOptions {
    /// The same with another limit of the model's bytes.
    #[must_use]
    pub fn with_most_bytes(mut self, most: u64) -> Self {
        self.most_bytes = most;
        self
    }

    /// The same with another limit of tokens; 0 is taken as 1.
    #[must_use]
    pub fn with_most_tokens(mut self, most: usize) -> Self {
        self.most_tokens = most.max(1);
        self
    }

    /// The same with another limit of the bytes of a text.
    #[must_use]
    pub fn with_most_text(mut self, most: usize) -> Self {
        self.most_text = most;
        self
    }

    /// The same, filling each text up to the most tokens.
    #[must_use]
    pub fn padded(mut self) -> Self {
        self.is_padded = true;
        self
    }

    /// The same with another token to fill up with.
    #[must_use]
    pub fn with_padding(mut self, token: i64) -> Self {
        self.padding = token;
        self
    }

    /// The same with another output.
    #[must_use]
    pub fn with_output(mut self, name: impl Into<String>) -> Self {
        self.output = Some(name.into());
        self
    }
}

/// A classifier in an ONNX file that the host brings, such as a transformer that was trained for sentiment.
///
/// The model takes rows of token numbers (`input_ids`), and if it likes `attention_mask` and `token_type_ids`, of 32 or 64 bits; a model with a
/// single input may call it anything. It gives one logit for each class, before any softmax. Whether it does is
/// found when it is loaded, by a run on two short texts, and not at the first message. Nothing is downloaded, and no other file is read: a
/// model whose weights lie in files beside it is refused.
///
/// A run takes the processor for as long as it takes, a transformer's milliseconds to hundreds of them, on the thread that asks.
///
/// What is damaged is refused as far as it can be told; a file has no checksum of its own, so that a weight that has changed is a
/// weight. Load models whose origin is known.
///
/// ```
/// use guardian_sentiment::{Class, Onnx, OnnxError, OnnxOptions, Polarity, Reading, SentimentModel, Tokenized};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/onnx/mean.onnx");
/// // Yours, for example of the crate `tokenizers`: the one that belongs to the model.
/// let tokenizer = |text: &str, most: usize| {
///     Some(Tokenized::new(text.bytes().map(|byte| byte % 32).take(most)))
/// };
/// let classes = [Polarity::Negative, Polarity::Neutral, Polarity::Positive].map(Class::Polarity);
/// let model = Onnx::open(path, tokenizer, OnnxOptions::default())?.into_model(classes)?;
/// assert!(matches!(model.read("They never answer."), Reading::Read(_)));
///
/// let damaged = Onnx::from_bytes(b"no model", tokenizer, OnnxOptions::default());
/// assert!(matches!(damaged, Err(OnnxError::Model { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Onnx {
    network: Network,
    tokenizer: Arc<dyn Tokenizer>,
    options: OnnxOptions,
    classes: usize,
}

impl fmt::Debug for Onnx {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Onnx")
            .field("network", &self.network)
            .field("options", &self.options)
            .field("classes", &self.classes)
            .finish_non_exhaustive()
    }
}

/// A model is tried with these when it is loaded: two lengths, because some models run at one alone.
const PROBES: [&str; 2] = ["fine", "It was late, and nobody could tell me why."];

impl Onnx {
    /// Reads the model in a file.
    ///
    /// # Errors
    /// The file cannot be read, or as for [`Self::from_bytes`].
    pub fn open(
        path: impl AsRef<Path>,
        tokenizer: impl Tokenizer + 'static,
        options: OnnxOptions,
    ) -> Result<Self, OnnxError> {
        let path = path.as_ref();
        let failed = |source| OnnxError::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        // What the file system says of its length may be out of date, and of a pipe it says nothing.
        let found = file.metadata().map_err(failed)?.len();
        if found > options.most_bytes {
            return Err(OnnxError::Size { found, most: options.most_bytes });
        }
        let mut bytes = Vec::new();
        file.take(options.most_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        Self::from_bytes(&bytes, tokenizer, options)
    }

    /// Reads a model, prepares it and tries it.
    ///
    /// # Errors
    /// The bytes are too many, or no model that runs; it takes or gives something else than it should; the tokenizer gives nothing
    /// for a short text.
    pub fn from_bytes(
        bytes: &[u8],
        tokenizer: impl Tokenizer + 'static,
        options: OnnxOptions,
    ) -> Result<Self, OnnxError> {
        let found = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if found > options.most_bytes {
            return Err(OnnxError::Size { found, most: options.most_bytes });
        }
        let network = Network::load(bytes, &options)?;
        let mut onnx = Self { network, tokenizer: Arc::new(tokenizer), options, classes: 0 };
        let [short, long] = PROBES;
        onnx.classes = onnx.run(short)?.len();
        let again = onnx.run(long)?.len();
        if again != onnx.classes {
            return Err(OnnxError::Output { shape: vec![1, onnx.classes.max(again)] });
        }
        Ok(onnx)
    }

    /// How many classes the model has.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The model with what its classes mean, in the order of its logits.
    ///
    /// # Errors
    /// There are not as many as the model has.
    pub fn into_model(self, classes: impl Into<Vec<Class>>) -> Result<External<Self>, OnnxError> {
        let classes = classes.into();
        if classes.len() != self.classes {
            return Err(OnnxError::Classes { found: self.classes, named: classes.len() });
        }
        Ok(External::new(self, classes))
    }

    /// The logits of a text, or why there are none. As a [`Classifier`] the model only says that there are none.
    ///
    /// # Errors
    /// The tokenizer gives no tokens or too many, or the model fails or gives something else than finite numbers.
    pub fn run(&self, text: &str) -> Result<Vec<f32>, OnnxError> {
        let most = self.network.length().unwrap_or(self.options.most_tokens);
        let tokenized = self.tokenizer.tokens(beginning(text, self.options.most_text), most);
        let row = self.row(tokenized.ok_or(OnnxError::NoTokens)?, most)?;
        let logits = self.network.run(row)?;
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(OnnxError::NotFinite);
        }
        Ok(logits)
    }

    /// The tokens as the model takes them, filled up if it takes rows of one length.
    fn row(&self, tokenized: Tokenized, most: usize) -> Result<Row, OnnxError> {
        let Tokenized { ids, mask, types } = tokenized;
        let length = ids.len();
        if length == 0 {
            return Err(OnnxError::NoTokens);
        }
        if length > most {
            return Err(OnnxError::Tokens { found: length, most });
        }
        let mask = mask.unwrap_or_else(|| vec![1; length]);
        let types = types.unwrap_or_else(|| vec![0; length]);
        for found in [mask.len(), types.len()] {
            if found != length {
                return Err(OnnxError::Lengths { tokens: length, found });
            }
        }
        let mut row = Row { ids, mask, types };
        if let Some(full) = self.network.length() {
            row.ids.resize(full, self.options.padding);
            row.mask.resize(full, 0);
            row.types.resize(full, 0);
        }
        Ok(row)
    }
}

impl Classifier for Onnx {
    fn logits(&self, text: &str) -> Option<Vec<f32>> {
        self.run(text).ok()
    }
}

/// At most so many bytes of a text, in whole characters.
fn beginning(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

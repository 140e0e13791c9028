use std::error::Error;
use std::path::PathBuf;

use thiserror::Error as ThisError;

/// Why a model in ONNX is refused, or a text has no logits.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file cannot be read.
    #[error("`{path}` cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        source: std::io::Error,
    },
    /// The model is larger than it may be.
    #[error("a model of `{found}` bytes; at most `{most}` are read")]
    Size {
        /// Its bytes.
        found: u64,
        /// The limit.
        most: u64,
    },
    /// The bytes are no model in ONNX, are damaged, lack a file beside them, or use an operator that is not known here.
    #[error("no model that can be run")]
    Model {
        /// What was wrong.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The model wants something that is no row of tokens.
    #[error("the model's input `{name}` is none that can be given: {reason}")]
    Input {
        /// The name of the input.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The model has no output with this name, or several outputs of which none is called so.
    #[error("the model has no output `{name}`; it has `{}`", .found.join("`, `"))]
    NoOutput {
        /// The name.
        name: String,
        /// The outputs that it has.
        found: Vec<String>,
    },
    /// The output is not one row of numbers that is as long for every text.
    #[error("the model's output has the shape `{shape:?}`, which is not one row of classes")]
    Output {
        /// Its shape.
        shape: Vec<usize>,
    },
    /// The model has another number of classes than were named.
    #[error("the model has `{found}` classes, and `{named}` were named")]
    Classes {
        /// The classes of the model.
        found: usize,
        /// The classes that were named.
        named: usize,
    },
    /// The tokenizer gave no tokens for the text.
    #[error("the tokenizer gave no tokens")]
    NoTokens,
    /// The tokenizer gave more tokens than it was asked for.
    #[error("the tokenizer gave `{found}` tokens; at most `{most}` were asked for")]
    Tokens {
        /// Its tokens.
        found: usize,
        /// The limit.
        most: usize,
    },
    /// The tokenizer's mask or parts are not one for each token.
    #[error("the tokenizer gave `{tokens}` tokens, and `{found}` numbers that belong to them")]
    Lengths {
        /// Its tokens.
        tokens: usize,
        /// The numbers.
        found: usize,
    },
    /// A token has a number that the model's input cannot hold.
    #[error("the token `{token}` does not fit the model's input")]
    Token {
        /// The token.
        token: i64,
    },
    /// The model failed on a text: a token that its vocabulary does not have, for example.
    #[error("the model failed")]
    Run {
        /// What was wrong.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The model gave something else than numbers.
    #[error("the model gave a logit that is no finite number")]
    NotFinite,
}

//! Training a model from labelled texts: pure and deterministic, with no files and no clock.
//!
//! Eight heads are trained apart, each a support vector machine over hashed n-grams by dual coordinate descent (Hsieh
//! et al. 2008). A readout then learns, by logistic regression, how far to trust each head and the lists of words; it
//! learns from what the heads say of texts that they were not trained on.

mod document;
mod logistic;
mod pipeline;
mod readouts;
mod svm;
mod verdict;

pub use document::{Sample, Source};
pub use pipeline::{Options, Trained, train};

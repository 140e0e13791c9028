#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod limits;
mod node;
mod scalar;

pub use limits::Limits;
pub use node::{Content, Node};

/// Why a text is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{why}", place(*.line))]
#[non_exhaustive]
pub struct Error {
    /// The line, from 1; 0 where no single line is to blame.
    pub line: usize,
    /// What is wrong there.
    pub why: String,
}

impl Error {
    pub(crate) fn new(line: usize, why: impl Into<String>) -> Self {
        Self { line, why: why.into() }
    }
}

fn place(line: usize) -> String {
    if line == 0 { String::new() } else { format!("line {line}: ") }
}

/// Input as it may be shown in an error: bounded, control characters escaped.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

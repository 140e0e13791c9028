use std::ops::Range;

/// Why a model reads a text as it does: parts of the text with what each adds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// What an empty text would have.
    pub bias: f64,
    /// The parts, in the order of the text. With `bias` their contributions add up to `margin`.
    pub parts: Vec<Part>,
    /// The model's value before it becomes a chance: above zero for good, below for bad.
    pub margin: f64,
}

/// One part of a text and what it adds to the margin.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Part {
    /// The bytes of the caller's text; both ends lie between characters.
    pub span: Range<usize>,
    /// Above zero when it speaks for good.
    pub contribution: f64,
}

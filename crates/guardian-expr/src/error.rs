//! What can go wrong: before an expression runs ([`Error`]) and while it does ([`EvalError`]).

use std::fmt;

use crate::ast::Span;

/// Why an expression or a declaration was refused.
///
/// Shown, it has a line for each fault, the line of the source with carets under the place, and a hint where there is one:
///
/// ```
/// let error = guardian_expr::Env::new().parse("deal.amount = 5").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "1:13: unexpected `=`\n  deal.amount = 5\n              ^\n  hint: equality is written `==`"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    source: String,
    faults: Vec<Fault>,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// What is wrong, in lower case without a full stop.
    pub message: String,
    /// Where in the source.
    pub span: Span,
    /// What was probably meant, where that can be guessed.
    pub hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { message: message.into(), span, hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Error {
    pub(crate) fn new(source: &str, faults: Vec<Fault>) -> Self {
        Self { source: source.to_owned(), faults }
    }

    /// A fault that has no place in a source.
    pub(crate) fn plain(message: impl Into<String>) -> Self {
        Self { source: String::new(), faults: vec![Fault::new(Span::default(), message)] }
    }

    /// The faults in the order of the source; there is at least one.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The line and the column of an offset, both from 1; columns count characters.
    fn place(&self, offset: u32) -> (usize, usize) {
        let before = self.source.get(..(offset as usize).min(self.source.len())).unwrap_or(&self.source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

/// How many characters of a line are shown around a fault.
const WINDOW: usize = 100;

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.faults.iter().enumerate() {
            if number > 0 {
                writeln!(formatter)?;
            }
            if self.source.is_empty() {
                write!(formatter, "{}", fault.message)?;
            } else {
                let (line, column) = self.place(fault.span.start);
                writeln!(formatter, "{line}:{column}: {}", fault.message)?;
                let text: Vec<char> =
                    self.source.split('\n').nth(line - 1).unwrap_or_default().chars().collect();
                let first = (column - 1).saturating_sub(WINDOW / 2);
                let shown: String = text.iter().skip(first).take(WINDOW).collect();
                let long = self.source.get(fault.span.range()).unwrap_or_default();
                let width = long.split('\n').next().unwrap_or_default().chars().count();
                let width = width.clamp(1, (first + WINDOW).saturating_sub(column - 1).max(1));
                writeln!(formatter, "  {}", shown.trim_end_matches('\r'))?;
                write!(formatter, "  {}{}", " ".repeat(column - 1 - first), "^".repeat(width))?;
            }
            if let Some(hint) = &fault.hint {
                write!(formatter, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// What kind of fault an evaluation met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An operator or function got values that it is not defined for.
    NoSuchOverload,
    /// A variable has no value.
    NoSuchVariable,
    /// A map has no such key, an object no such field.
    NoSuchKey,
    /// A function is not known.
    NoSuchFunction,
    /// An index lies outside of a list or text.
    IndexOutOfRange,
    /// A division by zero.
    DivideByZero,
    /// A number or time beyond what its type holds.
    Overflow,
    /// A value that cannot be converted.
    Conversion,
    /// Another argument that a function refuses.
    InvalidArgument,
    /// A function of the host failed.
    Host,
    /// The cost units are used up.
    BudgetExceeded,
    /// More was built than the memory bound allows.
    MemoryExceeded,
    /// The deadline has passed.
    DeadlineExceeded,
    /// The evaluation was cancelled.
    Cancelled,
}

impl ErrorKind {
    /// Whether a limit was met. Such an error ends the evaluation; `&&` and `||` do not absorb it.
    #[must_use]
    pub fn is_limit(self) -> bool {
        matches!(self, Self::BudgetExceeded | Self::MemoryExceeded | Self::DeadlineExceeded | Self::Cancelled)
    }
}

/// Why an evaluation has no value.
///
/// ```
/// use guardian_expr::{Env, ErrorKind};
///
/// let program = Env::new().compile("1 / (2 - 2)")?;
/// let error = program.evaluate(&serde_json::Value::Null).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::DivideByZero);
/// assert_eq!(error.to_string(), "division by zero");
/// # Ok::<(), guardian_expr::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvalError(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    message: String,
    span: Option<Span>,
}

impl EvalError {
    /// An error of this kind. The functions of a host make theirs with it.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), span: None }))
    }

    /// The kind of fault.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The part of the expression that failed, where it is known.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        self.0.span
    }

    pub(crate) fn at(mut self, span: Span) -> Self {
        self.0.span.get_or_insert(span);
        self
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl std::error::Error for EvalError {}

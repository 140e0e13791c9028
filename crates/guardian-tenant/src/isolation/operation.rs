use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use guardian_core::Scope;
use serde::Serialize;
use serde_json::Value;

use super::{Arg, Args, Failure};

/// What an operation returned, as far as a caller can see it.
///
/// ```
/// use guardian_tenant::isolation::Output;
///
/// let page = Output::of(vec!["a", "b"])?.cursor("b").count(2);
/// # let _ = page;
/// # Ok::<(), guardian_tenant::isolation::Failure>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use]
pub struct Output {
    pub(super) value: Value,
    pub(super) count: Option<u64>,
    pub(super) cursor: Option<String>,
    pub(super) export: Vec<u8>,
}

impl Output {
    /// Nothing but success.
    pub fn none() -> Self {
        Self::default()
    }

    /// A result, as JSON.
    ///
    /// # Errors
    /// When it does not serialise.
    pub fn of(result: impl Serialize) -> Result<Self, Failure> {
        Ok(Self { value: serde_json::to_value(result)?, ..Self::default() })
    }

    /// The same with a count: rows found, rows changed, a total.
    pub fn count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// The same with where the next page begins. Other calls get it as [`Arg::Cursor`] of the operation's name.
    pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    /// The same with a file: a CSV, say. Unpack what is packed, or nothing will be found in it.
    pub fn export(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.export = bytes.into();
        self
    }
}

/// How closely what A sees has to be the same as in the world without B.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compare {
    /// All of it, but for arguments, and UUIDs and times that were made in the call.
    Exact,
    /// Whether it succeeded, the count, and the error.
    Shape,
    /// Not at all: for operations that are not repeatable.
    Not,
}

type Running = Pin<Box<dyn Future<Output = Result<Output, Failure>> + Send>>;
type Runner<W> = Arc<dyn Fn(Arc<W>, Scope, Args) -> Running + Send + Sync>;

/// An operation of the host: its name, what it takes, and how it is called.
pub struct Operation<W> {
    pub(super) name: String,
    pub(super) args: Vec<Arg>,
    pub(super) writes: bool,
    pub(super) compare: Compare,
    pub(super) shows: bool,
    run: Runner<W>,
}

impl<W> Operation<W> {
    /// One that reads, and shows the tenant's texts: it is compared exactly, and has to show A's canary at least once.
    #[must_use]
    pub fn read<F, R>(name: &str, args: impl IntoIterator<Item = Arg>, run: F) -> Self
    where
        F: Fn(Arc<W>, Scope, Args) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Output, Failure>> + Send + 'static,
    {
        Self {
            name: name.to_owned(),
            args: args.into_iter().collect(),
            writes: false,
            compare: Compare::Exact,
            shows: true,
            run: Arc::new(move |world, scope, args| Box::pin(run(world, scope, args))),
        }
    }

    /// One that writes: its shape is compared, and B's rows after each call.
    #[must_use]
    pub fn write<F, R>(name: &str, args: impl IntoIterator<Item = Arg>, run: F) -> Self
    where
        F: Fn(Arc<W>, Scope, Args) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Output, Failure>> + Send + 'static,
    {
        Self { writes: true, compare: Compare::Shape, shows: false, ..Self::read(name, args, run) }
    }

    /// The same, compared in another way.
    #[must_use]
    pub fn compared(mut self, compare: Compare) -> Self {
        self.compare = compare;
        self
    }

    /// The same, which never shows a text of the tenant: counts, sums.
    #[must_use]
    pub fn showing_no_text(mut self) -> Self {
        self.shows = false;
        self
    }

    pub(super) fn call(&self, world: Arc<W>, scope: Scope, args: Args) -> Running {
        (self.run)(world, scope, args)
    }
}

impl<W> fmt::Debug for Operation<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("name", &self.name)
            .field("args", &self.args)
            .finish_non_exhaustive()
    }
}

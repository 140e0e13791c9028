use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Error, Rule};
use guardian_core::shorten;

/// A named rule, with what happens in a dry run and when the store is away.
///
/// ```
/// use guardian_ratelimit::{OnStoreError, Policy};
///
/// let policy = Policy::new("per-org", "1000/min burst 200")?
///     .dry_run()
///     .on_store_error(OnStoreError::Closed);
/// assert_eq!(policy.rule().to_string(), "1000/min burst 200");
/// # Ok::<(), guardian_ratelimit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Policy {
    name: PolicyName,
    rule: Rule,
    mode: Mode,
    on_store_error: OnStoreError,
}

impl Policy {
    /// An enforced policy from a name and the text of its rule, see [`Rule`]; when its store fails it decides
    /// by [`OnStoreError::Open`].
    ///
    /// # Errors
    /// When the name or the rule does not parse.
    pub fn new(name: &str, rule: &str) -> Result<Self, Error> {
        Ok(Self::with_rule(name.parse()?, rule.parse()?))
    }

    /// An enforced policy from a rule that exists already.
    pub fn with_rule(name: PolicyName, rule: Rule) -> Self {
        Self { name, rule, mode: Mode::Enforce, on_store_error: OnStoreError::Open }
    }

    /// The same policy, counting as it would but never denying: to try numbers on real traffic.
    pub fn dry_run(mut self) -> Self {
        self.mode = Mode::DryRun;
        self
    }

    /// The same policy with another answer to a store that fails.
    pub fn on_store_error(mut self, answer: OnStoreError) -> Self {
        self.on_store_error = answer;
        self
    }

    /// Its name, which is also its identity in a shared store.
    #[must_use]
    pub fn name(&self) -> &PolicyName {
        &self.name
    }

    /// The rule it was defined with.
    #[must_use]
    #[inline]
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Whether it denies.
    #[must_use]
    #[inline]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What it decides when its store fails.
    #[must_use]
    pub fn store_error_answer(&self) -> OnStoreError {
        self.on_store_error
    }
}

/// Whether a policy denies.
///
/// ```
/// use guardian_ratelimit::{Mode, Policy};
///
/// assert_eq!(Policy::new("trial", "10/s")?.dry_run().mode(), Mode::DryRun);
/// # Ok::<(), guardian_ratelimit::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// It denies what exceeds it.
    Enforce,
    /// It counts and says what it would have denied, and denies nothing. What it would have denied is not
    /// counted, as it would not have been.
    DryRun,
}

/// What a policy decides when its store cannot answer. There is no hidden default: [`Policy::new`] says `Open`.
///
/// ```
/// use std::num::NonZeroU32;
/// use guardian_ratelimit::OnStoreError;
///
/// // Four processes share the limit: each may admit a quarter of it on its own.
/// let quarter = OnStoreError::Local { processes: NonZeroU32::new(4).unwrap() };
/// assert_ne!(quarter, OnStoreError::Open);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnStoreError {
    /// Admit, uncounted: availability over protection.
    Open,
    /// Deny: protection over availability.
    Closed,
    /// Decide in this process's memory against one `processes`th of the rule, see [`Rule::divided`]: the
    /// processes together admit about what the rule says, each remembering only its own part.
    Local {
        /// Among how many processes the rule is divided.
        processes: NonZeroU32,
    },
}

/// The name of a policy: 1 to 64 characters of `A-Z a-z 0-9 . _ -`, so that it can stand in a header field, a
/// Redis key and a metric's label as it is.
///
/// ```
/// use guardian_ratelimit::PolicyName;
///
/// assert_eq!("per-org".parse::<PolicyName>()?.as_str(), "per-org");
/// assert!("per org".parse::<PolicyName>().is_err());
/// # Ok::<(), guardian_ratelimit::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyName(Arc<str>);

impl PolicyName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PolicyName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = |why| Err(Error::InvalidPolicyName { input: shorten(text), why });
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return fault("it must have 1 to 64 bytes");
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
            return fault("it may only have characters of `A-Z a-z 0-9 . _ -`");
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyName({})", self.0)
    }
}

/// A policy of one limiter: small, `Copy`, and what a [`Limit`](crate::Limit) names. Made by
/// [`Limiter::define`](crate::Limiter::define).
///
/// Another limiter refuses it: an id carries six bits of its limiter's number, so that a mix-up among any 64 limiters
/// made in a row is always found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyId(u16);

impl PolicyId {
    /// Enough for [`Limiter::MAX_POLICIES`](crate::Limiter::MAX_POLICIES).
    const INDEX_BITS: u32 = 10;

    pub(crate) fn new(limiter: u16, index: u16) -> Self {
        Self(limiter << Self::INDEX_BITS | index)
    }

    /// The policy's place in this limiter; none that there is if the id is of another limiter.
    #[inline(always)]
    pub(crate) fn place_in(self, limiter: u16) -> usize {
        usize::from(self.0 ^ (limiter << Self::INDEX_BITS))
    }

    #[inline(always)]
    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    #[inline(always)]
    pub(crate) fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    pub(crate) fn number(self) -> u16 {
        self.0 & ((1 << Self::INDEX_BITS) - 1)
    }
}

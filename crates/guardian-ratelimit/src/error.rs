use guardian_core::{StoreError, shorten};

use crate::PolicyName;

/// Why no decision could be made. A denied request is not an error but a [`Decision`](crate::Decision).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text or the numbers of a rule do not make one.
    #[error(transparent)]
    InvalidRule(#[from] InvalidRule),
    /// The text is not a policy name.
    #[error("invalid policy name `{input}`: {why}")]
    InvalidPolicyName {
        /// The text, shortened.
        input: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two policies of one limiter have the same name.
    #[error("the policy `{name}` is defined already: keep its id, or `find` it; `set_rule` changes it")]
    DuplicatePolicy {
        /// The name.
        name: PolicyName,
    },
    /// A limiter holds at most [`Limiter::MAX_POLICIES`](crate::Limiter::MAX_POLICIES).
    #[error("a limiter holds at most {max} policies")]
    TooManyPolicies {
        /// The most.
        max: usize,
    },
    /// The policy belongs to another limiter, or to none.
    #[error("unknown policy `{policy}`: its id is of another limiter; define it on this one")]
    UnknownPolicy {
        /// The name, or the number of an id.
        policy: String,
    },
    /// A check names 1 to [`Limiter::MAX_LIMITS`](crate::Limiter::MAX_LIMITS) limits.
    #[error("a check names 1 to {max} limits, this one names {given}")]
    LimitCount {
        /// How many it named.
        given: usize,
        /// The most.
        max: usize,
    },
    /// One check names the same policy twice for the same subject.
    #[error("the limit `{policy}` is named twice for one subject: add the costs")]
    DuplicateLimit {
        /// The policy.
        policy: PolicyName,
    },
    /// A limit's cost is 0.
    #[error("the limit `{policy}` has cost 0: leave it out, or peek")]
    ZeroCost {
        /// The policy.
        policy: PolicyName,
    },
    /// A subject's text is longer than [`Subject::MAX_LEN`](crate::Subject::MAX_LEN) bytes.
    #[error("the subject of `{policy}` has {len} bytes, the most is {max}")]
    SubjectTooLong {
        /// The policy.
        policy: PolicyName,
        /// Its length in bytes.
        len: usize,
        /// The most.
        max: usize,
    },
    /// A concurrency limit was checked without taking a permit.
    #[error("the policy `{policy}` limits concurrency: use `acquire`, which gives a permit to hold")]
    PermitNeeded {
        /// The policy.
        policy: PolicyName,
    },
    /// A live change would turn one algorithm into another, which cannot carry the state over.
    #[error("the policy `{policy}` is `{old}` and cannot become `{new}` while it runs: define a new policy")]
    AlgorithmChange {
        /// The policy.
        policy: PolicyName,
        /// The rule it has.
        old: String,
        /// The rule it was to have.
        new: String,
    },
    /// The store failed, and the call has no policy that says what happens then.
    #[error("the rate limit state is not reachable")]
    Store(#[from] StoreError),
}

/// A rule that does not read, or whose numbers are out of range; says which and why.
///
/// ```
/// let error = "100/min bursts 5".parse::<guardian_ratelimit::Rule>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "invalid rule `100/min bursts 5`: unknown word `bursts`; expected `burst N`, `sliding` or `fixed` at byte 8",
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid rule `{input}`: {why}")]
pub struct InvalidRule {
    input: String,
    why: String,
}

impl InvalidRule {
    pub(crate) fn new(input: impl AsRef<str>, why: impl Into<String>) -> Self {
        Self { input: shorten(input.as_ref()), why: why.into() }
    }

    pub(crate) fn why(&self) -> &str {
        &self.why
    }
}

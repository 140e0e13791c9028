use std::fmt;

use serde::Serialize;

use crate::{Effect, RuleId};

/// What was decided, and why. A denial is a decision, not an error.
///
/// ```
/// use guardian_ipaccess::{AccessPolicy, AccessRequest, CompiledPolicy, Defaults, Reason};
///
/// let policy = AccessPolicy::parse("deny 192.0.2.0/24", Defaults::open())?;
/// let compiled = CompiledPolicy::new(policy);
/// let decision = compiled.decide(&AccessRequest::new("192.0.2.7".parse()?, "2026-03-01T12:00:00Z".parse()?));
/// assert!(!decision.is_allowed());
/// assert_eq!(decision.reason(), Reason::Rule(compiled.policy().rules()[0].id));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[must_use = "a decision that nobody looks at keeps nobody out"]
pub struct Decision {
    pub(crate) effect: Effect,
    pub(crate) reason: Reason,
    pub(crate) dry_run: bool,
}

/// What a decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// A rule about the address, or what is known about it.
    Rule(RuleId),
    /// A rule that denies the IPv4 address inside the IPv6 address.
    Embedded(RuleId),
    /// No rule was about it.
    NoRule,
    /// Rules are about countries, and the address's is not known.
    UnknownCountry,
    /// The client's address is not known.
    Unparsable,
    /// Rules ask for a database that is not there.
    NoDatabase,
    /// Rules ask for a database that is too old.
    StaleDatabase,
    /// An emergency override lets somebody in whom a rule keeps out.
    BreakGlass,
}

impl Decision {
    pub(crate) const fn new(effect: Effect, reason: Reason) -> Self {
        Self { effect, reason, dry_run: false }
    }

    /// Whether the request may go on: nothing denies it, or denials are only reported.
    #[inline]
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.effect == Effect::Allow || self.dry_run
    }

    /// Whether rules deny it, even where denials are only reported: what a dry run is about.
    #[inline]
    #[must_use]
    pub fn denies(&self) -> bool {
        self.effect == Effect::Deny
    }

    /// What the rules say, whether or not it is carried out.
    #[inline]
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// What it rests on.
    #[inline]
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The rule that it rests on.
    #[inline]
    #[must_use]
    pub fn rule(&self) -> Option<RuleId> {
        match self.reason {
            Reason::Rule(rule) | Reason::Embedded(rule) => Some(rule),
            _ => None,
        }
    }

    /// Whether denials are only reported.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.effect, self.reason)?;
        if self.dry_run && self.denies() { f.write_str(" (dry run: let in)") } else { Ok(()) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => write!(f, "rule {rule}"),
            Self::Embedded(rule) => write!(f, "rule {rule}, about the IPv4 address inside"),
            Self::NoRule => f.write_str("default: no rule is about it"),
            Self::UnknownCountry => f.write_str("default: its country is not known"),
            Self::Unparsable => f.write_str("default: the client's address is not known"),
            Self::NoDatabase => f.write_str("default: there is no database to ask"),
            Self::StaleDatabase => f.write_str("default: the database is too old"),
            Self::BreakGlass => f.write_str("an emergency override"),
        }
    }
}

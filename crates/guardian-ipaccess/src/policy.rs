//! The rules of a tenant, and what holds where no rule does.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Country, Effect, Region, Rule, RuleId, Target};

/// What holds where no rule does. There is no default of these defaults: whoever makes a policy says which side it errs on.
///
/// ```
/// use guardian_ipaccess::{Defaults, Effect};
///
/// let defaults = Defaults { unknown_country: Effect::Deny, ..Defaults::open() };
/// assert_eq!(defaults.no_rule, Effect::Allow);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "hosts write it down in full; a new field is theirs to decide")]
pub struct Defaults {
    /// No rule is about the address.
    pub no_rule: Effect,
    /// There are rules about countries, none of the others decides, and the country of the address is not known.
    pub unknown_country: Effect,
    /// The client's address is not known: the server has no peer address, or a proxy reported nonsense.
    pub unparsable: Effect,
    /// Rules ask for a database that is not there.
    pub no_database: Effect,
    /// Rules ask for a database that is older than it may be.
    pub stale_database: OnStale,
}

/// What an old geography database is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "believe it, or decide without it one way or the other")]
pub enum OnStale {
    /// It is believed as if it were new.
    Believe,
    /// The request may go on unless a rule that needs no database denies it.
    Allow,
    /// The request is denied unless a rule about addresses allows it.
    Deny,
}

impl Defaults {
    /// Everybody may come who is not kept out.
    #[must_use]
    pub const fn open() -> Self {
        Self {
            no_rule: Effect::Allow,
            unknown_country: Effect::Allow,
            unparsable: Effect::Allow,
            no_database: Effect::Allow,
            stale_database: OnStale::Believe,
        }
    }

    /// Nobody may come who is not let in.
    #[must_use]
    pub const fn closed() -> Self {
        Self {
            no_rule: Effect::Deny,
            unknown_country: Effect::Deny,
            unparsable: Effect::Deny,
            no_database: Effect::Deny,
            stale_database: OnStale::Deny,
        }
    }
}

/// The rules of one tenant: data, which is stored, shown, imported and exported. [Compiled](crate::CompiledPolicy) it decides.
///
/// # Which rule wins
/// Rules that do not hold for the request (expired, at another hour, for somebody else) are left out. Then
/// 1. of the rules about networks and ranges that contain the address, the one with the longest prefix wins; deny beats allow
///    where prefixes are equally long;
/// 2. if there is none, of the rules about countries, regions, autonomous systems and anonymisers any that denies wins, then any
///    that allows;
/// 3. if there is none, the [`Defaults`] hold.
///
/// An IPv6 address that carries an IPv4 address (NAT64, 6to4, Teredo) is denied besides where the address in it is denied by a rule.
///
/// ```
/// use guardian_ipaccess::{AccessPolicy, Defaults};
///
/// let policy = AccessPolicy::parse("
///     default deny
///     allow 192.0.2.0/24        # office
///     deny  192.0.2.66          # the printer
///     allow country DE
///     deny  anonymizer tor
/// ", Defaults::closed())?;
/// assert_eq!(policy.rules().len(), 4);
/// # Ok::<(), guardian_ipaccess::PolicyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessPolicy {
    pub(crate) defaults: Defaults,
    /// Denials are only reported.
    #[serde(default)]
    pub(crate) dry_run: bool,
    #[serde(default)]
    pub(crate) regions: Vec<Region>,
    pub(crate) rules: Vec<Rule>,
    /// The number of the next rule.
    #[serde(default)]
    pub(crate) next: u32,
}

/// Why a policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A line, or a row, that is none.
    #[error("line {line}: {why}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// More rules than a policy may have.
    #[error("more than {max} rules")]
    TooManyRules {
        /// How many it may have.
        max: usize,
    },
    /// More rules about ranges than a policy may have.
    #[error("more than {max} rules about ranges")]
    TooManyRanges {
        /// How many it may have.
        max: usize,
    },
    /// More text than is read.
    #[error("more than {max} bytes")]
    TooLong {
        /// How much is read.
        max: usize,
    },
    /// A rule about a region that the policy does not have.
    #[error("rule {rule} is about the region `{region}`, which the policy does not define")]
    UnknownRegion {
        /// The rule.
        rule: RuleId,
        /// The region.
        region: String,
    },
    /// Two rules, or two regions, of one name.
    #[error("{what} `{name}` is there twice")]
    Twice {
        /// A rule, or a region.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// No such rule.
    #[error("there is no rule {rule}")]
    UnknownRule {
        /// The rule.
        rule: RuleId,
    },
    /// A label, an owner or a name that is too long or has control characters.
    #[error("the {what} `{input}` has control characters or more than {max} characters")]
    Text {
        /// What it is.
        what: &'static str,
        /// What was given, at most 64 characters of it.
        input: String,
        /// How long it may be.
        max: usize,
    },
    /// A document that is no policy.
    #[error("the document is no policy: {why}")]
    Json {
        /// What is wrong.
        why: String,
    },
}

impl AccessPolicy {
    /// The most rules of a policy.
    pub const MAX_RULES: usize = 200_000;
    /// The most rules about ranges, each of which can be as many as 254 networks.
    pub const MAX_RANGES: usize = 2_000;
    /// The most bytes of a text that is read.
    pub const MAX_BYTES: usize = 32 << 20;
    /// The most characters of a label, an owner, or a name.
    pub const MAX_TEXT: usize = 256;

    /// A policy without rules, which knows the regions `EU` and `EEA`.
    #[must_use]
    pub fn new(defaults: Defaults) -> Self {
        Self {
            defaults,
            dry_run: false,
            regions: vec![Region::eu(), Region::eea()],
            rules: Vec::new(),
            next: 1,
        }
    }

    /// Adds a rule; its number.
    ///
    /// # Errors
    /// When the policy is full, the rule's texts are too long, or it is about a region that the policy does not have.
    pub fn add(&mut self, mut rule: Rule) -> Result<RuleId, PolicyError> {
        if self.rules.len() >= Self::MAX_RULES || self.next >= RuleId::END {
            return Err(PolicyError::TooManyRules { max: Self::MAX_RULES });
        }
        if matches!(rule.target, Target::Range(_)) && self.ranges() >= Self::MAX_RANGES {
            return Err(PolicyError::TooManyRanges { max: Self::MAX_RANGES });
        }
        rule.id = RuleId::new(self.next);
        self.check_rule(&rule)?;
        self.next += 1;
        let id = rule.id;
        self.rules.push(rule);
        Ok(id)
    }

    fn ranges(&self) -> usize {
        self.rules.iter().filter(|rule| matches!(rule.target, Target::Range(_))).count()
    }

    /// Takes a rule out.
    ///
    /// # Errors
    /// When there is none of this number.
    pub fn remove(&mut self, id: RuleId) -> Result<Rule, PolicyError> {
        let place =
            self.rules.iter().position(|rule| rule.id == id).ok_or(PolicyError::UnknownRule { rule: id })?;
        Ok(self.rules.remove(place))
    }

    /// Gives a region a name that rules may use, or another content.
    ///
    /// # Errors
    /// When its name is none: letters, digits, `-` and `_`, at most 64.
    pub fn define_region(&mut self, region: Region) -> Result<(), PolicyError> {
        if !crate::rule::is_name(region.name()) {
            let input = guardian_core::shorten(region.name());
            return Err(PolicyError::Text { what: "region", input, max: 64 });
        }
        self.regions.retain(|other| other.name() != region.name());
        self.regions.push(region);
        Ok(())
    }

    /// The rules in the order in which they were added.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of a number.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        // Numbers only grow.
        self.rules.binary_search_by_key(&id, |rule| rule.id).ok().and_then(|place| self.rules.get(place))
    }

    /// The regions that rules may name.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// What holds where no rule does.
    #[must_use]
    pub fn defaults(&self) -> Defaults {
        self.defaults
    }

    /// Changes what holds where no rule does.
    pub fn set_defaults(&mut self, defaults: Defaults) {
        self.defaults = defaults;
    }

    /// Whether denials are only reported.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Whether denials are only reported: to see what rules would do before they do it.
    pub fn set_dry_run(&mut self, dry_run: bool) {
        self.dry_run = dry_run;
    }

    /// The countries that a target is about.
    pub(crate) fn countries_of<'p>(&'p self, target: &'p Target) -> &'p [Country] {
        match target {
            Target::Country(country) => std::slice::from_ref(country),
            Target::Region(name) => self.region(name).map(Region::countries).unwrap_or_default(),
            _ => &[],
        }
    }

    fn region(&self, name: &str) -> Option<&Region> {
        self.regions.iter().find(|region| region.name() == name)
    }

    /// Reads a policy as JSON, as it is written by `serde_json`.
    ///
    /// # Errors
    /// When it is none, or breaks a bound that [`add`](Self::add) would not let it break.
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        if text.len() > Self::MAX_BYTES {
            return Err(PolicyError::TooLong { max: Self::MAX_BYTES });
        }
        let mut policy: Self =
            serde_json::from_str(text).map_err(|error| PolicyError::Json { why: error.to_string() })?;
        policy.number_anew_where_needed()?;
        Ok(policy)
    }

    /// Holds a policy that was read against the bounds, and numbers its rules if they have no numbers.
    pub(crate) fn number_anew_where_needed(&mut self) -> Result<(), PolicyError> {
        if self.rules.len() > Self::MAX_RULES {
            return Err(PolicyError::TooManyRules { max: Self::MAX_RULES });
        }
        if self.ranges() > Self::MAX_RANGES {
            return Err(PolicyError::TooManyRanges { max: Self::MAX_RANGES });
        }
        let mut names = BTreeSet::new();
        for region in std::mem::take(&mut self.regions) {
            if !names.insert(region.name().to_owned()) {
                return Err(PolicyError::Twice { what: "region", name: region.name().to_owned() });
            }
            // Sorted, whatever order it was written in.
            self.define_region(Region::new(region.name(), region.countries().iter().copied()))?;
        }
        let unnumbered = |rule: &Rule| rule.id.number() == 0;
        if self.rules.iter().all(unnumbered) {
            for (rule, number) in self.rules.iter_mut().zip(1..) {
                rule.id = RuleId::new(number);
            }
        }
        self.rules.sort_by_key(|rule| rule.id);
        for pair in self.rules.windows(2) {
            if let [one, other] = pair
                && one.id == other.id
            {
                return Err(PolicyError::Twice { what: "rule", name: other.id.to_string() });
            }
        }
        for rule in &self.rules {
            self.check_rule(rule)?;
        }
        if self.rules.last().is_some_and(|rule| rule.id.number() >= RuleId::END) {
            return Err(PolicyError::TooManyRules { max: Self::MAX_RULES });
        }
        let after = self.rules.last().map_or(1, |rule| rule.id.number().saturating_add(1));
        self.next = self.next.max(after);
        Ok(())
    }

    fn check_rule(&self, rule: &Rule) -> Result<(), PolicyError> {
        use crate::Applies::{ApiKey, Everyone, Role, Route, User};
        let whom = match &rule.applies {
            Everyone => "",
            User(name) | Role(name) | ApiKey(name) | Route(name) => name,
        };
        for (what, text) in [("label", rule.label.as_str()), ("owner", &rule.owner), ("name", whom)] {
            if text.chars().count() > Self::MAX_TEXT || text.chars().any(char::is_control) {
                let input = text.chars().take(64).flat_map(char::escape_debug).collect();
                return Err(PolicyError::Text { what, input, max: Self::MAX_TEXT });
            }
        }
        match &rule.target {
            Target::Region(name) if self.region(name).is_none() => {
                Err(PolicyError::UnknownRegion { rule: rule.id, region: name.clone() })
            }
            _ => Ok(()),
        }
    }
}

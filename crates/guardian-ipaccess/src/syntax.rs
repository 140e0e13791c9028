//! Policies as text, one rule a line.

#[cfg(feature = "csv")]
mod csv;

use std::fmt;

use guardian_core::Timestamp;

use crate::{
    AccessPolicy, Applies, Country, Defaults, Effect, OnStale, PolicyError, Region, Rule, Schedule, Target,
};

impl AccessPolicy {
    /// Reads a policy as people write it, a rule or a setting a line; `#` begins a comment, which is the rule's label.
    ///
    /// ```text
    /// default deny                      # the same for `unknown country`, `unparsable`, `no database`
    /// stale database believe            # or allow, or deny
    /// region DACH = DE AT CH
    /// dry run
    /// allow 192.0.2.0/24                # office
    /// allow 198.51.100.7-198.51.100.20 for role support until 2026-12-31T00:00:00Z owner ann
    /// allow region DACH during Mon-Fri 08:00-18:00 Europe/Berlin
    /// deny asn 64496 for route /admin
    /// deny anonymizer tor
    /// ```
    ///
    /// Names with blanks are written in double quotes. Settings that the text does not have are those of `defaults`.
    ///
    /// # Errors
    /// The first line that is none, with its number; too much text or too many rules.
    pub fn parse(text: &str, defaults: Defaults) -> Result<Self, PolicyError> {
        Self::read(text, defaults, false)
    }

    /// Reads rules and regions alone, for adding them to a policy: a setting of the whole policy is none of them.
    ///
    /// # Errors
    /// As for [`Self::parse`]; and the first line that is a setting, with its number.
    pub fn parse_rules(text: &str, defaults: Defaults) -> Result<Self, PolicyError> {
        Self::read(text, defaults, true)
    }

    fn read(text: &str, defaults: Defaults, has_no_settings: bool) -> Result<Self, PolicyError> {
        if text.len() > Self::MAX_BYTES {
            return Err(PolicyError::TooLong { max: Self::MAX_BYTES });
        }
        let mut policy = Self::new(defaults);
        for (line, number) in text.lines().zip(1..) {
            policy.read_line(line, has_no_settings).map_err(|why| match why {
                Wrong::Line(why) => PolicyError::Line { line: number, why },
                Wrong::Policy(error @ PolicyError::TooManyRules { .. }) => error,
                Wrong::Policy(error) => PolicyError::Line { line: number, why: error.to_string() },
            })?;
        }
        Ok(policy)
    }

    /// Adds what a plain list names, an address, network or range a line, with this effect; how many. `#` begins a comment, which
    /// is the rule's label.
    ///
    /// ```
    /// use guardian_ipaccess::{AccessPolicy, Defaults, Effect};
    ///
    /// let mut policy = AccessPolicy::new(Defaults::open());
    /// assert_eq!(policy.add_list("192.0.2.0/24\n\n198.51.100.7 # scanner\n", Effect::Deny)?, 2);
    /// # Ok::<(), guardian_ipaccess::PolicyError>(())
    /// ```
    ///
    /// # Errors
    /// The first line that is none, with its number; nothing is added then.
    pub fn add_list(&mut self, text: &str, effect: Effect) -> Result<usize, PolicyError> {
        if text.len() > Self::MAX_BYTES {
            return Err(PolicyError::TooLong { max: Self::MAX_BYTES });
        }
        let (before, next) = (self.rules.len(), self.next);
        for (line, number) in text.lines().zip(1..) {
            let (target, label) = split_label(line);
            if target.is_empty() {
                continue;
            }
            let added = target.parse::<Target>().map_err(|error| error.to_string()).and_then(|target| {
                self.add(Rule::new(effect, target).labelled(label)).map_err(|error| error.to_string())
            });
            if let Err(why) = added {
                self.rules.truncate(before);
                self.next = next;
                return Err(PolicyError::Line { line: number, why });
            }
        }
        Ok(self.rules.len() - before)
    }

    fn read_line(&mut self, line: &str, has_no_settings: bool) -> Result<(), Wrong> {
        let (statement, label) = split_label(line);
        if statement.is_empty() {
            return Ok(());
        }
        let words = words(statement)?;
        let mut words = words.iter().map(String::as_str);
        match words.next() {
            Some("allow") => {
                self.add(read_rule(Effect::Allow, words, label)?).map(drop).map_err(Wrong::Policy)
            }
            Some("deny") => self.add(read_rule(Effect::Deny, words, label)?).map(drop).map_err(Wrong::Policy),
            Some("region") => self.read_region(words),
            _ => {
                self.read_setting(statement)?;
                if has_no_settings {
                    let statement = guardian_core::shorten(statement);
                    return Err(Wrong::line(format!(
                        "`{statement}` is a setting of the whole policy, and no rule that is added"
                    )));
                }
                Ok(())
            }
        }
    }

    fn read_region<'w>(&mut self, mut words: impl Iterator<Item = &'w str>) -> Result<(), Wrong> {
        let (Some(name), Some("=")) = (words.next(), words.next()) else {
            return Err(Wrong::line("a region is written as `region NAME = DE AT`"));
        };
        let countries = words.map(str::parse::<Country>).collect::<Result<Vec<_>, _>>();
        let countries = countries.map_err(|error| Wrong::line(error.to_string()))?;
        self.define_region(Region::new(name, countries)).map_err(Wrong::Policy)
    }

    fn read_setting(&mut self, statement: &str) -> Result<(), Wrong> {
        if statement == "dry run" {
            self.dry_run = true;
            return Ok(());
        }
        let (name, value) = statement.rsplit_once(char::is_whitespace).unwrap_or((statement, ""));
        let effect = match value {
            "allow" => Some(Effect::Allow),
            "deny" => Some(Effect::Deny),
            _ => None,
        };
        let defaults = &mut self.defaults;
        match (name.trim_end(), effect) {
            ("default", Some(effect)) => defaults.no_rule = effect,
            ("unknown country", Some(effect)) => defaults.unknown_country = effect,
            ("unparsable", Some(effect)) => defaults.unparsable = effect,
            ("no database", Some(effect)) => defaults.no_database = effect,
            ("stale database", Some(Effect::Allow)) => defaults.stale_database = OnStale::Allow,
            ("stale database", Some(Effect::Deny)) => defaults.stale_database = OnStale::Deny,
            ("stale database", None) if value == "believe" => defaults.stale_database = OnStale::Believe,
            _ => {
                let statement = guardian_core::shorten(statement);
                return Err(Wrong::line(format!("`{statement}` is neither a rule nor a setting")));
            }
        }
        Ok(())
    }
}

/// A rule from the words behind its effect.
fn read_rule<'w>(effect: Effect, words: impl Iterator<Item = &'w str>, label: &str) -> Result<Rule, Wrong> {
    let mut words = words.peekable();
    let mut target = words.next().ok_or_else(|| Wrong::line("the rule is about nothing"))?.to_owned();
    if matches!(target.as_str(), "asn" | "country" | "region" | "anonymizer") {
        target.push(' ');
        target.push_str(words.next().ok_or_else(|| Wrong::line(format!("`{target}` needs a name")))?);
    }
    let mut rule =
        Rule::new(effect, target.parse::<Target>().map_err(|error| Wrong::line(error.to_string()))?);
    rule.label = label.to_owned();
    while let Some(word) = words.next() {
        let mut next = || words.next().ok_or_else(|| Wrong::line(format!("nothing follows `{word}`")));
        match word {
            "for" => {
                let kind = next()?;
                let applies = match kind {
                    "user" => Applies::User,
                    "role" => Applies::Role,
                    "key" => Applies::ApiKey,
                    "route" => Applies::Route,
                    _ => {
                        let kind = guardian_core::shorten(kind);
                        return Err(Wrong::line(format!(
                            "`for {kind}` is not user, role, key or route: write `for user {kind}`"
                        )));
                    }
                };
                let nobody = || Wrong::line(format!("`for {kind}` needs a name"));
                rule.applies = applies(words.next().ok_or_else(nobody)?.to_owned());
            }
            "until" => {
                let time = next()?;
                let wrong = || Wrong::line(format!("`{time}` is no time such as `2026-12-31T00:00:00Z`"));
                rule.expires = Some(time.parse::<Timestamp>().map_err(|_| wrong())?);
            }
            "during" => {
                let mut part = || {
                    let whole =
                        "`during` needs days, hours and a zone, as in `Mon-Fri 08:00-18:00 Europe/Berlin`";
                    words.next().ok_or_else(|| Wrong::line(whole))
                };
                let schedule = [part()?, part()?, part()?].join(" ");
                rule.schedule =
                    Some(schedule.parse::<Schedule>().map_err(|error| Wrong::line(error.to_string()))?);
            }
            "owner" => rule.owner = next()?.to_owned(),
            _ => return Err(Wrong::line(format!("`{word}` is not for, until, during or owner"))),
        }
    }
    Ok(rule)
}

/// What is wrong with a line.
enum Wrong {
    Line(String),
    Policy(PolicyError),
}

impl Wrong {
    fn line(why: impl Into<String>) -> Self {
        Self::Line(why.into())
    }
}

/// The statement and the comment behind it. A `#` within quotes begins none.
fn split_label(line: &str) -> (&str, &str) {
    let mut quoted = false;
    let at = line.char_indices().find(|(_, char)| {
        quoted ^= *char == '"';
        *char == '#' && !quoted
    });
    match at.and_then(|(at, _)| line.split_at_checked(at)) {
        Some((statement, label)) => (statement.trim(), label.trim_start_matches('#').trim()),
        None => (line.trim(), ""),
    }
}

/// The words of a statement; within double quotes blanks are part of a word, and `""` is a quote.
fn words(statement: &str) -> Result<Vec<String>, Wrong> {
    let (mut words, mut word, mut quoted, mut open) = (Vec::new(), String::new(), false, false);
    let mut chars = statement.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                word.push('"');
            }
            '"' => (quoted, open) = (!quoted, true),
            _ if char.is_whitespace() && !quoted => {
                if open {
                    words.push(std::mem::take(&mut word));
                    open = false;
                }
            }
            _ => {
                word.push(char);
                open = true;
            }
        }
    }
    if quoted {
        return Err(Wrong::line("a quote is not closed"));
    }
    if open {
        words.push(word);
    }
    Ok(words)
}

impl Applies {
    /// What it names, and of which kind that is.
    fn named(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Everyone => None,
            Self::User(name) => Some(("user", name)),
            Self::Role(name) => Some(("role", name)),
            Self::ApiKey(name) => Some(("key", name)),
            Self::Route(name) => Some(("route", name)),
        }
    }
}

fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

/// A name as the syntax wants it.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = !self.0.is_empty()
            && !self.0.contains(|char: char| char.is_whitespace() || char == '"' || char == '#');
        if plain { f.write_str(self.0) } else { write!(f, "\"{}\"", self.0.replace('"', "\"\"")) }
    }
}

/// As [`AccessPolicy::parse`] reads it.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.effect, self.target)?;
        if let Some((kind, name)) = self.applies.named() {
            write!(f, " for {kind} {}", Quoted(name))?;
        }
        if let Some(expires) = self.expires {
            write!(f, " until {}", time(expires))?;
        }
        if let Some(schedule) = self.schedule {
            write!(f, " during {schedule}")?;
        }
        if !self.owner.is_empty() {
            write!(f, " owner {}", Quoted(&self.owner))?;
        }
        if self.label.is_empty() { Ok(()) } else { write!(f, " # {}", self.label) }
    }
}

/// As [`AccessPolicy::parse`] reads it. The numbers of rules are not written.
impl fmt::Display for AccessPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Defaults { no_rule, unknown_country, unparsable, no_database, stale_database } = self.defaults;
        writeln!(f, "default {no_rule}\nunknown country {unknown_country}\nunparsable {unparsable}")?;
        let stale = match stale_database {
            OnStale::Believe => "believe",
            OnStale::Allow => "allow",
            OnStale::Deny => "deny",
        };
        writeln!(f, "no database {no_database}\nstale database {stale}")?;
        if self.dry_run {
            writeln!(f, "dry run")?;
        }
        for region in &self.regions {
            write!(f, "region {} =", region.name())?;
            region.countries().iter().try_for_each(|country| write!(f, " {country}"))?;
            writeln!(f)?;
        }
        self.rules.iter().try_for_each(|rule| writeln!(f, "{rule}"))
    }
}

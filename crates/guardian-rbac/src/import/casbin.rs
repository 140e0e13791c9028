//! Policies of casbin.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, NaiveDateTime};
use guardian_core::Timestamp;
use guardian_expr::{Bindings, Env};

use super::{Imported, Maker, check_size, fault, on_line};
use crate::{
    Area, Catalog, Condition, Error, GroupId, Item, Membership, NewGrant, Place, Principal, Role, Rule,
    Subject, Window,
};

/// The most names that reach one by patterns.
const MAX_REACHED: usize = 10_000;

/// How casbin's matcher compares a field of a request with that of a policy line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum FieldMatch {
    /// `r.x == p.x`
    #[default]
    Equal,
    /// `keyMatch`: `*` matches the rest.
    KeyMatch,
    /// `keyMatch2`: `:name` matches one segment of a path, `/*` the rest.
    KeyMatch2,
    /// `regexMatch`, not anchored.
    Regex,
    /// `globMatch`: `*` and `?` match within a segment of a path.
    Glob,
    /// `ipMatch`: an address in a range.
    Ip,
}

/// What casbin's model file says, as far as it matters here. The default is casbin's own model of roles: subject, object, action.
///
/// A line for a subject becomes a role of that name, granted to the group and to the user of that name, for casbin does not tell
/// them apart. Actions are permissions `object:ACTION`, objects are areas `object:NAME`, domains areas `domain:NAME`. So a check
/// is asked of [`Resource::record("object", NAME)`](crate::Resource::record) within its domain; where domains are given by
/// patterns, conditions also read `context.domain`.
///
/// ```
/// use guardian_rbac::import::CasbinModel;
/// # let at = chrono::DateTime::from_timestamp(1_780_000_000, 0).unwrap();
///
/// let text = "p, admin, data1, read\np, bob, data2, write, deny\ng, alice, admin\n";
/// let imported = CasbinModel::default().with_deny(true).read(text, at)?;
/// let snapshot = imported.compile()?;
/// let ask = guardian_rbac::Ask::new(guardian_rbac::PrincipalRef::new(guardian_core::ActorKind::User, "alice"), "object:read");
/// assert!(snapshot.check(&ask.on(guardian_rbac::Resource::record("object", "data1")), at)?.is_allowed());
/// # Ok::<(), guardian_rbac::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct CasbinModel {
    without_subjects: bool,
    without_objects: bool,
    domains: bool,
    deny: bool,
    subject: FieldMatch,
    object: FieldMatch,
    action: FieldMatch,
    subject_names: FieldMatch,
    object_names: FieldMatch,
    domain_names: FieldMatch,
    objects_by_domain: bool,
    actions: Vec<String>,
    superusers: Vec<String>,
}

impl CasbinModel {
    /// Lines have no subject: they are about everyone.
    pub fn without_subjects(mut self) -> Self {
        self.without_subjects = true;
        self
    }

    /// Lines have no object: they are about everything.
    pub fn without_objects(mut self) -> Self {
        self.without_objects = true;
        self
    }

    /// Lines have a domain behind the subject, and memberships (`g`) belong to one.
    pub fn with_domains(mut self) -> Self {
        self.domains = true;
        self
    }

    /// Whether lines that deny override those that allow. Where they do not, casbin ignores them, and so does this.
    pub fn with_deny(mut self, overrides: bool) -> Self {
        self.deny = overrides;
        self
    }

    /// How subjects, objects and actions of lines are compared with those of requests.
    pub fn comparing(mut self, subject: FieldMatch, object: FieldMatch, action: FieldMatch) -> Self {
        (self.subject, self.object, self.action) = (subject, object, action);
        self
    }

    /// How names in memberships of subjects (`g`), of objects (`g2`), and their domains are compared: casbin's matching
    /// functions of role managers.
    pub fn naming(mut self, subjects: FieldMatch, objects: FieldMatch, domains: FieldMatch) -> Self {
        (self.subject_names, self.object_names, self.domain_names) = (subjects, objects, domains);
        self
    }

    /// Memberships of objects (`g2`) belong to a domain too.
    pub fn with_objects_by_domain(mut self) -> Self {
        self.objects_by_domain = true;
        self
    }

    /// Actions that are asked for, beside those that stand in lines: what patterns of actions are settled against.
    pub fn with_actions<'a>(mut self, actions: impl IntoIterator<Item = &'a str>) -> Self {
        self.actions.extend(actions.into_iter().map(str::to_owned));
        self
    }

    /// Subjects that may do everything: `|| r.sub == "root"` in the matcher.
    pub fn with_superusers<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.superusers.extend(names.into_iter().map(str::to_owned));
        self
    }

    /// The permission of an action.
    #[must_use]
    pub fn permission(action: &str) -> String {
        let mut name = String::from("object:");
        for c in action.chars() {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '/') {
                name.push(c);
            } else {
                // No two actions become the same.
                name.push_str(&format!("_{:x}_", u32::from(c)));
            }
        }
        name
    }

    /// Reads the lines of a policy: `p, …`, `g, …`, `g2, …`. Memberships may end with two times (`2027-01-01 00:00:00`, or `_`
    /// for open) between which they hold.
    ///
    /// # Errors
    /// [`Error::Import`] with the line.
    pub fn read(&self, text: &str, at: Timestamp) -> Result<Imported, Error> {
        check_size(text)?;
        let mut lines = Lines::default();
        for (number, line) in (1..).zip(text.lines()) {
            self.read_line(number, line, &mut lines)?;
        }
        Writer {
            model: self,
            lines: &lines,
            groups: lines.subjects.iter().map(|link| link.group.as_str()).collect(),
            maker: Maker::new(at)?,
            items: Vec::new(),
            notes: Vec::new(),
            compared: Cell::new(0),
        }
        .write()
    }

    fn read_line(&self, number: usize, line: &str, lines: &mut Lines) -> Result<(), Error> {
        let fields = fields(number, line)?;
        let mut fields = fields.into_iter();
        let Some(kind) = fields.next() else { return Ok(()) };
        let mut need =
            |what: &str| fields.next().ok_or_else(|| fault(number, format!("the {what} is missing")));
        match kind.as_str() {
            "p" => {
                let subject = if self.without_subjects { String::new() } else { need("subject")? };
                let domain = if self.domains { need("domain")? } else { String::new() };
                let object = if self.without_objects { String::new() } else { need("object")? };
                let action = need("action")?;
                let denies = match fields.next().as_deref() {
                    None | Some("allow") => false,
                    Some("deny") => true,
                    // casbin's third effect decides nothing.
                    Some(_) => return Ok(()),
                };
                lines.policies.push(Line { number, subject, domain, object, action, denies });
            }
            "g" | "g2" => {
                let (member, group) = (need("member")?, need("group")?);
                let by_domain = if kind == "g" { self.domains } else { self.objects_by_domain };
                let domain = if by_domain { need("domain")? } else { String::new() };
                let (from, until) =
                    (time(number, fields.next().as_deref())?, time(number, fields.next().as_deref())?);
                let window = on_line(number, Window::new(from, until))?;
                let link = Link { number, member, group, domain, window };
                if kind == "g" { lines.subjects.push(link) } else { lines.objects.push(link) }
            }
            other => {
                return Err(fault(
                    number,
                    format!("`{}` is not `p`, `g` or `g2`", guardian_core::shorten(other)),
                ));
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Lines {
    policies: Vec<Line>,
    subjects: Vec<Link>,
    objects: Vec<Link>,
}

struct Line {
    number: usize,
    subject: String,
    domain: String,
    object: String,
    action: String,
    denies: bool,
}

struct Link {
    number: usize,
    member: String,
    group: String,
    domain: String,
    window: Window,
}

/// The fields of a line, trimmed; those in double quotes may have commas.
fn fields(number: usize, line: &str) -> Result<Vec<String>, Error> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(Vec::new());
    }
    let mut found = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(c) = letters.next() {
        let Some(field) = found.last_mut() else { continue };
        match c {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => found.push(String::new()),
            c => field.push(c),
        }
    }
    if quoted {
        return Err(fault(number, "a quote is not closed"));
    }
    Ok(found.into_iter().map(|field| field.trim().to_owned()).collect())
}

fn time(number: usize, field: Option<&str>) -> Result<Option<Timestamp>, Error> {
    match field {
        None | Some("" | "_") => Ok(None),
        Some(text) => {
            let plain = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").map(|time| time.and_utc());
            let time = plain.or_else(|_| DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()));
            let why = format!("`{}` is no time like `2027-01-01 00:00:00`", guardian_core::shorten(text));
            time.map(Some).map_err(|_| fault(number, why))
        }
    }
}

/// What the lines become.
struct Writer<'m> {
    model: &'m CasbinModel,
    lines: &'m Lines,
    /// The names of which subjects are members.
    groups: HashSet<&'m str>,
    maker: Maker,
    items: Vec<Item>,
    notes: Vec<String>,
    /// How much was compared to settle patterns.
    compared: Cell<u64>,
}

/// How much is compared to settle the patterns of a policy, in comparisons of names.
const MOST_COMPARED: u64 = 50_000_000;
/// A match with a pattern takes as long as so many.
const MATCH: u64 = 1000;

impl Writer<'_> {
    fn write(mut self) -> Result<Imported, Error> {
        let catalog = self.catalog()?;
        let mut roles: BTreeMap<(String, String), Vec<&Line>> = BTreeMap::new();
        for line in &self.lines.policies {
            if line.denies && !self.model.deny {
                self.notes.push(format!("line {}: it denies, which this model ignores", line.number));
                continue;
            }
            roles.entry((line.subject.clone(), line.domain.clone())).or_default().push(line);
        }
        for ((subject, domain), lines) in roles {
            let first = lines.first().map_or(0, |line| line.number);
            let name = scoped(if subject.is_empty() { "everyone" } else { &subject }, &domain);
            let mut role = on_line(first, Role::new(&name))?;
            for line in lines {
                for rule in self.rules(line)? {
                    role = role.with(rule);
                }
            }
            self.items.push(Item::Role(role));
            self.give(first, &name, &subject, &domain)?;
        }
        self.groups()?;
        self.places()?;
        if !self.model.superusers.is_empty() {
            self.items.push(Item::Role(Role::new("superuser")?.with(Rule::allow("*")?)));
            for name in &self.model.superusers {
                let new =
                    NewGrant::new(Principal::user(name)?.into(), "superuser", "superuser of the matcher")?;
                self.items.push(Item::Grant(self.maker.grant(new)));
            }
        }
        // Roles first, so that whoever makes the changes one by one can.
        self.items.sort_by_key(|item| match item {
            Item::Role(_) => 0,
            Item::Place(_) => 1,
            Item::Membership(_) => 2,
            _ => 3,
        });
        Ok(Imported { catalog, items: self.items, notes: self.notes })
    }

    fn catalog(&self) -> Result<Catalog, Error> {
        let exact = self.lines.policies.iter().filter(|_| self.model.action == FieldMatch::Equal);
        let mut actions: BTreeSet<&str> = exact.map(|line| line.action.as_str()).collect();
        actions.extend(self.model.actions.iter().map(String::as_str));
        let names: BTreeSet<String> = actions.into_iter().map(CasbinModel::permission).collect();
        names.iter().fold(Catalog::builder(), |builder, name| builder.permission(name, "")).build()
    }

    /// A rule for each action and each name or pattern by which the object is reached.
    fn rules(&self, line: &Line) -> Result<Vec<Rule>, Error> {
        let patterns: Vec<String> = match self.model.action {
            FieldMatch::Equal => vec![CasbinModel::permission(&line.action)],
            how => {
                let pattern = regex_of(how, &line.action)
                    .ok_or_else(|| fault(line.number, "an action is no address"))?;
                let known = self.model.actions.iter();
                let mut matching = Vec::new();
                for action in known {
                    if self.matches(line.number, &pattern, action)? {
                        matching.push(CasbinModel::permission(action));
                    }
                }
                matching
            }
        };
        let mut rules = Vec::new();
        for pattern in patterns {
            let made = if line.denies { Rule::deny(&pattern) } else { Rule::allow(&pattern) };
            let made = on_line(line.number, made)?;
            if line.object.is_empty() {
                rules.push(made);
                continue;
            }
            if self.model.object != FieldMatch::Equal {
                rules.push(made.when(self.about(
                    line.number,
                    "resource.id",
                    self.model.object,
                    &line.object,
                )?));
                continue;
            }
            if self.model.object_names == FieldMatch::Equal {
                let area =
                    on_line(line.number, Area::new("object", self.object_name(&line.object, &line.domain)))?;
                rules.push(made.clone().in_area(area));
                // A group of a domain has a name of its own; the object itself has its plain one.
                if self.model.objects_by_domain {
                    rules.push(made.in_area(on_line(line.number, Area::new("object", &line.object))?));
                }
                continue;
            }
            for name in
                self.reaching(&self.lines.objects, &line.object, &line.domain, self.model.object_names)?
            {
                if regex_of_name(self.model.object_names, &name).is_some() {
                    let condition = self.about(line.number, "resource.id", self.model.object_names, &name)?;
                    rules.push(made.clone().when(condition));
                } else {
                    rules.push(made.clone().in_area(on_line(line.number, Area::new("object", &name))?));
                }
            }
        }
        Ok(rules)
    }

    fn object_name(&self, object: &str, domain: &str) -> String {
        if self.model.objects_by_domain { scoped(object, domain) } else { object.to_owned() }
    }

    /// The condition that a text of the request matches.
    fn about(&self, number: usize, what: &str, how: FieldMatch, pattern: &str) -> Result<Condition, Error> {
        let literal = |text: &str| serde_json::Value::from(text).to_string();
        let text = match regex_of(how, pattern) {
            Some(regex) => format!("{what}.matches({})", literal(&regex)),
            None => {
                let range = if pattern.contains('/') {
                    pattern.to_owned()
                } else {
                    format!("{pattern}/{}", if pattern.contains(':') { 128 } else { 32 })
                };
                format!("isIP({what}) && cidr({}).containsIP({what})", literal(&range))
            }
        };
        on_line(number, Condition::new(&text))
    }

    /// The grants of a role: to the user and to the group of the subject's name, or to whoever matches.
    fn give(&mut self, number: usize, role: &str, subject: &str, domain: &str) -> Result<(), Error> {
        let area = match domain.is_empty() {
            true => Area::tenant(),
            false => on_line(number, Area::new("domain", domain))?,
        };
        let mut to: Vec<(Subject, Option<Condition>)> = Vec::new();
        if subject.is_empty() {
            to.push((Subject::Everyone, None));
        } else if self.model.subject != FieldMatch::Equal {
            let condition = self.about(number, "principal.id", self.model.subject, subject)?;
            to.push((Subject::Everyone, Some(condition)));
        } else if self.model.subject_names == FieldMatch::Equal {
            to.push((on_line(number, Principal::user(subject))?.into(), None));
            if self.groups.contains(subject) {
                to.push((on_line(number, GroupId::new(scoped(subject, domain)))?.into(), None));
            }
        } else {
            for name in self.reaching(&self.lines.subjects, subject, domain, self.model.subject_names)? {
                if regex_of_name(self.model.subject_names, &name).is_some() {
                    let condition = self.about(number, "principal.id", self.model.subject_names, &name)?;
                    to.push((Subject::Everyone, Some(condition)));
                } else {
                    to.push((on_line(number, Principal::user(&name))?.into(), None));
                }
            }
        }
        for (subject, condition) in to {
            let mut new =
                on_line(number, NewGrant::new(subject, role, &format!("line {number} of the policy")))?;
            new = new.in_area(area.clone());
            new.condition = condition;
            self.items.push(Item::Grant(self.maker.grant(new)));
        }
        Ok(())
    }

    /// Memberships of subjects, where names are names.
    fn groups(&mut self) -> Result<(), Error> {
        if self.model.subject_names != FieldMatch::Equal {
            return Ok(());
        }
        let groups: BTreeSet<&str> = self.lines.subjects.iter().map(|link| link.group.as_str()).collect();
        for link in &self.lines.subjects {
            for domain in self.domains_of(link)? {
                let group = on_line(link.number, GroupId::new(scoped(&link.group, &domain)))?;
                let mut members: Vec<Subject> =
                    vec![on_line(link.number, Principal::user(&link.member))?.into()];
                if groups.contains(link.member.as_str()) {
                    members.push(on_line(link.number, GroupId::new(scoped(&link.member, &domain)))?.into());
                }
                for member in members {
                    let made = Membership::new(group.clone(), member).during(link.window.clone());
                    self.items.push(Item::Membership(made));
                }
            }
        }
        Ok(())
    }

    /// The domains of the policy that the link is about.
    fn domains_of(&self, link: &Link) -> Result<Vec<String>, Error> {
        let Some(pattern) = regex_of_name(self.model.domain_names, &link.domain) else {
            return Ok(vec![link.domain.clone()]);
        };
        self.compare(link.number, self.lines.policies.len() as u64)?;
        let known: BTreeSet<&str> = self.lines.policies.iter().map(|line| line.domain.as_str()).collect();
        let mut found = Vec::new();
        for domain in known {
            if self.matches(link.number, &pattern, domain)? {
                found.push(domain.to_owned());
            }
        }
        Ok(found)
    }

    /// Memberships of objects are areas in areas, where names are names.
    fn places(&mut self) -> Result<(), Error> {
        if self.model.object_names != FieldMatch::Equal {
            return Ok(());
        }
        let groups: BTreeSet<&str> = self.lines.objects.iter().map(|link| link.group.as_str()).collect();
        let mut places: BTreeMap<Area, BTreeSet<Area>> = BTreeMap::new();
        for link in &self.lines.objects {
            for domain in self.domains_of(link)? {
                let group =
                    on_line(link.number, Area::new("object", self.object_name(&link.group, &domain)))?;
                let mut members = vec![link.member.clone()];
                if groups.contains(link.member.as_str()) {
                    members.push(self.object_name(&link.member, &domain));
                }
                for member in members {
                    let member = on_line(link.number, Area::new("object", &member))?;
                    if member != group {
                        places.entry(member).or_default().insert(group.clone());
                    }
                }
            }
        }
        for (area, parents) in places {
            self.items.push(Item::Place(Place { area, parents: parents.into_iter().collect() }));
        }
        Ok(())
    }

    /// Counts comparisons, so that a text of patterns about patterns does not take for ever.
    fn compare(&self, number: usize, more: u64) -> Result<(), Error> {
        self.compared.set(self.compared.get().saturating_add(more));
        if self.compared.get() > MOST_COMPARED {
            return Err(fault(number, "the policy has too many patterns to settle"));
        }
        Ok(())
    }

    fn matches(&self, number: usize, pattern: &str, text: &str) -> Result<bool, Error> {
        self.compare(number, MATCH)?;
        matches(number, pattern, text)
    }

    /// The names and patterns that reach a name through memberships, itself included.
    fn reaching(
        &self,
        links: &[Link],
        name: &str,
        domain: &str,
        how: FieldMatch,
    ) -> Result<Vec<String>, Error> {
        let mut found = vec![name.to_owned()];
        let mut seen = HashSet::from([name.to_owned()]);
        let mut at = 0;
        while let Some(next) = found.get(at).cloned() {
            at += 1;
            self.compare(links.first().map_or(0, |link| link.number), links.len() as u64)?;
            for link in links {
                let in_domain = link.domain.is_empty()
                    || match regex_of_name(self.model.domain_names, &link.domain) {
                        Some(pattern) => self.matches(link.number, &pattern, domain)?,
                        None => link.domain == domain,
                    };
                let group_matches = match (regex_of_name(how, &link.group), regex_of_name(how, &next)) {
                    _ if link.group == next => true,
                    (Some(pattern), None) => self.matches(link.number, &pattern, &next)?,
                    (None, Some(pattern)) => self.matches(link.number, &pattern, &link.group)?,
                    _ => false,
                };
                if in_domain && group_matches && seen.insert(link.member.clone()) {
                    if !link.window.is_always() {
                        return Err(fault(
                            link.number,
                            "a window on a membership of patterns is not taken over",
                        ));
                    }
                    if found.len() == MAX_REACHED {
                        return Err(fault(
                            link.number,
                            format!("more than {MAX_REACHED} names reach `{name}`"),
                        ));
                    }
                    found.push(link.member.clone());
                }
            }
        }
        Ok(found)
    }
}

/// A name within a domain.
fn scoped(name: &str, domain: &str) -> String {
    if domain.is_empty() { name.to_owned() } else { format!("{name}@{domain}") }
}

/// The pattern of a name in a membership as a regular expression; `None` where it is a plain name.
fn regex_of_name(how: FieldMatch, name: &str) -> Option<String> {
    let plain = match how {
        FieldMatch::Equal | FieldMatch::Ip => true,
        FieldMatch::KeyMatch => !name.contains('*'),
        FieldMatch::KeyMatch2 => !name.contains(['*', ':']),
        FieldMatch::Regex => !name.contains(|c: char| "\\.+*?()|[]{}^$".contains(c)),
        FieldMatch::Glob => !name.contains(['*', '?', '[', '\\']),
    };
    if plain { None } else { regex_of(how, name) }
}

/// The pattern as a regular expression; `None` for addresses.
fn regex_of(how: FieldMatch, pattern: &str) -> Option<String> {
    let quoted = |text: &str| -> String {
        text.chars()
            .flat_map(|c| {
                let special = "\\.+*?()|[]{}^$".contains(c);
                special.then_some('\\').into_iter().chain([c])
            })
            .collect()
    };
    Some(match how {
        FieldMatch::Equal => format!("^{}$", quoted(pattern)),
        FieldMatch::KeyMatch => match pattern.split_once('*') {
            Some((start, _)) => format!("^{}", quoted(start)),
            None => format!("^{}$", quoted(pattern)),
        },
        FieldMatch::KeyMatch2 => {
            let parts = pattern.split('/').map(|part| match part {
                "*" => ".*".to_owned(),
                part => match part.split_once(':') {
                    Some((start, name)) => {
                        // The name ends where a letter of no name begins.
                        let rest = name.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
                        format!("{}[^/]+{}", quoted(start), quoted(rest))
                    }
                    None => quoted(part),
                },
            });
            format!("^{}$", parts.collect::<Vec<_>>().join("/"))
        }
        FieldMatch::Regex => pattern.to_owned(),
        FieldMatch::Glob => {
            let mut regex = String::from("^");
            let mut letters = pattern.chars();
            while let Some(c) = letters.next() {
                match c {
                    '*' => regex.push_str("[^/]*"),
                    '?' => regex.push_str("[^/]"),
                    '[' => {
                        regex.push('[');
                        for c in letters.by_ref() {
                            regex.push(c);
                            if c == ']' {
                                break;
                            }
                        }
                    }
                    '\\' => regex.push_str(&quoted(&letters.next().unwrap_or('\\').to_string())),
                    c => regex.push_str(&quoted(&c.to_string())),
                }
            }
            regex.push('$');
            regex
        }
        FieldMatch::Ip => return None,
    })
}

/// Whether a text matches, on the engine that conditions use.
fn matches(number: usize, pattern: &str, text: &str) -> Result<bool, Error> {
    let program =
        Env::new().compile("text.matches(pattern)").map_err(|error| fault(number, error.to_string()))?;
    let bindings = Bindings::new().with("text", text.to_owned()).with("pattern", pattern.to_owned());
    program.matches(&bindings).map_err(|error| {
        fault(number, format!("`{}` is no pattern: {error}", guardian_core::shorten(pattern)))
    })
}

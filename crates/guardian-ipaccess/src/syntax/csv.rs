//! Rules as comma-separated values (RFC 4180), as spreadsheets read and write them.

use super::Wrong;
use crate::{AccessPolicy, Effect, PolicyError, Rule};

/// The columns that are written; a file to read may have them in any order, and needs the first two only.
const COLUMNS: [&str; 7] = ["effect", "target", "for", "until", "during", "owner", "label"];

impl AccessPolicy {
    /// Adds the rules of a table with a header; how many. The columns are `effect` and `target` and, where wanted, `for` (`role support`),
    /// `until`, `during`, `owner` and `label`, in any order; the cells are written as [`parse`](Self::parse) has them, names without quotes.
    ///
    /// An apostrophe before what a spreadsheet would take for a formula is taken off, as [`to_csv`](Self::to_csv) puts it there.
    ///
    /// ```
    /// use guardian_ipaccess::{AccessPolicy, Defaults};
    ///
    /// let mut policy = AccessPolicy::new(Defaults::closed());
    /// let table = "target,effect,for,label\n192.0.2.0/24,allow,,office\ncountry DE,allow,role support,\"home, mostly\"\n";
    /// assert_eq!(policy.add_csv(table)?, 2);
    /// assert_eq!(policy.rules()[1].to_string(), "allow country DE for role support # home, mostly");
    /// # Ok::<(), guardian_ipaccess::PolicyError>(())
    /// ```
    ///
    /// # Errors
    /// The first line that is no rule, with its number; a header with a column that is not known or twice there; too much text or too
    /// many rules. Nothing is added then.
    pub fn add_csv(&mut self, text: &str) -> Result<usize, PolicyError> {
        if text.len() > Self::MAX_BYTES {
            return Err(PolicyError::TooLong { max: Self::MAX_BYTES });
        }
        let (before, next) = (self.rules.len(), self.next);
        let added = self.read_table(text);
        if added.is_err() {
            self.rules.truncate(before);
            self.next = next;
        }
        added.map(|()| self.rules.len() - before)
    }

    /// The rules as a table that [`add_csv`](Self::add_csv) reads; without their numbers, settings and regions.
    ///
    /// Texts that a spreadsheet would take for a formula have an apostrophe before them (OWASP, CSV injection).
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut table = csv::Writer::from_writer(Vec::new());
        let mut write = |cells: [String; COLUMNS.len()]| {
            // Writing into memory does not fail.
            let _ = table.write_record(cells);
        };
        write(COLUMNS.map(str::to_owned));
        for rule in &self.rules {
            let whom = rule.applies.named().map(|(kind, name)| format!("{kind} {name}"));
            write([
                rule.effect.to_string(),
                rule.target.to_string(),
                whom.unwrap_or_default(),
                rule.expires.map(super::time).unwrap_or_default(),
                rule.schedule.map(|schedule| schedule.to_string()).unwrap_or_default(),
                harmless(&rule.owner),
                harmless(&rule.label),
            ]);
        }
        table.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
    }

    fn read_table(&mut self, text: &str) -> Result<(), PolicyError> {
        let mut table = csv::Reader::from_reader(text.as_bytes());
        let header = table.headers().map_err(|error| broken(text, &error))?;
        let columns = columns(header).map_err(|why| wrong(text, header.position(), why))?;
        let mut row = csv::StringRecord::new();
        while table.read_record(&mut row).map_err(|error| broken(text, &error))? {
            self.read_row(&columns, &row).map_err(|why| match why {
                Wrong::Line(why) => wrong(text, row.position(), why),
                Wrong::Policy(error @ PolicyError::TooManyRules { .. }) => error,
                Wrong::Policy(error) => wrong(text, row.position(), error.to_string()),
            })?;
        }
        Ok(())
    }

    fn read_row(&mut self, columns: &Columns, row: &csv::StringRecord) -> Result<(), Wrong> {
        // Blanks are a part of a cell (RFC 4180, section 2), so of names and labels.
        let (cell, trimmed) =
            (|name: &str| columns.cell(row, name), |name: &str| columns.cell(row, name).trim());
        let effect = match trimmed("effect") {
            effect if effect.eq_ignore_ascii_case("allow") => Effect::Allow,
            effect if effect.eq_ignore_ascii_case("deny") => Effect::Deny,
            other => {
                let other = guardian_core::shorten(other);
                return Err(Wrong::line(format!("`{other}` is neither allow nor deny")));
            }
        };
        let mut words: Vec<&str> = cell("target").split_whitespace().collect();
        let whom = cell("for");
        if !whom.trim().is_empty() {
            let Some((kind, name)) = whom.split_once(char::is_whitespace) else {
                return Err(Wrong::line(format!("`for {}` needs a name", guardian_core::shorten(whom))));
            };
            words.extend(["for", kind, name]);
        }
        if !trimmed("until").is_empty() {
            words.extend(["until", trimmed("until")]);
        }
        if !trimmed("during").is_empty() {
            words.push("during");
            words.extend(cell("during").split_whitespace());
        }
        let mut rule: Rule = super::read_rule(effect, words.into_iter(), plain(cell("label")))?;
        plain(cell("owner")).clone_into(&mut rule.owner);
        self.add(rule).map(|_| ()).map_err(Wrong::Policy)
    }
}

/// Where the columns of a table are.
struct Columns(Vec<(String, usize)>);

impl Columns {
    /// The cell of a column; empty where the table has none.
    fn cell<'r>(&self, row: &'r csv::StringRecord, name: &str) -> &'r str {
        let place = self.0.iter().find(|(known, _)| known == name);
        place.and_then(|(_, place)| row.get(*place)).unwrap_or_default()
    }
}

fn columns(header: &csv::StringRecord) -> Result<Columns, String> {
    let mut columns: Vec<(String, usize)> = Vec::new();
    for (name, place) in header.iter().zip(0..) {
        let name = name.trim().to_lowercase();
        if !COLUMNS.contains(&name.as_str()) {
            let commas = if name.contains([';', '\t']) { ", and cells are separated by commas" } else { "" };
            let name = guardian_core::shorten(&name);
            return Err(format!("`{name}` is no column; there are {}{commas}", COLUMNS.join(", ")));
        }
        if columns.iter().any(|(known, _)| *known == name) {
            return Err(format!("the column `{name}` is twice there"));
        }
        columns.push((name, place));
    }
    for needed in ["effect", "target"] {
        if !columns.iter().any(|(known, _)| known == needed) {
            return Err(format!("the column `{needed}` is missing"));
        }
    }
    Ok(Columns(columns))
}

fn broken(text: &str, error: &csv::Error) -> PolicyError {
    let why = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} cells where the header has {expected_len}")
        }
        _ => "it is not a line of a table".to_owned(),
    };
    wrong(text, error.position(), why)
}

fn wrong(text: &str, at: Option<&csv::Position>, mut why: String) -> PolicyError {
    // A cell whose quote is not closed swallows what follows, and what is wrong then is wherever it ends.
    if text.matches('"').count() % 2 == 1 {
        why.push_str(", and a quote is not closed");
    }
    PolicyError::Line { line: at.map_or(1, |at| line_of(text, at)), why }
}

/// The line that a row begins in, from 1: the reader tells of where it was before line ends that it had still to pass.
fn line_of(text: &str, at: &csv::Position) -> usize {
    let at = usize::try_from(at.byte()).unwrap_or(usize::MAX);
    let bytes = text.as_bytes();
    let passed = bytes.iter().skip(at).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    1 + bytes.iter().take(at.saturating_add(passed)).filter(|byte| **byte == b'\n').count()
}

/// What begins a formula, and what hides one.
fn is_formula(first: char) -> bool {
    matches!(first, '=' | '+' | '-' | '@' | '\'' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠')
}

fn harmless(text: &str) -> String {
    if text.starts_with(is_formula) { format!("'{text}") } else { text.to_owned() }
}

fn plain(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| rest.starts_with(is_formula)).unwrap_or(cell)
}

//! Access logs in the common and the combined log format, which Apache, nginx and most others can write:
//!
//! ```text
//! 192.0.2.7 - ada [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 512 "https://example.org/" "Mozilla/5.0"
//! ```
//!
//! [`Entry::parse`] reads one line and [`Lines`] a whole log, compressed or not, in bounded memory.

mod lines;

use std::fmt;

use chrono::{DateTime, FixedOffset, NaiveDate, TimeZone};

pub use lines::{Lines, ReadError};

/// The longest line that is read, in bytes. Servers limit the request line to 8 KiB and write few more such fields.
pub const MAX_LINE: usize = 32 * 1024;

/// One request as the server logged it. Quoted fields are as they stand in the line, with their escapes.
///
/// `Display` writes a line that reads back as the same entry.
///
/// ```
/// use guardian_examples::access_log::Entry;
///
/// let line = r#"192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /a?b=c HTTP/1.1" 404 - "-" "curl/8""#;
/// let entry = Entry::parse(line.as_bytes())?;
/// assert_eq!((entry.client, entry.path(), entry.status), ("192.0.2.7", Some("/a?b=c"), 404));
/// assert_eq!(entry.to_string(), line);
///
/// let error = Entry::parse(br#"192.0.2.7 - - [17/Mai/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1"#).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the time is not like `17/May/2015:10:05:03 +0000` at byte 15: `17/Mai/2015:10:05:03 +0000`",
/// );
/// # Ok::<(), guardian_examples::access_log::InvalidLine>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the format has been the same for decades")]
pub struct Entry<'l> {
    /// The address, or the name if the server resolves names.
    pub client: &'l str,
    /// What `identd` says, almost always `-`.
    pub identity: &'l str,
    /// Who authenticated, `-` for nobody.
    pub user: &'l str,
    /// When the request came, or was answered: servers differ.
    pub time: DateTime<FixedOffset>,
    /// The request line, whatever the client sent.
    pub request: &'l str,
    /// The status of the answer.
    pub status: u16,
    /// The bytes of the answer's body; `None` for `-`.
    pub bytes: Option<u64>,
    /// The fields that the combined format has on top.
    pub combined: Option<Combined<'l>>,
}

/// The fields of the combined format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the format has been the same for decades")]
pub struct Combined<'l> {
    /// Where the client says that it came from, `-` for nothing.
    pub referrer: &'l str,
    /// What the client says that it is, `-` for nothing.
    pub agent: &'l str,
}

/// Why a line is not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why} at byte {at}: `{}`", shown(.rest))]
pub struct InvalidLine {
    why: &'static str,
    /// How many bytes of the line are before the fault.
    at: usize,
    /// The line from there on, shortened.
    rest: String,
}

impl<'l> Entry<'l> {
    /// Reads a line without its end.
    ///
    /// # Errors
    /// When it is longer than [`MAX_LINE`], not UTF-8, or not in the format; says what is wrong and where.
    pub fn parse(line: &'l [u8]) -> Result<Self, InvalidLine> {
        if line.len() > MAX_LINE {
            return Err(InvalidLine::of_bytes("the line is longer than 32 KiB", line, MAX_LINE));
        }
        let text = std::str::from_utf8(line)
            .map_err(|error| InvalidLine::of_bytes("the line is not UTF-8", line, error.valid_up_to()))?;
        let mut fields = Fields { line: text, rest: text };
        let client = fields.word("the client is missing")?;
        let identity = fields.word("the identity is missing")?;
        let user = fields.word("the user is missing")?;
        let time = fields.time()?;
        let request = fields.quoted("the request is not in quotes")?;
        let status = fields.number("the status is not a number of three digits", |text| {
            (text.len() == 3).then(|| text.parse().ok()).flatten()
        })?;
        let bytes = fields.number("the size is neither a number nor `-`", |text| match text {
            "-" => Some(None),
            _ => text.parse().ok().map(Some),
        })?;
        let combined = if fields.rest.is_empty() {
            None
        } else {
            let referrer = fields.quoted("the referrer is not in quotes")?;
            let agent = fields.quoted("the agent is not in quotes")?;
            Some(Combined { referrer, agent })
        };
        if !fields.rest.is_empty() {
            return Err(fields.fault("there is more after the agent"));
        }
        Ok(Self { client, identity, user, time, request, status, bytes, combined })
    }

    /// The path with its query, if the request line has one.
    #[must_use]
    pub fn path(&self) -> Option<&'l str> {
        self.request.split(' ').nth(1).filter(|path| !path.is_empty())
    }

    /// What the client says that it is, if the log has it.
    #[must_use]
    pub fn agent(&self) -> Option<&'l str> {
        self.combined.map(|combined| combined.agent).filter(|agent| *agent != "-")
    }
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, identity, user, request, status, .. } = self;
        let time = self.time.format("%d/%b/%Y:%H:%M:%S %z");
        write!(f, "{client} {identity} {user} [{time}] \"{request}\" {status:03} ")?;
        match self.bytes {
            Some(bytes) => write!(f, "{bytes}")?,
            None => f.write_str("-")?,
        }
        match self.combined {
            Some(Combined { referrer, agent }) => write!(f, " \"{referrer}\" \"{agent}\""),
            None => Ok(()),
        }
    }
}

/// The fields of a line, taken from the left.
struct Fields<'l> {
    line: &'l str,
    rest: &'l str,
}

impl<'l> Fields<'l> {
    /// Everything up to the next space.
    fn word(&mut self, why: &'static str) -> Result<&'l str, InvalidLine> {
        let (word, rest) = self.rest.split_once(' ').unwrap_or((self.rest, ""));
        if word.is_empty() {
            return Err(self.fault(why));
        }
        self.rest = rest;
        Ok(word)
    }

    /// `[17/May/2015:10:05:03 +0000]`
    fn time(&mut self) -> Result<DateTime<FixedOffset>, InvalidLine> {
        let why = "the time is not in brackets";
        let inside = self.rest.strip_prefix('[').ok_or_else(|| self.fault(why))?;
        let (text, rest) = inside.split_once(']').ok_or_else(|| self.fault(why))?;
        let time = parse_time(text).ok_or_else(|| {
            let at = self.at() + 1;
            InvalidLine::new("the time is not like `17/May/2015:10:05:03 +0000`", at, text)
        })?;
        self.rest = rest;
        self.space()?;
        Ok(time)
    }

    /// A field in quotes, in which a backslash takes the meaning from a quote.
    fn quoted(&mut self, why: &'static str) -> Result<&'l str, InvalidLine> {
        let inside = self.rest.strip_prefix('"').ok_or_else(|| self.fault(why))?;
        let mut escaped = false;
        let end = inside.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (field, rest) = end
            .and_then(|end| inside.split_at_checked(end))
            .ok_or_else(|| self.fault("the closing quote is missing"))?;
        self.rest = rest.strip_prefix('"').unwrap_or(rest);
        self.space()?;
        Ok(field)
    }

    fn number<T>(&mut self, why: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<T, InvalidLine> {
        let before = self.rest;
        let word = self.word(why)?;
        // Number parsers take a plus sign, which no server writes.
        let number = read(word).filter(|_| !word.starts_with('+'));
        number.ok_or_else(|| {
            self.rest = before;
            self.fault(why)
        })
    }

    /// The space between two fields, or the end.
    fn space(&mut self) -> Result<(), InvalidLine> {
        if !self.rest.is_empty() {
            let rest = self.rest.strip_prefix(' ').filter(|rest| !rest.is_empty());
            self.rest = rest.ok_or_else(|| self.fault("a space and another field is missing"))?;
        }
        Ok(())
    }

    fn at(&self) -> usize {
        self.line.len() - self.rest.len()
    }

    fn fault(&self, why: &'static str) -> InvalidLine {
        InvalidLine::new(why, self.at(), self.rest)
    }
}

/// Strictly the one layout, in which every field has its width.
fn parse_time(text: &str) -> Option<DateTime<FixedOffset>> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let separators = [(2, b'/'), (6, b'/'), (11, b':'), (14, b':'), (17, b':'), (20, b' ')];
    let bytes = text.as_bytes();
    if bytes.len() != 26 || separators.iter().any(|(at, byte)| bytes.get(*at) != Some(byte)) {
        return None;
    }
    let number = |at: usize, len: usize| -> Option<u32> {
        let digits = text.get(at..at + len)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let month = MONTHS.iter().zip(1..).find(|(name, _)| text.get(3..6) == Some(**name))?.1;
    let date = NaiveDate::from_ymd_opt(i32::try_from(number(7, 4)?).ok()?, month, number(0, 2)?)?;
    let time = date.and_hms_opt(number(12, 2)?, number(15, 2)?, number(18, 2)?)?;
    let (hours, minutes) = (number(22, 2)?, number(24, 2)?);
    let offset = i32::try_from(hours * 3600 + minutes * 60).ok().filter(|_| minutes < 60)?;
    let offset = match bytes.get(21)? {
        b'+' => FixedOffset::east_opt(offset)?,
        b'-' => FixedOffset::west_opt(offset)?,
        _ => return None,
    };
    offset.from_local_datetime(&time).single()
}

impl InvalidLine {
    fn new(why: &'static str, at: usize, rest: &str) -> Self {
        let rest = rest.chars().take(SHOWN + 1).collect();
        Self { why, at, rest }
    }

    fn of_bytes(why: &'static str, line: &[u8], at: usize) -> Self {
        let rest = line.get(at..).unwrap_or_default();
        let rest = rest.get(..4 * SHOWN).unwrap_or(rest);
        Self::new(why, at, &String::from_utf8_lossy(rest))
    }
}

/// How much of a faulty line is shown.
const SHOWN: usize = 60;

/// Input as it may be shown: bounded, control characters escaped.
fn shown(text: &str) -> String {
    let escaped = |c: char| -> String { if c.is_control() { c.escape_debug().collect() } else { c.into() } };
    let mut shown: String = text.chars().take(SHOWN).map(escaped).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

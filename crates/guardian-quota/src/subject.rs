use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};

use guardian_core::shorten;

/// The levels of the hierarchy, outermost first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the hierarchy has four levels by definition")]
pub enum Level {
    /// The tenant as a whole.
    Org,
    /// A team or project of it.
    Team,
    /// A user.
    User,
    /// An API key or token.
    Key,
}

impl Level {
    /// All levels, outermost first.
    pub const ALL: [Self; 4] = [Self::Org, Self::Team, Self::User, Self::Key];

    /// The level's name: `org`, `team`, `user`, `key`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Org => "org",
            Self::Team => "team",
            Self::User => "user",
            Self::Key => "key",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who uses: a place in the hierarchy org → team → user → key of one tenant. Levels may be left out.
///
/// As text it is the path below the organisation, `team:sales/user:u_17`; the organisation itself is `org`. What a subject
/// uses counts for itself and for every level above it, all or nothing. Cloning costs one reference count.
///
/// ```
/// use guardian_quota::{Level, Subject};
///
/// let ann = Subject::org().team("sales")?.user("u_17")?;
/// assert_eq!(ann.to_string(), "team:sales/user:u_17");
/// assert_eq!("team:sales/user:u_17".parse::<Subject>()?, ann);
/// assert_eq!(ann.at(Level::Team), Some(Subject::org().team("sales")?));
/// assert!(ann.user("again").is_err(), "levels go downwards");
/// # Ok::<(), guardian_quota::InvalidSubject>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject(Arc<Path>);

struct Path {
    text: Box<str>,
    /// For each level that the path has: the length of the text up to it, and the digest of that text.
    steps: [Option<(u16, u128)>; 4],
}

/// A text that is not a [`Subject`]; says which text and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid subject `{input}`: {why}")]
pub struct InvalidSubject {
    input: String,
    why: &'static str,
}

fn digest(text: &str) -> u128 {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(text.as_bytes());
    hasher.finish128().as_u128()
}

impl Subject {
    /// The longest id of a step, in bytes.
    pub const MAX_ID: usize = 128;

    /// The organisation as a whole, which is the tenant.
    #[must_use]
    pub fn org() -> Self {
        Self(Arc::new(Path { text: "".into(), steps: [Some((0, digest(""))), None, None, None] }))
    }

    /// A team of the organisation.
    ///
    /// # Errors
    /// When the id is empty, too long or has a character outside of `A-Z a-z 0-9 . _ - @ +`, or the path is there already.
    pub fn team(&self, id: impl AsRef<str>) -> Result<Self, InvalidSubject> {
        self.below(Level::Team, id.as_ref())
    }

    /// A user of what the path names.
    ///
    /// # Errors
    /// As for [`Self::team`].
    pub fn user(&self, id: impl AsRef<str>) -> Result<Self, InvalidSubject> {
        self.below(Level::User, id.as_ref())
    }

    /// A key of what the path names.
    ///
    /// # Errors
    /// As for [`Self::team`].
    pub fn key(&self, id: impl AsRef<str>) -> Result<Self, InvalidSubject> {
        self.below(Level::Key, id.as_ref())
    }

    fn below(&self, level: Level, id: &str) -> Result<Self, InvalidSubject> {
        let invalid = |why| Err(InvalidSubject { input: shorten(id), why });
        if self.level() >= level {
            return invalid("its level is not below that of the path");
        }
        if id.is_empty() || id.len() > Self::MAX_ID {
            return invalid("an id has 1 to 128 bytes");
        }
        if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@+".contains(&b)) {
            return invalid("an id consists of `A-Z a-z 0-9 . _ - @ +`");
        }
        let slash = if self.0.text.is_empty() { "" } else { "/" };
        let text = format!("{}{slash}{level}:{id}", self.0.text);
        let mut steps = self.0.steps;
        if let Some(step) = steps.get_mut(level.index()) {
            *step = Some((u16::try_from(text.len()).unwrap_or(u16::MAX), digest(&text)));
        }
        Ok(Self(Arc::new(Path { text: text.into(), steps })))
    }

    /// The innermost level that the path names.
    #[must_use]
    pub fn level(&self) -> Level {
        Level::ALL.into_iter().rev().find(|level| self.has(*level)).unwrap_or(Level::Org)
    }

    pub(crate) fn has(&self, level: Level) -> bool {
        matches!(self.0.steps.get(level.index()), Some(Some(_)))
    }

    /// The digest of the path down to a level that it has.
    #[inline]
    pub(crate) fn digest_at(&self, level: Level) -> Option<u128> {
        self.0.steps.get(level.index()).copied().flatten().map(|(_, digest)| digest)
    }

    pub(crate) fn digest(&self) -> u128 {
        self.digest_at(self.level()).unwrap_or(0)
    }

    /// The path down to a level; `None` when it skips that level.
    #[must_use]
    pub fn at(&self, level: Level) -> Option<Self> {
        if level == self.level() {
            return Some(self.clone());
        }
        let (length, _) = self.0.steps.get(level.index()).copied().flatten()?;
        let text = self.0.text.get(..usize::from(length))?;
        let mut steps = self.0.steps;
        for step in steps.iter_mut().skip(level.index() + 1) {
            *step = None;
        }
        Some(Self(Arc::new(Path { text: text.into(), steps })))
    }

    /// The path and everything above it, outermost first.
    pub fn lineage(&self) -> impl Iterator<Item = Self> + '_ {
        Level::ALL.into_iter().filter_map(|level| self.at(level))
    }

    /// Whether the other is this subject or below it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.digest_at(self.level()) == other.digest_at(self.level())
    }

    /// The path below the organisation; empty for the organisation itself.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.text
    }
}

impl PartialEq for Subject {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Subject {}

impl PartialOrd for Subject {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Subject {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.text.cmp(&other.0.text)
    }
}

impl Hash for Subject {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut subject = Self::org();
        if text.is_empty() || text == "org" {
            return Ok(subject);
        }
        for step in text.split('/') {
            let invalid = |why| InvalidSubject { input: shorten(text), why };
            let (level, id) = step.split_once(':').ok_or_else(|| invalid("a step is `level:id`"))?;
            let level = Level::ALL
                .into_iter()
                .find(|each| each.as_str() == level)
                .ok_or_else(|| invalid("a level is `team`, `user` or `key`"))?;
            subject = subject.below(level, id)?;
        }
        Ok(subject)
    }
}

impl TryFrom<String> for Subject {
    type Error = InvalidSubject;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.text.is_empty() { "org" } else { &self.0.text })
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({self})")
    }
}

use std::fmt;
use std::str::FromStr;

use crate::error::InvalidField;

/// A name of Postgres: a table, a column, a role, a schema. It is written in quotes wherever it goes, so it may hold any
/// character but U+0000, and nothing in it can end the statement that it stands in.
///
/// ```
/// use guardian_tenant::rls::Name;
///
/// assert_eq!(Name::new("tenant_id")?.quoted(), "\"tenant_id\"");
/// assert_eq!(Name::new("a\"; DROP TABLE x; --")?.quoted(), "\"a\"\"; DROP TABLE x; --\"");
/// assert!(Name::new("x".repeat(64)).is_err());
/// # Ok::<(), guardian_tenant::InvalidField>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The longest name, in bytes; Postgres cuts a longer one off, and two could become one (`NAMEDATALEN`).
    pub const MAX_LEN: usize = 63;

    /// A name; upper and lower case are kept, for it is always quoted.
    ///
    /// # Errors
    /// When it is empty, longer than [`Self::MAX_LEN`] bytes, or has the character U+0000.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidField> {
        let text = text.into();
        let fault = |why: &str| Err(InvalidField::new("name", &text, why));
        if text.is_empty() {
            return fault("it is empty");
        }
        if text.len() > Self::MAX_LEN {
            return fault("it has more than 63 bytes, which Postgres cuts off");
        }
        if text.contains('\0') {
            return fault("it has the character U+0000");
        }
        Ok(Self(text))
    }

    /// A name made of others, such as that of an index: cut to fit, with a digest in the place of what was cut, so that
    /// two long names stay two.
    pub(crate) fn derived(parts: &[&str]) -> Self {
        let text = parts.join("_").replace('\0', "");
        if text.len() <= Self::MAX_LEN && !text.is_empty() {
            return Self(text);
        }
        let mut end = Self::MAX_LEN - 9;
        while !text.is_char_boundary(end.min(text.len())) {
            end -= 1;
        }
        let head = text.get(..end.min(text.len())).unwrap_or_default();
        Self(format!("{head}_{:08x}", fnv1a(text.as_bytes())))
    }

    /// The name as it is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in quotes, as it stands in a statement.
    #[must_use]
    pub fn quoted(&self) -> String {
        quote_name(&self.0)
    }
}

impl FromStr for Name {
    type Err = InvalidField;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Name {
    type Error = InvalidField;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name with its schema.
///
/// ```
/// use guardian_tenant::rls::QualifiedName;
///
/// let deals = QualifiedName::new("crm", "deals")?;
/// assert_eq!(deals.quoted(), "\"crm\".\"deals\"");
/// assert_eq!(deals.to_string(), "crm.deals");
/// # Ok::<(), guardian_tenant::InvalidField>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QualifiedName {
    schema: Name,
    name: Name,
}

impl QualifiedName {
    /// A name in a schema.
    ///
    /// # Errors
    /// When one of them is no [`Name`].
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Result<Self, InvalidField> {
        Ok(Self { schema: Name::new(schema)?, name: Name::new(name)? })
    }

    pub(crate) fn of(schema: Name, name: Name) -> Self {
        Self { schema, name }
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &Name {
        &self.schema
    }

    /// The name within the schema.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Both in quotes with a dot between, as they stand in a statement.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("{}.{}", self.schema.quoted(), self.name.quoted())
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// What `quote_ident` of Postgres does, without its exceptions for plain lower-case words.
pub(crate) fn quote_name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// What `quote_literal` of Postgres does: right whatever `standard_conforming_strings` says.
pub(crate) fn quote_text(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// FNV-1a with 32 bits (draft-eastlake-fnv): tells shortened names apart, no more.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

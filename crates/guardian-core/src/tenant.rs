use std::fmt;
use std::hash::Hasher;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::shorten;

/// The customer that owns a piece of data: an organisation, a workspace, an account.
///
/// A tenant id is 1 to 64 characters of `A-Z a-z 0-9 . _ : -` but not `.` or `..`, compared byte for byte. That set needs no
/// escaping in a URL segment, a log line, a Redis key or a Postgres setting, so an id that parses is safe in
/// all of them. UUIDs and numbers convert without a check. Cloning costs one reference count.
///
/// ```
/// use guardian_core::TenantId;
///
/// let acme: TenantId = "acme".parse()?;
/// assert_eq!(acme.as_str(), "acme");
/// assert_eq!(TenantId::from(42).as_str(), "42");
///
/// let error = TenantId::new("acme corp").unwrap_err();
/// assert_eq!(error.to_string(), "invalid tenant id `acme corp`: the character ` ` at byte 4 is not one of `A-Z a-z 0-9 . _ : -`");
/// # Ok::<(), guardian_core::InvalidTenantId>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId {
    text: Arc<str>,
    digest: u128,
}

impl TenantId {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Reads a tenant id.
    ///
    /// # Errors
    /// When the text is empty, longer than [`Self::MAX_LEN`] bytes, or has a character outside the set.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidTenantId> {
        let text = text.as_ref();
        check_id_text(text, Self::MAX_LEN).map_err(|why| InvalidTenantId { input: shorten(text), why })?;
        Ok(Self::of_checked(text))
    }

    fn of_checked(text: &str) -> Self {
        // The key is fixed: a digest is the same in every process.
        let mut hasher = SipHasher13::new_with_keys(0, 0);
        hasher.write(text.as_bytes());
        Self { text: text.into(), digest: hasher.finish128().as_u128() }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// SipHash-1-3 of the text with 128 bits, computed once: what in-memory indexes use in the text's place, where
    /// comparing 16 bytes beats following a pointer. The chance that any two of a billion tenants share one is
    /// below 10⁻²⁰.
    #[must_use]
    pub fn digest(&self) -> u128 {
        self.digest
    }
}

impl FromStr for TenantId {
    type Err = InvalidTenantId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<String> for TenantId {
    type Error = InvalidTenantId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<u64> for TenantId {
    fn from(number: u64) -> Self {
        Self::of_checked(&number.to_string())
    }
}

impl From<uuid::Uuid> for TenantId {
    fn from(id: uuid::Uuid) -> Self {
        Self::of_checked(&id.hyphenated().to_string())
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> Self {
        id.text.as_ref().to_owned()
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantId({})", self.text)
    }
}

/// A text that is not a [`TenantId`]; says which text and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid tenant id `{input}`: {why}")]
pub struct InvalidTenantId {
    input: String,
    why: String,
}

/// The rule that tenant and actor ids share.
pub(crate) fn check_id_text(text: &str, max_len: usize) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if matches!(text, "." | "..") {
        return Err("it means a folder in a path".to_owned());
    }
    if text.len() > max_len {
        return Err(format!("it has {} bytes, the most is {max_len}", text.len()));
    }
    let odd =
        text.char_indices().find(|(_, c)| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-')));
    match odd {
        Some((at, c)) => Err(format!(
            "the character `{}` at byte {at} is not one of `A-Z a-z 0-9 . _ : -`",
            c.escape_debug()
        )),
        None => Ok(()),
    }
}

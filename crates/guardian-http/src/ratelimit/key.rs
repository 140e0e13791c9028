use std::borrow::Cow;

use guardian_ratelimit::Subject;

use super::digest::digest;

/// Whom a limit counts, as found in a request: a number, or a text that may be borrowed from the request.
///
/// An empty text counts as missing. A text of more than [`Subject::MAX_LEN`] bytes is replaced by its digest, so
/// that no client can make a check fail by sending something long.
///
/// ```
/// use guardian_http::Key;
///
/// assert_eq!(Key::from(7), Key::Id(7));
/// assert_eq!(Key::from("export"), Key::from(String::from("export")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "it mirrors `Subject`")]
pub enum Key<'r> {
    /// The realm as a whole.
    Whole,
    /// A number.
    Id(u64),
    /// A text.
    Text(Cow<'r, str>),
}

impl<'r> Key<'r> {
    /// The key of a secret: `sha256:` and the first 128 bits of its SHA-256 in hexadecimal, so that the secret
    /// itself reaches neither the store nor a log.
    #[must_use]
    pub fn digest_of(secret: &[u8]) -> Self {
        Self::Text(Cow::Owned(digest(secret)))
    }

    /// The key in a form that a limiter takes; `None` when it says nothing.
    pub(super) fn checked(self) -> Option<Self> {
        match self {
            Self::Text(text) if text.is_empty() => None,
            Self::Text(text) if text.len() > Subject::MAX_LEN => Some(Self::digest_of(text.as_bytes())),
            key => Some(key),
        }
    }

    /// What all requests without a key of their own share. No other key is the empty text.
    pub(super) fn of_missing() -> Self {
        Self::Text(Cow::Borrowed(""))
    }

    /// The same, borrowing nothing.
    pub(super) fn into_owned(self) -> Key<'static> {
        match self {
            Self::Whole => Key::Whole,
            Self::Id(id) => Key::Id(id),
            Self::Text(text) => Key::Text(Cow::Owned(text.into_owned())),
        }
    }

    /// The same, borrowing all.
    pub(super) fn borrowed(&self) -> Key<'_> {
        match self {
            Self::Whole => Key::Whole,
            Self::Id(id) => Key::Id(*id),
            Self::Text(text) => Key::Text(Cow::Borrowed(text)),
        }
    }

    pub(super) fn as_subject(&self) -> Subject<'_> {
        match self {
            Self::Whole => Subject::Whole,
            Self::Id(id) => Subject::Id(*id),
            Self::Text(text) => Subject::Text(text),
        }
    }
}

impl From<u64> for Key<'_> {
    fn from(id: u64) -> Self {
        Self::Id(id)
    }
}

impl<'r> From<&'r str> for Key<'r> {
    fn from(text: &'r str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Key<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

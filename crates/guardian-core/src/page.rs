use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::shorten;

/// One page of a longer list, and where the next begins.
///
/// ```
/// use guardian_core::{Cursor, Page};
///
/// let page = Page::new(vec!["b", "c"], Some(Cursor::from_bytes(b"c")));
/// assert!(page.next.is_some());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// A page.
    #[must_use]
    pub fn new(items: Vec<T>, next: Option<Cursor>) -> Self {
        Self { items, next }
    }
}

/// Which page is wanted: at most how many items, and after which cursor.
///
/// ```
/// use guardian_core::PageRequest;
///
/// assert_eq!(PageRequest::first(50)?.size(), 50);
/// assert_eq!(PageRequest::first(0).unwrap_err().to_string(), "invalid page size `0`: it must be 1 to 1000");
/// # Ok::<(), guardian_core::InvalidPageSize>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    size: u32,
    after: Option<Cursor>,
}

impl PageRequest {
    /// The largest page.
    pub const MAX_SIZE: u32 = 1000;

    /// The first page of at most `size` items.
    ///
    /// # Errors
    /// When `size` is 0 or above [`Self::MAX_SIZE`].
    pub fn first(size: u32) -> Result<Self, InvalidPageSize> {
        if size == 0 || size > Self::MAX_SIZE {
            return Err(InvalidPageSize { size });
        }
        Ok(Self { size, after: None })
    }

    /// The page that begins at `cursor` instead.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// At most how many items.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Where the page begins; `None` for the first.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.after.as_ref()
    }
}

/// A page size outside 1 to [`PageRequest::MAX_SIZE`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid page size `{size}`: it must be 1 to {}", PageRequest::MAX_SIZE)]
pub struct InvalidPageSize {
    size: u32,
}

/// A place in a list, opaque to whoever holds it.
///
/// A store packs what it needs into bytes and reads them back; as text a cursor is lower-case hexadecimal, so it
/// travels in a query string as it is. The bytes are neither secret nor authenticated here: a store that puts
/// more than a position into them seals them first.
///
/// ```
/// use guardian_core::Cursor;
///
/// let cursor = Cursor::from_bytes(b"\x00\xff");
/// assert_eq!(cursor.to_string(), "00ff");
/// assert_eq!("00ff".parse::<Cursor>()?, cursor);
/// # Ok::<(), guardian_core::InvalidCursor>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// The longest cursor, in bytes.
    pub const MAX_LEN: usize = 512;

    /// A cursor that holds these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The bytes that the store packed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidCursor { input: shorten(text) };
        let (pairs, odd) = text.as_bytes().as_chunks::<2>();
        if !odd.is_empty() || text.len() > 2 * Self::MAX_LEN {
            return Err(invalid());
        }
        pairs
            .iter()
            .map(|&[high, low]| Some(hex_value(high)? << 4 | hex_value(low)?))
            .collect::<Option<_>>()
            .map(Self)
            .ok_or_else(invalid)
    }
}

/// Only lower case, so that a cursor has one spelling.
fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl TryFrom<String> for Cursor {
    type Error = InvalidCursor;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({self})")
    }
}

/// A text that is not a [`Cursor`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid cursor `{input}`: pass on the one that the last page gave, unchanged")]
pub struct InvalidCursor {
    input: String,
}

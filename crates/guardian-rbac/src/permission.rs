use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::InvalidName;

/// The most segments that a permission has.
const MAX_SEGMENTS: usize = 4;
/// The longest segment, in bytes.
const MAX_SEGMENT: usize = 64;

/// What may be done to what: `deal:read`, `crm:deal:export`. Two to four segments of `A-Z a-z 0-9 . _ - /`.
///
/// ```
/// use guardian_rbac::Permission;
///
/// let read: Permission = "deal:read".parse()?;
/// assert_eq!(read.as_str(), "deal:read");
/// let error = "deal".parse::<Permission>().unwrap_err();
/// assert_eq!(error.to_string(), "invalid permission `deal`: it has 1 segment, write `resource:action`");
/// # Ok::<(), guardian_rbac::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Permission(Arc<str>);

impl Permission {
    /// A permission of this spelling.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
        let text = text.as_ref();
        check(text, false)?;
        Ok(Self(text.into()))
    }

    /// Its spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments: `deal`, `read`.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split(':')
    }
}

/// The permissions that a rule is about: `deal:read`, `deal:*`, `*:read`, or `*` for all. A `*` is one segment, a last one is
/// one or more.
///
/// Which permissions these are is settled against the catalog, so a pattern that means none is an error when it is written.
///
/// ```
/// use guardian_rbac::{Permission, PermissionPattern};
///
/// let all_of_deals: PermissionPattern = "deal:*".parse()?;
/// assert!(all_of_deals.matches(&Permission::new("deal:export")?));
/// assert!(!all_of_deals.matches(&Permission::new("contact:read")?));
/// # Ok::<(), guardian_rbac::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PermissionPattern(Arc<str>);

impl PermissionPattern {
    /// A pattern of this spelling.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
        let text = text.as_ref();
        check(text, true)?;
        Ok(Self(text.into()))
    }

    /// Its spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has a `*`.
    #[must_use]
    pub fn is_wild(&self) -> bool {
        self.0.split(':').any(|segment| segment == "*")
    }

    /// Whether the permission is one of those meant.
    #[must_use]
    pub fn matches(&self, permission: &Permission) -> bool {
        let mut wanted = self.0.split(':').peekable();
        let mut given = permission.segments();
        while let Some(segment) = wanted.next() {
            let Some(part) = given.next() else { return false };
            if segment == "*" && wanted.peek().is_none() {
                return true;
            }
            if segment != "*" && segment != part {
                return false;
            }
        }
        given.next().is_none()
    }
}

fn check(text: &str, pattern: bool) -> Result<(), InvalidName> {
    let field = if pattern { "permission pattern" } else { "permission" };
    let fault = |why: String| Err(InvalidName::new(field, text, why));
    if pattern && text == "*" {
        return Ok(());
    }
    if text.len() > MAX_SEGMENTS * (MAX_SEGMENT + 1) {
        return fault(format!("it has {} bytes", text.len()));
    }
    let count = text.split(':').count();
    if count < 2 {
        return fault("it has 1 segment, write `resource:action`".to_owned());
    }
    if count > MAX_SEGMENTS {
        return fault(format!("it has {count} segments, the most is {MAX_SEGMENTS}"));
    }
    for segment in text.split(':') {
        if pattern && segment == "*" {
            continue;
        }
        if segment.is_empty() || segment.len() > MAX_SEGMENT {
            return fault(format!("a segment has {} bytes, it must have 1 to {MAX_SEGMENT}", segment.len()));
        }
        let odd =
            segment.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/')));
        if let Some(c) = odd {
            return fault(format!(
                "the character `{}` is not one of `A-Z a-z 0-9 . _ - /`",
                c.escape_debug()
            ));
        }
    }
    Ok(())
}

macro_rules! texts {
    ($($name:ident),+) => {$(
        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )+};
}

texts!(Permission, PermissionPattern);

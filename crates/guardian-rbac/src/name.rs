//! Names: what they may be made of, and the error that says what is wrong with one.

use std::fmt;
use std::sync::Arc;

use guardian_core::shorten;
use serde::{Deserialize, Serialize};

/// A name, a pattern or a text that does not do; says which one, the text and why.
///
/// ```
/// let error = guardian_rbac::RoleId::new("sales\u{7}").unwrap_err();
/// assert_eq!(error.to_string(), "invalid role `sales\\u{7}`: it has a control character at byte 5");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {field} `{input}`: {why}")]
pub struct InvalidName {
    field: &'static str,
    input: String,
    why: String,
}

impl InvalidName {
    pub(crate) fn new(field: &'static str, input: &str, why: impl Into<String>) -> Self {
        Self { field, input: shorten(input), why: why.into() }
    }

    /// What the text was to be: `role`, `permission`, `area` and so on.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }
}

/// A text of 1 to `max` bytes without control characters and without white space at its ends.
pub(crate) fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), InvalidName> {
    let why = if text.is_empty() {
        "it is empty".to_owned()
    } else if text.len() > max {
        format!("it has {} bytes, the most is {max}", text.len())
    } else if let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
        format!("it has a control character at byte {at}")
    } else if text.trim() != text {
        "it begins or ends with white space".to_owned()
    } else {
        return Ok(());
    };
    Err(InvalidName::new(field, text, why))
}

/// A text for people: 1 to 500 characters, line breaks and tabs allowed.
pub(crate) fn check_prose(field: &'static str, text: &str) -> Result<(), InvalidName> {
    const MOST: usize = 500;
    let length = text.trim().chars().count();
    let why = if length == 0 {
        "it is empty"
    } else if length > MOST || text.len() > 4 * MOST {
        "it has more than 500 characters"
    } else if text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
        "it has a control character"
    } else {
        return Ok(());
    };
    Err(InvalidName::new(field, text, why))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $field:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest name, in bytes.
            pub const MAX_LEN: usize = $max;

            /// A name of 1 to [`Self::MAX_LEN`] bytes without control characters and without white space at its ends.
            ///
            /// # Errors
            /// When it is none; the error shows it and says why.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
                let text = text.as_ref();
                check_text($field, text, Self::MAX_LEN)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
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
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
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
    };
}

name! {
    /// The name of a role: `sales-rep`. Unique within its tenant, compared byte for byte.
    ///
    /// ```
    /// # use guardian_rbac::RoleId;
    /// assert_eq!(RoleId::new("sales-rep")?.as_str(), "sales-rep");
    /// # Ok::<(), guardian_rbac::InvalidName>(())
    /// ```
    RoleId, "role", 128
}

name! {
    /// The name of a group of people: `sales`.
    ///
    /// ```
    /// # use guardian_rbac::GroupId;
    /// assert!(GroupId::new("").is_err());
    /// ```
    GroupId, "group", 256
}

name! {
    /// The name of a separation of duty: `pays-and-approves`.
    ///
    /// ```
    /// # use guardian_rbac::ConstraintId;
    /// assert_eq!(ConstraintId::new("pays-and-approves")?.to_string(), "pays-and-approves");
    /// # Ok::<(), guardian_rbac::InvalidName>(())
    /// ```
    ConstraintId, "separation of duty", 128
}

/// Of these names the one that is most like the text, if one is like it: for "did you mean".
pub(crate) fn nearest<'n>(text: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    const COMPARED: usize = 64;
    if text.len() > COMPARED {
        return None;
    }
    let most = (text.len() / 3).clamp(1, 3);
    names
        .filter(|name| name.len() <= COMPARED && name.len().abs_diff(text.len()) <= most)
        .map(|name| (distance(text, name), name))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be put in, taken out or changed (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, from) in left.chars().enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        let mut next = vec![before];
        for (above, to) in row.iter().skip(1).zip(&right) {
            let changed = diagonal + usize::from(from != *to);
            before = changed.min(above + 1).min(before + 1);
            diagonal = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

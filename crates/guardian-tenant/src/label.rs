use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::InvalidField;

/// The longest label, in bytes.
const MAX_LEN: usize = 64;

fn check(field: &'static str, text: &str) -> Result<(), InvalidField> {
    if text.is_empty() {
        return Err(InvalidField::new(field, text, "it is empty"));
    }
    if text.len() > MAX_LEN {
        let why = format!("it has {} bytes, the most is {MAX_LEN}", text.len());
        return Err(InvalidField::new(field, text, why));
    }
    let odd = text.char_indices().find(|(_, c)| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-'));
    odd.map_or(Ok(()), |(at, c)| {
        let why = format!("the character `{}` at byte {at} is not one of `a-z 0-9 . _ -`", c.escape_debug());
        Err(InvalidField::new(field, text, why))
    })
}

macro_rules! label {
    ($(#[$doc:meta])* $type:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Reads one.
            ///
            /// # Errors
            /// When the text is empty, longer than 64 bytes or has a character outside `a-z 0-9 . _ -`.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidField> {
                let text = text.as_ref();
                check($field, text)?;
                Ok(Self(text.into()))
            }

            /// The label as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidField;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidField;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(label: $type) -> Self {
                label.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self.0)
            }
        }
    };
}

label! {
    /// What a tenant has bought: 1 to 64 characters of `a-z 0-9 . _ -`.
    ///
    /// ```
    /// assert_eq!(guardian_tenant::Plan::new("enterprise-2026")?.as_str(), "enterprise-2026");
    /// # Ok::<(), guardian_tenant::InvalidField>(())
    /// ```
    Plan, "plan"
}
label! {
    /// Where a tenant's data has to stay: 1 to 64 characters of `a-z 0-9 . _ -`.
    ///
    /// ```
    /// assert!(guardian_tenant::Region::new("eu-central-1").is_ok());
    /// assert!(guardian_tenant::Region::new("").is_err());
    /// ```
    Region, "region"
}
label! {
    /// What a tenant does, for suggestions and comparisons: 1 to 64 characters of `a-z 0-9 . _ -`.
    ///
    /// ```
    /// assert!("real-estate".parse::<guardian_tenant::Industry>().is_ok());
    /// ```
    Industry, "industry"
}

/// What people call a tenant: 1 to 200 characters without control characters, not blank at either end.
///
/// ```
/// use guardian_tenant::DisplayName;
///
/// assert_eq!(DisplayName::new("Ünïted Widgets & Co. 株式会社")?.to_string(), "Ünïted Widgets & Co. 株式会社");
/// assert!(DisplayName::new(" Acme").is_err());
/// # Ok::<(), guardian_tenant::InvalidField>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DisplayName(Arc<str>);

impl DisplayName {
    /// The most characters.
    pub const MAX_CHARS: usize = 200;

    /// Reads a name.
    ///
    /// # Errors
    /// When the text is empty, too long, blank at an end, or has a control character.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidField> {
        let text = text.as_ref();
        let fault = |why: String| Err(InvalidField::new("name", text, why));
        if text.trim().is_empty() {
            return fault("it is empty".to_owned());
        }
        if text.trim() != text {
            return fault("it is blank at an end".to_owned());
        }
        if text.len() > 4 * Self::MAX_CHARS || text.chars().count() > Self::MAX_CHARS {
            return fault(format!("it has more than {} characters", Self::MAX_CHARS));
        }
        if let Some((at, c)) = text.char_indices().find(|(_, c)| c.is_control()) {
            return fault(format!("it has the control character `{}` at byte {at}", c.escape_debug()));
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DisplayName {
    type Error = InvalidField;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<DisplayName> for String {
    fn from(name: DisplayName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DisplayName({:?})", self.0)
    }
}

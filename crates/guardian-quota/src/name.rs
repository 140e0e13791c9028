use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use guardian_core::shorten;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A text that is not the name or the key that it should be; says which text and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} `{input}`: {why}")]
pub struct InvalidName {
    what: &'static str,
    input: String,
    why: String,
}

fn check(what: &'static str, text: &str, max: usize, more: &str) -> Result<(), InvalidName> {
    let invalid = |why: String| Err(InvalidName { what, input: shorten(text), why });
    if text.is_empty() {
        return invalid("it is empty".to_owned());
    }
    if text.len() > max {
        return invalid(format!("it has {} bytes, the most is {max}", text.len()));
    }
    let odd = text.char_indices().find(|(_, c)| !(c.is_ascii_alphanumeric() || more.contains(*c)));
    match odd {
        Some((at, c)) => invalid(format!(
            "the character `{}` at byte {at} is not a letter, a digit or one of `{more}`",
            c.escape_debug()
        )),
        None => Ok(()),
    }
}

impl EventKey {
    /// What the keys begin with under which a ledger finds its own entries.
    const OWN: [&str; 3] = ["close:", "grant:", Self::CLIENTS];
    /// What those begin with that clients of the host's chose.
    const CLIENTS: &str = "client:";

    /// Reads one of the caller's, which cannot be one of the ledger's own.
    pub(crate) fn of_caller(text: impl AsRef<str>) -> Result<Self, InvalidName> {
        let key = Self::new(text)?;
        match Self::OWN.into_iter().find(|own| key.0.starts_with(own)) {
            Some(own) => Err(InvalidName {
                what: "event key",
                input: shorten(&key.0),
                why: format!("it begins with `{own}`, as the keys of the ledger's own entries do"),
            }),
            None => Ok(key),
        }
    }

    /// Reads one that a client of the host's chose.
    pub(crate) fn of_client(text: impl AsRef<str>) -> Result<Self, InvalidName> {
        let key = Self::of_caller(text)?;
        let clients = Self::CLIENTS;
        if clients.len() + key.0.len() <= Self::MAX_LEN {
            return Self::new(format!("{clients}{}", key.0));
        }
        let mut digest = format!("{clients}sha256:");
        for byte in Sha256::digest(key.0.as_bytes()) {
            // Writing to a String does not fail.
            let _ = write!(digest, "{byte:02x}");
        }
        Self::new(digest)
    }
}

macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $what:literal, $max:literal, $more:literal) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest one, in bytes.
            pub const MAX_LEN: usize = $max;

            /// Reads one.
            ///
            /// # Errors
            /// When the text is empty, too long, or has a character outside of the set.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
                let text = text.as_ref();
                check($what, text, Self::MAX_LEN, $more)?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

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

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// The name of a feature of a plan, and of the meter behind it: 1 to 64 letters, digits and `. _ -`.
    ///
    /// ```
    /// use guardian_quota::FeatureName;
    ///
    /// assert_eq!(FeatureName::new("api_calls")?.as_str(), "api_calls");
    /// assert!(FeatureName::new("api calls").is_err());
    /// # Ok::<(), guardian_quota::InvalidName>(())
    /// ```
    FeatureName, "feature name", 64, "._-"
}

name! {
    /// The name of a plan: 1 to 64 letters, digits and `. _ -`.
    ///
    /// ```
    /// assert_eq!(guardian_quota::PlanName::new("pro")?.to_string(), "pro");
    /// # Ok::<(), guardian_quota::InvalidName>(())
    /// ```
    PlanName, "plan name", 64, "._-"
}

name! {
    /// The caller's id of one usage event or one call, by which a repetition is known: 1 to 128 letters, digits and
    /// `. _ : / @ + = -`. It is unique for a tenant and a meter, for ever.
    ///
    /// ```
    /// assert!(guardian_quota::EventKey::new("req-2026-03-01/7f3a").is_ok());
    /// ```
    EventKey, "event key", 128, "._:/@+=-"
}

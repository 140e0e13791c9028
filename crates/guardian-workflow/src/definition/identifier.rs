use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use guardian_core::shorten;
use serde::{Deserialize, Serialize};

/// A name that does not do; says which and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} `{input}`: {why}")]
pub struct InvalidName {
    what: &'static str,
    input: String,
    why: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Reads the name.
            ///
            /// # Errors
            /// When it is empty, too long or has a character outside of the set.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
                let text = text.as_ref();
                match $check(text) {
                    None => Ok(Self(text.into())),
                    Some(why) => Err(InvalidName { what: $what, input: shorten(text), why }),
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl From<$type> for Arc<str> {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($type), self.0)
            }
        }
    };
}

fn label(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.len() > 128 {
        return Some("it has more than 128 bytes");
    }
    if text.chars().any(char::is_control) {
        return Some("it has a control character");
    }
    None
}

fn variable(text: &str) -> Option<&'static str> {
    if text.len() > 128 {
        return Some("it has more than 128 bytes");
    }
    let mut characters = text.chars();
    let begins = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if !begins || !characters.all(|each| each.is_ascii_alphanumeric() || each == '_') {
        return Some("it is made of `a-z A-Z 0-9 _` and does not begin with a digit");
    }
    const TAKEN: [&str; 26] = [
        "input",
        "run",
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
        "event",
        "cel",
        "outcome",
    ];
    TAKEN.contains(&text).then_some("the word has a meaning of its own")
}

name! {
    /// The id of a node or trigger: 1 to 128 bytes without control characters. It stays when the node is renamed.
    NodeId, "node id", label
}

name! {
    /// A port, where edges leave a node: `next`, `else`, `body` or a name that the node gives.
    Port, "port", label
}

name! {
    /// The name of a variable, as expressions have it.
    VariableName, "variable name", variable
}

impl NodeId {
    /// The id of a node of a plan, which was read as one.
    pub(crate) fn known(name: Arc<str>) -> Self {
        Self(name)
    }

    /// No id sorts before it; it is none itself.
    pub(crate) fn least() -> Self {
        Self(Arc::from(""))
    }
}

macro_rules! ports {
    ($($(#[$doc:meta])* $name:ident $text:literal)+) => {
        impl Port {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name() -> Self {
                    static PORT: LazyLock<Port> = LazyLock::new(|| Port($text.into()));
                    PORT.clone()
                }
            )+
        }
    };
}

ports! {
    /// Where it goes on when the node is done.
    next "next"
    /// Of a condition: where it goes on if no branch holds.
    otherwise "else"
    /// Of a switch: where it goes on if no case fits.
    default_case "default"
    /// What a loop repeats, or a `try` tries.
    body "body"
    /// Where a `try` goes last, whatever happened.
    finally "finally"
    /// Where it goes on when an action failed for good.
    error "error"
    /// Where it goes on when a wait took too long.
    timeout "timeout"
    /// Of an approval: where it goes on when somebody said yes.
    approved "approved"
    /// Of an approval: where it goes on when somebody said no.
    rejected "rejected"
}

impl Port {
    pub(crate) fn is_next(&self) -> bool {
        &*self.0 == "next"
    }
}

impl Default for Port {
    fn default() -> Self {
        Self::next()
    }
}

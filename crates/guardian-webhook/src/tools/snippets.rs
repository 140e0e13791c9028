//! Verification in six languages, with nothing but what each brings along.

use std::fmt;

/// A language that a receiver is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// Node.js
    JavaScript,
    /// Python 3
    Python,
    /// Go
    Go,
    /// Ruby
    Ruby,
    /// PHP
    Php,
    /// Java 17
    Java,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::JavaScript, Self::Python, Self::Go, Self::Ruby, Self::Php, Self::Java];
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
            Self::Go => "Go",
            Self::Ruby => "Ruby",
            Self::Php => "PHP",
            Self::Java => "Java",
        })
    }
}

/// A function that verifies a `v1` signature of Standard Webhooks: the raw body, constant time, five minutes of tolerance, several
/// signatures while keys overlap. It needs the language's own library alone.
#[must_use]
pub fn snippet(language: Language) -> &'static str {
    match language {
        Language::JavaScript => include_str!("snippets/verify.js"),
        Language::Python => include_str!("snippets/verify.py"),
        Language::Go => include_str!("snippets/verify.go"),
        Language::Ruby => include_str!("snippets/verify.rb"),
        Language::Php => include_str!("snippets/verify.php"),
        Language::Java => include_str!("snippets/Verify.java"),
    }
}

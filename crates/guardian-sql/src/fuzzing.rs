//! The parsers that read what others wrote, for the fuzz targets; no part of the public face.

use crate::lexer::{self, Shape};
use crate::url::{self, Address};
use crate::{Dialect, migration};

/// Reads a URL, and checks that what may be a password shows nowhere.
///
/// # Errors
/// The message of the error.
pub fn address(text: &str) -> Result<String, String> {
    match Address::parse(text) {
        Ok(address) => Ok(format!("{address:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// A URL as errors show it.
#[must_use]
pub fn redacted(text: &str) -> String {
    url::redact(text)
}

/// What a text looks like as one statement: its first word and its highest placeholder.
///
/// # Errors
/// Why it is not one statement.
pub fn statement(text: &str, dialect: Dialect) -> Result<(String, u32), &'static str> {
    let Shape { verb, placeholders } = lexer::single_statement(text, dialect)?;
    Ok((verb.to_owned(), placeholders))
}

/// How many statements a script has, and what is wrong with it as a migration.
#[must_use]
pub fn script(text: &str, dialect: Dialect) -> (usize, Option<String>) {
    (lexer::statements(text, dialect).count(), migration::fault(text, dialect))
}

//! The one place where SQL is put together at run time. Nothing else in the suite may call `AssertSqlSafe`.

use std::fmt::{self, Write};
use std::sync::Arc;

/// The text of one statement: a literal of the program, or what a [`SqlBuilder`] put together.
///
/// There is no way to make one from a text that arrived at run time, so no input can become SQL. Values go into
/// parameters, `$1` and so on, on both databases.
///
/// ```
/// use guardian_sql::Sql;
///
/// let sql: Sql = "SELECT body FROM notes WHERE tenant_id = $1".into();
/// assert!(sql.as_str().starts_with("SELECT"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sql(Text);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Text {
    Literal(&'static str),
    Built(Arc<str>),
}

impl Sql {
    /// Starts a statement that is put together at run time.
    #[must_use]
    pub fn builder(start: &'static str) -> SqlBuilder {
        SqlBuilder { text: start.to_owned(), params: 0 }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Literal(text) => text,
            Text::Built(text) => text,
        }
    }

    /// A statement that a test broke on purpose.
    #[cfg(all(feature = "testkit", any(feature = "sqlite", feature = "postgres")))]
    pub(crate) fn for_a_test(text: &str) -> Self {
        Self(Text::Built(text.into()))
    }

    /// As the driver takes it.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn to_driver(&self) -> sqlx::SqlStr {
        use sqlx::SqlSafeStr;
        match &self.0 {
            Text::Literal(text) => text.into_sql_str(),
            // Only a `SqlBuilder` makes these, and it takes literals and quoted names alone.
            Text::Built(text) => sqlx::AssertSqlSafe(Arc::clone(text)).into_sql_str(),
        }
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self(Text::Literal(text))
    }
}

impl From<&Self> for Sql {
    fn from(sql: &Self) -> Self {
        sql.clone()
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sql({})", self.as_str())
    }
}

/// Puts a statement together from literals, quoted names and placeholders, and from nothing else.
///
/// ```
/// use guardian_sql::Sql;
///
/// let mut sql = Sql::builder("SELECT id FROM ");
/// sql.name("weekly \"report\"").push(" WHERE kind IN (").placeholders(3).push(") LIMIT ").placeholder();
/// let sql = sql.finish();
/// assert_eq!(sql.as_str(), r#"SELECT id FROM "weekly ""report""" WHERE kind IN ($1, $2, $3) LIMIT $4"#);
/// ```
#[derive(Debug, Clone)]
pub struct SqlBuilder {
    text: String,
    params: usize,
}

impl SqlBuilder {
    /// Adds a piece of the program's own text.
    pub fn push(&mut self, literal: &'static str) -> &mut Self {
        self.text.push_str(literal);
        self
    }

    /// Adds a statement or a piece that was put together before; its placeholders keep their numbers.
    pub fn push_sql(&mut self, sql: &Sql) -> &mut Self {
        self.text.push_str(sql.as_str());
        self
    }

    /// Adds the name of a table, a column, a role or the like, in double quotes. A NUL ends no name in either database
    /// and is left out.
    pub fn name(&mut self, name: &str) -> &mut Self {
        quote(&mut self.text, name, '"');
        self
    }

    /// Adds the next placeholder.
    pub fn placeholder(&mut self) -> &mut Self {
        self.params += 1;
        // Writing to a text does not fail.
        let _ = write!(self.text, "${}", self.params);
        self
    }

    /// Adds that many placeholders, separated by commas.
    pub fn placeholders(&mut self, count: usize) -> &mut Self {
        for number in 0..count {
            if number > 0 {
                self.text.push_str(", ");
            }
            self.placeholder();
        }
        self
    }

    /// How many placeholders there are so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.params
    }

    /// Adds a whole number, for places where a database takes no parameter.
    pub fn number(&mut self, number: i64) -> &mut Self {
        let _ = write!(self.text, "{number}");
        self
    }

    /// Adds a text as a literal, for places where a database takes no parameter: definitions, `SET`. Quotes are
    /// doubled; a backslash means itself, as the SQL standard and both databases' defaults have it. A NUL is left out.
    pub fn text(&mut self, text: &str) -> &mut Self {
        quote(&mut self.text, text, '\'');
        self
    }

    /// The statement.
    #[must_use]
    pub fn finish(&self) -> Sql {
        Sql(Text::Built(self.text.as_str().into()))
    }
}

fn quote(into: &mut String, text: &str, mark: char) {
    into.push(mark);
    for c in text.chars().filter(|c| *c != '\0') {
        if c == mark {
            into.push(mark);
        }
        into.push(c);
    }
    into.push(mark);
}

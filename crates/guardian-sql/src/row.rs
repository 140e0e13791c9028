use std::fmt;

use guardian_core::{StoreError, StoreErrorKind};
use sqlx::Row as _;

use crate::Dialect;
use crate::fault;
use crate::field::{Field, FromField};

/// One row of an answer; owned, so it outlives the transaction.
pub struct Row(pub(crate) Driver);

/// The row as the driver holds it.
pub(crate) enum Driver {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::sqlite::SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::postgres::PgRow),
}

impl Row {
    /// The value of a column, by name or by number from 0. Texts and bytes can be borrowed from the row, as `&str` and
    /// `&[u8]`; a column that may be NULL is read as an `Option`.
    ///
    /// # Errors
    /// `Corrupt` when the column holds something else than asked for (NULL included), `Internal` when the answer has
    /// no such column. The error names the column and what it holds, never the value.
    pub fn get<'r, T: FromField<'r>>(&'r self, column: impl ColumnRef) -> Result<T, StoreError> {
        let index = column.find(self).ok_or_else(|| self.no_column(column))?;
        let field = Field { row: self, index };
        T::from_field(&field).map_err(|mismatch| {
            let message = format!("the column `{}` {mismatch}", self.name(index));
            fault::own(StoreErrorKind::Corrupt, self.dialect(), message)
        })
    }

    /// How many columns the answer has.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(row) => row.len(),
            #[cfg(feature = "postgres")]
            Driver::Postgres(row) => row.len(),
        }
    }

    /// Whether the answer has no column.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of a column; empty when there is none of that number.
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(row) => row.columns().get(index).map(sqlx::Column::name),
            #[cfg(feature = "postgres")]
            Driver::Postgres(row) => row.columns().get(index).map(sqlx::Column::name),
        }
        .unwrap_or_default()
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Driver::Postgres(_) => Dialect::Postgres,
        }
    }

    #[cold]
    fn no_column(&self, column: impl ColumnRef) -> StoreError {
        let names: Vec<_> = (0..self.len().min(16)).map(|index| format!("`{}`", self.name(index))).collect();
        let message = format!("the answer has no column `{column}`; it has {}", names.join(", "));
        fault::own(StoreErrorKind::Internal, self.dialect(), message)
    }
}

impl fmt::Debug for Row {
    /// The names of the columns alone: a row may hold what no log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = (0..self.len()).map(|index| self.name(index));
        f.write_str("Row")?;
        f.debug_list().entries(names).finish()
    }
}

/// A column by its name, `"body"`, or its number from 0.
pub trait ColumnRef: Copy + fmt::Display {
    /// Its number, when the row has it.
    fn find(self, row: &Row) -> Option<usize>;
}

impl ColumnRef for usize {
    fn find(self, row: &Row) -> Option<usize> {
        (self < row.len()).then_some(self)
    }
}

impl ColumnRef for &str {
    fn find(self, row: &Row) -> Option<usize> {
        match &row.0 {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(row) => row.try_column(self).ok().map(sqlx::Column::ordinal),
            #[cfg(feature = "postgres")]
            Driver::Postgres(row) => row.try_column(self).ok().map(sqlx::Column::ordinal),
        }
    }
}

//! Statements for many rows, in few sizes: each is prepared once, and a number of rows is some of them.

use std::sync::OnceLock;

use guardian_sql::Sql;

/// The sizes are the powers of two up to 32. With more rows SQLite spends its time on looking for the names of parameters, one by one.
const SIZES: usize = 6;

/// A statement in all sizes.
pub(super) struct Sizes {
    made: [OnceLock<Sql>; SIZES],
    make: fn(usize) -> Sql,
}

impl Sizes {
    pub(super) const fn new(make: fn(usize) -> Sql) -> Self {
        Self { made: [const { OnceLock::new() }; SIZES], make }
    }

    /// The statement for as many of the rows as one takes, with these, and the rest.
    pub(super) fn take<'r, T>(&self, rows: &'r [T]) -> Option<(Sql, &'r [T], &'r [T])> {
        let size = usize::try_from(rows.len().checked_ilog2()?).ok()?.min(SIZES - 1);
        let (these, rest) = rows.split_at_checked(1 << size)?;
        let sql = self.made.get(size)?.get_or_init(|| (self.make)(these.len()));
        Some((sql.clone(), these, rest))
    }
}

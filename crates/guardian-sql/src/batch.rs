use guardian_core::StoreError;

use crate::session::Session;
use crate::{Dialect, Param, Sql};

/// Rows a statement, at most. More hardly helps, and a statement that is large takes long to prepare.
const MAX_ROWS: usize = 256;

/// So few rows come often, and are kept prepared in each number.
const SMALL: usize = 4;

/// An `INSERT` of many rows of N columns.
///
/// The rows go out in statements of up to 256 rows, fewer when the columns are so many that the parameters would exceed
/// what the database takes. All of them belong to the transaction: it keeps all rows or none.
///
/// ```
/// # use guardian_core::StoreError;
/// # use guardian_sql::{Insert, Param, TenantTx, ToParam};
/// const NOTES: Insert<3> = Insert::into("notes", ["tenant_id", "id", "body"]).on_conflict("DO NOTHING");
///
/// async fn import(tx: &mut TenantTx, bodies: &[String]) -> Result<u64, StoreError> {
///     let tenant = tx.scope().tenant().clone();
///     let rows = bodies.iter().zip(1_i64..).map(|(body, id)| [tenant.to_param(), Param::Integer(id), body.to_param()]);
///     tx.insert_many(&NOTES, rows).await
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Insert<const N: usize> {
    table: &'static str,
    columns: [&'static str; N],
    conflict: Option<&'static str>,
}

impl<const N: usize> Insert<N> {
    /// Into these columns of this table; the names are quoted.
    #[must_use]
    pub const fn into(table: &'static str, columns: [&'static str; N]) -> Self {
        Self { table, columns, conflict: None }
    }

    /// With what follows `ON CONFLICT`: `DO NOTHING`, or `(tenant_id, id) DO UPDATE SET body = excluded.body`.
    #[must_use]
    pub const fn on_conflict(mut self, action: &'static str) -> Self {
        self.conflict = Some(action);
        self
    }

    fn statement(&self, rows: usize) -> Sql {
        let mut sql = Sql::builder("INSERT INTO ");
        sql.name(self.table).push(" (");
        for (index, column) in self.columns.iter().enumerate() {
            sql.push(if index > 0 { ", " } else { "" }).name(column);
        }
        sql.push(") VALUES ");
        for row in 0..rows {
            sql.push(if row > 0 { ", (" } else { "(" }).placeholders(N).push(")");
        }
        if let Some(action) = self.conflict {
            sql.push(" ON CONFLICT ").push(action);
        }
        sql.finish()
    }

    pub(crate) async fn run<'p>(
        &self,
        session: &mut Session,
        rows: impl IntoIterator<Item = [Param<'p>; N], IntoIter: Send>,
    ) -> Result<u64, StoreError> {
        let mut rows = rows.into_iter();
        let (mut full, mut changed) = (None, 0);
        while let Some(part) = self.part(session.dialect(), &mut rows, &mut full) {
            changed += session.run(&part.sql, &part.params, part.kept, &mut |_| Ok(())).await?;
        }
        Ok(changed)
    }

    /// The same, and commits together with the last statement.
    pub(crate) async fn run_and_commit<'p>(
        &self,
        mut session: Session,
        rows: impl IntoIterator<Item = [Param<'p>; N], IntoIter: Send>,
    ) -> Result<u64, StoreError> {
        let (dialect, mut rows) = (session.dialect(), rows.into_iter());
        let (mut full, mut changed) = (None, 0);
        let mut next = self.part(dialect, &mut rows, &mut full);
        while let Some(part) = next {
            next = self.part(dialect, &mut rows, &mut full);
            if next.is_none() {
                let Part { sql, params, kept } = part;
                changed += session.run_and_commit(&sql, &params, kept, &mut |_| Ok(())).await?;
                return Ok(changed);
            }
            changed += session.run(&part.sql, &part.params, part.kept, &mut |_| Ok(())).await?;
        }
        session.commit().await.map(|()| changed)
    }

    /// As many of the rows as one statement takes, which is the same as long as it is full.
    fn part<'p>(
        &self,
        dialect: Dialect,
        rows: &mut impl Iterator<Item = [Param<'p>; N]>,
        full: &mut Option<Sql>,
    ) -> Option<Part<'p>> {
        let most = (dialect.max_params() / N.max(1)).clamp(1, MAX_ROWS);
        let mut params = Vec::with_capacity(most.min(rows.size_hint().0.max(1)) * N);
        let mut count = 0;
        for row in rows.take(most) {
            params.extend(row);
            count += 1;
        }
        let sql = match count {
            0 => return None,
            _ if count == most => full.get_or_insert_with(|| self.statement(most)).clone(),
            _ => self.statement(count),
        };
        // The rest comes in all sizes; keeping each would push out what is used often.
        Some(Part { sql, params, kept: count == most || count <= SMALL })
    }
}

struct Part<'p> {
    sql: Sql,
    params: Vec<Param<'p>>,
    /// Whether its preparation is worth keeping.
    kept: bool,
}

use guardian_core::StoreError;

use crate::session::Session;
use crate::{Param, Sql};

/// Rows a statement, at most. More hardly helps, and a statement that is large takes long to prepare.
const MAX_ROWS: usize = 256;

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
        let most = (session.dialect().max_params() / N.max(1)).clamp(1, MAX_ROWS);
        let mut rows = rows.into_iter();
        let (mut full, mut changed) = (None, 0);
        loop {
            let mut params = Vec::with_capacity(most.min(rows.size_hint().0.max(1)) * N);
            let mut count = 0;
            for row in rows.by_ref().take(most) {
                params.extend(row);
                count += 1;
            }
            if count == 0 {
                return Ok(changed);
            }
            changed += if count == most {
                let sql = full.get_or_insert_with(|| self.statement(most));
                session.run(sql, &params, true, &mut |_| Ok(())).await?
            } else {
                // The rest comes in all sizes; keeping each would push out what is used often.
                session.run(&self.statement(count), &params, false, &mut |_| Ok(())).await?
            };
        }
    }
}

//! The statements of workers.

use std::collections::HashMap;

use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use guardian_sql::{Dialect, Param, Row, Sql, ToParam, Tx, params};
use uuid::Uuid;

use super::{HISTORY, SqlAction, SqlStore, Trouble, signed};
use crate::action::Call;
use crate::machine::{Entry, Message};
use crate::store::{Checkpoint, Claimed, Continue, Kept, Performed, RunRecord};

/// A checkpoint as it is written.
pub(super) struct Written {
    tenant: TenantId,
    run: Uuid,
    fence: i64,
    version: i64,
    status: &'static str,
    seen: i64,
    due: Option<Timestamp>,
    held: Option<Timestamp>,
    now: Timestamp,
    state: String,
    history: Option<(i64, i64, String)>,
}

/// Checkpoints a statement; more are several statements of the same transaction.
const ROWS: usize = 64;

impl SqlStore {
    pub(super) fn written(&self, checkpoint: &Checkpoint) -> Result<Written, StoreError> {
        Ok(Written {
            tenant: checkpoint.tenant.clone(),
            run: checkpoint.run,
            fence: checkpoint.fence,
            version: signed(checkpoint.state.version()),
            status: checkpoint.state.status.as_str(),
            seen: checkpoint.state.seen,
            due: checkpoint.held.or(checkpoint.due),
            held: checkpoint.held,
            now: checkpoint.now,
            state: self.write(&checkpoint.state)?,
            history: self.history_row(&checkpoint.entries)?,
        })
    }

    fn history_row(&self, entries: &[Entry]) -> Result<Option<(i64, i64, String)>, StoreError> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(None) };
        Ok(Some((signed(first.number), signed(last.number), self.write(&entries)?)))
    }

    pub(super) fn record(&self, row: &Row) -> Result<RunRecord, StoreError> {
        Ok(RunRecord {
            id: row.get("id")?,
            tenant: row.get("tenant_id")?,
            workflow: row.get::<&str>("workflow")?.into(),
            version: self.number(row.get("version")?)?,
            trigger: row.get::<&str>("started_by")?.into(),
            created: row.get("created")?,
            state: self.read(row.get::<&str>("state")?)?,
        })
    }

    pub(super) async fn insert_run(
        &self,
        scope: &Scope,
        run: &RunRecord,
        entries: &[Entry],
        due: Option<Timestamp>,
        held: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let (state, history) = (self.write(&run.state)?, self.history_row(entries)?);
        let mut tx = self.db.begin(scope).await?;
        let inserted = tx
            .execute(
                "INSERT INTO guardian_workflow_runs (tenant_id, id, workflow, version, status, started_by, created, due, \
                 held, fence, messages, seen, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $11) \
                 ON CONFLICT (tenant_id, id) DO NOTHING",
                params![
                    scope.tenant(),
                    run.id,
                    run.workflow,
                    signed(run.version),
                    run.state.status.as_str(),
                    run.trigger,
                    run.created,
                    held.or(due),
                    held,
                    i64::from(held.is_some()),
                    state
                ],
            )
            .await?;
        if inserted == 0 {
            tx.rollback().await?;
            return Ok(false);
        }
        if let Some((first, last, entries)) = &history {
            let row = [
                scope.tenant().to_param(),
                run.id.to_param(),
                first.to_param(),
                last.to_param(),
                entries.to_param(),
            ];
            tx.insert_many(&HISTORY, [row]).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    pub(super) async fn claim_once(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Claimed>, StoreError> {
        let mut tx = self.db.begin_unscoped(&self.unscoped).await?;
        let sql = match self.db.dialect() {
            Dialect::Sqlite => {
                "WITH picked AS MATERIALIZED (SELECT tenant_id AS of_tenant, id AS of_id FROM guardian_workflow_runs \
                 WHERE due <= $1 AND (held IS NULL OR held <= $1) ORDER BY due LIMIT $3) \
                 UPDATE guardian_workflow_runs SET held = $2, due = $2, fence = fence + 1 FROM picked \
                 WHERE tenant_id = of_tenant AND id = of_id \
                 RETURNING tenant_id, id, workflow, version, started_by, created, state, fence, messages, seen"
            }
            Dialect::Postgres => {
                "WITH picked AS MATERIALIZED (SELECT tenant_id AS of_tenant, id AS of_id FROM guardian_workflow_runs \
                 WHERE due <= $1 AND (held IS NULL OR held <= $1) ORDER BY due LIMIT $3 FOR UPDATE SKIP LOCKED) \
                 UPDATE guardian_workflow_runs SET held = $2, due = $2, fence = fence + 1 FROM picked \
                 WHERE tenant_id = of_tenant AND id = of_id \
                 RETURNING tenant_id, id, workflow, version, started_by, created, state, fence, messages, seen"
            }
        };
        let rows = tx.fetch_all(sql, params![now, until, i64::from(limit)]).await?;
        if rows.is_empty() {
            tx.rollback().await?;
            return Ok(Vec::new());
        }
        let mut claimed = Vec::with_capacity(rows.len());
        for row in &rows {
            let run = self.record(row)?;
            let (messages, seen): (i64, i64) = (row.get("messages")?, row.get("seen")?);
            let messages = if messages > seen {
                self.messages(&mut tx, &run.tenant, run.id, seen).await?
            } else {
                Vec::new()
            };
            claimed.push(Claimed { run, fence: row.get("fence")?, messages });
        }
        tx.commit().await?;
        Ok(claimed)
    }

    async fn messages<B>(
        &self,
        tx: &mut Tx<B>,
        tenant: &TenantId,
        run: Uuid,
        seen: i64,
    ) -> Result<Vec<(i64, Message)>, StoreError> {
        let sql = "SELECT number, message FROM guardian_workflow_messages WHERE tenant_id = $1 AND run_id = $2 \
                   AND number > $3 ORDER BY number";
        let rows = tx.fetch_all(sql, params![tenant, run, seen]).await?;
        rows.iter().map(|row| Ok((row.get("number")?, self.read(row.get::<&str>("message")?)?))).collect()
    }

    /// Keeps checkpoints; what became of each.
    pub(super) async fn keep<B>(&self, tx: &mut Tx<B>, rows: &[Written]) -> Result<Vec<Kept>, StoreError> {
        let mut stored: HashMap<Uuid, (TenantId, i64)> = HashMap::with_capacity(rows.len());
        for some in rows.chunks(ROWS) {
            let mut values = Vec::with_capacity(some.len() * 10);
            for row in some {
                values.extend([
                    row.tenant.to_param(),
                    row.run.to_param(),
                    row.fence.to_param(),
                    row.version.to_param(),
                    row.status.to_param(),
                    row.seen.to_param(),
                    row.due.to_param(),
                    row.held.to_param(),
                    row.now.to_param(),
                    row.state.to_param(),
                ]);
            }
            for found in tx.fetch_all(update(some.len()), &values).await? {
                stored.insert(found.get("id")?, (found.get("tenant_id")?, found.get("messages")?));
            }
        }
        let is_kept = |row: &&Written| stored.get(&row.run).is_some_and(|(tenant, _)| *tenant == row.tenant);
        let history: Vec<[Param<'_>; 5]> = rows
            .iter()
            .filter(is_kept)
            .filter_map(|row| {
                let (first, last, entries) = row.history.as_ref()?;
                Some([
                    row.tenant.to_param(),
                    row.run.to_param(),
                    first.to_param(),
                    last.to_param(),
                    entries.to_param(),
                ])
            })
            .collect();
        if !history.is_empty() {
            tx.insert_many(&HISTORY, history).await?;
        }
        let mut kept = Vec::with_capacity(rows.len());
        for row in rows {
            kept.push(match stored.get(&row.run).filter(|(tenant, _)| *tenant == row.tenant) {
                None => Kept::Lost,
                Some((_, messages)) if row.held.is_some() && *messages > row.seen => {
                    Kept::Yes(self.messages(tx, &row.tenant, row.run, row.seen).await?)
                }
                Some(_) => Kept::Yes(Vec::new()),
            });
        }
        Ok(kept)
    }

    pub(super) async fn perform_once(
        &self,
        action: &dyn SqlAction,
        call: &Call,
        fence: i64,
        next: &dyn Continue,
    ) -> Result<Performed, StoreError> {
        let mut tx = self.db.begin(&call.scope).await?;
        let sql = match self.db.dialect() {
            Dialect::Sqlite => "SELECT fence FROM guardian_workflow_runs WHERE tenant_id = $1 AND id = $2",
            Dialect::Postgres => {
                "SELECT fence FROM guardian_workflow_runs WHERE tenant_id = $1 AND id = $2 FOR UPDATE"
            }
        };
        let found = tx.fetch_optional(sql, params![call.scope.tenant(), call.run]).await?;
        let current: Option<i64> = found.map(|row| row.get("fence")).transpose()?;
        if current != Some(fence) {
            tx.rollback().await?;
            return Ok(Performed::Lost);
        }
        let mut part = tx.savepoint().await?;
        let result = match action.run(&mut part, call).await {
            Ok(value) => {
                part.release().await?;
                Ok(value)
            }
            Err(Trouble::Failed(failure)) => {
                part.roll_back().await?;
                Err(failure)
            }
            Err(Trouble::Store(error)) => return Err(error),
        };
        let checkpoint = next.checkpoint(result);
        let row = self.written(&checkpoint)?;
        let kept = self.keep(&mut tx, std::slice::from_ref(&row)).await?;
        match kept.into_iter().next() {
            Some(Kept::Yes(messages)) => {
                tx.commit().await?;
                Ok(Performed::Kept(Box::new(checkpoint), messages))
            }
            Some(Kept::Lost) => {
                tx.rollback().await?;
                Ok(Performed::Lost)
            }
            None => Err(StoreError::new(StoreErrorKind::Internal, self.backend())),
        }
    }
}

/// The statement that keeps so many checkpoints.
fn update(rows: usize) -> Sql {
    let mut sql = Sql::builder(
        "WITH kept (of_tenant, of_id, of_fence, to_version, to_status, to_seen, to_due, to_held, at, to_state) AS (VALUES ",
    );
    for row in 0..rows {
        sql.push(if row > 0 { ", (" } else { "(" }).placeholders(10).push(")");
    }
    sql.push(
        ") UPDATE guardian_workflow_runs SET version = to_version, status = to_status, seen = to_seen, held = to_held, \
         due = CASE WHEN to_held IS NULL AND messages > to_seen THEN at ELSE to_due END, state = to_state \
         FROM kept WHERE tenant_id = of_tenant AND id = of_id AND fence = of_fence RETURNING tenant_id, id, messages",
    );
    sql.finish()
}

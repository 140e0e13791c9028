//! The statements of workers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use guardian_sql::{Dialect, Param, Row, Sql, ToParam, Tx, params};
use uuid::Uuid;

use super::sizes::Sizes;
use super::{SqlAction, SqlStore, Trouble, signed};
use crate::action::Call;
use crate::machine::{Entry, Message};
use crate::store::{Checkpoint, Claimed, Continue, Kept, MESSAGE_BYTES, MESSAGES, Performed, RunRecord};

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
    state_only: bool,
    took: bool,
    now: Timestamp,
    state: String,
    history: Option<History>,
}

/// Entries of a history as they are written: the numbers of the first and the last, and all of them.
pub(super) type History = (i64, i64, String);

/// The same with its tenant and run.
type HistoryOf<'r> = (&'r TenantId, Uuid, &'r History);

/// A run that begins, as it is written.
pub(super) struct NewRun {
    pub(super) tenant: TenantId,
    id: Uuid,
    workflow: Arc<str>,
    version: i64,
    status: &'static str,
    trigger: Arc<str>,
    created: Timestamp,
    due: Option<Timestamp>,
    held: Option<Timestamp>,
    state: String,
    history: Option<History>,
}

static START: Sizes = Sizes::new(|rows| {
    let mut sql = Sql::builder(
        "INSERT INTO guardian_workflow_runs (tenant_id, id, workflow, version, status, started_by, created, due, held, fence, \
         state, messages, seen) VALUES ",
    );
    for row in 0..rows {
        sql.push(if row > 0 { ", (" } else { "(" }).placeholders(11).push(", 0, 0)");
    }
    sql.push(" ON CONFLICT (tenant_id, id) DO NOTHING RETURNING id");
    sql.finish()
});

static HISTORY: Sizes = Sizes::new(|rows| {
    let mut sql = Sql::builder(
        "INSERT INTO guardian_workflow_history (tenant_id, run_id, first, last, entries) VALUES ",
    );
    for row in 0..rows {
        sql.push(if row > 0 { ", (" } else { "(" }).placeholders(5).push(")");
    }
    sql.finish()
});

/// Keeps states and nothing that an index is on.
static STATES: Sizes = Sizes::new(|rows| {
    if rows == 1 {
        return "UPDATE guardian_workflow_runs SET status = $4, seen = $5, state = $6 \
                WHERE tenant_id = $1 AND id = $2 AND fence = $3 RETURNING tenant_id, id, messages"
            .into();
    }
    let mut sql =
        Sql::builder("WITH kept (of_tenant, of_id, of_fence, to_status, to_seen, to_state) AS (VALUES ");
    for row in 0..rows {
        sql.push(if row > 0 { ", (" } else { "(" }).placeholders(6).push(")");
    }
    sql.push(
        ") UPDATE guardian_workflow_runs SET status = to_status, seen = to_seen, state = to_state \
         FROM kept WHERE tenant_id = of_tenant AND id = of_id AND fence = of_fence RETURNING tenant_id, id, messages",
    );
    sql.finish()
});

/// Keeps everything.
static WHOLE: Sizes = Sizes::new(|rows| {
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
});

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
            state_only: checkpoint.state_only && checkpoint.held.is_some(),
            took: checkpoint.took,
            now: checkpoint.now,
            state: self.write(&checkpoint.state)?,
            history: self.history_row(&checkpoint.entries)?,
        })
    }

    fn history_row(&self, entries: &[Entry]) -> Result<Option<History>, StoreError> {
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

    pub(super) fn new_run(
        &self,
        scope: &Scope,
        run: &RunRecord,
        entries: &[Entry],
        due: Option<Timestamp>,
        held: Option<Timestamp>,
    ) -> Result<NewRun, StoreError> {
        Ok(NewRun {
            tenant: scope.tenant().clone(),
            id: run.id,
            workflow: Arc::clone(&run.workflow),
            version: signed(run.version),
            status: run.state.status.as_str(),
            trigger: Arc::clone(&run.trigger),
            created: run.created,
            due: held.or(due),
            held,
            state: self.write(&run.state)?,
            history: self.history_row(entries)?,
        })
    }

    /// Stores runs of one tenant that begin; whether each is new.
    pub(super) async fn insert_runs(&self, scope: &Scope, runs: &[&NewRun]) -> Result<Vec<bool>, StoreError> {
        // Of several with one id the first counts.
        let mut ids = HashSet::with_capacity(runs.len());
        let first: Vec<bool> = runs.iter().map(|run| ids.insert(run.id)).collect();
        let mut rows: Vec<&NewRun> =
            runs.iter().zip(&first).filter(|(_, first)| **first).map(|(run, _)| *run).collect();
        // In one order, so that two processes that start the same runs do not wait for each other in a circle.
        rows.sort_by_key(|run| run.id);
        let mut new = HashSet::with_capacity(rows.len());
        let mut tx = self.db.begin(scope).await?;
        let mut left = rows.as_slice();
        while let Some((sql, these, rest)) = START.take(left) {
            let mut values = Vec::with_capacity(these.len() * 11);
            let fences: Vec<i64> = these.iter().map(|run| i64::from(run.held.is_some())).collect();
            for (run, fence) in these.iter().zip(&fences) {
                values.extend([
                    run.tenant.to_param(),
                    run.id.to_param(),
                    run.workflow.to_param(),
                    run.version.to_param(),
                    run.status.to_param(),
                    run.trigger.to_param(),
                    run.created.to_param(),
                    run.due.to_param(),
                    run.held.to_param(),
                    fence.to_param(),
                    run.state.to_param(),
                ]);
            }
            for row in tx.fetch_all(sql, &values).await? {
                new.insert(row.get::<Uuid>("id")?);
            }
            left = rest;
        }
        if new.is_empty() {
            tx.rollback().await?;
            return Ok(vec![false; runs.len()]);
        }
        let histories: Vec<_> = rows
            .iter()
            .filter(|run| new.contains(&run.id))
            .filter_map(|run| Some((&run.tenant, run.id, run.history.as_ref()?)))
            .collect();
        Self::add_history_and_commit(tx, &histories).await?;
        Ok(runs.iter().zip(first).map(|(run, first)| first && new.contains(&run.id)).collect())
    }

    async fn add_history<B>(tx: &mut Tx<B>, rows: &[HistoryOf<'_>]) -> Result<(), StoreError> {
        let mut left = rows;
        while let Some((sql, these, rest)) = HISTORY.take(left) {
            tx.execute(sql, &history_params(these)).await?;
            left = rest;
        }
        Ok(())
    }

    async fn add_history_and_commit<B>(mut tx: Tx<B>, rows: &[HistoryOf<'_>]) -> Result<(), StoreError> {
        let mut left = rows;
        while let Some((sql, these, rest)) = HISTORY.take(left) {
            if rest.is_empty() {
                return tx.execute_and_commit(sql, &history_params(these)).await.map(drop);
            }
            tx.execute(sql, &history_params(these)).await?;
            left = rest;
        }
        tx.commit().await
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
            // What cannot be read stays held, so that the runs behind it have their turn.
            let Ok(run) = self.record(row) else { continue };
            let (messages, seen): (i64, i64) = (row.get("messages")?, row.get("seen")?);
            let messages = if messages > seen {
                match self.messages(&mut tx, &run.tenant, run.id, seen).await {
                    Err(error) if error.kind() == StoreErrorKind::Corrupt => continue,
                    messages => messages?,
                }
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
        // The sizes first, without the texts: of what is too much for now nothing is read.
        let sql = "SELECT number, message FROM guardian_workflow_messages WHERE tenant_id = $1 AND run_id = $2 \
                   AND number > $3 AND number <= (SELECT MAX(number) FROM (\
                   SELECT number, size, SUM(size) OVER (ORDER BY number) AS total FROM (\
                   SELECT number, octet_length(message) AS size FROM guardian_workflow_messages \
                   WHERE tenant_id = $1 AND run_id = $2 AND number > $3 ORDER BY number LIMIT $4) AS sized) AS summed \
                   WHERE total - size < $5) ORDER BY number";
        let most = i64::try_from(MESSAGES).unwrap_or(i64::MAX);
        let bytes = i64::try_from(MESSAGE_BYTES).unwrap_or(i64::MAX);
        let rows = tx.fetch_all(sql, params![tenant, run, seen, most, bytes]).await?;
        rows.iter().map(|row| Ok((row.get("number")?, self.read(row.get::<&str>("message")?)?))).collect()
    }

    /// Keeps states; for each run that is still held how many messages it has.
    async fn keep_states<B>(tx: &mut Tx<B>, rows: &[Written]) -> Result<Vec<Option<i64>>, StoreError> {
        let mut stored: HashMap<(TenantId, Uuid), i64> = HashMap::with_capacity(rows.len());
        let (states, whole): (Vec<&Written>, Vec<&Written>) = rows.iter().partition(|row| row.state_only);
        let mut left = states.as_slice();
        while let Some((sql, these, rest)) = STATES.take(left) {
            let mut values = Vec::with_capacity(these.len() * 6);
            for row in these {
                values.extend([
                    row.tenant.to_param(),
                    row.run.to_param(),
                    row.fence.to_param(),
                    row.status.to_param(),
                    row.seen.to_param(),
                    row.state.to_param(),
                ]);
            }
            found(&mut stored, &tx.fetch_all(sql, &values).await?)?;
            left = rest;
        }
        let mut left = whole.as_slice();
        while let Some((sql, these, rest)) = WHOLE.take(left) {
            let mut values = Vec::with_capacity(these.len() * 10);
            for row in these {
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
            found(&mut stored, &tx.fetch_all(sql, &values).await?)?;
            left = rest;
        }
        Ok(rows.iter().map(|row| stored.get(&(row.tenant.clone(), row.run)).copied()).collect())
    }

    /// Keeps checkpoints and commits; what became of each. What an action did in the transaction is kept only with its checkpoint.
    pub(super) async fn keep<B>(
        &self,
        mut tx: Tx<B>,
        rows: &[Written],
        acted: bool,
    ) -> Result<Vec<Kept>, StoreError> {
        let kept = Self::keep_states(&mut tx, rows).await?;
        if acted && kept.contains(&None) {
            tx.rollback().await?;
            return Ok(rows.iter().map(|_| Kept::Lost).collect());
        }
        let histories: Vec<_> = rows
            .iter()
            .zip(&kept)
            .filter(|(_, kept)| kept.is_some())
            .filter_map(|(row, _)| Some((&row.tenant, row.run, row.history.as_ref()?)))
            .collect();
        let has_more = |row: &Written, messages: i64| row.held.is_some() && messages > row.seen;
        let is_all = rows
            .iter()
            .zip(&kept)
            .all(|(row, kept)| kept.is_none_or(|messages| !row.took && !has_more(row, messages)));
        if is_all {
            Self::add_history_and_commit(tx, &histories).await?;
            return Ok(kept
                .iter()
                .map(|kept| if kept.is_some() { Kept::Yes(Vec::new()) } else { Kept::Lost })
                .collect());
        }
        Self::add_history(&mut tx, &histories).await?;
        let mut answers = Vec::with_capacity(rows.len());
        for (row, kept) in rows.iter().zip(kept) {
            if kept.is_some() && row.took {
                let sql = "DELETE FROM guardian_workflow_messages WHERE tenant_id = $1 AND run_id = $2 AND number <= $3";
                tx.execute(sql, params![row.tenant, row.run, row.seen]).await?;
            }
            answers.push(match kept {
                None => Kept::Lost,
                Some(messages) if has_more(row, messages) => {
                    match self.messages(&mut tx, &row.tenant, row.run, row.seen).await {
                        // The run stays held, and is in nobody's way.
                        Err(error) if error.kind() == StoreErrorKind::Corrupt => Kept::Lost,
                        messages => Kept::Yes(messages?),
                    }
                }
                Some(_) => Kept::Yes(Vec::new()),
            });
        }
        if acted && answers.iter().any(|answer| matches!(answer, Kept::Lost)) {
            tx.rollback().await?;
        } else {
            tx.commit().await?;
        }
        Ok(answers)
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
        let kept = self.keep(tx, std::slice::from_ref(&row), true).await?;
        match kept.into_iter().next() {
            Some(Kept::Yes(messages)) => Ok(Performed::Kept(Box::new(checkpoint), messages)),
            Some(Kept::Lost) => Ok(Performed::Lost),
            None => Err(StoreError::new(StoreErrorKind::Internal, self.backend())),
        }
    }
}

/// Notes which rows were changed, and how many messages there are for each.
fn found(stored: &mut HashMap<(TenantId, Uuid), i64>, rows: &[Row]) -> Result<(), StoreError> {
    for row in rows {
        stored.insert((row.get("tenant_id")?, row.get("id")?), row.get("messages")?);
    }
    Ok(())
}

fn history_params<'r>(rows: &'r [HistoryOf<'_>]) -> Vec<Param<'r>> {
    let mut values = Vec::with_capacity(rows.len() * 5);
    for (tenant, run, (first, last, entries)) in rows {
        values.extend([
            tenant.to_param(),
            run.to_param(),
            first.to_param(),
            last.to_param(),
            entries.to_param(),
        ]);
    }
    values
}

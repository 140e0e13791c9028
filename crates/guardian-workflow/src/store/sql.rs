use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Cursor, Page, PageRequest, Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use guardian_sql::{
    Database, Dialect, Error, Insert, Migration, Migrations, Param, Retry, Savepoint, ToParam, Tx, Unscoped,
    params, retry,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::memory::{foreign, one_more, unknown_action};
use super::{
    Checkpoint, Claimed, Continue, Kept, Listening, Occasion, Performed, RunFilter, RunRecord, Save, Saved,
    WorkflowStore,
};
use crate::action::{Call, Failure};
use crate::machine::{Entry, Message};
use crate::version::{Version, Workflow};
use runs::NewRun;
use starts::Turn;

mod runs;
mod sizes;
mod starts;

/// The tables of workflows, versions, runs, their history and messages.
pub const MIGRATIONS: Migrations = Migrations::new(
    "guardian_workflow",
    &[Migration::new(
        1,
        "tables",
        include_str!("../../migrations/0001_tables.sqlite.sql"),
        include_str!("../../migrations/0001_tables.postgres.sql"),
    )],
);

/// An action that happens in the transaction of the checkpoint: exactly once, whatever happens to the process.
#[async_trait]
pub trait SqlAction: Send + Sync + fmt::Debug + 'static {
    /// Does it. When it fails, what it did is undone, and the failure is kept.
    ///
    /// # Errors
    /// The action's failure, or a fault of the store; after a conflict with another transaction it is run again. Data that break a
    /// rule of the schema fail the node with the code `constraint`, data that cannot be understood with `corrupt`, and what the
    /// database does not take with `unsupported`.
    async fn run(&self, tx: &mut Savepoint<'_, Scope>, call: &Call) -> Result<Value, Trouble>;
}

/// Why a transactional action did not happen.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "an action fails, or the store does")]
pub enum Trouble {
    /// The action's own failure, for retry rules and `catch`.
    Failed(Failure),
    /// The store's; nothing is kept of the transaction.
    Store(StoreError),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Everything in SQLite or PostgreSQL.
///
/// Workers drive the runs of all tenants, in transactions that say so; everything else is bound to one tenant.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use guardian_core::{Scope, TenantId};
/// use guardian_sql::Database;
/// use guardian_workflow::store::SqlStore;
///
/// let operator = Scope::system(TenantId::new("operator")?);
/// let store = SqlStore::open(Database::open("sqlite::memory:").await?, &operator).await?;
/// # let _ = store;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SqlStore {
    db: Database,
    unscoped: Unscoped,
    actions: Arc<HashMap<String, Arc<dyn SqlAction>>>,
    starts: Arc<starts::Starts>,
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("db", &self.db).finish_non_exhaustive()
    }
}

impl SqlStore {
    /// The workflows of this database, whose tables are made or brought up to date. The operator is who workers act for
    /// where they go across tenants.
    ///
    /// # Errors
    /// When the migration fails, or the tables are newer than this code.
    pub async fn open(db: Database, operator: &Scope) -> Result<Self, Error> {
        db.migrate(&MIGRATIONS).await?;
        Self::new(db, operator)
    }

    /// The workflows of a database whose tables exist: where another role migrates, with [`MIGRATIONS`].
    ///
    /// # Errors
    /// None with the reason that it gives; the type is the reason's.
    pub fn new(db: Database, operator: &Scope) -> Result<Self, Error> {
        let unscoped = Unscoped::new(operator.clone(), "workers drive the workflow runs of all tenants")?;
        Ok(Self { db, unscoped, actions: Arc::default(), starts: Arc::default() })
    }

    /// With a transactional action, under the name that definitions call it by.
    #[must_use]
    pub fn with_action(mut self, name: impl Into<String>, action: impl SqlAction) -> Self {
        let mut actions = (*self.actions).clone();
        actions.insert(name.into(), Arc::new(action));
        self.actions = Arc::new(actions);
        self
    }

    fn backend(&self) -> &'static str {
        self.db.dialect().name()
    }

    fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|error| self.corrupt(error))
    }

    fn corrupt(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
        StoreError::new(StoreErrorKind::Corrupt, self.backend()).with_source(error)
    }

    fn write(&self, value: &impl serde::Serialize) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|error| self.corrupt(error))
    }

    fn number(&self, number: i64) -> Result<u64, StoreError> {
        u64::try_from(number).map_err(|error| self.corrupt(error))
    }

    /// Whether a run is pinned to the version, or a sub-workflow of a run that goes on.
    async fn is_used<B>(
        &self,
        tx: &mut Tx<B>,
        tenant: &TenantId,
        name: &str,
        number: u64,
    ) -> Result<bool, StoreError> {
        let number = signed(number);
        let pinned = "SELECT 1 AS found FROM guardian_workflow_runs WHERE tenant_id = $1 AND workflow = $2 AND version = $3 LIMIT 1";
        if tx.fetch_optional(pinned, params![tenant, name, number]).await?.is_some() {
            return Ok(true);
        }
        let scope = serde_json::json!({ "workflow": name }).to_string();
        let scope = format!("{},\"version\":{number},", scope.trim_start_matches('{').trim_end_matches('}'));
        let within = match self.db.dialect() {
            Dialect::Sqlite => {
                "SELECT 1 AS found FROM guardian_workflow_runs WHERE tenant_id = $1 AND due IS NOT NULL AND instr(state, $2) > 0 LIMIT 1"
            }
            Dialect::Postgres => {
                "SELECT 1 AS found FROM guardian_workflow_runs WHERE tenant_id = $1 AND due IS NOT NULL AND strpos(state, $2) > 0 LIMIT 1"
            }
        };
        Ok(tx.fetch_optional(within, params![tenant, scope]).await?.is_some())
    }

    /// Writes down what a workflow listens to; the path that is another one's, if one is.
    async fn listen<B>(
        &self,
        tx: &mut Tx<B>,
        tenant: &TenantId,
        name: &str,
        listens: &BTreeSet<Listening>,
    ) -> Result<Option<String>, StoreError> {
        tx.execute(
            "DELETE FROM guardian_workflow_triggers WHERE tenant_id = $1 AND workflow = $2",
            params![tenant, name],
        )
        .await?;
        let rows: Vec<[Param<'_>; 4]> = listens
            .iter()
            .map(|each| {
                let (kind, topic) = match each {
                    Listening::Event(event) => ("event", event.as_str()),
                    Listening::Events(beginning) => ("events", beginning.as_str()),
                    Listening::Schedule => ("schedule", ""),
                    Listening::Webhook(path) => ("webhook", path.as_str()),
                };
                [tenant.to_param(), kind.to_param(), topic.to_param(), name.to_param()]
            })
            .collect();
        if rows.is_empty() || tx.insert_many(&TRIGGERS, rows).await? == listens.len() as u64 {
            return Ok(None);
        }
        for each in listens {
            let Listening::Webhook(path) = each else { continue };
            let sql = "SELECT 1 AS found FROM guardian_workflow_triggers \
                       WHERE tenant_id = $1 AND kind = 'webhook' AND topic = $2 AND workflow <> $3";
            if tx.fetch_optional(sql, params![tenant, path, name]).await?.is_some() {
                return Ok(Some(path.clone()));
            }
        }
        Err(self.corrupt("the triggers of a workflow are there twice"))
    }

    fn page<T>(&self, mut items: Vec<T>, page: &PageRequest, cursor: impl Fn(&T) -> Cursor) -> Page<T> {
        let size = usize::try_from(page.size()).unwrap_or(usize::MAX);
        let more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| more).map(cursor);
        Page::new(items, next)
    }
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn limit(page: &PageRequest) -> i64 {
    i64::try_from(one_more(page)).unwrap_or(i64::MAX)
}

#[async_trait]
impl WorkflowStore for SqlStore {
    async fn save(&self, scope: &Scope, save: &Save) -> Result<Saved, StoreError> {
        let (tenant, name) = (scope.tenant(), &save.workflow.name);
        let document = self.write(&save.workflow)?;
        let mut tx = self.db.begin(scope).await?;
        let changed = if save.workflow.revision == 1 {
            tx.execute(
                "INSERT INTO guardian_workflows (tenant_id, name, revision, document) VALUES ($1, $2, 1, $3) \
                 ON CONFLICT (tenant_id, name) DO NOTHING",
                params![tenant, name, document],
            )
            .await?
        } else {
            tx.execute(
                "UPDATE guardian_workflows SET revision = $3, document = $4 \
                 WHERE tenant_id = $1 AND name = $2 AND revision = $3 - 1",
                params![tenant, name, signed(save.workflow.revision), document],
            )
            .await?
        };
        if changed == 0 {
            tx.rollback().await?;
            return Ok(Saved::Conflict);
        }
        if let Some(version) = &save.version {
            let document = self.write(version)?;
            let inserted = tx
                .execute(
                    "INSERT INTO guardian_workflow_versions (tenant_id, name, number, document) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (tenant_id, name, number) DO NOTHING",
                    params![tenant, name, signed(version.number), document],
                )
                .await?;
            if inserted == 0 {
                tx.rollback().await?;
                return Ok(Saved::Conflict);
            }
        }
        if let Some(listens) = &save.listens
            && let Some(path) = self.listen(&mut tx, tenant, name, listens).await?
        {
            tx.rollback().await?;
            return Ok(Saved::Taken(path));
        }
        if let Some(squashed) = save.squashed
            && !self.is_used(&mut tx, tenant, name, squashed).await?
        {
            tx.execute(
                "DELETE FROM guardian_workflow_versions WHERE tenant_id = $1 AND name = $2 AND number = $3",
                params![tenant, name, signed(squashed)],
            )
            .await?;
        }
        tx.commit().await?;
        Ok(Saved::Done)
    }

    async fn workflow(&self, scope: &Scope, name: &str) -> Result<Option<Workflow>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT document FROM guardian_workflows WHERE tenant_id = $1 AND name = $2";
        let row = tx.fetch_optional(sql, params![scope.tenant(), name]).await?;
        tx.commit().await?;
        row.map(|row| self.read(row.get::<&str>("document")?)).transpose()
    }

    async fn workflows(&self, scope: &Scope, page: &PageRequest) -> Result<Page<Workflow>, StoreError> {
        let after = match page.cursor() {
            Some(cursor) => {
                std::str::from_utf8(cursor.as_bytes()).map_err(|_| foreign(self.backend()))?.to_owned()
            }
            None => String::new(),
        };
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT document FROM guardian_workflows WHERE tenant_id = $1 AND name > $2 ORDER BY name LIMIT $3";
        let rows = tx.fetch_all(sql, params![scope.tenant(), after, limit(page)]).await?;
        tx.commit().await?;
        let found: Vec<Workflow> =
            rows.iter().map(|row| self.read(row.get::<&str>("document")?)).collect::<Result<_, _>>()?;
        Ok(self.page(found, page, |workflow| Cursor::from_bytes(workflow.name.as_bytes())))
    }

    async fn listeners(
        &self,
        scope: &Scope,
        occasion: Occasion<'_>,
        page: &PageRequest,
    ) -> Result<Page<Workflow>, StoreError> {
        let after = match page.cursor() {
            Some(cursor) => {
                std::str::from_utf8(cursor.as_bytes()).map_err(|_| foreign(self.backend()))?.to_owned()
            }
            None => String::new(),
        };
        let (sql, topic) = match occasion {
            Occasion::Event(event) => (
                "SELECT document FROM guardian_workflows WHERE tenant_id = $1 AND name > $2 AND name IN (\
                 SELECT workflow FROM guardian_workflow_triggers WHERE tenant_id = $1 AND kind = 'event' AND topic = $4 \
                 UNION ALL SELECT workflow FROM guardian_workflow_triggers WHERE tenant_id = $1 AND kind = 'events' \
                 AND substr($4, 1, length(topic)) = topic) ORDER BY name LIMIT $3",
                event,
            ),
            Occasion::Schedule => (
                "SELECT document FROM guardian_workflows WHERE tenant_id = $1 AND name > $2 AND name IN (\
                 SELECT workflow FROM guardian_workflow_triggers WHERE tenant_id = $1 AND kind = 'schedule' AND topic = $4) \
                 ORDER BY name LIMIT $3",
                "",
            ),
            Occasion::Webhook(path) => (
                "SELECT document FROM guardian_workflows WHERE tenant_id = $1 AND name > $2 AND name IN (\
                 SELECT workflow FROM guardian_workflow_triggers WHERE tenant_id = $1 AND kind = 'webhook' AND topic = $4) \
                 ORDER BY name LIMIT $3",
                path,
            ),
        };
        // What PostgreSQL cannot keep nobody listens to.
        if topic.contains('\0') {
            return Ok(Page::new(Vec::new(), None));
        }
        let mut tx = self.db.begin_read(scope).await?;
        let rows = tx.fetch_all(sql, params![scope.tenant(), after, limit(page), topic]).await?;
        tx.commit().await?;
        let found: Vec<Workflow> =
            rows.iter().map(|row| self.read(row.get::<&str>("document")?)).collect::<Result<_, _>>()?;
        Ok(self.page(found, page, |workflow| Cursor::from_bytes(workflow.name.as_bytes())))
    }

    async fn version(&self, scope: &Scope, name: &str, number: u64) -> Result<Option<Version>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT document FROM guardian_workflow_versions WHERE tenant_id = $1 AND name = $2 AND number = $3";
        let row = tx.fetch_optional(sql, params![scope.tenant(), name, signed(number)]).await?;
        tx.commit().await?;
        row.map(|row| self.read(row.get::<&str>("document")?)).transpose()
    }

    async fn versions(
        &self,
        scope: &Scope,
        name: &str,
        page: &PageRequest,
    ) -> Result<Page<Version>, StoreError> {
        let before = match page.cursor() {
            Some(cursor) => {
                let bytes = cursor.as_bytes().try_into().map_err(|_| foreign(self.backend()))?;
                signed(u64::from_be_bytes(bytes))
            }
            None => i64::MAX,
        };
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT document FROM guardian_workflow_versions WHERE tenant_id = $1 AND name = $2 AND number < $3 \
                   ORDER BY number DESC LIMIT $4";
        let rows = tx.fetch_all(sql, params![scope.tenant(), name, before, limit(page)]).await?;
        tx.commit().await?;
        let found: Vec<Version> =
            rows.iter().map(|row| self.read(row.get::<&str>("document")?)).collect::<Result<_, _>>()?;
        Ok(self.page(found, page, |version| Cursor::from_bytes(&version.number.to_be_bytes())))
    }

    async fn forget_versions(
        &self,
        scope: &Scope,
        name: &str,
        numbers: &[u64],
    ) -> Result<Vec<u64>, StoreError> {
        let tenant = scope.tenant();
        let mut gone = Vec::new();
        let mut tx = self.db.begin(scope).await?;
        for number in numbers {
            if self.is_used(&mut tx, tenant, name, *number).await? {
                continue;
            }
            let sql =
                "DELETE FROM guardian_workflow_versions WHERE tenant_id = $1 AND name = $2 AND number = $3";
            if tx.execute(sql, params![tenant, name, signed(*number)]).await? > 0 {
                gone.push(*number);
            }
        }
        tx.commit().await?;
        Ok(gone)
    }

    async fn start(
        &self,
        scope: &Scope,
        run: RunRecord,
        entries: Vec<Entry>,
        due: Option<Timestamp>,
        held: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let run = self.new_run(scope, &run, &entries, due, held)?;
        let (ticket, turn) = self.starts.turn(run).await;
        match turn {
            Turn::Done(new) => return Ok(new),
            Turn::Lead(batch) => {
                let runs: Vec<&NewRun> = batch.tickets.iter().map(|ticket| &ticket.run).collect();
                let (stored, alone) =
                    (retry(&Retry::default(), || self.insert_runs(scope, &runs)).await, runs.len() == 1);
                match stored {
                    Ok(new) => {
                        batch.done(&new);
                        return Ok(new.first().copied().unwrap_or(false));
                    }
                    Err(error) if alone => return Err(error),
                    // One of them may be at fault, and the others must not pay for it.
                    Err(_) => {}
                }
            }
            Turn::Alone => {}
        }
        let runs = [&ticket.run];
        let new = retry(&Retry::default(), || self.insert_runs(scope, &runs)).await?;
        Ok(new.first().copied().unwrap_or(false))
    }

    async fn run(&self, scope: &Scope, id: Uuid) -> Result<Option<RunRecord>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT tenant_id, id, workflow, version, started_by, created, state FROM guardian_workflow_runs \
                   WHERE tenant_id = $1 AND id = $2";
        let row = tx.fetch_optional(sql, params![scope.tenant(), id]).await?;
        tx.commit().await?;
        row.map(|row| self.record(&row)).transpose()
    }

    async fn runs(
        &self,
        scope: &Scope,
        filter: &RunFilter,
        page: &PageRequest,
    ) -> Result<Page<RunRecord>, StoreError> {
        let before = match page.cursor() {
            Some(cursor) => Uuid::from_slice(cursor.as_bytes()).map_err(|_| foreign(self.backend()))?,
            None => Uuid::max(),
        };
        let mut tx = self.db.begin_read(scope).await?;
        // An empty text and 0 stand for any: no name is empty, and no version has the number 0.
        let sql = "SELECT tenant_id, id, workflow, version, started_by, created, state FROM guardian_workflow_runs \
                   WHERE tenant_id = $1 AND id < $2 AND ($3 = '' OR workflow = $3) AND ($4 = 0 OR version = $4) \
                   AND ($5 = '' OR status = $5) ORDER BY id DESC LIMIT $6";
        let rows = tx
            .fetch_all(
                sql,
                params![
                    scope.tenant(),
                    before,
                    filter.workflow.clone().unwrap_or_default(),
                    signed(filter.version.unwrap_or(0)),
                    filter.status.map_or("", crate::Status::as_str),
                    limit(page)
                ],
            )
            .await?;
        tx.commit().await?;
        let found: Vec<RunRecord> = rows.iter().map(|row| self.record(row)).collect::<Result<_, _>>()?;
        Ok(self.page(found, page, |run| Cursor::from_bytes(run.id.as_bytes())))
    }

    async fn history(
        &self,
        scope: &Scope,
        id: Uuid,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT entries FROM guardian_workflow_history WHERE tenant_id = $1 AND run_id = $2 AND last > $3 \
                   ORDER BY first LIMIT $4";
        let rows = tx.fetch_all(sql, params![scope.tenant(), id, signed(after), i64::from(limit)]).await?;
        tx.commit().await?;
        let mut entries = Vec::new();
        for row in &rows {
            let some: Vec<Entry> = self.read(row.get::<&str>("entries")?)?;
            entries.extend(some.into_iter().filter(|entry| entry.number > after));
            if entries.len() >= limit as usize {
                break;
            }
        }
        Ok(entries)
    }

    async fn send(
        &self,
        scope: &Scope,
        id: Uuid,
        message: &Message,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        let text = self.write(message)?;
        retry(&Retry::default(), || async {
            let mut tx = self.db.begin(scope).await?;
            let sql = "UPDATE guardian_workflow_runs SET messages = messages + 1, \
                       due = CASE WHEN due IS NULL OR due > $3 THEN $3 ELSE due END \
                       WHERE tenant_id = $1 AND id = $2 RETURNING messages";
            let Some(row) = tx.fetch_optional(sql, params![scope.tenant(), id, now]).await? else {
                tx.rollback().await?;
                return Ok(None);
            };
            let number: i64 = row.get("messages")?;
            let sql = "INSERT INTO guardian_workflow_messages (tenant_id, run_id, number, message) VALUES ($1, $2, $3, $4)";
            tx.execute(sql, params![scope.tenant(), id, number, text]).await?;
            tx.commit().await?;
            Ok(Some(number))
        })
        .await
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<Claimed>, StoreError> {
        retry(&Retry::default(), || self.claim_once(now, until, limit)).await
    }

    async fn checkpoint(&self, batch: Vec<Checkpoint>) -> Result<Vec<Kept>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<runs::Written> =
            batch.iter().map(|each| self.written(each)).collect::<Result<_, _>>()?;
        drop(batch);
        retry(&Retry::default(), || async {
            let tx = self.db.begin_unscoped(&self.unscoped).await?;
            self.keep(tx, &rows, false).await
        })
        .await
    }

    async fn extend(
        &self,
        held: &[(TenantId, Uuid, i64)],
        until: Timestamp,
    ) -> Result<Vec<Uuid>, StoreError> {
        let mut extended = Vec::new();
        let mut tx = self.db.begin_unscoped(&self.unscoped).await?;
        for (tenant, id, fence) in held {
            let sql = "UPDATE guardian_workflow_runs SET held = $4, due = CASE WHEN due < held THEN due ELSE $4 END \
                       WHERE tenant_id = $1 AND id = $2 AND fence = $3 AND held IS NOT NULL";
            if tx.execute(sql, params![tenant, id, fence, until]).await? > 0 {
                extended.push(*id);
            }
        }
        tx.commit().await?;
        Ok(extended)
    }

    async fn perform(&self, call: &Call, fence: i64, next: &dyn Continue) -> Result<Performed, StoreError> {
        let Some(action) = self.actions.get(&*call.action) else {
            return Err(unknown_action(self.backend(), &call.action));
        };
        retry(&Retry::default(), || self.perform_once(&**action, call, fence, next)).await
    }
}

const TRIGGERS: Insert<4> =
    Insert::into("guardian_workflow_triggers", ["tenant_id", "kind", "topic", "workflow"])
        .on_conflict("DO NOTHING");

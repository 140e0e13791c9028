//! Histories and series in a SQL database: SQLite or PostgreSQL.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use guardian_core::{PageRequest, Scope, StoreError, StoreErrorKind, Timestamp};
use guardian_sql::{Database, Dialect, Error as SqlError, Migration, Migrations, Row, TenantTx, params};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{AdaptationState, NewEntry, SentimentStore, recount};
use crate::message::{Corrected, Entry, Recorded, Told};
use crate::{Segment, Trend, TrendPolicy};

/// Everything in SQLite or PostgreSQL.
///
/// A message and all that it changes are one transaction. The series of all messages is locked before any other, so that changes by
/// several processes take turns and never block each other for good; a message that counts in no series locks none.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use guardian_sentiment::SqlStore;
/// use guardian_sql::Database;
///
/// let store = SqlStore::open(Database::open("sqlite::memory:").await?).await?;
/// # let _ = store;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SqlStore {
    db: Database,
}

impl SqlStore {
    /// The tables.
    pub const MIGRATIONS: Migrations = Migrations::new(
        "guardian_sentiment",
        &[Migration::new(
            1,
            "tables",
            include_str!("../../migrations/0001_tables.sqlite.sql"),
            include_str!("../../migrations/0001_tables.postgres.sql"),
        )],
    );

    /// The sentiments of this database, whose tables are made or brought up to date.
    ///
    /// # Errors
    /// When the migration fails, or the tables are newer than this code.
    pub async fn open(db: Database) -> Result<Self, SqlError> {
        db.migrate(&Self::MIGRATIONS).await?;
        Ok(Self::new(db))
    }

    /// The sentiments of a database whose tables exist: where another role migrates, with [`Self::MIGRATIONS`].
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    fn corrupt(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
        StoreError::new(StoreErrorKind::Corrupt, self.db.dialect().name()).with_source(error)
    }

    fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|error| self.corrupt(error))
    }

    fn write(&self, value: &impl serde::Serialize) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|error| self.corrupt(error))
    }

    fn version(&self, kept: i64) -> Result<u64, StoreError> {
        u64::try_from(kept).map_err(|error| self.corrupt(error))
    }

    /// Takes the turn of who changes or forgets what is there, and is the first to be taken: every message is in the series of all. A
    /// message that is recorded takes it with its series.
    async fn take_turn(&self, tx: &mut TenantTx, scope: &Scope) -> Result<(), StoreError> {
        let sql = match tx.dialect() {
            Dialect::Postgres => {
                "SELECT segment FROM guardian_sentiment_series WHERE tenant_id = $1 AND segment = $2 FOR UPDATE"
            }
            // The transaction has the file's lock.
            _ => "SELECT segment FROM guardian_sentiment_series WHERE tenant_id = $1 AND segment = $2",
        };
        self.row(tx, scope, &Segment::all().to_string(), sql).await.map(drop)
    }

    /// A series, locked until the transaction ends, and made if there was none.
    async fn locked(&self, tx: &mut TenantTx, scope: &Scope, segment: &str) -> Result<Trend, StoreError> {
        let sql = match tx.dialect() {
            Dialect::Postgres => {
                "SELECT state FROM guardian_sentiment_series WHERE tenant_id = $1 AND segment = $2 FOR UPDATE"
            }
            _ => "SELECT state FROM guardian_sentiment_series WHERE tenant_id = $1 AND segment = $2",
        };
        match self.row(tx, scope, segment, sql).await?.get::<&str>("state")? {
            "" => Ok(Trend::new()),
            state => self.read(state),
        }
    }

    async fn row(
        &self,
        tx: &mut TenantTx,
        scope: &Scope,
        segment: &str,
        select: &'static str,
    ) -> Result<Row, StoreError> {
        // A row that another process deletes meanwhile, because it forgot the last message, is made anew.
        for _ in 0..4 {
            let sql = "INSERT INTO guardian_sentiment_series (tenant_id, segment, state) VALUES ($1, $2, '') \
                       ON CONFLICT (tenant_id, segment) DO NOTHING";
            tx.execute(sql, params![scope.tenant(), segment]).await?;
            if let Some(row) = tx.fetch_optional(select, params![scope.tenant(), segment]).await? {
                return Ok(row);
            }
        }
        Err(StoreError::new(StoreErrorKind::Conflict, tx.dialect().name()))
    }

    async fn keep(
        &self,
        tx: &mut TenantTx,
        scope: &Scope,
        segment: &str,
        trend: &Trend,
    ) -> Result<(), StoreError> {
        // What counts nothing is no series.
        let state = if trend.messages() == 0 { String::new() } else { self.write(trend)? };
        let sql = "UPDATE guardian_sentiment_series SET state = $3 WHERE tenant_id = $1 AND segment = $2";
        tx.execute(sql, params![scope.tenant(), segment, state]).await?;
        Ok(())
    }

    /// Takes the words out of the alarms of a series that were not told.
    async fn forget_words(&self, tx: &mut TenantTx, scope: &Scope, segment: &str) -> Result<(), StoreError> {
        let sql =
            "SELECT event, document FROM guardian_sentiment_untold WHERE tenant_id = $1 AND segment = $2";
        for row in tx.fetch_all(sql, params![scope.tenant(), segment]).await? {
            let mut told: Told = self.read(row.get::<&str>("document")?)?;
            told.alert.words.clear();
            let document = self.write(&told)?;
            let sql =
                "UPDATE guardian_sentiment_untold SET document = $3 WHERE tenant_id = $1 AND event = $2";
            tx.execute(sql, params![scope.tenant(), told.event, document]).await?;
        }
        Ok(())
    }

    /// Brings a series from entries as they were to entries as they are, whose rows are written. The series ends with its last
    /// message. The caller has the turn.
    async fn recount(
        &self,
        tx: &mut TenantTx,
        scope: &Scope,
        segment: &str,
        work: impl FnOnce(&mut Trend) + Send,
    ) -> Result<(), StoreError> {
        let sql = "SELECT id FROM guardian_sentiment_members WHERE tenant_id = $1 AND segment = $2 LIMIT 1";
        if tx.fetch_optional(sql, params![scope.tenant(), segment]).await?.is_none() {
            for sql in [
                "DELETE FROM guardian_sentiment_series WHERE tenant_id = $1 AND segment = $2",
                "DELETE FROM guardian_sentiment_untold WHERE tenant_id = $1 AND segment = $2",
            ] {
                tx.execute(sql, params![scope.tenant(), segment]).await?;
            }
            return Ok(());
        }
        let mut trend = self.locked(tx, scope, segment).await?;
        work(&mut trend);
        self.keep(tx, scope, segment, &trend).await
    }

    /// Takes messages out of everything that knows of them. The caller has the turn.
    async fn take_out(
        &self,
        tx: &mut TenantTx,
        scope: &Scope,
        gone: &[Entry],
        policy: &TrendPolicy,
    ) -> Result<(), StoreError> {
        let ids = self.write(&gone.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>())?;
        let statements = match tx.dialect() {
            Dialect::Postgres => [
                "DELETE FROM guardian_sentiment_untold WHERE tenant_id = $1 \
                 AND id IN (SELECT json_array_elements_text(CAST($2 AS JSON)))",
                "DELETE FROM guardian_sentiment_members WHERE tenant_id = $1 \
                 AND id IN (SELECT json_array_elements_text(CAST($2 AS JSON)))",
                "DELETE FROM guardian_sentiment_entries WHERE tenant_id = $1 \
                 AND id IN (SELECT json_array_elements_text(CAST($2 AS JSON)))",
            ],
            _ => [
                "DELETE FROM guardian_sentiment_untold WHERE tenant_id = $1 \
                 AND id IN (SELECT value FROM json_each($2))",
                "DELETE FROM guardian_sentiment_members WHERE tenant_id = $1 \
                 AND id IN (SELECT value FROM json_each($2))",
                "DELETE FROM guardian_sentiment_entries WHERE tenant_id = $1 \
                 AND id IN (SELECT value FROM json_each($2))",
            ],
        };
        for sql in statements {
            tx.execute(sql, params![scope.tenant(), &ids]).await?;
        }
        let mut touched = BTreeMap::<String, Vec<&Entry>>::new();
        for entry in gone {
            for segment in &entry.segments {
                touched.entry(segment.to_string()).or_default().push(entry);
            }
        }
        for (segment, entries) in &touched {
            self.recount(tx, scope, segment, |trend| {
                for entry in entries {
                    recount(trend, Some(entry), None, policy);
                }
                trend.forget_words();
            })
            .await?;
            self.forget_words(tx, scope, segment).await?;
        }
        Ok(())
    }

    /// Puts an entry in the place of another with its id. The caller has the turn.
    async fn put(
        &self,
        tx: &mut TenantTx,
        scope: &Scope,
        was: &Entry,
        is: &Entry,
        policy: &TrendPolicy,
    ) -> Result<(), StoreError> {
        let sql =
            "UPDATE guardian_sentiment_entries SET at = $3, document = $4 WHERE tenant_id = $1 AND id = $2";
        tx.execute(sql, params![scope.tenant(), &is.id, is.at, self.write(is)?]).await?;
        if (was.at, &was.segments) != (is.at, &is.segments) {
            let sql = "DELETE FROM guardian_sentiment_members WHERE tenant_id = $1 AND id = $2";
            tx.execute(sql, params![scope.tenant(), &is.id]).await?;
            for segment in &is.segments {
                self.join(tx, scope, &segment.to_string(), is).await?;
            }
        }
        for segment in was.segments.union(&is.segments) {
            let of = |entry: &Entry| entry.segments.contains(segment);
            let (was, is) = (Some(was).filter(|was| of(was)), Some(is).filter(|is| of(is)));
            self.recount(tx, scope, &segment.to_string(), |trend| recount(trend, was, is, policy)).await?;
        }
        Ok(())
    }

    /// Makes an entry one of a series' history.
    async fn join(
        &self,
        tx: &mut TenantTx,
        scope: &Scope,
        segment: &str,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO guardian_sentiment_members (tenant_id, segment, at, id) VALUES ($1, $2, $3, $4)";
        tx.execute(sql, params![scope.tenant(), segment, entry.at, &entry.id]).await?;
        Ok(())
    }

    /// An entry, locked until the transaction ends.
    async fn locked_entry(
        &self,
        tx: &mut TenantTx,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Entry>, StoreError> {
        let sql = match tx.dialect() {
            Dialect::Postgres => {
                "SELECT document FROM guardian_sentiment_entries WHERE tenant_id = $1 AND id = $2 FOR UPDATE"
            }
            _ => "SELECT document FROM guardian_sentiment_entries WHERE tenant_id = $1 AND id = $2",
        };
        let row = tx.fetch_optional(sql, params![scope.tenant(), id]).await?;
        row.map(|row| self.read(row.get::<&str>("document")?)).transpose()
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[async_trait]
impl SentimentStore for SqlStore {
    async fn record(&self, scope: &Scope, new: &NewEntry) -> Result<Recorded, StoreError> {
        let entry = &new.entry;
        let mut tx = self.db.begin(scope).await?;
        let sql = "INSERT INTO guardian_sentiment_entries (tenant_id, id, at, document) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (tenant_id, id) DO NOTHING";
        let document = self.write(entry)?;
        if tx.execute(sql, params![scope.tenant(), &entry.id, entry.at, document]).await? == 0 {
            let kept = self.locked_entry(&mut tx, scope, &entry.id).await?;
            tx.rollback().await?;
            // It can have been forgotten in between: then the caller has to come again.
            let entry =
                kept.ok_or_else(|| StoreError::new(StoreErrorKind::Conflict, self.db.dialect().name()))?;
            return Ok(Recorded { entry, is_new: false, updates: Vec::new() });
        }
        let mut updates = Vec::new();
        // That of all messages first, then in the order of their texts: as in all transactions.
        let mut segments: Vec<(String, usize, &Segment)> = entry
            .segments
            .iter()
            .enumerate()
            .map(|(at, segment)| (segment.to_string(), at, segment))
            .collect();
        let all = Segment::all();
        segments.sort_by(|one, two| (*one.2 != all, &one.0).cmp(&(*two.2 != all, &two.0)));
        for (text, at, segment) in segments {
            self.join(&mut tx, scope, &text, entry).await?;
            if new.observation().is_none() {
                continue;
            }
            let mut trend = self.locked(&mut tx, scope, &text).await?;
            let Some((update, told)) = new.fold(at, segment, &mut trend) else { continue };
            self.keep(&mut tx, scope, &text, &trend).await?;
            if let Some(told) = told {
                let document = self.write(&told)?;
                let sql = "INSERT INTO guardian_sentiment_untold (tenant_id, event, id, segment, document) \
                           VALUES ($1, $2, $3, $4, $5)";
                tx.execute(sql, params![scope.tenant(), told.event, &entry.id, &text, document]).await?;
            }
            updates.push((segment.clone(), update));
        }
        tx.commit().await?;
        updates.sort_by(|one, two| one.0.cmp(&two.0));
        Ok(Recorded { entry: entry.clone(), is_new: true, updates })
    }

    async fn correct(
        &self,
        scope: &Scope,
        id: &str,
        correction: &Corrected,
        policy: &TrendPolicy,
    ) -> Result<Option<Entry>, StoreError> {
        let mut tx = self.db.begin(scope).await?;
        self.take_turn(&mut tx, scope).await?;
        let Some(was) = self.locked_entry(&mut tx, scope, id).await? else {
            tx.rollback().await?;
            return Ok(None);
        };
        if was.correction.as_ref().is_some_and(|earlier| earlier.says_as(correction)) {
            tx.rollback().await?;
            return Ok(Some(was));
        }
        let is = Entry { correction: Some(correction.clone()), ..was.clone() };
        self.put(&mut tx, scope, &was, &is, policy).await?;
        tx.commit().await?;
        Ok(Some(is))
    }

    async fn replace(&self, scope: &Scope, entry: &Entry, policy: &TrendPolicy) -> Result<bool, StoreError> {
        let mut tx = self.db.begin(scope).await?;
        self.take_turn(&mut tx, scope).await?;
        let Some(was) = self.locked_entry(&mut tx, scope, &entry.id).await? else {
            tx.rollback().await?;
            return Ok(false);
        };
        self.put(&mut tx, scope, &was, entry, policy).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn corrected(&self, scope: &Scope, ids: &[String]) -> Result<BTreeSet<String>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = match tx.dialect() {
            Dialect::Postgres => {
                "SELECT id FROM guardian_sentiment_entries WHERE tenant_id = $1 \
                 AND id IN (SELECT json_array_elements_text(CAST($2 AS JSON))) \
                 AND CAST(document AS JSON) -> 'correction' IS NOT NULL"
            }
            _ => {
                "SELECT id FROM guardian_sentiment_entries WHERE tenant_id = $1 \
                 AND id IN (SELECT value FROM json_each($2)) \
                 AND json_extract(document, '$.correction') IS NOT NULL"
            }
        };
        let rows = tx.fetch_all(sql, params![scope.tenant(), self.write(&ids)?]).await?;
        tx.commit().await?;
        rows.iter().map(|row| Ok(row.get::<&str>("id")?.to_owned())).collect()
    }

    async fn entry(&self, scope: &Scope, id: &str) -> Result<Option<Entry>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT document FROM guardian_sentiment_entries WHERE tenant_id = $1 AND id = $2";
        let row = tx.fetch_optional(sql, params![scope.tenant(), id]).await?;
        tx.commit().await?;
        row.map(|row| self.read(row.get::<&str>("document")?)).transpose()
    }

    async fn history(
        &self,
        scope: &Scope,
        segment: &Segment,
        after: Option<&(Timestamp, String)>,
        page: &PageRequest,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let (tenant, segment, size) = (scope.tenant(), segment.to_string(), i64::from(page.size()));
        let rows = match after {
            None => {
                let sql = "SELECT e.document AS document FROM guardian_sentiment_members m \
                           JOIN guardian_sentiment_entries e ON e.tenant_id = m.tenant_id AND e.id = m.id \
                           WHERE m.tenant_id = $1 AND m.segment = $2 ORDER BY m.at DESC, m.id DESC LIMIT $3";
                tx.fetch_all(sql, params![tenant, segment, size]).await?
            }
            Some((at, id)) => {
                let sql = "SELECT e.document AS document FROM guardian_sentiment_members m \
                           JOIN guardian_sentiment_entries e ON e.tenant_id = m.tenant_id AND e.id = m.id \
                           WHERE m.tenant_id = $1 AND m.segment = $2 AND (m.at, m.id) < ($4, $5) \
                           ORDER BY m.at DESC, m.id DESC LIMIT $3";
                tx.fetch_all(sql, params![tenant, segment, size, *at, id]).await?
            }
        };
        tx.commit().await?;
        rows.iter().map(|row| self.read(row.get::<&str>("document")?)).collect()
    }

    async fn trend(&self, scope: &Scope, segment: &Segment) -> Result<Option<Trend>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT state FROM guardian_sentiment_series WHERE tenant_id = $1 AND segment = $2";
        let row = tx.fetch_optional(sql, params![scope.tenant(), segment.to_string()]).await?;
        tx.commit().await?;
        match row {
            Some(row) => match row.get::<&str>("state")? {
                "" => Ok(None),
                state => self.read(state).map(Some),
            },
            None => Ok(None),
        }
    }

    async fn segments(
        &self,
        scope: &Scope,
        after: Option<&Segment>,
        limit: u32,
    ) -> Result<Vec<Segment>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let after = after.map(Segment::to_string).unwrap_or_default();
        let sql = "SELECT segment FROM guardian_sentiment_series WHERE tenant_id = $1 AND segment > $2 \
                   AND state <> '' ORDER BY segment LIMIT $3";
        let rows = tx.fetch_all(sql, params![scope.tenant(), after, i64::from(limit)]).await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| {
                row.get::<&str>("segment")?
                    .parse()
                    .map_err(|error: crate::InvalidSegment| self.corrupt(error))
            })
            .collect()
    }

    async fn forget(
        &self,
        scope: &Scope,
        segment: &Segment,
        limit: u32,
        policy: &TrendPolicy,
    ) -> Result<u32, StoreError> {
        let mut tx = self.db.begin(scope).await?;
        self.take_turn(&mut tx, scope).await?;
        // In the order of the index, so that no batch sorts what is left. Nobody else changes entries during this turn.
        let sql = "SELECT e.document AS document FROM guardian_sentiment_members m \
                   JOIN guardian_sentiment_entries e ON e.tenant_id = m.tenant_id AND e.id = m.id \
                   WHERE m.tenant_id = $1 AND m.segment = $2 ORDER BY m.at, m.id LIMIT $3";
        let rows = tx.fetch_all(sql, params![scope.tenant(), segment.to_string(), i64::from(limit)]).await?;
        let gone: Vec<Entry> =
            rows.iter().map(|row| self.read(row.get::<&str>("document")?)).collect::<Result<_, _>>()?;
        if gone.is_empty() {
            tx.rollback().await?;
            return Ok(0);
        }
        self.take_out(&mut tx, scope, &gone, policy).await?;
        tx.commit().await?;
        Ok(u32::try_from(gone.len()).unwrap_or(u32::MAX))
    }

    async fn forget_message(
        &self,
        scope: &Scope,
        id: &str,
        policy: &TrendPolicy,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin(scope).await?;
        self.take_turn(&mut tx, scope).await?;
        let Some(entry) = self.locked_entry(&mut tx, scope, id).await? else {
            tx.rollback().await?;
            return Ok(false);
        };
        self.take_out(&mut tx, scope, &[entry], policy).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn forget_tenant(&self, scope: &Scope) -> Result<(), StoreError> {
        let mut tx = self.db.begin(scope).await?;
        self.take_turn(&mut tx, scope).await?;
        for sql in [
            "DELETE FROM guardian_sentiment_untold WHERE tenant_id = $1",
            "DELETE FROM guardian_sentiment_members WHERE tenant_id = $1",
            "DELETE FROM guardian_sentiment_entries WHERE tenant_id = $1",
            "DELETE FROM guardian_sentiment_series WHERE tenant_id = $1",
            "DELETE FROM guardian_sentiment_adaptations WHERE tenant_id = $1",
        ] {
            tx.execute(sql, params![scope.tenant()]).await?;
        }
        tx.commit().await
    }

    async fn untold(&self, scope: &Scope, after: Option<Uuid>, limit: u32) -> Result<Vec<Told>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT document FROM guardian_sentiment_untold WHERE tenant_id = $1 AND event > $2 \
                   ORDER BY event LIMIT $3";
        // No event has the id of nothing.
        let after = after.unwrap_or(Uuid::nil());
        let rows = tx.fetch_all(sql, params![scope.tenant(), after, i64::from(limit)]).await?;
        tx.commit().await?;
        rows.iter().map(|row| self.read(row.get::<&str>("document")?)).collect()
    }

    async fn told(&self, scope: &Scope, event: Uuid) -> Result<(), StoreError> {
        let mut tx = self.db.begin(scope).await?;
        let sql = "DELETE FROM guardian_sentiment_untold WHERE tenant_id = $1 AND event = $2";
        tx.execute(sql, params![scope.tenant(), event]).await?;
        tx.commit().await
    }

    async fn adaptation(&self, scope: &Scope) -> Result<Option<AdaptationState>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT version, learned FROM guardian_sentiment_adaptations WHERE tenant_id = $1";
        let row = tx.fetch_optional(sql, params![scope.tenant()]).await?;
        tx.commit().await?;
        row.map(|row| {
            Ok(AdaptationState { version: self.version(row.get("version")?)?, bytes: row.get("learned")? })
        })
        .transpose()
    }

    async fn put_adaptation(
        &self,
        scope: &Scope,
        state: &AdaptationState,
        learned_from: Option<&str>,
    ) -> Result<Option<u64>, StoreError> {
        let mut tx = self.db.begin(scope).await?;
        if let Some(id) = learned_from {
            // Who forgets it waits for the lock, and deletes what was learned behind its entries.
            let entry = self.locked_entry(&mut tx, scope, id).await?;
            if entry.is_none_or(|entry| entry.correction.is_none()) {
                tx.rollback().await?;
                return Ok(None);
            }
        }
        let row = if state.version == 1 {
            // Milliseconds, and something by chance for two within one.
            let sql = match tx.dialect() {
                Dialect::Postgres => {
                    "INSERT INTO guardian_sentiment_adaptations (tenant_id, version, learned) VALUES ($1, \
                     CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT) * 1048576 \
                     + CAST(floor(random() * 1048576) AS BIGINT), $2) ON CONFLICT (tenant_id) DO NOTHING \
                     RETURNING version"
                }
                _ => {
                    "INSERT INTO guardian_sentiment_adaptations (tenant_id, version, learned) VALUES ($1, \
                     CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER) * 1048576 \
                     + abs(random() % 1048576), $2) ON CONFLICT (tenant_id) DO NOTHING RETURNING version"
                }
            };
            tx.fetch_optional(sql, params![scope.tenant(), &state.bytes]).await?
        } else {
            let sql = "UPDATE guardian_sentiment_adaptations SET version = $2, learned = $3 \
                       WHERE tenant_id = $1 AND version = $2 - 1 RETURNING version";
            tx.fetch_optional(sql, params![scope.tenant(), signed(state.version), &state.bytes]).await?
        };
        tx.commit().await?;
        row.map(|row| self.version(row.get("version")?)).transpose()
    }
}

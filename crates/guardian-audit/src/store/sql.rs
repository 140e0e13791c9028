//! A log in a SQL database: SQLite or PostgreSQL.

mod pairs;
mod search;
mod sieve;
mod token;
pub(crate) mod wire;
mod write;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{Datelike as _, Months};
use futures_util::{StreamExt as _, stream};
use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use guardian_sql::{
    Database, Dialect, Error, Migration, Migrations, Retry, TenantTx, Unscoped, params, retry,
};

use super::memory::values;
use super::tally::Tally;
use super::{AuditStore, Batch, Count, Drop, Facet, Found, Head, Note, NoteKind, Placed, Record};
use crate::dimension::Dimension;
use crate::merkle::Frontier;
use crate::plan::Plan;
use search::{Hit, Log, Search, Wanted, moment, place};

/// Keeps logs in a SQL database, with its full-text index: FTS5 on SQLite, `tsvector` and GIN on PostgreSQL. The host's
/// backups, replication and rights hold for the log too.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use guardian_audit::store::SqlStore;
/// use guardian_audit::{AuditConfig, AuditEvent, AuditLog};
/// use guardian_core::{PageRequest, Scope, TenantId};
/// use guardian_sql::Database;
///
/// let store = SqlStore::open(Database::open("sqlite::memory:").await?).await?;
/// let log = AuditLog::new(store, AuditConfig::default());
/// let scope = Scope::system(TenantId::new("acme")?);
/// log.record(&scope, AuditEvent::new("deal.updated").with_message("Renewal of Acme")).await?;
/// let page = log.search(&scope, &"renew* action:deal.*".parse()?, &PageRequest::first(50)?).await?;
/// assert_eq!(page.items.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Who waits for whom
/// Each batch is one transaction. Batches of one tenant take turns, from the lock of its head to the commit; on
/// PostgreSQL those of other tenants do not meet, and a call with batches of several appends those of up to four at once,
/// but takes no more than half of the connections. On SQLite all who write take turns. What met another transaction is
/// tried again a few times; the ids of the events keep it from being stored twice. Readers wait for nobody.
///
/// # How events are found
/// Each [term](crate::Terms) is a token that begins with a number of the tenant, so no list of the index holds two
/// tenants, and one's search takes no time for the others' events. On SQLite the rows of the index are numbered in the
/// order of each log: a page is read off its newest end, and a time range is a range of rows. PostgreSQL's index knows
/// no order, so a search reads the newest thousand entries one by one first; only if they do not fill the page, which
/// means that few events match, the index gives all that do.
///
/// What an index cannot tell (the order of words on PostgreSQL, the hour at which something occurred, places within an
/// `OR`) is asked of each event that it gives. [`histogram`](AuditStore::histogram) and [`facets`](AuditStore::facets)
/// read every event that is found.
///
/// # Rights
/// On PostgreSQL row-level security is enabled and forced for all tables. The search is a function of a role of its own
/// that nobody logs in as, `guardian_audit_search_` and a hash of the database's name, because policies would keep it
/// from its index; it asks whether the caller may read the events, and looks for the transaction's tenant alone. Who
/// migrates makes this role, and needs `CREATEROLE`.
///
/// # What dropping leaves
/// [`drop_bodies`](AuditStore::drop_bodies) sets bodies to NULL and takes their entries out of the index (FTS5's
/// `secure-delete` is on). The freed space is used again. Until then old bytes may be in free pages, in the write-ahead
/// log and in backups: run `VACUUM` where that matters.
#[derive(Debug, Clone)]
pub struct SqlStore {
    db: Database,
    retry: Retry,
}

impl SqlStore {
    /// The tables, and on PostgreSQL the function that searches.
    pub const MIGRATIONS: Migrations = Migrations::new(
        "guardian_audit",
        &[
            Migration::new(
                1,
                "log",
                include_str!("../../migrations/0001_log.sqlite.sql"),
                include_str!("../../migrations/0001_log.postgres.sql"),
            ),
            Migration::new(2, "search", "", include_str!("../../migrations/0002_search.postgres.sql")),
        ],
    );

    /// Partitions on PostgreSQL, if they are wanted: after [`Self::MIGRATIONS`], events and what they are found by are in a partition for each
    /// month of their recording, made ahead of time by [`add_months`](Self::add_months). The store is the same with and without them. What
    /// a month has can be vacuumed, moved to another tablespace, or detached and kept elsewhere, by itself; in return each look-up asks
    /// each partition. Of what is detached the log has no leaves either: proofs and verification want it back. On SQLite it does
    /// nothing.
    ///
    /// The tables are made anew: whoever was granted rights in the old ones needs them again, unless default privileges see to it.
    pub const MONTHS: Migrations = Migrations::new(
        "guardian_audit_months",
        &[Migration::new(1, "months", "", include_str!("../../migrations/4001_months.postgres.sql"))],
    );

    /// The most months that [`add_months`](Self::add_months) makes at once: ten years.
    pub const MAX_MONTHS: u32 = 120;

    /// Makes the partitions of the months from one moment to another, both included, which are not there yet, and says how many
    /// months those were: call it now and then for some months ahead, as the owner of the tables. The migration has made those of its
    /// own month and the next. What is recorded in a month without partitions goes into a common one, and then that month cannot have
    /// its own: it is left out, as is one that the first partition reaches into.
    ///
    /// Whoever writes or searches waits for as long as it takes, which is short while the common partition is. On SQLite there is
    /// nothing to make.
    ///
    /// # Errors
    /// When [`Self::MONTHS`] was not migrated, it is more than [`Self::MAX_MONTHS`] at once, or the database fails; then none was made.
    pub async fn add_months(
        &self,
        leave: &Unscoped,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<u32, StoreError> {
        if self.db.dialect() == Dialect::Sqlite {
            return Ok(0);
        }
        // Months since the year 0.
        let month = |time: Timestamp| i64::from(time.year()) * 12 + i64::from(time.month0());
        let count = u32::try_from(month(to) - month(from) + 1).unwrap_or(0);
        if count > Self::MAX_MONTHS {
            let why = format!("{count} months at once, the most is {}", Self::MAX_MONTHS);
            return Err(
                StoreError::new(StoreErrorKind::Constraint, self.db.dialect().name()).with_source(why)
            );
        }
        let first = from.date_naive();
        let mut tx = self.db.begin_unscoped(leave).await?;
        let mut made = 0;
        for day in (0..count).filter_map(|months| first.checked_add_months(Months::new(months))) {
            let sql = "SELECT guardian_audit_add_month($1::date)";
            made += u32::from(tx.fetch_one(sql, params![day.to_string()]).await?.get::<bool>(0_usize)?);
        }
        tx.commit().await?;
        Ok(made)
    }

    /// The logs of this database, whose tables are made or brought up to date.
    ///
    /// # Errors
    /// When the migration fails, or the tables are newer than this code.
    pub async fn open(db: Database) -> Result<Self, Error> {
        db.migrate(&Self::MIGRATIONS).await?;
        Ok(Self::new(&db))
    }

    /// The logs of a database whose tables exist: where another role migrates, with [`Self::MIGRATIONS`].
    #[must_use]
    pub fn new(db: &Database) -> Self {
        Self { db: db.clone(), retry: Retry::default() }
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.db
    }

    fn corrupt(&self, why: &'static str) -> StoreError {
        StoreError::new(StoreErrorKind::Corrupt, self.db.dialect().name()).with_source(why)
    }

    /// Goes through everything that the plan finds, newest first.
    async fn each(
        &self,
        scope: &Scope,
        plan: &Plan,
        wanted: Wanted,
        mut take: impl FnMut(&Hit) + Send,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        if let Some(log) = Log::of(&mut tx, scope.tenant()).await? {
            let mut search = Search::newest(&mut tx, log, plan, None).await?;
            while !search.is_done() {
                search.next(wanted, search.reach()).await?.iter().for_each(&mut take);
            }
        }
        tx.commit().await
    }
}

fn limited(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

async fn count(tx: &mut TenantTx, log: Log, plan: &Plan, most: u64) -> Result<u64, StoreError> {
    let mut search = Search::newest(tx, log, plan, None).await?;
    if search.is_exact() {
        return search.count(place(most)).await;
    }
    let mut count = 0;
    while count < most && !search.is_done() {
        let left = usize::try_from(most - count).unwrap_or(usize::MAX);
        let hits = search.next(Wanted::Times, left.min(search.reach())).await?;
        count += u64::try_from(hits.len()).unwrap_or(u64::MAX);
    }
    Ok(count)
}

/// The places of the batches of each tenant, in their order; tenants in the order of their first.
fn by_tenant(batches: &[Batch<'_>]) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<&TenantId, usize> = HashMap::new();
    for (place, batch) in batches.iter().enumerate() {
        let at = *known.entry(batch.scope.tenant()).or_insert(found.len());
        match found.get_mut(at) {
            Some(places) => places.push(place),
            None => found.push(vec![place]),
        }
    }
    found
}

/// A call of [`append`](AuditStore::append).
struct Append<'a> {
    store: &'a SqlStore,
    batches: &'a [Batch<'a>],
    now: i64,
    /// Once a batch has failed no other is begun: where the database is away, each tenant would wait for it anew.
    has_failed: AtomicBool,
}

impl Append<'_> {
    /// How many tenants' batches are appended at the same time, each on a connection of its own.
    const TOGETHER: usize = 4;

    /// What is begun when another batch fails comes to its end, so that nothing is left half done.
    async fn run(&self) -> Result<Vec<Vec<Placed>>, StoreError> {
        let tenants: Vec<_> =
            by_tenant(self.batches).into_iter().map(|places| self.append_in_turn(places)).collect();
        let done: Vec<_> = stream::iter(tenants).buffer_unordered(self.together()).collect().await;
        let mut placed = vec![Vec::new(); self.batches.len()];
        for tenant in done {
            for (place, one) in tenant? {
                if let Some(slot) = placed.get_mut(place) {
                    *slot = one;
                }
            }
        }
        Ok(placed)
    }

    fn together(&self) -> usize {
        let db = &self.store.db;
        match db.dialect() {
            // Who writes takes turns.
            Dialect::Sqlite => 1,
            // Searches want connections too.
            Dialect::Postgres => {
                let half = usize::try_from(db.config().max_connections / 2).unwrap_or(usize::MAX);
                half.clamp(1, Self::TOGETHER)
            }
        }
    }

    /// Appends the batches at these places, each in a transaction of its own, until one fails.
    async fn append_in_turn(&self, places: Vec<usize>) -> Result<Vec<(usize, Vec<Placed>)>, StoreError> {
        let mut placed = Vec::with_capacity(places.len());
        for place in places {
            let Some(batch) = self.batches.get(place) else { continue };
            if self.has_failed.load(Ordering::Relaxed) {
                break;
            }
            let one = retry(&self.store.retry, || async {
                let mut tx = self.store.db.begin(batch.scope).await?;
                let placed = write::append(&mut tx, batch.drafts, self.now).await?;
                tx.commit().await?;
                Ok::<_, StoreError>(placed)
            });
            let one = one.await.inspect_err(|_| self.has_failed.store(true, Ordering::Relaxed))?;
            placed.push((place, one));
        }
        Ok(placed)
    }
}

#[async_trait]
impl AuditStore for SqlStore {
    async fn append(&self, batches: &[Batch<'_>], now: Timestamp) -> Result<Vec<Vec<Placed>>, StoreError> {
        let now = now.timestamp_micros();
        Append { store: self, batches, now, has_failed: AtomicBool::new(false) }.run().await
    }

    async fn search(
        &self,
        scope: &Scope,
        plan: &Plan,
        before: Option<u64>,
        size: usize,
    ) -> Result<Found, StoreError> {
        let most = size.saturating_add(1);
        let mut records = Vec::new();
        let mut tx = self.db.begin_read(scope).await?;
        if let Some(log) = Log::of(&mut tx, scope.tenant()).await? {
            let mut search = Search::newest(&mut tx, log, plan, before).await?;
            while records.len() < most && !search.is_done() {
                let hits = search.next(Wanted::Body, most - records.len()).await?;
                records.extend(
                    hits.into_iter().map(|hit| Record::new(hit.sequence, moment(hit.recorded), hit.body)),
                );
            }
        }
        tx.commit().await?;
        let more = records.len() > size;
        records.truncate(size);
        Ok(Found::new(records, more))
    }

    async fn count(&self, scope: &Scope, plan: &Plan, limit: Option<u64>) -> Result<Count, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let found = match Log::of(&mut tx, scope.tenant()).await? {
            Some(log) => count(&mut tx, log, plan, limit.unwrap_or(u64::MAX)).await?,
            None => 0,
        };
        tx.commit().await?;
        Ok(match limit {
            Some(limit) if found >= limit => Count::AtLeast(limit),
            _ => Count::Exact(found),
        })
    }

    async fn facets(
        &self,
        scope: &Scope,
        plan: &Plan,
        dimension: Dimension,
        top: usize,
    ) -> Result<Vec<Facet>, StoreError> {
        let codes: Vec<char> = dimension.parts().into_iter().filter_map(Dimension::code).collect();
        let mut tally = Tally::new(dimension, top);
        self.each(scope, plan, Wanted::Terms, |hit| {
            let terms = hit.terms.as_deref().map(token::decode).unwrap_or_default();
            values(&terms, &codes).for_each(|value| tally.add(value, 1));
        })
        .await?;
        tally.finish(self.db.dialect().name())
    }

    async fn histogram(&self, scope: &Scope, plan: &Plan, edges: &[i64]) -> Result<Vec<u64>, StoreError> {
        let mut counts = vec![0; edges.len().saturating_sub(1)];
        self.each(scope, plan, Wanted::Times, |hit| {
            let after = edges.partition_point(|edge| *edge <= hit.recorded);
            if let Some(count) = after.checked_sub(1).and_then(|bucket| counts.get_mut(bucket)) {
                *count += 1;
            }
        })
        .await?;
        Ok(counts)
    }

    async fn records(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<Record>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let rows = tx
            .fetch_all(
                "SELECT sequence, recorded, body FROM guardian_audit_events \
                 WHERE tenant_id = $1 AND sequence >= $2 ORDER BY sequence LIMIT $3",
                params![scope.tenant(), place(from), limited(size)],
            )
            .await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| Ok(Record::new(row.get("sequence")?, moment(row.get("recorded")?), row.get("body")?)))
            .collect()
    }

    async fn leaves(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<[u8; 32]>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let rows = tx
            .fetch_all(
                "SELECT leaf FROM guardian_audit_events \
                 WHERE tenant_id = $1 AND sequence >= $2 ORDER BY sequence LIMIT $3",
                params![scope.tenant(), place(from), limited(size)],
            )
            .await?;
        tx.commit().await?;
        rows.iter().map(|row| row.get("leaf")).collect()
    }

    async fn head(&self, scope: &Scope) -> Result<Head, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let row = tx
            .fetch_optional(
                "SELECT frontier, recorded FROM guardian_audit_heads WHERE tenant_id = $1",
                params![scope.tenant()],
            )
            .await?;
        tx.commit().await?;
        let Some(row) = row else { return Ok(Head::new(0, Frontier::new().root().into(), None)) };
        let frontier = Frontier::from_bytes(row.get("frontier")?)
            .map_err(|_| self.corrupt("the edge of a tree does not fit its size"))?;
        let recorded = if frontier.size() > 0 { Some(moment(row.get("recorded")?)) } else { None };
        Ok(Head::new(frontier.size(), frontier.root().into(), recorded))
    }

    async fn drop_bodies(&self, scope: &Scope, drop: &Drop<'_>) -> Result<u64, StoreError> {
        let work = || async {
            let mut tx = self.db.begin(scope).await?;
            let dropped = write::drop_bodies(&mut tx, drop).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(dropped)
        };
        retry(&self.retry, work).await
    }

    async fn put_note(&self, scope: &Scope, kind: NoteKind, note: &Note) -> Result<(), StoreError> {
        let work = || async {
            let mut tx = self.db.begin(scope).await?;
            write::turn(&mut tx, kind).await?;
            write::note(&mut tx, kind, note).await?;
            tx.commit().await
        };
        retry(&self.retry, work).await
    }

    async fn notes(&self, scope: &Scope, kind: NoteKind) -> Result<Vec<Note>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let rows = tx
            .fetch_all(
                "SELECT name, bytes FROM guardian_audit_notes WHERE tenant_id = $1 AND kind = $2 ORDER BY name",
                params![scope.tenant(), kind.as_str()],
            )
            .await?;
        tx.commit().await?;
        rows.iter().map(|row| Ok(Note::new(row.get::<String>("name")?, row.get("bytes")?))).collect()
    }

    async fn remove_note(&self, scope: &Scope, kind: NoteKind, name: &str) -> Result<bool, StoreError> {
        let work = || async {
            let mut tx = self.db.begin(scope).await?;
            write::turn(&mut tx, kind).await?;
            let removed = tx
                .execute(
                    "DELETE FROM guardian_audit_notes WHERE tenant_id = $1 AND kind = $2 AND name = $3",
                    params![scope.tenant(), kind.as_str(), name],
                )
                .await?;
            tx.commit().await?;
            Ok::<_, StoreError>(removed > 0)
        };
        retry(&self.retry, work).await
    }

    async fn put_checkpoint(
        &self,
        scope: &Scope,
        last: Option<&str>,
        checkpoint: &Note,
        state: Option<&Note>,
    ) -> Result<bool, StoreError> {
        let work = || async {
            let mut tx = self.db.begin(scope).await?;
            let written = write::checkpoint(&mut tx, last, checkpoint, state).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(written)
        };
        retry(&self.retry, work).await
    }
}

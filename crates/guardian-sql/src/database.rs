use std::sync::Arc;

use guardian_core::{
    Clock, Event, EventSink, IdSource, NullSink, Scope, StoreError, StoreErrorKind, SystemClock, SystemIds,
};
use tokio::runtime::Handle;

use crate::pool::{Connector, Lease, Pool};
use crate::session::Session;
use crate::tx::{TenantTx, Tx, UnscopedTx};
use crate::url::Address;
use crate::{DatabaseConfig, Dialect, Error, Migrations, Param, Plans, Row, Sql, ToParam, Unscoped, migrate};

/// A database: SQLite in a file or in memory, or PostgreSQL. Clones share its connections.
///
/// | URL | |
/// |---|---|
/// | `sqlite://data/guardian.db` | a file, made when it is missing; `?mode=rw` does not make it, `?mode=ro` only reads |
/// | `sqlite::memory:` | memory of this process, gone with the last clone |
/// | `postgres://user:password@host:5432/database?sslmode=require` | a server |
///
/// The URL says everything: neither the environment nor a password file is asked. `%` escapes stand for characters that
/// mean something in a URL.
///
/// Only transactions come out of it: [`begin`](Self::begin) for a tenant, [`begin_unscoped`](Self::begin_unscoped) with
/// a reason. There is no way to the connections themselves.
#[derive(Debug, Clone)]
pub struct Database(Arc<Shared>);

#[derive(Debug, Clone)]
struct Shared {
    dialect: Dialect,
    config: DatabaseConfig,
    writers: Arc<Pool>,
    /// `None` where the same connections read.
    readers: Option<Arc<Pool>>,
    handle: Handle,
    events: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    #[cfg(feature = "testkit")]
    interceptor: Option<Arc<dyn crate::testkit::Interceptor>>,
}

/// What a transaction is for, which says how it begins.
pub(crate) enum Purpose<'a> {
    Write(&'a Scope),
    Serializable(&'a Scope),
    Read(&'a Scope),
    Unscoped,
    /// Our own tables, which belong to no tenant.
    Maintenance,
    /// The same to write them.
    Upkeep,
    Migration(&'a Migrations),
}

impl Database {
    /// Opens a database with the default settings, and makes sure that it answers.
    ///
    /// # Errors
    /// When the URL is none, this build lacks the database, the file cannot be opened, or the server does not answer.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::open_with(url, DatabaseConfig::default()).await
    }

    /// Opens a database, and makes sure that it answers.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub async fn open_with(url: &str, config: DatabaseConfig) -> Result<Self, Error> {
        let db = Self::lazy(url, config)?;
        // The writer first: it makes the file and turns it to write-ahead logging.
        db.0.writers.acquire().await?.give_back();
        Ok(db)
    }

    /// Opens a database without connecting: a service can start while its server is away. It must be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// When the URL is none, this build lacks the database, or the folder of a SQLite file does not exist.
    pub fn lazy(url: &str, config: DatabaseConfig) -> Result<Self, Error> {
        let (writer, reader) = match Address::parse(url)? {
            #[cfg(feature = "sqlite")]
            Address::Sqlite(address) => {
                use crate::sqlite::SqliteConnector;
                let writer = Connector::Sqlite(SqliteConnector::writer(&address, &config)?);
                let reader = SqliteConnector::reader(&address, &config)?.map(Connector::Sqlite);
                (writer, reader)
            }
            #[cfg(feature = "postgres")]
            Address::Postgres(address) => {
                (Connector::Postgres(crate::postgres::PostgresConnector::new(&address, &config)), None)
            }
            #[cfg(not(feature = "sqlite"))]
            Address::Sqlite(_) => return Err(Error::NotBuilt { database: "SQLite", feature: "sqlite" }),
            #[cfg(not(feature = "postgres"))]
            Address::Postgres(_) => return Err(Error::NotBuilt { database: "PostgreSQL", feature: "postgres" }),
        };
        let dialect = writer.dialect();
        let handle = Handle::try_current().map_err(|error| {
            Error::Store(StoreError::new(StoreErrorKind::Internal, dialect.name()).with_source(error))
        })?;
        // SQLite has one writer at a time; waiting for it in order beats trying for the lock again and again.
        let size = if dialect == Dialect::Sqlite { 1 } else { config.max_connections };
        let writers = Pool::new(writer, size, &config);
        let readers = reader.map(|reader| Pool::new(reader, config.max_connections.saturating_sub(1), &config));
        Ok(Self(Arc::new(Shared {
            dialect,
            config,
            writers,
            readers,
            handle,
            events: Arc::new(NullSink),
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(SystemIds::new()),
            #[cfg(feature = "testkit")]
            interceptor: None,
        })))
    }

    /// The same database, telling this sink of every transaction that crosses tenants.
    #[must_use]
    pub fn with_events(
        &self,
        events: impl EventSink,
        clock: impl Clock,
        ids: impl IdSource,
    ) -> Self {
        Self(Arc::new(Shared {
            events: Arc::new(events),
            clock: Arc::new(clock),
            ids: Arc::new(ids),
            ..(*self.0).clone()
        }))
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn intercepted(&self, interceptor: Arc<dyn crate::testkit::Interceptor>) -> Self {
        Self(Arc::new(Shared { interceptor: Some(interceptor), ..(*self.0).clone() }))
    }

    /// Which database it is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.0.dialect
    }

    /// The settings that it was opened with.
    #[must_use]
    pub fn config(&self) -> &DatabaseConfig {
        &self.0.config
    }

    /// Brings the schema of one crate up to date and says how many steps that took. Safe when several processes do so
    /// at once; a process that is killed leaves its step undone as a whole.
    ///
    /// # Errors
    /// When the past in the database is not the beginning of `migrations`, or a step fails; nothing of that step is kept
    /// then.
    pub async fn migrate(&self, migrations: &Migrations) -> Result<u64, Error> {
        migrate::run(self, migrations).await
    }

    /// The version that the schema of one crate is at; `None` when it was never applied here.
    ///
    /// # Errors
    /// When the past in the database is not the beginning of `migrations`.
    pub async fn schema_version(&self, migrations: &Migrations) -> Result<Option<i64>, Error> {
        migrate::version(self, migrations).await
    }

    /// Begins a transaction that may write, in one tenant.
    ///
    /// On SQLite it waits for its turn as the one writer of this process; the file is locked with its first statement. On PostgreSQL it sees what others commit while it runs (READ
    /// COMMITTED): a decision that rests on rows must lock them (`FOR UPDATE`) or be part of the statement.
    ///
    /// # Errors
    /// `Unavailable` when there is no connection in time. The first statement fails with `Conflict` when another process keeps the SQLite
    /// file locked.
    pub async fn begin(&self, scope: &Scope) -> Result<TenantTx, StoreError> {
        Ok(Tx::new(scope.clone(), self.begin_session(Purpose::Write(scope)).await?))
    }

    /// Begins a transaction that may write and behaves as if it ran alone. On PostgreSQL it may fail with `Conflict` at
    /// any statement and at the commit (SERIALIZABLE); run it with [`retry`](crate::retry).
    ///
    /// # Errors
    /// As for [`Self::begin`].
    pub async fn begin_serializable(&self, scope: &Scope) -> Result<TenantTx, StoreError> {
        Ok(Tx::new(scope.clone(), self.begin_session(Purpose::Serializable(scope)).await?))
    }

    /// Begins a transaction that only reads, in one tenant: it sees one state of the data, and neither waits for writers
    /// nor makes them wait. (In SQLite's memory there is one connection, which readers and writers share.)
    ///
    /// # Errors
    /// As for [`Self::begin`]. A statement that writes fails with `Unsupported`.
    pub async fn begin_read(&self, scope: &Scope) -> Result<TenantTx, StoreError> {
        Ok(Tx::new(scope.clone(), self.begin_session(Purpose::Read(scope)).await?))
    }

    /// Begins a transaction across tenants, after the event that says so was taken over by the sink.
    ///
    /// # Errors
    /// As for [`Self::begin`], and when the sink does not take the event.
    pub async fn begin_unscoped(&self, unscoped: &Unscoped) -> Result<UnscopedTx, StoreError> {
        let now = self.0.clock.now();
        let event = Event::new(self.0.ids.next_id(now), now, unscoped.scope(), Unscoped::EVENT)
            .with_data(serde_json::json!({ "reason": unscoped.reason(), "database": self.dialect().name() }));
        self.0.events.emit(event).await?;
        Ok(Tx::new(unscoped.clone(), self.begin_session(Purpose::Unscoped).await?))
    }

    /// Hears what [`Tx::notify`](crate::Tx::notify) tells on a channel; `None` on SQLite, where there is nobody to tell.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn notices(&self, channel: &'static str) -> Option<crate::Notices> {
        self.0.writers.server().map(|options| crate::Notices::new(channel, options))
    }

    /// Runs one statement as a transaction of its own, in one tenant, and gives its rows: on PostgreSQL one round trip and
    /// not the three of a beginning, a statement and an end. On SQLite it is an ordinary transaction, of one wake-up.
    ///
    /// The statement's `$1` is the tenant of `scope`; `params` begin with `$2`. On PostgreSQL nothing has set
    /// `guardian.tenant` when it starts, so row-level security shows no row until the statement sets it: it calls a
    /// function that begins with `set_config('guardian.tenant', $1, true)`, which holds for this transaction alone.
    /// The server has no limit of time for it; this side gives up at the statement timeout and closes the connection, so the
    /// function also sets `lock_timeout` where it may wait for others.
    ///
    /// # Errors
    /// As for [`Tx::execute`]. After `Unavailable` or `Timeout` nobody knows whether the work was kept.
    pub async fn call(
        &self,
        scope: &Scope,
        sql: impl Into<Sql>,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into();
        let mut all = Vec::with_capacity(params.len() + 1);
        all.push(scope.tenant().to_param());
        all.extend(params.iter().cloned());
        if self.dialect() == Dialect::Sqlite {
            let mut rows = Vec::new();
            let mut keep = |row| {
                rows.push(row);
                Ok(())
            };
            self.begin_session(Purpose::Write(scope)).await?.run_and_commit(&sql, &all, true, &mut keep).await?;
            return Ok(rows);
        }
        let lease = self.0.writers.acquire().await?;
        let lay_idle = lease.lay_idle();
        match self.call_on(lease, &sql, &all).await {
            // A connection that lay idle while the server went away. Whether the statement came through is not known, so it is
            // not tried again; but those that lay beside it are no better.
            Err(error) if lay_idle && error.kind() == StoreErrorKind::Unavailable => {
                self.0.writers.forget_idle();
                Err(error)
            }
            done => done,
        }
    }

    async fn call_on(&self, lease: Lease, sql: &Sql, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        let shared = &self.0;
        let mut session =
            Session::new(lease, shared.dialect, shared.handle.clone(), shared.config.statement_timeout);
        #[cfg(feature = "testkit")]
        session.interceptor.clone_from(&shared.interceptor);
        let mut rows = Vec::new();
        let mut keep = |row| {
            rows.push(row);
            Ok(())
        };
        session.run(sql, params, true, &mut keep).await?;
        // Nothing is open: the statement was the transaction.
        session.end_without_transaction();
        Ok(rows)
    }

    /// Takes no new transactions, waits for those that run, and closes the connections.
    pub async fn close(&self) {
        for pool in self.0.readers.iter().chain([&self.0.writers]) {
            pool.close().await;
        }
    }

    pub(crate) async fn begin_session(&self, purpose: Purpose<'_>) -> Result<Session, StoreError> {
        let reads = matches!(purpose, Purpose::Read(_) | Purpose::Maintenance);
        let pool = self.0.readers.as_ref().filter(|_| reads).unwrap_or(&self.0.writers);
        let lease = pool.acquire().await?;
        let lay_idle = lease.lay_idle();
        match self.begin_on(lease, &purpose).await {
            // A connection that lay idle while the server went away: nothing has happened on it yet, and those that lay
            // beside it are no better.
            Err(error) if lay_idle && error.kind() == StoreErrorKind::Unavailable => {
                pool.forget_idle();
                self.begin_on(pool.acquire().await?, &purpose).await
            }
            done => done,
        }
    }

    async fn begin_on(&self, mut lease: Lease, purpose: &Purpose<'_>) -> Result<Session, StoreError> {
        let watches = lease.link().is_some_and(|link| link.watches());
        let begin = self.opening(purpose, watches);
        let shared = &self.0;
        let mut session =
            Session::new(lease, shared.dialect, shared.handle.clone(), shared.config.statement_timeout);
        #[cfg(feature = "testkit")]
        session.interceptor.clone_from(&shared.interceptor);
        if matches!(purpose, Purpose::Migration(_)) {
            session.set_limit(shared.config.migration_timeout);
        }
        // Settings are none of the texts that SQLite may keep prepared: they hold from then on, and not each time.
        let is_bare = self.0.dialect == Dialect::Sqlite && self.0.readers.is_some();
        if is_bare && !matches!(purpose, Purpose::Migration(_)) {
            session.open_with(begin, shared.config.busy_timeout);
        } else {
            session.control(&begin).await?;
        }
        Ok(session)
    }

    /// The text that begins a transaction. On PostgreSQL the settings go out together with it, in one round trip, and
    /// hold for the transaction alone, so nothing is left for the connection's next user and a pooler in between that
    /// hands out connections by transaction does no harm.
    fn opening(&self, purpose: &Purpose<'_>, watches: bool) -> Sql {
        let config = &self.0.config;
        if self.0.dialect == Dialect::Sqlite {
            // The one connection to memory serves readers and writers.
            let memory = self.0.readers.is_none();
            return match purpose {
                Purpose::Read(_) | Purpose::Maintenance if memory => "PRAGMA query_only = ON; BEGIN",
                Purpose::Read(_) | Purpose::Maintenance => "BEGIN",
                Purpose::Migration(_) if memory => "PRAGMA query_only = OFF; BEGIN EXCLUSIVE",
                Purpose::Migration(_) => "BEGIN EXCLUSIVE",
                _ if memory => "PRAGMA query_only = OFF; BEGIN IMMEDIATE",
                _ => "BEGIN IMMEDIATE",
            }
            .into();
        }
        let (begin, tenant, limit) = match purpose {
            Purpose::Write(scope) => ("BEGIN", Some(scope), config.statement_timeout),
            Purpose::Serializable(scope) => {
                ("BEGIN ISOLATION LEVEL SERIALIZABLE", Some(scope), config.statement_timeout)
            }
            Purpose::Read(scope) => {
                ("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", Some(scope), config.statement_timeout)
            }
            Purpose::Unscoped | Purpose::Upkeep => ("BEGIN", None, config.statement_timeout),
            Purpose::Maintenance => ("BEGIN READ ONLY", None, config.statement_timeout),
            Purpose::Migration(_) => ("BEGIN", None, config.migration_timeout),
        };
        #[cfg(feature = "testkit")]
        let names_tenant = self.0.interceptor.as_ref().is_none_or(|test| test.sets_tenant());
        #[cfg(not(feature = "testkit"))]
        let names_tenant = true;
        let mut sql = Sql::builder(begin);
        sql.push("; SELECT ");
        // A transaction that forgets its tenant, for a test, says nothing at all: what an earlier one left behind would show.
        if names_tenant {
            sql.push("set_config('guardian.tenant', ");
            sql.text(tenant.map_or("", |scope| scope.tenant().as_str())).push(", true), ");
        }
        sql.push("set_config('statement_timeout', ");
        // A limit of 0 would be none.
        sql.text(&limit.as_millis().clamp(1, 2_147_483_647).to_string()).push(", true)");
        if watches {
            // An abandoned statement ends within a second, and its locks with it, not only at its timeout.
            sql.push(", set_config('client_connection_check_interval', '1000', true)");
        }
        if config.plans == Plans::Generic {
            sql.push(", set_config('plan_cache_mode', 'force_generic_plan', true)");
        }
        if matches!(purpose, Purpose::Unscoped) {
            sql.push(", set_config('guardian.unscoped', 'on', true)");
        }
        if let Purpose::Migration(migrations) = purpose {
            // One lock a set and schema, held until the transaction ends, however it ends.
            sql.push("; SELECT pg_advisory_xact_lock(hashtextextended('guardian-sql:' || coalesce(current_schema(), '') || ':' || ");
            sql.text(migrations.name()).push(", 0))");
        }
        sql.finish()
    }
}

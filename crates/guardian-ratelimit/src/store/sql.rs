//! Counters in a SQL database: SQLite or PostgreSQL.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use guardian_core::{Clock, MonoTime, Scope, StoreError, StoreErrorKind, SystemClock, TenantId};
use guardian_sql::{Database, Dialect, Durability, Error, Fault, Migration, Migrations, Unscoped};
use tokio::runtime::Handle;

use super::{Call, Release, Store, micros};
use crate::{Decision, Outcome, PolicyName, Realm};

mod counter;
mod key;
mod postgres;
mod sqlite;
mod state;

/// Counters in a SQL database. In a SQLite file they survive a restart; in PostgreSQL several processes share them, and
/// callers in SQL count with `check_rate_limit()` on the same rows.
///
/// A call is one transaction, decided and charged as a whole, with the same exact arithmetic as
/// [`MemoryStore`](crate::MemoryStore) in whole microseconds. On PostgreSQL the server decides, in one statement for up
/// to eight limits; on SQLite this process does, as the one writer.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
/// use guardian_core::TenantId;
/// use guardian_ratelimit::{Limit, Limiter, Policy, SqlStore};
/// use guardian_sql::Database;
///
/// let store = SqlStore::new(&Database::open("sqlite::memory:").await?);
/// store.migrate().await?;
/// let limiter = Limiter::new(store);
/// let per_org = limiter.define(Policy::new("per-org", "1000/min burst 200")?)?;
///
/// let acme = TenantId::new("acme")?;
/// assert!(limiter.check(&acme, &[Limit::whole(per_org)]).await?.is_allowed());
/// # Ok(()) }
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(demo()).unwrap();
/// ```
///
/// # Who waits for whom
/// On PostgreSQL, calls about the same counter take turns, from the statement to the commit; others do not meet. The
/// turns are advisory locks of the transaction, taken in one order, so that calls of this store never wait for each other
/// in a circle, and a counter that has no row yet is locked too. On SQLite all calls that charge take turns.
///
/// # When the database is away
/// A call fails within the database's `acquire_timeout`, or `statement_timeout` when the server hangs, and the policies'
/// [`OnStoreError`](crate::OnStoreError) decides: open the database with times that a request can bear. It is used again
/// as soon as it answers. Calls are never repeated, since the first try may have been charged; dropping a call's future
/// leaves a charge that is whole or absent.
///
/// # Time
/// PostgreSQL's clock decides, read once the counters are ours, so processes whose clocks differ agree; on SQLite the
/// system's clock, because all who write the file are on one machine. Both are civil time, since rows outlive a process:
/// a clock that is set back by *t* makes waiting longer by up to *t*, forward shorter. A refund finds what it puts back
/// by the age that the caller's clock gives it; sliding windows take the nearest entry. On SQLite a charge's age leaves out
/// the time that a check waited for its turn; on PostgreSQL, where nobody sees that, a bucket gets back what it would have
/// had if the check had been quicker: too little by at most what refills while a check is under way.
///
/// # Rows
/// `guardian_rate_limits` has a row for each counter, `guardian_rate_permits` one for each permit that is held. The
/// shared realm's tenant is `*`. Rows that are as good as new stay until [`sweep`](Self::sweep) deletes them. On
/// PostgreSQL row-level security is enabled and forced for both.
///
/// # What a crash forgets
/// A crash of this process, nothing. A crash of the PostgreSQL server, the charges of its last moments
/// (`synchronous_commit` is off for these transactions alone), unless [`with_durability`](Self::with_durability) says
/// otherwise. A power failure under SQLite, what its `DatabaseConfig` says.
#[derive(Clone)]
pub struct SqlStore {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    db: Database,
    statements: sqlite::Statements,
    durability: Durability,
    /// For PostgreSQL's shared realm: a transaction is bound to some tenant, and its function to none.
    shared: Scope,
    clock: Arc<dyn Clock>,
    /// For tests only: the clock decides instead of the server's.
    is_given: bool,
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("database", &self.inner.db).finish_non_exhaustive()
    }
}

impl SqlStore {
    /// The tables and, on PostgreSQL, the functions that decide.
    pub const MIGRATIONS: Migrations = Migrations::new(
        "guardian_ratelimit",
        &[
            Migration::new(
                1,
                "create_rate_limits",
                include_str!("../../migrations/0001_tables.sqlite.sql"),
                include_str!("../../migrations/0001_tables.postgres.sql"),
            ),
            Migration::new(
                2,
                "create_functions",
                "",
                include_str!("../../migrations/0002_functions.postgres.sql"),
            ),
            Migration::new(
                3,
                "create_check_rate_limit",
                "",
                include_str!("../../migrations/0003_check_rate_limit.postgres.sql"),
            ),
        ],
    );

    /// A store in this database, whose schema [`migrate`](Self::migrate) brings up to date.
    #[must_use]
    pub fn new(db: &Database) -> Self {
        // It has no say: the function that is told of the shared realm touches that alone.
        let nobody = TenantId::from(0);
        Self::of(Inner {
            db: db.clone(),
            statements: sqlite::Statements::new(),
            durability: Durability::Relaxed,
            shared: Scope::system(nobody),
            clock: Arc::new(SystemClock::new()),
            is_given: false,
        })
    }

    fn of(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// The same with another promise of a charge on PostgreSQL. [`Durability::Relaxed`] unless told otherwise: a charge
    /// does not wait for the disk, which a crash of the server can use to forget the last moments. On SQLite the
    /// database's own settings hold.
    #[must_use]
    pub fn with_durability(&self, durability: Durability) -> Self {
        Self::of(Inner { durability, ..(*self.inner).clone() })
    }

    /// The same deciding by this clock's civil time, in whole microseconds, instead of the server's. For tests.
    #[cfg(any(test, feature = "testkit"))]
    #[must_use]
    pub fn with_time_source(&self, clock: Arc<dyn Clock>) -> Self {
        Self::of(Inner { clock, is_given: true, ..(*self.inner).clone() })
    }

    /// Brings the schema up to date, as a role that may create tables, and says how many steps that took. Safe when
    /// several processes do so at once.
    ///
    /// # Errors
    /// As [`Database::migrate`].
    pub async fn migrate(&self) -> Result<u64, Error> {
        self.inner.db.migrate(&Self::MIGRATIONS).await
    }

    /// Deletes at most `limit` rows of counters that are as good as new, and at most as many of permits that have ended,
    /// of all tenants, and says how many it was: call it now and then, again at once while it returns `limit` or more.
    /// The store's own time decides, so nothing that still counts is deleted. Several processes may sweep at once.
    ///
    /// On PostgreSQL it takes rows that nobody works on, and makes nobody wait.
    ///
    /// # Errors
    /// When the database fails, or the sink of the event that tells of crossing tenants.
    pub async fn sweep(&self, leave: &Unscoped, limit: u32) -> Result<u64, StoreError> {
        let mut tx = self.inner.db.begin_unscoped(leave).await?;
        let swept = match tx.dialect() {
            Dialect::Sqlite => sqlite::sweep(&mut tx, self.inner.now(), limit).await?,
            Dialect::Postgres => postgres::sweep(&mut tx, self.inner.given_time(), limit).await?,
        };
        tx.commit().await?;
        Ok(swept)
    }

    async fn decide(&self, call: &Call<'_>, charge: bool) -> Result<Decision, StoreError> {
        let inner = &*self.inner;
        let answer = match inner.db.dialect() {
            Dialect::Sqlite => inner.check_on_sqlite(call, charge).await,
            Dialect::Postgres => inner.check_on_postgres(call, charge).await,
        };
        let Answer { numbers, waited } = answer.map_err(|error| inner.explained(error))?;
        let outcomes = call.items.iter().zip(numbers).map(|(item, numbers)| {
            Outcome::from_reading(item.policy, item.mode, micros::reading(item, numbers))
        });
        let waited = Duration::from_micros(u64::try_from(waited).unwrap_or(0));
        Ok(Decision::from_outcomes(call.now + waited, outcomes))
    }
}

/// What a database decided.
struct Answer {
    /// For each limit, as [`micros::reading`] takes them.
    numbers: Vec<[i64; 4]>,
    /// How long the call waited for its turn, in microseconds, where that is known: below zero when the clock was set back.
    waited: i64,
}

impl Inner {
    /// The time on SQLite, in microseconds since 1970. Taken behind a transaction's first statement, with which it locks the file, so that who
    /// comes later is later.
    fn now(&self) -> i64 {
        self.clock.now().timestamp_micros().max(0)
    }

    /// The time that decides on PostgreSQL, if it is not the server's.
    fn given_time(&self) -> Option<i64> {
        self.is_given.then(|| self.now())
    }

    fn scope(&self, realm: Realm<'_>) -> Scope {
        realm.tenant().map_or_else(|| self.shared.clone(), |tenant| Scope::system(tenant.clone()))
    }

    /// The functions complain about a number that does not read, and only a row that somebody else wrote has one.
    fn explained(&self, error: StoreError) -> StoreError {
        let is_unreadable =
            Fault::of(&error).and_then(Fault::code).is_some_and(|code| code.starts_with("22"));
        if is_unreadable { self.corrupt("a row holds no state of a rate limit") } else { error }
    }

    fn corrupt(&self, why: &'static str) -> StoreError {
        StoreError::new(StoreErrorKind::Corrupt, self.db.dialect().name()).with_source(why)
    }
}

impl Store for SqlStore {
    /// Names need no number here.
    fn register(&self, _name: &PolicyName) -> u32 {
        0
    }

    async fn check(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        self.decide(call, true).await
    }

    /// Writes nothing, not even what a changed rule makes of a state, and waits for nobody.
    async fn peek(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        self.decide(call, false).await
    }

    async fn refund(&self, call: &Call<'_>, consumed_at: MonoTime) -> Result<(), StoreError> {
        let inner = &*self.inner;
        let age = i64::try_from(micros::age(call.now, consumed_at)).unwrap_or(i64::MAX);
        let done = match inner.db.dialect() {
            Dialect::Sqlite => inner.refund_on_sqlite(call, age).await,
            Dialect::Postgres => inner.refund_on_postgres(call, age).await,
        };
        done.map_err(|error| inner.explained(error))
    }

    async fn reset(&self, call: &Call<'_>) -> Result<(), StoreError> {
        match self.inner.db.dialect() {
            Dialect::Sqlite => self.inner.reset_on_sqlite(call).await,
            Dialect::Postgres => self.inner.reset_on_postgres(call).await,
        }
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        if release.counters.is_empty() {
            return Ok(());
        }
        match self.inner.db.dialect() {
            Dialect::Sqlite => self.inner.release_on_sqlite(release).await,
            Dialect::Postgres => self.inner.release_on_postgres(release).await,
        }
    }

    /// Tells the database in a task of the Tokio runtime that this is called on. Outside of one, and when the database
    /// is away, the permit's time ends it.
    fn release_detached(&self, release: Release) {
        if let Ok(runtime) = Handle::try_current() {
            let store = self.clone();
            runtime.spawn(async move {
                let _ = store.release(&release).await;
            });
        }
    }
}

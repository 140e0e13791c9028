use std::fmt;

use guardian_core::{Scope, StoreError};

use crate::batch::Insert;
use crate::session::Session;
use crate::stream::RowStream;
#[cfg(feature = "postgres")]
use crate::ToParam;
use crate::{Dialect, Param, Row, Sql, Unscoped};

/// A transaction: every statement runs in one, and every one says whose data it touches.
///
/// It is bound to a [`Scope`] ([`TenantTx`]) or to an [`Unscoped`] reason. Dropping it rolls back, whatever it was doing.
/// After a statement failed, or its future was dropped, every further one is refused until
/// [`roll_back`](Savepoint::roll_back) of a savepoint that was made before; so a commit never keeps half of the work.
///
/// Statements are literals of the program (or built, see [`Sql`]), one at a time, with parameters `$1`, `$2` and so on. A
/// statement that ends the transaction, changes settings or leaves something on the connection is refused.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # use guardian_core::{Scope, TenantId};
/// # use guardian_sql::{Database, Migration, Migrations, params};
/// # const MIGRATIONS: Migrations = Migrations::new("notes", &[Migration::same(1, "notes",
/// #     "CREATE TABLE notes (tenant_id TEXT NOT NULL, id BIGINT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tenant_id, id))")]);
/// let db = Database::open("sqlite::memory:").await?;
/// db.migrate(&MIGRATIONS).await?;
///
/// let scope = Scope::system(TenantId::new("acme")?);
/// let mut tx = db.begin(&scope).await?;
/// let tenant = scope.tenant();
/// tx.execute("INSERT INTO notes (tenant_id, id, body) VALUES ($1, $2, $3)", params![tenant, 7_i64, "call Ann"]).await?;
/// let row = tx.fetch_one("SELECT body FROM notes WHERE tenant_id = $1 AND id = $2", params![tenant, 7_i64]).await?;
/// assert_eq!(row.get::<&str>("body")?, "call Ann");
/// tx.commit().await?;
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
pub struct Tx<B> {
    binding: B,
    session: Session,
}

/// A transaction in one tenant's data. On PostgreSQL its first statement sets `guardian.tenant`, for this transaction
/// only, so that row-level security holds even where a statement forgets the tenant.
pub type TenantTx = Tx<Scope>;

/// A transaction across tenants, opened with a reason; see [`Unscoped`].
pub type UnscopedTx = Tx<Unscoped>;

impl TenantTx {
    /// Whose data this transaction touches, and on whose behalf.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.binding
    }
}

impl UnscopedTx {
    /// Why this transaction crosses tenants.
    #[must_use]
    pub fn unscoped(&self) -> &Unscoped {
        &self.binding
    }
}

impl<B> Tx<B> {
    pub(crate) fn new(binding: B, session: Session) -> Self {
        Self { binding, session }
    }

    /// Which database it runs on.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.session.dialect()
    }

    /// Runs a statement and says how many rows it inserted, changed or deleted.
    ///
    /// # Errors
    /// What the database says, in the suite's kinds; `Unsupported` when the statement is refused, `Internal` when the
    /// number of parameters is wrong or the transaction has failed before.
    pub async fn execute(&mut self, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<u64, StoreError> {
        execute(&mut self.session, sql.into(), params).await
    }

    /// The one row of a statement that returns at most one.
    ///
    /// # Errors
    /// As for [`Self::execute`]; `Internal` when there is a second row. The answer is always read to its end, because
    /// SQLite reports a broken reference only there.
    pub async fn fetch_optional(
        &mut self,
        sql: impl Into<Sql>,
        params: &[Param<'_>],
    ) -> Result<Option<Row>, StoreError> {
        fetch_optional(&mut self.session, sql.into(), params).await
    }

    /// The one row of a statement that returns exactly one.
    ///
    /// # Errors
    /// As for [`Self::fetch_optional`]; `Internal` when there is no row.
    pub async fn fetch_one(&mut self, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<Row, StoreError> {
        fetch_one(&mut self.session, sql.into(), params).await
    }

    /// All rows of a statement, in memory: for pages, whose size the statement bounds. [`Self::stream`] is for the rest.
    ///
    /// # Errors
    /// As for [`Self::execute`].
    pub async fn fetch_all(
        &mut self,
        sql: impl Into<Sql>,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        fetch_all(&mut self.session, sql.into(), params).await
    }

    /// The rows of a query one by one, in constant memory: on PostgreSQL through a cursor, some hundred rows a round
    /// trip. The statement timeout holds for each step, so a slow reader is no fault. It may be dropped at any row.
    ///
    /// # Errors
    /// As for [`Self::execute`], and `Unsupported` when the statement is not a query.
    pub async fn stream<'t>(
        &'t mut self,
        sql: impl Into<Sql>,
        params: &[Param<'_>],
    ) -> Result<RowStream<'t>, StoreError> {
        RowStream::open(&mut self.session, sql.into(), params).await
    }

    /// Inserts many rows with few statements, each within the database's limit of parameters, and says how many rows
    /// were inserted or changed. See [`Insert`].
    ///
    /// # Errors
    /// As for [`Self::execute`].
    pub async fn insert_many<'p, const N: usize>(
        &mut self,
        insert: &Insert<N>,
        rows: impl IntoIterator<Item = [Param<'p>; N], IntoIter: Send>,
    ) -> Result<u64, StoreError> {
        insert.run(&mut self.session, rows).await
    }

    /// Tells everybody who listens on a channel ([`Database::notices`](crate::Database::notices)), once this transaction is kept. On
    /// SQLite nobody listens, and nothing is done.
    ///
    /// # Errors
    /// As for [`Self::execute`]; `Unsupported` for a text of 8000 bytes or more.
    pub async fn notify(&mut self, channel: &'static str, text: &str) -> Result<(), StoreError> {
        #[cfg(feature = "postgres")]
        if self.dialect() == Dialect::Postgres {
            if text.len() > crate::notices::MAX_NOTICE {
                return Err(crate::notices::too_long(text.len()));
            }
            let params = [channel.to_param(), text.to_param()];
            self.fetch_all("SELECT pg_notify($1, $2)::text AS told", &params).await?;
        }
        #[cfg(not(feature = "postgres"))]
        let _ = (channel, text);
        Ok(())
    }

    /// Marks a point to come back to. Savepoints nest.
    ///
    /// # Errors
    /// As for [`Self::execute`].
    pub async fn savepoint(&mut self) -> Result<Savepoint<'_, B>, StoreError> {
        let depth = open_savepoint(&mut self.session).await?;
        Ok(Savepoint { tx: self, depth, done: false })
    }

    pub(crate) fn fail(&mut self) {
        self.session.fail();
    }

    /// Keeps the work. `Ok` means that it is durable, as far as the database's own settings say.
    ///
    /// # Errors
    /// `Internal` when a statement failed before (everything is rolled back then), `Constraint` for constraints that
    /// are checked at the end, `Conflict` when another transaction was first. After `Unavailable` or `Timeout` nobody
    /// knows whether the work was kept.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.session.commit().await
    }

    /// Runs a last statement and keeps the work, as [`execute`](Self::execute) and [`commit`](Self::commit) do; how many rows the
    /// statement inserted, changed or deleted. On SQLite both are one wake-up of its thread, which is most of what a small commit costs.
    ///
    /// # Errors
    /// As for both; when the statement fails, nothing is kept. After `Unavailable` or `Timeout` nobody knows whether it was.
    pub async fn execute_and_commit(
        self,
        sql: impl Into<Sql>,
        params: &[Param<'_>],
    ) -> Result<u64, StoreError> {
        self.session.run_and_commit(&sql.into(), params, true, &mut |_| Ok(())).await
    }

    /// Inserts many last rows and keeps the work: [`insert_many`](Self::insert_many) and a commit together with its last statement, as
    /// [`execute_and_commit`](Self::execute_and_commit) does it.
    ///
    /// # Errors
    /// As for both; when a statement fails, nothing is kept.
    pub async fn insert_many_and_commit<'p, const N: usize>(
        self,
        insert: &Insert<N>,
        rows: impl IntoIterator<Item = [Param<'p>; N], IntoIter: Send>,
    ) -> Result<u64, StoreError> {
        insert.run_and_commit(self.session, rows).await
    }

    /// Undoes the work, and waits until it is undone. Dropping the transaction does the same without waiting.
    ///
    /// # Errors
    /// When the transaction is gone already.
    pub async fn rollback(self) -> Result<(), StoreError> {
        self.session.roll_back().await
    }
}

impl<B: fmt::Debug> fmt::Debug for Tx<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("dialect", &self.dialect()).field("binding", &self.binding).finish_non_exhaustive()
    }
}

/// A part of a transaction that can be undone alone; it is used like the transaction itself.
///
/// Dropping it undoes the part, before whatever the transaction does next.
///
/// ```
/// # use guardian_core::StoreError;
/// # use guardian_sql::{TenantTx, params};
/// /// Inserts the note unless its id is taken.
/// async fn insert_or_keep(tx: &mut TenantTx, id: i64) -> Result<bool, StoreError> {
///     let tenant = tx.scope().tenant().clone();
///     let mut part = tx.savepoint().await?;
///     match part.execute("INSERT INTO notes (tenant_id, id, body) VALUES ($1, $2, '')", params![tenant, id]).await {
///         Ok(_) => part.release().await.map(|()| true),
///         Err(_) => part.roll_back().await.map(|()| false),
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Savepoint<'t, B> {
    tx: &'t mut Tx<B>,
    depth: u32,
    done: bool,
}

impl<B> Savepoint<'_, B> {
    /// Keeps the part, as far as the transaction is kept.
    ///
    /// # Errors
    /// As for [`Tx::execute`]; the part is undone then.
    pub async fn release(mut self) -> Result<(), StoreError> {
        release(&mut self.tx.session, self.depth).await?;
        self.done = true;
        Ok(())
    }

    /// Undoes the part. The transaction goes on as if the part had not been, also after a failed statement in it.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn roll_back(mut self) -> Result<(), StoreError> {
        self.tx.session.roll_back_to(self.depth).await?;
        self.done = true;
        Ok(())
    }
}

impl<B> std::ops::Deref for Savepoint<'_, B> {
    type Target = Tx<B>;

    fn deref(&self) -> &Tx<B> {
        self.tx
    }
}

impl<B> std::ops::DerefMut for Savepoint<'_, B> {
    fn deref_mut(&mut self) -> &mut Tx<B> {
        self.tx
    }
}

impl<B> Drop for Savepoint<'_, B> {
    fn drop(&mut self) {
        if !self.done {
            let undo = &mut self.tx.session.undo;
            // An inner savepoint that was dropped first goes with its outer one.
            *undo = Some(undo.map_or(self.depth, |inner| inner.min(self.depth)));
        }
    }
}

// The bodies are here, once, and not in every crate that calls them.

async fn execute(session: &mut Session, sql: Sql, params: &[Param<'_>]) -> Result<u64, StoreError> {
    session.run(&sql, params, true, &mut |_| Ok(())).await
}

async fn fetch_optional(session: &mut Session, sql: Sql, params: &[Param<'_>]) -> Result<Option<Row>, StoreError> {
    let mut found = None;
    let mut keep = |row| match found.replace(row) {
        None => Ok(()),
        Some(_) => Err("the statement returned a second row, and one was expected"),
    };
    session.run(&sql, params, true, &mut keep).await?;
    Ok(found)
}

async fn fetch_one(session: &mut Session, sql: Sql, params: &[Param<'_>]) -> Result<Row, StoreError> {
    match fetch_optional(session, sql, params).await? {
        Some(row) => Ok(row),
        None => {
            let why = "the statement returned no row, and one was expected";
            Err(crate::fault::own(guardian_core::StoreErrorKind::Internal, session.dialect(), why))
        }
    }
}

async fn fetch_all(session: &mut Session, sql: Sql, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    let mut keep = |row| {
        rows.push(row);
        Ok(())
    };
    session.run(&sql, params, true, &mut keep).await?;
    Ok(rows)
}

async fn open_savepoint(session: &mut Session) -> Result<u32, StoreError> {
    session.ready().await?;
    let depth = session.depth + 1;
    let mut sql = Sql::builder("SAVEPOINT guardian_");
    sql.number(depth.into());
    session.control(&sql.finish()).await?;
    session.depth = depth;
    Ok(depth)
}

async fn release(session: &mut Session, depth: u32) -> Result<(), StoreError> {
    session.ready().await?;
    let mut sql = Sql::builder("RELEASE SAVEPOINT guardian_");
    sql.number(depth.into());
    session.control(&sql.finish()).await?;
    session.depth = depth - 1;
    Ok(())
}

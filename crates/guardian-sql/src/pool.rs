//! Connections kept for the next user.
//!
//! Our own, because the driver's pool starts a task for its maintenance, asks the server a question after each use, and
//! would return a connection whose transaction it lost sight of.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use guardian_core::{Clock, StoreError, StoreErrorKind, SystemClock};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::conn::{Conn, Link};
use crate::{DatabaseConfig, Dialect, fault};

/// How connections are made.
pub(crate) enum Connector {
    #[cfg(feature = "sqlite")]
    Sqlite(crate::sqlite::SqliteConnector),
    #[cfg(feature = "postgres")]
    Postgres(crate::postgres::PostgresConnector),
}

impl Connector {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    async fn connect(&self) -> Result<Link, StoreError> {
        let link = match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connector) => connector.connect().await.map(Link::Sqlite),
            #[cfg(feature = "postgres")]
            Self::Postgres(connector) => connector.connect().await.map(Link::Postgres),
        };
        link.map_err(|error| fault::from_driver(error, self.dialect()))
    }
}

impl Pool {
    /// How the driver connects to a server; `None` for SQLite.
    #[cfg(feature = "postgres")]
    pub(crate) fn server(&self) -> Option<sqlx::postgres::PgConnectOptions> {
        match &self.connector {
            #[cfg(feature = "sqlite")]
            Connector::Sqlite(_) => None,
            Connector::Postgres(connector) => Some(connector.options()),
        }
    }
}

/// More connections than any database serves well.
const MAX_SIZE: u32 = 10_000;

/// At most so many connections; the least recently used idle ones go first.
pub(crate) struct Pool {
    connector: Connector,
    clock: SystemClock,
    idle: Mutex<Vec<Idle>>,
    permits: Arc<Semaphore>,
    size: u32,
    acquire_timeout: Duration,
    idle_timeout: Duration,
    max_lifetime: Duration,
}

struct Idle {
    conn: Conn,
    since: guardian_core::MonoTime,
}

impl Pool {
    pub(crate) fn new(connector: Connector, size: u32, config: &DatabaseConfig) -> Arc<Self> {
        // A connection to SQLite does not age, and one to memory holds the data.
        let ages = connector.dialect() == Dialect::Postgres;
        let forever = Duration::MAX;
        let size = size.clamp(1, MAX_SIZE);
        Arc::new(Self {
            connector,
            clock: SystemClock::new(),
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(usize::try_from(size).unwrap_or(1))),
            size,
            acquire_timeout: config.acquire_timeout,
            idle_timeout: if ages { config.idle_timeout } else { forever },
            max_lifetime: if ages { config.max_lifetime } else { forever },
        })
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.connector.dialect()
    }

    /// A connection: an idle one, else a new one, else the next that is given back. Waiters are served in order.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Result<Lease, StoreError> {
        let getting = async {
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            let permit = permit.map_err(|_| self.unavailable("the database is closed"))?;
            let (conn, lay_idle) = match self.pop() {
                Some(conn) => (conn, true),
                None => (Conn { link: self.connector.connect().await?, made: self.clock.monotonic() }, false),
            };
            Ok(Lease { conn: Some(conn), lay_idle, pool: Arc::clone(self), _permit: permit })
        };
        match tokio::time::timeout(self.acquire_timeout, getting).await {
            Ok(lease) => lease,
            Err(_) => Err(self.unavailable(&format!(
                "no connection within {} ms: all are in use, or the server does not answer",
                self.acquire_timeout.as_millis()
            ))),
        }
    }

    /// Forgets the idle connections, after one of them turned out to be dead.
    pub(crate) fn forget_idle(&self) {
        if self.dialect() == Dialect::Postgres {
            drop(std::mem::take(&mut *self.idle.lock()));
        }
    }

    /// No new transaction from now on; waits for those that run.
    pub(crate) async fn close(&self) {
        let all = self.permits.acquire_many(self.size).await;
        self.permits.close();
        drop(std::mem::take(&mut *self.idle.lock()));
        drop(all);
    }

    fn unavailable(&self, message: &str) -> StoreError {
        fault::own(StoreErrorKind::Unavailable, self.dialect(), message)
    }

    /// The idle connection that was used last.
    fn pop(&self) -> Option<Conn> {
        let now = self.clock.monotonic();
        let mut idle = self.idle.lock();
        let fresh = |idle: &Idle| {
            now.since(idle.since) < self.idle_timeout && now.since(idle.conn.made) < self.max_lifetime
        };
        idle.retain(fresh);
        idle.pop().map(|idle| idle.conn)
    }

    fn push(&self, conn: Conn) {
        let since = self.clock.monotonic();
        if !self.permits.is_closed() && !conn.link.is_worn() {
            self.idle.lock().push(Idle { conn, since });
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("dialect", &self.dialect())
            .field("idle", &self.idle.lock().len())
            .finish_non_exhaustive()
    }
}

/// A connection in use. Dropping it closes the connection; [`Lease::give_back`] keeps it for the next user.
pub(crate) struct Lease {
    conn: Option<Conn>,
    lay_idle: bool,
    pool: Arc<Pool>,
    /// Given back after the connection, so that there are never more than allowed.
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    pub(crate) fn link(&mut self) -> Option<&mut Link> {
        self.conn.as_mut().map(|conn| &mut conn.link)
    }

    /// Whether the connection was made before, so that it may be dead by now.
    pub(crate) fn lay_idle(&self) -> bool {
        self.lay_idle
    }

    /// Keeps the connection for the next user; it must be out of any transaction.
    pub(crate) fn give_back(mut self) {
        if let Some(conn) = self.conn.take() {
            self.pool.push(conn);
        }
    }
}

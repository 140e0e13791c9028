//! SQLite's connections.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guardian_core::{Clock, SystemClock};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Executor};

use crate::url::{SqliteAddress, SqliteMode};
use crate::{DatabaseConfig, Durability, Error};

/// After how many steps of its virtual machine SQLite asks whether to go on: some ten microseconds.
const STEPS: i32 = 1000;

/// Rows that SQLite reads ahead of the one who takes them: two pages, so that the two seldom wait for each other.
const ROW_BUFFER: usize = 256;

/// A connection, and when its statement is to be over.
///
/// SQLite asks for it while it works. A timer of the runtime would end the waiting, not the work, and cost more.
pub(crate) struct SqliteLink {
    pub(crate) conn: SqliteConnection,
    clock: SystemClock,
    /// On the clock's monotonic scale.
    deadline: Arc<AtomicU64>,
}

impl SqliteLink {
    pub(crate) fn interrupt(&self) {
        self.deadline.store(0, Ordering::Relaxed);
    }

    /// Gives the next statement that long.
    pub(crate) fn arm(&self, limit: Duration) {
        self.deadline.store((self.clock.monotonic() + limit).as_nanos(), Ordering::Relaxed);
    }

    /// Rolls back whatever is open. The connection takes its commands in order, so this waits for a statement that was
    /// interrupted just before.
    pub(crate) async fn reset(&mut self) -> bool {
        let rolled_back = self.conn.execute(sqlx::raw_sql("ROLLBACK")).await.is_ok();
        self.deadline.store(u64::MAX, Ordering::Relaxed);
        // SQLite ends a transaction itself on some errors (no room, no memory), and then there is none to roll back.
        rolled_back || self.conn.execute(sqlx::raw_sql("BEGIN; ROLLBACK")).await.is_ok()
    }
}

/// How connections to one file, or the one to memory, are made.
#[derive(Debug, Clone)]
pub(crate) struct SqliteConnector {
    options: SqliteConnectOptions,
    busy_timeout: Duration,
}

impl SqliteConnector {
    /// For the connection that writes.
    pub(crate) fn writer(address: &SqliteAddress, config: &DatabaseConfig) -> Result<Self, Error> {
        let mut options = Self::basic(address, config)?
            .create_if_missing(address.mode == SqliteMode::Create)
            .read_only(address.mode == SqliteMode::ReadOnly)
            .synchronous(match config.durability {
                Durability::Full => SqliteSynchronous::Full,
                Durability::Relaxed => SqliteSynchronous::Normal,
            });
        if address.path.is_some() && address.mode != SqliteMode::ReadOnly {
            options = options.journal_mode(SqliteJournalMode::Wal);
        }
        if let Some(pages) = config.max_pages {
            options = options.pragma("max_page_count", pages.to_string());
        }
        Ok(Self { options, busy_timeout: config.busy_timeout })
    }

    /// For the connections that read beside it; `None` in memory, where there is only one connection.
    pub(crate) fn reader(address: &SqliteAddress, config: &DatabaseConfig) -> Result<Option<Self>, Error> {
        if address.path.is_none() {
            return Ok(None);
        }
        let options = Self::basic(address, config)?
            .create_if_missing(address.mode == SqliteMode::Create)
            .read_only(address.mode == SqliteMode::ReadOnly)
            .pragma("query_only", "ON");
        Ok(Some(Self { options, busy_timeout: config.busy_timeout }))
    }

    fn basic(address: &SqliteAddress, config: &DatabaseConfig) -> Result<SqliteConnectOptions, Error> {
        let path = address.path.as_deref().unwrap_or(":memory:");
        if address.path.is_some() {
            let missing = |why| Error::NoFile { path: guardian_core::shorten(path), why };
            let folder = Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty());
            if folder.is_some_and(|folder| !folder.is_dir()) {
                return Err(missing("its folder does not exist"));
            }
            if Path::new(path).is_dir() {
                return Err(missing("it is a folder"));
            }
            if address.mode != SqliteMode::Create && !Path::new(path).exists() {
                return Err(missing("it does not exist, and its mode says not to make it"));
            }
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(config.busy_timeout)
            .foreign_keys(true)
            .row_buffer_size(ROW_BUFFER)
            .statement_cache_capacity(config.statement_cache.max(1))
            // What is in the schema of a file runs with no more rights than what is in a statement.
            .pragma("trusted_schema", "OFF")
            .pragma("cell_size_check", "ON")
            .pragma("temp_store", "MEMORY")
            .pragma("journal_size_limit", "67108864")
            .disable_statement_logging();
        Ok(options)
    }

    pub(crate) async fn connect(&self) -> Result<SqliteLink, sqlx::Error> {
        let mut conn = self.open().await?;
        let clock = SystemClock::new();
        let deadline = Arc::new(AtomicU64::new(u64::MAX));
        let (asked, now) = (Arc::clone(&deadline), clock.clone());
        let goes_on = move || now.monotonic().as_nanos() < asked.load(Ordering::Relaxed);
        conn.lock_handle().await?.set_progress_handler(STEPS, goes_on);
        Ok(SqliteLink { conn, clock, deadline })
    }

    /// Two processes that turn a new file to write-ahead logging at once collide, and SQLite does not wait there.
    async fn open(&self) -> Result<SqliteConnection, sqlx::Error> {
        const PAUSE: Duration = Duration::from_millis(10);
        let opening = async {
            loop {
                match self.options.connect().await {
                    Err(error) if is_busy(&error) => tokio::time::sleep(PAUSE).await,
                    done => return done,
                }
            }
        };
        match tokio::time::timeout(self.busy_timeout, opening).await {
            Ok(done) => done,
            Err(_) => self.options.connect().await,
        }
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

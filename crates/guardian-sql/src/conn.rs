//! One connection to either database.

use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use guardian_core::{MonoTime, StoreError};
use sqlx::{Either, Executor};

use crate::row::{Driver, Row};
use crate::{Dialect, Param, Sql, encode, fault};

/// How long the end of an abandoned transaction may take before its connection is given up.
#[cfg(feature = "postgres")]
const CLEANUP_LIMIT: Duration = Duration::from_secs(5);

/// A connection, and when it was made.
pub(crate) struct Conn {
    pub(crate) link: Link,
    pub(crate) made: MonoTime,
}

/// The driver's connection. Never reachable from outside of this crate.
pub(crate) enum Link {
    #[cfg(feature = "sqlite")]
    Sqlite(crate::sqlite::SqliteLink),
    #[cfg(feature = "postgres")]
    Postgres(crate::postgres::PostgresLink),
}

/// A statement's answer as it comes in.
pub(crate) enum Part {
    Row(Row),
    /// The statement is done and changed that many rows.
    Done(u64),
}

pub(crate) type Parts<'c> = BoxStream<'c, Result<Part, sqlx::Error>>;

impl Link {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a text that may have several statements and takes no parameter; answers are dropped.
    pub(crate) async fn batch(&mut self, sql: &Sql) -> Result<(), StoreError> {
        let dialect = self.dialect();
        let sql = sqlx::raw_sql(sql.to_driver());
        let done = match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(link) => link.conn.execute(sql).await.map(drop),
            #[cfg(feature = "postgres")]
            Self::Postgres(link) => link.conn.execute(sql).await.map(drop),
        };
        done.map_err(|error| fault::from_driver(error, dialect))
    }

    /// Runs one statement; `kept` says whether its preparation is worth keeping.
    pub(crate) fn run(&mut self, sql: &Sql, params: &[Param<'_>], kept: bool) -> Result<Parts<'_>, StoreError> {
        Ok(match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(link) => {
                let query = sqlx::query_with(sql.to_driver(), encode::sqlite(params)?).persistent(kept);
                let parts = link.conn.fetch_many(query);
                parts.map(|part| part.map(|part| match part {
                    Either::Left(done) => Part::Done(done.rows_affected()),
                    Either::Right(row) => Part::Row(Row(Driver::Sqlite(row))),
                })).boxed()
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(link) => {
                let sql = link.typed(sql, params).to_driver();
                let query = sqlx::query_with(sql, encode::postgres(params)?).persistent(kept);
                let parts = link.conn.fetch_many(query);
                parts.map(|part| part.map(|part| match part {
                    Either::Left(done) => Part::Done(done.rows_affected()),
                    Either::Right(row) => Part::Row(Row(Driver::Postgres(row))),
                })).boxed()
            }
        })
    }

    /// Ends the statement that runs, where that can be done from here.
    pub(crate) fn interrupt(&self) {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(link) => link.interrupt(),
            // The server has its own limit, and the connection is not used again.
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {}
        }
    }

    /// Gives the next statement that long, where that can be done from here.
    pub(crate) fn arm(&self, limit: Duration) {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(link) => link.arm(limit),
            // The limit was set with the transaction's beginning.
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {
                let _set_before = limit;
            }
        }
    }

    /// Whether the server can end the statement of a client that went away.
    pub(crate) fn watches(&self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
            #[cfg(feature = "postgres")]
            Self::Postgres(link) => link.watches,
        }
    }

    /// Whether the connection has done its service.
    pub(crate) fn is_worn(&self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
            #[cfg(feature = "postgres")]
            Self::Postgres(link) => link.is_worn(),
        }
    }

    /// Leaves no transaction open; says whether the connection may be used again. It is not when a statement was
    /// abandoned on PostgreSQL: what the server still sends would have to be waited for.
    pub(crate) async fn reset(&mut self, abandoned: bool) -> bool {
        let _only_a_server_cares = abandoned;
        match self {
            // Its commands come one after the other, so what was abandoned is over first.
            #[cfg(feature = "sqlite")]
            Self::Sqlite(link) => link.reset().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {
                if abandoned {
                    return false;
                }
                let done = tokio::time::timeout(CLEANUP_LIMIT, self.batch(&"ROLLBACK".into())).await;
                matches!(done, Ok(Ok(())))
            }
        }
    }
}

#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod config;
mod dialect;
mod error;
mod fault;
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(dead_code, reason = "without a database only migrations are read")
)]
mod lexer;
mod migration;
mod param;
mod sql;
mod unscoped;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "testkit"))]
mod url;

/// What needs a database to talk to.
macro_rules! with_a_database {
    ($($item:item)+) => {$(
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        $item
    )+};
}

with_a_database! {
    mod batch;
    mod conn;
    mod database;
    mod encode;
    mod field;
    mod lease;
    mod migrate;
    mod pool;
    mod retry;
    mod row;
    mod session;
    mod stream;
    mod tx;

    pub use batch::Insert;
    pub use database::Database;
    pub use field::{Field, FromField, Mismatch};
    pub use lease::{Lease, Leases};
    pub use retry::{MayConflict, Retry, retry};
    pub use row::{ColumnRef, Row};
    pub use stream::RowStream;
    pub use tx::{Savepoint, TenantTx, Tx, UnscopedTx};
}
#[cfg(feature = "postgres")]
mod notices;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(all(feature = "testkit", any(feature = "sqlite", feature = "postgres")))]
pub mod testkit;

#[cfg(feature = "testkit")]
#[doc(hidden)]
pub mod fuzzing;

pub use config::{DatabaseConfig, Durability, Plans};
pub use dialect::Dialect;
pub use error::Error;
pub use fault::{Fault, Violation};
pub use migration::{Migration, Migrations};
#[cfg(feature = "postgres")]
pub use notices::Notices;
pub use param::{Param, ToParam, Type};
pub use sql::{Sql, SqlBuilder};
pub use unscoped::Unscoped;

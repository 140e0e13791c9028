//! Fresh databases for tests, thrown away afterwards; outside of semantic versioning.
//!
//! A store's tests run on every database in two lines:
//!
//! ```
//! use guardian_core::{Scope, TenantId};
//! use guardian_sql::{Migration, Migrations, testkit};
//!
//! const MIGRATIONS: Migrations = Migrations::new("t", &[Migration::same(1, "t", "CREATE TABLE t (tenant_id TEXT NOT NULL)")]);
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! for kind in testkit::Kind::all() {
//!     let fresh = kind.open(&[&MIGRATIONS]).await?;
//!     let tx = fresh.database().begin(&Scope::system(TenantId::new("acme")?)).await?;
//!     tx.commit().await?;
//! }
//! # Ok(())
//! # }
//! # // The documentation's tests have no server.
//! # fn main() {}
//! ```
//!
//! PostgreSQL is the server at `GUARDIAN_TEST_POSTGRES_URL`, which `cargo xtask test` starts. Each [`Fresh`] is a
//! database of its own there, with two roles: the **owner** of the tables, who migrates, and the **application**, which
//! owns nothing, is no superuser and does not pass by row-level security. Tests use the application, as production does.
//! A test that kills its server has one of its own, `PostgresServer`.

use std::fmt;

mod interceptor;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod on_sql;
#[cfg(all(feature = "postgres", unix))]
mod postgres_server;

pub use interceptor::Interceptor;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use on_sql::OnSql;
#[cfg(all(feature = "postgres", unix))]
pub use postgres_server::PostgresServer;

use crate::{Database, DatabaseConfig, Error, Migrations};

/// The sorts of database that a store must work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// SQLite in memory.
    #[cfg(feature = "sqlite")]
    SqliteMemory,
    /// SQLite in a file of a temporary folder.
    #[cfg(feature = "sqlite")]
    SqliteFile,
    /// PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres,
}

impl Kind {
    /// All that this build has.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &[
            #[cfg(feature = "sqlite")]
            Self::SqliteMemory,
            #[cfg(feature = "sqlite")]
            Self::SqliteFile,
            #[cfg(feature = "postgres")]
            Self::Postgres,
        ]
    }

    /// A fresh database with these schemas.
    ///
    /// # Errors
    /// When it cannot be made: the server is missing, a migration fails.
    pub async fn open(
        self,
        migrations: &[&Migrations],
    ) -> Result<Fresh, Box<dyn std::error::Error + Send + Sync>> {
        self.open_with(migrations, DatabaseConfig::default().with_max_connections(4)).await
    }

    /// The same with other settings.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub async fn open_with(
        self,
        migrations: &[&Migrations],
        config: DatabaseConfig,
    ) -> Result<Fresh, Box<dyn std::error::Error + Send + Sync>> {
        let fresh = match self {
            #[cfg(feature = "sqlite")]
            Self::SqliteMemory => {
                let db = Database::open_with("sqlite::memory:", config).await?;
                Fresh::same(db, "sqlite::memory:".to_owned(), Ground::Memory)
            }
            #[cfg(feature = "sqlite")]
            Self::SqliteFile => {
                let folder = tempfile::Builder::new().prefix("guardian-sql-").tempdir()?;
                let url = format!("sqlite://{}", folder.path().join("test.db").display());
                let db = Database::open_with(&url, config).await?;
                Fresh::same(db, url, Ground::Folder { _folder: folder })
            }
            #[cfg(feature = "postgres")]
            Self::Postgres => Box::pin(server::fresh(config)).await?,
        };
        for set in migrations {
            fresh.owner.migrate(set).await?;
        }
        Ok(fresh)
    }
}

/// A database of one test, and what is to be cleaned up after it.
pub struct Fresh {
    owner: Database,
    app: Database,
    owner_url: String,
    url: String,
    /// Last, so that it goes when no connection is left.
    ground: Ground,
}

enum Ground {
    #[cfg(feature = "sqlite")]
    Memory,
    #[cfg(feature = "sqlite")]
    Folder { _folder: tempfile::TempDir },
    #[cfg(feature = "postgres")]
    Server(server::Made),
}

impl Fresh {
    #[cfg(feature = "sqlite")]
    fn same(db: Database, url: String, ground: Ground) -> Self {
        Self { owner: db.clone(), app: db, owner_url: url.clone(), url, ground }
    }

    /// The database as the application sees it.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.app
    }

    /// The database as the owner of its tables sees it; on SQLite the same.
    #[must_use]
    pub fn owner(&self) -> &Database {
        &self.owner
    }

    /// Where the application connects.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the owner connects; on SQLite the same.
    #[must_use]
    pub fn owner_url(&self) -> &str {
        &self.owner_url
    }

    /// The name of the application's role; `None` on SQLite.
    #[must_use]
    pub fn app_role(&self) -> Option<&str> {
        match &self.ground {
            #[cfg(feature = "postgres")]
            Ground::Server(made) => Some(made.app()),
            #[cfg(feature = "sqlite")]
            Ground::Memory | Ground::Folder { .. } => None,
        }
    }

    /// Brings one more schema in, as the owner.
    ///
    /// # Errors
    /// As for [`Database::migrate`].
    pub async fn migrate(&self, migrations: &Migrations) -> Result<u64, Error> {
        self.owner.migrate(migrations).await
    }
}

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").field("dialect", &self.app.dialect()).finish_non_exhaustive()
    }
}

#[cfg(feature = "postgres")]
mod server {
    use std::time::Duration;

    use guardian_core::{Clock, IdSource, SystemClock, SystemIds};
    use sqlx::postgres::PgConnection;
    use sqlx::{Connection, Executor};

    use super::{Database, DatabaseConfig, Fresh, Ground};
    use crate::Sql;
    use crate::postgres::PostgresConnector;
    use crate::url::{Address, PostgresAddress};

    type Failure = Box<dyn std::error::Error + Send + Sync>;

    const VARIABLE: &str = "GUARDIAN_TEST_POSTGRES_URL";

    /// How often a database is tried to be dropped, and how long in between.
    const TRIES: u32 = 10;
    const PAUSE: Duration = Duration::from_millis(20);

    /// A database and its roles, to be dropped.
    pub(super) struct Made {
        server: PostgresAddress,
        name: String,
    }

    impl Made {
        pub(super) fn app(&self) -> &str {
            &self.name
        }
    }

    fn server() -> Result<PostgresAddress, Failure> {
        let missing =
            || format!("{VARIABLE} is not set: run `cargo xtask test`, or set it to a throw-away server");
        let url = std::env::var_os(VARIABLE).ok_or_else(missing)?;
        match Address::parse(&url.to_string_lossy())? {
            Address::Postgres(address) => Ok(address),
            Address::Sqlite(_) => Err(format!("{VARIABLE} is not the URL of a PostgreSQL server").into()),
        }
    }

    async fn connect(address: &PostgresAddress) -> Result<Box<PgConnection>, sqlx::Error> {
        PostgresConnector::new(address, &DatabaseConfig::default()).connect().await.map(|link| link.conn)
    }

    async fn run(conn: &mut PgConnection, sql: &Sql) -> Result<(), sqlx::Error> {
        conn.execute(sqlx::raw_sql(sql.to_driver())).await.map(drop)
    }

    /// `start` with the name in each gap between the pieces.
    fn naming(name: &str, pieces: &[&'static str]) -> Sql {
        let mut sql = Sql::builder("");
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                sql.name(name);
            }
            sql.push(piece);
        }
        sql.finish()
    }

    pub(super) async fn fresh(config: DatabaseConfig) -> Result<Fresh, Failure> {
        let server = server()?;
        let id = SystemIds::new().next_id(SystemClock::new().now());
        let name = format!("guardian_test_{}", id.simple());
        let mut admin = connect(&server).await?;
        // From the bare template, which nobody is ever connected to.
        run(&mut admin, &naming(&name, &["CREATE DATABASE ", " TEMPLATE template0"])).await?;
        // From here on everything made is dropped, also when the rest fails.
        let made = Made { server: server.clone(), name: name.clone() };
        let role = ["CREATE ROLE ", " LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT"];
        run(&mut admin, &naming(&name, &role)).await?;
        // So that the owner may end the application's connections when the database is dropped.
        run(&mut admin, &naming(&name, &["GRANT ", " TO CURRENT_USER"])).await?;
        admin.close().await?;

        let owner = PostgresAddress { database: name.clone(), ..server.clone() };
        let mut tables = connect(&owner).await?;
        run(&mut tables, &naming(&name, &["GRANT USAGE ON SCHEMA public TO ", ""])).await?;
        let rights = "ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ";
        run(&mut tables, &naming(&name, &[rights, ""])).await?;
        run(&mut tables, &naming(&name, &["ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO ", ""]))
            .await?;
        tables.close().await?;

        let app = PostgresAddress { user: name.clone(), ..owner.clone() };
        let (owner_url, url) = (owner.url(), app.url());
        Ok(Fresh {
            owner: Database::open_with(&owner_url, config.clone()).await?,
            app: Database::open_with(&url, config).await?,
            owner_url,
            url,
            ground: Ground::Server(made),
        })
    }

    impl Drop for Made {
        fn drop(&mut self) {
            let (server, name) = (self.server.clone(), self.name.clone());
            // A thread of its own: this one may be within a runtime, which cannot be waited in.
            let cleaning = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let Ok(runtime) = runtime else { return };
                let _ = runtime.block_on(async {
                    let mut admin = connect(&server).await?;
                    let drop = naming(&name, &["DROP DATABASE IF EXISTS ", " WITH (FORCE)"]);
                    // Another connection may be about to open.
                    let mut tries = 0;
                    while let Err(error) = run(&mut admin, &drop).await {
                        tries += 1;
                        if tries == TRIES {
                            return Err(error);
                        }
                        tokio::time::sleep(PAUSE).await;
                    }
                    run(&mut admin, &naming(&name, &["DROP ROLE IF EXISTS ", ""])).await
                });
            });
            let _ = cleaning.join();
        }
    }
}

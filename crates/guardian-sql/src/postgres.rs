//! PostgreSQL's connections.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions, Executor};

use crate::url::{PostgresAddress, SslMode};
use crate::{DatabaseConfig, Param, Sql};

/// How connections to one server are made.
#[derive(Clone)]
pub(crate) struct PostgresConnector {
    options: PgConnectOptions,
}

impl PostgresConnector {
    pub(crate) fn new(address: &PostgresAddress, config: &DatabaseConfig) -> Self {
        // Everything is set, so that nothing is taken from the environment or from a password file.
        let mut options = PgConnectOptions::new_without_pgpass()
            .port(address.port)
            .username(&address.user)
            .password(address.password.as_deref().unwrap_or_default())
            .database(&address.database)
            .application_name(&config.application_name)
            .statement_cache_capacity(config.statement_cache)
            // A pooler in between need not know this setting; values travel in binary.
            .extra_float_digits(None)
            .ssl_mode(match address.ssl_mode {
                SslMode::Disable => PgSslMode::Disable,
                SslMode::Prefer => PgSslMode::Prefer,
                SslMode::Require => PgSslMode::Require,
                SslMode::VerifyCa => PgSslMode::VerifyCa,
                SslMode::VerifyFull => PgSslMode::VerifyFull,
            })
            .disable_statement_logging();
        options = if address.host.starts_with('/') {
            options.socket(&address.host)
        } else {
            options.host(&address.host)
        };
        if let Some(file) = &address.ssl_root_cert {
            options = options.ssl_root_cert(file);
        }
        if let Some(file) = &address.ssl_cert {
            options = options.ssl_client_cert(file);
        }
        if let Some(file) = &address.ssl_key {
            options = options.ssl_client_key(file);
        }
        Self { options }
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    pub(crate) async fn connect(&self) -> Result<PostgresLink, sqlx::Error> {
        let mut conn = self.options.connect().await.map(Box::new)?;
        // Since version 14 a server can look whether its client is still there; on some systems it cannot.
        // Asked for one transaction alone, which this statement is.
        let watch = "SELECT set_config('client_connection_check_interval', '1000', true)";
        let watches = match conn.execute(sqlx::raw_sql(watch)).await {
            Ok(_) => true,
            Err(sqlx::Error::Database(_)) => false,
            Err(error) => return Err(error),
        };
        Ok(PostgresLink { conn, watches, types: HashMap::new() })
    }
}

/// A connection, with the types of the parameters that its statements were prepared for.
///
/// The driver finds a prepared statement by its text alone. Given a text where there was a number, it would send the
/// text's bytes, and PostgreSQL would read eight of them as a number.
pub(crate) struct PostgresLink {
    pub(crate) conn: Box<PgConnection>,
    /// Whether the server ends the statement of a client that went away.
    pub(crate) watches: bool,
    types: HashMap<u64, u64>,
}

impl PostgresLink {
    /// More statements than this are too many to remember; the connection is not used again then.
    const MAX_STATEMENTS: usize = 10_000;

    /// The statement, marked when it was prepared for other types before.
    pub(crate) fn typed(&mut self, sql: &Sql, params: &[Param<'_>]) -> Sql {
        if params.is_empty() {
            return sql.clone();
        }
        let state = self.types.hasher();
        let text = state.hash_one(sql.as_str());
        // A hash of the types, because they may be many.
        let mut types = state.build_hasher();
        for param in params {
            param.kind().hash(&mut types);
        }
        let types = types.finish();
        if *self.types.entry(text).or_insert(types) == types {
            return sql.clone();
        }
        let mut marked = Sql::builder("");
        marked.push_sql(sql).push(" -- types ").number(types.cast_signed());
        marked.finish()
    }

    pub(crate) fn is_worn(&self) -> bool {
        self.types.len() > Self::MAX_STATEMENTS
    }
}

//! PostgreSQL's connections.

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};

use crate::DatabaseConfig;
use crate::url::{PostgresAddress, SslMode};

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

    pub(crate) async fn connect(&self) -> Result<Box<PgConnection>, sqlx::Error> {
        self.options.connect().await.map(Box::new)
    }
}

use std::time::Duration;

/// How a [`Database`](crate::Database) is opened.
///
/// The defaults suit a service: ten connections, five seconds to get one, thirty for a statement, and nothing that was
/// acknowledged is lost.
///
/// ```
/// use std::time::Duration;
/// use guardian_sql::DatabaseConfig;
///
/// let config = DatabaseConfig::default()
///     .with_max_connections(4)
///     .with_statement_timeout(Duration::from_secs(5));
/// assert_eq!(config.max_connections, 4);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseConfig {
    /// The most connections at a time, at least 1. SQLite in a file: one of them writes, the others read; in memory
    /// there is exactly one. Default: 10.
    pub max_connections: u32,
    /// How long a transaction waits for a free connection, connecting included, before it fails as unavailable.
    /// Default: 5 s.
    pub acquire_timeout: Duration,
    /// How long a statement may take before it is ended and fails as a timeout. On PostgreSQL the server ends it; a
    /// server that does not answer at all is given up one second later. Default: 30 s.
    pub statement_timeout: Duration,
    /// How long one statement of a migration may take, waiting for other processes that migrate included. Default:
    /// 10 min.
    pub migration_timeout: Duration,
    /// After how long an unused connection to PostgreSQL is not used again; it is closed when the next transaction begins,
    /// because nothing here runs by itself. Default: 10 min.
    pub idle_timeout: Duration,
    /// After how long a connection to PostgreSQL is replaced. Default: 30 min.
    pub max_lifetime: Duration,
    /// How many prepared statements a connection keeps. 0 prepares each statement anew, for connection poolers in
    /// transaction mode that do not know prepared statements. Default: 100.
    pub statement_cache: usize,
    /// How long SQLite waits for a lock that another process holds. Default: 5 s.
    pub busy_timeout: Duration,
    /// What a commit promises on SQLite; PostgreSQL has its own setting (`synchronous_commit`). Default: full.
    pub durability: Durability,
    /// The most pages of a SQLite file, a bound on its size (a page has 4096 bytes). Default: none.
    pub max_pages: Option<u32>,
    /// How PostgreSQL plans prepared statements. Default: as the server is set.
    pub plans: Plans,
    /// The name that PostgreSQL shows for our connections. Default: `guardian`.
    pub application_name: String,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            migration_timeout: Duration::from_secs(600),
            idle_timeout: Duration::from_secs(600),
            max_lifetime: Duration::from_secs(1800),
            statement_cache: 100,
            busy_timeout: Duration::from_secs(5),
            durability: Durability::Full,
            max_pages: None,
            plans: Plans::Server,
            application_name: "guardian".to_owned(),
        }
    }
}

impl DatabaseConfig {
    /// With at most that many connections; 0 counts as 1.
    #[must_use]
    pub fn with_max_connections(mut self, max: u32) -> Self {
        self.max_connections = max.max(1);
        self
    }

    /// With that long to get a connection.
    #[must_use]
    pub fn with_acquire_timeout(mut self, limit: Duration) -> Self {
        self.acquire_timeout = limit;
        self
    }

    /// With that long for a statement.
    #[must_use]
    pub fn with_statement_timeout(mut self, limit: Duration) -> Self {
        self.statement_timeout = limit;
        self
    }

    /// With that long for a statement of a migration.
    #[must_use]
    pub fn with_migration_timeout(mut self, limit: Duration) -> Self {
        self.migration_timeout = limit;
        self
    }

    /// With that many prepared statements a connection.
    #[must_use]
    pub fn with_statement_cache(mut self, statements: usize) -> Self {
        self.statement_cache = statements;
        self
    }

    /// With that long to wait for another process's lock on a SQLite file.
    #[must_use]
    pub fn with_busy_timeout(mut self, limit: Duration) -> Self {
        self.busy_timeout = limit;
        self
    }

    /// With this promise of a commit on SQLite.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// With a bound on the size of a SQLite file, in pages of 4096 bytes.
    #[must_use]
    pub fn with_max_pages(mut self, pages: u32) -> Self {
        self.max_pages = Some(pages);
        self
    }

    /// With this way to plan prepared statements on PostgreSQL.
    #[must_use]
    pub fn with_plans(mut self, plans: Plans) -> Self {
        self.plans = plans;
        self
    }

    /// With the name that PostgreSQL shows for our connections.
    #[must_use]
    pub fn with_application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = name.into();
        self
    }
}

/// What a commit on SQLite promises when the power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// What was acknowledged is on the disk (`synchronous = FULL`): each commit waits for it.
    #[default]
    Full,
    /// The last commits may be lost, the file stays whole (`synchronous = NORMAL`): commits do not wait for the disk. A
    /// crash of the process alone loses nothing. For caches, and for what can be counted again.
    Relaxed,
}

/// How PostgreSQL plans the prepared statements of our transactions (`plan_cache_mode`). SQLite keeps every plan.
///
/// Every statement is prepared and has its values as parameters. PostgreSQL plans it for the values at hand five times,
/// and from then on either keeps one plan for all values or goes on, whichever its own estimates favour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Plans {
    /// As the server, the database or the role is set, which is `auto` where nobody set it. The default, because a plan
    /// for all values is a bad one where they differ: it takes every tenant for one of average size, one that has most
    /// of the rows too; it does not know how many rows `LIMIT $1` is, or that `LIKE $1` begins with letters that an index
    /// could use.
    #[default]
    Server,
    /// One plan for all values (`force_generic_plan`, in each transaction). It saves the planning, which for a short
    /// statement with a range (`id > $2 ORDER BY id LIMIT 50`) is nearly half of the server's work, and more under
    /// row-level security. For a `Database` whose statements are short, whose tenants are of a size or always found by an
    /// index that they lead, and whose pages have their size in the text. The full text functions of `guardian-tenant`
    /// plan with their values all the same.
    Generic,
}

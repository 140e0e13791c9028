use std::fmt;
use std::sync::Arc;

use crate::Database;

/// Sees the statements of a database before they run, and may break them on purpose: for tests that have to show that a
/// broken statement is noticed. Exists only with the feature `testkit`.
///
/// ```
/// use guardian_sql::testkit::Interceptor;
///
/// #[derive(Debug)]
/// struct Forgetful;
///
/// impl Interceptor for Forgetful {
///     fn statement(&self, sql: &str) -> Option<String> {
///         sql.strip_suffix(" WHERE tenant_id = $1").map(|rest| format!("{rest} WHERE $1 IS NOT NULL"))
///     }
/// }
///
/// assert!(Forgetful.statement("SELECT body FROM notes WHERE tenant_id = $1").is_some());
/// assert!(Forgetful.sets_tenant());
/// ```
pub trait Interceptor: Send + Sync + fmt::Debug + 'static {
    /// What runs in the place of this statement; `None` for the statement itself. It has to take the same parameters.
    fn statement(&self, sql: &str) -> Option<String> {
        let _ = sql;
        None
    }

    /// Whether transactions tell PostgreSQL whose they are. Those that do not leave the setting as they find it.
    fn sets_tenant(&self) -> bool {
        true
    }
}

impl Database {
    /// The same database, the same pool, with its statements going through this first. What others do on the database goes
    /// unseen.
    #[must_use]
    pub fn with_interceptor(&self, interceptor: impl Interceptor) -> Self {
        self.intercepted(Arc::new(interceptor))
    }
}

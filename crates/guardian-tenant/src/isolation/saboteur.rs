use std::collections::BTreeSet;
use std::sync::Arc;

use guardian_sql::testkit::Interceptor;
use parking_lot::Mutex;

use super::{Mutant, MutantKind};

/// Stands between a host's code and its database: records the statements, and breaks the one that a mutant names, or the
/// tenant of every transaction.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use guardian_core::{Scope, TenantId};
/// use guardian_sql::Database;
/// use guardian_tenant::isolation::{Mutant, Saboteur};
///
/// let recorder = Saboteur::recording();
/// let db = Database::open("sqlite::memory:").await?.with_interceptor(recorder.clone());
/// let mut tx = db.begin(&Scope::system(TenantId::new("acme")?)).await?;
/// tx.fetch_all("SELECT name FROM sqlite_master WHERE name = $1", guardian_sql::params!["x"]).await?;
///
/// let mutants = Mutant::dropped_predicates(recorder.statements().iter().map(String::as_str), &["name"]);
/// assert_eq!(mutants.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Saboteur {
    mutant: Option<Mutant>,
    seen: Arc<Mutex<BTreeSet<String>>>,
}

impl Saboteur {
    /// Breaks nothing. Clones record into the same list.
    #[must_use]
    pub fn recording() -> Self {
        Self::default()
    }

    /// Records into the same list, and breaks what the mutant says, if there is one.
    #[must_use]
    pub fn breaking(&self, mutant: Option<&Mutant>) -> Self {
        Self { mutant: mutant.cloned(), seen: Arc::clone(&self.seen) }
    }

    /// The statements seen so far, each once.
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        self.seen.lock().iter().cloned().collect()
    }
}

impl Interceptor for Saboteur {
    fn statement(&self, sql: &str) -> Option<String> {
        let mut seen = self.seen.lock();
        if !seen.contains(sql) {
            seen.insert(sql.to_owned());
        }
        self.mutant.as_ref().and_then(|mutant| mutant.rewritten(sql)).map(str::to_owned)
    }

    fn sets_tenant(&self) -> bool {
        self.mutant.as_ref().is_none_or(|mutant| mutant.kind() != MutantKind::SkippedTenant)
    }
}

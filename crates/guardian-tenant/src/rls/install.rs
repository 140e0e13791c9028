use guardian_core::StoreError;
use guardian_sql::{Database, Dialect, Sql, Unscoped};

use super::{RlsPlan, RlsStep};

impl RlsStep {
    /// The statement as `guardian_sql` takes it: within a `DO`, whose body is a literal, for that is the one way in which a
    /// text that was put together passes the place where statements are made.
    fn statement(&self) -> Sql {
        let mut sql = Sql::builder("DO ");
        sql.text(&format!("BEGIN {}; END", self.sql));
        sql.finish()
    }
}

impl RlsPlan {
    /// Runs the plan in one transaction. Running it again changes nothing.
    ///
    /// The database is connected as the role that owns the tables; with searches it may also create roles.
    ///
    /// # Errors
    /// When a statement fails: nothing of the plan is done then. On a database that is not Postgres it is
    /// [`StoreErrorKind::Unsupported`](guardian_core::StoreErrorKind).
    pub async fn install(&self, db: &Database, unscoped: &Unscoped) -> Result<(), StoreError> {
        if db.dialect() != Dialect::Postgres {
            let kind = guardian_core::StoreErrorKind::Unsupported;
            return Err(StoreError::new(kind, db.dialect().name())
                .with_source("row-level security is a feature of postgres"));
        }
        let mut tx = db.begin_unscoped(unscoped).await?;
        for step in self.steps() {
            tx.execute(step.statement(), &[]).await?;
        }
        tx.commit().await
    }
}

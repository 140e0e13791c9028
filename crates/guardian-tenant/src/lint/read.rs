use guardian_core::{StoreError, StoreErrorKind};
use guardian_sql::{Database, Dialect, Unscoped};

use super::{Catalog, Lint, Report, SqliteCatalog};

impl Lint {
    /// Reads the catalog of a database, Postgres or SQLite, and checks it.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn check_database(&self, db: &Database, unscoped: &Unscoped) -> Result<Report, StoreError> {
        let sql = match db.dialect() {
            Dialect::Sqlite => SqliteCatalog::SQL,
            _ => Catalog::SQL,
        };
        let mut tx = db.begin_unscoped(unscoped).await?;
        let text: String = tx.fetch_one(sql, &[]).await?.get("catalog")?;
        tx.commit().await?;
        let corrupt =
            |error| StoreError::new(StoreErrorKind::Corrupt, db.dialect().name()).with_source(error);
        match db.dialect() {
            Dialect::Sqlite => Ok(self.check_sqlite(&SqliteCatalog::from_json(&text).map_err(corrupt)?)),
            _ => Ok(self.check(&Catalog::from_json(&text).map_err(corrupt)?)),
        }
    }
}

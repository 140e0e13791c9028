//! A small schema with a few holes.

use std::error::Error;

use guardian_sql::{Database, Migration, Migrations};
use guardian_tenant::lint::{Code, Lint, Report};

pub(crate) const SCHEMA: &str = "
CREATE TABLE companies (tenant_id TEXT NOT NULL, id TEXT NOT NULL, domain TEXT UNIQUE, PRIMARY KEY (tenant_id, id));
CREATE TABLE deals (tenant_id TEXT, id TEXT PRIMARY KEY, title TEXT, company_id TEXT REFERENCES companies (id));
CREATE VIEW open_deals AS SELECT id, title FROM deals;
CREATE TABLE countries (code TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
";

/// What the lint says of it; the countries are allowed, as anybody would.
pub(crate) async fn look(lint: &Lint) -> Result<Report, Box<dyn Error + Send + Sync>> {
    const STEPS: &[Migration] = &[Migration::same(1, "sample", SCHEMA)];
    let db = Database::open("sqlite::memory:").await?;
    db.migrate(&Migrations::new("sample", STEPS)).await?;
    let lint = lint.clone().allow(Code::TenantColumnMissing, "countries", "the same list for everybody");
    Ok(lint.check_database(&db, &super::leave()?).await?)
}

//! Brings a database to the schema of a program, whoever else does so at the same time.

use guardian_core::{Clock, StoreError, SystemClock};
use sha2::{Digest, Sha256};

use crate::session::Session;
use crate::{Database, Dialect, Error, Migration, Migrations, Row, Sql, params};

/// How far a step got when its transaction should still be the one that began.
const MARK: &str = "SAVEPOINT guardian_migration";

/// Applies the steps that are missing, one transaction each.
pub(crate) async fn run(db: &Database, migrations: &Migrations) -> Result<u64, Error> {
    migrations.check(db.dialect())?;
    let mut applied = 0;
    while step(db, migrations).await? {
        applied += 1;
    }
    Ok(applied)
}

/// The version in the database, and whether it fits the program; `None` when the set was never applied.
pub(crate) async fn version(db: &Database, migrations: &Migrations) -> Result<Option<i64>, Error> {
    migrations.check(db.dialect())?;
    let mut session = db.begin_session(crate::database::Purpose::Maintenance).await?;
    let known = if exists(&mut session, migrations).await? {
        let past = past(&mut session, migrations).await?;
        Some(compare(migrations, db.dialect(), &past)?)
    } else {
        None
    };
    session.roll_back().await?;
    Ok(known)
}

/// Applies the next step, if there is one.
async fn step(db: &Database, migrations: &Migrations) -> Result<bool, Error> {
    let dialect = db.dialect();
    // A database that is up to date is not locked at all, and may be read-only.
    if version(db, migrations).await? == Some(migrations.latest()) {
        return Ok(false);
    }
    let mut session = db.begin_session(crate::database::Purpose::Migration(migrations)).await?;
    // With the lock in our hands the table says what is true, whoever was here while we waited.
    if !exists(&mut session, migrations).await? {
        session.run(&create(migrations, dialect), &[], false, &mut |_| Ok(())).await?;
    }
    let past = past(&mut session, migrations).await?;
    let current = compare(migrations, dialect, &past)?;
    let next = migrations.steps().iter().find(|step| step.version() > current);
    let Some(next) = next else {
        // The table itself may be new, for a set without a step.
        session.commit().await?;
        return Ok(false);
    };
    if let Err(source) = apply(&mut session, migrations, next, dialect).await {
        session.roll_back().await?;
        let (version, name) = (next.version(), next.name().to_owned());
        return Err(Error::MigrationFailed { set: migrations.name().to_owned(), version, name, source });
    }
    session.commit().await?;
    Ok(true)
}

async fn apply(
    session: &mut Session,
    migrations: &Migrations,
    step: &'static Migration,
    dialect: Dialect,
) -> Result<(), StoreError> {
    session.control(&MARK.into()).await?;
    if !step.sql(dialect).trim().is_empty() {
        session.control(&step.sql(dialect).into()).await?;
    }
    // Fails when the text managed to end the transaction all the same.
    session.control(&"RELEASE SAVEPOINT guardian_migration".into()).await?;
    let mut insert = Sql::builder("INSERT INTO ");
    table(&mut insert, migrations);
    insert.push(" (version, name, checksum, applied) VALUES (").placeholders(4).push(")");
    let checksum = checksum(step, dialect);
    let now = SystemClock::new().now();
    let sql = insert.finish();
    session.run(&sql, params![step.version(), step.name(), checksum, now], false, &mut |_| Ok(())).await?;
    Ok(())
}

/// One row of the migration table.
struct Applied {
    version: i64,
    name: String,
    checksum: Vec<u8>,
}

async fn past(session: &mut Session, migrations: &Migrations) -> Result<Vec<Applied>, StoreError> {
    let mut select = Sql::builder("SELECT version, name, checksum FROM ");
    table(&mut select, migrations);
    select.push(" ORDER BY version");
    let mut rows: Vec<Row> = Vec::new();
    let mut keep = |row| {
        rows.push(row);
        Ok(())
    };
    session.run(&select.finish(), &[], false, &mut keep).await?;
    let read = |row: &Row| {
        Ok(Applied { version: row.get("version")?, name: row.get("name")?, checksum: row.get("checksum")? })
    };
    rows.iter().map(read).collect()
}

/// The version that the database is at, if its past is the beginning of ours.
fn compare(migrations: &Migrations, dialect: Dialect, past: &[Applied]) -> Result<i64, Error> {
    let set = || migrations.name().to_owned();
    let known = migrations.latest();
    for (applied, expected) in past.iter().zip(1_i64..) {
        let Some(step) = migrations.steps().iter().find(|step| step.version() == applied.version) else {
            let found = past.last().map_or(0, |last| last.version);
            return Err(Error::NewerSchema { set: set(), found, known });
        };
        if applied.version != expected || applied.checksum != checksum(step, dialect) || applied.name != step.name() {
            return Err(Error::ChangedMigration {
                set: set(),
                version: applied.version,
                applied: applied.name.clone(),
            });
        }
    }
    Ok(past.last().map_or(0, |last| last.version))
}

/// Of the text as this database gets it; line endings do not count, because a checkout may change them.
fn checksum(step: &Migration, dialect: Dialect) -> [u8; 32] {
    let mut hash = Sha256::new();
    for line in step.sql(dialect).split("\r\n") {
        hash.update(line);
        hash.update("\n");
    }
    hash.finalize().into()
}

fn table(sql: &mut crate::SqlBuilder, migrations: &Migrations) {
    sql.name(&table_name(migrations));
}

fn table_name(migrations: &Migrations) -> String {
    format!("{}_migrations", migrations.name())
}

async fn exists(session: &mut Session, migrations: &Migrations) -> Result<bool, StoreError> {
    let sql = match session.dialect() {
        Dialect::Sqlite => "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = $1",
        // Where `CREATE TABLE` would put it, and not anywhere on the search path.
        Dialect::Postgres => {
            "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = $1"
        }
    };
    let mut count = None;
    let mut keep = |row| {
        count = Some(row);
        Ok(())
    };
    session.run(&sql.into(), params![table_name(migrations)], false, &mut keep).await?;
    let count: i64 = count.as_ref().map_or(Ok(0), |row: &Row| row.get(0))?;
    Ok(count > 0)
}

fn create(migrations: &Migrations, dialect: Dialect) -> Sql {
    let mut sql = Sql::builder("CREATE TABLE ");
    table(&mut sql, migrations);
    sql.push(match dialect {
        Dialect::Sqlite => {
            " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum BLOB NOT NULL, applied INTEGER NOT NULL) STRICT"
        }
        Dialect::Postgres => {
            " (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum BYTEA NOT NULL, applied TIMESTAMPTZ NOT NULL)"
        }
    });
    sql.finish()
}

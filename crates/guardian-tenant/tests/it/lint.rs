//! The lint, on the corpus, in a real Postgres; and on SQLite schemas.

use std::collections::BTreeSet;

use guardian_core::{Scope, TenantId};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, DatabaseConfig, Migration, Migrations, Sql, Unscoped};
use guardian_tenant::lint::{Code, Lint};
use guardian_tenant::rls::Rls;

use crate::corpus::{BAD, BASE, Case, GOOD};

pub(crate) fn unscoped() -> Unscoped {
    Unscoped::new(Scope::system(TenantId::new("operator").unwrap()), "a test makes a schema").unwrap()
}

/// Runs statements of a test, several at once; variables and all.
pub(crate) async fn run(db: &Database, sql: &str) {
    try_run(db, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

async fn try_run(db: &Database, sql: &str) -> Result<(), guardian_core::StoreError> {
    let mut statement = Sql::builder("DO ");
    statement.text(&format!("BEGIN {}; END", sql.trim().trim_end_matches(';')));
    let mut tx = db.begin_unscoped(&unscoped()).await?;
    tx.execute(statement.finish(), &[]).await?;
    tx.commit().await
}

/// The same database as the superuser of the test server.
pub(crate) async fn superuser(fresh: &Fresh) -> Database {
    const VARIABLE: &str = "GUARDIAN_TEST_POSTGRES_SUPERUSER_URL";
    #[expect(clippy::disallowed_methods, reason = "tests find their server in the environment")]
    let url =
        std::env::var(VARIABLE).unwrap_or_else(|_| panic!("{VARIABLE} is not set: run `cargo xtask test`"));
    let name = fresh.url().rsplit('/').next().unwrap().to_owned();
    let server = url.rsplit_once('/').unwrap().0.to_owned();
    let config = DatabaseConfig::default().with_max_connections(2);
    Database::open_with(&format!("{server}/{name}"), config).await.unwrap()
}

struct Ground {
    fresh: Fresh,
    superuser: Database,
}

impl Ground {
    async fn new() -> Self {
        let fresh = Kind::Postgres.open(&[]).await.unwrap();
        let superuser = superuser(&fresh).await;
        Rls::new().plan(&[]).install(fresh.owner(), &unscoped()).await.unwrap();
        Self { fresh, superuser }
    }

    /// Makes a case; the texts are its schema and its role.
    async fn make(&self, case: &Case) -> (String, String) {
        let (schema, role) = (format!("c_{}", case.name), self.role(case));
        let owner = self.fresh.owner();
        run(owner, &format!("CREATE ROLE {role} LOGIN; CREATE SCHEMA {schema}")).await;
        let fill = |sql: &str| sql.replace("{s}", &schema).replace("{r}", &role);
        run(owner, &fill(BASE)).await;
        let maker = if case.superuser { &self.superuser } else { owner };
        if let Err(error) = try_run(maker, &fill(case.sql)).await {
            // The others are worth knowing about, too.
            println!("{} cannot be made: {error:?}", case.name);
        }
        (schema, role)
    }

    /// Roles are of the whole server, so their names hold that of the database.
    fn role(&self, case: &Case) -> String {
        let id = self.fresh.app_role().unwrap();
        let tail = &id[id.len() - 12..];
        format!("r{tail}_{}", case.name)
    }

    async fn codes(&self, schema: &str, role: &str) -> BTreeSet<Code> {
        let lint = Lint::new().application_role(role).schema(schema);
        let report = lint.check_database(self.fresh.database(), &unscoped()).await.unwrap();
        let codes: BTreeSet<_> = report.findings().iter().map(guardian_tenant::lint::Finding::code).collect();
        assert_eq!(report.coverage().is_complete(), codes.is_empty());
        assert_eq!(report.coverage().percent() == 100, codes.is_empty());
        codes
    }

    async fn drop_roles(&self) {
        let id = self.fresh.app_role().unwrap();
        let tail = &id[id.len() - 12..];
        run(&self.superuser, &format!(
            "DECLARE name text; BEGIN FOR name IN SELECT rolname FROM pg_roles WHERE rolname LIKE 'r{tail}%' LOOP \
             EXECUTE format('REASSIGN OWNED BY %I TO CURRENT_USER', name); EXECUTE format('DROP OWNED BY %I', name); \
             EXECUTE format('DROP ROLE %I', name); END LOOP; END"
        )).await;
    }
}

#[tokio::test]
async fn every_hole_of_the_corpus_is_found_and_nothing_else_is() {
    let ground = Ground::new().await;
    let mut wrong = Vec::new();
    let mut kinds: BTreeSet<Code> = BTreeSet::new();
    for case in BAD {
        let (schema, role) = ground.make(case).await;
        let expected: BTreeSet<_> = case.codes.iter().copied().collect();
        kinds.extend(expected.iter().copied());
        let found = ground.codes(&schema, &role).await;
        if found != expected {
            wrong.push(format!("{}: expected {expected:?}, found {found:?}", case.name));
        }
        // What has a mend is mended by it.
        let lint = Lint::new().application_role(&role).schema(&schema);
        let report = lint.check_database(ground.fresh.database(), &unscoped()).await.unwrap();
        let mut open = BTreeSet::new();
        for finding in report.findings() {
            if finding.mend().starts_with("--") {
                open.insert(finding.code());
            } else if let Err(error) = try_run(&ground.superuser, finding.mend()).await {
                wrong.push(format!("{}: the mend `{}` failed: {error:?}", case.name, finding.mend()));
            }
        }
        let left = ground.codes(&schema, &role).await;
        if left != open {
            wrong.push(format!("{}: after its mends {left:?} are left", case.name));
        }
    }
    ground.drop_roles().await;
    assert!(wrong.is_empty(), "{} of {} cases: {wrong:#?}", wrong.len(), BAD.len());
    assert!(BAD.len() >= 30 && kinds.len() >= 20, "{} cases of {} kinds", BAD.len(), kinds.len());
    // Every kind that is about Postgres has a case.
    let sqlite = [
        Code::TriggerWithoutTenant,
        Code::ViewWithoutTenant,
        Code::TenantColumnCollation,
        Code::ForeignKeysOff,
        Code::FullTextWithoutTenant,
    ];
    let missing: Vec<_> =
        Code::ALL.iter().filter(|code| !kinds.contains(code) && !sqlite.contains(code)).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

#[tokio::test]
async fn nothing_is_found_where_there_is_nothing() {
    let ground = Ground::new().await;
    let mut wrong = Vec::new();
    for case in GOOD {
        let (schema, role) = ground.make(case).await;
        let lint = Lint::new().application_role(&role).schema(&schema);
        let report = lint.check_database(ground.fresh.database(), &unscoped()).await.unwrap();
        wrong.extend(report.findings().iter().map(|finding| format!("{}: {finding}", case.name)));
    }
    ground.drop_roles().await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn an_allowance_needs_a_reason_and_says_when_it_is_idle() {
    let ground = Ground::new().await;
    let case = BAD.iter().find(|case| case.name == "no_column").unwrap();
    let (schema, role) = ground.make(case).await;
    let lint = || Lint::new().application_role(&role).schema(&schema);
    let object = format!("{schema}.countries");
    let check = async |lint: Lint| lint.check_database(ground.fresh.database(), &unscoped()).await.unwrap();
    let bare = check(lint().allow(Code::TenantColumnMissing, &object, " ")).await;
    assert_eq!((bare.findings().len(), bare.coverage().is_complete()), (1, false));
    let allowed = check(lint().allow(Code::TenantColumnMissing, &object, "the same for everybody").allow(
        Code::RlsDisabled,
        "x.y",
        "it is gone",
    ))
    .await;
    assert_eq!((allowed.findings().len(), allowed.allowed().len()), (0, 1));
    assert!(allowed.coverage().is_complete());
    assert_eq!(allowed.unused_allowances(), ["rls-disabled in x.y"]);
    ground.drop_roles().await;
}

#[tokio::test]
async fn the_tables_of_the_registry_pass_with_their_reasons() {
    let fresh = Kind::Postgres.open(&[&guardian_tenant::store::MIGRATIONS]).await.unwrap();
    let role = fresh.app_role().unwrap();
    let bare =
        Lint::new().application_role(role).check_database(fresh.database(), &unscoped()).await.unwrap();
    assert!(bare.findings().iter().any(|finding| finding.code() == Code::PolicyUnscoped));
    let lint = Lint::new().application_role(role).allow_guardian_tables("public").allow(
        Code::DefaultPrivileges,
        "default privileges of guardian",
        "the test kit's own",
    );
    let report = lint.check_database(fresh.database(), &unscoped()).await.unwrap();
    assert!(report.coverage().is_complete(), "{:#?}", report.findings());
}

mod sqlite {
    use super::*;

    async fn codes(sql: &str) -> BTreeSet<Code> {
        // A leak of a few bytes a test: a migration is a literal of the program.
        let sql: &'static str = Box::leak(sql.to_owned().into_boxed_str());
        let steps: &'static [Migration] = Box::leak(Box::new([Migration::same(1, "corpus", sql)]));
        let fresh = Kind::SqliteMemory.open(&[&Migrations::new("corpus", steps)]).await.unwrap();
        let report = Lint::new().check_database(fresh.database(), &unscoped()).await.unwrap();
        report.findings().iter().map(guardian_tenant::lint::Finding::code).collect()
    }

    const DEALS: &str =
        "CREATE TABLE deals (tenant_id TEXT NOT NULL, id TEXT NOT NULL, title TEXT, parent TEXT,
        PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, title),
        FOREIGN KEY (tenant_id, parent) REFERENCES deals (tenant_id, id));";

    #[tokio::test]
    async fn every_hole_is_found() {
        for (expected, sql) in [
            (Code::TenantColumnMissing, "CREATE TABLE t (id INTEGER PRIMARY KEY)"),
            // Only what guardian-sql made keeps the versions of a schema: all of the columns, and the name.
            (
                Code::TenantColumnMissing,
                "CREATE TABLE data_migrations (version INTEGER PRIMARY KEY, name TEXT, checksum BLOB)",
            ),
            (
                Code::TenantColumnMissing,
                "CREATE TABLE data_migrations (version INTEGER PRIMARY KEY, name TEXT, checksum BLOB, applied INTEGER, owner TEXT)",
            ),
            (
                Code::TenantColumnMissing,
                "CREATE TABLE files (version INTEGER PRIMARY KEY, name TEXT, checksum BLOB, applied INTEGER)",
            ),
            (
                Code::TenantColumnNullable,
                "CREATE TABLE t (tenant_id TEXT, id TEXT, PRIMARY KEY (tenant_id, id))",
            ),
            (
                Code::TenantColumnType,
                "CREATE TABLE t (tenant_id INTEGER NOT NULL, id TEXT, PRIMARY KEY (tenant_id, id))",
            ),
            (
                Code::TenantColumnDefault,
                "CREATE TABLE t (tenant_id TEXT NOT NULL DEFAULT 'acme', id TEXT, PRIMARY KEY (tenant_id, id))",
            ),
            (Code::NoTenantIndex, "CREATE TABLE t (tenant_id TEXT NOT NULL, id TEXT)"),
            (
                Code::NoTenantIndex,
                "CREATE TABLE t (tenant_id TEXT NOT NULL, id TEXT, PRIMARY KEY (id, tenant_id))",
            ),
            (
                Code::PrimaryKeyWithoutTenant,
                "CREATE TABLE t (tenant_id TEXT NOT NULL, id INTEGER PRIMARY KEY); CREATE INDEX i ON t (tenant_id)",
            ),
            (
                Code::PrimaryKeyWithoutTenant,
                "CREATE TABLE t (tenant_id TEXT NOT NULL, id TEXT PRIMARY KEY); CREATE INDEX i ON t (tenant_id)",
            ),
            (
                Code::UniqueWithoutTenant,
                "CREATE TABLE t (tenant_id TEXT NOT NULL, id TEXT, mail TEXT UNIQUE, PRIMARY KEY (tenant_id, id))",
            ),
            (
                Code::UniqueWithoutTenant,
                "CREATE TABLE t (tenant_id TEXT NOT NULL, id TEXT, mail TEXT, PRIMARY KEY (tenant_id, id)); CREATE UNIQUE INDEX u ON t (lower(mail))",
            ),
            (
                Code::TenantColumnCollation,
                "CREATE TABLE t (tenant_id TEXT NOT NULL COLLATE NOCASE, id TEXT, PRIMARY KEY (tenant_id, id))",
            ),
            (
                Code::ForeignKeyCrosses,
                "CREATE TABLE t (tenant_id TEXT NOT NULL, id TEXT, deal TEXT REFERENCES deals (id), PRIMARY KEY (tenant_id, id))",
            ),
            (Code::ViewWithoutTenant, "CREATE VIEW v AS SELECT title FROM deals"),
            (
                Code::TriggerWithoutTenant,
                "CREATE TRIGGER g AFTER INSERT ON deals BEGIN UPDATE deals SET title = '' WHERE id = NEW.id; END",
            ),
            (Code::FullTextWithoutTenant, "CREATE VIRTUAL TABLE words USING fts5 (title)"),
        ] {
            let found = codes(&format!("{DEALS}{sql}")).await;
            assert_eq!(found, BTreeSet::from([expected]), "{sql}");
        }
    }

    #[tokio::test]
    async fn nothing_is_found_where_there_is_nothing() {
        let found = codes(&format!(
            "{DEALS}
            CREATE TABLE n (tenant_id VARCHAR(64) NOT NULL, id TEXT, deal TEXT, PRIMARY KEY (tenant_id, id),
              FOREIGN KEY (tenant_id, deal) REFERENCES deals) WITHOUT ROWID;
            CREATE VIEW v AS SELECT tenant_id, count(*) AS n FROM deals GROUP BY tenant_id;
            CREATE TRIGGER g AFTER INSERT ON deals BEGIN
              UPDATE n SET deal = NEW.id WHERE tenant_id = NEW.tenant_id AND id = NEW.id; END;
            CREATE VIRTUAL TABLE words USING fts5 (tenant_id UNINDEXED, title);
            CREATE UNIQUE INDEX u ON deals (title, tenant_id)"
        ))
        .await;
        assert_eq!(found, BTreeSet::new());
    }

    #[tokio::test]
    async fn the_tables_of_the_registry_pass_with_their_reasons() {
        let fresh = Kind::SqliteMemory.open(&[&guardian_tenant::store::MIGRATIONS]).await.unwrap();
        let lint = Lint::new().allow_guardian_tables("");
        let report = lint.check_database(fresh.database(), &unscoped()).await.unwrap();
        assert!(report.coverage().is_complete(), "{:#?}", report.findings());
    }
}

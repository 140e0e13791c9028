//! Row-level security on a real Postgres, as the application role: no superuser, owns nothing, does not pass by.

use guardian_core::{Scope, StoreErrorKind, TenantId};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, Fault, Sql, params};
use guardian_tenant::lint::{Catalog, Code, Lint};
use guardian_tenant::rls::{Name, QualifiedName, Rls, Search, TenantTable};
use proptest::prelude::*;

use crate::lint::{run, unscoped};

fn scope(tenant: &str) -> Scope {
    Scope::system(TenantId::new(tenant).unwrap())
}

/// Tables as somebody made them who had not heard of tenants but for the column.
const NAIVE: &str = "
    CREATE TABLE companies (id text PRIMARY KEY, tenant_id text, domain text UNIQUE);
    CREATE TABLE deals (id text PRIMARY KEY, tenant_id text, title text, created bigint NOT NULL DEFAULT 0,
      company_id text REFERENCES companies (id),
      words tsvector GENERATED ALWAYS AS (to_tsvector('simple', title)) STORED);
    CREATE UNIQUE INDEX deals_title ON deals (title);
    CREATE INDEX deals_words ON deals USING gin (words);
    GRANT ALL ON deals, companies TO PUBLIC";

fn tables() -> Vec<TenantTable> {
    let build = || {
        Ok::<_, guardian_tenant::InvalidField>(vec![
            TenantTable::new("public", "companies")?.key(["id"])?.unique(["domain"])?,
            TenantTable::new("public", "deals")?
                .key(["id"])?
                .unique(["title"])?
                .references(["company_id"], "public", "companies", ["id"])?
                .search(Search::full_text("words")?.newest_first("created")?),
        ])
    };
    build().unwrap()
}

async fn walled() -> (Fresh, Rls) {
    let fresh = Kind::Postgres.open(&[]).await.unwrap();
    run(fresh.owner(), NAIVE).await;
    let rls = rls(&fresh);
    rls.plan(&tables()).install(fresh.owner(), &unscoped()).await.unwrap();
    (fresh, rls)
}

/// Roles are of the whole server, so that each test has its own.
fn rls(fresh: &Fresh) -> Rls {
    let role = fresh.app_role().unwrap();
    Rls::new()
        .application_role(role)
        .unwrap()
        .search_role(&format!("{}_s", &role[role.len() - 20..]))
        .unwrap()
}

/// Runs one statement and returns how many rows it touched or found.
async fn count(db: &Database, scope: &Scope, sql: &str) -> Result<u64, guardian_core::StoreError> {
    let sql: &'static str = Box::leak(sql.to_owned().into_boxed_str());
    let mut tx = db.begin(scope).await?;
    let found = if sql.starts_with("SELECT") {
        tx.fetch_all(sql, &[]).await?.len() as u64
    } else {
        tx.execute(sql, &[]).await?
    };
    tx.commit().await?;
    Ok(found)
}

fn code(error: &guardian_core::StoreError) -> String {
    let fault = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Fault>());
    fault.and_then(Fault::code).unwrap_or_default().to_owned()
}

async fn fill(db: &Database) {
    for tenant in ["a", "b"] {
        let scope = scope(tenant);
        for sql in [
            format!("INSERT INTO companies (tenant_id, id, domain) VALUES ('{tenant}', 'c', 'example.com'), ('{tenant}', 'only-{tenant}', 'x')"),
            format!("INSERT INTO deals (tenant_id, id, title, created, company_id) VALUES
              ('{tenant}', '1', 'renewal of {tenant}', 1, 'c'), ('{tenant}', '2', 'first renewal {tenant}', 2, NULL)"),
        ] {
            count(db, &scope, &sql).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_naive_schema_becomes_one_without_holes_and_twice_is_as_good_as_once() {
    let (fresh, rls) = walled().await;
    let lint = Lint::new().application_role(fresh.app_role().unwrap()).allow(
        Code::DefaultPrivileges,
        "default privileges of guardian",
        "the test kit's own",
    );
    let report = lint.check_database(fresh.database(), &unscoped()).await.unwrap();
    assert!(report.coverage().is_complete(), "{:#?}", report.findings());
    let catalog = async || {
        let mut tx = fresh.owner().begin_unscoped(&unscoped()).await.unwrap();
        let text: String = tx.fetch_one(Catalog::SQL, &[]).await.unwrap().get("catalog").unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        // Other tests make roles meanwhile.
        value.as_object_mut().unwrap().remove("roles");
        value.as_object_mut().unwrap().remove("role_settings");
        value
    };
    let before = catalog().await;
    rls.plan(&tables()).install(fresh.owner(), &unscoped()).await.unwrap();
    assert_eq!(before, catalog().await);
}

#[tokio::test]
async fn a_tenant_meets_its_own_rows_whatever_the_statement_says() {
    let (fresh, _) = walled().await;
    let db = fresh.database();
    fill(db).await;
    let a = scope("a");
    for (sql, rows) in [
        ("SELECT * FROM deals", 2),
        ("SELECT * FROM deals WHERE tenant_id = 'b'", 0),
        ("SELECT * FROM deals WHERE title LIKE '%b'", 0),
        ("UPDATE deals SET title = title || '!'", 2),
        ("DELETE FROM deals WHERE tenant_id = 'b'", 0),
        ("UPDATE deals SET created = 7 WHERE tenant_id = 'b'", 0),
        // The same key, the same domain: they are another tenant's, and nothing tells.
        ("INSERT INTO deals (tenant_id, id, title, company_id) VALUES ('a', '9', 'renewal of b', 'c')", 1),
    ] {
        assert_eq!(count(db, &a, sql).await.unwrap(), rows, "{sql}");
    }
    for (sql, expected) in [
        ("INSERT INTO deals (tenant_id, id) VALUES ('b', '3')", "42501"),
        ("UPDATE deals SET tenant_id = 'b'", "42501"),
        ("TRUNCATE deals", "42501"),
        ("ALTER TABLE deals DISABLE ROW LEVEL SECURITY", "42501"),
        ("CREATE POLICY mine ON deals USING (true)", "42501"),
        // It exists, for another tenant; to this one it looks like one that does not.
        ("INSERT INTO deals (tenant_id, id, company_id) VALUES ('a', '4', 'only-b')", "23503"),
        ("INSERT INTO deals (tenant_id, id, company_id) VALUES ('a', '4', 'nobody')", "23503"),
    ] {
        let error = count(db, &a, sql).await.unwrap_err();
        assert_eq!(code(&error), expected, "{sql}: {error:?}");
    }
    assert_eq!(count(db, &scope("b"), "SELECT * FROM deals WHERE title NOT LIKE '%!'").await.unwrap(), 2);
}

#[tokio::test]
async fn no_tenant_is_an_error_and_the_owner_is_held_too() {
    let (fresh, _) = walled().await;
    fill(fresh.database()).await;
    for db in [fresh.database(), fresh.owner()] {
        // The second transaction has a connection on which the setting was local before: it is empty now, not null.
        for _ in 0..2 {
            assert_eq!(count(db, &scope("a"), "SELECT * FROM deals").await.unwrap(), 2);
            let mut tx = db.begin_unscoped(&unscoped()).await.unwrap();
            let error = tx.fetch_all("SELECT * FROM deals", &[]).await.unwrap_err();
            assert_eq!(code(&error), "42501", "{error:?}");
            assert!(format!("{error:?}").contains("no tenant is set for this transaction"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn silent_walls_show_nothing_instead() {
    let (fresh, _) = walled().await;
    fill(fresh.database()).await;
    rls(&fresh).silent().plan(&tables()).install(fresh.owner(), &unscoped()).await.unwrap();
    let mut tx = fresh.database().begin_unscoped(&unscoped()).await.unwrap();
    assert!(tx.fetch_all("SELECT * FROM deals", &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_policy_that_is_added_later_widens_nothing() {
    let (fresh, _) = walled().await;
    fill(fresh.database()).await;
    run(fresh.owner(), "CREATE POLICY oops ON deals USING (true) WITH CHECK (true)").await;
    assert_eq!(count(fresh.database(), &scope("a"), "SELECT * FROM deals").await.unwrap(), 2);
    let error =
        count(fresh.database(), &scope("a"), "INSERT INTO deals (tenant_id, id) VALUES ('b', '3')").await;
    assert_eq!(code(&error.unwrap_err()), "42501");
}

#[tokio::test]
async fn a_search_finds_what_is_the_tenants_own() {
    let (fresh, rls) = walled().await;
    let db = fresh.database();
    fill(db).await;
    let table = QualifiedName::new("public", "deals").unwrap();
    let function = rls.search_function(&table, &Name::new("words").unwrap());
    let search = |rows: i64| {
        let mut sql = Sql::builder("SELECT title FROM ");
        sql.name(function.schema().as_str()).push(".").name(function.name().as_str());
        sql.push("(to_tsquery('simple', $1), CAST($2 AS integer))");
        let _ = rows;
        sql.finish()
    };
    let titles = async |tenant: &str, query: &str, rows: i64| {
        let mut tx = db.begin(&scope(tenant)).await.unwrap();
        let found = tx.fetch_all(search(rows), params![query, rows]).await.unwrap();
        found.iter().map(|row| row.get::<String>("title").unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(titles("a", "renewal", 10).await, ["first renewal a", "renewal of a"]);
    assert_eq!(titles("a", "renewal", 1).await, ["first renewal a"]);
    assert_eq!(titles("b", "renewal & of", 10).await, ["renewal of b"]);
    assert!(titles("a", "b", 10).await.is_empty());
    // Without a tenant it raises, and its rows are not to be had in other ways.
    let mut tx = db.begin_unscoped(&unscoped()).await.unwrap();
    let error = tx.fetch_all(search(1), params!["renewal", 1_i64]).await.unwrap_err();
    assert_eq!(code(&error), "42501", "{error:?}");
    drop(tx);
    let mut sql = Sql::builder("DO ");
    sql.text(&format!("BEGIN EXECUTE 'SET LOCAL ROLE {}'; END", function.schema().quoted()));
    let mut tx = db.begin(&scope("a")).await.unwrap();
    assert_eq!(code(&tx.execute(sql.finish(), &[]).await.unwrap_err()), "42501");
    // Who installed it is no member of its role any more, and sees no more than before.
    assert_eq!(count(fresh.owner(), &scope("a"), "SELECT * FROM deals").await.unwrap(), 2);
}

#[tokio::test]
async fn partitions_are_walled_by_their_own_name() {
    let fresh = Kind::Postgres.open(&[]).await.unwrap();
    run(
        fresh.owner(),
        "CREATE TABLE log (tenant_id text NOT NULL, at int NOT NULL) PARTITION BY RANGE (at);
         CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (at);
         CREATE TABLE log_1_1 PARTITION OF log_1 FOR VALUES FROM (0) TO (5)",
    )
    .await;
    let log = TenantTable::new("public", "log").unwrap().key(["at"]).unwrap();
    rls(&fresh).plan(&[log]).install(fresh.owner(), &unscoped()).await.unwrap();
    for tenant in ["a", "b"] {
        let sql = format!("INSERT INTO log (tenant_id, at) VALUES ('{tenant}', 1)");
        count(fresh.database(), &scope(tenant), &sql).await.unwrap();
    }
    for table in ["log", "log_1", "log_1_1"] {
        let found = count(fresh.database(), &scope("a"), &format!("SELECT * FROM {table}")).await.unwrap();
        assert_eq!(found, 1, "{table}");
    }
}

#[tokio::test]
async fn names_are_names_whatever_is_in_them() {
    let fresh = Kind::Postgres.open(&[]).await.unwrap();
    let (schema, table, column) =
        ("s\"; DROP TABLE x; --", "t $guardian$ %s %I 'q' \\", "the tenant's \"column\" %");
    let mut sql = Sql::builder("DO ");
    let quote = |name: &str| Name::new(name).unwrap().quoted();
    sql.text(&format!(
        "BEGIN CREATE SCHEMA {}; CREATE TABLE {}.{} ({} text, \"i'd\" text, words tsvector, UNIQUE (\"i'd\")); END",
        quote(schema), quote(schema), quote(table), quote(column)
    ));
    let mut tx = fresh.owner().begin_unscoped(&unscoped()).await.unwrap();
    tx.execute(sql.finish(), &[]).await.unwrap();
    tx.commit().await.unwrap();
    let walled = TenantTable::new(schema, table)
        .unwrap()
        .key(["i'd"])
        .unwrap()
        .unique(["i'd"])
        .unwrap()
        .search(Search::full_text("words").unwrap());
    let rls = rls(&fresh).tenant_column(column, guardian_tenant::rls::TenantType::Text).unwrap();
    for _ in 0..2 {
        rls.plan(std::slice::from_ref(&walled)).install(fresh.owner(), &unscoped()).await.unwrap();
    }
    let report = Lint::new()
        .application_role(fresh.app_role().unwrap())
        .tenant_column(column, guardian_tenant::rls::TenantType::Text)
        .schema(schema)
        .allow(Code::DefaultPrivileges, "default privileges of guardian", "the test kit's own")
        .check_database(fresh.database(), &unscoped())
        .await
        .unwrap();
    assert!(report.findings().is_empty(), "{:#?}", report.findings());
}

#[tokio::test]
async fn sqlite_has_no_row_level_security_and_says_so() {
    let fresh = Kind::SqliteMemory.open(&[]).await.unwrap();
    let error = Rls::new().plan(&[]).install(fresh.owner(), &unscoped()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
}

proptest! {
    #[test]
    fn a_quoted_name_is_one_token(text in "[^\\x00]{1,20}") {
        if let Ok(name) = Name::new(text.clone()) {
            let quoted = name.quoted();
            let inside = &quoted[1..quoted.len() - 1];
            prop_assert!(quoted.starts_with('"') && quoted.ends_with('"'));
            prop_assert_eq!(inside.replace("\"\"", "").contains('"'), false);
            prop_assert_eq!(inside.replace("\"\"", "\""), text);
        }
    }
}

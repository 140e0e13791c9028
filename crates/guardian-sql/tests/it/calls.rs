//! One statement as a transaction of its own.

use guardian_core::StoreErrorKind;
use guardian_sql::testkit::Kind;
use guardian_sql::{DatabaseConfig, Migration, Migrations, params};

use crate::basics::{on_each, scope};

/// A walled table, and two functions: one names its tenant, the other forgets it.
const WALLED: Migrations = Migrations::new(
    "walled",
    &[Migration::new(
        1,
        "walled",
        "",
        "CREATE TABLE walled (tenant_id TEXT NOT NULL, id BIGINT NOT NULL, PRIMARY KEY (tenant_id, id));
         ALTER TABLE walled ENABLE ROW LEVEL SECURITY;
         ALTER TABLE walled FORCE ROW LEVEL SECURITY;
         CREATE POLICY own ON walled FOR ALL TO PUBLIC
           USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
           WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));
         CREATE FUNCTION add_named(p_tenant TEXT, p_id BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
         BEGIN
           PERFORM set_config('guardian.tenant', p_tenant, true);
           INSERT INTO walled (tenant_id, id) VALUES (p_tenant, p_id);
           RETURN (SELECT count(*) FROM walled);
         END $$;
         CREATE FUNCTION count_forgetting(p_tenant TEXT) RETURNS BIGINT LANGUAGE plpgsql AS $$
         BEGIN
           RETURN (SELECT count(*) FROM walled WHERE tenant_id = p_tenant);
         END $$;",
    )],
);

#[tokio::test]
async fn a_call_is_kept_or_undone_as_a_whole_and_leaves_nothing_behind() {
    on_each(async |fresh| {
        let db = fresh.database();
        let acme = scope("acme");
        let insert = "INSERT INTO notes (tenant_id, id, body) VALUES ($1, $2, $3) RETURNING id";
        let rows = db.call(&acme, insert, params![1_i64, "a"]).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].get::<i64>("id").unwrap(), 1);
        // Two rows, of which the second one is taken: neither is kept.
        let two = "INSERT INTO notes (tenant_id, id, body) VALUES ($1, $2, ''), ($1, $3, '')";
        let taken = db.call(&acme, two, params![2_i64, 1_i64]).await.unwrap_err();
        assert_eq!(taken.kind(), StoreErrorKind::Constraint);
        let rows = db.call(&acme, "SELECT id FROM notes WHERE tenant_id = $1", &[]).await.unwrap();
        assert_eq!(rows.len(), 1);
        // The connection goes on as if nothing had been.
        let mut tx = db.begin(&acme).await.unwrap();
        let insert = "INSERT INTO notes (tenant_id, id, body) VALUES ($1, $2, $3)";
        tx.execute(insert, params!["acme", 3_i64, "b"]).await.unwrap();
        tx.rollback().await.unwrap();
        let rows = db.call(&acme, "SELECT id FROM notes WHERE tenant_id = $1", &[]).await.unwrap();
        assert_eq!(rows.len(), 1);
        let refused = db.call(&acme, "COMMIT", &[]).await.unwrap_err();
        assert!(matches!(refused.kind(), StoreErrorKind::Unsupported | StoreErrorKind::Internal));
    })
    .await;
}

#[tokio::test]
async fn a_call_that_names_no_tenant_sees_nothing() {
    let config = DatabaseConfig::default().with_max_connections(1);
    let fresh = Kind::Postgres.open_with(&[&WALLED], config).await.unwrap();
    let db = fresh.database();
    let (acme, zeta) = (scope("acme"), scope("zeta"));
    let count = async |scope, sql: &'static str, id: Option<i64>| {
        let rows = match id {
            Some(id) => db.call(scope, sql, params![id]).await.unwrap(),
            None => db.call(scope, sql, &[]).await.unwrap(),
        };
        rows[0].get::<i64>(0).unwrap()
    };
    assert_eq!(count(&acme, "SELECT add_named($1, $2)", Some(1)).await, 1);
    assert_eq!(count(&zeta, "SELECT add_named($1, $2)", Some(1)).await, 1);
    assert_eq!(count(&acme, "SELECT add_named($1, $2)", Some(2)).await, 2);
    // On the same connection the name of the call before is gone, and so are its rows.
    assert_eq!(count(&acme, "SELECT count_forgetting($1)", None).await, 0);
    let mut tx = db.begin(&acme).await.unwrap();
    let row = tx.fetch_one("SELECT count(*) AS n FROM walled", &[]).await.unwrap();
    assert_eq!(row.get::<i64>("n").unwrap(), 2);
    tx.commit().await.unwrap();
    assert_eq!(count(&zeta, "SELECT count_forgetting($1)", None).await, 0);
}

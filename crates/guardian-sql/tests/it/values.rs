//! Every value comes back as it was, the same from both databases, and timestamps and UUIDs keep their order.

use guardian_core::{StoreErrorKind, Timestamp};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Fault, Migration, Migrations, TenantTx, ToParam, params};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::basics::{on_each, scope};

const VALUES: Migrations = Migrations::new(
    "typed",
    &[Migration::new(
        1,
        "create_typed",
        "CREATE TABLE typed (id INTEGER PRIMARY KEY, b INTEGER, i INTEGER, f REAL, t TEXT, y BLOB, u BLOB, m INTEGER, j TEXT) STRICT",
        "CREATE TABLE typed (id BIGINT PRIMARY KEY, b BOOLEAN, i BIGINT, f DOUBLE PRECISION, t TEXT, y BYTEA, u UUID, m TIMESTAMPTZ, j JSONB)",
    )],
);

/// One row's values; `None` is NULL.
type Values = (
    (Option<bool>, Option<i64>, Option<f64>, Option<String>),
    (Option<Vec<u8>>, Option<Uuid>, Option<Timestamp>, Option<Value>),
);

fn moments() -> impl Strategy<Value = Timestamp> {
    // PostgreSQL's calendar begins in November of the year -4713, chrono's ends in the year 262142.
    let micros = prop_oneof![
        -210_000_000_000_000_000_i64..8_000_000_000_000_000_000,
        946_684_799_000_000_i64..946_684_801_000_000,
        -2_000_000_i64..2_000_000,
    ];
    (micros, 0..1_000_u32).prop_map(|(micros, nanos)| {
        let whole = Timestamp::from_timestamp_micros(micros).unwrap();
        // More than either database keeps: cut towards the past.
        whole + chrono::TimeDelta::nanoseconds(i64::from(nanos))
    })
}

fn documents() -> impl Strategy<Value = Value> {
    let text = "[^\u{0}]{0,6}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        (-1e20..1e20_f64).prop_map(|f| Value::from(f.trunc())),
        text.prop_map(Value::from),
        Just(Value::from("\\u0000 \\\\u0000")),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn values() -> impl Strategy<Value = Values> {
    use prop::option::of;
    let float =
        prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL | prop::num::f64::INFINITE;
    (
        (of(any::<bool>()), of(any::<i64>()), of(float), of("[^\u{0}]{0,12}")),
        (
            of(prop::collection::vec(any::<u8>(), 0..24)),
            of(any::<u128>().prop_map(Uuid::from_u128)),
            of(moments()),
            of(documents()),
        ),
    )
}

async fn back(tx: &mut TenantTx, id: i64, values: &Values) -> Values {
    let ((b, i, f, t), (y, u, m, j)) = values;
    tx.execute(
        "INSERT INTO typed (id, b, i, f, t, y, u, m, j) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![id, b, i, f, t, y, u, m, j],
    )
    .await
    .unwrap_or_else(|error| panic!("{values:?}: {:?}", Fault::of(&error)));
    let row =
        tx.fetch_one("SELECT b, i, f, t, y, u, m, j FROM typed WHERE id = $1", params![id]).await.unwrap();
    (
        (row.get(0).unwrap(), row.get("i").unwrap(), row.get(2).unwrap(), row.get("t").unwrap()),
        (row.get(4).unwrap(), row.get("u").unwrap(), row.get(6).unwrap(), row.get("j").unwrap()),
    )
}

#[tokio::test]
async fn every_value_comes_back_the_same_from_every_database() {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let cases: Vec<Values> = (0..1_500).map(|_| values().new_tree(&mut runner).unwrap().current()).collect();
    for kind in Kind::all() {
        let fresh = kind.open(&[&VALUES]).await.unwrap();
        let mut tx = fresh.database().begin(&scope("acme")).await.unwrap();
        for (id, given) in (0_i64..).zip(&cases) {
            let (_, (_, _, moment, _)) = given;
            let found = back(&mut tx, id, given).await;
            let mut expected = given.clone();
            expected.1.2 =
                moment.map(|moment| Timestamp::from_timestamp_micros(moment.timestamp_micros()).unwrap());
            assert_eq!(found, expected, "{kind:?}");
            assert!(found.0.2.is_none_or(|f| f != 0.0 || f.is_sign_positive()), "zero has no sign");
        }
        // The order of the stored values is that of the values.
        let moments: Vec<Timestamp> =
            read(&mut tx, "SELECT m FROM typed WHERE m IS NOT NULL ORDER BY m").await;
        assert!(moments.is_sorted() && moments.len() > 500);
        let ids: Vec<Uuid> = read(&mut tx, "SELECT u FROM typed WHERE u IS NOT NULL ORDER BY u").await;
        assert!(ids.is_sorted() && ids.len() > 500);
        let bytes: Vec<Vec<u8>> = read(&mut tx, "SELECT y FROM typed WHERE y IS NOT NULL ORDER BY y").await;
        assert!(bytes.is_sorted());
        tx.commit().await.unwrap();
    }
}

async fn read<T: for<'r> guardian_sql::FromField<'r>>(tx: &mut TenantTx, sql: &'static str) -> Vec<T> {
    tx.fetch_all(sql, &[]).await.unwrap().iter().map(|row| row.get(0).unwrap()).collect()
}

#[tokio::test]
async fn what_one_database_cannot_keep_both_refuse() {
    on_each(async |fresh: &Fresh| {
        let mut tx = fresh.database().begin(&scope("acme")).await.unwrap();
        let too_early = Timestamp::from_timestamp(-220_000_000_000, 0).unwrap();
        for param in [
            f64::NAN.to_param(),
            "a\0b".to_param(),
            json!({"a": ["\0"]}).to_param(),
            json!({"\0": 1}).to_param(),
            too_early.to_param(),
        ] {
            let error = tx.fetch_one("SELECT $1 AS v", std::slice::from_ref(&param)).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Constraint, "{param:?}");
        }
        // Refused before anything was sent: the transaction goes on, and is one.
        tx.fetch_one("SELECT $1 AS v", params![json!("\\u0000")]).await.unwrap();
        tx.rollback().await.unwrap();
        let mut tx = fresh.database().begin(&scope("acme")).await.unwrap();
        tx.fetch_one("SELECT $1 AS v", params!["a\0b"]).await.unwrap_err();
        let insert = "INSERT INTO notes (tenant_id, id, body) VALUES ($1, $2, 'x')";
        tx.execute(insert, params!["acme", 1_i64]).await.unwrap();
        tx.rollback().await.unwrap();
        let mut tx = fresh.database().begin_read(&scope("acme")).await.unwrap();
        assert!(tx.fetch_optional("SELECT 1 FROM notes", &[]).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_column_that_is_something_else_is_told_by_name_and_never_by_value() {
    on_each(async |fresh: &Fresh| {
        let mut tx = fresh.database().begin(&scope("acme")).await.unwrap();
        let row =
            tx.fetch_one("SELECT 'secret' AS t, NULL AS missing, 300 AS wide, '{' AS j", &[]).await.unwrap();
        let message = |error| {
            assert_eq!(guardian_core::StoreError::kind(&error), StoreErrorKind::Corrupt);
            Fault::of(&error).unwrap().to_string()
        };
        assert_eq!(
            message(row.get::<i64>("t").unwrap_err()),
            "the column `t` holds text, expected a whole number of 64 bits"
        );
        assert_eq!(
            message(row.get::<String>("missing").unwrap_err()),
            "the column `missing` holds NULL, expected text"
        );
        assert!(message(row.get::<u8>("wide").unwrap_err()).contains("out of its range"));
        assert_eq!(row.get::<Option<i64>>(1).unwrap(), None);
        let error = row.get::<i64>("other").unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Internal);
        assert_eq!(
            Fault::of(&error).unwrap().to_string(),
            "the answer has no column `other`; it has `t`, `missing`, `wide`, `j`"
        );
        assert!(row.get::<i64>(4).is_err());
        assert_eq!(format!("{row:?}"), r#"Row["t", "missing", "wide", "j"]"#);
        assert_eq!((row.get::<f64>("wide").unwrap(), row.get::<i32>("wide").unwrap()), (300.0, 300));
    })
    .await;
}

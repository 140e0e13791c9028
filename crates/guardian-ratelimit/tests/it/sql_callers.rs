//! `check_rate_limit()`: callers in SQL and callers of the library on the same rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use guardian_core::{Clock, ManualClock, MonoTime, StoreError, StoreErrorKind, TenantId};
use guardian_ratelimit::store::{Call, Release, Store};
use guardian_ratelimit::{
    Decision, Limit, Limiter, Mode, Outcome, PolicyName, Realm, Rule, SqlStore, Subject,
};
use guardian_sql::testkit::Kind;
use guardian_sql::{Database, Row, params};
use proptest::prelude::*;

use crate::conformance::InSql;
use crate::differential::{self, Pair};
use crate::sql::{fresh, policy, scope};

const ANSWER: &str = "allowed, remaining, (extract(epoch FROM retry_after) * 1000000)::bigint AS retry,
    (extract(epoch FROM reset_after) * 1000000)::bigint AS reset";

/// The SQL store, in which every second check of one limit is one by a caller in SQL.
#[derive(Debug, Clone)]
struct Mixed {
    store: SqlStore,
    db: Database,
    clock: ManualClock,
    calls: Arc<AtomicU32>,
}

fn outcome(row: &Row) -> (bool, u32, Option<Duration>, Duration) {
    let micros = |number: i64| Duration::from_micros(u64::try_from(number).unwrap());
    let (allowed, remaining): (bool, i64) = (row.get("allowed").unwrap(), row.get("remaining").unwrap());
    let (retry, reset): (Option<i64>, i64) = (row.get("retry").unwrap(), row.get("reset").unwrap());
    (allowed, u32::try_from(remaining).unwrap(), retry.map(micros), micros(reset))
}

impl Mixed {
    async fn ask(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        let item = call.items[0];
        let Realm::Tenant(tenant) = call.realm else { unreachable!() };
        let subject = match item.subject {
            Subject::Whole => "w".to_owned(),
            Subject::Id(id) => format!("i:{id}"),
            Subject::Text(text) => format!("t:{text}"),
        };
        let mut sql = guardian_sql::Sql::builder("SELECT ");
        sql.push(ANSWER).push(" FROM guardian_rate_limits_ask($1, $2, $3, $4, $5, $6)");
        let mut tx = self.db.begin(&scope(tenant)).await?;
        let (name, rule) = (item.name.as_str(), item.rule.to_string());
        let now = self.clock.now().timestamp_micros();
        let given = params![tenant, name, subject, rule, item.cost, now];
        let row = tx.fetch_one(sql.finish(), given).await?;
        tx.commit().await?;
        let (allowed, remaining, retry, reset) = outcome(&row);
        let limit = item.rule.capacity();
        let outcome = Outcome::new(item.policy, item.mode, allowed, limit, remaining, retry, reset);
        Ok(Decision::from_outcomes(call.now, [outcome]))
    }
}

impl Store for Mixed {
    fn register(&self, name: &PolicyName) -> u32 {
        self.store.register(name)
    }

    async fn check(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        // A window of very many microseconds has a spelling that does not read.
        let reads = |rule: &Rule| rule.to_string().parse::<Rule>().is_ok_and(|read| read == *rule);
        let is_one = matches!(call.items, [item] if item.mode == Mode::Enforce && !item.rule.holds_permits() && reads(item.rule));
        if is_one && self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            self.ask(call).await
        } else {
            self.store.check(call).await
        }
    }

    async fn peek(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        self.store.peek(call).await
    }

    async fn refund(&self, call: &Call<'_>, consumed_at: MonoTime) -> Result<(), StoreError> {
        self.store.refund(call, consumed_at).await
    }

    async fn reset(&self, call: &Call<'_>) -> Result<(), StoreError> {
        self.store.reset(call).await
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        self.store.release(release).await
    }

    fn release_detached(&self, release: Release) {
        self.store.release_detached(release);
    }
}

fn mixed() -> (Pair<Mixed>, guardian_sql::testkit::Fresh, Arc<AtomicU32>) {
    let InSql { store, clock, fresh, runtime } = InSql::new(Kind::Postgres);
    let calls = Arc::new(AtomicU32::new(0));
    let mixed =
        Mixed { store, db: fresh.database().clone(), clock: clock.clone(), calls: Arc::clone(&calls) };
    (Pair::new(runtime, clock, mixed), fresh, calls)
}

#[test]
fn callers_in_sql_and_of_the_library_decide_the_same_on_the_same_rows() {
    let (pair, _fresh, calls) = mixed();
    differential::every_decision_is_the_memory_stores(&pair, 300);
    assert!(calls.load(Ordering::Relaxed) > 500, "{calls:?}: too few calls of one limit");
}

#[test]
fn they_decide_the_same_while_rules_change() {
    let (pair, _fresh, _) = mixed();
    differential::every_decision_is_the_memory_stores_while_rules_change(&pair, 150);
}

#[test]
fn they_decide_the_same_at_every_rate() {
    let (pair, _fresh, _) = mixed();
    differential::a_bucket_is_exact_at_every_rate(&pair, 200);
}

#[tokio::test]
async fn by_name_they_meet_in_one_row() {
    let fresh = fresh(Kind::Postgres).await;
    let db = fresh.database();
    let limiter = Limiter::new(SqlStore::new(db));
    let id = limiter.define(policy("p", "10/h fixed")).unwrap();
    let tenant = TenantId::new("acme").unwrap();
    let crabs = "🦀".repeat(128);
    let texts = [None, Some("42"), Some("a%b\nc"), Some(""), Some("w"), Some(crabs.as_str())];
    let of_text = |text: Option<_>| text.map_or(Subject::Whole, Subject::Text);
    const BY_TEXT: &str = "SELECT * FROM check_rate_limit($1, 'p', $2, '10/h fixed')";
    const BY_ID: &str = "SELECT * FROM check_rate_limit($1, 'p', $2::numeric, '10/h fixed')";
    let mut cases: Vec<_> = texts.into_iter().map(|text| (BY_TEXT, text, of_text(text))).collect();
    cases.push((BY_ID, Some("43"), Subject::Id(43)));
    cases.push((BY_ID, Some("18446744073709551615"), Subject::Id(u64::MAX)));
    // As people write them.
    cases.push((
        "SELECT * FROM check_rate_limit($1, 'p', 'x' || $2, '10/h fixed')",
        Some("y"),
        Subject::Text("xy"),
    ));
    cases.push((
        "SELECT * FROM check_rate_limit($1, 'p', 7 + length($2), '10/h fixed')",
        Some("y"),
        Subject::Id(8),
    ));
    for (sql, text, subject) in cases {
        for realm in [Realm::Tenant(&tenant), Realm::Shared] {
            for used in [2, 5] {
                let limits = [Limit::of(id, subject).cost(2)];
                let decision = limiter.check(realm, &limits).await.unwrap();
                assert_eq!(decision.outcomes()[0].remaining(), 10 - used, "{sql} {text:?}");
                let mut tx = db.begin(&scope(&tenant)).await.unwrap();
                let row = tx.fetch_one(sql, params![realm.tenant(), text]).await.unwrap();
                tx.commit().await.unwrap();
                assert!(row.get::<bool>("allowed").unwrap(), "{sql}");
                assert_eq!(row.get::<i64>("remaining").unwrap(), i64::from(10 - used - 1), "{sql} {text:?}");
                assert_eq!(row.get::<i64>("limit_value").unwrap(), 10);
            }
        }
    }
    // A caller that rolls back has not counted.
    let mut tx = db.begin(&scope(&tenant)).await.unwrap();
    for _ in 0..4 {
        tx.execute("SELECT count(*) FROM check_rate_limit('acme', 'p', NULL, '10/h fixed', cost => 4)", &[])
            .await
            .unwrap();
    }
    tx.rollback().await.unwrap();
    assert_eq!(limiter.peek(&tenant, &[Limit::whole(id)]).await.unwrap().outcomes()[0].remaining(), 3);
}

#[tokio::test]
async fn bad_input_has_a_clear_error() {
    let fresh = fresh(Kind::Postgres).await;
    let tenant = TenantId::new("acme").unwrap();
    for (sql, says) in [
        ("SELECT * FROM check_rate_limit('acme', 'p', NULL, '100/m')", "use the units"),
        ("SELECT * FROM check_rate_limit('acme', 'p', NULL, 'often')", "invalid rule `often`"),
        ("SELECT * FROM check_rate_limit('acme', 'p', NULL, NULL)", "missing"),
        ("SELECT * FROM check_rate_limit('acme', 'p', NULL, '0/s')", "the count must be"),
        ("SELECT * FROM check_rate_limit('acme', 'p', NULL, '5 concurrent for 1s')", "holds permits"),
        ("SELECT * FROM check_rate_limit('acme', 'p', NULL, '5/s', 0)", "at least 1"),
        ("SELECT * FROM check_rate_limit('acme', 'p q', NULL, '5/s')", "invalid policy name"),
        ("SELECT * FROM check_rate_limit('acme', NULL, NULL, '5/s')", "invalid policy name"),
        ("SELECT * FROM check_rate_limit('acme', 'p', -1, '5/s')", "without a sign"),
        ("SELECT * FROM check_rate_limit('acme', 'p', 1.5, '5/s')", "without a sign"),
        ("SELECT * FROM check_rate_limit('acme', 'p', repeat('x', 513), '5/s')", "513 bytes"),
        ("SELECT * FROM check_rate_limit('other', 'p', NULL, '5/s')", "not bound to the tenant `other`"),
        ("SELECT * FROM check_rate_limit('*', 'p', NULL, '5/s')", "no tenant is called `*`"),
        ("SELECT * FROM check_rate_limit('', 'p', NULL, '5/s')", "no tenant is called ``"),
    ] {
        let mut tx = fresh.database().begin(&scope(&tenant)).await.unwrap();
        let error = tx.fetch_one(sql, &[]).await.unwrap_err();
        let message = guardian_sql::Fault::of(&error).unwrap().message().to_owned();
        assert!(message.contains(says), "{sql}: {message}");
        assert!(
            matches!(error.kind(), StoreErrorKind::Constraint | StoreErrorKind::Unsupported),
            "{error:?}"
        );
        tx.rollback().await.unwrap();
    }
}

/// What a rule's text reads as on the server: its numbers, or nothing.
async fn read(db: &Database, rule: &str) -> Option<String> {
    let mut tx = db.begin(&scope(&TenantId::from(1))).await.unwrap();
    match tx.fetch_one("SELECT array_to_string(guardian_rate_limits_rule($1), ',')", params![rule]).await {
        Ok(row) => row.get(0).unwrap(),
        Err(error) => {
            assert!(matches!(error.kind(), StoreErrorKind::Constraint), "{rule}: {error:?}");
            None
        }
    }
}

#[test]
fn both_read_the_same_rules() {
    let InSql { fresh, runtime, .. } = InSql::new(Kind::Postgres);
    let db = fresh.database();
    let number = prop_oneof![
        Just("1".to_owned()),
        (0u32..2000).prop_map(|n| n.to_string()),
        any::<u32>().prop_map(|n| n.to_string()),
        "[0-9_]{1,11}",
    ];
    let space = prop_oneof![Just(""), Just(" "), Just("  "), Just("\t")];
    let word = prop::sample::select(vec![
        "/",
        "/",
        "ms",
        "s",
        "sec",
        "min",
        "h",
        "day",
        "days",
        "week",
        "µs",
        "us",
        "m",
        "mins",
        "year",
        "burst",
        "sliding",
        "exact",
        "strict",
        "lenient",
        "fixed",
        "concurrent",
        "for",
        "S",
        "-",
        "é",
    ]);
    let token = prop_oneof![number.clone(), word.prop_map(str::to_owned)];
    let free = prop::collection::vec((token, space.clone()), 1..9)
        .prop_map(|parts| parts.into_iter().map(|(token, space)| token + space).collect::<String>());
    let unit = prop::sample::select(vec!["ms", "s", "min", "hours", "d", "week", "us", "microseconds"]);
    let end = prop_oneof![
        Just(String::new()),
        (space.clone(), number.clone()).prop_map(|(s, n)| format!("burst{s}{n}")),
        Just("fixed".to_owned()),
        Just("sliding".to_owned()),
        (
            prop::sample::select(vec!["exact", "strict", "lenient"]),
            space.clone(),
            prop::option::of(number.clone())
        )
            .prop_map(|(word, s, n)| format!("sliding {word}{s}{}", n.unwrap_or_default())),
    ];
    let shaped =
        (number.clone(), space.clone(), prop::option::of(number.clone()), unit.clone(), space.clone(), end)
            .prop_map(|(count, s, n, unit, t, end)| {
                format!("{count}{s}/{t}{}{s}{unit}{t}{end}{t}", n.unwrap_or_default())
            });
    let held = (number.clone(), space, number, unit)
        .prop_map(|(count, s, n, unit)| format!("{count} concurrent{s}for{s}{n}{s}{unit}"));
    let (accepted, refused) = (AtomicU32::new(0), AtomicU32::new(0));
    let config = ProptestConfig { cases: 6_000, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(text in prop_oneof![2 => free, 6 => shaped, 1 => held])| {
        let ours = text.parse::<Rule>();
        let theirs = runtime.block_on(read(db, &text));
        prop_assert_eq!(ours.is_ok(), theirs.is_some(), "{:?} {:?} {:?}", text, ours, theirs);
        if let Ok(rule) = ours {
            accepted.fetch_add(1, Ordering::Relaxed);
            // The canonical spelling, whose decisions are compared elsewhere.
            prop_assert_eq!(runtime.block_on(read(db, &rule.to_string())), theirs, "{}", text);
        } else {
            refused.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(accepted.into_inner() > 500 && refused.into_inner() > 500);
    let long = format!("1/s{}", " ".repeat(126));
    assert!(runtime.block_on(read(db, &long)).is_none());
}

//! Decisions in SQL beside a bare `UPDATE … RETURNING`.

use guardian_core::{Scope, TenantId};
use guardian_quota::{Quotas, SqlStore, Subject, Usage};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Migration, Migrations};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row};
use tokio::runtime::Runtime;

use super::{Turns, plan, subscription};

const PEER: Migrations = Migrations::new(
    "peer",
    &[Migration::same(
        1,
        "counters",
        "CREATE TABLE counters (tenant_id TEXT NOT NULL, id TEXT NOT NULL, used BIGINT NOT NULL, hard BIGINT NOT NULL, \
         PRIMARY KEY (tenant_id, id)); \
         INSERT INTO counters (tenant_id, id, used, hard) VALUES ('acme', 'calls', 0, 1000000000000)",
    )],
);

const BARE: &str = "UPDATE counters SET used = used + $3 WHERE tenant_id = $1 AND id = $2 AND used + $3 <= hard RETURNING used";

enum Peer {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Peer {
    async fn add(&mut self) -> i64 {
        match self {
            Self::Postgres(conn) => {
                let row = sqlx::query(BARE)
                    .bind("acme")
                    .bind("calls")
                    .bind(1_i64)
                    .fetch_one(conn)
                    .await
                    .expect("a row");
                row.get(0)
            }
            Self::Sqlite(conn) => {
                let row = sqlx::query(BARE)
                    .bind("acme")
                    .bind("calls")
                    .bind(1_i64)
                    .fetch_one(conn)
                    .await
                    .expect("a row");
                row.get(0)
            }
        }
    }
}

pub(super) fn all(runtime: &Runtime, rounds: usize) {
    for case in ["postgres_one_level", "postgres_three_levels", "sqlite_one_level", "sqlite_three_levels"] {
        println!("bar quota/{case} vs bare_update 1.3");
    }
    runtime.block_on(async {
        let fresh = Kind::Postgres.open(&[&SqlStore::MIGRATIONS, &PEER]).await.expect("a database");
        let peer = PgConnection::connect(fresh.url()).await.expect("a connection");
        run(&fresh, Peer::Postgres(peer), "postgres", 40, rounds).await;
        let fresh = Kind::SqliteFile.open(&[&SqlStore::MIGRATIONS]).await.expect("a database");
        // A file of its own, with the settings that ours is opened with.
        let other = Kind::SqliteFile.open(&[&PEER]).await.expect("a database");
        let path = other.url().trim_start_matches("sqlite://").to_owned();
        other.database().close().await;
        let peer = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging()
            .connect()
            .await
            .expect("a connection");
        run(&fresh, Peer::Sqlite(peer), "sqlite", 10, rounds).await;
    });
}

async fn run(fresh: &Fresh, mut peer: Peer, name: &str, turn: usize, rounds: usize) {
    let operator = Scope::system(TenantId::new("operator").expect("an id"));
    let store = SqlStore::new(fresh.database().clone(), &operator).expect("a store");
    let quotas = Quotas::new(store, [plan()]).expect("a plan");
    let scope = Scope::system(TenantId::new("acme").expect("an id"));
    quotas.subscribe(&scope, subscription()).await.expect("a subscription");
    let user = Subject::org().team("sales").and_then(|team| team.user("ann")).expect("a subject");
    let mut counted = 0;
    for (case, feature, subject) in [("one_level", "flat", &Subject::org()), ("three_levels", "deep", &user)]
    {
        let usage = Usage::of(feature, subject, 1).expect("a usage");
        let mut turns = Turns::default();
        for round in 0..rounds + 5 {
            let mut timed = Turns::default();
            let ours = async {
                for _ in 0..turn {
                    assert!(quotas.consume(&scope, &usage).await.expect("a decision").allowed);
                }
            };
            // The first rounds prepare statements.
            let turns = if round < 5 { &mut timed } else { &mut turns };
            turns
                .add_async(ours, async {
                    for _ in 0..turn {
                        counted += 1;
                        assert_eq!(peer.add().await, counted);
                    }
                })
                .await;
        }
        turns.report(&format!("{name}_{case}"), turn);
        let balance = quotas.balance(&scope, feature, &Subject::org()).await.expect("a balance");
        assert_eq!(balance.used, i128::try_from(turn * (rounds + 5)).expect("a number"));
    }
}

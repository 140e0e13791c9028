//! Real kills: processes that change data and tell of it end with SIGKILL at any point, and others go on. A child is this test
//! program again, told what to do by the environment.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use guardian_assembly::{Guardian, Sql};
use guardian_core::PageRequest;
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, DatabaseConfig, Migration, Migrations, params};
use serde_json::json;
use uuid::Uuid;

use crate::host::{Ears, Letterbox, ann, builder, listen, until};

const STORE: &str = "GUARDIAN_ASSEMBLY_TEST_STORE";
const CHILD: &str = "kill::child";

/// The host's own data: a row for each deal, with the event that tells of it.
const DEALS: Migrations = Migrations::new(
    "deals",
    &[Migration::new(
        1,
        "deals",
        "CREATE TABLE deals (tenant_id TEXT NOT NULL, event BLOB NOT NULL, PRIMARY KEY (tenant_id, event))",
        "CREATE TABLE deals (tenant_id TEXT NOT NULL, event UUID NOT NULL, PRIMARY KEY (tenant_id, event))",
    )],
);

async fn open(url: &str) -> Guardian<Sql> {
    let config = DatabaseConfig::default().with_max_connections(4).with_busy_timeout(Duration::from_secs(60));
    let db = Database::open_with(url, config).await.unwrap();
    builder(&Ears::default(), &Letterbox::default()).on(db).await.unwrap()
}

/// Does nothing in the run of the tests.
#[tokio::test]
async fn child() {
    let Some(url) = std::env::var_os(STORE) else { return };
    let guardian = open(&url.to_string_lossy()).await;
    let acme = ann("acme");
    let workers = guardian.workers();
    let deals = async {
        loop {
            let mut tx = guardian.database().begin(&acme).await.unwrap();
            let id = guardian.emit_in(&mut tx, "deal.won", json!({})).await.unwrap();
            let sql = "INSERT INTO deals (tenant_id, event) VALUES ($1, $2)";
            tx.execute(sql, params![acme.tenant(), id]).await.unwrap();
            tx.commit().await.unwrap();
            guardian.committed();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::join!(workers.run(std::future::pending()), async {
        let () = deals.await;
    });
}

fn spawn(store: &Fresh) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture"])
        .env(STORE, store.owner_url())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn deals(guardian: &Guardian<Sql>) -> BTreeSet<Uuid> {
    let mut tx = guardian.database().begin_read(&ann("acme")).await.unwrap();
    let rows = tx.fetch_all("SELECT event FROM deals", &[]).await.unwrap();
    rows.iter().map(|row| row.get("event").unwrap()).collect()
}

/// All pages of a list.
macro_rules! all {
    ($page:ident => $list:expr) => {{
        let mut all = Vec::new();
        let mut next = Some(PageRequest::first(1000).unwrap());
        while let Some($page) = next.take() {
            let found = $list.await.unwrap();
            all.extend(found.items);
            next = found.next.map(|next| PageRequest::first(1000).unwrap().after(next));
        }
        all
    }};
}

/// After any number of kills each deal that was committed is in the log once, was queued for the endpoint once and has started
/// the workflow once; and nothing was that was not committed.
async fn survive(kind: Kind, kills: u32, least: usize) {
    let store = kind.open(&[]).await.unwrap();
    let guardian = open(store.owner_url()).await;
    guardian.database().migrate(&DEALS).await.unwrap();
    let acme = ann("acme");
    listen(&guardian, &acme).await;
    let mut children = vec![spawn(&store), spawn(&store)];
    let mut kill = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(150 + u64::from(kill * 97 % 400))).await;
        let mut killed = children.remove(0);
        killed.kill().unwrap();
        killed.wait().unwrap();
        kill += 1;
        // On a slow machine a process may be killed before it does anything: enough has to have happened.
        if kill >= kills && deals(&guardian).await.len() >= least {
            break;
        }
        assert!(kill < kills * 20, "nothing happens");
        children.push(spawn(&store));
    }
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    let deals = deals(&guardian).await;
    // What a killed process had taken is somebody else's when its lease has ended.
    until(async || {
        guardian.workers().run_once().await.unwrap();
        let mut tx = guardian.database().begin_read(&acme).await.unwrap();
        let sql = "SELECT id FROM guardian_outbox WHERE tenant_id = 'acme'";
        tx.fetch_all(sql, &[]).await.unwrap().is_empty()
    })
    .await;

    let query = "action:deal.won".parse().unwrap();
    let recorded = all!(page => guardian.audit().search(&acme, &query, &page));
    let ids: BTreeSet<Uuid> = recorded.iter().filter_map(|stored| stored.event.id).collect();
    assert_eq!((recorded.len(), &ids), (deals.len(), &deals), "{kind:?}: the log");

    let filter = guardian_webhook::DeliveryFilter::new();
    let queued = all!(page => guardian.webhooks().deliveries(&acme, &filter, &page));
    let won = queued.iter().filter(|each| each.event_type.as_str() == "deal.won");
    let messages: BTreeSet<_> = won.clone().map(|each| each.message).collect();
    assert_eq!((won.count(), messages.len()), (deals.len(), deals.len()), "{kind:?}: webhooks");

    let filter = guardian_workflow::RunFilter::new().workflow("thank");
    let runs = all!(page => guardian.engine().runs(&acme, &filter, &page));
    assert_eq!(runs.len(), deals.len(), "{kind:?}: workflows");
    guardian.database().close().await;
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_nothing_on_sqlite() {
    survive(Kind::SqliteFile, 12, 100).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_nothing_on_postgres() {
    survive(Kind::Postgres, 12, 100).await;
}

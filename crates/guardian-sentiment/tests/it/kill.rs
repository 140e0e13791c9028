//! Real kills: processes that record messages end with SIGKILL at any point, and others go on. A child is this test program
//! again, told what to do by the environment.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use guardian_core::{PageRequest, Scope, TenantId};
use guardian_sentiment::{Lexicon, Message, Segment, Sentiments, SqlStore};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, DatabaseConfig, Durability};

const STORE: &str = "GUARDIAN_SENTIMENT_TEST_STORE";
const NUMBER: &str = "GUARDIAN_SENTIMENT_TEST_NUMBER";
const ACKNOWLEDGED: &str = "GUARDIAN_SENTIMENT_TEST_ACKNOWLEDGED";
const CHILD: &str = "kill::child";

fn scope() -> Scope {
    Scope::system(TenantId::new("acme").unwrap())
}

fn sentiments(db: Database) -> Sentiments {
    Sentiments::with_model(SqlStore::new(db), Arc::new(Lexicon::improved()))
}

/// Does nothing in the run of the tests.
#[tokio::test]
async fn child() {
    let Some(url) = std::env::var_os(STORE) else { return };
    let config = DatabaseConfig::default()
        .with_max_connections(2)
        .with_busy_timeout(Duration::from_secs(60))
        .with_durability(Durability::Relaxed);
    let sentiments = sentiments(Database::open_with(&url.to_string_lossy(), config).await.unwrap());
    let number = std::env::var_os(NUMBER).unwrap().to_string_lossy().into_owned();
    let folder = std::env::var_os(ACKNOWLEDGED).unwrap();
    for turn in 0_u64.. {
        // Every message is recorded by two processes that overlap.
        let id = format!("m{}-{turn}", number.parse::<u64>().unwrap() / 2);
        let message = Message::new(&id, "the export is slow").unwrap().of_account("acme").unwrap();
        let message = message.by_channel(["mail", "chat"][usize::try_from(turn % 2).unwrap()]).unwrap();
        if sentiments.record(&scope(), &message).await.is_ok() {
            // A file of its own for each: it is there or not.
            std::fs::write(std::path::Path::new(&folder).join(id), "").unwrap();
        }
    }
}

fn spawn(store: &Fresh, folder: &std::path::Path, number: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture"])
        .env(STORE, store.url())
        .env(NUMBER, number.to_string())
        .env(ACKNOWLEDGED, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn survive(kind: Kind, kills: u32) {
    let store = kind.open(&[&SqlStore::MIGRATIONS]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let acknowledged = || {
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap())
    };
    let mut children = vec![spawn(&store, folder.path(), 0), spawn(&store, folder.path(), 1)];
    let mut kill = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(60 + u64::from(kill * 37 % 190))).await;
        let mut killed = children.remove(0);
        killed.kill().unwrap();
        killed.wait().unwrap();
        kill += 1;
        children.push(spawn(&store, folder.path(), kill + 1));
        // On a slow machine a process may be killed before it does anything: enough has to have happened.
        if kill >= kills && acknowledged().count() >= 150 {
            break;
        }
        assert!(kill < 500, "only {} messages after {kill} kills", acknowledged().count());
    }
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    let sentiments = sentiments(store.database().clone());
    let mut counted = 0;
    for segment in ["all", "account:acme", "channel:chat", "channel:mail"] {
        let segment: Segment = segment.parse().unwrap();
        let mut ids = BTreeSet::new();
        let mut page = PageRequest::first(1000).unwrap();
        loop {
            let found = sentiments.history(&scope(), &segment, &page).await.unwrap();
            for entry in found.items {
                assert!(ids.insert(entry.id), "an entry comes twice");
            }
            match found.next {
                Some(next) => page = page.after(next),
                None => break,
            }
        }
        let trend = sentiments.trend(&scope(), &segment).await.unwrap().unwrap();
        assert_eq!(trend.messages(), ids.len() as u64, "{segment}: the series and the history");
        if segment == Segment::all() {
            let lost: Vec<String> = acknowledged().filter(|id| !ids.contains(id)).collect();
            assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
            counted = ids.len();
        }
    }
    println!("{kind:?}: {counted} messages, {} acknowledged, {kill} kills", acknowledged().count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_survive_kills_on_sqlite() {
    survive(Kind::SqliteFile, 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_survive_kills_on_postgres() {
    survive(Kind::Postgres, 12).await;
}

//! Real kills: processes that record, correct and forget messages end with SIGKILL at any point, and others go on. A child is this
//! test program again, told what to do by the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guardian_core::{Event, EventSink, PageRequest, Scope, StoreError, TenantId, Timestamp};
use guardian_sentiment::store::SentimentStore;
use guardian_sentiment::{
    Adaptation, Ensemble, Entry, Lexicon, Message, Polarity, Segment, Sentiments, SqlStore,
};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, DatabaseConfig, Durability};

const STORE: &str = "GUARDIAN_SENTIMENT_TEST_STORE";
const NUMBER: &str = "GUARDIAN_SENTIMENT_TEST_NUMBER";
const ACKNOWLEDGED: &str = "GUARDIAN_SENTIMENT_TEST_ACKNOWLEDGED";
const WORK: &str = "GUARDIAN_SENTIMENT_TEST_WORK";
const CHILD: &str = "kill::child";

fn scope() -> Scope {
    Scope::system(TenantId::new("acme").unwrap())
}

fn fixed(db: Database) -> Sentiments {
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
    let db = Database::open_with(&url.to_string_lossy(), config).await.unwrap();
    // Everything is done by two processes that overlap.
    let number = std::env::var_os(NUMBER).unwrap().to_string_lossy().parse::<u64>().unwrap() / 2;
    let folder = std::env::var_os(ACKNOWLEDGED).unwrap();
    let folder = Path::new(&folder);
    match &*std::env::var_os(WORK).unwrap().to_string_lossy() {
        "record" => records(fixed(db), folder, number).await,
        "fall" => falls(fixed(db), folder, number).await,
        _ => corrects(Sentiments::new(SqlStore::new(db)), folder, number).await,
    }
}

async fn records(sentiments: Sentiments, folder: &Path, number: u64) {
    for turn in 0_u64.. {
        let id = format!("m{number}-{turn}");
        let message = Message::new(&id, "the export is slow").unwrap().of_account("acme").unwrap();
        let message = message.by_channel(["mail", "chat"][usize::try_from(turn % 2).unwrap()]).unwrap();
        if sentiments.record(&scope(), &message).await.is_ok() {
            // A file of its own for each: it is there or not.
            std::fs::write(folder.join(id), "").unwrap();
        }
    }
}

/// Accounts turn bad one after the other.
async fn falls(sentiments: Sentiments, folder: &Path, number: u64) {
    let sentiments = sentiments.with_events(Files(folder.to_owned()));
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for turn in 0.. {
        for n in 0..40 {
            let text = if n < 20 { "Wonderful, great, thanks" } else { "Terrible, awful, they hate it" };
            let message = Message::new(&format!("m{number}-{turn}-{n}"), text).unwrap();
            let message = message.of_account(&format!("a{number}-{turn}")).unwrap();
            let message = message.written(start + Duration::from_secs(3600 * n));
            drop(sentiments.record(&scope(), &message).await);
        }
        std::fs::write(folder.join(format!("done-{number}-{turn}")), "").unwrap();
    }
}

/// Tells by a file for each event, slowly.
#[derive(Debug)]
struct Files(std::path::PathBuf);

#[async_trait]
impl EventSink for Files {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        tokio::time::sleep(Duration::from_millis(4)).await;
        let file = self.0.join(format!("told-{}", event.id));
        std::fs::write(file, event.data["segment"].as_str().unwrap()).unwrap();
        Ok(())
    }
}

fn of_customer(number: u64, turn: u64) -> Message {
    let text = format!("The spinner {turn} is on the start page");
    let message = Message::new(&format!("m{number}-{turn}"), text).unwrap();
    message.of_customer(&format!("c{}", turn % 4)).unwrap()
}

/// Messages are corrected, and now and then a customer is forgotten.
async fn corrects(sentiments: Sentiments, folder: &Path, number: u64) {
    for turn in 0_u64.. {
        let message = of_customer(number, turn);
        drop(sentiments.record(&scope(), &message).await);
        drop(sentiments.correct(&scope(), &message, Polarity::Negative).await);
        if turn % 9 == 8 {
            let gone = Segment::customer(&format!("c{}", turn / 9 % 2)).unwrap();
            drop(sentiments.forget(&scope(), &gone).await);
        }
        std::fs::write(folder.join(format!("done-{number}-{turn}")), "").unwrap();
    }
}

fn spawn(store: &Fresh, folder: &Path, work: &str, number: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture"])
        .env(STORE, store.url())
        .env(NUMBER, number.to_string())
        .env(ACKNOWLEDGED, folder)
        .env(WORK, work)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap();
    names.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

/// Kills children until this has been done so often.
async fn kill(store: &Fresh, folder: &Path, work: &str, (kills, least): (u32, usize)) -> u32 {
    let mut children = vec![spawn(store, folder, work, 0), spawn(store, folder, work, 1)];
    let mut kill = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(60 + u64::from(kill * 37 % 190))).await;
        let mut killed = children.remove(0);
        killed.kill().unwrap();
        killed.wait().unwrap();
        kill += 1;
        children.push(spawn(store, folder, work, kill + 1));
        // On a slow machine a process may be killed before it does anything: enough has to have happened.
        let done = files(folder).len();
        if kill >= kills && done >= least {
            break;
        }
        assert!(kill < 500, "only {done} after {kill} kills");
    }
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    kill
}

async fn history(sentiments: &Sentiments, segment: &Segment) -> Vec<Entry> {
    let (mut all, mut page) = (Vec::new(), PageRequest::first(1000).unwrap());
    loop {
        let found = sentiments.history(&scope(), segment, &page).await.unwrap();
        all.extend(found.items);
        match found.next {
            Some(next) => page = page.after(next),
            None => break,
        }
    }
    let ids: BTreeSet<&str> = all.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids.len(), all.len(), "an entry comes twice");
    all
}

/// Each series counts what its history has.
async fn counts(sentiments: &Sentiments) -> BTreeMap<Segment, usize> {
    let mut counts = BTreeMap::new();
    for segment in sentiments.segments(&scope(), None, 1000).await.unwrap() {
        let entries = history(sentiments, &segment).await;
        let trend = sentiments.trend(&scope(), &segment).await.unwrap().unwrap();
        let negatives = entries.iter().filter(|entry| entry.polarity() < Some(Polarity::Neutral)).count();
        let counted = (trend.messages(), trend.negatives());
        assert_eq!(
            counted,
            (entries.len() as u64, negatives as u64),
            "{segment}: the series and the history"
        );
        counts.insert(segment, entries.len());
    }
    counts
}

async fn survive(kind: Kind, kills: u32) {
    let store = kind.open(&[&SqlStore::MIGRATIONS]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kills = kill(&store, folder.path(), "record", (kills, 150)).await;
    let sentiments = fixed(store.database().clone());
    let counts = counts(&sentiments).await;
    let named = ["account:acme", "all", "channel:chat", "channel:mail"].map(|name| name.parse().unwrap());
    assert_eq!(counts.keys().cloned().collect::<BTreeSet<_>>(), BTreeSet::from(named));
    let kept: BTreeSet<String> =
        history(&sentiments, &Segment::all()).await.into_iter().map(|entry| entry.id).collect();
    let acknowledged = files(folder.path());
    let lost: Vec<&String> = acknowledged.iter().filter(|id| !kept.contains(*id)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    println!("{kind:?}: {} messages, {} acknowledged, {kills} kills", kept.len(), acknowledged.len());
}

/// Every series that falls was told, by whoever recorded the message or by who came after.
async fn tell(kind: Kind, kills: u32) {
    let store = kind.open(&[&SqlStore::MIGRATIONS]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kills = kill(&store, folder.path(), "fall", (kills, 12)).await;
    let sentiments = fixed(store.database().clone()).with_events(Files(folder.path().to_owned()));
    counts(&sentiments).await;
    let left = sentiments.relay(&scope()).await.unwrap();
    assert_eq!(sentiments.relay(&scope()).await.unwrap(), 0);
    let names = files(folder.path());
    let told: Vec<String> = names
        .iter()
        .filter(|name| name.starts_with("told-"))
        .map(|name| std::fs::read_to_string(folder.path().join(name)).unwrap())
        .collect();
    let mut falling = 0;
    for segment in sentiments.segments(&scope(), None, 1000).await.unwrap() {
        let trend = sentiments.trend(&scope(), &segment).await.unwrap().unwrap();
        if segment != Segment::all() && trend.falling_since().is_some() {
            falling += 1;
            let count = told.iter().filter(|told| **told == segment.to_string()).count();
            assert_eq!(count, 1, "{segment} falls and was told {count} times, with as many ids");
        }
    }
    assert!(falling > 0, "nothing fell");
    println!("{kind:?}: {falling} series fell, {left} alarms were told late, {kills} kills");
}

/// Whatever ends a correction or a forgetting, it is done again, and then the model knows what the history has.
async fn learn(kind: Kind, kills: u32) {
    let store = kind.open(&[&SqlStore::MIGRATIONS]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kills = kill(&store, folder.path(), "correct", (kills, 60)).await;
    let sentiments = Sentiments::new(SqlStore::new(store.database().clone()));
    counts(&sentiments).await;
    sentiments.forget(&scope(), &Segment::customer("c0").unwrap()).await.unwrap();
    assert!(!counts(&sentiments).await.contains_key(&Segment::customer("c0").unwrap()));
    let learned = async || -> BTreeSet<String> {
        let state = SqlStore::new(store.database().clone()).adaptation(&scope()).await.unwrap().unwrap();
        let learned = Adaptation::from_bytes(&Ensemble::default(), &state.bytes).unwrap();
        learned.ids().map(str::to_owned).collect()
    };
    let entries = history(&sentiments, &Segment::all()).await;
    let corrected: BTreeSet<String> =
        entries.iter().filter(|entry| entry.correction.is_some()).map(|entry| entry.id.clone()).collect();
    let before = learned().await;
    assert!(before.is_subset(&corrected), "learned and not corrected: {:?}", before.difference(&corrected));
    for id in &corrected {
        let (number, turn) = id.trim_start_matches('m').split_once('-').unwrap();
        let message = of_customer(number.parse().unwrap(), turn.parse().unwrap());
        sentiments.correct(&scope(), &message, Polarity::Negative).await.unwrap();
    }
    assert_eq!(learned().await, corrected);
    let late = corrected.len() - before.len();
    println!("{kind:?}: {} corrections, {late} were learned late, {kills} kills", corrected.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_survive_kills_on_sqlite() {
    survive(Kind::SqliteFile, 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_survive_kills_on_postgres() {
    survive(Kind::Postgres, 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_survive_kills_on_sqlite() {
    tell(Kind::SqliteFile, 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_survive_kills_on_postgres() {
    tell(Kind::Postgres, 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrections_and_forgetting_survive_kills_on_sqlite() {
    learn(Kind::SqliteFile, 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrections_and_forgetting_survive_kills_on_postgres() {
    learn(Kind::Postgres, 12).await;
}

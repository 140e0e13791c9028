//! Sixty-four tasks that reserve, commit, release, consume, let holds expire, lose their calls halfway and start anew, on several
//! handles that know nothing of each other, as several processes. Afterwards the ledger is walked entry by entry by a model that
//! shares no code with the crate: at no entry was more spent and held than the limit.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guardian_core::{Clock, ManualClock, Scope, SystemIds, TenantId};
use guardian_quota::store::QuotaStore;
use guardian_quota::{
    Aggregation, Beyond, Cadence, Entry, EntryKind, Error, Feature, FeatureName, Hold, Level, Limit,
    MemoryStore, Meter, Plan, PlanName, Quotas, Subject, Subscription, Usage,
};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::random::Random;

const TASKS: u64 = 64;
const OPERATIONS: u64 = 100_000;
const ORG: u64 = 30_000;
const USER: u64 = 9_000;

fn plan() -> Plan {
    let meter = Meter::new("token", Aggregation::Sum)
        .with_commits(Beyond::IfRoom, Beyond::IfRoom)
        .with_limit(Level::Org, Limit::hard(ORG, Cadence::Day).with_thresholds([50, 80, 100]))
        .with_limit(Level::User, Limit::hard(USER, Cadence::Day));
    Plan::new(PlanName::new("p").unwrap())
        .with_feature(FeatureName::new("tokens").unwrap(), Feature::Metered(meter))
}

struct World<S> {
    handles: Vec<Mutex<Quotas<S>>>,
    open: Box<dyn Fn() -> S + Send + Sync>,
    clock: ManualClock,
    scope: Scope,
    operations: AtomicU64,
    /// Keys of calls that were told to be allowed, with the amount; and those whose answer nobody heard.
    allowed: Mutex<HashMap<String, u64>>,
    unheard: Mutex<HashSet<String>>,
}

impl<S: QuotaStore> World<S> {
    fn quotas(&self) -> Quotas<S> {
        Quotas::new((self.open)(), [plan()])
            .unwrap()
            .with_clock(self.clock.clone())
            .unwrap()
            .with_ids(SystemIds::new())
            .unwrap()
    }
}

async fn task<S: QuotaStore>(world: Arc<World<S>>, number: u64) {
    let mut random = Random(number);
    let mut holds: Vec<Hold> = Vec::new();
    let users: Vec<Subject> = (0..6).map(|n| Subject::org().user(format!("u{n}")).unwrap()).collect();
    let mut turn = 0;
    while world.operations.fetch_add(1, Ordering::Relaxed) < OPERATIONS {
        turn += 1;
        let place = usize::try_from(random.below(world.handles.len() as u64)).unwrap();
        if random.below(400) == 0 {
            // The process starts anew and knows nothing.
            *world.handles[place].lock() = world.quotas();
        }
        let quotas = world.handles[place].lock().clone();
        let user = &users[usize::try_from(random.below(6)).unwrap()];
        let amount = 1 + random.below(40);
        let key = format!("k-{number}-{turn}");
        let usage = Usage::of("tokens", user, amount).unwrap();
        let keyed = usage.clone().with_key(&key).unwrap();
        // Some calls are abandoned halfway, as by a crash.
        let patience =
            if random.below(20) == 0 { Duration::from_micros(random.below(400)) } else { Duration::MAX };
        let scope = &world.scope;
        match random.below(12) {
            0..=3 => {
                world.unheard.lock().insert(key.clone());
                let call = tokio::time::timeout(patience, quotas.consume(scope, &keyed)).await;
                if let Ok(Ok(decision)) = call {
                    world.unheard.lock().remove(&key);
                    if decision.allowed {
                        world.allowed.lock().insert(key, amount);
                    }
                }
            }
            4..=6 => {
                let ttl = Duration::from_secs(1 + random.below(10_000));
                let call = tokio::time::timeout(patience, quotas.reserve(scope, &usage, ttl)).await;
                if let Ok(Ok(decision)) = call {
                    holds.extend(decision.hold);
                }
            }
            7 | 8 if !holds.is_empty() => {
                let hold = holds.swap_remove(usize::try_from(random.below(holds.len() as u64)).unwrap());
                let actual = random.below(hold.amount + 10);
                for _ in 0..=random.below(2) {
                    let call = tokio::time::timeout(patience, quotas.commit(scope, &hold, actual)).await;
                    assert!(!matches!(call, Ok(Err(Error::HoldClosed { .. }))));
                }
            }
            9 if !holds.is_empty() => {
                let hold = holds.swap_remove(usize::try_from(random.below(holds.len() as u64)).unwrap());
                let _ = tokio::time::timeout(patience, quotas.release(scope, &hold)).await;
            }
            10 if !holds.is_empty() => {
                let hold = &holds[usize::try_from(random.below(holds.len() as u64)).unwrap()];
                let ttl = Duration::from_secs(1 + random.below(10_000));
                let _ = tokio::time::timeout(patience, quotas.extend(scope, hold, ttl)).await;
            }
            _ => {
                if random.below(8) == 0 {
                    world.clock.advance(Duration::from_secs(random.below(7_200)));
                }
                let balance = quotas.balance(scope, "tokens", &Subject::org()).await.unwrap();
                assert!(balance.used + balance.held <= i128::from(ORG), "{balance:?}");
            }
        }
    }
}

async fn survive<S: QuotaStore>(handles: usize, open: impl Fn() -> S + Send + Sync + 'static) {
    let clock = ManualClock::at("2026-01-15T00:00:00Z".parse().unwrap());
    let scope = Scope::system(TenantId::new("model").unwrap());
    let mut world = World {
        handles: Vec::new(),
        open: Box::new(open),
        clock: clock.clone(),
        scope: scope.clone(),
        operations: AtomicU64::new(0),
        allowed: Mutex::default(),
        unheard: Mutex::default(),
    };
    for _ in 0..handles {
        let quotas = world.quotas();
        world.handles.push(Mutex::new(quotas));
    }
    let anchor = "2026-01-01T00:00:00Z".parse().unwrap();
    let first = world.quotas();
    first.subscribe(&scope, Subscription::new(PlanName::new("p").unwrap(), anchor)).await.unwrap();
    let world = Arc::new(world);
    let tasks: Vec<_> = (0..TASKS).map(|number| tokio::spawn(task(Arc::clone(&world), number))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let quotas = world.quotas();
    let mut entries = Vec::new();
    loop {
        let more = quotas.entries(&scope, "tokens", entries.len() as u64, 10_000).await.unwrap();
        if more.is_empty() {
            break;
        }
        entries.extend(more);
    }
    let spent = walk(&entries);
    // Every call that was told to be allowed is there, once, with its amount; and none that was told to be denied.
    let allowed = world.allowed.lock().clone();
    let unheard = world.unheard.lock().clone();
    let mut there = 0;
    for entry in entries.iter().filter(|entry| entry.kind() == EntryKind::Consume) {
        let key = entry.key().unwrap().as_str();
        match allowed.get(key) {
            Some(amount) => {
                assert_eq!(entry.amount(), i128::from(*amount));
                there += 1;
            }
            None => assert!(unheard.contains(key), "`{key}` was denied and is in the ledger"),
        }
    }
    assert_eq!(there, allowed.len(), "calls that were allowed are not in the ledger");
    // What the store says is what the model counted.
    let replay = quotas.replay(&scope, "tokens").await.unwrap();
    for (subject, periods) in &spent {
        let subject: Subject = subject.parse().unwrap();
        let balance = quotas.balance(&scope, "tokens", &subject).await.unwrap();
        let day = clock.now().timestamp().div_euclid(86_400);
        assert_eq!(balance.used, periods.get(&day).copied().unwrap_or(0), "{subject}");
        for period in replay.periods(&subject) {
            let day = period.start().timestamp().div_euclid(86_400);
            assert_eq!(
                replay.used(&subject, period),
                periods.get(&day).copied().unwrap_or(0),
                "{subject} {period}"
            );
        }
    }
    println!("{} entries, {} calls allowed, {} unheard", entries.len(), allowed.len(), unheard.len());
    assert!(entries.len() > 10_000);
}

/// What was spent, by subject and day, by a model of its own: numbers in maps.
fn walk(entries: &[Entry]) -> BTreeMap<String, BTreeMap<i64, i128>> {
    struct Held {
        amount: i128,
        until: i64,
        day: i64,
        subjects: [String; 2],
    }
    let mut spent: BTreeMap<String, BTreeMap<i64, i128>> = BTreeMap::new();
    let mut holds: HashMap<Uuid, Held> = HashMap::new();
    let mut ends: HashMap<Uuid, i64> = HashMap::new();
    let mut now = i64::MIN;
    for (entry, number) in entries.iter().zip(1..) {
        assert_eq!(entry.seq(), number, "a gap in the ledger");
        now = now.max(entry.recorded().timestamp_micros());
        let day = now.div_euclid(86_400_000_000);
        holds.retain(|_, hold| hold.until > now);
        let subjects = ["org".to_owned(), entry.subject().to_string()];
        let mut spend = |subjects: &[String; 2], day: i64, amount: i128| {
            for subject in subjects {
                *spent.entry(subject.clone()).or_default().entry(day).or_default() += amount;
            }
        };
        match entry.kind() {
            EntryKind::Reserve => {
                let id = entry.hold().unwrap();
                let until = ends_at(entry);
                ends.insert(id, until);
                holds.insert(id, Held { amount: entry.amount(), until, day, subjects });
            }
            EntryKind::Extend => {
                let hold = holds.get_mut(&entry.hold().unwrap()).expect("a hold that had ended was extended");
                hold.until = hold.until.max(ends_at(entry));
            }
            EntryKind::Commit => match holds.remove(&entry.hold().unwrap()) {
                Some(hold) => spend(&hold.subjects, hold.day, entry.amount()),
                None => spend(&subjects, day, entry.amount()),
            },
            EntryKind::Release => {
                drop(holds.remove(&entry.hold().unwrap()).expect("a hold that had ended was released"));
            }
            EntryKind::Consume => spend(&subjects, day, entry.amount()),
            other => panic!("an entry that nobody wrote: {other:?}"),
        }
        // Spending of the day and of what is held of it, for all subjects that this entry touched.
        for (subject, limit) in [("org".to_owned(), ORG), (entry.subject().to_string(), USER)] {
            let used = spent.get(&subject).and_then(|days| days.get(&day)).copied().unwrap_or(0);
            let held: i128 = holds
                .values()
                .filter(|hold| hold.day == day && hold.subjects.contains(&subject))
                .map(|hold| hold.amount)
                .sum();
            assert!(
                used + held <= i128::from(limit),
                "entry {number}: {used} spent and {held} held of {subject}"
            );
        }
    }
    for (subject, days) in &spent {
        let limit = if subject == "org" { ORG } else { USER };
        for (day, used) in days {
            assert!(*used <= i128::from(limit), "{subject} spent {used} on day {day}");
        }
    }
    spent
}

/// When the hold of an entry ends, read from what the entry is written as.
fn ends_at(entry: &Entry) -> i64 {
    let written = serde_json::to_value(entry).unwrap();
    written["x"]["expires"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_overspends_in_memory() {
    let store = Arc::new(MemoryStore::new());
    survive(4, move || Arc::clone(&store)).await;
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
async fn survive_on(kind: guardian_sql::testkit::Kind) {
    use guardian_sql::{DatabaseConfig, Durability};
    // The disk is not what is tested.
    let config = DatabaseConfig::default().with_max_connections(8).with_durability(Durability::Relaxed);
    let fresh = kind.open_with(&[&guardian_quota::SqlStore::MIGRATIONS], config).await.unwrap();
    let db = fresh.database().clone();
    survive(2, move || {
        let operator = Scope::system(TenantId::new("operator").unwrap());
        guardian_quota::SqlStore::new(db.clone(), &operator).unwrap()
    })
    .await;
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_overspends_on_sqlite() {
    survive_on(guardian_sql::testkit::Kind::SqliteFile).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_overspends_on_postgres() {
    survive_on(guardian_sql::testkit::Kind::Postgres).await;
}

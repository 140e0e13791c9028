//! The store of files obeys the laws: as it is, sealing and merging all the time, and opened anew all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use guardian_audit::store::{
    AuditStore, Batch, Count, Drop, Facet, Found, Head, Maintenance, Note, NoteKind, Placed, Record,
    SegmentConfig, SegmentStore,
};
use guardian_audit::{Dimension, Plan};
use guardian_core::{Scope, StoreError, Timestamp};
use guardian_testkit::Fixture;
use parking_lot::RwLock;
use tempfile::TempDir;

mod crash;
mod files;
mod kill;
mod phrases;

/// What a store goes through between two calls.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Weather {
    Calm,
    /// Everything is sealed and merged after each append.
    Sealing,
    /// The store is closed and opened before each append and each eleventh other call.
    Reopening,
}

#[derive(Debug)]
struct Tried {
    folder: TempDir,
    weather: Weather,
    store: RwLock<Option<SegmentStore>>,
    calls: AtomicU64,
}

fn open(folder: &TempDir) -> SegmentStore {
    SegmentStore::open_with(folder.path(), SegmentConfig::default().with_seal_after(7)).unwrap()
}

impl Tried {
    fn new(weather: Weather) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = match weather {
            Weather::Sealing => open(&folder),
            _ => SegmentStore::open(folder.path()).unwrap(),
        };
        Self { folder, weather, store: RwLock::new(Some(store)), calls: AtomicU64::new(0) }
    }

    /// Runs a call, with the weather before it.
    fn with<T>(&self, call: impl FnOnce(&SegmentStore) -> T) -> T {
        let turn = self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(11);
        if self.weather == Weather::Reopening && turn {
            let mut store = self.store.write();
            *store = None;
            *store = Some(SegmentStore::open(self.folder.path()).unwrap());
        }
        call(self.store.read().as_ref().unwrap())
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Blocks inside of a runtime's thread: the store never waits for the runtime.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the store waits for something"),
    }
}

#[async_trait]
impl AuditStore for Tried {
    async fn append(&self, batches: &[Batch<'_>], at: Timestamp) -> Result<Vec<Vec<Placed>>, StoreError> {
        self.calls.store(0, Ordering::Relaxed);
        self.with(|store| {
            let placed = ready(store.append(batches, at));
            if self.weather == Weather::Sealing {
                store.seal()?;
                while store.maintain()? != Maintenance::Idle {}
            }
            placed
        })
    }

    async fn search(
        &self,
        scope: &Scope,
        plan: &Plan,
        before: Option<u64>,
        size: usize,
    ) -> Result<Found, StoreError> {
        self.with(|store| ready(store.search(scope, plan, before, size)))
    }

    async fn count(&self, scope: &Scope, plan: &Plan, limit: Option<u64>) -> Result<Count, StoreError> {
        self.with(|store| ready(store.count(scope, plan, limit)))
    }

    async fn facets(
        &self,
        scope: &Scope,
        plan: &Plan,
        by: Dimension,
        top: usize,
    ) -> Result<Vec<Facet>, StoreError> {
        self.with(|store| ready(store.facets(scope, plan, by, top)))
    }

    async fn histogram(&self, scope: &Scope, plan: &Plan, edges: &[i64]) -> Result<Vec<u64>, StoreError> {
        self.with(|store| ready(store.histogram(scope, plan, edges)))
    }

    async fn records(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<Record>, StoreError> {
        self.with(|store| ready(store.records(scope, from, size)))
    }

    async fn leaves(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<[u8; 32]>, StoreError> {
        self.with(|store| ready(store.leaves(scope, from, size)))
    }

    async fn head(&self, scope: &Scope) -> Result<Head, StoreError> {
        self.with(|store| ready(store.head(scope)))
    }

    async fn drop_bodies(&self, scope: &Scope, drop: &Drop<'_>) -> Result<u64, StoreError> {
        self.with(|store| {
            let dropped = ready(store.drop_bodies(scope, drop));
            if self.weather == Weather::Sealing {
                while store.maintain()? != Maintenance::Idle {}
            }
            dropped
        })
    }

    async fn put_note(&self, scope: &Scope, kind: NoteKind, note: &Note) -> Result<(), StoreError> {
        self.with(|store| ready(store.put_note(scope, kind, note)))
    }

    async fn notes(&self, scope: &Scope, kind: NoteKind) -> Result<Vec<Note>, StoreError> {
        self.with(|store| ready(store.notes(scope, kind)))
    }

    async fn remove_note(&self, scope: &Scope, kind: NoteKind, name: &str) -> Result<bool, StoreError> {
        self.with(|store| ready(store.remove_note(scope, kind, name)))
    }

    async fn put_checkpoint(
        &self,
        scope: &Scope,
        last: Option<&str>,
        checkpoint: &Note,
        state: Option<&Note>,
    ) -> Result<bool, StoreError> {
        self.with(|store| ready(store.put_checkpoint(scope, last, checkpoint, state)))
    }
}

struct Field(Arc<Tried>);

impl Fixture for Field {
    type Store = Arc<Tried>;

    fn store(&self) -> Self::Store {
        Arc::clone(&self.0)
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        now(future)
    }
}

mod calm {
    guardian_audit::store_conformance!(super::Field(super::Arc::new(super::Tried::new(
        super::Weather::Calm
    ))));
}

mod sealing {
    guardian_audit::store_conformance!(super::Field(super::Arc::new(super::Tried::new(
        super::Weather::Sealing
    ))));
}

mod reopening {
    guardian_audit::store_conformance!(super::Field(super::Arc::new(super::Tried::new(
        super::Weather::Reopening
    ))));
}

//! Which attempts were received before.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use async_trait::async_trait;
use guardian_core::{StoreError, StoreErrorKind, Timestamp};
use parking_lot::Mutex;

/// Knows which attempts were received before. Only verified ones are asked for, so nobody without a key can fill it.
#[async_trait]
pub trait ReplayCache: Send + Sync + fmt::Debug + 'static {
    /// Whether this key was not asked for before; it is remembered until `until`. Of two at the same time one is the first.
    ///
    /// # Errors
    /// When the cache fails, or is full of what it must remember: the webhook is refused then.
    async fn is_first(&self, key: &str, now: Timestamp, until: Timestamp) -> Result<bool, StoreError>;
}

/// Remembers attempts in memory: for one process.
///
/// It holds a stated number; what is past its time makes room. When nothing is, it refuses with the kind `Full`, so that the
/// sender comes back later, rather than forget what it promised to remember.
#[derive(Debug)]
pub struct MemoryReplayCache {
    capacity: usize,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    until: HashMap<String, Timestamp>,
    order: BTreeSet<(Timestamp, String)>,
}

impl MemoryReplayCache {
    /// A cache of so many attempts, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), seen: Mutex::default() }
    }
}

impl Default for MemoryReplayCache {
    /// Of 100,000 attempts.
    fn default() -> Self {
        Self::new(100_000)
    }
}

#[async_trait]
impl ReplayCache for MemoryReplayCache {
    async fn is_first(&self, key: &str, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        let mut seen = self.seen.lock();
        while let Some((_, old)) = seen.order.first().filter(|(until, _)| *until <= now).cloned() {
            seen.order.pop_first();
            seen.until.remove(&old);
        }
        if seen.until.contains_key(key) {
            return Ok(false);
        }
        if seen.until.len() >= self.capacity {
            return Err(StoreError::new(StoreErrorKind::Full, "memory"));
        }
        seen.until.insert(key.to_owned(), until);
        seen.order.insert((until, key.to_owned()));
        Ok(true)
    }
}

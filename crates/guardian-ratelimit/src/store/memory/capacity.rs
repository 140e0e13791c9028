//! How many keys a store may hold, and who may have them.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{AtCapacity, MemoryConfig};

/// The bound on keys: every shard owns its share of one half, and all draw on the other half together.
#[derive(Debug)]
pub(super) struct Capacity {
    /// What every shard may hold in any case.
    share: usize,
    /// What the shards hold beyond their shares, at most `pool_size`.
    pool: AtomicUsize,
    pool_size: usize,
    pub(super) at_capacity: AtCapacity,
}

impl Capacity {
    pub(super) fn new(config: MemoryConfig, shards: usize) -> Self {
        let share = (config.max_keys / 2 / shards).max(1);
        let pool_size = config.max_keys.saturating_sub(share * shards);
        Self { share, pool: AtomicUsize::new(0), pool_size, at_capacity: config.at_capacity }
    }

    /// Takes a place for one more key of a shard that holds `keys`.
    pub(super) fn reserve(&self, keys: usize) -> bool {
        if keys < self.share {
            return true;
        }
        let one_more = |used: usize| (used < self.pool_size).then_some(used + 1);
        self.pool.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Whether `reserve` would succeed now.
    pub(super) fn has_room(&self, keys: usize) -> bool {
        keys < self.share || self.pool.load(Ordering::Relaxed) < self.pool_size
    }

    /// Gives back the places of a shard that held `before` keys and holds `after`.
    pub(super) fn give_back(&self, before: usize, after: usize) {
        let beyond = |keys: usize| keys.saturating_sub(self.share);
        self.pool.fetch_sub(beyond(before) - beyond(after), Ordering::Relaxed);
    }
}

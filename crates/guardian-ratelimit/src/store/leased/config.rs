use std::time::Duration;

use crate::store::Item;
use crate::{Algorithm, Mode, Precision};

/// How much a [`LeasedStore`](super::LeasedStore) leases, and for how long.
///
/// ```
/// use std::time::Duration;
/// use guardian_ratelimit::LeaseConfig;
///
/// let config = LeaseConfig::default().with_tokens(20);
/// assert_eq!((config.tokens, config.ttl), (20, Duration::from_secs(1)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseConfig {
    /// The most tokens of one counter to take at once; 100 unless told otherwise. Never more than a tenth of the
    /// rule's [capacity](crate::Rule::capacity), so that small limits are not hoarded: below a capacity of 20 nothing is
    /// leased.
    pub tokens: u32,
    /// For how long leased tokens may be spent; 1 s unless told otherwise.
    pub ttl: Duration,
    /// The most counters to hold leases of; 100 000 unless told otherwise. Beyond, the oldest are dropped.
    pub max_leases: usize,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self { tokens: 100, ttl: Duration::from_secs(1), max_leases: 100_000 }
    }
}

impl LeaseConfig {
    /// The smallest part of a capacity to lease is one in this.
    const PART: u32 = 10;

    /// The same with another size of a lease.
    #[must_use]
    pub fn with_tokens(mut self, tokens: u32) -> Self {
        self.tokens = tokens;
        self
    }

    /// The same with another life of a lease.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// The same with another bound on the leases held.
    #[must_use]
    pub fn with_max_leases(mut self, leases: usize) -> Self {
        self.max_leases = leases;
        self
    }

    /// How many tokens a taking asks for; 0 for a limit that is not leased.
    pub(super) fn size(&self, item: &Item<'_>) -> u32 {
        let leasable = match item.rule.algorithm() {
            Algorithm::TokenBucket { .. } | Algorithm::FixedWindow { .. } => true,
            Algorithm::SlidingWindow { precision, .. } => precision != Precision::Exact,
            Algorithm::Concurrency { .. } => false,
        };
        let size = self.tokens.min(item.rule.capacity() / Self::PART);
        if leasable && item.mode == Mode::Enforce && size >= 2 { size } else { 0 }
    }
}

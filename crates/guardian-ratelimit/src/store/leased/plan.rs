//! One check: what it takes out of the book, what it asks the remote store, and what it leaves behind.

use std::time::Duration;

use arrayvec::ArrayVec;
use guardian_core::{MonoTime, StoreError};

use super::LeasedStore;
use super::book::{Counter, Taken};
use crate::store::{Call, Item, Store};
use crate::{Algorithm, Decision, Limiter, Outcome, Realm};

/// One limit of a check.
#[derive(Debug)]
pub(super) struct Part<'c> {
    pub(super) item: Item<'c>,
    pub(super) counter: Counter,
    /// What leased tokens do not cover.
    pub(super) need: u32,
    /// What the remote store is asked for: `need`, or a lease.
    pub(super) take: u32,
    /// What was taken out of the lease.
    pub(super) spent: u32,
    /// Whether this call is the one that takes a lease.
    pub(super) begun: bool,
    /// What would be left if the lease decides.
    pub(super) room: u32,
    pub(super) new_after: Duration,
    pub(super) expired: Option<(u32, MonoTime)>,
}

/// What a check is about to do. Dropped before it is settled, it puts back what was taken out of the book.
#[derive(Debug)]
pub(super) struct Plan<'c, R: Store> {
    pub(super) store: &'c LeasedStore<R>,
    pub(super) realm: Realm<'c>,
    pub(super) parts: ArrayVec<Part<'c>, { Limiter::MAX_LIMITS }>,
}

impl<'c, R: Store> Plan<'c, R> {
    /// Asks the remote store about what the leases do not cover.
    pub(super) async fn ask(
        &self,
        call: &Call<'c>,
        charge: bool,
        cost: impl Fn(&Part<'c>) -> u32,
    ) -> Result<Decision, StoreError> {
        let lacking = self.parts.iter().filter(|part| part.need > 0);
        let items: ArrayVec<Item<'_>, { Limiter::MAX_LIMITS }> =
            lacking.map(|part| Item { cost: cost(part), ..part.item }).collect();
        let call = Call { items: &items, ..*call };
        if charge { self.store.remote.check(&call).await } else { self.store.remote.peek(&call).await }
    }

    /// Gives back what has expired, so that it is not denied to whom it belongs. What cannot be given back is lost.
    pub(super) async fn refund_expired(&self, call: &Call<'c>) {
        for part in &self.parts {
            if let Some((tokens, at)) = part.expired {
                let items = [Item { cost: tokens, ..part.item }];
                let call = Call { items: &items, ..*call };
                let _ = self.store.remote.refund(&call, at).await;
            }
        }
    }

    /// The decision, and what it does to the book.
    pub(super) fn settle(mut self, call: &Call<'c>, answer: Option<&Decision>, charge: bool) -> Decision {
        let allowed = answer.is_none_or(Decision::is_allowed);
        let mut remote = answer.map_or(&[][..], Decision::outcomes).iter();
        let parts = std::mem::take(&mut self.parts);
        let mut book = self.store.book(self.realm).lock();
        let outcomes: ArrayVec<Outcome, { Limiter::MAX_LIMITS }> = parts
            .iter()
            .map(|part| {
                let said = (part.need > 0).then(|| remote.next()).flatten();
                let taken = said.filter(|_| allowed && part.begun && part.take > part.need);
                // Before the taking ends, as a lease without tokens is dropped then.
                if charge && !allowed {
                    book.put_back(&part.counter, part.spent);
                }
                if part.begun {
                    let taken = taken.map(|outcome| part.taken(outcome, call.now, self.store.config.ttl));
                    book.end(&part.counter, part.item.rule, taken);
                }
                part.outcome(said)
            })
            .collect();
        Decision::from_outcomes(call.now, outcomes)
    }
}

impl<R: Store> Drop for Plan<'_, R> {
    fn drop(&mut self) {
        if !self.parts.is_empty() {
            let mut book = self.store.book(self.realm).lock();
            for part in &self.parts {
                book.put_back(&part.counter, part.spent);
                if part.begun {
                    book.end(&part.counter, part.item.rule, None);
                }
            }
        }
    }
}

impl Part<'_> {
    pub(super) fn taken(&self, outcome: &Outcome, at: MonoTime, ttl: Duration) -> Taken {
        let new_after = outcome.reset_after();
        // What was charged to a fixed window is not spent in the next one.
        let fixed = matches!(self.item.rule.algorithm(), Algorithm::FixedWindow { .. });
        Taken {
            tokens: self.take - self.need,
            at,
            lives: if fixed { ttl.min(new_after) } else { ttl },
            room: outcome.remaining(),
            new_after,
        }
    }

    pub(super) fn outcome(&self, said: Option<&Outcome>) -> Outcome {
        let Item { policy, mode, rule, .. } = self.item;
        let limit = rule.capacity();
        let Some(said) = said else {
            let room = self.room.min(limit);
            return Outcome::new(policy, mode, true, limit, room, Some(Duration::ZERO), self.new_after);
        };
        // What is held here counts as left: of an admitted request what was taken beyond it, of a denied one what
        // the lease still covers.
        let held = if said.admits() { self.take - self.need } else { self.spent };
        let room = said.remaining().saturating_add(held).min(limit);
        let wait = if said.admits() {
            said.retry_after()
        } else {
            said.retry_after().map(|wait| wait + self.refill())
        };
        Outcome::new(policy, mode, said.admits(), limit, room, wait, said.reset_after())
    }

    /// How long a bucket takes to refill what the lease covers. The lease may have expired by the next try, and what
    /// goes back then is only what has not refilled since it was taken.
    fn refill(&self) -> Duration {
        let Algorithm::TokenBucket { rate, .. } = self.item.rule.algorithm() else { return Duration::ZERO };
        let nanos = rate.window().as_nanos() * u128::from(self.spent) / u128::from(rate.count().max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 2))
    }
}

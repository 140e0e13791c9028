//! The Redis store against the memory store and the rational model.

use std::sync::Arc;

use guardian_core::ManualClock;
use guardian_ratelimit::RedisStore;
use tokio::runtime::Builder;

use crate::differential::{self, Pair};
use crate::redis::{config, url};

fn pair() -> Pair<RedisStore> {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let clock = ManualClock::new();
    let store = runtime.block_on(RedisStore::connect(url(), config())).unwrap();
    let store = store.with_time_source(Arc::new(clock.clone()));
    Pair::new(runtime, clock, store)
}

#[test]
fn every_decision_is_the_memory_stores() {
    differential::every_decision_is_the_memory_stores(&pair(), 2_000);
}

#[test]
fn every_decision_is_the_memory_stores_while_rules_change() {
    differential::every_decision_is_the_memory_stores_while_rules_change(&pair(), 1_000);
}

#[test]
fn a_bucket_is_exact_at_every_rate() {
    differential::a_bucket_is_exact_at_every_rate(&pair(), 1_500);
}

#[test]
fn a_refund_of_what_no_longer_counts_takes_nothing_from_others() {
    differential::a_refund_of_what_no_longer_counts_takes_nothing_from_others(&pair());
}

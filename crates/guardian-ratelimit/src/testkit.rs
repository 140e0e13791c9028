//! The laws that every store must obey, to run against your own.
//!
//! Implement [`Fixture`] for your store and let [`store_conformance!`](crate::store_conformance) make one test of
//! each law:
//!
//! ```
//! use std::sync::Arc;
//! use guardian_core::ManualClock;
//! use guardian_ratelimit::MemoryStore;
//! use guardian_ratelimit::testkit::Fixture;
//!
//! struct InMemory {
//!     store: Arc<MemoryStore>,
//!     clock: ManualClock,
//! }
//!
//! impl Fixture for InMemory {
//!     type Store = Arc<MemoryStore>;
//!
//!     fn store(&self) -> Self::Store {
//!         Arc::clone(&self.store)
//!     }
//!
//!     fn clock(&self) -> &ManualClock {
//!         &self.clock
//!     }
//!
//!     fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
//!         tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
//!     }
//! }
//!
//! guardian_ratelimit::store_conformance!(InMemory {
//!     store: Arc::new(MemoryStore::new()),
//!     clock: ManualClock::new(),
//! });
//! # fn main() {}
//! ```
//!
//! The kit is outside of semantic versioning: a new law may fail a store that passed before.

use std::future::Future;

use guardian_core::ManualClock;
use guardian_testkit::ensure;

use crate::Limiter;
use crate::store::Store;

mod atomicity;
mod consumption;
mod isolation;
mod permits;
mod time;

pub use atomicity::{
    a_denial_charges_nothing_anywhere, a_dry_run_never_denies, concurrent_checks_admit_exactly_the_capacity,
};
pub use consumption::{
    a_bucket_admits_its_burst_and_no_more, a_changed_rule_keeps_what_was_taken, a_cost_is_charged_in_full,
    a_late_refund_gives_nothing_back, a_peek_charges_nothing, a_refund_gives_back_and_never_more,
    a_reset_makes_as_good_as_new, every_window_admits_its_limit_and_no_more,
};
pub use guardian_testkit::Violation;
pub use isolation::{policies_do_not_meet, subjects_do_not_meet, tenants_do_not_meet};
pub use permits::{
    a_permit_counts_until_it_is_released, a_permit_ends_by_itself, only_the_own_permit_is_released,
};
pub use time::{
    a_bucket_refills_at_its_rate, a_fixed_window_starts_at_its_multiples,
    a_sliding_window_never_exceeds_its_limit, retry_after_is_enough,
};

/// A store to test, with the clock that it and the laws go by.
pub trait Fixture: Sync {
    /// The store.
    type Store: Store;

    /// The store, with no counters in it that a law might meet. Each call returns the same store.
    fn store(&self) -> Self::Store;

    /// The clock. A store that keeps its own time must be made to take it from here.
    fn clock(&self) -> &ManualClock;

    /// Runs a future to its end. Called from several threads at once.
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T;
}

/// A limiter on the fixture's store and clock.
fn limiter<F: Fixture>(fixture: &F) -> Limiter<F::Store, ManualClock> {
    Limiter::with_clock(fixture.store(), fixture.clock().clone())
}

/// Makes one `#[test]` of every law, in the module where it is called. The argument makes a new fixture.
#[macro_export]
macro_rules! store_conformance {
    ($fixture:expr) => {
        $crate::store_conformance!(@laws $fixture;
            a_bucket_admits_its_burst_and_no_more
            every_window_admits_its_limit_and_no_more
            a_cost_is_charged_in_full
            a_peek_charges_nothing
            a_refund_gives_back_and_never_more
            a_late_refund_gives_nothing_back
            a_reset_makes_as_good_as_new
            a_changed_rule_keeps_what_was_taken
            a_denial_charges_nothing_anywhere
            a_dry_run_never_denies
            concurrent_checks_admit_exactly_the_capacity
            tenants_do_not_meet
            subjects_do_not_meet
            policies_do_not_meet
            a_bucket_refills_at_its_rate
            a_fixed_window_starts_at_its_multiples
            a_sliding_window_never_exceeds_its_limit
            retry_after_is_enough
            a_permit_counts_until_it_is_released
            a_permit_ends_by_itself
            only_the_own_permit_is_released
        );
    };
    (@laws $fixture:expr; $($law:ident)+) => {
        $(
            #[test]
            fn $law() -> Result<(), $crate::testkit::Violation> {
                let fixture = $fixture;
                $crate::testkit::$law(&fixture)
            }
        )+
    };
}

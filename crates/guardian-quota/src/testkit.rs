//! The laws that every quota store must obey, to run against your own.
//!
//! Make a [`Fixture`] of your store and let [`quota_store_tests!`](crate::quota_store_tests) make one test of each law:
//!
//! ```
//! use std::sync::Arc;
//! use guardian_testkit::InMemory;
//! use guardian_quota::MemoryStore;
//!
//! guardian_quota::quota_store_tests!(InMemory::new(Arc::new(MemoryStore::new())));
//! # fn main() {}
//! ```
//!
//! The kit is outside of semantic versioning: a new law may fail a store that passed before.

use std::fmt;

use crate::store::QuotaStore;

mod laws;
mod sample;
mod spending;

pub use guardian_testkit::Violation;
pub use laws::{
    a_change_of_plan_holds_at_once_everywhere, a_key_is_decided_once, a_ledger_is_relayed_once_and_in_order,
    a_threshold_is_told_once, late_events_correct_their_period, tenants_do_not_meet,
    the_ledger_is_the_balance,
};
pub use sample::{DAY, plan, quotas, scope};
pub use spending::{
    a_commit_counts_what_was_used, a_hold_ends_by_itself, a_limit_is_kept, grants_are_used_up_in_order,
    levels_are_all_or_nothing, nothing_is_written_of_nothing, periods_turn_and_roll_over,
};

/// A store to test: [`InMemory`](guardian_testkit::InMemory), `guardian_sql::testkit::OnSql`, or one of your own.
pub trait Fixture: guardian_testkit::Fixture<Store: QuotaStore> {}

impl<F: guardian_testkit::Fixture<Store: QuotaStore>> Fixture for F {}

/// What a law comes to.
pub type Verdict = Result<(), Violation>;

/// That something holds, or the law is broken.
pub(crate) fn holds(is_so: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if is_so { Ok(()) } else { Err(Violation::new(what())) }
}

pub(crate) fn equal<T: PartialEq + fmt::Debug>(found: &T, expected: &T, what: &str) -> Result<(), Violation> {
    holds(found == expected, || format!("{what}: found {found:?}, expected {expected:?}"))
}

/// Makes one test of each law that a [`QuotaStore`] must obey.
#[macro_export]
macro_rules! quota_store_tests {
    ($fixture:expr) => {
        $crate::quota_store_tests!(@each $fixture;
            a_limit_is_kept
            levels_are_all_or_nothing
            a_hold_ends_by_itself
            a_commit_counts_what_was_used
            grants_are_used_up_in_order
            periods_turn_and_roll_over
            nothing_is_written_of_nothing
            a_key_is_decided_once
            a_threshold_is_told_once
            late_events_correct_their_period
            tenants_do_not_meet
            a_change_of_plan_holds_at_once_everywhere
            a_ledger_is_relayed_once_and_in_order
            the_ledger_is_the_balance
        );
    };
    (@each $fixture:expr; $($law:ident)+) => {$(
        #[test]
        fn $law() {
            if let Err(violation) = $crate::testkit::$law(&$fixture) {
                panic!("{violation}");
            }
        }
    )+};
}

//! The laws that every audit store must obey, to run against your own.
//!
//! Make a [`Fixture`] of your store and let [`store_conformance!`](crate::store_conformance) make one test of each
//! law:
//!
//! ```
//! use std::sync::Arc;
//! use guardian_testkit::InMemory;
//! use guardian_audit::store::MemoryStore;
//!
//! guardian_audit::store_conformance!(InMemory::new(Arc::new(MemoryStore::new())));
//! # fn main() {}
//! ```
//!
//! The kit is outside of semantic versioning: a new law may fail a store that passed before.

mod append;
mod find;
mod keep;
mod sample;

use std::fmt;

use guardian_core::{Scope, TenantId};

use crate::store::AuditStore;

pub use append::{
    a_batch_goes_to_its_tenant_alone, an_event_is_stored_once, batches_of_many_tenants_keep_their_order,
    racing_writers_leave_no_gap, sequences_have_no_gap_and_time_never_goes_back, what_is_stored_comes_back,
};
pub use find::{
    a_search_finds_what_the_plain_meaning_finds, counts_facets_and_histograms_agree_with_searches,
    pages_show_each_event_once_while_others_write,
};
pub use guardian_testkit::Violation;
pub use keep::{
    a_checkpoint_follows_the_last_one, a_drop_that_does_not_know_the_holds_drops_nothing,
    a_dropped_body_leaves_its_leaf, notes_are_kept_by_name, racing_checkpoints_make_one_chain,
    the_head_commits_to_every_leaf,
};
pub use sample::{QUERIES, Sample};

/// A store to test: [`InMemory`](guardian_testkit::InMemory), `guardian_sql::testkit::OnSql`, or one of your own.
pub trait Fixture: guardian_testkit::Fixture<Store: AuditStore + Clone> {}

impl<F: guardian_testkit::Fixture<Store: AuditStore + Clone>> Fixture for F {}

/// The end of a law.
pub type Verdict = Result<(), Violation>;

/// Breaks the law unless both are the same.
fn same<T: PartialEq + fmt::Debug>(what: impl fmt::Display, found: &T, wanted: &T) -> Verdict {
    if found == wanted {
        return Ok(());
    }
    Err(Violation::new(format!("{what}: found {found:?}, wanted {wanted:?}")))
}

/// A scope of Guardian's own in the tenant.
fn scope(tenant: &str) -> Result<Scope, Violation> {
    Ok(Scope::system(TenantId::new(tenant)?))
}

/// Makes one `#[test]` of each law; the expression makes a fixture with an empty store.
#[macro_export]
macro_rules! store_conformance {
    ($fixture:expr) => {
        $crate::store_conformance!(@each $fixture,
            sequences_have_no_gap_and_time_never_goes_back,
            what_is_stored_comes_back,
            an_event_is_stored_once,
            a_batch_goes_to_its_tenant_alone,
            batches_of_many_tenants_keep_their_order,
            racing_writers_leave_no_gap,
            a_search_finds_what_the_plain_meaning_finds,
            counts_facets_and_histograms_agree_with_searches,
            pages_show_each_event_once_while_others_write,
            the_head_commits_to_every_leaf,
            a_dropped_body_leaves_its_leaf,
            a_drop_that_does_not_know_the_holds_drops_nothing,
            notes_are_kept_by_name,
            a_checkpoint_follows_the_last_one,
            racing_checkpoints_make_one_chain,
        );
    };
    (@each $fixture:expr, $($law:ident,)+) => {
        $(
            #[test]
            fn $law() {
                if let Err(violation) = $crate::testkit::$law(&$fixture) {
                    panic!("{violation}");
                }
            }
        )+
    };
}

//! The laws that every store of sentiments must obey, to run against your own.
//!
//! Make a [`Fixture`] of your store and let [`sentiment_store_tests!`](crate::sentiment_store_tests) make one test of each law:
//!
//! ```
//! use std::sync::Arc;
//! use guardian_sentiment::MemoryStore;
//! use guardian_testkit::InMemory;
//!
//! guardian_sentiment::sentiment_store_tests!(InMemory::new(Arc::new(MemoryStore::new())));
//! # fn main() {}
//! ```
//!
//! The kit is outside of semantic versioning: a new law may fail a store that passed before.

use crate::store::SentimentStore;

mod laws;

pub use guardian_testkit::Violation;
pub use laws::{
    a_clock_that_was_ahead_does_no_lasting_harm, a_correction_is_counted_in_place_of_the_reading,
    a_customer_is_forgotten_everywhere, a_fall_is_told_once, a_message_is_counted_once,
    a_message_is_forgotten_alone, a_message_is_read_anew_in_its_place, a_reading_without_numbers_is_none,
    alarms_that_wait_lose_the_words_of_the_forgotten, concurrent_messages_all_count,
    histories_are_read_page_by_page, learning_is_kept_in_turns,
    messages_of_one_microsecond_are_on_a_page_each, nothing_is_learned_of_what_is_forgotten,
    overlapping_forgets_leave_nothing, recording_and_forgetting_a_tenant_take_turns,
    series_follow_their_messages, tenants_do_not_meet,
    what_was_learned_before_a_tenant_was_forgotten_stays_forgotten,
};

/// A store to test: [`InMemory`](guardian_testkit::InMemory), `guardian_sql::testkit::OnSql`, or one of your own.
pub trait Fixture: guardian_testkit::Fixture<Store: SentimentStore> {}

impl<F: guardian_testkit::Fixture<Store: SentimentStore>> Fixture for F {}

/// What a law comes to.
pub type Verdict = Result<(), Violation>;

/// Makes one test of each law that a [`SentimentStore`] must obey.
#[macro_export]
macro_rules! sentiment_store_tests {
    ($fixture:expr) => {
        $crate::sentiment_store_tests!(@each $fixture;
            a_message_is_counted_once
            series_follow_their_messages
            concurrent_messages_all_count
            a_correction_is_counted_in_place_of_the_reading
            histories_are_read_page_by_page
            a_fall_is_told_once
            a_customer_is_forgotten_everywhere
            a_message_is_forgotten_alone
            a_message_is_read_anew_in_its_place
            a_reading_without_numbers_is_none
            learning_is_kept_in_turns
            tenants_do_not_meet
            a_clock_that_was_ahead_does_no_lasting_harm
            alarms_that_wait_lose_the_words_of_the_forgotten
            messages_of_one_microsecond_are_on_a_page_each
            nothing_is_learned_of_what_is_forgotten
            overlapping_forgets_leave_nothing
            recording_and_forgetting_a_tenant_take_turns
            what_was_learned_before_a_tenant_was_forgotten_stays_forgotten
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

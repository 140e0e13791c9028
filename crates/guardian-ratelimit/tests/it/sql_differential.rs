//! The SQL store against the memory store and the rational model, on both databases.

use guardian_ratelimit::SqlStore;
use guardian_sql::testkit::{Fresh, Kind};

use crate::conformance::InSql;
use crate::differential::{self, Pair};

/// The pair, and the database that it needs for as long.
fn pair(kind: Kind) -> (Pair<SqlStore>, Fresh) {
    let InSql { store, clock, fresh, runtime } = InSql::new(kind);
    (Pair::new(runtime, clock, store), fresh)
}

macro_rules! on_both {
    ($($law:ident($($cases:expr)?);)+) => {
        #[cfg(feature = "sqlite")]
        mod sqlite {
            use super::*;
            $(#[test] fn $law() { differential::$law(&pair(Kind::SqliteMemory).0 $(, $cases)?); })+
        }

        #[cfg(feature = "postgres")]
        mod postgres {
            use super::*;
            $(#[test] fn $law() {
                let (pair, _fresh) = pair(Kind::Postgres);
                differential::$law(&pair $(, $cases)?);
            })+
        }
    };
}

on_both! {
    every_decision_is_the_memory_stores(400);
    every_decision_is_the_memory_stores_while_rules_change(200);
    a_bucket_is_exact_at_every_rate(300);
    a_refund_of_what_no_longer_counts_takes_nothing_from_others();
}

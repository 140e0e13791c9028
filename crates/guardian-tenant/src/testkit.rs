//! The laws that every tenant store must obey, to run against your own.
//!
//! Make a [`Fixture`] of your store and let [`store_conformance!`](crate::store_conformance) make one test of
//! each law:
//!
//! ```
//! use std::sync::Arc;
//! use guardian_testkit::InMemory;
//! use guardian_tenant::MemoryStore;
//!
//! guardian_tenant::store_conformance!(InMemory::new(Arc::new(MemoryStore::new())));
//! # fn main() {}
//! ```
//!
//! The kit is outside of semantic versioning: a new law may fail a store that passed before.

use guardian_core::{Clock, Event, IdSource, ManualClock, Scope, SeededIds, TenantId, Timestamp};
use guardian_testkit::ensure;

use crate::store::TenantStore;
use crate::{DisplayName, Plan, Platform, Region, Settings, Status, Tenant, Version};

mod lists;
mod writes;

pub use guardian_testkit::Violation;
pub use lists::{
    a_cursor_of_another_list_is_refused, a_filter_shows_what_matches, each_order_shows_each_tenant_once,
    pages_show_each_tenant_once_in_order, those_due_come_in_order,
};
pub use writes::{
    a_delivered_event_is_forgotten, a_replacement_names_the_version, a_tenant_comes_back_as_it_was_stored,
    a_tenant_reads_itself_and_no_other, a_write_and_its_event_go_together, an_id_is_never_given_twice,
    of_concurrent_replacements_one_wins,
};

/// A store to test: [`InMemory`](guardian_testkit::InMemory), `guardian_sql::testkit::OnSql`, or one of your own.
pub trait Fixture: guardian_testkit::Fixture<Store: TenantStore + Clone> {}

impl<F: guardian_testkit::Fixture<Store: TenantStore + Clone>> Fixture for F {}

/// What laws make tenants and events of.
struct Maker {
    platform: Platform,
    clock: ManualClock,
    ids: SeededIds,
}

impl Maker {
    fn new() -> Result<Self, Violation> {
        let operator = Scope::system(TenantId::new("operator")?);
        let platform = Platform::new(operator, "a law of the test kit")?;
        Ok(Self { platform, clock: ManualClock::new(), ids: SeededIds::new(7) })
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn tenant(&self, id: &str) -> Result<Tenant, Violation> {
        Ok(Tenant {
            id: TenantId::new(id)?,
            name: DisplayName::new(format!("Tenant {id}"))?,
            plan: Plan::new("team")?,
            region: Region::new("eu")?,
            industry: None,
            settings: Settings::new(),
            internal: Settings::new(),
            status: Status::Active,
            version: Version::FIRST,
            created: self.now(),
            updated: self.now(),
        })
    }

    fn event(&self, tenant: &Tenant) -> Event {
        let scope = Scope::system(tenant.id.clone());
        Event::new(self.ids.next_id(self.now()), self.now(), &scope, "tenant.tested")
            .with_data(serde_json::json!({ "version": tenant.version }))
    }
}

/// Makes one `#[test]` of every law, in the module where it is called. The argument makes a new fixture.
#[macro_export]
macro_rules! store_conformance {
    ($fixture:expr) => {
        $crate::store_conformance!(@laws $fixture;
            an_id_is_never_given_twice
            a_replacement_names_the_version
            a_tenant_reads_itself_and_no_other
            a_write_and_its_event_go_together
            a_delivered_event_is_forgotten
            a_tenant_comes_back_as_it_was_stored
            of_concurrent_replacements_one_wins
            pages_show_each_tenant_once_in_order
            a_filter_shows_what_matches
            each_order_shows_each_tenant_once
            a_cursor_of_another_list_is_refused
            those_due_come_in_order
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

//! The laws that every delivery store must obey, to run against your own.
//!
//! Make a [`Fixture`] of your store and let [`delivery_store_tests!`](crate::delivery_store_tests) make one test of each law. The
//! kit is outside of semantic versioning: a new law may fail a store that passed before.

use std::time::Duration;

use guardian_core::{
    Actor, Clock, IdSource, ManualClock, PageRequest, Scope, SeededIds, TenantId, Timestamp,
};
use guardian_testkit::ensure;

use crate::delivery::Attempt;
use crate::endpoint::{Endpoint, EndpointSettings, EndpointStatus};
use crate::health::HealthRules;
use crate::id::{DeliveryId, EndpointId, MessageId};
use crate::message::{Message, Publish};
use crate::store::{Claim, Claimed, DeliveryStore, Enqueue, Next, Settlement};
use crate::time::after;

mod keys;
mod laws;
mod life;
mod text;

pub use guardian_testkit::Violation;
pub use keys::{a_key_is_for_one_message, a_key_is_taken_once, of_two_messages_with_one_key_one_is_stored};
pub use laws::{
    a_breaker_opens_and_lets_one_probe_through, a_cancelled_head_lets_its_lane_go_on,
    a_fence_keeps_out_who_was_too_slow, a_lane_comes_in_order, a_removed_endpoint_takes_its_queue_along,
    a_tenant_sees_its_own_alone, an_endpoint_has_its_concurrency, an_endpoint_has_its_rate,
    an_endpoint_that_is_disabled_waits, an_old_revision_is_refused, bodies_come_back_as_they_were,
    concurrent_claims_share_nothing, dead_letters_come_back, names_that_run_together_share_nothing,
    old_messages_are_forgotten, tenants_take_turns, the_log_shows_what_the_filter_says,
    two_holdings_of_one_delivery_end_in_one_call, what_is_queued_is_held_by_one,
};
pub use life::a_random_life_keeps_every_promise;
pub use text::a_text_is_found_where_it_was_said;

/// A store to test: [`InMemory`](guardian_testkit::InMemory), `guardian_sql::testkit::OnSql`, or one of your own.
pub trait Fixture: guardian_testkit::Fixture<Store: DeliveryStore + Clone> {}

impl<F: guardian_testkit::Fixture<Store: DeliveryStore + Clone>> Fixture for F {}

/// Makes one `#[test]` of every law, in the module where it is called. The argument makes a new fixture.
#[macro_export]
macro_rules! delivery_store_tests {
    ($fixture:expr) => {
        $crate::delivery_store_tests!(@laws $fixture;
            a_breaker_opens_and_lets_one_probe_through
            a_cancelled_head_lets_its_lane_go_on
            a_fence_keeps_out_who_was_too_slow
            a_key_is_for_one_message
            a_key_is_taken_once
            a_lane_comes_in_order
            a_random_life_keeps_every_promise
            a_removed_endpoint_takes_its_queue_along
            a_tenant_sees_its_own_alone
            a_text_is_found_where_it_was_said
            an_endpoint_has_its_concurrency
            an_endpoint_has_its_rate
            an_endpoint_that_is_disabled_waits
            an_old_revision_is_refused
            bodies_come_back_as_they_were
            concurrent_claims_share_nothing
            dead_letters_come_back
            names_that_run_together_share_nothing
            of_two_messages_with_one_key_one_is_stored
            old_messages_are_forgotten
            tenants_take_turns
            the_log_shows_what_the_filter_says
            two_holdings_of_one_delivery_end_in_one_call
            what_is_queued_is_held_by_one
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

const LEASE: Duration = Duration::from_secs(60);

/// A tenant's life in a store, on a clock of its own.
struct World<S> {
    store: S,
    scope: Scope,
    clock: ManualClock,
    ids: SeededIds,
    rules: HealthRules,
}

impl<S: DeliveryStore> World<S> {
    fn new(store: S, tenant: &str) -> Result<Self, Violation> {
        let scope = Scope::new(TenantId::new(tenant)?, Actor::user("ann")?);
        Ok(Self {
            store,
            scope,
            clock: ManualClock::new(),
            ids: SeededIds::new(7),
            rules: HealthRules::default(),
        })
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn draft(&self, settings: EndpointSettings) -> Endpoint {
        let now = self.now();
        Endpoint {
            id: EndpointId::new(self.ids.next_id(now)),
            settings,
            keys: Vec::new(),
            status: EndpointStatus::Enabled,
            created: now,
            revision: 1,
        }
    }

    async fn endpoint(&self, settings: EndpointSettings) -> Result<Endpoint, Violation> {
        let endpoint = self.draft(settings);
        self.store.put_endpoint(&self.scope, &endpoint, self.now()).await?;
        Ok(endpoint)
    }

    async fn plain(&self) -> Result<Endpoint, Violation> {
        self.endpoint(settings()).await
    }

    fn message(&self, to: &[&Endpoint], lane: Option<&str>, kind: &str) -> Result<Enqueue, Violation> {
        let now = self.now();
        let mut publish = Publish::json(kind, &serde_json::json!({"n": 1}))?;
        if let Some(lane) = lane {
            publish = publish.with_ordering_key(lane);
        }
        let message = Message::of(MessageId::new(self.ids.next_id(now)), now, publish);
        let fanout = to
            .iter()
            .map(|endpoint| {
                let lane = lane.filter(|_| endpoint.settings.ordered).map(str::to_owned);
                (DeliveryId::new(self.ids.next_id(now)), endpoint.id, lane)
            })
            .collect();
        Ok(Enqueue { message, fanout, idempotency: None })
    }

    /// Queues so many messages for an endpoint; their deliveries.
    async fn queue(
        &self,
        to: &Endpoint,
        count: usize,
        lane: Option<&str>,
    ) -> Result<Vec<DeliveryId>, Violation> {
        let batch =
            (0..count).map(|_| self.message(&[to], lane, "deal.won")).collect::<Result<Vec<_>, _>>()?;
        self.store.enqueue(&self.scope, &batch).await?;
        Ok(batch.iter().flat_map(|each| each.fanout.iter().map(|(id, ..)| *id)).collect())
    }

    async fn claim(&self, limit: u32) -> Result<Vec<Claimed>, Violation> {
        let now = self.now();
        Ok(self.store.claim(&Claim { now, until: after(now, LEASE), limit }).await?)
    }

    fn settlement(&self, claimed: &Claimed, status: u16, next: Next) -> Settlement {
        Settlement {
            tenant: claimed.tenant.clone(),
            delivery: claimed.delivery,
            endpoint: claimed.endpoint,
            fence: claimed.fence,
            attempt: Some(Attempt {
                number: claimed.attempts + 1,
                started: self.now(),
                latency: Duration::from_millis(3),
                status: Some(status),
                address: None,
                error: None,
                exchange: crate::delivery::Exchange::default(),
            }),
            next,
            health: Some((200..300).contains(&status)),
            pause: None,
        }
    }

    async fn settle(&self, claimed: &Claimed, status: u16, next: Next) -> Result<bool, Violation> {
        let settlement = self.settlement(claimed, status, next);
        let settled = self.store.settle(&[settlement], &self.rules, self.now()).await?;
        Ok(settled.first().is_some_and(|settled| settled.kept))
    }

    async fn succeed(&self, claimed: &Claimed) -> Result<bool, Violation> {
        self.settle(claimed, 200, Next::Ended(crate::DeliveryState::Succeeded, None)).await
    }

    async fn fail(&self, claimed: &Claimed, wait: Duration) -> Result<bool, Violation> {
        self.settle(claimed, 500, Next::At(after(self.now(), wait))).await
    }
}

fn settings() -> EndpointSettings {
    EndpointSettings::new("https://example.com/hooks")
}

fn first(size: u32) -> Result<PageRequest, Violation> {
    Ok(PageRequest::first(size)?)
}

fn ids(claimed: &[Claimed]) -> Vec<DeliveryId> {
    claimed.iter().map(|each| each.delivery).collect()
}

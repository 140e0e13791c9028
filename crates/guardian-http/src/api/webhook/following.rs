//! The newest deliveries and how they change, as server-sent events.

use std::collections::HashMap;

use async_trait::async_trait;
use axum::extract::State;
use axum::response::Response;
use guardian_core::{PageRequest, Scope};
use guardian_webhook::{Delivery, DeliveryFilter, DeliveryId, DeliveryStore};

use super::delivery::WebhookDelivery;
use super::selection::FollowQuery;
use super::{Reached, failed, reads};
use crate::Problem;
use crate::api::streams::{Lasting, News, Source};
use crate::api::{Api, Caller, Kind, Params};

/// How many deliveries are watched.
const WATCHED: u32 = 100;
/// So many pages are read of what came since the last look.
const PAGES: usize = 10;

pub(super) fn declare<S: DeliveryStore>(api: Api<Reached<S>>) -> Api<Reached<S>> {
    let follow = reads("followWebhookDeliveries", "The newest deliveries, and how they change")
        .about(
            "Server-sent events named `delivery`, each with a delivery as its data: first the newest hundred that fit, the oldest of them first, then each that \
             comes and each of the newest hundred that has changed. What comes and ends between two looks is told once, as it is then. Of \
             more than a thousand that came between two looks the newest are told, and an event `skipped` tells that there were others. Events \
             have no id: a client that comes again gets the newest hundred again.",
        )
        .query::<FollowQuery>()
        .streams("event: delivery\ndata: {\"id\":\"dlv_019531a07c0070008000000000000003\",\"state\":\"succeeded\"}\n\n");
    api.get("/webhooks/deliveries/stream", follow, follow_deliveries::<S>)
}

struct Following<S> {
    reached: Reached<S>,
    scope: Scope,
    filter: DeliveryFilter,
    /// Those of the last look, as they were then.
    told: HashMap<DeliveryId, Delivery>,
    /// The newest that was ever told; nothing before the first look.
    newest: Option<Option<DeliveryId>>,
}

#[async_trait]
impl<S: DeliveryStore> Source for Following<S> {
    async fn look(&mut self) -> Result<News, Problem> {
        let (found, skipped) = self.newest().await?;
        let mut news = News::default();
        if skipped {
            news.tell("skipped", &serde_json::json!({}))?;
        }
        for delivery in found.iter().rev().filter(|delivery| self.told.get(&delivery.id) != Some(*delivery)) {
            news.tell("delivery", &WebhookDelivery::from(delivery))?;
        }
        let newest = found.first().map(|delivery| delivery.id);
        self.newest = Some(newest.max(self.newest.flatten()));
        self.told = found.into_iter().map(|delivery| (delivery.id, delivery)).collect();
        Ok(news)
    }
}

impl<S: DeliveryStore> Following<S> {
    /// What is watched now and everything that came since the last look, the newest first; and whether that was too much. One that was
    /// published before another and committed after it is among them as long as it is among those that are watched.
    async fn newest(&self) -> Result<(Vec<Delivery>, bool), Problem> {
        let page = || PageRequest::first(WATCHED).map_err(|error| Kind::Internal.because(error));
        let (mut found, mut request) = (Vec::new(), page()?);
        for _ in 0..PAGES {
            let next = self.reached.webhooks.deliveries(&self.scope, &self.filter, &request).await;
            let next = next.map_err(|error| failed(&error))?;
            found.extend(next.items);
            let reaches_back = match (self.newest, found.last()) {
                (Some(newest), Some(oldest)) => Some(oldest.id) <= newest,
                _ => true,
            };
            let Some(cursor) = next.next.filter(|_| !reaches_back) else { return Ok((found, false)) };
            request = page()?.after(cursor);
        }
        Ok((found, true))
    }
}

async fn follow_deliveries<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    Params(query): Params<FollowQuery>,
    lasting: Lasting,
) -> Result<Response, Problem> {
    let filter = query.selection().filter()?;
    Ok(lasting.stream(Following { reached, scope, filter, told: HashMap::new(), newest: None }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use guardian_core::{ManualClock, SeededIds, TenantId};
    use guardian_webhook::store::MemoryStore;
    use guardian_webhook::{
        AeadVault, Answer, Config, EndpointSettings, EventType, EventTypes, HttpSender, KeyChoice, Publish,
        Request, SendError, Webhooks,
    };
    use serde_json::json;

    use super::*;

    struct World {
        clock: ManualClock,
        webhooks: Webhooks<MemoryStore>,
        scope: Scope,
        following: Following<MemoryStore>,
    }

    #[derive(Debug)]
    struct Nowhere;

    #[async_trait]
    impl HttpSender for Nowhere {
        async fn send(&self, _: Request) -> Result<Answer, SendError> {
            Err(SendError::Connect("nobody sends here".to_owned()))
        }
    }

    impl World {
        async fn new() -> Self {
            let clock = ManualClock::at("2026-03-02T12:00:00Z".parse().unwrap());
            let types = EventTypes::new([EventType::new("deal.won", "A deal was won").unwrap()]);
            let (vault, ids) = (AeadVault::new([7; 32]), SeededIds::new(7));
            let config = Config::default().with_types(types);
            let webhooks = Webhooks::new(MemoryStore::new(), vault, clock.clone(), ids, config);
            let scope = Scope::system(TenantId::new("acme").unwrap());
            let endpoint = EndpointSettings::new("https://example.com/hooks").with_types(["deal.*"]).unwrap();
            webhooks.create_endpoint(&scope, endpoint, KeyChoice::NewSecret).await.unwrap();
            let reached = Reached { webhooks: webhooks.clone(), sender: Arc::new(Nowhere) };
            let following = Following {
                reached,
                scope: scope.clone(),
                filter: DeliveryFilter::new(),
                told: HashMap::new(),
                newest: None,
            };
            Self { clock, webhooks, scope, following }
        }

        async fn publish(&self, count: usize) {
            for _ in 0..count {
                self.clock.advance(Duration::from_millis(1));
                let message = Publish::json("deal.won", &json!({"id": 7})).unwrap();
                self.webhooks.publish(&self.scope, message).await.unwrap();
            }
        }

        /// What a look tells: the names of the events, and the states of the deliveries.
        async fn look(&mut self) -> Vec<String> {
            let text = self.following.look().await.unwrap().text;
            let state = |data: &str| {
                let data: serde_json::Value = serde_json::from_str(data).unwrap();
                data["state"].as_str().unwrap_or("skipped").to_owned()
            };
            text.lines().filter_map(|line| line.strip_prefix("data: ")).map(state).collect()
        }
    }

    #[tokio::test]
    async fn each_delivery_is_told_when_it_comes_and_when_it_has_changed() {
        let mut world = World::new().await;
        assert!(world.look().await.is_empty());
        world.publish(3).await;
        assert_eq!(world.look().await, ["queued"; 3]);
        assert!(world.look().await.is_empty());
        world.publish(1).await;
        assert_eq!(world.look().await, ["queued"]);
        world.webhooks.cancel(&world.scope, &DeliveryFilter::new()).await.unwrap();
        world.publish(1).await;
        assert_eq!(world.look().await, ["cancelled", "cancelled", "cancelled", "cancelled", "queued"]);
        assert!(world.look().await.is_empty());
    }

    #[tokio::test]
    async fn nothing_of_what_came_between_two_looks_is_missing_but_of_very_much_and_that_is_told() {
        let mut world = World::new().await;
        world.publish(150).await;
        assert_eq!(world.look().await.len(), 100, "the newest at first");
        world.publish(950).await;
        let told = world.look().await;
        assert_eq!((told.len(), told.first().unwrap().as_str()), (950, "queued"));
        world.publish(1_001).await;
        let told = world.look().await;
        assert_eq!((told.len(), told.first().unwrap().as_str()), (1_001, "skipped"));
        world.publish(2).await;
        assert_eq!(world.look().await, ["queued"; 2]);
    }

    /// A state is left by some; what is older than what was told then comes into sight, and no more than is watched.
    #[tokio::test]
    async fn a_filter_is_followed_as_deliveries_come_into_it() {
        let mut world = World::new().await;
        world.following.filter.state = Some(guardian_webhook::DeliveryState::Cancelled);
        world.publish(150).await;
        assert!(world.look().await.is_empty());
        world.webhooks.cancel(&world.scope, &DeliveryFilter::new()).await.unwrap();
        assert_eq!(world.look().await.len(), 150);
        world.webhooks.replay(&world.scope, &DeliveryFilter::new()).await.unwrap();
        assert!(world.look().await.is_empty());
        world.webhooks.cancel(&world.scope, &DeliveryFilter::new()).await.unwrap();
        assert_eq!(world.look().await.len(), 100);
    }
}

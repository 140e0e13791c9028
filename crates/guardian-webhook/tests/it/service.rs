//! Deliveries from publishing to their end, on a clock of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use guardian_core::{Clock as _, PageRequest, SeededIds};
use guardian_webhook::tools::payload_diff;
use guardian_webhook::{
    AeadVault, Answer, Breaker, Config, DeliveryFilter, DeliveryState, DisableReason, EndpointSettings,
    EndpointStatus, EventType, EventTypes, HealthRules, KeyChoice, NewKey, PayloadMode, PrivateKey,
    PublicKeys, Publish, Published, RetrySchedule, SendError, Verifier, VerifyError, Webhooks, Worker,
    WorkerConfig,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use super::world::{Scripted, World, world, world_with};

fn settings() -> EndpointSettings {
    EndpointSettings::new("https://example.com/hooks")
}

fn deal() -> Publish {
    Publish::json("deal.won", &json!({"id": 7})).unwrap()
}

fn headers(request: &guardian_webhook::Request) -> HeaderMap {
    request
        .headers
        .iter()
        .map(|(name, value)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

/// Lets time pass until nothing is left to do, and counts the rounds.
async fn drain(world: &World, sender: &Scripted, config: WorkerConfig) {
    let worker = Worker::new(&world.webhooks, sender.clone(), config);
    for _ in 0..2000 {
        worker.run_once().await.unwrap();
        if world.all().await.iter().all(|each| each.state.is_final()) {
            return;
        }
        world.clock.advance(Duration::from_secs(61));
    }
    panic!("it never ended: {:?}", world.all().await);
}

#[tokio::test]
async fn a_delivery_is_tried_by_its_schedule_and_given_up_behind_it() {
    let world = world();
    world.endpoint(settings()).await;
    world.webhooks.publish(&world.acme, deal()).await.unwrap();
    let sender = Scripted::status(500);
    let rules = HealthRules::default().with_failures(1000).unwrap().with_disable_after(None);
    let config = WorkerConfig::default().with_rules(rules);
    let worker = Worker::new(&world.webhooks, sender.clone(), config);
    for attempt in 0..10 {
        let due = world.only().await.0.next_at.expect("it has not ended");
        let wait = (due - world.clock.now()).to_std().unwrap_or_default();
        if attempt > 0 {
            world.clock.advance(wait - Duration::from_millis(1));
            worker.run_once().await.unwrap();
            assert_eq!(sender.requests.lock().len(), attempt, "an attempt came early");
            world.clock.advance(Duration::from_millis(1));
        }
        worker.run_once().await.unwrap();
        assert_eq!(sender.requests.lock().len(), attempt + 1, "an attempt did not come at its time");
    }
    let (delivery, attempts) = world.only().await;
    assert_eq!((delivery.state, attempts.len()), (DeliveryState::Dead, 10));
    assert_eq!(delivery.reason.as_deref(), Some("every attempt of the schedule failed"));
    let spans: Vec<f64> =
        attempts.windows(2).map(|pair| (pair[1].started - pair[0].started).as_seconds_f64()).collect();
    for (span, wait) in spans.iter().zip([5.0, 300.0, 1800.0, 7200.0, 18e3, 36e3, 50.4e3, 72e3, 86.4e3]) {
        assert!((span / wait - 1.0).abs() < 0.11, "{span} s instead of {wait} s");
    }
    assert!(world.events.names().contains(&"webhook.delivery.dead".to_owned()));
}

#[tokio::test]
async fn retry_after_is_honoured_in_both_forms_and_bounded() {
    for (text, least, most) in [
        ("3600", 3600, 3960),
        ("Wed, 01 Jan 2020 02:00:00 GMT", 7200, 7200),
        ("9999999", 86_400, 86_400),
        ("1", 4, 6),
    ] {
        let world = world();
        world.endpoint(settings()).await;
        world.webhooks.publish(&world.acme, deal()).await.unwrap();
        let sender = Scripted::new(move |_, _| Ok(Answer::new(500).with_header("retry-after", text)));
        let begun = world.clock.now();
        world.worker(&sender).run_once().await.unwrap();
        let (delivery, _) = world.only().await;
        let wait = (delivery.next_at.unwrap() - begun).num_seconds();
        assert!((least..=most).contains(&wait), "{text}: {wait}");
    }
}

#[tokio::test]
async fn an_endpoint_that_has_too_much_is_left_alone() {
    let world = world();
    let endpoint = world.endpoint(settings().with_concurrency(1)).await;
    for _ in 0..5 {
        world.webhooks.publish(&world.acme, deal()).await.unwrap();
    }
    let sender = Scripted::new(|number, _| match number {
        1 => Ok(Answer::new(429).with_header("retry-after", "20")),
        _ => Ok(Answer::new(200)),
    });
    world.worker(&sender).run_once().await.unwrap();
    assert_eq!(sender.requests.lock().len(), 1, "messages behind the first went out");
    assert_eq!(world.webhooks.queue(&world.acme, endpoint.id).await.unwrap().open, 5);
    world.clock.advance(Duration::from_secs(23));
    world.worker(&sender).run_once().await.unwrap();
    assert!(world.all().await.iter().all(|each| each.state == DeliveryState::Succeeded));
    let spent: u32 = world.all().await.iter().map(|each| each.attempts).sum();
    assert_eq!(spent, 6, "waiting spent attempts");
}

#[tokio::test]
async fn gone_disables_with_events_before_and_after_and_enabling_goes_on() {
    let world = world();
    let endpoint = world.endpoint(settings()).await;
    world.webhooks.publish(&world.acme, deal()).await.unwrap();
    world.worker(&Scripted::status(410)).run_once().await.unwrap();
    let disabled = world.webhooks.endpoint(&world.acme, endpoint.id).await.unwrap();
    assert!(matches!(disabled.status, EndpointStatus::Disabled { reason: DisableReason::Gone, .. }));
    let names = world.events.names();
    let place = |name: &str| {
        names.iter().position(|each| each == name).unwrap_or_else(|| panic!("{name}: {names:?}"))
    };
    assert!(place("webhook.endpoint.disabling") < place("webhook.endpoint.disabled"));
    let new = world.webhooks.publish(&world.acme, deal()).await.unwrap();
    assert!(matches!(new, Published::New { deliveries: 0, .. }), "a disabled endpoint was queued for");

    world.webhooks.enable_endpoint(&world.acme, endpoint.id).await.unwrap();
    world.clock.advance(Duration::from_secs(6));
    world.worker(&Scripted::status(200)).run_once().await.unwrap();
    let (delivery, attempts) = world.only().await;
    assert_eq!((delivery.state, attempts.len()), (DeliveryState::Succeeded, 2));
}

#[tokio::test]
async fn receivers_can_ask_to_disable_or_to_abort() {
    let world = world();
    let endpoint = world.endpoint(settings()).await;
    world.webhooks.publish(&world.acme, deal()).await.unwrap();
    let abort = Scripted::new(|_, _| Ok(Answer::new(400).with_header("webhook-delivery", "abort-message")));
    world.worker(&abort).run_once().await.unwrap();
    assert_eq!(world.only().await.0.state, DeliveryState::Dead);
    assert_eq!(
        world.webhooks.endpoint(&world.acme, endpoint.id).await.unwrap().status,
        EndpointStatus::Enabled
    );

    world.webhooks.publish(&world.acme, deal()).await.unwrap();
    let disable = Scripted::new(|_, _| Ok(Answer::new(200).with_header("Webhook-Delivery", "disable")));
    world.worker(&disable).run_once().await.unwrap();
    let found = world.webhooks.endpoint(&world.acme, endpoint.id).await.unwrap();
    assert!(matches!(found.status, EndpointStatus::Disabled { reason: DisableReason::Asked, .. }));
    assert_eq!(world.all().await[0].state, DeliveryState::Succeeded);
}

#[tokio::test]
async fn an_endpoint_that_fails_for_days_is_given_up() {
    let world = world();
    let endpoint = world.endpoint(settings()).await;
    let sender = Scripted::new(|_, _| Err(SendError::Connect("refused".into())));
    let worker = world.worker(&sender);
    for _ in 0..(6 * 24) {
        if world.webhooks.endpoint(&world.acme, endpoint.id).await.unwrap().status == EndpointStatus::Enabled
        {
            world.webhooks.publish(&world.acme, deal()).await.unwrap();
        }
        worker.run_once().await.unwrap();
        world.clock.advance(Duration::from_secs(3600));
    }
    let found = world.webhooks.endpoint(&world.acme, endpoint.id).await.unwrap();
    assert!(
        matches!(found.status, EndpointStatus::Disabled { reason: DisableReason::Failing, .. }),
        "{:?}",
        found.status
    );
    let names = world.events.names();
    for name in ["webhook.endpoint.failing", "webhook.endpoint.disabling", "webhook.endpoint.disabled"] {
        assert!(names.iter().any(|each| each == name), "{name}");
    }
    let queue = world.webhooks.queue(&world.acme, endpoint.id).await.unwrap();
    assert!(queue.health.failures > 0 && queue.open > 0, "what was queued is lost: {queue:?}");
    assert_ne!(queue.health.breaker(world.clock.now()), Breaker::Closed);
}

#[tokio::test]
async fn keys_overlap_and_end() {
    let world = world();
    let (endpoint, old) = world.keyed(KeyChoice::NewSecret).await;
    let NewKey::Secret(old) = old else { panic!() };
    let NewKey::Public(new) =
        world.webhooks.rotate_key(&world.acme, endpoint.id, KeyChoice::NewPrivateKey).await.unwrap()
    else {
        panic!()
    };
    let sender = Scripted::status(200);
    let worker = world.worker(&sender);
    let old = Verifier::standard([old], []).unwrap();
    let verifier = Verifier::standard([], [new]).unwrap();
    let send = async || {
        world.webhooks.publish(&world.acme, deal()).await.unwrap();
        worker.run_once().await.unwrap();
        sender.requests.lock().last().unwrap().clone()
    };
    let request = send().await;
    let now = world.clock.now();
    assert!(old.verify(&headers(&request), &request.body, now).is_ok(), "the old key stopped at once");
    assert!(verifier.verify(&headers(&request), &request.body, now).is_ok(), "the new key does not sign");
    world.clock.advance(Duration::from_secs(86_400));
    let request = send().await;
    let now = world.clock.now();
    assert!(matches!(old.verify(&headers(&request), &request.body, now), Err(VerifyError::NoMatch)));
    assert!(verifier.verify(&headers(&request), &request.body, now).is_ok());
    let endpoint = world.webhooks.endpoint(&world.acme, endpoint.id).await.unwrap();
    assert_eq!(PublicKeys::of(&endpoint, now).keys(), [new]);
    let skewed = now + chrono::TimeDelta::seconds(301);
    assert!(matches!(
        verifier.verify(&headers(&request), &request.body, skewed),
        Err(VerifyError::Old { .. })
    ));
    let skewed = now - chrono::TimeDelta::seconds(301);
    assert!(matches!(
        verifier.verify(&headers(&request), &request.body, skewed),
        Err(VerifyError::Future { .. })
    ));
}

#[tokio::test]
async fn one_rotation_is_enough_to_change_the_key_of_the_vault() {
    let world = world();
    let (endpoint, _) = world.keyed(KeyChoice::NewSecret).await;
    let with = |vault: AeadVault| {
        let store = Arc::clone(world.webhooks.store());
        Webhooks::new(store, vault, world.clock.clone(), SeededIds::new(2), Config::default())
    };
    let sent = async |webhooks: &Webhooks<_>| {
        let sender = Scripted::status(200);
        let worker = Worker::new(webhooks, sender.clone(), WorkerConfig::default());
        webhooks.publish(&world.acme, deal()).await.unwrap();
        worker.run_once().await.unwrap();
        let requests = sender.requests.lock();
        requests.len()
    };
    let both = with(AeadVault::new([8; 32]).with_old_key([7; 32]));
    both.rotate_key(&world.acme, endpoint.id, KeyChoice::NewSecret).await.unwrap();
    assert_eq!(sent(&both).await, 1);
    // The one before it has ended: nobody needs what it was sealed with.
    world.clock.advance(Duration::from_secs(86_400));
    let new = with(AeadVault::new([8; 32]));
    assert_eq!(sent(&new).await, 1);

    // A vault that lost its key: until the next rotation nothing is sent, and from then on it is.
    let other = with(AeadVault::new([9; 32]));
    assert_eq!(sent(&other).await, 0);
    other.rotate_key(&world.acme, endpoint.id, KeyChoice::NewSecret).await.unwrap();
    assert_eq!(sent(&other).await, 1);
    let stored = other.endpoint(&world.acme, endpoint.id).await.unwrap();
    assert_eq!(stored.keys.len(), 1);
}

#[tokio::test]
async fn what_is_stored_of_keys_is_sealed() {
    let world = world();
    let private = PrivateKey::from_seed(&[9; 32]);
    let (endpoint, key) = world.keyed(KeyChoice::NewSecret).await;
    let NewKey::Secret(secret) = key else { panic!() };
    let (other, _) = world.keyed(KeyChoice::PrivateKey(private.clone())).await;
    let stored = format!("{}{}", json!(endpoint), json!(other));
    let shown = format!("{endpoint:?}{other:?}{:?}", world.webhooks);
    for secret in [secret.reveal().trim_start_matches("whsec_"), private.reveal().trim_start_matches("whsk_")]
    {
        let beginning = secret.get(..20).unwrap();
        assert!(!stored.contains(beginning) && !shown.contains(beginning));
    }
}

#[tokio::test]
async fn every_mode_is_signed_as_it_is_sent() {
    for mode in [PayloadMode::Plain, PayloadMode::CloudEventsStructured, PayloadMode::CloudEventsBinary] {
        let world = world();
        let (endpoint, key) = world
            .webhooks
            .create_endpoint(
                &world.acme,
                settings().with_mode(mode).with_payload_version("2"),
                KeyChoice::NewSecret,
            )
            .await
            .unwrap();
        let NewKey::Secret(secret) = key else { panic!() };
        let publish = Publish::bytes("deal.won", "application/octet-stream", *b"\xff\x00").unwrap();
        world.webhooks.publish(&world.acme, publish.with_version("2", *b"two")).await.unwrap();
        let sender = Scripted::status(200);
        world.worker(&sender).run_once().await.unwrap();
        let request = sender.requests.lock()[0].clone();
        let verifier = Verifier::standard([secret], []).unwrap();
        let verified = verifier.verify(&headers(&request), &request.body, world.clock.now()).unwrap();
        assert_eq!(verified.id, Some(world.all().await[0].message.to_string()));
        assert_eq!(request.body.as_ref() == b"two", mode != PayloadMode::CloudEventsStructured);
        let _ = endpoint;
    }
}

#[tokio::test]
async fn ordered_lanes_stay_in_order_under_failures_with_several_workers() {
    let world = world();
    world.endpoint(settings().with_ordering(true).with_concurrency(5)).await;
    for at in 0..200_u32 {
        let publish = Publish::json("deal.moved", &json!({"lane": at % 7, "at": at})).unwrap();
        world
            .webhooks
            .publish(&world.acme, publish.with_ordering_key(format!("deal-{}", at % 7)))
            .await
            .unwrap();
    }
    let sender =
        Scripted::new(|number, _| if number % 3 == 0 { Ok(Answer::new(500)) } else { Ok(Answer::new(200)) });
    let rules = HealthRules::default().with_failures(1000).unwrap();
    let config = WorkerConfig::default().with_rules(rules);
    let workers = [(); 3].map(|()| Worker::new(&world.webhooks, sender.clone(), config.clone()));
    for _ in 0..2000 {
        let [a, b, c] = &workers;
        let (a, b, c) = tokio::join!(a.run_once(), b.run_once(), c.run_once());
        a.and(b).and(c).unwrap();
        if world.all().await.iter().all(|each| each.state.is_final()) {
            break;
        }
        world.clock.advance(Duration::from_secs(61));
    }
    assert!(world.all().await.iter().all(|each| each.state == DeliveryState::Succeeded));
    let mut last: HashMap<u64, u64> = HashMap::new();
    for request in sender.requests.lock().iter() {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let (lane, at) = (body["lane"].as_u64().unwrap(), body["at"].as_u64().unwrap());
        let before = last.insert(lane, at).unwrap_or(0);
        assert!(at >= before, "in lane {lane} {at} came behind {before}");
    }
}

#[tokio::test]
async fn what_does_not_do_is_refused_when_it_is_published() {
    let types = EventTypes::new([EventType::new("deal.won", "A deal was won")
        .unwrap()
        .with_schema(json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}))
        .unwrap()]);
    let world = world_with(Config::default().with_types(types).with_max_payload(1000));
    world.endpoint(settings()).await;
    let publish = async |publish: Publish| world.webhooks.publish(&world.acme, publish).await;
    assert!(publish(deal()).await.is_ok());
    assert!(publish(Publish::json("deal.won", &json!({"id": "7"})).unwrap()).await.is_err());
    assert!(publish(Publish::json("deal.lost", &json!({"id": 7})).unwrap()).await.is_err());
    assert!(publish(Publish::bytes("deal.won", "text/plain", *b"\xff").unwrap()).await.is_err());
    assert!(
        publish(Publish::json("deal.won", &json!({"id": 7, "x": "y".repeat(1000)})).unwrap()).await.is_err()
    );
    assert!(publish(deal().with_idempotency_key("")).await.is_err());
    let one = publish(deal().with_idempotency_key("k")).await.unwrap();
    let two = publish(deal().with_idempotency_key("k")).await.unwrap();
    assert_eq!(two, Published::Duplicate { id: one.id() });
    let other = Publish::json("deal.won", &json!({"id": 8})).unwrap().with_idempotency_key("k");
    let reused = publish(other).await.unwrap_err();
    assert_eq!(
        reused.to_string(),
        format!("the idempotency key `k` was used before, for another message ({})", one.id())
    );
    assert_eq!(world.all().await.len(), 2);
    let made = world.webhooks.simulate("deal.won", 3).unwrap();
    assert!(publish(Publish::json("deal.won", &made).unwrap()).await.is_ok());
    for url in ["http://127.0.0.1/", "https://user:p@example.com/", "nonsense", "https://example.com:6379/"] {
        let refused = world
            .webhooks
            .create_endpoint(&world.acme, EndpointSettings::new(url), KeyChoice::NewSecret)
            .await;
        assert!(refused.is_err(), "{url}");
    }
}

#[tokio::test]
async fn dead_letters_are_found_replayed_recovered_and_cancelled() {
    let world = world();
    let endpoint = world.endpoint(settings()).await;
    let schedule = RetrySchedule::new([Duration::ZERO], 0).unwrap();
    let rules = HealthRules::default().with_failures(1000).unwrap();
    let config = WorkerConfig::default().with_schedule(schedule).with_rules(rules);
    for _ in 0..3 {
        world.webhooks.publish(&world.acme, deal()).await.unwrap();
    }
    drain(&world, &Scripted::status(500), config.clone()).await;
    world.clock.advance(Duration::from_secs(10));
    let middle = world.clock.now();
    for _ in 0..600 {
        world.webhooks.publish(&world.acme, deal()).await.unwrap();
    }
    drain(&world, &Scripted::status(503), config.clone()).await;
    world.clock.advance(Duration::from_secs(100));
    assert_eq!(world.webhooks.recover(&world.acme, endpoint.id, middle).await.unwrap(), 600);
    let first = world.all().await.last().unwrap().id;
    assert!(world.webhooks.resend(&world.acme, first).await.unwrap());
    assert!(!world.webhooks.resend(&world.acme, first).await.unwrap(), "what has not ended was sent again");
    let queued = DeliveryFilter::new().state(DeliveryState::Queued).until(middle);
    assert_eq!(world.webhooks.cancel(&world.acme, &queued).await.unwrap(), 1);
    let sender = Scripted::status(200);
    drain(&world, &sender, config.clone()).await;
    assert_eq!(sender.requests.lock().len(), 600);
    assert_eq!(world.webhooks.replay(&world.acme, &DeliveryFilter::new()).await.unwrap(), 603);
    drain(&world, &sender, config).await;
    let all = world.all().await;
    assert!(all.iter().all(|each| each.state == DeliveryState::Succeeded && each.attempts >= 2));
    let (one, two) = {
        let requests = sender.requests.lock();
        (requests[0].clone(), requests[700].clone())
    };
    assert!(payload_diff(&one.body, &two.body).is_empty());
}

#[tokio::test]
async fn an_endpoint_asks_for_nothing_that_can_never_come() {
    let types =
        EventTypes::new([EventType::new("deal.won", "").unwrap(), EventType::new("lead", "").unwrap()]);
    let world = world_with(Config::default().with_types(types));
    let asks = |patterns: &[&'static str]| settings().with_types(patterns.iter().copied()).unwrap();
    for good in [&[][..], &["*"], &["deal.*"], &["deal.won", "lead"]] {
        world.endpoint(asks(good)).await;
    }
    for bad in ["deel.won", "deel.*", "lead.*", "deal"] {
        let settings = asks(&["deal.won", bad]);
        let made = world.webhooks.create_endpoint(&world.acme, settings, KeyChoice::NewSecret).await;
        assert_eq!(made.unwrap_err().to_string(), format!("no event type fits the pattern `{bad}`"));
    }
    let endpoint = world.endpoint(asks(&["lead"])).await;
    let update = async |settings| world.webhooks.update_endpoint(&world.acme, &endpoint, settings).await;
    assert!(update(asks(&["lead", "deel.won"])).await.is_err());

    // What an endpoint asked for while there was such a type does not stand in the way of another change.
    let fewer = EventTypes::new([EventType::new("deal.won", "").unwrap()]);
    let later = Webhooks::new(
        Arc::clone(world.webhooks.store()),
        AeadVault::new([7; 32]),
        world.clock.clone(),
        SeededIds::new(2),
        Config::default().with_types(fewer),
    );
    let described = asks(&["lead"]).with_description("old");
    assert!(later.update_endpoint(&world.acme, &endpoint, described).await.is_ok());
}

#[tokio::test]
async fn a_key_of_a_service_needs_a_service() {
    let world = world();
    let key = KeyChoice::External("kms/1".to_owned());
    let made = world.webhooks.create_endpoint(&world.acme, settings(), key).await;
    assert_eq!(made.unwrap_err().to_string(), "the key `kms/1` cannot be used: the vault has no key service");
}

#[tokio::test]
async fn a_trial_shows_the_full_exchange_and_stores_nothing() {
    let world = world();
    let endpoint = world.endpoint(settings().with_header("x-token", "t0ps3cret").unwrap()).await;
    let sender = Scripted::new(|_, _| Ok(Answer::new(302).with_header("location", "http://127.0.0.1/")));
    let trial = world.webhooks.send_test(&world.acme, endpoint.id, &sender, deal()).await.unwrap();
    assert!(!trial.verdict.success);
    assert!(trial.request.headers.contains(&("x-token".to_owned(), "t0ps3cret".to_owned())));
    assert!(world.all().await.is_empty());

    // The log has the header's name and not its value.
    world.webhooks.publish(&world.acme, deal()).await.unwrap();
    world.worker(&sender).run_once().await.unwrap();
    let (delivery, attempts) = world.only().await;
    assert!(!format!("{attempts:?}").contains("t0ps3cret"));
    let request = world.webhooks.request_for(&world.acme, endpoint.id, delivery.message).await.unwrap();
    assert!(guardian_webhook::tools::curl(&request).contains("webhook-signature: v1,"));
}

#[tokio::test]
async fn a_text_is_looked_for_page_by_page_and_no_page_looks_at_everything() {
    let world = world();
    world.endpoint(settings()).await;
    for number in 0..250 {
        let payload = if number % 100 == 7 { json!({"deal": "d_42"}) } else { json!({"deal": number}) };
        world.webhooks.publish(&world.acme, Publish::json("deal.won", &payload).unwrap()).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
    }
    let all = DeliveryFilter::new();
    // Two at a time: a page looks at forty, and at fewer once it has one, so most hold nothing and still lead on.
    let (mut found, mut pages, mut empty) = (Vec::new(), 0, 0);
    let mut page = PageRequest::first(2).unwrap();
    loop {
        let part = world.webhooks.search(&world.acme, "d_42", &all, &page).await.unwrap();
        pages += 1;
        empty += usize::from(part.items.is_empty());
        found.extend(part.items);
        let Some(next) = part.next else { break };
        page = PageRequest::first(2).unwrap().after(next);
    }
    assert_eq!((found.len(), pages, empty), (3, 8, 5));
    assert!(found.windows(2).all(|pair| pair[0].id > pair[1].id), "{found:?}");
    // With room for all of them they are one page, and the filter holds as well.
    let page = PageRequest::first(100).unwrap();
    let once = world.webhooks.search(&world.acme, "d_42", &all, &page).await.unwrap();
    assert_eq!((once.items, once.next), (found.clone(), None));
    let late = DeliveryFilter::new().since(found[1].created);
    assert_eq!(world.webhooks.search(&world.acme, "d_42", &late, &page).await.unwrap().items, found[..2]);
    for text in [String::new(), "x".repeat(257)] {
        let error = world.webhooks.search(&world.acme, &text, &all, &page).await.unwrap_err().to_string();
        assert!(error.contains("1 to 256 bytes"), "{error}");
    }
}

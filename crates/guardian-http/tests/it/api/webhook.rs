use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use guardian_core::{ManualClock, SystemIds};
use guardian_http::api::webhook::api;
use guardian_webhook::store::MemoryStore;
use guardian_webhook::{
    AeadVault, Answer, Config, EventType, EventTypes, HttpSender, Request, SendError, Webhooks, Worker,
    WorkerConfig,
};
use serde_json::{Value, json};

use super::contract::{Contract, plain, scope, with};

/// Answers as it is told to.
#[derive(Debug, Clone)]
struct Receiver(Arc<Mutex<u16>>);

#[async_trait]
impl HttpSender for Receiver {
    async fn send(&self, request: Request) -> Result<Answer, SendError> {
        if request.url.contains("nowhere") {
            return Err(SendError::Connect("refused".to_owned()));
        }
        let mut answer = Answer::new(*self.0.lock().unwrap()).with_header("x-seen", "yes");
        answer.body = vec![0xff, b'o', b'k'];
        Ok(answer)
    }
}

struct World {
    contract: Contract,
    webhooks: Webhooks<MemoryStore>,
    clock: ManualClock,
    receiver: Receiver,
}

fn world() -> World {
    let clock = ManualClock::at("2026-03-02T12:00:00Z".parse().unwrap());
    let receiver = Receiver(Arc::new(Mutex::new(200)));
    let won = EventType::new("deal.won", "A deal was won")
        .unwrap()
        .with_schema(json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}))
        .unwrap();
    let types = EventTypes::new([won, EventType::new("deal.lost", "A deal was lost").unwrap()]);
    let config = Config::default().with_types(types);
    let (vault, ids) = (AeadVault::new([7; 32]), SystemIds::new());
    let webhooks = Webhooks::new(MemoryStore::new(), vault, clock.clone(), ids, config);
    let contract = Contract::unguarded(api(webhooks.clone(), receiver.clone()));
    World { contract, webhooks, clock, receiver }
}

fn new_endpoint() -> Value {
    json!({
        "url": "https://example.com/hooks", "types": ["deal.*"],
        "headers": {"X-Token": "hush", "x-environment": "live"},
    })
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_else(|| panic!("{value} has no {member}"))
}

#[tokio::test]
async fn the_api_of_webhooks_keeps_its_word() {
    let mut world = world();
    let endpoint = endpoints(&mut world.contract).await;
    keys(&mut world.contract, &endpoint).await;
    trials(&mut world.contract, &endpoint).await;
    let message = messages(&mut world.contract).await;
    deliveries(&mut world, &endpoint, &message).await;
    others(&mut world.contract, &endpoint, &message).await;
    let place = format!("/webhooks/endpoints/{{endpoint={endpoint}}}");
    world.contract.expect(428, "DELETE", &place, plain()).await;
    world.contract.expect(412, "DELETE", &place, plain().if_match("\"1\"")).await;
    world.contract.expect(204, "DELETE", &place, plain().if_match("*")).await;
    world.contract.expect(404, "DELETE", &place, plain().if_match("*")).await;
    world.contract.finish().await;
}

async fn endpoints(contract: &mut Contract) -> String {
    let made = contract.expect(201, "POST", "/webhooks/endpoints", with(new_endpoint())).await;
    assert!(text(&made.body["key"], "secret").starts_with("whsec_"));
    let endpoint = made.body["endpoint"].clone();
    assert_eq!(endpoint["header_names"], json!(["x-token", "x-environment"]));
    let place = format!("/webhooks/endpoints/{{endpoint={}}}", text(&endpoint, "id"));
    let read = contract.expect(200, "GET", &place, plain()).await;
    assert_eq!((&read.body, read.etag.as_deref()), (&endpoint, Some("\"1\"")));
    contract.expect(304, "GET", &place, plain().header("if-none-match", "\"1\"")).await;
    // Nothing that is secret is told again, whichever way one asks.
    let listed = contract.expect(200, "GET", "/webhooks/endpoints", plain()).await;
    for answer in [&read.body, &listed.body] {
        let told = answer.to_string();
        assert!(!told.contains("hush") && !told.contains("whsec_") && !told.contains("sealed"), "{told}");
    }
    // What the host's developer could set is none of the tenant's business.
    let inside = contract
        .expect(422, "POST", "/webhooks/endpoints", with(json!({"url": "http://127.0.0.1:8000/"})))
        .await;
    let detail = inside.body["detail"].as_str().unwrap();
    assert!(detail.contains("127.0.0.1") && !detail.contains("allow_target"), "{detail}");
    for (wrong, status) in [
        (json!({"url": "http://127.0.0.1:5432/"}), 422),
        (json!({"url": "http://example.com:22/"}), 422),
        (json!({"url": "no url"}), 422),
        (json!({"url": "https://example.com", "types": ["contact.*"]}), 422),
        (json!({"url": "https://example.com", "types": ["a b"]}), 400),
        (json!({"url": "https://example.com", "headers": {"Host": "x"}}), 422),
        (json!({"url": "https://example.com", "concurrency": 0}), 422),
        (json!({"url": "https://example.com", "rate": 0}), 422),
        (json!({"url": "https://example.com", "description": "x".repeat(2000)}), 422),
        (json!({"url": "https://example.com", "key": {"value": "whsec_x"}}), 400),
        (
            json!({"url": "https://example.com", "key": {"kind": "ed25519", "value": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}),
            400,
        ),
        (json!({"url": "https://example.com", "key": {"kind": "external"}}), 400),
        (json!({"url": "https://example.com", "colour": "red"}), 400),
    ] {
        contract.expect(status, "POST", "/webhooks/endpoints", with(wrong)).await;
    }
    // Some settings change, and the rest stays.
    let patch =
        with(json!({"description": "Deals", "rate": 50, "headers": {"X-ENVIRONMENT": null, "x-new": "1"}}));
    contract.expect(428, "PATCH", &place, patch.clone()).await;
    let patched = contract.expect(200, "PATCH", &place, patch.clone().if_match("\"1\"")).await;
    assert_eq!(patched.etag.as_deref(), Some("\"2\""));
    assert_eq!(patched.body["header_names"], json!(["x-token", "x-new"]));
    assert_eq!((&patched.body["rate"], &patched.body["url"]), (&json!(50), &endpoint["url"]));
    contract.expect(412, "PATCH", &place, patch.if_match("\"1\"")).await;
    let cleared = contract
        .expect(200, "PATCH", &place, with(json!({"rate": null, "payload_version": "v2"})).if_match("*"))
        .await;
    assert_eq!((&cleared.body["rate"], &cleared.body["payload_version"]), (&Value::Null, &json!("v2")));
    let kept = contract
        .expect(200, "PATCH", &place, with(json!({"mode": "cloud_events_binary"})).if_match("\"3\""))
        .await;
    assert_eq!(
        (&kept.body["payload_version"], &kept.body["mode"]),
        (&json!("v2"), &json!("cloud_events_binary"))
    );
    contract.expect(422, "PATCH", &place, with(json!({"url": "ftp://example.com"})).if_match("*")).await;
    // What one receiver is given goes to no other, unless that is said.
    let moved = json!({"url": "https://example.org/hooks"});
    let refused = contract.expect(422, "PATCH", &place, with(moved).if_match("*")).await;
    assert!(refused.body["detail"].as_str().unwrap().contains("`x-token`"), "{}", refused.body);
    let half = json!({"url": "https://example.org/hooks", "headers": {"X-Token": "9"}});
    contract.expect(422, "PATCH", &place, with(half).if_match("*")).await;
    for (url, headers) in [
        ("https://EXAMPLE.com/elsewhere", json!({})),
        ("https://example.org/hooks", json!({"X-Token": "9", "x-new": "1"})),
        (endpoint["url"].as_str().unwrap(), json!({"X-Token": "1", "x-new": "1"})),
    ] {
        let moved = with(json!({"url": url, "headers": headers})).if_match("*");
        contract.expect(200, "PATCH", &place, moved).await;
    }
    contract.expect(400, "PATCH", &place, with(json!({"revision": 7})).if_match("*")).await;

    let disabled = contract.expect(200, "POST", &format!("{place}/disable"), plain()).await;
    assert_eq!(
        (&disabled.body["enabled"], &disabled.body["disabled_reason"]),
        (&json!(false), &json!("by hand"))
    );
    let again = contract.expect(200, "POST", &format!("{place}/disable"), plain()).await;
    assert_eq!(again.etag, disabled.etag);
    contract.expect(200, "POST", &format!("{place}/enable"), plain()).await;
    // A list in pages.
    for _ in 0..2 {
        contract
            .expect(201, "POST", "/webhooks/endpoints", with(json!({"url": "https://nowhere.example"})))
            .await;
    }
    let page = contract.expect(200, "GET", "/webhooks/endpoints?size=2", plain()).await;
    let next = text(&page.body, "next").to_owned();
    let rest =
        contract.expect(200, "GET", &format!("/webhooks/endpoints?size=2&after={next}"), plain()).await;
    assert_eq!((rest.body["items"].as_array().unwrap().len(), &rest.body["next"]), (1, &Value::Null));
    for wrong in ["after=00", "after=zz", "size=0", "page=1"] {
        contract.expect(400, "GET", &format!("/webhooks/endpoints?{wrong}"), plain()).await;
    }
    text(&endpoint, "id").to_owned()
}

async fn keys(contract: &mut Contract, endpoint: &str) {
    let place = format!("/webhooks/endpoints/{{endpoint={endpoint}}}");
    let none = contract.expect(200, "GET", &format!("{place}/public-keys"), plain()).await;
    assert_eq!(none.body["keys"], json!([]), "a shared secret is no public key");
    let rotate = format!("{place}/rotate-key");
    let new = contract.expect(200, "POST", &rotate, with(json!({"kind": "ed25519"}))).await;
    assert!(text(&new.body, "public").starts_with("whpk_"));
    assert_eq!(new.body["secret"], Value::Null);
    let published = contract.expect(200, "GET", &format!("{place}/public-keys"), plain()).await;
    assert_eq!(published.body["keys"][0]["whpk"], new.body["public"]);
    let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let given = contract.expect(200, "POST", &rotate, with(json!({"value": own}))).await;
    assert_eq!(given.body["secret"], own);
    for _ in 0..2 {
        contract.expect(200, "POST", &rotate, with(json!({}))).await;
    }
    contract.expect(422, "POST", &rotate, with(json!({}))).await; // five are valid
}

async fn trials(contract: &mut Contract, endpoint: &str) {
    let place = format!("/webhooks/endpoints/{{endpoint={endpoint}}}/test");
    let trial = contract
        .expect(200, "POST", &place, with(json!({"event_type": "deal.won", "payload": {"id": 7}})))
        .await;
    assert_eq!((&trial.body["succeeded"], &trial.body["status"]), (&json!(true), &json!(200)));
    assert!(!trial.body.to_string().contains("hush"), "{}", trial.body);
    let made_up = contract.expect(200, "POST", &place, with(json!({"event_type": "deal.won"}))).await;
    assert!(text(&made_up.body, "request_body").contains("\"id\""));
    contract.expect(422, "POST", &place, with(json!({"event_type": "contact.made"}))).await;
    contract.expect(422, "POST", &place, with(json!({"event_type": "deal.lost"}))).await;
    contract.expect(400, "POST", &place, with(json!({"event_type": "a b", "payload": 1}))).await;
    let sign = |key: &str, id: &str| {
        with(json!({"key": key, "id": id, "timestamp": 1_614_265_330, "body": "{\"test\": 2432232314}"}))
    };
    let (key, id) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek");
    let signed = contract.expect(200, "POST", "/webhooks/signatures", sign(key, id)).await;
    assert_eq!(
        signed.body["signature"], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "the example of Standard Webhooks"
    );
    let wrong = contract.expect(400, "POST", "/webhooks/signatures", sign("whsec_short", id)).await;
    assert!(!wrong.body.to_string().contains("short"), "a key is not shown: {}", wrong.body);
}

async fn messages(contract: &mut Contract) -> String {
    let types = contract.expect(200, "GET", "/webhooks/event-types", plain()).await;
    assert_eq!(types.body["items"].as_array().unwrap().len(), 2);
    let of = |name: &str| format!("/webhooks/event-types/{{event_type={name}}}");
    contract.expect(200, "GET", &of("deal.won"), plain()).await;
    contract.expect(404, "GET", &of("deal.moon"), plain()).await;
    let sample = |query: &str| format!("{}/sample{query}", of("deal.won"));
    let one = contract.expect(200, "GET", &sample("?seed=7"), plain()).await;
    let same = contract.expect(200, "GET", &sample("?seed=7"), plain()).await;
    assert_eq!(one.body, same.body);
    contract.expect(400, "GET", &sample("?seed=-1"), plain()).await;
    contract.expect(422, "GET", &format!("{}/sample", of("deal.lost")), plain()).await;

    let won = with(
        json!({"event_type": "deal.won", "payload": {"id": 7}, "versions": {"v1": {"id": "7"}}, "ordering_key": "deal-7"}),
    );
    let keyed = won.clone().header("idempotency-key", "deal-7-won");
    let published = contract.expect(201, "POST", "/webhooks/messages", keyed.clone()).await;
    assert_eq!((&published.body["deliveries"], &published.body["duplicate"]), (&json!(3), &json!(false)));
    let again = contract.expect(200, "POST", "/webhooks/messages", keyed).await;
    assert_eq!((&again.body["id"], &again.body["duplicate"]), (&published.body["id"], &json!(true)));
    let other =
        with(json!({"event_type": "deal.won", "payload": {"id": 8}})).header("idempotency-key", "deal-7-won");
    contract.expect(409, "POST", "/webhooks/messages", other).await;
    for (wrong, status) in [
        (json!({"event_type": "deal.won", "payload": {"id": "seven"}}), 422),
        (json!({"event_type": "deal.moon", "payload": {}}), 422),
        (json!({"event_type": "a b", "payload": {}}), 400),
        (json!({"event_type": "deal.won", "payload": {"id": 1}, "ordering_key": ""}), 422),
        (json!({"event_type": "deal.won"}), 400),
    ] {
        contract.expect(status, "POST", "/webhooks/messages", with(wrong)).await;
    }
    let id = text(&published.body, "id").to_owned();
    let read = contract.expect(200, "GET", &format!("/webhooks/messages/{{message={id}}}"), plain()).await;
    assert_eq!((&read.body["body"], &read.body["versions"]), (&json!("{\"id\":7}"), &json!(["v1"])));
    id
}

async fn deliveries(world: &mut World, endpoint: &str, message: &str) {
    let contract = &mut world.contract;
    let queue = format!("/webhooks/endpoints/{{endpoint={endpoint}}}/queue");
    let waits = contract.expect(200, "GET", &queue, plain()).await;
    assert_eq!(waits.body["open"], 1);
    let worker = Worker::new(&world.webhooks, world.receiver.clone(), WorkerConfig::default());
    worker.run_once().await.unwrap();
    let all =
        contract.expect(200, "GET", &format!("/webhooks/deliveries?message={message}&size=2"), plain()).await;
    let next = text(&all.body, "next").to_owned();
    let rest = contract
        .expect(200, "GET", &format!("/webhooks/deliveries?message={message}&size=2&after={next}"), plain())
        .await;
    assert_eq!(rest.body["items"].as_array().unwrap().len(), 1);
    let mine = format!(
        "/webhooks/deliveries?endpoint={endpoint}&state=succeeded&status=200&event_type=deal.won&since=2026-03-02T00:00:00Z&until=2026-03-03T00:00:00Z"
    );
    let mine = contract.expect(200, "GET", &mine, plain()).await;
    assert_eq!(mine.body["items"].as_array().unwrap().len(), 1);
    let id = text(&mine.body["items"][0], "id").to_owned();
    for (words, found) in [("%22id%22:7", 3), ("nobody%20said%20this", 0)] {
        let said = contract
            .expect(200, "GET", &format!("/webhooks/deliveries?message={message}&text={words}"), plain())
            .await;
        assert_eq!(said.body["items"].as_array().unwrap().len(), found, "{words}");
    }
    for wrong in [
        "state=late",
        "endpoint=7",
        "message=ep_7",
        "event_type=a%20b",
        "status=x",
        "status=99",
        "since=soon",
        "after=00",
        "colour=red",
        "text=",
    ] {
        contract.expect(400, "GET", &format!("/webhooks/deliveries?{wrong}"), plain()).await;
    }
    for (filter, found) in [
        (format!("message={message}"), 3),
        (format!("endpoint={endpoint}&event_type=deal.won&state=succeeded"), 1),
        ("state=cancelled".to_owned(), 0),
    ] {
        let stream = format!("/webhooks/deliveries/stream?{filter}");
        let told = contract.expect(200, "GET", &stream, plain()).await;
        assert_eq!(
            told.body.as_str().unwrap().matches("event: delivery\ndata: {").count(),
            found,
            "{filter}"
        );
    }
    for wrong in ["state=late", "endpoint=7", "since=2026-03-02T00:00:00Z", "size=2"] {
        contract.expect(400, "GET", &format!("/webhooks/deliveries/stream?{wrong}"), plain()).await;
    }
    contract.scope = Some(scope("umbrella"));
    let theirs = format!("/webhooks/deliveries/stream?message={message}");
    let theirs = contract.expect(200, "GET", &theirs, plain()).await;
    assert_eq!(theirs.body, "retry: 2000\n\n", "nothing of another tenant's");
    contract.scope = Some(scope("acme"));
    let place = format!("/webhooks/deliveries/{{delivery={id}}}");
    let log = contract.expect(200, "GET", &place, plain()).await;
    assert_eq!(log.body["attempts"][0]["status"], 200);
    assert_eq!(log.body["attempts"][0]["response_headers"], json!([{"name": "x-seen", "value": "yes"}]));
    assert!(!log.body.to_string().contains("hush"), "{}", log.body);

    let resent = contract.expect(200, "POST", &format!("{place}/resend"), plain()).await;
    assert_eq!(resent.body["resent"], true);
    let open = contract.expect(200, "POST", &format!("{place}/resend"), plain()).await;
    assert_eq!(open.body["resent"], false);
    contract.expect(400, "POST", "/webhooks/deliveries/cancel", with(json!({}))).await;
    contract.expect(400, "POST", "/webhooks/deliveries/replay", with(json!({}))).await;
    contract.expect(400, "POST", "/webhooks/deliveries/cancel", with(json!({"state": "late"}))).await;
    let cancelled = contract
        .expect(200, "POST", "/webhooks/deliveries/cancel", with(json!({"endpoint": endpoint})))
        .await;
    assert_eq!(cancelled.body["deliveries"], 1);
    let replayed = contract
        .expect(
            200,
            "POST",
            "/webhooks/deliveries/replay",
            with(json!({"endpoint": endpoint, "state": "cancelled"})),
        )
        .await;
    assert_eq!(replayed.body["deliveries"], 1);
    // It fails to the end of its schedule, and is recovered when it is well again.
    *world.receiver.0.lock().unwrap() = 500;
    for _ in 0..60 {
        worker.run_once().await.unwrap();
        world.clock.advance(Duration::from_secs(3 * 3600));
    }
    let read = contract.expect(200, "GET", &place, plain()).await;
    assert_eq!(read.body["delivery"]["state"], "dead", "{}", read.body["delivery"]);
    let ill = contract.expect(200, "GET", &queue, plain()).await;
    assert!(ill.body["failures"].as_u64().unwrap() > 0);
    let recover = format!("/webhooks/endpoints/{{endpoint={endpoint}}}/recover");
    let back = contract.expect(200, "POST", &recover, with(json!({"since": "2026-03-01T00:00:00Z"}))).await;
    assert_eq!(back.body["deliveries"], 1);
    let none = contract.expect(200, "POST", &recover, with(json!({"since": "2030-01-01T00:00:00Z"}))).await;
    assert_eq!(none.body["deliveries"], 0);
}

#[tokio::test]
async fn one_thing_that_is_wrong_never_makes_webhooks_fail() {
    let World { mut contract, webhooks, receiver, .. } = world();
    let made = contract.expect(201, "POST", "/webhooks/endpoints", with(new_endpoint())).await;
    let endpoint = text(&made.body["endpoint"], "id").to_owned();
    let won = with(json!({"event_type": "deal.won", "payload": {"id": 7}}));
    let message = contract.expect(201, "POST", "/webhooks/messages", won).await;
    Worker::new(&webhooks, receiver, WorkerConfig::default()).run_once().await.unwrap();
    let log = contract.expect(200, "GET", "/webhooks/deliveries", plain()).await;
    let known = [
        ("endpoint", endpoint.as_str()),
        ("message", text(&message.body, "id")),
        ("delivery", text(&log.body["items"][0], "id")),
        ("event_type", "deal.won"),
    ];
    let sent = contract.mutants(&known).await;
    assert!(sent > 1000, "{sent}");
}

/// What is acme's is to umbrella as if it were not there.
async fn others(contract: &mut Contract, endpoint: &str, message: &str) {
    let log = contract.expect(200, "GET", "/webhooks/deliveries", plain()).await;
    let delivery = text(&log.body["items"][0], "id").to_owned();
    contract.scope = Some(scope("umbrella"));
    let unknown =
        |id: &str| format!("{}{}", id.split_once('_').unwrap().0, "_0000000000000000000000000000000f");
    let test = json!({"event_type": "deal.won", "payload": {"id": 7}});
    for (method, place, id, sent) in [
        ("GET", "/webhooks/endpoints/{endpoint=ID}", endpoint, plain()),
        ("PATCH", "/webhooks/endpoints/{endpoint=ID}", endpoint, with(json!({})).if_match("*")),
        ("DELETE", "/webhooks/endpoints/{endpoint=ID}", endpoint, plain().if_match("*")),
        ("POST", "/webhooks/endpoints/{endpoint=ID}/enable", endpoint, plain()),
        ("POST", "/webhooks/endpoints/{endpoint=ID}/disable", endpoint, plain()),
        ("POST", "/webhooks/endpoints/{endpoint=ID}/rotate-key", endpoint, with(json!({}))),
        ("GET", "/webhooks/endpoints/{endpoint=ID}/public-keys", endpoint, plain()),
        ("GET", "/webhooks/endpoints/{endpoint=ID}/queue", endpoint, plain()),
        ("POST", "/webhooks/endpoints/{endpoint=ID}/test", endpoint, with(test)),
        (
            "POST",
            "/webhooks/endpoints/{endpoint=ID}/recover",
            endpoint,
            with(json!({"since": "2026-03-01T00:00:00Z"})),
        ),
        ("GET", "/webhooks/messages/{message=ID}", message, plain()),
        ("GET", "/webhooks/deliveries/{delivery=ID}", &delivery, plain()),
        ("POST", "/webhooks/deliveries/{delivery=ID}/resend", &delivery, plain()),
    ] {
        let theirs = contract.expect(404, method, &place.replace("ID", id), sent.clone()).await;
        let none = contract.expect(404, method, &place.replace("ID", &unknown(id)), sent).await;
        let words = |body: &Value, id: &str| body.to_string().replace(id, "…");
        assert_eq!(words(&theirs.body, id), words(&none.body, &unknown(id)), "{method} {place}");
    }
    let empty =
        contract.expect(200, "GET", &format!("/webhooks/deliveries?endpoint={endpoint}"), plain()).await;
    assert_eq!(empty.body["items"], json!([]));
    for what in ["cancel", "replay"] {
        let place = format!("/webhooks/deliveries/{what}");
        let touched = contract.expect(200, "POST", &place, with(json!({"endpoint": endpoint}))).await;
        assert_eq!(touched.body["deliveries"], 0, "{what}");
    }
    contract.scope = Some(scope("acme"));
}

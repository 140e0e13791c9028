use guardian_core::{ManualClock, Scope};
use guardian_http::Problem;
use guardian_http::api::sentiment::api;
use guardian_http::api::{Document, Kind, Permit, Unguarded};
use guardian_sentiment::{MemoryStore, Sentiments};
use serde_json::{Value, json};

use super::contract::{Contract, plain, scope, with};

const BAD: &str = "The export is broken again, this is ridiculous!";

fn contract() -> Contract {
    let clock = ManualClock::at("2026-03-02T12:00:00Z".parse().unwrap());
    Contract::unguarded(api(Sentiments::new(MemoryStore::new()).with_clock(clock)))
}

fn message(id: &str, text: &str) -> Value {
    json!({
        "id": id, "text": text, "at": "2026-03-01T09:30:00Z", "segments": ["customer:c_17", "channel:email"],
    })
}

#[tokio::test]
async fn the_api_of_sentiment_keeps_its_word() {
    let mut contract = contract();
    readings(&mut contract).await;
    messages(&mut contract).await;
    series(&mut contract).await;
    learning(&mut contract).await;
    others(&mut contract).await;
    let gone = contract.expect(200, "DELETE", "/sentiment/segments/{segment=customer:c_17}", plain()).await;
    assert_eq!(gone.body, json!({"messages": 3}));
    contract.expect(404, "GET", "/sentiment/messages/{message=m-1}", plain()).await;
    let rest = contract.expect(200, "GET", "/sentiment/segments/{segment=all}/history", plain()).await;
    assert_eq!(rest.body["items"].as_array().unwrap().len(), 1);
    contract.expect(204, "DELETE", "/sentiment", plain()).await;
    contract.expect(404, "GET", "/sentiment/segments/{segment=all}/trend", plain()).await;
    contract.finish().await;
}

/// Lets everybody read, and nobody change anything.
#[derive(Debug)]
struct Readers;

#[async_trait::async_trait]
impl Permit for Readers {
    async fn permit(&self, _: &Scope, permission: &str) -> Result<(), Problem> {
        permission
            .ends_with(":read")
            .then_some(())
            .ok_or_else(|| Kind::Forbidden.because("no more than to read"))
    }
}

#[tokio::test]
async fn who_may_only_read_makes_no_model_be_trained() {
    let document = Document::new("test", "1.0.0", Readers);
    let mut contract = Contract::of(document.with(api(Sentiments::new(MemoryStore::new()))));
    contract.expect(200, "GET", "/sentiment/learning", plain()).await;
    contract.expect(403, "POST", "/sentiment/learning/evaluations", plain()).await;
}

async fn readings(contract: &mut Contract) {
    let read = contract.expect(200, "POST", "/sentiment/readings", with(json!({"text": BAD}))).await;
    assert_eq!(read.body["reading"]["outcome"], "read");
    assert!(read.body["reading"]["sentiment"]["score"].as_f64().unwrap() < 0.0);
    let why = &read.body["explanation"];
    let mut sum = why["bias"].as_f64().unwrap();
    for part in why["parts"].as_array().unwrap() {
        let place = |name: &str| usize::try_from(part[name].as_u64().unwrap()).unwrap();
        assert_eq!(part["text"].as_str(), BAD.get(place("start")..place("end")));
        sum += part["contribution"].as_f64().unwrap();
    }
    assert!((sum - why["margin"].as_f64().unwrap()).abs() < 1e-6);
    // Of a mail, what its writer wrote.
    let mail = json!({"text": format!("Thanks, great!\n\n> {BAD}\n"), "mail": true});
    let mail = contract.expect(200, "POST", "/sentiment/readings", with(mail)).await;
    assert_eq!(mail.body["own_text"].as_str().unwrap().trim(), "Thanks, great!");
    let german = json!({"text": "Das ist leider nicht gut, und ich warte noch."});
    let german = contract.expect(200, "POST", "/sentiment/readings", with(german)).await;
    assert_eq!(
        (&german.body["reading"]["language"], &german.body["explanation"]),
        (&json!("deu"), &Value::Null)
    );
    let empty = contract.expect(200, "POST", "/sentiment/readings", with(json!({"text": ""}))).await;
    assert_eq!(empty.body["reading"]["outcome"], "empty");
    for (length, status) in [(65_536, 200), (65_537, 400)] {
        let text = json!({"text": "é".repeat(length)});
        contract.expect(status, "POST", "/sentiment/readings", with(text)).await;
    }
    // Nothing was kept.
    let none = contract.expect(200, "GET", "/sentiment/segments", plain()).await;
    assert_eq!(none.body["items"], json!([]));
}

async fn messages(contract: &mut Contract) {
    let made = contract.expect(201, "POST", "/sentiment/messages", with(message("m-1", BAD))).await;
    assert_eq!(made.body["entry"]["segments"], json!(["all", "channel:email", "customer:c_17"]));
    assert_eq!(made.body["updates"].as_array().unwrap().len(), 3);
    let again = contract.expect(200, "POST", "/sentiment/messages", with(message("m-1", "Great!"))).await;
    assert_eq!((&again.body["entry"], &again.body["is_new"]), (&made.body["entry"], &json!(false)));
    for (id, text) in [("m-2", "Thank you, it works great now!"), ("m-3", "Still broken.")] {
        contract.expect(201, "POST", "/sentiment/messages", with(message(id, text))).await;
    }
    // One of another customer, from the future.
    let other =
        json!({"id": "m 4/5", "text": "Lovely.", "at": "2027-01-01T00:00:00Z", "segments": ["topic:a/b"]});
    let other = contract.expect(201, "POST", "/sentiment/messages", with(other)).await;
    assert_eq!(other.body["entry"]["at"], "2026-03-02T12:00:00Z");
    contract.expect(200, "GET", "/sentiment/messages/{message=m%204%2F5}", plain()).await;
    for wrong in [
        json!({"id": "", "text": "x"}),
        json!({"id": "a\u{0}", "text": "x"}),
        json!({"id": "x".repeat(201), "text": "x"}),
        json!({"id": "x", "text": "x", "segments": ["moon:1"]}),
        json!({"id": "x", "text": "x", "segments": vec!["all"; 17]}),
        json!({"id": "x", "text": "x", "segments": (0..16).map(|n| format!("topic:{n}")).collect::<Vec<_>>()}),
        json!({"id": "x", "text": "x", "at": "+012026-01-01T00:00:00Z"}),
        json!({"id": "x", "text": "x", "colour": "red"}),
    ] {
        contract.expect(400, "POST", "/sentiment/messages", with(wrong)).await;
    }

    let place = "/sentiment/messages/{message=m-1}";
    let read = contract.expect(200, "GET", place, plain()).await;
    assert_eq!(read.body, made.body["entry"]);
    let said = json!({"text": BAD, "polarity": "positive", "feeling": "satisfied"});
    let correction = format!("{place}/correction");
    let corrected = contract.expect(200, "PUT", &correction, with(said.clone())).await;
    assert_eq!(
        (&corrected.body["score"], &corrected.body["feeling"], &corrected.body["correction"]["by"]),
        (&json!(0.5), &json!("satisfied"), &json!("user:ann"))
    );
    contract.expect(200, "PUT", &correction, with(said)).await;
    contract.expect(400, "PUT", &correction, with(json!({"text": BAD}))).await;
    contract.expect(400, "PUT", &correction, with(json!({"text": BAD, "polarity": "odd"}))).await;
    let feeling = with(json!({"text": BAD, "feeling": "angry"}));
    contract.expect(404, "PUT", "/sentiment/messages/{message=moon}/correction", feeling.clone()).await;
    let angry = contract.expect(200, "PUT", &correction, feeling).await;
    assert_eq!((&angry.body["score"], &angry.body["polarity"]), (&json!(-0.5), &json!("negative")));
}

async fn series(contract: &mut Contract) {
    let listed = contract.expect(200, "GET", "/sentiment/segments?size=3", plain()).await;
    let next = listed.body["next"].as_str().unwrap().to_owned();
    let rest =
        contract.expect(200, "GET", &format!("/sentiment/segments?size=3&after={next}"), plain()).await;
    assert_eq!(rest.body, json!({"items": [{"segment": "topic:a/b"}], "next": null}));
    let one = "/sentiment/segments/{segment=customer:c_17}";
    let first = contract.expect(200, "GET", &format!("{one}/history?size=2"), plain()).await;
    assert_eq!(
        (&first.body["items"][0]["id"], &first.body["items"][1]["id"]),
        (&json!("m-3"), &json!("m-2"))
    );
    let next = first.body["next"].as_str().unwrap();
    let rest = contract.expect(200, "GET", &format!("{one}/history?size=2&after={next}"), plain()).await;
    assert_eq!((&rest.body["items"][0]["id"], &rest.body["next"]), (&json!("m-1"), &Value::Null));
    for wrong in ["after=00", "after=000000000000000000", "after=7fffffffffffffff61", "size=0", "odd=1"] {
        contract.expect(400, "GET", &format!("{one}/history?{wrong}"), plain()).await;
    }
    contract.expect(400, "GET", "/sentiment/segments?after=6d6f6f6e", plain()).await;
    let trend = contract.expect(200, "GET", &format!("{one}/trend"), plain()).await;
    assert_eq!((&trend.body["messages"], &trend.body["days"][0]["date"]), (&json!(3), &json!("2026-03-01")));
    contract.expect(404, "GET", "/sentiment/segments/{segment=customer:moon}/trend", plain()).await;
    contract.expect(400, "GET", "/sentiment/segments/{segment=moon}/trend", plain()).await;
    contract.expect(200, "GET", "/sentiment/segments/{segment=topic:a%2Fb}/trend", plain()).await;
    let chart = contract.expect(200, "GET", &format!("{one}/chart?width=300"), plain()).await;
    assert!(chart.body.as_str().unwrap().starts_with("<svg "));
    for wrong in ["width=15", "height=4001", "width=-1"] {
        contract.expect(400, "GET", &format!("{one}/chart?{wrong}"), plain()).await;
    }
    let told = contract.expect(200, "POST", "/sentiment/alarms/relay", plain()).await;
    assert_eq!(told.body["alarms"], 0);
}

async fn learning(contract: &mut Contract) {
    let state = contract.expect(200, "GET", "/sentiment/learning", plain()).await;
    assert_eq!(state.body, json!({"version": 2}), "a read trains nothing");
    let found = contract.expect(200, "POST", "/sentiment/learning/evaluations", plain()).await;
    assert_eq!((&found.body["version"], &found.body["shadow"]["messages"]), (&json!(2), &json!(1)));
    let right = json!({"text": "Still broken.", "polarity": "very_negative"});
    let place = "/sentiment/messages/{message=m-3}/correction";
    contract.expect(200, "PUT", place, with(right.clone())).await;
    let back =
        contract.expect(200, "POST", "/sentiment/learning/roll-back", with(json!({"version": 2}))).await;
    assert!(back.body["version"].is_u64());
    let found = contract.expect(200, "POST", "/sentiment/learning/evaluations", plain()).await;
    assert_eq!(found.body["shadow"]["messages"], 1);
    contract.expect(204, "DELETE", "/sentiment/learning", plain()).await;
    let state = contract.expect(200, "POST", "/sentiment/learning/evaluations", plain()).await;
    assert_eq!(state.body["shadow"], json!(null), "nothing is learned, so there is nothing to compare");
    // The history keeps what was said.
    let kept = contract.expect(200, "GET", "/sentiment/messages/{message=m-3}", plain()).await;
    assert_eq!(kept.body["polarity"], "very_negative");
}

/// Another tenant knows nothing of it, and changes nothing.
async fn others(contract: &mut Contract) {
    contract.scope = Some(scope("umbrella"));
    contract.expect(404, "GET", "/sentiment/messages/{message=m-1}", plain()).await;
    let said = with(json!({"text": BAD, "polarity": "positive"}));
    contract.expect(404, "PUT", "/sentiment/messages/{message=m-1}/correction", said).await;
    let one = "/sentiment/segments/{segment=customer:c_17}";
    let none = contract.expect(200, "GET", &format!("{one}/history"), plain()).await;
    assert_eq!(none.body["items"], json!([]));
    contract.expect(404, "GET", &format!("{one}/trend"), plain()).await;
    contract.expect(404, "GET", &format!("{one}/chart"), plain()).await;
    let none = contract.expect(200, "DELETE", one, plain()).await;
    assert_eq!(none.body["messages"], 0);
    let none = contract.expect(200, "GET", "/sentiment/segments", plain()).await;
    assert_eq!(none.body["items"], json!([]));
    contract.expect(204, "DELETE", "/sentiment", plain()).await;
    let state = contract.expect(200, "GET", "/sentiment/learning", plain()).await;
    assert_eq!(state.body, json!({"version": 0}));
    contract.scope = Some(scope("acme"));
    contract.expect(200, "GET", "/sentiment/messages/{message=m-1}", plain()).await;
}

#[tokio::test]
async fn one_thing_that_is_wrong_never_makes_sentiment_fail() {
    let mut contract = contract();
    contract.expect(201, "POST", "/sentiment/messages", with(message("m-1", BAD))).await;
    let known = [("message", "m-1"), ("segment", "customer:c_17")];
    let sent = contract.mutants(&known).await;
    assert!(sent > 500, "{sent}");
}

#[test]
fn sentiment_takes_two_permissions() {
    let document = Document::new("test", "1.0.0", Unguarded).with(api(Sentiments::new(MemoryStore::new())));
    let permissions: Vec<_> = document.permissions().into_iter().collect();
    assert_eq!(permissions, ["sentiment:manage", "sentiment:read"]);
}

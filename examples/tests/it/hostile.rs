//! Clients that mean harm, against the CRM as it is served: each is answered with a status of 4xx or cut off, nobody learns what another
//! tenant has, memory stays bounded, and who means well is answered meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Reply, Server};

const ACME: Option<&str> = Some("acme-website-key");
const GLOBEX: Option<&str> = Some("globex-website-key");

/// A head of globex's up to its last field.
fn head(method: &str, target: &str, more: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: crm\r\nAuthorization: Bearer globex-website-key\r\n\
         Content-Type: application/json\r\n{more}"
    )
}

fn connect(crm: &Server) -> TcpStream {
    let stream = TcpStream::connect(crm.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// What is answered to these bytes.
fn answer(crm: &Server, bytes: &[u8]) -> Reply {
    let mut stream = connect(crm);
    // The answer may come, and the connection end, before all of it is sent.
    drop(stream.write_all(bytes));
    Reply::of(&mut stream)
}

fn is_problem(reply: &Reply, status: u16, kind: &str) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.field("content-type"), ["application/problem+json"], "{reply:?}");
    assert_eq!(reply.text("type"), format!("urn:guardian:problem:{kind}"), "{reply:?}");
}

#[test]
fn slow_bodies_and_slow_heads_are_not_waited_for() {
    let crm = &Server::start("crm");
    std::thread::scope(|scope| {
        // Ten of a hundred bytes, and no more.
        scope.spawn(|| {
            let begun = Instant::now();
            let bytes = head("POST", "/contacts", "Content-Length: 100\r\n\r\n{\"name\":\"A");
            let reply = answer(crm, bytes.as_bytes());
            is_problem(&reply, 408, "body-too-slow");
            assert_eq!(reply.field("connection"), ["close"]);
            let took = begun.elapsed();
            assert!((9..20).contains(&took.as_secs()), "{took:?}");
        });
        // A byte each second.
        scope.spawn(|| {
            let mut stream = connect(crm);
            stream
                .write_all(head("POST", "/v1/audit/events", "Content-Length: 1000\r\n\r\n").as_bytes())
                .unwrap();
            let begun = Instant::now();
            while stream.write_all(b" ").is_ok() && begun.elapsed() < Duration::from_secs(29) {
                std::thread::sleep(Duration::from_secs(1));
            }
            is_problem(&Reply::of(&mut stream), 408, "body-too-slow");
            assert!((28..40).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
        });
        // A head that never ends, a byte each second; and one that never begins.
        for drips in [true, false] {
            scope.spawn(move || {
                let mut stream = connect(crm);
                let begun = Instant::now();
                if drips {
                    stream.write_all(b"GET /contacts HTTP/1.1\r\nX-Slow: ").unwrap();
                    while stream.write_all(b"x").is_ok() && begun.elapsed() < Duration::from_secs(30) {
                        std::thread::sleep(Duration::from_millis(500));
                    }
                }
                let mut answered = Vec::new();
                drop(stream.read_to_end(&mut answered));
                assert!(answered.is_empty(), "{:?}", String::from_utf8_lossy(&answered));
                assert!((9..20).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
            });
        }
        // Who is nobody is refused without anybody waiting for the body.
        scope.spawn(|| {
            let begun = Instant::now();
            let reply = answer(crm, b"POST /contacts HTTP/1.1\r\nHost: crm\r\nContent-Length: 100\r\n\r\n{");
            is_problem(&reply, 401, "unauthenticated");
            assert!(begun.elapsed() < Duration::from_secs(5));
        });
    });
}

#[test]
fn what_is_too_long_is_refused() {
    let crm = Server::start("crm");
    let before = crm.resident_kib();
    // Declared, and not sent: nothing is waited for.
    for target in ["/contacts", "/v1/audit/events"] {
        let bytes = head("POST", target, "Content-Length: 99999999999\r\n\r\n");
        is_problem(&answer(&crm, bytes.as_bytes()), 413, "too-large");
    }
    // Not declared, and sent: 64 MiB in chunks, of which 64 KiB are read.
    let mut stream = connect(&crm);
    stream.write_all(head("POST", "/contacts", "Transfer-Encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let sent = (0..1024).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok()).count();
    assert!(sent < 1024, "all of it was taken");
    // The server has answered and reset the connection; whether the answer still got through is up to the network.
    let mut stream = connect(&crm);
    let two = format!("{}{chunk}{chunk}", head("POST", "/contacts", "Transfer-Encoding: chunked\r\n\r\n"));
    stream.write_all(two.as_bytes()).unwrap();
    is_problem(&Reply::of(&mut stream), 413, "too-large");

    // Heads: one long field, many fields, many long ones, a long target.
    let long = "x".repeat(64 << 10);
    let many: String = (0..500).map(|n| format!("X-{n}: 1\r\n")).collect();
    let bombs = [
        (head("GET", "/contacts", &format!("X-Long: {long}\r\n\r\n")), 431..=431),
        (head("GET", "/contacts", &format!("{many}\r\n")), 431..=431),
        (head("GET", "/contacts", &format!("Cookie: {long}\r\n").repeat(64)), 431..=431),
        (head("GET", &format!("/contacts?{long}{long}"), "\r\n"), 414..=431),
    ];
    for (bomb, expected) in bombs {
        let reply = answer(&crm, bomb.as_bytes());
        assert!(expected.contains(&reply.status), "{} to {:.60}", reply.status, bomb);
    }
    if let (Some(before), Some(after)) = (before, crm.resident_kib()) {
        assert!(after < before + (48 << 10), "{before} KiB before and {after} KiB after");
    }
    assert_eq!(crm.send("GET", "/contacts", GLOBEX, "").status, 200);
}

#[test]
fn nonsense_is_told_so() {
    let crm = Server::start("crm");
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let deep_inside = format!(r#"{{"name":{deep}}}"#);
    let bodies = [
        "",
        "{",
        "nul",
        "{\"name\":}",
        "[]",
        "7",
        "\"\"",
        "{\"name\":7}",
        "{\"name\":null}",
        "{\"name\":{\"a\":1}}",
        "{\"name\":\"\\ud800\"}",
        "{\"name\":1e999}",
        "{\"name\":\"a\",\"name\":\"b\"}",
        deep.as_str(),
        deep_inside.as_str(),
    ];
    let targets = [
        "/contacts",
        "/deals",
        "/notes",
        "/webhooks",
        "/v1/audit/events",
        "/v1/webhooks/endpoints",
        "/v1/groups",
    ];
    for target in targets {
        for body in bodies {
            let reply = crm.send("POST", target, GLOBEX, body);
            assert!((400..500).contains(&reply.status), "{target} {body:.40}: {reply:?}");
            assert_eq!(reply.field("content-type"), ["application/problem+json"], "{target} {body:.40}");
        }
        for kind in [
            "text/plain",
            "application/xml",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded",
            "",
        ] {
            let fields = format!("Authorization: Bearer globex-website-key\r\nContent-Type: {kind}\r\n");
            let reply = crm.raw("POST", target, &fields, r#"{"name":"Ada"}"#);
            assert!((400..500).contains(&reply.status), "{target} as {kind}: {reply:?}");
        }
    }
    // What is no HTTP, and requests that two servers would read in two ways.
    for bytes in [
        "\x16\x03\x01\x02\x00\x01\x00",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST /contacts HTTP/1.1\r\nHost: crm\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        "POST /contacts HTTP/1.1\r\nHost: crm\r\nContent-Length: -1\r\n\r\n",
        "POST /contacts HTTP/1.1\r\nHost: crm\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST /contacts HTTP/1.1\r\nHost: crm\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let reply = answer(&crm, bytes.as_bytes());
        assert!((400..506).contains(&reply.status) && reply.status != 500, "{bytes:?}: {reply:?}");
    }
}

/// What is answered to an id, apart from the id itself.
fn shape(reply: &Reply, id: &str) -> (u16, Vec<String>, String) {
    let names = reply.head.lines().skip(1).filter_map(|line| Some(line.split_once(':')?.0.to_owned()));
    (reply.status, names.collect(), reply.text.replace(id, "ID"))
}

/// Globex has one of each; acme asks for it, and for one that nobody has, by every operation with a name in its path.
#[test]
fn what_another_tenant_has_is_as_if_it_were_not_there() {
    let crm = Server::start("crm").unlimited("acme");
    let globex =
        "Authorization: Bearer globex-website-key\r\nIf-Match: *\r\nContent-Type: application/json\r\n";
    let hook = r#"{"url":"https://hooks.example.com/crm","types":["deal.*"]}"#;
    let endpoint = crm.send("POST", "/webhooks", GLOBEX, hook).text("id").to_owned();
    let deal = crm.send("POST", "/deals", GLOBEX, r#"{"title":"Fleet","amount_cents":990000,"stage":"won"}"#);
    let contact = crm.send("POST", "/contacts", GLOBEX, r#"{"name":"Ada"}"#);
    let role = r#"{"id":"of-globex","title":"Of globex alone","rules":[]}"#;
    let put = crm.raw("PUT", "/v1/roles/of-globex", globex, role);
    assert!(put.status < 300, "{put:?}");
    let definition =
        crm.send("GET", "/v1/workflows/follow-up", GLOBEX, "").body["draft"]["definition"].clone();
    let saved = crm.raw(
        "PUT",
        "/v1/workflows/of-globex",
        &globex.replace("If-Match: *", "If-Match: \"0\""),
        &json!({ "definition": definition }).to_string(),
    );
    assert!(saved.status < 300, "{saved:?}");
    let first = |path: &str| -> String {
        for _ in 0..200 {
            if let Some(id) = crm.send("GET", path, GLOBEX, "").body["items"][0]["id"].as_str() {
                return id.to_owned();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("nothing at {path}")
    };
    let delivery = first("/v1/webhooks/deliveries");
    let message = crm.send("GET", "/v1/webhooks/deliveries", GLOBEX, "").body["items"][0]["message"].clone();
    let message = message.as_str().unwrap().to_owned();
    let run = first("/v1/runs");
    let theirs = BTreeMap::from([
        ("endpoint", endpoint.as_str()),
        ("delivery", delivery.as_str()),
        ("message", message.as_str()),
        ("run", run.as_str()),
        ("role", "of-globex"),
        ("workflow", "of-globex"),
    ]);
    // The same id with its last two characters turned around is one that nobody has.
    let nobodys = |id: &str| if id == "of-globex" { "of-nobody".to_owned() } else { turned(id) };

    let document = crm.send("GET", "/v1/openapi.json", ACME, "").body;
    let mut seen = BTreeSet::new();
    let mut compared = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let of: Vec<_> = theirs.keys().filter(|name| path.contains(&format!("{{{name}}}"))).collect();
        let [name] = of[..] else { continue };
        if path.starts_with("/platform/") {
            continue;
        }
        let (there, nowhere) = (theirs[name], nobodys(theirs[name]));
        for (method, operation) in item.as_object().unwrap() {
            if operation["responses"]["200"]["content"]["text/event-stream"].is_object() {
                continue;
            }
            // A role or a workflow may be made under any name: the tenant's own, whatever others have.
            if method == "put" && path.ends_with('}') && matches!(*name, "role" | "workflow") {
                continue;
            }
            let ask = |id: &str| ask(&crm, method, path, name, id, operation);
            let (theirs, nobodys) = (ask(there), ask(&nowhere));
            assert_eq!(shape(&theirs, there), shape(&nobodys, &nowhere), "{method} {path}");
            assert!(theirs.status >= 400, "{method} {path}: {theirs:?}");
            compared += 1;
        }
        seen.insert(*name);
    }
    assert_eq!(seen.len(), theirs.len(), "{seen:?}");
    assert!(compared >= 30, "{compared}");
    for (path, id) in [("/deals", deal.text("id")), ("/contacts", contact.text("id"))] {
        for (method, body) in
            [("GET", ""), ("DELETE", ""), ("PUT", r#"{"name":"x","title":"x","amount_cents":1}"#)]
        {
            let ask = |id: &str| crm.send(method, &format!("{path}/{id}"), ACME, body);
            let nowhere = turned(id);
            assert_eq!(shape(&ask(id), id), shape(&ask(&nowhere), &nowhere), "{method} {path}");
        }
    }
    // All of it is there still, and globex may read it.
    assert_eq!(crm.send("GET", &format!("/v1/webhooks/endpoints/{endpoint}"), GLOBEX, "").status, 200);
    assert_eq!(crm.send("GET", "/v1/roles/of-globex", GLOBEX, "").text("title"), "Of globex alone");
    assert_eq!(crm.send("GET", &format!("/v1/runs/{run}"), GLOBEX, "").status, 200);
}

/// An id of the same form that is another one.
fn turned(id: &str) -> String {
    let flip = |c: char| if c == '0' { '1' } else { '0' };
    let (kept, last) = id.split_at(id.len() - 1);
    format!("{kept}{}", last.chars().map(flip).collect::<String>())
}

/// One operation as the document says, with its examples, from an address of its own.
fn ask(crm: &Server, method: &str, path: &str, name: &str, id: &str, operation: &Value) -> Reply {
    static ADDRESS: AtomicU32 = AtomicU32::new(0);
    let address = ADDRESS.fetch_add(1, Ordering::Relaxed);
    let mut fields = format!(
        "Authorization: Bearer acme-website-key\r\nIf-Match: *\r\nX-Forwarded-For: 198.18.{}.{}\r\n",
        address / 250,
        address % 250
    );
    let mut target = format!("/v1{}", path.replace(&format!("{{{name}}}"), id));
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] == "path" && parameter["name"] != name {
            let (other, example) =
                (parameter["name"].as_str().unwrap(), parameter["example"].as_str().unwrap());
            target = target.replace(&format!("{{{other}}}"), example);
        }
        if parameter["in"] == "query" && parameter["required"] == true {
            let (other, example) = (parameter["name"].as_str().unwrap(), &parameter["example"]);
            let between = if target.contains('?') { '&' } else { '?' };
            target.push_str(&format!(
                "{between}{other}={}",
                example.as_str().map_or(example.to_string(), str::to_owned)
            ));
        }
    }
    let mut body = String::new();
    if let Some((kind, content)) =
        operation["requestBody"]["content"].as_object().and_then(|all| all.iter().next())
    {
        fields.push_str(&format!("Content-Type: {kind}\r\n"));
        body = content["example"].as_str().map_or(content["example"].to_string(), str::to_owned);
    }
    crm.raw(&method.to_uppercase(), &target, &fields, &body)
}

/// A request that is sent again, by somebody who has recorded it or whose network lost the answer, does nothing a second time.
#[test]
fn replays_do_nothing_a_second_time() {
    let crm = Server::start("crm");
    let fields = "Authorization: Bearer globex-website-key\r\nContent-Type: application/json\r\nIdempotency-Key: \"once\"\r\n";
    let used = || crm.send("GET", "/usage", GLOBEX, "").body["usage"]["records"]["used"].clone();
    let spend = |amount: u32| {
        let body = json!({"subject": "org", "amount": amount}).to_string();
        crm.raw("POST", "/v1/quotas/features/records/consume", fields, &body)
    };
    let first = spend(3);
    assert_eq!(first.status, 200, "{first:?}");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(spend(3).status, 200));
        }
    });
    assert_eq!(used(), json!(3));
    let other = spend(4);
    assert!((400..500).contains(&other.status), "{other:?}");
    assert_eq!(used(), json!(3));

    let begin = |input: u32| {
        crm.raw("POST", "/v1/workflows/follow-up/runs", fields, &json!({"input": {"n": input}}).to_string())
    };
    let run = begin(1);
    assert_eq!(run.status, 201, "{run:?}");
    let again = begin(1);
    assert_eq!((again.status, again.text("id")), (201, run.text("id")));
    let other = begin(2);
    assert!(other.status == 409 || other.body["id"] == run.body["id"], "{other:?}");
    // The key is the tenant's own: another one's request of that name is its own request.
    let acme = fields.replace("globex-website-key", "acme-website-key");
    let theirs = crm.raw("POST", "/v1/workflows/follow-up/runs", &acme, r#"{"input":{"n":1}}"#);
    assert_ne!(theirs.body["id"], run.body["id"], "{theirs:?}");
}

/// Ten thousand connections that say nothing, or half of a head: there is room for 4,096, those that have waited longest give theirs, and all of
/// them are ended after ten seconds.
#[test]
fn ten_thousand_connections_keep_nobody_out() {
    const MANY: usize = 10_000;
    let crm = Server::start("crm");
    assert_eq!(crm.send("GET", "/contacts", GLOBEX, "").status, 200);
    let before = crm.resident_kib();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let honest = scope.spawn(|| {
            let mut slowest = Duration::ZERO;
            let mut answered = 0_u32;
            while !done.load(Ordering::Relaxed) {
                let begun = Instant::now();
                assert_eq!(crm.send("GET", "/contacts", GLOBEX, "").status, 200);
                slowest = slowest.max(begun.elapsed());
                answered += 1;
                std::thread::sleep(Duration::from_millis(70));
            }
            (answered, slowest)
        });
        let begun = Instant::now();
        let mut open = Vec::with_capacity(MANY);
        while open.len() < MANY {
            // A machine with fewer open files has fewer connections.
            let Ok(mut stream) = TcpStream::connect(crm.address()) else { break };
            if open.len() % 2 == 0 {
                drop(stream.write_all(b"GET /contacts HTTP/1.1\r\nHost: crm\r\nX-Slow: "));
            }
            open.push(stream);
        }
        let (opened, opening) = (open.len(), begun.elapsed());
        let during = crm.resident_kib();
        // Each ends without an answer, the last one ten seconds after it began.
        for stream in &mut open {
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let mut byte = [0];
            if let Err(error) = stream.read(&mut byte).map(|read| assert_eq!(read, 0)) {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
            }
        }
        let ended = begun.elapsed();
        done.store(true, Ordering::Relaxed);
        let (answered, slowest) = honest.join().unwrap();
        println!(
            "{opened} connections in {opening:?}, all ended after {ended:?}; resident {before:?} KiB before, {during:?} KiB with them; \
             {answered} honest requests, the slowest took {slowest:?}"
        );
        assert!(opened >= 500, "{opened}");
        assert!(ended < opening + Duration::from_secs(20), "{ended:?}");
        assert!(slowest < Duration::from_secs(5), "{slowest:?}");
        assert!(answered > 20, "{answered}");
        if let (Some(before), Some(during)) = (before, during) {
            // 4,096 places of 32 KiB at most.
            assert!(during < before + (128 << 10), "{before} KiB before and {during} KiB with them");
        }
    });
}

//! Streams of the CRM as it is served.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Reply, Server};

const GLOBEX: &str = "globex-website-key";
const ACME: &str = "acme-website-key";

/// Begins a stream and reads its head.
fn begin(crm: &Server, target: &str, key: &str, more: &str) -> (u16, BufReader<TcpStream>) {
    let mut stream = TcpStream::connect(crm.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: crm\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    (status, reader)
}

/// The id of the next event that has this name; nothing when the stream ends.
fn next_id(reader: &mut BufReader<TcpStream>, name: &str) -> Option<u64> {
    let (mut id, mut named) = (None, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(number) = line.strip_prefix("id: ") {
            id = number.trim().parse().ok();
        } else if let Some(text) = line.strip_prefix("event: ") {
            named = text.trim() == name;
        } else if line.trim().is_empty() && named {
            return id;
        }
    }
}

const CONTACTS: &str = "/v1/audit/events/stream?q=action:contact.created";

/// A client that loses its connection again and again, and once its server, has each event once and in order.
#[test]
fn a_stream_goes_on_where_it_was() {
    const EVENTS: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let db = format!("sqlite://{}", folder.path().join("crm.db").display());
    let mut crm = Server::start_on("crm", &db);
    let (status, mut first) = begin(&crm, CONTACTS, GLOBEX, "");
    assert_eq!(status, 200);
    let add = |crm: &Server, n: usize| {
        let made =
            crm.send("POST", "/contacts", Some(GLOBEX), &json!({ "name": format!("c{n}") }).to_string());
        assert_eq!(made.status, 201);
    };
    add(&crm, 0);
    let mut seen = vec![next_id(&mut first, "audit").unwrap()];
    drop(first);
    for round in 1..4 {
        if round == 2 {
            drop(crm);
            crm = Server::start_on("crm", &db);
        }
        std::thread::scope(|scope| {
            let crm = &crm;
            scope.spawn(move || (0..EVENTS).for_each(|n| add(crm, round * EVENTS + n)));
            let wanted = 1 + round * EVENTS;
            while seen.len() < wanted {
                let last = format!("Last-Event-ID: {}\r\n", seen.last().unwrap());
                let (status, mut reader) = begin(crm, CONTACTS, GLOBEX, &last);
                assert_eq!(status, 200);
                // A few, and then the connection is lost.
                for _ in 0..(wanted - seen.len()).min(7) {
                    seen.push(next_id(&mut reader, "audit").unwrap());
                }
            }
        });
    }
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 1 + 3 * EVENTS, "one came twice");
    let all = crm.send("GET", "/v1/audit/count?q=action:contact.created", Some(GLOBEX), "");
    assert_eq!(all.body["count"], json!(1 + 3 * EVENTS), "one is missing");
}

#[test]
fn a_run_is_followed_to_its_end() {
    let crm = Server::start("crm");
    let made =
        crm.send("POST", "/deals", Some(GLOBEX), r#"{"title":"Fleet","amount_cents":990000,"stage":"won"}"#);
    assert_eq!(made.status, 201);
    let run = (0..200).find_map(|_| {
        let runs = crm.send("GET", "/v1/runs", Some(GLOBEX), "");
        let id = runs.body["items"][0]["id"].as_str().map(str::to_owned);
        if id.is_none() {
            std::thread::sleep(Duration::from_millis(50));
        }
        id
    });
    let target = format!("/v1/runs/{}/history/stream", run.unwrap());
    let (status, mut reader) = begin(&crm, &target, GLOBEX, "");
    assert_eq!((status, next_id(&mut reader, "entry")), (200, Some(1)));
    assert!(next_id(&mut reader, "end").is_some());
    assert_eq!(next_id(&mut reader, "entry"), None, "the stream ends with the run");
    assert_eq!(begin(&crm, &target, ACME, "").0, 404);
}

#[test]
fn streams_are_of_a_tenant_take_a_permission_and_are_so_many() {
    let crm = Server::start("crm").unlimited("acme");
    assert_eq!(begin(&crm, CONTACTS, "acme-viewer-key", "").0, 403);
    assert_eq!(begin(&crm, CONTACTS, "nobody", "").0, 401);
    let (_, mut theirs) = begin(&crm, CONTACTS, ACME, "");
    crm.send("POST", "/contacts", Some(GLOBEX), r#"{"name":"Not theirs"}"#);
    crm.send("POST", "/contacts", Some(ACME), r#"{"name":"Theirs"}"#);
    let id = next_id(&mut theirs, "audit").unwrap();
    let event = crm.send("GET", &format!("/v1/audit/events/{id}"), Some(ACME), "");
    assert_eq!(event.body["actor"]["id"], "acme-website", "{}", event.body);

    let mut many: Vec<_> = (0..15).map(|_| begin(&crm, CONTACTS, ACME, "")).collect();
    assert!(many.iter().all(|(status, _)| *status == 200));
    let refused = crm.send("GET", CONTACTS, Some(ACME), "");
    assert_eq!((refused.status, refused.field("retry-after")), (429, vec!["5"]));
    let (status, other) = begin(&crm, CONTACTS, GLOBEX, "");
    assert_eq!(status, 200, "another tenant has its own");
    drop(other);
    many.clear();
    let begun = Instant::now();
    while begin(&crm, CONTACTS, ACME, "").0 != 200 {
        assert!(begun.elapsed() < Duration::from_secs(20), "places of streams that are gone stay taken");
        std::thread::sleep(Duration::from_millis(100));
    }

    // Whoever loses the permission loses the stream, with its next keep-alive.
    let grants = crm.send("GET", "/v1/grants?subject=api_key:acme-website", Some(ACME), "");
    let grant = grants.body["items"][0]["id"].as_str().unwrap().to_owned();
    let (_, mut mine) = begin(&crm, CONTACTS, ACME, "");
    let gone = crm.send("DELETE", &format!("/v1/grants/{grant}"), Some(ACME), "");
    assert_eq!(gone.status, 204, "{gone:?}");
    let begun = Instant::now();
    assert_eq!(next_id(&mut mine, "audit"), None);
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}

#[test]
fn the_service_ends_in_spite_of_streams() {
    let mut crm = Server::start("crm");
    let (_, mut stream) = begin(&crm, CONTACTS, GLOBEX, "");
    let begun = Instant::now();
    assert!(crm.terminate().success());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(next_id(&mut stream, "audit"), None);
}

/// A client that asks for everything and takes nothing costs no memory, and is ended.
#[test]
fn a_slow_reader_costs_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let db = format!("sqlite://{}", folder.path().join("crm.db").display());
    let crm = Server::start_on("crm", &db).unlimited("globex");
    let record = |n: usize, crm: &Server| -> Reply {
        let event = json!({"action": "test.filled", "metadata": {"n": n, "text": "x".repeat(12_000)}});
        let from = format!(
            "Authorization: Bearer {GLOBEX}\r\nX-Forwarded-For: 198.18.{}.{}\r\nContent-Type: application/json\r\n",
            n / 250,
            n % 250
        );
        crm.raw("POST", "/v1/audit/events", &from, &event.to_string())
    };
    let filled = record(0, &crm);
    assert_eq!(filled.status, 201, "{filled:?}");
    let readers: Vec<_> = (0..8).map(|_| begin(&crm, "/v1/audit/events/stream?from=0", GLOBEX, "")).collect();
    let before = crm.resident_kib();
    std::thread::scope(|scope| {
        for part in 0..4 {
            let crm = &crm;
            scope.spawn(move || (1..750).for_each(|n| assert_eq!(record(part * 750 + n, crm).status, 201)));
        }
    });
    // 36 MB of events, which each of the eight would have to hold.
    if let (Some(before), Some(after)) = (before, crm.resident_kib()) {
        println!("{before} KiB before and {after} KiB after");
        assert!(after < before + (96 << 10), "{before} KiB before and {after} KiB after");
    }
    drop(readers);
    assert_eq!(crm.send("GET", "/contacts", Some(GLOBEX), "").status, 200);
}

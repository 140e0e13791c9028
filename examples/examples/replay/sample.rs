//! A made-up log, the same each time: people who browse, a crawler, a burst, and somebody who guesses passwords.

use std::fmt::Write;

use chrono::{DateTime, TimeDelta};
use guardian_examples::access_log::{Combined, Entry};

/// 2026-03-02T08:00:00Z, a Monday.
const START: i64 = 1_772_438_400;
const HOURS: i64 = 6;

/// One request: seconds after the start, address, request line, status, agent.
type Request = (i64, String, &'static str, u16, &'static str);

pub(crate) fn log() -> String {
    let mut requests: Vec<Request> = Vec::new();
    let mut chance = Chance(7);
    people(&mut requests, &mut chance);
    // A crawler that asks three times in two seconds for an hour, with pauses.
    let crawl = (0..5400).map(|n| n * 2 / 3).filter(|second| second % 600 < 420);
    requests.extend(crawl.map(|second| {
        (3600 + second, "203.0.113.80".to_owned(), "GET /catalogue?page=2 HTTP/1.1", 200, "Crawler/2.1")
    }));
    // A page with forty pictures, opened three times.
    for visit in [5000, 9100, 15_000] {
        let picture = |n: i64| {
            (visit + n / 25, "198.51.100.23".to_owned(), "GET /pictures/1.jpg HTTP/2.0", 200, "Mozilla/5.0")
        };
        requests.extend((0..40).map(picture));
    }
    // Guessing: twelve a second for two minutes.
    let guess = |n: i64| {
        (12_000 + n / 12, "192.0.2.66".to_owned(), "POST /login HTTP/1.1", 401, "python-requests/2.31")
    };
    requests.extend((0..1440).map(guess));
    requests.sort();
    requests.iter().fold(String::new(), |mut log, request| {
        // Writing to a text cannot fail.
        let _ = line(&mut log, request);
        log
    })
}

/// Forty people who read a page now and then, with the files that belong to it.
fn people(requests: &mut Vec<Request>, chance: &mut Chance) {
    for person in 1..=40 {
        let mut at = chance.below(3600);
        while at < HOURS * 3600 {
            let address = format!("198.51.100.{}", 100 + person);
            requests.push((at, address.clone(), "GET /articles/1 HTTP/2.0", 200, "Mozilla/5.0"));
            for _ in 0..chance.below(6) {
                requests.push((at + 1, address.clone(), "GET /style.css HTTP/2.0", 304, "Mozilla/5.0"));
            }
            at += 20 + chance.below(900);
        }
    }
}

fn line(log: &mut String, (second, client, request, status, agent): &Request) -> std::fmt::Result {
    let time = DateTime::UNIX_EPOCH + TimeDelta::seconds(START + second);
    let entry = Entry {
        client,
        identity: "-",
        user: "-",
        time: time.fixed_offset(),
        request,
        status: *status,
        bytes: Some(512),
        combined: Some(Combined { referrer: "-", agent }),
    };
    writeln!(log, "{entry}")
}

/// Numbers without a pattern, the same each time (xorshift64, Marsaglia 2003).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 >> 1).unwrap_or_default() % bound
    }
}

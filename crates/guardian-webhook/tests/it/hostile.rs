//! The sender against receivers and names that mean ill, on the loopback address.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use guardian_webhook::sink::{Behaviour, Sink};
use guardian_webhook::{
    EgressPolicy, HttpConfig, HttpSender, Refused, Request, ReqwestSender, Resolver, SendError,
};

fn times() -> HttpConfig {
    let (short, shorter) = (Duration::from_millis(400), Duration::from_millis(200));
    HttpConfig::default().with_timeouts(short, short, shorter)
}

fn sender(sink: &Sink) -> ReqwestSender {
    let policy = EgressPolicy::default().allow_target("127.0.0.1", sink.address().port());
    ReqwestSender::new(times().with_policy(policy)).unwrap()
}

fn request(url: &str, body: impl Into<Arc<[u8]>>) -> Request {
    Request::new(url, vec![("x-test".into(), "1".into())], body.into())
}

#[tokio::test]
async fn every_ill_behaviour_has_its_declared_end() {
    let sink = Sink::start(100).await.unwrap();
    let sender = sender(&sink);
    let byte = Duration::from_millis(20);
    let send = async |behaviour: Behaviour| {
        sink.behave(move |_| behaviour.clone());
        let begun = tokio::time::Instant::now();
        let outcome = sender.send(request(&sink.url("/"), *b"{}")).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
        outcome
    };
    assert_eq!(send(Behaviour::status(200)).await.unwrap().status, 200);
    assert!(matches!(send(Behaviour::BlackHole).await, Err(SendError::Timeout(_))));
    assert!(matches!(send(Behaviour::SlowLoris(byte)).await, Err(SendError::Timeout(_))));
    let slow = send(Behaviour::SlowBody(byte)).await.unwrap();
    assert!(slow.status == 200 && slow.truncated && slow.body.len() < 100, "{slow:?}");
    let endless = send(Behaviour::EndlessBody).await.unwrap();
    assert_eq!((endless.status, endless.truncated, endless.body.len()), (200, true, 64 * 1024));
    for count in [101, 20_000] {
        let bomb = send(Behaviour::HeaderBomb(count)).await;
        assert!(matches!(bomb, Err(SendError::Protocol(_))), "{count} headers: {bomb:?}");
    }
    assert!(send(Behaviour::HeaderBomb(50)).await.is_ok());
    assert!(matches!(send(Behaviour::Garbage).await, Err(SendError::Protocol(_))));
    let hang_up = send(Behaviour::HangUp).await;
    assert!(hang_up.is_err(), "{hang_up:?}");
    assert_eq!(send(Behaviour::status(204)).await.unwrap().status, 204, "it did not recover");
}

#[tokio::test]
async fn ten_megabytes_arrive_whole() {
    let sink = Sink::start(1).await.unwrap();
    let body: Vec<u8> = (0..=255).cycle().take(10 << 20).collect();
    let policy = EgressPolicy::default().allow_target("127.0.0.1", sink.address().port());
    let sender = ReqwestSender::new(HttpConfig::default().with_policy(policy)).unwrap();
    assert_eq!(sender.send(request(&sink.url("/"), body.clone())).await.unwrap().status, 204);
    let received = sink.received();
    assert!(received[0].body == body && received[0].header("x-test") == Some("1"));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let inside = Sink::start(10).await.unwrap();
    let sink = Sink::start(10).await.unwrap();
    let to = inside.url("/secret");
    for status in [301, 302, 303, 307, 308] {
        let to = to.clone();
        sink.behave(move |_| Behaviour::header(status, "location", &to));
        assert_eq!(sender(&sink).send(request(&sink.url("/"), *b"")).await.unwrap().status, status);
    }
    assert_eq!(inside.count(), 0);
}

#[tokio::test]
async fn what_is_not_allowed_is_not_connected_to() {
    let sink = Sink::start(10).await.unwrap();
    let port = sink.address().port();
    let strict = ReqwestSender::new(times()).unwrap();
    let hosts = [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[::]",
    ];
    for host in hosts {
        let outcome = strict.send(request(&format!("http://{host}:{port}/"), *b"")).await;
        assert!(matches!(outcome, Err(SendError::Refused(_))), "{host}: {outcome:?}");
    }
    // One target that is allowed allows no other port.
    let other = Sink::start(10).await.unwrap();
    let outcome = sender(&sink).send(request(&other.url("/"), *b"")).await;
    assert!(matches!(outcome, Err(SendError::Refused(_))), "{outcome:?}");
    assert_eq!(sink.count() + other.count(), 0);
}

/// Gives one answer after the other, and the last one from then on.
#[derive(Debug)]
struct Changing {
    answers: Vec<Vec<IpAddr>>,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Resolver for Changing {
    async fn resolve(&self, _host: &str) -> Result<Vec<IpAddr>, String> {
        let at = self.asked.fetch_add(1, Ordering::AcqRel);
        Ok(self.answers[at.min(self.answers.len() - 1)].clone())
    }
}

fn changing(answers: &[&[&str]]) -> (ReqwestSender, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let answers =
        answers.iter().map(|answer| answer.iter().map(|text| text.parse().unwrap()).collect()).collect();
    let resolver = Changing { answers, asked: Arc::clone(&asked) };
    (ReqwestSender::with_resolver(times(), resolver).unwrap(), asked)
}

#[tokio::test]
async fn a_name_that_changes_between_check_and_connection_gains_nothing() {
    let sink = Sink::start(10).await.unwrap();
    let url = format!("http://rebind.example.com:{}/", sink.address().port());
    // The first answer is public (and leads nowhere), every later one is where the sink is. If the name were asked again for
    // the connection, the sink would get the request.
    let (sender, asked) = changing(&[&["192.0.0.9"], &["127.0.0.1"]]);
    assert!(matches!(sender.send(request(&url, *b"")).await, Err(SendError::Refused(_))));
    let (public, asked_public) = changing(&[&["100.128.0.1"], &["127.0.0.1"]]);
    let outcome = public.send(request(&url, *b"")).await;
    assert!(!matches!(outcome, Ok(_) | Err(SendError::Refused(_))), "{outcome:?}");
    assert_eq!(asked_public.load(Ordering::Acquire), 1, "the name was asked for twice");
    assert_eq!(asked.load(Ordering::Acquire), 1);
    // Asked anew, it is refused.
    let outcome = public.send(request(&url, *b"")).await;
    assert!(matches!(outcome, Err(SendError::Refused(Refused::Address { .. }))), "{outcome:?}");
    let (said, port) = (outcome.unwrap_err().to_string(), sink.address().port());
    assert_eq!(
        said,
        format!(
            "the address 127.0.0.1 of `rebind.example.com` is not public: it is loopback; for a receiver of your own, have the \
             egress policy of `Config` `allow_target(\"rebind.example.com\", {port})` and make the sender with `config.http()`"
        )
    );
    assert_eq!(sink.count(), 0);
}

#[tokio::test]
async fn a_name_with_public_and_private_addresses_is_refused() {
    let sink = Sink::start(10).await.unwrap();
    let url = format!("http://mixed.example.com:{}/", sink.address().port());
    for answer in [
        &["1.1.1.1", "127.0.0.1"][..],
        &["127.0.0.1", "1.1.1.1"],
        &["2606:4700::1111", "::1"],
        &["1.1.1.1", "::ffff:10.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["2002:7f00:1::"],
        &["fd00:ec2::254"],
        &["169.254.169.254"],
        &["::"],
        &[],
    ] {
        let (sender, _) = changing(&[answer]);
        let outcome = sender.send(request(&url, *b"")).await;
        assert!(matches!(outcome, Err(SendError::Refused(_))), "{answer:?}: {outcome:?}");
    }
    assert_eq!(sink.count(), 0);
}

#[tokio::test]
async fn a_proxy_gets_everything_and_its_own_address_is_its_own_affair() {
    let proxy = Sink::start(10).await.unwrap();
    let config = times().with_proxy(proxy.url(""));
    let sender =
        ReqwestSender::with_resolver(config, Changing { answers: vec![vec![]], asked: Arc::default() })
            .unwrap();
    assert_eq!(sender.send(request("http://example.com/hooks", *b"x")).await.unwrap().status, 204);
    assert_eq!(proxy.received()[0].path, "http://example.com/hooks");
    let refused = sender.send(request("http://10.0.0.1/", *b"x")).await;
    assert!(matches!(refused, Err(SendError::Refused(_))), "a literal went to the proxy: {refused:?}");
}

#[tokio::test]
async fn plain_text_where_tls_is_meant_is_no_connection() {
    let sink = Sink::start(10).await.unwrap();
    let url = sink.url("/").replace("http://", "https://");
    let outcome = sender(&sink).send(request(&url, *b"")).await;
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(sink.count(), 0);
    assert!(ReqwestSender::new(times().with_identity(*b"none", *b"none")).is_err());
    assert!(ReqwestSender::new(times().with_proxy("nonsense")).is_err());
}

//! The server over TCP: slow, many and greedy clients.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use guardian_http::{PeerAddr, Server, Stopping};
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

async fn start(router: Router, set: impl FnOnce(Server) -> Server) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = set(Server::new(listener));
    let served = tokio::spawn(server.run(router, async { drop(stopped.await) }));
    Running { address, stop, served }
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    answer(stream).await
}

/// What one read brings, of answers that are short.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 4096];
    let length = stream.read(&mut bytes).await.unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

async fn is_ended(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 16]).await, Ok(0) | Err(_))
}

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_peer_is_known_and_connections_are_kept() {
    let tell = async |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request<axum::body::Body>| {
        let known = request.extensions().get::<PeerAddr>().unwrap().0;
        assert!(!request.extensions().get::<Stopping>().unwrap().is_now());
        format!("{}", known == peer && peer.ip().is_loopback())
    };
    let server = start(Router::new().route("/", get(tell)), |server| server).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..3 {
        assert!(ask(&mut stream).await.ends_with("true"));
    }
    drop(server.stop);
    server.served.await.unwrap().unwrap();
    assert!(is_ended(&mut stream).await);
}

#[tokio::test]
async fn heads_and_pauses_have_their_time() {
    let server = start(hello(), |server| server.head_within(SHORT).idle_for(LONG)).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut half = TcpStream::connect(server.address).await.unwrap();
    half.write_all(b"GET / HTT").await.unwrap();
    let begun = Instant::now();
    assert!(is_ended(&mut silent).await && is_ended(&mut half).await);
    assert!(begun.elapsed() < LONG / 2);
    // Between two requests there is more time, and from the first byte of the next one on there is less.
    let mut kept = TcpStream::connect(server.address).await.unwrap();
    assert!(ask(&mut kept).await.contains("hello"));
    assert!(
        tokio::time::timeout(4 * SHORT, kept.read(&mut [0])).await.is_err(),
        "it was ended while it was idle"
    );
    kept.write_all(b"GET / HTT").await.unwrap();
    let begun = Instant::now();
    assert!(is_ended(&mut kept).await);
    assert!(begun.elapsed() < LONG / 2);

    let server = start(hello(), |server| server.head_within(LONG).idle_for(SHORT)).await;
    let mut kept = TcpStream::connect(server.address).await.unwrap();
    assert!(ask(&mut kept).await.contains("hello"));
    assert!(is_ended(&mut kept).await);
}

#[tokio::test]
async fn who_waits_longest_makes_room() {
    let (begin, begun) = tokio::sync::watch::channel(false);
    let (came, mut arrivals) = unbounded_channel();
    let slow = async move || {
        let mut begun = begun.clone();
        came.send(()).unwrap();
        begun.wait_for(|begun| *begun).await.unwrap();
        "hello"
    };
    let server = start(Router::new().route("/", get(slow)), |server| server.max_connections(3)).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(TcpStream::connect(server.address).await.unwrap());
    }
    // The first two are at a request: they stay. The third waits for one, until a fourth comes.
    for stream in &mut streams[..2] {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        arrivals.recv().await.unwrap();
    }
    let mut fourth = TcpStream::connect(server.address).await.unwrap();
    assert!(is_ended(&mut streams[2]).await);
    fourth.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    arrivals.recv().await.unwrap();
    // All are at work: the fifth has to wait until one is done, and then takes its place.
    let mut fifth = TcpStream::connect(server.address).await.unwrap();
    fifth.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(tokio::time::timeout(SHORT, fifth.read(&mut [0])).await.is_err());
    begin.send_replace(true);
    for stream in [&mut fourth, &mut fifth] {
        assert!(answer(stream).await.contains("hello"));
    }
}

#[tokio::test]
async fn who_reads_nothing_is_ended() {
    let endless = || {
        let parts = futures_util::stream::repeat_with(|| {
            Ok::<_, std::io::Error>(axum::body::Bytes::from(vec![0; 64 << 10]))
        });
        axum::body::Body::from_stream(parts)
    };
    let router = Router::new().route("/", get(async move || endless()));
    let server = start(router, |server| server.unread_for(SHORT).grace(LONG)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let begun = Instant::now();
    drop(server.stop);
    // The connection is the only one, and the server ends with it: nobody has read a byte.
    server.served.await.unwrap().unwrap();
    assert!(begun.elapsed() < LONG / 2);
}

#[tokio::test]
async fn heads_are_bounded() {
    let server = start(hello(), |server| server.max_head(8 << 10)).await;
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    for fields in [many, format!("x-long: {}\r\n", "x".repeat(10 << 10))] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 431"));
        assert!(is_ended(&mut stream).await);
    }
}

#[tokio::test]
async fn at_the_end_requests_may_finish_and_what_lasts_hears_of_it() {
    let (came, mut arrivals) = unbounded_channel();
    let told = came.clone();
    let lasting = async move |request: Request<axum::body::Body>| {
        told.send(()).unwrap();
        let mut stopping = request.extensions().get::<Stopping>().unwrap().clone();
        stopping.wait().await;
        "stopped"
    };
    let server = start(Router::new().route("/", get(lasting)), |server| server).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    arrivals.recv().await.unwrap();
    drop(server.stop);
    assert!(answer(&mut stream).await.ends_with("stopped"));
    server.served.await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody new is let in");

    // What does not hear of it has the grace, and no more.
    let deaf = async move || {
        came.send(()).unwrap();
        std::future::pending::<&str>().await
    };
    let server = start(Router::new().route("/", get(deaf)), |server| server.grace(SHORT)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    arrivals.recv().await.unwrap();
    drop(server.stop);
    server.served.await.unwrap().unwrap();
    assert!(is_ended(&mut stream).await);
}

/// A client that takes its time over an answer is no idle one, and nobody takes its place.
#[tokio::test]
async fn an_answer_that_is_on_its_way_is_not_cut_off() {
    const LENGTH: usize = 24 << 20;
    let router =
        Router::new().route("/", get(async || vec![7_u8; LENGTH])).route("/short", get(async || "hello"));
    let set = |server: Server| server.idle_for(SHORT).unread_for(LONG).max_connections(2);
    let server = start(router, set).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let (mut found, mut part) = (0, vec![0; 1 << 20]);
    while found < LENGTH {
        let length = stream.read(&mut part).await.unwrap();
        assert!(length > 0, "it ended at {found}");
        found += part[..length].iter().filter(|byte| **byte == 7).count();
        // Somebody else comes and goes, and there is room for one alone.
        let mut other = TcpStream::connect(server.address).await.unwrap();
        other.write_all(b"GET /short HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        assert!(answer(&mut other).await.contains("hello"));
        tokio::time::sleep(SHORT / 10).await;
    }
    // Now it is one, and waits for a request no longer than others.
    assert!(is_ended(&mut stream).await);
}

#[tokio::test]
async fn a_service_that_panics_keeps_nobodys_place() {
    let panics = async || -> &'static str { panic!("on purpose") };
    let router = Router::new().route("/", get(async || "hello")).route("/panic", get(panics));
    let server = start(router, |server| server.max_connections(1).idle_for(LONG)).await;
    for _ in 0..3 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /panic HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(is_ended(&mut stream).await);
    }
    let mut kept = TcpStream::connect(server.address).await.unwrap();
    assert!(ask(&mut kept).await.contains("hello"));
    let mut next = TcpStream::connect(server.address).await.unwrap();
    assert!(tokio::time::timeout(LONG / 2, ask(&mut next)).await.unwrap().contains("hello"));
    assert!(is_ended(&mut kept).await);
}

/// A client that still sends when it is refused gets to read why.
#[tokio::test]
async fn a_refusal_is_not_lost_to_what_is_still_sent() {
    let router = Router::new()
        .route("/", axum::routing::post(async |body: axum::body::Bytes| body.len().to_string()))
        .layer(guardian_http::BodyLimitsLayer::new().max_bytes(10));
    let server = start(router, |server| server).await;
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let body = vec![b'x'; 200 << 10];
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        for part in body.chunks(4 << 10) {
            stream.write_all(part).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 413"));
        assert!(is_ended(&mut stream).await);
    }
}

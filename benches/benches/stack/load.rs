//! Both routers as servers on the loopback address, under the same load.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use guardian_audit::Overflow;
use guardian_audit::store::{AuditStore, MemoryStore, SqlStore};
use guardian_benches::keys::id;
use guardian_core::Scope;
use guardian_http::Failing;
use guardian_sql::testkit::Kind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::median;
use crate::world::{bare, full, queue, token};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// One connection, which sends a request at a time.
struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Client {
    async fn to(address: SocketAddr, number: usize) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let request = format!(
            "POST /deals/d_4711/notes HTTP/1.1\r\nhost: crm.example\r\nuser-agent: bench/1\r\naccept: application/json\r\n\
             content-type: application/json\r\nauthorization: Bearer {}\r\ncontent-length: 2\r\n\r\n{{}}",
            token(number)
        );
        Self { stream, request: request.into_bytes(), answer: vec![0; 4_096] }
    }

    /// From the request's first byte to the response's last.
    async fn ask(&mut self) -> Duration {
        let start = Instant::now();
        self.stream.write_all(&self.request).await.expect("a request");
        let mut length = 0;
        loop {
            let rest = self.answer.get_mut(length..).expect("a short answer");
            let read = self.stream.read(rest).await.expect("an answer");
            assert!(read > 0, "the server has gone");
            length += read;
            let answer = self.answer.get(..length).unwrap_or_default();
            if answer.ends_with(b"\r\n\r\ncreated") {
                assert!(answer.starts_with(b"HTTP/1.1 201"));
                return start.elapsed();
            }
        }
    }
}

const CONNECTIONS: u64 = 8;
/// Between two requests of a connection, in the mean: 2,000 a second together.
const PAUSE: Duration = Duration::from_millis(4);
const REQUESTS: u64 = 125;
const TURNS: u64 = 60;

/// When a connection's requests are sent.
#[derive(Clone, Copy)]
enum Arrivals {
    /// Each connection by itself, at the random times of a Poisson process, as those of clients who do not know each other.
    Independent,
    /// All connections at once.
    Together,
}

pub(crate) fn latency() {
    let server = runtime();
    let queue = queue(MemoryStore::new(), Overflow::Fail);
    let appends = {
        let queue = Arc::clone(&queue);
        std::thread::spawn(move || queue.run(|error| println!("the log: {error}")))
    };
    let (of_bare, of_full) = server.block_on(async {
        let full = full(&queue, None, "full").await;
        (
            tokio::spawn(serve(bare())).await.expect("a server"),
            tokio::spawn(serve(full)).await.expect("a server"),
        )
    });
    beside("", Arrivals::Independent, of_bare, of_full);
    beside("together_", Arrivals::Together, of_bare, of_full);
    queue.close();
    appends.join().expect("the queue's thread");
}

fn beside(name: &str, arrivals: Arrivals, of_bare: SocketAddr, of_full: SocketAddr) {
    let (mut bares, mut fulls, mut ratios, mut slow) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let (mut bare, mut full) = (Vec::new(), Vec::new());
        for place in 0..2 {
            if (turn + place) % 2 == 0 {
                full = paced(of_full, arrivals, turn);
            } else {
                bare = paced(of_bare, arrivals, turn);
            }
        }
        // The first turn is for warming up.
        if turn > 0 {
            let (in_bare, in_full) = (median(&mut bare), median(&mut full));
            bares.push(in_bare);
            fulls.push(in_full);
            ratios.push(in_full / in_bare);
            slow.push(nearly_all(&full) / nearly_all(&bare));
        }
    }
    println!("measure stack/latency {name}guardian_p50 {:.1} us", median(&mut fulls));
    println!("measure stack/latency {name}bare_p50 {:.1} us", median(&mut bares));
    println!("measure stack/latency {name}p99_median_of_turns {:.3} ratio", median(&mut slow));
    println!("measure stack/latency {name}median_of_turns {:.3} ratio", median(&mut ratios));
}

/// The 99th percentile of sorted values.
fn nearly_all(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}

/// A pause between independent arrivals, in mean pauses; the same for both servers.
fn pause([turn, number, request]: [u64; 3]) -> f64 {
    let uniform = id((turn << 32) | (number << 16) | request) as f64 / u64::MAX as f64;
    -uniform.max(f64::MIN_POSITIVE).ln()
}

/// Half a second of requests; how long each took, in microseconds. Each connection has a thread, since a runtime's timers go by
/// whole milliseconds.
fn paced(address: SocketAddr, arrivals: Arrivals, turn: u64) -> Vec<f64> {
    let start = Instant::now() + Duration::from_millis(5);
    let connection = |number: u64| {
        move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let mut client =
                runtime.block_on(Client::to(address, usize::try_from(number).expect("few connections")));
            let mut due = start;
            let mut took = Vec::new();
            for request in 0..REQUESTS {
                due += match arrivals {
                    Arrivals::Independent => PAUSE.mul_f64(pause([turn, number, request])),
                    Arrivals::Together => PAUSE,
                };
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                took.push(runtime.block_on(client.ask()).as_secs_f64() * 1e6);
            }
            took
        }
    };
    let threads: Vec<_> = (0..CONNECTIONS).map(|number| std::thread::spawn(connection(number))).collect();
    threads.into_iter().flat_map(|thread| thread.join().expect("a connection")).collect()
}

pub(crate) fn durable_sqlite() {
    const CALLERS: usize = 128;
    const TIME: Duration = Duration::from_secs(5);
    let (server, client) = (runtime(), runtime());
    let (fresh, queue, address) = server.block_on(async {
        let fresh = Kind::SqliteFile.open(&[&SqlStore::MIGRATIONS]).await.expect("a database");
        let queue = queue(SqlStore::new(fresh.database()), Overflow::Block);
        let router = full(&queue, Some(Failing::Answer), "full").await;
        (fresh, queue, tokio::spawn(serve(router)).await.expect("a server"))
    });
    let appends = {
        let queue = Arc::clone(&queue);
        std::thread::spawn(move || queue.run(|error| println!("the log: {error}")))
    };
    let start = Instant::now();
    let answered: u64 = client.block_on(async {
        let tasks: Vec<_> = (0..CALLERS)
            .map(|number| {
                tokio::spawn(async move {
                    let mut client = Client::to(address, number).await;
                    let mut answered = 0;
                    while start.elapsed() < TIME {
                        client.ask().await;
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        let mut all = 0;
        for task in tasks {
            all += task.await.expect("a connection");
        }
        all
    });
    let rate = answered as f64 / start.elapsed().as_secs_f64();
    queue.close();
    appends.join().expect("the queue's thread");
    let tenant = Scope::system(guardian_core::TenantId::new("acme").expect("an id"));
    let size = server.block_on(queue.log().store().head(&tenant)).expect("a log").size;
    assert_eq!(size, answered, "every answer has its event");
    drop(fresh);
    println!("measure stack/durable_sqlite requests {rate:.0} 1/s");
}

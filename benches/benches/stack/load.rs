//! Both routers as servers on the loopback address, under the same load.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use guardian_audit::Overflow;
use guardian_audit::store::{AuditStore, MemoryStore, SqlStore};
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

const CONNECTIONS: usize = 8;
/// Between two requests of a connection: 2,000 a second together.
const PAUSE: Duration = Duration::from_millis(4);
const TURNS: usize = 60;

pub(crate) fn latency() {
    let (server, client) = (runtime(), runtime());
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
    let (mut bares, mut fulls, mut ratios, mut slow) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let (mut bare, mut full) = (Vec::new(), Vec::new());
        for place in 0..2 {
            if (turn + place) % 2 == 0 {
                full = client.block_on(paced(of_full));
            } else {
                bare = client.block_on(paced(of_bare));
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
    queue.close();
    appends.join().expect("the queue's thread");
    println!("measure stack/latency guardian_p50 {:.1} us", median(&mut fulls));
    println!("measure stack/latency bare_p50 {:.1} us", median(&mut bares));
    println!("measure stack/latency p99_median_of_turns {:.3} ratio", median(&mut slow));
    println!("measure stack/latency median_of_turns {:.3} ratio", median(&mut ratios));
}

/// The 99th percentile of sorted values.
fn nearly_all(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}

/// Half a second of requests; how long each took, in microseconds.
async fn paced(address: SocketAddr) -> Vec<f64> {
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            tokio::spawn(async move {
                let mut client = Client::to(address, number).await;
                let mut ticks = tokio::time::interval(PAUSE);
                let mut took = Vec::new();
                for _ in 0..125 {
                    ticks.tick().await;
                    took.push(client.ask().await.as_secs_f64() * 1e6);
                }
                took
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("a connection"));
    }
    all
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

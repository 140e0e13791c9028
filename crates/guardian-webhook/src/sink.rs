//! The inspector: a receiver on the loopback address that keeps what it got, and can misbehave on purpose.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// Its number, from 1.
    pub number: u64,
    /// The path with the query.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The first value of a header, its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// The headers for a [`Verifier`](crate::Verifier); those that are none of HTTP are left out.
    #[must_use]
    pub fn header_map(&self) -> http::HeaderMap {
        let pair = |(name, value): &(String, String)| {
            Some((
                http::HeaderName::from_bytes(name.as_bytes()).ok()?,
                http::HeaderValue::from_str(value).ok()?,
            ))
        };
        self.headers.iter().filter_map(pair).collect()
    }
}

/// How the receiver behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behaviour {
    /// It answers with a status and headers.
    Answer(u16, Vec<(String, String)>),
    /// It takes the request and never answers.
    BlackHole,
    /// It sends its answer one byte a span.
    SlowLoris(Duration),
    /// It sends the headers of an answer at once, and then its body one byte a span.
    SlowBody(Duration),
    /// It sends a body without an end.
    EndlessBody,
    /// It sends so many headers.
    HeaderBomb(usize),
    /// It sends what is no answer.
    Garbage,
    /// It closes the connection without an answer.
    HangUp,
}

impl Behaviour {
    /// It answers with a status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new())
    }

    /// It answers with a status and one header.
    #[must_use]
    pub fn header(status: u16, name: &str, value: &str) -> Self {
        Self::Answer(status, vec![(name.to_owned(), value.to_owned())])
    }
}

type Decide = dyn Fn(&Received) -> Behaviour + Send + Sync;

struct Inner {
    received: Mutex<VecDeque<Received>>,
    capacity: usize,
    count: AtomicU64,
    decide: Mutex<Arc<Decide>>,
}

/// A receiver on a free port of the loopback address, for tests and for looking at what is sent. It ends when it is dropped.
///
/// It keeps the last requests and answers 204 until told otherwise. Allow it in the policy: it is not a public address.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use guardian_webhook::EgressPolicy;
/// use guardian_webhook::sink::{Behaviour, Sink};
///
/// let sink = Sink::start(100).await?;
/// let policy = EgressPolicy::default().allow_target("127.0.0.1", sink.address().port());
/// assert!(policy.check_url(&sink.url("/hooks")).is_ok());
/// sink.behave(|request| if request.number < 3 { Behaviour::status(500) } else { Behaviour::status(200) });
/// assert!(sink.received().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sink {
    address: SocketAddr,
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sink {
    /// Starts a receiver that keeps so many requests.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(capacity: usize) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let inner = Arc::new(Inner {
            received: Mutex::default(),
            capacity,
            count: AtomicU64::new(0),
            decide: Mutex::new(Arc::new(|_: &Received| Behaviour::status(204))),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&inner)));
        Ok(Self { address, inner, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL of it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it kept, the oldest first.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.inner.received.lock().iter().cloned().collect()
    }

    /// How many requests came.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.inner.count.load(Ordering::Acquire)
    }

    /// Has it behave otherwise from now on.
    pub fn behave(&self, decide: impl Fn(&Received) -> Behaviour + Send + Sync + 'static) {
        *self.inner.decide.lock() = Arc::new(decide);
    }
}

async fn serve(listener: TcpListener, inner: Arc<Inner>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    let _ = stream.set_nodelay(true);
                    let inner = Arc::clone(&inner);
                    connections.spawn(async move {
                        // A connection that breaks is the sender's to notice.
                        let _ = connection(stream, &inner).await;
                    });
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The longest head and body that are read.
const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 64 << 20;

async fn connection(mut stream: TcpStream, inner: &Inner) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    while let Some(mut received) = read(&mut stream, &mut buffer).await? {
        received.number = inner.count.fetch_add(1, Ordering::AcqRel) + 1;
        let decide = Arc::clone(&*inner.decide.lock());
        let behaviour = decide(&received);
        {
            let mut kept = inner.received.lock();
            kept.push_back(received);
            while kept.len() > inner.capacity {
                kept.pop_front();
            }
        }
        if !answer(&mut stream, &behaviour).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// The next request of a connection, if there is one.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Received>> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if buffer.len() > MAX_HEAD {
            return Err(bad());
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(buffer.get(..head_end).unwrap_or_default()).into_owned();
    let mut lines = head.split("\r\n");
    let path = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or_else(bad)?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or("0", |(_, value)| value);
    let length: usize = length.parse().ok().filter(|length| *length <= MAX_BODY).ok_or_else(bad)?;
    let whole = head_end + 4 + length;
    while buffer.len() < whole {
        if stream.read_buf(buffer).await? == 0 {
            return Err(bad());
        }
    }
    let rest = buffer.split_off(whole);
    let body = buffer.split_off(head_end + 4);
    *buffer = rest;
    Ok(Some(Received { number: 0, path, headers, body }))
}

/// Answers as it shall; whether the connection goes on.
async fn answer(stream: &mut TcpStream, behaviour: &Behaviour) -> io::Result<bool> {
    match behaviour {
        Behaviour::Answer(status, headers) => {
            let mut text = format!("HTTP/1.1 {status} -\r\n");
            for (name, value) in headers {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
            text.push_str(if *status == 204 { "\r\n" } else { "content-length: 0\r\n\r\n" });
            stream.write_all(text.as_bytes()).await?;
            Ok(true)
        }
        Behaviour::BlackHole => {
            // Until the sender has had enough.
            let mut byte = [0];
            while stream.read(&mut byte).await? > 0 {}
            Ok(false)
        }
        Behaviour::SlowLoris(span) => {
            drip(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-slow: ", *span).await
        }
        Behaviour::SlowBody(span) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await?;
            drip(stream, b"", *span).await
        }
        Behaviour::EndlessBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            let chunk = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await?;
            }
        }
        Behaviour::HeaderBomb(count) => {
            let mut text = String::from("HTTP/1.1 200 OK\r\n");
            for at in 0..*count {
                text.push_str(&format!("x-bomb-{at}: {at}\r\n"));
            }
            text.push_str("content-length: 0\r\n\r\n");
            stream.write_all(text.as_bytes()).await?;
            Ok(true)
        }
        Behaviour::Garbage => {
            stream.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n").await?;
            Ok(false)
        }
        Behaviour::HangUp => Ok(false),
    }
}

/// Sends the beginning and then `x` for ever, a byte a span.
async fn drip(stream: &mut TcpStream, beginning: &[u8], span: Duration) -> io::Result<bool> {
    for byte in beginning.iter().copied().chain(std::iter::repeat(b'x')) {
        stream.write_all(&[byte]).await?;
        tokio::time::sleep(span).await;
    }
    Ok(false)
}

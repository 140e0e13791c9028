//! Accepts connections, and ends those that are slow or too many.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower_service::Service;

use crate::{PeerAddr, Stopping};
use pool::{Connection, Pool};
use timed::{Timed, Times};

mod pool;
mod timed;

/// An HTTP/1.1 server for a service such as an axum `Router`, that hostile clients can neither fill nor keep waiting.
///
/// | a client that | is ended after | unless said otherwise |
/// |---|---|---|
/// | has not sent a whole head: from its connection, or from the head's first byte | [`head_within`](Self::head_within) | 10 s |
/// | sends nothing between two requests | [`idle_for`](Self::idle_for) | 75 s |
/// | takes nothing of its answer | [`unread_for`](Self::unread_for) | 30 s |
/// | sends a head that is longer, or has more fields | [`max_head`](Self::max_head) | 431 at 32 KiB, or 100 fields |
/// | is one too many | [`max_connections`](Self::max_connections) | 4,096 |
///
/// When all places are taken, the connection that has waited longest for a request gives up its own, so idle clients keep nobody out. When all
/// are at a request, new ones wait in the queue of the operating system. How slow and how long bodies may be is for a
/// [`BodyLimitsLayer`](crate::BodyLimitsLayer), which the `Stack` has.
///
/// Each request has the peer's address as [`PeerAddr`] (and axum's `ConnectInfo<SocketAddr>`), and [`Stopping`]. TLS and HTTP/2 are for what
/// stands in front. A connection that is upgraded, to a WebSocket say, is the service's own from then on: it is bound by none of these, counts
/// for nothing, and hears of the end by [`Stopping`] alone.
///
/// ```no_run
/// use guardian_http::Server;
/// # async fn run() -> std::io::Result<()> {
/// # #[cfg(feature = "axum")] {
/// let router = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// Server::new(listener).run(router, async { drop(tokio::signal::ctrl_c().await) }).await?;
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Server {
    listener: TcpListener,
    max_connections: usize,
    max_head: usize,
    grace: Duration,
    times: Times,
}

impl Server {
    /// Serves who connects here.
    pub fn new(listener: TcpListener) -> Self {
        let times = Times {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
        };
        Self { listener, max_connections: 4_096, max_head: 32 << 10, grace: Duration::from_secs(20), times }
    }

    /// How many connections there are at once; at least one. Stay below the limit of open files, of which the rest of the process wants
    /// some too: where it is reached all the same, the connection that has waited longest is ended.
    pub fn max_connections(self, max_connections: usize) -> Self {
        Self { max_connections, ..self }
    }

    /// How long a head may take.
    pub fn head_within(mut self, head: Duration) -> Self {
        self.times.head = head;
        self
    }

    /// How long a connection may wait for its next request; more than what stands in front keeps one (60 s of many load balancers), or some of
    /// its requests meet a connection that has just ended.
    pub fn idle_for(mut self, idle: Duration) -> Self {
        self.times.idle = idle;
        self
    }

    /// How long a client may take nothing of an answer that is ready.
    pub fn unread_for(mut self, write: Duration) -> Self {
        self.times.write = write;
        self
    }

    /// The longest head of a request, in bytes; at least 8 KiB. It is the room for what was read as well.
    pub fn max_head(self, bytes: usize) -> Self {
        Self { max_head: bytes.max(8 << 10), ..self }
    }

    /// How long requests may go on when it is time to stop: 20 seconds unless said otherwise.
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Serves until `shutdown` is done. Then nobody new is let in, requests hear of it by [`Stopping`], and those that are under way have the
    /// [`grace`](Self::grace) to end; what is left then is dropped.
    ///
    /// # Errors
    /// None at present: what goes wrong with one connection ends that one, and where no connection can be accepted it is tried again.
    pub async fn run<S, B>(self, service: S, shutdown: impl Future<Output = ()> + Send) -> io::Result<()>
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let pool = Arc::new(Pool::new(self.max_connections));
        let (stop, stopping) = Stopping::new();
        let mut under_way = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            while under_way.try_join_next().is_some() {}
            let next = async {
                let accepted = self.accept(&pool).await;
                (accepted, pool.room().await)
            };
            let ((stream, peer), Some(room)) = (tokio::select! {
                biased;
                () = shutdown.as_mut() => break,
                next = next => next,
            }) else {
                break;
            };
            let connection = pool.enter();
            let served = Served {
                service: service.clone(),
                place: Place { pool: Arc::clone(&pool), connection: Arc::clone(&connection) },
                peer,
                stopping: stopping.clone(),
            };
            let io = Timed::new(stream, self.times, Arc::clone(&pool), Arc::clone(&connection));
            let mut http = http1::Builder::new();
            // Heads are timed by `Timed`, which knows a new connection from one that is kept.
            http.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(self.max_head);
            let place = Place { pool: Arc::clone(&pool), connection: Arc::clone(&connection) };
            let mut stopping = stopping.clone();
            under_way.spawn(async move {
                // Whatever becomes of the connection, also when the service panics.
                let _held = (Leaving(place), room);
                let mut serving = pin!(http.serve_connection(TokioIo::new(io), served).with_upgrades());
                tokio::select! {
                    // A client's fault, or it went away.
                    _ = serving.as_mut() => {}
                    () = connection.closed() => {}
                    () = stopping.wait() => {
                        serving.as_mut().graceful_shutdown();
                        tokio::select! {
                            _ = serving => {}
                            () = connection.closed() => {}
                        }
                    }
                }
            });
        }
        drop(self.listener);
        drop(stop);
        let ended = timeout(self.grace, async { while under_way.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            under_way.shutdown().await;
        }
        Ok(())
    }

    async fn accept(&self, pool: &Pool) -> (TcpStream, SocketAddr) {
        /// Until files may have been closed.
        const PAUSE: Duration = Duration::from_millis(20);
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // Answers are written as wholes; that it cannot be set is no reason to refuse anybody.
                    drop(stream.set_nodelay(true));
                    return (stream, peer);
                }
                Err(error) if is_of_the_client(error.kind()) => {}
                // No files are left, most likely.
                Err(_) => {
                    pool.close_one();
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

fn is_of_the_client(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(kind, ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// A connection's place among all.
#[derive(Debug, Clone)]
struct Place {
    pool: Arc<Pool>,
    connection: Arc<Connection>,
}

/// While it is there, the connection is at a request.
#[derive(Debug)]
struct AtWork(Place);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.connection.answered();
    }
}

/// While it is there, the connection is.
#[derive(Debug)]
struct Leaving(Place);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.pool.leave(&self.0.connection);
    }
}

/// The service as one connection sees it.
#[derive(Debug)]
struct Served<S> {
    service: S,
    place: Place,
    peer: SocketAddr,
    stopping: Stopping,
}

type Answer<B> = Pin<Box<dyn Future<Output = Result<Response<Answered<B>>, Infallible>> + Send>>;

impl<S, B> hyper::service::Service<Request<Incoming>> for Served<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: 'static,
{
    type Response = Response<Answered<B>>;
    type Error = Infallible;
    type Future = Answer<B>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        if !self.place.pool.is_at_work(&self.place.connection) {
            // Its place is given away, and it is about to be dropped: nothing of this request is begun.
            return Box::pin(pending());
        }
        let at_work = AtWork(self.place.clone());
        request.extensions_mut().insert(PeerAddr(self.peer));
        #[cfg(feature = "axum")]
        request.extensions_mut().insert(axum::extract::ConnectInfo(self.peer));
        request.extensions_mut().insert(self.stopping.clone());
        let mut service = self.service.clone();
        Box::pin(async move {
            poll_fn(|context| service.poll_ready(context)).await?;
            let response = service.call(request).await?;
            Ok(response.map(|body| Answered { body, at_work }))
        })
    }
}

pin_project! {
    /// The body of an answer: until it is sent or given up, its connection is at work.
    struct Answered<B> {
        #[pin]
        body: B,
        at_work: AtWork,
    }
}

impl<B: Body> Body for Answered<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

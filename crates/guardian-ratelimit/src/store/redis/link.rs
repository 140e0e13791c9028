//! The connection: made on demand, by one call at a time. The others wait for its first attempt, so that a service
//! that starts under load admits nothing uncounted; after a failure they fail at once.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use guardian_core::{StoreError, StoreErrorKind};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::RedisConfig;

/// What is known of the connection.
enum State {
    Up {
        connection: MultiplexedConnection,
        /// Tells this connection from the ones before it.
        number: u64,
    },
    /// Nobody tries before `retry_at`; `None` for at once.
    Down { retry_at: Option<Instant>, failures: u32 },
    /// One call is at it, after so many failures; calls that gave up waiting for it count as such.
    Connecting { failures: u32 },
}

pub(super) struct Link {
    client: Client,
    settings: AsyncConnectionConfig,
    connect_timeout: Duration,
    response_timeout: Duration,
    backoff: (Duration, Duration),
    state: Mutex<(State, u64)>,
    /// Told when an attempt to connect is over.
    settled: Notify,
}

impl Link {
    pub(super) fn new(client: Client, config: &RedisConfig) -> Self {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(config.connect_timeout))
            .set_response_timeout(Some(config.response_timeout));
        let down = State::Down { retry_at: None, failures: 0 };
        Self {
            client,
            settings,
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
            backoff: (config.reconnect_backoff, config.max_reconnect_backoff),
            state: Mutex::new((down, 0)),
            settled: Notify::new(),
        }
    }

    /// What makes its connections.
    #[cfg(any(test, feature = "testkit"))]
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The server's address, without user and password.
    pub(super) fn address(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    /// Whether a connection is there that has not been found broken.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.state.lock().0, State::Up { .. })
    }

    /// Sends one command and waits for its answer.
    pub(super) async fn send(&self, command: &Cmd) -> Result<Value, Fault> {
        let (mut connection, number) = self.connection().await?;
        let fault = match timeout(self.response_timeout, connection.send_packed_command(command)).await {
            Ok(Ok(Value::ServerError(error))) => Fault::from(RedisError::from(error)),
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => Fault::from(error),
            Err(_elapsed) => Fault::timeout("no answer in time"),
        };
        if fault.is_fatal {
            self.drop_connection(number);
        }
        Err(fault)
    }

    /// The connection, or a new one if nobody else is making it and it is not too early to try.
    pub(super) async fn connection(&self) -> Result<(MultiplexedConnection, u64), Fault> {
        let attempt = loop {
            // Listens before it looks, so that an attempt which ends in between is not missed.
            let mut settled = pin!(self.settled.notified());
            settled.as_mut().enable();
            match self.look()? {
                Look::Up(connection, number) => return Ok((connection, number)),
                Look::Mine(attempt) => break attempt,
                Look::Wait => {}
            }
            if timeout(self.response_timeout, settled).await.is_err() {
                self.give_up_waiting();
                return Err(Fault::unavailable("another call is still connecting"));
            }
        };
        let connecting = self.client.get_multiplexed_async_connection_with_config(&self.settings);
        match timeout(self.connect_timeout, connecting).await {
            Ok(Ok(connection)) => Ok(attempt.succeeded(connection)),
            Ok(Err(error)) => {
                attempt.failed();
                Err(Fault::from(error).into_fatal())
            }
            Err(_elapsed) => {
                attempt.failed();
                Err(Fault::unavailable("no connection in time"))
            }
        }
    }

    /// An attempt that takes longer than an answer may is waited for no more.
    fn give_up_waiting(&self) {
        if let State::Connecting { failures } = &mut self.state.lock().0 {
            *failures += 1;
        }
    }

    /// What a call that wants the connection is to do.
    fn look(&self) -> Result<Look<'_>, Fault> {
        let mut guard = self.state.lock();
        let failures = match &guard.0 {
            State::Up { connection, number } => return Ok(Look::Up(connection.clone(), *number)),
            State::Connecting { failures: 0 } => return Ok(Look::Wait),
            State::Connecting { .. } => return Err(Fault::unavailable("another call is connecting again")),
            State::Down { retry_at: Some(at), .. } if *at > Instant::now() => {
                return Err(Fault::unavailable("the last attempt to connect failed"));
            }
            State::Down { failures, .. } => *failures,
        };
        guard.0 = State::Connecting { failures };
        Ok(Look::Mine(Attempt { link: self, failures, done: false }))
    }

    /// Forgets a connection that is broken, unless another one has taken its place. The next call may try at once.
    fn drop_connection(&self, broken: u64) {
        let mut guard = self.state.lock();
        if matches!(&guard.0, State::Up { number, .. } if *number == broken) {
            guard.0 = State::Down { retry_at: None, failures: 0 };
        }
    }
}

enum Look<'a> {
    Up(MultiplexedConnection, u64),
    Mine(Attempt<'a>),
    Wait,
}

/// The right to connect. Dropped halfway, because its caller went away, it leaves the next call free to try.
struct Attempt<'a> {
    link: &'a Link,
    failures: u32,
    done: bool,
}

impl Attempt<'_> {
    fn succeeded(mut self, connection: MultiplexedConnection) -> (MultiplexedConnection, u64) {
        self.done = true;
        let mut guard = self.link.state.lock();
        guard.1 += 1;
        let number = guard.1;
        guard.0 = State::Up { connection: connection.clone(), number };
        drop(guard);
        self.link.settled.notify_waiters();
        (connection, number)
    }

    fn failed(mut self) {
        self.done = true;
        let (first, most) = self.link.backoff;
        let pause = first.saturating_mul(1 << self.failures.min(16)).min(most);
        self.link.state.lock().0 =
            State::Down { retry_at: Some(Instant::now() + pause), failures: self.failures.saturating_add(1) };
        self.link.settled.notify_waiters();
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.link.state.lock().0 = State::Down { retry_at: None, failures: self.failures };
            self.link.settled.notify_waiters();
        }
    }
}

/// Why a command has no answer.
#[derive(Debug)]
pub(super) struct Fault {
    kind: StoreErrorKind,
    /// The connection is of no more use.
    is_fatal: bool,
    pub(super) is_unknown_script: bool,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Ours(&'static str),
    Server(Arc<RedisError>),
}

impl Fault {
    fn unavailable(why: &'static str) -> Self {
        Self::ours(StoreErrorKind::Unavailable, why)
    }

    fn timeout(why: &'static str) -> Self {
        Self::ours(StoreErrorKind::Timeout, why)
    }

    pub(super) fn ours(kind: StoreErrorKind, why: &'static str) -> Self {
        Self {
            kind,
            is_fatal: kind == StoreErrorKind::Timeout,
            is_unknown_script: false,
            source: Source::Ours(why),
        }
    }

    /// What went wrong while connecting: whatever the server said, it cannot be used.
    fn into_fatal(mut self) -> Self {
        self.is_fatal = true;
        if self.kind == StoreErrorKind::Timeout {
            self.kind = StoreErrorKind::Unavailable;
        }
        self
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        let code = error.code().unwrap_or_default();
        let unreadable = |error: &RedisError| error.to_string().contains("GUARDIAN unreadable");
        let (kind, is_fatal) = match error.kind() {
            _ if error.is_timeout() => (StoreErrorKind::Timeout, true),
            // A read-only server was the primary: its successor is behind the same name, on a new connection.
            ErrorKind::Io | ErrorKind::Parse | ErrorKind::Server(ServerErrorKind::ReadOnly) => {
                (StoreErrorKind::Unavailable, true)
            }
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::TryAgain,
            ) => (StoreErrorKind::Unavailable, false),
            ErrorKind::Server(ServerErrorKind::CrossSlot | ServerErrorKind::Moved | ServerErrorKind::Ask) => {
                (StoreErrorKind::Unsupported, false)
            }
            _ if code == "OOM" => (StoreErrorKind::Full, false),
            _ if matches!(code, "BUSY" | "MISCONF" | "NOREPLICAS") => (StoreErrorKind::Unavailable, false),
            _ if unreadable(&error) => (StoreErrorKind::Corrupt, false),
            _ if error.is_connection_dropped() => (StoreErrorKind::Unavailable, true),
            _ => (StoreErrorKind::Internal, false),
        };
        Self {
            kind,
            is_fatal,
            is_unknown_script: error.kind() == ErrorKind::Server(ServerErrorKind::NoScript),
            source: Source::Server(Arc::new(error)),
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let error = Self::new(fault.kind, "redis");
        match fault.source {
            Source::Ours(why) => error.with_source(why),
            Source::Server(source) => error.with_source(Arc::unwrap_or_clone(source)),
        }
    }
}

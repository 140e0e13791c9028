//! A connection that ends when its client is too slow.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::pool::{Connection, Pool};

/// How long what may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// From the first byte of a head to its end, and from a connection's beginning to the end of its first head.
    pub(super) head: Duration,
    /// From the end of an answer to the first byte of the next request.
    pub(super) idle: Duration,
    /// Until a client takes the next part of an answer.
    pub(super) write: Duration,
}

/// A connection whose reads end in time while it waits for a request, and whose writes end in time always.
#[derive(Debug)]
pub(super) struct Timed<T> {
    inner: T,
    times: Times,
    pool: Arc<Pool>,
    connection: Arc<Connection>,
    /// Of which wait the timer is.
    timed: u64,
    has_begun: bool,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
    lingering: Option<Lingering>,
}

/// What the client still sends behind an answer that ends the connection, such as the rest of a body that is too long. A socket that is
/// closed with something unread in it resets the connection, and the client may lose the answer with it.
#[derive(Debug)]
struct Lingering {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl Lingering {
    const TIME: Duration = Duration::from_secs(1);
    const BYTES: usize = 256 << 10;

    fn begin() -> Self {
        Self { until: Box::pin(sleep(Self::TIME)), left: Self::BYTES }
    }
}

impl<T> Timed<T> {
    pub(super) fn new(inner: T, times: Times, pool: Arc<Pool>, connection: Arc<Connection>) -> Self {
        Self {
            inner,
            times,
            pool,
            connection,
            timed: 0,
            has_begun: false,
            reading: None,
            writing: None,
            lingering: None,
        }
    }

    /// Until when the next byte of a head has to be there.
    fn time_the_read(&mut self) {
        let Some(stamp) = self.connection.waits_since() else {
            // The timer stays for the next wait.
            self.timed = 0;
            return;
        };
        if self.timed == stamp {
            return;
        }
        self.timed = stamp;
        self.has_begun = !self.connection.has_served();
        let within = if self.has_begun { self.times.head } else { self.times.idle };
        self.set(within);
    }

    fn set(&mut self, within: Duration) {
        match &mut self.reading {
            Some(timer) => timer.as_mut().reset(Instant::now() + within),
            None => self.reading = Some(Box::pin(sleep(within))),
        }
    }

    fn too_slow_to_take(&mut self, context: &mut Context<'_>) -> bool {
        let write = self.times.write;
        self.writing.get_or_insert_with(|| Box::pin(sleep(write))).as_mut().poll(context).is_ready()
    }

    fn written<O>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<O>>) -> Poll<io::Result<O>> {
        if polled.is_ready() {
            self.writing = None;
        } else if !self.connection.has_left() && self.too_slow_to_take(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Timed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.time_the_read();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(context, buffer);
        if this.timed == 0 {
            return polled;
        }
        if buffer.filled().len() > before && !this.has_begun {
            this.has_begun = true;
            this.set(this.times.head);
        }
        // Also where there was something to read: a client that sends a byte now and then is not to go on for ever.
        let is_late = this.reading.as_mut().is_some_and(|timer| timer.as_mut().poll(context).is_ready());
        if is_late { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { polled }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Timed<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.inner).poll_write(context, bytes);
        this.written(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.inner).poll_write_vectored(context, parts);
        this.written(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// Asked for when nothing is left to be written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(Pin::new(&mut this.inner).poll_flush(context))?;
        this.pool.flushed(&this.connection);
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more comes, and then reads for a moment what the client has sent already.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
        }
        let lingering = this.lingering.get_or_insert_with(Lingering::begin);
        let mut unread = [0; 4_096];
        loop {
            let mut buffer = ReadBuf::new(&mut unread);
            match Pin::new(&mut this.inner).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && lingering.left > 0 => {
                    lingering.left = lingering.left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return lingering.until.as_mut().poll(context).map(Ok),
            }
        }
    }
}

//! Stores to test.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// A store to test, and how to wait for it.
pub trait Fixture: Sync {
    /// The store.
    type Store;

    /// The store, empty at first. Each call returns one with the same data, as another process would have it.
    fn store(&self) -> Self::Store;

    /// Runs a future to its end. Called from several threads at once.
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T;
}

/// A store that needs no runtime: it waits for other threads at most, never for timers or sockets of a reactor.
#[derive(Debug, Clone)]
pub struct InMemory<S>(S);

impl<S: Clone + Sync> InMemory<S> {
    /// The store, of which each clone has the same data.
    pub fn new(store: S) -> Self {
        Self(store)
    }
}

impl<S: Clone + Sync> Fixture for InMemory<S> {
    type Store = S;

    fn store(&self) -> S {
        self.0.clone()
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(value) => return value,
                // A wake-up that came before lets this return at once.
                Poll::Pending => thread::park(),
            }
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_another_thread() {
        let fixture = InMemory::new(());
        let mut rounds = 0;
        let done = fixture.block_on(std::future::poll_fn(|context| {
            rounds += 1;
            if rounds == 3 {
                return Poll::Ready(rounds);
            }
            let waker = context.waker().clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        }));
        assert_eq!(done, 3);
    }
}

//! That a service is about to stop, told to what would go on for ever.

use tokio::sync::watch;

/// Tells what answers a request for as long as its client stays, such as a stream of events, that the service is about to stop. It is an
/// extension of the request: [`Server`](crate::Server) puts it there, and a host with another server may do so.
///
/// ```
/// use guardian_http::Stopping;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (stop, mut stopping) = Stopping::new();
/// assert!(!stopping.is_now());
/// drop(stop);
/// stopping.wait().await;
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Stopping(watch::Receiver<()>);

/// Says that the service stops, by being dropped.
#[derive(Debug)]
#[must_use]
pub struct Stop(#[expect(dead_code, reason = "it tells by being dropped")] watch::Sender<()>);

impl Stopping {
    /// A pair: the service stops when the first is dropped, and the second hears of it.
    pub fn new() -> (Stop, Self) {
        let (stop, stopping) = watch::channel(());
        (Stop(stop), Self(stopping))
    }

    /// Whether it stops now.
    #[must_use]
    pub fn is_now(&self) -> bool {
        self.0.has_changed().is_err()
    }

    /// Until it stops.
    pub async fn wait(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use guardian_core::{Clock, IdSource, StoreError, StoreErrorKind, SystemClock, SystemIds};

use crate::Error;

/// How often a transaction that met another one is run again, and how long it waits in between.
///
/// Before the n-th new attempt it waits a random time up to `base * 2^(n-1)`, at most `cap` ("full jitter": M. Brooker,
/// "Exponential Backoff and Jitter", 2015), so that those who collided do not collide again.
///
/// ```
/// use std::time::Duration;
/// use guardian_sql::Retry;
///
/// let retry = Retry::default().with_attempts(3).with_backoff(Duration::from_millis(5), Duration::from_millis(100));
/// assert!(retry.delay(1) <= Duration::from_millis(5));
/// assert!(retry.delay(60) <= Duration::from_millis(100));
/// ```
#[derive(Clone)]
pub struct Retry {
    attempts: u32,
    base: Duration,
    cap: Duration,
    random: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Default for Retry {
    /// Five attempts in all, 5 ms to begin with, at most 500 ms, random numbers of the system.
    fn default() -> Self {
        let (ids, clock) = (SystemIds::new(), SystemClock::new());
        Self {
            attempts: 5,
            base: Duration::from_millis(5),
            cap: Duration::from_millis(500),
            random: Arc::new(move || ids.next_id(clock.now()).as_u64_pair().1),
        }
    }
}

impl Retry {
    /// With that many attempts in all, the first one included; 0 counts as 1.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// With these waits.
    #[must_use]
    pub fn with_backoff(mut self, base: Duration, cap: Duration) -> Self {
        (self.base, self.cap) = (base, cap);
        self
    }

    /// With this source of random numbers; the lower 62 bits count.
    #[must_use]
    pub fn with_random(mut self, random: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// The wait before the n-th new attempt, n from 1.
    #[must_use]
    pub fn delay(&self, attempt: u32) -> Duration {
        const BITS: u64 = (1 << 32) - 1;
        let doubled = self.base.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
        // The draw is a fraction of 32 bits; the product stays below 2^128 for any wait.
        let most = doubled.min(self.cap).as_nanos();
        let drawn = (most * u128::from((self.random)() & BITS)) >> 32;
        Duration::from_nanos(u64::try_from(drawn).unwrap_or(u64::MAX)).min(self.cap)
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempts, base, cap, .. } = self;
        write!(f, "Retry({attempts} attempts, {base:?} to {cap:?})")
    }
}

/// Errors that may say that another transaction was first. Implement it for your crate's error, so that
/// [`retry`] can run what returns it.
pub trait MayConflict {
    /// Whether the same work, begun anew, may succeed: nothing of it was kept.
    fn is_conflict(&self) -> bool;
}

impl MayConflict for StoreError {
    fn is_conflict(&self) -> bool {
        self.kind() == StoreErrorKind::Conflict
    }
}

impl MayConflict for Error {
    fn is_conflict(&self) -> bool {
        self.store_kind() == Some(StoreErrorKind::Conflict)
    }
}

/// Runs the work, and again from its beginning when another transaction was first (a serialisation failure, a deadlock,
/// a locked file). The work begins its own transaction, so that each attempt sees the data as it is then.
///
/// ```
/// # use guardian_core::{Scope, StoreError};
/// # use guardian_sql::{Database, Retry, params, retry};
/// async fn take(db: &Database, scope: &Scope, id: i64) -> Result<i64, StoreError> {
///     retry(&Retry::default(), || async {
///         let mut tx = db.begin_serializable(scope).await?;
///         let tenant = scope.tenant();
///         let row = tx.fetch_one("SELECT stock FROM items WHERE tenant_id = $1 AND id = $2", params![tenant, id]).await?;
///         let left = row.get::<i64>("stock")? - 1;
///         tx.execute("UPDATE items SET stock = $3 WHERE tenant_id = $1 AND id = $2", params![tenant, id, left]).await?;
///         tx.commit().await?;
///         Ok(left)
///     })
///     .await
/// }
/// ```
///
/// # Errors
/// The work's own: the last conflict when all attempts are used up, any other error at once.
pub async fn retry<T, E, F, Work>(retry: &Retry, mut work: F) -> Result<T, E>
where
    E: MayConflict,
    F: FnMut() -> Work,
    Work: Future<Output = Result<T, E>>,
{
    let mut attempt = 1;
    loop {
        match work().await {
            Err(error) if error.is_conflict() && attempt < retry.attempts => {
                tokio::time::sleep(retry.delay(attempt)).await;
                attempt += 1;
            }
            done => return done,
        }
    }
}

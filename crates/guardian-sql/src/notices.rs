//! What other processes tell at once, on PostgreSQL.

use std::fmt;

use guardian_core::{StoreError, StoreErrorKind};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::Mutex;

use crate::{Dialect, fault};

/// Hears the notices of one channel, on a connection of its own that is made when it is first asked.
///
/// A notice is told to everybody who listens while it is told, once its transaction was kept, and to nobody later: whoever relies on
/// it looks from time to time as well.
pub struct Notices {
    channel: &'static str,
    options: PgConnectOptions,
    listener: Mutex<Option<PgListener>>,
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl Notices {
    pub(crate) fn new(channel: &'static str, options: PgConnectOptions) -> Self {
        Self { channel, options, listener: Mutex::new(None) }
    }

    /// Waits for the next notice and gives its text; `None` when nobody listened for a while, as at the beginning and after the
    /// connection was lost, so that anything may have been told. It may be dropped at any time, and then misses nothing.
    ///
    /// # Errors
    /// When the server cannot be reached. The next call tries again.
    pub async fn next(&self) -> Result<Option<String>, StoreError> {
        let failed = |error| fault::from_driver(error, Dialect::Postgres);
        let mut listener = self.listener.lock().await;
        if let Some(known) = listener.as_mut() {
            match known.try_recv().await {
                Ok(Some(notice)) => return Ok(Some(notice.payload().to_owned())),
                // The connection was lost. A new listener is made below, and whoever drops this before it listens finds none the
                // next time and is told then.
                Ok(None) => *listener = None,
                Err(error) => {
                    *listener = None;
                    return Err(failed(error));
                }
            }
        }
        let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let pool = pool.connect_with(self.options.clone()).await.map_err(failed)?;
        let mut new = PgListener::connect_with(&pool).await.map_err(failed)?;
        new.eager_reconnect(false);
        new.listen(self.channel).await.map_err(failed)?;
        *listener = Some(new);
        Ok(None)
    }
}

/// The longest text of a notice, in bytes: PostgreSQL takes less than 8000.
pub(crate) const MAX_NOTICE: usize = 7999;

pub(crate) fn too_long(length: usize) -> StoreError {
    let why = format!("a notice has {length} bytes, the most is {MAX_NOTICE}");
    fault::own(StoreErrorKind::Unsupported, Dialect::Postgres, why)
}

//! Ctrl-C, SIGTERM and SIGHUP as a counter that every waiting loop looks at.
//!
//! The handler only counts. The main thread notices, ends what it runs, and returns through the guards that own the
//! servers; so no number of signals can end this process between a server's start and its stop.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

/// Takes over the signals. Called once, before anything is started.
pub(crate) fn install() -> Result<()> {
    ctrlc::set_handler(|| {
        SIGNALS.fetch_add(1, Ordering::SeqCst);
    })
    .map_err(Error::on("cannot handle signals"))
}

/// How many signals have arrived.
pub(crate) fn count() -> usize {
    SIGNALS.load(Ordering::SeqCst)
}

/// Fails as soon as one signal has arrived.
pub(crate) fn check() -> Result<()> {
    if count() == 0 { Ok(()) } else { Err(Error::Interrupted) }
}

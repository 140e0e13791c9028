//! Anchors: places outside of the log where checkpoints are kept, against who can restore an old copy of everything.
//!
//! Whoever owns the log's storage can put yesterday's copy back, checkpoints and all, and nothing in it shows that today
//! has been. A checkpoint that was kept elsewhere does. The further away the better: another machine beats another file,
//! another company beats both.
//!
//! | anchor | keeps | where |
//! |---|---|---|
//! | [`MemoryAnchor`] | the last of each tenant | this process; for tests |
//! | [`FileAnchor`] | every one, appended and synced | a file, best on a mount of its own |
//! | [`WebhookAnchor`] | what the receiver keeps | wherever the host's [`Webhook`] sends it |
//! | `SqlAnchor` (features `sqlite`, `postgres`) | every one | a second database |

mod file;
mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
mod webhook;

#[cfg(feature = "testkit")]
pub mod laws;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Scope, StoreError, StoreErrorKind};

use crate::checkpoint::SealedCheckpoint;

pub use file::{FileAnchor, Torn};
pub use memory::MemoryAnchor;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::{MIGRATIONS, SqlAnchor};
pub use webhook::{Webhook, WebhookAnchor};

/// What became of a checkpoint that was to be anchored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "an anchor that knows better has found a tampered log"]
pub enum Anchored {
    /// It is kept.
    Kept,
    /// It was kept before; nothing has changed.
    Known,
    /// The anchor keeps one that covers more events: this log is older than one that was anchored. It was rolled back,
    /// or two processes race to anchor, of which the later one is fine.
    Behind(Box<SealedCheckpoint>),
    /// The anchor keeps another one of the same size: this is another log.
    Differs(Box<SealedCheckpoint>),
}

impl Anchored {
    /// What the rules say of a checkpoint where `latest` is kept; `None` when it is to be kept.
    fn judge(latest: Option<&SealedCheckpoint>, next: &SealedCheckpoint) -> Option<Self> {
        let latest = latest?;
        let (kept, is) = (latest.checkpoint(), next.checkpoint());
        if kept.hash() == is.hash() {
            Some(Self::Known)
        } else if kept.size() > is.size() {
            Some(Self::Behind(Box::new(latest.clone())))
        } else if kept.size() == is.size() && kept.root() != is.root() {
            Some(Self::Differs(Box::new(latest.clone())))
        } else {
            None
        }
    }
}

/// Keeps checkpoints out of reach of who can rewrite the log.
///
/// # Contract
/// - **Per tenant.** The checkpoint is of the scope's tenant, else `Constraint`; no tenant's checkpoints are seen by another.
/// - **Forward only.** What is kept never becomes smaller. A checkpoint of fewer events than the latest, or of as many with
///   another root, is not kept, and the answer says what is.
/// - **Durable.** After `Kept` a crash does not lose it, as far as the anchor can promise.
/// - **Idempotent.** The same checkpoint again is `Known`.
/// - **Unjudged.** An anchor does not verify seals: who reads it does, with a [`KeyRing`](crate::checkpoint::KeyRing).
#[async_trait]
pub trait Anchor: Send + Sync + fmt::Debug + 'static {
    /// What it is called in reports: where it keeps things.
    fn name(&self) -> &str;

    /// Keeps a checkpoint.
    ///
    /// # Errors
    /// When it cannot, or the checkpoint is of another tenant.
    async fn publish(&self, scope: &Scope, checkpoint: &SealedCheckpoint) -> Result<Anchored, StoreError>;

    /// The latest checkpoint of the scope's tenant.
    ///
    /// # Errors
    /// When it cannot be read, or what was kept is no checkpoint of this tenant.
    async fn latest(&self, scope: &Scope) -> Result<Option<SealedCheckpoint>, StoreError>;
}

#[async_trait]
impl<A: Anchor + ?Sized> Anchor for Arc<A> {
    fn name(&self) -> &str {
        (**self).name()
    }

    async fn publish(&self, scope: &Scope, checkpoint: &SealedCheckpoint) -> Result<Anchored, StoreError> {
        (**self).publish(scope, checkpoint).await
    }

    async fn latest(&self, scope: &Scope) -> Result<Option<SealedCheckpoint>, StoreError> {
        (**self).latest(scope).await
    }
}

/// Something that breaks the contract, as an error of this backend.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

fn fault(kind: StoreErrorKind, backend: &'static str, why: impl Into<String>) -> StoreError {
    StoreError::new(kind, backend).with_source(Refused(why.into()))
}

/// The checkpoint is of the scope's tenant.
fn own(scope: &Scope, checkpoint: &SealedCheckpoint, backend: &'static str) -> Result<(), StoreError> {
    let tenant = checkpoint.checkpoint().tenant();
    if tenant == scope.tenant() {
        return Ok(());
    }
    let why = format!("a checkpoint of the tenant `{tenant}` in the scope of `{}`", scope.tenant());
    Err(fault(StoreErrorKind::Constraint, backend, why))
}

/// Reads a note that was kept.
fn read(scope: &Scope, note: &str, backend: &'static str) -> Result<SealedCheckpoint, StoreError> {
    let corrupt = |why: String| fault(StoreErrorKind::Corrupt, backend, why);
    let sealed = SealedCheckpoint::parse(note).map_err(|error| corrupt(error.to_string()))?;
    let tenant = sealed.checkpoint().tenant();
    if tenant != scope.tenant() {
        return Err(corrupt(format!(
            "a checkpoint of the tenant `{tenant}` is kept for `{}`",
            scope.tenant()
        )));
    }
    Ok(sealed)
}

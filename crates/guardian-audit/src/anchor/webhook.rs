use std::fmt;

use async_trait::async_trait;
use guardian_core::{Scope, StoreError};

use super::{Anchor, Anchored, own, read};
use crate::checkpoint::SealedCheckpoint;

const BACKEND: &str = "webhook anchor";

/// A port: how the host reaches somebody who keeps checkpoints, over HTTP or however. The crate brings no client.
///
/// What travels is the note of a checkpoint, a text of `text/plain; charset=utf-8`. It is sealed, so it needs no secrecy;
/// whoever receives it can verify it with the public key and the tools of transparency logs.
#[async_trait]
pub trait Webhook: Send + Sync + fmt::Debug + 'static {
    /// Delivers a note about the scope's tenant. `Ok` means that the other side has stored it; delivering twice is
    /// harmless.
    ///
    /// # Errors
    /// When it did not arrive, or was refused.
    async fn deliver(&self, scope: &Scope, note: &str) -> Result<(), StoreError>;

    /// The latest note about the scope's tenant that the other side has.
    ///
    /// # Errors
    /// When the other side does not answer.
    async fn fetch(&self, scope: &Scope) -> Result<Option<String>, StoreError>;
}

/// Keeps checkpoints with whoever a [`Webhook`] reaches.
///
/// Before it sends one it asks what is kept, so that a log that was rolled back is noticed when it next anchors. Two
/// processes that anchor one tenant at once may both see the same answer; the receiver should keep every note.
#[derive(Debug)]
pub struct WebhookAnchor<W> {
    name: String,
    webhook: W,
}

impl<W: Webhook> WebhookAnchor<W> {
    /// An anchor of this name.
    #[must_use]
    pub fn new(name: impl Into<String>, webhook: W) -> Self {
        Self { name: name.into(), webhook }
    }
}

#[async_trait]
impl<W: Webhook> Anchor for WebhookAnchor<W> {
    fn name(&self) -> &str {
        &self.name
    }

    async fn publish(&self, scope: &Scope, checkpoint: &SealedCheckpoint) -> Result<Anchored, StoreError> {
        own(scope, checkpoint, BACKEND)?;
        let latest = self.latest(scope).await?;
        if let Some(known) = Anchored::judge(latest.as_ref(), checkpoint) {
            return Ok(known);
        }
        self.webhook.deliver(scope, &checkpoint.note()).await?;
        Ok(Anchored::Kept)
    }

    async fn latest(&self, scope: &Scope) -> Result<Option<SealedCheckpoint>, StoreError> {
        let note = self.webhook.fetch(scope).await?;
        note.map(|note| read(scope, &note, BACKEND)).transpose()
    }
}

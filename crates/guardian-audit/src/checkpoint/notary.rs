use std::sync::Arc;
use std::time::Duration;

use guardian_core::{TenantId, Timestamp};

use super::body::{Checkpoint, InvalidCheckpoint};
use super::evolving::EvolvingKey;
use super::note::SealedCheckpoint;
use super::signer::{SignError, Signer};
use crate::merkle::Hash;

/// When a tenant's log gets its next checkpoint, and by which seal. Nothing is sealed while nothing was appended.
///
/// What was appended since the last checkpoint can still be rewritten unseen, so these are also the bounds of what a
/// break-in can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointPolicy {
    /// A signature is due after so many events since the last one.
    pub sign_events: u64,
    /// A signature is due so long after the last one.
    pub sign_interval: Duration,
    /// A seal by the evolving key is due after so many events since the last checkpoint.
    pub seal_events: u64,
    /// A seal by the evolving key is due so long after the last checkpoint.
    pub seal_interval: Duration,
}

impl Default for CheckpointPolicy {
    /// A signature each 1,000 events or 10 seconds, a seal each 100 events or second.
    fn default() -> Self {
        Self {
            sign_events: 1_000,
            sign_interval: Duration::from_secs(10),
            seal_events: 100,
            seal_interval: Duration::from_secs(1),
        }
    }
}

impl CheckpointPolicy {
    /// The same policy with these bounds for signatures. Zero events count as one.
    #[must_use]
    pub fn with_signatures(mut self, events: u64, interval: Duration) -> Self {
        (self.sign_events, self.sign_interval) = (events, interval);
        self
    }

    /// The same policy with these bounds for seals between signatures. Zero events count as one.
    #[must_use]
    pub fn with_seals(mut self, events: u64, interval: Duration) -> Self {
        (self.seal_events, self.seal_interval) = (events, interval);
        self
    }
}

/// How a checkpoint is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealKind {
    /// By a signature, which everybody can verify.
    Signature,
    /// By the evolving key.
    Evolving,
}

/// A checkpoint that was made, as far as the next one needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Made {
    size: u64,
    hash: Hash,
    time: Timestamp,
}

impl Made {
    fn of(checkpoint: &Checkpoint) -> Self {
        Self { size: checkpoint.size(), hash: checkpoint.hash(), time: checkpoint.time() }
    }
}

/// Where the checkpoints of one tenant's log stand. A store makes it from the checkpoints that it has, and keeps it beside
/// the [`Frontier`](crate::merkle::Frontier).
#[derive(Debug, Clone)]
pub struct SealState {
    tenant: TenantId,
    last: Option<Made>,
    /// Size and time of the last one that was signed.
    signed: Option<(u64, Timestamp)>,
    evolving: Option<EvolvingKey>,
    since: Option<Timestamp>,
}

impl SealState {
    /// A log without checkpoints.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self { tenant, last: None, signed: None, evolving: None, since: None }
    }

    /// The same log after this checkpoint; `signed` says whether it was sealed by a signature. Called with the last
    /// signed one and then the last, a store is up to date.
    #[must_use]
    pub fn after(mut self, checkpoint: &Checkpoint, signed: bool) -> Self {
        self.note(checkpoint, signed);
        self
    }

    /// The same log with this key between signatures.
    #[must_use]
    pub fn with_evolving(mut self, key: EvolvingKey) -> Self {
        self.evolving = Some(key);
        self
    }

    /// The key between signatures. Its state is to be stored with each checkpoint that it sealed.
    #[must_use]
    pub fn evolving(&self) -> Option<&EvolvingKey> {
        self.evolving.as_ref()
    }

    /// How many events the last checkpoint covers; 0 before the first.
    #[must_use]
    pub fn sealed_size(&self) -> u64 {
        self.last.as_ref().map_or(0, |made| made.size)
    }

    fn note(&mut self, checkpoint: &Checkpoint, signed: bool) {
        if signed {
            self.signed = Some((checkpoint.size(), checkpoint.time()));
        }
        self.last = Some(Made::of(checkpoint));
    }
}

/// Makes checkpoints: decides when one is due, and seals it.
///
/// ```
/// use std::time::Duration;
/// use guardian_audit::checkpoint::{CheckpointPolicy, Ed25519Signer, MasterKey, Notary, SealKind, SealState};
/// use guardian_audit::merkle::{Frontier, leaf_hash};
/// use guardian_core::{Clock, ManualClock, TenantId};
///
/// let policy = CheckpointPolicy::default().with_signatures(1000, Duration::from_secs(10)).with_seals(10, Duration::from_secs(1));
/// let notary = Notary::new(Ed25519Signer::from_seed("audit.example.com/2026", &[7; 32])?, policy);
///
/// let (acme, clock, mut log) = (TenantId::new("acme")?, ManualClock::new(), Frontier::new());
/// let master = MasterKey::new("audit.example.com/mac", &[9; 32])?;
/// let mut state = SealState::new(acme.clone()).with_evolving(master.begin(&acme));
///
/// (0..10_u8).for_each(|event| log.append(leaf_hash(&[event])));
/// assert_eq!(notary.due(&mut state, log.size(), clock.now()), Some(SealKind::Evolving));
/// let sealed = notary.seal(&mut state, SealKind::Evolving, log.size(), log.root(), clock.now())?;
/// assert_eq!(sealed.checkpoint().size(), 10);
/// assert_eq!(notary.due(&mut state, log.size(), clock.now()), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Notary {
    signer: Arc<dyn Signer>,
    policy: CheckpointPolicy,
}

impl Notary {
    /// A notary that signs with this signer.
    #[must_use]
    pub fn new(signer: impl Signer, policy: CheckpointPolicy) -> Self {
        Self { signer: Arc::new(signer), policy }
    }

    /// Who signs.
    #[must_use]
    pub fn signer(&self) -> &dyn Signer {
        &*self.signer
    }

    /// Whether a checkpoint is due for a log that has now `size` events, and by which seal. It is cheap enough to be
    /// asked after every append; the state notes since when something is waiting.
    #[must_use]
    pub fn due(&self, state: &mut SealState, size: u64, now: Timestamp) -> Option<SealKind> {
        let new = size.checked_sub(state.sealed_size())?;
        let (signed, signed_at) = state.signed.map_or((0, None), |(size, time)| (size, Some(time)));
        if size == signed {
            return None;
        }
        // Before the first checkpoint, time runs from the first question.
        let since = *state.since.get_or_insert(now);
        let waited =
            |from: Option<Timestamp>| (now - from.unwrap_or(since)).to_std().unwrap_or(Duration::ZERO);
        let policy = &self.policy;
        let unsigned = size.saturating_sub(signed);
        if unsigned >= policy.sign_events.max(1) || waited(signed_at) >= policy.sign_interval {
            return Some(SealKind::Signature);
        }
        let last = state.last.as_ref().map(|made| made.time);
        let seal = new > 0 && (new >= policy.seal_events.max(1) || waited(last) >= policy.seal_interval);
        (seal && state.evolving.is_some()).then_some(SealKind::Evolving)
    }

    /// Makes the checkpoint of a log that has `size` events and this root. Where there is no evolving key, it signs.
    ///
    /// A clock that was set back does not set checkpoints back: the time is the last one's then. The store keeps the
    /// checkpoint and the state of the evolving key in one step; when that fails, it makes the state anew.
    ///
    /// # Errors
    /// When the signer does not sign, or the time is not in the years 0 to 9999; the state is as before then.
    pub fn seal(
        &self,
        state: &mut SealState,
        kind: SealKind,
        size: u64,
        root: Hash,
        now: Timestamp,
    ) -> Result<SealedCheckpoint, NotaryError> {
        let time = state.last.as_ref().map_or(now, |made| made.time.max(now));
        let previous = state.last.as_ref().map(|made| made.hash);
        let checkpoint = Checkpoint::new(state.tenant.clone(), size, root, previous, time)?;
        let (sealed, signed) = match (kind, &mut state.evolving) {
            (SealKind::Evolving, Some(key)) => {
                let seal = key.seal(checkpoint.text().as_bytes());
                (SealedCheckpoint::new(checkpoint, seal), false)
            }
            _ => (SealedCheckpoint::signed(checkpoint, &*self.signer)?, true),
        };
        state.note(sealed.checkpoint(), signed);
        Ok(sealed)
    }
}

/// Why a checkpoint was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotaryError {
    /// The values make no checkpoint.
    #[error(transparent)]
    Invalid(#[from] InvalidCheckpoint),
    /// The signer did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

use std::collections::HashMap;
use std::fmt;

use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use parking_lot::Mutex;

use super::evolving::EvolvingKey;
use super::notary::{Notary, NotaryError, SealKind, SealState};
use super::note::{Seal, SealedCheckpoint};
use crate::error::Error;
use crate::log::AuditLog;
use crate::store::{AuditStore, Note, NoteKind};

/// Makes and stores the checkpoints of logs as they grow: call [`run_once`](Self::run_once) for each tenant every second or
/// so, or after appends.
///
/// What a [`Notary`] decides it does: a checkpoint each so many events or so long after the last one. Any number of
/// processes may do this for one log at once, and each may die at any time: a checkpoint is stored only behind the one that
/// it names, and one of them makes it. A log that was sealed by an evolving key and waits for its signature gets that on the
/// checkpoint which it has.
///
/// ```
/// use guardian_audit::checkpoint::{CheckpointPolicy, Ed25519Signer, Notary, Sealer};
/// use guardian_audit::store::MemoryStore;
/// use guardian_audit::{AuditConfig, AuditEvent, AuditLog};
/// use guardian_core::{Clock, Scope, SystemClock, TenantId};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let log = AuditLog::new(MemoryStore::new(), AuditConfig::default());
/// let scope = Scope::system(TenantId::new("acme")?);
/// let signer = Ed25519Signer::from_seed("audit.example.com/2026", &[7; 32])?;
/// let policy = CheckpointPolicy::default().with_signatures(1, std::time::Duration::from_secs(10));
/// let sealer = Sealer::new(Notary::new(signer, policy));
///
/// log.record(&scope, AuditEvent::new("deal.updated")).await?;
/// let now = SystemClock::new().now();
/// let made = sealer.run_once(&log, &scope, now).await?.ok_or("a checkpoint")?;
/// assert_eq!(made.checkpoint().size(), 1);
/// assert!(sealer.run_once(&log, &scope, now).await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sealer {
    notary: Notary,
    begin: Option<Box<Begin>>,
    logs: Mutex<HashMap<TenantId, Known>>,
}

type Begin = dyn Fn(&TenantId) -> Option<EvolvingKey> + Send + Sync;

/// What this process knows of the checkpoints of a log. Whether it is still so is seen when the next one is stored.
#[derive(Debug)]
struct Known {
    state: SealState,
    last: Option<SealedCheckpoint>,
}

impl Sealer {
    /// Seals as this notary says, by signatures alone.
    #[must_use]
    pub fn new(notary: Notary) -> Self {
        Self { notary, begin: None, logs: Mutex::new(HashMap::new()) }
    }

    /// The same, with a key that evolves between signatures: `begin` gives the key that a tenant's log begins with, see
    /// [`MasterKey::begin`](super::MasterKey::begin), and is asked when no state of one is stored. Where it gives none, the log
    /// is signed only.
    #[must_use]
    pub fn with_evolving(
        mut self,
        begin: impl Fn(&TenantId) -> Option<EvolvingKey> + Send + Sync + 'static,
    ) -> Self {
        self.begin = Some(Box::new(begin));
        self
    }

    /// Makes the checkpoint that is due for the log of the scope's tenant, and stores it; `None` when none is, or another
    /// process has just made it. What it returns is to be published to the [anchors](crate::anchor), if it is signed.
    ///
    /// # Errors
    /// When the signer does not sign, the store failed, a stored checkpoint cannot be read, or the log has fewer events than
    /// its last checkpoint covers, which is to be treated as an incident. The next call tries again.
    pub async fn run_once<S: AuditStore>(
        &self,
        log: &AuditLog<S>,
        scope: &Scope,
        now: Timestamp,
    ) -> Result<Option<SealedCheckpoint>, Error> {
        let tenant = scope.tenant();
        // Whatever goes wrong on the way, what is known is read anew.
        let known = self.logs.lock().remove(tenant);
        let mut known = match known {
            Some(known) => known,
            None => self.load(log.store(), scope).await?,
        };
        let head = log.store().head(scope).await?;
        if head.size < known.state.sealed_size() {
            let covered = known.state.sealed_size();
            return Err(corrupt(format!(
                "the log has {} events, its last checkpoint covers {covered}",
                head.size
            )));
        }
        let Some(kind) = self.notary.due(&mut known.state, head.size, now) else {
            self.keep(tenant, known);
            return Ok(None);
        };
        let before = known.last.as_ref().map(|last| name(last.checkpoint().size()));
        let sealed = match known.last.take() {
            Some(last) if kind == SealKind::Signature && last.checkpoint().size() == head.size => {
                let signature = self.notary.signer().sign(last.checkpoint().text().as_bytes());
                let signature = signature.map_err(NotaryError::from)?;
                let seal = Seal::signature(self.notary.signer().verifying_key(), &signature);
                known.state = known.state.after(last.checkpoint(), true);
                last.with_seal(seal)
            }
            _ => self.notary.seal(&mut known.state, kind, head.size, head.root.into(), now)?,
        };
        let note = Note::new(name(head.size), sealed.note().into_bytes());
        let key = known.state.evolving().filter(|_| kind == SealKind::Evolving);
        let state = key.map(|key| Note::new(key.id().name(), key.to_bytes().to_vec()));
        if !log.store().put_checkpoint(scope, before.as_deref(), &note, state.as_ref()).await? {
            return Ok(None);
        }
        known.last = Some(sealed.clone());
        self.keep(tenant, known);
        Ok(Some(sealed))
    }

    fn keep(&self, tenant: &TenantId, known: Known) {
        self.logs.lock().insert(tenant.clone(), known);
    }

    async fn load<S: AuditStore>(&self, store: &S, scope: &Scope) -> Result<Known, Error> {
        let tenant = scope.tenant();
        // The checkpoints before the key: who reads a key that is newer than the last checkpoint finds out when it stores the
        // next one, and who reads an older one would not.
        let notes = store.notes(scope, NoteKind::Checkpoint).await?;
        let mut state = SealState::new(tenant.clone());
        let mut last = None;
        for note in notes.iter().rev() {
            let sealed = read(note)?;
            let is_signed =
                sealed.seals().iter().any(|seal| seal.key() == self.notary.signer().verifying_key().id());
            if is_signed {
                state = state.after(sealed.checkpoint(), true);
            }
            last.get_or_insert(sealed);
            if is_signed {
                break;
            }
        }
        if let Some(last) = &last {
            state = state.after(last.checkpoint(), false);
        }
        if let Some(begin) = &self.begin {
            let stored = store.notes(scope, NoteKind::Seal).await?.pop();
            let key = match stored {
                Some(note) => Some(
                    EvolvingKey::from_bytes(&note.name, &note.bytes)
                        .map_err(|error| corrupt(error.to_string()))?,
                ),
                None => begin(tenant),
            };
            if let Some(key) = key {
                state = state.with_evolving(key);
            }
        }
        Ok(Known { state, last })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("notary", &self.notary).finish_non_exhaustive()
    }
}

/// The name of the checkpoint of so many events.
fn name(size: u64) -> String {
    format!("{size:020}")
}

fn read(note: &Note) -> Result<SealedCheckpoint, Error> {
    let text = std::str::from_utf8(&note.bytes).map_err(|error| corrupt(error.to_string()))?;
    let sealed = SealedCheckpoint::parse(text).map_err(|error| corrupt(error.to_string()))?;
    if name(sealed.checkpoint().size()) != note.name {
        return Err(corrupt(format!("the checkpoint `{}` has another name", sealed.checkpoint().size())));
    }
    Ok(sealed)
}

fn corrupt(why: String) -> Error {
    StoreError::new(StoreErrorKind::Corrupt, "audit checkpoints").with_source(why).into()
}

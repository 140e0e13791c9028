use guardian_core::{TenantId, Timestamp};

use super::body::Checkpoint;
use super::key::KeyId;
use super::note::SealedCheckpoint;
use super::ring::{KeyRing, SealChecker, Standing};
use crate::merkle::{Hash, ProofError, verify_consistency};

/// What is wrong with a checkpoint, or between it and the one before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointFault {
    /// It is of another tenant's log.
    #[error("it is a checkpoint of the tenant `{found}`")]
    ForeignTenant {
        /// The tenant that it names.
        found: TenantId,
    },
    /// No accepted key sealed it.
    #[error("no accepted key has sealed it")]
    Unsigned,
    /// A seal does not hold.
    #[error("the seal of the key `{key}` does not hold")]
    Forged {
        /// The key that the seal names.
        key: KeyId,
    },
    /// A key signed it after its time.
    #[error("the key `{key}` was retired before")]
    Retired {
        /// The key.
        key: KeyId,
    },
    /// It does not follow the one before.
    #[error("it does not follow the checkpoint before")]
    Unlinked,
    /// It covers fewer events than the one before.
    #[error("it covers {size} events, the one before {before}")]
    Shrunk {
        /// How many events it covers.
        size: u64,
        /// How many the one before covers.
        before: u64,
    },
    /// It is older than the one before.
    #[error("it is older than the one before")]
    BackInTime {
        /// Its time.
        time: Timestamp,
        /// The time of the one before.
        before: Timestamp,
    },
    /// An evolving key sealed it that has sealed something later.
    #[error("the evolving key sealed it as number {generation}, not behind number {before}")]
    Generation {
        /// Which seal of the key it has.
        generation: u64,
        /// Which seal an earlier checkpoint has.
        before: u64,
    },
    /// It covers other events than the one before does.
    #[error("it does not contain the events of the one before")]
    Inconsistent(#[source] ProofError),
}

/// Verifies the checkpoints of one tenant's log in their order: each is sealed by an accepted key, names the one before,
/// and neither size nor time decrease.
///
/// It holds the last checkpoint alone. Where the events are at hand, their roots show that checkpoints belong to them
/// (the verifier); where they are not, consistency proofs show that each log contains the one
/// before ([`push_proven`](Self::push_proven)).
///
/// ```
/// use guardian_audit::checkpoint::{
///     Checkpoint, CheckpointChain, Ed25519Signer, KeyRing, SealedCheckpoint, Signer,
/// };
/// use guardian_audit::merkle::{Tree, leaf_hash};
/// use guardian_core::{Clock, ManualClock, TenantId};
///
/// let signer = Ed25519Signer::from_seed("audit.example.com/2026", &[7; 32])?;
/// let (acme, now) = (TenantId::new("acme")?, ManualClock::new().now());
/// let mut tree = Tree::new();
/// (0..9_u8).for_each(|event| tree.append(leaf_hash(&[event])));
///
/// let first = Checkpoint::new(acme.clone(), 4, tree.root_at(4).unwrap(), None, now)?;
/// let second = Checkpoint::new(acme.clone(), 9, tree.root(), Some(first.hash()), now)?;
///
/// let ring = KeyRing::new().accept(signer.verifying_key().clone());
/// let mut chain = CheckpointChain::new(acme, &ring);
/// chain.push(&SealedCheckpoint::signed(first, &signer)?)?;
/// chain.push_proven(&SealedCheckpoint::signed(second, &signer)?, &tree.prove_consistency(4, 9)?.hashes)?;
/// assert_eq!(chain.trusted().map(|checkpoint| checkpoint.size()), Some(9));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CheckpointChain<'k> {
    tenant: TenantId,
    checker: SealChecker<'k>,
    knows_evolving: bool,
    last: Option<Checkpoint>,
    trusted: Option<Checkpoint>,
    generation: Option<(KeyId, u64)>,
    counts: [u64; 3],
    last_sealed: bool,
}

impl<'k> CheckpointChain<'k> {
    /// The checkpoints of this tenant's log, none so far.
    #[must_use]
    pub fn new(tenant: TenantId, ring: &'k KeyRing) -> Self {
        Self {
            tenant,
            checker: ring.checker(),
            knows_evolving: ring.knows_evolving(),
            last: None,
            trusted: None,
            generation: None,
            counts: [0; 3],
            last_sealed: false,
        }
    }

    /// The next checkpoint, without a look at the events.
    ///
    /// The first one may name a checkpoint before it: the chain is then a part of a longer one. A checkpoint that only an
    /// unknown key sealed passes where the ring has no evolving key, as one that cannot be judged; it is
    /// [trusted](Self::trusted) once a later one is.
    ///
    /// # Errors
    /// What is wrong. The chain goes on behind this checkpoint nevertheless, so that later faults are found too.
    pub fn push(&mut self, sealed: &SealedCheckpoint) -> Result<(), CheckpointFault> {
        let judged = self.judge(sealed);
        if !matches!(judged, Err(CheckpointFault::ForeignTenant { .. })) {
            self.last = Some(sealed.checkpoint().clone());
        }
        if judged? {
            self.trusted.clone_from(&self.last);
        }
        Ok(())
    }

    /// The next checkpoint, with the proof that its log contains that of the one before; for the first, and behind an
    /// empty log, it is empty.
    ///
    /// # Errors
    /// As for [`Self::push`], and when the proof does not show it.
    pub fn push_proven(&mut self, sealed: &SealedCheckpoint, proof: &[Hash]) -> Result<(), CheckpointFault> {
        let next = sealed.checkpoint();
        let shown = match &self.last {
            Some(last) if last.size() > 0 => {
                verify_consistency(last.size(), next.size(), last.root(), next.root(), proof)
            }
            _ if proof.is_empty() => Ok(()),
            _ => Err(ProofError::WrongLength { expected: 0, found: proof.len() }),
        };
        // What is wrong with the checkpoint itself says more than that the proof does not fit.
        self.push(sealed)?;
        shown.map_err(CheckpointFault::Inconsistent)
    }

    /// Whether the checkpoint is trusted by itself.
    fn judge(&mut self, sealed: &SealedCheckpoint) -> Result<bool, CheckpointFault> {
        let next = sealed.checkpoint();
        self.last_sealed = false;
        if *next.tenant() != self.tenant {
            return Err(CheckpointFault::ForeignTenant { found: next.tenant().clone() });
        }
        let standing = self.checker.check(sealed);
        match &standing {
            Standing::Forged(key) => return Err(CheckpointFault::Forged { key: key.clone() }),
            Standing::Retired(key) => return Err(CheckpointFault::Retired { key: key.clone() }),
            Standing::Unknown if self.knows_evolving => return Err(CheckpointFault::Unsigned),
            Standing::Signed(_) | Standing::Sealed(..) => self.last_sealed = true,
            Standing::Unknown => {}
        }
        if let Some(last) = &self.last {
            if next.previous() != Some(last.hash()) {
                return Err(CheckpointFault::Unlinked);
            }
            if next.size() < last.size() {
                return Err(CheckpointFault::Shrunk { size: next.size(), before: last.size() });
            }
            if next.time() < last.time() {
                return Err(CheckpointFault::BackInTime { time: next.time(), before: last.time() });
            }
            if next.size() == last.size() && next.root() != last.root() {
                let unequal = ProofError::Root { computed: next.root(), expected: last.root() };
                return Err(CheckpointFault::Inconsistent(unequal));
            }
        }
        let [signed, maced, unjudged] = &mut self.counts;
        match standing {
            Standing::Signed(_) => *signed += 1,
            Standing::Sealed(key, generation) => {
                let before = self.generation.replace((key.clone(), generation));
                if let Some((_, before)) =
                    before.filter(|(name, before)| *name == key && *before >= generation)
                {
                    return Err(CheckpointFault::Generation { generation, before });
                }
                *maced += 1;
            }
            _ => {
                *unjudged += 1;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The last checkpoint, trusted or not.
    #[must_use]
    pub fn last(&self) -> Option<&Checkpoint> {
        self.last.as_ref()
    }

    /// Whether an accepted key sealed the checkpoint that was pushed last, whatever else is wrong with it.
    #[must_use]
    pub fn is_last_sealed(&self) -> bool {
        self.last_sealed
    }

    /// The last checkpoint that an accepted key sealed. Those before it are bound to it by their hashes.
    #[must_use]
    pub fn trusted(&self) -> Option<&Checkpoint> {
        self.trusted.as_ref()
    }

    /// How many checkpoints were signed.
    #[must_use]
    pub fn signed(&self) -> u64 {
        self.counts[0]
    }

    /// How many an evolving key sealed.
    #[must_use]
    pub fn sealed(&self) -> u64 {
        self.counts[1]
    }

    /// How many could not be judged, because the ring has no key for them.
    #[must_use]
    pub fn unjudged(&self) -> u64 {
        self.counts[2]
    }
}

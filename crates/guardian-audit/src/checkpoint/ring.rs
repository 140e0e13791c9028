use std::collections::BTreeMap;

use guardian_core::{TenantId, Timestamp};

use super::evolving::{EvolvingKey, MasterKey};
use super::key::{KeyId, VerifyingKey};
use super::note::{Seal, SealedCheckpoint};

/// The keys whose seals are believed.
///
/// After a rotation the ring holds the old key and the new one. A key that was retired is accepted for the checkpoints of
/// its time alone; one that was stolen is left out, and what only it sealed is unsigned then.
///
/// ```
/// use guardian_audit::checkpoint::{Ed25519Signer, KeyRing, Signer};
///
/// let old = Ed25519Signer::from_seed("audit.example.com/2025", &[5; 32])?;
/// let new = Ed25519Signer::from_seed("audit.example.com/2026", &[6; 32])?;
/// let ring = KeyRing::new()
///     .accept_until(old.verifying_key().clone(), "2026-01-01T00:00:00Z".parse()?)
///     .accept(new.verifying_key().clone());
/// assert_eq!(ring.keys().count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    signing: BTreeMap<KeyId, (VerifyingKey, Option<Timestamp>)>,
    masters: BTreeMap<KeyId, MasterKey>,
}

impl KeyRing {
    /// A ring without keys, which believes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same ring with this key.
    #[must_use]
    pub fn accept(mut self, key: VerifyingKey) -> Self {
        self.signing.insert(key.id().clone(), (key, None));
        self
    }

    /// The same ring with this key for checkpoints that say to be from before this moment.
    ///
    /// The moment is what the checkpoint says, so this keeps a forgotten key from being used on, not a thief from
    /// dating back. Against that an anchor helps.
    #[must_use]
    pub fn accept_until(mut self, key: VerifyingKey, retired: Timestamp) -> Self {
        self.signing.insert(key.id().clone(), (key, Some(retired)));
        self
    }

    /// The same ring with this secret of the seals between signatures.
    #[must_use]
    pub fn accept_evolving(mut self, master: MasterKey) -> Self {
        self.masters.insert(master.id().clone(), master);
        self
    }

    /// The public keys.
    pub fn keys(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.signing.values().map(|(key, _)| key)
    }

    /// Whether there is a key that evolves. Where there is none, seals of such keys cannot be told from forged ones.
    #[must_use]
    pub fn knows_evolving(&self) -> bool {
        !self.masters.is_empty()
    }

    /// Checks seals one by one.
    #[must_use]
    pub fn checker(&self) -> SealChecker<'_> {
        let steps = self.masters.values().map(MasterKey::limit).max().unwrap_or(0);
        SealChecker { ring: self, evolved: None, steps }
    }
}

/// What the seals of a checkpoint are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// This key signed it.
    Signed(KeyId),
    /// This key sealed it when it had made so many seals.
    Sealed(KeyId, u64),
    /// No key of the ring sealed it.
    Unknown,
    /// A seal says to be of this key and is not.
    Forged(KeyId),
    /// This key signed it after its time.
    Retired(KeyId),
}

/// Checks seals against a [`KeyRing`]. It remembers how far an evolving key has come, so that a tenant's checkpoints in
/// their order take one step each.
#[derive(Debug)]
pub struct SealChecker<'k> {
    ring: &'k KeyRing,
    evolved: Option<(TenantId, EvolvingKey)>,
    /// How many more steps keys may evolve. To a generation that no host has reached there is a long way, which a forger
    /// would have us go once for each checkpoint.
    steps: u64,
}

impl SealChecker<'_> {
    /// What the seals are worth. One seal of a known key that does not hold spoils the others, as C2SP signed-note asks;
    /// seals of unknown keys count for nothing. Over its life, a checker evolves keys by as many steps as the
    /// [limit](MasterKey::with_limit) says; what lies beyond is taken for forged.
    #[must_use]
    pub fn check(&mut self, sealed: &SealedCheckpoint) -> Standing {
        let text = sealed.checkpoint().text();
        let mut standing = Standing::Unknown;
        for seal in sealed.seals() {
            let found = self.check_one(sealed, seal, text.as_bytes());
            match (&standing, &found) {
                (_, Standing::Forged(_) | Standing::Retired(_)) => return found,
                (_, Standing::Unknown) | (Standing::Signed(_), _) => {}
                _ => standing = found,
            }
        }
        standing
    }

    fn check_one(&mut self, sealed: &SealedCheckpoint, seal: &Seal, text: &[u8]) -> Standing {
        let id = seal.key();
        let forged = || Standing::Forged(id.clone());
        if let Some((key, retired)) = self.ring.signing.get(id) {
            let Ok(signature) = seal.bytes().try_into() else { return forged() };
            if !key.verifies(text, signature) {
                return forged();
            }
            if retired.is_some_and(|retired| sealed.checkpoint().time() >= retired) {
                return Standing::Retired(id.clone());
            }
            return Standing::Signed(id.clone());
        }
        let Some(master) = self.ring.masters.get(id) else { return Standing::Unknown };
        let Some((generation, code)) = seal.bytes().split_first_chunk::<8>() else { return forged() };
        let generation = u64::from_be_bytes(*generation);
        let tenant = sealed.checkpoint().tenant();
        let known = self.evolved.take();
        let known =
            known.filter(|(whose, key)| whose == tenant && key.id() == id && key.generation() <= generation);
        let (_, mut key) = known.unwrap_or_else(|| (tenant.clone(), master.begin(tenant)));
        let Some(left) = self.steps.checked_sub(generation - key.generation()) else { return forged() };
        self.steps = left;
        let holds = key.verifies(generation, text, code);
        self.evolved = Some((tenant.clone(), key));
        if holds == Some(true) { Standing::Sealed(id.clone(), generation) } else { forged() }
    }
}

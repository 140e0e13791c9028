use std::fmt;

use guardian_core::TenantId;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::key::{InvalidKey, KeyId};

/// How this algorithm is identified where C2SP signed-note has no byte for it.
const KIND: &[u8] = b"\xffguardian-audit hmac-sha256 evolving v1";

type Key = Zeroizing<[u8; 32]>;

/// HMAC-SHA-256 (RFC 2104) of some parts. The key fills half a block, and the rest of the block is zero by definition.
fn mac(key: &Key, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; 64]);
    for (to, from) in block.iter_mut().zip(key.iter()) {
        *to = *from;
    }
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    for part in parts {
        mac.update(part);
    }
    mac
}

fn derive(key: &Key, parts: &[&[u8]]) -> Key {
    Zeroizing::new(mac(key, parts).finalize().into_bytes().into())
}

/// The first key of a chain, and its step to the next. Labels keep what is derived apart.
fn first(master: &Key, tenant: &TenantId) -> Key {
    derive(master, &[b"guardian-audit tenant\0", tenant.as_str().as_bytes()])
}

fn next(key: &Key) -> Key {
    derive(key, &[b"guardian-audit next\0"])
}

fn seal(key: &Key, text: &[u8]) -> Hmac<Sha256> {
    mac(&derive(key, &[b"guardian-audit seal\0"]), &[text])
}

/// The secret from which every tenant's [`EvolvingKey`] begins. It belongs to who verifies, off the host that writes:
/// whoever has it can seal anything.
///
/// ```
/// use guardian_audit::checkpoint::MasterKey;
/// use guardian_core::TenantId;
///
/// let master = MasterKey::new("audit.example.com/mac", &[9; 32])?;
/// let mut key = master.begin(&TenantId::new("acme")?);
/// let seal = key.seal(b"text");
/// assert_eq!(key.generation(), 1);
/// # let _ = seal;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MasterKey {
    id: KeyId,
    secret: Key,
    limit: u64,
}

impl MasterKey {
    /// How far a key evolves at most while something is verified, unless said otherwise: a checkpoint each ten seconds
    /// for five years, some seconds of hashing.
    pub const DEFAULT_LIMIT: u64 = 1 << 24;

    /// The key of this name with this secret of 32 random bytes.
    ///
    /// # Errors
    /// When the name is none; see [`KeyId`].
    pub fn new(name: &str, secret: &[u8; 32]) -> Result<Self, InvalidKey> {
        let secret = Zeroizing::new(*secret);
        let public = derive(&secret, &[b"guardian-audit key id\0"]);
        Ok(Self { id: KeyId::of(name, KIND, &*public)?, secret, limit: Self::DEFAULT_LIMIT })
    }

    /// The same key, which verifies seals up to this generation. Each one costs two hashes to get to, and a forged
    /// checkpoint can name any.
    #[must_use]
    pub fn with_limit(mut self, generations: u64) -> Self {
        self.limit = generations;
        self
    }

    /// Its id, which its seals carry.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key with which a tenant's log begins: what the writing host gets.
    #[must_use]
    pub fn begin(&self, tenant: &TenantId) -> EvolvingKey {
        EvolvingKey { id: self.id.clone(), generation: 0, key: first(&self.secret, tenant) }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

/// A key that seals once and is gone: after each seal the next key is derived from it and takes its place.
///
/// The step is one-way (HMAC-SHA-256), so that whoever takes the present key cannot forge what was sealed before: the
/// forward-secure MAC of Bellare and Yee, "Forward-Security in Private-Key Cryptography" (2003). It holds as far as
/// earlier states are gone: a store overwrites the old state with the new one, and backups of it are no good idea.
#[derive(Clone)]
pub struct EvolvingKey {
    id: KeyId,
    generation: u64,
    key: Key,
}

impl EvolvingKey {
    /// The length of the state, in bytes.
    pub const STATE_LEN: usize = 4 + 8 + 32;

    /// Seals a text and evolves: the seal's bytes, behind the key's id in a note, are the generation and the code.
    pub fn seal(&mut self, text: &[u8]) -> super::Seal {
        let mut bytes = self.generation.to_be_bytes().to_vec();
        bytes.extend_from_slice(&seal(&self.key, text).finalize().into_bytes());
        self.evolve();
        super::Seal::new(self.id.clone(), bytes)
    }

    /// How many seals it has made.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Its id, which its seals carry.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The state to store, secret, in place of the one before.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; Self::STATE_LEN]> {
        let mut state = Zeroizing::new([0; Self::STATE_LEN]);
        let (hash, generation) = (self.id.hash().to_be_bytes(), self.generation.to_be_bytes());
        let parts = hash.iter().chain(&generation).chain(self.key.iter());
        for (to, from) in state.iter_mut().zip(parts) {
            *to = *from;
        }
        state
    }

    /// Reads what [`Self::to_bytes`] wrote, of the key of this name.
    ///
    /// # Errors
    /// When the bytes are too few or too many, or the name is none.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, InvalidKey> {
        let wrong = InvalidKey("the state of an evolving key has 44 bytes");
        let (hash, rest) = bytes.split_first_chunk::<4>().ok_or(wrong)?;
        let (generation, key) = rest.split_first_chunk::<8>().ok_or(wrong)?;
        let key = Zeroizing::new(key.try_into().map_err(|_| wrong)?);
        Ok(Self { id: KeyId::from_parts(name, *hash)?, generation: u64::from_be_bytes(*generation), key })
    }

    fn evolve(&mut self) {
        // The key that was is overwritten when it is dropped.
        self.key = next(&self.key);
        self.generation = self.generation.saturating_add(1);
    }

    /// Whether this key, evolved to the generation, made the code. `None` when the generation lies behind.
    pub(super) fn verifies(&mut self, generation: u64, text: &[u8], code: &[u8]) -> Option<bool> {
        if generation < self.generation {
            return None;
        }
        while self.generation < generation {
            self.evolve();
        }
        Some(seal(&self.key, text).verify_slice(code).is_ok())
    }
}

impl fmt::Debug for EvolvingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EvolvingKey({}, generation {})", self.id, self.generation)
    }
}

//! The keys of data subjects: who destroys one makes everything sealed with it unreadable, at once and for good.

mod file;
mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Scope, StoreError, TenantId};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

pub use file::FileKeys;
pub use memory::MemoryKeys;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::SqlKeys;

/// A key and its random name, which says nothing of the subject.
#[derive(Clone)]
#[non_exhaustive]
pub struct SubjectKey {
    /// The name that sealed fields carry.
    pub id: Uuid,
    /// 256 bits.
    pub secret: Zeroizing<[u8; 32]>,
}

impl SubjectKey {
    /// A key with this name.
    #[must_use]
    pub fn new(id: Uuid, secret: [u8; 32]) -> Self {
        Self { id, secret: Zeroizing::new(secret) }
    }

    /// A new key from the system's randomness.
    ///
    /// # Errors
    /// When the system has none: a key that can be guessed would be worse than no event.
    pub fn generate() -> Result<Self, StoreError> {
        let (mut id, mut secret) = ([0; 16], Zeroizing::new([0; 32]));
        let filled = getrandom::fill(&mut id).and_then(|()| getrandom::fill(secret.as_mut()));
        filled.map_err(|error| {
            StoreError::new(guardian_core::StoreErrorKind::Unavailable, "keys").with_source(error.to_string())
        })?;
        Ok(Self { id: uuid::Builder::from_random_bytes(id).into_uuid(), secret })
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectKey({}, …)", self.id)
    }
}

/// Keeps the keys of data subjects, apart from the log.
///
/// # Contract
/// - **Scope**: a call sees and changes the keys of its scope's tenant alone.
/// - **One key**: two calls at once for a new subject get the same key.
/// - **Destruction**: once `destroy` returned, no call gives the key again, and no copy of it is left in what the store
///   keeps. Backups of the store are the host's to destroy: keep them shorter than your promise to erase.
/// - **After destruction** a subject that appears again gets another key.
#[async_trait]
pub trait KeyStore: Send + Sync + fmt::Debug + 'static {
    /// The key of a subject, made when there is none.
    ///
    /// # Errors
    /// When the store failed.
    async fn key_of(&self, scope: &Scope, subject: &str) -> Result<SubjectKey, StoreError>;

    /// Those of the named keys that exist.
    ///
    /// # Errors
    /// When the store failed.
    async fn keys(&self, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, SubjectKey>, StoreError>;

    /// Destroys the key of a subject; whether there was one.
    ///
    /// # Errors
    /// When the store failed; the key may be there still.
    async fn destroy(&self, scope: &Scope, subject: &str) -> Result<bool, StoreError>;
}

#[async_trait]
impl<K: KeyStore + ?Sized> KeyStore for Arc<K> {
    async fn key_of(&self, scope: &Scope, subject: &str) -> Result<SubjectKey, StoreError> {
        (**self).key_of(scope, subject).await
    }

    async fn keys(&self, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, SubjectKey>, StoreError> {
        (**self).keys(scope, ids).await
    }

    async fn destroy(&self, scope: &Scope, subject: &str) -> Result<bool, StoreError> {
        (**self).destroy(scope, subject).await
    }
}

/// Whose key it is, as stores write it down: they are no lists of people.
fn owner(tenant: &TenantId, subject: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(tenant.as_str().as_bytes());
    hasher.update([0]);
    hasher.update(subject.as_bytes());
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

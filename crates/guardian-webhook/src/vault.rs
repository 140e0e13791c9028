//! Secrets at rest: the port, and an implementation with XChaCha20-Poly1305.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chacha20poly1305::aead::{Aead, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use guardian_core::TenantId;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::id::EndpointId;
use crate::signature::Signer;
use guardian_core::shorten;

/// Seals the secrets of endpoints before a store sees them, and opens them for signing.
#[async_trait]
pub trait Vault: Send + Sync + fmt::Debug + 'static {
    /// Seals a secret for this endpoint alone.
    ///
    /// # Errors
    /// When it cannot.
    async fn seal(&self, tenant: &TenantId, endpoint: EndpointId, secret: &[u8]) -> Result<Vec<u8>, Error>;

    /// Opens what was sealed for this endpoint.
    ///
    /// # Errors
    /// When it was sealed for another one or with a key that is not known, or is damaged.
    async fn open(
        &self,
        tenant: &TenantId,
        endpoint: EndpointId,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error>;

    /// The signer of an external key, by the reference that the endpoint has: for key services. None are known by default.
    ///
    /// # Errors
    /// When there is no such key.
    async fn external(&self, tenant: &TenantId, reference: &str) -> Result<Arc<dyn Signer>, Error> {
        let _ = tenant;
        Err(Error::External { reference: shorten(reference), why: "the vault has no key service".to_owned() })
    }
}

#[async_trait]
impl<V: Vault + ?Sized> Vault for Arc<V> {
    async fn seal(&self, tenant: &TenantId, endpoint: EndpointId, secret: &[u8]) -> Result<Vec<u8>, Error> {
        (**self).seal(tenant, endpoint, secret).await
    }

    async fn open(
        &self,
        tenant: &TenantId,
        endpoint: EndpointId,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        (**self).open(tenant, endpoint, sealed).await
    }

    async fn external(&self, tenant: &TenantId, reference: &str) -> Result<Arc<dyn Signer>, Error> {
        (**self).external(tenant, reference).await
    }
}

/// Seals with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), a random nonce each, bound to the tenant and the endpoint.
///
/// The first key seals; all open, so a new one is put in front and the old ones stay until their secrets were sealed anew.
///
/// ```
/// use guardian_core::TenantId;
/// use guardian_webhook::{AeadVault, EndpointId, Vault};
///
/// # futures_util::FutureExt::now_or_never(async {
/// let vault = AeadVault::new([7; 32]);
/// let (acme, endpoint) = (TenantId::new("acme").unwrap(), EndpointId::new(uuid::Uuid::nil()));
/// let sealed = vault.seal(&acme, endpoint, b"secret").await?;
/// assert_eq!(&**vault.open(&acme, endpoint, &sealed).await?, b"secret");
/// assert!(vault.open(&TenantId::new("umbrella").unwrap(), endpoint, &sealed).await.is_err());
/// # Ok::<(), guardian_webhook::Error>(())
/// # }).unwrap()?;
/// # Ok::<(), guardian_webhook::Error>(())
/// ```
pub struct AeadVault {
    keys: Vec<Zeroizing<[u8; 32]>>,
}

impl AeadVault {
    /// A vault with one key of 32 random bytes.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self { keys: vec![Zeroizing::new(key)] }
    }

    /// With a key from before, which opens and does not seal.
    #[must_use]
    pub fn with_old_key(mut self, key: [u8; 32]) -> Self {
        self.keys.push(Zeroizing::new(key));
        self
    }
}

impl fmt::Debug for AeadVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AeadVault({} keys)", self.keys.len())
    }
}

const NONCE: usize = 24;

fn owner(tenant: &TenantId, endpoint: EndpointId) -> String {
    format!("guardian-webhook:{tenant}:{endpoint}")
}

#[async_trait]
impl Vault for AeadVault {
    async fn seal(&self, tenant: &TenantId, endpoint: EndpointId, secret: &[u8]) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| Error::Random)?;
        let key = self.keys.first().ok_or(Error::Sealed)?;
        let cipher = XChaCha20Poly1305::new((&**key).into());
        let owner = owner(tenant, endpoint);
        let payload = Payload { msg: secret, aad: owner.as_bytes() };
        let text = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| Error::Sealed)?;
        Ok([&nonce[..], &text].concat())
    }

    async fn open(
        &self,
        tenant: &TenantId,
        endpoint: EndpointId,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE>().ok_or(Error::Sealed)?;
        let owner = owner(tenant, endpoint);
        self.keys
            .iter()
            .find_map(|key| {
                let cipher = XChaCha20Poly1305::new((&**key).into());
                cipher.decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: owner.as_bytes() }).ok()
            })
            .map(Zeroizing::new)
            .ok_or(Error::Sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use uuid::Uuid;

    #[test]
    fn a_new_key_opens_what_the_old_one_sealed_and_damage_is_noticed() {
        let (acme, endpoint) = (TenantId::new("acme").unwrap(), EndpointId::new(Uuid::from_u128(1)));
        async {
            let mut sealed = AeadVault::new([1; 32]).seal(&acme, endpoint, b"x").await.unwrap();
            let newer = AeadVault::new([2; 32]).with_old_key([1; 32]);
            assert_eq!(&**newer.open(&acme, endpoint, &sealed).await.unwrap(), b"x");
            assert!(AeadVault::new([2; 32]).open(&acme, endpoint, &sealed).await.is_err());
            assert!(newer.open(&acme, EndpointId::new(Uuid::from_u128(2)), &sealed).await.is_err());
            *sealed.last_mut().unwrap() ^= 1;
            assert!(newer.open(&acme, endpoint, &sealed).await.is_err());
            assert!(newer.open(&acme, endpoint, b"short").await.is_err());
        }
        .now_or_never()
        .unwrap();
    }
}

//! Where a search goes on: a place in the tenant's log, bound to tenant and query by a keyed hash.

use guardian_core::{Cursor, TenantId};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::Error;
use crate::query::Query;

/// The version, the place, and half of an HMAC-SHA-256.
const VERSION: u8 = 1;
const TAG: usize = 16;

/// Makes cursors and knows its own again.
#[derive(Clone)]
pub(crate) struct CursorKey([u8; 32]);

impl std::fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorKey(…)")
    }
}

impl CursorKey {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// A key that follows from another one: an HMAC of this use's name.
    pub(crate) fn derive(key: &[u8; 32]) -> Self {
        let mut mac = Self(*key).begin();
        mac.update(b"guardian: cursors of the audit log");
        Self(mac.finalize().into_bytes().into())
    }

    /// A key of this process alone.
    pub(crate) fn random() -> Self {
        let mut secret = [0; 32];
        // Should the system have no randomness, cursors are still bound to tenant and query, though not secretly.
        let _ = getrandom::fill(&mut secret);
        Self(secret)
    }

    /// The cursor of what comes after an event, in the order of a search.
    pub(crate) fn after(&self, tenant: &TenantId, query: &Query, sequence: u64) -> Cursor {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&sequence.to_be_bytes());
        let tag = self.mac(tenant, query, sequence).finalize().into_bytes();
        bytes.extend(tag.iter().take(TAG));
        Cursor::from_bytes(&bytes)
    }

    /// The place of a cursor that was made for this tenant and query.
    pub(crate) fn open(&self, tenant: &TenantId, query: &Query, cursor: &Cursor) -> Result<u64, Error> {
        let parts = || {
            let (version, rest) = cursor.as_bytes().split_first()?;
            let (sequence, tag) = rest.split_first_chunk::<8>()?;
            (*version == VERSION && tag.len() == TAG).then_some((u64::from_be_bytes(*sequence), tag))
        };
        let (sequence, tag) = parts().ok_or(Error::ForeignCursor)?;
        self.mac(tenant, query, sequence).verify_truncated_left(tag).map_err(|_| Error::ForeignCursor)?;
        Ok(sequence)
    }

    fn begin(&self) -> Hmac<Sha256> {
        // A key shorter than a block is filled up with zeros (RFC 2104, section 2).
        let mut block = [0; 64];
        block.iter_mut().zip(&self.0).for_each(|(to, from)| *to = *from);
        Hmac::<Sha256>::new(&block.into())
    }

    fn mac(&self, tenant: &TenantId, query: &Query, sequence: u64) -> Hmac<Sha256> {
        let mut mac = self.begin();
        mac.update(b"guardian-audit cursor 1\0");
        mac.update(tenant.as_str().as_bytes());
        mac.update(&[0]);
        mac.update(&sequence.to_be_bytes());
        mac.update(query.to_string().as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_tenant_and_query_alone() {
        let (key, other_key) = (CursorKey::new([1; 32]), CursorKey::new([2; 32]));
        let (ours, theirs) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
        let (query, other): (Query, Query) = ("acme".parse().unwrap(), "acme risk:high".parse().unwrap());
        let cursor = key.after(&ours, &query, 42);
        assert_eq!(key.open(&ours, &query, &cursor).unwrap(), 42);
        assert!(key.open(&theirs, &query, &cursor).is_err());
        assert!(key.open(&ours, &other, &cursor).is_err());
        assert!(other_key.open(&ours, &query, &cursor).is_err());
        for at in 0..cursor.as_bytes().len() {
            let mut bytes = cursor.as_bytes().to_vec();
            bytes[at] ^= 1;
            assert!(key.open(&ours, &query, &Cursor::from_bytes(&bytes)).is_err());
            assert!(key.open(&ours, &query, &Cursor::from_bytes(&bytes[..at])).is_err());
        }
    }
}

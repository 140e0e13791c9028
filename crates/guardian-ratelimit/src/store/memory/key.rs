//! What a key is in memory: an exact number, or a keyed 128-bit fingerprint.

use std::hash::Hasher;

use guardian_core::TenantId;
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::grid::{high_word, low_word};
use crate::{Realm, Subject};

/// A key as it lies in a table, already mixed with the store's secret.
pub(super) trait TableKey: Copy + Eq + Default {
    /// Whether a key with the same spread is the same key.
    fn has_rest_of(self, other: Self) -> bool;

    /// The bits that choose shard and bucket, the top ones first.
    fn spread(self) -> u64;
}

/// A key of either kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// A number in the shared realm.
    Narrow(u64),
    /// Anything else.
    Wide(u128),
}

impl Key {
    #[inline(always)]
    pub(super) fn spread(self) -> u64 {
        match self {
            Self::Narrow(key) => key.spread(),
            Self::Wide(key) => key.spread(),
        }
    }
}

impl TableKey for u64 {
    #[inline(always)]
    fn has_rest_of(self, _other: Self) -> bool {
        true
    }

    #[inline(always)]
    fn spread(self) -> u64 {
        self
    }
}

impl TableKey for u128 {
    #[inline(always)]
    fn has_rest_of(self, other: Self) -> bool {
        low_word(self) == low_word(other)
    }

    #[inline(always)]
    fn spread(self) -> u64 {
        high_word(self)
    }
}

/// The secret that keeps callers from choosing keys that collide, drawn anew for every store.
#[derive(Clone, Copy)]
pub(super) struct Secret {
    mask: u64,
    first: u64,
    second: u64,
    /// The image of 0, which stands for the realm as a whole.
    whole: u64,
    sip: SipHasher13,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Told apart in the lower half of a fingerprint, so that no number is mistaken for the tenant as a whole.
const WHOLE: u64 = 0x57;
const ID: u64 = 0x1d;

impl Secret {
    pub(super) fn random() -> Self {
        let mut words = [[0; 8]; 5];
        for word in &mut words {
            // Where the system has no randomness the store still works; it only loses its protection against
            // callers who choose colliding keys, and such a system has worse problems.
            let _ = getrandom::fill(word);
        }
        let [mask, first, second, k0, k1] = words.map(u64::from_le_bytes);
        let sip = SipHasher13::new_with_keys(k0, k1);
        let mut secret = Self { mask, first: first | 1, second: second | 1, whole: 0, sip };
        secret.whole = secret.permute(0);
        secret
    }

    /// The key of a counter.
    ///
    /// A number in the shared realm stays exact. A tenant's number lies in the table as the tenant's digest with
    /// the number mixed into one half, which is exact within the tenant; a text as a keyed 128-bit hash. `None` for a
    /// text that is too long.
    #[inline(always)]
    pub(super) fn key(&self, realm: Realm<'_>, subject: Subject<'_>) -> Option<Key> {
        match (realm, subject) {
            (Realm::Shared, Subject::Id(id)) => Some(Key::Narrow(self.number(id))),
            _ => self.wide(realm.tenant(), subject).map(Key::Wide),
        }
    }

    /// The key of a number in the shared realm: a secret permutation, exact, since no two numbers share an image, and
    /// spread evenly.
    #[inline(always)]
    pub(super) fn number(&self, id: u64) -> u64 {
        self.permute(id)
    }

    /// The key of any subject among a tenant's, or of any but numbers in the shared realm.
    #[inline(always)]
    pub(super) fn wide(&self, tenant: Option<&TenantId>, subject: Subject<'_>) -> Option<u128> {
        let digest = match tenant {
            Some(tenant) => tenant.digest(),
            None => 0,
        };
        match subject {
            Subject::Id(id) => Some(mix(digest, self.permute(id), ID)),
            Subject::Whole => Some(mix(digest, self.whole, WHOLE)),
            Subject::Text(text) => self.fingerprint(digest, text),
        }
    }

    /// A number that chooses the shard of a whole tenant, so that one lock holds all limits of a check.
    #[inline(always)]
    pub(super) fn place_of(&self, tenant: &TenantId) -> u64 {
        self.permute(high_word(tenant.digest()))
    }

    #[inline(always)]
    fn permute(&self, id: u64) -> u64 {
        let mixed = (id ^ self.mask).wrapping_mul(self.first);
        (mixed ^ (mixed >> 32)).wrapping_mul(self.second)
    }

    /// SipHash-1-3 with 128 bits (Aumasson, Bernstein: "`SipHash`: a fast short-input PRF", 2012). Without the secret
    /// nobody finds two texts with one fingerprint, and the chance that any two of a billion keys meet by accident
    /// is below 10⁻²⁰.
    #[inline(never)]
    fn fingerprint(&self, digest: u128, text: &str) -> Option<u128> {
        if text.len() > Subject::MAX_LEN {
            return None;
        }
        let mut hasher = self.sip;
        // Most are short, and one write is cheaper than two.
        let mut whole = [0; 16 + SHORT];
        let end = 16 + text.len();
        match whole.split_first_chunk_mut() {
            Some((head, rest)) if text.len() <= SHORT => {
                *head = digest.to_ne_bytes();
                if let Some(rest) = rest.get_mut(..text.len()) {
                    rest.copy_from_slice(text.as_bytes());
                }
                hasher.write(whole.get(..end).unwrap_or_default());
            }
            _ => {
                hasher.write_u128(digest);
                hasher.write(text.as_bytes());
            }
        }
        Some(hasher.finish128().as_u128())
    }
}

/// Bytes of a text that is hashed in one write.
const SHORT: usize = 48;

#[inline(always)]
fn mix(digest: u128, image: u64, kind: u64) -> u128 {
    digest ^ (u128::from(image) << 64) ^ u128::from(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::OwnedSubject;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn a_text_has_one_fingerprint_whatever_its_length_and_no_other_text_has_it() {
        let secret = Secret::random();
        let text = "x".repeat(Subject::MAX_LEN);
        let mut seen = HashSet::new();
        for digest in [0, 7, u128::MAX] {
            for length in 0..=text.len() {
                let (text, _) = text.split_at(length);
                let mut hasher = secret.sip;
                hasher.write_u128(digest);
                hasher.write(text.as_bytes());
                let fingerprint = secret.fingerprint(digest, text).unwrap();
                assert_eq!(fingerprint, hasher.finish128().as_u128(), "{length}");
                assert!(seen.insert(fingerprint));
            }
        }
    }

    #[test]
    fn numbers_that_an_attacker_would_choose_spread_over_all_shards_and_never_meet() {
        let secret = Secret::random();
        let strides = [1u64, 64, 1 << 20, 1 << 32, 1 << 48, 0x9e37_79b9_7f4a_7c15];
        for stride in strides {
            let keys: Vec<_> = (0..1u64 << 14).map(|i| secret.permute(i.wrapping_mul(stride))).collect();
            let shards = keys.iter().fold([0u32; 64], |mut shards, key| {
                shards[(key >> 58) as usize] += 1;
                shards
            });
            let distinct: HashSet<_> = keys.iter().collect();
            let images: HashSet<_> = (0..1u64 << 14).map(|i| i.wrapping_mul(stride)).collect();
            assert_eq!(distinct.len(), images.len(), "stride {stride:#x}");
            // 256 expected in each of 64 shards; far from one shard taking all.
            if images.len() == 1 << 14 {
                assert!(shards.iter().all(|n| *n < 2000), "stride {stride:#x}: {shards:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn different_names_have_different_keys(
            names in proptest::collection::vec(("[a-c]{1,3}", proptest::option::of("[a-c]{0,3}"), 0u64..3), 2..40),
        ) {
            let secret = Secret::random();
            let mut seen = HashMap::new();
            for (tenant, text, id) in &names {
                let tenant_id = TenantId::new(tenant).unwrap();
                let subjects = [text.as_deref().map_or(Subject::Id(*id), Subject::Text), Subject::Whole];
                for realm in [Realm::Tenant(&tenant_id), Realm::Shared] {
                    for subject in subjects {
                        let name = (realm.tenant().cloned(), OwnedSubject::from(subject));
                        let key = match secret.key(realm, subject).unwrap() {
                            Key::Narrow(key) => (true, u128::from(key)),
                            Key::Wide(key) => (false, key),
                        };
                        let before = seen.insert(key, name.clone());
                        prop_assert!(before.is_none() || before == Some(name));
                    }
                }
            }
        }
    }
}

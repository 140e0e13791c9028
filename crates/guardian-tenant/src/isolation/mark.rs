use std::collections::BTreeMap;

use guardian_core::TenantId;
use uuid::Builder;

/// What makes a tenant's data recognisable: a canary that is in each of its texts, and ids and numbers that are its own.
///
/// The same seed gives the same marks, so that the tenant's data is the same in the world and in its twin.
///
/// ```
/// use guardian_tenant::isolation::Mark;
///
/// let (a, b) = (Mark::new(1, "a"), Mark::new(1, "b"));
/// assert!(a.text("title").contains(a.canary()));
/// assert!(!a.text("title").contains(b.canary()));
/// assert_eq!(a.shared_id(1), b.shared_id(1));
/// assert_ne!(a.id(1), b.id(1));
/// ```
#[derive(Debug, Clone)]
pub struct Mark {
    seed: u64,
    tenant: TenantId,
    canary: String,
}

impl Mark {
    /// The marks of the tenant of this name.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        let salt = name.bytes().fold(seed, |sum, byte| mix(sum ^ u64::from(byte)));
        let canary = format!("canary{:016x}", mix(salt));
        // Only hexadecimal digits, so it always reads.
        let tenant = TenantId::from(mix(salt ^ 1) >> 1);
        Self { seed: salt, tenant, canary }
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The word that is in each of its texts.
    #[must_use]
    pub fn canary(&self) -> &str {
        &self.canary
    }

    /// A text of the tenant: the label and the canary.
    #[must_use]
    pub fn text(&self, label: &str) -> String {
        format!("{label} {}", self.canary)
    }

    /// A number that no other tenant has, of nine digits.
    #[must_use]
    pub fn number(&self, n: u32) -> i64 {
        let digits = mix(self.seed ^ u64::from(n) << 32) % 899_999_999;
        i64::try_from(digits).map_or(0, |digits| 100_000_000 + digits)
    }

    /// A UUID that no other tenant has.
    #[must_use]
    pub fn id(&self, n: u32) -> String {
        uuid(self.seed, n)
    }

    /// A UUID that every tenant has: where ids are unique within a tenant only, give some rows of both tenants the same
    /// one. Then a statement that forgets the tenant finds the other's row.
    #[must_use]
    pub fn shared_id(&self, n: u32) -> String {
        uuid(0, n)
    }
}

fn uuid(seed: u64, n: u32) -> String {
    let (high, low) = (mix(seed ^ u64::from(n)), mix(seed.rotate_left(17) ^ u64::from(n) << 8));
    Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
        .into_uuid()
        .hyphenated()
        .to_string()
}

/// `SplitMix64`'s finisher (Steele, Lea, Flood 2014).
pub(super) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What a tenant was given: values that operations take as arguments, by kind.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Seeds {
    pub(super) kinds: BTreeMap<String, Vec<String>>,
}

impl Seeds {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with these values of a kind, in addition to those it has: ids, cursors, e-mail addresses, whatever
    /// operations take. Give the values of a kind in the same order for each tenant.
    pub fn with<T: ToString>(mut self, kind: impl Into<String>, values: impl IntoIterator<Item = T>) -> Self {
        let of_kind = self.kinds.entry(kind.into()).or_default();
        of_kind.extend(values.into_iter().map(|value| value.to_string()));
        self
    }

    pub(super) fn of(&self, kind: &str) -> &[String] {
        self.kinds.get(kind).map_or(&[], Vec::as_slice)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        self.kinds.values().flatten()
    }
}

/// Numbers that repeat run by run.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// A number below `end`; 0 when `end` is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(mix(self.0) % end).unwrap_or(0)
    }

    pub(super) fn pick<'t, T>(&mut self, from: &'t [T]) -> Option<&'t T> {
        from.get(self.below(from.len()))
    }
}

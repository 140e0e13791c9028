//! Keys as hosts have them: ids without a pattern and texts like those of a request, the same in every run.

/// The key with this index. Two indexes never give the same key, as every step can be undone.
#[must_use]
pub fn id(index: u64) -> u64 {
    // The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
    let mut bits = index.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A text of 26 characters, as long as a ULID, for each index.
#[must_use]
pub fn text(index: u64) -> String {
    format!("{:016x}-{:09x}", id(index), index & 0xf_ffff_ffff)
}

/// The ids of the indexes below `count` in an order without a pattern.
#[must_use]
pub fn shuffled_ids(count: u64) -> Vec<u64> {
    let mut ids: Vec<u64> = (0..count).map(id).collect();
    // Ids are as good as random numbers, and another bijection of them is an order that has nothing to do with theirs.
    ids.sort_unstable_by_key(|key| id(!key));
    ids
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_are_distinct_and_texts_have_26_characters() {
        let ids = shuffled_ids(10_000);
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 10_000);
        assert!(ids.iter().ne((0..10_000).map(id).collect::<Vec<_>>().iter()));
        let texts: HashSet<String> = (0..10_000).map(text).collect();
        assert!(texts.len() == 10_000 && texts.iter().all(|text| text.len() == 26));
    }
}

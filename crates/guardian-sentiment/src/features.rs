//! What a linear model sees of a text: hashed n-grams of words and of the letters of words.

use std::cell::Cell;

use foldhash::HashSet;

use crate::tokens::{CLITIC, DENIED, IDIOM, Kind, SHOUTED, STRETCHED, Token, Tokens, mix};

/// A text may have no more than this many n-grams of a block; those beyond do not count.
pub(crate) const MAX_GRAMS: u32 = 4_096;

/// The two blocks of n-grams, which have weights of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// Words, pairs of words, denied words, marks.
    Words,
    /// Three to five bytes of a word in spaces.
    Letters,
}

const NOT: u64 = 0x6e6f_7421;
const PAIR: u64 = 0x7061_6972;
const SHOUT: u64 = 0x7368_6f75;
const STRETCH: u64 = 0x7374_7265;
const PRAISE: u64 = mix(0x6964_696f_6d2b);
const LETTERS: u64 = 0x6c65_7474;

/// Hands out every n-gram of the tokens: the number of its token, its block and its hash.
///
/// A pair belongs to its last word.
#[inline]
pub(crate) fn grams(tokens: &Tokens, list: &[Token], take: impl FnMut(usize, Block, u64)) {
    walk::<true>(tokens, list, take);
}

/// The same of words alone.
pub(crate) fn words(tokens: &Tokens, list: &[Token], mut take: impl FnMut(usize, u64)) {
    walk::<false>(tokens, list, |at, _, hash| take(at, hash));
}

#[inline]
fn walk<const LETTERS_TOO: bool>(tokens: &Tokens, list: &[Token], mut take: impl FnMut(usize, Block, u64)) {
    let mut seen = Seen::default();
    let mut before = 0_u64;
    let left = [Cell::new(MAX_GRAMS), Cell::new(if LETTERS_TOO { MAX_GRAMS } else { 0 })];
    let mut take = |at: usize, block: Block, hash: u64| {
        let left = match block {
            Block::Words => left.first(),
            Block::Letters => left.last(),
        };
        if let Some(left) = left.filter(|left| left.get() > 0) {
            left.set(left.get() - 1);
            take(at, block, hash);
        }
    };
    for (at, token) in list.iter().enumerate() {
        if left.iter().all(|left| left.get() == 0) {
            break;
        }
        let denied = token.has(DENIED);
        // A phrase of praise is one word, whatever its parts would say alone.
        if token.has(IDIOM) {
            if seen.first(PRAISE) {
                take(at, Block::Words, PRAISE);
            }
            before = PRAISE;
            continue;
        }
        match token.kind {
            Kind::Pause => {}
            Kind::End | Kind::Emoji | Kind::Mask => {
                if seen.first(token.hash) {
                    take(at, Block::Words, token.hash);
                }
                if token.kind == Kind::End {
                    before = 0;
                }
            }
            Kind::Word | Kind::Number => {
                let name = if denied { mix(token.hash ^ NOT) } else { token.hash };
                if seen.first(name) {
                    take(at, Block::Words, name);
                    if LETTERS_TOO && !token.has(CLITIC) {
                        letters(tokens.form(token), |gram| take(at, Block::Letters, gram));
                    }
                }
                if token.has(SHOUTED) {
                    take(at, Block::Words, SHOUT);
                }
                if token.has(STRETCHED) {
                    take(at, Block::Words, STRETCH);
                }
                if before != 0 {
                    take(at, Block::Words, pair(before, token.hash, PAIR));
                }
                before = token.hash;
            }
        }
    }
}

#[inline]
fn pair(one: u64, other: u64, salt: u64) -> u64 {
    mix(one.rotate_left(23) ^ other ^ salt)
}

/// The runs of three, four and five bytes.
#[inline]
fn letters(form: &[u8], mut take: impl FnMut(u64)) {
    let mut window = 0_u64;
    for (at, byte) in form.iter().enumerate() {
        window = (window << 8) | u64::from(*byte);
        if at >= 2 {
            take(mix((window & 0xff_ffff) ^ (LETTERS << 40)));
        }
        if at >= 3 {
            take(mix((window & 0xffff_ffff) ^ (LETTERS << 40)));
        }
        if at >= 4 {
            take(mix((window & 0xff_ffff_ffff) ^ (LETTERS << 40)));
        }
    }
}

/// So many hashes are looked through one by one.
const FEW: usize = 64;

/// Which hashes were seen, exactly. A text of usual length needs no more than a filter and a short list.
#[derive(Default)]
struct Seen {
    filter: [u64; 4],
    few: Vec<u64>,
    many: HashSet<u64>,
}

impl Seen {
    fn first(&mut self, hash: u64) -> bool {
        let bit = 1_u64 << (hash & 63);
        let Some(word) = self.filter.get_mut((hash >> 6) as usize & 3) else { return true };
        if *word & bit != 0 && (self.few.contains(&hash) || self.many.contains(&hash)) {
            return false;
        }
        *word |= bit;
        if self.few.len() < FEW {
            self.few.push(hash);
        } else {
            self.many.insert(hash);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of many different words must not be compared word by word with all words before.
    #[test]
    fn each_hash_is_new_once_and_few_are_looked_through() {
        let mut seen = Seen::default();
        for round in 0..2 {
            for hash in 0..20_000 {
                assert_eq!(seen.first(mix(hash)), round == 0, "{hash}");
            }
        }
        assert_eq!((seen.few.len(), seen.many.len()), (FEW, 20_000 - FEW));
    }

    /// What does not count is not even looked at.
    #[test]
    fn a_text_ends_where_nothing_counts_any_more() {
        let text: String = (0..60_000).map(|at| format!("w{at}x ")).collect();
        let tokens = Tokens::of(&text);
        let mut taken = [0_u32; 2];
        let mut last = 0;
        grams(&tokens, &tokens.list, |at, block, _| {
            taken[usize::from(block == Block::Letters)] += 1;
            last = at;
        });
        assert_eq!(taken, [MAX_GRAMS; 2]);
        assert!(last < 10_000, "{last}");
    }
}

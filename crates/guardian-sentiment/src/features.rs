//! What a linear model sees of a text: hashed n-grams of words and of the letters of words.

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
pub(crate) fn grams(tokens: &Tokens, list: &[Token], mut take: impl FnMut(usize, Block, u64)) {
    let mut seen = Seen::default();
    let mut before = 0_u64;
    let mut left = [MAX_GRAMS; 2];
    let mut take = |at: usize, block: Block, hash: u64| {
        let left = match block {
            Block::Words => left.first_mut(),
            Block::Letters => left.last_mut(),
        };
        if let Some(left) = left.filter(|left| **left > 0) {
            *left -= 1;
            take(at, block, hash);
        }
    };
    for (at, token) in list.iter().enumerate() {
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
                    if !token.has(CLITIC) {
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

/// Which hashes were seen: exact for a text of usual length, because a filter answers most questions before the list.
#[derive(Default)]
struct Seen {
    filter: [u64; 4],
    list: Vec<u64>,
}

impl Seen {
    fn first(&mut self, hash: u64) -> bool {
        let bit = 1_u64 << (hash & 63);
        let Some(word) = self.filter.get_mut((hash >> 6) as usize & 3) else { return true };
        if *word & bit != 0 && self.list.contains(&hash) {
            return false;
        }
        *word |= bit;
        self.list.push(hash);
        true
    }
}

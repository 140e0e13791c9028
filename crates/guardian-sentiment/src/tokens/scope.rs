//! Which words are denied.

use super::{DENIED, DENIES, Hash, Kind, Token};

/// How many words a denial reaches.
const REACH: u32 = 4;

const DENIERS: &[&str] = &[
    "not", "n't", "no", "never", "without", "hardly", "barely", "scarcely", "nothing", "none", "neither",
    "nor", "nobody", "nowhere", "lacks", "lack", "lacking", "lacked",
];

const TURNS: &[&str] = &["but", "however", "although", "though", "yet", "except"];

/// Marks the words that deny, and those that they reach: four words, up to a mark or a turn.
pub(super) fn mark(list: &mut [Token]) {
    let words = Words::known();
    let mut reach = 0_u32;
    for token in list {
        match token.kind {
            Kind::End | Kind::Pause | Kind::Emoji => reach = 0,
            Kind::Mask => {}
            Kind::Word | Kind::Number => {
                if words.deniers.contains(&token.hash) {
                    token.flags |= DENIES;
                    reach = REACH;
                } else if words.turns.contains(&token.hash) {
                    reach = 0;
                } else if reach > 0 {
                    token.flags |= DENIED;
                    reach -= 1;
                }
            }
        }
    }
}

struct Words {
    deniers: Vec<u64>,
    turns: Vec<u64>,
}

impl Words {
    fn known() -> &'static Self {
        static WORDS: std::sync::LazyLock<Words> = std::sync::LazyLock::new(|| {
            let hashes = |words: &[&str]| words.iter().map(|word| Hash::of(word.as_bytes())).collect();
            Words { deniers: hashes(DENIERS), turns: hashes(TURNS) }
        });
        &WORDS
    }
}

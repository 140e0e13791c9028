//! Which words are denied.

use super::{DENIED, DENIES, Hash, IDIOM, Kind, Token};

/// How many words a denial reaches.
const REACH: u32 = 4;

const DENIERS: &[&str] = &[
    "not", "n't", "no", "never", "without", "hardly", "barely", "scarcely", "nothing", "none", "neither",
    "nor", "nobody", "nowhere", "lacks", "lack", "lacking", "lacked",
];

const TURNS: &[&str] = &["but", "however", "although", "though", "yet", "except"];

/// What sounds bad and is praise, from its denial on.
const IDIOMS: &str = "no problem
no problems
no problem at all
no problems at all
no problems ever
no problems so far
no problems whatsoever
no complaint
no complaints
no complaints here
no complaints so far
no issue
no issues
no issues at all
no issues so far
no worries
no regrets
no bad smell
no trouble
no trouble at all
no hassle
no fuss
no downside
no downsides
without a hitch
without a problem
without any problem
without any problems
without any issue
without any issues
without problems
without issues
without any trouble
nothing to worry about
nothing to complain about
nothing bad to say
nothing negative to say
nothing but praise
nothing but good things
n't complain
not complain
n't go wrong
not go wrong
n't beat
not beat
n't be happier
not be happier
n't be more pleased
n't be better
n't ask for more
not ask for more
n't say enough good things
n't thank you enough
not thank you enough
n't fail
never fails
never failed
never failed me
never had a problem
never had any problem
never had any problems
never had an issue
never had any issue
never had any issues
never disappoints
never disappointed
not disappointed
not be disappointed
n't be disappointed
n't disappoint
not disappoint
n't regret
not regret
not bad
not bad at all
not too bad
not half bad
not so bad
not too shabby
not the worst
n't bad
n't the worst
not a problem
not a bad
not a single problem
not a single complaint";

/// Marks the words that deny, and those that they reach: four words, up to a mark or a turn.
pub(super) fn mark(list: &mut [Token]) {
    let words = Words::known();
    let mut reach = 0_u32;
    let mut idiom = 0_usize;
    for at in 0..list.len() {
        if idiom == 0 && list.get(at).is_some_and(|token| words.deniers.contains(&token.hash)) {
            idiom = words.idiom(list.get(at..).unwrap_or_default());
        }
        let Some(token) = list.get_mut(at) else { continue };
        if idiom > 0 {
            token.flags |= IDIOM;
            idiom -= 1;
            reach = 0;
            continue;
        }
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
    /// The longer ones first.
    idioms: Vec<Vec<u64>>,
}

impl Words {
    /// The length of the idiom that begins here; nought where none does.
    fn idiom(&self, list: &[Token]) -> usize {
        let begins = |idiom: &&Vec<u64>| {
            list.len() >= idiom.len() && idiom.iter().zip(list).all(|(word, token)| *word == token.hash)
        };
        self.idioms.iter().find(begins).map_or(0, Vec::len)
    }

    fn known() -> &'static Self {
        static WORDS: std::sync::LazyLock<Words> = std::sync::LazyLock::new(|| {
            let hashes = |words: &[&str]| words.iter().map(|word| Hash::of(word.as_bytes())).collect();
            let mut idioms: Vec<Vec<u64>> = IDIOMS
                .lines()
                .map(|idiom| idiom.split(' ').map(|word| Hash::of(word.as_bytes())).collect())
                .collect();
            idioms.sort_by_key(|idiom| std::cmp::Reverse(idiom.len()));
            Words { deniers: hashes(DENIERS), turns: hashes(TURNS), idioms }
        });
        &WORDS
    }
}

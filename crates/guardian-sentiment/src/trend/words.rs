use std::sync::LazyLock;
use std::time::Duration;

use foldhash::HashSet;
use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::decayed::weight as decayed_weight;

/// A word that is in more messages than it used to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rising {
    /// The word, in lower case.
    pub word: String,
    /// How sure that is: the log-odds between then and now over their standard deviation.
    pub strength: f64,
}

/// In how many messages each of a bounded number of words is, of late and before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Words {
    at: Option<Timestamp>,
    /// Messages of late.
    late: f64,
    /// All messages, of the long run.
    all: f64,
    /// Word, messages of late, all messages.
    counts: Vec<(String, f64, f64)>,
}

/// The most words of a series, and of one message.
const MOST: usize = 64;
const MOST_OF_ONE: usize = 24;
/// How much of a text is looked at, in bytes.
const MOST_BYTES: usize = 16 * 1024;
/// The longest word, in bytes.
const LONGEST: usize = 24;
/// How much longer the long run is than the late one.
const LONG_RUN: u32 = 8;

static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    "about after again also always another because been before being could does doing done dont down each even every \
    from have having here hers himself into itself just know like made make many more most much must need only other over \
    please same shall should some such than that their them then there these they this those through today tomorrow under until \
    very want were what when where which while will with without would your yours hello dear thanks thank regards best the and for \
    are but not you all any can had her was one our out day get has him his how man new now old see two way who its did yes she \
    too use"
        .split_ascii_whitespace()
        .collect()
});

/// The words of a text that may rise, each once: of its beginning alone, so that no text takes long.
pub(crate) fn words_of(text: &str) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    let words = beginning(text).split(|symbol: char| !is_of_word(symbol));
    for word in words.map(|word| word.trim_matches(['\'', '-'])) {
        if word.len() < 3 || word.len() > LONGEST || word.bytes().any(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let word = word.to_lowercase();
        if COMMON.contains(word.as_str()) || seen.contains(&word) {
            continue;
        }
        seen.push(word);
        if seen.len() >= MOST_OF_ONE {
            break;
        }
    }
    seen
}

fn is_of_word(symbol: char) -> bool {
    symbol.is_alphanumeric() || symbol == '\'' || symbol == '-'
}

/// As many whole words as are within the bound.
fn beginning(text: &str) -> &str {
    if text.len() <= MOST_BYTES {
        return text;
    }
    let cut = (0..4).find_map(|back| text.get(..MOST_BYTES - back)).unwrap_or_default();
    cut.rfind(|symbol: char| !is_of_word(symbol)).and_then(|end| cut.get(..end)).unwrap_or_default()
}

impl Words {
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Counts a message with these words, each of them once; a late one weighs as it would have by now.
    pub(super) fn add(&mut self, words: &[String], at: Timestamp, half_life: Duration) {
        self.advance(at, half_life);
        let age = self.at.map_or_else(chrono::TimeDelta::zero, |newest| newest - at);
        let of_late = decayed_weight(age, half_life);
        let of_all = decayed_weight(age, half_life.saturating_mul(LONG_RUN));
        self.late += of_late;
        self.all += of_all;
        for word in words.iter().take(MOST_OF_ONE) {
            match self.counts.iter_mut().find(|(known, ..)| known == word) {
                Some((_, late, all)) => {
                    *late += of_late;
                    *all += of_all;
                }
                None => self.counts.push((word.clone(), of_late, of_all)),
            }
        }
        self.prune();
    }

    /// The rarest of late go first; of equally rare ones the rarer in the long run, and then the later in the alphabet.
    fn prune(&mut self) {
        if self.counts.len() <= MOST {
            return;
        }
        self.counts
            .sort_by(|one, two| (two.1 + two.2).total_cmp(&(one.1 + one.2)).then_with(|| one.0.cmp(&two.0)));
        // Room for the words of the next message, so that new ones are not thrown out before they can rise.
        self.counts.truncate(MOST);
    }

    fn advance(&mut self, at: Timestamp, half_life: Duration) {
        let newest = self.at.map_or(at, |newest| newest.max(at));
        if let Some(before) = self.at.filter(|before| *before < newest) {
            let (late, all) = (
                decayed_weight(newest - before, half_life),
                decayed_weight(newest - before, half_life.saturating_mul(LONG_RUN)),
            );
            self.late *= late;
            self.all *= all;
            for count in &mut self.counts {
                count.1 *= late;
                count.2 *= all;
            }
        }
        self.at = Some(newest);
    }

    pub(super) fn rewind(&mut self, to: Timestamp) {
        self.at = self.at.map(|at| at.min(to));
    }

    pub(super) fn merge(&self, half_life: Duration, other: &Self, half_life_of_other: Duration) -> Self {
        let Some(newest) = self.at.max(other.at) else { return self.clone() };
        let (mut one, mut two) = (self.clone(), other.clone());
        one.advance(newest, half_life);
        two.advance(newest, half_life_of_other);
        one.late += two.late;
        one.all += two.all;
        for (word, late, all) in two.counts {
            match one.counts.iter_mut().find(|(known, ..)| *known == word) {
                Some(known) => {
                    known.1 += late;
                    known.2 += all;
                }
                None => one.counts.push((word, late, all)),
            }
        }
        one.prune();
        one
    }

    /// The words whose odds rose most, by the log-odds with a Dirichlet prior of what is usual (Monroe, Colaresi and Quinn,
    /// "Fightin' Words", 2008).
    pub(super) fn rising(&self, most: usize) -> Vec<Rising> {
        const PRIOR: f64 = 4.0;
        let before_all = (self.all - self.late).max(0.0);
        let mut rising: Vec<Rising> = self
            .counts
            .iter()
            .filter_map(|(word, late, all)| {
                let before = (all - late).max(0.0);
                let usual = PRIOR * (all + 0.5) / (self.all + 1.0);
                let odds = |count: f64, total: f64| {
                    let rest = (total + PRIOR - count - usual).max(0.1);
                    ((count + usual) / rest).ln()
                };
                let difference = odds(*late, self.late) - odds(before, before_all);
                let deviation = (1.0 / (late + usual) + 1.0 / (before + usual)).sqrt();
                let strength = difference / deviation;
                (strength > 0.5).then(|| Rising { word: word.clone(), strength })
            })
            .collect();
        rising
            .sort_by(|one, two| two.strength.total_cmp(&one.strength).then_with(|| one.word.cmp(&two.word)));
        rising.truncate(most);
        rising
    }
}

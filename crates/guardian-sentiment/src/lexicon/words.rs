use std::sync::OnceLock;

use foldhash::{HashMap, HashMapExt};

use super::idiom::{Phrase, phrases};

/// What the tables know of one lower-case token.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Word {
    /// The mean valence of the lexicon.
    pub(super) valence: Option<f64>,
    /// What the word adds to the strength of another; zero for words that are none of degree.
    pub(super) degree: f64,
    pub(super) negates: bool,
    pub(super) term: Term,
}

/// Words that rules name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Term {
    #[default]
    Other,
    Ass,
    At,
    Bad,
    Beating,
    Bomb,
    Bus,
    But,
    Death,
    Die,
    Doubt,
    Enough,
    For,
    Heart,
    Just,
    Kind,
    Kiss,
    Least,
    Never,
    No,
    Nor,
    Of,
    Or,
    Right,
    Shit,
    So,
    Sort,
    Stop,
    The,
    This,
    To,
    Very,
    Without,
    Yeah,
}

const TERMS: [(&str, Term); 33] = [
    ("ass", Term::Ass),
    ("at", Term::At),
    ("bad", Term::Bad),
    ("beating", Term::Beating),
    ("bomb", Term::Bomb),
    ("bus", Term::Bus),
    ("but", Term::But),
    ("death", Term::Death),
    ("die", Term::Die),
    ("doubt", Term::Doubt),
    ("enough", Term::Enough),
    ("for", Term::For),
    ("heart", Term::Heart),
    ("just", Term::Just),
    ("kind", Term::Kind),
    ("kiss", Term::Kiss),
    ("least", Term::Least),
    ("never", Term::Never),
    ("no", Term::No),
    ("nor", Term::Nor),
    ("of", Term::Of),
    ("or", Term::Or),
    ("right", Term::Right),
    ("shit", Term::Shit),
    ("so", Term::So),
    ("sort", Term::Sort),
    ("stop", Term::Stop),
    ("the", Term::The),
    ("this", Term::This),
    ("to", Term::To),
    ("very", Term::Very),
    ("without", Term::Without),
    ("yeah", Term::Yeah),
];

/// How much a word of degree adds; dampeners take as much.
pub(super) const DEGREE: f64 = 0.293;

const BOOSTERS: &str = "absolutely amazingly awfully completely considerable considerably decidedly deeply effing enormous \
    enormously entirely especially exceptional exceptionally extreme extremely fabulously flipping flippin frackin fracking \
    fricking frickin frigging friggin fully fuckin fucking fuggin fugging greatly hella highly hugely incredible incredibly \
    intensely major majorly more most particularly purely quite really remarkably so substantially thoroughly total totally \
    tremendous tremendously uber unbelievably unusually utter utterly very";

const DAMPENERS: &str = "almost barely hardly kinda kindof kind-of less little marginal marginally occasional occasionally \
    partly scarce scarcely slight slightly somewhat sorta sortof sort-of";

const NEGATIONS: &str = "aint arent cannot cant couldnt darent didnt doesnt ain't aren't can't couldn't daren't didn't \
    doesn't dont hadnt hasnt havent isnt mightnt mustnt neither don't hadn't hasn't haven't isn't mightn't mustn't neednt \
    needn't never none nope nor not nothing nowhere oughtnt shant shouldnt uhuh wasnt werent oughtn't shan't shouldn't uh-uh \
    wasn't weren't without wont wouldnt won't wouldn't rarely seldom despite";

/// Words that the reference weighs otherwise than a help desk does, or does not know.
const SUPPORT: [(&str, f64); 92] = [
    // Manners, and the business itself, say nothing of the mood.
    ("kindly", 0.0),
    ("please", 0.0),
    ("pls", 0.0),
    ("plz", 0.0),
    ("dear", 0.0),
    ("help", 0.0),
    ("helps", 0.6),
    ("support", 0.0),
    ("supports", 0.0),
    ("share", 0.0),
    ("shared", 0.0),
    ("credit", 0.0),
    ("want", 0.0),
    ("wants", 0.0),
    ("like", 0.8),
    ("hello", 0.0),
    ("number", 0.0),
    ("ready", 0.4),
    ("yes", 0.4),
    ("ok", 0.4),
    ("okay", 0.4),
    ("well", 0.5),
    ("sure", 0.4),
    ("care", 0.3),
    ("matter", 0.0),
    ("matters", 0.0),
    ("resolve", 0.0),
    ("security", 0.0),
    ("secure", 0.3),
    ("trust", 0.9),
    ("hope", 0.2),
    ("hoping", 0.2),
    ("important", 0.0),
    ("join", 0.0),
    ("asset", 0.0),
    ("assets", 0.0),
    ("interest", 0.2),
    ("no", -0.6),
    // What goes wrong.
    ("broken", -1.9),
    ("breaks", -1.4),
    ("bug", -1.3),
    ("bugs", -1.3),
    ("buggy", -1.9),
    ("cancelled", -1.1),
    ("canceled", -1.1),
    ("crash", -1.8),
    ("crashed", -1.8),
    ("crashes", -1.8),
    ("crashing", -1.8),
    ("delay", -1.4),
    ("delayed", -1.6),
    ("delays", -1.6),
    ("downgrade", -1.0),
    ("error", -1.3),
    ("errors", -1.3),
    ("expensive", -1.1),
    ("flawless", 2.6),
    ("flawlessly", 2.6),
    ("freezes", -1.5),
    ("garbage", -2.3),
    ("glitch", -1.4),
    ("glitchy", -1.6),
    ("incompetent", -2.4),
    ("intuitive", 1.7),
    ("laggy", -1.6),
    ("late", -1.0),
    ("mediocre", -1.3),
    ("misleading", -1.9),
    ("outage", -1.5),
    ("overcharged", -2.2),
    ("overpriced", -1.8),
    ("poor", -1.9),
    ("poorly", -1.9),
    ("prompt", 1.4),
    ("promptly", 1.5),
    ("refund", -0.6),
    ("refuse", -1.6),
    ("refused", -1.7),
    ("reliable", 1.9),
    ("responsive", 1.6),
    ("seamless", 2.0),
    ("seamlessly", 2.0),
    ("slow", -1.3),
    ("slower", -1.3),
    ("smoothly", 1.7),
    ("stuck", -1.3),
    ("terribly", -2.2),
    ("unacceptable", -2.4),
    ("unhelpful", -2.0),
    ("unreliable", -2.0),
    ("unresponsive", -1.9),
    ("unusable", -2.3),
];

/// What a help desk knows of a word besides: its own weight, and the phrases that begin with it.
#[derive(Debug)]
pub(super) struct Support {
    pub(super) word: Word,
    pub(super) phrases: Vec<Phrase>,
}

#[derive(Debug)]
pub(super) struct Tables {
    vader: HashMap<&'static str, Word>,
    support: HashMap<&'static str, Support>,
    emoji: HashMap<char, &'static str>,
}

impl Tables {
    /// The tables of this process; the first call takes about a millisecond.
    pub(super) fn get() -> &'static Self {
        static TABLES: OnceLock<Tables> = OnceLock::new();
        TABLES.get_or_init(Self::new)
    }

    fn new() -> Self {
        let mut vader: HashMap<&'static str, Word> = HashMap::with_capacity(8192);
        for (word, valence) in lines(include_str!("../../data/vader/lexicon.tsv")) {
            vader.entry(word).or_default().valence = valence.parse().ok();
        }
        for word in BOOSTERS.split_ascii_whitespace() {
            vader.entry(word).or_default().degree = DEGREE;
        }
        for word in DAMPENERS.split_ascii_whitespace() {
            vader.entry(word).or_default().degree = -DEGREE;
        }
        for word in NEGATIONS.split_ascii_whitespace() {
            vader.entry(word).or_default().negates = true;
        }
        for (word, term) in TERMS {
            vader.entry(word).or_default().term = term;
        }
        let mut support: HashMap<&'static str, Support> = HashMap::with_capacity(512);
        for (word, valence) in SUPPORT {
            let known = vader.get(word).copied().unwrap_or_default();
            let valence = Some(valence).filter(|valence| *valence != 0.0);
            support.insert(word, Support { word: Word { valence, ..known }, phrases: Vec::new() });
        }
        for phrase in phrases() {
            let Some(first) = phrase.words.first().copied() else { continue };
            let known = || {
                let word = vader.get(first).copied();
                word.unwrap_or_else(|| Word { negates: first.contains("n't"), ..Word::default() })
            };
            let entry =
                support.entry(first).or_insert_with(|| Support { word: known(), phrases: Vec::new() });
            entry.phrases.push(phrase);
        }
        for entry in support.values_mut() {
            // Of phrases with one beginning the longest is tried first.
            entry.phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.words.len()));
        }
        let mut emoji = HashMap::with_capacity(2048);
        for (symbol, description) in lines(include_str!("../../data/vader/emoji.tsv")) {
            if let Some(symbol) = symbol.chars().next() {
                emoji.insert(symbol, description);
            }
        }
        Self { vader, support, emoji }
    }

    pub(super) fn word(&self, lower: &str) -> Word {
        match self.vader.get(lower) {
            Some(word) => *word,
            None => Word { negates: lower.contains("n't"), ..Word::default() },
        }
    }

    /// The same as a help desk weighs it, if it does so otherwise.
    pub(super) fn support(&self, lower: &str) -> Option<&Support> {
        self.support.get(lower)
    }

    pub(super) fn emoji(&self, symbol: char) -> Option<&'static str> {
        // All but two are above the scripts of most texts.
        if symbol < '\u{a9}' { None } else { self.emoji.get(&symbol).copied() }
    }
}

fn lines(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.lines().filter_map(|line| line.split_once('\t'))
}

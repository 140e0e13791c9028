/// Words that together mean something else than each of them.
#[derive(Clone, Debug)]
pub(super) struct Phrase {
    pub(super) words: Vec<&'static str>,
    pub(super) value: f64,
}

/// What there is none of when somebody has no complaints, with how glad that makes.
const TROUBLES: &str = "problem problems issue issues complaint complaints worry worries trouble troubles hassle hassles \
    regret regrets hiccup hiccups glitch glitches bug bugs error errors fuss delay delays flaw flaws downtime drama stress \
    concern concerns difficulty difficulties pain";

const NONE_OF: [&str; 13] = [
    "no",
    "no more",
    "no real",
    "no major",
    "zero",
    "without",
    "without any",
    "without a",
    "without a single",
    "not a single",
    "not any",
    "haven't had any",
    "have had no",
];

const FIXED: [(&str, f64); 108] = [
    ("not bad", 1.2),
    ("not too bad", 1.0),
    ("not so bad", 0.9),
    ("not that bad", 0.9),
    ("not half bad", 1.3),
    ("not too shabby", 1.3),
    ("isn't bad", 1.0),
    ("wasn't bad", 1.0),
    ("wasn't too bad", 0.9),
    ("isn't too bad", 0.9),
    ("ain't bad", 1.0),
    ("not the worst", 0.3),
    ("not a problem", 1.2),
    ("not a big deal", 0.5),
    ("no big deal", 0.6),
    ("no biggie", 0.6),
    ("can't complain", 1.5),
    ("cannot complain", 1.5),
    ("cant complain", 1.5),
    ("can not complain", 1.5),
    ("couldn't complain", 1.4),
    ("nothing to complain about", 1.6),
    ("nothing to worry about", 1.2),
    ("nothing to worry", 1.1),
    ("nothing wrong", 0.8),
    ("nothing bad", 1.0),
    ("don't worry", 0.5),
    ("no need to worry", 0.7),
    ("couldn't be happier", 3.1),
    ("could not be happier", 3.1),
    ("couldn't be better", 2.9),
    ("could not be better", 2.9),
    ("couldn't ask for more", 2.7),
    ("can't be beat", 2.3),
    ("can't beat", 2.0),
    ("can't go wrong", 2.0),
    ("cannot go wrong", 2.0),
    ("can't wait", 1.7),
    ("second to none", 2.8),
    ("no doubt", 0.0),
    ("without doubt", 0.0),
    ("without a doubt", 0.0),
    ("no brainer", 1.0),
    ("not only", 0.0),
    ("not just", 0.0),
    ("no longer", 0.0),
    ("no problem with", 1.0),
    ("well done", 2.1),
    ("as well", 0.0),
    ("a lot", 0.0),
    ("looking forward", 1.2),
    ("works great", 2.6),
    ("work great", 2.4),
    ("works like a charm", 2.7),
    ("works perfectly", 2.8),
    ("works fine", 1.4),
    ("does the job", 1.3),
    ("worth every penny", 2.6),
    ("worth the money", 1.8),
    ("highly recommend", 2.5),
    ("would recommend", 1.9),
    ("thumbs up", 2.2),
    ("thumbs down", -2.2),
    ("five stars", 2.7),
    ("one star", -2.5),
    ("on time", 1.1),
    ("thanks for nothing", -2.7),
    ("thanks in advance", 0.2),
    ("thank you in advance", 0.2),
    ("no good", -1.8),
    ("no thanks", -0.8),
    ("no help", -1.9),
    ("no response", -1.6),
    ("no reply", -1.5),
    ("no answer", -1.4),
    ("no refund", -1.5),
    ("never again", -2.5),
    ("never works", -2.2),
    ("never worked", -2.2),
    ("wouldn't recommend", -2.1),
    ("would not recommend", -2.1),
    ("not recommend", -2.0),
    ("not recommended", -2.0),
    ("waste of", -2.5),
    ("let down", -1.9),
    ("let me down", -2.0),
    ("fed up", -1.8),
    ("screwed up", -1.5),
    ("can't stand", -2.0),
    ("doesn't work", -1.9),
    ("does not work", -1.9),
    ("don't work", -1.7),
    ("didn't work", -1.8),
    ("did not work", -1.8),
    ("not working", -1.8),
    ("isn't working", -1.8),
    ("stopped working", -2.0),
    ("stops working", -1.9),
    ("won't work", -1.8),
    ("still waiting", -1.6),
    ("on hold", -1.1),
    ("hung up", -1.2),
    ("ripped off", -2.3),
    ("rip off", -2.2),
    ("fell apart", -2.0),
    ("falls apart", -2.0),
    ("too long", -1.1),
    ("kind regards", 0.0),
];

pub(super) fn phrases() -> Vec<Phrase> {
    let mut all: Vec<Phrase> = FIXED
        .iter()
        .map(|(words, value)| Phrase { words: words.split(' ').collect(), value: *value })
        .collect();
    for none_of in NONE_OF {
        for trouble in TROUBLES.split_ascii_whitespace() {
            let mut words: Vec<&str> = none_of.split(' ').collect();
            words.push(trouble);
            all.push(Phrase { words, value: 1.5 });
        }
    }
    for regards in ["best regards", "warm regards", "best wishes", "yours sincerely", "yours truly"] {
        all.push(Phrase { words: regards.split(' ').collect(), value: 0.0 });
    }
    all
}

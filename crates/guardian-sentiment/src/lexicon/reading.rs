//! From a score to chances, steps and types.

use super::Valences;
use crate::{Confidence, Feeling, Polarity, Sentiment};

/// How far the mean of the amended rules is from its limits: the score is half way at about 1.2.
pub(super) const ALPHA: f64 = 4.0;

pub(super) fn sentiment(text: &str, score: f64, sums: &Valences, improved: bool) -> Sentiment {
    let chances = chances(score, sums, improved);
    let [negative, neutral, positive] = chances;
    let top = negative.max(neutral).max(positive);
    let polarity = if score >= 0.75 && positive >= top {
        Polarity::VeryPositive
    } else if positive >= top {
        Polarity::Positive
    } else if neutral >= top {
        Polarity::Neutral
    } else if score <= -0.75 {
        Polarity::VeryNegative
    } else {
        Polarity::Negative
    };
    let feelings = feelings(text, chances, sums);
    let mut feeling = Feeling::Neutral;
    let mut best = 0.0;
    for (candidate, chance) in Feeling::ALL.into_iter().zip(feelings) {
        if chance > best {
            (feeling, best) = (candidate, chance);
        }
    }
    let confidence = if top >= 0.8 {
        Confidence::High
    } else if top >= 0.6 {
        Confidence::Medium
    } else {
        Confidence::Low
    };
    Sentiment { score: positive - negative, chances, polarity, feeling, feelings, confidence }
}

fn chances(score: f64, _sums: &Valences, _improved: bool) -> [f64; 3] {
    let negative = (-0.6 - 3.0 * score).exp();
    let positive = (-0.6 + 3.0 * score).exp();
    let total = 1.0 + negative + positive;
    [negative / total, 1.0 / total, positive / total]
}

const ANGRY: &str = "angry furious ridiculous unacceptable worst hate hated disgusting disgusted disgusted scam liar liars \
    lies idiots incompetent pathetic outrageous outraged rude annoyed annoying infuriating joke shame garbage bullshit damn \
    hell fuck fucking shit sucks suck stupid fraud thieves robbery lawyer sue insulting awful horrible terrible";
const CONFUSED: &str = "confused confusing unclear unsure puzzled lost understand wondering wonder how why what where which \
    explain mean means idea clue huh";

/// The chance of a negative text is shared out by the words that show anger, that of a neutral one by those of a question.
fn feelings(text: &str, [negative, neutral, positive]: [f64; 3], sums: &Valences) -> [f64; 5] {
    let (mut angry, mut confused) = (0_u32, 0_u32);
    let words = text.split(|symbol: char| !symbol.is_alphanumeric()).filter(|word| word.len() > 2);
    let tables = cues();
    let mut buffer = String::new();
    for word in words {
        match tables.get(super::token::lowered(word, &mut buffer)) {
            Some(Feeling::Angry) => angry += 1,
            Some(Feeling::Confused) => confused += 1,
            _ => {}
        }
    }
    let anger = f64::from(angry) * 1.1
        + f64::from(sums.exclamations.min(3)) * 0.35
        + if sums.capitals > 1 && sums.capitals < sums.tokens { 0.6 } else { 0.0 };
    let anger = 1.0 / (1.0 + (0.7 - anger).exp());
    let doubt = f64::from(confused.min(3)) * 0.7 + if sums.questions > 0 { 1.4 } else { 0.0 };
    let doubt = 1.0 / (1.0 + (2.0 - doubt).exp());
    let doubtful = negative * doubt * 0.5;
    let negative = negative - doubtful;
    [
        positive,
        negative * anger,
        negative * (1.0 - anger),
        neutral * doubt + doubtful,
        neutral * (1.0 - doubt),
    ]
}

fn cues() -> &'static foldhash::HashMap<&'static str, Feeling> {
    static CUES: std::sync::OnceLock<foldhash::HashMap<&'static str, Feeling>> = std::sync::OnceLock::new();
    CUES.get_or_init(|| {
        let angry = ANGRY.split_ascii_whitespace().map(|word| (word, Feeling::Angry));
        angry.chain(CONFUSED.split_ascii_whitespace().map(|word| (word, Feeling::Confused))).collect()
    })
}

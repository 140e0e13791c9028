use std::ops::Range;

use crate::{Explanation, Part, Reading, SentimentModel};

mod idiom;
mod improved;
mod reading;
mod rules;
mod score;
mod token;
mod words;

use rules::Notes;
pub use rules::Rule;
pub use score::{VaderScores, Valences};
use score::{emphasis, margin, normalized, scores};
use token::{Prepared, Token};
use words::Tables;

/// Sentiment by a list of words and rules: VADER 3.3.2, or the same with the amendments its users ask for.
///
/// It needs no training, knows English only, and can say of every word why. [`Lexicon::vader`] equals the reference
/// implementation to the last decimal that it prints, with its peculiarities. [`Lexicon::improved`] understands phrases
/// such as `no complaints`, keeps negations within their clause, knows words of support desks, and takes a mean where VADER takes a
/// sum, so that a long text is no more extreme than a short one.
///
/// ```
/// use guardian_sentiment::Lexicon;
///
/// let scores = Lexicon::vader().scores("VADER is smart, handsome, and funny!");
/// assert_eq!((scores.negative, scores.neutral, scores.positive, scores.compound), (0.0, 0.248, 0.752, 0.8439));
///
/// assert!(Lexicon::vader().scores("Thanks for nothing.").compound > 0.4);
/// assert!(Lexicon::improved().scores("Thanks for nothing.").compound < -0.5);
/// ```
///
/// # Source
/// Hutto and Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text", ICWSM 2014; lists
/// and rules of the package vaderSentiment 3.3.2 (MIT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lexicon {
    improved: bool,
}

/// One rule's effect on one word.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Effect {
    /// The word whose value changed: bytes of the caller's text.
    pub span: Range<usize>,
    /// The word that made the rule apply.
    pub cause: Range<usize>,
    /// The rule.
    pub rule: Rule,
    /// What it added to the margin; below zero for bad.
    pub amount: f64,
}

struct Note {
    token: usize,
    cause: usize,
    rule: Rule,
    amount: f64,
}

impl Notes for Vec<Note> {
    fn note(&mut self, token: usize, cause: usize, rule: Rule, amount: f64) {
        self.push(Note { token, cause, rule, amount });
    }
}

/// What was found in a text.
struct Analysis<'t> {
    prepared: Prepared<'t>,
    tokens: Vec<Token>,
    values: Vec<f64>,
    exclamations: usize,
    questions: usize,
}

impl Lexicon {
    /// VADER 3.3.2 as it is.
    #[must_use]
    pub const fn vader() -> Self {
        Self { improved: false }
    }

    /// The amended rules.
    #[must_use]
    pub const fn improved() -> Self {
        Self { improved: true }
    }

    /// The scores of a text. It takes time in proportion to the text's length.
    #[must_use]
    pub fn scores(&self, text: &str) -> VaderScores {
        let found = self.analyse(text, &mut ());
        if self.improved {
            let (margin, _) = improved::mean(&found.values);
            return VaderScores {
                compound: normalized(margin, reading::ALPHA),
                ..scores(&found.values, 0.0)
            };
        }
        scores(&found.values, emphasis(found.exclamations, found.questions))
    }

    /// Sums over the words: cheap features for another model.
    #[must_use]
    pub fn valences(&self, text: &str) -> Valences {
        let found = self.analyse(text, &mut ());
        score::valences(&found.tokens, &found.values, found.exclamations, found.questions)
    }

    /// What each rule did to each word, in the order of the text. The amounts add up to the margin, which is above zero for
    /// good: the sum of VADER before it is squeezed between -1 and 1, or the mean of the amended rules.
    ///
    /// ```
    /// use guardian_sentiment::{Lexicon, Rule};
    ///
    /// let effects = Lexicon::vader().effects("The support was not helpful");
    /// let rules: Vec<_> = effects.iter().map(|effect| (effect.rule, effect.span.clone(), effect.cause.clone())).collect();
    /// assert_eq!(rules[2], (Rule::Negation, 20..27, 16..19));
    /// ```
    #[must_use]
    pub fn effects(&self, text: &str) -> Vec<Effect> {
        let mut notes: Vec<Note> = Vec::new();
        let found = self.analyse(text, &mut notes);
        let span = |token: usize| {
            let bytes = found.tokens.get(token).map_or(0..0, |token| token.bytes.clone());
            found.prepared.original(&bytes)
        };
        let weight = if self.improved { improved::mean(&found.values).1 } else { 1.0 };
        let mut effects: Vec<Effect> = notes
            .into_iter()
            .map(|note| Effect {
                span: span(note.token),
                cause: span(note.cause),
                rule: note.rule,
                amount: note.amount * weight,
            })
            .collect();
        if !self.improved {
            let (_, added) = margin(&found.values, emphasis(found.exclamations, found.questions));
            if added != 0.0
                && let Some(at) = found.prepared.text.rfind(['!', '?'])
            {
                let mark = found.prepared.original(&(at..at + 1));
                effects.push(Effect {
                    span: mark.clone(),
                    cause: mark,
                    rule: Rule::Punctuation,
                    amount: added,
                });
            }
        }
        effects.sort_by_key(|effect| effect.span.start);
        effects
    }

    /// The value before it is squeezed between -1 and 1.
    fn margin(&self, found: &Analysis<'_>) -> f64 {
        if self.improved {
            improved::mean(&found.values).0
        } else {
            margin(&found.values, emphasis(found.exclamations, found.questions)).0
        }
    }

    fn analyse<'t>(&self, text: &'t str, notes: &mut impl Notes) -> Analysis<'t> {
        let tables = Tables::get();
        let prepared = Prepared::new(text, tables);
        let tokens = prepared.tokens(tables);
        let values = if self.improved {
            improved::values(&prepared, &tokens, tables, notes)
        } else {
            score::values(&tokens, notes)
        };
        let count = |mark: u8| prepared.text.bytes().filter(|byte| *byte == mark).count();
        let (exclamations, questions) = (count(b'!'), count(b'?'));
        Analysis { prepared, tokens, values, exclamations, questions }
    }
}

impl Default for Lexicon {
    fn default() -> Self {
        Self::improved()
    }
}

impl SentimentModel for Lexicon {
    fn read(&self, text: &str) -> Reading {
        let found = self.analyse(text, &mut ());
        if found.tokens.is_empty() {
            return Reading::Empty;
        }
        let margin = self.margin(&found);
        let alpha = if self.improved { reading::ALPHA } else { 15.0 };
        let sums = score::valences(&found.tokens, &found.values, found.exclamations, found.questions);
        Reading::Read(reading::sentiment(text, normalized(margin, alpha), &sums, self.improved))
    }

    fn explain(&self, text: &str) -> Option<Explanation> {
        let found = self.analyse(text, &mut ());
        if found.tokens.is_empty() {
            return None;
        }
        let mut parts: Vec<Part> = Vec::new();
        for effect in self.effects(text) {
            match parts.last_mut().filter(|last| last.span == effect.span) {
                Some(last) => last.contribution += effect.amount,
                None => parts.push(Part { span: effect.span, contribution: effect.amount }),
            }
        }
        parts.retain(|part| part.contribution != 0.0);
        Some(Explanation { bias: 0.0, parts, margin: self.margin(&found) })
    }
}

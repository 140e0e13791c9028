use super::token::Token;
use super::words::{DEGREE, Term};

/// What a word in capitals adds where others are not.
pub(super) const CAPITALS: f64 = 0.733;
/// What a negation makes of a valence.
pub(super) const NEGATED: f64 = -0.74;

/// Which rule changed a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The word's own valence.
    Word,
    /// A word in capitals among others that are not.
    Capitals,
    /// A word of degree before it: `very`, `kind of`.
    Degree,
    /// A negation before it: `not`, `never`, `least`.
    Negation,
    /// A phrase that means something else than its words: `the bomb`, `no complaints`.
    Idiom,
    /// `but`: what stands before it counts less, what stands behind it more.
    Contrast,
    /// Exclamation and question marks.
    Punctuation,
    /// A share of a mean: what a sentence weighs among the others.
    Share,
}

/// Notes what each rule adds, or nothing at all.
pub(super) trait Notes {
    /// `cause` is the token whose being there made the rule apply, `token` the one whose value changed.
    fn note(&mut self, token: usize, cause: usize, rule: Rule, amount: f64);
}

impl Notes for () {
    #[inline]
    fn note(&mut self, _: usize, _: usize, _: Rule, _: f64) {}
}

/// The phrases of the reference, longest context first within each group as the reference tries them.
const IDIOMS: [(&[Term], f64); 8] = [
    (&[Term::The, Term::Shit], 3.0),
    (&[Term::The, Term::Bomb], 3.0),
    (&[Term::Bad, Term::Ass], 1.5),
    (&[Term::Bus, Term::Stop], 0.0),
    (&[Term::Yeah, Term::Right], -2.0),
    (&[Term::Kiss, Term::Of, Term::Death], -1.5),
    (&[Term::To, Term::Die, Term::For], 3.0),
    (&[Term::Beating, Term::Heart], 3.5),
];

fn idiom(terms: &[Term]) -> Option<f64> {
    if terms.contains(&Term::Other) {
        return None;
    }
    IDIOMS.iter().find(|(phrase, _)| *phrase == terms).map(|(_, value)| *value)
}

/// Whether capitals mean something here: some tokens have nothing else, and some do not.
pub(super) fn capitals_differ(tokens: &[Token]) -> bool {
    let capitals = tokens.iter().filter(|token| token.capitals).count();
    capitals > 0 && capitals < tokens.len()
}

/// The valence of one token in its context, by the rules of VADER 3.3.2.
pub(super) fn valence(tokens: &[Token], i: usize, capitals_differ: bool, notes: &mut impl Notes) -> f64 {
    let Some(item) = tokens.get(i) else { return 0.0 };
    // Before the first token the index wraps and finds nothing.
    let before = |n: usize| tokens.get(i.wrapping_sub(n));
    let after = |n: usize| tokens.get(i + n);
    let term = |token: Option<&Token>| token.map_or(Term::Other, |token| token.word.term);
    if item.word.degree != 0.0 || (item.word.term == Term::Kind && term(after(1)) == Term::Of) {
        return 0.0;
    }
    let Some(own) = item.word.valence else { return 0.0 };
    let mut value = own;
    notes.note(i, i, Rule::Word, own);
    let mut change = |value: &mut f64, new: f64, cause: usize, rule: Rule| {
        if new != *value {
            notes.note(i, cause, rule, new - *value);
        }
        *value = new;
    };

    if item.word.term == Term::No && after(1).is_some_and(|next| next.word.valence.is_some()) {
        change(&mut value, 0.0, i + 1, Rule::Negation);
    }
    let no = if term(before(1)) == Term::No {
        Some(1)
    } else if term(before(2)) == Term::No {
        Some(2)
    } else if term(before(3)) == Term::No && matches!(term(before(1)), Term::Or | Term::Nor) {
        Some(3)
    } else {
        None
    };
    if let Some(no) = no {
        change(&mut value, own * NEGATED, i - no, Rule::Negation);
    }
    if item.capitals && capitals_differ {
        let new = if value > 0.0 { value + CAPITALS } else { value - CAPITALS };
        change(&mut value, new, i, Rule::Capitals);
    }

    for distance in 1..=3 {
        let Some(near) = before(distance).filter(|near| near.word.valence.is_none()) else { continue };
        let degree =
            degree(near, value, capitals_differ) * [1.0, 1.0, 0.95, 0.9].get(distance).unwrap_or(&1.0);
        if degree != 0.0 {
            let new = value + degree;
            change(&mut value, new, i - distance, Rule::Degree);
        }
        let factor = negation(near, distance, term(before(1)), term(before(2)));
        if let Some(factor) = factor {
            let new = value * factor;
            change(&mut value, new, i - distance, Rule::Negation);
        }
        if distance == 3 {
            let (zero, one, two, three) = (item.word.term, term(before(1)), term(before(2)), term(before(3)));
            let found = idiom(&[one, zero])
                .or_else(|| idiom(&[two, one, zero]))
                .or_else(|| idiom(&[two, one]))
                .or_else(|| idiom(&[three, two, one]))
                .or_else(|| idiom(&[three, two]));
            let found = after(1).and_then(|next| idiom(&[zero, next.word.term])).or(found);
            let found = after(2).and_then(|next| idiom(&[zero, term(after(1)), next.word.term])).or(found);
            if let Some(found) = found {
                change(&mut value, found, i, Rule::Idiom);
            }
            for (first, second, at) in [(three, two, 3), (two, one, 2)] {
                let phrase = (first, second);
                if matches!(phrase, (Term::Just, Term::Enough) | (Term::Kind | Term::Sort, Term::Of)) {
                    let new = value - DEGREE;
                    change(&mut value, new, i - at, Rule::Degree);
                }
            }
        }
    }

    let nearest = before(1).filter(|near| near.word.valence.is_none());
    if term(nearest) == Term::Least && !matches!(term(before(2)), Term::At | Term::Very) {
        let new = value * NEGATED;
        change(&mut value, new, i - 1, Rule::Negation);
    }
    value
}

fn degree(word: &Token, value: f64, capitals_differ: bool) -> f64 {
    let mut degree = word.word.degree;
    if degree != 0.0 {
        if value < 0.0 {
            degree = -degree;
        }
        if word.capitals && capitals_differ {
            degree += if value > 0.0 { CAPITALS } else { -CAPITALS };
        }
    }
    degree
}

/// What the word at a distance before the item makes of its value, if it is a negation.
fn negation(near: &Token, distance: usize, one: Term, two: Term) -> Option<f64> {
    let is_so = |term: Term| matches!(term, Term::So | Term::This);
    let near_term = near.word.term;
    match distance {
        2 if near_term == Term::Never && is_so(one) => return Some(1.25),
        2 if near_term == Term::Without && one == Term::Doubt => return None,
        3 if (near_term == Term::Never && is_so(two)) || is_so(one) => return Some(1.25),
        3 if near_term == Term::Without && (two == Term::Doubt || one == Term::Doubt) => return None,
        _ => {}
    }
    near.word.negates.then_some(NEGATED)
}

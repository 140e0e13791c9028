//! What a tenant's people have corrected, and the small model over the shipped one that follows from it.

mod fit;
mod kept;

use std::collections::BTreeSet;
use std::sync::Arc;

use fit::{Case, Delta, fit};

use crate::core::{Core, Features, View, pieces};
use crate::features::words;
use crate::tokens::{Tokens, mix};
use crate::{Ensemble, Explanation, Feeling, Message, ModelError, Part, Polarity, Reading, SentimentModel};

/// So many corrections are kept; a further one pushes out the oldest.
pub const MAX_CORRECTIONS: usize = 2_000;

/// N-grams of one message that are learned from.
const MAX_KEPT: usize = 192;

/// What a message really says, according to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Correction {
    /// Its polarity, where the person said so; the two outer steps count as the inner ones.
    pub polarity: Option<Polarity>,
    /// Its type, where the person said so.
    pub feeling: Option<Feeling>,
}

impl From<Polarity> for Correction {
    fn from(polarity: Polarity) -> Self {
        Self { polarity: Some(polarity), feeling: None }
    }
}

/// A type says the polarity too, save for [`Feeling::Confused`].
impl From<Feeling> for Correction {
    fn from(feeling: Feeling) -> Self {
        let polarity = match feeling {
            Feeling::Satisfied => Some(Polarity::Positive),
            Feeling::Angry | Feeling::Disappointed => Some(Polarity::Negative),
            Feeling::Neutral => Some(Polarity::Neutral),
            Feeling::Confused => None,
        };
        Self { polarity, feeling: Some(feeling) }
    }
}

impl Correction {
    /// Both at once.
    #[must_use]
    pub const fn new(polarity: Polarity, feeling: Feeling) -> Self {
        Self { polarity: Some(polarity), feeling: Some(feeling) }
    }
}

/// What became of a correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Learned {
    /// The message was not corrected before.
    New,
    /// The message was corrected otherwise before; that is replaced.
    Replaced,
    /// The same was said of this message before: nothing changes.
    Known,
    /// There is nothing to learn from: the text is empty, the correction says nothing, or the id is empty or longer than
    /// [`Message::MAX_ID`](crate::Message::MAX_ID).
    Nothing,
}

/// The corrections of one tenant, from which a model of its own follows.
///
/// What is kept are the corrections, not weights: the model is computed from them and from the shipped one, and is the same
/// whatever came and went in between. Therefore a message that is said twice counts once, forgetting a message is exact,
/// and so is going back to an earlier version. Of a text only hashes of its words and pairs of words are kept, with what the
/// shipped model said.
///
/// ```
/// use guardian_sentiment::{Adaptation, Ensemble, Polarity, Reading, SentimentModel};
///
/// let model = Ensemble::default();
/// let mut tenant = Adaptation::new(&model);
/// let before = tenant.version();
/// tenant.learn("message-17", "The spinner spins and spins.", Polarity::Negative);
/// tenant.learn("message-18", "Spinner again on the start page", Polarity::Negative);
/// let Reading::Read(base) = model.read("spinner again") else { panic!() };
/// let Reading::Read(own) = tenant.model().read("spinner again") else { panic!() };
/// assert!(own.score < base.score);
///
/// tenant.roll_back(before);
/// assert_eq!(tenant.model().read("spinner again"), model.read("spinner again"));
/// ```
#[derive(Clone, Debug)]
pub struct Adaptation {
    core: Arc<Core>,
    kept: Vec<Kept>,
    version: u64,
}

/// One correction.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    id: String,
    version: u64,
    class: Option<u8>,
    feeling: Option<u8>,
    case: Case,
}

/// How the tenant's own model compares with the shipped one on messages that it has not learned from.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Shadow {
    /// Corrections whose polarity is known.
    pub messages: usize,
    /// Of these, how many the shipped model reads right: negative, neutral or positive.
    pub base_right: usize,
    /// How many the own model reads right, each trained on the other nine tenths.
    pub own_right: usize,
    /// Messages that only one of both reads right decide: the chance of such a difference, or a greater one, if both were
    /// equally good (two-sided sign test).
    pub p_value: f64,
}

impl Shadow {
    /// Whether the own model is better, with no more than one chance in twenty that this is luck.
    #[must_use]
    pub fn is_better(&self) -> bool {
        self.own_right > self.base_right && self.p_value <= 0.05
    }
}

impl Adaptation {
    /// Nothing was corrected yet.
    #[must_use]
    pub fn new(model: &Ensemble) -> Self {
        Self { core: Arc::clone(&model.core), kept: Vec::new(), version: 0 }
    }

    /// Takes a correction. The id is the message's; the same correction of the same message changes nothing.
    pub fn learn(&mut self, id: &str, text: &str, correction: impl Into<Correction>) -> Learned {
        let correction = correction.into();
        let class = correction.polarity.map(|polarity| match polarity {
            Polarity::VeryNegative | Polarity::Negative => 0,
            Polarity::Neutral => 1,
            Polarity::Positive | Polarity::VeryPositive => 2,
        });
        let place = |feeling: Feeling| Feeling::ALL.iter().position(|other| *other == feeling);
        let feeling = correction.feeling.and_then(place).and_then(|place| u8::try_from(place).ok());
        if id.is_empty() || id.len() > Message::MAX_ID || (class.is_none() && feeling.is_none()) {
            return Learned::Nothing;
        }
        let tokens = Tokens::of(text);
        if tokens.list.is_empty() {
            return Learned::Nothing;
        }
        let case = Case::of(&self.core, &tokens).sampled();
        let old = self.kept.iter().position(|kept| kept.id == id);
        let is_known = |kept: &Kept| kept.class == class && kept.feeling == feeling && kept.case.same(&case);
        if old.and_then(|at| self.kept.get(at)).is_some_and(is_known) {
            return Learned::Known;
        }
        if let Some(at) = old {
            self.kept.remove(at);
        } else if self.kept.len() >= MAX_CORRECTIONS {
            self.kept.remove(0);
        }
        self.version += 1;
        self.kept.push(Kept { id: id.to_owned(), version: self.version, class, feeling, case });
        if old.is_some() { Learned::Replaced } else { Learned::New }
    }

    /// Forgets what was learned of a message, as if it had never been corrected; whether there was something.
    pub fn forget(&mut self, id: &str) -> bool {
        let before = self.kept.len();
        self.kept.retain(|kept| kept.id != id);
        let is_less = self.kept.len() < before;
        self.version += u64::from(is_less);
        is_less
    }

    /// A number to go back to; it grows with every correction, and when something is forgotten.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Drops all corrections that are later than the version, and says how many these were. What a later correction
    /// replaced, and what was forgotten, does not come back.
    pub fn roll_back(&mut self, version: u64) -> usize {
        let before = self.kept.len();
        self.kept.retain(|kept| kept.version <= version);
        before - self.kept.len()
    }

    /// How many corrections there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The ids of the corrected messages, the earliest first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().map(|kept| kept.id.as_str())
    }

    /// The tenant's own model. For a thousand short corrections it takes some
    /// milliseconds, for two thousand long ones a second or more: compute it once and keep it.
    #[must_use]
    pub fn model(&self) -> Adapted {
        Adapted { core: Arc::clone(&self.core), delta: Arc::new(fit(&self.kept.iter().collect::<Vec<_>>())) }
    }

    /// How the own model does on corrections that it has not seen: ten models, each trained without a tenth of the texts. All
    /// corrections of one text are in the same tenth, and the same said of it many times decides once.
    #[must_use]
    pub fn shadow(&self) -> Shadow {
        const PARTS: u64 = 10;
        let (mut messages, mut base_right, mut own_right) = (0, 0, 0);
        let (mut only_base, mut only_own) = (0_u32, 0_u32);
        for part in 0..PARTS {
            let (seen, rest): (Vec<&Kept>, Vec<&Kept>) =
                self.kept.iter().partition(|kept| kept.case.text() % PARTS == part);
            if seen.is_empty() {
                continue;
            }
            let delta = fit(&rest);
            let mut decided = BTreeSet::new();
            for kept in seen {
                let Some(class) = kept.class else { continue };
                let base = top(kept.case.base.map(f64::from)) == usize::from(class);
                let own = top(delta.polarity(&kept.case)) == usize::from(class);
                messages += 1;
                base_right += usize::from(base);
                own_right += usize::from(own);
                if decided.insert((kept.case.text(), class)) {
                    only_base += u32::from(base && !own);
                    only_own += u32::from(own && !base);
                }
            }
        }
        Shadow { messages, base_right, own_right, p_value: sign_test(only_base, only_own) }
    }

    /// The corrections as bytes, to be kept by the host; they have no text in them, but they have the ids of messages.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        kept::write(self.core.checksum, self.version, &self.kept)
    }

    /// Reads what [`Adaptation::to_bytes`] wrote.
    ///
    /// # Errors
    /// The bytes are nothing of the kind, are damaged, or belong to another model than this.
    pub fn from_bytes(model: &Ensemble, bytes: &[u8]) -> Result<Self, ModelError> {
        let (version, kept) = kept::read(model.core.checksum, bytes)?;
        Ok(Self { core: Arc::clone(&model.core), kept, version })
    }

    /// Whether it has only learned since it had this version, and forgotten nothing: then each change since is a correction that is
    /// still there. Of a correction that was replaced since it is not known, and it may say that something was forgotten.
    pub(crate) fn has_only_learned_since(&self, version: u64) -> bool {
        let since = self.kept.iter().filter(|kept| kept.version > version).count();
        self.version.checked_sub(version) == u64::try_from(since).ok()
    }

    /// N-grams that are learned from, which is what the own model's size goes by.
    pub(crate) fn weight(&self) -> usize {
        self.kept.iter().map(|kept| kept.case.grams.len()).sum()
    }
}

/// The ids in the bytes of an adaptation, on top of whichever model it was learned.
pub(crate) fn ids_of(bytes: &[u8]) -> Result<Vec<String>, ModelError> {
    Ok(kept::read_any(bytes)?.2.into_iter().map(|kept| kept.id).collect())
}

/// The bytes of an adaptation without some messages, for the model on top of which it was learned. Bytes that cannot be
/// read give one that knows nothing.
pub(crate) fn without(bytes: &[u8], gone: &BTreeSet<String>) -> Vec<u8> {
    let (model, version, mut kept) = kept::read_any(bytes).unwrap_or_default();
    kept.retain(|kept| !gone.contains(&kept.id));
    // So that nobody who knew more goes on with it.
    kept::write(model, version.saturating_add(1), &kept)
}

/// The model of one tenant: the shipped one and what was learned on top of it.
#[derive(Clone, Debug)]
pub struct Adapted {
    core: Arc<Core>,
    delta: Arc<Delta>,
}

impl Adapted {
    /// N-grams that it has weights of.
    pub(crate) fn weight(&self) -> usize {
        self.delta.len()
    }
}

impl SentimentModel for Adapted {
    fn read(&self, text: &str) -> Reading {
        if self.delta.is_empty() {
            return self.core.read(text, View::Ensemble);
        }
        let tokens = Tokens::of(text);
        if tokens.list.is_empty() {
            return Reading::Empty;
        }
        let case = Case::of(&self.core, &tokens);
        let (chances, feelings) = self.delta.chances(&case);
        Reading::Read(self.core.bounds.sentiment(chances, feelings))
    }

    fn explain(&self, text: &str) -> Option<Explanation> {
        let mut explanation = self.core.explain(text, View::Ensemble)?;
        let tokens = Tokens::of(text);
        let scale = self.delta.slope();
        explanation.bias = explanation.bias * scale + self.delta.shift();
        explanation.margin = explanation.margin * scale + self.delta.shift();
        for part in &mut explanation.parts {
            part.contribution *= scale;
        }
        for (at, gram, worth) in placed_grams(&tokens) {
            let added = self.delta.gram(gram) * f64::from(worth);
            explanation.margin += added;
            if let Some(Part { contribution, .. }) = explanation.parts.get_mut(at) {
                *contribution += added;
            }
        }
        Some(explanation)
    }
}

impl Case {
    /// A text to be read.
    fn of(core: &Core, tokens: &Tokens) -> Self {
        let features = core.features(tokens, View::Ensemble);
        let Features { inputs, bends } = &features;
        let readout = core.readout(View::Ensemble);
        let mut grams: Vec<(u32, f32)> =
            placed_grams(tokens).into_iter().map(|(_, gram, worth)| (gram, worth)).collect();
        // Those of each piece are in their order already, which a stable sort makes use of.
        grams.sort_by_key(|(gram, _)| *gram);
        grams.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 += if same { next.1 } else { 0.0 };
            same
        });
        Self::new(readout.polarity(inputs, bends), readout.feelings(inputs, bends), grams)
    }

    /// The same to be learned from: of a long text a sample, by hashes, so that its end counts as its beginning does.
    fn sampled(mut self) -> Self {
        if self.grams.len() > MAX_KEPT {
            self.grams.sort_unstable_by_key(|(gram, _)| mix(u64::from(*gram)));
            self.grams.truncate(MAX_KEPT);
            self.grams.sort_unstable_by_key(|(gram, _)| *gram);
        }
        self
    }
}

/// The n-grams of a text, each with its token and what it is worth: once in each piece of the text, of which the whole is the
/// mean. So nothing that is taught counts for more in a long text than in a short one.
#[expect(clippy::cast_possible_truncation, reason = "24 bits of a share are enough")]
fn placed_grams(tokens: &Tokens) -> Vec<(usize, u32, f32)> {
    let list = tokens.list.as_slice();
    let mut all = Vec::with_capacity(2 * list.len());
    let mut piece: Vec<u64> = Vec::new();
    for (range, weight) in pieces(list) {
        let start = range.start;
        piece.clear();
        words(tokens, list.get(range).unwrap_or_default(), |at, hash| {
            // The n-gram before its token: one number sorts by both.
            piece.push((hash >> 32 << 32) | at as u64);
        });
        piece.sort_unstable();
        piece.dedup_by_key(|placed| *placed >> 32);
        let count = f64::from(u32::try_from(piece.len().max(1)).unwrap_or(u32::MAX));
        let worth = (weight / count.sqrt()) as f32;
        let place = |placed: &u64| (start + (*placed & 0xffff_ffff) as usize, (placed >> 32) as u32, worth);
        all.extend(piece.iter().map(place));
    }
    all
}

fn top(values: [f64; 3]) -> usize {
    let [bad, neutral, good] = values;
    if neutral >= bad && neutral >= good {
        1
    } else if bad > good {
        0
    } else {
        2
    }
}

/// The chance that of so many tosses of a coin the two sides differ so much or more.
fn sign_test(one: u32, other: u32) -> f64 {
    let (all, fewer) = (one + other, one.min(other));
    if all == 0 {
        return 1.0;
    }
    // The binomial coefficients as logarithms, lest they overflow.
    let mut log = -f64::from(all) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for count in 0..=fewer {
        sum += log.exp();
        log += (f64::from(all - count) / f64::from(count + 1)).ln();
    }
    (2.0 * sum).min(1.0)
}

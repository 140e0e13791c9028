//! Where histories and series live: the contract, and the stores that come with the crate.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{PageRequest, Scope, StoreError, Timestamp};
use uuid::Uuid;

use crate::message::{Corrected, Entry, Recorded, Told};
use crate::{Observation, Polarity, Segment, Trend, TrendPolicy, Update};

pub mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;

/// A message that is to be recorded: data, so that any store can take it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewEntry {
    /// What is to be kept.
    pub entry: Entry,
    /// Words of its text, for those of series: at most 24, each once.
    pub words: Vec<String>,
    /// What time it is.
    pub now: Timestamp,
    /// How series are counted.
    pub policy: TrendPolicy,
    /// An id for the event of each series, in case of an alarm; as many as the entry has series.
    pub events: Vec<Uuid>,
}

impl NewEntry {
    /// How a series counts the message; `None` when it does not count.
    #[must_use]
    pub fn observation(&self) -> Option<Observation<'_>> {
        observation(&self.entry).map(|observation| observation.with_words(&self.words).counted_at(self.now))
    }

    /// Counts the message in a series: what stores do with each one that they bring. Says what came of it, and what is to be
    /// told.
    pub fn fold(&self, at: usize, segment: &Segment, trend: &mut Trend) -> Option<(Update, Option<Told>)> {
        let update = trend.push(&self.observation()?, &self.policy);
        let told = self.told(at, segment, &update);
        Some((update, told))
    }

    /// The alarms that were raised when it was counted.
    pub(crate) fn raised(&self, updates: &[(Segment, Update)]) -> Vec<Told> {
        let told = |(segment, update): &(Segment, Update)| {
            let at = self.entry.segments.iter().position(|other| other == segment)?;
            self.told(at, segment, update)
        };
        updates.iter().filter_map(told).collect()
    }

    fn told(&self, at: usize, segment: &Segment, update: &Update) -> Option<Told> {
        update.alert.clone().zip(self.events.get(at)).map(|(alert, event)| Told {
            event: *event,
            segment: segment.clone(),
            message: self.entry.id.clone(),
            alert,
        })
    }
}

/// How a series counts an entry, without its words.
pub(crate) fn observation(entry: &Entry) -> Option<Observation<'static>> {
    let mut observation = Observation::new(entry.at, entry.score()?);
    observation.is_negative = entry.polarity().is_some_and(|polarity| polarity < Polarity::Neutral);
    Some(observation)
}

/// Brings a series from an entry as it was to the entry as it is; `None` when it is not in the series.
pub(crate) fn recount(trend: &mut Trend, was: Option<&Entry>, is: Option<&Entry>, policy: &TrendPolicy) {
    match (was.and_then(observation), is.and_then(observation)) {
        (Some(was), Some(is)) if was.at == is.at => trend.replace(&was, &is, policy),
        (was, is) => {
            if let Some(was) = was {
                trend.remove(&was, policy);
            }
            if let Some(is) = is {
                trend.restore(&is, policy);
            }
        }
    }
}

/// A tenant's model as it is learned, opaque to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "stores make it")]
pub struct AdaptationState {
    /// Counts the changes. The first one is put with 1, and then has a version of the store's choice that nothing had before: so
    /// nobody who knows what was forgotten with its tenant takes what came after it for that. Later versions are above it.
    pub version: u64,
    /// What was learned.
    pub bytes: Vec<u8>,
}

/// Keeps histories, series, alarms that are to be told, and what was learned for tenants.
///
/// # Contract
/// Each call is atomic, and of two calls that change the same message or series one happens entirely before the other.
/// [`record`](Self::record) keeps an entry and counts it in all of its series in one step: a message that was acknowledged is in
/// the history, and counted in each of its series exactly once, whatever crashes when. A message whose id is there changes
/// nothing. A call that returns an error may or may not have happened.
///
/// What is to be told is kept with the change that it is about, until [`told`](Self::told).
///
/// Nothing of one tenant is ever seen by another. `testkit` (feature) has each promise as a law.
#[async_trait]
pub trait SentimentStore: Send + Sync + fmt::Debug + 'static {
    /// Keeps an entry and counts it in its series, unless its id is there: then what is kept of that one is returned.
    async fn record(&self, scope: &Scope, new: &NewEntry) -> Result<Recorded, StoreError>;

    /// Puts a correction on an entry, in the place of an earlier one, and counts it anew. One that says what the earlier one says
    /// changes nothing, and leaves who said it first. The entry as it is then; `None` when there is none.
    async fn correct(
        &self,
        scope: &Scope,
        id: &str,
        correction: &Corrected,
        policy: &TrendPolicy,
    ) -> Result<Option<Entry>, StoreError>;

    /// Puts an entry in the place of the one with its id, and says whether there was one. It counts in its series in place of the other,
    /// without a test for a fall and without its words; of series that only the other was in, it is taken out. Words and alarms
    /// stay, save those of a series that has no message left.
    async fn replace(&self, scope: &Scope, entry: &Entry, policy: &TrendPolicy) -> Result<bool, StoreError>;

    /// Which of these ids have an entry with a correction; at most as many as there may be corrections.
    async fn corrected(&self, scope: &Scope, ids: &[String]) -> Result<BTreeSet<String>, StoreError>;

    /// One entry.
    async fn entry(&self, scope: &Scope, id: &str) -> Result<Option<Entry>, StoreError>;

    /// The entries of a series, the newest first, those of one moment by descending id; at most as many as the page is large,
    /// behind an entry by its time and id.
    async fn history(
        &self,
        scope: &Scope,
        segment: &Segment,
        after: Option<&(Timestamp, String)>,
        page: &PageRequest,
    ) -> Result<Vec<Entry>, StoreError>;

    /// How a series stands; `None` when nothing is counted in it.
    async fn trend(&self, scope: &Scope, segment: &Segment) -> Result<Option<Trend>, StoreError>;

    /// The series of the tenant in which something is counted, in the order of their texts, behind one; at most `limit`.
    async fn segments(
        &self,
        scope: &Scope,
        after: Option<&Segment>,
        limit: u32,
    ) -> Result<Vec<Segment>, StoreError>;

    /// Forgets at most `limit` entries of a series, and takes them out of all series that they are counted in, whose words are
    /// forgotten with them, and those of their alarms that were not told. When none is left the series is gone, with alarms that
    /// were not told. Says how many entries were forgotten; 0 means that none is left.
    async fn forget(
        &self,
        scope: &Scope,
        segment: &Segment,
        limit: u32,
        policy: &TrendPolicy,
    ) -> Result<u32, StoreError>;

    /// Forgets one entry, as [`forget`](Self::forget) forgets those of a series, and says whether there was one. Alarms that
    /// were not told lose their words where they are of its series.
    async fn forget_message(&self, scope: &Scope, id: &str, policy: &TrendPolicy)
    -> Result<bool, StoreError>;

    /// Forgets everything of the tenant.
    async fn forget_tenant(&self, scope: &Scope) -> Result<(), StoreError>;

    /// At most `limit` alarms of the tenant that were not told, in the order of their events, behind one.
    async fn untold(&self, scope: &Scope, after: Option<Uuid>, limit: u32) -> Result<Vec<Told>, StoreError>;

    /// That the alarm with this event was told.
    async fn told(&self, scope: &Scope, event: Uuid) -> Result<(), StoreError>;

    /// What was learned for the tenant.
    async fn adaptation(&self, scope: &Scope) -> Result<Option<AdaptationState>, StoreError>;

    /// Keeps what was learned if its version is one above the one that is kept, or 1 where none is, and says which version it has
    /// then: that one, or of the store's choice. `None` when it was not kept.
    ///
    /// Where it was learned from a message, it is kept only while there is an entry with its id and a correction, in one step: of what
    /// is forgotten meanwhile nothing is kept, neither of the message nor of the tenant.
    async fn put_adaptation(
        &self,
        scope: &Scope,
        state: &AdaptationState,
        learned_from: Option<&str>,
    ) -> Result<Option<u64>, StoreError>;
}

#[async_trait]
impl<S: SentimentStore + ?Sized> SentimentStore for Arc<S> {
    async fn record(&self, scope: &Scope, new: &NewEntry) -> Result<Recorded, StoreError> {
        (**self).record(scope, new).await
    }

    async fn correct(
        &self,
        scope: &Scope,
        id: &str,
        correction: &Corrected,
        policy: &TrendPolicy,
    ) -> Result<Option<Entry>, StoreError> {
        (**self).correct(scope, id, correction, policy).await
    }

    async fn replace(&self, scope: &Scope, entry: &Entry, policy: &TrendPolicy) -> Result<bool, StoreError> {
        (**self).replace(scope, entry, policy).await
    }

    async fn corrected(&self, scope: &Scope, ids: &[String]) -> Result<BTreeSet<String>, StoreError> {
        (**self).corrected(scope, ids).await
    }

    async fn entry(&self, scope: &Scope, id: &str) -> Result<Option<Entry>, StoreError> {
        (**self).entry(scope, id).await
    }

    async fn history(
        &self,
        scope: &Scope,
        segment: &Segment,
        after: Option<&(Timestamp, String)>,
        page: &PageRequest,
    ) -> Result<Vec<Entry>, StoreError> {
        (**self).history(scope, segment, after, page).await
    }

    async fn trend(&self, scope: &Scope, segment: &Segment) -> Result<Option<Trend>, StoreError> {
        (**self).trend(scope, segment).await
    }

    async fn segments(
        &self,
        scope: &Scope,
        after: Option<&Segment>,
        limit: u32,
    ) -> Result<Vec<Segment>, StoreError> {
        (**self).segments(scope, after, limit).await
    }

    async fn forget(
        &self,
        scope: &Scope,
        segment: &Segment,
        limit: u32,
        policy: &TrendPolicy,
    ) -> Result<u32, StoreError> {
        (**self).forget(scope, segment, limit, policy).await
    }

    async fn forget_message(
        &self,
        scope: &Scope,
        id: &str,
        policy: &TrendPolicy,
    ) -> Result<bool, StoreError> {
        (**self).forget_message(scope, id, policy).await
    }

    async fn forget_tenant(&self, scope: &Scope) -> Result<(), StoreError> {
        (**self).forget_tenant(scope).await
    }

    async fn untold(&self, scope: &Scope, after: Option<Uuid>, limit: u32) -> Result<Vec<Told>, StoreError> {
        (**self).untold(scope, after, limit).await
    }

    async fn told(&self, scope: &Scope, event: Uuid) -> Result<(), StoreError> {
        (**self).told(scope, event).await
    }

    async fn adaptation(&self, scope: &Scope) -> Result<Option<AdaptationState>, StoreError> {
        (**self).adaptation(scope).await
    }

    async fn put_adaptation(
        &self,
        scope: &Scope,
        state: &AdaptationState,
        learned_from: Option<&str>,
    ) -> Result<Option<u64>, StoreError> {
        (**self).put_adaptation(scope, state, learned_from).await
    }
}

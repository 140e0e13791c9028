//! Histories and series in this process's memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use guardian_core::{PageRequest, Scope, StoreError, TenantId, Timestamp};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{AdaptationState, NewEntry, SentimentStore, recount};
use crate::message::{Corrected, Entry, Recorded, Told};
use crate::{Segment, Trend, TrendPolicy};

/// Everything in memory, gone with the process: for tests and demos.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tenants: Mutex<BTreeMap<TenantId, Tenant>>,
    /// How many tenants have begun to learn.
    beginnings: AtomicU64,
}

#[derive(Debug, Default)]
struct Tenant {
    entries: BTreeMap<String, Entry>,
    /// The times and ids of each series.
    members: BTreeMap<Segment, BTreeSet<(Timestamp, String)>>,
    trends: BTreeMap<Segment, Trend>,
    untold: Vec<Told>,
    adaptation: Option<AdaptationState>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, scope: &Scope, work: impl FnOnce(&mut Tenant) -> T) -> T {
        work(self.tenants.lock().entry(scope.tenant().clone()).or_default())
    }
}

impl Tenant {
    /// Brings a series from an entry to another; the series ends with its last message.
    fn recount(&mut self, segment: &Segment, was: Option<&Entry>, is: Option<&Entry>, policy: &TrendPolicy) {
        if let Some(was) = was
            && let Some(members) = self.members.get_mut(segment)
        {
            members.remove(&(was.at, was.id.clone()));
        }
        if let Some(is) = is {
            self.members.entry(segment.clone()).or_default().insert((is.at, is.id.clone()));
        }
        if self.members.get(segment).is_none_or(BTreeSet::is_empty) {
            self.members.remove(segment);
            self.trends.remove(segment);
            self.untold.retain(|told| told.segment != *segment);
            return;
        }
        let trend = self.trends.entry(segment.clone()).or_default();
        recount(trend, was, is, policy);
        if trend.messages() == 0 {
            self.trends.remove(segment);
        }
    }

    /// Takes a message out of everything that knows of it; whether there was one.
    fn take_out(&mut self, id: &str, policy: &TrendPolicy) -> bool {
        let Some(entry) = self.entries.remove(id) else { return false };
        self.untold.retain(|told| told.message != id);
        for segment in &entry.segments {
            self.recount(segment, Some(&entry), None, policy);
            if let Some(trend) = self.trends.get_mut(segment) {
                trend.forget_words();
            }
            for told in self.untold.iter_mut().filter(|told| told.segment == *segment) {
                told.alert.words.clear();
            }
        }
        true
    }

    /// Puts an entry in the place of another with its id.
    fn replace(&mut self, was: &Entry, is: &Entry, policy: &TrendPolicy) {
        for segment in was.segments.union(&is.segments) {
            let of = |entry: &Entry| entry.segments.contains(segment);
            self.recount(segment, Some(was).filter(|was| of(was)), Some(is).filter(|is| of(is)), policy);
        }
        self.entries.insert(is.id.clone(), is.clone());
    }
}

#[async_trait]
impl SentimentStore for MemoryStore {
    async fn record(&self, scope: &Scope, new: &NewEntry) -> Result<Recorded, StoreError> {
        Ok(self.with(scope, |tenant| {
            if let Some(entry) = tenant.entries.get(&new.entry.id) {
                return Recorded { entry: entry.clone(), is_new: false, updates: Vec::new() };
            }
            let entry = new.entry.clone();
            let mut updates = Vec::new();
            for (at, segment) in entry.segments.iter().enumerate() {
                tenant.members.entry(segment.clone()).or_default().insert((entry.at, entry.id.clone()));
                if new.observation().is_none() {
                    continue;
                }
                let trend = tenant.trends.entry(segment.clone()).or_default();
                if let Some((update, told)) = new.fold(at, segment, trend) {
                    tenant.untold.extend(told);
                    updates.push((segment.clone(), update));
                }
            }
            tenant.entries.insert(entry.id.clone(), entry.clone());
            Recorded { entry, is_new: true, updates }
        }))
    }

    async fn correct(
        &self,
        scope: &Scope,
        id: &str,
        correction: &Corrected,
        policy: &TrendPolicy,
    ) -> Result<Option<Entry>, StoreError> {
        Ok(self.with(scope, |tenant| {
            let was = tenant.entries.get(id)?.clone();
            if was.correction.as_ref().is_some_and(|earlier| earlier.says_as(correction)) {
                return Some(was);
            }
            let is = Entry { correction: Some(correction.clone()), ..was.clone() };
            tenant.replace(&was, &is, policy);
            Some(is)
        }))
    }

    async fn replace(&self, scope: &Scope, entry: &Entry, policy: &TrendPolicy) -> Result<bool, StoreError> {
        Ok(self.with(scope, |tenant| {
            let Some(was) = tenant.entries.get(&entry.id).cloned() else { return false };
            tenant.replace(&was, entry, policy);
            true
        }))
    }

    async fn corrected(&self, scope: &Scope, ids: &[String]) -> Result<BTreeSet<String>, StoreError> {
        Ok(self.with(scope, |tenant| {
            let is_corrected =
                |id: &&String| tenant.entries.get(*id).is_some_and(|entry| entry.correction.is_some());
            ids.iter().filter(is_corrected).cloned().collect()
        }))
    }

    async fn entry(&self, scope: &Scope, id: &str) -> Result<Option<Entry>, StoreError> {
        Ok(self.with(scope, |tenant| tenant.entries.get(id).cloned()))
    }

    async fn history(
        &self,
        scope: &Scope,
        segment: &Segment,
        after: Option<&(Timestamp, String)>,
        page: &PageRequest,
    ) -> Result<Vec<Entry>, StoreError> {
        let most = usize::try_from(page.size()).unwrap_or(usize::MAX);
        Ok(self.with(scope, |tenant| {
            let Some(members) = tenant.members.get(segment) else { return Vec::new() };
            let newest_first: Box<dyn Iterator<Item = &(Timestamp, String)>> = match after {
                Some(after) => Box::new(members.range(..after.clone()).rev()),
                None => Box::new(members.iter().rev()),
            };
            newest_first.take(most).filter_map(|(_, id)| tenant.entries.get(id).cloned()).collect()
        }))
    }

    async fn trend(&self, scope: &Scope, segment: &Segment) -> Result<Option<Trend>, StoreError> {
        Ok(self.with(scope, |tenant| tenant.trends.get(segment).cloned()))
    }

    async fn segments(
        &self,
        scope: &Scope,
        after: Option<&Segment>,
        limit: u32,
    ) -> Result<Vec<Segment>, StoreError> {
        Ok(self.with(scope, |tenant| {
            // By their texts, as databases order them.
            let mut all: Vec<(String, Segment)> =
                tenant.trends.keys().map(|segment| (segment.to_string(), segment.clone())).collect();
            all.sort();
            let after = after.map(Segment::to_string);
            let behind = all.into_iter().filter(|(text, _)| after.as_ref().is_none_or(|after| text > after));
            behind.map(|(_, segment)| segment).take(usize::try_from(limit).unwrap_or(usize::MAX)).collect()
        }))
    }

    async fn forget(
        &self,
        scope: &Scope,
        segment: &Segment,
        limit: u32,
        policy: &TrendPolicy,
    ) -> Result<u32, StoreError> {
        Ok(self.with(scope, |tenant| {
            let most = usize::try_from(limit).unwrap_or(usize::MAX);
            let members = tenant.members.get(segment);
            let ids: Vec<String> =
                members.into_iter().flatten().take(most).map(|(_, id)| id.clone()).collect();
            let forgotten = ids.iter().filter(|id| tenant.take_out(id, policy)).count();
            u32::try_from(forgotten).unwrap_or(u32::MAX)
        }))
    }

    async fn forget_message(
        &self,
        scope: &Scope,
        id: &str,
        policy: &TrendPolicy,
    ) -> Result<bool, StoreError> {
        Ok(self.with(scope, |tenant| tenant.take_out(id, policy)))
    }

    async fn forget_tenant(&self, scope: &Scope) -> Result<(), StoreError> {
        self.tenants.lock().remove(scope.tenant());
        Ok(())
    }

    async fn untold(&self, scope: &Scope, after: Option<Uuid>, limit: u32) -> Result<Vec<Told>, StoreError> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.with(scope, |tenant| {
            let behind = |told: &&Told| after.is_none_or(|after| told.event > after);
            let mut all: Vec<&Told> = tenant.untold.iter().filter(behind).collect();
            all.sort_by_key(|told| told.event);
            all.into_iter().take(most).cloned().collect()
        }))
    }

    async fn told(&self, scope: &Scope, event: Uuid) -> Result<(), StoreError> {
        self.with(scope, |tenant| tenant.untold.retain(|told| told.event != event));
        Ok(())
    }

    async fn adaptation(&self, scope: &Scope) -> Result<Option<AdaptationState>, StoreError> {
        Ok(self.with(scope, |tenant| tenant.adaptation.clone()))
    }

    async fn put_adaptation(
        &self,
        scope: &Scope,
        state: &AdaptationState,
        learned_from: Option<&str>,
    ) -> Result<Option<u64>, StoreError> {
        Ok(self.with(scope, |tenant| {
            let is_corrected =
                |id: &str| tenant.entries.get(id).is_some_and(|entry| entry.correction.is_some());
            if learned_from.is_some_and(|id| !is_corrected(id)) {
                return None;
            }
            let version = match &tenant.adaptation {
                None if state.version == 1 => (self.beginnings.fetch_add(1, Ordering::Relaxed) + 1) << 32,
                Some(kept) if state.version == kept.version + 1 => state.version,
                _ => return None,
            };
            tenant.adaptation = Some(AdaptationState { version, bytes: state.bytes.clone() });
            Some(version)
        }))
    }
}

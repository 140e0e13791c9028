//! The own models of tenants, at hand.

mod fitting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) use fitting::Own;
use guardian_core::{MonoTime, TenantId};

use crate::store::AdaptationState;

/// For how long a process reads on with what it knows a tenant to have taught.
const MAX_AGE: Duration = Duration::from_secs(30);
/// For how long a model stays that nobody reads with.
const MAX_IDLE: Duration = Duration::from_mins(10);
/// Tenants whose models are at hand.
const MAX_TENANTS: usize = 1_000;
/// N-grams that the models at hand have weights of: 36 bytes each, some 150 MB. Ten tenants with all the corrections that are
/// kept, of the longest texts, or hundreds with some hundred corrections.
const MAX_WEIGHT: usize = 1 << 22;

/// The models of tenants.
#[derive(Debug, Default)]
pub(super) struct Owns {
    tenants: BTreeMap<TenantId, Known>,
    changes: u64,
    uses: u64,
}

#[derive(Clone, Debug)]
struct Known {
    own: Option<Arc<Own>>,
    at: MonoTime,
    /// The tenant was forgotten: what was learned before is not put back.
    is_forgotten: bool,
    /// A number for each time that it was put there.
    change: u64,
    /// When it was last read with, and the number of that.
    used: (MonoTime, u64),
}

/// What tells one state of what was learned from another: its version, and the checksum at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    version: u64,
    sum: Option<[u8; 8]>,
}

impl From<&AdaptationState> for Stamp {
    fn from(state: &AdaptationState) -> Self {
        Self { version: state.version, sum: state.bytes.last_chunk().copied() }
    }
}

/// What is known of a tenant.
pub(super) enum Found {
    /// This, which is young enough.
    Young(Option<Arc<Own>>),
    /// Something older, or nothing: the store has to be asked, and the answer is kept if no other came meanwhile.
    Old(Asked),
}

/// What was known when the store was asked.
#[derive(Debug)]
pub(super) struct Asked {
    change: Option<u64>,
    pub(super) own: Option<Arc<Own>>,
}

impl Asked {
    /// What was known, if it is this.
    pub(super) fn same(&self, stamp: Stamp) -> Option<Arc<Own>> {
        self.own.clone().filter(|own| own.stamp() == stamp)
    }
}

impl Owns {
    pub(super) fn find(&mut self, tenant: &TenantId, now: MonoTime) -> Found {
        self.uses += 1;
        let known = self.tenants.get_mut(tenant);
        let known = known.map(|known| {
            known.used = (now, self.uses);
            &*known
        });
        match known {
            Some(known) if now.since(known.at) < MAX_AGE => Found::Young(known.own.clone()),
            known => Found::Old(Asked {
                change: known.map(|known| known.change),
                own: known.and_then(|known| known.own.clone()),
            }),
        }
    }

    /// Keeps what the store said, unless something else was put there since it was asked; gives what is to be read with.
    pub(super) fn answer(
        &mut self,
        tenant: &TenantId,
        asked: &Asked,
        own: Option<Arc<Own>>,
        now: MonoTime,
    ) -> Option<Arc<Own>> {
        match self.tenants.get(tenant) {
            Some(known) if asked.change != Some(known.change) => known.own.clone(),
            _ => {
                self.put(tenant, own.clone(), now);
                own
            }
        }
    }

    /// Which change is at hand, to be told to [`Self::changed`].
    pub(super) fn change_of(&self, tenant: &TenantId) -> Option<u64> {
        self.tenants.get(tenant).map(|known| known.change)
    }

    /// Keeps what was changed, by who asked the store when that change was at hand; unless a later change is there, or the tenant was
    /// forgotten meanwhile.
    pub(super) fn changed(&mut self, tenant: &TenantId, own: Arc<Own>, asked: Option<u64>, now: MonoTime) {
        let is_later = match self.tenants.get(tenant) {
            Some(known) if Some(known.change) == asked => true,
            Some(known) => {
                let version = known.own.as_ref().map_or(0, |own| own.stamp().version);
                !known.is_forgotten && version < own.stamp().version
            }
            None => asked.is_none(),
        };
        if is_later {
            self.put(tenant, Some(own), now);
        }
    }

    /// Keeps that the store has nothing, unless something else was put there since it was asked.
    pub(super) fn nothing(&mut self, tenant: &TenantId, asked: Option<u64>, now: MonoTime) {
        if asked.is_some() && asked == self.change_of(tenant) {
            self.forgotten(tenant, now);
        }
    }

    /// Keeps that there is nothing.
    pub(super) fn forgotten(&mut self, tenant: &TenantId, now: MonoTime) {
        self.put(tenant, None, now);
        if let Some(known) = self.tenants.get_mut(tenant) {
            known.is_forgotten = true;
        }
    }

    fn put(&mut self, tenant: &TenantId, own: Option<Arc<Own>>, now: MonoTime) {
        self.changes += 1;
        self.uses += 1;
        let (change, used) = (self.changes, (now, self.uses));
        let known = Known { own: own.clone(), at: now, is_forgotten: false, change, used };
        let before = self.tenants.insert(tenant.clone(), known).and_then(|known| known.own);
        if let (Some(own), Some(before)) = (own, before) {
            own.follows(&before);
        }
        let mut weight = self.weight();
        if self.tenants.len() <= MAX_TENANTS && weight <= MAX_WEIGHT {
            return;
        }
        self.tenants.retain(|other, known| other == tenant || now.since(known.used.0) < MAX_IDLE);
        weight = self.weight();
        while self.tenants.len() > 1 && (self.tenants.len() > MAX_TENANTS || weight > MAX_WEIGHT) {
            // Whom nobody has read with for the longest time goes; of those that weigh something, if it is the weight.
            let is_heavy = weight > MAX_WEIGHT;
            let others = self
                .tenants
                .iter()
                .filter(|(other, known)| *other != tenant && (!is_heavy || known.weight() > 0));
            let oldest = others.min_by_key(|(_, known)| known.used.1).map(|(other, _)| other.clone());
            let Some(gone) = oldest.and_then(|oldest| self.tenants.remove(&oldest)) else { return };
            weight = weight.saturating_sub(gone.weight());
        }
    }

    fn weight(&self) -> usize {
        self.tenants.values().map(Known::weight).sum()
    }
}

impl Known {
    fn weight(&self) -> usize {
        self.own.as_ref().map_or(0, |own| own.weight())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Adaptation, Ensemble, Polarity};

    fn tenant(at: usize) -> TenantId {
        TenantId::new(format!("t{at}")).unwrap()
    }

    fn own(version: u64) -> Arc<Own> {
        let mut learned = Adaptation::new(&Ensemble::default());
        learned.learn("m", &format!("spinner number{version} again"), Polarity::Negative);
        let state = AdaptationState { version, bytes: learned.to_bytes() };
        Arc::new(Own::new(Stamp::from(&state), learned))
    }

    fn version(owns: &mut Owns, now: MonoTime) -> Option<u64> {
        match owns.find(&tenant(0), now) {
            Found::Young(own) => own.map(|own| own.stamp().version),
            Found::Old(_) => panic!("it is old"),
        }
    }

    fn put(owns: &mut Owns, at: usize, own: Arc<Own>, now: MonoTime) {
        let asked = owns.change_of(&tenant(at));
        owns.changed(&tenant(at), own, asked, now);
    }

    /// Somebody who asked the store before a change, and comes back after it, does not undo it.
    #[test]
    fn a_late_answer_is_not_put_over_a_change() {
        let (mut owns, now) = (Owns::default(), MonoTime::from_nanos(0));
        put(&mut owns, 0, own(1), now);
        let before = owns.change_of(&tenant(0));
        let later = now + MAX_AGE;
        let Found::Old(asked) = owns.find(&tenant(0), later) else { panic!("it is young") };
        put(&mut owns, 0, own(2), later);
        let read = owns.answer(&tenant(0), &asked, Some(own(1)), later);
        assert_eq!(read.map(|own| own.stamp().version), Some(2));
        assert_eq!(version(&mut owns, later), Some(2));
        owns.changed(&tenant(0), own(1), before, later);
        assert_eq!(version(&mut owns, later), Some(2), "an earlier change that comes later");
        let Found::Old(asked) = owns.find(&tenant(0), later + MAX_AGE) else { panic!("it is young") };
        owns.forgotten(&tenant(0), later + MAX_AGE);
        owns.answer(&tenant(0), &asked, Some(own(2)), later + MAX_AGE);
        assert_eq!(version(&mut owns, later + MAX_AGE), None, "the tenant was forgotten");
    }

    /// What was learned before the tenant was forgotten is not put back behind it, and what was learned since is.
    #[test]
    fn what_was_forgotten_is_not_put_back() {
        let (mut owns, now) = (Owns::default(), MonoTime::from_nanos(0));
        put(&mut owns, 0, own(8), now);
        for asked in [None, owns.change_of(&tenant(0))] {
            owns.forgotten(&tenant(0), now);
            owns.changed(&tenant(0), own(9), asked, now);
            assert_eq!(version(&mut owns, now), None, "it was learned before");
        }
        put(&mut owns, 0, own(3), now);
        assert_eq!(version(&mut owns, now), Some(3), "it was learned since");
        // Whatever its version is: that is how another process begins anew.
        put(&mut owns, 0, own(2), now);
        assert_eq!(version(&mut owns, now), Some(2));
        // Who only found nothing has not forgotten.
        let Found::Old(asked) = owns.find(&tenant(1), now) else { panic!("it is known") };
        owns.answer(&tenant(1), &asked, None, now);
        owns.changed(&tenant(1), own(5), None, now);
        let Found::Young(found) = owns.find(&tenant(1), now) else { panic!("it is old") };
        assert_eq!(found.map(|own| own.stamp().version), Some(5));
    }

    /// Who finds that nothing is kept drops what is at hand, but not what was put there meanwhile.
    #[test]
    fn what_the_store_has_no_more_is_not_read_with() {
        let (mut owns, now) = (Owns::default(), MonoTime::from_nanos(0));
        owns.nothing(&tenant(0), owns.change_of(&tenant(0)), now);
        assert!(owns.tenants.is_empty());
        put(&mut owns, 0, own(1), now);
        let before = owns.change_of(&tenant(0));
        put(&mut owns, 0, own(2), now);
        owns.nothing(&tenant(0), before, now);
        assert_eq!(version(&mut owns, now), Some(2));
        owns.nothing(&tenant(0), owns.change_of(&tenant(0)), now);
        assert_eq!(version(&mut owns, now), None);
        owns.changed(&tenant(0), own(3), before, now);
        assert_eq!(version(&mut owns, now), None, "it was learned before");
    }

    /// What did not change is not asked for again.
    #[test]
    fn what_is_the_same_is_kept() {
        let own = own(1);
        let asked = Asked { change: None, own: Some(Arc::clone(&own)) };
        assert!(asked.same(own.stamp()).is_some_and(|same| Arc::ptr_eq(&same, &own)));
        assert!(asked.same(Stamp { version: 1, sum: None }).is_none());
    }

    #[test]
    fn what_is_at_hand_is_bounded_by_its_size() {
        let (mut owns, now) = (Owns::default(), MonoTime::from_nanos(0));
        for at in 0..10 {
            put(&mut owns, at, Arc::new(Own::weighing(MAX_WEIGHT / 4)), now);
        }
        assert_eq!(owns.tenants.len(), 4);
        assert!(owns.tenants.contains_key(&tenant(9)) && !owns.tenants.contains_key(&tenant(0)));
        for at in 0..=MAX_TENANTS {
            owns.forgotten(&tenant(at), now);
        }
        assert_eq!(owns.tenants.len(), MAX_TENANTS);
    }

    /// Reads with a model at hand, or fetches it; whether it was at hand.
    fn reads(owns: &mut Owns, at: usize, weight: usize, now: MonoTime) -> bool {
        match owns.find(&tenant(at), now) {
            Found::Young(_) => true,
            Found::Old(asked) => {
                let is_same = asked.own.is_some();
                let own = asked.own.clone().unwrap_or_else(|| Arc::new(Own::weighing(weight)));
                owns.answer(&tenant(at), &asked, Some(own), now);
                is_same
            }
        }
    }

    /// Busy tenants keep their models at hand while many others come by, however long it is since they last taught something.
    #[test]
    fn who_reads_often_has_the_model_at_hand() {
        let (mut owns, mut now) = (Owns::default(), MonoTime::from_nanos(0));
        let (busy, others, weight) = (6, 60, MAX_WEIGHT / 10);
        let (mut hits, mut reads_of_busy) = (0, 0);
        for turn in 0..3_000 {
            now = now + Duration::from_millis(700);
            for at in 0..busy {
                reads_of_busy += 1;
                hits += u32::from(reads(&mut owns, at, weight, now));
            }
            if turn % 2 == 0 {
                reads(&mut owns, busy + turn % others, weight, now);
            }
        }
        assert_eq!(reads_of_busy - hits, 6, "each is computed once");
        // And where all that read fit, nobody is computed twice, whatever else is known.
        let mut owns = Owns::default();
        for at in 100..900 {
            owns.forgotten(&tenant(at), now);
        }
        let misses = (0..2_000).filter(|turn| !reads(&mut owns, turn % 10, weight, now)).count();
        assert_eq!(misses, 10);
    }
}

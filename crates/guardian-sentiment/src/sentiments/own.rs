//! The own models of tenants, at hand.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use guardian_core::{MonoTime, TenantId};
use parking_lot::Mutex;

use crate::store::AdaptationState;
use crate::{Adaptation, Adapted};

/// For how long a process reads on with what it knows a tenant to have taught.
const MAX_AGE: Duration = Duration::from_secs(30);
/// For how long a model stays that nobody reads with.
const MAX_IDLE: Duration = Duration::from_mins(10);
/// Tenants whose models are at hand.
const MAX_TENANTS: usize = 1_000;
/// N-grams that the models at hand were learned from: some 150 bytes each.
const MAX_WEIGHT: usize = 1 << 20;

/// The models of tenants.
#[derive(Debug, Default)]
pub(super) struct Owns {
    tenants: BTreeMap<TenantId, Known>,
    changes: u64,
}

#[derive(Clone, Debug)]
struct Known {
    own: Option<Arc<Own>>,
    at: MonoTime,
    /// The tenant was forgotten: what was learned before is not put back.
    is_forgotten: bool,
    /// A number for each time that it was put there.
    change: u64,
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

/// What a tenant taught, whose model is computed once, when somebody reads with it.
#[derive(Debug)]
pub(super) struct Own {
    stamp: Stamp,
    weight: usize,
    learned: Mutex<Option<Adaptation>>,
    model: OnceLock<Adapted>,
    #[cfg(test)]
    pub(super) fits: std::sync::atomic::AtomicU32,
}

impl Own {
    pub(super) fn new(stamp: Stamp, learned: Adaptation) -> Self {
        Self {
            stamp,
            weight: learned.weight(),
            learned: Mutex::new(Some(learned)),
            model: OnceLock::new(),
            #[cfg(test)]
            fits: std::sync::atomic::AtomicU32::new(0),
        }
    }

    /// The model. Of several who ask at once, one computes it and the others wait for it. `None` never comes.
    pub(super) fn model(&self) -> Option<Adapted> {
        if let Some(model) = self.model.get() {
            return Some(model.clone());
        }
        let mut learned = self.learned.lock();
        if let Some(adaptation) = learned.take() {
            #[cfg(test)]
            self.fits.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            return Some(self.model.get_or_init(|| adaptation.model()).clone());
        }
        self.model.get().cloned()
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
        self.own.clone().filter(|own| own.stamp == stamp)
    }
}

impl Owns {
    pub(super) fn find(&self, tenant: &TenantId, now: MonoTime) -> Found {
        match self.tenants.get(tenant) {
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
                let version = known.own.as_ref().map_or(0, |own| own.stamp.version);
                !known.is_forgotten && version < own.stamp.version
            }
            None => asked.is_none(),
        };
        if is_later {
            self.put(tenant, Some(own), now);
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
        self.tenants
            .insert(tenant.clone(), Known { own, at: now, is_forgotten: false, change: self.changes });
        if self.tenants.len() <= MAX_TENANTS && self.weight() <= MAX_WEIGHT {
            return;
        }
        self.tenants.retain(|other, known| other == tenant || now.since(known.at) < MAX_IDLE);
        while self.tenants.len() > 1 && (self.tenants.len() > MAX_TENANTS || self.weight() > MAX_WEIGHT) {
            let others = self.tenants.iter().filter(|(other, _)| *other != tenant);
            let Some(oldest) = others.min_by_key(|(_, known)| known.change).map(|(other, _)| other.clone())
            else {
                return;
            };
            self.tenants.remove(&oldest);
        }
    }

    fn weight(&self) -> usize {
        self.tenants.values().filter_map(|known| known.own.as_ref()).map(|own| own.weight).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ensemble, Polarity};

    fn tenant(at: usize) -> TenantId {
        TenantId::new(format!("t{at}")).unwrap()
    }

    fn own(version: u64) -> Arc<Own> {
        let mut learned = Adaptation::new(&Ensemble::default());
        learned.learn("m", &format!("spinner number{version} again"), Polarity::Negative);
        let state = AdaptationState { version, bytes: learned.to_bytes() };
        Arc::new(Own::new(Stamp::from(&state), learned))
    }

    fn version(owns: &Owns, now: MonoTime) -> Option<u64> {
        match owns.find(&tenant(0), now) {
            Found::Young(own) => own.map(|own| own.stamp.version),
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
        assert_eq!(read.map(|own| own.stamp.version), Some(2));
        assert_eq!(version(&owns, later), Some(2));
        owns.changed(&tenant(0), own(1), before, later);
        assert_eq!(version(&owns, later), Some(2), "an earlier change that comes later");
        let Found::Old(asked) = owns.find(&tenant(0), later + MAX_AGE) else { panic!("it is young") };
        owns.forgotten(&tenant(0), later + MAX_AGE);
        owns.answer(&tenant(0), &asked, Some(own(2)), later + MAX_AGE);
        assert_eq!(version(&owns, later + MAX_AGE), None, "the tenant was forgotten");
    }

    /// What was learned before the tenant was forgotten is not put back behind it, and what was learned since is.
    #[test]
    fn what_was_forgotten_is_not_put_back() {
        let (mut owns, now) = (Owns::default(), MonoTime::from_nanos(0));
        put(&mut owns, 0, own(8), now);
        for asked in [None, owns.change_of(&tenant(0))] {
            owns.forgotten(&tenant(0), now);
            owns.changed(&tenant(0), own(9), asked, now);
            assert_eq!(version(&owns, now), None, "it was learned before");
        }
        put(&mut owns, 0, own(3), now);
        assert_eq!(version(&owns, now), Some(3), "it was learned since");
        // Whatever its version is: that is how another process begins anew.
        put(&mut owns, 0, own(2), now);
        assert_eq!(version(&owns, now), Some(2));
        // Who only found nothing has not forgotten.
        let Found::Old(asked) = owns.find(&tenant(1), now) else { panic!("it is known") };
        owns.answer(&tenant(1), &asked, None, now);
        owns.changed(&tenant(1), own(5), None, now);
        let Found::Young(found) = owns.find(&tenant(1), now) else { panic!("it is old") };
        assert_eq!(found.map(|own| own.stamp.version), Some(5));
    }

    /// What did not change is not computed again.
    #[test]
    fn one_model_is_computed_once() {
        let own = own(1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(own.model().is_some()));
            }
        });
        assert_eq!(own.fits.load(std::sync::atomic::Ordering::Relaxed), 1);
        let asked = Asked { change: None, own: Some(Arc::clone(&own)) };
        assert!(asked.same(own.stamp).is_some_and(|same| Arc::ptr_eq(&same, &own)));
        assert!(asked.same(Stamp { version: 1, sum: None }).is_none());
    }

    #[test]
    fn what_is_at_hand_is_bounded_by_its_size() {
        let (mut owns, now) = (Owns::default(), MonoTime::from_nanos(0));
        for at in 0..10 {
            let mut own = Arc::into_inner(own(1)).unwrap();
            own.weight = MAX_WEIGHT / 4;
            put(&mut owns, at, Arc::new(own), now);
        }
        assert_eq!(owns.tenants.len(), 4);
        assert!(owns.tenants.contains_key(&tenant(9)) && !owns.tenants.contains_key(&tenant(0)));
        for at in 0..=MAX_TENANTS {
            owns.forgotten(&tenant(at), now);
        }
        assert_eq!(owns.tenants.len(), MAX_TENANTS);
    }
}

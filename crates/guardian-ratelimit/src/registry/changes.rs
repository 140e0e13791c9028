//! What was changed about a policy while it runs.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use foldhash::HashMap;
use guardian_core::TenantId;

use super::Target;
use crate::grid::low_word;
use crate::store::OwnedSubject;
use crate::{Error, Mode, Policy, Realm, Rule, Subject};

/// Rules and a mode that hold instead of the defined ones.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    rule: Option<Arc<Rule>>,
    mode: Option<Mode>,
    shared: RealmChanges,
    tenants: HashMap<TenantId, RealmChanges>,
}

#[derive(Debug, Default)]
struct RealmChanges {
    /// For every subject without a rule of its own.
    rule: Option<Arc<Rule>>,
    ids: HashMap<u64, Arc<Rule>>,
    texts: HashMap<Box<str>, Arc<Rule>>,
    whole: Option<Arc<Rule>>,
}

/// For whom something was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// For nobody, as is the case for almost every policy.
    Nothing = 0,
    /// For some tenants, and nobody else.
    SomeTenants = 1,
    /// For everyone, or for some in the shared realm.
    Anything = 2,
}

/// A note of what was changed, to be read without a lock: most checks learn here that nothing was for them.
#[derive(Debug, Default)]
pub(super) struct Note {
    extent: AtomicU8,
    tenants: OnceLock<Box<[AtomicU64; Note::WORDS]>>,
}

impl Note {
    /// With a hundred tenants that have rules of their own, one in forty others is taken for one of them, and the
    /// changes are looked up for nothing.
    const WORDS: usize = 64;

    /// Whether something may hold for the realm that is not as it was defined.
    #[inline(always)]
    pub(super) fn may_concern(&self, realm: Realm<'_>) -> bool {
        let extent = self.extent.load(Ordering::Acquire);
        extent != Extent::Nothing as u8 && (extent == Extent::Anything as u8 || self.may_name(realm))
    }

    #[inline(never)]
    fn may_name(&self, realm: Realm<'_>) -> bool {
        let (Realm::Tenant(tenant), Some(words)) = (realm, self.tenants.get()) else { return false };
        let (word, bit) = Self::place(tenant);
        words.get(word).is_none_or(|word| word.load(Ordering::Relaxed) & bit != 0)
    }

    fn place(tenant: &TenantId) -> (usize, u64) {
        let digest = low_word(tenant.digest());
        let word = (digest >> 6) as usize % Self::WORDS;
        (word, 1 << (digest % 64))
    }

    /// Notes the changes. The caller holds their lock, so that two notes do not cross.
    pub(super) fn take(&self, changes: &Changes) -> Extent {
        let extent = changes.extent();
        if !changes.tenants.is_empty() || self.tenants.get().is_some() {
            let mut fresh = [0; Self::WORDS];
            for (word, bit) in changes.tenants.keys().map(Self::place) {
                if let Some(word) = fresh.get_mut(word) {
                    *word |= bit;
                }
            }
            let words = self.tenants.get_or_init(|| Box::new([const { AtomicU64::new(0) }; Self::WORDS]));
            // A tenant that was noted and still is has its bit at every moment.
            for (word, fresh) in words.iter().zip(fresh) {
                word.store(fresh, Ordering::Relaxed);
            }
        }
        self.extent.store(extent as u8, Ordering::Release);
        extent
    }
}

impl Changes {
    fn extent(&self) -> Extent {
        if self.rule.is_some() || self.mode.is_some() || !self.shared.is_empty() {
            Extent::Anything
        } else if self.tenants.is_empty() {
            Extent::Nothing
        } else {
            Extent::SomeTenants
        }
    }

    /// The changed rule that holds for a subject, if any: its own, its realm's, everyone's.
    pub(super) fn rule_for(&self, realm: Realm<'_>, subject: Subject<'_>) -> Option<&Arc<Rule>> {
        let in_realm = match realm {
            Realm::Tenant(tenant) => self.tenants.get(tenant),
            Realm::Shared => Some(&self.shared),
        };
        let in_realm = in_realm.and_then(|realm| realm.rule_for(subject).or(realm.rule.as_ref()));
        in_realm.or(self.rule.as_ref())
    }

    pub(super) fn mode(&self) -> Option<Mode> {
        self.mode
    }

    /// Sets or removes the rule for a target.
    pub(crate) fn set_rule(
        &mut self,
        policy: &Policy,
        target: Target<'_>,
        rule: Option<Rule>,
    ) -> Result<(), Error> {
        if let Some(rule) = &rule
            && !rule.same_algorithm(policy.rule())
        {
            let (old, new) = (policy.rule().to_string(), rule.to_string());
            return Err(Error::AlgorithmChange { policy: policy.name().clone(), old, new });
        }
        let rule = rule.map(Arc::new);
        match target {
            Target::Everyone => self.rule = rule,
            Target::Realm(realm) => self.change_realm(realm, |changes| changes.rule = rule),
            Target::Subject(realm, subject) => {
                self.change_realm(realm, |changes| changes.set_rule(subject, rule));
            }
        }
        Ok(())
    }

    pub(crate) fn set_mode(&mut self, policy: &Policy, mode: Mode) {
        self.mode = (mode != policy.mode()).then_some(mode);
    }

    fn change_realm(&mut self, realm: Realm<'_>, change: impl FnOnce(&mut RealmChanges)) {
        let Realm::Tenant(tenant) = realm else { return change(&mut self.shared) };
        let changes = self.tenants.entry(tenant.clone()).or_default();
        change(changes);
        if changes.is_empty() {
            self.tenants.remove(tenant);
        }
    }
}

impl RealmChanges {
    fn rule_for(&self, subject: Subject<'_>) -> Option<&Arc<Rule>> {
        match subject {
            Subject::Whole => self.whole.as_ref(),
            Subject::Id(id) => self.ids.get(&id),
            Subject::Text(text) => self.texts.get(text),
        }
    }

    fn set_rule(&mut self, subject: Subject<'_>, rule: Option<Arc<Rule>>) {
        match (OwnedSubject::from(subject), rule) {
            (OwnedSubject::Whole, rule) => self.whole = rule,
            (OwnedSubject::Id(id), Some(rule)) => drop(self.ids.insert(id, rule)),
            (OwnedSubject::Id(id), None) => drop(self.ids.remove(&id)),
            (OwnedSubject::Text(text), Some(rule)) => drop(self.texts.insert(text, rule)),
            (OwnedSubject::Text(text), None) => drop(self.texts.remove(&text)),
        }
    }

    fn is_empty(&self) -> bool {
        self.rule.is_none() && self.whole.is_none() && self.ids.is_empty() && self.texts.is_empty()
    }
}

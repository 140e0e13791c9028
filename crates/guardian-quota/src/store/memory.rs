//! Accounts and ledgers in this process's memory.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use foldhash::HashMap;
use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use parking_lot::Mutex;

use super::{AccountState, Book, Executed, QuotaStore};
use crate::account::Account;
use crate::call::{Call, Step};
use crate::entry::Entry;
use crate::subscription::Subscription;
use crate::terms::{MeterTerms, Rungs};
use crate::{Decision, Error, EventKey, FeatureName, Period, Reason, Subject, Usage};

mod line;

use line::{Line, PlainLine};

/// Everything in this process's memory: for tests, demos, and services that can start from nothing.
///
/// The tenants are spread over shards with a lock each, so that a call takes one lock, whatever the number of levels. The
/// ledger grows by 64 bytes a plain call; [`with_max_entries`](Self::with_max_entries) bounds it.
///
/// ```
/// let store = guardian_quota::MemoryStore::new().with_max_entries(100_000);
/// # let _ = store;
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    shards: Box<[Padded]>,
    max_entries: usize,
}

/// On cache lines of its own, so that two threads on neighbouring shards do not slow each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(Mutex<HashMap<u128, Tenant>>);

#[derive(Debug)]
struct Tenant {
    id: TenantId,
    revision: u64,
    subscription: Option<Subscription>,
    /// A plan has few meters.
    ledgers: Vec<(FeatureName, Ledger)>,
}

/// A tenant's meter.
#[derive(Debug, Default)]
struct Ledger {
    /// What was decided by last, and of which epoch it was.
    terms: Option<(u64, Arc<MeterTerms>)>,
    accounts: Vec<Account>,
    /// The place of each subject's account.
    places: HashMap<u128, usize>,
    seq: u64,
    /// How many entries were dropped.
    dropped: u64,
    lines: VecDeque<Line>,
    /// The periods of plain lines, the present one last.
    periods: Vec<Period>,
    keys: HashMap<EventKey, u64>,
    sent: u64,
    fence: i64,
    held: Option<Timestamp>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let shards = (processors * 16).clamp(1, 64).next_power_of_two();
        Self {
            shards: std::iter::repeat_with(Padded::default).take(shards).collect(),
            max_entries: usize::MAX,
        }
    }

    /// The same keeping at most so many entries of each tenant's meter. What is dropped cannot be replayed, relayed or
    /// recognised as a repetition any more; balances stay.
    #[must_use]
    pub fn with_max_entries(mut self, max: usize) -> Self {
        self.max_entries = max.max(1);
        self
    }

    #[inline]
    fn shard(&self, digest: u128) -> Option<&Mutex<HashMap<u128, Tenant>>> {
        let [.., high, low] = digest.to_be_bytes();
        let place = usize::from(u16::from_be_bytes([high, low])) & (self.shards.len() - 1);
        self.shards.get(place).map(|shard| &shard.0)
    }

    fn with<T>(&self, tenant: &TenantId, act: impl FnOnce(&mut Tenant) -> T) -> Result<T, StoreError> {
        let digest = tenant.digest();
        let shard = self.shard(digest).ok_or_else(internal)?;
        let mut tenants = shard.lock();
        let entry = tenants.entry(digest).or_insert_with(|| Tenant {
            id: tenant.clone(),
            revision: 0,
            subscription: None,
            ledgers: Vec::new(),
        });
        Ok(act(entry))
    }

    fn execute_now(&self, call: &Call) -> Result<Executed, Error> {
        let max = self.max_entries;
        self.with(call.scope.tenant(), |tenant| {
            if tenant.revision != call.terms.revision {
                return Ok(Executed::Stale);
            }
            let ledger = tenant.ledger(&call.terms.feature).ok_or_else(internal)?;
            ledger.execute(call, max).map(Executed::Decided)
        })?
    }
}

fn internal() -> StoreError {
    StoreError::new(StoreErrorKind::Internal, "memory")
}

impl Tenant {
    #[inline]
    fn place(&self, feature: &FeatureName) -> Option<usize> {
        self.ledgers.iter().position(|(name, _)| name == feature)
    }

    fn known(&self, feature: &FeatureName) -> Option<&Ledger> {
        self.ledgers.get(self.place(feature)?).map(|(_, ledger)| ledger)
    }

    fn ledger(&mut self, feature: &FeatureName) -> Option<&mut Ledger> {
        let place = self.place(feature).unwrap_or_else(|| {
            self.ledgers.push((feature.clone(), Ledger::default()));
            self.ledgers.len() - 1
        });
        self.ledgers.get_mut(place).map(|(_, ledger)| ledger)
    }
}

impl Ledger {
    fn place(&mut self, digest: u128) -> usize {
        let next = self.accounts.len();
        let place = *self.places.entry(digest).or_insert(next);
        if place == next {
            self.accounts.push(Account::default());
        }
        place
    }

    fn states(&self, call: &Call) -> Vec<Account> {
        let state = |digest| self.places.get(&digest).and_then(|place| self.accounts.get(*place)).cloned();
        call.rungs().iter().map(|rung| state(rung.digest).unwrap_or_default()).collect()
    }

    fn entry(&self, seq: u64) -> Option<Cow<'_, Entry>> {
        let place = seq.checked_sub(self.dropped + 1)?;
        self.lines.get(usize::try_from(place).ok()?)?.entry(seq, &self.periods)
    }

    fn execute(&mut self, call: &Call, max: usize) -> Result<Decision, Error> {
        if self
            .terms
            .as_ref()
            .is_none_or(|(epoch, terms)| *epoch != call.epoch || !Arc::ptr_eq(terms, &call.terms))
        {
            self.terms = Some((call.epoch, Arc::clone(&call.terms)));
        }
        let states = self.states(call);
        let key = call.identity();
        if let Some(entry) = key.as_ref().and_then(|key| self.keys.get(key)).and_then(|seq| self.entry(*seq))
        {
            return call.replayed(&entry, &states);
        }
        match call.run(states, self.seq)? {
            Step::Unchanged(decision) => Ok(decision),
            Step::NoHold => Err(Error::UnknownHold { hold: call.hold().unwrap_or_default() }),
            Step::Done { accounts, entry, decision } => {
                for (rung, account) in call.rungs().iter().zip(accounts) {
                    let place = self.place(rung.digest);
                    if let Some(own) = self.accounts.get_mut(place) {
                        *own = account;
                    }
                }
                if let Some(key) = key {
                    self.keys.insert(key, entry.seq);
                }
                self.seq = entry.seq;
                self.push(Line::Full(entry), max);
                Ok(decision)
            }
        }
    }

    #[inline]
    fn push(&mut self, line: Line, max: usize) {
        self.lines.push_back(line);
        if self.lines.len() > max
            && let Some(old) = self.lines.pop_front()
        {
            self.dropped += 1;
            if let Some(key) = old.key() {
                self.keys.remove(key);
            }
        }
    }

    /// The place of a period among those of the ledger.
    #[inline]
    fn period(&mut self, period: Period) -> Option<u32> {
        // Subjects with limits of their own may take turns.
        let known = self.periods.iter().rev().take(8).position(|each| *each == period);
        if let Some(behind) = known {
            return u32::try_from(self.periods.len() - 1 - behind).ok();
        }
        self.periods.push(period);
        u32::try_from(self.periods.len() - 1).ok()
    }

    /// The common case in a few comparisons: it says and does what [`Call::run`] would.
    #[inline]
    fn consume_plainly(&mut self, rungs: &Rungs<'_>, plain: &Plain<'_>, max: usize) -> Option<Decision> {
        let amount = i128::from(plain.amount);
        let mut now = plain.now.timestamp_micros();
        let mut places = arrayvec::ArrayVec::<usize, 4>::new();
        let mut period = None;
        for rung in rungs {
            let place = *self.places.get(&rung.digest)?;
            let account = self.accounts.get(place)?;
            // Of the others it is the beginning of time.
            now = now.max(account.seen);
            if !account.has_plainly(rung.tag, amount, now) {
                return None;
            }
            // The short form of an entry has one period.
            if *period.get_or_insert(account.period) != account.period {
                return None;
            }
            places.push(place);
        }
        // Nothing can fail from here on.
        let period = self.period(period?)?;
        let (mut levels, mut least, mut binding) = (0, i128::MAX, None);
        for (rung, place) in rungs.iter().zip(places) {
            let account = self.accounts.get_mut(place)?;
            account.take_plainly(amount, now);
            if levels == 0 {
                account.seen = now;
            }
            levels |= 1 << rung.level.index();
            let left = account.limit_now - account.taken;
            let rank = if rung.is_unlimited { i128::MAX } else { left };
            if binding.is_none() || rank < least {
                (least, binding) =
                    (rank, Some((rung, account.used, left, account.limit_now, account.period)));
            }
        }
        let (rung, used, left, limit, bound) = binding?;
        self.seq += 1;
        let seq = self.seq;
        let line = PlainLine {
            subject: plain.subject.clone(),
            actor: plain.scope.actor().clone(),
            at: now,
            amount: plain.amount,
            period,
            levels,
            billed: plain.billed,
        };
        self.push(Line::Plain(line), max);
        Some(Decision {
            allowed: true,
            reason: Reason::Within,
            level: rung.level,
            limit: if rung.is_unlimited { None } else { u64::try_from(limit).ok() },
            used,
            remaining: (!rung.is_unlimited).then_some(left),
            beyond: 0,
            resets_at: bound.end(),
            entry: Some(seq),
            replayed: false,
            hold: None,
        })
    }
}

/// A consumption without anything special.
struct Plain<'a> {
    scope: &'a Scope,
    subject: &'a Subject,
    amount: u64,
    now: Timestamp,
    billed: bool,
}

impl QuotaStore for MemoryStore {
    #[inline]
    fn consume_at_once(&self, scope: &Scope, usage: &Usage, epoch: u64, now: Timestamp) -> Option<Decision> {
        let digest = scope.tenant().digest();
        let mut tenants = self.shard(digest)?.lock();
        let tenant = tenants.get_mut(&digest)?;
        let (_, ledger) = tenant.ledgers.iter_mut().find(|(name, _)| *name == usage.feature)?;
        if ledger.terms.as_ref().is_none_or(|(known, terms)| {
            *known != epoch || terms.revision != tenant.revision || !terms.is_plain
        }) {
            return None;
        }
        // Taken out while it is used, and put back.
        let known = ledger.terms.take()?;
        let decision = {
            let rungs = known.1.rungs(&usage.subject);
            let billed = known.1.meter.billed;
            let plain = Plain { scope, subject: &usage.subject, amount: usage.amount, now, billed };
            ledger.consume_plainly(&rungs, &plain, self.max_entries)
        };
        ledger.terms = Some(known);
        decision
    }

    async fn execute(&self, call: &Call) -> Result<Executed, Error> {
        self.execute_now(call)
    }

    async fn accounts(&self, call: &Call) -> Result<Option<Vec<AccountState>>, StoreError> {
        self.with(call.scope.tenant(), |tenant| {
            if tenant.revision != call.terms.revision {
                return None;
            }
            let states = match tenant.known(&call.terms.feature) {
                Some(ledger) => ledger.states(call),
                None => call.rungs().iter().map(|_| Account::default()).collect(),
            };
            Some(states.into_iter().map(AccountState).collect())
        })
    }

    async fn entries(
        &self,
        scope: &Scope,
        feature: &FeatureName,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.with(scope.tenant(), |tenant| {
            let Some(ledger) = tenant.known(feature) else { return Vec::new() };
            let skip = usize::try_from(after.saturating_sub(ledger.dropped)).unwrap_or(usize::MAX);
            let first = ledger.dropped + 1 + skip as u64;
            let lines = ledger.lines.iter().skip(skip).take(limit as usize).zip(first..);
            lines.filter_map(|(line, seq)| line.entry(seq, &ledger.periods)).map(Cow::into_owned).collect()
        })
    }

    async fn subscription(&self, scope: &Scope) -> Result<Option<Subscription>, StoreError> {
        self.with(scope.tenant(), |tenant| tenant.subscription.clone())
    }

    async fn subscribe(&self, scope: &Scope, subscription: &Subscription) -> Result<bool, StoreError> {
        self.with(scope.tenant(), |tenant| {
            if tenant.revision + 1 != subscription.revision {
                return false;
            }
            tenant.revision = subscription.revision;
            tenant.subscription = Some(subscription.clone());
            true
        })
    }

    async fn unsent(&self, after: Option<&Book>, limit: u32) -> Result<Vec<Book>, StoreError> {
        let after = after.map(|book| (book.tenant.clone(), book.feature.clone()));
        let mut found = BTreeMap::new();
        for shard in &self.shards {
            for tenant in shard.0.lock().values() {
                for (feature, ledger) in tenant.ledgers.iter().filter(|(_, ledger)| ledger.seq > ledger.sent)
                {
                    let key = (tenant.id.clone(), feature.clone());
                    if after.as_ref().is_none_or(|after| *after < key) {
                        found.insert(key, (ledger.seq, ledger.sent));
                    }
                }
            }
        }
        let book = |((tenant, feature), (last, sent))| Book { tenant, feature, last, sent };
        Ok(found.into_iter().map(book).take(limit as usize).collect())
    }

    async fn relayed(&self, scope: &Scope, feature: &FeatureName) -> Result<u64, StoreError> {
        self.with(scope.tenant(), |tenant| tenant.known(feature).map_or(0, |ledger| ledger.sent))
    }

    async fn claim(
        &self,
        tenant: &TenantId,
        feature: &FeatureName,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<(u64, i64)>, StoreError> {
        self.with(tenant, |tenant| {
            let ledger = tenant.ledger(feature)?;
            if ledger.held.is_some_and(|held| held > now) {
                return None;
            }
            ledger.held = Some(until);
            ledger.fence += 1;
            Some((ledger.sent, ledger.fence))
        })
    }

    async fn advance(
        &self,
        tenant: &TenantId,
        feature: &FeatureName,
        fence: i64,
        sent: u64,
    ) -> Result<bool, StoreError> {
        self.with(tenant, |tenant| {
            let Some(ledger) = tenant.ledger(feature) else { return false };
            if ledger.fence != fence || ledger.held.is_none() {
                return false;
            }
            ledger.held = None;
            ledger.sent = ledger.sent.max(sent);
            true
        })
    }
}

//! The calls on one meter of a tenant, in the turns that they take within this process.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use guardian_core::{StoreError, StoreErrorKind};
use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::apply::{Answer, Work};
use super::{Found, Inner, signed};
use crate::account::Account;
use crate::call::{Call, Step};
use crate::entry::Entry;
use crate::store::Executed;
use crate::{Error, EventKey, FeatureName};

/// A tenant and a meter.
pub(super) type Key = (u128, FeatureName);

/// Calls in one statement, at most.
const MAX_BATCH: usize = 64;
/// How often calls are decided again because another process was faster.
const MAX_TRIES: u32 = 200;
/// Accounts that a lane remembers, at most.
const MAX_KNOWN: usize = 4096;
/// Lanes of a shard, at most; those that nobody uses go then.
const MAX_LANES: usize = 4096;

#[derive(Default)]
pub(super) struct Lane {
    waiting: Mutex<Vec<Waiting>>,
    known: Arc<tokio::sync::Mutex<Known>>,
}

struct Waiting {
    call: Call,
    answer: oneshot::Sender<Result<Executed, Error>>,
}

/// The accounts as they were seen last. Every change of one raises the version of the organisation's, so they are all as they
/// are as long as that has this version.
#[derive(Default)]
struct Known {
    /// `None` when nothing is known.
    version: Option<u64>,
    accounts: HashMap<u128, Account>,
}

/// Decides a call, alone or with others.
pub(super) async fn execute(inner: &Arc<Inner>, call: &Call) -> Result<Executed, Error> {
    let lane = inner.lane(call);
    let (sender, mut receiver) = oneshot::channel();
    lane.waiting.lock().push(Waiting { call: call.clone(), answer: sender });
    loop {
        let turn = tokio::select! {
            biased;
            answer = &mut receiver => return answer.unwrap_or_else(|_| Err(abandoned(inner))),
            turn = Arc::clone(&lane.known).lock_owned() => turn,
        };
        // Whoever had the turn before may have taken this call along.
        match receiver.try_recv() {
            Ok(answer) => return answer,
            Err(oneshot::error::TryRecvError::Closed) => return Err(abandoned(inner)),
            Err(oneshot::error::TryRecvError::Empty) => {}
        }
        let batch: Vec<Waiting> = {
            let mut waiting = lane.waiting.lock();
            // Whose caller went away is not decided any more.
            waiting.retain(|each| !each.answer.is_closed());
            let count = waiting.len().min(MAX_BATCH);
            waiting.drain(..count).collect()
        };
        match batch.len() {
            0 => drop(turn),
            1 => run(inner, turn, batch).await,
            // Others depend on it, so it goes on when this caller goes away.
            _ => drop(tokio::spawn({
                let inner = Arc::clone(inner);
                async move { run(&inner, turn, batch).await }
            })),
        }
        // This call may have been too far behind for the batch: then it waits for the next turn.
    }
}

fn abandoned(inner: &Inner) -> Error {
    StoreError::new(StoreErrorKind::Unavailable, inner.backend()).into()
}

impl Inner {
    fn lane(&self, call: &Call) -> Arc<Lane> {
        let digest = call.scope.tenant().digest();
        let key = (digest, call.terms.feature.clone());
        let [first, ..] = digest.to_be_bytes();
        let place = usize::from(first) % self.lanes.len().max(1);
        let Some(shard) = self.lanes.get(place) else { return Arc::default() };
        let mut shard = shard.lock();
        if let Some(lane) = shard.get(&key) {
            return Arc::clone(lane);
        }
        if shard.len() >= MAX_LANES {
            shard.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        let lane = Arc::<Lane>::default();
        shard.insert(key, Arc::clone(&lane));
        lane
    }
}

async fn run(inner: &Arc<Inner>, mut turn: OwnedMutexGuard<Known>, batch: Vec<Waiting>) {
    // While it is on its way nothing is known: a future that is dropped leaves it so.
    let mut known = std::mem::take(&mut *turn);
    let (calls, senders): (Vec<_>, Vec<_>) = batch.into_iter().map(|each| (each.call, each.answer)).unzip();
    let mut decided: Vec<Option<Result<Executed, Error>>> = calls.iter().map(|_| None).collect();
    let failed = decide(inner, &mut known, &calls, &mut decided).await.err();
    if failed.is_none() {
        *turn = known;
    }
    let mut failure = failed;
    for (sender, answer) in senders.into_iter().zip(decided) {
        let answer = answer.unwrap_or_else(|| {
            // The cause belongs to the first; the others get its kind.
            let kind = failure.as_ref().map_or(StoreErrorKind::Internal, StoreError::kind);
            Err(failure.take().unwrap_or_else(|| StoreError::new(kind, inner.backend())).into())
        });
        let _ = sender.send(answer);
    }
    drop(turn);
}

/// Decides all calls, in their order, and keeps what they change.
async fn decide(
    inner: &Inner,
    known: &mut Known,
    calls: &[Call],
    decided: &mut [Option<Result<Executed, Error>>],
) -> Result<(), StoreError> {
    let Some(first) = calls.first() else { return Ok(()) };
    // Of two revisions the lower one is old.
    let revision = calls.iter().map(|call| call.terms.revision).max().unwrap_or(0);
    for (call, answer) in calls.iter().zip(decided.iter_mut()) {
        if call.terms.revision < revision {
            *answer = Some(Ok(Executed::Stale));
        }
    }
    let mut entries: HashMap<EventKey, Entry> = HashMap::new();
    for _ in 0..MAX_TRIES {
        let mut draft = Draft::new(revision, known, &entries);
        for (index, call) in calls.iter().enumerate() {
            if decided.get(index).is_some_and(Option::is_none) {
                draft.add(index, call);
            }
        }
        let work = draft.work(inner)?;
        match inner.apply(&first.scope, &first.terms.feature, &work).await? {
            Answer::Kept => {
                let Draft { answers, accounts, seq, .. } = draft;
                for (index, answer) in answers {
                    if let Some(place) = decided.get_mut(index) {
                        *place = Some(answer);
                    }
                }
                known.version = Some(seq);
                known.accounts.extend(accounts);
                if known.accounts.len() > MAX_KNOWN {
                    *known = Known::default();
                }
                return Ok(());
            }
            Answer::Stale => {
                for answer in decided.iter_mut().filter(|answer| answer.is_none()) {
                    *answer = Some(Ok(Executed::Stale));
                }
                *known = Known::default();
                return Ok(());
            }
            Answer::Entries(found) => {
                entries.extend(found.into_iter().filter_map(|entry| Some((entry.key().cloned()?, entry))));
            }
            Answer::Accounts(found) => known.learn(&work, found),
        }
    }
    Err(StoreError::new(StoreErrorKind::Conflict, inner.backend()))
}

impl Known {
    /// Takes the accounts as they are; what else was known is of a version that is past, unless it is the same.
    fn learn(&mut self, work: &Work, mut found: Found) {
        let version = found.get("").map_or(0, |(version, _)| *version);
        if self.version != Some(version) {
            self.accounts.clear();
        }
        self.version = Some(version);
        for (path, digest) in &work.subjects {
            let account = found.remove(path).map(|(_, account)| account).unwrap_or_default();
            self.accounts.insert(*digest, account);
        }
    }
}

/// What calls come to on what is known.
struct Draft<'a> {
    known: &'a Known,
    entries: &'a HashMap<EventKey, Entry>,
    work: Work,
    /// Everything that calls rest on is known.
    is_complete: bool,
    accounts: HashMap<u128, Account>,
    written: Vec<(String, u128)>,
    own: HashMap<EventKey, Entry>,
    lines: Vec<Entry>,
    seq: u64,
    answers: Vec<(usize, Result<Executed, Error>)>,
}

impl<'a> Draft<'a> {
    fn new(revision: u64, known: &'a Known, entries: &'a HashMap<EventKey, Entry>) -> Self {
        Self {
            known,
            entries,
            work: Work::looking(revision),
            is_complete: known.version.is_some(),
            accounts: HashMap::new(),
            written: Vec::new(),
            own: HashMap::new(),
            lines: Vec::new(),
            seq: known.version.unwrap_or(0),
            answers: Vec::new(),
        }
    }

    fn add(&mut self, index: usize, call: &Call) {
        let rungs = call.rungs();
        let mut states = Vec::with_capacity(rungs.len());
        for rung in &rungs {
            let path =
                call.subject.at(rung.level).map(|subject| subject.path().to_owned()).unwrap_or_default();
            self.work.subjects.insert(path, rung.digest);
            match self.accounts.get(&rung.digest).or_else(|| self.known.accounts.get(&rung.digest)) {
                Some(account) => states.push(account.clone()),
                None => self.is_complete = false,
            }
        }
        let key = call.identity();
        if let Some(key) = &key {
            if let Some(entry) = self.entries.get(key).or_else(|| self.own.get(key)) {
                if self.is_complete {
                    self.answers.push((index, call.replayed(entry, &states).map(Executed::Decided)));
                }
                return;
            }
            self.work.keys.push(key.clone());
        }
        if !self.is_complete {
            return;
        }
        let answer = match call.run(states, self.seq) {
            Err(error) => Err(error),
            Ok(Step::Unchanged(decision)) => Ok(Executed::Decided(decision)),
            Ok(Step::NoHold) => Err(Error::UnknownHold { hold: call.hold().unwrap_or_default() }),
            Ok(Step::Done { accounts, entry, decision }) => {
                for (rung, account) in rungs.iter().zip(accounts) {
                    let path = call
                        .subject
                        .at(rung.level)
                        .map(|subject| subject.path().to_owned())
                        .unwrap_or_default();
                    if self.written.iter().all(|(_, digest)| *digest != rung.digest) {
                        self.written.push((path, rung.digest));
                    }
                    self.accounts.insert(rung.digest, account);
                }
                self.seq = entry.seq;
                if let Some(key) = key {
                    self.own.insert(key, (*entry).clone());
                }
                self.lines.push(*entry);
                Ok(Executed::Decided(decision))
            }
        };
        self.answers.push((index, answer));
    }

    /// What is to be kept. Where something is missing nothing is, and the answer tells how the accounts are.
    fn work(&mut self, inner: &Inner) -> Result<Work, StoreError> {
        let mut work = std::mem::replace(&mut self.work, Work::looking(0));
        if !self.is_complete {
            return Ok(work);
        }
        work.expected = signed(self.known.version.unwrap_or(0));
        work.seq = self.seq;
        for (path, digest) in &self.written {
            let Some(account) = self.accounts.get(digest) else { continue };
            let state = inner.write(account)?;
            if path.is_empty() {
                work.root = Some(state);
            } else {
                work.accounts.push((path.clone(), state));
            }
        }
        for entry in &self.lines {
            work.entries.push((entry.seq, entry.key().cloned(), inner.write(entry)?));
        }
        Ok(work)
    }
}

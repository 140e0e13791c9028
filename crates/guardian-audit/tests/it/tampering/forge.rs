//! Logs with checkpoints, and hands that change them.

use chrono::TimeDelta;
use guardian_audit::canonical;
use guardian_audit::checkpoint::{
    Checkpoint, CheckpointPolicy, Ed25519Signer, KeyRing, MasterKey, Notary, Seal, SealKind, SealState,
    SealedCheckpoint, Signer,
};
use guardian_audit::merkle::{Frontier, Hash, leaf_hash};
use guardian_audit::verify::{Leaf, Report, Verifier};
use guardian_core::{Clock, ManualClock, TenantId, Timestamp};

/// Numbers without a pattern, the same each time (`SplitMix64`).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound as u64)).unwrap()
    }
}

pub(super) struct Keys {
    signer: Ed25519Signer,
    stranger: Ed25519Signer,
    master: MasterKey,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self {
            signer: Ed25519Signer::from_seed("audit.example.com/1", &[1; 32]).unwrap(),
            // The same name, another key.
            stranger: Ed25519Signer::from_seed("audit.example.com/1", &[2; 32]).unwrap(),
            master: MasterKey::new("audit.example.com/mac", &[3; 32]).unwrap(),
        }
    }

    pub(super) fn public_ring(&self) -> KeyRing {
        KeyRing::new().accept(self.signer.verifying_key().clone())
    }

    fn ring(&self) -> KeyRing {
        self.public_ring().accept_evolving(self.master.clone())
    }
}

#[derive(Clone)]
pub(super) struct Event {
    sequence: u64,
    pub(super) hash: Option<Hash>,
    pub(super) record: Option<Vec<u8>>,
}

impl Event {
    fn generate(tenant: &TenantId, sequence: u64, time: Timestamp, random: &mut Random) -> Self {
        let mut record = canonical::heading(tenant, sequence, time);
        record.extend((0..8 + random.below(40)).map(|_| u8::try_from(random.below(256)).unwrap()));
        Self { sequence, hash: Some(leaf_hash(&record)), record: Some(record) }
    }

    fn rehash(&mut self) {
        self.hash = self.record.as_deref().map(leaf_hash);
    }
}

fn start() -> Timestamp {
    ManualClock::new().now()
}

pub(super) struct Log {
    tenant: TenantId,
    events: Vec<Event>,
    chain: Vec<SealedCheckpoint>,
}

impl Log {
    /// A log of 8 to 90 events, three quarters of them under two to five checkpoints, the last of which is signed.
    pub(super) fn generate(random: &mut Random, keys: &Keys) -> Self {
        let tenant = TenantId::new("acme").unwrap();
        let count = 8 + random.below(83);
        let events: Vec<Event> =
            (0..count as u64).map(|n| Event::generate(&tenant, n, start(), random)).collect();
        let sealed = count * 3 / 4;
        let mut sizes: Vec<usize> = (0..1 + random.below(4)).map(|_| 1 + random.below(sealed)).collect();
        sizes.push(sealed);
        sizes.sort_unstable();
        let mut log = Self { tenant, events, chain: Vec::new() };
        let mut state = SealState::new(log.tenant.clone()).with_evolving(keys.master.begin(&log.tenant));
        for (place, size) in sizes.iter().enumerate() {
            let kind = match place + 1 == sizes.len() || random.below(5) == 0 {
                true => SealKind::Signature,
                false => SealKind::Evolving,
            };
            let time = start() + TimeDelta::seconds(i64::try_from(random.below(5)).unwrap());
            log.chain.push(seal(&log.events[..*size], keys, &mut state, kind, time));
        }
        // Something that an auditor without the evolving key cannot judge.
        if log.chain.len() == 2 {
            let tail = seal(&log.events[..=sealed], keys, &mut state, SealKind::Evolving, start());
            log.chain.push(tail);
        }
        log
    }

    pub(super) fn sealed_size(&self) -> u64 {
        self.chain.last().unwrap().checkpoint().size()
    }

    /// The log in the hands of somebody who will change it. Some bodies were dropped by retention.
    pub(super) fn forge(&self, random: &mut Random) -> Forged {
        let mut events = self.events.clone();
        for event in &mut events {
            if random.below(6) == 0 {
                event.record = None;
            }
        }
        // Something is left to edit.
        events[0] = self.events[0].clone();
        let anchors = match random.below(2) {
            0 => Vec::new(),
            _ => vec![self.chain[random.below(self.chain.len())].clone()],
        };
        let tenant = self.tenant.clone();
        Forged { tenant, events, chain: self.chain.clone(), anchors, receipts: Vec::new() }
    }
}

fn seal(
    events: &[Event],
    keys: &Keys,
    state: &mut SealState,
    kind: SealKind,
    time: Timestamp,
) -> SealedCheckpoint {
    let mut frontier = Frontier::new();
    events.iter().for_each(|event| frontier.append(event.hash.unwrap()));
    let signer = Ed25519Signer::from_seed("audit.example.com/1", &[1; 32]).unwrap();
    assert_eq!(signer.verifying_key(), keys.signer.verifying_key());
    let notary = Notary::new(signer, CheckpointPolicy::default());
    notary.seal(state, kind, frontier.size(), frontier.root(), time).unwrap()
}

pub(super) struct Forged {
    tenant: TenantId,
    pub(super) events: Vec<Event>,
    pub(super) chain: Vec<SealedCheckpoint>,
    anchors: Vec<SealedCheckpoint>,
    receipts: Vec<(u64, Hash)>,
}

impl Forged {
    pub(super) fn verify(&self, keys: &Keys) -> Report {
        self.verify_with(&keys.ring())
    }

    pub(super) fn verify_with(&self, ring: &KeyRing) -> Report {
        self.push_into(Verifier::new(self.tenant.clone(), ring))
    }

    /// As the log's own head says that it is.
    pub(super) fn verify_with_head(&self, keys: &Keys, (size, root): (u64, Hash)) -> Report {
        let ring = keys.ring();
        self.push_into(Verifier::new(self.tenant.clone(), &ring).with_head(size, root))
    }

    fn push_into(&self, verifier: Verifier<'_>) -> Report {
        let mut verifier = verifier
            .with_checkpoints(self.chain.iter().cloned())
            .with_anchors(self.anchors.iter().cloned())
            .with_receipts(self.receipts.iter().copied());
        for event in &self.events {
            let mut leaf = Leaf::dropped(event.sequence, Hash::ZERO);
            leaf.hash = event.hash;
            leaf.record = event.record.as_deref();
            verifier.push(leaf);
        }
        verifier.finish()
    }

    fn sealed_size(&self) -> usize {
        usize::try_from(self.chain.last().unwrap().checkpoint().size()).unwrap()
    }

    /// An event under a checkpoint.
    pub(super) fn sealed(&self, random: &mut Random) -> usize {
        random.below(self.sealed_size())
    }

    /// An event under a checkpoint whose body is there.
    pub(super) fn with_body(&self, random: &mut Random) -> usize {
        let from = self.sealed(random);
        let around = (from..self.sealed_size()).chain(0..from);
        around.into_iter().find(|at| self.events[*at].record.is_some()).unwrap()
    }

    pub(super) fn two(&self, random: &mut Random) -> (usize, usize) {
        let a = self.sealed(random);
        let b = (a + 1 + random.below(self.sealed_size() - 1)) % self.sealed_size();
        (a, b)
    }

    pub(super) fn edit(&mut self, at: usize, random: &mut Random, rehash: bool) {
        let event = &mut self.events[at];
        let record = event.record.as_mut().unwrap();
        // Behind the heading, and also within.
        let byte = random.below(record.len());
        if rehash {
            let last = record.len() - 1;
            record[last] ^= 1;
            event.rehash();
        } else {
            // A tenant that is another one is found as such; the rest of the heading may be edited too.
            let byte = if (2..6).contains(&byte) { 0 } else { byte };
            record[byte] ^= 1 << random.below(8);
        }
    }

    pub(super) fn spoil_hash(&mut self, at: usize, random: &mut Random) {
        let mut bytes = *self.events[at].hash.unwrap().as_bytes();
        bytes[random.below(32)] ^= 1 << random.below(8);
        self.events[at].hash = Some(Hash::new(bytes));
    }

    pub(super) fn drop_body(&mut self, at: usize) {
        self.events[at].record = None;
    }

    pub(super) fn keep_receipt(&mut self, at: usize) {
        self.receipts.push((at as u64, self.events[at].hash.unwrap()));
    }

    /// Numbers the events from here on as if they had always stood there, hashes included.
    pub(super) fn renumber(&mut self, from: usize) {
        for (place, event) in self.events.iter_mut().enumerate().skip(from) {
            event.sequence = place as u64;
            if let Some(record) = &event.record {
                let (tenant, _, recorded, body) = canonical::split(record).unwrap();
                let mut renumbered = canonical::heading(&tenant, event.sequence, recorded);
                renumbered.extend_from_slice(body);
                event.record = Some(renumbered);
                event.rehash();
            }
        }
    }

    pub(super) fn forget_checkpoints(&mut self) {
        self.chain.clear();
        self.anchors.clear();
    }

    pub(super) fn anchor_last(&mut self) {
        self.anchors = vec![self.chain.last().unwrap().clone()];
    }

    /// An old copy, on which the host goes on in good faith: with its true key, and checkpoints that fit.
    pub(super) fn write_on(&mut self, at: usize, random: &mut Random, keys: &Keys) {
        let count = self.events.len() + random.below(10);
        self.events.truncate(at);
        self.chain.retain(|sealed| sealed.checkpoint().size() <= at as u64);
        let later = start() + TimeDelta::hours(1);
        self.events.extend((at..count).map(|n| Event::generate(&self.tenant, n as u64, later, random)));
        let mut state = SealState::new(self.tenant.clone());
        if let Some(last) = self.chain.last() {
            state = state.after(last.checkpoint(), true);
        }
        self.chain.push(seal(&self.events, keys, &mut state, SealKind::Signature, later));
    }

    pub(super) fn swap_tenant(&mut self, at: usize) {
        let other = TenantId::new("evil").unwrap();
        let event = &mut self.events[at];
        let mut record = canonical::heading(&other, event.sequence, start());
        record.extend_from_slice(b"theirs");
        event.record = Some(record);
        event.rehash();
    }

    /// Where the events of a checkpoint begin that the one before does not cover.
    pub(super) fn before(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |at| usize::try_from(self.chain[at].checkpoint().size()).unwrap())
    }

    /// Another root under the old seal, or sealed by a key that nobody accepts, or by nobody at all.
    pub(super) fn forge_checkpoint(&mut self, at: usize, random: &mut Random, keys: &Keys) {
        let old = &self.chain[at];
        let is = old.checkpoint();
        let root = leaf_hash(&random.next().to_be_bytes());
        let make =
            |root| Checkpoint::new(is.tenant().clone(), is.size(), root, is.previous(), is.time()).unwrap();
        self.chain[at] = match random.below(4) {
            0 => SealedCheckpoint::new(make(root), old.seals()[0].clone()),
            1 => SealedCheckpoint::signed(make(root), &keys.stranger).unwrap(),
            2 => SealedCheckpoint::signed(make(is.root()), &keys.stranger).unwrap(),
            _ => {
                let signature = Seal::signature(keys.signer.verifying_key(), &[7; 64]);
                SealedCheckpoint::new(make(is.root()), signature)
            }
        };
    }
}

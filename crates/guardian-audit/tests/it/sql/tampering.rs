//! Somebody with a connection to the database changes the log behind our back: whatever they do to what a checkpoint covers is
//! found, and the first bad event named.

use std::time::Duration;

use guardian_audit::checkpoint::{
    CheckpointPolicy, Ed25519Signer, KeyRing, Notary, SealedCheckpoint, Sealer, Signer,
};
use guardian_audit::merkle::leaf_hash;
use guardian_audit::store::{AuditStore, Batch, NoteKind, SqlStore};
use guardian_audit::testkit::Sample;
use guardian_audit::verify::{FaultKind, Leaf, Report, Verifier};
use guardian_audit::{AuditConfig, AuditLog, canonical};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Insert, Param, TenantTx, ToParam, params};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{fresh, runtime, scope};

/// How many events there are, and how many of them a checkpoint covers.
const EVENTS: u64 = 40;
const SEALED: u64 = 30;

const ROWS: Insert<8> = Insert::into(
    "guardian_audit_events",
    ["tenant_id", "sequence", "event_id", "recorded", "occurred", "leaf", "body", "terms"],
);

#[derive(Debug, Clone)]
struct Row {
    sequence: u64,
    id: Uuid,
    recorded: i64,
    occurred: i64,
    leaf: [u8; 32],
    body: Vec<u8>,
    terms: String,
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn sealed(&mut self) -> usize {
        usize::try_from(self.below(SEALED)).unwrap()
    }
}

/// Changes the rows, and says which event is the first bad one, and what it may be called.
type Tamper = fn(&mut Vec<Row>, &mut Random) -> (u64, fn(&FaultKind) -> bool);

fn flip(bytes: &mut [u8], random: &mut Random) {
    let at = random.below(bytes.len() as u64);
    bytes[usize::try_from(at).unwrap()] ^= 1 << random.below(8);
}

/// The leaf of the row's event, as its writer would make it.
fn rehash(row: &mut Row) {
    let recorded = chrono::DateTime::from_timestamp_micros(row.recorded).unwrap();
    let mut record = canonical::heading(scope("acme").tenant(), row.sequence, recorded);
    record.extend_from_slice(&row.body);
    row.leaf = leaf_hash(&record).into();
}

fn is_edited(kind: &FaultKind) -> bool {
    *kind == FaultKind::Edited
}

fn is_rewritten(kind: &FaultKind) -> bool {
    *kind == FaultKind::Rewritten
}

fn is_gone(kind: &FaultKind) -> bool {
    matches!(kind, FaultKind::Deleted | FaultKind::TailCut)
}

const WAYS: [(&str, Tamper); 12] = [
    ("edit a body", |rows, random| {
        let at = random.sealed();
        flip(&mut rows[at].body, random);
        (at as u64, is_edited)
    }),
    ("edit a body and its leaf", |rows, random| {
        let at = random.sealed();
        flip(&mut rows[at].body, random);
        rehash(&mut rows[at]);
        (at as u64, is_rewritten)
    }),
    ("edit a leaf", |rows, random| {
        let at = random.sealed();
        flip(&mut rows[at].leaf, random);
        (at as u64, is_edited)
    }),
    ("change when it was", |rows, random| {
        let at = random.sealed();
        rows[at].recorded += 1 + i64::try_from(random.below(1_000_000_000)).unwrap();
        (at as u64, is_edited)
    }),
    ("change when it was, and its leaf", |rows, random| {
        let at = random.sealed();
        rows[at].recorded += 1 + i64::try_from(random.below(1_000_000_000)).unwrap();
        rehash(&mut rows[at]);
        (at as u64, is_rewritten)
    }),
    ("delete one", |rows, random| {
        let at = random.sealed();
        rows.remove(at);
        (at as u64, is_gone)
    }),
    ("delete one and close the gap", |rows, random| {
        let at = random.sealed();
        rows.remove(at);
        for (row, sequence) in rows.iter_mut().zip(0..).skip(at) {
            row.sequence = sequence;
            rehash(row);
        }
        (at as u64, |kind| matches!(kind, FaultKind::Rewritten | FaultKind::TailCut))
    }),
    ("put a copy in and number the rest anew", |rows, random| {
        // Of two equal neighbours the second is the one too many: it is under the checkpoint as well.
        let (from, at) = (random.sealed(), random.sealed().min(usize::try_from(SEALED).unwrap() - 2));
        let mut copy = rows[from].clone();
        copy.id = Uuid::from_u128(u128::from(random.below(u64::MAX)));
        rows.insert(at, copy);
        for (row, sequence) in rows.iter_mut().zip(0..).skip(at) {
            row.sequence = sequence;
            rehash(row);
        }
        ((at + usize::from(from == at)) as u64, is_rewritten)
    }),
    ("swap two", |rows, random| {
        let a = random.sealed();
        let b =
            (a + 1 + usize::try_from(random.below(SEALED - 1)).unwrap()) % usize::try_from(SEALED).unwrap();
        rows.swap(a, b);
        let (first, second) = (rows[a].sequence, rows[b].sequence);
        (rows[a].sequence, rows[b].sequence) = (second, first);
        (a.min(b) as u64, is_edited)
    }),
    ("swap two and hash them anew", |rows, random| {
        let a = random.sealed();
        let b =
            (a + 1 + usize::try_from(random.below(SEALED - 1)).unwrap()) % usize::try_from(SEALED).unwrap();
        rows.swap(a, b);
        let (first, second) = (rows[a].sequence, rows[b].sequence);
        (rows[a].sequence, rows[b].sequence) = (second, first);
        rehash(&mut rows[a]);
        rehash(&mut rows[b]);
        (a.min(b) as u64, is_rewritten)
    }),
    ("cut the tail", |rows, random| {
        let at = random.sealed();
        rows.truncate(at);
        (at as u64, is_gone)
    }),
    ("bring in another tenant's event", |rows, random| {
        let at = random.sealed();
        let mut record = canonical::heading(scope("evil").tenant(), rows[at].sequence, Sample::start());
        record.extend_from_slice(&rows[at].body);
        rows[at].leaf = leaf_hash(&record).into();
        (at as u64, is_edited)
    }),
];

struct Log {
    runtime: Runtime,
    fresh: Fresh,
    store: SqlStore,
    ring: KeyRing,
    rows: Vec<Row>,
}

impl Log {
    fn new(kind: Kind) -> Self {
        let runtime = runtime();
        let fresh = runtime.block_on(fresh(kind, &[&SqlStore::MIGRATIONS]));
        let store = SqlStore::new(fresh.database());
        let signer = Ed25519Signer::from_seed("audit.example.com/1", &[1; 32]).unwrap();
        let ring = KeyRing::new().accept(signer.verifying_key().clone());
        let policy = CheckpointPolicy::default().with_signatures(1, Duration::ZERO);
        let sealer = Sealer::new(Notary::new(signer, policy));
        let (log, acme) = (AuditLog::new(store.clone(), AuditConfig::default()), scope("acme"));
        let drafts = Sample::new(3).drafts(usize::try_from(EVENTS).unwrap()).unwrap();
        for (part, drafts) in drafts.chunks(10).enumerate() {
            runtime.block_on(store.append(&[Batch::new(&acme, drafts)], Sample::start())).unwrap();
            if part < 3 {
                runtime.block_on(sealer.run_once(&log, &acme, Sample::start())).unwrap().unwrap();
            }
        }
        let mut tx = runtime.block_on(fresh.owner().begin(&acme)).unwrap();
        let sql = "SELECT sequence, event_id, recorded, occurred, leaf, body, terms FROM guardian_audit_events \
                   WHERE tenant_id = $1 ORDER BY sequence";
        let rows = runtime.block_on(tx.fetch_all(sql, params![acme.tenant()])).unwrap();
        runtime.block_on(tx.commit()).unwrap();
        let row = |row: &guardian_sql::Row| Row {
            sequence: row.get("sequence").unwrap(),
            id: row.get("event_id").unwrap(),
            recorded: row.get("recorded").unwrap(),
            occurred: row.get("occurred").unwrap(),
            leaf: row.get("leaf").unwrap(),
            body: row.get("body").unwrap(),
            terms: row.get("terms").unwrap(),
        };
        let rows = rows.iter().map(row).collect();
        Self { runtime, fresh, store, ring, rows }
    }

    /// Puts these rows in the place of those that are there.
    fn put(&self, rows: &[Row]) {
        let acme = scope("acme");
        let work = async {
            let mut tx: TenantTx = self.fresh.owner().begin(&acme).await.unwrap();
            tx.execute("DELETE FROM guardian_audit_events WHERE tenant_id = $1", params![acme.tenant()])
                .await
                .unwrap();
            let of = |row: &'_ Row| {
                [
                    Param::Integer(i64::try_from(row.sequence).unwrap()),
                    Param::Uuid(row.id),
                    Param::Integer(row.recorded),
                    Param::Integer(row.occurred),
                ]
            };
            let rows: Vec<[Param<'_>; 8]> = rows
                .iter()
                .map(|row| {
                    let [sequence, id, recorded, occurred] = of(row);
                    let (leaf, body, terms) =
                        (row.leaf.to_param(), row.body.to_param(), row.terms.to_param());
                    [acme.tenant().to_param(), sequence, id, recorded, occurred, leaf, body, terms]
                })
                .collect();
            tx.insert_many(&ROWS, rows).await.unwrap();
            tx.commit().await.unwrap();
        };
        self.runtime.block_on(work);
    }

    /// Reads the log through the store, as a host does.
    fn verify(&self) -> Report {
        let acme = scope("acme");
        let most = usize::try_from(EVENTS).unwrap() * 2;
        let records = self.runtime.block_on(self.store.records(&acme, 0, most)).unwrap();
        let leaves = self.runtime.block_on(self.store.leaves(&acme, 0, most)).unwrap();
        let notes = self.runtime.block_on(self.store.notes(&acme, NoteKind::Checkpoint)).unwrap();
        let chain = notes
            .iter()
            .map(|note| SealedCheckpoint::parse(std::str::from_utf8(&note.bytes).unwrap()).unwrap());
        let mut verifier = Verifier::new(acme.tenant().clone(), &self.ring).with_checkpoints(chain);
        for (record, leaf) in records.iter().zip(leaves) {
            let bytes = record.leaf(acme.tenant()).unwrap();
            verifier.push(Leaf::new(record.sequence, leaf.into(), &bytes));
        }
        verifier.finish()
    }
}

fn check(kind: Kind, each: usize) {
    let log = Log::new(kind);
    let mut random = Random(7);
    for (name, tamper) in WAYS {
        for case in 0..each {
            let mut rows = log.rows.clone();
            let (first, is_kind) = tamper(&mut rows, &mut random);
            log.put(&rows);
            let report = log.verify();
            let what = format!("{name}, case {case}");
            let fault =
                report.first_fault().unwrap_or_else(|| panic!("{what}: nothing was found, {first} is bad"));
            let named = (fault.first..fault.end.max(fault.first + 1)).contains(&first);
            assert!(named, "{what}: event {first} is bad, found {:?}", report.faults());
            let mut alike = report.faults().iter().filter(|other| other.first <= first);
            assert!(alike.any(|fault| is_kind(&fault.kind)), "{what}: {:?}", report.faults());
        }
        log.put(&log.rows);
        let clean = log.verify();
        assert!(clean.is_intact() && clean.proven == SEALED, "{name}: {:?}", clean.faults());
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn what_somebody_does_to_sqlite_is_found() {
    check(Kind::SqliteMemory, 840);
}

#[cfg(feature = "postgres")]
#[test]
fn what_somebody_does_to_postgres_is_found() {
    check(Kind::Postgres, 120);
}

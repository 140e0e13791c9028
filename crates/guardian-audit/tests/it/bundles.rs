//! Bundles verify, and no altered, cut or mixed one does.

use guardian_audit::bundle::{
    BundleError, BundleHead, BundleSource, BundleVerifier, BundleWriter, Folder, InMemory, Manifest, Seals,
    Verified,
};
use guardian_audit::checkpoint::{
    Checkpoint, CheckpointPolicy, Ed25519Signer, KeyRing, MasterKey, Notary, SealKind, SealState,
    SealedCheckpoint, Signer,
};
use guardian_audit::merkle::{Hash, NodeId, Tree, leaf_hash};
use guardian_audit::{Assessment, AuditEvent, canonical};
use guardian_core::{Clock, ManualClock, TenantId, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;

/// A tenant's log of so many events, with checkpoints at some sizes.
struct Log {
    tenant: TenantId,
    records: Vec<Vec<u8>>,
    tree: Tree,
    checkpoints: Vec<(SealedCheckpoint, Vec<Hash>)>,
}

fn signer() -> Ed25519Signer {
    Ed25519Signer::from_seed("audit.example.com/1", &[1; 32]).unwrap()
}

fn ring() -> KeyRing {
    KeyRing::new().accept(signer().verifying_key().clone())
}

fn now() -> Timestamp {
    ManualClock::new().now()
}

impl Log {
    fn new(tenant: &str, count: u64) -> Self {
        let tenant = TenantId::new(tenant).unwrap();
        let mut tree = Tree::new();
        let mut records = Vec::new();
        for sequence in 0..count {
            let event = AuditEvent::new("deal.updated").with_message(format!("change {sequence}"));
            let mut record = canonical::heading(&tenant, sequence, now());
            record.extend(canonical::encode_body(&event, &Assessment::default(), &[]).unwrap());
            tree.append(leaf_hash(&record));
            records.push(record);
        }
        let notary = Notary::new(signer(), CheckpointPolicy::default());
        let master = MasterKey::new("audit.example.com/mac", &[3; 32]).unwrap();
        let mut state = SealState::new(tenant.clone()).with_evolving(master.begin(&tenant));
        let mut checkpoints = Vec::new();
        let mut before = 0;
        for (size, kind) in
            [(count / 3, SealKind::Signature), (count / 2, SealKind::Evolving), (count, SealKind::Signature)]
        {
            let root = tree.root_at(size).unwrap();
            let sealed = notary.seal(&mut state, kind, size, root, now()).unwrap();
            let proof = match before {
                0 => Vec::new(),
                old => tree.prove_consistency(old, size).unwrap().hashes,
            };
            checkpoints.push((sealed, proof));
            before = size;
        }
        Self { tenant, records, tree, checkpoints }
    }

    fn hashes(&self, nodes: &[NodeId]) -> Vec<Hash> {
        nodes.iter().map(|node| self.tree.node(*node).unwrap()).collect()
    }

    /// A bundle of these events, of which some have lost their bodies.
    fn bundle(&self, chosen: &[u64], dropped: &[u64]) -> InMemory {
        let head = BundleHead::new(self.tenant.clone(), now(), self.tree.size()).with_query("deal.*");
        let mut writer = BundleWriter::create(InMemory::new(), head).unwrap();
        for sequence in chosen {
            let record = &self.records[usize::try_from(*sequence).unwrap()];
            let gap = self.hashes(&writer.gap(*sequence).unwrap());
            let body = (!dropped.contains(sequence)).then_some(record.as_slice());
            writer.push(*sequence, leaf_hash(record), body, &gap).unwrap();
        }
        let rest = self.hashes(&writer.rest());
        let (keys, signer) = ([signer().verifying_key().clone()], signer());
        let seals = Seals::new(&self.checkpoints, &keys).signed_by(&signer);
        let (bundle, manifest) = writer.finish(&rest, seals).unwrap();
        assert_eq!(manifest.events, chosen.len() as u64);
        bundle
    }
}

fn verify(bundle: &dyn BundleSource) -> Result<Verified, BundleError> {
    let ring = ring();
    BundleVerifier::new().with_keys(&ring).verify(bundle)
}

#[test]
fn what_was_written_verifies() {
    let log = Log::new("acme", 50);
    let all: Vec<u64> = (0..50).collect();
    for (chosen, contiguous) in
        [(all.as_slice(), true), (&all[10..40], true), (&[0, 7, 8, 49], false), (&[], true), (&[13], true)]
    {
        let bundle = log.bundle(chosen, &[7, 13, 20]);
        let mut seen = Vec::new();
        let verified = {
            let ring = ring();
            let verifier =
                BundleVerifier::new().with_keys(&ring).with_events(|event| seen.push(event.sequence));
            verifier.verify(&bundle).unwrap()
        };
        assert_eq!(verified.manifest.is_contiguous(), contiguous);
        assert_eq!(seen.len() as u64, verified.manifest.events - verified.manifest.dropped);
        assert_eq!(verified.signed_checkpoints, 2);
        assert_eq!(verified.manifest_key.as_ref(), Some(signer().verifying_key().id()));
        assert!(verified.keys_were_known);
        let open = BundleVerifier::new().verify(&bundle).unwrap();
        assert!(!open.keys_were_known && open.keys == [signer().verifying_key().clone()]);
    }
}

#[test]
fn a_range_costs_few_hashes() {
    let log = Log::new("acme", 2000);
    let chosen: Vec<u64> = (500..1500).collect();
    let bundle = log.bundle(&chosen, &[]);
    assert!(bundle.files["proof.bin"].len() < 16 + 24 * 32);
    verify(&bundle).unwrap();
}

#[test]
fn every_byte_that_is_altered_is_seen() {
    let log = Log::new("acme", 12);
    let bundle = log.bundle(&[2, 3, 4, 9], &[3]);
    for (name, bytes) in &bundle.files {
        for at in 0..bytes.len() {
            let mut altered = bundle.clone();
            altered.files.get_mut(name).unwrap()[at] ^= 1 << (at % 8);
            let error = verify(&altered).unwrap_err();
            let said = error.to_string();
            let names =
                said.contains(name.as_str()) || name.starts_with("manifest") || name == "checkpoints.txt";
            assert!(names, "{name} at {at}: {said}");
        }
    }
}

#[test]
fn every_file_that_is_cut_or_missing_or_longer_is_seen() {
    let log = Log::new("acme", 12);
    let bundle = log.bundle(&[2, 3, 4, 9], &[3]);
    for (name, bytes) in &bundle.files {
        for end in 0..bytes.len() {
            let mut cut = bundle.clone();
            cut.files.get_mut(name).unwrap().truncate(end);
            assert!(verify(&cut).is_err(), "{name} cut at {end}");
        }
        let mut longer = bundle.clone();
        longer.files.get_mut(name).unwrap().push(b'\n');
        assert!(verify(&longer).is_err(), "{name} longer");
        let mut missing = bundle.clone();
        missing.files.remove(name);
        match verify(&missing) {
            Ok(verified) => assert!(name == "manifest.sig" && verified.manifest_key.is_none()),
            Err(error) => assert!(matches!(error, BundleError::Missing { file } if file == name)),
        }
    }
}

#[test]
fn an_event_that_was_altered_is_named() {
    let log = Log::new("acme", 12);
    let bundle = log.bundle(&[2, 3, 4, 9], &[]);
    let events = &bundle.files["events.bin"];
    // Behind the heading of the file and of the first event.
    let at = events.len() - 3;
    let mut altered = bundle.clone();
    altered.files.get_mut("events.bin").unwrap()[at] ^= 1;
    let error = verify(&altered).unwrap_err();
    assert!(matches!(error, BundleError::Event { sequence: 9, .. }), "{error:?}");
}

/// Rewrites the manifest for files that were exchanged, as somebody would who has no key.
fn adjust(bundle: &mut InMemory, change: impl FnOnce(&mut serde_json::Value)) {
    let mut manifest: serde_json::Value = serde_json::from_slice(&bundle.files["manifest.json"]).unwrap();
    for name in ["events.bin", "proof.bin", "checkpoints.txt", "keys.txt"] {
        let mut twin = InMemory::new();
        twin.files.insert(name.to_owned(), bundle.files[name].clone());
        manifest["files"][name]["bytes"] = bundle.files[name].len().into();
        manifest["files"][name]["sha256"] = sha256(&bundle.files[name]).into();
    }
    change(&mut manifest);
    bundle.files.insert("manifest.json".to_owned(), serde_json::to_vec(&manifest).unwrap());
    bundle.files.remove("manifest.sig");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    Hash::new(sha2::Sha256::digest(bytes).into()).to_string()
}

#[test]
fn a_forger_without_the_key_makes_no_bundle() {
    let log = Log::new("acme", 12);
    let honest = log.bundle(&[2, 3, 4, 9], &[]);
    // The adjusted one is as good as the honest one.
    let mut same = honest.clone();
    adjust(&mut same, |_| {});
    verify(&same).unwrap();

    // Events and proofs of another log, or of a log with one event changed.
    let mut other = Log::new("acme", 12);
    other.records[3].push(0);
    let theirs = Log::new("evil", 12).bundle(&[2, 3, 4, 9], &[]);
    for name in ["events.bin", "proof.bin", "checkpoints.txt"] {
        let mut mixed = honest.clone();
        mixed.files.insert(name.to_owned(), theirs.files[name].clone());
        adjust(&mut mixed, |_| {});
        assert!(verify(&mixed).is_err(), "{name}");
    }
    // A checkpoint by an unknown key, whose public half comes along.
    let stranger = Ed25519Signer::from_seed("audit.example.com/1", &[2; 32]).unwrap();
    let root = Checkpoint::new(log.tenant.clone(), 12, log.tree.root(), None, now()).unwrap();
    let forged = SealedCheckpoint::signed(root, &stranger).unwrap();
    let mut stolen = honest.clone();
    stolen.files.insert("checkpoints.txt".to_owned(), format!("{}\n\n", forged.note()).into_bytes());
    stolen.files.insert("keys.txt".to_owned(), format!("{}\n", stranger.verifying_key()).into_bytes());
    adjust(&mut stolen, |manifest| manifest["checkpoints"] = 1.into());
    let error = verify(&stolen).unwrap_err();
    assert!(matches!(error, BundleError::Untrusted { size: 12 }), "{error:?}");
    // Who believes the keys in the bundle believes it, and is told so.
    assert!(!BundleVerifier::new().verify(&stolen).unwrap().keys_were_known);
    // Fewer events than the manifest says, or other bounds.
    for (field, value) in [
        ("events", 3),
        ("first", 1),
        ("last", 11),
        ("dropped", 1),
        ("size", 13),
        ("checkpoints", 2),
        ("version", 2),
    ] {
        let mut lying = honest.clone();
        adjust(&mut lying, |manifest| manifest[field] = value.into());
        assert!(verify(&lying).is_err(), "{field}");
    }
}

#[test]
fn the_writer_makes_no_bundle_that_would_not_verify() {
    let log = Log::new("acme", 12);
    let head = || BundleHead::new(log.tenant.clone(), now(), 12);
    let mut writer = BundleWriter::create(InMemory::new(), head()).unwrap();
    let gap = log.hashes(&writer.gap(5).unwrap());
    let (record, hash) = (&log.records[5], leaf_hash(&log.records[5]));
    assert!(writer.push(5, hash, Some(b"altered"), &gap).is_err());
    assert!(writer.push(5, hash, Some(record), &gap[1..]).is_err());
    assert!(writer.push(12, hash, Some(record), &gap).is_err());
    let mut writer = BundleWriter::create(InMemory::new(), head()).unwrap();
    let gap = log.hashes(&writer.gap(5).unwrap());
    writer.push(5, leaf_hash(b"another"), None, &gap).unwrap();
    assert!(writer.gap(5).is_err() && writer.gap(2).is_err());
    let rest = log.hashes(&writer.rest());
    let error = writer.finish(&rest, Seals::new(&log.checkpoints, &[])).unwrap_err();
    assert!(matches!(error, BundleError::Root { .. }), "{error:?}");
    let writer = BundleWriter::create(InMemory::new(), head()).unwrap();
    assert!(writer.finish(&[], Seals::new(&[], &[])).is_err());
    assert!(BundleWriter::create(InMemory::new(), head().with_query("x".repeat(20_000))).is_err());
}

#[test]
fn a_folder_is_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle");
    let log = Log::new("acme", 12);
    let mut writer =
        BundleWriter::create(Folder::create(&path).unwrap(), BundleHead::new(log.tenant.clone(), now(), 12))
            .unwrap();
    writer.push(0, leaf_hash(&log.records[0]), Some(&log.records[0]), &[]).unwrap();
    let rest = log.hashes(&writer.rest());
    let keys = [signer().verifying_key().clone()];
    let (bundle, _) = writer.finish(&rest, Seals::new(&log.checkpoints, &keys)).unwrap();
    let verified = verify(&bundle).unwrap();
    assert_eq!((verified.manifest.query, verified.manifest_key), (None, None));
    assert!(Folder::create(&path).is_err(), "a bundle is not overwritten");
    assert!(matches!(
        verify(&Folder::new(folder.path())),
        Err(BundleError::Missing { file: "manifest.json" })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_stands_in_the_files_is_an_error(which in any::<Index>(), bytes in proptest::collection::vec(any::<u8>(), 0..300), at in any::<Index>()) {
        let log = Log::new("acme", 9);
        let mut bundle = log.bundle(&[1, 2, 5], &[2]);
        let names: Vec<String> = bundle.files.keys().cloned().collect();
        let name = &names[which.index(names.len())];
        let file = bundle.files.get_mut(name).unwrap();
        let from = at.index(file.len());
        let end = (from + bytes.len()).min(file.len());
        let before = file.clone();
        file.splice(from..end, bytes);
        if *file != before {
            if !name.starts_with("manifest") {
                adjust(&mut bundle, |_| {});
            }
            let _ = Manifest::parse(&bundle.files["manifest.json"]);
            // With hashes adjusted, keys that nobody believes may be others, and so may the seal of a checkpoint that a
            // later one is bound to.
            if let Ok(verified) = verify(&bundle) {
                prop_assert!(matches!(name.as_str(), "keys.txt" | "checkpoints.txt"), "{}", name);
                prop_assert_eq!(verified.manifest.root, log.tree.root());
            }
        }
    }
}

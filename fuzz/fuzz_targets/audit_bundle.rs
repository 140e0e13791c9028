//! A bundle of audit events: whatever is in its files, it is verified or refused with an error that names a file; only what
//! leads to the root of a signed checkpoint is verified.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use guardian_audit::bundle::{BundleHead, BundleVerifier, BundleWriter, InMemory, Manifest, Seals};
use guardian_audit::checkpoint::{
    Checkpoint, Ed25519Signer, KeyRing, SealedCheckpoint, Signer, VerifyingKey,
};
use guardian_audit::merkle::{Hash, NodeId, Tree, leaf_hash};
use guardian_audit::{Assessment, AuditEvent, canonical};
use guardian_core::{Clock, ManualClock, TenantId};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    /// The files as they are.
    Files { manifest: &'a [u8], files: [&'a [u8]; 4], signature: Option<&'a [u8]> },
    /// An honest bundle in which bytes were replaced; the manifest says what is so.
    Altered { file: u8, at: u16, removed: u8, inserted: &'a [u8], adjust: bool },
    /// Notes and keys alone.
    Texts { note: &'a str, key: &'a str },
}

const NAMES: [&str; 4] = ["events.bin", "proof.bin", "checkpoints.txt", "keys.txt"];

struct Honest {
    bundle: InMemory,
    manifest: Manifest,
    ring: KeyRing,
}

static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let (acme, now) = (TenantId::new("acme").expect("an id"), ManualClock::new().now());
    let mut tree = Tree::new();
    let mut records = Vec::new();
    for sequence in 0..9 {
        let mut record = canonical::heading(&acme, sequence, now);
        let event = AuditEvent::new("deal.updated");
        record.extend(canonical::encode_body(&event, &Assessment::default(), &[]).expect("an event"));
        tree.append(leaf_hash(&record));
        records.push(record);
    }
    let signer = Ed25519Signer::from_seed("fuzz/1", &[1; 32]).expect("a name");
    let keys = [signer.verifying_key().clone()];
    let first =
        Checkpoint::new(acme.clone(), 4, tree.root_at(4).expect("a root"), None, now).expect("a checkpoint");
    let second =
        Checkpoint::new(acme.clone(), 9, tree.root(), Some(first.hash()), now).expect("a checkpoint");
    let proof = tree.prove_consistency(4, 9).expect("a proof").hashes;
    let sealed = |checkpoint| SealedCheckpoint::signed(checkpoint, &signer).expect("a signature");
    let checkpoints = [(sealed(first), Vec::new()), (sealed(second), proof)];
    let hashes = |nodes: Vec<NodeId>| -> Vec<Hash> {
        nodes.into_iter().map(|node| tree.node(node).expect("a node")).collect()
    };
    let mut writer = BundleWriter::create(InMemory::new(), BundleHead::new(acme, now, 9)).expect("a bundle");
    for sequence in [1_u64, 2, 6] {
        let record = &records[sequence as usize];
        let gap = hashes(writer.gap(sequence).expect("a gap"));
        let body = (sequence != 2).then_some(record.as_slice());
        writer.push(sequence, leaf_hash(record), body, &gap).expect("an event");
    }
    let rest = hashes(writer.rest());
    let (bundle, manifest) = writer.finish(&rest, Seals::new(&checkpoints, &keys)).expect("a bundle");
    Honest { bundle, manifest, ring: KeyRing::new().accept(keys[0].clone()) }
});

fuzz_target!(|input: Input<'_>| match input {
    Input::Files { manifest, files, signature } => {
        let mut bundle = InMemory::new();
        bundle.files.insert("manifest.json".to_owned(), manifest.to_vec());
        for (name, bytes) in NAMES.iter().zip(files) {
            bundle.files.insert((*name).to_owned(), bytes.to_vec());
        }
        if let Some(signature) = signature {
            bundle.files.insert("manifest.sig".to_owned(), signature.to_vec());
        }
        // Without the key nobody signs.
        assert!(
            BundleVerifier::new().with_keys(&HONEST.ring).verify(&bundle).is_err() || bundle == HONEST.bundle
        );
        let _ = BundleVerifier::new().verify(&bundle);
    }
    Input::Altered { file, at, removed, inserted, adjust } => {
        let mut bundle = HONEST.bundle.clone();
        let name = NAMES[usize::from(file) % NAMES.len()];
        let bytes = bundle.files.get_mut(name).expect("a file");
        let from = usize::from(at) % (bytes.len() + 1);
        let end = (from + usize::from(removed)).min(bytes.len());
        bytes.splice(from..end, inserted.iter().copied());
        let changed = bundle.files[name] != HONEST.bundle.files[name];
        if adjust {
            use sha2::Digest;
            let mut manifest = serde_json::to_value(&HONEST.manifest).expect("a document");
            let sha256 = Hash::new(sha2::Sha256::digest(&bundle.files[name]).into());
            manifest["files"][name]["bytes"] = bundle.files[name].len().into();
            manifest["files"][name]["sha256"] = sha256.to_string().into();
            bundle.files.insert("manifest.json".to_owned(), serde_json::to_vec(&manifest).expect("a text"));
        }
        match BundleVerifier::new().with_keys(&HONEST.ring).verify(&bundle) {
            // The keys in the bundle are not those that are believed here.
            Ok(_) => assert!(!changed || (adjust && name == "keys.txt")),
            Err(error) => assert!(changed, "{error:?}"),
        }
    }
    Input::Texts { note, key } => {
        if let Ok(sealed) = SealedCheckpoint::parse(note) {
            assert_eq!(sealed.note(), note);
            let _ = HONEST.ring.checker().check(&sealed);
        }
        if let Ok(key) = key.parse::<VerifyingKey>() {
            assert_eq!(key.to_string().parse::<VerifyingKey>(), Ok(key));
        }
    }
});

//! A log that is made up, a bundle of it, and a byte that is altered.

use std::error::Error;
use std::fs;
use std::path::Path;

use chrono::TimeDelta;
use guardian_audit::bundle::{BundleHead, BundleWriter, Folder, Seals};
use guardian_audit::checkpoint::{
    CheckpointPolicy, Ed25519Signer, KeyRing, Notary, SealKind, SealState, Signer,
};
use guardian_audit::merkle::{Hash, NodeId, Tree, leaf_hash};
use guardian_audit::{Assessment, AuditEvent, EventActor, Target, canonical};
use guardian_core::{Clock, SystemClock, TenantId};

use crate::{describe, explain, verify};

/// How many events the log has.
const EVENTS: u64 = 50_000;

pub(crate) fn show() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::Builder::new().prefix("audit_verify-").tempdir()?;
    let path = folder.path().join("bundle");
    // Whoever exports has the private key; a real one is random and secret.
    let signer = Ed25519Signer::from_seed("audit.example.com/demo", &[42; 32])?;
    make(&path, &signer)?;
    println!("$ ls {}", path.display());
    let mut files: Vec<_> = fs::read_dir(&path)?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        println!("  {:>10}  {}", file.metadata()?.len(), file.file_name().display());
    }
    let ring = KeyRing::new().accept(signer.verifying_key().clone());
    let command = format!("$ audit_verify {} --key '{}'", path.display(), signer.verifying_key());
    println!("\n{command}");
    println!("{}", describe(&verify(&Folder::new(&path), Some(&ring))?));

    // Somebody changes who deleted a deal.
    let events = path.join("events.bin");
    let mut bytes = fs::read(&events)?;
    let middle = bytes.len() / 2;
    let at = bytes.iter().skip(middle).position(|byte| *byte == b'u').map_or(middle, |at| middle + at);
    if let Some(byte) = bytes.get_mut(at) {
        *byte = b'v';
    }
    fs::write(&events, bytes)?;
    println!("Now byte {at} of events.bin is altered.\n\n{command}");
    match verify(&Folder::new(&path), Some(&ring)) {
        Ok(_) => Err("an altered bundle was verified".into()),
        Err(error) => {
            println!("audit_verify: {}\n$ echo $?\n1", explain(&error));
            Ok(())
        }
    }
}

/// The deletions among the events of a log, as a bundle.
fn make(path: &Path, signer: &Ed25519Signer) -> Result<(), Box<dyn Error>> {
    let acme = TenantId::new("acme")?;
    let start = SystemClock::new().now();
    let mut tree = Tree::new();
    let mut chosen = Vec::new();
    for sequence in 0..EVENTS {
        let deletes = sequence % 5 == 2;
        let event = AuditEvent::new(if deletes { "deal.deleted" } else { "deal.updated" })
            .with_actor(EventActor::user(format!("u_{}", sequence % 97)))
            .with_target(Target::new("deal", format!("d_{}", sequence % 1009)));
        let recorded = start + TimeDelta::milliseconds(i64::try_from(sequence)?);
        let mut record = canonical::heading(&acme, sequence, recorded);
        record.extend(canonical::encode_body(&event, &Assessment::default(), &[])?);
        tree.append(leaf_hash(&record));
        if deletes {
            chosen.push((sequence, record));
        }
    }
    // A host seals as it writes; here it is done afterwards.
    let notary = Notary::new(
        Ed25519Signer::from_seed("audit.example.com/demo", &[42; 32])?,
        CheckpointPolicy::default(),
    );
    let mut state = SealState::new(acme.clone());
    let mut checkpoints = Vec::new();
    for size in (10_000..=EVENTS).step_by(10_000) {
        let root = tree.root_at(size).ok_or("the log is shorter")?;
        let before = state.sealed_size();
        let proof = if before == 0 { Vec::new() } else { tree.prove_consistency(before, size)?.hashes };
        let now = start + TimeDelta::milliseconds(i64::try_from(size)?);
        checkpoints.push((notary.seal(&mut state, SealKind::Signature, size, root, now)?, proof));
    }

    let hashes = |nodes: Vec<NodeId>| -> Result<Vec<Hash>, Box<dyn Error>> {
        nodes
            .into_iter()
            .map(|node| tree.node(node).ok_or_else(|| format!("{node} is missing").into()))
            .collect()
    };
    let head = BundleHead::new(acme, start, EVENTS).with_query("action:deal.deleted");
    let mut writer = BundleWriter::create(Folder::create(path)?, head)?;
    for (sequence, record) in &chosen {
        let gap = hashes(writer.gap(*sequence)?)?;
        writer.push(*sequence, leaf_hash(record), Some(record), &gap)?;
    }
    let rest = hashes(writer.rest())?;
    let keys = [signer.verifying_key().clone()];
    writer.finish(&rest, Seals::new(&checkpoints, &keys).signed_by(signer))?;
    Ok(())
}

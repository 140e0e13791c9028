//! `merkle`: vectors of Merkle tree proofs, a folder of JSON files (transparency-dev/merkle): roots of RFC 6962, inclusion
//! and consistency of RFC 9162, and the same of subtrees.
//!
//! Nearly all vectors must be refused, so a verifier that refuses everything would pass most: what must be accepted and what
//! must be refused are counted apart, and the bar is every one of both.

use std::error::Error;
use std::fs;
use std::path::Path;

use guardian_audit::merkle::{
    Frontier, Hash, ProofError, Subtree, empty_root, leaf_hash, verify_consistency, verify_inclusion,
    verify_subtree_consistency, verify_subtree_inclusion,
};
use indicatif::ProgressBar;
use serde::Deserialize;

use super::Report;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inclusion {
    leaf_idx: u64,
    #[serde(default)]
    tree_size: u64,
    #[serde(default)]
    start: u64,
    #[serde(default)]
    end: u64,
    root: String,
    leaf_hash: String,
    proof: Option<Vec<String>>,
    want_err: bool,
    file: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consistency {
    #[serde(default)]
    size1: u64,
    #[serde(default)]
    size2: u64,
    #[serde(default)]
    start: u64,
    #[serde(default)]
    end: u64,
    #[serde(default)]
    size: u64,
    root1: String,
    root2: String,
    proof: Option<Vec<String>>,
    want_err: bool,
    file: String,
}

#[derive(Deserialize)]
struct Roots {
    leaf_inputs_hex: Vec<String>,
    root_hash_hex_by_size: Vec<String>,
}

/// What must be accepted and what must be refused, each how often right and how often asked.
#[derive(Default)]
struct Score {
    accepted: (u64, u64),
    refused: (u64, u64),
}

impl Score {
    fn judge(&mut self, report: &mut Report, file: &str, want_err: bool, found: Result<(), ProofError>) {
        let right = found.is_err() == want_err;
        let (good, all) = if want_err { &mut self.refused } else { &mut self.accepted };
        *good += u64::from(right);
        *all += 1;
        report.case((!right).then(|| match found {
            Ok(()) => format!("{file}: it was accepted and must be refused"),
            Err(error) => format!("{file}: it must be accepted: {error}"),
        }));
    }
}

pub(super) fn run(path: &Path, bar: &ProgressBar) -> Result<Report, Box<dyn Error>> {
    let mut report = Report::default();
    bar.set_length(5);
    roots(&read::<Roots>(path, "rfc6962_roots")?, &mut report)?;
    bar.inc(1);
    let mut score = Score::default();
    for case in read::<Vec<Inclusion>>(path, "inclusion")? {
        let (root, proof) = (hash(&case.root)?, hashes(case.proof.as_deref())?);
        let found = leaf(&case.leaf_hash)
            .and_then(|leaf| verify_inclusion(case.leaf_idx, case.tree_size, leaf, &proof, root));
        score.judge(&mut report, &case.file, case.want_err, found);
    }
    bar.inc(1);
    for case in read::<Vec<Consistency>>(path, "consistency")? {
        let (old, new, proof) = (hash(&case.root1)?, hash(&case.root2)?, hashes(case.proof.as_deref())?);
        let found = verify_consistency(case.size1, case.size2, old, new, &proof);
        score.judge(&mut report, &case.file, case.want_err, found);
    }
    bar.inc(1);
    for case in read::<Vec<Inclusion>>(path, "subtreeinclusion")? {
        let (root, proof) = (hash(&case.root)?, hashes(case.proof.as_deref())?);
        let found = leaf(&case.leaf_hash).and_then(|leaf| {
            let subtree = Subtree::new(case.start, case.end)?;
            verify_subtree_inclusion(subtree, case.leaf_idx, leaf, &proof, root)
        });
        score.judge(&mut report, &case.file, case.want_err, found);
    }
    bar.inc(1);
    for case in read::<Vec<Consistency>>(path, "subtreeconsistency")? {
        let (node, root, proof) = (hash(&case.root1)?, hash(&case.root2)?, hashes(case.proof.as_deref())?);
        let found = Subtree::new(case.start, case.end)
            .and_then(|subtree| verify_subtree_consistency(subtree, case.size, node, root, &proof));
        score.judge(&mut report, &case.file, case.want_err, found);
    }
    bar.inc(1);
    for (what, (good, all)) in [("accepted", score.accepted), ("refused", score.refused)] {
        report.notes.push(format!("{good} of {all} vectors that must be {what} are"));
        if good != all || all == 0 {
            report.missed.push(format!("not every vector that must be {what} is"));
        }
    }
    if !report.failed.is_empty() && report.missed.is_empty() {
        report.missed.push("a root is not the one of the RFC".to_owned());
    }
    Ok(report)
}

fn roots(vectors: &Roots, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let mut tree = Frontier::new();
    let mut found = vec![empty_root()];
    for leaf in &vectors.leaf_inputs_hex {
        tree.append(leaf_hash(&unhex(leaf)?));
        found.push(tree.root());
    }
    if found.len() != vectors.root_hash_hex_by_size.len() {
        return Err("there must be one root more than leaves".into());
    }
    for (size, (found, wanted)) in found.iter().zip(&vectors.root_hash_hex_by_size).enumerate() {
        let right = found.to_string() == *wanted;
        report.case((!right).then(|| format!("the root of {size} leaves is {found}, not {wanted}")));
    }
    Ok(())
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path, name: &str) -> Result<T, Box<dyn Error>> {
    let path = path.join(name).with_extension("json");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

fn hashes(proof: Option<&[String]>) -> Result<Vec<Hash>, Box<dyn Error>> {
    proof.unwrap_or_default().iter().map(|text| hash(text)).collect()
}

/// A leaf hash in base 64; bytes of another length are none, and are refused before anything is computed.
fn leaf(text: &str) -> Result<Hash, ProofError> {
    let bytes = super::cel::base64(text);
    Hash::from_slice(&bytes).ok_or(ProofError::Malformed { length: bytes.len() })
}

/// A root or the hash of a proof in base 64. Some vectors have too few bytes for one, which nothing that is computed equals:
/// filled up with zeros they equal nothing either, and whether they are looked at at all is part of the vector.
fn hash(text: &str) -> Result<Hash, Box<dyn Error>> {
    let mut bytes = super::cel::base64(text);
    if bytes.len() > Hash::LEN {
        return Err(format!("`{text}` is longer than a hash").into());
    }
    bytes.resize(Hash::LEN, 0);
    Hash::from_slice(&bytes).ok_or_else(|| "no hash".into())
}

fn unhex(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    if !odd.is_empty() {
        return Err(format!("`{text}` has an odd number of digits").into());
    }
    let byte = |pair: &[u8; 2]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    pairs.iter().map(byte).collect()
}

//! Merkle trees: appending, proving and verifying, beside ct-merkle, on a million small leaves.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench ends at a fault, and prints what it measures"
)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use guardian_audit::checkpoint::{KeyRing, SealedCheckpoint, Signer};
use guardian_audit::merkle::{
    Frontier, Hash, ProofPlan, Tile, TileId, TileSet, Tree, leaf_hash, node_hash, verify_consistency,
    verify_inclusion,
};
use guardian_audit::verify::{Leaf, Verifier};
use sha2::Sha256;

/// How many leaves the trees have.
const SIZE: u64 = 1_000_000;

/// A small leaf, of 48 bytes.
fn leaf(index: u64) -> [u8; 48] {
    let mut bytes = [b'.'; 48];
    bytes[..8].copy_from_slice(&index.to_be_bytes());
    bytes
}

/// Places all over the tree, without a pattern.
fn places() -> impl Iterator<Item = u64> {
    (0_u64..).map(|step| step.wrapping_mul(0x9e37_79b9_7f4a_7c15) % SIZE)
}

/// The hashes of each level of tiles, as a store keeps them.
fn tiles() -> Vec<Vec<Hash>> {
    let mut levels = vec![Vec::new(); 3];
    let mut frontier = Frontier::new();
    for index in 0..SIZE {
        frontier.append_with(leaf_hash(&leaf(index)), |node, hash| {
            if node.level.is_multiple_of(Tile::HEIGHT) {
                levels[usize::from(node.level / Tile::HEIGHT)].push(hash);
            }
        });
    }
    levels
}

fn from_tiles(levels: &[Vec<Hash>], plan: &ProofPlan) -> Vec<Hash> {
    let mut set = TileSet::new();
    for id in TileId::of_all(plan.nodes()) {
        let level = &levels[usize::from(id.level)];
        let from = usize::try_from(id.index).unwrap_or(0) * Tile::WIDTH;
        let end = level.len().min(from + Tile::WIDTH);
        set.insert(Tile::new(id, level[from..end].to_vec()).expect("a tile"));
    }
    plan.assemble(&set.hashes(plan.nodes()).expect("the tiles")).expect("the hashes")
}

fn append(c: &mut Criterion) {
    const LEAVES: u64 = 10_000;
    let mut group = c.benchmark_group("append_10k_leaves");
    group.throughput(Throughput::Elements(LEAVES));
    group.bench_function("guardian:frontier", |b| {
        b.iter_batched_ref(
            Frontier::new,
            |frontier| (0..LEAVES).for_each(|index| frontier.append(leaf_hash(&leaf(index)))),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("guardian", |b| {
        b.iter_batched_ref(
            Tree::new,
            |tree| (0..LEAVES).for_each(|index| tree.append(leaf_hash(&leaf(index)))),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("vs/ct-merkle", |b| {
        b.iter_batched_ref(
            MemoryBackedTree::<Sha256, [u8; 48]>::new,
            |tree| (0..LEAVES).for_each(|index| tree.push(leaf(index))),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn prove_and_verify(c: &mut Criterion) {
    let mut tree = Tree::new();
    let mut peer = MemoryBackedTree::<Sha256, [u8; 48]>::new();
    for index in 0..SIZE {
        tree.append(leaf_hash(&leaf(index)));
        peer.push(leaf(index));
    }
    let root = tree.root();
    let peer_root = peer.root();
    assert_eq!(root.as_bytes()[..], peer_root.as_bytes()[..], "both trees have one root");

    let mut group = c.benchmark_group("prove_inclusion_1m");
    let mut at = places();
    group.bench_function("guardian", |b| {
        b.iter(|| tree.prove_inclusion(at.next().unwrap_or(0), SIZE));
    });
    let levels = tiles();
    let mut at = places();
    group.bench_function("guardian:tiles", |b| {
        b.iter(|| {
            let plan = ProofPlan::inclusion(at.next().unwrap_or(0), SIZE).expect("a place in the tree");
            from_tiles(&levels, &plan)
        });
    });
    let mut at = places().map(|place| usize::try_from(place).unwrap_or(0));
    group.bench_function("vs/ct-merkle", |b| b.iter(|| peer.prove_inclusion(at.next().unwrap_or(0))));
    group.finish();

    let mut group = c.benchmark_group("verify_inclusion_1m");
    let chosen: Vec<u64> = places().take(256).collect();
    let proofs: Vec<_> =
        chosen.iter().map(|at| tree.prove_inclusion(*at, SIZE).expect("a place in the tree")).collect();
    let longest = proofs.iter().map(|proof| proof.hashes.len()).max().unwrap_or(0);
    println!("measure audit_merkle/inclusion_proof_1m hashes {longest} hashes");
    let mut next = (0..proofs.len()).cycle();
    group.bench_function("guardian", |b| {
        b.iter(|| {
            let proof = &proofs[next.next().unwrap_or(0)];
            verify_inclusion(proof.index, SIZE, leaf_hash(&leaf(proof.index)), &proof.hashes, root)
                .expect("it holds");
        });
    });
    let theirs: Vec<_> =
        chosen.iter().map(|at| peer.prove_inclusion(usize::try_from(*at).unwrap_or(0))).collect();
    let mut next = (0..theirs.len()).cycle();
    group.bench_function("vs/ct-merkle", |b| {
        b.iter(|| {
            let at = next.next().unwrap_or(0);
            peer_root.verify_inclusion(&leaf(chosen[at]), chosen[at], &theirs[at]).expect("it holds");
        });
    });
    group.finish();

    let mut group = c.benchmark_group("prove_and_verify_consistency_1m");
    let mut at = places();
    group.bench_function("guardian", |b| {
        b.iter(|| {
            let old = at.next().unwrap_or(0).max(1);
            let proof = tree.prove_consistency(old, SIZE).expect("a smaller tree");
            let old_root = tree.root_at(old).expect("a smaller tree");
            verify_consistency(old, SIZE, old_root, root, &proof.hashes).expect("it holds");
        });
    });
    group.finish();
}

fn whole_log(c: &mut Criterion) {
    use guardian_audit::canonical;
    use guardian_audit::checkpoint::{Checkpoint, Ed25519Signer};
    use guardian_core::{Clock, ManualClock, TenantId};

    /// So many events of the length of a CRM's, a tenth of a million; the time is linear.
    const EVENTS: u64 = 100_000;
    let (acme, now) = (TenantId::from(7), ManualClock::new().now());
    let records: Vec<Vec<u8>> = (0..EVENTS)
        .map(|sequence| {
            let mut record = canonical::heading(&acme, sequence, now);
            record.resize(559, b'.');
            record
        })
        .collect();
    let hashes: Vec<Hash> = records.iter().map(|record| leaf_hash(record)).collect();
    let signer = Ed25519Signer::from_seed("bench/1", &[1; 32]).expect("a name");
    let mut frontier = Frontier::new();
    let mut chain: Vec<SealedCheckpoint> = Vec::new();
    for these in hashes.chunks(1_000) {
        frontier.append_all(these);
        let previous = chain.last().map(|last| last.checkpoint().hash());
        let checkpoint =
            Checkpoint::new(acme.clone(), frontier.size(), frontier.root(), previous, now).expect("a time");
        chain.push(SealedCheckpoint::signed(checkpoint, &signer).expect("a key"));
    }
    let ring = KeyRing::new().accept(signer.verifying_key().clone());
    let mut group = c.benchmark_group("verify_log_100k");
    group.sample_size(10).throughput(Throughput::Elements(EVENTS));
    group.bench_function("guardian", |b| {
        b.iter(|| {
            let mut verifier = Verifier::new(acme.clone(), &ring).with_checkpoints(chain.iter().cloned());
            for (sequence, (record, hash)) in (0..).zip(records.iter().zip(&hashes)) {
                verifier.push(Leaf::new(sequence, *hash, record));
            }
            let report = verifier.finish();
            assert!(report.is_intact() && report.proven == EVENTS);
        });
    });
    group.finish();
}

fn hashing(c: &mut Criterion) {
    let mut group = c.benchmark_group("hash");
    let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
    group.bench_function("guardian:node", |bench| bench.iter(|| node_hash(black_box(&a), black_box(&b))));
    let small = leaf(7);
    group.bench_function("guardian:leaf_48", |bench| bench.iter(|| leaf_hash(black_box(&small))));
    group.finish();
}

criterion_group!(benches, hashing, append, prove_and_verify, whole_log);
criterion_main!(benches);

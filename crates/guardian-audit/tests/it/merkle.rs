//! The tree against the definitions of RFC 6962 and of the draft on subtrees, written down as they stand there.

use guardian_audit::merkle::{
    ConsistencyProof, Cover, Frontier, Hash, InclusionProof, NodeId, ProofPlan, Selection, Subtree, Tile,
    TileId, TileSet, Tree, empty_root, leaf_hash, node_hash, root_of_inclusion, verify_consistency,
    verify_inclusion, verify_subtree_consistency, verify_subtree_inclusion,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// `MTH` of RFC 6962, section 2.1.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(below(more.len()));
            node_hash(&mth(left), &mth(right))
        }
    }
}

/// The largest power of two smaller than `n`.
fn below(n: usize) -> usize {
    let mut k = 1;
    while 2 * k < n {
        k *= 2;
    }
    k
}

/// `PATH` of RFC 6962, section 2.1.1.
fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = below(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, beside) =
        if m < k { (path(m, left), mth(right)) } else { (path(m - k, right), mth(left)) };
    proof.push(beside);
    proof
}

/// `SUBTREE_SUBPROOF` of the draft, section 4.3.1.
fn subproof(start: usize, end: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    let n = leaves.len();
    if (start, end) == (0, n) {
        return if whole { Vec::new() } else { vec![mth(leaves)] };
    }
    let k = below(n);
    let (left, right) = leaves.split_at(k);
    let (mut proof, beside) = if end <= k {
        (subproof(start, end, left, whole), mth(right))
    } else if k <= start {
        (subproof(start - k, end - k, right, whole), mth(left))
    } else {
        (subproof(0, end - k, right, false), mth(left))
    };
    proof.push(beside);
    proof
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|index| leaf_hash(format!("event {index}").as_bytes())).collect()
}

fn tree(leaves: &[Hash]) -> Tree {
    let mut tree = Tree::new();
    leaves.iter().for_each(|leaf| tree.append(*leaf));
    tree
}

fn u(value: usize) -> u64 {
    value as u64
}

fn at(index: u64) -> usize {
    usize::try_from(index).unwrap()
}

/// The subtrees that a tree of `n` leaves has.
fn subtrees(n: usize) -> Vec<Subtree> {
    let bounds = (0..=n).flat_map(|start| (start..=n).map(move |end| (start, end)));
    bounds.filter_map(|(start, end)| Subtree::new(u(start), u(end)).ok()).collect()
}

#[test]
fn every_proof_of_small_trees_is_that_of_the_definitions() {
    const MOST: usize = 40;
    let all = leaves(MOST);
    let tree = tree(&all);
    assert_eq!(Tree::new().root(), mth(&[]));
    for n in 0..=MOST {
        let these = &all[..n];
        let root = mth(these);
        assert_eq!(tree.root_at(u(n)), Some(root));
        for m in 0..n {
            let proof = tree.prove_inclusion(u(m), u(n)).unwrap();
            assert_eq!(proof.hashes, path(m, these));
            proof.verify(all[m], root).unwrap();
            let old = tree.prove_consistency(u(m), u(n)).unwrap();
            if m == 0 {
                assert!(old.hashes.is_empty() && old.verify(empty_root(), root).is_err());
            } else {
                assert_eq!(old.hashes, subproof(0, m, these, true));
                old.verify(mth(&all[..m]), root).unwrap();
            }
        }
        tree.prove_consistency(u(n), u(n)).unwrap().verify(root, root).unwrap();
        for subtree in subtrees(n) {
            let (start, end) = (at(subtree.start()), at(subtree.end()));
            let inner = mth(&all[start..end]);
            let proof = tree.prove(&ProofPlan::subtree_consistency(subtree, u(n)).unwrap()).unwrap();
            if start < end {
                assert_eq!(proof, subproof(start, end, these, true), "{subtree} of {n}");
            }
            verify_subtree_consistency(subtree, u(n), inner, root, &proof).unwrap();
            for index in start..end {
                let plan = ProofPlan::subtree_inclusion(subtree, u(index)).unwrap();
                let proof = tree.prove(&plan).unwrap();
                assert_eq!(proof, path(index - start, &all[start..end]));
                assert_eq!(proof.len(), plan.proof_len());
                verify_subtree_inclusion(subtree, u(index), all[index], &proof, inner).unwrap();
            }
        }
    }
}

#[test]
fn a_subtree_is_what_the_draft_says() {
    for start in 0..200_u64 {
        for end in 0..200_u64 {
            let valid = start <= end && start.is_multiple_of((end - start).next_power_of_two());
            assert_eq!(Subtree::new(start, end).is_ok(), valid, "[{start}, {end})");
        }
    }
    let half = 1 << 63;
    assert!(Subtree::new(0, half + 1).is_ok() && Subtree::new(0, u64::MAX).is_ok());
    assert!(Subtree::new(half, u64::MAX).is_ok() && Subtree::new(1, half + 2).is_err());
}

#[test]
fn two_subtrees_cover_any_range_tightly() {
    for start in 0..80_u64 {
        for end in start..80_u64 {
            let (left, right) = Subtree::covering(start, end).unwrap();
            assert_eq!(left.end(), right.start());
            assert!(left.start() <= start && right.end() == end);
            if start < end {
                assert!(start - left.start() < left.end() - start, "[{start}, {end}): {left} {right}");
            }
        }
    }
    assert!(Subtree::covering(2, 1).is_err());
    let (left, right) = Subtree::covering(u64::MAX - 3, u64::MAX).unwrap();
    assert_eq!((left.size(), right.size()), (2, 1));
}

#[test]
fn sizes_at_the_end_of_the_scale_are_handled() {
    let hash = leaf_hash(b"");
    for size in [u64::MAX, u64::MAX - 1, (1 << 63) + 1, 1 << 63, (1 << 63) - 1] {
        let plan = ProofPlan::inclusion(size - 1, size).unwrap();
        assert!(plan.proof_len() <= 64);
        let hashes = vec![hash; plan.nodes().len()];
        let proof = plan.assemble(&hashes).unwrap();
        let root = root_of_inclusion(size - 1, size, hash, &proof).unwrap();
        verify_inclusion(size - 1, size, hash, &proof, root).unwrap();
        let plan = ProofPlan::consistency(size / 3, size).unwrap();
        assert!(plan.proof_len() <= 65);
        let proof = plan.assemble(&vec![hash; plan.nodes().len()]).unwrap();
        assert!(verify_consistency(size / 3, size, hash, hash, &proof).is_err());
        assert!(TileId::of_all(plan.nodes()).iter().all(|tile| tile.width(size) > 0));
    }
    let mut full = Frontier::from_parts(u64::MAX, vec![hash; 64]).unwrap();
    let before = full.clone();
    full.append(hash);
    assert!(full == before && !full.append_subtree(0, hash) && !full.append_subtree(64, hash));
}

#[test]
fn nodes_cover_a_range_without_gap_and_are_as_large_as_can_be() {
    for start in 0..70_u64 {
        for end in 0..70_u64 {
            let nodes: Vec<NodeId> = Cover::new(start, end).collect();
            let mut at = start;
            for node in &nodes {
                assert_eq!(node.start(), at);
                at += node.width();
            }
            assert_eq!(at, end.max(start));
            // Two neighbours never are the children of one node.
            assert!(nodes.windows(2).all(|pair| pair[0].level != pair[1].level || pair[0].index & 1 == 1));
        }
    }
    assert_eq!(Cover::new(1, u64::MAX).count(), 126);
}

#[test]
fn bytes_that_are_no_proof_and_no_edge_are_refused() {
    let proof = tree(&leaves(9)).prove_inclusion(4, 9).unwrap();
    let bytes = proof.to_bytes();
    assert_eq!(InclusionProof::from_bytes(&bytes).unwrap(), proof);
    for cut in 0..bytes.len() {
        if cut < 16 || !(cut - 16).is_multiple_of(32) {
            assert!(InclusionProof::from_bytes(&bytes[..cut]).is_err());
            assert!(ConsistencyProof::from_bytes(&bytes[..cut]).is_err());
        }
    }
    assert!(InclusionProof::from_bytes(&vec![0; 16 + 66 * 32]).is_err());
    let edge = Frontier::from_parts(6, leaves(2)).unwrap().to_bytes();
    for cut in 0..edge.len() {
        assert!(Frontier::from_bytes(&edge[..cut]).is_err());
    }
    assert!(Frontier::from_parts(6, leaves(3)).is_err());
}

#[test]
fn hashes_have_one_spelling() {
    let hash = leaf_hash(b"x");
    let text = hash.to_string();
    assert_eq!(text.parse::<Hash>(), Ok(hash));
    assert_eq!(serde_json::from_str::<Hash>(&serde_json::to_string(&hash).unwrap()).unwrap(), hash);
    for wrong in [
        text.trim_end_matches(|_| true),
        text.strip_prefix(|_: char| true).unwrap(),
        &text.to_uppercase(),
        &format!("{text}0"),
        "",
        &"é".repeat(32),
    ] {
        assert!(wrong.parse::<Hash>().is_err(), "{wrong}");
    }
}

/// What a store keeps: the hashes of each level of tiles.
fn tiled(all: &[Hash]) -> Vec<Vec<Hash>> {
    let mut levels: Vec<Vec<Hash>> = vec![Vec::new(); 8];
    let mut frontier = Frontier::new();
    for leaf in all {
        frontier.append_with(*leaf, |node, hash| {
            if node.level.is_multiple_of(Tile::HEIGHT) {
                levels[usize::from(node.level / Tile::HEIGHT)].push(hash);
            }
        });
    }
    levels
}

fn read(levels: &[Vec<Hash>], size: u64, nodes: &[NodeId]) -> TileSet {
    let mut set = TileSet::new();
    for id in TileId::of_all(nodes) {
        let from = at(id.index) * Tile::WIDTH;
        let hashes = &levels[usize::from(id.level)][from..from + id.width(size)];
        let tile = Tile::new(id, hashes.to_vec()).unwrap();
        if tile.hashes().len() == Tile::WIDTH {
            assert_eq!(tile.root(), Some(levels[usize::from(id.level) + 1][at(id.index)]));
        }
        set.insert(tile);
    }
    set
}

#[test]
fn a_proof_reads_a_handful_of_tiles() {
    const SIZE: usize = 70_000;
    let all = leaves(SIZE);
    let (tree, levels) = (tree(&all), tiled(&all));
    let root = tree.root();
    for index in (0..SIZE).step_by(97).chain([SIZE - 1]) {
        let plan = ProofPlan::inclusion(u(index), u(SIZE)).unwrap();
        let tiles = read(&levels, u(SIZE), plan.nodes());
        assert!(tiles.len() <= 5 && !tiles.is_empty());
        let proof = plan.assemble(&tiles.hashes(plan.nodes()).unwrap()).unwrap();
        assert!(proof.len() <= 17);
        verify_inclusion(u(index), u(SIZE), all[index], &proof, root).unwrap();
    }
    // With the edge at hand, there is a tile for each level and no more.
    for index in [0, 1, 4711, SIZE / 2, SIZE - 1] {
        let plan = ProofPlan::inclusion(u(index), u(SIZE)).unwrap();
        let mut tiles = TileSet::new().with_frontier(tree.frontier());
        let missing = tiles.missing(plan.nodes());
        assert!(missing.len() <= 3);
        for id in missing {
            let from = at(id.index) * Tile::WIDTH;
            tiles.insert(
                Tile::new(id, levels[usize::from(id.level)][from..from + id.width(u(SIZE))].to_vec())
                    .unwrap(),
            );
        }
        assert!(tiles.missing(plan.nodes()).is_empty());
        let proof = plan.assemble(&tiles.hashes(plan.nodes()).unwrap()).unwrap();
        verify_inclusion(u(index), u(SIZE), all[index], &proof, root).unwrap();
    }
    let plan = ProofPlan::consistency(1000, u(SIZE)).unwrap();
    assert!(TileSet::new().hashes(plan.nodes()).is_err());
    assert!(Tile::new(TileId { level: 0, index: 0 }, leaves(257)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_edge_has_the_root_of_the_definition(count in 0_usize..600, split in any::<Index>()) {
        let all = leaves(count);
        let mut frontier = Frontier::new();
        let (first, second) = all.split_at(split.index(count + 1));
        frontier.append_all(first);
        let mut frontier = Frontier::from_bytes(&frontier.to_bytes()).unwrap();
        frontier.append_all(second);
        prop_assert_eq!(frontier.size(), u(count));
        prop_assert_eq!(frontier.root(), mth(&all));
        let cover: Vec<Hash> = Cover::new(0, u(count))
            .map(|node| mth(&all[at(node.start())..at(node.start() + node.width())]))
            .collect();
        prop_assert_eq!(frontier.roots(), cover);
    }

    #[test]
    fn what_is_altered_does_not_verify(count in 1_usize..300, index in any::<Index>(), old in any::<Index>(),
            bit in any::<Index>(), kind in 0..7) {
        let all = leaves(count);
        let tree = tree(&all);
        let (index, old) = (index.index(count), old.index(count) + 1);
        let (root, old_root) = (tree.root(), tree.root_at(u(old)).unwrap());
        let mut inclusion = tree.prove_inclusion(u(index), u(count)).unwrap();
        let mut consistency = tree.prove_consistency(u(old), u(count)).unwrap();
        let flip = |hashes: &mut Vec<Hash>| {
            if hashes.is_empty() {
                hashes.push(root);
            } else {
                let bit = bit.index(hashes.len() * 256);
                let mut bytes = *hashes[bit / 256].as_bytes();
                bytes[bit % 256 / 8] ^= 1 << (bit % 8);
                hashes[bit / 256] = Hash::new(bytes);
            }
        };
        match kind {
            0 => { flip(&mut inclusion.hashes); flip(&mut consistency.hashes); }
            1 => { inclusion.hashes.push(root); consistency.hashes.push(root); }
            2 => { inclusion.hashes.insert(0, root); consistency.hashes.insert(0, root); }
            3 => {
                if inclusion.hashes.pop().is_none() { inclusion.size += 1; }
                if consistency.hashes.pop().is_none() { consistency.new += 1; }
            }
            4 => { inclusion.index += 1; consistency.old += 1; }
            5 => { inclusion.size = inclusion.index; consistency.new = consistency.old - 1; }
            _ => { inclusion.index = u64::MAX; consistency.old = 0; }
        }
        // A proof for one place can hold in the next only where the next has the same leaf, which it never has here.
        prop_assert!(inclusion.verify(all[index], root).is_err());
        prop_assert!(consistency.verify(old_root, root).is_err());
    }

    #[test]
    fn anything_may_be_verified(index in any::<u64>(), size in any::<u64>(), other in any::<u64>(),
            hashes in vec(any::<[u8; 32]>(), 0..70)) {
        let hashes: Vec<Hash> = hashes.into_iter().map(Hash::new).collect();
        let hash = leaf_hash(b"");
        let _ = verify_inclusion(index, size, hash, &hashes, hash);
        let _ = verify_consistency(index, size, hash, hash, &hashes);
        if let Ok(subtree) = Subtree::new(index, size) {
            let _ = verify_subtree_inclusion(subtree, other, hash, &hashes, hash);
            let _ = verify_subtree_consistency(subtree, other, hash, hash, &hashes);
        }
        let _ = ProofPlan::consistency(index, size).map(|plan| plan.assemble(&hashes));
        let _ = ProofPlan::inclusion(index, size).map(|plan| plan.assemble(&hashes));
    }

    #[test]
    fn a_selection_proves_what_it_names(count in 1_usize..2000, chosen in vec(any::<Index>(), 0..40),
            spoil in any::<Option<(Index, Index)>>()) {
        let all = leaves(count);
        let (tree, levels) = (tree(&all), tiled(&all));
        let chosen: std::collections::BTreeSet<usize> = chosen.iter().map(|index| index.index(count)).collect();
        // The prover.
        let mut prover = Selection::new(u(count));
        let mut proof = Vec::new();
        for index in &chosen {
            let gap: Vec<NodeId> = prover.gap(u(*index)).unwrap().collect();
            let hashes = read(&levels, u(count), &gap).hashes(&gap).unwrap();
            for (node, hash) in gap.iter().zip(hashes) {
                prop_assert_eq!(tree.node(*node), Some(hash));
                proof.push(hash);
                prover.skip(*node, hash).unwrap();
            }
            prover.leaf(all[*index]).unwrap();
        }
        for node in prover.rest() {
            proof.push(tree.node(node).unwrap());
            prover.skip(node, tree.node(node).unwrap()).unwrap();
        }
        prop_assert_eq!(prover.root(), Some(tree.root()));
        // Never more than the paths one by one.
        let paths: usize = chosen.iter().map(|index| path(*index, &all).len()).sum();
        prop_assert!(proof.len() <= paths.max(Cover::new(0, u(count)).count()) + 12);
        // The verifier, with a byte that was altered or not.
        let mut known: Vec<Hash> = chosen.iter().map(|index| all[*index]).collect();
        if let Some((which, byte)) = &spoil {
            let total = known.len() + proof.len();
            let which = which.index(total);
            let hash = if which < known.len() { &mut known[which] } else { &mut proof[which - chosen.len()] };
            let mut bytes = *hash.as_bytes();
            bytes[byte.index(32)] ^= 1;
            *hash = Hash::new(bytes);
        }
        let mut verifier = Selection::new(u(count));
        let mut proof = proof.into_iter();
        for (index, leaf) in chosen.iter().zip(known) {
            for node in verifier.gap(u(*index)).unwrap() {
                verifier.skip(node, proof.next().unwrap()).unwrap();
            }
            verifier.leaf(leaf).unwrap();
            prop_assert!(verifier.gap(u(*index)).is_err());
        }
        for node in verifier.rest() {
            verifier.skip(node, proof.next().unwrap()).unwrap();
        }
        prop_assert!(verifier.leaf(all[0]).is_err() && verifier.gap(u(count)).is_err());
        prop_assert_eq!(verifier.root() == Some(tree.root()), spoil.is_none());
    }
}

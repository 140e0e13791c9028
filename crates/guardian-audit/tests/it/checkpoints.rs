//! Checkpoints, their seals and their chain.

use std::time::Duration;

use chrono::TimeDelta;
use guardian_audit::checkpoint::{
    Checkpoint, CheckpointChain, CheckpointFault, CheckpointPolicy, Ed25519Signer, EvolvingKey, KeyRing,
    MasterKey, Notary, Seal, SealKind, SealState, SealedCheckpoint, Signer, Standing, VerifyingKey,
};
use guardian_audit::merkle::{Tree, empty_root, leaf_hash};
use guardian_core::{Clock, ManualClock, TenantId, Timestamp};
use proptest::prelude::*;

fn acme() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn now() -> Timestamp {
    ManualClock::new().now()
}

fn signer(seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed("audit.example.com/1", &[seed; 32]).unwrap()
}

fn master() -> MasterKey {
    MasterKey::new("audit.example.com/mac", &[3; 32]).unwrap()
}

fn ring() -> KeyRing {
    KeyRing::new().accept(signer(1).verifying_key().clone()).accept_evolving(master())
}

fn empty() -> Checkpoint {
    Checkpoint::new(acme(), 0, empty_root(), None, now()).unwrap()
}

/// What the format is, for good. The codes were computed by another program.
#[test]
fn the_format_stays_as_it_is() {
    let text = "guardian-audit.v1/acme\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nprevious none\n\
                time 2020-01-01T00:00:00.000000Z\n";
    assert_eq!(empty().text(), text);
    let mut key = master().begin(&acme());
    for line in EVOLVING {
        let sealed = SealedCheckpoint::new(empty(), key.seal(text.as_bytes()));
        assert_eq!(sealed.note(), format!("{text}\n{line}\n"));
    }
}

const EVOLVING: [&str; 2] = [
    "— audit.example.com/mac SjsCbwAAAAAAAAAAPkK7sTgXB+wyu2PiW+xBjUufDo9IWt0GmPpRDscL2QY=",
    "— audit.example.com/mac SjsCbwAAAAAAAAABpzmx37TgB2MBAxxscKUZnTnQB1Fv5uhkK9w1kbI3C6E=",
];

#[test]
fn keys_of_other_programs_are_read() {
    // The key of Go's checksum database.
    let text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let key: VerifyingKey = text.parse().unwrap();
    assert_eq!(
        (key.id().name(), key.id().hash(), key.to_string().as_str()),
        ("sum.golang.org", 0x033d_e0ae, text)
    );
    for wrong in [
        "sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "sum.golang.com+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "sum.golang.org+033DE0AE+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "sum.golang.org+033de0ae+As4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuA==",
        "+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "sum.golang.org",
        "",
    ] {
        assert!(wrong.parse::<VerifyingKey>().is_err(), "{wrong}");
    }
    // The neutral element of the curve, for which anything verifies under lax rules.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    assert!(VerifyingKey::from_bytes("weak", &neutral).is_err());
}

#[test]
fn a_note_has_one_form_and_no_byte_of_it_may_change() {
    let sealed = SealedCheckpoint::signed(empty(), &signer(1)).unwrap();
    let note = sealed.note();
    assert_eq!(SealedCheckpoint::parse(&note), Ok(sealed.clone()));
    let ring = ring();
    for at in 0..note.len() {
        for bit in 0..8 {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let Ok(altered) = String::from_utf8(bytes) else { continue };
            if let Ok(altered) = SealedCheckpoint::parse(&altered) {
                let standing = ring.checker().check(&altered);
                assert!(!matches!(standing, Standing::Signed(_)), "byte {at}, bit {bit}: {standing:?}");
            }
        }
        assert!(SealedCheckpoint::parse(note.get(..at).unwrap_or_default()).is_err());
    }
    for (from, to) in
        [("time ", "time  "), ("\n0\n", "\n00\n"), ("\n0\n", "\n+0\n"), ("\n", "\r\n"), ("Z\n", "+00:00\n")]
    {
        assert!(SealedCheckpoint::parse(&note.replacen(from, to, 1)).is_err(), "{to:?}");
    }
}

#[test]
fn a_witness_may_add_a_seal_and_a_false_one_spoils_the_note() {
    let sealed = SealedCheckpoint::signed(empty(), &signer(1)).unwrap();
    let stranger = Ed25519Signer::from_seed("witness.example.org/1", &[8; 32]).unwrap();
    let signature = stranger.sign(empty().text().as_bytes()).unwrap();
    let witnessed = sealed.with_seal(Seal::signature(stranger.verifying_key(), &signature));
    let witnessed = SealedCheckpoint::parse(&witnessed.note()).unwrap();
    assert!(matches!(ring().checker().check(&witnessed), Standing::Signed(_)));
    let knows_both = ring().accept(stranger.verifying_key().clone());
    assert!(matches!(knows_both.checker().check(&witnessed), Standing::Signed(_)));
    let spoiled = witnessed.with_seal(Seal::signature(stranger.verifying_key(), &[1; 64]));
    assert!(matches!(knows_both.checker().check(&spoiled), Standing::Forged(_)));
    assert!(matches!(ring().checker().check(&spoiled), Standing::Signed(_)));
    assert_eq!(KeyRing::new().checker().check(&spoiled), Standing::Unknown);
}

#[test]
fn a_retired_key_signs_nothing_new() {
    let ring = KeyRing::new().accept_until(signer(1).verifying_key().clone(), now() + TimeDelta::hours(1));
    let at = |time| {
        let checkpoint = Checkpoint::new(acme(), 0, empty_root(), None, time).unwrap();
        ring.checker().check(&SealedCheckpoint::signed(checkpoint, &signer(1)).unwrap())
    };
    assert!(matches!(at(now()), Standing::Signed(_)));
    assert!(matches!(at(now() + TimeDelta::hours(1)), Standing::Retired(_)));
}

#[test]
fn an_evolved_key_cannot_seal_the_past() {
    let mut key = master().begin(&acme());
    let text = empty().text();
    let seals: Vec<Seal> = (0..5).map(|_| key.seal(text.as_bytes())).collect();
    let ring = ring();
    let mut checker = ring.checker();
    for (generation, seal) in (0..).zip(&seals) {
        let standing = checker.check(&SealedCheckpoint::new(empty(), seal.clone()));
        assert_eq!(standing, Standing::Sealed(master().id().clone(), generation));
    }
    // In any order, too.
    for (generation, seal) in (0..).zip(&seals).collect::<Vec<_>>().into_iter().rev() {
        let standing = checker.check(&SealedCheckpoint::new(empty(), seal.clone()));
        assert_eq!(standing, Standing::Sealed(master().id().clone(), generation));
    }
    // What somebody can do who takes the state of the fifth generation: name an earlier one.
    let stolen = EvolvingKey::from_bytes("audit.example.com/mac", &*key.to_bytes()).unwrap();
    assert_eq!((stolen.generation(), stolen.id()), (5, master().id()));
    for generation in 0..5_u64 {
        let mut state = *key.to_bytes();
        state[4..12].copy_from_slice(&generation.to_be_bytes());
        let mut thief = EvolvingKey::from_bytes("audit.example.com/mac", &state).unwrap();
        let forged = SealedCheckpoint::new(empty(), thief.seal(text.as_bytes()));
        assert!(matches!(checker.check(&forged), Standing::Forged(_)));
    }
    // Another tenant's key seals nothing here.
    let mut other = master().begin(&TenantId::new("evil").unwrap());
    let forged = SealedCheckpoint::new(empty(), other.seal(text.as_bytes()));
    assert!(matches!(checker.check(&forged), Standing::Forged(_)));
    for length in [0, 43, 45] {
        assert!(EvolvingKey::from_bytes("audit.example.com/mac", &vec![0; length]).is_err());
    }
    assert!(!format!("{key:?} {:?}", master()).contains("03, 03"), "secrets do not show");
}

#[test]
fn a_forger_cannot_make_a_verifier_work_for_ever() {
    let ring = KeyRing::new().accept_evolving(master().with_limit(1_000));
    let mut checker = ring.checker();
    for generation in [u64::MAX, 1 << 40, 999, 998, 997, 1] {
        let mut state = *master().begin(&acme()).to_bytes();
        state[4..12].copy_from_slice(&generation.to_be_bytes());
        let mut key = EvolvingKey::from_bytes("audit.example.com/mac", &state).unwrap();
        let forged = SealedCheckpoint::new(empty(), key.seal(empty().text().as_bytes()));
        assert!(matches!(checker.check(&forged), Standing::Forged(_)));
    }
}

#[test]
fn the_notary_seals_when_it_is_time() {
    let policy = CheckpointPolicy::default()
        .with_signatures(100, Duration::from_secs(60))
        .with_seals(10, Duration::from_secs(5));
    let notary = Notary::new(signer(1), policy);
    let clock = ManualClock::new();
    let mut state = SealState::new(acme()).with_evolving(master().begin(&acme()));
    let seal = |state: &mut SealState, size: u64, clock: &ManualClock| {
        let kind = notary.due(state, size, clock.now())?;
        let root = leaf_hash(&size.to_be_bytes());
        notary.seal(state, kind, size, root, clock.now()).unwrap();
        Some(kind)
    };
    assert_eq!(seal(&mut state, 0, &clock), None);
    assert_eq!(seal(&mut state, 9, &clock), None);
    assert_eq!(seal(&mut state, 10, &clock), Some(SealKind::Evolving));
    assert_eq!(seal(&mut state, 11, &clock), None);
    clock.advance(Duration::from_secs(5));
    assert_eq!(seal(&mut state, 11, &clock), Some(SealKind::Evolving));
    clock.advance(Duration::from_secs(5));
    assert_eq!(seal(&mut state, 11, &clock), None, "nothing is new");
    assert_eq!(seal(&mut state, 99, &clock), Some(SealKind::Evolving));
    assert_eq!(seal(&mut state, 100, &clock), Some(SealKind::Signature));
    clock.advance(Duration::from_secs(600));
    assert_eq!(seal(&mut state, 100, &clock), None, "nothing is new");
    assert_eq!(seal(&mut state, 101, &clock), Some(SealKind::Signature));
    // Without an evolving key there are signatures alone.
    let mut plain = SealState::new(acme());
    assert_eq!(seal(&mut plain, 50, &clock), None);
    clock.advance(Duration::from_secs(60));
    assert_eq!(seal(&mut plain, 50, &clock), Some(SealKind::Signature));
}

#[test]
fn a_clock_that_is_set_back_does_not_set_checkpoints_back() {
    let notary = Notary::new(signer(1), CheckpointPolicy::default());
    let mut state = SealState::new(acme());
    let ring = ring();
    let mut chain = CheckpointChain::new(acme(), &ring);
    let mut last = None;
    for (size, time) in [(1, now()), (2, now() - TimeDelta::days(400)), (3, now() + TimeDelta::seconds(1))] {
        let root = leaf_hash(&[size]);
        let sealed = notary.seal(&mut state, SealKind::Signature, size.into(), root, time).unwrap();
        chain.push(&sealed).unwrap();
        last = Some(sealed);
    }
    // The state can be made anew from what was stored.
    let again = SealState::new(acme()).after(last.unwrap().checkpoint(), true);
    assert_eq!(again.sealed_size(), 3);
    assert_eq!(chain.signed(), 3);
    let centuries = Checkpoint::new(acme(), 1, empty_root(), None, now() + TimeDelta::days(3_000_000));
    assert!(centuries.is_err());
}

/// A chain over a tree of 40 leaves.
fn chain() -> (Tree, Vec<SealedCheckpoint>) {
    let mut tree = Tree::new();
    (0..40_u8).for_each(|event| tree.append(leaf_hash(&[event])));
    let notary = Notary::new(signer(1), CheckpointPolicy::default());
    let mut state = SealState::new(acme()).with_evolving(master().begin(&acme()));
    let mut time = now();
    let sealed = [0_u64, 7, 7, 16, 31, 40].into_iter().enumerate().map(|(place, size)| {
        time += TimeDelta::seconds(1);
        let kind = if place % 3 == 2 { SealKind::Signature } else { SealKind::Evolving };
        notary.seal(&mut state, kind, size, tree.root_at(size).unwrap(), time).unwrap()
    });
    let sealed = sealed.collect();
    (tree, sealed)
}

#[test]
fn a_chain_is_followed_with_and_without_proofs() {
    let (tree, sealed) = chain();
    let ring = ring();
    let mut plain = CheckpointChain::new(acme(), &ring);
    let mut proven = CheckpointChain::new(acme(), &ring);
    for checkpoint in &sealed {
        plain.push(checkpoint).unwrap();
        let old = proven.last().map_or(0, Checkpoint::size);
        let proof = tree.prove_consistency(old, checkpoint.checkpoint().size()).unwrap();
        proven.push_proven(checkpoint, &proof.hashes).unwrap();
    }
    assert_eq!((plain.signed(), plain.sealed(), plain.unjudged()), (2, 4, 0));
    assert_eq!(proven.trusted().map(Checkpoint::size), Some(40));
    // Before the first one there is nothing to prove.
    let mut first = CheckpointChain::new(acme(), &ring);
    assert!(first.push_proven(&sealed[3], &[empty_root()]).is_err());
    // A proof of something else does not do.
    let mut wrong = CheckpointChain::new(acme(), &ring);
    wrong.push(&sealed[3]).unwrap();
    let proof = tree.prove_consistency(7, 31).unwrap();
    assert!(matches!(wrong.push_proven(&sealed[4], &proof.hashes), Err(CheckpointFault::Inconsistent(_))));
}

#[test]
fn what_is_wrong_with_a_chain_is_said() {
    let (_, sealed) = chain();
    let ring = ring();
    let run = |order: &[usize]| -> Option<CheckpointFault> {
        let mut chain = CheckpointChain::new(acme(), &ring);
        order.iter().find_map(|place| chain.push(&sealed[*place]).err())
    };
    assert_eq!(run(&[0, 1, 2, 3, 4, 5]), None);
    assert_eq!(run(&[2, 3, 4]), None, "a part of a chain is one");
    assert_eq!(run(&[0, 2]), Some(CheckpointFault::Unlinked));
    assert_eq!(run(&[0, 1, 1]), Some(CheckpointFault::Unlinked));
    assert_eq!(run(&[1, 0]), Some(CheckpointFault::Unlinked));
    // Linked, and still wrong.
    let last = sealed[5].checkpoint();
    let after = |size, root, time, key: &Ed25519Signer| {
        let next = Checkpoint::new(acme(), size, root, Some(last.hash()), time).unwrap();
        let mut chain = CheckpointChain::new(acme(), &ring);
        chain.push(&sealed[5]).unwrap();
        chain.push(&SealedCheckpoint::signed(next, key).unwrap()).unwrap_err()
    };
    let (root, later) = (last.root(), last.time() + TimeDelta::seconds(1));
    assert!(matches!(after(39, root, later, &signer(1)), CheckpointFault::Shrunk { size: 39, before: 40 }));
    assert!(matches!(after(41, root, now(), &signer(1)), CheckpointFault::BackInTime { .. }));
    assert!(matches!(after(40, empty_root(), later, &signer(1)), CheckpointFault::Inconsistent(_)));
    assert!(matches!(after(41, root, later, &signer(2)), CheckpointFault::Unsigned));
    let foreign = Checkpoint::new(TenantId::new("evil").unwrap(), 0, empty_root(), None, now()).unwrap();
    let foreign = SealedCheckpoint::signed(foreign, &signer(1)).unwrap();
    let found = CheckpointChain::new(acme(), &ring).push(&foreign);
    assert!(matches!(found, Err(CheckpointFault::ForeignTenant { .. })));
    // A seal of a generation that was used before: the state was copied.
    let mut key = master().begin(&acme());
    let mut chain = CheckpointChain::new(acme(), &ring);
    let first = SealedCheckpoint::new(empty(), key.clone().seal(empty().text().as_bytes()));
    chain.push(&first).unwrap();
    let second = Checkpoint::new(acme(), 1, root, Some(empty().hash()), now()).unwrap();
    let seal = key.seal(second.text().as_bytes());
    let fault = chain.push(&SealedCheckpoint::new(second, seal));
    assert!(matches!(fault, Err(CheckpointFault::Generation { generation: 0, before: 0 })));
}

proptest! {
    #[test]
    fn checkpoints_come_back(tenant in "[A-Za-z0-9_:-][A-Za-z0-9._:-]{1,63}", size in any::<u64>(), root in any::<[u8; 32]>(),
            previous in any::<Option<[u8; 32]>>(), micros in -62_167_219_200_000_000_i64..253_402_300_800_000_000) {
        let time = chrono::DateTime::from_timestamp_micros(micros).unwrap();
        let tenant = TenantId::new(tenant).unwrap();
        let checkpoint = Checkpoint::new(tenant, size, root.into(), previous.map(Into::into), time).unwrap();
        prop_assert!(checkpoint.text().len() <= Checkpoint::MAX_LEN);
        prop_assert_eq!(Checkpoint::parse(&checkpoint.text()), Ok(checkpoint));
    }

    #[test]
    fn any_text_is_read(text in "\\PC{0,200}", tail in "[ -~\\n—]{0,300}") {
        let _ = SealedCheckpoint::parse(&text);
        let _ = text.parse::<VerifyingKey>();
        let _ = SealedCheckpoint::parse(&format!("{}\n{tail}", empty().text()));
    }
}

//! Checkpoints: what a tenant's log was at some moment, sealed so that nobody rewrites it later unseen.
//!
//! A [`Checkpoint`] names the tenant, the size and root of its tree, the checkpoint before and the time. It is written as
//! a C2SP [tlog-checkpoint](https://c2sp.org/tlog-checkpoint) within a [signed note](https://c2sp.org/signed-note): text
//! that people can read and that the tools of transparency logs verify.
//!
//! ```text
//! guardian-audit.v1/acme
//! 1000
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//! previous 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
//! time 2026-03-01T12:00:00.000000Z
//!
//! — audit.example.com/2026 Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
//! ```
//!
//! Two sorts of seals end a note. A **signature** (Ed25519, RFC 8032) convinces everybody who has the public key, and
//! costs a tenth of a millisecond. A **message authentication code** under a key that evolves ([`EvolvingKey`]) costs a
//! microsecond and convinces who has the first key, which is kept off the host; whoever breaks into the host later finds
//! the present key alone, from which earlier ones do not follow. A [`Notary`] seals by both, as a [`CheckpointPolicy`]
//! says, a [`Sealer`] does so for logs as they grow, and a [`CheckpointChain`] verifies.

mod body;
mod chain;
mod evolving;
mod key;
mod notary;
mod note;
mod ring;
mod sealer;
mod signer;

pub use body::{Checkpoint, InvalidCheckpoint};
pub use chain::{CheckpointChain, CheckpointFault};
pub use evolving::{EvolvingKey, MasterKey};
pub use key::{InvalidKey, KeyId, VerifyingKey};
pub use notary::{CheckpointPolicy, Notary, NotaryError, SealKind, SealState};
pub use note::{Seal, SealedCheckpoint};
pub use ring::{KeyRing, SealChecker, Standing};
pub use sealer::Sealer;
pub use signer::{Ed25519Signer, SignError, Signer};

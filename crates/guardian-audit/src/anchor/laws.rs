//! The laws that every anchor must obey, to run against your own; outside of semantic versioning.
//!
//! ```
//! use guardian_audit::anchor::{MemoryAnchor, laws};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! laws::obeys(&MemoryAnchor::new()).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use chrono::TimeDelta;
use guardian_core::{Clock, ManualClock, Scope, StoreErrorKind, TenantId};

use super::{Anchor, Anchored};
use crate::checkpoint::{Checkpoint, Ed25519Signer, SealedCheckpoint};
use crate::merkle::leaf_hash;

/// How an anchor broke a law.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(Violation(format!($($why)+)));
        }
    };
}

fn failed(error: impl std::fmt::Debug) -> Violation {
    Violation(format!("the anchor failed: {error:?}"))
}

/// A checkpoint that is as good as any: of so many events, over a root that depends on `variant`.
fn checkpoint(tenant: &TenantId, size: u64, variant: u8) -> Result<SealedCheckpoint, Violation> {
    let signer = Ed25519Signer::from_seed("laws.example.com/1", &[1; 32]).map_err(failed)?;
    let time = ManualClock::new().now() + TimeDelta::seconds(i64::try_from(size).unwrap_or(0));
    let previous = (size > 1).then(|| leaf_hash(b"before"));
    let checkpoint =
        Checkpoint::new(tenant.clone(), size, leaf_hash(&[variant]), previous, time).map_err(failed)?;
    SealedCheckpoint::signed(checkpoint, &signer).map_err(failed)
}

/// Whether a fresh anchor obeys the contract of [`Anchor`]. It anchors for the tenants `laws-a` and `laws-b`.
///
/// # Errors
/// The first law that is broken.
pub async fn obeys(anchor: &dyn Anchor) -> Result<(), Violation> {
    let (a, b) = (TenantId::new("laws-a").map_err(failed)?, TenantId::new("laws-b").map_err(failed)?);
    let (ours, theirs) = (Scope::system(a.clone()), Scope::system(b.clone()));
    ensure!(!anchor.name().is_empty(), "an anchor has a name");
    ensure!(anchor.latest(&ours).await.map_err(failed)?.is_none(), "a fresh anchor keeps something");

    // What is kept comes back, with its seals, and only there.
    let first = checkpoint(&a, 10, 1)?;
    ensure!(
        anchor.publish(&ours, &first).await.map_err(failed)? == Anchored::Kept,
        "the first one was not kept"
    );
    ensure!(
        anchor.latest(&ours).await.map_err(failed)? == Some(first.clone()),
        "it did not come back as it was"
    );
    ensure!(anchor.latest(&theirs).await.map_err(failed)?.is_none(), "another tenant sees it");

    // Again is no change.
    let again = anchor.publish(&ours, &first).await.map_err(failed)?;
    ensure!(again == Anchored::Known, "the same again is {again:?}");

    // Forward only.
    let second = checkpoint(&a, 20, 2)?;
    ensure!(
        anchor.publish(&ours, &second).await.map_err(failed)? == Anchored::Kept,
        "a later one was not kept"
    );
    let behind = anchor.publish(&ours, &first).await.map_err(failed)?;
    ensure!(behind == Anchored::Behind(Box::new(second.clone())), "an older one is {behind:?}");
    let differs = anchor.publish(&ours, &checkpoint(&a, 20, 3)?).await.map_err(failed)?;
    ensure!(differs == Anchored::Differs(Box::new(second.clone())), "another one of the size is {differs:?}");
    ensure!(anchor.latest(&ours).await.map_err(failed)? == Some(second), "a refusal changed what is kept");

    // Each tenant by itself, smaller or not.
    let other = checkpoint(&b, 1, 9)?;
    ensure!(anchor.publish(&theirs, &other).await.map_err(failed)? == Anchored::Kept, "tenants meet");
    ensure!(
        anchor.latest(&theirs).await.map_err(failed)? == Some(other),
        "the other tenant's did not come back"
    );
    let foreign = anchor.publish(&theirs, &checkpoint(&a, 30, 4)?).await;
    let refused = foreign.as_ref().is_err_and(|error| error.kind() == StoreErrorKind::Constraint);
    ensure!(refused, "a checkpoint of another tenant is {foreign:?}");

    // A heartbeat: nothing was added, and the checkpoint is a new one.
    let beat = {
        let latest = anchor.latest(&ours).await.map_err(failed)?;
        let latest = latest.ok_or_else(|| Violation("what was kept is gone".to_owned()))?;
        let is = latest.checkpoint();
        let time = is.time() + TimeDelta::hours(1);
        let next = Checkpoint::new(a.clone(), is.size(), is.root(), Some(is.hash()), time).map_err(failed)?;
        let signer = Ed25519Signer::from_seed("laws.example.com/1", &[1; 32]).map_err(failed)?;
        SealedCheckpoint::signed(next, &signer).map_err(failed)?
    };
    ensure!(
        anchor.publish(&ours, &beat).await.map_err(failed)? == Anchored::Kept,
        "a heartbeat was not kept"
    );
    ensure!(anchor.latest(&ours).await.map_err(failed)? == Some(beat), "a heartbeat did not come back");
    Ok(())
}

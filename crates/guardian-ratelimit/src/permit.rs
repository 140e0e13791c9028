use std::fmt;

use guardian_core::{Clock, TenantId};

use crate::store::{Release, Store};
use crate::{Decision, Error, Limiter};

/// The identity of a held permit: 128 random bits.
///
/// ```
/// use guardian_ratelimit::PermitId;
///
/// assert_eq!(PermitId::from_u128(0xff).to_string(), "000000000000000000000000000000ff");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermitId(u128);

impl PermitId {
    /// The permit with this number.
    #[must_use]
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for PermitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for PermitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PermitId({self})")
    }
}

/// What [`Limiter::acquire`] gives: the decision and, if it is allowed, the permit to hold while the work goes on.
#[derive(Debug)]
#[must_use = "dropping the permit ends it"]
#[non_exhaustive]
pub struct Admission<S: Store, C: Clock> {
    /// What was decided.
    pub decision: Decision,
    /// The permit, if the request is allowed.
    pub permit: Option<Permit<S, C>>,
}

/// Work in progress that counts against concurrency limits until this is dropped, or released, or its rule's time
/// is over.
///
/// Dropping it ends the permit at once in memory; a store behind a network is told in the background, as far as
/// there is a runtime to do so, and the permit's time ends it otherwise. [`release`](Self::release) waits for the
/// answer.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use guardian_core::TenantId;
/// use guardian_ratelimit::{Limit, Limiter, Policy};
///
/// let limiter = Limiter::in_memory();
/// let exports = limiter.define(Policy::new("exports", "1 concurrent for 10min")?)?;
/// let acme = TenantId::from(1);
///
/// let first = limiter.acquire(&acme, &[Limit::whole(exports)]).await?;
/// assert!(first.permit.is_some());
/// assert!(limiter.acquire(&acme, &[Limit::whole(exports)]).await?.decision.is_denied());
///
/// drop(first.permit);
/// assert!(limiter.acquire(&acme, &[Limit::whole(exports)]).await?.decision.is_allowed());
/// # Ok::<(), guardian_ratelimit::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "dropping the permit ends it"]
pub struct Permit<S: Store, C: Clock> {
    limiter: Limiter<S, C>,
    release: Option<Release>,
}

impl<S: Store, C: Clock> Permit<S, C> {
    pub(crate) fn new(limiter: Limiter<S, C>, release: Release) -> Self {
        Self { limiter, release: Some(release) }
    }

    /// The tenant whose limits it counts against; `None` in the shared realm.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        self.release.as_ref().and_then(|release| release.tenant.as_ref())
    }

    /// Lets go of a permit that the store has not given.
    pub(crate) fn forget(mut self) {
        self.release = None;
    }

    /// Ends the permit and waits until the store knows.
    ///
    /// # Errors
    /// When the store fails; the permit's time ends it then.
    pub async fn release(mut self) -> Result<(), Error> {
        match self.release.take() {
            Some(release) => self.limiter.release(release).await,
            None => Ok(()),
        }
    }
}

impl<S: Store, C: Clock> Drop for Permit<S, C> {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            self.limiter.release_detached(release);
        }
    }
}

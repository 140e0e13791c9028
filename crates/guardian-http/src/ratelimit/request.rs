use arrayvec::ArrayVec;
use guardian_core::Clock;
use guardian_ratelimit::store::Store;
use guardian_ratelimit::{Decision, Error, Limit, Limiter, Realm, Rule};
use http::StatusCode;
use http::request::Parts;

use super::body::Held;
use super::by::tenant;
use super::layer::{Config, Entry, OnMissing};
use super::{By, Key};

/// What a request must be checked against.
pub(super) struct Asked<'r> {
    pub(super) realm: Realm<'r>,
    pub(super) counted: ArrayVec<Counted<'r>, { Limiter::MAX_LIMITS }>,
    cost: u32,
}

/// One limit that applies to the request, and whom it counts.
pub(super) struct Counted<'r> {
    pub(super) entry: &'r Entry,
    pub(super) key: Key<'r>,
}

/// The request lacks what a limit counts by, and is to be refused for it.
pub(super) struct Missing {
    pub(super) status: StatusCode,
    pub(super) what: &'static str,
}

impl<'r> Asked<'r> {
    /// No limits yet, of a request that costs so much.
    pub(super) fn new(realm: Realm<'r>, cost: u32) -> Self {
        Self { realm, counted: ArrayVec::new(), cost }
    }

    /// Whose limits apply to a request, and what it costs; `None` when none does.
    pub(super) fn begin<S, C>(
        config: &Config<S, C>,
        request: &'r Parts,
    ) -> Result<Option<(Realm<'r>, u32)>, Missing> {
        let cost = config.cost.as_ref().map_or(1, |cost| cost(request));
        if cost == 0 {
            return Ok(None);
        }
        let realm = match (config.tenants, tenant(request)) {
            (None, _) | (Some(OnMissing::Together), None) => Realm::Shared,
            (Some(_), Some(tenant)) => Realm::Tenant(tenant),
            (Some(OnMissing::Skip), None) => return Ok(None),
            (Some(OnMissing::Refuse(status)), None) => {
                return Err(Missing { status, what: "tenant" });
            }
        };
        Ok(Some((realm, cost)))
    }

    /// Finds whom each limit counts.
    pub(super) fn find<S, C>(&mut self, config: &'r Config<S, C>, request: &'r Parts) -> Result<(), Missing> {
        for entry in &config.entries {
            let key = match &entry.by {
                None => Some(Key::Whole),
                Some((by, on_missing)) => Self::key(by, *on_missing, request)?,
            };
            if let Some(key) = key {
                // A layer has no more of them than there is room for.
                let _ = self.counted.try_push(Counted { entry, key });
            }
        }
        Ok(())
    }

    fn key(by: &By, on_missing: OnMissing, request: &'r Parts) -> Result<Option<Key<'r>>, Missing> {
        match (by.find(request), on_missing) {
            (Some(key), _) => Ok(Some(key)),
            (None, OnMissing::Skip) => Ok(None),
            (None, OnMissing::Together) => Ok(Some(Key::of_missing())),
            (None, OnMissing::Refuse(status)) => Err(Missing { status, what: by.what() }),
        }
    }

    /// Asks the limiter, if it need not wait.
    pub(super) fn decide_at_once<S: Store, C: Clock>(&self, config: &Config<S, C>) -> Option<Decision> {
        if self.holds_permits() {
            return None;
        }
        config.limiter.check_at_once(self.realm, &self.limits(), config.limiter.clock().monotonic())
    }

    fn holds_permits(&self) -> bool {
        self.counted.iter().any(|one| one.entry.holds_permits)
    }

    fn limits(&self) -> ArrayVec<Limit<'_>, { Limiter::MAX_LIMITS }> {
        self.counted
            .iter()
            .map(|one| Limit::of(one.entry.policy, one.key.as_subject()).cost(one.cost(self.cost)))
            .collect()
    }

    /// What was found in the request, to be kept without it.
    pub(super) fn keep(self) -> Kept {
        let is_shared = matches!(self.realm, Realm::Shared);
        let keys = self.counted.into_iter().map(|one| (one.entry.place, one.key.into_owned())).collect();
        Kept { is_shared, keys, cost: self.cost }
    }

    /// Asks the limiter. A permit comes with it where a limit is about concurrency.
    pub(super) async fn decide<S: Store, C: Clock>(
        &self,
        config: &Config<S, C>,
    ) -> Result<(Decision, Option<Box<dyn Held>>), Error> {
        let limits = self.limits();
        if self.holds_permits() {
            let admission = config.limiter.acquire(self.realm, &limits).await?;
            let permit = admission.permit.map(|permit| Box::new(permit) as Box<dyn Held>);
            return Ok((admission.decision, permit));
        }
        let now = config.limiter.clock().monotonic();
        Ok((config.limiter.check_at(self.realm, &limits, now).await?, None))
    }

    /// The rule that holds for this limit and this subject now.
    pub(super) fn rule<S: Store, C: Clock>(
        &self,
        config: &Config<S, C>,
        counted: &Counted<'_>,
    ) -> Option<Rule> {
        let subject = counted.key.as_subject();
        config.limiter.effective_rule(counted.entry.policy, self.realm, subject)
    }
}

/// What a request must be checked against, beside the request and the layer.
pub(super) struct Kept {
    is_shared: bool,
    /// Which limit, and whom it counts.
    keys: Vec<(usize, Key<'static>)>,
    cost: u32,
}

impl Kept {
    /// What it was made of; `None` for another request or another layer.
    pub(super) fn asked<'r, S, C>(
        &'r self,
        config: &'r Config<S, C>,
        request: &'r Parts,
    ) -> Option<Asked<'r>> {
        let realm = if self.is_shared { Realm::Shared } else { Realm::Tenant(tenant(request)?) };
        let counted = |(place, key): &'r (usize, Key<'static>)| {
            Some(Counted { entry: config.entries.get(*place)?, key: key.borrowed() })
        };
        let counted = self.keys.iter().map(counted).collect::<Option<_>>()?;
        Some(Asked { realm, counted, cost: self.cost })
    }
}

impl Counted<'_> {
    fn cost(&self, cost: u32) -> u32 {
        if self.entry.holds_permits { 1 } else { cost }
    }
}

use guardian_core::{Clock, MonoTime};
use guardian_ratelimit::store::Store;
use guardian_ratelimit::{Decision, Error, Limit, Realm, Rule};
use http::StatusCode;
use http::request::Parts;

use super::body::Held;
use super::by::tenant;
use super::layer::{Config, Entry, OnMissing};
use super::{By, Key};

/// What a request must be checked against.
pub(super) struct Asked<'r> {
    pub(super) realm: Realm<'r>,
    pub(super) counted: Vec<Counted<'r>>,
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
    /// The limits of a request; `None` when none applies.
    pub(super) fn of<S, C>(config: &'r Config<S, C>, request: &'r Parts) -> Result<Option<Self>, Missing> {
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
        let mut counted = Vec::with_capacity(config.entries.len());
        for entry in &config.entries {
            let key = match &entry.by {
                None => Some(Key::Whole),
                Some((by, on_missing)) => Self::key(by, *on_missing, request)?,
            };
            counted.extend(key.map(|key| Counted { entry, key }));
        }
        Ok((!counted.is_empty()).then_some(Self { realm, counted, cost }))
    }

    fn key(by: &By, on_missing: OnMissing, request: &'r Parts) -> Result<Option<Key<'r>>, Missing> {
        match (by.find(request), on_missing) {
            (Some(key), _) => Ok(Some(key)),
            (None, OnMissing::Skip) => Ok(None),
            (None, OnMissing::Together) => Ok(Some(Key::of_missing())),
            (None, OnMissing::Refuse(status)) => Err(Missing { status, what: by.what() }),
        }
    }

    /// Asks the limiter. A permit comes with it where a limit is about concurrency.
    pub(super) async fn decide<S: Store, C: Clock>(
        &self,
        config: &Config<S, C>,
    ) -> Result<(Decision, Option<Box<dyn Held>>), Error> {
        let limits: Vec<Limit<'_>> = self
            .counted
            .iter()
            .map(|one| Limit::of(one.entry.policy, one.key.as_subject()).cost(one.cost(self.cost)))
            .collect();
        if self.counted.iter().any(|one| one.entry.holds_permits) {
            let admission = config.limiter.acquire(self.realm, &limits).await?;
            let permit = admission.permit.map(|permit| Box::new(permit) as Box<dyn Held>);
            return Ok((admission.decision, permit));
        }
        let now: MonoTime = config.limiter.clock().monotonic();
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

impl Counted<'_> {
    fn cost(&self, cost: u32) -> u32 {
        if self.entry.holds_permits { 1 } else { cost }
    }
}

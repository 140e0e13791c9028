//! What is limited, and for whom.

use std::error::Error;

use axum::http::StatusCode;
use axum::http::request::Parts;
use guardian::core::{Scope, StoreError, TenantId};
use guardian::http::{By, LayerError, OnMissing, RateLimitLayer};
use guardian::ratelimit;
use guardian::ratelimit::{Decision, Limit, Limiter, MemoryStore, Policy, PolicyId, Rule, Subject};
use guardian::sql::{Database, params};
use serde_json::{Value, json};

use crate::addresses;

/// The limiter and its policies. Tenants without a plan of their own get the rules that are written here; the rules of
/// the others are in the database, and so survive a restart. What they have used is counted in memory.
pub(crate) struct Limits {
    db: Database,
    limiter: Limiter<MemoryStore>,
    per_address: PolicyId,
    per_org: PolicyId,
    per_endpoint: PolicyId,
    per_key: PolicyId,
}

impl Limits {
    /// The limits with the rules that these tenants have of their own.
    pub(crate) async fn load(
        db: Database,
        tenants: impl IntoIterator<Item = TenantId>,
    ) -> Result<Self, Box<dyn Error>> {
        let limiter = Limiter::in_memory();
        let limits = Self {
            db,
            // Generous, since offices share an address; it is there for those who have no key and guess.
            per_address: limiter.define(Policy::new("per-address", "50/s burst 200")?)?,
            per_org: limiter.define(Policy::new("per-org", "120/min burst 40")?)?,
            per_endpoint: limiter.define(Policy::new("per-endpoint", "60/min burst 20")?)?,
            // No key may use up what its organisation has.
            per_key: limiter.define(Policy::new("per-key", "1/s burst 10")?)?,
            limiter,
        };
        for tenant in tenants {
            limits.load_rules(&tenant).await?;
        }
        Ok(limits)
    }

    async fn load_rules(&self, tenant: &TenantId) -> Result<(), Box<dyn Error>> {
        let mut tx = self.db.begin_read(&Scope::system(tenant.clone())).await?;
        let sql = "SELECT policy, rule FROM limit_rules WHERE tenant_id = $1";
        for row in tx.fetch_all(sql, params![tenant]).await? {
            let (policy, rule): (String, String) = (row.get("policy")?, row.get("rule")?);
            self.limiter.set_override(self.of_tenants(&policy)?, tenant, Some(rule.parse()?))?;
        }
        Ok(())
    }

    /// In front of authentication nothing is known but the address, so guessing keys is limited too.
    pub(crate) fn before_auth(&self) -> Result<RateLimitLayer<MemoryStore>, LayerError> {
        let by_address = By::client_addr(addresses::proxies());
        RateLimitLayer::shared(&self.limiter)
            .limit(self.per_address, by_address, OnMissing::Refuse(StatusCode::SERVICE_UNAVAILABLE))
            .build()
    }

    /// Behind authentication the tenant's limits are decided together: a request that its key may not make is not
    /// charged to its organisation either.
    pub(crate) fn after_auth(&self) -> Result<RateLimitLayer<MemoryStore>, LayerError> {
        let limiter = self.limiter.clone();
        RateLimitLayer::per_tenant(&self.limiter, OnMissing::Refuse(StatusCode::UNAUTHORIZED))
            .whole(self.per_org)
            .limit(self.per_endpoint, By::route(), OnMissing::Together)
            .limit(self.per_key, By::api_key(), OnMissing::Skip)
            .on_decision(move |request, decision| tell_of_denial(&limiter, request, decision))
            .build()
    }

    /// The rules that hold for a tenant now, and what is left of its own limit.
    pub(crate) async fn of_tenant(&self, tenant: &TenantId) -> Result<Value, Box<dyn Error>> {
        let rules = self.limiter.policies().filter(|(id, _)| *id != self.per_address);
        let rules: serde_json::Map<String, Value> = rules
            .filter_map(|(id, policy)| {
                let rule = self.limiter.effective_rule(id, tenant, Subject::Whole)?;
                Some((policy.name().to_string(), rule.to_string().into()))
            })
            .collect();
        // A peek charges nothing and tells what would be left after a request, so the request is added again.
        let decision = self.limiter.peek(tenant, &[Limit::whole(self.per_org)]).await?;
        let left = decision.binding().map(|outcome| outcome.remaining() + u32::from(outcome.admits()));
        Ok(json!({ "tenant": tenant.as_str(), "rules": rules, "per-org-remaining": left }))
    }

    /// Gives a tenant a rule of its own, from its next request on, or the default rule again. What it has used so far
    /// stays used. The rule is stored first: what an operator was told holds after a crash too.
    pub(crate) async fn set_rule(
        &self,
        policy: &str,
        tenant: &TenantId,
        rule: Option<Rule>,
    ) -> Result<(), ratelimit::Error> {
        let id = self.of_tenants(policy)?;
        // What the limiter refuses is not stored: a policy keeps its algorithm.
        let algorithm = |rule: &Rule| std::mem::discriminant(&rule.algorithm());
        let default = self.limiter.policy(id).map(|policy| algorithm(policy.rule()));
        if rule.is_none_or(|rule| Some(algorithm(&rule)) == default) {
            self.store_rule(policy, tenant, rule).await?;
        }
        self.limiter.set_override(id, tenant, rule)
    }

    /// The limiter behind it all.
    pub(crate) fn limiter(&self) -> Limiter<MemoryStore> {
        self.limiter.clone()
    }

    pub(crate) async fn store_rule(
        &self,
        policy: &str,
        tenant: &TenantId,
        rule: Option<Rule>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin(&Scope::system(tenant.clone())).await?;
        if let Some(rule) = rule {
            let sql = "INSERT INTO limit_rules (tenant_id, policy, rule) VALUES ($1, $2, $3) \
                       ON CONFLICT (tenant_id, policy) DO UPDATE SET rule = excluded.rule";
            tx.execute(sql, params![tenant, policy, rule.to_string()]).await?;
        } else {
            let sql = "DELETE FROM limit_rules WHERE tenant_id = $1 AND policy = $2";
            tx.execute(sql, params![tenant, policy]).await?;
        }
        tx.commit().await
    }

    /// A policy by its name, of those that tenants may have rules of their own for.
    fn of_tenants(&self, policy: &str) -> Result<PolicyId, ratelimit::Error> {
        let unknown = || ratelimit::Error::UnknownPolicy { policy: policy.to_owned() };
        self.limiter.find(policy).filter(|id| *id != self.per_address).ok_or_else(unknown)
    }
}

/// Where a real host counts metrics and emits events, this one writes a line.
#[expect(clippy::print_stdout, reason = "the terminal is this demo's log")]
fn tell_of_denial(limiter: &Limiter<MemoryStore>, request: &Parts, decision: &Decision) {
    for outcome in decision.outcomes().iter().filter(|outcome| outcome.denies()) {
        let name = limiter.policy(outcome.policy()).map_or("?", |policy| policy.name().as_str());
        println!("denied by {name}: {} {}", request.method, request.uri.path());
    }
}

//! Rate limits: which rules hold for a tenant, what is left of them, and rules of a tenant's own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::State;
use guardian_core::{StoreError, TenantId, shorten};
use guardian_ratelimit::store::Store;
use guardian_ratelimit::{Error, Limit, Limiter, Mode, PolicyId, Rule, Subject};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::caller::tenant_id;
use super::{Api, Caller, Json, Kind, Listed, Operation, OperatorCaller, PathParam};
use crate::Problem;

/// Where rules of a tenant's own are kept, so that they hold after a restart (the limiter itself forgets them), and what operators
/// did, with their reasons. Each call comes before the limiter changes.
#[async_trait]
pub trait RuleBook: fmt::Debug + Send + Sync + 'static {
    /// Keeps a rule for each of the named policies, or with `None` forgets the one that is kept: all, or none.
    ///
    /// # Errors
    /// When they cannot be kept; then nothing changes.
    async fn keep(
        &self,
        operator: &OperatorCaller,
        tenant: &TenantId,
        rules: &[(&str, Option<Rule>)],
    ) -> Result<(), StoreError>;

    /// Notes that the tenant's counter is made as good as new.
    ///
    /// # Errors
    /// When it cannot be noted; then nothing changes.
    async fn note_reset(
        &self,
        operator: &OperatorCaller,
        tenant: &TenantId,
        policy: &str,
    ) -> Result<(), StoreError>;
}

/// A rule book that keeps nothing: rules hold until the process ends, and nobody knows who made them.
#[derive(Debug, Clone, Copy)]
pub struct Forgetful;

#[async_trait]
impl RuleBook for Forgetful {
    async fn keep(
        &self,
        _: &OperatorCaller,
        _: &TenantId,
        _: &[(&str, Option<Rule>)],
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn note_reset(&self, _: &OperatorCaller, _: &TenantId, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The operations on rate limits: permission `rate-limits:read`, and for the platform's operators what changes them.
pub fn api<S: Store>(limiter: Limiter<S>, book: impl RuleBook) -> Api {
    let limits = Operation::new("listRateLimits", "The tenant's rate limits")
        .takes("rate-limits:read")
        .answers::<Listed<RateLimit>>(
            StatusCode::OK,
            "All limits.",
            json!({"items": [example()], "next": null}),
        );
    let limit = Operation::new("readRateLimit", "One rate limit")
        .takes("rate-limits:read")
        .path("policy", POLICY, "per-org")
        .answers::<RateLimit>(StatusCode::OK, "The limit.", example());
    let others = Operation::new("listRateLimitsOfTenant", "The rate limits of any tenant")
        .of_the_platform(false)
        .path("tenant", "The tenant.", "acme")
        .answers::<Listed<RateLimit>>(
            StatusCode::OK,
            "All limits.",
            json!({"items": [example()], "next": null}),
        );
    let put = Operation::new("putRateLimitRule", "Give a tenant a rule of its own")
        .about("It holds from the next request on that the process gets which answers; others hear of it from the host. What was used stays \
             used. A policy keeps its algorithm.")
        .of_the_platform(true)
        .path("tenant", "The tenant.", "acme")
        .path("policy", POLICY, "per-org")
        .body::<NewRule>(json!({"rule": "1000/min burst 200"}))
        .may(Kind::Unprocessable)
        .answers::<RateLimit>(StatusCode::OK, "The limit as it is now.", example());
    let put_all = Operation::new("putRateLimitRules", "Give a tenant several rules of its own")
        .about("A rule that is null takes the tenant's own away; limits that are not named stay as they are. At most 100. They are changed \
                all or none.")
        .of_the_platform(true)
        .path("tenant", "The tenant.", "acme")
        .body::<NewRules>(json!({"rules": {"per-org": "1000/min burst 200", "per-key": null}}))
        .may(Kind::Unprocessable)
        .answers::<Listed<RateLimit>>(
            StatusCode::OK,
            "All limits as they are now.",
            json!({"items": [example()], "next": null}),
        );
    let remove = Operation::new("removeRateLimitRule", "Take a tenant's own rule away")
        .of_the_platform(true)
        .path("tenant", "The tenant.", "acme")
        .path("policy", POLICY, "per-org")
        .answers::<RateLimit>(StatusCode::OK, "The limit as it is now.", example());
    let reset = Operation::new("resetRateLimit", "Make a tenant's counter as good as new")
        .of_the_platform(true)
        .path("tenant", "The tenant.", "acme")
        .path("policy", POLICY, "per-org")
        .answers_nothing(StatusCode::NO_CONTENT, "It is.");
    Api::new("rate-limits", "How often a tenant may ask.")
        .get("/rate-limits", limits, list::<S>)
        .get("/rate-limits/{policy}", limit, read::<S>)
        .get("/platform/tenants/{tenant}/rate-limits", others, list_of_tenant::<S>)
        .put("/platform/tenants/{tenant}/rate-limits", put_all, put_rules::<S>)
        .put("/platform/tenants/{tenant}/rate-limits/{policy}", put, put_rule::<S>)
        .delete("/platform/tenants/{tenant}/rate-limits/{policy}", remove, remove_rule::<S>)
        .post("/platform/tenants/{tenant}/rate-limits/{policy}/reset", reset, reset_limit::<S>)
        .with_state(Reached { limiter, book: Arc::new(book), changing: Arc::default() })
}

const POLICY: &str = "The name of the limit's policy.";

/// What the handlers reach.
#[derive(Debug)]
struct Reached<S: Store> {
    limiter: Limiter<S>,
    book: Arc<dyn RuleBook>,
    /// Held from the book's change to the limiter's, so that both end with the same rule.
    changing: Arc<Mutex<()>>,
}

impl<S: Store> Clone for Reached<S> {
    fn clone(&self) -> Self {
        Self {
            limiter: self.limiter.clone(),
            book: Arc::clone(&self.book),
            changing: Arc::clone(&self.changing),
        }
    }
}

/// One limit, as it holds for a tenant.
#[derive(Debug, Serialize, ToSchema)]
struct RateLimit {
    /// The name of the policy.
    policy: String,
    /// The rule that holds now.
    rule: String,
    /// The rule that tenants without one of their own have.
    default_rule: String,
    /// The most at once.
    limit: u32,
    /// What is left of the tenant's limit as a whole; null for one that counts something else only, and after a change while the
    /// counters cannot be reached.
    remaining: Option<u32>,
    /// A dry run denies nothing.
    dry_run: bool,
}

fn example() -> Value {
    json!({
        "policy": "per-org", "rule": "1000/min burst 200", "default_rule": "120/min burst 40",
        "limit": 200, "remaining": 180, "dry_run": false,
    })
}

/// A rule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRule {
    /// As `1000/min burst 200`.
    #[schema(max_length = 256)]
    rule: String,
}

/// Several rules.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRules {
    /// For each policy, by its name, a rule as `1000/min burst 200`, or null for none of the tenant's own.
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    rules: BTreeMap<String, Option<String>>,
}

async fn list<S: Store>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
) -> Result<Json<Listed<RateLimit>>, Problem> {
    all(&reached.limiter, scope.tenant()).await
}

async fn list_of_tenant<S: Store>(
    State(reached): State<Reached<S>>,
    _: OperatorCaller,
    PathParam(tenant): PathParam<String>,
) -> Result<Json<Listed<RateLimit>>, Problem> {
    all(&reached.limiter, &tenant_id(&tenant)?).await
}

async fn read<S: Store>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(policy): PathParam<String>,
) -> Result<Json<RateLimit>, Problem> {
    one(&reached.limiter, scope.tenant(), find(&reached.limiter, &policy)?).await.map(Json)
}

async fn put_rule<S: Store>(
    State(reached): State<Reached<S>>,
    operator: OperatorCaller,
    PathParam((tenant, policy)): PathParam<(String, String)>,
    Json(new): Json<NewRule>,
) -> Result<Json<RateLimit>, Problem> {
    let rule: Rule = new.rule.parse().map_err(|error| Kind::InvalidRequest.because(error))?;
    change_one(&reached, &operator, &tenant, &policy, Some(rule)).await
}

async fn put_rules<S: Store>(
    State(reached): State<Reached<S>>,
    operator: OperatorCaller,
    PathParam(tenant): PathParam<String>,
    Json(new): Json<NewRules>,
) -> Result<Json<Listed<RateLimit>>, Problem> {
    const MOST: usize = 100;
    if !(1..=MOST).contains(&new.rules.len()) {
        return Err(Kind::InvalidRequest.because("`rules` has 1 to 100 members"));
    }
    let tenant = tenant_id(&tenant)?;
    let mut rules = Vec::with_capacity(new.rules.len());
    for (policy, rule) in &new.rules {
        let named = |error: &dyn fmt::Display| {
            Kind::InvalidRequest.because(format_args!("`{}`: {error}", shorten(policy)))
        };
        let rule = rule.as_deref().map(str::parse::<Rule>).transpose().map_err(|error| named(&error))?;
        let id = reached.limiter.find(policy).ok_or_else(|| named(&"there is no such limit"))?;
        rules.push((id, policy.as_str(), rule));
    }
    change(&reached, &operator, &tenant, &rules).await?;
    let mut items = Vec::new();
    for (id, _) in reached.limiter.policies() {
        items.push(changed(&reached.limiter, &tenant, id).await?);
    }
    Ok(Json(Listed::whole(items)))
}

async fn remove_rule<S: Store>(
    State(reached): State<Reached<S>>,
    operator: OperatorCaller,
    PathParam((tenant, policy)): PathParam<(String, String)>,
) -> Result<Json<RateLimit>, Problem> {
    change_one(&reached, &operator, &tenant, &policy, None).await
}

async fn reset_limit<S: Store>(
    State(reached): State<Reached<S>>,
    operator: OperatorCaller,
    PathParam((tenant, policy)): PathParam<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (tenant, id) = (tenant_id(&tenant)?, find(&reached.limiter, &policy)?);
    let noted = reached.book.note_reset(&operator, &tenant, &policy).await;
    noted.map_err(|error| Problem::from(&error))?;
    reached.limiter.reset(&tenant, &[Limit::whole(id)]).await.map_err(|error| failed(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn change_one<S: Store>(
    reached: &Reached<S>,
    operator: &OperatorCaller,
    tenant: &str,
    policy: &str,
    rule: Option<Rule>,
) -> Result<Json<RateLimit>, Problem> {
    let (tenant, id) = (tenant_id(tenant)?, find(&reached.limiter, policy)?);
    change(reached, operator, &tenant, &[(id, policy, rule)]).await?;
    changed(&reached.limiter, &tenant, id).await.map(Json)
}

/// All of them, or none.
async fn change<S: Store>(
    reached: &Reached<S>,
    operator: &OperatorCaller,
    tenant: &TenantId,
    rules: &[(PolicyId, &str, Option<Rule>)],
) -> Result<(), Problem> {
    for (id, name, rule) in rules {
        let fits =
            |rule: Rule| reached.limiter.policy(*id).is_some_and(|policy| rule.same_algorithm(policy.rule()));
        if !rule.is_none_or(fits) {
            let why = format_args!("the limit `{}` keeps its algorithm", shorten(name));
            return Err(Kind::Unprocessable.because(why));
        }
    }
    let kept: Vec<_> = rules.iter().map(|(_, name, rule)| (*name, *rule)).collect();
    let _in_order = reached.changing.lock().await;
    reached.book.keep(operator, tenant, &kept).await.map_err(|error| Problem::from(&error))?;
    for (id, _, rule) in rules {
        reached.limiter.set_override(*id, tenant, *rule).map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// One that is changed, whatever the counters can tell.
async fn changed<S: Store>(
    limiter: &Limiter<S>,
    tenant: &TenantId,
    id: PolicyId,
) -> Result<RateLimit, Problem> {
    let left = remaining(limiter, tenant, id).await.unwrap_or_default();
    limit(limiter, tenant, id, left)
}

async fn all<S: Store>(limiter: &Limiter<S>, tenant: &TenantId) -> Result<Json<Listed<RateLimit>>, Problem> {
    let ids: Vec<PolicyId> = limiter.policies().map(|(id, _)| id).collect();
    let mut items = Vec::with_capacity(ids.len());
    for id in ids {
        items.push(one(limiter, tenant, id).await?);
    }
    Ok(Json(Listed::whole(items)))
}

async fn one<S: Store>(limiter: &Limiter<S>, tenant: &TenantId, id: PolicyId) -> Result<RateLimit, Problem> {
    let left = remaining(limiter, tenant, id).await.map_err(|error| failed(&error))?;
    limit(limiter, tenant, id, left)
}

async fn remaining<S: Store>(
    limiter: &Limiter<S>,
    tenant: &TenantId,
    id: PolicyId,
) -> Result<Option<u32>, Error> {
    let decision = limiter.peek(tenant, &[Limit::whole(id)]).await?;
    // A peek tells what would be left after a request, so the request is added again.
    let outcome = decision.outcomes().first();
    Ok(outcome.map(|outcome| outcome.remaining().saturating_add(u32::from(outcome.admits()))))
}

fn limit<S: Store>(
    limiter: &Limiter<S>,
    tenant: &TenantId,
    id: PolicyId,
    remaining: Option<u32>,
) -> Result<RateLimit, Problem> {
    let (Some(policy), Some(rule)) = (limiter.policy(id), limiter.effective_rule(id, tenant, Subject::Whole))
    else {
        return Err(Kind::NotFound.because("there is no such limit"));
    };
    Ok(RateLimit {
        policy: policy.name().to_string(),
        rule: rule.to_string(),
        default_rule: policy.rule().to_string(),
        limit: rule.capacity(),
        remaining,
        dry_run: policy.mode() == Mode::DryRun,
    })
}

fn find<S: Store>(limiter: &Limiter<S>, policy: &str) -> Result<PolicyId, Problem> {
    let unknown = || Kind::NotFound.because(format_args!("there is no limit `{}`", shorten(policy)));
    limiter.find(policy).ok_or_else(unknown)
}

fn failed(error: &Error) -> Problem {
    match error {
        Error::Store(error) => error.into(),
        Error::AlgorithmChange { .. } => Kind::Unprocessable.because(error),
        error => Kind::InvalidRequest.because(error),
    }
}

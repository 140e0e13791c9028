//! What the platform's operators do: plans, subscriptions, limits of single subjects, grants and corrections.

mod body;

use axum::extract::State;
use guardian_quota::store::QuotaStore;
use guardian_quota::{Grant, PlanName, Quotas, Subscription};
use http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use self::body::{
    NewQuotaGrant, NewQuotaSubscription, QuotaAdjustment, QuotaLimitChanges, QuotaPlanChange, QuotaReset,
};
use super::limit::{self, QuotaLimit};
use super::plan::{self, QuotaPlan};
use super::spending::{NewQuotaUsage, QuotaPosted, posted_example, usage};
use super::standing::{QuotaBalance, balance_example};
use super::subscription::{self, QuotaSubjectLimit, QuotaSubscription, limits_of};
use super::{Answer, FEATURE, Items, OfSubject, TENANT, failed, fails, sensible, subject, subscription_of};
use crate::Problem;
use crate::api::{
    Api, IdempotencyKey, IfMatch, IfNoneMatch, Json, Kind, Listed, Operation, OperatorCaller, Params,
    PathParam, Tagged,
};

fn operates(id: &'static str, summary: &'static str, changes: bool) -> Operation {
    fails(Operation::new(id, summary)).of_the_platform(changes)
}

fn of_tenant(operation: Operation) -> Operation {
    operation.path("tenant", TENANT, "acme")
}

fn of_feature(operation: Operation) -> Operation {
    of_tenant(operation).path("feature", FEATURE, "tokens")
}

pub(super) fn declare<S: QuotaStore>(api: Api<Quotas<S>>) -> Api<Quotas<S>> {
    accounts(subscriptions(api))
}

fn subscriptions<S: QuotaStore>(api: Api<Quotas<S>>) -> Api<Quotas<S>> {
    let subscribed = |operation: Operation, status, about| {
        operation.tagged().answers::<QuotaSubscription>(status, about, subscription::example())
    };
    let plans = operates("listPlans", "The plans that there are", false)
        .about("Those of the process that answers.")
        .answers::<Listed<QuotaPlan>>(
            StatusCode::OK,
            "All plans.",
            json!({"items": [plan::example()], "next": null}),
        );
    let one = operates("readPlan", "One plan", false)
        .path("plan", "The name of the plan.", "pro")
        .answers::<QuotaPlan>(StatusCode::OK, "The plan.", plan::example());
    let read = of_tenant(operates("readSubscriptionOfTenant", "A tenant's subscription", false));
    let subscribe = of_tenant(operates("subscribeTenant", "Give a tenant its first subscription", true))
        .body::<NewQuotaSubscription>(
        json!({"plan": "pro", "anchor": "2026-01-31T00:00:00Z", "zone": "Europe/Vienna"}),
    );
    let change = of_tenant(operates("changePlan", "Move a tenant to another plan, now", true))
        .if_match()
        .body::<QuotaPlanChange>(json!({"plan": "pro", "proration": "by_time"}));
    api.get("/platform/plans", plans, list_plans::<S>)
        .get("/platform/plans/{plan}", one, read_plan::<S>)
        .get(
            "/platform/tenants/{tenant}/quotas/subscription",
            subscribed(read, StatusCode::OK, "The subscription."),
            read_subscription::<S>,
        )
        .post(
            "/platform/tenants/{tenant}/quotas/subscription",
            subscribed(subscribe, StatusCode::CREATED, "The subscription."),
            subscribe_tenant::<S>,
        )
        .put(
            "/platform/tenants/{tenant}/quotas/subscription/plan",
            subscribed(change, StatusCode::OK, "The subscription as it is now."),
            change_plan::<S>,
        )
}

fn accounts<S: QuotaStore>(api: Api<Quotas<S>>) -> Api<Quotas<S>> {
    let posted = |operation: Operation, status| {
        operation.answers::<QuotaPosted>(status, "What was written.", posted_example())
    };
    let subscribed = |operation: Operation| {
        operation.tagged().answers::<QuotaSubscription>(
            StatusCode::OK,
            "The subscription as it is now.",
            subscription::example(),
        )
    };
    let limits = of_tenant(operates("listQuotaLimitsOfTenant", "Limits of single subjects", false))
        .answers::<Listed<QuotaSubjectLimit>>(
            StatusCode::OK,
            "All of them.",
            json!({"items": [subscription::limit_example()], "next": null}),
        );
    let put = of_feature(operates("putQuotaLimit", "Give one subject a limit of its own", true))
        .query::<OfSubject>()
        .if_match()
        .body::<QuotaLimit>(limit::example());
    let put_all = of_tenant(operates("putQuotaLimits", "Give several subjects limits of their own", true))
        .about("All of them or none; at most 1000. A limit that is null gives the subject the plan's again.")
        .if_match()
        .body::<QuotaLimitChanges>(json!({"limits": [
            {"feature": "tokens", "subject": "user:ann", "limit": limit::example()},
            {"feature": "tokens", "subject": "user:bob", "limit": null},
        ]}));
    let remove = of_feature(operates("removeQuotaLimit", "Give a subject the plan's limit again", true))
        .query::<OfSubject>()
        .if_match();
    let balance =
        of_feature(operates("readQuotaBalanceOfTenant", "How an account of a tenant stands", false))
            .query::<OfSubject>()
            .answers::<QuotaBalance>(StatusCode::OK, "The balance.", balance_example());
    let grant = of_feature(operates("giveQuotaGrant", "Give units besides what the plan includes", true))
        .about("Under an id of your own a repetition changes nothing.")
        .body::<NewQuotaGrant>(json!({
            "subject": "org", "amount": 500, "id": "019531a0-7c00-7000-8000-000000000001", "priority": 200,
        }));
    let adjust =
        of_feature(operates("adjustQuotaUsage", "Correct what was spent in the present period", true))
            .about("Down to nothing at most. `Guardian-Reason` is kept in the ledger.")
            .body::<QuotaAdjustment>(json!({"subject": "user:ann", "amount": -250}));
    let give_back = of_feature(operates("giveQuotaBack", "Give back what was consumed in this period", true))
        .about(
            "A seat that is free again, a call that failed. It is a correction: what is given back is not paid for. \
             `Guardian-Reason` is kept in the ledger.",
        )
        .idempotency_key()
        .body::<NewQuotaUsage>(json!({"subject": "user:ann", "amount": 1250}));
    let reset = of_feature(operates(
        "resetQuotaUsage",
        "Set what a subject spent in the present period to nothing",
        true,
    ))
    .about("What levels above it spent stays. `Guardian-Reason` is kept in the ledger.")
    .body::<QuotaReset>(json!({"subject": "user:ann"}));
    api.get("/platform/tenants/{tenant}/quotas/limits", limits, list_limits::<S>)
        .put("/platform/tenants/{tenant}/quotas/limits", subscribed(put_all), put_limits::<S>)
        .put("/platform/tenants/{tenant}/quotas/features/{feature}/limit", subscribed(put), put_limit::<S>)
        .delete(
            "/platform/tenants/{tenant}/quotas/features/{feature}/limit",
            subscribed(remove),
            remove_limit::<S>,
        )
        .get("/platform/tenants/{tenant}/quotas/features/{feature}/balance", balance, read_balance::<S>)
        .post(
            "/platform/tenants/{tenant}/quotas/features/{feature}/grants",
            posted(grant, StatusCode::CREATED),
            give_grant::<S>,
        )
        .post(
            "/platform/tenants/{tenant}/quotas/features/{feature}/adjust",
            posted(adjust, StatusCode::OK),
            adjust_usage::<S>,
        )
        .post(
            "/platform/tenants/{tenant}/quotas/features/{feature}/give-back",
            posted(give_back, StatusCode::OK),
            give_units_back::<S>,
        )
        .post(
            "/platform/tenants/{tenant}/quotas/features/{feature}/reset",
            posted(reset, StatusCode::OK),
            reset_usage::<S>,
        )
}

/// A plan by a name that a body has.
fn named<S: QuotaStore>(quotas: &Quotas<S>, name: &str) -> Result<PlanName, Problem> {
    let name = PlanName::new(name).map_err(|error| Kind::InvalidRequest.because(error))?;
    if quotas.plans().iter().any(|plan| plan.name == name) {
        return Ok(name);
    }
    Err(Kind::Unprocessable.because(format_args!("there is no plan `{name}`")))
}

async fn list_plans<S: QuotaStore>(State(quotas): State<Quotas<S>>, _: OperatorCaller) -> Items<QuotaPlan> {
    let plans = quotas.plans();
    Ok(Json(Listed::whole(plans.iter().map(|plan| QuotaPlan::tell(plan)).collect::<Result<_, _>>()?)))
}

async fn read_plan<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    _: OperatorCaller,
    PathParam(name): PathParam<String>,
) -> Answer<QuotaPlan> {
    let plan = quotas.plans().into_iter().find(|plan| plan.name.as_str() == name);
    let none = || {
        let name = guardian_core::shorten(&name);
        Kind::NotFound.because(format_args!("there is no plan `{name}`"))
    };
    QuotaPlan::tell(&*plan.ok_or_else(none)?).map(Json)
}

async fn read_subscription<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    operator: OperatorCaller,
    PathParam(tenant): PathParam<String>,
    known: IfNoneMatch,
) -> Result<Tagged<QuotaSubscription>, Problem> {
    let found = subscription_of(&quotas, &operator.in_tenant(&tenant)?).await?;
    Ok(QuotaSubscription::tagged(&found).unless(known))
}

async fn subscribe_tenant<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    operator: OperatorCaller,
    PathParam(tenant): PathParam<String>,
    Json(new): Json<NewQuotaSubscription>,
) -> Result<Tagged<QuotaSubscription>, Problem> {
    let scope = operator.in_tenant(&tenant)?;
    let plan = named(&quotas, &new.plan)?;
    let mut subscription = Subscription::new(plan, sensible(new.anchor.unwrap_or_else(|| quotas.now()))?);
    if let Some(zone) = &new.zone {
        subscription = subscription.with_zone(zone).map_err(|error| limit::invalid(&error))?;
    }
    quotas.subscribe(&scope, subscription).await.map_err(|error| failed(&error))?;
    let made = subscription_of(&quotas, &scope).await?;
    Ok(Tagged::created(made.revision(), QuotaSubscription::tell(&made)))
}

async fn change_plan<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    operator: OperatorCaller,
    PathParam(tenant): PathParam<String>,
    wanted: IfMatch,
    Json(change): Json<QuotaPlanChange>,
) -> Result<Tagged<QuotaSubscription>, Problem> {
    let scope = operator.in_tenant(&tenant)?;
    let (plan, how) = (named(&quotas, &change.plan)?, change.proration.into());
    let changed = match wanted {
        IfMatch::Revision(revision) => quotas.change_plan_at(&scope, revision, &plan, how).await,
        IfMatch::Any => quotas.change_plan(&scope, &plan, how).await,
    };
    Ok(QuotaSubscription::tagged(&changed.map_err(|error| failed(&error))?))
}

async fn list_limits<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    operator: OperatorCaller,
    PathParam(tenant): PathParam<String>,
) -> Items<QuotaSubjectLimit> {
    limits_of(&subscription_of(&quotas, &operator.in_tenant(&tenant)?).await?)
}

async fn put_limit<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    operator: OperatorCaller,
    PathParam((tenant, feature)): PathParam<(String, String)>,
    Params(of): Params<OfSubject>,
    wanted: IfMatch,
    Json(limit): Json<QuotaLimit>,
) -> Result<Tagged<QuotaSubscription>, Problem> {
    let limit = limit.read()?;
    set_limit(&quotas, &operator, (&tenant, &feature), &of, wanted, Some(limit)).await
}

async fn put_limits<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    operator: OperatorCaller,
    PathParam(tenant): PathParam<String>,
    wanted: IfMatch,
    Json(changes): Json<QuotaLimitChanges>,
) -> Result<Tagged<QuotaSubscription>, Problem> {
    let scope = operator.in_tenant(&tenant)?;
    if !(1..=1_000).contains(&changes.limits.len()) {
        return Err(Kind::InvalidRequest.because("`limits` has 1 to 1000"));
    }
    let mut limits = Vec::with_capacity(changes.limits.len());
    for change in changes.limits {
        let limit = change.limit.map(|limit| limit.read()).transpose()?;
        limits.push((change.feature, subject(&change.subject)?, limit));
    }
    let revision = match wanted {
        IfMatch::Revision(revision) => Some(revision),
        IfMatch::Any => None,
    };
    let changed = quotas.set_limits(&scope, revision, &limits).await;
    Ok(QuotaSubscription::tagged(&changed.map_err(|error| failed(&error))?))
}

async fn remove_limit<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    operator: OperatorCaller,
    PathParam((tenant, feature)): PathParam<(String, String)>,
    Params(of): Params<OfSubject>,
    wanted: IfMatch,
) -> Result<Tagged<QuotaSubscription>, Problem> {
    set_limit(&quotas, &operator, (&tenant, &feature), &of, wanted, None).await
}

async fn set_limit<S: QuotaStore>(
    quotas: &Quotas<S>,
    operator: &OperatorCaller,
    (tenant, feature): (&str, &str),
    of: &OfSubject,
    wanted: IfMatch,
    limit: Option<guardian_quota::Limit>,
) -> Result<Tagged<QuotaSubscription>, Problem> {
    let (scope, subject) = (operator.in_tenant(tenant)?, of.subject()?);
    let changed = match wanted {
        IfMatch::Revision(revision) => quotas.set_limit_at(&scope, revision, feature, &subject, limit).await,
        IfMatch::Any => quotas.set_limit(&scope, feature, &subject, limit).await,
    };
    Ok(QuotaSubscription::tagged(&changed.map_err(|error| failed(&error))?))
}

async fn read_balance<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    operator: OperatorCaller,
    PathParam((tenant, feature)): PathParam<(String, String)>,
    Params(of): Params<OfSubject>,
) -> Answer<QuotaBalance> {
    let scope = operator.in_tenant(&tenant)?;
    let balance = quotas.balance(&scope, &feature, &of.subject()?).await;
    Ok(Json(balance.map_err(|error| failed(&error))?.into()))
}

async fn give_grant<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    operator: OperatorCaller,
    PathParam((tenant, feature)): PathParam<(String, String)>,
    Json(new): Json<NewQuotaGrant>,
) -> Result<(StatusCode, Json<QuotaPosted>), Problem> {
    let (scope, subject) = (operator.in_tenant(&tenant)?, subject(&new.subject)?);
    let mut grant = Grant::new(new.amount).map_err(|error| failed(&error))?;
    if let Some(id) = &new.id {
        let id = Uuid::parse_str(id);
        grant = grant.with_id(id.map_err(|_| Kind::InvalidRequest.because("the id of a grant is a UUID"))?);
    }
    if let Some(priority) = new.priority {
        grant = grant.with_priority(priority);
    }
    if let Some(starts) = new.starts {
        grant = grant.with_start(sensible(starts)?);
    }
    if let Some(expires) = new.expires {
        grant = grant.with_expiry(sensible(expires)?);
    }
    let posted = quotas.grant(&scope, &feature, &subject, &grant).await.map_err(|error| failed(&error))?;
    Ok((StatusCode::CREATED, Json(posted.into())))
}

async fn adjust_usage<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    operator: OperatorCaller,
    PathParam((tenant, feature)): PathParam<(String, String)>,
    Json(change): Json<QuotaAdjustment>,
) -> Answer<QuotaPosted> {
    let (scope, subject) = (operator.in_tenant(&tenant)?, subject(&change.subject)?);
    if change.amount.unsigned_abs() > guardian_quota::MAX_AMOUNT {
        return Err(Kind::InvalidRequest.because("the amount is at most 2^62 - 1, up or down"));
    }
    let posted = quotas.adjust(&scope, &feature, &subject, change.amount, operator.reason.as_str()).await;
    Ok(Json(posted.map_err(|error| failed(&error))?.into()))
}

async fn give_units_back<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    operator: OperatorCaller,
    PathParam((tenant, feature)): PathParam<(String, String)>,
    key: IdempotencyKey,
    Json(new): Json<NewQuotaUsage>,
) -> Answer<QuotaPosted> {
    let scope = operator.in_tenant(&tenant)?;
    let usage = usage(&feature, &new.subject, new.amount, new.value.as_deref(), key)?;
    let posted = quotas.give_back_because(&scope, &usage, operator.reason.as_str()).await;
    Ok(Json(posted.map_err(|error| failed(&error))?.into()))
}

async fn reset_usage<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    operator: OperatorCaller,
    PathParam((tenant, feature)): PathParam<(String, String)>,
    Json(reset): Json<QuotaReset>,
) -> Answer<QuotaPosted> {
    let (scope, subject) = (operator.in_tenant(&tenant)?, subject(&reset.subject)?);
    let posted = quotas.reset(&scope, &feature, &subject, operator.reason.as_str()).await;
    Ok(Json(posted.map_err(|error| failed(&error))?.into()))
}

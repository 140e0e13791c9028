//! The tenant's subscription, its plan and its features.

use axum::extract::State;
use guardian_core::{Scope, Timestamp};
use guardian_quota::store::QuotaStore;
use guardian_quota::{Feature, Plan, Quotas, Subscription};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

use super::limit::QuotaLimit;
use super::plan::{self, QuotaFeature, QuotaPlan};
use super::{Answer, Items, reads, subscription_of};
use crate::Problem;
use crate::api::{Api, Caller, IfNoneMatch, Json, Kind, Listed, PathParam, Tagged};

/// A tenant's subscription.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuotaSubscription {
    /// The name of the plan.
    plan: String,
    /// Where periods are counted from.
    #[schema(value_type = String, format = DateTime)]
    anchor: Timestamp,
    /// The time zone on whose clocks periods begin.
    zone: String,
    /// How often it was changed: its `ETag`.
    revision: u64,
}

impl QuotaSubscription {
    pub(super) fn tell(subscription: &Subscription) -> Self {
        Self {
            plan: subscription.plan().to_string(),
            anchor: subscription.anchor(),
            zone: subscription.zone().to_owned(),
            revision: subscription.revision(),
        }
    }

    pub(super) fn tagged(subscription: &Subscription) -> Tagged<Self> {
        Tagged::new(subscription.revision(), Self::tell(subscription))
    }
}

/// A limit that one subject has instead of the plan's.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuotaSubjectLimit {
    /// The feature.
    feature: String,
    /// Whose limit it is.
    subject: String,
    /// The limit.
    limit: QuotaLimit,
}

pub(super) fn example() -> Value {
    json!({"plan": "pro", "anchor": "2026-01-31T00:00:00Z", "zone": "Europe/Vienna", "revision": 3})
}

pub(super) fn limit_example() -> Value {
    json!({"feature": "tokens", "subject": "team:sales", "limit": super::limit::example()})
}

pub(super) fn declare<S: QuotaStore>(api: Api<Quotas<S>>) -> Api<Quotas<S>> {
    let subscription = reads("readSubscription", "The tenant's subscription")
        .tagged()
        .answers::<QuotaSubscription>(StatusCode::OK, "The subscription.", example());
    let plan = reads("readPlanOfTenant", "The tenant's plan").answers::<QuotaPlan>(
        StatusCode::OK,
        "The plan.",
        plan::example(),
    );
    let features = reads("listQuotaFeatures", "What the tenant's plan has").answers::<Listed<QuotaFeature>>(
        StatusCode::OK,
        "All features.",
        json!({"items": [plan::feature_example()], "next": null}),
    );
    let feature = reads("readQuotaFeature", "One feature of the tenant's plan")
        .about("For switches `available` says whether it is on, for settings `setting` has the value.")
        .path("feature", "The name of the feature.", "tokens")
        .answers::<QuotaFeature>(StatusCode::OK, "The feature.", plan::feature_example());
    let limits = reads("listQuotaLimits", "Limits that single subjects of the tenant have").answers::<Listed<
        QuotaSubjectLimit,
    >>(
        StatusCode::OK,
        "All of them.",
        json!({"items": [limit_example()], "next": null}),
    );
    api.get("/quotas/subscription", subscription, read::<S>)
        .get("/quotas/plan", plan, read_plan::<S>)
        .get("/quotas/features", features, list_features::<S>)
        .get("/quotas/features/{feature}", feature, read_feature::<S>)
        .get("/quotas/limits", limits, list_limits::<S>)
}

async fn read<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    known: IfNoneMatch,
) -> Result<Tagged<QuotaSubscription>, Problem> {
    Ok(QuotaSubscription::tagged(&subscription_of(&quotas, &scope).await?).unless(known))
}

async fn read_plan<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
) -> Answer<QuotaPlan> {
    QuotaPlan::tell(&*plan_of(&quotas, &scope).await?).map(Json)
}

async fn list_features<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
) -> Items<QuotaFeature> {
    let plan = plan_of(&quotas, &scope).await?;
    let features = plan.features.iter().map(|(name, feature)| QuotaFeature::tell(name.as_str(), feature));
    Ok(Json(Listed::whole(features.collect::<Result<_, _>>()?)))
}

async fn read_feature<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
) -> Answer<QuotaFeature> {
    let plan = plan_of(&quotas, &scope).await?;
    let found: Option<&Feature> = plan.features.get(name.as_str());
    let feature = found.ok_or_else(|| {
        let name = guardian_core::shorten(&name);
        Kind::NotFound.because(format_args!("the plan has no feature `{name}`"))
    })?;
    QuotaFeature::tell(&name, feature).map(Json)
}

async fn list_limits<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
) -> Items<QuotaSubjectLimit> {
    limits_of(&subscription_of(&quotas, &scope).await?)
}

pub(super) fn limits_of(subscription: &Subscription) -> Items<QuotaSubjectLimit> {
    let limits = subscription.limits().map(|(feature, subject, limit)| {
        Ok(QuotaSubjectLimit {
            feature: feature.to_string(),
            subject: subject.to_string(),
            limit: QuotaLimit::tell(limit)?,
        })
    });
    Ok(Json(Listed::whole(limits.collect::<Result<_, Problem>>()?)))
}

/// The plan of the tenant's subscription, from this process's catalog.
pub(super) async fn plan_of<S: QuotaStore>(quotas: &Quotas<S>, scope: &Scope) -> Result<Arc<Plan>, Problem> {
    let subscription = subscription_of(quotas, scope).await?;
    let plan = quotas.plans().into_iter().find(|plan| plan.name == *subscription.plan());
    plan.ok_or_else(|| Kind::Unavailable.because("the tenant's plan is not known at the moment"))
}

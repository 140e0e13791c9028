//! The tenants of the platform: for its operators, and what a tenant may read of itself.

use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use guardian_core::{TenantId, Timestamp};
use guardian_tenant::{
    DisplayName, Error, Industry, InvalidField, NewTenant, Plan, Platform, Region, Registry, Settings,
    Status, Tenant, TenantChange, TenantFilter, TenantOrder, Version,
};
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use super::caller::tenant_id;
use super::patch::Patch;
use super::{
    Api, Caller, IfMatch, IfNoneMatch, Json, Kind, Listed, Operation, OperatorCaller, PageParams, Params,
    PathParam, Tagged,
};
use crate::Problem;

/// The operations on tenants: permission `tenant:read` for a tenant's own profile, the rest is the platform's.
pub fn api(registry: Registry) -> Api {
    let tenant = |id, summary| {
        Operation::new(id, summary)
            .of_the_platform(true)
            .path("tenant", "The tenant.", "acme")
            .if_match()
            .tagged()
    };
    let step = |id, summary| {
        let answer = tenant_example();
        tenant(id, summary).may(Kind::Conflict).answers::<TenantOut>(
            StatusCode::OK,
            "The tenant as it is now.",
            answer,
        )
    };
    Api::new("tenants", "Who the tenants are.")
        .get(
            "/tenant",
            Operation::new("readOwnTenant", "What a tenant may know of itself")
                .takes("tenant:read")
                .tagged()
                .may(Kind::NotFound)
                .answers::<ProfileOut>(StatusCode::OK, "The profile.", profile_example()),
            own,
        )
        .get(
            "/platform/tenants",
            Operation::new("listTenants", "All tenants")
                .of_the_platform(false)
                .query::<TenantQuery>()
                .answers::<Listed<TenantOut>>(
                    StatusCode::OK,
                    "A page of tenants, by id.",
                    json!({"items": [tenant_example()], "next": null}),
                ),
            list,
        )
        .post(
            "/platform/tenants",
            Operation::new("createTenant", "Create a tenant")
                .about("An id is never given twice, also when its tenant is gone.")
                .of_the_platform(true)
                .may(Kind::Conflict)
                .tagged()
                .body::<NewTenantIn>(
                    json!({"id": "acme", "name": "Acme Inc.", "plan": "team", "region": "eu-central-1"}),
                )
                .answers::<TenantOut>(StatusCode::CREATED, "The tenant.", tenant_example()),
            create,
        )
        .get(
            "/platform/tenants/{tenant}",
            Operation::new("readTenant", "One tenant")
                .of_the_platform(false)
                .path("tenant", "The tenant.", "acme")
                .tagged()
                .answers::<TenantOut>(StatusCode::OK, "The tenant.", tenant_example()),
            read,
        )
        .patch(
            "/platform/tenants/{tenant}",
            tenant("changeTenant", "Change a tenant")
                .about("What is not named stays. `industry: null` takes it away.")
                .may(Kind::Conflict)
                .body::<TenantChangeIn>(json!({"plan": "enterprise"}))
                .answers::<TenantOut>(StatusCode::OK, "The tenant as it is now.", tenant_example()),
            change,
        )
        .post(
            "/platform/tenants/{tenant}/suspend",
            step("suspendTenant", "Stop a tenant, which keeps its data"),
            suspend,
        )
        .post(
            "/platform/tenants/{tenant}/resume",
            step("resumeTenant", "Let a suspended tenant work again"),
            resume,
        )
        .delete(
            "/platform/tenants/{tenant}",
            step("deleteTenant", "Begin to delete a tenant").query::<Grace>().may(Kind::Unprocessable),
            delete,
        )
        .post("/platform/tenants/{tenant}/undelete", step("undeleteTenant", "Bring a tenant back"), undelete)
        .post(
            "/platform/tenants/{tenant}/purge",
            step("purgeTenant", "Make an end of a tenant whose grace is over"),
            purge,
        )
        .with_state(registry)
}

/// A tenant, as the platform knows it.
#[derive(Debug, Serialize, ToSchema)]
struct TenantOut {
    /// Its id.
    id: String,
    /// What people call it.
    name: String,
    /// What it has bought.
    plan: String,
    /// Where its data has to stay.
    region: String,
    /// What it does.
    industry: Option<String>,
    /// Its settings, which its own people may read.
    settings: Map<String, Value>,
    /// The platform's notes, which they may not.
    internal: Map<String, Value>,
    /// `active`, `suspended`, `deleting` or `purged`.
    status: &'static str,
    /// Why it is suspended.
    reason: Option<String>,
    /// Until when it can be brought back, while it is being deleted.
    #[schema(value_type = Option<String>, format = DateTime)]
    purge_after: Option<Timestamp>,
    /// How often it was changed.
    version: i64,
    /// When it was created, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// When it was last changed, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    updated: Timestamp,
}

impl From<Tenant> for TenantOut {
    fn from(tenant: Tenant) -> Self {
        let reason = match &tenant.status {
            Status::Suspended(suspension) => Some(suspension.reason.clone()),
            _ => None,
        };
        Self {
            id: tenant.id.to_string(),
            name: tenant.name.as_str().to_owned(),
            plan: tenant.plan.as_str().to_owned(),
            region: tenant.region.as_str().to_owned(),
            industry: tenant.industry.map(|industry| industry.as_str().to_owned()),
            settings: tenant.settings.as_map().clone(),
            internal: tenant.internal.as_map().clone(),
            status: tenant.status.name(),
            reason,
            purge_after: tenant.status.purge_after(),
            version: tenant.version.number(),
            created: tenant.created,
            updated: tenant.updated,
        }
    }
}

/// What a tenant may know of itself.
#[derive(Debug, Serialize, ToSchema)]
struct ProfileOut {
    /// Its id.
    id: String,
    /// What people call it.
    name: String,
    /// What it has bought.
    plan: String,
    /// Where its data has to stay.
    region: String,
    /// What it does.
    industry: Option<String>,
    /// Its settings.
    settings: Map<String, Value>,
    /// `active`, `suspended` or `deleting`.
    status: String,
    /// Until when it can be brought back, while it is being deleted.
    #[schema(value_type = Option<String>, format = DateTime)]
    purge_after: Option<Timestamp>,
    /// How often it was changed.
    version: i64,
    /// When it was created, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
}

/// A tenant to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTenantIn {
    /// Its id: 1 to 64 characters of `A-Z a-z 0-9 . _ : -`.
    #[schema(min_length = 1, max_length = 64)]
    id: String,
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What it has bought: 1 to 64 characters of `a-z 0-9 . _ -`.
    #[schema(min_length = 1, max_length = 64)]
    plan: String,
    /// Where its data has to stay, likewise.
    #[schema(min_length = 1, max_length = 64)]
    region: String,
    /// What it does, likewise.
    industry: Option<String>,
    /// Its settings: at most 64 KiB.
    #[serde(default)]
    settings: Map<String, Value>,
    /// Notes of the platform: at most 64 KiB.
    #[serde(default)]
    internal: Map<String, Value>,
}

/// What is to change about a tenant; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TenantChangeIn {
    /// Another name.
    name: Option<String>,
    /// Another plan.
    plan: Option<String>,
    /// Another region; moving the data is the host's work.
    region: Option<String>,
    /// Another industry, or null for none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    industry: Patch<String>,
    /// Other settings, all of them.
    settings: Option<Map<String, Value>>,
    /// Other notes, all of them.
    internal: Option<Map<String, Value>>,
}

/// Which tenants, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct TenantQuery {
    /// `active`, `suspended`, `deleting` or `purged`.
    status: Option<String>,
    /// Those with this plan.
    plan: Option<String>,
    /// Those in this region.
    region: Option<String>,
    /// In which order: by `id`, `name` or `created`, from the end with a `-` before it; by `id` when nothing is said.
    #[param(inline)]
    sort: Option<TenantSort>,
    /// How many at most, 1 to 1000; 50 by default.
    #[param(minimum = 1, maximum = 1000)]
    size: Option<u32>,
    /// Where the page begins: `next` of the page before.
    after: Option<String>,
}

/// An order of tenants.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
enum TenantSort {
    /// By id.
    #[serde(rename = "id")]
    Id,
    /// By id, from the end.
    #[serde(rename = "-id")]
    IdDown,
    /// By name.
    #[serde(rename = "name")]
    Name,
    /// By name, from the end.
    #[serde(rename = "-name")]
    NameDown,
    /// The oldest first.
    #[serde(rename = "created")]
    Created,
    /// The newest first.
    #[serde(rename = "-created")]
    CreatedDown,
}

impl From<TenantSort> for TenantOrder {
    fn from(sort: TenantSort) -> Self {
        match sort {
            TenantSort::Id => Self::id(),
            TenantSort::IdDown => Self::id().descending(),
            TenantSort::Name => Self::name(),
            TenantSort::NameDown => Self::name().descending(),
            TenantSort::Created => Self::created(),
            TenantSort::CreatedDown => Self::created().descending(),
        }
    }
}

/// How long a tenant that is being deleted can be brought back.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Grace {
    /// Days, 30 by default; 0 means that it can be purged at once.
    #[param(maximum = 3650)]
    grace_days: Option<u32>,
}

fn tenant_example() -> Value {
    json!({
        "id": "acme", "name": "Acme Inc.", "plan": "team", "region": "eu-central-1", "industry": null, "settings": {},
        "internal": {}, "status": "active", "reason": null, "purge_after": null, "version": 1,
        "created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z",
    })
}

fn profile_example() -> Value {
    json!({
        "id": "acme", "name": "Acme Inc.", "plan": "team", "region": "eu-central-1", "industry": null, "settings": {},
        "status": "active", "purge_after": null, "version": 1, "created": "2026-01-01T00:00:00Z",
    })
}

async fn own(
    State(registry): State<Registry>,
    Caller(scope): Caller,
    known: IfNoneMatch,
) -> Result<Tagged<ProfileOut>, Problem> {
    let profile = registry.own(&scope).await.map_err(|error| failed(&error))?;
    let out = ProfileOut {
        id: profile.id.to_string(),
        name: profile.name.as_str().to_owned(),
        plan: profile.plan.as_str().to_owned(),
        region: profile.region.as_str().to_owned(),
        industry: profile.industry.map(|industry| industry.as_str().to_owned()),
        settings: profile.settings.as_map().clone(),
        status: profile.status,
        purge_after: profile.purge_after,
        version: profile.version.number(),
        created: profile.created,
    };
    Ok(Tagged::new(profile.version.number().unsigned_abs(), out).unless(known))
}

async fn list(
    State(registry): State<Registry>,
    operator: OperatorCaller,
    Params(query): Params<TenantQuery>,
) -> Result<Json<Listed<TenantOut>>, Problem> {
    let mut filter = TenantFilter::new();
    if let Some(status) = query.status {
        filter = filter.status(status);
    }
    if let Some(plan) = query.plan {
        filter = filter.plan(Plan::new(plan).map_err(|error| invalid(&error))?);
    }
    if let Some(region) = query.region {
        filter = filter.region(Region::new(region).map_err(|error| invalid(&error))?);
    }
    if let Some(sort) = query.sort {
        filter = filter.order(sort.into());
    }
    let page = PageParams { size: query.size, after: query.after }.request()?;
    let page = registry.list(&platform(operator)?, &filter, &page).await.map_err(|error| failed(&error))?;
    Ok(Json(Listed::of(page, TenantOut::from)))
}

async fn create(
    State(registry): State<Registry>,
    operator: OperatorCaller,
    Json(new): Json<NewTenantIn>,
) -> Result<Tagged<TenantOut>, Problem> {
    let id = TenantId::new(&new.id).map_err(|error| Kind::InvalidRequest.because(error))?;
    let tenant = || -> Result<NewTenant, InvalidField> {
        let mut tenant = NewTenant::new(id, &new.name, &new.plan, &new.region)?
            .settings(Settings::from_value(Value::Object(new.settings))?)
            .internal(Settings::from_value(Value::Object(new.internal))?);
        if let Some(industry) = new.industry {
            tenant = tenant.industry(&industry)?;
        }
        Ok(tenant)
    };
    let tenant = tenant().map_err(|error| invalid(&error))?;
    let created = registry.create(&platform(operator)?, tenant).await;
    let created = created.map_err(|error| failed(&error))?;
    Ok(Tagged::created(revision(&created), created.into()))
}

async fn read(
    State(registry): State<Registry>,
    operator: OperatorCaller,
    PathParam(tenant): PathParam<String>,
    known: IfNoneMatch,
) -> Result<Tagged<TenantOut>, Problem> {
    let tenant =
        registry.get(&platform(operator)?, &tenant_id(&tenant)?).await.map_err(|error| failed(&error))?;
    Ok(Tagged::new(revision(&tenant), tenant.into()).unless(known))
}

/// An operator about to change a tenant that they have seen, or whichever is there.
struct Change {
    platform: Platform,
    id: TenantId,
    version: Version,
}

impl FromRequestParts<Registry> for Change {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, registry: &Registry) -> Result<Self, Problem> {
        let platform = platform(OperatorCaller::from_request_parts(parts, registry).await?)?;
        let PathParam(tenant) = PathParam::<String>::from_request_parts(parts, registry).await?;
        let wanted = IfMatch::from_request_parts(parts, registry).await?;
        let tenant = registry.get(&platform, &tenant_id(&tenant)?).await.map_err(|error| failed(&error))?;
        wanted.holds(revision(&tenant))?;
        // Whoever changes it in between is found out by the registry, which is told the version.
        Ok(Self { platform, id: tenant.id, version: tenant.version })
    }
}

async fn change(
    State(registry): State<Registry>,
    Change { platform, id, version }: Change,
    Json(change): Json<TenantChangeIn>,
) -> Result<Tagged<TenantOut>, Problem> {
    let change = changes(change).map_err(|error| invalid(&error))?;
    answer(registry.update(&platform, &id, version, change).await)
}

fn changes(wanted: TenantChangeIn) -> Result<TenantChange, InvalidField> {
    let mut change = TenantChange::new();
    if let Some(name) = wanted.name {
        change = change.name(DisplayName::new(name)?);
    }
    if let Some(plan) = wanted.plan {
        change = change.plan(Plan::new(plan)?);
    }
    if let Some(region) = wanted.region {
        change = change.region(Region::new(region)?);
    }
    change = match wanted.industry {
        Patch::Keep => change,
        Patch::Clear => change.industry(None),
        Patch::Set(industry) => change.industry(Some(Industry::new(industry)?)),
    };
    if let Some(settings) = wanted.settings {
        change = change.settings(Settings::from_value(Value::Object(settings))?);
    }
    if let Some(internal) = wanted.internal {
        change = change.internal(Settings::from_value(Value::Object(internal))?);
    }
    Ok(change)
}

/// The reason that is kept with the tenant is that of the operator's header.
async fn suspend(
    State(registry): State<Registry>,
    Change { platform, id, version }: Change,
) -> Result<Tagged<TenantOut>, Problem> {
    answer(registry.suspend(&platform, &id, version, platform.reason()).await)
}

async fn resume(
    State(registry): State<Registry>,
    Change { platform, id, version }: Change,
) -> Result<Tagged<TenantOut>, Problem> {
    answer(registry.resume(&platform, &id, version).await)
}

async fn delete(
    State(registry): State<Registry>,
    Change { platform, id, version }: Change,
    Params(grace): Params<Grace>,
) -> Result<Tagged<TenantOut>, Problem> {
    let days = grace.grace_days.unwrap_or(30);
    if days > 3650 {
        return Err(Kind::InvalidRequest.because(format_args!("a grace of {days} days is longer than 3650")));
    }
    let grace = Duration::from_secs(86_400 * u64::from(days));
    answer(registry.delete(&platform, &id, version, grace).await)
}

async fn undelete(
    State(registry): State<Registry>,
    Change { platform, id, version }: Change,
) -> Result<Tagged<TenantOut>, Problem> {
    answer(registry.undelete(&platform, &id, version).await)
}

async fn purge(
    State(registry): State<Registry>,
    Change { platform, id, version }: Change,
) -> Result<Tagged<TenantOut>, Problem> {
    answer(registry.purge(&platform, &id, version).await)
}

fn answer(changed: Result<Tenant, Error>) -> Result<Tagged<TenantOut>, Problem> {
    let tenant = changed.map_err(|error| failed(&error))?;
    Ok(Tagged::new(revision(&tenant), tenant.into()))
}

fn revision(tenant: &Tenant) -> u64 {
    tenant.version.number().unsigned_abs()
}

fn platform(operator: OperatorCaller) -> Result<Platform, Problem> {
    Platform::new(operator.scope, operator.reason).map_err(|error| invalid(&error))
}

fn invalid(error: &InvalidField) -> Problem {
    Kind::InvalidRequest.because(error)
}

fn failed(error: &Error) -> Problem {
    match error {
        Error::NotFound { .. } => Kind::NotFound.because(error),
        Error::Exists { .. } | Error::NotChangeable { .. } => Kind::Conflict.because(error),
        Error::Transition { source, .. } => Kind::Conflict.because(format_args!("{error}: {source}")),
        Error::Conflict { .. } => Kind::Changed.because(error),
        Error::Store(source) | Error::Purge { source, .. } => source.into(),
        error => Kind::InvalidRequest.because(error),
    }
}

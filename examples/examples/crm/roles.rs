//! What a key may do: roles of the ready-made set, kept in the database with the data.

use axum::extract::{Extension, State};
use axum::routing::get;
use axum::{Json, Router};
use guardian::core::{Clock, Scope, SystemClock, TenantId};
use guardian::http::{Problem, RequirePermissionLayer};
use guardian::rbac::{Error, NewGrant, Rbac, Resource};
use serde_json::{Value, json};

use crate::App;
use crate::routes::failed;

/// Gives somebody a role, unless they have one.
pub(crate) async fn grant(
    rbac: &Rbac,
    tenant: &TenantId,
    who: &str,
    role: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let (host, subject) = (Scope::system(tenant.clone()), who.parse()?);
    if !rbac.load(&host).await?.policy().grants().any(|grant| grant.subject == subject) {
        rbac.grant(&host, NewGrant::new(subject, role, "of the demo")?).await?;
    }
    Ok(())
}

/// In front of a route: this permission, such as `deal:edit`.
pub(crate) fn takes(rbac: &Rbac, permission: &str) -> Result<RequirePermissionLayer, Error> {
    RequirePermissionLayer::new(rbac.clone(), permission)
}

pub(crate) fn api() -> Router<App> {
    Router::new().route("/permissions", get(mine))
}

/// What the key that asks may do.
async fn mine(State(app): State<App>, Extension(scope): Extension<Scope>) -> Result<Json<Value>, Problem> {
    let tenant = match app.guardian.roles().load(&scope).await {
        Ok(tenant) => tenant,
        Err(Error::Store(error)) => return Err(failed(&error)),
        Err(error) => return Err(crate::routes::bad_request(&error)),
    };
    let (snapshot, now) = (tenant.snapshot(), SystemClock::new().now());
    let can = snapshot.what_can(scope.actor(), &Resource::tenant(), now);
    let names = can.iter().filter(|can| can.outcome.is_allowed());
    let names: Vec<_> = names.filter_map(|can| snapshot.catalog().permission(can.permission)).collect();
    Ok(Json(json!({ "permissions": names, "revision": snapshot.revision() })))
}

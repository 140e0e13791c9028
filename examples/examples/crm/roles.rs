//! What a key may do: roles of the ready-made set, kept in the database with the data.

use axum::extract::{Extension, State};
use axum::routing::get;
use axum::{Json, Router};
use chrono::DateTime;
use guardian::core::{Clock, Scope, SystemClock, TenantId};
use guardian::http::api::PERMISSIONS;
use guardian::http::{Problem, RequirePermissionLayer};
use guardian::rbac::{Catalog, Error, NewGrant, Rbac, Resource, Revision, SqlStore, role_sets};
use guardian::sql::Database;
use serde_json::{Value, json};

use crate::App;
use crate::auth::DEMO_KEYS;
use crate::routes::failed;

/// The roles of the demo's tenants. A tenant that has none yet gets the ready-made set, and each of its keys a role.
pub(crate) async fn open(db: Database, tenants: Vec<TenantId>) -> Result<Rbac, Box<dyn std::error::Error>> {
    // The set does not depend on when it is read; its times are in the grants, of which it has none.
    let set = role_sets::crm(DateTime::UNIX_EPOCH)?;
    let rbac = Rbac::new(with_the_apis(&set.catalog)?, SqlStore::open(db).await?);
    for tenant in tenants {
        let host = Scope::system(tenant.clone());
        if rbac.load(&host).await?.snapshot().revision() > Revision::default() {
            continue;
        }
        rbac.import(&host, set.changes()).await?;
        for key in DEMO_KEYS.iter().filter(|key| key.tenant == tenant.as_str()) {
            let new = NewGrant::new(format!("api_key:{}", key.id).parse()?, key.role, "a key of the demo")?;
            rbac.grant(&host, new).await?;
        }
    }
    Ok(rbac)
}

/// The set's permissions, and those of the API of administrators that it does not have.
fn with_the_apis(catalog: &Catalog) -> Result<Catalog, Error> {
    let missing = PERMISSIONS.iter().filter(|(permission, _)| catalog.handle(permission).is_err());
    missing.fold(catalog.to_builder(), |more, (permission, title)| more.permission(permission, title)).build()
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
    let tenant = match app.rbac.load(&scope).await {
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

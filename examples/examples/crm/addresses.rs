//! From where a tenant's keys may be used: its own rules about addresses, kept in the database with the data.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Extension, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, put};
use axum::{Json, Router};
use guardian::core::{Clock, Scope};
use guardian::http::{ClientAddr, ForwardHeader, IpAccessLayer, Problem, TrustedProxies};
use guardian::ipaccess::{AccessPolicy, AccessRequest, Confirm, Defaults, Error, IpAccess, SqlStore};
use guardian::rbac::Rbac;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::App;
use crate::roles;
use crate::routes::{bad_request, failed};

pub(crate) type Addresses = Arc<IpAccess<SqlStore>>;

/// In front of this demo stands at most something on the same machine, which a client can play by itself with `X-Forwarded-For`.
/// Behind a load balancer, name its networks here, or all clients share one address.
pub(crate) fn proxies() -> TrustedProxies {
    TrustedProxies::loopback(ForwardHeader::XForwardedFor)
}

/// Behind authentication: a stolen key is worth nothing from elsewhere.
pub(crate) fn layer(addresses: &Addresses) -> IpAccessLayer<SqlStore> {
    IpAccessLayer::new(Arc::clone(addresses), proxies())
}

/// `GET /addresses?explain=203.0.113.9`, `PUT /addresses?confirm=true` with the policy as text.
pub(crate) fn api(rbac: &Rbac) -> Result<Router<App>, guardian::rbac::Error> {
    let read = get(show).layer(roles::takes(rbac, "setting:read")?);
    let write = put(replace).layer(roles::takes(rbac, "setting:edit")?);
    Ok(Router::new().route("/addresses", read.merge(write)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    explain: Option<IpAddr>,
}

async fn show(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    let (policy, revision) =
        app.guardian.addresses().policy(&scope).await.map_err(|error| refused(&error))?;
    let door = app.guardian.addresses().door(&scope).await.map_err(|error| refused(&error))?;
    let explained = asked.explain.map(|addr| {
        let request = AccessRequest::new(addr, app.guardian.addresses().clock().now());
        door.explain(&request).to_string()
    });
    Ok(Json(json!({ "revision": revision, "policy": policy.to_string(), "explanation": explained })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Meant {
    #[serde(default)]
    confirm: bool,
}

async fn replace(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Query(meant): Query<Meant>,
    headers: HeaderMap,
    text: String,
) -> Result<Json<Value>, Problem> {
    let new = AccessPolicy::parse(&text, Defaults::open()).map_err(|error| bad_request(&error))?;
    let client = ClientAddr::resolve(peer.ip(), &headers, &proxies());
    let author = AccessRequest::new(client.addr(), app.guardian.addresses().clock().now())
        .api_key(scope.actor().id().as_str())
        .route("/addresses");
    let confirm = if meant.confirm { Confirm::Meant } else { Confirm::Ask };
    let changed = app.guardian.addresses().change(&scope, &author, confirm, |policy| {
        *policy = new;
        Ok(())
    });
    let revision = changed.await.map_err(|error| refused(&error))?;
    Ok(Json(json!({ "revision": revision })))
}

fn refused(error: &Error) -> Problem {
    match error {
        Error::WouldLockOut { .. } | Error::Conflict { .. } => {
            Problem::new(StatusCode::CONFLICT).with_detail(error.to_string())
        }
        // What was stored holds, and the trail lacks it: our fault in both cases.
        Error::Store(error) | Error::Unreported { source: error, .. } => failed(error),
        error => bad_request(error),
    }
}

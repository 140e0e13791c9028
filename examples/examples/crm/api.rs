//! The API of administrators, below `/v1`: ready-made, behind the same keys and roles.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use guardian::audit::checkpoint::KeyRing;
use guardian::core::{StoreError, TenantId};
use guardian::http::api::{self, Clash, Document, OperatorCaller};
use guardian::ratelimit::Rule;

use crate::App;
use crate::addresses;
use crate::limits::Limits;

const PLACE: &str = "/v1";

/// The operations, and their OpenAPI document at `/v1/openapi.json`.
pub(crate) fn routes(app: &App) -> Result<Router<App>, Clash> {
    let document = Document::new("CRM", env!("CARGO_PKG_VERSION"), app.rbac.clone())
        .under(PLACE)
        .with(api::ratelimit::api(app.limits.limiter(), Book(Arc::clone(&app.limits))))
        .with(api::ipaccess::api(Arc::clone(&app.addresses), addresses::proxies()))
        .with(api::rbac::api(app.rbac.clone()))
        .with(api::quota::api(app.quotas.clone()))
        .with(app.hooks.api())
        .with(app.automation.api())
        .with(api::sentiment::api(app.moods.clone()))
        // The demo signs no checkpoints, so there are no keys to hold them against.
        .with(api::audit::api(app.crm.trail().sink(), KeyRing::new()));
    Ok(Router::new().nest(PLACE, document.into_router()?.with_state(())))
}

/// Rules of a tenant's own are kept in the database.
struct Book(Arc<Limits>);

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Book")
    }
}

#[async_trait]
impl api::ratelimit::RuleBook for Book {
    async fn keep(
        &self,
        _: &OperatorCaller,
        tenant: &TenantId,
        policy: &str,
        rule: Option<&Rule>,
    ) -> Result<(), StoreError> {
        self.0.store_rule(policy, tenant, rule.copied()).await
    }

    async fn note_reset(&self, _: &OperatorCaller, _: &TenantId, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

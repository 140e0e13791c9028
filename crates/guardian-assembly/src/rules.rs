//! Rate limits that tenants have of their own, kept.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_audit::store::AuditStore;
use guardian_audit::{AuditEvent, AuditLog, Error, Target};
use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use guardian_http::api::OperatorCaller;
use guardian_http::api::ratelimit::RuleBook;
use guardian_ratelimit::{AnyStore, Limiter, Rule};
use serde_json::json;

/// A rule of a tenant's own for a policy, by its name; `None` where it was taken back.
pub(crate) type Ruled = (TenantId, String, Option<String>);

/// Where they are kept.
#[async_trait]
pub(crate) trait Rules: fmt::Debug + Send + Sync + 'static {
    /// All of them, or none.
    async fn keep(&self, tenant: &TenantId, rules: &[(&str, Option<Rule>)]) -> Result<(), StoreError>;

    /// All that were changed since a moment.
    async fn changed(&self, since: Option<Timestamp>) -> Result<Vec<Ruled>, StoreError>;
}

/// In memory the limiter itself is all there is.
#[derive(Debug)]
pub(crate) struct Forgotten;

#[async_trait]
impl Rules for Forgotten {
    async fn keep(&self, _: &TenantId, _: &[(&str, Option<Rule>)]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn changed(&self, _: Option<Timestamp>) -> Result<Vec<Ruled>, StoreError> {
        Ok(Vec::new())
    }
}

/// In a table.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[derive(Debug)]
pub(crate) struct SqlRules {
    db: guardian_sql::Database,
    all: guardian_sql::Unscoped,
    clock: Arc<dyn guardian_core::Clock>,
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl SqlRules {
    pub(crate) fn new(
        db: &guardian_sql::Database,
        operator: &Scope,
        clock: Arc<dyn guardian_core::Clock>,
    ) -> Result<Self, guardian_sql::Error> {
        let all = guardian_sql::Unscoped::new(operator.clone(), "limiters take up the rules of all tenants")?;
        Ok(Self { db: db.clone(), all, clock })
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[async_trait]
impl Rules for SqlRules {
    async fn keep(&self, tenant: &TenantId, rules: &[(&str, Option<Rule>)]) -> Result<(), StoreError> {
        let mut tx = self.db.begin(&Scope::system(tenant.clone())).await?;
        let sql = "INSERT INTO guardian_limit_rules (tenant_id, policy, rule, changed) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (tenant_id, policy) DO UPDATE SET rule = excluded.rule, changed = excluded.changed";
        let now = self.clock.now();
        for (policy, rule) in rules {
            let rule = rule.map(|rule| rule.to_string());
            tx.execute(sql, guardian_sql::params![tenant, *policy, rule, now]).await?;
        }
        tx.commit().await
    }

    async fn changed(&self, since: Option<Timestamp>) -> Result<Vec<Ruled>, StoreError> {
        let mut tx = self.db.begin_unscoped(&self.all).await?;
        let sql = "SELECT tenant_id, policy, rule FROM guardian_limit_rules WHERE changed >= $1 \
                   ORDER BY tenant_id, policy";
        let since = since.unwrap_or(chrono::DateTime::UNIX_EPOCH);
        let rows = tx.fetch_all(sql, guardian_sql::params![since]).await?;
        tx.commit().await?;
        rows.iter().map(|row| Ok((row.get("tenant_id")?, row.get("policy")?, row.get("rule")?))).collect()
    }
}

/// Takes up rules that were changed since a moment, and says which of them the limiter does not take.
pub(crate) async fn take_up(
    rules: &dyn Rules,
    limiter: &Limiter<AnyStore>,
    since: Option<Timestamp>,
) -> Result<Vec<String>, StoreError> {
    let mut refused = Vec::new();
    for (tenant, policy, rule) in rules.changed(since).await? {
        // A policy that is gone from the code leaves its rules behind; one that is back finds them again.
        let Some(id) = limiter.find(&policy) else { continue };
        let taken = match rule.as_deref().map(str::parse::<Rule>).transpose() {
            Ok(rule) => limiter.set_override(id, &tenant, rule).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = taken {
            refused.push(format!("the rule of `{tenant}` for `{policy}`: {why}"));
        }
    }
    Ok(refused)
}

/// The book that the API writes into: the rules, and in the operator's own log who changed them and why.
pub(crate) struct Book<S> {
    pub(crate) rules: Arc<dyn Rules>,
    pub(crate) log: AuditLog<S>,
}

impl<S> fmt::Debug for Book<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl<S: AuditStore> Book<S> {
    /// Writes into the operator's log what is done to a tenant, and why.
    pub(crate) async fn note(
        &self,
        (operator, reason): (&Scope, &str),
        action: &str,
        tenant: &TenantId,
        particulars: serde_json::Value,
    ) -> Result<(), StoreError> {
        let mut event = AuditEvent::new(action).with_target(Target::new("tenant", tenant.as_str()));
        if let serde_json::Value::Object(members) = particulars {
            event.metadata = members;
        }
        event.metadata.insert("reason".to_owned(), reason.into());
        match self.log.record(operator, event).await {
            Ok(_) => Ok(()),
            Err(Error::Store(error)) => Err(error),
            Err(other) => Err(StoreError::new(StoreErrorKind::Internal, "audit").with_source(other)),
        }
    }
}

impl<S: AuditStore> Book<S> {
    /// Keeps rules, all or none, after who makes them and why.
    pub(crate) async fn rules(
        &self,
        by: (&Scope, &str),
        tenant: &TenantId,
        rules: &[(&str, Option<Rule>)],
    ) -> Result<(), StoreError> {
        let told: serde_json::Map<_, _> = rules
            .iter()
            .map(|(policy, rule)| ((*policy).to_owned(), json!(rule.map(|rule| rule.to_string()))))
            .collect();
        self.note(by, "rate_limit.rules_changed", tenant, json!({ "rules": told })).await?;
        self.rules.keep(tenant, rules).await
    }
}

#[async_trait]
impl<S: AuditStore> RuleBook for Book<S> {
    async fn keep(
        &self,
        operator: &OperatorCaller,
        tenant: &TenantId,
        rules: &[(&str, Option<Rule>)],
    ) -> Result<(), StoreError> {
        self.rules((&operator.scope, &operator.reason), tenant, rules).await
    }

    async fn note_reset(
        &self,
        operator: &OperatorCaller,
        tenant: &TenantId,
        policy: &str,
    ) -> Result<(), StoreError> {
        let by = (&operator.scope, operator.reason.as_str());
        self.note(by, "rate_limit.counter_reset", tenant, json!({ "policy": policy })).await
    }
}

use guardian_core::StoreError;

/// Why something could not be put together, or was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Webhooks seal their secrets, and nobody said with which key.
    #[error(
        "there is no key to seal secrets with: give one with `secrets_key`, or a vault of your own with `vault`"
    )]
    NoVault,
    /// An action writes in a database, and there is none.
    #[error("the action `{action}` runs in a transaction, and in memory there is none: open a database")]
    NoTransactions {
        /// Its name.
        action: String,
    },
    /// A name that an event cannot have.
    #[error(
        "`{name}` is no name of an event: it is words of letters, digits, `_` and `-` with dots between, such as `deal.won`"
    )]
    EventName {
        /// The name.
        name: String,
    },
    /// A tenant on a plan that there is none of.
    #[error("there is no quota plan `{plan}`: give the builder one of that name, or the tenant another plan")]
    NoPlan {
        /// Its name.
        plan: String,
    },
    /// Data that not all who listen could take.
    #[error("the event's data cannot be told: {why}")]
    EventData {
        /// Why not.
        why: &'static str,
    },
    /// A rule that was kept and is not taken any more.
    #[error("{0}")]
    Rule(String),
    /// The name of the operator's tenant.
    #[error(transparent)]
    Tenant(#[from] guardian_core::InvalidTenantId),
    /// A database that does not open, or a migration that fails.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    #[error(transparent)]
    Sql(#[from] guardian_sql::Error),
    /// A store that fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Of the audit log.
    #[error(transparent)]
    Audit(#[from] guardian_audit::Error),
    /// Of rules about addresses.
    #[error(transparent)]
    Access(#[from] guardian_ipaccess::Error),
    /// Of quotas.
    #[error(transparent)]
    Quota(#[from] guardian_quota::Error),
    /// Of rate limits.
    #[error(transparent)]
    RateLimit(#[from] guardian_ratelimit::Error),
    /// Of roles.
    #[error(transparent)]
    Roles(#[from] guardian_rbac::Error),
    /// Of sentiments.
    #[error(transparent)]
    Sentiment(#[from] guardian_sentiment::Error),
    /// Of the registry of tenants.
    #[error(transparent)]
    Registry(#[from] guardian_tenant::Error),
    /// Of the registry's words.
    #[error(transparent)]
    Field(#[from] guardian_tenant::InvalidField),
    /// Of webhooks.
    #[error(transparent)]
    Webhook(#[from] guardian_webhook::Error),
    /// Of the sender of webhooks.
    #[error(transparent)]
    Sender(#[from] guardian_webhook::SendError),
    /// Of workflows.
    #[error(transparent)]
    Workflow(#[from] guardian_workflow::Error),
}

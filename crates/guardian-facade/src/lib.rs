#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

/// All domains put together: services, events, workers, the API of administrators.
#[cfg(feature = "assembly")]
pub use guardian_assembly as assembly;

/// All domains put together; begin with [`Guardian::builder`].
#[cfg(feature = "assembly")]
pub use guardian_assembly::Guardian;

/// The audit log: events, search, stores, proofs, life cycle, exports.
#[cfg(feature = "audit")]
pub use guardian_audit as audit;

/// The vocabulary of the suite: tenants, actors, scopes, clocks, ids, pages, events.
pub use guardian_core as core;

/// Expressions: environments, programs, budgets, what people who write conditions need.
#[cfg(feature = "expr")]
pub use guardian_expr as expr;

/// Doors: client addresses, rate limit fields, problem documents, tower layers.
#[cfg(feature = "http")]
pub use guardian_http as http;

/// Who may come from where: rules about addresses and countries, doors, client addresses.
#[cfg(feature = "ipaccess")]
pub use guardian_ipaccess as ipaccess;

/// Quotas: plans, decisions, holds, the ledger, billing, analytics.
#[cfg(feature = "quota")]
pub use guardian_quota as quota;

/// Rate limits: policies, limiters, stores.
#[cfg(feature = "ratelimit")]
pub use guardian_ratelimit as ratelimit;

/// Roles and permissions: catalogs, policies, decisions, delegation, imports.
#[cfg(feature = "rbac")]
pub use guardian_rbac as rbac;

/// Sentiment: models, mails apart, messages, series, alarms, charts.
#[cfg(feature = "sentiment")]
pub use guardian_sentiment as sentiment;

/// SQL: databases, tenant-bound transactions, migrations, leases.
#[cfg(feature = "sql")]
pub use guardian_sql as sql;

/// Tenants: the registry, row-level security, the lint.
#[cfg(feature = "tenant")]
pub use guardian_tenant as tenant;

/// Webhooks: endpoints, publishing, workers, egress, verifiers, tools.
#[cfg(feature = "webhook")]
pub use guardian_webhook as webhook;

/// Workflows: definitions, validation, versions, diffs, runs, workers, importers.
#[cfg(feature = "workflow")]
pub use guardian_workflow as workflow;

/// The guide to the door: its example is a host as a whole, and compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/http.md")]
struct Door;

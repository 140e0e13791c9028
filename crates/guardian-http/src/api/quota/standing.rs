//! How accounts stand, and the ledger behind them.

use axum::extract::State;
use guardian_core::Timestamp;
use guardian_quota::store::QuotaStore;
use guardian_quota::{Balance, Entry, Feature, GrantBalance, Quotas};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::subscription::plan_of;
use super::{Answer, FEATURE, Items, OfSubject, bound, failed, reads};
use crate::api::{Api, Caller, Json, Listed, PageParams, Params, PathParam, page};

/// How an account stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuotaBalance {
    /// The feature.
    feature: String,
    /// Whose account it is.
    subject: String,
    /// When the period began; null when it has no beginning.
    #[schema(value_type = Option<String>, format = DateTime)]
    period_start: Option<Timestamp>,
    /// When the period ends; null when it has no end.
    #[schema(value_type = Option<String>, format = DateTime)]
    period_end: Option<Timestamp>,
    /// What the period includes; null where nothing limits it.
    limit: Option<u64>,
    /// What was spent in it.
    used: i128,
    /// What is held now. It is not spent.
    held: i128,
    /// How much of what was spent or is held goes beyond the limit.
    beyond: i128,
    /// How much a call could have now; null for any amount.
    remaining: Option<i128>,
    /// How many per cent of the limit were spent; null where nothing limits it.
    percent: Option<i128>,
    /// When usage starts anew; null for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    resets_at: Option<Timestamp>,
    /// The grants, in the order in which they are used up. Of those that are used up some may be missing.
    grants: Vec<QuotaGrant>,
    /// What is held: a commit or a release ends it.
    holds: Vec<QuotaOpenHold>,
}

/// Units besides what the plan includes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuotaGrant {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// How much it was.
    amount: i128,
    /// How much of it is left.
    left: i128,
    /// Which is used first: the least. What the plan includes has 100.
    priority: u8,
    /// From when on it can be used.
    #[schema(value_type = String, format = DateTime)]
    starts: Timestamp,
    /// Until when; null for ever.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Timestamp>,
}

/// Units that are held.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuotaOpenHold {
    /// The id of the hold.
    #[schema(format = "uuid")]
    id: String,
    /// How much.
    amount: i128,
    /// When it ends by itself.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
}

/// One line of the ledger. Lines are added and never changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuotaEntry {
    /// Its number in the ledger of the feature, from 1 without a gap.
    entry: u64,
    /// What it says: `grant`, `reserve`, `extend`, `commit`, `release`, `consume`, `adjust` or `reset`.
    kind: &'static str,
    /// Whose usage it is.
    subject: String,
    /// How much; a correction may be negative.
    amount: i128,
    /// How much of it went beyond the limit of the tenant as a whole.
    beyond: i128,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    recorded: Timestamp,
    /// Who did it: `user:ann`.
    actor: String,
    /// The caller's key of it.
    key: Option<String>,
    /// The hold that it is about.
    #[schema(format = "uuid")]
    hold: Option<String>,
    /// Why, of a correction.
    note: Option<String>,
    /// Whether the billing system is told of it.
    billed: bool,
}

impl From<Balance> for QuotaBalance {
    fn from(balance: Balance) -> Self {
        let holds = balance.holds.iter().map(|(id, amount, expires)| QuotaOpenHold {
            id: id.to_string(),
            amount: *amount,
            expires: *expires,
        });
        Self {
            feature: balance.feature.to_string(),
            subject: balance.subject.to_string(),
            period_start: bound(balance.period.start()),
            period_end: balance.period.end().and_then(bound),
            limit: balance.limit,
            used: balance.used,
            held: balance.held,
            beyond: balance.beyond,
            remaining: balance.remaining,
            percent: balance.percent(),
            resets_at: balance.resets_at,
            holds: holds.collect(),
            grants: balance.grants.iter().map(QuotaGrant::from).collect(),
        }
    }
}

impl From<&GrantBalance> for QuotaGrant {
    fn from(grant: &GrantBalance) -> Self {
        Self {
            id: grant.id.to_string(),
            amount: grant.amount,
            left: grant.left,
            priority: grant.priority,
            starts: grant.starts,
            expires: grant.expires,
        }
    }
}

impl From<Entry> for QuotaEntry {
    fn from(entry: Entry) -> Self {
        Self {
            entry: entry.seq(),
            kind: entry.kind().as_str(),
            subject: entry.subject().to_string(),
            amount: entry.amount(),
            beyond: entry.beyond(),
            at: entry.at(),
            recorded: entry.recorded(),
            actor: entry.actor().to_string(),
            key: entry.key().map(ToString::to_string),
            hold: entry.hold().map(|hold| hold.to_string()),
            note: entry.note().map(str::to_owned),
            billed: entry.is_billed(),
        }
    }
}

fn grant_example() -> Value {
    json!({
        "id": "019531a0-7c00-7000-8000-000000000001", "amount": 500, "left": 500, "priority": 200,
        "starts": "2026-03-01T00:00:00Z", "expires": null,
    })
}

pub(super) fn balance_example() -> Value {
    json!({
        "feature": "tokens", "subject": "org",
        "period_start": "2026-02-28T00:00:00Z", "period_end": "2026-03-31T00:00:00Z",
        "limit": 1_000_000, "used": 1250, "held": 0, "beyond": 0, "remaining": 999_250, "percent": 0,
        "resets_at": "2026-03-31T00:00:00Z", "grants": [grant_example()], "holds": [],
    })
}

fn entry_example() -> Value {
    json!({
        "entry": 1, "kind": "consume", "subject": "user:ann", "amount": 1250, "beyond": 0,
        "at": "2026-03-02T09:30:00Z", "recorded": "2026-03-02T09:30:00Z", "actor": "user:ann",
        "key": "req-7f3a", "hold": null, "note": null, "billed": true,
    })
}

pub(super) fn declare<S: QuotaStore>(api: Api<Quotas<S>>) -> Api<Quotas<S>> {
    let balances = reads("listQuotaBalances", "How all accounts of a subject stand")
        .about("One balance for each metered feature of the plan.")
        .query::<OfSubject>()
        .answers::<Listed<QuotaBalance>>(
            StatusCode::OK,
            "All balances.",
            json!({"items": [balance_example()], "next": null}),
        );
    let balance = reads("readQuotaBalance", "How an account stands")
        .path("feature", FEATURE, "tokens")
        .query::<OfSubject>()
        .answers::<QuotaBalance>(StatusCode::OK, "The balance.", balance_example());
    let grants = reads("listQuotaGrants", "What a subject was given besides the plan")
        .about("Of grants that are used up some may be missing: the ledger has all.")
        .path("feature", FEATURE, "tokens")
        .query::<OfSubject>()
        .answers::<Listed<QuotaGrant>>(
            StatusCode::OK,
            "All grants.",
            json!({"items": [grant_example()], "next": null}),
        );
    let entries = reads("listQuotaEntries", "The ledger of a feature, the oldest line first")
        .path("feature", FEATURE, "tokens")
        .pages()
        .answers::<Listed<QuotaEntry>>(
            StatusCode::OK,
            "A page.",
            json!({"items": [entry_example()], "next": null}),
        );
    api.get("/quotas/balances", balances, list_balances::<S>)
        .get("/quotas/features/{feature}/balance", balance, read_balance::<S>)
        .get("/quotas/features/{feature}/grants", grants, list_grants::<S>)
        .get("/quotas/features/{feature}/entries", entries, list_entries::<S>)
}

async fn list_balances<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    Params(of): Params<OfSubject>,
) -> Items<QuotaBalance> {
    let subject = of.subject()?;
    let plan = plan_of(&quotas, &scope).await?;
    let mut items = Vec::new();
    for (name, feature) in &plan.features {
        if let Feature::Metered(_) = feature {
            let balance = quotas.balance(&scope, name.as_str(), &subject).await;
            items.push(balance.map_err(|error| failed(&error))?.into());
        }
    }
    Ok(Json(Listed::whole(items)))
}

async fn read_balance<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    PathParam(feature): PathParam<String>,
    Params(of): Params<OfSubject>,
) -> Answer<QuotaBalance> {
    let balance = quotas.balance(&scope, &feature, &of.subject()?).await;
    Ok(Json(balance.map_err(|error| failed(&error))?.into()))
}

async fn list_grants<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    PathParam(feature): PathParam<String>,
    Params(of): Params<OfSubject>,
) -> Items<QuotaGrant> {
    let balance = quotas.balance(&scope, &feature, &of.subject()?).await.map_err(|error| failed(&error))?;
    Ok(Json(Listed::whole(balance.grants.iter().map(QuotaGrant::from).collect())))
}

async fn list_entries<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    PathParam(feature): PathParam<String>,
    page: PageParams,
) -> Items<QuotaEntry> {
    let request = page.request()?;
    // The store counts lines in 63 bits.
    let after = page::behind(&request)?.map_or(0, u64::from_be_bytes).min(i64::MAX.unsigned_abs());
    // One more than is wanted tells whether there is another page.
    let found = quotas.entries(&scope, &feature, after, request.size() + 1).await;
    let items = found.map_err(|error| failed(&error))?;
    Ok(Json(Listed::of(page::cut(items, &request, |last| last.seq().to_be_bytes()), QuotaEntry::from)))
}

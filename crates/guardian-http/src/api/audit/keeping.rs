//! What the platform's operators do: legal holds, retention, and the forgetting of people.

use std::time::Duration;

use axum::extract::State;
use guardian_audit::store::AuditStore;
use guardian_audit::{Hold, Retention};
use guardian_core::{Timestamp, shorten};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::event::subject;
use super::{Answer, Items, Shared, failed, query};
use crate::Problem;
use crate::api::{Api, Json, Kind, Listed, Operation, OperatorCaller, PathParam};

/// Events that are kept, whatever retention says.
#[derive(Debug, Serialize, ToSchema)]
struct AuditHold {
    /// Its name.
    name: String,
    /// Which events, in the language of the log.
    query: String,
    /// Why.
    reason: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

/// Events to be kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAuditHold {
    /// Which events, in the language of the log; empty for all.
    #[schema(max_length = 4096)]
    query: String,
}

/// A person who is to be forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AuditErasure {
    /// What they are: `user`, `contact`.
    #[schema(min_length = 1, max_length = 1024)]
    kind: String,
    /// Their id.
    #[schema(min_length = 1, max_length = 1024)]
    id: String,
}

/// What became of a person's key.
#[derive(Debug, Serialize, ToSchema)]
struct AuditErased {
    /// Whether there was a key, which is destroyed now: false when nothing of them was sealed.
    key_destroyed: bool,
}

/// For how long events are kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AuditRetention {
    /// The rules: of those that find an event the first one holds.
    #[schema(min_items = 1, max_items = 100)]
    rules: Vec<AuditRetentionRule>,
    /// How many events are dropped at most in this call; 1000 when nothing is said.
    #[schema(minimum = 1, maximum = 100_000)]
    limit: Option<u64>,
}

/// For how long some events are kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AuditRetentionRule {
    /// Which events, in the language of the log; empty for all.
    #[schema(max_length = 4096)]
    query: String,
    /// For how many days.
    #[schema(minimum = 1, maximum = 36_500)]
    keep_days: u32,
}

/// What retention dropped.
#[derive(Debug, Serialize, ToSchema)]
struct AuditRetained {
    /// How many events: of each its hash is left.
    dropped: u64,
    /// Whether there are more, for another call.
    more: bool,
}

impl From<Hold> for AuditHold {
    fn from(hold: Hold) -> Self {
        Self { name: hold.name, query: hold.query.to_string(), reason: hold.reason, since: hold.since }
    }
}

fn hold_example() -> Value {
    json!({
        "name": "case-7", "query": "actor:u_17", "reason": "ticket 4711: a subpoena",
        "since": "2026-03-01T00:00:00Z",
    })
}

pub(super) fn declare<S: AuditStore>(api: Api<Shared<S>>) -> Api<Shared<S>> {
    let operates = |id, summary, changes| {
        Operation::new(id, summary)
            .of_the_platform(changes)
            .path("tenant", "The tenant.", "acme")
            .may(Kind::Unprocessable)
            .may(Kind::Conflict)
    };
    let of_hold = |operation: Operation| {
        operation.path("hold", "Its name: 1 to 64 letters, digits and `. _ -`.", "case-7")
    };
    let list = operates("listAuditHolds", "A tenant's legal holds", false).answers::<Listed<AuditHold>>(
        StatusCode::OK,
        "All holds.",
        json!({"items": [hold_example()], "next": null}),
    );
    let put = of_hold(operates("putAuditHold", "Keep events, whatever retention says", true))
        .about("`Guardian-Reason` is kept with it.")
        .body::<NewAuditHold>(json!({"query": "actor:u_17"}))
        .answers::<AuditHold>(StatusCode::OK, "The hold.", hold_example());
    let lift = of_hold(operates("liftAuditHold", "Lift a legal hold", true))
        .answers_nothing(StatusCode::NO_CONTENT, "It is.");
    let erase = operates("eraseAuditSubject", "Forget a person", true)
        .about(
            "The key is destroyed that their fields are sealed with. Nothing of the log changes, so every proof still holds. \
             A hold that finds an event of theirs stops it.",
        )
        .body::<AuditErasure>(json!({"kind": "user", "id": "u_17"}))
        .answers::<AuditErased>(StatusCode::OK, "It is.", json!({"key_destroyed": true}));
    let retain = operates("applyAuditRetention", "Drop events that are older than they are to be", true)
        .about("Their hashes stay, so every proof still holds. What a hold finds is kept.")
        .body::<AuditRetention>(
            json!({"rules": [{"query": "action:page.viewed", "keep_days": 90}], "limit": 1000}),
        )
        .answers::<AuditRetained>(
            StatusCode::OK,
            "What was dropped.",
            json!({"dropped": 310, "more": false}),
        );
    api.get("/platform/tenants/{tenant}/audit/holds", list, list_holds::<S>)
        .put("/platform/tenants/{tenant}/audit/holds/{hold}", put, put_hold::<S>)
        .delete("/platform/tenants/{tenant}/audit/holds/{hold}", lift, lift_hold::<S>)
        .post("/platform/tenants/{tenant}/audit/erasures", erase, erase_subject::<S>)
        .post("/platform/tenants/{tenant}/audit/retention", retain, apply_retention::<S>)
}

fn hold_name(name: &str) -> Result<&str, Problem> {
    let is_one = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=64).contains(&name.len()) && name.chars().all(is_one) {
        return Ok(name);
    }
    let name = shorten(name);
    Err(Kind::InvalidRequest
        .because(format_args!("`{name}` is no name: 1 to 64 letters, digits and `. _ -`")))
}

async fn list_holds<S: AuditStore>(
    State(reached): State<Shared<S>>,
    operator: OperatorCaller,
    PathParam(tenant): PathParam<String>,
) -> Items<AuditHold> {
    let holds = reached.log.holds(&operator.in_tenant(&tenant)?).await.map_err(|error| failed(&error))?;
    Ok(Json(Listed::whole(holds.into_iter().map(AuditHold::from).collect())))
}

async fn put_hold<S: AuditStore>(
    State(reached): State<Shared<S>>,
    operator: OperatorCaller,
    PathParam((tenant, name)): PathParam<(String, String)>,
    Json(new): Json<NewAuditHold>,
) -> Answer<AuditHold> {
    let (scope, reason) = (operator.in_tenant(&tenant)?, operator.reason.as_str());
    let (name, query) = (hold_name(&name)?, query(Some(&new.query))?);
    let hold = reached.log.hold(&scope, name, query, reason).await.map_err(|error| failed(&error))?;
    Ok(Json(hold.into()))
}

async fn lift_hold<S: AuditStore>(
    State(reached): State<Shared<S>>,
    operator: OperatorCaller,
    PathParam((tenant, name)): PathParam<(String, String)>,
) -> Result<StatusCode, Problem> {
    let scope = operator.in_tenant(&tenant)?;
    let lifted = reached.log.lift_hold(&scope, hold_name(&name)?).await.map_err(|error| failed(&error))?;
    if lifted {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Kind::NotFound.because(format_args!("there is no hold `{name}`")))
}

async fn erase_subject<S: AuditStore>(
    State(reached): State<Shared<S>>,
    operator: OperatorCaller,
    PathParam(tenant): PathParam<String>,
    Json(person): Json<AuditErasure>,
) -> Answer<AuditErased> {
    let (scope, subject) = (operator.in_tenant(&tenant)?, subject(&person.kind, &person.id)?);
    let erased = reached.log.erase_subject(&scope, &subject).await.map_err(|error| failed(&error))?;
    Ok(Json(AuditErased { key_destroyed: erased.key_destroyed }))
}

async fn apply_retention<S: AuditStore>(
    State(reached): State<Shared<S>>,
    operator: OperatorCaller,
    PathParam(tenant): PathParam<String>,
    Json(wanted): Json<AuditRetention>,
) -> Answer<AuditRetained> {
    let scope = operator.in_tenant(&tenant)?;
    let limit = wanted.limit.unwrap_or(1000);
    let is_kept = |rule: &AuditRetentionRule| (1..=36_500).contains(&rule.keep_days);
    if !(1..=100).contains(&wanted.rules.len())
        || !(1..=100_000).contains(&limit)
        || !wanted.rules.iter().all(is_kept)
    {
        return Err(Kind::InvalidRequest.because(
            "there are 1 to 100 rules, each keeps for 1 to 36500 days, and the limit is 1 to 100000",
        ));
    }
    let mut retention = Retention::default();
    for rule in &wanted.rules {
        let keep = Duration::from_secs(u64::from(rule.keep_days) * 86_400);
        retention = retention.with_rule(query(Some(&rule.query))?, keep);
    }
    let retained = reached.log.retain(&scope, &retention, limit).await.map_err(|error| failed(&error))?;
    Ok(Json(AuditRetained { dropped: retained.dropped, more: retained.more }))
}

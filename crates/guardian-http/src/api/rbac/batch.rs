//! Many grants in one request, all or none.

use axum::extract::State;
use guardian_rbac::{NewGrant, Rbac, WRITE_GRANTS};
use http::StatusCode;
use serde_json::json;

use super::words::{GrantsIn, GrantsWritten, RevocationsIn, Revoked};
use super::{domain, failed, grant_id};
use crate::Problem;
use crate::api::{Api, Caller, Json, Kind, Operation};

pub(super) fn declare(api: Api<Rbac>) -> Api<Rbac> {
    api.post(
        "/grants/batch",
        Operation::new("giveGrants", "Give many roles at once")
            .about("All of them or none; at most 1000.")
            .takes(WRITE_GRANTS)
            .may(Kind::Conflict)
            .may(Kind::Unprocessable)
            .may(Kind::NotFound)
            .body::<GrantsIn>(json!({"grants": [
                {"subject": "user:ann", "role": "rep", "reason": "joined sales"},
                {"subject": "user:bob", "role": "rep", "reason": "joined sales"},
            ]}))
            .answers::<GrantsWritten>(
                StatusCode::CREATED,
                "They are given.",
                json!({"ids": ["018f3a4e-0000-7000-8000-000000000000", "018f3a4e-0000-7000-8000-000000000001"], "revision": 8}),
            ),
        give_all,
    )
    .post(
        "/grants/revocations",
        Operation::new("revokeGrants", "Take many roles back at once")
            .about("All of them or none, with all that was passed on from them; at most 1000 are named. Givers and holders may do so, and who may write grants.")
            .may(Kind::Conflict)
            .may(Kind::Unprocessable)
            .may(Kind::NotFound)
            .body::<RevocationsIn>(json!({"grants": ["018f3a4e-0000-7000-8000-000000000000"]}))
            .answers::<Revoked>(StatusCode::OK, "They are taken back.", json!({"revoked": 1, "revision": 9})),
        revoke_all,
    )
}

/// How many grants one request names at most.
const MOST_GRANTS: usize = 1_000;

fn so_many<T>(grants: &[T]) -> Result<(), Problem> {
    if (1..=MOST_GRANTS).contains(&grants.len()) {
        return Ok(());
    }
    Err(Kind::InvalidRequest
        .because(format_args!("`grants` has 1 to {MOST_GRANTS}, and here it has {}", grants.len())))
}

async fn give_all(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    Json(body): Json<GrantsIn>,
) -> Result<(StatusCode, Json<GrantsWritten>), Problem> {
    so_many(&body.grants)?;
    let new: Vec<NewGrant> = body.grants.iter().map(domain).collect::<Result<_, _>>()?;
    let (ids, revision) = rbac.grant_all(&scope, &new).await.map_err(|error| failed(&error))?;
    let ids = ids.iter().map(ToString::to_string).collect();
    Ok((StatusCode::CREATED, Json(GrantsWritten { ids, revision: revision.number() })))
}

async fn revoke_all(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    Json(body): Json<RevocationsIn>,
) -> Result<Json<Revoked>, Problem> {
    so_many(&body.grants)?;
    let ids: Vec<_> = body.grants.iter().map(|id| grant_id(id)).collect::<Result<_, _>>()?;
    let (revoked, revision) = rbac.revoke_all(&scope, &ids).await.map_err(|error| failed(&error))?;
    Ok(Json(Revoked { revoked, revision: revision.number() }))
}

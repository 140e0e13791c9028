//! Roles and permissions: who may do what, why, and who gave it.
//!
//! Who may change what, the policy itself decides: nobody gives what they do not have.

use axum::Extension;
use axum::extract::State;
use guardian_core::shorten;
use guardian_rbac::{
    Area, Ask, BREAK_GLASS, Change, Constraint, ConstraintId, Error, Grant, GrantId, GroupId, Item,
    MatrixCell, Membership, NewGrant, Permission, Principal, REVIEW, Rbac, Resource, ReviewItem, Revision,
    Role, RoleId, Subject, WRITE_CONSTRAINTS, WRITE_GRANTS, WRITE_ROLES,
};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::alone::Alone;
use super::{
    Api, Caller, IfMatch, IfNoneMatch, Json, Kind, Listed, Operation, PageParams, Params, PathParam, Tagged,
    page,
};
use crate::Problem;

mod batch;
mod words;

use words::{
    Answer, CatalogEntry, CheckIn, ConstraintBody, DifferenceOut, EmergencyIn, GrantIn, GrantOut, GrantQuery,
    MatrixOut, MatrixRow, MemberOut, Mine, PreviewIn, ReviewOut, RoleBody, WhoIn, WhoOut, Written,
};

/// The operations on roles and grants. Reading takes `rbac.policy:review`; what a change takes, the policy decides.
pub fn api(rbac: Rbac) -> Api {
    let api = Api::new("roles", "Who may do what, and why.");
    let previewing = Alone::new("roles are being tried out already");
    let questions = questions(api).reaching(Extension(previewing));
    constraints(groups(batch::declare(grants(roles(questions))))).with_state(rbac)
}

fn questions(api: Api<Rbac>) -> Api<Rbac> {
    api.get(
        "/permissions",
        Operation::new("listOwnPermissions", "What the caller may do in the tenant as a whole")
            .answers::<Listed<Mine>>(
                StatusCode::OK,
                "Everything but what no rule gives.",
                json!({"items": [{"permission": "deal:edit", "outcome": "allow"}], "next": null}),
            ),
        own,
    )
    .get(
        "/permission-catalog",
        Operation::new("listPermissions", "The permissions that there are").takes(REVIEW).answers::<Listed<CatalogEntry>>(
            StatusCode::OK,
            "All of them.",
            json!({"items": [{"permission": "deal:edit", "title": "Change deals", "sensitive": false}], "next": null}),
        ),
        catalog,
    )
    .post(
        "/access-checks",
        Operation::new("checkAccess", "May somebody do something, and why")
            .takes(REVIEW)
            .may(Kind::Unprocessable)
            .body::<CheckIn>(json!({"principal": "user:ann", "permission": "deal:edit", "area": "team:sales"}))
            .answers::<Answer>(
                StatusCode::OK,
                "The answer.",
                json!({"allowed": true, "outcome": "allow", "text": "user:ann may deal:edit …", "revision": 7}),
            ),
        check,
    )
    .post(
        "/who-can",
        Operation::new("whoCan", "Who may do something")
            .takes(REVIEW)
            .may(Kind::Unprocessable)
            .body::<WhoIn>(json!({"permission": "deal:edit"}))
            .answers::<WhoOut>(StatusCode::OK, "They.", json!({"everyone": false, "principals": ["user:ann"], "truncated": false})),
        who_can,
    )
    .post(
        "/role-previews",
        Operation::new("previewRoles", "What would change for whom if roles were written")
            .about("Nothing is written. More than 10,000 differences are none to look through: 422, try fewer roles. One at a time: 409.")
            .takes(REVIEW)
            .may(Kind::Conflict)
            .may(Kind::Unprocessable)
            .body::<PreviewIn>(json!({"roles": [words::role_example()]}))
            .answers::<Listed<DifferenceOut>>(
                StatusCode::OK,
                "The differences.",
                json!({"items": [{
                    "principal": "user:ann", "permission": "deal:edit", "area": "tenant", "before": "not_permitted", "after": "allow",
                }], "next": null}),
            ),
        preview,
    )
}

fn roles(api: Api<Rbac>) -> Api<Rbac> {
    let changes = |id, summary| {
        Operation::new(id, summary)
            .takes(WRITE_ROLES)
            .path("role", "The name of the role.", "rep")
            .if_match()
            .may(Kind::Conflict)
            .may(Kind::Unprocessable)
    };
    api.get(
        "/roles",
        Operation::new("listRoles", "All roles").takes(REVIEW).answers::<Listed<RoleBody>>(
            StatusCode::OK,
            "All of them, by name.",
            json!({"items": [words::role_example()], "next": null}),
        ),
        list_roles,
    )
    .get(
        "/roles/{role}",
        Operation::new("readRole", "One role")
            .about("Its `ETag` is the revision of the whole policy.")
            .takes(REVIEW)
            .path("role", "The name of the role.", "rep")
            .tagged()
            .answers::<RoleBody>(StatusCode::OK, "The role.", words::role_example()),
        read_role,
    )
    .put(
        "/roles/{role}",
        changes("putRole", "Write a role")
            .tagged()
            .body::<RoleBody>(words::role_example())
            .answers::<RoleBody>(StatusCode::OK, "The role.", words::role_example()),
        put_role,
    )
    .delete(
        "/roles/{role}",
        changes("removeRole", "Remove a role that nothing needs")
            .answers_nothing(StatusCode::NO_CONTENT, "It is gone."),
        remove_role,
    )
    .get(
        "/role-matrix",
        Operation::new("readRoleMatrix", "What each role says about each permission")
            .takes(REVIEW)
            .answers::<MatrixOut>(
                StatusCode::OK,
                "The matrix.",
                json!({"permissions": ["deal:edit"], "rows": [{"role": "rep", "cells": ["own"]}]}),
            ),
        matrix,
    )
}

fn grants(api: Api<Rbac>) -> Api<Rbac> {
    let of = |id, summary| {
        Operation::new(id, summary).path(
            "grant",
            "The id of the grant.",
            "018f3a4e-0000-7000-8000-000000000000",
        )
    };
    let written = || json!({"id": "018f3a4e-0000-7000-8000-000000000000", "revision": 8});
    api.get(
        "/grants",
        Operation::new("listGrants", "Grants of roles")
            .takes(REVIEW)
            .query::<GrantQuery>()
            .answers::<Listed<GrantOut>>(
                StatusCode::OK,
                "A page of them, by id.",
                json!({"items": [words::grant_example()], "next": null}),
            ),
        list_grants,
    )
    .post(
        "/grants",
        Operation::new("giveGrant", "Give a role")
            .takes(WRITE_GRANTS)
            .may(Kind::Conflict)
            .may(Kind::Unprocessable)
            .may(Kind::NotFound)
            .body::<GrantIn>(json!({"subject": "user:ann", "role": "rep", "reason": "joined sales"}))
            .answers::<Written>(StatusCode::CREATED, "It is given.", written()),
        give,
    )
    .get(
        "/grants/{grant}",
        of("readGrant", "One grant").takes(REVIEW).answers::<GrantOut>(
            StatusCode::OK,
            "The grant.",
            words::grant_example(),
        ),
        read_grant,
    )
    .delete(
        "/grants/{grant}",
        of("revokeGrant", "Take a role back, and all that was passed on from it")
            .about("Givers and holders may do so, and who may write grants.")
            .may(Kind::Forbidden)
            .may(Kind::Conflict)
            .may(Kind::Unprocessable)
            .answers_nothing(StatusCode::NO_CONTENT, "It is gone."),
        revoke,
    )
    .post(
        "/grants/{grant}/delegations",
        of("delegateGrant", "Pass on a grant of the caller's own, or a part of it")
            .may(Kind::Forbidden)
            .may(Kind::Conflict)
            .may(Kind::Unprocessable)
            .body::<GrantIn>(
                json!({"subject": "user:bob", "role": "rep", "reason": "covers for me in August"}),
            )
            .answers::<Written>(StatusCode::CREATED, "It is passed on.", written()),
        delegate,
    )
    .post(
        "/grants/{grant}/certifications",
        of("certifyGrant", "Say that somebody looked at a grant and it stays")
            .takes(REVIEW)
            .may(Kind::Conflict)
            .may(Kind::Unprocessable)
            .answers_nothing(StatusCode::NO_CONTENT, "It is noted."),
        certify,
    )
    .get(
        "/grant-reviews",
        Operation::new("listGrantReviews", "Grants by how long nobody has looked at them")
            .takes(REVIEW)
            .pages()
            .answers::<Listed<ReviewOut>>(
                StatusCode::OK,
                "A page of them, the longest unseen first.",
                json!({"items": [{
                "grant": words::grant_example(), "last_used": null, "last_seen": "2026-01-01T00:00:00Z",
            }], "next": null}),
            ),
        reviews,
    )
    .post(
        "/emergencies",
        Operation::new("openEmergency", "Take a role in an emergency, for oneself and for a time")
            .takes(BREAK_GLASS)
            .may(Kind::NotFound)
            .may(Kind::Conflict)
            .may(Kind::Unprocessable)
            .body::<EmergencyIn>(
                json!({"role": "incident", "reason": "ticket 4711: the site is down", "seconds": 3600}),
            )
            .answers::<Written>(StatusCode::CREATED, "It is taken.", written()),
        emergency,
    )
}

fn groups(api: Api<Rbac>) -> Api<Rbac> {
    let member = |id, summary| {
        Operation::new(id, summary)
            .takes(WRITE_GRANTS)
            .path("group", "The name of the group.", "sales")
            .path("member", "Who, as `user:ann`.", "user:ann")
            .may(Kind::Conflict)
            .may(Kind::Unprocessable)
    };
    api.get(
        "/groups/{group}/members",
        Operation::new("listMembers", "Who is in a group")
            .takes(REVIEW)
            .path("group", "The name of the group.", "sales")
            .answers::<Listed<MemberOut>>(
                StatusCode::OK,
                "All of them.",
                json!({"items": [{"member": "user:ann"}], "next": null}),
            ),
        members,
    )
    .put(
        "/groups/{group}/members/{member}",
        member("putMember", "Put somebody into a group")
            .answers_nothing(StatusCode::NO_CONTENT, "They are in it."),
        put_member,
    )
    .delete(
        "/groups/{group}/members/{member}",
        member("removeMember", "Take somebody out of a group")
            .answers_nothing(StatusCode::NO_CONTENT, "They are not in it."),
        remove_member,
    )
}

fn constraints(api: Api<Rbac>) -> Api<Rbac> {
    let example = || json!({"id": "four-eyes", "duty": "static", "roles": ["payer", "approver"], "limit": 2});
    let named =
        |operation: Operation| operation.path("constraint", "The name of the separation.", "four-eyes");
    let changes = |id, summary| {
        named(Operation::new(id, summary))
            .takes(WRITE_CONSTRAINTS)
            .if_match()
            .may(Kind::Conflict)
            .may(Kind::Unprocessable)
    };
    let told = |operation: Operation| {
        operation.tagged().answers::<ConstraintBody>(StatusCode::OK, "The separation.", example())
    };
    api.get(
        "/constraints",
        Operation::new("listConstraints", "Roles that must not come together")
            .takes(REVIEW)
            .answers::<Listed<ConstraintBody>>(
                StatusCode::OK,
                "All of them.",
                json!({"items": [example()], "next": null}),
            ),
        list_constraints,
    )
    .get(
        "/constraints/{constraint}",
        told(named(Operation::new("readConstraint", "One separation")))
            .about("Its `ETag` is the revision of the whole policy.")
            .takes(REVIEW),
        read_constraint,
    )
    .put(
        "/constraints/{constraint}",
        told(changes("putConstraint", "Keep roles apart")).body::<ConstraintBody>(example()),
        put_constraint,
    )
    .delete(
        "/constraints/{constraint}",
        changes("removeConstraint", "Let roles come together")
            .answers_nothing(StatusCode::NO_CONTENT, "It is gone."),
        remove_constraint,
    )
}

async fn own(State(rbac): State<Rbac>, Caller(scope): Caller) -> Result<Json<Listed<Mine>>, Problem> {
    let tenant = rbac.load(&scope).await.map_err(|error| failed(&error))?;
    let (snapshot, now) = (tenant.snapshot(), rbac.now());
    let mine = snapshot.what_can(scope.actor(), &Resource::tenant(), now).into_iter().filter_map(|can| {
        let permission = snapshot.catalog().permission(can.permission)?.to_string();
        Some(Mine { permission, outcome: words::outcome(can.outcome) })
    });
    Ok(Json(Listed::whole(mine.collect())))
}

async fn catalog(State(rbac): State<Rbac>, Caller(_): Caller) -> Json<Listed<CatalogEntry>> {
    let catalog = rbac.catalog();
    let entries = catalog.permissions().map(|(handle, permission)| CatalogEntry {
        permission: permission.to_string(),
        title: catalog.title(handle).to_owned(),
        sensitive: catalog.is_sensitive(handle),
    });
    Json(Listed::whole(entries.collect()))
}

async fn check(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    Json(asked): Json<CheckIn>,
) -> Result<Json<Answer>, Problem> {
    let principal: Principal = parse("principal", &asked.principal)?;
    let area = area(asked.area.as_deref())?;
    let ask = Ask::new(&principal, asked.permission.as_str()).on(Resource::area(&area));
    let explanation = rbac.explain(&scope, &ask).await.map_err(|error| failed(&error))?;
    Ok(Json(Answer {
        allowed: explanation.decision.is_allowed(),
        outcome: words::outcome(explanation.decision.outcome()),
        text: explanation.to_string(),
        revision: explanation.decision.revision().number(),
    }))
}

/// How many people or differences an answer has at most.
const MOST: usize = 10_000;

async fn who_can(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    Json(asked): Json<WhoIn>,
) -> Result<Json<WhoOut>, Problem> {
    let area = area(asked.area.as_deref())?;
    let tenant = rbac.load(&scope).await.map_err(|error| failed(&error))?;
    let found = tenant.snapshot().who_can(asked.permission.as_str(), &Resource::area(&area), rbac.now());
    let found = found.map_err(|error| failed(&error))?;
    let principals = found.principals.iter().take(MOST).map(ToString::to_string).collect();
    Ok(Json(WhoOut { everyone: found.everyone, principals, truncated: found.principals.len() > MOST }))
}

async fn preview(
    State(rbac): State<Rbac>,
    Extension(previewing): Extension<Alone>,
    Caller(scope): Caller,
    Json(preview): Json<PreviewIn>,
) -> Result<Json<Listed<DifferenceOut>>, Problem> {
    if preview.roles.is_empty() || preview.roles.len() > 100 {
        return Err(Kind::InvalidRequest.because("a preview has 1 to 100 roles"));
    }
    let roles =
        preview.roles.iter().map(|role| domain::<Role>(role).map(|role| Change::Put(Item::Role(role))));
    let changes: Vec<Change> = roles.collect::<Result<_, _>>()?;
    let _alone = previewing.enter(&scope)?;
    let found = rbac.preview(&scope, &changes).await.map_err(|error| failed(&error))?;
    if found.len() > MOST {
        let count = found.len();
        return Err(Kind::Unprocessable
            .because(format_args!("{count} differences are more than {MOST}: try fewer roles at once")));
    }
    let tell = found.iter().map(|each| DifferenceOut {
        principal: each.principal.as_ref().map(ToString::to_string),
        permission: each.permission.to_string(),
        area: each.area.to_string(),
        before: words::outcome(each.before),
        after: words::outcome(each.after),
    });
    Ok(Json(Listed::whole(tell.collect())))
}

async fn list_roles(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
) -> Result<Json<Listed<RoleBody>>, Problem> {
    let policy = rbac.load(&scope).await.map_err(|error| failed(&error))?.policy();
    let roles = policy.roles().map(|role| worded(&**role)).collect::<Result<_, _>>()?;
    Ok(Json(Listed::whole(roles)))
}

async fn read_role(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    PathParam(role): PathParam<String>,
    known: IfNoneMatch,
) -> Result<Tagged<RoleBody>, Problem> {
    let tenant = rbac.load(&scope).await.map_err(|error| failed(&error))?;
    let revision = tenant.snapshot().revision().number().unsigned_abs();
    let found = RoleId::new(&role).ok().and_then(|id| tenant.policy().role(&id).cloned());
    let found =
        found.ok_or_else(|| Kind::NotFound.because(format_args!("there is no role `{}`", shorten(&role))))?;
    Ok(Tagged::new(revision, worded(&*found)?).unless(known))
}

/// The policy that the caller has seen.
fn based(rbac: &Rbac, wanted: IfMatch) -> Rbac {
    match wanted {
        // One that no revision can have is none that is there.
        IfMatch::Revision(revision) => {
            rbac.based_on(Revision::new(i64::try_from(revision).unwrap_or(i64::MAX)))
        }
        IfMatch::Any => rbac.clone(),
    }
}

async fn put_role(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
    wanted: IfMatch,
    Json(body): Json<RoleBody>,
) -> Result<Tagged<RoleBody>, Problem> {
    if body.id != name {
        return Err(Kind::InvalidRequest.because("the role in the body has another `id` than the path"));
    }
    let role: Role = domain(&body)?;
    let out = worded(&role)?;
    let revision = based(&rbac, wanted).put_role(&scope, role).await.map_err(|error| failed(&error))?;
    Ok(Tagged::new(revision.number().unsigned_abs(), out))
}

async fn remove_role(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
    wanted: IfMatch,
) -> Result<StatusCode, Problem> {
    let id = RoleId::new(&name).map_err(|_| Kind::NotFound.because("there is no such role"))?;
    based(&rbac, wanted).remove_role(&scope, &id).await.map_err(|error| failed(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn matrix(State(rbac): State<Rbac>, Caller(scope): Caller) -> Result<Json<MatrixOut>, Problem> {
    let tenant = rbac.load(&scope).await.map_err(|error| failed(&error))?;
    let matrix = tenant.snapshot().matrix();
    let cell = |cell: &MatrixCell| match cell {
        MatrixCell::Own => "own",
        MatrixCell::Inherited(_) => "inherited",
        MatrixCell::Denied(_) => "denied",
        MatrixCell::Conditional => "conditional",
        _ => "none",
    };
    let rows = matrix
        .rows
        .iter()
        .map(|(role, cells)| MatrixRow { role: role.to_string(), cells: cells.iter().map(cell).collect() });
    let permissions = matrix.permissions.iter().map(Permission::to_string).collect();
    Ok(Json(MatrixOut { permissions, rows: rows.collect() }))
}

async fn list_grants(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    Params(query): Params<GrantQuery>,
) -> Result<Json<Listed<GrantOut>>, Problem> {
    let page = query.page().request()?;
    let policy = rbac.load(&scope).await.map_err(|error| failed(&error))?.policy();
    let mut grants: Vec<&Grant> = match &query.subject {
        Some(subject) => policy.grants_of(&parse("subject", subject)?).map(|grant| &**grant).collect(),
        None => policy.grants().map(|grant| &**grant).collect(),
    };
    if let Some(role) = &query.role {
        grants.retain(|grant| grant.role.as_str() == role);
    }
    let sort = query.sort.unwrap_or_default();
    let found = page::ordered(grants, &page, sort.is_down(), |grant| sort.key(grant))?;
    Ok(Json(Listed::of(found, GrantOut::of)))
}

async fn give(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    Json(body): Json<GrantIn>,
) -> Result<(StatusCode, Json<Written>), Problem> {
    let new: NewGrant = domain(&body)?;
    let (id, revision) = rbac.grant(&scope, new).await.map_err(|error| failed(&error))?;
    Ok((StatusCode::CREATED, Json(Written { id: id.to_string(), revision: revision.number() })))
}

async fn read_grant(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
) -> Result<Json<GrantOut>, Problem> {
    let id = grant_id(&id)?;
    let policy = rbac.load(&scope).await.map_err(|error| failed(&error))?.policy();
    let grant = policy.grant(id).ok_or_else(|| Kind::NotFound.because("there is no such grant"))?;
    Ok(Json(GrantOut::of(grant)))
}

async fn revoke(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
) -> Result<StatusCode, Problem> {
    rbac.revoke(&scope, grant_id(&id)?).await.map_err(|error| failed(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delegate(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    Json(body): Json<GrantIn>,
) -> Result<(StatusCode, Json<Written>), Problem> {
    let new: NewGrant = domain(&body)?;
    let id = grant_id(&id)?;
    let (id, revision) = rbac.delegate(&scope, id, new).await.map_err(|error| failed(&error))?;
    Ok((StatusCode::CREATED, Json(Written { id: id.to_string(), revision: revision.number() })))
}

async fn certify(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
) -> Result<StatusCode, Problem> {
    rbac.recertify(&scope, grant_id(&id)?).await.map_err(|error| failed(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn reviews(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    page: PageParams,
) -> Result<Json<Listed<ReviewOut>>, Problem> {
    let page = page.request()?;
    let mut items = rbac.review(&scope).await.map_err(|error| failed(&error))?;
    items.sort_by_cached_key(by_last_seen);
    let tell = |item: ReviewItem| ReviewOut {
        grant: GrantOut::of(&item.grant),
        last_used: item.last_used,
        last_seen: item.last_seen,
    };
    Ok(Json(Listed::of(page::sorted(items, &page, by_last_seen)?, tell)))
}

/// The moment, such that bytes are in the order of time, and then the grant.
fn by_last_seen(item: &ReviewItem) -> [u8; 24] {
    let moment = item.last_seen.timestamp_micros().wrapping_add(i64::MIN).to_be_bytes();
    let id = *item.grant.id.uuid().as_bytes();
    let mut key = [0; 24];
    for (to, from) in key.iter_mut().zip(moment.into_iter().chain(id)) {
        *to = from;
    }
    key
}

async fn emergency(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    Json(body): Json<EmergencyIn>,
) -> Result<(StatusCode, Json<Written>), Problem> {
    let role = RoleId::new(&body.role).map_err(|error| Kind::InvalidRequest.because(error))?;
    let time = std::time::Duration::from_secs(body.seconds.into());
    let opened = rbac.break_glass(&scope, &role, area(body.area.as_deref())?, &body.reason, time).await;
    let (id, revision) = opened.map_err(|error| failed(&error))?;
    Ok((StatusCode::CREATED, Json(Written { id: id.to_string(), revision: revision.number() })))
}

async fn members(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    PathParam(group): PathParam<String>,
) -> Result<Json<Listed<MemberOut>>, Problem> {
    let group = GroupId::new(&group).map_err(|_| Kind::NotFound.because("there is no such group"))?;
    let policy = rbac.load(&scope).await.map_err(|error| failed(&error))?.policy();
    let mut members: Vec<MemberOut> =
        policy.members(&group).map(|member| MemberOut { member: member.to_string() }).collect();
    members.sort_unstable();
    Ok(Json(Listed::whole(members)))
}

async fn put_member(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    PathParam((group, member)): PathParam<(String, String)>,
) -> Result<StatusCode, Problem> {
    let group = GroupId::new(&group).map_err(|error| Kind::InvalidRequest.because(error))?;
    let member: Subject = parse("member", &member)?;
    rbac.put_member(&scope, Membership::new(group, member)).await.map_err(|error| failed(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_member(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    PathParam((group, member)): PathParam<(String, String)>,
) -> Result<StatusCode, Problem> {
    let group = GroupId::new(&group).map_err(|_| Kind::NotFound.because("there is no such group"))?;
    let member: Subject = parse("member", &member)?;
    rbac.remove_member(&scope, &group, &member).await.map_err(|error| failed(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_constraints(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
) -> Result<Json<Listed<ConstraintBody>>, Problem> {
    let policy = rbac.load(&scope).await.map_err(|error| failed(&error))?.policy();
    let constraints = policy.constraints().map(|each| worded(&**each)).collect::<Result<_, _>>()?;
    Ok(Json(Listed::whole(constraints)))
}

async fn read_constraint(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
    known: IfNoneMatch,
) -> Result<Tagged<ConstraintBody>, Problem> {
    let tenant = rbac.load(&scope).await.map_err(|error| failed(&error))?;
    let revision = tenant.snapshot().revision().number().unsigned_abs();
    let policy = tenant.policy();
    let found = policy.constraints().find(|each| each.id.as_str() == name);
    let found = found.ok_or_else(|| Kind::NotFound.because("there is no such separation"))?;
    Ok(Tagged::new(revision, worded(&**found)?).unless(known))
}

async fn put_constraint(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
    wanted: IfMatch,
    Json(body): Json<ConstraintBody>,
) -> Result<Tagged<ConstraintBody>, Problem> {
    if body.id != name {
        return Err(Kind::InvalidRequest.because("the separation in the body has another `id` than the path"));
    }
    let constraint: Constraint = domain(&body)?;
    let written = based(&rbac, wanted).put_constraint(&scope, constraint).await;
    let revision = written.map_err(|error| failed(&error))?;
    Ok(Tagged::new(revision.number().unsigned_abs(), body))
}

async fn remove_constraint(
    State(rbac): State<Rbac>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
    wanted: IfMatch,
) -> Result<StatusCode, Problem> {
    let id = ConstraintId::new(&name).map_err(|_| Kind::NotFound.because("there is no such separation"))?;
    based(&rbac, wanted).remove_constraint(&scope, &id).await.map_err(|error| failed(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

fn grant_id(text: &str) -> Result<GrantId, Problem> {
    text.parse().map_err(|_| Kind::NotFound.because("there is no such grant"))
}

fn area(text: Option<&str>) -> Result<Area, Problem> {
    text.map_or_else(|| Ok(Area::tenant()), |text| parse("area", text))
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(what: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Kind::InvalidRequest.because(format_args!("the {what}: {error}")))
}

/// What the API says as the domain has it: both are the same JSON.
fn domain<T: DeserializeOwned>(words: &impl serde::Serialize) -> Result<T, Problem> {
    let value =
        serde_json::to_value(words).map_err(|_| Kind::Internal.because("the body could not be read"))?;
    serde_json::from_value(value)
        .map_err(|error| Kind::InvalidRequest.because(format_args!("the body: {error}")))
}

/// What the domain has as the API says it.
fn worded<T: DeserializeOwned>(domain: &impl serde::Serialize) -> Result<T, Problem> {
    let unreadable = || Kind::Internal.because("the policy could not be told");
    let value: Value = serde_json::to_value(domain).map_err(|_| unreadable())?;
    serde_json::from_value(value).map_err(|_| unreadable())
}

fn failed(error: &Error) -> Problem {
    match error {
        Error::UnknownGrant { .. } | Error::Unknown { .. } => Kind::NotFound.because(error),
        Error::NotAllowed { .. } | Error::Escalation { .. } => Kind::Forbidden.because(error),
        Error::RoleInUse { .. } | Error::Separation { .. } | Error::Cycle { .. } | Error::Contended => {
            Kind::Conflict.because(error)
        }
        Error::Changed { .. } => Kind::Changed.because(error),
        Error::UnknownRole { .. }
        | Error::UnknownPermission { .. }
        | Error::NotDelegable { .. }
        | Error::NoEmergency { .. }
        | Error::NotHeld { .. }
        | Error::TooManyWays { .. }
        | Error::WindowOver { .. } => Kind::Unprocessable.because(error),
        Error::Store(source) => source.into(),
        Error::NotLoaded { .. } | Error::TooOld { .. } | Error::Stale { .. } => {
            Kind::Unavailable.because("permissions cannot be told at the moment")
        }
        error => Kind::InvalidRequest.because(error),
    }
}

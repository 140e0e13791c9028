//! Rules about addresses: what they are, what they would decide, and changes that lock nobody out by mistake.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OriginalUri, State};
use chrono::TimeDelta;
use guardian_core::{ActorKind, Scope, Timestamp};
use guardian_ipaccess::store::AccessStore;
use guardian_ipaccess::{
    AccessPolicy, AccessRequest, ClientAddr, CompiledPolicy, Confirm, Defaults, Error, IpAccess, Overlap,
    PolicyError, RuleId, TrustedProxies, parse_address,
};
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::bound::bounded;
use super::{Api, Caller, IfMatch, IfNoneMatch, Json, Kind, Listed, Operation, Params, PathParam, Tagged};
use crate::Problem;
use crate::peer::peer;

/// The operations on rules about addresses: permissions `ip-access:read` and `ip-access:manage`.
///
/// A change that would keep its own author out is refused unless it is confirmed. From where the author comes, these proxies
/// vouch for, as they do for the layer in front of the service.
pub fn api<S: AccessStore>(access: Arc<IpAccess<S>>, proxies: TrustedProxies) -> Api {
    let policy = policy_example;
    let changes = |id, summary| {
        Operation::new(id, summary)
            .takes("ip-access:manage")
            .if_match()
            .tagged()
            .may(Kind::Conflict)
            .may(Kind::Unprocessable)
    };
    Api::new("ip-access", "From where a tenant may be reached.")
        .get(
            "/ip-access/policy",
            Operation::new("readAccessPolicy", "The policy")
                .takes("ip-access:read")
                .tagged()
                .answers::<PolicyOut>(StatusCode::OK, "The policy.", policy()),
            read::<S>,
        )
        .put(
            "/ip-access/policy",
            changes("putAccessPolicy", "Put another policy in place")
                .body::<PolicyIn>(json!({"text": "default deny\nallow 192.0.2.0/24 # office", "confirm": true}))
                .answers::<PolicyOut>(StatusCode::OK, "The policy as it is now.", policy()),
            put::<S>,
        )
        .post(
            "/ip-access/rules",
            changes("addAccessRules", "Add rules")
                .about("Rules and regions; a setting of the whole policy is refused: it is put with the policy.")
                .body::<PolicyIn>(json!({"text": "deny 203.0.113.0/24 # scanners"}))
                .answers::<PolicyOut>(StatusCode::CREATED, "The policy as it is now.", policy()),
            add::<S>,
        )
        .delete(
            "/ip-access/rules/{rule}",
            changes("removeAccessRule", "Remove a rule")
                .path("rule", "The rule's number.", "2")
                .query::<Meant>()
                .answers::<PolicyOut>(StatusCode::OK, "The policy as it is now.", policy()),
            remove::<S>,
        )
        .put(
            "/ip-access/dry-run",
            changes("putAccessDryRun", "Only report denials, or do deny")
                .body::<DryRun>(json!({"dry_run": true}))
                .answers::<PolicyOut>(StatusCode::OK, "The policy as it is now.", policy()),
            dry_run::<S>,
        )
        .get(
            "/ip-access/overlaps",
            Operation::new("listAccessOverlaps", "Rules that repeat, contradict or except others")
                .takes("ip-access:read")
                .answers::<Listed<OverlapOut>>(
                    StatusCode::OK,
                    "All of them.",
                    json!({"items": [{"kind": "redundant", "rule": 2, "other": 1}], "next": null}),
                ),
            overlaps::<S>,
        )
        .post(
            "/ip-access/explanations",
            Operation::new("explainAccess", "What is decided about a request, and why")
                .takes("ip-access:read")
                .body::<Asked>(json!({"address": "203.0.113.9", "user": "ann"}))
                .answers::<ExplanationOut>(StatusCode::OK, "The decision and the rules that had a say.", explanation_example()),
            explain::<S>,
        )
        .post(
            "/ip-access/simulations",
            Operation::new("simulateAccess", "What another policy would decide")
                .about("Nothing is changed.")
                .takes("ip-access:read")
                .body::<Simulation>(json!({
                    "text": "default deny\nallow 192.0.2.0/24", "requests": [{"address": "203.0.113.9"}],
                }))
                .answers::<Listed<Simulated>>(
                    StatusCode::OK,
                    "For each request what is decided now and what would be.",
                    json!({"items": [{"address": "203.0.113.9", "allowed_now": true, "allowed_then": false}], "next": null}),
                ),
            simulate::<S>,
        )
        .post(
            "/ip-access/break-glass",
            Operation::new("openBreakGlass", "Let a user in for a while, whatever the rules say")
                .about("In place of what the user was given before.")
                .takes("ip-access:manage")
                .may(Kind::Conflict)
                .body::<Glass>(json!({"user": "ann", "reason": "on call, hotel network", "minutes": 60}))
                .answers::<Revision>(StatusCode::CREATED, "The policy's new revision.", json!({"revision": 4})),
            open_glass::<S>,
        )
        .delete(
            "/ip-access/break-glass/{user}",
            Operation::new("closeBreakGlass", "End a user's emergency overrides")
                .takes("ip-access:manage")
                .may(Kind::Conflict)
                .path("user", "The user.", "ann")
                .answers::<Revision>(StatusCode::OK, "The policy's new revision.", json!({"revision": 5})),
            close_glass::<S>,
        )
        .with_state(Reached { access, proxies: Arc::new(proxies) })
}

/// What the handlers reach.
#[derive(Debug)]
struct Reached<S> {
    access: Arc<IpAccess<S>>,
    proxies: Arc<TrustedProxies>,
}

impl<S> Clone for Reached<S> {
    fn clone(&self) -> Self {
        Self { access: Arc::clone(&self.access), proxies: Arc::clone(&self.proxies) }
    }
}

/// A policy.
#[derive(Debug, Serialize, ToSchema)]
struct PolicyOut {
    /// How often it was changed; 0 for the default one.
    revision: i64,
    /// The whole policy as people write it, a rule or a setting a line.
    text: String,
    /// Denials are only reported.
    dry_run: bool,
    /// The rules.
    rules: Vec<RuleOut>,
}

/// One rule.
#[derive(Debug, Serialize, ToSchema)]
struct RuleOut {
    /// Its number.
    id: u32,
    /// The rule as people write it.
    text: String,
}

/// A policy, or rules to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PolicyIn {
    /// A rule or a setting a line, as `allow 192.0.2.0/24 # office`.
    #[schema(max_length = 1_000_000)]
    text: String,
    /// It is meant even if it keeps out whoever asks for it.
    #[serde(default)]
    confirm: bool,
}

/// Whether denials are only reported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DryRun {
    /// They are.
    dry_run: bool,
    /// It is meant even if it keeps out whoever asks for it.
    #[serde(default)]
    confirm: bool,
}

/// Whether a change is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Meant {
    /// It is meant even if it keeps out whoever asks for it.
    #[serde(default)]
    confirm: bool,
}

/// A request to ask about.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The client's address.
    #[schema(min_length = 2, max_length = 64)]
    address: String,
    /// The user.
    user: Option<String>,
    /// The id of the API key.
    api_key: Option<String>,
    /// The roles.
    #[serde(default)]
    #[schema(max_items = 100)]
    roles: Vec<String>,
    /// The path.
    route: Option<String>,
}

/// Why a decision is as it is.
#[derive(Debug, Serialize, ToSchema)]
struct ExplanationOut {
    /// Whether the request may go on.
    allowed: bool,
    /// Whether it may only because denials are only reported.
    dry_run: bool,
    /// What the decision rests on, in words.
    reason: String,
    /// What the rules say for people, a line a rule; emergency overrides are left out.
    text: String,
    /// The rules about the address, the winner first.
    rules: Vec<ConsideredOut>,
}

/// A rule about the address.
#[derive(Debug, Serialize, ToSchema)]
struct ConsideredOut {
    /// Its number.
    id: u32,
    /// The rule as people write it.
    text: String,
    /// Whether it decides.
    decides: bool,
}

/// Another policy and requests to try it on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Simulation {
    /// The policy, a rule or a setting a line.
    #[schema(max_length = 1_000_000)]
    text: String,
    /// The requests, at most 1000.
    #[schema(max_items = 1000)]
    requests: Vec<Asked>,
}

/// What would become of a request.
#[derive(Debug, Serialize, ToSchema)]
struct Simulated {
    /// The client's address.
    address: String,
    /// Whether it may go on now.
    allowed_now: bool,
    /// Whether it may under the other policy.
    allowed_then: bool,
}

/// Two rules of which one has to do with the other.
#[derive(Debug, Serialize, ToSchema)]
struct OverlapOut {
    /// `redundant`, `exception` or `overruled`.
    kind: &'static str,
    /// The rule.
    rule: u32,
    /// The one that says the same, that it is an exception of, or that overrules it.
    other: u32,
}

/// An emergency override to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Glass {
    /// Who is let in.
    #[schema(min_length = 1, max_length = 256)]
    user: String,
    /// Why.
    #[schema(min_length = 1, max_length = 256)]
    reason: String,
    /// For how many minutes, at most a day.
    #[schema(minimum = 1, maximum = 1440)]
    minutes: u32,
}

/// A revision.
#[derive(Debug, Serialize, ToSchema)]
struct Revision {
    /// The policy's revision after the change.
    revision: i64,
}

fn policy_example() -> Value {
    json!({
        "revision": 3, "text": "default deny\nallow 192.0.2.0/24 # office\n", "dry_run": false,
        "rules": [{"id": 1, "text": "allow 192.0.2.0/24 # office"}],
    })
}

fn explanation_example() -> Value {
    json!({
        "allowed": false, "dry_run": false, "reason": "no rule is about it", "text": "203.0.113.9: deny, no rule is about it\n",
        "rules": [],
    })
}

fn told(policy: &AccessPolicy, revision: i64) -> PolicyOut {
    let rules = policy.rules().iter().map(|rule| RuleOut { id: rule.id.number(), text: rule.to_string() });
    PolicyOut { revision, text: policy.to_string(), dry_run: policy.is_dry_run(), rules: rules.collect() }
}

/// Who makes a change, and from where.
struct Author {
    scope: Scope,
    /// The client's; where that is not known, that of the last who could be believed, and else the unspecified one.
    address: IpAddr,
    is_conclusive: bool,
    path: String,
}

impl<S: Send + Sync> FromRequestParts<Reached<S>> for Author
where
    Reached<S>: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, reached: &Reached<S>) -> Result<Self, Problem> {
        let Caller(scope) = Caller::from_request_parts(parts, reached).await?;
        let client =
            peer(&parts.extensions).map(|peer| ClientAddr::resolve(peer, &parts.headers, &reached.proxies));
        let is_conclusive = client.is_some_and(|client| client.is_conclusive());
        let address = client.map_or(IpAddr::from([0, 0, 0, 0]), |client| client.addr());
        // The path that the layer in front sees, also where the API is nested below another one.
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
        Ok(Self { scope, address, is_conclusive, path: uri.path().to_owned() })
    }
}

impl Author {
    /// Changes the policy that the caller has seen.
    async fn change<S: AccessStore>(
        &self,
        access: &IpAccess<S>,
        wanted: IfMatch,
        is_meant: bool,
        change: impl FnOnce(&mut AccessPolicy) -> Result<(), PolicyError> + Send,
    ) -> Result<Tagged<PolicyOut>, Problem> {
        let (_, revision) = access.policy(&self.scope).await.map_err(|error| failed(&error))?;
        wanted.holds(revision.unsigned_abs())?;
        if !self.is_conclusive && !is_meant {
            let why =
                "from where you come is not known, so nobody can tell whether this keeps you out: confirm it";
            return Err(Kind::Unprocessable.because(why));
        }
        let mut request = AccessRequest::new(self.address, access.clock().now()).route(&self.path);
        let actor = self.scope.actor();
        match actor.kind() {
            ActorKind::User => request = request.user(actor.id().as_str()),
            ActorKind::ApiKey => request = request.api_key(actor.id().as_str()),
            _ => {}
        }
        let confirm = if is_meant { Confirm::Meant } else { Confirm::Ask };
        access
            .change_at(&self.scope, revision, &request, confirm, change)
            .await
            .map_err(|error| failed(&error))?;
        let (policy, revision) = access.policy(&self.scope).await.map_err(|error| failed(&error))?;
        Ok(Tagged::new(revision.unsigned_abs(), told(&policy, revision)))
    }
}

async fn read<S: AccessStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    known: IfNoneMatch,
) -> Result<Tagged<PolicyOut>, Problem> {
    let (policy, revision) = reached.access.policy(&scope).await.map_err(|error| failed(&error))?;
    Ok(Tagged::new(revision.unsigned_abs(), told(&policy, revision)).unless(known))
}

async fn put<S: AccessStore>(
    State(reached): State<Reached<S>>,
    author: Author,
    wanted: IfMatch,
    Json(new): Json<PolicyIn>,
) -> Result<Tagged<PolicyOut>, Problem> {
    let policy = parse(&new.text)?;
    let change = |old: &mut AccessPolicy| {
        *old = policy;
        Ok(())
    };
    author.change(&reached.access, wanted, new.confirm, change).await
}

async fn add<S: AccessStore>(
    State(reached): State<Reached<S>>,
    author: Author,
    wanted: IfMatch,
    Json(new): Json<PolicyIn>,
) -> Result<Tagged<PolicyOut>, Problem> {
    bounded("text", &new.text, 0, 1_000_000)?;
    let more = AccessPolicy::parse_rules(&new.text, Defaults::open());
    let more = more.map_err(|error| Kind::InvalidRequest.because(error))?;
    if more.rules().is_empty() {
        return Err(Kind::InvalidRequest.because("the text has no rule"));
    }
    let change = move |policy: &mut AccessPolicy| {
        for region in more.regions() {
            policy.define_region(region.clone())?;
        }
        more.rules().iter().try_for_each(|rule| policy.add(rule.clone()).map(drop))
    };
    author.change(&reached.access, wanted, new.confirm, change).await.map(Tagged::into_created)
}

async fn remove<S: AccessStore>(
    State(reached): State<Reached<S>>,
    author: Author,
    PathParam(rule): PathParam<String>,
    wanted: IfMatch,
    Params(meant): Params<Meant>,
) -> Result<Tagged<PolicyOut>, Problem> {
    let (policy, _) = reached.access.policy(&author.scope).await.map_err(|error| failed(&error))?;
    let number: Option<u32> = rule.parse().ok();
    let id: Option<RuleId> = policy.rules().iter().map(|rule| rule.id).find(|id| Some(id.number()) == number);
    let id = id.ok_or_else(|| Kind::NotFound.because("there is no such rule"))?;
    let change = move |policy: &mut AccessPolicy| policy.remove(id).map(drop);
    author.change(&reached.access, wanted, meant.confirm, change).await
}

async fn dry_run<S: AccessStore>(
    State(reached): State<Reached<S>>,
    author: Author,
    wanted: IfMatch,
    Json(new): Json<DryRun>,
) -> Result<Tagged<PolicyOut>, Problem> {
    let change = move |policy: &mut AccessPolicy| {
        policy.set_dry_run(new.dry_run);
        Ok(())
    };
    author.change(&reached.access, wanted, new.confirm, change).await
}

async fn overlaps<S: AccessStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
) -> Result<Json<Listed<OverlapOut>>, Problem> {
    let (policy, _) = reached.access.policy(&scope).await.map_err(|error| failed(&error))?;
    let tell = |overlap: &Overlap| {
        let (kind, rule, other) = match overlap {
            Overlap::Redundant { rule, by } => ("redundant", rule, by),
            Overlap::Exception { rule, of } => ("exception", rule, of),
            Overlap::Overruled { rule, by } => ("overruled", rule, by),
            _ => return None,
        };
        Some(OverlapOut { kind, rule: rule.number(), other: other.number() })
    };
    Ok(Json(Listed::whole(policy.overlaps().iter().filter_map(tell).collect())))
}

async fn explain<S: AccessStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    Json(asked): Json<Asked>,
) -> Result<Json<ExplanationOut>, Problem> {
    let door = reached.access.door(&scope).await.map_err(|error| failed(&error))?;
    let roles: Vec<&str> = asked.roles.iter().map(String::as_str).collect();
    let request = asked.request(&roles, reached.access.clock().now())?;
    // The rules' own say, and what comes of it with emergency overrides.
    let (explanation, decision) = (door.explain(&request), door.decide(&request));
    let considered = explanation.rules.iter().map(|each| ConsideredOut {
        id: each.rule.number(),
        text: each.text.clone(),
        decides: each.fate == guardian_ipaccess::Fate::Decides,
    });
    Ok(Json(ExplanationOut {
        allowed: decision.is_allowed(),
        dry_run: decision.is_dry_run(),
        reason: decision.reason().to_string(),
        text: explanation.to_string(),
        rules: considered.collect(),
    }))
}

async fn simulate<S: AccessStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    Json(simulation): Json<Simulation>,
) -> Result<Json<Listed<Simulated>>, Problem> {
    if simulation.requests.len() > 1000 {
        return Err(Kind::InvalidRequest.because("there are more than 1000 requests"));
    }
    let door = reached.access.door(&scope).await.map_err(|error| failed(&error))?;
    let then = CompiledPolicy::new(parse(&simulation.text)?);
    let now = reached.access.clock().now();
    let mut items = Vec::with_capacity(simulation.requests.len());
    for asked in &simulation.requests {
        let roles: Vec<&str> = asked.roles.iter().map(String::as_str).collect();
        let request = asked.request(&roles, now)?;
        items.push(Simulated {
            address: request.addr.to_string(),
            allowed_now: door.decide(&request).is_allowed(),
            allowed_then: then.decide_in(&request, &**door.geography()).is_allowed(),
        });
    }
    Ok(Json(Listed::whole(items)))
}

async fn open_glass<S: AccessStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    Json(glass): Json<Glass>,
) -> Result<(StatusCode, Json<Revision>), Problem> {
    bounded("user", &glass.user, 1, 256)?;
    bounded("reason", &glass.reason, 1, 256)?;
    let holds = TimeDelta::minutes(glass.minutes.into());
    let opened = reached.access.break_glass(&scope, &glass.user, &glass.reason, holds).await;
    let revision = opened.map_err(|error| raced(&error))?;
    Ok((StatusCode::CREATED, Json(Revision { revision })))
}

async fn close_glass<S: AccessStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(user): PathParam<String>,
) -> Result<Json<Revision>, Problem> {
    bounded("user", &user, 1, 256)?;
    let revision = reached.access.close_break_glass(&scope, &user).await.map_err(|error| raced(&error))?;
    Ok(Json(Revision { revision }))
}

impl Asked {
    fn request<'a>(&'a self, roles: &'a [&'a str], now: Timestamp) -> Result<AccessRequest<'a>, Problem> {
        if roles.len() > 100 {
            return Err(Kind::InvalidRequest.because("a request has at most 100 roles"));
        }
        bounded("address", &self.address, 2, 64)?;
        let address = parse_address(&self.address).map_err(|error| Kind::InvalidRequest.because(error))?;
        let mut request = AccessRequest::new(address, now).roles(roles);
        if let Some(user) = &self.user {
            request = request.user(user);
        }
        if let Some(key) = &self.api_key {
            request = request.api_key(key);
        }
        if let Some(route) = &self.route {
            request = request.route(route);
        }
        Ok(request)
    }
}

/// What a policy does not say is open: that is how a tenant without one is treated.
fn parse(text: &str) -> Result<AccessPolicy, Problem> {
    bounded("text", text, 0, 1_000_000)?;
    AccessPolicy::parse(text, Defaults::open()).map_err(|error| Kind::InvalidRequest.because(error))
}

/// As [`failed`], where the caller said nothing of what they had seen.
fn raced(error: &Error) -> Problem {
    match error {
        Error::Conflict { .. } => {
            Kind::Conflict.because("it was changed by somebody else at the same time: try again")
        }
        error => failed(error),
    }
}

fn failed(error: &Error) -> Problem {
    match error {
        Error::WouldLockOut { .. } => Kind::Conflict.because(error),
        Error::Conflict { .. } => Kind::Changed.because(error),
        Error::Policy(PolicyError::UnknownRule { .. }) => Kind::NotFound.because(error),
        Error::Store(source) => source.into(),
        // What was stored holds; that nobody heard of it is our fault.
        Error::Unreported { .. } => {
            Kind::Internal.because("it is stored, and the event about it was not taken")
        }
        error => Kind::InvalidRequest.because(error),
    }
}

//! Calls that spend and hold.

mod body;

use std::time::Duration;

use axum::extract::State;
use guardian_core::{Timestamp, shorten};
use guardian_quota::store::QuotaStore;
use guardian_quota::{Decision, Error, Happened, Hold, Posted, Quotas, Subject, Usage};
use http::StatusCode;
use serde_json::{Value, json};

use self::body::{
    NewQuotaHold, PastQuotaUsage, QuotaDecision, QuotaHoldCommit, QuotaHoldEnd, QuotaHoldExtension,
    QuotaHoldRelease,
};
pub(super) use self::body::{NewQuotaUsage, QuotaPosted};
use super::{Answer, FEATURE, failed, manages, reads, sensible, subject};
use crate::Problem;
use crate::api::{Api, Caller, IdempotencyKey, Json, Kind, Operation, PathParam};

const HOLD: &str = "The id of the hold.";
const HOLD_ID: &str = "019531a0-7c00-8000-8000-000000000002";

fn decision_example(hold: &Value) -> Value {
    json!({
        "allowed": true, "reason": "within", "level": "user", "limit": 50_000, "used": 1250,
        "remaining": 48_750, "beyond": 0, "resets_at": "2026-03-03T00:00:00Z", "entry": 2,
        "replayed": false, "hold": hold,
    })
}

fn hold_example() -> Value {
    json!({
        "id": HOLD_ID, "feature": "tokens", "subject": "user:ann", "amount": 4000,
        "expires": "2026-03-02T09:31:00Z",
    })
}

pub(super) fn posted_example() -> Value {
    json!({"entry": 3, "replayed": false})
}

fn of_feature(operation: Operation) -> Operation {
    operation.path("feature", FEATURE, "tokens")
}

fn of_hold(operation: Operation) -> Operation {
    of_feature(operation).path("hold", HOLD, HOLD_ID)
}

pub(super) const KEY: &str = "The idempotency key names the use for ever: it is 1 to 128 letters, digits and `. _ : / @ + = -`. In the ledger it stands behind \
     `client:`, apart from the keys of the service.";

pub(super) fn declare<S: QuotaStore>(api: Api<Quotas<S>>) -> Api<Quotas<S>> {
    let usage = json!({"subject": "user:ann", "amount": 1250});
    let decided = |operation: Operation| {
        operation.answers::<QuotaDecision>(
            StatusCode::OK,
            "What was decided.",
            decision_example(&Value::Null),
        )
    };
    let posted = |operation: Operation| {
        operation.answers::<QuotaPosted>(StatusCode::OK, "What was written.", posted_example())
    };
    let check = of_feature(reads("checkQuota", "Whether a use would be allowed now"))
        .about("Nothing changes, and nothing is promised: others use the same units. A hold promises.")
        .body::<NewQuotaUsage>(usage.clone());
    let consume = of_feature(manages("consumeQuota", "Spend, if every level has enough"))
        .about(KEY)
        .idempotency_key()
        .body::<NewQuotaUsage>(usage.clone());
    let record = of_feature(manages("recordQuotaUsage", "Note what was used already"))
        .about("It is never denied. What happened in a period that is over corrects that period.")
        .idempotency_key()
        .body::<PastQuotaUsage>(json!({"subject": "user:ann", "amount": 1250, "at": "2026-03-02T09:30:00Z"}));
    let reserve = of_feature(manages("reserveQuota", "Hold units for a time, if every level has enough"))
        .about("A hold is no spending. It becomes that by a commit, and ends by a release or by itself. Callers close and extend holds that were \
             made here; those that the service makes for itself are not theirs.")
        .idempotency_key()
        .body::<NewQuotaHold>(json!({"subject": "user:ann", "amount": 4000, "seconds": 60}))
        .answers::<QuotaDecision>(
            StatusCode::CREATED,
            "It is allowed, and `hold` is there.",
            decision_example(&hold_example()),
        )
        .answers::<QuotaDecision>(
            StatusCode::OK,
            "It is denied: nothing is held.",
            decision_example(&Value::Null),
        );
    let commit = of_hold(manages("commitQuotaHold", "Spend what was held, or another amount"))
        .about("A repetition with the same amount changes nothing and gets the same answer.")
        .body::<QuotaHoldCommit>(
            json!({"subject": "user:ann", "expires": "2026-03-02T09:31:00Z", "amount": 1250}),
        );
    let extend = of_hold(manages("extendQuotaHold", "Make a hold last longer"))
        .body::<QuotaHoldExtension>(json!({"subject": "user:ann", "seconds": 120}))
        .answers::<QuotaHoldEnd>(
            StatusCode::OK,
            "How long it lasts now.",
            json!({"expires": "2026-03-02T09:33:00Z"}),
        );
    let release = of_hold(manages("releaseQuotaHold", "Give up a hold"))
        .about("Nothing was spent. One that ended by itself is none to give up, and no failure.")
        .body::<QuotaHoldRelease>(json!({"subject": "user:ann", "expires": "2026-03-02T09:31:00Z"}))
        .answers_nothing(StatusCode::NO_CONTENT, "It is.");
    api.post("/quotas/features/{feature}/check", decided(check), check_usage::<S>)
        .post("/quotas/features/{feature}/consume", decided(consume), consume_units::<S>)
        .post("/quotas/features/{feature}/record", posted(record), record_usage::<S>)
        .post("/quotas/features/{feature}/holds", reserve, reserve_units::<S>)
        .post("/quotas/features/{feature}/holds/{hold}/commit", decided(commit), commit_hold::<S>)
        .post("/quotas/features/{feature}/holds/{hold}/extend", extend, extend_hold::<S>)
        .post("/quotas/features/{feature}/holds/{hold}/release", release, release_hold::<S>)
}

pub(super) fn usage(
    feature: &str,
    by: &str,
    amount: u64,
    value: Option<&str>,
    key: IdempotencyKey,
) -> Result<Usage, Problem> {
    let read = || -> Result<Usage, Error> {
        let mut usage = Usage::of(feature, &by.parse()?, amount)?;
        if let Some(value) = value {
            usage = usage.with_value(value);
        }
        match key.0 {
            Some(key) => usage.with_client_key(key),
            None => Ok(usage),
        }
    };
    read().map_err(|error| failed(&error))
}

/// A hold as the caller got it. It is looked for among the caller's own, so another tenant's is none; and so is one that the service
/// made for itself: what is committed of it is what the tenant pays.
fn held(id: &str, feature: &str, by: &str, amount: u64, expires: Timestamp) -> Result<Hold, Problem> {
    let subject = subject(by)?;
    let hold =
        json!({"id": id, "feature": feature, "subject": subject, "amount": amount, "expires": expires});
    let hold: Hold = serde_json::from_value(hold)
        .map_err(|error| Kind::InvalidRequest.because(format_args!("the hold: {error}")))?;
    if !hold.is_callers() {
        return Err(Kind::NotFound.because(format_args!("there is no open hold `{}`", hold.id)));
    }
    Ok(hold)
}

fn decided(result: Result<Decision, Error>) -> Answer<QuotaDecision> {
    Ok(Json(result.map_err(|error| failed(&error))?.into()))
}

fn posted(result: Result<Posted, Error>) -> Answer<QuotaPosted> {
    Ok(Json(result.map_err(|error| failed(&error))?.into()))
}

async fn check_usage<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    PathParam(feature): PathParam<String>,
    Json(new): Json<NewQuotaUsage>,
) -> Answer<QuotaDecision> {
    let usage = usage(&feature, &new.subject, new.amount, new.value.as_deref(), IdempotencyKey(None))?;
    decided(quotas.check(&scope, &usage).await)
}

async fn consume_units<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    PathParam(feature): PathParam<String>,
    key: IdempotencyKey,
    Json(new): Json<NewQuotaUsage>,
) -> Answer<QuotaDecision> {
    let usage = usage(&feature, &new.subject, new.amount, new.value.as_deref(), key)?;
    decided(quotas.consume(&scope, &usage).await)
}

async fn record_usage<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    PathParam(feature): PathParam<String>,
    key: IdempotencyKey,
    Json(new): Json<PastQuotaUsage>,
) -> Answer<QuotaPosted> {
    let usage = usage(&feature, &new.subject, new.amount, new.value.as_deref(), key)?;
    posted(quotas.record(&scope, &Happened { usage, at: sensible(new.at)? }).await)
}

async fn reserve_units<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    PathParam(feature): PathParam<String>,
    key: IdempotencyKey,
    Json(new): Json<NewQuotaHold>,
) -> Result<(StatusCode, Json<QuotaDecision>), Problem> {
    let usage = usage(&feature, &new.subject, new.amount, None, key)?;
    let decided = decided(quotas.reserve_for_caller(&scope, &usage, Duration::from_secs(new.seconds)).await)?;
    let status = if decided.0.hold.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, decided))
}

async fn commit_hold<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    PathParam((feature, hold)): PathParam<(String, String)>,
    Json(commit): Json<QuotaHoldCommit>,
) -> Answer<QuotaDecision> {
    let hold = held(&hold, &feature, &commit.subject, commit.amount, commit.expires)?;
    decided(quotas.commit(&scope, &hold, commit.amount).await)
}

async fn extend_hold<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    PathParam((feature, hold)): PathParam<(String, String)>,
    Json(more): Json<QuotaHoldExtension>,
) -> Answer<QuotaHoldEnd> {
    // Until when it lasts is the service's to say: a hold is never longer than 30 days from now.
    let open = quotas.balance(&scope, &feature, &Subject::org()).await.map_err(|error| failed(&error))?;
    let found = open.holds.iter().find(|(id, ..)| id.to_string() == hold.to_ascii_lowercase());
    let expires = found
        .map(|(.., expires)| *expires)
        .ok_or_else(|| Kind::NotFound.because(format_args!("there is no open hold `{}`", shorten(&hold))))?;
    let hold = held(&hold, &feature, &more.subject, 1, expires)?;
    let extended = quotas.extend(&scope, &hold, Duration::from_secs(more.seconds)).await;
    Ok(Json(QuotaHoldEnd { expires: extended.map_err(|error| failed(&error))?.expires }))
}

async fn release_hold<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    PathParam((feature, hold)): PathParam<(String, String)>,
    Json(release): Json<QuotaHoldRelease>,
) -> Result<StatusCode, Problem> {
    let hold = held(&hold, &feature, &release.subject, 1, release.expires)?;
    quotas.release(&scope, &hold).await.map_err(|error| failed(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

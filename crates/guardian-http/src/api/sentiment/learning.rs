//! What the tenant's model learned, alarms that were not told, and forgetting all of it.

use axum::Extension;
use axum::extract::State;
use guardian_core::Scope;
use guardian_sentiment::{Sentiments, Shadow};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{Answer, failed, manages, reads};
use crate::Problem;
use crate::api::alone::Alone;
use crate::api::{Api, Caller, Json, Operation};

/// How the tenant's own model compares with the shipped one, on corrections that it has not learned from.
#[derive(Debug, Serialize, ToSchema)]
struct SentimentShadow {
    /// Corrections whose step is known.
    messages: usize,
    /// Of these, how many the shipped model reads right.
    shipped_right: usize,
    /// How many the own model reads right, each trained on the other nine tenths.
    own_right: usize,
    /// The chance of such a difference, or a greater one, if both were equally good.
    #[schema(minimum = 0, maximum = 1)]
    p_value: f64,
    /// Whether the own model is better, with no more than one chance in twenty that this is luck.
    is_better: bool,
}

/// What the tenant taught.
#[derive(Debug, Serialize, ToSchema)]
struct SentimentLearning {
    /// The version, to go back to; 0 when there is nothing.
    version: u64,
}

/// What the tenant taught, and whether it is better for it.
#[derive(Debug, Serialize, ToSchema)]
struct SentimentEvaluation {
    /// The version that is evaluated; 0 when there is nothing.
    version: u64,
    /// How the own model does; null when nothing was learned.
    shadow: Option<SentimentShadow>,
}

/// Which version to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SentimentVersion {
    /// The version: all later corrections are dropped from what was learned.
    version: u64,
}

/// What was told.
#[derive(Debug, Serialize, ToSchema)]
struct SentimentRelayed {
    /// How many alarms.
    alarms: u64,
}

impl From<Shadow> for SentimentShadow {
    fn from(shadow: Shadow) -> Self {
        Self {
            messages: shadow.messages,
            shipped_right: shadow.base_right,
            own_right: shadow.own_right,
            p_value: shadow.p_value.clamp(0.0, 1.0),
            is_better: shadow.is_better(),
        }
    }
}

pub(super) fn declare(api: Api<Sentiments>) -> Api<Sentiments> {
    let told = |operation: Operation| {
        operation.answers::<SentimentLearning>(StatusCode::OK, "What is learned now.", json!({"version": 40}))
    };
    let read = told(reads("readSentimentLearning", "What the tenant's model learned"));
    let evaluate = manages("evaluateSentimentLearning", "Whether what was learned is better")
        .about(
            "Ten models are trained for the answer: it takes longer, the more corrections there are. While one runs, another of \
             the same tenant is a conflict.",
        )
        .answers::<SentimentEvaluation>(
            StatusCode::OK,
            "How the own model compares with the shipped one.",
            json!({"version": 40, "shadow": {
                "messages": 40, "shipped_right": 29, "own_right": 36, "p_value": 0.04, "is_better": true,
            }}),
        );
    let roll_back = told(manages(
        "rollBackSentimentLearning",
        "Go back to an earlier version of what was learned",
    ))
    .about("Histories keep their corrections. A version that is not behind the present one changes nothing.")
    .body::<SentimentVersion>(json!({"version": 12}));
    let forget_learning = manages("forgetSentimentLearning", "Forget what the tenant's model learned")
        .about("It reads as the shipped one does. Histories keep their corrections.")
        .answers_nothing(StatusCode::NO_CONTENT, "It is forgotten.");
    let relay = manages("relaySentimentAlarms", "Tell alarms that were raised and not told")
        .about("In case a process ended between an alarm and its event. Their ids are the same whenever they are told.")
        .answers::<SentimentRelayed>(StatusCode::OK, "How many these were.", json!({"alarms": 0}));
    let forget = manages("forgetSentiment", "Forget everything of the tenant")
        .about("Histories, series, alarms, and what was learned. It does not come back.")
        .answers_nothing(StatusCode::NO_CONTENT, "It is forgotten.");
    let evaluating = Alone::new("what was learned is being evaluated already");
    api.post("/sentiment/learning/evaluations", evaluate, evaluate_learning)
        .reaching(Extension(evaluating))
        .get("/sentiment/learning", read, read_learning)
        .post("/sentiment/learning/roll-back", roll_back, roll_back_learning)
        .delete("/sentiment/learning", forget_learning, forget_what_was_learned)
        .post("/sentiment/alarms/relay", relay, relay_alarms)
        .delete("/sentiment", forget, forget_everything)
}

async fn learned(sentiments: &Sentiments, scope: &Scope) -> Answer<SentimentLearning> {
    let version = sentiments.version(scope).await.map_err(|error| failed(&error))?;
    Ok(Json(SentimentLearning { version }))
}

async fn evaluate_learning(
    State(sentiments): State<Sentiments>,
    Extension(evaluating): Extension<Alone>,
    Caller(scope): Caller,
) -> Answer<SentimentEvaluation> {
    let _alone = evaluating.enter(&scope)?;
    let version = sentiments.version(&scope).await.map_err(|error| failed(&error))?;
    let shadow = sentiments.shadow(&scope).await.map_err(|error| failed(&error))?;
    Ok(Json(SentimentEvaluation { version, shadow: shadow.map(SentimentShadow::from) }))
}

async fn read_learning(
    State(sentiments): State<Sentiments>,
    Caller(scope): Caller,
) -> Answer<SentimentLearning> {
    learned(&sentiments, &scope).await
}

async fn roll_back_learning(
    State(sentiments): State<Sentiments>,
    Caller(scope): Caller,
    Json(SentimentVersion { version }): Json<SentimentVersion>,
) -> Answer<SentimentLearning> {
    sentiments.roll_back(&scope, version).await.map_err(|error| failed(&error))?;
    learned(&sentiments, &scope).await
}

async fn forget_what_was_learned(
    State(sentiments): State<Sentiments>,
    Caller(scope): Caller,
) -> Result<StatusCode, Problem> {
    sentiments.roll_back(&scope, 0).await.map_err(|error| failed(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn relay_alarms(
    State(sentiments): State<Sentiments>,
    Caller(scope): Caller,
) -> Answer<SentimentRelayed> {
    let alarms = sentiments.relay(&scope).await.map_err(|error| failed(&error))?;
    Ok(Json(SentimentRelayed { alarms }))
}

async fn forget_everything(
    State(sentiments): State<Sentiments>,
    Caller(scope): Caller,
) -> Result<StatusCode, Problem> {
    sentiments.forget_tenant(&scope).await.map_err(|error| failed(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

//! Series: which there are, their histories and trends, and forgetting them.

use axum::extract::State;
use axum::response::IntoResponse;
use guardian_core::{Cursor, Page, Scope, Timestamp, shorten};
use guardian_sentiment::{Chart, Day, Segment, Sentiments, Trend, TrendPolicy};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::view::{SentimentEntry, SentimentWord, entry_example};
use super::{Answer, Items, failed, manages, of_segment, reads, segment};
use crate::Problem;
use crate::api::page::none_of_this_list;
use crate::api::{Api, Caller, Json, Kind, Listed, PageParams, Params, PathParam};

const SVG: &str = "image/svg+xml";

/// A series.
#[derive(Debug, Serialize, ToSchema)]
struct SentimentSegment {
    /// Its name, as paths have it.
    segment: String,
}

/// The messages of one day.
#[derive(Debug, Serialize, ToSchema)]
struct SentimentDay {
    /// The day, in UTC.
    #[schema(format = Date)]
    date: String,
    /// How many messages there were.
    messages: u32,
    /// Their mean score.
    mean: f64,
}

/// How a series stands.
#[derive(Debug, Serialize, ToSchema)]
struct SentimentTrend {
    /// How many messages were counted.
    messages: u64,
    /// How many of them were negative.
    negatives: u64,
    /// The mean score of late; null without messages.
    level: Option<f64>,
    /// The mean score of the long run; null without messages.
    baseline: Option<f64>,
    /// Since when it falls, while an alarm is not over; null when it does not.
    #[schema(value_type = Option<String>, format = DateTime)]
    falling_since: Option<Timestamp>,
    /// The words that rose most of late, the strongest first; at most ten.
    words: Vec<SentimentWord>,
    /// The last 60 days with messages, the oldest first.
    days: Vec<SentimentDay>,
    /// The last 30 days as a line of blocks, from the lowest at -1 to the highest at 1.
    sparkline: String,
}

/// How large a chart is.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct SentimentChart {
    /// Its width in pixels; 240 when nothing is said.
    #[param(minimum = 16, maximum = 4000)]
    width: Option<u32>,
    /// Its height in pixels; 48 when nothing is said.
    #[param(minimum = 16, maximum = 4000)]
    height: Option<u32>,
}

/// What was forgotten.
#[derive(Debug, Serialize, ToSchema)]
struct SentimentForgotten {
    /// How many messages.
    messages: u64,
}

impl From<&Day> for SentimentDay {
    fn from(day: &Day) -> Self {
        let start = Timestamp::from_timestamp(day.day.saturating_mul(86_400), 0).unwrap_or_default();
        Self { date: start.format("%Y-%m-%d").to_string(), messages: day.messages, mean: day.mean() }
    }
}

impl SentimentTrend {
    fn of(trend: &Trend, policy: &TrendPolicy) -> Self {
        Self {
            messages: trend.messages(),
            negatives: trend.negatives(),
            level: trend.level(),
            baseline: trend.baseline(policy),
            falling_since: trend.falling_since(),
            words: trend.rising(10).into_iter().map(SentimentWord::from).collect(),
            days: trend.days().iter().map(SentimentDay::from).collect(),
            sparkline: Chart::of(trend.days()).sparkline(30),
        }
    }
}

pub(super) fn declare(api: Api<Sentiments>) -> Api<Sentiments> {
    let list = reads("listSentimentSegments", "The tenant's series, in the order of their names")
        .pages()
        .answers::<Listed<SentimentSegment>>(
        StatusCode::OK,
        "A page.",
        json!({"items": [{"segment": "all"}, {"segment": "customer:c_17"}], "next": null}),
    );
    let history = of_segment(reads("listSentimentHistory", "The messages of a series, the newest first"))
        .pages()
        .answers::<Listed<SentimentEntry>>(
            StatusCode::OK,
            "A page; empty when nothing was counted in it.",
            json!({"items": [entry_example()], "next": null}),
        );
    let trend = of_segment(reads("readSentimentTrend", "How a series stands, and whether it falls"))
        .answers::<SentimentTrend>(
        StatusCode::OK,
        "The trend.",
        json!({
            "messages": 2, "negatives": 1, "level": -0.2, "baseline": -0.1, "falling_since": null,
            "words": [{"word": "export", "strength": 2.3}],
            "days": [
                {"date": "2026-03-01", "messages": 1, "mean": 0.6},
                {"date": "2026-03-02", "messages": 1, "mean": -0.81},
            ],
            "sparkline": "▇▁",
        }),
    );
    let chart = of_segment(reads("readSentimentChart", "A series day by day, as a picture"))
        .query::<SentimentChart>()
        .answers_of(StatusCode::OK, "A line chart, to be put into a page as it is.", SVG);
    let forget = of_segment(manages("forgetSentimentSegment", "Forget every message of a series"))
        .about(
            "In the history, in all series that they are counted in, and in what the tenant's model learned: for a customer who \
             asks for it, `customer:…`. When it fails it may be half done: do it again.",
        )
        .answers::<SentimentForgotten>(StatusCode::OK, "How much it was.", json!({"messages": 12}));
    api.get("/sentiment/segments", list, list_segments)
        .get("/sentiment/segments/{segment}/history", history, list_history)
        .get("/sentiment/segments/{segment}/trend", trend, read_trend)
        .get("/sentiment/segments/{segment}/chart", chart, read_chart)
        .delete("/sentiment/segments/{segment}", forget, forget_segment)
}

/// The cursors of the list of series are their names.
fn behind(cursor: &Cursor) -> Result<Segment, Problem> {
    let text = std::str::from_utf8(cursor.as_bytes()).map_err(|_| none_of_this_list())?;
    text.parse().map_err(|_| none_of_this_list())
}

async fn list_segments(
    State(sentiments): State<Sentiments>,
    Caller(scope): Caller,
    page: PageParams,
) -> Items<SentimentSegment> {
    let page = page.request()?;
    let after = page.cursor().map(behind).transpose()?;
    let found = sentiments.segments(&scope, after.as_ref(), page.size()).await;
    let found = found.map_err(|error| failed(&error))?;
    let is_full = u32::try_from(found.len()).is_ok_and(|len| len >= page.size());
    let last = found.last().filter(|_| is_full);
    let next = last.map(|segment| Cursor::from_bytes(segment.to_string().as_bytes()));
    let tell = |segment: Segment| SentimentSegment { segment: segment.to_string() };
    Ok(Json(Listed::of(Page::new(found, next), tell)))
}

async fn list_history(
    State(sentiments): State<Sentiments>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
    page: PageParams,
) -> Items<SentimentEntry> {
    let (segment, page) = (segment(&name)?, page.request()?);
    // A moment and the id of a message, which has no control characters.
    let is_odd = |cursor: &Cursor| cursor.as_bytes().iter().skip(8).any(u8::is_ascii_control);
    if page.cursor().is_some_and(is_odd) {
        return Err(none_of_this_list());
    }
    let found = sentiments.history(&scope, &segment, &page).await.map_err(|error| failed(&error))?;
    Ok(Json(Listed::of(found, SentimentEntry::from)))
}

async fn found(sentiments: &Sentiments, scope: &Scope, name: &str) -> Result<Trend, Problem> {
    let found = sentiments.trend(scope, &segment(name)?).await.map_err(|error| failed(&error))?;
    found.ok_or_else(|| {
        Kind::NotFound.because(format_args!("nothing was counted in the segment `{}`", shorten(name)))
    })
}

async fn read_trend(
    State(sentiments): State<Sentiments>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
) -> Answer<SentimentTrend> {
    let trend = found(&sentiments, &scope, &name).await?;
    Ok(Json(SentimentTrend::of(&trend, sentiments.policy())))
}

async fn read_chart(
    State(sentiments): State<Sentiments>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
    Params(size): Params<SentimentChart>,
) -> Result<impl IntoResponse, Problem> {
    let (width, height) = (size.width.unwrap_or(240), size.height.unwrap_or(48));
    if ![width, height].iter().all(|side| (16..=Chart::MAX_WIDTH).contains(side)) {
        return Err(Kind::InvalidRequest
            .because(format_args!("a chart has 16 to {} pixels a side", Chart::MAX_WIDTH)));
    }
    let trend = found(&sentiments, &scope, &name).await?;
    Ok(([(CONTENT_TYPE, SVG)], Chart::of(trend.days()).svg(width, height)))
}

async fn forget_segment(
    State(sentiments): State<Sentiments>,
    Caller(scope): Caller,
    PathParam(name): PathParam<String>,
) -> Answer<SentimentForgotten> {
    let messages = sentiments.forget(&scope, &segment(&name)?).await.map_err(|error| failed(&error))?;
    Ok(Json(SentimentForgotten { messages }))
}

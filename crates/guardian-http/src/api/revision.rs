use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::{Json, Kind};
use crate::Problem;

/// The revision that a change is based on, from `If-Match` (RFC 9110 section 13.1.1). Without the header the answer is 428.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "RFC 9110 knows no third form that is of use here")]
pub enum IfMatch {
    /// `If-Match: "7"`: this revision.
    Revision(u64),
    /// `If-Match: *`: whichever is there.
    Any,
}

impl IfMatch {
    /// Goes on when the resource is still at the revision.
    ///
    /// # Errors
    /// 412 when it is not.
    pub fn holds(self, current: u64) -> Result<(), Problem> {
        match self {
            Self::Any => Ok(()),
            Self::Revision(wanted) if wanted == current => Ok(()),
            Self::Revision(_) => Err(changed()),
        }
    }
}

/// 412: it was changed since the caller read it.
fn changed() -> Problem {
    Kind::Changed.because("it was changed since you read it: read it again")
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match single(&parts.headers, &IF_MATCH)? {
            None => Err(Kind::PreconditionRequired.because(
                "send `If-Match` with the `ETag` of what you read, or `*` to change whatever is there",
            )),
            Some("*") => Ok(Self::Any),
            // A tag that none of ours is like is an old one: RFC 9110 compares, it does not parse.
            Some(tag) => revision(tag).map(Self::Revision).ok_or_else(changed),
        }
    }
}

/// The revisions that the caller has already, from `If-None-Match` (RFC 9110 section 13.1.2); see [`Tagged::unless`].
///
/// It is compared and never refused: a tag that none of ours is like matches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfNoneMatch(Known);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    /// `*`: whichever there is.
    Any,
    /// A list, which may be empty.
    These(Vec<u64>),
}

impl IfNoneMatch {
    fn has(self, current: u64) -> bool {
        match self.0 {
            Known::Any => true,
            Known::These(revisions) => revisions.into_iter().any(|revision| revision == current),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let lines = || parts.headers.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
        if lines().any(|line| line.trim() == "*") {
            return Ok(Self(Known::Any));
        }
        // None of our tags has a comma, so whatever one is in is another's.
        let tags = lines().flat_map(|line| line.split(',')).map(str::trim);
        let revisions = tags.filter_map(|tag| revision(tag.strip_prefix("W/").unwrap_or(tag)));
        Ok(Self(Known::These(revisions.collect())))
    }
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match value.to_str() {
        Ok(value) if values.next().is_none() => Ok(Some(value.trim())),
        _ => Err(Kind::InvalidRequest.because(format_args!("the header `{name}` has to be one entity tag"))),
    }
}

/// The tags are the numbers as we write them: `"07"` is none of them.
fn revision(tag: &str) -> Option<u64> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    let revision: u64 = digits.parse().ok()?;
    (revision.to_string() == digits).then_some(revision)
}

/// An answer with the revision of what it tells in its `ETag`.
#[derive(Debug, Clone)]
pub struct Tagged<T> {
    status: StatusCode,
    revision: u64,
    value: Option<T>,
}

impl<T> Tagged<T> {
    /// 200 with this revision.
    pub fn new(revision: u64, value: T) -> Self {
        Self { status: StatusCode::OK, revision, value: Some(value) }
    }

    /// 201 with this revision.
    pub fn created(revision: u64, value: T) -> Self {
        Self::new(revision, value).into_created()
    }

    /// The same as 201.
    #[must_use]
    pub fn into_created(self) -> Self {
        Self { status: StatusCode::CREATED, ..self }
    }

    /// 304 when the caller has this revision already.
    #[must_use]
    pub fn unless(self, known: IfNoneMatch) -> Self {
        if known.has(self.revision) {
            return Self { status: StatusCode::NOT_MODIFIED, value: None, ..self };
        }
        self
    }
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = match self.value {
            Some(value) => (self.status, Json(value)).into_response(),
            None => self.status.into_response(),
        };
        if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", self.revision)) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}

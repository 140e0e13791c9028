use std::fmt;

use http::StatusCode;

use crate::Problem;

/// The kinds of problems that the API answers with: each has one status and one type, which never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// 400: something in the path, the query, a header or the body does not read or is out of range.
    InvalidRequest,
    /// 401: the request is nobody's.
    Unauthenticated,
    /// 403: the caller lacks a permission.
    Forbidden,
    /// 404: nothing is there, or nothing that the caller's tenant may know of.
    NotFound,
    /// 405: the path is there, and this method is none of its own.
    MethodNotAllowed,
    /// 409: what is asked for does not go together with what is there.
    Conflict,
    /// 412: it was changed since the caller read it.
    Changed,
    /// 413: the body is longer than it may be.
    TooLarge,
    /// 415: the body is not JSON.
    NotJson,
    /// 422: the request reads, and what it asks for cannot be.
    Unprocessable,
    /// 428: a change needs `If-Match`.
    PreconditionRequired,
    /// 429: a limit denies it.
    Limited,
    /// 500: our fault.
    Internal,
    /// 503: the data cannot be reached; it may work again in a moment.
    Unavailable,
}

impl Kind {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Changed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
            Self::Limited => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The `type` of the problem document.
    #[must_use]
    pub const fn type_uri(self) -> &'static str {
        match self {
            Self::InvalidRequest => "urn:guardian:problem:invalid-request",
            Self::Unauthenticated => "urn:guardian:problem:unauthenticated",
            Self::Forbidden => "urn:guardian:problem:forbidden",
            Self::NotFound => "urn:guardian:problem:not-found",
            Self::MethodNotAllowed => "urn:guardian:problem:method-not-allowed",
            Self::Conflict => "urn:guardian:problem:conflict",
            Self::Changed => "urn:guardian:problem:changed",
            Self::TooLarge => "urn:guardian:problem:too-large",
            Self::NotJson => "urn:guardian:problem:not-json",
            Self::Unprocessable => "urn:guardian:problem:unprocessable",
            Self::PreconditionRequired => "urn:guardian:problem:precondition-required",
            Self::Limited => Problem::QUOTA_EXCEEDED,
            Self::Internal => "urn:guardian:problem:internal",
            Self::Unavailable => "urn:guardian:problem:unavailable",
        }
    }

    /// The `title` of the problem document.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::InvalidRequest => "The request does not read",
            Self::Unauthenticated => "Nobody is signed in",
            Self::Forbidden => "Not permitted",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Not done this way",
            Self::Conflict => "It does not go together",
            Self::Changed => "Changed meanwhile",
            Self::TooLarge => "The body is too long",
            Self::NotJson => "The body is not JSON",
            Self::Unprocessable => "It cannot be done",
            Self::PreconditionRequired => "If-Match is missing",
            Self::Limited => "Quota Exceeded",
            Self::Internal => "Our fault",
            Self::Unavailable => "Not available",
        }
    }

    /// A problem of this kind: what happened this time, for people.
    pub fn because(self, detail: impl fmt::Display) -> Problem {
        Problem::new(self.status()).with_type(self.type_uri(), self.title()).with_detail(detail.to_string())
    }
}

/// A store that fails: what went wrong is for the host's log, clients cannot mend it.
impl From<&guardian_core::StoreError> for Problem {
    fn from(error: &guardian_core::StoreError) -> Self {
        use guardian_core::StoreErrorKind;
        match error.kind() {
            // Any operation may meet another at its work.
            StoreErrorKind::Conflict => {
                Kind::Unavailable.because("it was changed by somebody else at the same time: try again")
            }
            // A name that is taken, mostly. Of a cursor of another list too: the list knows whether it was given one.
            StoreErrorKind::Constraint => {
                Kind::Conflict.because("it does not go together with what is there").and_refused()
            }
            _ if error.is_transient() => {
                Kind::Unavailable.because("the data cannot be reached at the moment")
            }
            _ => Kind::Internal.because("the data could not be read or written"),
        }
    }
}

//! Problem details (RFC 9457): why a request failed, for programs.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::Value;

/// The members of RFC 9457 section 3.1, which no extension may be called.
const STANDARD_MEMBERS: [&str; 5] = ["type", "title", "status", "detail", "instance"];

/// A problem details object that cannot be built.
///
/// ```
/// use guardian_http::Problem;
/// use http::StatusCode;
///
/// let error = Problem::new(StatusCode::NOT_FOUND).with_extension("status", 200).unwrap_err();
/// assert_eq!(error.to_string(), "member `status` is defined by RFC 9457 and cannot be an extension");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// The extension has the name of a member that the standard defines.
    #[error("member `{name}` is defined by RFC 9457 and cannot be an extension")]
    StandardMember {
        /// The name that was given.
        name: String,
    },
}

/// A problem details object (RFC 9457 section 3), written as `application/problem+json`.
///
/// Members are written in a fixed order: type, title, status, detail, instance, then the extensions in the order
/// in which they were added. Equal problems give equal bytes.
///
/// ```
/// use guardian_http::Problem;
/// use http::StatusCode;
///
/// let problem = Problem::new(StatusCode::FORBIDDEN)
///     .with_type("https://example.com/problems/address-not-allowed", "Address not allowed")
///     .with_detail("the address is not on the list of the organisation")
///     .with_extension("rule", "office-only")?;
/// assert_eq!(problem.status(), StatusCode::FORBIDDEN);
/// assert_eq!(
///     String::from_utf8(problem.to_bytes()).unwrap(),
///     concat!(
///         r#"{"type":"https://example.com/problems/address-not-allowed","title":"Address not allowed","#,
///         r#""status":403,"detail":"the address is not on the list of the organisation","rule":"office-only"}"#,
///     ),
/// );
/// # Ok::<(), guardian_http::ProblemError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Problem {
    /// On the heap, so that functions can return problems as their errors without moving them around at full size.
    members: Box<Members>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Members {
    type_uri: Cow<'static, str>,
    title: Cow<'static, str>,
    status: StatusCode,
    detail: Option<Cow<'static, str>>,
    instance: Option<Cow<'static, str>>,
    extensions: Vec<(Cow<'static, str>, Value)>,
    /// The store refused the data: what the list that was asked for makes its own of, if it had a cursor.
    #[cfg(feature = "api")]
    is_refused: bool,
}

/// Says of a response that the store refused the data.
#[cfg(feature = "api")]
#[derive(Clone, Copy)]
pub(crate) struct Refused;

impl Problem {
    /// The media type of [`to_bytes`](Self::to_bytes) (RFC 9457 section 3).
    pub const CONTENT_TYPE: &'static str = "application/problem+json";

    /// The type of a problem that says no more than its status (RFC 9457 section 4.2.1).
    pub const ABOUT_BLANK: &'static str = "about:blank";

    /// The type of [`quota_exceeded`](Self::quota_exceeded).
    pub const QUOTA_EXCEEDED: &'static str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

    /// The type of [`temporary_reduced_capacity`](Self::temporary_reduced_capacity).
    pub const TEMPORARY_REDUCED_CAPACITY: &'static str =
        "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

    /// The type of [`abnormal_usage_detected`](Self::abnormal_usage_detected).
    pub const ABNORMAL_USAGE_DETECTED: &'static str =
        "https://iana.org/assignments/http-problem-types#abnormal-usage-detected";

    /// A problem without a type of its own: `about:blank`, titled with the status's own phrase.
    pub fn new(status: StatusCode) -> Self {
        let members = Members {
            type_uri: Cow::Borrowed(Self::ABOUT_BLANK),
            title: Cow::Borrowed(status.canonical_reason().unwrap_or("Unknown")),
            status,
            detail: None,
            instance: None,
            extensions: Vec::new(),
            #[cfg(feature = "api")]
            is_refused: false,
        };
        Self { members: Box::new(members) }
    }

    /// 429: the client exceeded the quota of the policies named in `violated`
    /// (draft-ietf-httpapi-ratelimit-headers-11 section 5.1).
    ///
    /// ```
    /// use guardian_http::Problem;
    ///
    /// assert_eq!(
    ///     String::from_utf8(Problem::quota_exceeded(["daily", "bandwidth"]).to_bytes()).unwrap(),
    ///     concat!(
    ///         r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","#,
    ///         r#""title":"Quota Exceeded","status":429,"violated-policies":["daily","bandwidth"]}"#,
    ///     ),
    /// );
    /// ```
    pub fn quota_exceeded<T: Into<String>>(violated: impl IntoIterator<Item = T>) -> Self {
        Self::violation(Self::QUOTA_EXCEEDED, "Quota Exceeded", StatusCode::TOO_MANY_REQUESTS, violated)
    }

    /// 503: the server has less capacity for a while, and the policies named in `violated` tell how much
    /// (draft-ietf-httpapi-ratelimit-headers-11 section 5.2).
    pub fn temporary_reduced_capacity<T: Into<String>>(violated: impl IntoIterator<Item = T>) -> Self {
        let title = "Temporary Reduced Capacity";
        Self::violation(Self::TEMPORARY_REDUCED_CAPACITY, title, StatusCode::SERVICE_UNAVAILABLE, violated)
    }

    /// 429: the requests follow a pattern that looks unintended or malicious
    /// (draft-ietf-httpapi-ratelimit-headers-11 section 5.3).
    pub fn abnormal_usage_detected<T: Into<String>>(violated: impl IntoIterator<Item = T>) -> Self {
        let title = "Abnormal Usage Detected";
        Self::violation(Self::ABNORMAL_USAGE_DETECTED, title, StatusCode::TOO_MANY_REQUESTS, violated)
    }

    fn violation<T: Into<String>>(
        type_uri: &'static str,
        title: &'static str,
        status: StatusCode,
        violated: impl IntoIterator<Item = T>,
    ) -> Self {
        let violated = violated.into_iter().map(|name| Value::String(name.into())).collect();
        let mut problem = Self::new(status).with_type(type_uri, title);
        problem.members.extensions.push((Cow::Borrowed("violated-policies"), Value::Array(violated)));
        problem
    }

    /// The kind of problem: a URI reference (absolute, by RFC 9457's advice) and the title that goes with it, the
    /// same for every occurrence.
    pub fn with_type(
        mut self,
        uri: impl Into<Cow<'static, str>>,
        title: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.members.type_uri = uri.into();
        self.members.title = title.into();
        self
    }

    /// What happened this time, for people: what the client can do about it, not how the server works.
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.members.detail = Some(detail.into());
        self
    }

    /// A URI reference that names this occurrence, say a request id as a URN.
    pub fn with_instance(mut self, instance: impl Into<Cow<'static, str>>) -> Self {
        self.members.instance = Some(instance.into());
        self
    }

    /// Adds an extension member (RFC 9457 section 3.2), in place of one of the same name.
    ///
    /// # Errors
    /// [`ProblemError::StandardMember`] for the five names that the standard defines.
    pub fn with_extension(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Value>,
    ) -> Result<Self, ProblemError> {
        let (name, value) = (name.into(), value.into());
        if STANDARD_MEMBERS.contains(&name.as_ref()) {
            return Err(ProblemError::StandardMember { name: name.into_owned() });
        }
        match self.members.extensions.iter_mut().find(|(present, _)| *present == name) {
            Some((_, present)) => *present = value,
            None => self.members.extensions.push((name, value)),
        }
        Ok(self)
    }

    /// The same, where the store refused the data.
    #[cfg(feature = "api")]
    pub(crate) fn and_refused(mut self) -> Self {
        self.members.is_refused = true;
        self
    }

    /// The type URI.
    #[must_use]
    pub fn type_uri(&self) -> &str {
        &self.members.type_uri
    }

    /// The status that the response should have.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.members.status
    }

    /// The object as JSON, without whitespace.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let text = |text: &Cow<'static, str>| Value::from(text.as_ref());
        let mut members = vec![
            ("type", text(&self.members.type_uri)),
            ("title", text(&self.members.title)),
            ("status", Value::from(self.members.status.as_u16())),
        ];
        members.extend(self.members.detail.as_ref().map(|detail| ("detail", text(detail))));
        members.extend(self.members.instance.as_ref().map(|instance| ("instance", text(instance))));
        members.extend(self.members.extensions.iter().map(|(name, value)| (name.as_ref(), value.clone())));

        // Not a map of serde_json: whether that keeps the order depends on the features of the whole build.
        let mut out = String::from("{");
        for (name, value) in members {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&Value::from(name).to_string());
            out.push(':');
            out.push_str(&value.to_string());
        }
        out.push('}');
        out.into_bytes()
    }

    /// The document as the answer to a request.
    #[cfg(any(
        feature = "audit",
        feature = "authenticate",
        feature = "body-limits",
        feature = "ipaccess",
        feature = "quota",
        feature = "rbac",
        feature = "tenant"
    ))]
    pub(crate) fn to_response<B: From<Vec<u8>>>(&self) -> http::Response<B> {
        let mut response = http::Response::new(B::from(self.to_bytes()));
        *response.status_mut() = self.status();
        let content_type = http::HeaderValue::from_static(Self::CONTENT_TYPE);
        response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
        response
    }
}

/// The document with its status and media type, so that a handler can return a problem as its error.
#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        let headers = [(http::header::CONTENT_TYPE, Self::CONTENT_TYPE)];
        #[cfg_attr(not(feature = "api"), expect(unused_mut, reason = "only the API marks responses"))]
        let mut response = (self.members.status, headers, self.to_bytes()).into_response();
        #[cfg(feature = "api")]
        if self.members.is_refused {
            response.extensions_mut().insert(Refused);
        }
        response
    }
}

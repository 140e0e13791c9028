use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{IntoParams, ToSchema};

#[cfg(any(feature = "audit", feature = "workflow"))]
use super::streams::EVENT_STREAM;
use super::{Kind, OperatorCaller, PageParams};
use crate::Problem;

/// The name of the security scheme that all operations ask for.
pub(super) const SECURITY: &str = "bearer";

/// The name under which the document keeps the schema of problems.
pub(super) const PROBLEM: &str = "Problem";

/// What one operation is called, takes and answers: the words of its part of the document, and the permission that it is
/// behind.
///
/// Some answers need not be said: 400, 401, 403, 429 (of rate limits that the host puts in front), 500 and 503 come by themselves; 304 with
/// a tagged read, 404 with a parameter in the path, 413 and 415 with a body.
#[must_use]
pub struct Operation {
    id: &'static str,
    summary: &'static str,
    about: Option<&'static str>,
    pub(super) permission: Option<&'static str>,
    pub(super) is_of_the_platform: bool,
    parameters: Vec<Parameter>,
    body: Option<RequestBodyBuilder>,
    answers: Vec<(StatusCode, Response)>,
    is_tagged: bool,
    kinds: BTreeSet<Kind>,
    pub(super) schemas: Vec<(String, RefOr<Schema>)>,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation")
            .field("id", &self.id)
            .field("permission", &self.permission)
            .finish_non_exhaustive()
    }
}

impl Operation {
    /// An operation, by its id (`listEndpoints`: unique in a document, a method's name in SDKs) and what it does in a few words.
    pub fn new(id: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            summary,
            about: None,
            permission: None,
            is_of_the_platform: false,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            is_tagged: false,
            kinds: BTreeSet::from([
                Kind::InvalidRequest,
                Kind::Unauthenticated,
                Kind::Forbidden,
                Kind::Limited,
                Kind::Internal,
                Kind::Unavailable,
            ]),
            schemas: Vec::new(),
        }
    }

    /// More about it, in Markdown.
    pub fn about(mut self, about: &'static str) -> Self {
        self.about = Some(about);
        self
    }

    /// The permission that it takes, as `quotas:read`.
    pub fn takes(mut self, permission: &'static str) -> Self {
        self.permission = Some(permission);
        self
    }

    /// It is the platform's: it takes an [`Operator`](super::Operator), and to change anything the header `Guardian-Reason`.
    pub fn of_the_platform(mut self, changes: bool) -> Self {
        self.is_of_the_platform = true;
        if !changes {
            return self;
        }
        let reason = text(OperatorCaller::MIN_REASON, OperatorCaller::MAX_REASON);
        self.parameter(
            ParameterBuilder::new()
                .name("Guardian-Reason")
                .parameter_in(ParameterIn::Header)
                .required(Required::True)
                .description(Some("Why this is done."))
                .schema(Some(reason))
                .example(Some(json!("ticket 4711: unpaid invoices"))),
        )
    }

    /// It may fail in this way too.
    pub fn may(mut self, kind: Kind) -> Self {
        self.kinds.insert(kind);
        self
    }

    /// A part of the path, `{name}` in it: a text, with an example.
    pub fn path(self, name: &'static str, about: &'static str, example: &'static str) -> Self {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(about))
            .schema(Some(text(1, 256)))
            .example(Some(json!(example)));
        self.may(Kind::NotFound).parameter(parameter)
    }

    /// The parameters of the query.
    pub fn query<Q: IntoParams>(mut self) -> Self {
        self.parameters.extend(Q::into_params(|| Some(ParameterIn::Query)));
        self
    }

    /// It answers with pages: `size` and `after` in the query.
    pub fn pages(self) -> Self {
        let size = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(1000))
            .default(Some(json!(PageParams::DEFAULT_SIZE)));
        let size = ParameterBuilder::new()
            .name("size")
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some("How many items at most."))
            .schema(Some(size));
        let after = ParameterBuilder::new()
            .name("after")
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some("Where the page begins: `next` of the page before."))
            .schema(Some(text(0, 1024).pattern(Some("^([0-9a-f]{2})*$"))));
        self.parameter(size).parameter(after)
    }

    /// Changing the thing takes `If-Match`.
    pub fn if_match(self) -> Self {
        let parameter = ParameterBuilder::new()
            .name("If-Match")
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some("The `ETag` of what was read, or `*` for whatever is there."))
            .schema(Some(text(1, 64)))
            .example(Some(json!("*")));
        self.may(Kind::Changed).may(Kind::PreconditionRequired).parameter(parameter)
    }

    /// Its answer has an `ETag`.
    pub fn tagged(mut self) -> Self {
        self.is_tagged = true;
        self
    }

    /// A repetition with the same `Idempotency-Key` does nothing a second time; the key with another body is a conflict.
    pub fn idempotency_key(self) -> Self {
        let parameter = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "Your own name for this request: a repetition of it does nothing a second time.",
            ))
            .schema(Some(text(1, 128)));
        self.may(Kind::Conflict).parameter(parameter)
    }

    fn parameter(mut self, parameter: ParameterBuilder) -> Self {
        self.parameters.push(parameter.build());
        self
    }

    /// Whether it has a parameter of this name there.
    pub(super) fn has_parameter(&self, place: &ParameterIn, name: &str) -> bool {
        self.parameters.iter().any(|each| each.parameter_in == *place && each.name == name)
    }

    /// Whether it has parameters in the query.
    pub(super) fn has_query(&self) -> bool {
        self.parameters.iter().any(|each| each.parameter_in == ParameterIn::Query)
    }

    /// Its body, as JSON, with an example that fits.
    pub fn body<T: ToSchema>(mut self, example: Value) -> Self {
        let content = ContentBuilder::new().schema(Some(self.reference::<T>())).example(Some(example));
        self.body = Some(
            RequestBodyBuilder::new()
                .required(Some(Required::True))
                .content("application/json", content.build()),
        );
        self.may(Kind::TooLarge).may(Kind::NotJson)
    }

    /// Its body as another media type, with an example.
    pub fn body_of(mut self, media_type: &'static str, example: &'static str) -> Self {
        let content = ContentBuilder::new().schema(Some(anything())).example(Some(json!(example)));
        self.body = Some(
            RequestBodyBuilder::new().required(Some(Required::True)).content(media_type, content.build()),
        );
        self.may(Kind::TooLarge)
    }

    /// What it answers when all is well, as JSON, with an example that fits.
    pub fn answers<T: ToSchema>(mut self, status: StatusCode, about: &'static str, example: Value) -> Self {
        let content = ContentBuilder::new().schema(Some(self.reference::<T>())).example(Some(example));
        let response = ResponseBuilder::new().description(about).content("application/json", content.build());
        self.answers.push((status, response.build()));
        self
    }

    /// What it answers when all is well, as another media type.
    pub fn answers_of(mut self, status: StatusCode, about: &'static str, media_type: &'static str) -> Self {
        let content = ContentBuilder::new().schema(Some(anything()));
        let response = ResponseBuilder::new().description(about).content(media_type, content.build());
        self.answers.push((status, response.build()));
        self
    }

    /// It answers with server-sent events, as in the example, and goes on at the one behind `Last-Event-ID`.
    #[cfg(any(feature = "audit", feature = "workflow"))]
    pub(super) fn streams(mut self, example: &'static str) -> Self {
        let content = ContentBuilder::new().schema(Some(anything())).example(Some(json!(example)));
        let response = ResponseBuilder::new()
            .description("The events, for as long as the client stays.")
            .content(EVENT_STREAM, content.build());
        self.answers.push((StatusCode::OK, response.build()));
        let last = ParameterBuilder::new()
            .name("Last-Event-ID")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("The id of the last event that the client has."))
            .schema(Some(text(1, 20).pattern(Some("^[0-9]+$"))))
            .example(Some(json!("42")));
        self.parameter(last)
    }

    /// It answers with a status and no body.
    pub fn answers_nothing(mut self, status: StatusCode, about: &'static str) -> Self {
        self.answers.push((status, Response::new(about)));
        self
    }

    fn reference<T: ToSchema>(&mut self) -> Ref {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        Ref::from_schema_name(T::name())
    }

    /// Its part of the document.
    pub(super) fn build(self, tag: &str, method: &HttpMethod) -> utoipa::openapi::path::Operation {
        let security = SecurityRequirement::new(SECURITY, std::iter::empty::<String>());
        let about = match (self.about, self.permission) {
            (Some(about), Some(permission)) => {
                Some(format!("{about}\n\nTakes the permission `{permission}`."))
            }
            (None, Some(permission)) => Some(format!("Takes the permission `{permission}`.")),
            (about, None) => about.map(str::to_owned),
        };
        let kinds = if *method == HttpMethod::Get {
            self.kinds
        } else {
            // What changes something may meet what is there.
            self.kinds.into_iter().chain([Kind::Conflict]).collect()
        };
        let is_read_again = self.is_tagged && *method == HttpMethod::Get;
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .tag(tag)
            .summary(Some(self.summary))
            .description(about)
            .security(security)
            .request_body(self.body.map(RequestBodyBuilder::build));
        for parameter in self.parameters {
            operation = operation.parameter(parameter);
        }
        if is_read_again {
            let known = ParameterBuilder::new()
                .name("If-None-Match")
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some("The `ETag`s that the caller has: of these nothing is sent again."))
                .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                .example(Some(json!("\"7\"")));
            operation = operation.parameter(known);
            let same = Response::new("The caller has this revision already, by `If-None-Match`.");
            operation = operation.response(StatusCode::NOT_MODIFIED.as_str(), same);
        }
        for (status, mut response) in self.answers {
            if self.is_tagged {
                let tag = HeaderBuilder::new()
                    .schema(Some(text(3, 64)))
                    .description(Some("The revision; send it as `If-Match` to change what was read."));
                response.headers.insert("ETag".to_owned(), RefOr::T(tag.build()));
            }
            operation = operation.response(status.as_str(), response);
        }
        for kind in kinds {
            operation = operation.response(kind.status().as_str(), problem(kind));
        }
        operation.build()
    }
}

fn text(least: usize, most: usize) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).min_length(Some(least)).max_length(Some(most))
}

fn anything() -> Schema {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).build().into()
}

fn problem(kind: Kind) -> Response {
    let example = json!({"type": kind.type_uri(), "title": kind.title(), "status": kind.status().as_u16()});
    let content =
        ContentBuilder::new().schema(Some(Ref::from_schema_name(PROBLEM))).example(Some(example)).build();
    ResponseBuilder::new().description(kind.title()).content(Problem::CONTENT_TYPE, content).build()
}

//! A client that believes nothing but the document.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use boon::{Compiler, Schemas};
use guardian_core::{Actor, Scope, TenantId};
use guardian_http::api::{Document, Operator, Unguarded};
use guardian_http::{PeerAddr, Stopping};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

mod mutants;

/// Where the document stands for the validator, which wants a place.
const PLACE: &str = "https://api.test/openapi.json";

/// A served API and its document, with who asks.
pub(crate) struct Contract {
    router: Router,
    document: Value,
    called: BTreeSet<String>,
    went_well: BTreeSet<String>,
    /// Who asks; nobody when it is `None`.
    pub(crate) scope: Option<Scope>,
    /// The operator who asks.
    pub(crate) operator: Option<Scope>,
    /// From where.
    pub(crate) peer: Option<SocketAddr>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) etag: Option<String>,
    pub(crate) body: Value,
}

/// What is sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent {
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

/// Nothing but the request line.
pub(crate) fn plain() -> Sent {
    Sent::default()
}

/// A body of JSON.
#[expect(clippy::needless_pass_by_value, reason = "callers write the value on the spot")]
pub(crate) fn with(body: Value) -> Sent {
    Sent { headers: vec![("content-type", "application/json".to_owned())], body: Some(body.to_string()) }
}

/// A body of another kind.
pub(crate) fn with_text(media_type: &str, body: &str) -> Sent {
    Sent { headers: vec![("content-type", media_type.to_owned())], body: Some(body.to_owned()) }
}

impl Sent {
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn if_match(self, tag: impl Into<String>) -> Self {
        self.header("if-match", tag)
    }

    pub(crate) fn because(self, reason: &str) -> Self {
        self.header("guardian-reason", reason)
    }
}

pub(crate) fn scope(tenant: &str) -> Scope {
    Scope::new(TenantId::new(tenant).unwrap(), Actor::user("ann").unwrap())
}

impl Contract {
    /// A document of these, asked by ann of acme, who is an operator too.
    pub(crate) fn of(document: Document) -> Self {
        let text = document.openapi();
        let contract = Self {
            router: document.into_router().unwrap(),
            document: text,
            called: BTreeSet::new(),
            went_well: BTreeSet::new(),
            scope: Some(scope("acme")),
            operator: Some(scope("operator")),
            peer: None,
        };
        contract.examples_fit();
        contract.reads_well();
        contract
    }

    pub(crate) fn unguarded(api: guardian_http::api::Api) -> Self {
        Self::of(Document::new("test", "1.0.0", Unguarded).with(api))
    }

    /// Calls `GET /things/{id}?a=b` by its place in the document and holds the answer against it. `path` is the template with
    /// its values: `"/things/{id=7}?a=b"`.
    pub(crate) async fn call(&mut self, method: &str, path: &str, sent: Sent) -> Answer {
        let (template, uri) = filled(path);
        let operation = self.document["paths"][&template][method.to_lowercase()].clone();
        assert!(operation.is_object(), "the document has no {method} {template}");
        let id = operation["operationId"].as_str().unwrap().to_owned();
        self.called.insert(id.clone());
        let answer = self.send(method, &uri, sent).await;
        let declared = &operation["responses"][answer.0.as_str()];
        assert!(declared.is_object(), "{id} answered {} undeclared: {}", answer.0, answer.3);
        if let Some(headers) = declared["headers"].as_object() {
            assert!(!headers.contains_key("ETag") || answer.1.is_some(), "{id} answered without its ETag");
        }
        let body = match declared["content"].as_object() {
            None => {
                assert_eq!(answer.3, "", "{id} answered {} with a body", answer.0);
                Value::Null
            }
            Some(content) => {
                let kind = answer.2.unwrap_or_default();
                let essence = kind.split(';').next().unwrap().to_owned();
                assert!(content.contains_key(&essence), "{id} answered {essence}, which is undeclared");
                if essence.ends_with("json") && essence != "application/x-ndjson" {
                    let body: Value = serde_json::from_str(&answer.3).unwrap();
                    self.fits(&format!("{id} {}", answer.0), &content[&essence]["schema"], &body);
                    body
                } else {
                    Value::String(answer.3)
                }
            }
        };
        if answer.0.is_success() {
            self.went_well.insert(id);
        }
        Answer { status: answer.0, etag: answer.1, body }
    }

    /// Calls and expects a status.
    pub(crate) async fn expect(&mut self, status: u16, method: &str, path: &str, sent: Sent) -> Answer {
        let answer = self.call(method, path, sent).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.body);
        answer
    }

    async fn send(
        &self,
        method: &str,
        uri: &str,
        sent: Sent,
    ) -> (StatusCode, Option<String>, Option<String>, String) {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in &sent.headers {
            request = request.header(*name, value);
        }
        let mut request = request.body(Body::from(sent.body.unwrap_or_default())).unwrap();
        if let Some(scope) = &self.scope {
            request.extensions_mut().insert(scope.clone());
        }
        if let Some(operator) = &self.operator {
            request.extensions_mut().insert(Operator(operator.clone()));
        }
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(PeerAddr(peer));
        }
        // What would go on for ever says what there is, and ends.
        request.extensions_mut().insert(Stopping::new().1);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let header =
            |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (etag, kind) = (header("etag"), header("content-type"));
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, etag, kind, String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn fits(&self, what: &str, schema: &Value, value: &Value) {
        let mut document = self.document.clone();
        document["components"]["schemas"]["__asked"] = schema.clone();
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource(PLACE, document).unwrap();
        let at = format!("{PLACE}#/components/schemas/__asked");
        let index = compiler.compile(&at, &mut schemas).unwrap_or_else(|error| panic!("{what}: {error:#}"));
        if let Err(error) = schemas.validate(value, index) {
            panic!("{what}: {value} does not fit:\n{error:#}");
        }
    }

    /// Each example in the document fits its schema.
    fn examples_fit(&self) {
        for (id, operation) in self.operations() {
            let contents = [&operation["requestBody"]["content"]]
                .into_iter()
                .chain(
                    operation["responses"].as_object().unwrap().values().map(|response| &response["content"]),
                )
                .filter_map(Value::as_object);
            for (media_type, content) in contents.flatten() {
                let example = &content["example"];
                if media_type.ends_with("json") {
                    assert!(
                        !example.is_null() || content["schema"] == json!({}),
                        "{id} has no example of {media_type}"
                    );
                    if !example.is_null() {
                        self.fits(&format!("the example of {id}"), &content["schema"], example);
                    }
                }
            }
        }
    }

    /// What a linter would say: ids are there once, everything is described, references lead somewhere, tags are declared.
    fn reads_well(&self) {
        let mut ids = BTreeSet::new();
        for (id, operation) in self.operations() {
            assert!(ids.insert(id.clone()), "`{id}` is there twice");
            assert!(
                operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()),
                "{id} has no summary"
            );
            assert!(operation["security"].is_array(), "{id} has no security");
            let tag = &operation["tags"][0];
            assert!(
                self.document["tags"].as_array().unwrap().iter().any(|each| &each["name"] == tag),
                "{id}: {tag}"
            );
            let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().collect();
            assert!(statuses.iter().any(|status| status.starts_with('2')), "{id} never goes well");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(
                    parameter["description"].as_str().is_some_and(|text| !text.is_empty()),
                    "{id}: {parameter}"
                );
            }
        }
        for (path, item) in self.document["paths"].as_object().unwrap() {
            let named: BTreeSet<_> = path.split(['{', '}']).skip(1).step_by(2).collect();
            for (method, operation) in item.as_object().unwrap() {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let declared: BTreeSet<_> = parameters
                    .filter(|parameter| parameter["in"] == "path")
                    .map(|parameter| parameter["name"].as_str().unwrap())
                    .collect();
                assert_eq!(named, declared, "the parameters of {method} {path}");
            }
        }
        let schemas = self.document["components"]["schemas"].as_object().unwrap();
        let mut at = vec![&self.document];
        while let Some(value) = at.pop() {
            if let Some(reference) = value["$ref"].as_str() {
                let name = reference.strip_prefix("#/components/schemas/").unwrap();
                assert!(schemas.contains_key(name), "{reference} leads nowhere");
            }
            at.extend(value.as_object().into_iter().flat_map(|object| object.values()));
            at.extend(value.as_array().into_iter().flatten());
        }
        for (name, schema) in schemas {
            assert!(schema["description"].is_string(), "the schema {name} is not described");
            for (member, property) in schema["properties"].as_object().into_iter().flatten() {
                let described = property["description"].is_string() || property["$ref"].is_string();
                assert!(described || property["oneOf"].is_array(), "{name}.{member} is not described");
            }
        }
    }

    fn operations(&self) -> impl Iterator<Item = (String, &Value)> {
        let items = self.document["paths"].as_object().unwrap().values();
        items
            .flat_map(|item| item.as_object().unwrap().values())
            .map(|operation| (operation["operationId"].as_str().unwrap().to_owned(), operation))
    }

    /// Every operation was called and has gone well; nobody and a stranger to the platform are turned away everywhere, and no
    /// nonsense makes the server fail.
    pub(crate) async fn finish(mut self) {
        let all: BTreeSet<String> = self.operations().map(|(id, _)| id).collect();
        let missing: Vec<_> = all.difference(&self.went_well).collect();
        assert!(missing.is_empty(), "never went well: {missing:?}");
        let paths = self.document["paths"].as_object().unwrap().clone();
        for (path, item) in &paths {
            for (method, operation) in item.as_object().unwrap() {
                let method = method.to_uppercase();
                self.turned_away(&method, path, operation).await;
                self.nonsense(&method, path, operation).await;
            }
        }
    }

    async fn turned_away(&mut self, method: &str, path: &str, operation: &Value) {
        let (scope, operator) = (self.scope.take(), self.operator.take());
        let path = example_path(path, "x");
        let answer = self.call(method, &path, required(operation)).await;
        assert_eq!(
            answer.status,
            StatusCode::UNAUTHORIZED,
            "{method} {path} with nobody signed in: {}",
            answer.body
        );
        (self.scope, self.operator) = (scope, None);
        if path.starts_with("/platform/") {
            let answer = self.call(method, &path, required(operation)).await;
            assert_eq!(
                answer.status,
                StatusCode::FORBIDDEN,
                "{method} {path} by no operator: {}",
                answer.body
            );
        }
        self.operator = operator;
    }

    async fn nonsense(&mut self, method: &str, path: &str, operation: &Value) {
        let long = "x".repeat(2000);
        let values = ["x", "..%2f", "%00", "%ff", "7' OR '1'='1", "%F0%9F%A6%80", &long];
        let bodies = ["", "{", "null", "[]", "{\"x\":1}", "\"\u{7f}\"", "1e999"].map(str::to_owned);
        for value in values {
            let path = example_path(path, &value.replace(' ', "%20").replace('\'', "%27"));
            let answer = self.call(method, &path, required(operation)).await;
            assert!(!answer.status.is_server_error(), "{method} {path}: {}", answer.body);
        }
        if operation["requestBody"].is_object() {
            let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
            for body in bodies.into_iter().chain([deep]) {
                let sent = Sent { body: Some(body.clone()), ..required(operation) };
                let answer = self.call(method, &example_path(path, "x"), sent).await;
                assert!(
                    answer.status.is_client_error(),
                    "{method} {path} took `{:.40}`: {}",
                    body,
                    answer.body
                );
            }
            let sent = Sent { body: Some("x".repeat(2 << 20)), ..required(operation) };
            let answer = self.call(method, &example_path(path, "x"), sent).await;
            assert!(answer.status.is_client_error(), "{method} {path} took 2 MiB: {}", answer.body);
        }
        if method == "GET" {
            for query in ["size=0", "size=x", "size=99999", "after=zz", "after=00ff", "x=y&x=z", "%00=%ff"] {
                let answer = self
                    .call(method, &format!("{}?{query}", example_path(path, "x")), required(operation))
                    .await;
                assert!(!answer.status.is_server_error(), "{method} {path}?{query}: {}", answer.body);
            }
        }
    }
}

/// The headers that an operation requires, and its example as its body.
fn required(operation: &Value) -> Sent {
    let mut sent = plain();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] == "header" && parameter["required"] == true {
            sent = match parameter["name"].as_str().unwrap() {
                "If-Match" => sent.if_match("*"),
                "Guardian-Reason" => sent.because("tried by a test"),
                other => panic!("{other}?"),
            };
        }
    }
    if let Some((media_type, content)) =
        operation["requestBody"]["content"].as_object().and_then(|content| content.iter().next())
    {
        let example = &content["example"];
        let body = if media_type.ends_with("json") {
            example.to_string()
        } else {
            example.as_str().unwrap().to_owned()
        };
        sent = Sent { body: Some(body), ..sent }.header("content-type", media_type.clone());
    }
    sent
}

/// `/a/{b}` as `/a/{b=VALUE}`.
fn example_path(template: &str, value: &str) -> String {
    template.replace('}', &format!("={value}}}"))
}

/// `/a/{b=7}?c=d` as its template `/a/{b}` and its URI `/a/7?c=d`.
fn filled(path: &str) -> (String, String) {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let (mut template, mut uri) = (String::new(), String::new());
    for (at, part) in path.split(['{', '}']).enumerate() {
        if at % 2 == 0 {
            template.push_str(part);
            uri.push_str(part);
        } else {
            let (name, value) = part.split_once('=').unwrap_or_else(|| panic!("{path}: {part} has no value"));
            template.push_str(&format!("{{{name}}}"));
            uri.push_str(value);
        }
    }
    if let Some(query) = query {
        uri.push_str(&format!("?{query}"));
    }
    (template, uri)
}

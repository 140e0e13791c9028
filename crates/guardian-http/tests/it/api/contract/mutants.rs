//! Requests that are right but for one thing.

use std::collections::BTreeMap;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use super::{Contract, PLACE, Sent, required};

/// Values of parameters that nobody expects, encoded as in a URI.
const TEXTS: [&str; 16] = [
    "",
    "x",
    "-1",
    "0",
    "1e5",
    "18446744073709551615",
    "99999999999999999999999",
    "%00",
    "%ff",
    "%2B262142-12-31T23:59:59Z",
    "-262143-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-02-30T00:00:00Z",
    "null",
    "%F0%9F%A6%80%E2%80%AE",
];

const HEADERS: [&str; 8] = [
    "x",
    "\"",
    "\"\"",
    "\"18446744073709551616\"",
    "W/\"1\"",
    "\"1\", \"2\"",
    "close:1",
    "~~~~~~~~~~~~~~~~~~~~",
];

fn odd_values() -> Vec<Value> {
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!(""),
        json!("x"),
        json!("a\u{0}b"),
        json!("\u{202e}🦀"),
        json!("x".repeat(65)),
        json!("x".repeat(129)),
        json!("x".repeat(201)),
        json!("x".repeat(257)),
        json!("x".repeat(501)),
        json!("x".repeat(20_000)),
        json!("+262142-12-31T23:59:59Z"),
        json!("-262143-01-01T00:00:00Z"),
        json!("0000-01-01T00:00:00Z"),
        json!([]),
        json!(["x"]),
        json!(vec!["x"; 5_000]),
        json!({}),
        json!({"x": 1}),
        deep,
    ]
}

/// All places within a value, as JSON pointers.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    for (name, member) in value.as_object().into_iter().flatten() {
        places(member, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), all);
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        places(item, &format!("{at}/{index}"), all);
    }
}

impl Contract {
    /// Sends each operation with one thing wrong at a time: each member of its body as each value that nobody expects, each
    /// parameter of its query, each header, each part of its path. Parts of the path are otherwise these. Whatever it is, the
    /// server does not fail and answers as declared, and what goes well fits the document. How many requests it were.
    pub(crate) async fn mutants(&mut self, known: &[(&str, &str)]) -> usize {
        let paths = self.document["paths"].as_object().unwrap().clone();
        let (mut sum, mut wrong) = (0, Vec::new());
        // What removes something comes last, so that the others find it.
        for removes in [false, true] {
            for (path, item) in &paths {
                let all = item.as_object().unwrap().iter();
                for (method, operation) in all.filter(|(method, _)| (*method == "delete") == removes) {
                    let shapes = self.shapes(operation);
                    for (uri, sent, forbidden) in mutants_of(path, operation, known) {
                        wrong.extend(
                            self.survives(
                                &method.to_uppercase(),
                                &uri,
                                operation,
                                &shapes,
                                (sent, forbidden),
                            )
                            .await,
                        );
                        sum += 1;
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{} of {sum} requests:\n{}", wrong.len(), wrong.join("\n"));
        sum
    }

    /// What the document says of an operation's body, by the name `body`, and of its answers, by their statuses.
    fn shapes(&self, operation: &Value) -> Shapes {
        let content = |within: &Value| within["content"]["application/json"]["schema"].clone();
        let answers = operation["responses"].as_object().unwrap();
        let asked = std::iter::once(("body".to_owned(), content(&operation["requestBody"])))
            .chain(answers.iter().map(|(status, answer)| (status.clone(), content(answer))));
        let mut document = self.document.clone();
        let asked: Vec<_> = asked.filter(|(_, schema)| !schema.is_null()).collect();
        for (name, schema) in &asked {
            document["components"]["schemas"][format!("__{name}")] = schema.clone();
        }
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource(PLACE, document).unwrap();
        let places = asked.into_iter().map(|(name, _)| {
            let place = format!("{PLACE}#/components/schemas/__{name}");
            (name, compiler.compile(&place, &mut schemas).unwrap())
        });
        let places = places.collect();
        Shapes { schemas, places }
    }

    /// What is wrong with the answer, if anything: it is undeclared, a failure of the server, or a success that does not fit
    /// what the document says of the request or of the answer.
    async fn survives(
        &self,
        method: &str,
        uri: &str,
        operation: &Value,
        shapes: &Shapes,
        (sent, forbidden): (Sent, bool),
    ) -> Option<String> {
        let body = sent.body.clone().unwrap_or_default();
        let (status, .., answer) = self.send(method, uri, sent).await;
        let declared = operation["responses"][status.as_str()].is_object();
        let told = format!("{method} {uri:.300} with `{body:.300}` answered {status}: {answer:.300}");
        if !declared || status.is_server_error() {
            return Some(told);
        }
        if forbidden && status.is_success() {
            return Some(format!("{told}, though the document forbids that parameter"));
        }
        if !status.is_success() {
            return None;
        }
        let misfit = shapes.misfit("body", &body).or_else(|| shapes.misfit(status.as_str(), &answer))?;
        Some(format!("{told}, though {misfit}"))
    }
}

/// Schemas of one operation.
struct Shapes {
    schemas: Schemas,
    places: BTreeMap<String, SchemaIndex>,
}

impl Shapes {
    /// In which way a text does not fit, if there is a schema for it.
    fn misfit(&self, name: &str, text: &str) -> Option<String> {
        let place = self.places.get(name)?;
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return Some(format!("the {name} is no JSON"));
        };
        Some(format!("of the {name}: {}", self.schemas.validate(&value, *place).err()?))
    }
}

fn mutants_of(path: &str, operation: &Value, known: &[(&str, &str)]) -> Vec<(String, Sent, bool)> {
    let value_of =
        |name: &str| known.iter().find(|(known, _)| *known == name).map_or("x", |(_, value)| value);
    let fill = |odd: Option<(&str, &str)>| {
        path.split(['{', '}']).enumerate().fold(String::new(), |uri, (at, part)| {
            let part = match odd {
                _ if at % 2 == 0 => part,
                Some((name, value)) if name == part => value,
                _ => value_of(part),
            };
            uri + part
        })
    };
    let (right, sent) = (fill(None), required(operation));
    let mut all = vec![(right.clone(), sent.clone(), false)];
    let long = "x".repeat(5_000);
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap();
        match parameter["in"].as_str().unwrap() {
            "path" => {
                let values = TEXTS.into_iter().chain([long.as_str()]).filter(|value| !value.is_empty());
                all.extend(values.map(|value| {
                    (fill(Some((name, value))), sent.clone(), is_forbidden(&parameter["schema"], value))
                }));
            }
            "query" => {
                let values = TEXTS.into_iter().chain([long.as_str()]);
                all.extend(values.map(|value| {
                    let forbidden = is_forbidden(&parameter["schema"], value);
                    (format!("{right}?{name}={value}"), sent.clone(), forbidden)
                }));
            }
            _ => all.extend(
                HEADERS.iter().map(|value| (right.clone(), sent.clone().instead(name, value), false)),
            ),
        }
    }
    let example = &operation["requestBody"]["content"]["application/json"]["example"];
    if !example.is_null() {
        let mut everywhere = Vec::new();
        places(example, "", &mut everywhere);
        for place in everywhere {
            for value in odd_values() {
                let mut body = example.clone();
                *body.pointer_mut(&place).unwrap() = value;
                all.push((right.clone(), Sent { body: Some(body.to_string()), ..sent.clone() }, false));
            }
        }
        for name in example.as_object().into_iter().flat_map(|object| object.keys()) {
            let mut body = example.clone();
            body.as_object_mut().unwrap().remove(name);
            all.push((right.clone(), Sent { body: Some(body.to_string()), ..sent.clone() }, false));
        }
    }
    all
}

/// Whether the document says that the value of a parameter is out of its bounds.
fn is_forbidden(schema: &Value, value: &str) -> bool {
    let number: Option<f64> = value.parse().ok();
    let outside = |bound: &str, is_outside: fn(f64, f64) -> bool| {
        schema[bound].as_f64().zip(number).is_some_and(|(bound, number)| is_outside(number, bound))
    };
    let is_long = schema["maxLength"].as_u64().is_some_and(|most| value.len() >= 5_000 && most < 5_000);
    is_long
        || outside("minimum", |number, bound| number < bound)
        || outside("maximum", |number, bound| number > bound)
}

impl Sent {
    /// With another value of a header, in place of the one that is there.
    fn instead(mut self, name: &str, value: &str) -> Self {
        const NAMES: [&str; 5] =
            ["if-match", "if-none-match", "guardian-reason", "idempotency-key", "last-event-id"];
        let name = NAMES.into_iter().find(|known| name.eq_ignore_ascii_case(known)).unwrap();
        self.headers.retain(|(known, _)| *known != name);
        self.header(name, value)
    }
}

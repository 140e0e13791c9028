//! What the expressions of a definition can see, and of which types it is.

use std::collections::{BTreeMap, HashMap};

use guardian_expr::{Env, ObjectType, Type};
use serde_json::Value;

use crate::action::Catalog;
use crate::definition::{Definition, NodeKind, VariableName, Wait};
use crate::template;

/// The type of the JSON that a schema describes.
pub(crate) fn type_of(schema: &Value) -> Result<Type, guardian_expr::Error> {
    Env::builder().schema("value", schema)?.build()?.check("value")
}

/// The environment of a definition's expressions, and what is wrong with its schemas: a pointer and a message each.
pub(crate) fn environment(definition: &Definition, catalog: &Catalog) -> (Env, Vec<(String, String)>) {
    let mut faults = Vec::new();
    let mut schema_type = |pointer: String, schema: &Value| match type_of(schema) {
        Ok(known) => known,
        Err(error) => {
            faults.push((pointer, error.to_string()));
            Type::Dyn
        }
    };
    let mut known: BTreeMap<&str, Type> = BTreeMap::new();
    let input = definition.input.as_ref().map(|schema| schema_type("/input".to_owned(), schema));
    known.insert("input", input.unwrap_or(Type::Dyn));
    for (name, variable) in &definition.variables {
        if let Some(schema) = &variable.schema {
            known.insert(name.as_str(), schema_type(format!("/variables/{name}/schema"), schema));
        }
    }
    let run = ObjectType::new("run")
        .field("id", Type::String)
        .field("workflow", Type::String)
        .field("version", Type::Int)
        .field("started", Type::Timestamp)
        .field("now", Type::Timestamp);
    known.insert("run", run.into());
    let (outcome, event) = (Type::Dyn, Type::Dyn);
    known.insert("outcome", outcome);
    known.insert("event", event);

    // First what is known without looking at an expression, then what expressions give on top of that.
    let writes = writes(definition, catalog);
    let open: Vec<_> = writes.iter().filter(|write| matches!(write.1, Written::By(..))).collect();
    let mut first = known.clone();
    for (name, write) in &writes {
        if !known.contains_key(name.as_str()) {
            let add = match write {
                Written::Type(one) => one.clone(),
                Written::By(..) => Type::Dyn,
            };
            join(&mut first, name.as_str(), add);
        }
    }
    let mut all = first.clone();
    if !open.is_empty() {
        let env = build(&first);
        let mut found: HashMap<&str, Type> = HashMap::new();
        let mut second = known.clone();
        for (name, write) in &writes {
            if !known.contains_key(name.as_str()) {
                let add = match write {
                    Written::Type(one) => one.clone(),
                    Written::By(source, shape) => {
                        let checked =
                            found.entry(*source).or_insert_with(|| env.check(source).unwrap_or(Type::Dyn));
                        stored(shape.of(checked.clone()))
                    }
                };
                join(&mut second, name.as_str(), add);
            }
        }
        all = second;
    }
    for (name, variable) in &definition.variables {
        // One with a first value and writers of other types may be of any.
        let first = variable.value.as_ref().map(template::literal_type);
        if !known.contains_key(name.as_str()) {
            join(&mut all, name.as_str(), first.unwrap_or(Type::Dyn));
        }
    }
    (build(&all), faults)
}

fn build(types: &BTreeMap<&str, Type>) -> Env {
    let builder =
        types.iter().fold(Env::builder(), |builder, (name, r#type)| builder.variable(name, r#type.clone()));
    let builder =
        crate::functions::functions().into_iter().fold(builder, guardian_expr::EnvBuilder::function);
    // Names and types are well-formed; an environment that knows nothing would be no fault but no help either.
    builder.build().unwrap_or_default()
}

fn join<'n>(types: &mut BTreeMap<&'n str, Type>, name: &'n str, other: Type) {
    types
        .entry(name)
        .and_modify(|known| {
            if *known != other {
                *known = Type::Dyn;
            }
        })
        .or_insert(other);
}

enum Written<'d> {
    Type(Type),
    By(&'d str, Shape),
}

#[derive(Clone, Copy)]
enum Shape {
    Same,
    Element,
    List,
}

impl Shape {
    fn of(self, found: Type) -> Type {
        match (self, found) {
            (Self::Same, found) => found,
            (Self::List, found) => Type::list(found),
            (Self::Element, Type::List(element)) => *element,
            (Self::Element, _) => Type::Dyn,
        }
    }
}

fn writes<'d>(definition: &'d Definition, catalog: &Catalog) -> Vec<(&'d VariableName, Written<'d>)> {
    let mut writes = Vec::new();
    for node in definition.nodes.values() {
        match &node.kind {
            NodeKind::Action { action, output: Some(name), .. } => {
                writes.push((name, Written::Type(catalog.result_type(action))));
            }
            NodeKind::SubWorkflow { output: Some(name), .. } => writes.push((name, Written::Type(Type::Dyn))),
            NodeKind::Wait { r#for: Wait::Signal(until) } => {
                writes.extend(until.output.as_ref().map(|name| (name, Written::Type(Type::Dyn))));
            }
            NodeKind::Approval { output: Some(name), .. } => writes.push((name, Written::Type(decision()))),
            NodeKind::Try { catch, .. } => {
                let caught = catch.iter().filter_map(|each| each.output.as_ref());
                writes.extend(caught.map(|name| (name, Written::Type(caught_type()))));
            }
            NodeKind::Set { values } => {
                writes.extend(values.iter().map(|(name, value)| {
                    (
                        name,
                        match template::expression(value) {
                            Some(source) => Written::By(source, Shape::Same),
                            None => Written::Type(template::literal_type(value)),
                        },
                    )
                }));
            }
            NodeKind::ForEach { items, r#as, index, collect, .. } => {
                writes.push((r#as, Written::By(items, Shape::Element)));
                writes.extend(index.as_ref().map(|name| (name, Written::Type(Type::Int))));
                let gathered = collect.as_ref();
                writes.extend(gathered.map(|each| (&each.output, Written::By(&each.value, Shape::List))));
            }
            _ => {}
        }
    }
    writes
}

fn decision() -> Type {
    ObjectType::new("decision")
        .field("approved", Type::Bool)
        .field("by", Type::String)
        .field("comment", Type::String)
        .into()
}

fn caught_type() -> Type {
    ObjectType::new("failure")
        .field("code", Type::String)
        .field("message", Type::String)
        .optional_field("node", Type::String)
        .optional_field("data", Type::Dyn)
        .into()
}

/// The type of a value after it was kept as JSON.
fn stored(of: Type) -> Type {
    match of {
        Type::Bool | Type::Int | Type::Double | Type::String | Type::Object(_) => of,
        Type::Bytes | Type::Timestamp | Type::Duration | Type::Type(_) => Type::String,
        Type::List(element) => Type::list(stored(*element)),
        Type::Map(key, value) if *key == Type::String => Type::map(*key, stored(*value)),
        Type::Nullable(inner) => match stored(*inner) {
            Type::Dyn => Type::Dyn,
            inner => Type::nullable(inner),
        },
        _ => Type::Dyn,
    }
}

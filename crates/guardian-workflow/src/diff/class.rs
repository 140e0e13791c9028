//! What differences mean.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Change, Class, Diff};

impl Diff {
    /// What the worst difference means.
    #[must_use]
    pub fn class(&self) -> Class {
        self.changes.iter().map(Change::class).max().unwrap_or(Class::Cosmetic)
    }
}

impl Change {
    /// What it means for those who rely on the workflow.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::NodeRenamed { .. } | Self::NodeMoved { .. } => Class::Cosmetic,
            Self::NodeAdded { .. }
            | Self::NodeRemoved { .. }
            | Self::NodeRetyped { .. }
            | Self::EdgeAdded { .. }
            | Self::EdgeRemoved { .. }
            | Self::EdgeRetargeted { .. }
            | Self::TriggerChanged { old: None, .. } => Class::Changing,
            Self::ParameterChanged { path, .. } => match path.split('/').nth(1) {
                Some("note") => Class::Cosmetic,
                Some("retry" | "timeout" | "concurrency") => Class::Preserving,
                _ => Class::Changing,
            },
            Self::ConditionChanged { terms, .. } => {
                if terms.is_empty() {
                    Class::Preserving
                } else {
                    Class::Changing
                }
            }
            Self::TriggerChanged { .. } => Class::Breaking,
            Self::SettingChanged { path, old, new } => setting(path, old.as_ref(), new.as_ref()),
        }
    }
}

fn setting(path: &str, old: Option<&Value>, new: Option<&Value>) -> Class {
    let mut parts = path.split('/').skip(1);
    match parts.next() {
        Some("name" | "description") => Class::Cosmetic,
        Some("secrets") => Class::Preserving,
        Some("settings") => match (parts.next(), old.and_then(Value::as_u64), new.and_then(Value::as_u64)) {
            (Some("explain"), ..) => Class::Preserving,
            // A limit that was raised stops nothing that went on before; without one it is the default.
            (Some("limits"), Some(old), Some(new)) if new > old => Class::Preserving,
            _ => Class::Changing,
        },
        Some("input") => input(&parts.collect::<Vec<_>>(), old, new),
        _ => Class::Changing,
    }
}

/// Whether what was a valid input may be none now.
fn input(path: &[&str], old: Option<&Value>, new: Option<&Value>) -> Class {
    let texts = |value: Option<&Value>| -> BTreeSet<String> {
        let list = value.and_then(Value::as_array).into_iter().flatten();
        list.map(ToString::to_string).collect()
    };
    let last = path.last().copied().unwrap_or_default();
    let within = path.iter().rev().nth(1).copied().unwrap_or_default();
    if path.is_empty() {
        // Anything is an input now; or a schema came where anything was.
        return if new.is_none() { Class::Preserving } else { Class::Breaking };
    }
    match (last, old, new) {
        ("title" | "description" | "examples" | "default" | "$comment", ..) => Class::Cosmetic,
        ("required", before, after) if texts(after).is_subset(&texts(before)) => Class::Preserving,
        ("enum", Some(_), after) if after.is_none() || texts(old).is_subset(&texts(after)) => {
            Class::Preserving
        }
        ("type", Some(before), Some(after)) => {
            let kinds = |value: &Value| -> BTreeSet<String> {
                match value {
                    Value::Array(kinds) => {
                        kinds.iter().filter_map(Value::as_str).map(str::to_owned).collect()
                    }
                    other => other.as_str().map(str::to_owned).into_iter().collect(),
                }
            };
            let (before, after) = (kinds(before), kinds(after));
            let wider = before
                .iter()
                .all(|kind| after.contains(kind) || (kind == "integer" && after.contains("number")));
            if wider { Class::Preserving } else { Class::Breaking }
        }
        ("maximum" | "maxLength" | "maxItems", Some(before), after)
            if least(before) <= after.map_or(f64::INFINITY, least) =>
        {
            Class::Preserving
        }
        ("minimum" | "minLength" | "minItems", Some(before), after)
            if after.map_or(f64::NEG_INFINITY, least) <= least(before) =>
        {
            Class::Preserving
        }
        // A property that was not named before.
        (_, None, Some(_)) if within == "properties" => Class::Changing,
        _ => Class::Breaking,
    }
}

fn least(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One field that an action changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Change {
    /// Where the field is, as a JSON pointer (RFC 6901): `/stage`, `/owner/name`.
    pub path: String,
    /// What it was; absent when the field is new.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub before: Option<Value>,
    /// What it is now; absent when the field is gone.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub after: Option<Value>,
}

/// A field that is there and null is not one that is absent.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Change {
    /// A change of the field at `path`.
    #[must_use]
    pub fn new(path: impl Into<String>, before: Option<Value>, after: Option<Value>) -> Self {
        Self { path: path.into(), before, after }
    }
}

/// The difference of two states of a thing, field by field in the order of their paths.
///
/// Objects are compared member by member; anything else (arrays, too) is one value that is the same or is not.
/// Objects deeper than 16 levels are compared as one value.
///
/// ```
/// use guardian_audit::changes_between;
/// use serde_json::json;
///
/// let before = json!({ "stage": "open", "amount": 100, "owner": { "name": "Ann" } });
/// let after = json!({ "stage": "won", "amount": 100, "owner": { "name": "Ann", "team": 3 } });
/// let changes = changes_between(&before, &after);
/// assert_eq!(changes.iter().map(|c| c.path.as_str()).collect::<Vec<_>>(), ["/owner/team", "/stage"]);
/// ```
#[must_use]
pub fn changes_between(before: &Value, after: &Value) -> Vec<Change> {
    const DEEPEST: usize = 16;
    let mut changes = Vec::new();
    let mut open = vec![(String::new(), Some(before), Some(after), 0)];
    while let Some((path, before, after, depth)) = open.pop() {
        match (before, after) {
            (Some(Value::Object(old)), Some(Value::Object(new))) if depth < DEEPEST => {
                let gone = old.keys().filter(|key| !new.contains_key(*key));
                for key in new.keys().chain(gone) {
                    let step = key.replace('~', "~0").replace('/', "~1");
                    open.push((format!("{path}/{step}"), old.get(key), new.get(key), depth + 1));
                }
            }
            (old, new) if old == new => {}
            (old, new) => changes.push(Change::new(path, old.cloned(), new.cloned())),
        }
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

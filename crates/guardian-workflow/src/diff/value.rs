//! Differences of JSON values.

use serde_json::Value;

use super::pointer::escape;

/// Gets a place, the old value and the new one.
pub(crate) type Visit<'v> = dyn FnMut(&str, Option<&Value>, Option<&Value>) + 'v;

/// Goes through two values and calls `each` for every place where they differ, as far down as the form is the same: a place
/// is never within another one. JSON that was read nests no deeper than 128.
pub(crate) fn walk(path: &str, old: Option<&Value>, new: Option<&Value>, each: &mut Visit<'_>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let added = after.keys().filter(|key| !before.contains_key(*key));
            let keys: Vec<&String> = before.keys().chain(added).collect();
            for key in keys {
                walk(&format!("{path}/{}", escape(key)), before.get(key), after.get(key), each);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) if before.len() == after.len() => {
            for (at, (before, after)) in before.iter().zip(after).enumerate() {
                walk(&format!("{path}/{at}"), Some(before), Some(after), each);
            }
        }
        _ => each(path, old, new),
    }
}

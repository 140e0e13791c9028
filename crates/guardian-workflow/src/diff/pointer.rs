//! JSON pointers (RFC 6901).

use serde_json::Value;

/// A name as a part of a pointer.
pub(crate) fn escape(name: &str) -> String {
    if name.contains(['~', '/']) { name.replace('~', "~0").replace('/', "~1") } else { name.to_owned() }
}

/// The parts of a pointer; `None` for a text that is none.
pub(crate) fn parts(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    pointer.strip_prefix('/')?.split('/').map(unescape).collect()
}

fn unescape(part: &str) -> Option<String> {
    let mut name = String::with_capacity(part.len());
    let mut characters = part.chars();
    while let Some(each) = characters.next() {
        match (each, each == '~') {
            (_, true) => name.push(match characters.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            }),
            (other, false) => name.push(other),
        }
    }
    Some(name)
}

/// A place in a list: digits without a sign or leading zeros.
pub(crate) fn index(part: &str) -> Option<usize> {
    let plain = part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
    if plain { part.parse().ok() } else { None }
}

/// What stands at a place.
pub(crate) fn get<'v>(value: &'v Value, parts: &[String]) -> Option<&'v Value> {
    parts.iter().try_fold(value, |value, part| match value {
        Value::Object(members) => members.get(part),
        Value::Array(items) => items.get(index(part)?),
        _ => None,
    })
}

/// What stands at a place, to change it.
pub(crate) fn get_mut<'v>(value: &'v mut Value, parts: &[String]) -> Option<&'v mut Value> {
    parts.iter().try_fold(value, |value, part| match value {
        Value::Object(members) => members.get_mut(part),
        Value::Array(items) => items.get_mut(index(part)?),
        _ => None,
    })
}

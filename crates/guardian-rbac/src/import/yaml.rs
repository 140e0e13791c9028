//! YAML, which JSON is a part of, without what makes it dangerous: no anchors, no aliases, no tags, bounded.

use guardian_yaml::Limits;
pub(super) use guardian_yaml::Node;

use super::{MAX_BYTES, fault};
use crate::Error;

/// How deep lists and maps may nest.
const MAX_DEPTH: usize = 16;

impl From<guardian_yaml::Error> for Error {
    fn from(error: guardian_yaml::Error) -> Self {
        fault(error.line, error.why)
    }
}

/// The documents of a text.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, Error> {
    Ok(Limits::default().with_bytes(MAX_BYTES).with_depth(MAX_DEPTH).with_values(MAX_BYTES).read(text)?)
}

/// Nothing but these keys.
pub(super) fn only(node: &Node, keys: &[&str]) -> Result<(), Error> {
    for (key, value) in node.map()? {
        if !keys.contains(&key.as_str()) {
            let shown = guardian_core::shorten(key);
            let similar = crate::name::nearest(key, keys.iter().copied());
            let hint = similar.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            return Err(fault(value.line, format!("unknown key `{shown}`{hint}")));
        }
    }
    Ok(())
}

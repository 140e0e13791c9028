//! The Amazon States Language: <https://states-language.net/spec.html>, with both query languages.

use serde_json::Value;

use super::{Fault, Imported};
use crate::error::Error;

mod choice;
mod convert;
mod fields;
mod jsonata;
mod machine;
mod paths;
mod states;
mod translate;

/// The longest document, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// What is wrong with a state machine by the rules of the language; nothing if it is one. O(size).
///
/// ```
/// use guardian_workflow::import::asl;
/// use serde_json::json;
///
/// let machine = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Succeed"}}});
/// assert!(asl::faults(&machine).is_empty());
/// let faults = asl::faults(&json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "C"}}}));
/// assert_eq!(faults[0].to_string(), "/States/A/Next: there is no state `C` here");
/// ```
#[must_use]
pub fn faults(document: &Value) -> Vec<Fault> {
    machine::check(document)
}

/// Reads a state machine from JSON or YAML and makes a definition of it.
///
/// The data that goes from state to state is the variable `data`. A task becomes an action named like its resource, a
/// `Choice` a condition, `Map` a loop, `Parallel` a parallel node, `Retry` and `Catch` retry rules and a `try`; a way back
/// becomes a bounded `repeat`. What has no counterpart is in [`Imported::losses`].
///
/// # Errors
/// [`Error::Import`] for a text that is no state machine, with its first fault.
pub fn import(text: &str) -> Result<Imported, Error> {
    let refused = |why: String| Error::Import { format: "states language", why };
    if text.len() > MAX_BYTES {
        return Err(refused(format!("it has {} bytes, the most is {MAX_BYTES}", text.len())));
    }
    let document = crate::definition::document(text, MAX_BYTES).map_err(refused)?;
    if let Some(fault) = faults(&document).first() {
        return Err(refused(fault.to_string()));
    }
    convert::convert(&document).map_err(refused)
}

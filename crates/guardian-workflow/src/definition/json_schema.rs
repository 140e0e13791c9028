/// The JSON Schema (2020-12) of a [`Definition`](super::Definition), for editors and builders.
///
/// It says what the form is; what it cannot say, such as edges that lead nowhere, is for
/// [`validate`](crate::validate()).
///
/// ```
/// let schema: serde_json::Value = serde_json::from_str(guardian_workflow::JSON_SCHEMA)?;
/// assert_eq!(schema["properties"]["schema"]["const"], 1);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub const JSON_SCHEMA: &str = include_str!("../../schema/workflow.schema.json");

//! What a plan looks like that is written as JSON, before it is read: what serde takes for a plan as well, such as lists in the place of
//! objects, nobody means.

use serde::Deserialize as _;
use serde_json::Value;

use crate::error::InvalidPlan;
use crate::plan::Feature;

/// The text as JSON that looks like a plan.
pub(crate) fn read(text: &str) -> Result<Value, InvalidPlan> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| InvalidPlan::new("plan", format!("it is not JSON: {error}")))?;
    let plan = object(&value, "plan", r#"`{"name": "pro", "features": {}}`"#)?;
    let Some(features) = plan.get("features") else { return Ok(value) };
    let of_plan = |error: InvalidPlan| match plan.get("name").and_then(Value::as_str) {
        Some(name) => error.within(name),
        None => error,
    };
    let features = object(features, "features", r#"`{"sso": {"boolean": true}}`"#).map_err(of_plan)?;
    for (name, feature) in features {
        looks_like_a_feature(feature).map_err(|error| of_plan(error.within(name)))?;
    }
    Ok(value)
}

/// Which feature it is that cannot be read, where it is one; the text as a whole otherwise.
pub(crate) fn blame(value: &Value, error: &serde_json::Error) -> InvalidPlan {
    let features = value.get("features").and_then(Value::as_object).into_iter().flatten();
    for (name, feature) in features {
        if let Err(error) = Feature::deserialize(feature) {
            let blamed = InvalidPlan::new("feature", error.to_string()).within(name);
            return match value.get("name").and_then(Value::as_str) {
                Some(plan) => blamed.within(plan),
                None => blamed,
            };
        }
    }
    InvalidPlan::new("plan", error.to_string())
}

fn looks_like_a_feature(feature: &Value) -> Result<(), InvalidPlan> {
    const SUCH: &str = r#"`{"boolean": …}`, `{"static": …}` or `{"metered": …}`"#;
    let members = object(feature, "feature", SUCH)?;
    if members.len() != 1 {
        let why = format!("it is one of {SUCH}, and has {} members", members.len());
        return Err(InvalidPlan::new("feature", why));
    }
    let Some(meter) = members.get("metered") else { return Ok(()) };
    let meter = object(meter, "meter", r#"`{"unit": "call", "aggregation": "count"}`"#)?;
    let Some(limits) = meter.get("limits") else { return Ok(()) };
    for (level, limit) in object(limits, "limits", r#"`{"org": {"amount": 1000}}`"#)? {
        object(limit, "limit", r#"`{"amount": 1000}`"#).map_err(|error| error.within(level))?;
    }
    Ok(())
}

/// The members of an object; `such` is one.
fn object<'v>(
    value: &'v Value,
    place: &str,
    such: &str,
) -> Result<&'v serde_json::Map<String, Value>, InvalidPlan> {
    let is = match value {
        Value::Object(members) => return Ok(members),
        Value::Array(_) => "a list",
        Value::String(_) => "a text",
        Value::Number(_) => "a number",
        Value::Bool(_) => "true or false",
        Value::Null => "null",
    };
    Err(InvalidPlan::new(place, format!("it is an object such as {such}, and not {is}")))
}

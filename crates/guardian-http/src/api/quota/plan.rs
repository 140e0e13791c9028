//! Plans and their features.

use std::collections::BTreeMap;

use guardian_quota::{Feature, Meter, Plan};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::limit::QuotaLimit;
use crate::Problem;

/// What a tenant gets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuotaPlan {
    /// The name.
    name: String,
    /// The features, by their names.
    features: Vec<QuotaFeature>,
}

/// One feature of a plan: one of `enabled`, `setting` and `meter` is there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuotaFeature {
    /// The name.
    name: String,
    /// What it is: `boolean`, `static` or `metered`.
    kind: &'static str,
    /// Whether the plan has it: false of a switch that is off.
    available: bool,
    /// The value, of a setting; null of the others.
    #[schema(value_type = Option<Value>)]
    setting: Option<Value>,
    /// What is counted, of a meter; null of the others.
    meter: Option<QuotaMeter>,
}

/// What is counted, and how much of it each level may use.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuotaMeter {
    /// What one unit is: `call`, `token`, `seat`.
    unit: String,
    /// How events become usage: `count`, `sum`, `max`, `unique` or `latest`.
    #[schema(value_type = String)]
    aggregation: Value,
    /// The limits, by level: `org`, `team`, `user`, `key`. A level without one is not limited.
    limits: BTreeMap<&'static str, QuotaLimit>,
    /// Whether spending goes to the billing system.
    billed: bool,
}

impl QuotaPlan {
    pub(super) fn tell(plan: &Plan) -> Result<Self, Problem> {
        let features = plan.features.iter().map(|(name, feature)| QuotaFeature::tell(name.as_str(), feature));
        Ok(Self { name: plan.name.to_string(), features: features.collect::<Result<_, _>>()? })
    }
}

impl QuotaFeature {
    pub(super) fn tell(name: &str, feature: &Feature) -> Result<Self, Problem> {
        let (kind, available, setting, meter) = match feature {
            Feature::Boolean(on) => ("boolean", *on, None, None),
            Feature::Static(value) => ("static", true, Some(value.clone()), None),
            Feature::Metered(meter) => ("metered", true, None, Some(QuotaMeter::tell(meter)?)),
            _ => ("other", true, None, None),
        };
        Ok(Self { name: name.to_owned(), kind, available, setting, meter })
    }
}

impl QuotaMeter {
    fn tell(meter: &Meter) -> Result<Self, Problem> {
        let limits = meter.limits.iter().map(|(level, limit)| Ok((level.as_str(), QuotaLimit::tell(limit)?)));
        Ok(Self {
            unit: meter.unit.clone(),
            aggregation: serde_json::to_value(meter.aggregation).unwrap_or_default(),
            limits: limits.collect::<Result<_, Problem>>()?,
            billed: meter.billed,
        })
    }
}

pub(super) fn feature_example() -> Value {
    json!({
        "name": "tokens", "kind": "metered", "available": true, "setting": null,
        "meter": {
            "unit": "token", "aggregation": "sum", "billed": true,
            "limits": {"org": super::limit::example()},
        },
    })
}

pub(super) fn example() -> Value {
    json!({"name": "pro", "features": [feature_example()]})
}

//! Plans, and the periods of their limits.
#![no_main]

use guardian_quota::{Cycle, Feature, Plan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(plan) = Plan::parse(text) else { return };
    let written = serde_json::to_string(&plan).expect("a plan is written");
    assert_eq!(Plan::parse(&written).expect("what was written is read"), plan);
    let anchor = "2024-02-29T23:30:00Z".parse().expect("a time");
    for feature in plan.features.values() {
        let Feature::Metered(meter) = feature else { continue };
        for limit in meter.limits.values() {
            let cycle = Cycle::new(limit.period.clone(), anchor, "Europe/Vienna").expect("a checked plan has cadences");
            for number in -3..3 {
                if let Some(period) = cycle.period(number) {
                    assert!(period.end().is_none_or(|end| period.start() < end));
                }
            }
            assert!(cycle.period_at(anchor).contains(anchor));
        }
    }
});

//! No text makes the reader of policies fail; a policy that is read makes sense, and its answers are explained the same.
#![no_main]

use guardian_core::{Clock, ManualClock};
use guardian_rbac::import::read_policy;
use guardian_rbac::{Ask, Principal, Resource};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let now = ManualClock::new().now();
    let Ok(imported) = read_policy(text, now) else { return };
    let snapshot = imported.compile().expect("what is read makes sense");
    let ann = Principal::user("ann").expect("a name");
    for (permission, _) in imported.catalog.permissions().take(8) {
        let ask = Ask::new(&ann, permission).on(Resource::tenant());
        let decision = snapshot.check(&ask, now).expect("a permission of the catalog");
        let explained = snapshot.explain(&ask, now).expect("a permission of the catalog");
        assert_eq!(explained.decision, decision);
        assert!(!explained.to_string().is_empty());
        let filter = snapshot.filter(&ann, permission, now).expect("a permission of the catalog");
        if filter.is_exact() && filter.is_everything() {
            assert!(decision.is_allowed());
        }
    }
    let _ = snapshot.matrix().to_string();
});

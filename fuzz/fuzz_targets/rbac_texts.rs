//! Permissions, patterns, areas, subjects and hours have one spelling, and a pattern without a wildcard matches itself alone.
#![no_main]

use guardian_rbac::{Area, Permission, PermissionPattern, Principal, Recurrence, RoleId, Subject};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(permission) = Permission::new(text) {
        assert_eq!(permission.as_str(), text);
        assert!(PermissionPattern::new(text).expect("a permission is a pattern").matches(&permission));
        assert!(PermissionPattern::new("*").expect("a pattern").matches(&permission));
    }
    if let Ok(pattern) = PermissionPattern::new(text) {
        assert_eq!(pattern.to_string(), text);
        assert_eq!(pattern.is_wild(), Permission::new(text).is_err());
    }
    if let Ok(area) = text.parse::<Area>() {
        assert_eq!(area.to_string(), text);
    }
    if let Ok(subject) = text.parse::<Subject>() {
        assert_eq!(subject.to_string(), text);
    }
    if let Ok(principal) = text.parse::<Principal>() {
        assert_eq!(principal.to_string(), text);
    }
    if let Ok(role) = RoleId::new(text) {
        assert_eq!(role.as_str(), text);
    }
    if let Ok(hours) = text.parse::<Recurrence>() {
        assert_eq!(hours.to_string().parse::<Recurrence>().expect("its own spelling"), hours);
    }
});

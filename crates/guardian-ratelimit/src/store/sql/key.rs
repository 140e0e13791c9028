//! How counters are called in the tables.
//!
//! The tenant is itself, or `*` in the shared realm: a tenant id has no such character. The subject is `w` for the whole
//! realm, `i:` and a number, or `t:` and a text in which `%`, NUL and the line feed are escaped: PostgreSQL stores no NUL,
//! and lists of subjects travel with one on each line.
//!
//! INVARIANT: no two counters have the same key, because escaping can be undone.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::{Realm, Subject};

/// The shared realm among the tenants.
pub(super) const SHARED: &str = "*";

pub(super) fn tenant(realm: Realm<'_>) -> &str {
    realm.tenant().map_or(SHARED, |tenant| tenant.as_str())
}

pub(super) fn subject(subject: Subject<'_>) -> Cow<'static, str> {
    match subject {
        Subject::Whole => Cow::Borrowed("w"),
        Subject::Id(id) => Cow::Owned(format!("i:{id}")),
        Subject::Text(text) => {
            let mut key = String::with_capacity(text.len() + 2);
            key.push_str("t:");
            for c in text.chars() {
                match c {
                    '%' | '\0' | '\n' => {
                        let _ = write!(key, "%{:02X}", u32::from(c));
                    }
                    _ => key.push(c),
                }
            }
            Cow::Owned(key)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use guardian_core::TenantId;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_look_as_documented() {
        let acme = TenantId::new("acme").unwrap();
        assert_eq!(tenant(Realm::Tenant(&acme)), "acme");
        assert!(TenantId::new(tenant(Realm::Shared)).is_err(), "no tenant is called as the shared realm is");
        assert_eq!(subject(Subject::Whole), "w");
        assert_eq!(subject(Subject::Id(u64::MAX)), "i:18446744073709551615");
        assert_eq!(subject(Subject::Text("GET /a%b\n\0")), "t:GET /a%25b%0A%00");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn two_subjects_never_share_a_key(texts in prop::collection::vec("[w:it%250A\\x00\\n]{0,5}", 2..6)) {
            let mut seen = HashMap::new();
            for text in texts {
                let key = subject(Subject::Text(&text));
                prop_assert!(!key.contains(['\0', '\n']));
                if let Some(other) = seen.insert(key, text.clone()) {
                    prop_assert_eq!(other, text);
                }
            }
            prop_assert!(!seen.contains_key("w"));
        }
    }
}

//! How counters are called in Redis.
//!
//! `{prefix}{tenant}:policy:subject` with the tenant in braces, which Redis Cluster takes for the hash tag: all
//! counters of a tenant lie in one slot. In the shared realm `{prefix}-:policy:{subject}`. The subject is `w` for
//! the whole, `i:` and a number, or `t:` and a text.
//!
//! INVARIANT: no two counters have the same key. Tenant ids have no braces, policy names neither braces nor
//! colons, and a subject comes last with its braces escaped; so each part ends where it seems to.

use std::fmt::Write as _;

use crate::{PolicyName, Realm, Subject};

pub(super) fn key(prefix: &str, realm: Realm<'_>, policy: &PolicyName, subject: Subject<'_>) -> String {
    let mut key = String::with_capacity(prefix.len() + 48);
    key.push_str(prefix);
    match realm {
        Realm::Tenant(tenant) => {
            let _ = write!(key, "{{{tenant}}}:{policy}:");
            push_subject(&mut key, subject);
        }
        Realm::Shared => {
            let _ = write!(key, "-:{policy}:{{");
            push_subject(&mut key, subject);
            key.push('}');
        }
    }
    key
}

fn push_subject(key: &mut String, subject: Subject<'_>) {
    match subject {
        Subject::Whole => key.push('w'),
        Subject::Id(id) => {
            let _ = write!(key, "i:{id}");
        }
        Subject::Text(text) => {
            key.push_str("t:");
            push_escaped(key, text);
        }
    }
}

/// The text without braces, which would make or end a hash tag.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    push_escaped(&mut escaped, text);
    escaped
}

fn push_escaped(to: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '%' => to.push_str("%25"),
            '{' => to.push_str("%7B"),
            '}' => to.push_str("%7D"),
            _ => to.push(c),
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
        let (acme, name) = (TenantId::new("acme").unwrap(), "per-org".parse().unwrap());
        let of = |realm, subject| key("gr:", realm, &name, subject);
        assert_eq!(of(Realm::Tenant(&acme), Subject::Whole), "gr:{acme}:per-org:w");
        assert_eq!(of(Realm::Tenant(&acme), Subject::Id(42)), "gr:{acme}:per-org:i:42");
        assert_eq!(
            of(Realm::Tenant(&acme), Subject::Text("POST /deals/{id}")),
            "gr:{acme}:per-org:t:POST /deals/%7Bid%7D"
        );
        assert_eq!(of(Realm::Shared, Subject::Text("::1")), "gr:-:per-org:{t:::1}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn two_counters_never_share_a_key_and_a_subject_never_moves_the_hash_tag(
            counters in prop::collection::vec(
                (prop::option::of("[a:-][a:.-]{0,2}"), "[a.-]{1,3}", prop::option::of("[{}%:aiw\\x00\\n7BD]{0,6}")),
                2..6,
            ),
        ) {
            let mut seen = HashMap::new();
            for (tenant, name, subject) in counters {
                let tenant = tenant.map(|tenant| TenantId::new(tenant).unwrap());
                let name: PolicyName = name.parse().unwrap();
                let subject_of = subject.as_deref().map_or(Subject::Whole, Subject::Text);
                let key = key("gr:", tenant.as_ref().map_or(Realm::Shared, Realm::Tenant), &name, subject_of);
                if let Some(tenant) = &tenant {
                    let open = key.find('{').unwrap();
                    let close = key.find('}').unwrap();
                    prop_assert_eq!(key.get(open + 1..close), Some(tenant.as_str()));
                }
                prop_assert_eq!(key.matches('{').count(), 1);
                prop_assert_eq!(key.matches('}').count(), 1);
                let counter = (tenant, name, subject);
                if let Some(other) = seen.insert(key, counter.clone()) {
                    prop_assert_eq!(other, counter);
                }
            }
        }
    }
}

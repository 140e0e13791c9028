//! Secrets that stand in a definition as they are.

use std::collections::BTreeSet;

use serde_json::Value;

/// The key of a value that stands for a secret: `{"$secret": "smtp_password"}`.
pub(crate) const SECRET: &str = "$secret";

/// Where something looks like a secret, as JSON pointers below `path`, and which secrets are named.
pub(crate) fn look(value: &Value, path: &str, found: &mut Vec<String>, named: &mut BTreeSet<String>) {
    let mut open = vec![(value, path.to_owned(), false)];
    while let Some((value, path, telling)) = open.pop() {
        match value {
            Value::String(text) if (telling && is_plain(text)) || is_secret(text) => found.push(path),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    open.push((item, format!("{path}/{index}"), telling));
                }
            }
            Value::Object(members) => {
                if let (1, Some(Value::String(name))) = (members.len(), members.get(SECRET)) {
                    named.insert(name.clone());
                    continue;
                }
                for (name, member) in members {
                    let place = format!("{path}/{}", crate::diff::pointer::escape(name));
                    open.push((member, place, tells(name)));
                }
            }
            _ => {}
        }
    }
}

/// Whether what has this name is a secret.
fn tells(name: &str) -> bool {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|each| each.to_ascii_lowercase()).collect();
    const WHOLE: [&str; 12] = [
        "password",
        "passwd",
        "secret",
        "apikey",
        "apitoken",
        "accesstoken",
        "refreshtoken",
        "privatekey",
        "clientsecret",
        "authtoken",
        "bearertoken",
        "secretkey",
    ];
    WHOLE.iter().any(|word| plain == *word || plain.ends_with(word))
}

/// Whether a text stands for itself and is more than a placeholder.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('=')
}

/// The longest first part of a token that is looked for.
const MAX_HEAD: usize = 4096;

/// Whether a text is a secret by its form.
fn is_secret(text: &str) -> bool {
    let alphanumeric =
        |text: &str| text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    const PREFIXES: [(&str, usize); 12] = [
        ("sk_live_", 16),
        ("rk_live_", 16),
        ("ghp_", 30),
        ("gho_", 30),
        ("github_pat_", 30),
        ("AKIA", 16),
        ("ASIA", 16),
        ("AIza", 30),
        ("whsec_", 16),
        ("SG.", 16),
        ("glpat-", 16),
        ("npm_", 30),
    ];
    let after = |prefix: &str, least: usize| {
        text.match_indices(prefix)
            .any(|(at, _)| text.get(at + prefix.len()..).is_some_and(|rest| alphanumeric(rest) >= least))
    };
    if PREFIXES.iter().any(|(prefix, least)| after(prefix, *least)) {
        return true;
    }
    if ["xoxb-", "xoxp-", "xoxa-"].iter().any(|prefix| text.contains(prefix))
        || (text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----"))
    {
        return true;
    }
    // A JSON Web Token: two objects in base64 and a signature.
    if text.match_indices(".eyJ").any(|(at, _)| {
        // From the dot backwards over what base64 is made of, and not for ever: a text may be one long word.
        let head = text.get(..at).unwrap_or_default().bytes().rev().take(MAX_HEAD);
        let head =
            head.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')).count();
        text.get(at - head..at).is_some_and(|head| head.contains("eyJ"))
    }) {
        return true;
    }
    // `https://user:password@host`
    text.split_once("://").is_some_and(|(_, rest)| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        host.rsplit_once('@')
            .is_some_and(|(user, _)| user.split_once(':').is_some_and(|(_, password)| is_plain(password)))
    })
}

use serde_json::Value;

use crate::event::AuditEvent;

/// What is taken out of an event before anything of it is stored, indexed or hashed.
///
/// A field is named by its path: `message`, `actor.email`, `origin.address`, `metadata.card`, `changes/password`. A name
/// after a star matches at any depth: `*password` finds `metadata.login.password` and the change of `/new_password`.
///
/// ```
/// use guardian_audit::{AuditEvent, Redaction};
///
/// let policy = Redaction::standard();
/// let event = AuditEvent::new("user.updated").with_metadata("password", "hunter2").with_metadata("plan", "team");
/// let event = policy.apply(event);
/// assert_eq!(event.metadata["password"], "[redacted]");
/// assert_eq!(event.metadata["plan"], "team");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    rules: Vec<(Pattern, Treatment)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    /// The whole path.
    Path(String),
    /// A name at any depth ends so.
    Ends(String),
}

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Treatment {
    /// Its value becomes `[redacted]`; a text field that is not metadata or a change is taken away.
    Remove,
    /// Only the last four characters are kept, after a sign for the others, when there are more than eight.
    LastFour,
}

/// What stands in the place of a value.
const GONE: &str = "[redacted]";

/// The deepest that values are looked through; deeper ones are taken away whole.
const DEEPEST: usize = crate::canonical::MAX_DEPTH;

impl Redaction {
    /// Nothing is taken out.
    #[must_use]
    pub fn none() -> Self {
        Self { rules: Vec::new() }
    }

    /// Takes out what no log should hold: passwords, secrets, tokens, private keys, and all but the end of card and
    /// account numbers, in metadata and changes.
    #[must_use]
    pub fn standard() -> Self {
        let removed = [
            "*password",
            "*passwd",
            "*passphrase",
            "*secret",
            "*token",
            "*private_key",
            "*api_key_value",
            "*authorization",
            "*cookie",
            "*cvv",
            "*otp",
        ];
        let shortened = ["*card_number", "*iban", "*account_number", "*ssn"];
        let none = Self::none();
        let removed = removed.iter().fold(none, |policy, name| policy.with(name, Treatment::Remove));
        shortened.iter().fold(removed, |policy, name| policy.with(name, Treatment::LastFour))
    }

    /// The same policy with one more field. The first that names a field decides.
    #[must_use]
    pub fn with(mut self, field: &str, treatment: Treatment) -> Self {
        let pattern = match field.strip_prefix('*') {
            Some(name) => Pattern::Ends(name.to_ascii_lowercase()),
            None => Pattern::Path(field.to_owned()),
        };
        self.rules.push((pattern, treatment));
        self
    }

    /// The event without what the policy takes out.
    #[must_use]
    pub fn apply(&self, mut event: AuditEvent) -> AuditEvent {
        if self.rules.is_empty() {
            return event;
        }
        self.texts(&mut event);
        for (key, value) in &mut event.metadata {
            self.value(&format!("metadata.{key}"), key, value, DEEPEST);
        }
        for change in &mut event.changes {
            let name = change.path.rsplit('/').next().unwrap_or_default().to_owned();
            let path = format!("changes{}", change.path);
            for value in [&mut change.before, &mut change.after].into_iter().flatten() {
                self.value(&path, &name, value, DEEPEST);
            }
        }
        event
    }

    fn texts(&self, event: &mut AuditEvent) {
        let text = |path: &str, text: &mut Option<String>| {
            if let (Some(treatment), Some(value)) = (self.of(path, path), text.as_mut()) {
                match treatment {
                    Treatment::Remove => *text = None,
                    Treatment::LastFour => *value = last_four(value),
                }
            }
        };
        text("message", &mut event.message);
        if let Some(actor) = &mut event.actor {
            text("actor.name", &mut actor.name);
            text("actor.email", &mut actor.email);
            text("actor.session", &mut actor.session);
            text("actor.api_key", &mut actor.api_key);
        }
        if let Some(target) = &mut event.target {
            text("target.name", &mut target.name);
        }
        text("origin.user_agent", &mut event.origin.user_agent);
        if self.of("origin.address", "origin.address").is_some() {
            event.origin.address = None;
        }
    }

    fn value(&self, path: &str, name: &str, value: &mut Value, depth: usize) {
        match self.of(path, name) {
            Some(Treatment::LastFour) if value.is_string() || value.is_number() => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                *value = Value::String(last_four(&text));
                return;
            }
            Some(_) => {
                *value = Value::String(GONE.to_owned());
                return;
            }
            None => {}
        }
        let Some(depth) = depth.checked_sub(1) else {
            *value = Value::String(GONE.to_owned());
            return;
        };
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    self.value(&format!("{path}.{key}"), key, value, depth);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.value(path, name, item, depth);
                }
            }
            _ => {}
        }
    }

    /// What the policy says of a field of this path and name.
    fn of(&self, path: &str, name: &str) -> Option<Treatment> {
        let name = name.to_ascii_lowercase();
        let found = self.rules.iter().find(|(pattern, _)| match pattern {
            Pattern::Path(wanted) => wanted == path,
            Pattern::Ends(end) => name.ends_with(end.as_str()),
        });
        found.map(|(_, treatment)| *treatment)
    }
}

impl Default for Redaction {
    /// The [standard](Self::standard) one.
    fn default() -> Self {
        Self::standard()
    }
}

/// The end of a text that is long enough for the rest to be a secret.
fn last_four(text: &str) -> String {
    let length = text.chars().count();
    if length <= 8 {
        return GONE.to_owned();
    }
    let end: String = text.chars().skip(length - 4).collect();
    format!("…{end}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::change::changes_between;
    use crate::event::EventActor;

    #[test]
    fn names_are_found_at_any_depth() {
        let event = AuditEvent::new("a.b")
            .with_metadata(
                "login",
                json!({ "New_Password": "x", "cards": [{ "card_number": "4111111111111111" }] }),
            )
            .with_changes(changes_between(
                &json!({ "api_token": "a", "n": 1 }),
                &json!({ "api_token": "b", "n": 2 }),
            ));
        let event = Redaction::standard().apply(event);
        assert_eq!(
            event.metadata["login"],
            json!({ "New_Password": GONE, "cards": [{ "card_number": "…1111" }] })
        );
        assert_eq!(event.changes[0].after, Some(json!(GONE)));
        assert_eq!(event.changes[1].after, Some(json!(2)));
        assert!(!serde_json::to_string(&event).unwrap().contains("4111"));
    }

    #[test]
    fn fields_are_named_by_path() {
        let policy =
            Redaction::none().with("actor.email", Treatment::Remove).with("message", Treatment::LastFour);
        let event = AuditEvent::new("a.b")
            .with_actor(EventActor::user("u1").with_email("a@b.example"))
            .with_message("account DE0012345678");
        let event = policy.apply(event);
        assert_eq!(event.actor.unwrap().email, None);
        assert_eq!(event.message.as_deref(), Some("…5678"));
    }
}

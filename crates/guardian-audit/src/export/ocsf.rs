//! Events in the Open Cybersecurity Schema Framework, version 1.3.0 (<https://schema.ocsf.io/1.3.0/>).
//!
//! | event | class |
//! |---|---|
//! | signing in and out | Authentication (3002) |
//! | roles and permissions | User Access Management (3005) |
//! | users | Account Change (3001) |
//! | everything else | API Activity (6003) |

use serde_json::{Map, Value, json};

use super::ExportManifest;
use crate::event::{AuditEvent, Outcome, Risk, StoredEvent};

const VERSION: &str = "1.3.0";

/// What an action is in the schema: the class, the activity and its name.
struct Kind {
    class: u32,
    activity: u32,
    name: &'static str,
}

impl Kind {
    fn of(event: &AuditEvent) -> Self {
        let (noun, verb) = event.action.split_once('.').unwrap_or(("", event.action.as_str()));
        let one = |class, activity, name| Self { class, activity, name };
        match (noun, verb) {
            ("user" | "session", "login" | "created" | "login_failed")
                if noun == "session" || verb != "created" =>
            {
                one(3002, 1, "Logon")
            }
            ("user" | "session", "logout" | "ended" | "revoked") => one(3002, 2, "Logoff"),
            ("role" | "permission", "granted" | "assigned" | "created") => one(3005, 1, "Assign Privileges"),
            ("role" | "permission", "revoked" | "removed" | "deleted") => one(3005, 2, "Revoke Privileges"),
            ("user" | "member", "created" | "invited" | "added") => one(3001, 1, "Create"),
            ("user" | "member", "enabled") => one(3001, 2, "Enable"),
            ("user" | "member", "password_changed") => one(3001, 3, "Password Change"),
            ("user" | "member", "password_reset") => one(3001, 4, "Password Reset"),
            ("user" | "member", "disabled" | "suspended") => one(3001, 5, "Disable"),
            ("user" | "member", "deleted" | "removed") => one(3001, 6, "Delete"),
            (_, "created" | "added" | "sent" | "uploaded") => one(6003, 1, "Create"),
            (_, "viewed" | "read" | "opened" | "searched" | "counted" | "exported" | "downloaded") => {
                one(6003, 2, "Read")
            }
            (_, "deleted" | "removed" | "purged") => one(6003, 4, "Delete"),
            (_, verb) if verb.contains("changed") || verb.contains("updated") => one(6003, 3, "Update"),
            _ => one(6003, 99, "Other"),
        }
    }
}

pub(super) fn event(stored: &StoredEvent) -> Value {
    let event = &stored.event;
    let Kind { class, activity, name } = Kind::of(event);
    let occurred = event.occurred.unwrap_or(stored.recorded);
    let (status, status_name) = match event.outcome {
        Outcome::Success => (1, "Success"),
        Outcome::Failure | Outcome::Denied => (2, "Failure"),
    };
    let (severity, severity_name) = match stored.risk.level {
        Risk::Low => (1, "Informational"),
        Risk::Medium => (3, "Medium"),
        Risk::High => (4, "High"),
        Risk::Critical => (5, "Critical"),
    };
    let mut out = json!({
        "activity_id": activity,
        "activity_name": name,
        "category_uid": class / 1_000,
        "class_uid": class,
        "type_uid": class * 100 + activity,
        "time": occurred.timestamp_millis(),
        "severity_id": severity,
        "severity": severity_name,
        "status_id": status,
        "status": status_name,
        "metadata": {
            "version": VERSION,
            "product": { "name": "Guardian", "vendor_name": "Guardian" },
            "tenant_uid": stored.tenant.as_str(),
            "sequence": stored.sequence,
            "logged_time": stored.recorded.timestamp_millis(),
            "event_code": event.action,
        },
    });
    let Some(members) = out.as_object_mut() else { return out };
    if let Some(id) = event.id {
        set(members, "metadata", "uid", id.hyphenated().to_string());
    }
    if event.outcome == Outcome::Denied {
        members.insert("status_detail".into(), "denied".into());
    }
    if let Some(message) = &event.message {
        members.insert("message".into(), message.clone().into());
    }
    let user = user(event);
    members.insert("actor".into(), actor(event, &user));
    if class != 6003 {
        // The classes of the category Identity and Access Management are about a user.
        let subject = event.target.as_ref().filter(|target| target.kind == "user");
        let subject = subject.map(|target| json!({ "uid": target.id, "name": target.name }));
        members.insert("user".into(), subject.unwrap_or(user));
    } else {
        members.insert("api".into(), json!({ "operation": event.action }));
    }
    endpoint(members, event);
    if let Some(target) = &event.target {
        members.insert(
            "resources".into(),
            json!([{ "uid": target.id, "name": target.name, "type": target.kind }]),
        );
    }
    let mut unmapped = Map::new();
    unmapped.insert("risk_score".into(), stored.risk.score.into());
    unmapped.insert("risk_reasons".into(), stored.risk.reasons.clone().into());
    unmapped.insert("category".into(), event.category().into());
    if !event.metadata.is_empty() {
        unmapped.insert("metadata".into(), Value::Object(event.metadata.clone()));
    }
    if !event.changes.is_empty() {
        unmapped.insert("changes".into(), serde_json::to_value(&event.changes).unwrap_or_default());
    }
    if let Some(source) = &event.origin.source {
        unmapped.insert("source".into(), source.clone().into());
    }
    // What the host said stays as it said it, nulls too.
    without_nulls(&mut out);
    if let Some(members) = out.as_object_mut() {
        members.insert("unmapped".into(), Value::Object(unmapped));
    }
    out
}

/// A base event that carries the manifest.
pub(super) fn manifest(manifest: &ExportManifest) -> Value {
    json!({
        "activity_id": 99,
        "activity_name": "Other",
        "category_uid": 0,
        "class_uid": 0,
        "type_uid": 99,
        "time": manifest.created.timestamp_millis(),
        "severity_id": 1,
        "metadata": {
            "version": VERSION,
            "product": { "name": "Guardian", "vendor_name": "Guardian" },
            "tenant_uid": manifest.tenant,
            "event_code": "manifest",
        },
        "unmapped": { "manifest": manifest },
    })
}

fn user(event: &AuditEvent) -> Value {
    let Some(actor) = &event.actor else { return json!({ "type_id": 0 }) };
    let kind = match actor.kind.as_str() {
        "user" => 1,
        "system" => 3,
        _ => 99,
    };
    json!({
        "uid": actor.id,
        "name": actor.name,
        "email_addr": actor.email,
        "type_id": kind,
        "type": actor.kind,
        "credential_uid": actor.api_key,
    })
}

fn actor(event: &AuditEvent, user: &Value) -> Value {
    let actor = event.actor.as_ref();
    json!({
        "user": user,
        "session": actor.and_then(|actor| actor.session.as_ref()).map(|session| json!({ "uid": session })),
        "invoked_by": actor.and_then(|actor| actor.impersonator.as_ref()),
    })
}

fn endpoint(members: &mut Map<String, Value>, event: &AuditEvent) {
    let origin = &event.origin;
    let location = origin.country.as_ref().map(|country| json!({ "country": country }));
    if origin.address.is_some() || location.is_some() {
        members.insert("src_endpoint".into(), json!({ "ip": origin.address, "location": location }));
    }
    if origin.user_agent.is_some() || origin.request.is_some() {
        members
            .insert("http_request".into(), json!({ "user_agent": origin.user_agent, "uid": origin.request }));
    }
}

fn set(members: &mut Map<String, Value>, object: &str, key: &str, value: String) {
    if let Some(Value::Object(inner)) = members.get_mut(object) {
        inner.insert(key.into(), value.into());
    }
}

/// A member that is null is none in the schema.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

//! What the API says of roles and grants.

use guardian_core::Timestamp;
use guardian_rbac::{Grant, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::api::PageParams;

/// A role: what it gives and takes, and from which roles it inherits.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleBody {
    /// Its name.
    #[schema(min_length = 1, max_length = 128)]
    pub(super) id: String,
    /// What people call it.
    #[serde(default)]
    title: String,
    /// The roles that it inherits from.
    #[serde(default)]
    parents: Vec<String>,
    /// Its rules.
    #[serde(default)]
    rules: Vec<RuleBody>,
    /// For how many seconds at most it can be taken in an emergency; not at all when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    break_glass: Option<u32>,
}

/// A rule of a role.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RuleBody {
    /// `allow` or `deny`; `allow` when it is missing. What is denied is denied whatever others allow.
    #[serde(default = "allow")]
    effect: String,
    /// The permissions, as `deal:*`.
    permissions: String,
    /// Where, as `team:sales`; in the whole tenant when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    area: Option<String>,
    /// When, as the guide to roles writes windows; always when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<Map<String, Value>>,
    /// Under which condition, an expression; under none when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
}

fn allow() -> String {
    "allow".to_owned()
}

pub(super) fn role_example() -> Value {
    json!({
        "id": "rep", "title": "Sales", "parents": [], "rules": [{"effect": "allow", "permissions": "deal:*"}],
    })
}

/// A grant to be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantIn {
    /// To whom: `user:ann`, `api_key:…`, `service:…` or `group:…`.
    subject: String,
    /// Which role.
    role: String,
    /// Why.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// Where; in the whole tenant when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    area: Option<String>,
    /// When, as the guide to roles writes windows; always when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<Map<String, Value>>,
    /// Under which condition; under none when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    /// How many times it may be passed on; not at all when it is missing.
    #[serde(default)]
    #[schema(maximum = 255)]
    depth: u8,
}

/// A grant of a role.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GrantOut {
    /// Its id.
    id: String,
    /// To whom.
    subject: String,
    /// Which role.
    role: String,
    /// Where.
    area: String,
    /// When, in words.
    window: String,
    /// Whether it holds under a condition only.
    conditional: bool,
    /// Why.
    reason: String,
    /// Who gave it.
    giver: String,
    /// The grant that it was passed on from.
    parent: Option<String>,
    /// How many times it may be passed on.
    depth: u8,
    /// Whether it was taken in an emergency.
    emergency: bool,
    /// When it was given, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// When somebody last said that it stays, RFC 3339.
    #[schema(value_type = Option<String>, format = DateTime)]
    certified: Option<Timestamp>,
}

impl GrantOut {
    pub(super) fn of(grant: &Grant) -> Self {
        Self {
            id: grant.id.to_string(),
            subject: grant.subject.to_string(),
            role: grant.role.to_string(),
            area: grant.area.to_string(),
            window: grant.window.to_string(),
            conditional: grant.condition.is_some(),
            reason: grant.reason.clone(),
            giver: grant.giver.to_string(),
            parent: grant.parent.map(|parent| parent.to_string()),
            depth: grant.depth,
            emergency: grant.break_glass,
            created: grant.created,
            certified: grant.certified,
        }
    }
}

pub(super) fn grant_example() -> Value {
    json!({
        "id": "018f3a4e-0000-7000-8000-000000000000", "subject": "user:ann", "role": "rep", "area": "tenant",
        "window": "always", "conditional": false, "reason": "joined sales", "giver": "user:root", "parent": null, "depth": 0,
        "emergency": false, "created": "2026-01-01T00:00:00Z", "certified": null,
    })
}

/// Which grants, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantQuery {
    /// Those of this subject, as `user:ann`.
    pub(super) subject: Option<String>,
    /// Those of this role.
    pub(super) role: Option<String>,
    /// In which order: by `id`, `subject` or `role`, from the end with a `-` before it; by `id` when nothing is said.
    #[param(inline)]
    pub(super) sort: Option<GrantSort>,
    /// How many at most, 1 to 1000; 50 by default.
    #[param(minimum = 1, maximum = 1000)]
    size: Option<u32>,
    /// Where the page begins: `next` of the page before.
    after: Option<String>,
}

/// An order of grants.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
pub(super) enum GrantSort {
    /// The oldest first.
    #[default]
    #[serde(rename = "id")]
    Id,
    /// The newest first.
    #[serde(rename = "-id")]
    IdDown,
    /// By whom they are held.
    #[serde(rename = "subject")]
    Subject,
    /// By whom they are held, from the end.
    #[serde(rename = "-subject")]
    SubjectDown,
    /// By role.
    #[serde(rename = "role")]
    Role,
    /// By role, from the end.
    #[serde(rename = "-role")]
    RoleDown,
}

impl GrantSort {
    pub(super) fn is_down(self) -> bool {
        matches!(self, Self::IdDown | Self::SubjectDown | Self::RoleDown)
    }

    /// What grants are ordered by: one letter for the order, so that a cursor of another one is none, and the id last, so that no two are equal.
    pub(super) fn key(self, grant: &Grant) -> Vec<u8> {
        let (order, text) = match self {
            Self::Id => (b'i', String::new()),
            Self::IdDown => (b'I', String::new()),
            Self::Subject => (b's', grant.subject.to_string()),
            Self::SubjectDown => (b'S', grant.subject.to_string()),
            Self::Role => (b'r', grant.role.to_string()),
            Self::RoleDown => (b'R', grant.role.to_string()),
        };
        let mut key = vec![order];
        key.extend_from_slice(text.as_bytes());
        key.push(0);
        key.extend_from_slice(grant.id.uuid().as_bytes());
        key
    }
}

impl GrantQuery {
    pub(super) fn page(&self) -> PageParams {
        PageParams { size: self.size, after: self.after.clone() }
    }
}

/// Roles that are given at once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantsIn {
    /// The grants.
    #[schema(min_items = 1, max_items = 1000)]
    pub(super) grants: Vec<GrantIn>,
}

/// Roles that were given at once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GrantsWritten {
    /// The ids of the grants, in their order.
    pub(super) ids: Vec<String>,
    /// The policy's revision after them.
    pub(super) revision: i64,
}

/// Grants that are taken back at once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevocationsIn {
    /// The ids of the grants.
    #[schema(min_items = 1, max_items = 1000)]
    pub(super) grants: Vec<String>,
}

/// Grants that were taken back at once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Revoked {
    /// How many, with those that were passed on from them.
    pub(super) revoked: usize,
    /// The policy's revision after it.
    pub(super) revision: i64,
}

/// What was written.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Written {
    /// The id of the grant.
    pub(super) id: String,
    /// The policy's revision after it.
    pub(super) revision: i64,
}

/// A grant, and when somebody had to do with it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReviewOut {
    /// The grant.
    pub(super) grant: GrantOut,
    /// When it last decided something, as far as noted.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) last_used: Option<Timestamp>,
    /// When somebody last looked at it.
    #[schema(value_type = String, format = DateTime)]
    pub(super) last_seen: Timestamp,
}

/// Something that the caller may do, will be able to, or is forbidden.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Mine {
    /// The permission.
    pub(super) permission: String,
    /// `allow`, `forbidden`, `expired`, or `not_yet_active`.
    pub(super) outcome: &'static str,
}

/// A permission that there is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CatalogEntry {
    /// Its name.
    pub(super) permission: String,
    /// What it is for.
    pub(super) title: String,
    /// Whether decisions about it are worth a note.
    pub(super) sensitive: bool,
}

/// A question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckIn {
    /// Who, as `user:ann`.
    pub(super) principal: String,
    /// What.
    #[schema(min_length = 1, max_length = 256)]
    pub(super) permission: String,
    /// Where; in the tenant as a whole when it is missing.
    pub(super) area: Option<String>,
}

/// An answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Answer {
    /// Whether it may be done.
    pub(super) allowed: bool,
    /// `allow`, `forbidden`, `not_permitted`, `expired`, or `not_yet_active`.
    pub(super) outcome: &'static str,
    /// Why, for people.
    pub(super) text: String,
    /// The revision of the policy that decided.
    pub(super) revision: i64,
}

/// A question after everybody who may.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhoIn {
    /// What.
    #[schema(min_length = 1, max_length = 256)]
    pub(super) permission: String,
    /// Where; in the tenant as a whole when it is missing.
    pub(super) area: Option<String>,
}

/// Everybody who may.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WhoOut {
    /// Whether everybody may.
    pub(super) everyone: bool,
    /// Who else may, at most 10,000.
    pub(super) principals: Vec<String>,
    /// Whether there are more than these.
    pub(super) truncated: bool,
}

/// Roles to try out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewIn {
    /// As they would be written.
    #[schema(min_items = 1, max_items = 100)]
    pub(super) roles: Vec<RoleBody>,
}

/// What would change for somebody.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DifferenceOut {
    /// For whom; null for everybody whom no grant names.
    pub(super) principal: Option<String>,
    /// What.
    pub(super) permission: String,
    /// Where.
    pub(super) area: String,
    /// What is answered now.
    pub(super) before: &'static str,
    /// What would be.
    pub(super) after: &'static str,
}

/// Roles by permissions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MatrixOut {
    /// The columns.
    pub(super) permissions: Vec<String>,
    /// The rows.
    pub(super) rows: Vec<MatrixRow>,
}

/// A role in the matrix.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MatrixRow {
    /// The role.
    pub(super) role: String,
    /// `none`, `own`, `inherited`, `denied` or `conditional`, one for each permission.
    pub(super) cells: Vec<&'static str>,
}

/// A member of a group.
#[derive(Debug, Serialize, ToSchema, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MemberOut {
    /// Who, as `user:ann` or `group:sales`.
    pub(super) member: String,
}

/// Roles that must not come together.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConstraintBody {
    /// The name of the separation.
    #[schema(min_length = 1, max_length = 128)]
    pub(super) id: String,
    /// `static`: nobody has them together; `dynamic`: nobody uses them together.
    duty: String,
    /// The roles.
    #[schema(min_items = 2)]
    roles: Vec<String>,
    /// How many of them are too many.
    #[schema(minimum = 2)]
    limit: u32,
}

/// A role to take in an emergency.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EmergencyIn {
    /// Which.
    pub(super) role: String,
    /// Where; in the whole tenant when it is missing.
    pub(super) area: Option<String>,
    /// Why.
    #[schema(min_length = 1, max_length = 500)]
    pub(super) reason: String,
    /// For how long.
    #[schema(minimum = 1)]
    pub(super) seconds: u32,
}

pub(super) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allow => "allow",
        Outcome::Forbidden => "forbidden",
        Outcome::Expired { .. } => "expired",
        Outcome::NotYetActive { .. } => "not_yet_active",
        _ => "not_permitted",
    }
}

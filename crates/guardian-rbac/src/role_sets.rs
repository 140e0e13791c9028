//! Ready-made roles.

use guardian_core::Timestamp;

use crate::Error;
use crate::import::{Imported, read_policy};

/// What there is in a CRM and what may be done to it, with what it means.
const THINGS: [(&str, &str, &[&str]); 19] = [
    ("contact", "contacts", &["read", "create", "edit", "delete", "export", "merge", "assign"]),
    ("company", "companies", &["read", "create", "edit", "delete", "export", "merge", "assign"]),
    ("deal", "deals", &["read", "create", "edit", "delete", "export", "assign", "approve", "reopen"]),
    ("lead", "leads", &["read", "create", "edit", "delete", "export", "assign", "convert"]),
    ("quote", "quotes", &["read", "create", "edit", "delete", "approve", "send"]),
    ("invoice", "invoices", &["read", "create", "edit", "delete", "approve", "send", "refund"]),
    ("product", "products and prices", &["read", "create", "edit", "delete"]),
    ("task", "tasks", &["read", "create", "edit", "delete", "assign"]),
    ("note", "notes", &["read", "create", "edit", "delete"]),
    ("email", "emails", &["read", "send", "delete", "template"]),
    ("call", "calls", &["read", "create", "record", "delete"]),
    ("ticket", "tickets", &["read", "create", "edit", "delete", "assign", "close"]),
    ("campaign", "campaigns", &["read", "create", "edit", "delete", "launch"]),
    ("report", "reports", &["read", "create", "edit", "delete", "export", "share"]),
    ("workflow", "workflows", &["read", "create", "edit", "delete", "activate"]),
    ("integration", "integrations", &["read", "create", "edit", "delete", "rotate"]),
    ("user", "users", &["read", "invite", "edit", "deactivate"]),
    ("audit", "the audit trail", &["read", "export", "verify"]),
    ("setting", "settings and billing", &["read", "edit", "billing"]),
];

/// Those each use of which is worth an event.
const SENSITIVE: [&str; 7] = ["export", "delete", "approve", "refund", "rotate", "deactivate", "billing"];

/// The roles, as a policy in a file.
const ROLES: &str = r#"
roles:
  viewer:
    title: Sees the work, changes nothing
    allow: ["contact:read", "company:read", "deal:read", "lead:read", "quote:read", "product:read", "task:read", "note:read", "ticket:read", "campaign:read", "report:read"]
  contributor:
    title: Keeps notes and tasks
    inherits: viewer
    allow: ["note:create", "note:edit", "task:create", "task:edit", "call:*", "email:read", "email:send"]
  sales-rep:
    title: Sales representative
    inherits: contributor
    allow: ["contact:create", "contact:edit", "company:create", "company:edit", "deal:create", "deal:edit", "lead:*", "quote:create", "quote:edit", "quote:send"]
    deny:
      - { permissions: "lead:export" }
  sales-manager:
    title: Sales manager
    inherits: contributor
    allow: ["contact:*", "company:*", "deal:*", "lead:*", "quote:*", "task:*", "report:*", "rbac.policy:review", "rbac.grant:write"]
  support-agent:
    title: Support agent
    inherits: contributor
    allow: ["ticket:*", "contact:edit"]
    deny: ["ticket:delete"]
  support-manager:
    title: Support manager
    inherits: contributor
    allow: ["ticket:*", "contact:edit", "report:*"]
  marketing:
    title: Marketing
    inherits: contributor
    allow: ["campaign:*", "email:template", "lead:create", "lead:edit", "report:create"]
  finance:
    title: Finance
    inherits: viewer
    allow: ["invoice:*", "quote:approve", "report:export", "setting:billing"]
    deny: ["invoice:approve"]
  finance-approver:
    title: Approves invoices
    inherits: viewer
    allow: ["invoice:read", "invoice:approve"]
  analyst:
    title: Reads everything, exports reports
    inherits: viewer
    allow: ["*:read", "report:*"]
  integration:
    title: An integration that brings records in
    allow: ["contact:read", "contact:create", "contact:edit", "company:read", "company:create", "company:edit", "deal:read", "deal:create", "deal:edit", "note:read", "note:create"]
  auditor:
    title: Reads the policy and the audit trail
    inherits: viewer
    allow: ["audit:read", "audit:export", "audit:verify", "rbac.policy:review"]
  admin:
    title: Runs the organisation
    allow: "*"
  emergency-admin:
    title: Everything, for an hour, with an alarm
    inherits: admin
    emergency: 3600
separate:
  - { name: invoices-four-eyes, roles: [finance, finance-approver], limit: 2, duty: static }
"#;

/// A set of roles for a CRM with 100 permissions of its own and those of this crate: viewer, sales, support, marketing, finance,
/// analysts, integrations, auditors, administrators, and one for emergencies.
///
/// ```
/// # let at = chrono::DateTime::from_timestamp(1_780_000_000, 0).unwrap();
/// let crm = guardian_rbac::role_sets::crm(at)?;
/// assert!(crm.catalog.len() >= 100);
/// assert!(crm.policy().role(&"sales-rep".parse()?).is_some());
/// # Ok::<(), guardian_rbac::Error>(())
/// ```
///
/// # Errors
/// None that a test does not exclude.
pub fn crm(at: Timestamp) -> Result<Imported, Error> {
    let mut text = String::from("permissions:\n");
    for (thing, plural, actions) in THINGS {
        for action in actions {
            let sensitive = SENSITIVE.contains(action);
            text.push_str(&format!(
                "  \"{thing}:{action}\": {{ title: \"{} {plural}\", sensitive: {sensitive} }}\n",
                title(action)
            ));
        }
    }
    text.push_str(ROLES);
    read_policy(&text, at)
}

fn title(action: &str) -> String {
    let mut letters = action.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

//! Roles and bindings in the form of Kubernetes.

use std::collections::{BTreeSet, HashSet};

use guardian_core::{ActorKind, Timestamp};

use super::yaml::{Node, documents};
use super::{Imported, Maker, fault, on_line};
use crate::{Area, Catalog, Error, GroupId, Item, NewGrant, Principal, Role, Rule, Subject};

/// Reads `Role`, `ClusterRole`, `RoleBinding` and `ClusterRoleBinding` documents, and lists of them.
///
/// A verb on a resource is the permission `RESOURCE:VERB`, behind the API group if that is not the core (`apps/deployments:get`).
/// A namespace is the area `namespace:NAME`; a role of a namespace is named `NAMESPACE/NAME`; `resourceNames` are the areas
/// `RESOURCE:NAME`. Groups are groups, `ServiceAccount`s are services named `NAMESPACE/NAME`. `*` means what is named elsewhere
/// in the documents. What has no counterpart (`nonResourceURLs`, `aggregationRule`) is told in the notes.
///
/// ```
/// # let at = chrono::DateTime::from_timestamp(1_780_000_000, 0).unwrap();
/// let imported = guardian_rbac::import::read_kubernetes(r#"
/// kind: ClusterRole
/// metadata: { name: pod-reader }
/// rules: [{ apiGroups: [""], resources: [pods], verbs: [get, list] }]
/// ---
/// kind: RoleBinding
/// metadata: { name: read-pods, namespace: dev }
/// subjects: [{ kind: User, name: jane }]
/// roleRef: { kind: ClusterRole, name: pod-reader }
/// "#, at)?;
/// assert_eq!(imported.items.len(), 2);
/// # Ok::<(), guardian_rbac::Error>(())
/// ```
///
/// # Errors
/// [`Error::Import`] with the line.
pub fn read_kubernetes(text: &str, at: Timestamp) -> Result<Imported, Error> {
    let mut all: Vec<Node> = Vec::new();
    for document in documents(text)? {
        match document.get("kind").map(Node::text).transpose()? {
            Some("List" | "RoleList" | "ClusterRoleList" | "RoleBindingList" | "ClusterRoleBindingList") => {
                all.extend(document.need("items")?.list()?.iter().cloned());
            }
            _ => all.push(document),
        }
    }
    let mut known = Known::default();
    for document in &all {
        known.look(document)?;
    }
    let mut builder = Catalog::builder();
    for resource in &known.resources {
        for verb in &known.verbs {
            builder = builder.permission(&format!("{resource}:{verb}"), "");
        }
    }
    let mut imported = Imported { catalog: builder.build()?, items: Vec::new(), notes: Vec::new() };
    let mut maker = Maker::new(at)?;
    let mut bindings = Vec::new();
    for document in &all {
        match document.need("kind")?.text()? {
            kind @ ("Role" | "ClusterRole") => {
                let role = role(document, kind, &mut imported.notes)?;
                imported.items.push(Item::Role(role));
            }
            "RoleBinding" | "ClusterRoleBinding" => bindings.push(document),
            other => {
                let other = guardian_core::shorten(other);
                imported.notes.push(format!("line {}: a `{other}` is left out", document.line));
            }
        }
    }
    let roles: HashSet<String> = imported
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Role(role) => Some(role.id.as_str().to_owned()),
            _ => None,
        })
        .collect();
    for document in bindings {
        bind(document, &roles, &mut maker, &mut imported)?;
    }
    Ok(imported)
}

/// The resources and verbs that are named anywhere.
#[derive(Default)]
struct Known {
    resources: BTreeSet<String>,
    verbs: BTreeSet<String>,
}

impl Known {
    fn look(&mut self, document: &Node) -> Result<(), Error> {
        for rule in document.get("rules").map(Node::list).transpose()?.unwrap_or_default() {
            self.resources.extend(resources(rule)?.into_iter().filter(|name| name != "*"));
            let verbs = rule.need("verbs")?.texts()?;
            self.verbs.extend(verbs.into_iter().filter(|verb| *verb != "*").map(str::to_owned));
            // So many that a few lines do not make a catalog of any size.
            if self.resources.len().saturating_mul(self.verbs.len()) > Catalog::MAX_PERMISSIONS / 2 {
                return Err(fault(rule.line, "the documents name too many resources and verbs"));
            }
        }
        Ok(())
    }
}

/// `pods`, `apps/deployments`, or `*`.
fn resources(rule: &Node) -> Result<Vec<String>, Error> {
    let groups = rule.get("apiGroups").map_or_else(|| Ok(vec![""]), Node::texts)?;
    let names = rule.get("resources").map_or_else(|| Ok(Vec::new()), Node::texts)?;
    let mut found = Vec::new();
    for group in if groups.is_empty() { vec![""] } else { groups } {
        for name in &names {
            found.push(match (group, *name) {
                ("" | "*", name) => name.to_owned(),
                (_, "*") => "*".to_owned(),
                (group, name) => format!("{group}/{name}"),
            });
        }
    }
    Ok(found)
}

fn named(document: &Node) -> Result<(&str, Option<&str>), Error> {
    let metadata = document.need("metadata")?;
    let namespace = metadata.get("namespace").map(Node::text).transpose()?;
    Ok((metadata.need("name")?.text()?, namespace))
}

fn role(document: &Node, kind: &str, notes: &mut Vec<String>) -> Result<Role, Error> {
    let (name, namespace) = named(document)?;
    let id = match namespace.filter(|_| kind == "Role") {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    };
    let mut role = on_line(document.line, Role::new(&id))?;
    if document.get("aggregationRule").is_some() {
        notes.push(format!("line {}: the aggregation of `{name}` is left out", document.line));
    }
    for rule in document.get("rules").map(Node::list).transpose()?.unwrap_or_default() {
        if rule.get("nonResourceURLs").is_some() {
            notes.push(format!("line {}: `nonResourceURLs` are left out", rule.line));
            continue;
        }
        let resources = resources(rule)?;
        let verbs = rule.need("verbs")?.texts()?;
        let only = rule.get("resourceNames").map(Node::texts).transpose()?.unwrap_or_default();
        if resources.len().saturating_mul(verbs.len()).saturating_mul(only.len().max(1)) > Role::MAX_RULES {
            return Err(fault(rule.line, "the rule has too many combinations"));
        }
        for resource in &resources {
            for verb in &verbs {
                let made = on_line(rule.line, Rule::allow(&format!("{resource}:{verb}")))?;
                if only.is_empty() {
                    role.rules.push(made);
                    continue;
                }
                for instance in &only {
                    let kind: String =
                        resource.chars().map(|c| if matches!(c, '/' | '.') { '-' } else { c }).collect();
                    let area = on_line(rule.line, Area::new(&kind, instance))?;
                    role.rules.push(made.clone().in_area(area));
                }
            }
        }
    }
    Ok(role)
}

fn bind(
    document: &Node,
    roles: &HashSet<String>,
    maker: &mut Maker,
    imported: &mut Imported,
) -> Result<(), Error> {
    let (name, namespace) = named(document)?;
    let reference = document.need("roleRef")?;
    let (kind, role) = (reference.need("kind")?.text()?, reference.need("name")?.text()?);
    let area = match namespace {
        Some(namespace) => on_line(document.line, Area::new("namespace", namespace))?,
        None => Area::tenant(),
    };
    let role = match namespace.filter(|_| kind == "Role") {
        Some(namespace) => format!("{namespace}/{role}"),
        None => role.to_owned(),
    };
    if !roles.contains(&role) {
        let role = guardian_core::shorten(&role);
        return Err(fault(
            reference.line,
            format!("the binding `{name}` names the role `{role}`, which is not there"),
        ));
    }
    for subject in document.get("subjects").map(Node::list).transpose()?.unwrap_or_default() {
        let who = subject.need("name")?.text()?;
        let subject = match subject.need("kind")?.text()? {
            "User" => Subject::Principal(on_line(subject.line, Principal::user(who))?),
            "Group" if who == "system:authenticated" => Subject::Everyone,
            "Group" => Subject::Group(on_line(subject.line, GroupId::new(who))?),
            "ServiceAccount" => {
                let home =
                    subject.get("namespace").map(Node::text).transpose()?.or(namespace).unwrap_or("default");
                let service = Principal::new(ActorKind::Service, format!("{home}/{who}"));
                Subject::Principal(on_line(subject.line, service)?)
            }
            other => {
                let other = guardian_core::shorten(other);
                return Err(fault(subject.line, format!("a subject is no `{other}`")));
            }
        };
        let new = on_line(document.line, NewGrant::new(subject, &role, &format!("binding {name}")))?;
        imported.items.push(Item::Grant(maker.grant(new.in_area(area.clone()))));
    }
    Ok(())
}

//! This crate's own form of a policy in a file.

use guardian_core::Timestamp;

use super::yaml::{Node, documents, only};
use super::{Imported, Maker, fault, on_line};
use crate::{
    Area, Catalog, Condition, Constraint, Duty, Effect, Error, GroupId, Item, Membership, NewGrant, Place,
    Role, RoleId, Rule, Subject, Window,
};

/// Reads a policy from YAML or JSON. Grants without a beginning begin at once; `at` is when they were given.
///
/// ```
/// # let at = chrono::DateTime::from_timestamp(1_780_000_000, 0).unwrap();
/// let imported = guardian_rbac::import::read_policy(r#"
/// permissions:
///   deal:read: See deals
///   deal:edit: Change deals
///   deal:export: { title: Take deals out, sensitive: true }
/// roles:
///   viewer: { allow: "*:read" }
///   rep:
///     title: Sales representative
///     inherits: [viewer]
///     allow: ["deal:*"]
///     deny:
///       - { permissions: deal:export, when: "!context.mfa" }
/// areas:
///   team:vienna: [team:emea]
/// groups:
///   sales: [user:ann, { member: "user:bob", until: 2027-01-01T00:00:00Z }]
/// grants:
///   - { to: "group:sales", role: rep, in: team:emea, hours: "mon-fri 08:00-18:00 Europe/Vienna", reason: sales team }
/// separate:
///   - { name: four-eyes, roles: [viewer, rep], limit: 2, duty: dynamic }
/// "#, at)?;
/// assert_eq!(imported.policy().roles().len(), 2);
/// # Ok::<(), guardian_rbac::Error>(())
/// ```
///
/// # Errors
/// [`Error::Import`] with the line, for anything that is unknown, missing or no name.
pub fn read_policy(text: &str, at: Timestamp) -> Result<Imported, Error> {
    let documents = documents(text)?;
    let [root] = documents.as_slice() else {
        return Err(fault(0, format!("the text has {} documents, it must have one", documents.len())));
    };
    only(root, &["permissions", "roles", "areas", "groups", "grants", "separate"])?;
    let mut items = Vec::new();
    let mut maker = Maker::new(at)?;
    for (name, node) in entries(root, "roles")? {
        items.push(Item::Role(role(name, node)?));
    }
    for (name, node) in entries(root, "areas")? {
        let parents = node.texts()?.into_iter().map(|parent| on_line(node.line, parent.parse()));
        let area = on_line(node.line, name.parse())?;
        items.push(Item::Place(Place { area, parents: parents.collect::<Result<_, _>>()? }));
    }
    for (name, node) in entries(root, "groups")? {
        let group = on_line(node.line, GroupId::new(name))?;
        for member in node.list()? {
            items.push(Item::Membership(membership(&group, member)?));
        }
    }
    for node in root.get("grants").map(Node::list).transpose()?.unwrap_or_default() {
        items.push(Item::Grant(maker.grant(grant(node)?)));
    }
    for node in root.get("separate").map(Node::list).transpose()?.unwrap_or_default() {
        items.push(Item::Constraint(constraint(node)?));
    }
    let imported = Imported { catalog: catalog(root)?, items, notes: Vec::new() };
    // The line is not known any more, but what is wrong is.
    imported.policy().validate(&imported.catalog, &imported.changes())?;
    Ok(imported)
}

fn entries<'n>(root: &'n Node, key: &str) -> Result<&'n [(String, Node)], Error> {
    Ok(root.get(key).map_or(Ok(&[][..]), Node::map)?)
}

fn catalog(root: &Node) -> Result<Catalog, Error> {
    let mut builder = Catalog::builder();
    for (name, node) in entries(root, "permissions")? {
        if node.map().is_ok_and(|entries| !entries.is_empty()) {
            only(node, &["title", "sensitive"])?;
            let title = node.get("title").map_or(Ok(""), Node::text)?;
            let sensitive = node.get("sensitive").map_or(Ok("false"), Node::text)? == "true";
            builder =
                if sensitive { builder.sensitive(name, title) } else { builder.permission(name, title) };
        } else {
            builder = builder.permission(name, node.text()?);
        }
    }
    builder.build()
}

fn role(name: &str, node: &Node) -> Result<Role, Error> {
    only(node, &["title", "inherits", "allow", "deny", "emergency"])?;
    let mut role = on_line(node.line, Role::new(name))?;
    if let Some(title) = node.get("title") {
        role = role.titled(title.text()?);
    }
    if let Some(parents) = node.get("inherits") {
        for parent in parents.texts()? {
            role.parents.push(on_line(parents.line, RoleId::new(parent))?);
        }
    }
    for (key, effect) in [("allow", Effect::Allow), ("deny", Effect::Deny)] {
        let Some(rules) = node.get(key) else { continue };
        match rules.list() {
            Ok(list) => {
                for each in list {
                    role.rules.push(rule(each, effect)?);
                }
            }
            Err(_) => role.rules.push(rule(rules, effect)?),
        }
    }
    role.break_glass = node.get("emergency").map(Node::number).transpose()?;
    Ok(role)
}

/// `deal:read`, or `{ permissions: deal:read, in: team:emea, when: "…" }`.
fn rule(node: &Node, effect: Effect) -> Result<Rule, Error> {
    let made = |pattern: &str| match effect {
        Effect::Allow => Rule::allow(pattern),
        Effect::Deny => Rule::deny(pattern),
    };
    if let Ok(pattern) = node.text() {
        return on_line(node.line, made(pattern));
    }
    only(node, &["permissions", "in", "from", "until", "hours", "when"])?;
    let pattern = node.need("permissions")?;
    let mut rule = on_line(pattern.line, made(pattern.text()?))?;
    rule.area = area(node)?;
    rule.window = window(node)?;
    rule.condition = condition(node)?;
    Ok(rule)
}

fn area(node: &Node) -> Result<Area, Error> {
    node.get("in").map_or(Ok(Area::tenant()), |node| on_line(node.line, node.text()?.parse()))
}

fn condition(node: &Node) -> Result<Option<Condition>, Error> {
    node.get("when").map(|node| on_line(node.line, Condition::new(node.text()?))).transpose()
}

fn window(node: &Node) -> Result<Window, Error> {
    let time = |key: &str| -> Result<Option<Timestamp>, Error> {
        let Some(node) = node.get(key) else { return Ok(None) };
        let text = node.text()?;
        let parsed = chrono::DateTime::parse_from_rfc3339(text);
        let why = format!("`{}` is no time like `2027-01-01T00:00:00Z`", guardian_core::shorten(text));
        Ok(Some(parsed.map_err(|_| fault(node.line, why))?.to_utc()))
    };
    let window = on_line(node.line, Window::new(time("from")?, time("until")?))?;
    match node.get("hours") {
        Some(hours) => Ok(window.with_hours(on_line(hours.line, hours.text()?.parse())?)),
        None => Ok(window),
    }
}

/// `user:ann`, or `{ member: user:ann, until: … }`.
fn membership(group: &GroupId, node: &Node) -> Result<Membership, Error> {
    let (member, window) = match node.text() {
        Ok(member) => (member, Window::always()),
        Err(_) => {
            only(node, &["member", "from", "until", "hours"])?;
            (node.need("member")?.text()?, window(node)?)
        }
    };
    let member: Subject = on_line(node.line, member.parse())?;
    Ok(Membership::new(group.clone(), member).during(window))
}

fn grant(node: &Node) -> Result<NewGrant, Error> {
    only(node, &["to", "role", "in", "from", "until", "hours", "when", "reason", "depth"])?;
    let to = node.need("to")?;
    let subject: Subject = on_line(to.line, to.text()?.parse())?;
    let reason = node.get("reason").map_or(Ok("imported"), Node::text)?;
    let mut new = on_line(node.line, NewGrant::new(subject, node.need("role")?.text()?, reason))?;
    new.area = area(node)?;
    new.window = window(node)?;
    new.condition = condition(node)?;
    if let Some(depth) = node.get("depth") {
        new.depth = u8::try_from(depth.number()?).map_err(|_| fault(depth.line, "the most is 255"))?;
    }
    Ok(new)
}

fn constraint(node: &Node) -> Result<Constraint, Error> {
    only(node, &["name", "roles", "limit", "duty"])?;
    let duty = match node.get("duty").map_or(Ok("static"), Node::text)? {
        "static" => Duty::Static,
        "dynamic" => Duty::Dynamic,
        _ => return Err(fault(node.line, "the duty is `static` or `dynamic`")),
    };
    let limit = node.get("limit").map_or(Ok(2), Node::number)?;
    let roles = node.need("roles")?.texts()?;
    on_line(node.line, Constraint::new(node.need("name")?.text()?, duty, roles, limit))
}

//! Cedar's cases: each policy becomes a role of one rule, granted to whom its head names.

use std::collections::BTreeMap;

use chrono::DateTime;
use guardian_core::{ActorKind, Timestamp};
use guardian_rbac::{
    Area, Ask, Catalog, Condition, Effect, Grant, GrantId, GroupId, Item, Membership, NewGrant, Place,
    Policy, Principal, PrincipalRef, Resource, Revision, Role, Rule, Snapshot, Subject,
};
use serde_json::{Map, Value as Json};

use super::cedar_text::{Head, Statement, statements};
use super::{Verdict, list, text};
use guardian_rbac::import::CasbinModel;

type Failure = Box<dyn std::error::Error>;

pub(super) fn judge(case: &Json) -> Vec<(String, Verdict)> {
    let id = text(case, "id");
    let requests = list(case, "requests");
    let name = |number: usize| format!("{id} request {number}");
    let special = list(case, "features")
        .iter()
        .filter_map(Json::as_str)
        .find(|feature| matches!(*feature, "ip" | "decimal"));
    if let Some(feature) = special {
        let why = format!("it has values of the type `{feature}`");
        return (0..requests.len()).map(|number| (name(number), Verdict::Unsupported(why.clone()))).collect();
    }
    match World::new(case) {
        Ok(world) => {
            let verdict = |request| Verdict::Asked(world.ask(request).err().map(|error| error.to_string()));
            requests.iter().enumerate().map(|(number, request)| (name(number), verdict(request))).collect()
        }
        Err(error) => {
            let fault = Some(error.to_string());
            (0..requests.len()).map(|number| (name(number), Verdict::Asked(fault.clone()))).collect()
        }
    }
}

/// `User::"alice"`, by which entities are called here.
fn uid(json: &Json) -> String {
    format!("{}::{}", text(json, "type"), Json::from(text(json, "id")))
}

fn area(uid: &str) -> Result<Area, guardian_rbac::InvalidName> {
    Area::new("entity", uid)
}

struct World {
    snapshot: Snapshot,
    /// Attributes and ancestors of each entity.
    entities: BTreeMap<String, Json>,
}

impl World {
    fn new(case: &Json) -> Result<Self, Failure> {
        let given = list(case, "entities");
        let mut parents: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for entity in given {
            let own = entity.get("uid").map(uid).unwrap_or_default();
            parents.insert(own, list(entity, "parents").iter().map(uid).collect());
        }
        let mut refs: Vec<String> = Vec::new();
        let mut entities = BTreeMap::new();
        for entity in given {
            let own = entity.get("uid").map(uid).unwrap_or_default();
            let mut facts = Map::new();
            for (name, value) in entity.get("attrs").and_then(Json::as_object).into_iter().flatten() {
                if is_reference(value) {
                    refs.push(name.clone());
                }
                facts.insert(name.clone(), plain(value));
            }
            facts.insert("uid".to_owned(), own.clone().into());
            facts.insert("above".to_owned(), above(&own, &parents).into_iter().map(Json::from).collect());
            entities.insert(own, Json::Object(facts));
        }
        let mut builder = Catalog::builder();
        let mut actions: Vec<String> = list(case, "requests")
            .iter()
            .filter_map(|request| request.get("action"))
            .map(|action| text(action, "id").to_owned())
            .collect();
        let written = statements(text(case, "policies_cedar"), &refs)?;
        for statement in &written {
            actions.extend(statement.actions.iter().flatten().cloned());
        }
        actions.sort();
        actions.dedup();
        for action in &actions {
            builder = builder.permission(&CasbinModel::permission(action), "");
        }
        let catalog = builder.build()?;
        let mut items = Vec::new();
        for (own, parents) in &parents {
            let parents = parents.iter().map(|parent| area(parent)).collect::<Result<_, _>>()?;
            items.push(Item::Place(Place { area: area(own)?, parents }));
        }
        for (own, parents) in &parents {
            for parent in parents {
                let group = GroupId::new(parent)?;
                items.push(Item::Membership(Membership::new(group.clone(), Principal::user(own)?.into())));
                items.push(Item::Membership(Membership::new(group, Subject::Group(GroupId::new(own)?))));
            }
        }
        for (number, statement) in written.iter().enumerate() {
            policy(number, statement, &mut items)?;
        }
        let policy = Policy::of(items);
        let snapshot = Snapshot::compile(&policy, &catalog, Revision::new(1))?;
        Ok(Self { snapshot, entities })
    }

    fn ask(&self, request: &Json) -> Result<(), Failure> {
        let part = |name: &str| request.get(name).map(uid).unwrap_or_default();
        let (principal, resource) = (part("principal"), part("resource"));
        let action = request.get("action").map(|action| text(action, "id")).unwrap_or_default();
        let unknown = |uid: &str| serde_json::json!({ "uid": uid, "above": [uid] });
        let facts = |uid: &str| self.entities.get(uid).cloned().unwrap_or_else(|| unknown(uid));
        let (about, of_resource) = (facts(&principal), facts(&resource));
        let mut context = plain(request.get("context").unwrap_or(&Json::Null));
        if let Some(context) = context.as_object_mut() {
            context.insert("entities".to_owned(), serde_json::to_value(&self.entities)?);
        }
        let permission = CasbinModel::permission(action);
        let own = area(&resource)?;
        let ask = Ask::new(PrincipalRef::new(ActorKind::User, &principal), permission.as_str())
            .on(Resource::area(&own).with_facts(&of_resource))
            .knowing(&about)
            .in_context(&context);
        let explained = self.snapshot.explain(&ask, now())?;
        let wanted = text(request, "decision") == "allow";
        if explained.decision.is_allowed() != wanted {
            return Err(format!("{}: {explained}", text(request, "description")).into());
        }
        // The policy that decided is among those that Cedar names.
        let reasons: Vec<&str> = list(request, "reason").iter().filter_map(Json::as_str).collect();
        let role = explained.because.as_ref().and_then(|chain| chain.roles.first()).map(ToString::to_string);
        match role {
            Some(role) if !reasons.contains(&role.as_str()) => {
                Err(format!("`{role}` decided, not {reasons:?}").into())
            }
            None if !reasons.is_empty() => Err(format!("nothing decided, and {reasons:?} should").into()),
            _ => Ok(()),
        }
    }
}

fn now() -> Timestamp {
    DateTime::from_timestamp(1_780_000_000, 0).unwrap_or_default()
}

fn policy(number: usize, statement: &Statement, items: &mut Vec<Item>) -> Result<(), Failure> {
    let id = format!("policy{number}");
    let mut role = Role::new(&id)?;
    let patterns = match &statement.actions {
        Some(actions) => actions.iter().map(|action| CasbinModel::permission(action)).collect(),
        None => vec!["object:*".to_owned()],
    };
    for pattern in patterns {
        let mut rule =
            if statement.effect == Effect::Allow { Rule::allow(&pattern)? } else { Rule::deny(&pattern)? };
        rule.condition = statement.condition.as_deref().map(Condition::new).transpose()?;
        role.rules.push(rule);
    }
    items.push(Item::Role(role));
    let areas: Vec<Area> = match &statement.resource {
        Head::Any => vec![Area::tenant()],
        // An entity is in itself; what lies in it is not equal to it, which a condition then says.
        Head::Is(uid) | Head::In(uid) => vec![area(uid)?],
    };
    let subjects: Vec<Subject> = match &statement.principal {
        Head::Any => vec![Subject::Everyone],
        Head::Is(uid) => vec![Principal::user(uid)?.into()],
        Head::In(uid) => vec![Principal::user(uid)?.into(), Subject::Group(GroupId::new(uid)?)],
    };
    for area in &areas {
        for subject in &subjects {
            let new = NewGrant::new(subject.clone(), &id, "a policy")?.in_area(area.clone());
            let grant = GrantId::new(uuid::Uuid::from_u128(items.len() as u128));
            items.push(Item::Grant(Grant::of(new, grant, Principal::user("import")?, now())));
        }
    }
    Ok(())
}

fn above(own: &str, parents: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut found = vec![own.to_owned()];
    let mut at = 0;
    while let Some(next) = found.get(at).cloned() {
        at += 1;
        for parent in parents.get(&next).into_iter().flatten() {
            if !found.contains(parent) {
                found.push(parent.clone());
            }
        }
    }
    found
}

fn entity(value: &Json) -> Option<&Json> {
    match value.get("__entity") {
        Some(inner) => Some(inner),
        None => {
            let object = value.as_object()?;
            (object.len() == 2 && object.contains_key("type") && object.contains_key("id")).then_some(value)
        }
    }
}

fn is_reference(value: &Json) -> bool {
    entity(value).is_some()
}

/// Values with references as the names of entities.
fn plain(value: &Json) -> Json {
    if let Some(inner) = entity(value) {
        return uid(inner).into();
    }
    match value {
        Json::Array(items) => items.iter().map(plain).collect(),
        Json::Object(members) => members.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        other => other.clone(),
    }
}

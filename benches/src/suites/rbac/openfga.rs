//! The cases of `OpenFGA`, as far as groups, areas, wildcards and deny can express them.
//!
//! A tuple becomes a grant of the role `TYPE#RELATION` on the area of its object; which permissions the role has, on the object and
//! on what lies in it, is worked out from the definitions. Where that would give more than the definitions do, because areas
//! inherit everything and relations do not, the case is unsupported.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use guardian_core::{ActorKind, Timestamp};
use guardian_rbac::import::CasbinModel;
use guardian_rbac::{
    Area, Ask, Catalog, Condition, Grant, GrantId, GroupId, Item, Membership, NewGrant, Place, Policy,
    Principal, PrincipalRef, Resource, Revision, Role, Rule, Snapshot, Subject,
};
use serde_json::Value as Json;

use super::{Verdict, list, text};

/// A type and a relation of it.
type Relation = (String, String);

/// Why a case cannot be expressed.
struct Unsupported(String);

pub(super) fn judge(case: &Json) -> Vec<(String, Verdict)> {
    let id = text(case, "id");
    let mut verdicts = Vec::new();
    for (kind, ask) in
        [("checks", check as Asker), ("list_objects", list_objects), ("list_users", list_users)]
    {
        for (number, asked) in list(case, kind).iter().enumerate() {
            let name = format!("{id} {kind} {number}");
            let verdict = if asked.get("expect_error").is_some() {
                Verdict::Unsupported("it asks for an error of OpenFGA's own validation".to_owned())
            } else {
                match World::new(case, list(asked, "contextual_tuples")).and_then(|world| ask(&world, asked))
                {
                    Ok(fault) => Verdict::Asked(fault),
                    Err(Unsupported(why)) => Verdict::Unsupported(why),
                }
            };
            verdicts.push((name, verdict));
        }
    }
    verdicts
}

type Asker = fn(&World, &Json) -> Result<Option<String>, Unsupported>;

fn unsupported<T>(why: impl Into<String>) -> Result<T, Unsupported> {
    Err(Unsupported(why.into()))
}

/// A fault of ours, which is not one of the case.
fn broken(error: impl std::fmt::Display) -> Unsupported {
    Unsupported(format!("it is no policy here: {error}"))
}

struct World {
    snapshot: Snapshot,
    catalog: Catalog,
    objects: BTreeSet<String>,
}

/// Which direct relations give one, and which take it.
#[derive(Clone, Default, PartialEq)]
struct Sources {
    allow: BTreeSet<Relation>,
    deny: BTreeSet<Relation>,
}

struct Model<'c> {
    types: &'c Json,
    known: BTreeMap<Relation, Sources>,
    /// For each relation through a parent: the relation by which objects lie in others, and that which is asked for there.
    via: BTreeMap<Relation, BTreeSet<(String, String)>>,
}

impl<'c> Model<'c> {
    fn new(types: &'c Json) -> Result<Self, Unsupported> {
        let mut model = Self { types, known: BTreeMap::new(), via: BTreeMap::new() };
        let mut relations: Vec<Relation> = Vec::new();
        for (name, definitions) in types.as_object().into_iter().flatten() {
            for relation in definitions.as_object().into_iter().flatten().map(|(relation, _)| relation) {
                relations.push((name.clone(), relation.clone()));
            }
        }
        // Definitions go in circles, so the sources grow until nothing is new.
        for _ in 0..64 {
            let mut same = true;
            for relation in &relations {
                let Some(definition) = model.definition(relation) else { continue };
                let found = model.sources(relation, definition)?;
                same &= model.known.get(relation) == Some(&found);
                model.known.insert(relation.clone(), found);
            }
            if same {
                return Ok(model);
            }
        }
        unsupported("the definitions do not come to rest")
    }

    fn definition(&self, (name, relation): &Relation) -> Option<&'c Json> {
        self.types.get(name)?.get(relation)
    }

    fn sources(&mut self, of: &Relation, definition: &Json) -> Result<Sources, Unsupported> {
        let mut sources = Sources::default();
        if let Some(assignable) = definition.get("direct") {
            if assignable.as_array().into_iter().flatten().any(|each| each.get("condition").is_some()) {
                return unsupported("a tuple has a condition");
            }
            sources.allow.insert(of.clone());
        } else if let Some(relation) = definition.get("relation").and_then(Json::as_str) {
            sources = self.known.get(&(of.0.clone(), relation.to_owned())).cloned().unwrap_or_default();
        } else if let Some(via) = definition.get("via") {
            let (tupleset, relation) = (text(via, "tupleset").to_owned(), text(via, "relation").to_owned());
            self.via.entry(of.clone()).or_default().insert((tupleset.clone(), relation.clone()));
            for parent in self.assignable(&(of.0.clone(), tupleset)) {
                let there = self.known.get(&(parent, relation.clone())).cloned().unwrap_or_default();
                sources.allow.extend(there.allow);
                sources.deny.extend(there.deny);
            }
        } else if let Some(parts) = definition.get("any").and_then(Json::as_array) {
            for part in parts {
                let part = self.sources(of, part)?;
                if !part.deny.is_empty() {
                    return unsupported("a union has an exclusion in it, and deny wins over all");
                }
                sources.allow.extend(part.allow);
            }
        } else if let Some([base, minus]) =
            definition.get("exclude").and_then(Json::as_array).map(Vec::as_slice)
        {
            let (base, minus) = (self.sources(of, base)?, self.sources(of, minus)?);
            if !minus.deny.is_empty() {
                return unsupported("an exclusion has an exclusion in what it takes");
            }
            sources.allow = base.allow;
            sources.deny = base.deny;
            sources.deny.extend(minus.allow);
        } else {
            let names: Vec<_> =
                definition.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
            return unsupported(format!("a relation is defined by `{}`", names.join(", ")));
        }
        if !sources.deny.is_disjoint(&sources.allow) {
            return unsupported("an exclusion takes what it gives");
        }
        Ok(sources)
    }

    /// The types that a relation may hold directly.
    fn assignable(&self, relation: &Relation) -> Vec<String> {
        let direct = self.definition(relation).and_then(|definition| definition.get("direct"));
        let all = direct.and_then(Json::as_array).into_iter().flatten();
        all.filter(|each| each.get("relation").is_none()).map(|each| text(each, "type").to_owned()).collect()
    }

    /// The relations by which objects of a type lie in others.
    fn edges(&self) -> BTreeSet<Relation> {
        let pairs = self.via.iter();
        pairs
            .flat_map(|((name, _), all)| all.iter().map(|(tupleset, _)| (name.clone(), tupleset.clone())))
            .collect()
    }

    /// Whatever is held in an area holds below it. That must be what the definitions say.
    fn check_inheritance(&self, places: &BTreeMap<String, BTreeSet<String>>) -> Result<(), Unsupported> {
        let edges = self.edges();
        let mut types_above: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, tupleset) in &edges {
            types_above
                .entry(name.clone())
                .or_default()
                .extend(self.assignable(&(name.clone(), tupleset.clone())));
        }
        let reach = |from: &str| -> BTreeSet<String> {
            let mut found = BTreeSet::from([from.to_owned()]);
            let mut waiting = vec![from.to_owned()];
            while let Some(next) = waiting.pop() {
                for above in types_above.get(&next).into_iter().flatten() {
                    if found.insert(above.clone()) {
                        waiting.push(above.clone());
                    }
                }
            }
            found
        };
        for (child, parents) in places {
            let of = |object: &str| object.split_once(':').map_or(object, |(name, _)| name).to_owned();
            let name = of(child);
            if parents.len() > 1
                && self.known.iter().any(|((each, _), sources)| *each == name && !sources.deny.is_empty())
            {
                return unsupported("an exclusion on one of several parents is not one on all of them");
            }
            for parent in parents.iter().map(|parent| of(parent)) {
                let above = reach(&parent);
                for (relation, sources) in self.known.iter().filter(|((each, _), _)| *each == name) {
                    for base in sources.allow.union(&sources.deny).filter(|(kind, _)| above.contains(kind)) {
                        let via = self.via.get(relation).into_iter().flatten();
                        let mut legitimate = via.filter(|(tupleset, _)| {
                            self.assignable(&(name.clone(), tupleset.clone())).contains(&parent)
                        });
                        let says = legitimate.any(|(_, there)| {
                            self.known.get(&(parent.clone(), there.clone())).is_some_and(|sources| {
                                sources.allow.contains(base) || sources.deny.contains(base)
                            })
                        });
                        if !says {
                            return unsupported("an area would inherit what the relation does not");
                        }
                    }
                }
            }
        }
        // Two relations to the same type, of which one inherits and the other does not, are one kind of area here.
        let mut seen: BTreeMap<(String, String), String> = BTreeMap::new();
        for (name, tupleset) in &edges {
            for parent in self.assignable(&(name.clone(), tupleset.clone())) {
                if seen
                    .insert((name.clone(), parent.clone()), tupleset.clone())
                    .is_some_and(|other| other != *tupleset)
                {
                    return unsupported("two relations lead to parents of one type");
                }
            }
        }
        Ok(())
    }
}

fn permission((name, relation): &Relation) -> String {
    CasbinModel::permission(&format!("{name}.{relation}"))
}

fn now() -> Timestamp {
    DateTime::from_timestamp(1_780_000_000, 0).unwrap_or_default()
}

fn area(object: &str) -> Result<Area, Unsupported> {
    Area::new("object", object).map_err(broken)
}

impl World {
    fn new(case: &Json, more: &[Json]) -> Result<Self, Unsupported> {
        let types = case.get("types").ok_or_else(|| Unsupported("it has no types".to_owned()))?;
        let model = Model::new(types)?;
        let tuples: Vec<&Json> = list(case, "tuples").iter().chain(more).collect();
        let edges = model.edges();
        let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut items = Vec::new();
        let mut objects = BTreeSet::new();
        let mut builder = Catalog::builder();
        for relation in model.known.keys() {
            builder = builder.permission(&permission(relation), "");
        }
        let catalog = builder.build().map_err(broken)?;
        for base in model.known.keys() {
            let mut role = Role::new(&format!("{}#{}", base.0, base.1)).map_err(broken)?;
            for (relation, sources) in &model.known {
                if sources.allow.contains(base) {
                    role.rules.push(Rule::allow(&permission(relation)).map_err(broken)?);
                }
                if sources.deny.contains(base) {
                    role.rules.push(Rule::deny(&permission(relation)).map_err(broken)?);
                }
            }
            items.push(Item::Role(role));
        }
        for (number, tuple) in tuples.iter().enumerate() {
            if tuple.get("condition").is_some() {
                return unsupported("a tuple has a condition");
            }
            let (user, relation, object) =
                (text(tuple, "user"), text(tuple, "relation"), text(tuple, "object"));
            let Some((name, _)) = object.split_once(':') else { return unsupported("an object has no type") };
            objects.insert(object.to_owned());
            let key = (name.to_owned(), relation.to_owned());
            let Some((kind, _)) = user.split_once(':') else { return unsupported("a user has no type") };
            if !assignable(&model, &key, user, kind) {
                // What the definitions do not allow any more is passed over.
                continue;
            }
            if edges.contains(&key) && !user.ends_with(":*") && !user.contains('#') {
                places.entry(object.to_owned()).or_default().insert(user.to_owned());
            }
            let new = NewGrant::new(
                subject(&model, &tuples, user, &mut items)?,
                &format!("{name}#{relation}"),
                "a tuple",
            );
            let mut new = new.map_err(broken)?.in_area(area(object)?);
            if let Some(kind) = user.strip_suffix(":*") {
                let text = format!("principal.id.startsWith({})", Json::from(format!("{kind}:")));
                new = new.when(Condition::new(&text).map_err(broken)?);
            }
            let id = GrantId::new(uuid::Uuid::from_u128(number as u128 + 1));
            items.push(Item::Grant(Grant::of(new, id, Principal::user("import").map_err(broken)?, now())));
        }
        model.check_inheritance(&places)?;
        for (object, parents) in &places {
            let parents = parents.iter().map(|parent| area(parent)).collect::<Result<_, _>>()?;
            items.push(Item::Place(Place { area: area(object)?, parents }));
        }
        let policy = Policy::of(items.iter().cloned());
        let changes: Vec<_> = items.into_iter().map(guardian_rbac::Change::Put).collect();
        policy.validate(&catalog, &changes).map_err(broken)?;
        let snapshot = Snapshot::compile(&policy, &catalog, Revision::new(1)).map_err(broken)?;
        Ok(Self { snapshot, catalog, objects })
    }

    fn allows(&self, user: &str, relation: &Relation, object: &str) -> Result<bool, Unsupported> {
        if user.contains('#') {
            return unsupported("a set of users asks");
        }
        let permission = permission(relation);
        if self.catalog.handle(&permission).is_err() {
            return Ok(false);
        }
        let area = area(object)?;
        let ask =
            Ask::new(PrincipalRef::new(ActorKind::User, user), permission.as_str()).on(Resource::area(&area));
        self.snapshot.check(&ask, now()).map(|decision| decision.is_allowed()).map_err(broken)
    }
}

fn assignable(model: &Model<'_>, key: &Relation, user: &str, kind: &str) -> bool {
    let relation = user.split_once('#').map(|(_, relation)| relation);
    fn direct<'j>(definition: &'j Json, found: &mut Vec<&'j Json>) {
        found.extend(definition.get("direct").and_then(Json::as_array).into_iter().flatten());
        for name in ["any", "exclude", "all"] {
            for part in definition.get(name).and_then(Json::as_array).into_iter().flatten() {
                direct(part, found);
            }
        }
    }
    let mut found = Vec::new();
    if let Some(definition) = model.definition(key) {
        direct(definition, &mut found);
    }
    found.iter().any(|each| {
        text(each, "type") == kind
            && each.get("relation").and_then(Json::as_str) == relation
            && each.get("wildcard").and_then(Json::as_bool).unwrap_or(false) == user.ends_with(":*")
    })
}

/// Whom a tuple is about; for a set of users a group, whose members are those of its relation.
fn subject(
    model: &Model<'_>,
    tuples: &[&Json],
    user: &str,
    items: &mut Vec<Item>,
) -> Result<Subject, Unsupported> {
    if user.ends_with(":*") {
        return Ok(Subject::Everyone);
    }
    let Some((object, relation)) = user.split_once('#') else {
        return Ok(Principal::user(user).map_err(broken)?.into());
    };
    let group = GroupId::new(user).map_err(broken)?;
    let (kind, _) = object.split_once(':').unwrap_or((object, ""));
    let sources = model.known.get(&(kind.to_owned(), relation.to_owned())).cloned().unwrap_or_default();
    if !sources.deny.is_empty() {
        return unsupported("a set of users has an exclusion");
    }
    if sources.allow.iter().any(|(of, _)| of != kind)
        || model.via.contains_key(&(kind.to_owned(), relation.to_owned()))
    {
        return unsupported("a set of users comes through a parent");
    }
    let known = |items: &[Item], member: &Subject| {
        items.iter().any(
            |item| matches!(item, Item::Membership(each) if each.group == group && each.member == *member),
        )
    };
    for tuple in tuples {
        let source = (kind.to_owned(), text(tuple, "relation").to_owned());
        let member = text(tuple, "user");
        let member_kind = member.split_once(':').map_or("", |(kind, _)| kind);
        if text(tuple, "object") != object
            || !sources.allow.contains(&source)
            || !assignable(model, &source, member, member_kind)
        {
            continue;
        }
        if member.ends_with(":*") {
            return unsupported("a set of users has everybody of a type in it");
        }
        if member == user {
            return unsupported("a set of users has itself in it");
        }
        let placeholder = match member.contains('#') {
            true => Subject::Group(GroupId::new(member).map_err(broken)?),
            false => Principal::user(member).map_err(broken)?.into(),
        };
        if known(items, &placeholder) {
            continue;
        }
        items.push(Item::Membership(Membership::new(group.clone(), placeholder)));
        if member.contains('#') {
            subject(model, tuples, member, items)?;
        }
    }
    Ok(group.into())
}

fn relation_on(object: &str, relation: &str) -> Relation {
    let kind = object.split_once(':').map_or(object, |(kind, _)| kind);
    (kind.to_owned(), relation.to_owned())
}

fn check(world: &World, asked: &Json) -> Result<Option<String>, Unsupported> {
    let (user, relation, object) = (text(asked, "user"), text(asked, "relation"), text(asked, "object"));
    let given = world.allows(user, &relation_on(object, relation), object)?;
    let wanted = asked.get("expect").and_then(Json::as_bool).unwrap_or(false);
    Ok((given != wanted).then(|| format!("{user} {relation} {object} is {given}")))
}

fn list_objects(world: &World, asked: &Json) -> Result<Option<String>, Unsupported> {
    let (user, kind, relation) = (text(asked, "user"), text(asked, "type"), text(asked, "relation"));
    let mut given = BTreeSet::new();
    for object in
        world.objects.iter().filter(|object| object.split_once(':').is_some_and(|(name, _)| name == kind))
    {
        if world.allows(user, &(kind.to_owned(), relation.to_owned()), object)? {
            given.insert(object.as_str());
        }
    }
    let wanted: BTreeSet<&str> = list(asked, "expect").iter().filter_map(Json::as_str).collect();
    Ok((given != wanted).then(|| format!("{user} {relation} lists {given:?} and not {wanted:?}")))
}

fn list_users(world: &World, asked: &Json) -> Result<Option<String>, Unsupported> {
    let filters: Vec<&str> = list(asked, "filters").iter().filter_map(Json::as_str).collect();
    let [kind] = filters.as_slice() else { return unsupported("several sorts of users are listed") };
    if kind.contains('#') {
        return unsupported("sets of users are listed");
    }
    let (relation, object) = (text(asked, "relation"), text(asked, "object"));
    let permission = permission(&relation_on(object, relation));
    let area = area(object)?;
    let can = world.snapshot.who_can(permission.as_str(), &Resource::area(&area), now()).map_err(broken)?;
    let prefix = format!("{kind}:");
    let mut given: BTreeSet<String> =
        can.principals.iter().map(|who| who.id().to_owned()).filter(|who| who.starts_with(&prefix)).collect();
    let wanted: BTreeSet<String> =
        list(asked, "expect").iter().filter_map(Json::as_str).map(str::to_owned).collect();
    if wanted.iter().any(|user| user.ends_with(":*")) || given.iter().any(|user| user.ends_with(":*")) {
        return unsupported("everybody of a type is listed beside those who are named");
    }
    given.retain(|user| !user.contains('#'));
    Ok((given != wanted).then(|| format!("{relation} {object} lists {given:?} and not {wanted:?}")))
}

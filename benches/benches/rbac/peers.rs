//! Cedar and casbin with the same rows.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use casbin::{CoreApi, DefaultModel, Enforcer, MemoryAdapter, MgmtApi};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
};

use crate::world::{World, permission, role, user};

type Failure = Box<dyn std::error::Error>;

fn uid(kind: &str, id: &str) -> Result<EntityUid, Failure> {
    Ok(EntityUid::from_type_name_and_id(EntityTypeName::from_str(kind)?, EntityId::new(id)))
}

/// Cedar, with everything prepared that can be.
pub(crate) struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    per_role: bool,
}

impl Cedar {
    /// One policy, and the hierarchy of users, roles and permissions in the entities: the fastest form that we found.
    pub(crate) fn hierarchy(world: &World) -> Result<Self, Failure> {
        let policies =
            PolicySet::from_str("permit(principal, action, resource) when { principal in resource };")?;
        Self::of(world, policies, false)
    }

    /// A policy for each role, as Cedar's documentation has it.
    pub(crate) fn per_role(world: &World) -> Result<Self, Failure> {
        let mut text = String::new();
        for at in 0..world.size.roles {
            let given = world.rules.iter().filter(|(role, _)| *role == at);
            let actions: Vec<String> =
                given.map(|(_, number)| format!("Action::\"{}\"", permission(*number))).collect();
            if !actions.is_empty() {
                let (role, actions) = (role(at), actions.join(", "));
                text.push_str(&format!(
                    "permit(principal in Role::\"{role}\", action in [{actions}], resource);\n"
                ));
            }
        }
        Self::of(world, PolicySet::from_str(&text)?, true)
    }

    fn of(world: &World, policies: PolicySet, per_role: bool) -> Result<Self, Failure> {
        let mut above: Vec<HashSet<EntityUid>> = vec![HashSet::new(); world.size.roles];
        for (at, parent) in &world.parents {
            if let Some(above) = above.get_mut(*at) {
                above.insert(uid("Role", &role(*parent))?);
            }
        }
        let mut entities = Vec::new();
        for number in 0..world.size.permissions {
            let name = permission(number);
            entities.push(Entity::new(uid("Permission", &name)?, HashMap::new(), HashSet::new())?);
            entities.push(Entity::new(uid("Action", &name)?, HashMap::new(), HashSet::new())?);
        }
        if !per_role {
            for (at, number) in &world.rules {
                if let Some(above) = above.get_mut(*at) {
                    above.insert(uid("Permission", &permission(*number))?);
                }
            }
        }
        for (at, above) in above.into_iter().enumerate() {
            entities.push(Entity::new(uid("Role", &role(at))?, HashMap::new(), above)?);
        }
        let mut roles: Vec<HashSet<EntityUid>> = vec![HashSet::new(); world.size.users];
        for (who, at) in &world.grants {
            if let Some(roles) = roles.get_mut(*who) {
                roles.insert(uid("Role", &role(*at))?);
            }
        }
        for (who, roles) in roles.into_iter().enumerate() {
            entities.push(Entity::new(uid("User", &user(who))?, HashMap::new(), roles)?);
        }
        let entities = Entities::from_entities(entities, None)?;
        Ok(Self { authorizer: Authorizer::new(), policies, entities, per_role })
    }

    /// The request, which is made before anything is measured.
    pub(crate) fn request(&self, who: usize, number: usize) -> Result<Request, Failure> {
        let name = permission(number);
        let (action, resource) = if self.per_role {
            (uid("Action", &name)?, uid("Permission", &name)?)
        } else {
            (uid("Action", "use")?, uid("Permission", &name)?)
        };
        Ok(Request::new(uid("User", &user(who))?, action, resource, Context::empty(), None)?)
    }

    pub(crate) fn ask(&self, request: &Request) -> bool {
        self.authorizer.is_authorized(request, &self.policies, &self.entities).decision() == Decision::Allow
    }
}

const MODEL: &str = "
[request_definition]
r = sub, act
[policy_definition]
p = sub, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && r.act == p.act
";

/// casbin's model of roles.
pub(crate) struct Casbin(Enforcer);

impl Casbin {
    pub(crate) fn new(world: &World) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(async {
            let model = DefaultModel::from_str(MODEL).await?;
            let mut enforcer = Enforcer::new(model, MemoryAdapter::default()).await?;
            let rules: HashSet<(usize, usize)> = world.rules.iter().copied().collect();
            let rules = rules.into_iter().map(|(at, number)| vec![role(at), permission(number)]);
            enforcer.add_policies(rules.collect()).await?;
            let mut links: HashSet<Vec<String>> =
                world.grants.iter().map(|(who, at)| vec![user(*who), role(*at)]).collect();
            links.extend(world.parents.iter().map(|(at, parent)| vec![role(*at), role(*parent)]));
            enforcer.add_grouping_policies(links.into_iter().collect()).await?;
            Ok(Self(enforcer))
        })
    }

    pub(crate) fn ask(&self, who: &str, permission: &str) -> bool {
        self.0.enforce((who, permission)).unwrap_or(false)
    }
}

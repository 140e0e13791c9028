//! The two policies that are asked, and questions about them.

use chrono::{DateTime, TimeDelta, Utc};
use guardian_core::{ActorKind, Timestamp};
use guardian_rbac::testkit::reference::{self, Question};
use guardian_rbac::{
    Area, Catalog, Grant, GrantId, Item, NewGrant, Permission, Place, Policy, Principal, Revision, Role,
    RoleId, Rule, Snapshot, Window,
};

/// How large a policy is.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) name: &'static str,
    pub(crate) roles: usize,
    /// Roles in a row, each inheriting from the next.
    pub(crate) depth: usize,
    pub(crate) permissions: usize,
    pub(crate) rules: usize,
    pub(crate) users: usize,
    pub(crate) grants: usize,
}

pub(crate) const SMALL: Size =
    Size { name: "small", roles: 10, depth: 1, permissions: 100, rules: 100, users: 1_000, grants: 2_000 };
pub(crate) const LARGE: Size = Size {
    name: "large",
    roles: 1_000,
    depth: 10,
    permissions: 200,
    rules: 5_000,
    users: 100_000,
    grants: 100_000,
};

/// `SplitMix64`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) >> 1).unwrap_or(0) % most.max(1)
    }
}

pub(crate) fn permission(number: usize) -> String {
    format!("thing{}:action{}", number / 10, number % 10)
}

pub(crate) fn role(number: usize) -> String {
    format!("role{number}")
}

pub(crate) fn user(number: usize) -> String {
    format!("user{number}")
}

pub(crate) fn now() -> Timestamp {
    DateTime::<Utc>::from_timestamp(1_780_000_000, 0).unwrap_or_default()
}

type Failure = Box<dyn std::error::Error>;

/// A policy as rows that every engine can be given, and ours compiled.
pub(crate) struct World {
    pub(crate) size: Size,
    /// Role and permission.
    pub(crate) rules: Vec<(usize, usize)>,
    /// Role and the one that it inherits from.
    pub(crate) parents: Vec<(usize, usize)>,
    /// User and role.
    pub(crate) grants: Vec<(usize, usize)>,
    pub(crate) catalog: Catalog,
    pub(crate) policy: Policy,
    pub(crate) snapshot: Snapshot,
}

impl World {
    /// The rows alone, or with everything that ours can do besides: prohibitions, windows and areas.
    pub(crate) fn new(size: Size, rich: bool) -> Result<Self, Failure> {
        let mut random = Random(7);
        let rules: Vec<_> =
            (0..size.rules).map(|at| (at % size.roles, random.below(size.permissions))).collect();
        let parents: Vec<_> =
            (0..size.roles).filter(|at| at % size.depth + 1 < size.depth).map(|at| (at, at + 1)).collect();
        let grants: Vec<_> = (0..size.grants).map(|at| (at % size.users, random.below(size.roles))).collect();

        let mut builder = Catalog::builder();
        for number in 0..size.permissions {
            builder = builder.permission(&permission(number), "");
        }
        let catalog = builder.build()?;
        let mut roles: Vec<Role> =
            (0..size.roles).map(|at| Role::new(&role(at))).collect::<Result<_, _>>()?;
        for (at, number) in &rules {
            if let Some(role) = roles.get_mut(*at) {
                role.rules.push(Rule::allow(&permission(*number))?);
            }
        }
        for (at, parent) in &parents {
            if let Some(at) = roles.get_mut(*at) {
                at.parents.push(RoleId::new(role(*parent))?);
            }
        }
        let mut items: Vec<Item> = Vec::new();
        if rich {
            for role in roles.iter_mut().step_by(5) {
                role.rules.push(Rule::deny(&permission(random.below(size.permissions)))?);
            }
            for team in 1..20_usize {
                let parents = vec![team_area(team / 4)?];
                items.push(Item::Place(Place { area: team_area(team)?, parents }));
            }
        }
        items.extend(roles.into_iter().map(Item::Role));
        for (number, (who, at)) in (1_u128..).zip(&grants) {
            let mut new = NewGrant::new(Principal::user(user(*who))?.into(), &role(*at), "a benchmark")?;
            if rich {
                new = new.in_area(team_area(random.below(20))?);
                new = new.during(Window::between(now() - TimeDelta::days(9), now() + TimeDelta::days(9))?);
            }
            let id = GrantId::new(uuid::Uuid::from_u128(number));
            items.push(Item::Grant(Grant::of(new, id, Principal::user("giver")?, now())));
        }
        let policy = Policy::of(items);
        let snapshot = Snapshot::compile(&policy, &catalog, Revision::new(1))?;
        Ok(Self { size, rules, parents, grants, catalog, policy, snapshot })
    }

    /// Users and permissions to ask about; every second one is likely to be allowed.
    pub(crate) fn questions(&self, count: usize) -> Vec<(usize, usize)> {
        let mut random = Random(99);
        (0..count)
            .map(|number| {
                let (who, mut at) =
                    self.grants.get(random.below(self.grants.len())).copied().unwrap_or_default();
                if number % 2 == 1 {
                    return (who, random.below(self.size.permissions));
                }
                // The deepest role of its row.
                while let Some((_, parent)) =
                    self.parents.get(self.parents.partition_point(|(role, _)| *role < at))
                {
                    if *parent != at + 1 {
                        break;
                    }
                    at = *parent;
                }
                let given = self.rules.iter().find(|(role, _)| *role == at);
                (who, given.map_or(0, |(_, permission)| *permission))
            })
            .collect()
    }

    /// What the naive model says.
    pub(crate) fn reference(&self, who: usize, number: usize, area: Option<&Area>) -> Result<bool, Failure> {
        let (who, permission) =
            (Principal::new(ActorKind::User, user(who))?, Permission::new(permission(number))?);
        let question = Question {
            who: &who,
            permission: &permission,
            areas: area.map(std::slice::from_ref).unwrap_or_default(),
            active: None,
            holds: &|_| None,
            means: &|rule, permission| rule.permissions.matches(permission),
        };
        Ok(reference::decide(&self.policy, &question, now()).is_allowed())
    }
}

/// The tenant, and teams in each other.
pub(crate) fn team_area(number: usize) -> Result<Area, guardian_rbac::InvalidName> {
    if number == 0 { Ok(Area::tenant()) } else { Area::new("team", format!("team{number}")) }
}

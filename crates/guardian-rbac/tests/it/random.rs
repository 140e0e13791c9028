//! Policies and questions at random, by a seed.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use guardian_core::ActorKind;
use guardian_rbac::testkit::reference;
use guardian_rbac::{
    Area, Ask, Catalog, Change, Condition, Effect, Grant, GrantId, GroupId, Item, Key, Membership, NewGrant,
    Outcome, Permission, Place, Policy, Principal, Resource, Role, RoleId, Rule, Session, Snapshot, Subject,
    Window,
};

pub(crate) type Time = DateTime<Utc>;

/// `SplitMix64`.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(most).unwrap()).unwrap()
    }

    pub(crate) fn hours(&mut self, most: u32) -> i64 {
        i64::try_from(self.next() % u64::from(most)).unwrap()
    }

    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}

pub(crate) static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let mut builder = Catalog::builder();
    for thing in ["deal", "note", "mail"] {
        for action in ["read", "edit", "export"] {
            builder = builder.permission(&format!("{thing}:{action}"), "");
        }
    }
    // So many that rows have more than one word.
    for extra in 0..60 {
        builder = builder.permission(&format!("extra:{extra}"), "");
    }
    builder.permission("last:read", "").permission("last:edit", "").build().unwrap()
});

pub(crate) const PATTERNS: [&str; 12] = [
    "deal:read",
    "deal:edit",
    "deal:export",
    "deal:*",
    "note:read",
    "note:*",
    "*:read",
    "mail:edit",
    "last:read",
    "last:*",
    "*",
    "*:edit",
];

pub(crate) static PERMISSIONS: LazyLock<Vec<Permission>> = LazyLock::new(|| {
    [
        "deal:read",
        "deal:edit",
        "deal:export",
        "note:read",
        "note:edit",
        "mail:edit",
        "mail:read",
        "last:read",
        "last:edit",
    ]
    .iter()
    .map(|name| Permission::new(name).unwrap())
    .collect()
});

static CONDITIONS: LazyLock<Vec<(Condition, Option<bool>)>> = LazyLock::new(|| {
    [
        ("context.yes", Some(true)),
        ("context.no", Some(false)),
        ("context.gone", None),
        ("resource.amount < 100 && principal.kind == 'user'", Some(true)),
        ("resource.amount > 100", Some(false)),
        ("permission.startsWith('never')", Some(false)),
    ]
    .map(|(text, value)| (Condition::new(text).unwrap(), value))
    .to_vec()
});

pub(crate) fn time(hours: i64) -> Time {
    DateTime::from_timestamp(1_780_000_000, 0).unwrap() + TimeDelta::hours(hours)
}

pub(crate) fn user(number: usize) -> Principal {
    Principal::new(if number == 3 { ActorKind::Service } else { ActorKind::User }, format!("u{number}"))
        .unwrap()
}

pub(crate) fn group(number: usize) -> GroupId {
    GroupId::new(format!("g{number}")).unwrap()
}

pub(crate) fn area(number: usize) -> Area {
    if number == 0 { Area::tenant() } else { Area::new("team", format!("t{number}")).unwrap() }
}

pub(crate) const USERS: usize = 5;
pub(crate) const GROUPS: usize = 4;
pub(crate) const AREAS: usize = 7;

/// What random policies may contain.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) roles: usize,
    /// Each role inherits from the one before: a chain of this length.
    pub(crate) chain: bool,
    pub(crate) hours: bool,
    pub(crate) conditions: bool,
}

pub(crate) fn window(random: &mut Random, hours: bool) -> Window {
    let window = match random.below(6) {
        0 => Window::from(time(random.hours(60))),
        1 => Window::until(time(random.hours(60))),
        2 => {
            let from = random.hours(50);
            Window::between(time(from), time(from + 1 + random.hours(20))).unwrap()
        }
        _ => Window::always(),
    };
    if hours && random.one_in(6) {
        let hours =
            ["mon-fri 09:00-17:00 Europe/Vienna", "daily 22:00-06:00 UTC", "sat,sun 00:00-24:00 -05:00"];
        return window.with_hours(random.pick(&hours).parse().unwrap());
    }
    window
}

pub(crate) fn role_id(number: usize) -> RoleId {
    RoleId::new(format!("r{number}")).unwrap()
}

pub(crate) fn role(random: &mut Random, number: usize, shape: Shape) -> Role {
    let mut role = Role::new(role_id(number).as_str()).unwrap();
    if shape.chain && number > 0 {
        role = role.inherits(role_id(number - 1).as_str()).unwrap();
    } else if number > 0 {
        for _ in 0..random.below(3) {
            role = role.inherits(role_id(random.below(number)).as_str()).unwrap();
        }
    }
    let rules = if shape.chain && !random.one_in(8) { 0 } else { random.below(4) };
    for _ in 0..rules {
        let pattern = random.pick(&PATTERNS);
        let mut rule = if random.one_in(4) { Rule::deny(pattern) } else { Rule::allow(pattern) }.unwrap();
        if random.one_in(4) {
            rule = rule.in_area(area(random.below(AREAS)));
        }
        if random.one_in(5) {
            rule = rule.during(window(random, shape.hours));
        }
        if shape.conditions && random.one_in(5) {
            rule = rule.when(random.pick(&CONDITIONS).0.clone());
        }
        role = role.with(rule);
    }
    role
}

pub(crate) fn subject(random: &mut Random) -> Subject {
    match random.below(12) {
        // Seldom, for what everyone has sends every check the general way.
        0 if random.one_in(4) => Subject::Everyone,
        1..=4 => Subject::Group(group(random.below(GROUPS))),
        _ => Subject::Principal(user(random.below(USERS))),
    }
}

pub(crate) fn grant(random: &mut Random, number: usize, shape: Shape, parents: &[Grant]) -> Grant {
    let id = GrantId::new(uuid::Uuid::from_u128(number as u128 + 1));
    let role = role_id(random.below(shape.roles));
    let mut new = NewGrant::new(subject(random), role.as_str(), "a test").unwrap();
    new = new.in_area(area(random.below(AREAS))).during(window(random, shape.hours));
    if shape.conditions && random.one_in(6) {
        new = new.when(random.pick(&CONDITIONS).0.clone());
    }
    let mut grant = Grant::of(new, id, user(0), time(0));
    if !parents.is_empty() && random.one_in(4) {
        let parent = random.pick(parents);
        grant.parent = Some(parent.id);
        if !random.one_in(4) {
            grant.role = parent.role.clone();
            grant.area = parent.area.clone();
        }
    }
    grant
}

pub(crate) fn membership(random: &mut Random, shape: Shape) -> Membership {
    let at = random.below(GROUPS);
    // A group is only in those behind it, so there is no cycle.
    let member = match random.below(4) {
        0 if at > 0 => Subject::Group(group(random.below(at))),
        1 if random.one_in(4) => Subject::Everyone,
        _ => Subject::Principal(user(random.below(USERS))),
    };
    Membership::new(group(at), member).during(window(random, shape.hours))
}

pub(crate) fn place(random: &mut Random) -> Place {
    let at = 2 + random.below(AREAS - 2);
    let parents: BTreeSet<Area> = (0..1 + random.below(2)).map(|_| area(1 + random.below(at - 1))).collect();
    Place { area: area(at), parents: parents.into_iter().collect() }
}

pub(crate) fn policy(random: &mut Random, shape: Shape) -> Policy {
    let mut policy = Policy::new();
    let mut put = |item| policy.apply(Change::Put(item));
    for number in 0..shape.roles {
        put(Item::Role(role(random, number, shape)));
    }
    for _ in 0..random.below(6) {
        put(Item::Place(place(random)));
    }
    for _ in 0..random.below(8) {
        put(Item::Membership(membership(random, shape)));
    }
    let mut grants: Vec<Grant> = Vec::new();
    for number in 0..2 + random.below(9) {
        let made = grant(random, number, shape, &grants);
        put(Item::Grant(made.clone()));
        grants.push(made);
    }
    policy
}

/// A change that keeps the policy in order.
pub(crate) fn change(random: &mut Random, policy: &Policy, shape: Shape) -> Change {
    let mut grants: Vec<Grant> = policy.grants().map(|grant| (**grant).clone()).collect();
    grants.sort_by_key(|grant| grant.id);
    match random.below(8) {
        0 => {
            let number = random.below(shape.roles);
            Change::Put(Item::Role(role(random, number, shape)))
        }
        1 => Change::Put(Item::Place(place(random))),
        2 => Change::Put(Item::Membership(membership(random, shape))),
        3 => {
            let mut all: Vec<_> =
                policy.memberships().map(|each| (each.group.clone(), each.member.clone())).collect();
            all.sort();
            match all.is_empty() {
                true => Change::Put(Item::Membership(membership(random, shape))),
                false => {
                    let (group, member) = random.pick(&all).clone();
                    Change::Remove(Key::Membership(group, member))
                }
            }
        }
        4 => match grants.is_empty() {
            true => Change::Put(Item::Place(place(random))),
            false => Change::Remove(Key::Grant(random.pick(&grants).id)),
        },
        // In the place of another, or new. Parents have smaller numbers, so there is no cycle.
        _ => {
            let number = random.below(14);
            let parents: Vec<Grant> =
                grants.into_iter().filter(|grant| grant.id.uuid().as_u128() < number as u128 + 1).collect();
            Change::Put(Item::Grant(grant(random, number, shape, &parents)))
        }
    }
}

pub(crate) fn means(rule: &Rule, permission: &Permission) -> bool {
    rule.permissions.matches(permission)
}

/// A question, the answer of the snapshot and that of the reference.
pub(crate) fn ask(
    random: &mut Random,
    policy: &Policy,
    snapshot: &Snapshot,
    now: Time,
) -> (String, Outcome, Outcome) {
    let who = user(random.below(USERS + 1));
    let permission = random.pick(&PERMISSIONS).clone();
    let facts = serde_json::json!({ "amount": 50 });
    let context = serde_json::json!({ "yes": true, "no": false });
    let within: Vec<Area> = (0..random.below(3)).map(|_| area(1 + random.below(AREAS))).collect();
    let own = area(random.below(AREAS + 1));
    let resource = Resource::area(&own).within(&within).with_facts(&facts);
    let mut session = None;
    if random.one_in(5) {
        let mut made = Session::new(who.clone());
        for _ in 0..2 {
            // Most often one that is not held.
            let _ = made.activate(snapshot, &role_id(random.below(9)), now);
        }
        session = Some(made);
    }
    let mut ask = Ask::new(&who, &permission).on(resource).in_context(&context);
    if let Some(session) = &session {
        ask = ask.in_session(session);
    }
    let decided = snapshot.check(&ask, now).unwrap();
    if within.is_empty()
        && session.is_none()
        && let (Some(who), Some(own)) = (snapshot.principal(&who), snapshot.area(&own))
        && !policy.roles().any(|role| role.rules.iter().any(|rule| rule.condition.is_some()))
        && !policy.grants().any(|grant| grant.condition.is_some())
    {
        let handle = CATALOG.handle(permission.as_str()).unwrap();
        assert_eq!(snapshot.check_handles(who, handle, own, now).unwrap(), decided.outcome());
    }
    if random.one_in(16) {
        let explained = snapshot.explain(&ask, now).unwrap();
        assert_eq!(explained.decision, decided);
        let decisive = matches!(decided.outcome(), Outcome::Allow | Outcome::Forbidden);
        assert_eq!(explained.because.as_ref().map(|chain| chain.grant), decided.grant(), "{explained}");
        assert_eq!(explained.because.is_some(), decisive, "{explained}");
        let effect = explained.because.as_ref().and_then(|chain| chain.effect);
        let wanted = if decided.outcome() == Outcome::Forbidden { Effect::Deny } else { Effect::Allow };
        assert!(!decisive || effect == Some(wanted), "{explained}");
    }
    let areas: Vec<Area> =
        std::iter::once(own.clone()).chain(within.clone()).filter(|area| !area.is_tenant()).collect();
    let active: Option<BTreeSet<RoleId>> =
        session.as_ref().map(|session| session.active().cloned().collect());
    let holds = |condition: &Condition| {
        let (_, value) = CONDITIONS.iter().find(|(known, _)| known == condition).unwrap();
        if condition.as_str().contains("principal.kind") {
            Some(who.kind() == ActorKind::User)
        } else {
            *value
        }
    };
    let question = reference::Question {
        who: &who,
        permission: &permission,
        areas: &areas,
        active: active.as_ref(),
        holds: &holds,
        means: &means,
    };
    let wanted = reference::decide(policy, &question, now);
    let text = format!("{who} {permission} on {own} in {within:?} at {now} active {active:?}");
    (text, decided.outcome(), wanted)
}

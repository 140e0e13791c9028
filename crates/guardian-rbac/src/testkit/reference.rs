//! The plain definition of a decision: everything is looked up anew, nothing is compiled. Slow, short, and what the
//! snapshot is held against.

use std::collections::BTreeSet;

use guardian_core::Timestamp;

use crate::{
    Area, Condition, Effect, Grant, Outcome, Permission, Policy, Principal, Role, RoleId, Rule, Subject,
    Window, WindowState,
};

/// A question to the reference.
#[expect(missing_debug_implementations, reason = "a closure has none")]
#[expect(clippy::exhaustive_structs, reason = "tests make it")]
pub struct Question<'a> {
    /// Who asks.
    pub who: &'a Principal,
    /// For what.
    pub permission: &'a Permission,
    /// The areas that the resource is or lies in directly.
    pub areas: &'a [Area],
    /// The active roles, in a session.
    pub active: Option<&'a BTreeSet<RoleId>>,
    /// What a condition comes to; `None` where it fails.
    pub holds: &'a dyn Fn(&Condition) -> Option<bool>,
    /// Whether a pattern means the permission: patterns are settled against a catalog.
    pub means: &'a dyn Fn(&Rule, &Permission) -> bool,
}

/// The decision.
#[must_use]
pub fn decide(policy: &Policy, question: &Question<'_>, now: Timestamp) -> Outcome {
    let mut tally = Tally::default();
    for start in [Subject::Principal(question.who.clone()), Subject::Everyone] {
        holders(policy, &start, &mut Vec::new(), &mut |holder, ways| {
            for grant in policy.grants().filter(|grant| grant.subject == *holder) {
                judge(policy, question, grant, ways, now, &mut tally);
            }
        });
    }
    match tally {
        Tally { deny: true, .. } => Outcome::Forbidden,
        Tally { allow: true, .. } => Outcome::Allow,
        Tally { not_yet: Some(at), .. } => Outcome::NotYetActive { at },
        Tally { expired: Some(at), .. } => Outcome::Expired { at },
        _ => Outcome::NotPermitted,
    }
}

#[derive(Default)]
struct Tally {
    deny: bool,
    allow: bool,
    not_yet: Option<Timestamp>,
    expired: Option<Timestamp>,
}

impl Tally {
    fn missed(&mut self, state: WindowState) {
        match state {
            WindowState::NotYet { at } => self.not_yet = Some(self.not_yet.map_or(at, |other| other.min(at))),
            WindowState::Over { at } => self.expired = Some(self.expired.map_or(at, |other| other.max(at))),
            WindowState::Open => {}
        }
    }
}

/// The subject and every group that it is in, on each way with the windows of that way.
fn holders<'p>(
    policy: &'p Policy,
    subject: &Subject,
    ways: &mut Vec<&'p Window>,
    found: &mut dyn FnMut(&Subject, &[&'p Window]),
) {
    found(subject, ways);
    for membership in policy.memberships().filter(|membership| membership.member == *subject) {
        ways.push(&membership.window);
        holders(policy, &Subject::Group(membership.group.clone()), ways, found);
        ways.pop();
    }
}

fn judge(
    policy: &Policy,
    question: &Question<'_>,
    grant: &Grant,
    ways: &[&Window],
    now: Timestamp,
    tally: &mut Tally,
) {
    // What was passed on holds as far as that which it was passed on from.
    let mut chain: Vec<&Grant> = vec![grant];
    let mut at = grant;
    while let Some(parent) = at.parent {
        let Some(parent) = policy.grant(parent) else { return };
        if !reaches(policy, &parent.role, &at.role) || !lies_in(policy, &at.area, &parent.area) {
            return;
        }
        chain.push(parent);
        at = parent;
    }
    if !is_in(policy, question, &grant.area) {
        return;
    }
    let roles = roles_below(policy, &grant.role);
    let about = |role: &&Role, plain: bool| -> Vec<Rule> {
        let rules = role.rules.iter().filter(|rule| is_plain(rule) == plain);
        rules.filter(|rule| (question.means)(rule, question.permission)).cloned().collect()
    };
    let is_active = |holder: &RoleId| {
        question.active.is_none_or(|active| {
            active.iter().any(|each| {
                policy.role(each).is_some()
                    && reaches(policy, &grant.role, each)
                    && reaches(policy, each, holder)
            })
        })
    };
    let (mut plain_deny, mut plain_allow, mut special) = (false, false, Vec::new());
    for role in &roles {
        for rule in about(role, true) {
            match rule.effect {
                Effect::Deny => plain_deny = true,
                Effect::Allow => plain_allow |= is_active(&role.id),
            }
        }
        for rule in about(role, false) {
            if is_in(policy, question, &rule.area) && (rule.effect == Effect::Deny || is_active(&role.id)) {
                special.push(rule);
            }
        }
    }
    let mut windows: Vec<&Window> = ways.to_vec();
    windows.extend(chain.iter().map(|grant| &grant.window));
    let state = at_once(&windows, now);
    if state != WindowState::Open {
        let would = plain_allow || special.iter().any(|rule| rule.effect == Effect::Allow);
        if would && !plain_deny {
            tally.missed(state);
        }
        return;
    }
    let conditions: Vec<Option<bool>> = chain
        .iter()
        .filter_map(|grant| grant.condition.as_ref())
        .map(|condition| (question.holds)(condition))
        .collect();
    if conditions.contains(&Some(false)) {
        return;
    }
    let failed = conditions.contains(&None);
    if plain_deny {
        tally.deny = true;
        return;
    }
    if plain_allow && !failed {
        tally.allow = true;
    }
    for rule in special {
        if rule.effect == Effect::Allow && failed {
            continue;
        }
        let mut all = windows.clone();
        all.push(&rule.window);
        // The hours of the grant are open; only those of the rule are asked for when it opens.
        let state = match at_once(&all, now) {
            WindowState::Open => WindowState::Open,
            _ => of_rule(&windows, &rule.window, now),
        };
        if state != WindowState::Open {
            if rule.effect == Effect::Allow {
                tally.missed(state);
            }
            continue;
        }
        let holds = rule.condition.as_ref().map_or(Some(true), |condition| (question.holds)(condition));
        match (rule.effect, holds) {
            (Effect::Deny, Some(true) | None) => tally.deny = true,
            (Effect::Allow, Some(true)) => tally.allow = true,
            _ => {}
        }
    }
}

fn is_plain(rule: &Rule) -> bool {
    rule.area.is_tenant() && rule.window.is_always() && rule.condition.is_none()
}

/// Where a time is in all of these windows.
fn at_once(windows: &[&Window], now: Timestamp) -> WindowState {
    if let Some(end) = windows.iter().filter_map(|window| window.end()).min().filter(|end| now >= *end) {
        return WindowState::Over { at: end };
    }
    let start = windows.iter().filter_map(|window| window.start()).max().map_or(now, |start| start.max(now));
    let end = windows.iter().filter_map(|window| window.end()).min();
    let mut opens = start;
    for hours in windows.iter().filter_map(|window| window.hours()) {
        match hours.next_open(start) {
            Some(next) => opens = opens.max(next),
            None => return WindowState::Over { at: now },
        }
    }
    if end.is_some_and(|end| opens >= end) {
        WindowState::Over { at: now }
    } else if opens > now {
        WindowState::NotYet { at: opens }
    } else {
        WindowState::Open
    }
}

fn of_rule(outer: &[&Window], rule: &Window, now: Timestamp) -> WindowState {
    let bounds: Vec<Window> =
        outer.iter().filter_map(|window| Window::new(window.start(), window.end()).ok()).collect();
    let mut all: Vec<&Window> = bounds.iter().collect();
    all.push(rule);
    at_once(&all, now)
}

fn is_in(policy: &Policy, question: &Question<'_>, area: &Area) -> bool {
    area.is_tenant() || question.areas.iter().any(|own| lies_in(policy, own, area))
}

fn lies_in(policy: &Policy, area: &Area, other: &Area) -> bool {
    other.is_tenant()
        || area == other
        || policy
            .place(area)
            .is_some_and(|place| place.parents.iter().any(|parent| lies_in(policy, parent, other)))
}

fn reaches(policy: &Policy, role: &RoleId, other: &RoleId) -> bool {
    roles_below(policy, role).iter().any(|role| role.id == *other)
}

fn roles_below<'p>(policy: &'p Policy, role: &RoleId) -> Vec<&'p Role> {
    let mut found: Vec<&Role> = Vec::new();
    let mut waiting = vec![role.clone()];
    while let Some(id) = waiting.pop() {
        if let Some(role) = policy.role(&id)
            && !found.iter().any(|known| known.id == id)
        {
            found.push(role);
            waiting.extend(role.parents.iter().cloned());
        }
    }
    found
}

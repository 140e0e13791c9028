//! The one way through a snapshot by which everything is decided and explained.

use arrayvec::ArrayVec;
use chrono::DateTime;
use guardian_core::Timestamp;

use super::areas::{AreaTable, TENANT};
use super::people::{Block, Cold, Link, Person, Slot};
use super::roles::{Special, place};
use super::{NOBODY, Snapshot};
use crate::condition::Facts;
use crate::{Ask, Decision, Effect, Outcome, PermissionHandle, Recurrence, Resource, WindowState};

/// How many areas a resource may lie in directly before that costs an allocation.
const FEW: usize = 4;

/// Where a resource is: for each area that it lies in, that one and all above it.
#[derive(Debug)]
pub(crate) struct Places<'s> {
    few: ArrayVec<&'s [u32], FEW>,
    more: Vec<&'s [u32]>,
}

impl<'s> Places<'s> {
    #[inline]
    pub(crate) fn one(within: &'s [u32]) -> Self {
        let mut few = ArrayVec::new();
        few.push(within);
        Self { few, more: Vec::new() }
    }

    #[inline]
    pub(crate) fn of(areas: &'s AreaTable, resource: &Resource<'_>) -> Self {
        let mut places = Self { few: ArrayVec::new(), more: Vec::new() };
        let given = resource.within.iter().map(|area| (area.kind(), area.id()));
        for (kind, id) in resource.own.into_iter().chain(given) {
            if let Some(area) = areas.find(kind, id)
                && let Err(full) = places.few.try_push(areas.within(area))
            {
                places.more.push(full.element());
            }
        }
        places
    }

    #[inline]
    fn contain(&self, area: u32) -> bool {
        area == TENANT || self.few.iter().chain(&self.more).any(|within| within.contains(&area))
    }
}

/// What became of a grant or one of its rules.
#[derive(Debug)]
pub(crate) enum Fate<'s> {
    /// It gives or takes.
    Decides(Effect),
    /// It is about other areas.
    Elsewhere,
    /// It would, at another time.
    Closed(WindowState),
    /// A condition does not hold, or failed for this reason.
    Unmet(&'s crate::Condition, Option<guardian_expr::EvalError>),
    /// Its role is not active in the session.
    Inactive,
}

/// What is said about a grant: through which group, by which special rule.
#[derive(Debug)]
pub(crate) struct Note<'s> {
    pub(crate) slot: &'s Slot,
    pub(crate) cold: &'s Cold,
    pub(crate) link: Option<&'s Link>,
    pub(crate) rule: Option<(u32, &'s Special)>,
    pub(crate) fate: Fate<'s>,
}

/// Who listens to the walk.
pub(crate) trait Listener<'s> {
    /// Whether anybody does.
    const LISTENS: bool;

    fn note(&mut self, note: Note<'s>);
}

/// Nobody.
pub(crate) struct Quiet;

impl<'s> Listener<'s> for Quiet {
    const LISTENS: bool = false;

    #[inline]
    fn note(&mut self, _: Note<'s>) {}
}

type Decider<'s> = Option<(&'s Slot, &'s Cold)>;

/// What was found so far.
struct Found<'s> {
    allow: Decider<'s>,
    deny: Decider<'s>,
    /// The latest end of what is over.
    expired: i64,
    /// The earliest start of what is not open yet.
    not_yet: i64,
}

pub(crate) struct Walk<'s, 'a> {
    snapshot: &'s Snapshot,
    permission: PermissionHandle,
    word: usize,
    mask: u64,
    places: &'a Places<'s>,
    time: Timestamp,
    ask: Option<&'a Ask<'a>>,
    area: Option<u32>,
    /// The roles that are active, where a session says so.
    active: Option<&'a [u32]>,
}

impl<'s, 'a> Walk<'s, 'a> {
    #[inline]
    pub(crate) fn new(
        snapshot: &'s Snapshot,
        permission: PermissionHandle,
        places: &'a Places<'s>,
        time: Timestamp,
        ask: Option<&'a Ask<'a>>,
        area: Option<u32>,
        active: Option<&'a [u32]>,
    ) -> Self {
        let (word, mask) = place(permission);
        Self { snapshot, permission, word, mask, places, time, ask, area, active }
    }

    #[inline]
    pub(crate) fn outcome<L: Listener<'s>>(&self, who: Option<(u32, u32)>, listener: &mut L) -> Outcome {
        self.conclude(&self.run(who, listener)).0
    }

    #[inline]
    pub(crate) fn decide<L: Listener<'s>>(&self, who: Option<(u32, u32)>, listener: &mut L) -> Decision {
        let found = self.run(who, listener);
        let (outcome, by) = self.conclude(&found);
        Decision {
            outcome,
            grant: by.map(|(_, cold)| cold.id),
            revision: self.snapshot.revision,
            emergency: by.is_some_and(|(_, cold)| cold.emergency),
        }
    }

    /// For lists: the outcome for a person at hand. It does not count as a use.
    #[inline]
    pub(crate) fn outcome_of(&self, person: Person<'s>) -> Outcome {
        self.weigh(&self.run_for(person, &mut Quiet)).0
    }

    #[inline]
    fn run<L: Listener<'s>>(&self, who: Option<(u32, u32)>, listener: &mut L) -> Found<'s> {
        let person = who.and_then(|at| self.snapshot.people.person(at)).unwrap_or_default();
        self.run_for(person, listener)
    }

    #[inline]
    fn run_for<L: Listener<'s>>(&self, person: Person<'s>, listener: &mut L) -> Found<'s> {
        let mut found = Found { allow: None, deny: None, expired: i64::MIN, not_yet: i64::MAX };
        let everyone = self.snapshot.people.everyone();
        // A deny ends it.
        let _ = self.person(person, &mut found, listener) || self.person(everyone, &mut found, listener);
        found
    }

    /// The outcome, and notes the use of the grant that it rests on.
    #[inline]
    fn conclude(&self, found: &Found<'s>) -> (Outcome, Decider<'s>) {
        let (outcome, by) = self.weigh(found);
        if let Some((slot, _)) = by {
            slot.touch();
        }
        (outcome, by)
    }

    #[inline]
    fn weigh(&self, found: &Found<'s>) -> (Outcome, Decider<'s>) {
        let time = |micros| DateTime::from_timestamp_micros(micros).unwrap_or(self.time);
        if found.deny.is_some() {
            (Outcome::Forbidden, found.deny)
        } else if found.allow.is_some() {
            (Outcome::Allow, found.allow)
        } else if found.not_yet != i64::MAX {
            (Outcome::NotYetActive { at: time(found.not_yet) }, None)
        } else if found.expired != i64::MIN {
            (Outcome::Expired { at: time(found.expired) }, None)
        } else {
            (Outcome::NotPermitted, None)
        }
    }

    #[inline]
    fn person<L: Listener<'s>>(&self, person: Person<'s>, found: &mut Found<'s>, listener: &mut L) -> bool {
        if self.slots(person.slots, person.cold, None, found, listener) {
            return true;
        }
        for link in person.links {
            if let Some(Block { slots, cold }) = self.snapshot.people.group(link.group)
                && self.slots(slots, cold, Some(link), found, listener)
            {
                return true;
            }
        }
        false
    }

    /// Whether a rule took it.
    #[inline]
    fn slots<L: Listener<'s>>(
        &self,
        slots: &'s [Slot],
        cold: &'s [Cold],
        link: Option<&'s Link>,
        found: &mut Found<'s>,
        listener: &mut L,
    ) -> bool {
        let roles = &*self.snapshot.roles;
        for (slot, cold) in slots.iter().zip(cold) {
            let cell = roles.cell(slot.role, self.word);
            if (cell.allow | cell.deny | cell.special) & self.mask == 0 {
                continue;
            }
            let note = |rule, fate| Note { slot, cold, link, rule, fate };
            if !self.places.contain(slot.area) {
                if L::LISTENS {
                    listener.note(note(None, Fate::Elsewhere));
                }
                continue;
            }
            let denied = cell.deny & self.mask != 0;
            let mut gives = cell.allow & self.mask != 0 && self.is_active(slot.role, note, listener);
            let mut takes_only = false;
            let (mut from, mut until) = (slot.from, slot.until);
            if let Some(link) = link {
                (from, until) = (from.max(link.from), until.min(link.until));
            }
            let hours = slot.cold || link.is_some_and(|link| !link.hours.is_empty());
            if slot.timed || link.is_some() || hours {
                let now = self.time.timestamp_micros();
                if now < from || now >= until || hours {
                    let state = self.state(from, until, hours.then_some((cold, link)));
                    if state != WindowState::Open {
                        self.closed(state, !denied && (gives || self.gives_specially(slot.role)), found);
                        if L::LISTENS {
                            listener.note(note(None, Fate::Closed(state)));
                        }
                        continue;
                    }
                    if slot.cold
                        && let Some((condition, error)) = self.unmet(cold)
                    {
                        // Where it cannot be told whether a role is held, what it takes is taken and what it gives is not
                        // given.
                        takes_only = error.is_some();
                        gives = false;
                        if L::LISTENS {
                            listener.note(note(None, Fate::Unmet(condition, error)));
                        }
                        if !takes_only {
                            continue;
                        }
                    }
                }
            }
            if denied {
                if L::LISTENS {
                    listener.note(note(None, Fate::Decides(Effect::Deny)));
                }
                found.deny = Some((slot, cold));
                return true;
            }
            if gives {
                if L::LISTENS {
                    listener.note(note(None, Fate::Decides(Effect::Allow)));
                }
                found.allow = found.allow.or(Some((slot, cold)));
            }
            if cell.special & self.mask != 0
                && self.special((slot, cold, link), (from, until), takes_only, found, listener)
            {
                return true;
            }
        }
        false
    }

    /// Whether the session lets the role's plain rule give this.
    #[inline]
    fn is_active<L: Listener<'s>>(
        &self,
        role: u32,
        note: impl Fn(Option<(u32, &'s Special)>, Fate<'s>) -> Note<'s>,
        listener: &mut L,
    ) -> bool {
        let Some(active) = self.active else { return true };
        let roles = &self.snapshot.roles;
        let open = active
            .iter()
            .any(|each| roles.cell(*each, self.word).allow & self.mask != 0 && roles.includes(role, *each));
        if !open && L::LISTENS {
            listener.note(note(None, Fate::Inactive));
        }
        open
    }

    /// The rules of the role that have an area, a window or a condition.
    #[cold]
    fn special<L: Listener<'s>>(
        &self,
        (slot, cold, link): (&'s Slot, &'s Cold, Option<&'s Link>),
        (from, until): (i64, i64),
        takes_only: bool,
        found: &mut Found<'s>,
        listener: &mut L,
    ) -> bool {
        let roles = &self.snapshot.roles;
        for holder in roles.with_special(slot.role) {
            let rules = roles.own(*holder).map(|own| own.special.as_slice()).unwrap_or_default();
            for rule in rules.iter().filter(|rule| rule.is_about(self.word, self.mask)) {
                let mut say = |fate| {
                    if L::LISTENS {
                        listener.note(Note { slot, cold, link, rule: Some((*holder, rule)), fate });
                    }
                };
                if !self.places.contain(rule.area) {
                    say(Fate::Elsewhere);
                    continue;
                }
                let denies = rule.effect == Effect::Deny;
                if !denies && takes_only {
                    continue;
                }
                if !denies && !self.holder_is_active(slot.role, *holder) {
                    say(Fate::Inactive);
                    continue;
                }
                let state = self.rule_state(rule, from.max(rule.from), until.min(rule.until));
                if state != WindowState::Open {
                    self.closed(state, !denies, found);
                    say(Fate::Closed(state));
                    continue;
                }
                if let Some(condition) = &rule.condition {
                    match self.holds(condition) {
                        Ok(true) => {}
                        Err(_) if denies => {}
                        failed => {
                            say(Fate::Unmet(condition, failed.err()));
                            continue;
                        }
                    }
                }
                say(Fate::Decides(rule.effect));
                if denies {
                    found.deny = Some((slot, cold));
                    return true;
                }
                found.allow = found.allow.or(Some((slot, cold)));
            }
        }
        false
    }

    fn holder_is_active(&self, role: u32, holder: u32) -> bool {
        let Some(active) = self.active else { return true };
        let roles = &self.snapshot.roles;
        active.iter().any(|each| roles.includes(role, *each) && roles.includes(*each, holder))
    }

    /// Whether a special rule of the role in this place would give it at some time.
    #[cold]
    fn gives_specially(&self, role: u32) -> bool {
        let roles = &self.snapshot.roles;
        roles.cell(role, self.word).special & self.mask != 0
            && roles.with_special(role).iter().any(|holder| {
                let rules = roles.own(*holder).map(|own| own.special.as_slice()).unwrap_or_default();
                self.holder_is_active(role, *holder)
                    && rules.iter().any(|rule| {
                        rule.effect == Effect::Allow
                            && rule.is_about(self.word, self.mask)
                            && self.places.contain(rule.area)
                    })
            })
    }

    /// Remembers when what would give it does.
    #[cold]
    fn closed(&self, state: WindowState, gives: bool, found: &mut Found<'s>) {
        match state {
            WindowState::NotYet { at } if gives => found.not_yet = found.not_yet.min(at.timestamp_micros()),
            WindowState::Over { at } if gives => found.expired = found.expired.max(at.timestamp_micros()),
            _ => {}
        }
    }

    #[cold]
    fn state(&self, from: i64, until: i64, hours: Option<(&Cold, Option<&Link>)>) -> WindowState {
        let grants =
            hours.iter().flat_map(|(cold, _)| cold.chain.iter()).filter_map(|grant| grant.window.hours());
        let ways = hours.iter().filter_map(|(_, link)| *link).flat_map(|link| &link.hours);
        combined(from, until, grants.chain(ways), self.time)
    }

    fn rule_state(&self, rule: &Special, from: i64, until: i64) -> WindowState {
        combined(from, until, rule.window.hours().into_iter(), self.time)
    }

    /// A condition of the grant, or of those that it was passed on from, that does not hold; else one that failed, and why.
    #[cold]
    fn unmet(&self, cold: &'s Cold) -> Option<(&'s crate::Condition, Option<guardian_expr::EvalError>)> {
        let mut failed = None;
        for condition in cold.chain.iter().filter_map(|grant| grant.condition.as_ref()) {
            match self.holds(condition) {
                Ok(true) => {}
                Ok(false) => return Some((condition, None)),
                Err(error) => failed = failed.or(Some((condition, Some(error)))),
            }
        }
        failed
    }

    #[cold]
    fn holds(&self, condition: &crate::Condition) -> Result<bool, guardian_expr::EvalError> {
        let permission = self.snapshot.catalog.permission(self.permission);
        let permission = permission.map_or("", crate::Permission::as_str);
        let named = self.area.and_then(|area| self.snapshot.areas.name(area)).map(Resource::area);
        let (who, about, resource, context) = match self.ask {
            Some(ask) => (ask.who, ask.about, ask.resource, ask.context),
            None => (NOBODY, None, named.unwrap_or_default(), None),
        };
        condition.holds(&Facts::new((who, about), &resource, context, permission, self.time))
    }
}

/// Where a time is in several windows at once.
pub(crate) fn combined<'h>(
    from: i64,
    until: i64,
    hours: impl Iterator<Item = &'h Recurrence>,
    now: Timestamp,
) -> WindowState {
    let micros = now.timestamp_micros();
    let at = |micros| DateTime::from_timestamp_micros(micros).unwrap_or(now);
    if micros >= until {
        return WindowState::Over { at: at(until) };
    }
    let start = if micros < from { at(from) } else { now };
    let mut opens = Some(start);
    for each in hours {
        // All of them are open at the latest of their openings, or later.
        opens = opens.and_then(|latest| each.next_open(start).map(|next| next.max(latest)));
    }
    match opens {
        Some(opens) if opens.timestamp_micros() >= until => WindowState::Over { at: now },
        Some(opens) if opens <= now => WindowState::Open,
        Some(opens) => WindowState::NotYet { at: opens },
        None => WindowState::Over { at: now },
    }
}

//! Who has what: the grants of each subject and the groups that it is in, side by side in memory.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::fast::FixedState;
use foldhash::{HashMap, HashMapExt as _};
use hashbrown::HashTable;

use super::areas::AreaTable;
use super::roles::{RoleTable, number};
use crate::principal::kind_number;
use crate::{Error, Grant, GrantId, GroupId, Policy, Principal, PrincipalRef, Recurrence, Subject};

/// How many shards there are; a change of one principal copies one.
pub(crate) const SHARDS: usize = 64;
/// The most ways on which somebody is in groups.
const MAX_LINKS: usize = 10_000;

/// A grant as a check reads it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) role: u32,
    pub(crate) area: u32,
    /// Whether it has a beginning or an end.
    pub(crate) timed: bool,
    /// Whether hours or conditions must be looked at as well.
    pub(crate) cold: bool,
    /// Whether it decided something since this was last asked.
    used: AtomicBool,
}

impl Clone for Slot {
    fn clone(&self) -> Self {
        Self { used: AtomicBool::new(self.used.load(Ordering::Relaxed)), ..*self }
    }
}

impl Slot {
    /// Notes that it decided something.
    #[inline]
    pub(crate) fn touch(&self) {
        // Most often it is noted already, and a write would take the line from other processors.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

/// What else there is to a grant: itself first, then those that it was passed on from.
#[derive(Debug, Clone)]
pub(crate) struct Cold {
    pub(crate) id: GrantId,
    pub(crate) emergency: bool,
    pub(crate) chain: Box<[Arc<Grant>]>,
}

impl Cold {
    pub(crate) fn grant(&self) -> Option<&Arc<Grant>> {
        self.chain.first()
    }
}

/// Grants in a row, with the rest of each at the same place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    pub(crate) slots: Vec<Slot>,
    pub(crate) cold: Vec<Cold>,
}

impl Block {
    /// The grants of this subject that hold at all.
    fn push_grants_of(&mut self, subject: &Subject, base: &mut Base<'_>) {
        for grant in base.policy.grants_of(subject) {
            if let Some((slot, cold)) = base.slot(grant) {
                self.slots.push(slot);
                self.cold.push(cold);
            }
        }
    }

    fn carry_uses(&mut self, old: &Self) {
        let used: HashMap<_, _> = old
            .slots
            .iter()
            .zip(&old.cold)
            .filter(|(slot, _)| slot.used.load(Ordering::Relaxed))
            .filter_map(|(_, cold)| Some((cold.grant()?.id, ())))
            .collect();
        if used.is_empty() {
            return;
        }
        for (slot, cold) in self.slots.iter().zip(&self.cold) {
            if cold.grant().is_some_and(|grant| used.contains_key(&grant.id)) {
                slot.touch();
            }
        }
    }
}

/// Somebody's way into a group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Link {
    pub(crate) group: u32,
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) hours: Vec<Recurrence>,
    /// The groups on the way, the nearest first, the group itself last.
    pub(crate) path: Arc<[u32]>,
}

/// Where in a shard the grants and the ways of somebody are.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    slots: (u32, u32),
    links: (u32, u32),
    /// The role of the first grant: most have one alone, and most questions end with what its role does not say.
    role: u32,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Shard {
    entries: Vec<Entry>,
    block: Block,
    links: Vec<Link>,
    names: Vec<Principal>,
    table: HashTable<u32>,
}

/// Everything that a check reads about one principal.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Person<'s> {
    pub(crate) slots: &'s [Slot],
    pub(crate) cold: &'s [Cold],
    pub(crate) links: &'s [Link],
}

/// What nearly every check reads about one principal, and no more.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Brief<'s> {
    pub(crate) slots: &'s [Slot],
    /// Whether it is in groups.
    pub(crate) linked: bool,
    /// The role of the first grant, which is at hand before the grant is.
    pub(crate) role: u32,
}

#[inline]
fn cut<T>(all: &[T], (start, len): (u32, u32)) -> &[T] {
    all.get(start as usize..start as usize + len as usize).unwrap_or_default()
}

impl Shard {
    #[inline]
    fn person(&self, at: u32) -> Option<Person<'_>> {
        let entry = self.entries.get(at as usize)?;
        Some(Person {
            slots: cut(&self.block.slots, entry.slots),
            cold: cut(&self.block.cold, entry.slots),
            links: cut(&self.links, entry.links),
        })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct People {
    hash: FixedState,
    shards: Vec<Arc<Shard>>,
    groups: Arc<Groups>,
    everyone: Arc<(Block, Vec<Link>)>,
    /// Whether everyone has nothing.
    only_own: bool,
    /// Whether a grant was passed on: its holding depends on roles and areas then.
    pub(crate) passes_on: bool,
}

#[derive(Debug, Clone, Default)]
struct Groups {
    index: HashMap<GroupId, u32>,
    names: Vec<GroupId>,
    blocks: Vec<Arc<Block>>,
}

/// What is to be compiled anew.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    pub(crate) all: bool,
    pub(crate) subjects: std::collections::BTreeSet<Subject>,
}

/// What grants are compiled with.
pub(crate) struct Base<'b> {
    pub(crate) policy: &'b Policy,
    pub(crate) roles: &'b RoleTable,
    pub(crate) areas: &'b mut AreaTable,
    pub(crate) passes_on: bool,
}

impl Base<'_> {
    /// The grant, unless it was passed on from one that is gone or no longer has as much.
    fn slot(&mut self, grant: &Arc<Grant>) -> Option<(Slot, Cold)> {
        let role = self.roles.index(&grant.role)?;
        let area = self.areas.intern(&grant.area);
        let (mut from, mut until) = grant.window.bounds();
        let mut cold = grant.window.hours().is_some() || grant.condition.is_some();
        let mut chain = vec![Arc::clone(grant)];
        let (mut role_below, mut area_below) = (role, area);
        let mut next = grant.parent;
        while let Some(id) = next {
            self.passes_on = true;
            let parent = self.policy.grant(id)?;
            let (role, area) = (self.roles.index(&parent.role)?, self.areas.intern(&parent.area));
            if !self.roles.includes(role, role_below) || !self.areas.lies_in(area_below, area) {
                return None;
            }
            let bounds = parent.window.bounds();
            (from, until) = (from.max(bounds.0), until.min(bounds.1));
            cold |= parent.window.hours().is_some() || parent.condition.is_some();
            chain.push(Arc::clone(parent));
            (role_below, area_below) = (role, area);
            next = parent.parent;
        }
        let timed = from != i64::MIN || until != i64::MAX;
        let slot = Slot { from, until, role, area, timed, cold, used: AtomicBool::new(false) };
        Some((slot, Cold { id: grant.id, emergency: grant.break_glass, chain: chain.into() }))
    }
}

impl People {
    pub(crate) fn empty(seed: u64) -> Self {
        Self {
            hash: FixedState::with_seed(seed),
            shards: (0..SHARDS).map(|_| Arc::default()).collect(),
            groups: Arc::new(Groups { index: HashMap::new(), ..Groups::default() }),
            everyone: Arc::default(),
            only_own: true,
            passes_on: false,
        }
    }

    #[inline]
    fn key(&self, kind: guardian_core::ActorKind, id: &str) -> u64 {
        let mut hasher = self.hash.build_hasher();
        hasher.write(id.as_bytes());
        hasher.write_u8(kind_number(kind));
        hasher.finish()
    }

    #[inline]
    fn shard_of(key: u64) -> usize {
        // The lower bits find the place in a shard's table, the highest seven are its tags.
        usize::try_from(key >> 40).unwrap_or(0) % SHARDS
    }

    /// Shard and place of a principal.
    #[inline]
    pub(crate) fn find(&self, who: PrincipalRef<'_>) -> Option<(u32, u32)> {
        let key = self.key(who.kind, who.id);
        let at = Self::shard_of(key);
        let shard = self.shards.get(at)?;
        let same = |at: &u32| {
            shard.names.get(*at as usize).is_some_and(|name| name.id() == who.id && name.kind() == who.kind)
        };
        shard.table.find(key, same).map(|place| (number(at), *place))
    }

    #[inline]
    pub(crate) fn person(&self, (shard, at): (u32, u32)) -> Option<Person<'_>> {
        self.shards.get(shard as usize)?.person(at)
    }

    /// The part of a principal that the straight way reads.
    #[inline]
    pub(crate) fn brief(&self, (shard, at): (u32, u32)) -> Option<Brief<'_>> {
        let shard = self.shards.get(shard as usize)?;
        let entry = shard.entries.get(at as usize)?;
        let linked = entry.links.1 > 0;
        Some(Brief { slots: cut(&shard.block.slots, entry.slots), linked, role: entry.role })
    }

    /// The rest of a grant at a place of a principal's.
    #[inline]
    pub(crate) fn cold(&self, (shard, at): (u32, u32), place: usize) -> Option<&Cold> {
        let shard = self.shards.get(shard as usize)?;
        let entry = shard.entries.get(at as usize)?;
        cut(&shard.block.cold, entry.slots).get(place)
    }

    /// Whether nobody has anything but through grants and groups of their own.
    #[inline]
    pub(crate) fn only_own(&self) -> bool {
        self.only_own
    }

    #[inline]
    pub(crate) fn everyone(&self) -> Person<'_> {
        let (block, links) = &*self.everyone;
        Person { slots: &block.slots, cold: &block.cold, links }
    }

    #[inline]
    pub(crate) fn group(&self, group: u32) -> Option<&Block> {
        self.groups.blocks.get(group as usize).map(|block| &**block)
    }

    pub(crate) fn group_name(&self, group: u32) -> Option<&GroupId> {
        self.groups.names.get(group as usize)
    }

    /// Everybody who has an entry, with what it is.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Principal, Person<'_>)> {
        self.shards.iter().flat_map(|shard| {
            (0..).zip(&shard.names).filter_map(|(at, name)| Some((name, shard.person(at)?)))
        })
    }

    /// Whether any grant has a condition.
    pub(crate) fn has_conditions(&self) -> bool {
        let groups = self.groups.blocks.iter().map(|block| &**block);
        let blocks = self.shards.iter().map(|shard| &shard.block).chain(groups).chain([&self.everyone.0]);
        blocks
            .flat_map(|block| block.slots.iter().zip(&block.cold))
            .any(|(slot, cold)| slot.cold && cold.chain.iter().any(|grant| grant.condition.is_some()))
    }

    /// Whether the grants of all groups are the same.
    pub(crate) fn same_groups(&self, other: &Self) -> bool {
        let (mine, its) = (&self.groups.blocks, &other.groups.blocks);
        mine.len() == its.len() && mine.iter().zip(its).all(|(mine, its)| Arc::ptr_eq(mine, its))
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.names.len()).sum()
    }

    /// The grants that decided something since this was last asked.
    pub(crate) fn take_uses(&self) -> Vec<Arc<Grant>> {
        let groups = self.groups.blocks.iter().map(|block| &**block);
        let blocks = self.shards.iter().map(|shard| &shard.block).chain(groups).chain([&self.everyone.0]);
        let used = blocks.flat_map(|block| block.slots.iter().zip(&block.cold));
        used.filter(|(slot, _)| slot.used.load(Ordering::Relaxed) && slot.used.swap(false, Ordering::Relaxed))
            .filter_map(|(_, cold)| cold.grant().cloned())
            .collect()
    }

    /// The same with what is dirty compiled anew.
    pub(crate) fn next(&self, dirty: &Dirty, base: &mut Base<'_>) -> Result<Self, Error> {
        let mut next = self.clone();
        base.passes_on |= self.passes_on && !dirty.all;
        let subjects: Vec<&Subject> =
            if dirty.all { base.policy.subjects().collect() } else { dirty.subjects.iter().collect() };
        let mut groups = (*self.groups).clone();
        // Groups are numbered before anybody's ways are.
        for subject in &subjects {
            if let Subject::Group(group) = subject {
                groups.number(group);
            }
        }
        for membership in if dirty.all { base.policy.memberships().collect() } else { Vec::new() } {
            groups.number(&membership.group);
        }
        let mut by_shard: Vec<Vec<&Principal>> = vec![Vec::new(); SHARDS];
        let mut everyone = false;
        for subject in &subjects {
            match subject {
                Subject::Group(group) => groups.compile(group, base),
                Subject::Everyone => everyone = true,
                Subject::Principal(principal) => {
                    if let Some(dirty) =
                        by_shard.get_mut(Self::shard_of(self.key(principal.kind(), principal.id())))
                    {
                        dirty.push(principal);
                    }
                }
            }
        }
        if dirty.all {
            // Groups and principals that are no longer in the policy.
            everyone = true;
            for group in groups.names.clone() {
                groups.compile(&group, base);
            }
        }
        for (at, dirty_here) in by_shard.iter().enumerate() {
            let Some(shard) = next.shards.get_mut(at) else { continue };
            if dirty_here.is_empty() && (!dirty.all || shard.names.is_empty()) {
                continue;
            }
            *shard = Arc::new(self.rebuild(shard, dirty_here, dirty.all, &mut groups, base)?);
        }
        if everyone {
            let mut block = Block::default();
            block.push_grants_of(&Subject::Everyone, base);
            block.carry_uses(&self.everyone.0);
            let links = links(&Subject::Everyone, base.policy, &mut groups)?;
            next.only_own = block.slots.is_empty() && links.is_empty();
            next.everyone = Arc::new((block, links));
        }
        groups.fill(base);
        next.groups = Arc::new(groups);
        next.passes_on = base.passes_on;
        Ok(next)
    }

    fn rebuild(
        &self,
        old: &Shard,
        dirty: &[&Principal],
        all: bool,
        groups: &mut Groups,
        base: &mut Base<'_>,
    ) -> Result<Shard, Error> {
        let mut names = old.names.clone();
        let mut table = old.table.clone();
        let mut is_dirty = vec![all; names.len()];
        for principal in dirty {
            let key = self.key(principal.kind(), principal.id());
            let known = table.find(key, |at| names.get(*at as usize) == Some(*principal)).copied();
            if let Some(known) = known {
                if let Some(flag) = is_dirty.get_mut(known as usize) {
                    *flag = true;
                }
                continue;
            }
            let at = number(names.len());
            names.push((*principal).clone());
            is_dirty.push(true);
            let rehash =
                |at: &u32| names.get(*at as usize).map_or(0, |name| self.key(name.kind(), name.id()));
            table.insert_unique(key, at, rehash);
        }
        let mut shard =
            Shard { entries: Vec::with_capacity(names.len()), names: Vec::new(), table, ..Shard::default() };
        shard.block.slots.reserve(old.block.slots.len() + dirty.len());
        shard.block.cold.reserve(old.block.slots.len() + dirty.len());
        for (at, (name, dirty)) in (0..).zip(names.iter().zip(&is_dirty)) {
            let (slots, ways) = (shard.block.slots.len(), shard.links.len());
            let before = old.person(at).unwrap_or_default();
            if *dirty {
                let subject = Subject::Principal(name.clone());
                let mut block = Block::default();
                block.push_grants_of(&subject, base);
                block.carry_uses(&Block { slots: before.slots.to_vec(), cold: before.cold.to_vec() });
                shard.block.slots.append(&mut block.slots);
                shard.block.cold.append(&mut block.cold);
                shard.links.append(&mut links(&subject, base.policy, groups)?);
            } else {
                shard.block.slots.extend_from_slice(before.slots);
                shard.block.cold.extend_from_slice(before.cold);
                shard.links.extend_from_slice(before.links);
            }
            let role = shard.block.slots.get(slots).map_or(0, |slot| slot.role);
            shard.entries.push(Entry {
                role,
                slots: (number(slots), number(shard.block.slots.len() - slots)),
                links: (number(ways), number(shard.links.len() - ways)),
            });
        }
        shard.names = names;
        Ok(shard)
    }
}

impl Groups {
    fn number(&mut self, group: &GroupId) -> u32 {
        if let Some(known) = self.index.get(group) {
            return *known;
        }
        let at = number(self.names.len());
        self.index.insert(group.clone(), at);
        self.names.push(group.clone());
        at
    }

    /// Blocks for groups that were numbered and not compiled yet.
    fn fill(&mut self, base: &mut Base<'_>) {
        for group in self.names.clone().into_iter().skip(self.blocks.len()) {
            self.compile(&group, base);
        }
    }

    fn compile(&mut self, group: &GroupId, base: &mut Base<'_>) {
        let at = self.number(group) as usize;
        let mut block = Block::default();
        block.push_grants_of(&Subject::Group(group.clone()), base);
        while self.blocks.len() <= at {
            self.blocks.push(Arc::default());
        }
        if let Some(place) = self.blocks.get_mut(at) {
            block.carry_uses(place);
            *place = Arc::new(block);
        }
    }
}

/// The ways of the subject into groups, the shortest first.
fn links(subject: &Subject, policy: &Policy, groups: &mut Groups) -> Result<Vec<Link>, Error> {
    let mut found: Vec<Link> = Vec::new();
    let mut at = 0;
    let mut from: Option<Link> = None;
    loop {
        let here = match &from {
            None => subject.clone(),
            Some(link) => match groups.names.get(link.group as usize) {
                Some(group) => Subject::Group(group.clone()),
                None => return Ok(found),
            },
        };
        for membership in policy.memberships_of(&here) {
            let (mut start, mut end) = membership.window.bounds();
            let mut hours: Vec<Recurrence> = Vec::new();
            let mut path: Vec<u32> = Vec::new();
            if let Some(link) = &from {
                (start, end) = (start.max(link.from), end.min(link.until));
                hours.clone_from(&link.hours);
                path.extend(link.path.iter());
            }
            if let Some(hour) = membership.window.hours()
                && !hours.contains(hour)
            {
                hours.push(hour.clone());
            }
            let group = groups.number(&membership.group);
            // A way that is open only when another is adds nothing but a reason why it is not open.
            let covered = found.iter().any(|link| {
                link.group == group && link.from == start && link.until == end && link.hours == hours
            });
            if covered {
                continue;
            }
            path.push(group);
            if found.len() == MAX_LINKS {
                return Err(Error::TooManyWays { subject: subject.clone(), most: MAX_LINKS });
            }
            found.push(Link { group, from: start, until: end, hours, path: path.into() });
        }
        from = found.get(at).cloned();
        at += 1;
        if from.is_none() {
            return Ok(found);
        }
    }
}

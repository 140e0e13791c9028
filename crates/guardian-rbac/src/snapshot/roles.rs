//! The roles of a policy as rows of bits.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};

use super::areas::AreaTable;
use crate::{Catalog, Condition, Effect, PermissionHandle, Policy, Role, RoleId, Window};

/// What a role says about 64 permissions: bits of what it gives, what it takes, and what only its rules can tell.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cell {
    pub(crate) allow: u64,
    pub(crate) deny: u64,
    pub(crate) special: u64,
}

/// A rule with an area, a window or a condition.
#[derive(Debug)]
pub(crate) struct Special {
    bits: Vec<u64>,
    pub(crate) effect: Effect,
    pub(crate) area: u32,
    pub(crate) window: Window,
    /// The bounds of the window.
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) condition: Option<Condition>,
}

impl Special {
    #[inline]
    pub(crate) fn is_about(&self, word: usize, mask: u64) -> bool {
        self.bits.get(word).is_some_and(|bits| bits & mask != 0)
    }
}

/// A role with its own rules alone.
#[derive(Debug)]
pub(crate) struct OwnRole {
    source: Arc<Role>,
    cells: Vec<Cell>,
    pub(crate) special: Vec<Special>,
    parents: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct RoleTable {
    words: usize,
    cells: Vec<Cell>,
    ids: Vec<RoleId>,
    index: HashMap<RoleId, u32>,
    /// `None` where a role was removed; its number is not used again.
    own: Vec<Option<Arc<OwnRole>>>,
    /// Of each role those among it and its forebears that have special rules.
    with_special: Vec<Box<[u32]>>,
}

impl RoleTable {
    pub(crate) fn empty() -> Self {
        Self {
            words: 0,
            cells: Vec::new(),
            ids: Vec::new(),
            index: HashMap::new(),
            own: Vec::new(),
            with_special: Vec::new(),
        }
    }

    /// The table of the policy's roles. Roles keep the numbers that they have in this one.
    pub(crate) fn next(&self, policy: &Policy, catalog: &Catalog, areas: &mut AreaTable) -> Self {
        let words = catalog.words();
        let (mut ids, mut index) = (self.ids.clone(), self.index.clone());
        for role in policy.roles() {
            if !index.contains_key(&role.id) {
                index.insert(role.id.clone(), number(ids.len()));
                ids.push(role.id.clone());
            }
        }
        let own: Vec<Option<Arc<OwnRole>>> = ids
            .iter()
            .enumerate()
            .map(|(at, id)| {
                let role = policy.role(id)?;
                let known = self.own.get(at).and_then(Option::as_ref);
                match known.filter(|known| Arc::ptr_eq(&known.source, role)) {
                    Some(known) => Some(Arc::clone(known)),
                    None => Some(Arc::new(compile(role, catalog, areas, &index))),
                }
            })
            .collect();
        let mut table = Self {
            words,
            cells: vec![Cell::default(); ids.len() * words],
            with_special: vec![Box::default(); ids.len()],
            ids,
            index,
            own,
        };
        for role in table.parents_first() {
            table.inherit(role);
        }
        table
    }

    /// All roles, each behind those that it inherits from.
    fn parents_first(&self) -> Vec<u32> {
        let mut done = vec![false; self.own.len()];
        let mut order = Vec::with_capacity(self.own.len());
        for start in 0..number(self.own.len()) {
            let mut stack = vec![(start, false)];
            while let Some((role, opened)) = stack.pop() {
                let Some(seen) = done.get_mut(role as usize) else { continue };
                if opened {
                    order.push(role);
                } else if !*seen {
                    *seen = true;
                    stack.push((role, true));
                    stack.extend(self.parents(role).iter().map(|parent| (*parent, false)));
                }
            }
        }
        order
    }

    pub(crate) fn parents(&self, role: u32) -> &[u32] {
        self.own(role).map_or(&[], |own| &own.parents)
    }

    pub(crate) fn own(&self, role: u32) -> Option<&Arc<OwnRole>> {
        self.own.get(role as usize).and_then(Option::as_ref)
    }

    fn inherit(&mut self, role: u32) {
        let Some(own) = self.own(role).cloned() else { return };
        let at = role as usize * self.words;
        let mut row = own.cells.clone();
        let mut special: Vec<u32> = if own.special.is_empty() { Vec::new() } else { vec![role] };
        for parent in &own.parents {
            for (cell, inherited) in row.iter_mut().zip(self.row(*parent)) {
                cell.allow |= inherited.allow;
                cell.deny |= inherited.deny;
                cell.special |= inherited.special;
            }
            special.extend(self.with_special.get(*parent as usize).into_iter().flatten());
        }
        special.sort_unstable();
        special.dedup();
        if let Some(cells) = self.cells.get_mut(at..at + self.words) {
            cells.copy_from_slice(&row);
        }
        if let Some(slot) = self.with_special.get_mut(role as usize) {
            *slot = special.into();
        }
    }

    /// What the role says, with all that it inherits.
    pub(crate) fn row(&self, role: u32) -> &[Cell] {
        let at = role as usize * self.words;
        self.cells.get(at..at + self.words).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn cell(&self, role: u32, word: usize) -> Cell {
        self.cells.get(role as usize * self.words + word).copied().unwrap_or_default()
    }

    #[inline]
    pub(crate) fn with_special(&self, role: u32) -> &[u32] {
        self.with_special.get(role as usize).map_or(&[], |roles| roles)
    }

    /// Whether any rule has a condition.
    pub(crate) fn has_conditions(&self) -> bool {
        self.own.iter().flatten().any(|own| own.special.iter().any(|rule| rule.condition.is_some()))
    }

    pub(crate) fn index(&self, id: &RoleId) -> Option<u32> {
        self.index.get(id).copied()
    }

    pub(crate) fn id(&self, role: u32) -> Option<&RoleId> {
        self.ids.get(role as usize)
    }

    pub(crate) fn source(&self, role: u32) -> Option<&Arc<Role>> {
        self.own(role).map(|own| &own.source)
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn words(&self) -> usize {
        self.words
    }

    /// Whether the role is the other, or inherits from it.
    pub(crate) fn includes(&self, role: u32, other: u32) -> bool {
        self.path(role, |at| at == other).is_some()
    }

    /// The role and all that it inherits from.
    pub(crate) fn closure(&self, role: u32) -> Vec<u32> {
        let mut found = vec![role];
        let mut seen = vec![false; self.len()];
        let mut at = 0;
        while let Some(next) = found.get(at).copied() {
            at += 1;
            for parent in self.parents(next) {
                if let Some(seen) = seen.get_mut(*parent as usize)
                    && !*seen
                {
                    *seen = true;
                    found.push(*parent);
                }
            }
        }
        found
    }

    /// The shortest way from the role through what it inherits from to one of this kind.
    pub(crate) fn path(&self, role: u32, wanted: impl Fn(u32) -> bool) -> Option<Vec<u32>> {
        if wanted(role) {
            return Some(vec![role]);
        }
        let mut came_from: HashMap<u32, u32> = HashMap::new();
        let mut found = vec![role];
        let mut at = 0;
        while let Some(next) = found.get(at).copied() {
            at += 1;
            for parent in self.parents(next) {
                if *parent == role || came_from.contains_key(parent) {
                    continue;
                }
                came_from.insert(*parent, next);
                if wanted(*parent) {
                    let mut path = vec![*parent];
                    let mut step = *parent;
                    while let Some(before) = came_from.get(&step) {
                        path.push(*before);
                        step = *before;
                    }
                    path.reverse();
                    return Some(path);
                }
                found.push(*parent);
            }
        }
        None
    }

    /// The way to the role whose own plain rule has this effect on the permission.
    pub(crate) fn path_to_plain(
        &self,
        role: u32,
        (word, mask): (usize, u64),
        effect: Effect,
    ) -> Option<Vec<u32>> {
        self.path(role, |at| {
            let cell = self.own(at).and_then(|own| own.cells.get(word));
            cell.is_some_and(|cell| mask & if effect == Effect::Allow { cell.allow } else { cell.deny } != 0)
        })
    }

    /// Every permission that some rule of the role or its forebears gives, and every one that some rule takes, conditional
    /// or not.
    pub(crate) fn extent(&self, role: u32) -> (Vec<u64>, Vec<u64>) {
        let mut allow: Vec<u64> = self.row(role).iter().map(|cell| cell.allow).collect();
        let mut deny: Vec<u64> = self.row(role).iter().map(|cell| cell.deny).collect();
        for holder in self.with_special(role) {
            for rule in self.own(*holder).map(|own| own.special.as_slice()).unwrap_or_default() {
                let into = if rule.effect == Effect::Allow { &mut allow } else { &mut deny };
                for (word, bits) in into.iter_mut().zip(&rule.bits) {
                    *word |= bits;
                }
            }
        }
        (allow, deny)
    }
}

fn compile(
    role: &Arc<Role>,
    catalog: &Catalog,
    areas: &mut AreaTable,
    index: &HashMap<RoleId, u32>,
) -> OwnRole {
    let mut cells = vec![Cell::default(); catalog.words()];
    let mut special = Vec::new();
    for rule in &role.rules {
        let mut bits = vec![0_u64; if rule.is_plain() { 0 } else { catalog.words() }];
        for permission in catalog.resolve(&rule.permissions) {
            let (word, mask) = place(permission);
            if let Some(cell) = cells.get_mut(word) {
                match (rule.is_plain(), rule.effect) {
                    (true, Effect::Allow) => cell.allow |= mask,
                    (true, Effect::Deny) => cell.deny |= mask,
                    (false, _) => cell.special |= mask,
                }
            }
            if let Some(bits) = bits.get_mut(word) {
                *bits |= mask;
            }
        }
        if !rule.is_plain() {
            let (from, until) = rule.window.bounds();
            special.push(Special {
                bits,
                effect: rule.effect,
                area: areas.intern(&rule.area),
                window: rule.window.clone(),
                from,
                until,
                condition: rule.condition.clone(),
            });
        }
    }
    let parents = role.parents.iter().filter_map(|parent| index.get(parent).copied()).collect();
    OwnRole { source: Arc::clone(role), cells, special, parents }
}

/// The word and the bit of a permission.
#[inline]
pub(crate) fn place(permission: PermissionHandle) -> (usize, u64) {
    (permission.index() / 64, 1 << (permission.index() % 64))
}

pub(crate) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

//! The areas that a policy names, and which lies in which.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::roles::number;
use crate::{Area, Policy};

/// The number of the tenant.
pub(crate) const TENANT: u32 = 0;

#[derive(Debug, Clone)]
pub(crate) struct AreaTable {
    names: Vec<Area>,
    table: HashTable<u32>,
    hash: FixedState,
    /// Of each area itself and all that it lies in, without the tenant.
    within: Vec<Box<[u32]>>,
}

fn key(hash: &FixedState, kind: &str, id: &str) -> u64 {
    let mut hasher = hash.build_hasher();
    hasher.write(kind.as_bytes());
    hasher.write_u8(b':');
    hasher.write(id.as_bytes());
    hasher.finish()
}

impl AreaTable {
    pub(crate) fn new(seed: u64) -> Self {
        let hash = FixedState::with_seed(seed);
        let mut made = Self { names: Vec::new(), table: HashTable::new(), hash, within: Vec::new() };
        made.intern(&Area::tenant());
        made
    }

    /// The number of the area, which is from now on known.
    pub(crate) fn intern(&mut self, area: &Area) -> u32 {
        if let Some(known) = self.find(area.kind(), area.id()) {
            return known;
        }
        let at = number(self.names.len());
        self.names.push(area.clone());
        self.within.push(if area.is_tenant() { Box::default() } else { Box::new([at]) });
        let (names, hash) = (&self.names, &self.hash);
        let rehash = |at: &u32| names.get(*at as usize).map_or(0, |area| key(hash, area.kind(), area.id()));
        self.table.insert_unique(key(hash, area.kind(), area.id()), at, rehash);
        at
    }

    #[inline]
    pub(crate) fn find(&self, kind: &str, id: &str) -> Option<u32> {
        let same = |at: &u32| {
            self.names.get(*at as usize).is_some_and(|area| area.id() == id && area.kind() == kind)
        };
        self.table.find(key(&self.hash, kind, id), same).copied()
    }

    /// Learns from the policy which area lies in which.
    pub(crate) fn relate(&mut self, policy: &Policy) {
        for place in policy.places() {
            self.intern(&place.area);
            for parent in &place.parents {
                self.intern(parent);
            }
        }
        let parents: Vec<Vec<u32>> = self
            .names
            .iter()
            .map(|area| {
                let place = policy.place(area);
                let parents = place.map(|place| place.parents.as_slice()).unwrap_or_default();
                parents.iter().filter_map(|parent| self.find(parent.kind(), parent.id())).collect()
            })
            .collect();
        self.within = (0..number(self.names.len()))
            .map(|area| {
                if area == TENANT {
                    return Box::default();
                }
                let mut found = vec![area];
                let mut at = 0;
                while let Some(next) = found.get(at).copied() {
                    at += 1;
                    for parent in parents.get(next as usize).into_iter().flatten() {
                        if *parent != TENANT && !found.contains(parent) {
                            found.push(*parent);
                        }
                    }
                }
                found.into()
            })
            .collect();
    }

    /// The area itself and all that it lies in, without the tenant.
    #[inline]
    pub(crate) fn within(&self, area: u32) -> &[u32] {
        self.within.get(area as usize).map_or(&[], |within| within)
    }

    /// Whether the area is the other or lies in it.
    pub(crate) fn lies_in(&self, area: u32, other: u32) -> bool {
        other == TENANT || self.within(area).contains(&other)
    }

    /// The area itself and all that lie in it.
    pub(crate) fn below(&self, area: u32) -> impl Iterator<Item = u32> {
        (0..number(self.names.len())).filter(move |other| self.lies_in(*other, area))
    }

    pub(crate) fn name(&self, area: u32) -> Option<&Area> {
        self.names.get(area as usize)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Area> {
        self.names.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

//! The permissions that exist: what grants are checked against when they are written, and what gives each a number.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::name::nearest;
use crate::{Error, InvalidName, Permission, PermissionPattern};

/// May write roles, within what the writer holds.
pub const WRITE_ROLES: &str = "rbac.role:write";
/// May write grants and memberships of groups, within what the writer holds.
pub const WRITE_GRANTS: &str = "rbac.grant:write";
/// May move areas, within what the writer holds.
pub const WRITE_AREAS: &str = "rbac.area:write";
/// May write separations of duty.
pub const WRITE_CONSTRAINTS: &str = "rbac.constraint:write";
/// May read the policy, ask who can do what, and review grants.
pub const REVIEW: &str = "rbac.policy:review";
/// May write roles with more than the writer holds. No wildcard means it.
pub const ESCALATE: &str = "rbac.role:escalate";
/// May grant roles with more than the writer holds. No wildcard means it.
pub const BIND: &str = "rbac.grant:bind";
/// May take a role that is marked for emergencies. No wildcard means it.
pub const BREAK_GLASS: &str = "rbac.grant:break_glass";

/// The permissions of this crate, in every catalog: the last three only by their full name.
const OWN: [(&str, &str); 8] = [
    (WRITE_ROLES, "Write roles, within what one holds"),
    (WRITE_GRANTS, "Grant roles and fill groups, within what one holds"),
    (WRITE_AREAS, "Move areas, within what one holds"),
    (WRITE_CONSTRAINTS, "Write separations of duty"),
    (REVIEW, "Read the policy and review grants"),
    (ESCALATE, "Write roles beyond what one holds"),
    (BIND, "Grant roles beyond what one holds"),
    (BREAK_GLASS, "Take an emergency role"),
];

/// The number of a permission in its catalog: the fast way to ask, and the same for as long as the catalog lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermissionHandle(u32);

impl PermissionHandle {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn of(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

/// A permission and what it means to people.
#[derive(Debug, Clone)]
struct Entry {
    permission: Permission,
    title: Box<str>,
    sensitive: bool,
    explicit: bool,
}

/// The permissions of an application. Made once, shared by all tenants; clones are cheap.
///
/// ```
/// use guardian_rbac::Catalog;
///
/// let catalog = Catalog::builder()
///     .permission("deal:read", "See deals")
///     .permission("deal:edit", "Change deals")
///     .sensitive("deal:export", "Take deals out")
///     .build()?;
/// let export = catalog.handle("deal:export")?;
/// assert!(catalog.is_sensitive(export));
/// let error = catalog.handle("deal:exprot").unwrap_err();
/// assert_eq!(error.to_string(), "there is no permission `deal:exprot`; did you mean `deal:export`?");
/// # Ok::<(), guardian_rbac::Error>(())
/// ```
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

struct Inner {
    entries: Vec<Entry>,
    table: HashTable<u32>,
    hash: FixedState,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").field("permissions", &self.len()).finish_non_exhaustive()
    }
}

impl Catalog {
    /// The most permissions of a catalog.
    pub const MAX_PERMISSIONS: usize = 100_000;

    /// A catalog to fill.
    pub fn builder() -> CatalogBuilder {
        CatalogBuilder { entries: Vec::new(), error: None }
    }

    /// A builder with the application's permissions of this catalog, to add more.
    ///
    /// ```
    /// use guardian_rbac::Catalog;
    ///
    /// let crm = Catalog::builder().permission("deal:edit", "Change deals").build()?;
    /// let more = crm.to_builder().permission("quotas:read", "Look at quotas").build()?;
    /// assert_eq!(more.len(), crm.len() + 1);
    /// # Ok::<(), guardian_rbac::Error>(())
    /// ```
    pub fn to_builder(&self) -> CatalogBuilder {
        let own = |entry: &&Entry| OWN.iter().any(|(permission, _)| *permission == entry.permission.as_str());
        let entries = self.0.entries.iter().filter(|entry| !own(entry)).cloned().collect();
        CatalogBuilder { entries, error: None }
    }

    /// How many permissions there are, those of this crate included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// Whether there are none, which is never so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    /// The number of a permission.
    ///
    /// # Errors
    /// [`Error::UnknownPermission`] when there is none of this name; the error names a similar one.
    pub fn handle(&self, permission: &str) -> Result<PermissionHandle, Error> {
        self.find(permission).ok_or_else(|| self.unknown(permission))
    }

    #[inline]
    pub(crate) fn find(&self, permission: &str) -> Option<PermissionHandle> {
        let inner = &*self.0;
        let named = |at: &u32| {
            inner.entries.get(*at as usize).is_some_and(|entry| entry.permission.as_str() == permission)
        };
        inner.table.find(inner.hash.hash_one(permission), named).map(|at| PermissionHandle(*at))
    }

    pub(crate) fn unknown(&self, permission: &str) -> Error {
        let names = self.0.entries.iter().map(|entry| entry.permission.as_str());
        Error::UnknownPermission {
            permission: guardian_core::shorten(permission),
            similar: nearest(permission, names).map(str::to_owned),
        }
    }

    /// All permissions, in the order of the catalog.
    #[must_use]
    pub fn permissions(&self) -> impl ExactSizeIterator<Item = (PermissionHandle, &Permission)> {
        self.0.entries.iter().enumerate().map(|(at, entry)| (PermissionHandle::of(at), &entry.permission))
    }

    /// The permission of this number.
    #[must_use]
    pub fn permission(&self, handle: PermissionHandle) -> Option<&Permission> {
        self.0.entries.get(handle.index()).map(|entry| &entry.permission)
    }

    /// What the permission means to people.
    #[must_use]
    pub fn title(&self, handle: PermissionHandle) -> &str {
        self.0.entries.get(handle.index()).map_or("", |entry| &entry.title)
    }

    /// Whether each use of the permission is worth an event.
    #[must_use]
    pub fn is_sensitive(&self, handle: PermissionHandle) -> bool {
        self.0.entries.get(handle.index()).is_some_and(|entry| entry.sensitive)
    }

    /// The permissions that a pattern means. Those that break the rule against escalation are meant by their full name only.
    pub fn resolve<'c>(
        &'c self,
        pattern: &'c PermissionPattern,
    ) -> impl Iterator<Item = PermissionHandle> + 'c {
        // A pattern without a wildcard is a look-up.
        let exact = (!pattern.is_wild()).then(|| self.find(pattern.as_str())).flatten();
        let wild = pattern.is_wild().then(|| {
            self.0
                .entries
                .iter()
                .enumerate()
                .filter(|(_, entry)| !entry.explicit && pattern.matches(&entry.permission))
        });
        exact.into_iter().chain(wild.into_iter().flatten().map(|(at, _)| PermissionHandle::of(at)))
    }

    /// The pattern must mean something.
    pub(crate) fn check(&self, pattern: &PermissionPattern) -> Result<(), Error> {
        if self.resolve(pattern).next().is_some() {
            return Ok(());
        }
        Err(self.unknown(pattern.as_str()))
    }

    /// How many words a set of permissions has.
    pub(crate) fn words(&self) -> usize {
        self.len().div_ceil(64)
    }
}

/// Makes a [`Catalog`]. Faults are reported by [`Self::build`].
#[derive(Debug)]
#[must_use]
pub struct CatalogBuilder {
    entries: Vec<Entry>,
    error: Option<InvalidName>,
}

impl CatalogBuilder {
    /// Adds a permission with what it means to people.
    pub fn permission(self, permission: &str, title: &str) -> Self {
        self.add(permission, title, false, false)
    }

    /// Adds a permission each use of which is worth an event.
    pub fn sensitive(self, permission: &str, title: &str) -> Self {
        self.add(permission, title, true, false)
    }

    fn add(mut self, permission: &str, title: &str, sensitive: bool, explicit: bool) -> Self {
        match Permission::new(permission) {
            Ok(permission) => {
                self.entries.push(Entry { permission, title: title.into(), sensitive, explicit });
            }
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
        self
    }

    /// The catalog, with the permissions of this crate behind those of the application.
    ///
    /// # Errors
    /// The first permission that was none, one that was named twice, or too many of them.
    pub fn build(mut self) -> Result<Catalog, Error> {
        for (permission, title) in OWN {
            let explicit = matches!(permission, ESCALATE | BIND | BREAK_GLASS);
            self = self.add(permission, title, true, explicit);
        }
        if let Some(error) = self.error {
            return Err(error.into());
        }
        if self.entries.len() > Catalog::MAX_PERMISSIONS {
            let why = format!(
                "the catalog has {} permissions, the most is {}",
                self.entries.len(),
                Catalog::MAX_PERMISSIONS
            );
            return Err(InvalidName::new("catalog", "permissions", why).into());
        }
        let hash = FixedState::with_seed(0x6b1d_5f0a);
        let mut table: HashTable<u32> = HashTable::with_capacity(self.entries.len());
        let name =
            |entries: &[Entry], at: u32| entries.get(at as usize).map(|entry| entry.permission.clone());
        for (at, entry) in (0..).zip(&self.entries) {
            let key = hash.hash_one(entry.permission.as_str());
            let same = |other: &u32| name(&self.entries, *other).as_ref() == Some(&entry.permission);
            if table.find(key, same).is_some() {
                return Err(InvalidName::new(
                    "permission",
                    entry.permission.as_str(),
                    "it is in the catalog twice",
                )
                .into());
            }
            let rehash =
                |at: &u32| hash.hash_one(name(&self.entries, *at).as_ref().map_or("", Permission::as_str));
            table.insert_unique(key, at, rehash);
        }
        Ok(Catalog(Arc::new(Inner { entries: self.entries, table, hash })))
    }
}

//! The orders of lists, and the places in them that cursors name.

use std::cmp::Ordering;

use guardian_core::{Cursor, Page, PageRequest, StoreError, StoreErrorKind, TenantId};

use crate::{DisplayName, Error, Tenant};

/// In which order a list of tenants is: by id unless it is said otherwise, and by id where two are equal. Texts are compared byte for
/// byte.
///
/// A tenant whose name is changed while somebody turns the pages of a list by name is met where it stands then: once, twice or not
/// at all. Nothing else that a list is ordered by ever changes.
///
/// ```
/// use guardian_tenant::{TenantFilter, TenantOrder};
///
/// let newest_first = TenantFilter::new().order(TenantOrder::created().descending());
/// # let _ = newest_first;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[must_use]
pub struct TenantOrder {
    pub(super) by: By,
    pub(super) is_descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) enum By {
    #[default]
    Id,
    Name,
    Created,
}

impl TenantOrder {
    /// By id.
    pub fn id() -> Self {
        Self::default()
    }

    /// By name.
    pub fn name() -> Self {
        Self { by: By::Name, ..Self::default() }
    }

    /// By the time of creation, the oldest first.
    pub fn created() -> Self {
        Self { by: By::Created, ..Self::default() }
    }

    /// The same from the other end.
    pub fn descending(self) -> Self {
        Self { is_descending: true, ..self }
    }

    /// How two tenants of a list stand to each other.
    pub(crate) fn compare(self, one: &Place, other: &Place) -> Ordering {
        let order = one.cmp(other);
        if self.is_descending { order.reverse() } else { order }
    }

    pub(crate) fn place_of(self, tenant: &Tenant) -> Place {
        let key = match self.by {
            By::Id => Key::Id,
            By::Name => Key::Name(tenant.name.as_str().to_owned()),
            By::Created => Key::Created(tenant.created.timestamp_micros()),
        };
        Place { key, id: tenant.id.clone() }
    }

    /// The place that a page begins behind; it holds nothing that could be forged.
    pub(super) fn behind(
        self,
        page: &PageRequest,
        backend: &'static str,
    ) -> Result<Option<Place>, StoreError> {
        let Some(cursor) = page.cursor() else { return Ok(None) };
        let foreign =
            || StoreError::new(StoreErrorKind::Constraint, backend).with_source(Error::ForeignCursor);
        self.read(cursor.as_bytes()).map(Some).ok_or_else(foreign)
    }

    /// The page of these tenants, one more of which than it holds tells whether there is another.
    pub(super) fn page(self, mut tenants: Vec<Tenant>, page: &PageRequest) -> Page<Tenant> {
        let size = usize::try_from(page.size()).unwrap_or(usize::MAX);
        let more = tenants.len() > size;
        tenants.truncate(size);
        let next = tenants.last().filter(|_| more).map(|last| self.cursor(&self.place_of(last)));
        Page::new(tenants, next)
    }

    /// One letter of the order, so that the cursor of another one is none, then the key and the id.
    fn cursor(self, place: &Place) -> Cursor {
        let mut bytes = vec![self.letter()];
        match &place.key {
            Key::Id => {}
            Key::Name(name) => {
                bytes.extend_from_slice(name.as_bytes());
                bytes.push(0);
            }
            Key::Created(micros) => bytes.extend_from_slice(&micros.to_be_bytes()),
        }
        bytes.extend_from_slice(place.id.as_str().as_bytes());
        Cursor::from_bytes(&bytes)
    }

    fn read(self, bytes: &[u8]) -> Option<Place> {
        let bytes = bytes.strip_prefix(&[self.letter()])?;
        let (key, id) = match self.by {
            By::Id => (Key::Id, bytes),
            By::Name => {
                // Neither a name nor an id has a zero.
                let end = bytes.iter().position(|byte| *byte == 0)?;
                let (name, id) = bytes.split_at_checked(end)?;
                let name = DisplayName::new(std::str::from_utf8(name).ok()?).ok()?;
                (Key::Name(name.as_str().to_owned()), id.get(1..)?)
            }
            By::Created => {
                let (micros, id) = bytes.split_first_chunk()?;
                (Key::Created(i64::from_be_bytes(*micros)), id)
            }
        };
        Some(Place { key, id: TenantId::new(std::str::from_utf8(id).ok()?).ok()? })
    }

    fn letter(self) -> u8 {
        match (self.by, self.is_descending) {
            (By::Id, false) => b'i',
            (By::Id, true) => b'I',
            (By::Name, false) => b'n',
            (By::Name, true) => b'N',
            (By::Created, false) => b'c',
            (By::Created, true) => b'C',
        }
    }
}

/// Where a tenant stands in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(super) key: Key,
    pub(super) id: TenantId,
}

/// What a list is ordered by before the id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Id,
    Name(String),
    Created(i64),
}

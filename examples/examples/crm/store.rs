//! The data, in memory: it is gone when the process ends.

use std::collections::BTreeMap;
use std::ops::Bound;

use guardian::core::{Clock, Cursor, IdSource, Page, PageRequest, Scope};
use guardian::core::{SystemClock, SystemIds, TenantId};
use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contact {
    name: String,
    email: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deal {
    title: String,
    /// In the smallest unit of the currency: money is never a float.
    amount_cents: i64,
    #[serde(default)]
    stage: Stage,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    #[default]
    Open,
    Won,
    Lost,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    text: String,
}

/// A kind of record.
pub(crate) trait Entity: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    const PLURAL: &'static str;

    fn table(crm: &Crm) -> &Table<Self>;

    /// What the types do not say about a record that a client sent.
    fn check(&self) -> Result<(), &'static str>;
}

/// All tables.
pub(crate) struct Crm {
    contacts: Table<Contact>,
    deals: Table<Deal>,
    notes: Table<Note>,
}

impl Crm {
    pub(crate) fn new() -> Self {
        Self { contacts: Table::new(), deals: Table::new(), notes: Table::new() }
    }
}

impl Entity for Contact {
    const PLURAL: &'static str = "contacts";

    fn table(crm: &Crm) -> &Table<Self> {
        &crm.contacts
    }

    fn check(&self) -> Result<(), &'static str> {
        filled(&self.name).ok_or("`name` is empty")?;
        let email = self.email.as_ref().is_none_or(|email| email.contains('@'));
        email.then_some(()).ok_or("`email` has no `@`")
    }
}

impl Entity for Deal {
    const PLURAL: &'static str = "deals";

    fn table(crm: &Crm) -> &Table<Self> {
        &crm.deals
    }

    fn check(&self) -> Result<(), &'static str> {
        filled(&self.title).ok_or("`title` is empty")?;
        let amount = self.amount_cents >= 0;
        amount.then_some(()).ok_or("`amount_cents` is negative")
    }
}

impl Entity for Note {
    const PLURAL: &'static str = "notes";

    fn table(crm: &Crm) -> &Table<Self> {
        &crm.notes
    }

    fn check(&self) -> Result<(), &'static str> {
        filled(&self.text).ok_or("`text` is empty")
    }
}

fn filled(text: &str) -> Option<()> {
    (!text.trim().is_empty()).then_some(())
}

/// A record as clients see it.
#[derive(Clone, Serialize)]
pub(crate) struct Record<T> {
    pub(crate) id: String,
    #[serde(flatten)]
    fields: T,
}

/// The records of one kind, of all tenants. Every call names its scope first, and the tenant is part of the key: there is
/// no way to reach a record without it.
pub(crate) struct Table<T> {
    rows: RwLock<BTreeMap<(TenantId, String), T>>,
    ids: SystemIds,
    clock: SystemClock,
}

impl<T: Clone> Table<T> {
    fn new() -> Self {
        Self { rows: RwLock::new(BTreeMap::new()), ids: SystemIds::new(), clock: SystemClock::new() }
    }

    pub(crate) fn insert(&self, scope: &Scope, fields: T) -> Record<T> {
        // Ids sort by the time they were made, so lists are in that order.
        let id = self.ids.next_id(self.clock.now()).to_string();
        let key = (scope.tenant().clone(), id.clone());
        self.rows.write().insert(key, fields.clone());
        Record { id, fields }
    }

    pub(crate) fn get(&self, scope: &Scope, id: &str) -> Option<Record<T>> {
        let key = (scope.tenant().clone(), id.to_owned());
        let fields = self.rows.read().get(&key)?.clone();
        Some(Record { id: key.1, fields })
    }

    pub(crate) fn replace(&self, scope: &Scope, id: &str, fields: T) -> Option<Record<T>> {
        let key = (scope.tenant().clone(), id.to_owned());
        self.rows.write().get_mut(&key)?.clone_from(&fields);
        Some(Record { id: key.1, fields })
    }

    pub(crate) fn remove(&self, scope: &Scope, id: &str) -> bool {
        let key = (scope.tenant().clone(), id.to_owned());
        self.rows.write().remove(&key).is_some()
    }

    /// The cursor is the last id of the page before, so records that come and go meanwhile are neither skipped nor
    /// repeated.
    pub(crate) fn list(&self, scope: &Scope, page: &PageRequest) -> Page<Record<T>> {
        let tenant = scope.tenant();
        let after = page.cursor().map(|cursor| String::from_utf8_lossy(cursor.as_bytes()).into_owned());
        let start = (tenant.clone(), after.unwrap_or_default());
        let rows = self.rows.read();
        let mut rest = rows
            .range((Bound::Excluded(start), Bound::Unbounded))
            .take_while(|((owner, _), _)| owner == tenant);
        let size = usize::try_from(page.size()).unwrap_or(usize::MAX);
        let items: Vec<Record<T>> = rest
            .by_ref()
            .take(size)
            .map(|((_, id), fields)| Record { id: id.clone(), fields: fields.clone() })
            .collect();
        let last = items.last().map(|record| Cursor::from_bytes(record.id.as_bytes()));
        let next = rest.next().and(last);
        Page::new(items, next)
    }
}

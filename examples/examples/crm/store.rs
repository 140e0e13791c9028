//! The data: in SQLite, so it is there again after a restart, or in PostgreSQL.

use std::error::Error;
use std::marker::PhantomData;

use guardian::Guardian;
use guardian::audit::{AuditEvent, Target, changes_between};
use guardian::core::{Clock, Cursor, IdSource, Page, PageRequest, Scope, StoreError, StoreErrorKind};
use guardian::core::{SystemClock, SystemIds, TenantId};
use guardian::sentiment::Segment;
use guardian::sql::{Database, Dialect, Migration, Migrations, Row, Sql, TenantTx, Unscoped, params};
use guardian::tenant::rls::{Rls, TenantTable};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Three kinds of records. The tenant leads every key.
pub(crate) const MIGRATIONS: Migrations = Migrations::new(
    "crm",
    &[
        Migration::new(
            1,
            "create_records",
            "CREATE TABLE contacts (tenant_id TEXT NOT NULL, id BLOB NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tenant_id, id));
             CREATE TABLE deals (tenant_id TEXT NOT NULL, id BLOB NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tenant_id, id));
             CREATE TABLE notes (tenant_id TEXT NOT NULL, id BLOB NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tenant_id, id))",
            "CREATE TABLE contacts (tenant_id TEXT NOT NULL, id UUID NOT NULL, body JSONB NOT NULL, PRIMARY KEY (tenant_id, id));
             CREATE TABLE deals (tenant_id TEXT NOT NULL, id UUID NOT NULL, body JSONB NOT NULL, PRIMARY KEY (tenant_id, id));
             CREATE TABLE notes (tenant_id TEXT NOT NULL, id UUID NOT NULL, body JSONB NOT NULL, PRIMARY KEY (tenant_id, id))",
        ),
        Migration::same(
            2,
            "create_limit_rules",
            "CREATE TABLE limit_rules (tenant_id TEXT NOT NULL, policy TEXT NOT NULL, rule TEXT NOT NULL, PRIMARY KEY (tenant_id, policy));
             INSERT INTO limit_rules (tenant_id, policy, rule) VALUES
                 ('globex', 'per-org', '3000/min burst 500'),
                 ('globex', 'per-endpoint', '1200/min burst 300'),
                 ('globex', 'per-key', '50/s burst 100')",
        ),
        // Guardian keeps them now.
        Migration::same(3, "drop_limit_rules", "DROP TABLE limit_rules"),
    ],
);

/// On PostgreSQL a second wall stands behind the tenant of every statement: policies, which hold for a statement that forgets
/// it. The demo is one role that owns its tables, and bound all the same; in production the owner migrates and walls off,
/// and the application connects as another role, which `Rls::application_role` names. SQLite has no such wall.
pub(crate) async fn wall_off(db: &Database) -> Result<(), Box<dyn Error>> {
    if db.dialect() != Dialect::Postgres {
        return Ok(());
    }
    let mut tables = Vec::new();
    for records in [Contact::PLURAL, Deal::PLURAL, Note::PLURAL] {
        tables.push(TenantTable::new("public", records)?.key(["id"])?);
    }
    let operator = Scope::system(TenantId::new("operator")?);
    let unscoped = Unscoped::new(operator, "the CRM walls its tables off when it starts")?;
    // A schema that is named like the role comes first in its search path, and the next start would make its tables there.
    let rls = Rls::new().schema("crm_walls")?;
    Ok(rls.plan(&tables).install(db, &unscoped).await?)
}

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
    /// The account that it is about: one of the customer's own customers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
}

/// A kind of record.
pub(crate) trait Entity: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name of its table and of its resource.
    const PLURAL: &'static str;

    /// What one of them is called, in the audit trail.
    const SINGULAR: &'static str;

    /// What the types do not say about a record that a client sent.
    fn check(&self) -> Result<(), &'static str>;

    /// Whether somebody may have written something in it that is read for its mood.
    const HAS_WORDS: bool = false;

    /// What somebody wrote in it, and on which account, where there is such a text.
    fn words(&self) -> Option<(&str, Option<&str>)> {
        None
    }
}

impl Entity for Contact {
    const PLURAL: &'static str = "contacts";
    const SINGULAR: &'static str = "contact";

    fn check(&self) -> Result<(), &'static str> {
        filled(&self.name).ok_or("`name` is empty")?;
        let email = self.email.as_ref().is_none_or(|email| email.contains('@'));
        email.then_some(()).ok_or("`email` has no `@`")
    }
}

impl Entity for Deal {
    const PLURAL: &'static str = "deals";
    const SINGULAR: &'static str = "deal";

    fn check(&self) -> Result<(), &'static str> {
        filled(&self.title).ok_or("`title` is empty")?;
        let amount = self.amount_cents >= 0;
        amount.then_some(()).ok_or("`amount_cents` is negative")
    }
}

impl Entity for Note {
    const PLURAL: &'static str = "notes";
    const SINGULAR: &'static str = "note";
    const HAS_WORDS: bool = true;

    fn check(&self) -> Result<(), &'static str> {
        filled(&self.text).ok_or("`text` is empty")?;
        let known = self.account.as_ref().is_none_or(|account| Segment::account(account).is_ok());
        known.then_some(()).ok_or("`account` is empty, too long, or has control characters")
    }

    fn words(&self) -> Option<(&str, Option<&str>)> {
        Some((&self.text, self.account.as_deref()))
    }
}

fn filled(text: &str) -> Option<()> {
    (!text.trim().is_empty()).then_some(())
}

/// A record as clients see it.
#[derive(Serialize)]
pub(crate) struct Record<T> {
    pub(crate) id: Uuid,
    #[serde(flatten)]
    pub(crate) fields: T,
}

/// A record that was changed: what it was right before, and what it is.
pub(crate) struct Replaced<T> {
    pub(crate) before: T,
    pub(crate) now: Record<T>,
}

/// All records of all tenants.
pub(crate) struct Crm {
    db: Database,
    /// One for all, because it keeps the ids of one millisecond in order.
    ids: SystemIds,
    clock: SystemClock,
    guardian: Guardian<guardian::assembly::Sql>,
}

impl Crm {
    pub(crate) fn new(guardian: Guardian<guardian::assembly::Sql>) -> Self {
        Self { db: guardian.database().clone(), ids: SystemIds::new(), clock: SystemClock::new(), guardian }
    }

    pub(crate) fn table<T: Entity>(&self) -> Table<'_, T> {
        Table { crm: self, kind: PhantomData }
    }
}

/// The records of one kind. Every call names its scope first: its transaction is bound to that tenant, and so is every
/// statement in it.
pub(crate) struct Table<'c, T> {
    crm: &'c Crm,
    kind: PhantomData<fn() -> T>,
}

impl<T: Entity> Table<'_, T> {
    pub(crate) async fn insert(&self, scope: &Scope, fields: T) -> Result<Record<T>, StoreError> {
        // Ids sort by the time they were made, so lists are in that order.
        let id = self.crm.ids.next_id(self.crm.clock.now());
        let sql = Self::sql("INSERT INTO ", " (tenant_id, id, body) VALUES ($1, $2, $3)");
        let mut tx = self.crm.db.begin(scope).await?;
        let body = json(&fields)?;
        tx.execute(sql, params![scope.tenant(), id, body]).await?;
        self.record(&mut tx, "created", id, &Value::Null, &body).await?;
        self.commit(tx, scope).await?;
        Ok(Record { id, fields })
    }

    pub(crate) async fn get(&self, scope: &Scope, id: Uuid) -> Result<Option<Record<T>>, StoreError> {
        let sql = Self::sql("SELECT id, body FROM ", " WHERE tenant_id = $1 AND id = $2");
        let mut tx = self.crm.db.begin_read(scope).await?;
        let row = tx.fetch_optional(sql, params![scope.tenant(), id]).await?;
        row.as_ref().map(record).transpose()
    }

    pub(crate) async fn replace(
        &self,
        scope: &Scope,
        id: Uuid,
        fields: T,
    ) -> Result<Option<Replaced<T>>, StoreError> {
        let sql = Self::sql("UPDATE ", " SET body = $3 WHERE tenant_id = $1 AND id = $2");
        let mut tx = self.crm.db.begin(scope).await?;
        let Some(before) = self.body(&mut tx, scope, id).await? else { return Ok(None) };
        let body = json(&fields)?;
        tx.execute(sql, params![scope.tenant(), id, body]).await?;
        self.record(&mut tx, "updated", id, &before, &body).await?;
        self.commit(tx, scope).await?;
        Ok(Some(Replaced { before: parsed(before)?, now: Record { id, fields } }))
    }

    pub(crate) async fn remove(&self, scope: &Scope, id: Uuid) -> Result<bool, StoreError> {
        let sql = Self::sql("DELETE FROM ", " WHERE tenant_id = $1 AND id = $2");
        let mut tx = self.crm.db.begin(scope).await?;
        let Some(before) = self.body(&mut tx, scope, id).await? else { return Ok(false) };
        tx.execute(sql, params![scope.tenant(), id]).await?;
        self.record(&mut tx, "deleted", id, &before, &Value::Null).await?;
        self.commit(tx, scope).await?;
        Ok(true)
    }

    /// What a record is before it is changed.
    async fn body(&self, tx: &mut TenantTx, scope: &Scope, id: Uuid) -> Result<Option<Value>, StoreError> {
        // Whoever changes it next waits, so that what is recorded is what was: SQLite has one writer anyway.
        let end = match tx.dialect() {
            Dialect::Postgres => " WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
            Dialect::Sqlite => " WHERE tenant_id = $1 AND id = $2",
        };
        let sql = Self::sql("SELECT body FROM ", end);
        let row = tx.fetch_optional(sql, params![scope.tenant(), id]).await?;
        row.map(|row| row.get("body")).transpose()
    }

    async fn record(
        &self,
        tx: &mut TenantTx,
        verb: &str,
        id: Uuid,
        before: &Value,
        after: &Value,
    ) -> Result<(), StoreError> {
        let mut told = if after.is_null() { before.clone() } else { after.clone() };
        if let Value::Object(members) = &mut told {
            members.insert("id".to_owned(), id.to_string().into());
        }
        let event = AuditEvent::new(format!("{}.{verb}", T::SINGULAR))
            .with_target(Target::new(T::SINGULAR, id.to_string()))
            .with_changes(changes_between(before, after));
        self.crm.guardian.record_in(tx, event, told).await.map(drop).map_err(fault)
    }

    /// What is committed is recorded; that it is not in the log yet, should that fail, harms nobody.
    async fn commit(&self, tx: TenantTx, scope: &Scope) -> Result<(), StoreError> {
        tx.commit().await?;
        self.crm.guardian.committed();
        let _ = self.crm.guardian.settle(scope).await;
        Ok(())
    }

    /// The cursor is the last id of the page before, so records that come and go meanwhile are neither skipped nor
    /// repeated. `None` for a cursor that this list never gave.
    pub(crate) async fn list(
        &self,
        scope: &Scope,
        page: &PageRequest,
    ) -> Result<Option<Page<Record<T>>>, StoreError> {
        let after = match page.cursor().map(|cursor| Uuid::from_slice(cursor.as_bytes())) {
            None => Uuid::nil(),
            Some(Ok(id)) => id,
            Some(Err(_)) => return Ok(None),
        };
        let sql =
            Self::sql("SELECT id, body FROM ", " WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3");
        // One more than asked for tells whether there is a next page.
        let wanted = i64::from(page.size()) + 1;
        let mut tx = self.crm.db.begin_read(scope).await?;
        let rows = tx.fetch_all(sql, params![scope.tenant(), after, wanted]).await?;
        let mut items = rows.iter().map(record).collect::<Result<Vec<Record<T>>, _>>()?;
        let size = usize::try_from(page.size()).unwrap_or(usize::MAX);
        let more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| more).map(|last| Cursor::from_bytes(last.id.as_bytes()));
        Ok(Some(Page::new(items, next)))
    }

    fn sql(before: &'static str, after: &'static str) -> Sql {
        let mut sql = Sql::builder(before);
        sql.name(T::PLURAL).push(after);
        sql.finish()
    }
}

fn record<T: Entity>(row: &Row) -> Result<Record<T>, StoreError> {
    Ok(Record { id: row.get("id")?, fields: parsed(row.get("body")?)? })
}

fn parsed<T: Entity>(body: Value) -> Result<T, StoreError> {
    serde_json::from_value(body)
        .map_err(|error| StoreError::new(StoreErrorKind::Corrupt, "crm").with_source(error))
}

fn json<T: Entity>(fields: &T) -> Result<Value, StoreError> {
    serde_json::to_value(fields)
        .map_err(|error| StoreError::new(StoreErrorKind::Internal, "crm").with_source(error))
}

/// The CRM's own events are always ones that the log takes.
fn fault(error: guardian::assembly::Error) -> StoreError {
    match error {
        guardian::assembly::Error::Store(error) => error,
        other => StoreError::new(StoreErrorKind::Internal, "events").with_source(other),
    }
}

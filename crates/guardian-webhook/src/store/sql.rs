use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use guardian_core::{Cursor, Page, PageRequest, Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use guardian_sql::{
    Database, Dialect, Error as SqlError, Insert, Migration, Migrations, Param, Retry, Row, Sql, SqlBuilder,
    TenantTx, ToParam, Tx, Type, Unscoped, params, retry,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::memory::after_cursor;
use super::{
    Claim, Claimed, DeliveryStore, Enqueue, Enqueued, QueueState, Removed, Saved, Settled, Settlement,
};
use crate::delivery::{Attempt, Delivery, DeliveryFilter, DeliveryState, first_id};
use crate::endpoint::{Endpoint, EndpointStatus};
use crate::health::{Health, HealthRules};
use crate::id::{DeliveryId, EndpointId, MessageId};
use crate::message::Message;

mod log;
mod work;

/// The tables of endpoints, queues, messages, deliveries and attempts.
pub const MIGRATIONS: Migrations = Migrations::new(
    "guardian_webhook",
    &[Migration::new(
        1,
        "tables",
        include_str!("../../migrations/0001_tables.sqlite.sql"),
        include_str!("../../migrations/0001_tables.postgres.sql"),
    )],
);

const MESSAGES: Insert<8> = Insert::into(
    "guardian_webhook_messages",
    ["tenant_id", "id", "event_type", "created", "content_type", "body", "versions", "ordering_key"],
);
const DELIVERIES: Insert<12> = Insert::into(
    "guardian_webhook_deliveries",
    [
        "tenant_id",
        "id",
        "message_id",
        "endpoint_id",
        "event_type",
        "state",
        "attempts",
        "round_start",
        "next_at",
        "created",
        "lane",
        "fence",
    ],
);
const BELLS: Insert<4> = Insert::into("guardian_webhook_bells", ["tenant_id", "endpoint_id", "lane", "at"]);
const ATTEMPTS: Insert<4> =
    Insert::into("guardian_webhook_attempts", ["tenant_id", "delivery_id", "number", "document"]);

/// Everything in SQLite or PostgreSQL.
///
/// Messages are stored in the caller's transaction where it has one. Workers act in transactions across tenants and say so;
/// everything else is bound to one tenant.
#[derive(Clone)]
pub struct SqlStore {
    db: Database,
    unscoped: Unscoped,
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("db", &self.db).finish_non_exhaustive()
    }
}

impl SqlStore {
    /// The webhooks of this database, whose tables are made or brought up to date. The operator is who workers act for where they
    /// go across tenants.
    ///
    /// # Errors
    /// When the migration fails, or the tables are newer than this code.
    pub async fn open(db: Database, operator: &Scope) -> Result<Self, SqlError> {
        db.migrate(&MIGRATIONS).await?;
        Self::new(db, operator)
    }

    /// The webhooks of a database whose tables exist: where another role migrates, with [`MIGRATIONS`].
    ///
    /// # Errors
    /// None with the reason that it gives; the type is the reason's.
    pub fn new(db: Database, operator: &Scope) -> Result<Self, SqlError> {
        let unscoped = Unscoped::new(operator.clone(), "workers deliver the webhooks of all tenants")?;
        Ok(Self { db, unscoped })
    }

    fn backend(&self) -> &'static str {
        self.db.dialect().name()
    }

    fn is_postgres(&self) -> bool {
        self.db.dialect() == Dialect::Postgres
    }

    fn corrupt(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
        StoreError::new(StoreErrorKind::Corrupt, self.backend()).with_source(error)
    }

    fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|error| self.corrupt(error))
    }

    fn write(&self, value: &impl Serialize) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|error| self.corrupt(error))
    }

    /// The number of the state of the tenant's endpoints, in a transaction of the caller.
    pub(crate) async fn revision_in(&self, tx: &mut TenantTx) -> Result<i64, StoreError> {
        let tenant = tx.scope().tenant().clone();
        let sql = "SELECT revision FROM guardian_webhook_tenants WHERE tenant_id = $1";
        let row = tx.fetch_optional(sql, params![tenant]).await?;
        row.map_or(Ok(0), |row| row.get("revision"))
    }

    /// All endpoints of the tenant, in a transaction of the caller.
    pub(crate) async fn endpoints_in(&self, tx: &mut TenantTx) -> Result<Vec<Endpoint>, StoreError> {
        let tenant = tx.scope().tenant().clone();
        let sql = "SELECT document FROM guardian_webhook_endpoints WHERE tenant_id = $1 ORDER BY id";
        let rows = tx.fetch_all(sql, params![tenant]).await?;
        rows.iter().map(|row| self.read(row.get("document")?)).collect()
    }

    /// Stores messages within a transaction of the caller, whose tenant is theirs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enqueue_in(
        &self,
        tx: &mut TenantTx,
        batch: &[Enqueue],
    ) -> Result<Vec<Enqueued>, StoreError> {
        let tenant = tx.scope().tenant().clone();
        let mut answers = Vec::with_capacity(batch.len());
        let mut new = Vec::with_capacity(batch.len());
        for each in batch {
            let answer = self.keyed(tx, &tenant, each).await?;
            answers.push(answer);
            if answer == Enqueued::New {
                new.push(each);
            }
        }
        if answers.iter().any(|answer| matches!(answer, Enqueued::Taken(_))) {
            // The transaction may go on: it keeps no key of a message that is not stored.
            for (key, _) in new.iter().filter_map(|each| each.idempotency.as_ref()) {
                let sql = "DELETE FROM guardian_webhook_keys WHERE tenant_id = $1 AND key = $2";
                tx.execute(sql, params![tenant, key]).await?;
            }
            return Ok(answers);
        }
        let versions =
            new.iter().map(|each| self.versions_text(&each.message)).collect::<Result<Vec<_>, _>>()?;
        let messages = new.iter().zip(&versions).map(|(each, versions)| {
            let message = &each.message;
            [
                tenant.to_param(),
                Param::Uuid(message.id.number()),
                Param::Text(message.event_type.as_str().into()),
                Param::Timestamp(message.created),
                Param::Text(message.content_type.as_str().into()),
                Param::Bytes((&*message.body).into()),
                versions.to_param(),
                message.ordering_key.to_param(),
            ]
        });
        let messages: Vec<_> = messages.collect();
        tx.insert_many(&MESSAGES, messages).await?;
        let mut bells: BTreeMap<(EndpointId, Option<&str>), Timestamp> = BTreeMap::new();
        let mut deliveries = Vec::new();
        for each in &new {
            let message = &each.message;
            for (id, endpoint, lane) in &each.fanout {
                let state = if lane.is_some() { DeliveryState::Waiting } else { DeliveryState::Queued };
                let due = lane.is_none().then_some(message.created);
                let at = bells.entry((*endpoint, lane.as_deref())).or_insert(message.created);
                *at = (*at).min(message.created);
                deliveries.push([
                    tenant.to_param(),
                    Param::Uuid(id.number()),
                    Param::Uuid(message.id.number()),
                    Param::Uuid(endpoint.number()),
                    Param::Text(message.event_type.as_str().into()),
                    Param::Integer(state.number()),
                    Param::Integer(0),
                    Param::Integer(0),
                    moment(due),
                    Param::Timestamp(message.created),
                    lane.to_param(),
                    Param::Integer(0),
                ]);
            }
        }
        tx.insert_many(&DELIVERIES, deliveries).await?;
        let lanes: Vec<_> = bells.iter().map(|((_, lane), _)| lane.map(str::to_owned)).collect();
        let rows: Vec<_> = bells
            .iter()
            .zip(&lanes)
            .map(|(((endpoint, _), at), lane)| {
                [tenant.to_param(), Param::Uuid(endpoint.number()), lane.to_param(), Param::Timestamp(*at)]
            })
            .collect();
        tx.insert_many(&BELLS, rows).await?;
        Ok(answers)
    }

    /// What the idempotency key says: a message that has it already, the same or another; else the key is this one's from now on.
    async fn keyed(
        &self,
        tx: &mut TenantTx,
        tenant: &TenantId,
        each: &Enqueue,
    ) -> Result<Enqueued, StoreError> {
        let Some((key, until)) = &each.idempotency else { return Ok(Enqueued::New) };
        let (id, now, digest) = (each.message.id.number(), each.message.created, each.message.digest());
        let sql = "INSERT INTO guardian_webhook_keys (tenant_id, key, message_id, digest, until) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (tenant_id, key) DO UPDATE SET message_id = excluded.message_id, digest = excluded.digest, \
                   until = excluded.until WHERE guardian_webhook_keys.until <= $6 RETURNING message_id";
        if tx.fetch_optional(sql, params![tenant, key, id, digest, until, now]).await?.is_some() {
            return Ok(Enqueued::New);
        }
        let sql = "SELECT message_id, digest FROM guardian_webhook_keys WHERE tenant_id = $1 AND key = $2";
        let row = tx.fetch_one(sql, params![tenant, key]).await?;
        let used = MessageId::new(row.get("message_id")?);
        let same = row.get::<[u8; 32]>("digest")? == digest;
        Ok(if same { Enqueued::Duplicate(used) } else { Enqueued::Taken(used) })
    }

    fn versions_text(&self, message: &Message) -> Result<Option<String>, StoreError> {
        if message.versions.is_empty() {
            return Ok(None);
        }
        let texts: BTreeMap<&str, String> = message
            .versions
            .iter()
            .map(|(name, body)| (name.as_str(), crate::secret::encode(body)))
            .collect();
        self.write(&texts).map(Some)
    }

    fn message_of(&self, row: &Row) -> Result<Message, StoreError> {
        use base64::Engine as _;
        let versions: BTreeMap<String, String> = match row.get::<Option<&str>>("versions")? {
            Some(text) => self.read(text)?,
            None => BTreeMap::new(),
        };
        let decode = |(name, text): (String, String)| {
            let body = crate::secret::LENIENT.decode(text).map_err(|error| self.corrupt(error))?;
            Ok::<_, StoreError>((name, body.into()))
        };
        Ok(Message {
            id: MessageId::new(row.get("id")?),
            event_type: row
                .get::<&str>("event_type")?
                .parse()
                .map_err(|error: crate::Error| self.corrupt(error))?,
            created: row.get("created")?,
            content_type: row.get("content_type")?,
            body: row.get::<Vec<u8>>("body")?.into(),
            versions: versions.into_iter().map(decode).collect::<Result<_, _>>()?,
            ordering_key: row.get("ordering_key")?,
        })
    }

    /// Changes the number of the state of a tenant's endpoints.
    async fn bump(&self, tx: &mut TenantTx) -> Result<(), StoreError> {
        let tenant = tx.scope().tenant().clone();
        let sql = "INSERT INTO guardian_webhook_tenants (tenant_id, revision) VALUES ($1, 1) \
                   ON CONFLICT (tenant_id) DO UPDATE SET revision = guardian_webhook_tenants.revision + 1";
        tx.execute(sql, params![tenant]).await?;
        Ok(())
    }

    async fn put_once(
        &self,
        scope: &Scope,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Result<Saved, StoreError> {
        let (tenant, id) = (scope.tenant(), endpoint.id.number());
        let document = self.write(endpoint)?;
        let revision = signed(endpoint.revision);
        let paused = endpoint.status != EndpointStatus::Enabled;
        let (concurrency, rate) =
            (i64::from(endpoint.settings.concurrency), endpoint.settings.rate.map(i64::from));
        let healthy = self.write(&Health::default())?;
        let mut tx = self.db.begin(scope).await?;
        let changed = if endpoint.revision == 1 {
            let sql = "INSERT INTO guardian_webhook_endpoints (tenant_id, id, revision, document) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT (tenant_id, id) DO NOTHING";
            tx.execute(sql, params![tenant, id, revision, document]).await?
        } else {
            let sql = "UPDATE guardian_webhook_endpoints SET revision = $3, document = $4 \
                       WHERE tenant_id = $1 AND id = $2 AND revision = $3 - 1";
            tx.execute(sql, params![tenant, id, revision, document]).await?
        };
        if changed == 0 {
            tx.rollback().await?;
            return Ok(Saved::Conflict);
        }
        if endpoint.revision == 1 {
            let sql = "INSERT INTO guardian_webhook_queues (tenant_id, endpoint_id, revision, paused, concurrency, rate, ready, gate, \
                       health) VALUES ($1, $2, $3, $4, $5, $6, NULL, NULL, $7)";
            tx.execute(sql, params![tenant, id, revision, paused, concurrency, rate, healthy]).await?;
        } else {
            // What was paused and goes on begins with a closed breaker. A look at an empty queue does no harm.
            let sql = "UPDATE guardian_webhook_queues SET revision = $3, concurrency = $5, rate = $6, \
                       health = CASE WHEN paused AND NOT $4 THEN $7 ELSE health END, \
                       gate = CASE WHEN paused AND NOT $4 THEN NULL ELSE gate END, \
                       ready = CASE WHEN paused AND NOT $4 THEN $8 WHEN ready IS NULL THEN $8 ELSE ready END, paused = $4 \
                       WHERE tenant_id = $1 AND endpoint_id = $2";
            tx.execute(sql, params![tenant, id, revision, paused, concurrency, rate, healthy, now]).await?;
        }
        self.bump(&mut tx).await?;
        tx.commit().await?;
        Ok(Saved::Done)
    }

    async fn remove_once(
        &self,
        scope: &Scope,
        id: EndpointId,
        revision: Option<u64>,
        now: Timestamp,
    ) -> Result<Removed, StoreError> {
        let (tenant, id) = (scope.tenant(), id.number());
        let mut tx = self.db.begin(scope).await?;
        // No endpoint has a negative revision: that is any.
        let wanted = revision.map_or(-1, signed);
        let sql = "DELETE FROM guardian_webhook_endpoints WHERE tenant_id = $1 AND id = $2 AND (revision = $3 OR $3 = -1)";
        if tx.execute(sql, params![tenant, id, wanted]).await? == 0 {
            let sql = "SELECT revision FROM guardian_webhook_endpoints WHERE tenant_id = $1 AND id = $2";
            let is_there = tx.fetch_optional(sql, params![tenant, id]).await?.is_some();
            tx.rollback().await?;
            return Ok(if is_there { Removed::Conflict } else { Removed::Missing });
        }
        let sql = "DELETE FROM guardian_webhook_queues WHERE tenant_id = $1 AND endpoint_id = $2";
        tx.execute(sql, params![tenant, id]).await?;
        let sql = "UPDATE guardian_webhook_deliveries SET state = 5, next_at = NULL, finished = $3, reason = $4 \
                   WHERE tenant_id = $1 AND endpoint_id = $2 AND state < 3";
        tx.execute(sql, params![tenant, id, now, "the endpoint was removed"]).await?;
        self.bump(&mut tx).await?;
        tx.commit().await?;
        Ok(Removed::Done)
    }
}

fn moment(value: Option<Timestamp>) -> Param<'static> {
    value.map_or(Param::Null(Type::Timestamp), Param::Timestamp)
}

fn number(value: Option<i64>) -> Param<'static> {
    value.map_or(Param::Null(Type::Integer), Param::Integer)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Items of a page that was asked for with one more than it has.
fn page_of<T>(mut items: Vec<T>, request: &PageRequest, cursor: impl Fn(&T) -> Uuid) -> Page<T> {
    let size = usize::try_from(request.size()).unwrap_or(usize::MAX);
    let more = items.len() > size;
    items.truncate(size);
    let next = items.last().filter(|_| more).map(|item| Cursor::from_bytes(cursor(item).as_bytes()));
    Page::new(items, next)
}

#[async_trait]
impl DeliveryStore for SqlStore {
    async fn put_endpoint(
        &self,
        scope: &Scope,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Result<Saved, StoreError> {
        retry(&Retry::default(), || self.put_once(scope, endpoint, now)).await
    }

    async fn remove_endpoint(
        &self,
        scope: &Scope,
        id: EndpointId,
        revision: Option<u64>,
        now: Timestamp,
    ) -> Result<Removed, StoreError> {
        retry(&Retry::default(), || self.remove_once(scope, id, revision, now)).await
    }

    async fn endpoint(&self, scope: &Scope, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT document FROM guardian_webhook_endpoints WHERE tenant_id = $1 AND id = $2";
        let row = tx.fetch_optional(sql, params![scope.tenant(), id.number()]).await?;
        tx.commit().await?;
        row.map(|row| self.read(row.get("document")?)).transpose()
    }

    async fn endpoints(&self, scope: &Scope, request: &PageRequest) -> Result<Page<Endpoint>, StoreError> {
        let after = after_cursor(request, self.backend())?.unwrap_or(Uuid::nil());
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT document FROM guardian_webhook_endpoints WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3";
        let rows = tx.fetch_all(sql, params![scope.tenant(), after, i64::from(request.size()) + 1]).await?;
        tx.commit().await?;
        let items =
            rows.iter().map(|row| self.read(row.get("document")?)).collect::<Result<Vec<Endpoint>, _>>()?;
        Ok(page_of(items, request, |each| each.id.number()))
    }

    async fn endpoints_revision(&self, scope: &Scope) -> Result<i64, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let revision = self.revision_in(&mut tx).await?;
        tx.commit().await?;
        Ok(revision)
    }

    async fn queue(&self, scope: &Scope, id: EndpointId) -> Result<Option<QueueState>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT health, \
                   (SELECT COUNT(*) FROM guardian_webhook_deliveries WHERE tenant_id = $1 AND endpoint_id = $2 AND state < 3) AS open, \
                   (SELECT MIN(next_at) FROM guardian_webhook_deliveries WHERE tenant_id = $1 AND endpoint_id = $2 \
                    AND next_at IS NOT NULL) AS next_at \
                   FROM guardian_webhook_queues WHERE tenant_id = $1 AND endpoint_id = $2";
        let row = tx.fetch_optional(sql, params![scope.tenant(), id.number()]).await?;
        tx.commit().await?;
        row.map(|row| {
            let open: i64 = row.get("open")?;
            Ok(QueueState {
                health: self.read(row.get("health")?)?,
                open: u64::try_from(open).unwrap_or(0),
                next_at: row.get("next_at")?,
            })
        })
        .transpose()
    }

    async fn enqueue(&self, scope: &Scope, batch: &[Enqueue]) -> Result<Vec<Enqueued>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        retry(&Retry::default(), || async {
            let mut tx = self.db.begin(scope).await?;
            let answers = self.enqueue_in(&mut tx, batch).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(answers)
        })
        .await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        retry(&Retry::default(), || self.claim_once(claim)).await
    }

    async fn settle(
        &self,
        batch: &[Settlement],
        rules: &HealthRules,
        now: Timestamp,
    ) -> Result<Vec<Settled>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        retry(&Retry::default(), || self.settle_once(batch, rules, now)).await
    }

    async fn endpoints_of(
        &self,
        wanted: &[(TenantId, EndpointId)],
    ) -> Result<Vec<(TenantId, Endpoint)>, StoreError> {
        let mut found = Vec::with_capacity(wanted.len());
        let mut tx = self.db.begin_unscoped(&self.unscoped).await?;
        for some in wanted.chunks(200) {
            let mut sql = Sql::builder(
                "SELECT tenant_id, document FROM guardian_webhook_endpoints WHERE (tenant_id, id) IN (VALUES ",
            );
            let mut values = Vec::with_capacity(some.len() * 2);
            for (at, (tenant, id)) in some.iter().enumerate() {
                sql.push(if at > 0 { ", (" } else { "(" }).placeholders(2).push(")");
                values.extend([tenant.to_param(), Param::Uuid(id.number())]);
            }
            sql.push(")");
            for row in tx.fetch_all(sql.finish(), &values).await? {
                found.push((row.get("tenant_id")?, self.read(row.get("document")?)?));
            }
        }
        tx.commit().await?;
        Ok(found)
    }

    async fn message(&self, scope: &Scope, id: MessageId) -> Result<Option<Message>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT id, event_type, created, content_type, body, versions, ordering_key FROM guardian_webhook_messages \
                   WHERE tenant_id = $1 AND id = $2";
        let row = tx.fetch_optional(sql, params![scope.tenant(), id.number()]).await?;
        tx.commit().await?;
        row.map(|row| self.message_of(&row)).transpose()
    }

    async fn holding(
        &self,
        scope: &Scope,
        deliveries: &[Delivery],
        text: &str,
    ) -> Result<BTreeSet<DeliveryId>, StoreError> {
        self.holding_text(scope, deliveries, text).await
    }

    async fn deliveries(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        request: &PageRequest,
    ) -> Result<Page<Delivery>, StoreError> {
        self.log_page(scope, filter, request).await
    }

    async fn attempts(&self, scope: &Scope, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT document FROM guardian_webhook_attempts WHERE tenant_id = $1 AND delivery_id = $2 ORDER BY number";
        let rows = tx.fetch_all(sql, params![scope.tenant(), id.number()]).await?;
        tx.commit().await?;
        rows.iter().map(|row| self.read(row.get("document")?)).collect()
    }

    async fn cancel(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        retry(&Retry::default(), || self.cancel_once(scope, filter, limit, now)).await
    }

    async fn redrive(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        retry(&Retry::default(), || self.redrive_once(scope, filter, limit, now)).await
    }

    async fn purge(&self, before: Timestamp, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        retry(&Retry::default(), || self.purge_once(before, now, limit)).await
    }
}

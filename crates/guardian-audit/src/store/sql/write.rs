//! Appending and dropping: one transaction for each batch, which holds the tenant's head.

use std::collections::HashMap;
use std::fmt::Write as _;

use guardian_core::{StoreError, StoreErrorKind, TenantId};
use guardian_sql::{Dialect, Insert, Param, Sql, TenantTx, ToParam, params};
use uuid::Uuid;

use super::pairs::Pairs;
use super::search::{Log, PLACES, Search, Wanted, list_length, moment, padded, place};
use super::token;
use crate::canonical;
use crate::merkle::{Frontier, leaf_hash};
use crate::plan::Plan;
use crate::store::{Draft, Drop, Note, NoteKind, Placed};

const EVENTS: Insert<8> = Insert::into(
    "guardian_audit_events",
    ["tenant_id", "sequence", "event_id", "recorded", "occurred", "leaf", "body", "terms"],
);

/// The head of a tenant's log, held by this transaction until it ends.
struct Held {
    number: i64,
    frontier: Frontier,
    recorded: i64,
}

/// One new event.
struct New<'d> {
    draft: &'d Draft,
    sequence: u64,
    leaf: [u8; 32],
    terms: String,
}

fn rows<'n>(tenant: &'n TenantId, recorded: i64, new: &'n [New<'_>]) -> Vec<[Param<'n>; 8]> {
    let row = |event: &'n New<'_>| {
        [
            tenant.to_param(),
            Param::Integer(place(event.sequence)),
            Param::Uuid(event.draft.id),
            Param::Integer(recorded),
            Param::Integer(event.draft.occurred),
            event.leaf.to_param(),
            event.draft.body.to_param(),
            event.terms.to_param(),
        ]
    };
    new.iter().map(row).collect()
}

/// Appends drafts to the log of the transaction's tenant.
pub(super) async fn append(tx: &mut TenantTx, drafts: &[Draft], now: i64) -> Result<Vec<Placed>, StoreError> {
    let tenant = tx.scope().tenant().clone();
    let Held { number, mut frontier, recorded } = hold(tx, &tenant).await?;
    let first = frontier.size();
    let recorded = if first == 0 { now } else { recorded.max(now) };
    let time = moment(recorded);
    let mut known = known(tx, &tenant, drafts).await?;
    let mut placed = Vec::with_capacity(drafts.len());
    let mut new = Vec::with_capacity(drafts.len());
    for draft in drafts {
        if let Some(&(sequence, recorded)) = known.get(&draft.id) {
            placed.push(Placed::new(sequence, moment(recorded), true));
            continue;
        }
        let sequence = frontier.size();
        let mut record = canonical::heading(&tenant, sequence, time);
        record.extend_from_slice(&draft.body);
        let leaf = leaf_hash(&record);
        frontier.append(leaf);
        known.insert(draft.id, (sequence, recorded));
        placed.push(Placed::new(sequence, time, false));
        let terms = token::encode(&draft.terms, draft.occurred);
        new.push(New { draft, sequence, leaf: leaf.into(), terms });
    }
    if new.is_empty() {
        return Ok(placed);
    }
    // SQLite's index counts both in one number.
    if frontier.size() >> PLACES != 0 || (tx.dialect() == Dialect::Sqlite && number >> (62 - PLACES) != 0) {
        return Err(StoreError::new(StoreErrorKind::Full, tx.dialect().name())
            .with_source("a log has room for 2^40 events, SQLite for 2^22 logs"));
    }
    let rows = rows(&tenant, recorded, &new);
    tx.insert_many(&EVENTS, rows).await?;
    index(tx, &tenant, number, &new).await?;
    tx.execute(
        "UPDATE guardian_audit_heads SET size = $2, frontier = $3, recorded = $4 WHERE tenant_id = $1",
        params![tenant, place(frontier.size()), frontier.to_bytes(), recorded],
    )
    .await?;
    Ok(placed)
}

/// The tenant's head, made when there is none, and nobody else's until the transaction ends.
async fn hold(tx: &mut TenantTx, tenant: &TenantId) -> Result<Held, StoreError> {
    let sql = match tx.dialect() {
        // SQLite has one writer.
        Dialect::Sqlite => "SELECT number, frontier, recorded FROM guardian_audit_heads WHERE tenant_id = $1",
        Dialect::Postgres => {
            "SELECT number, frontier, recorded FROM guardian_audit_heads WHERE tenant_id = $1 FOR UPDATE"
        }
    };
    let mut row = tx.fetch_optional(sql, params![tenant]).await?;
    if row.is_none() {
        tx.execute(
            "INSERT INTO guardian_audit_heads (tenant_id, size, frontier, recorded) VALUES ($1, 0, $2, 0) \
             ON CONFLICT (tenant_id) DO NOTHING",
            params![tenant, Frontier::new().to_bytes()],
        )
        .await?;
        row = Some(tx.fetch_one(sql, params![tenant]).await?);
    }
    let backend = tx.dialect().name();
    let corrupt = |why: String| StoreError::new(StoreErrorKind::Corrupt, backend).with_source(why);
    let row = row.ok_or_else(|| corrupt("the head of a log is gone".to_owned()))?;
    let frontier = Frontier::from_bytes(row.get("frontier")?).map_err(|error| corrupt(error.to_string()))?;
    Ok(Held { number: row.get("number")?, frontier, recorded: row.get("recorded")? })
}

/// Which of the drafts the log holds: their places and when they were recorded.
async fn known(
    tx: &mut TenantTx,
    tenant: &TenantId,
    drafts: &[Draft],
) -> Result<HashMap<Uuid, (u64, i64)>, StoreError> {
    let mut known = HashMap::with_capacity(drafts.len());
    for drafts in drafts.chunks(512) {
        let length = list_length(drafts.len());
        let mut sql =
            Sql::builder("SELECT event_id, sequence, recorded FROM guardian_audit_events WHERE tenant_id = ");
        let sql = sql.placeholder().push(" AND event_id IN (").placeholders(length).push(")").finish();
        let last = drafts.last().map(|draft| draft.id);
        let more = last.into_iter().cycle().take(length.saturating_sub(drafts.len()));
        let mut given = Vec::with_capacity(1 + length);
        given.push(tenant.to_param());
        given.extend(drafts.iter().map(|draft| draft.id).chain(more).map(Param::Uuid));
        for row in tx.fetch_all(sql, &given).await? {
            known.insert(row.get("event_id")?, (row.get("sequence")?, row.get("recorded")?));
        }
    }
    Ok(known)
}

/// Indexes the new events. The database puts the tenant's number before each token.
async fn index(tx: &mut TenantTx, tenant: &TenantId, number: i64, new: &[New<'_>]) -> Result<(), StoreError> {
    let Some(first) = new.first().map(|new| place(new.sequence)) else { return Ok(()) };
    let prefix = format!("{number}.");
    match tx.dialect() {
        Dialect::Sqlite => {
            tx.execute(
                "INSERT INTO guardian_audit_index (rowid, terms) \
                 SELECT $3 + sequence, $4 || replace(terms, ' ', ' ' || $4) FROM guardian_audit_events \
                 WHERE tenant_id = $1 AND sequence >= $2 ORDER BY sequence",
                params![tenant, first, number << PLACES, prefix],
            )
            .await?
        }
        Dialect::Postgres => {
            let (mut low, mut high) = (String::new(), String::new());
            for new in new {
                let pairs = Pairs::of(&new.terms);
                for (list, half) in [(&mut low, pairs.low), (&mut high, pairs.high)] {
                    // Writing to a text does not fail.
                    let _ = write!(list, "{}{half}", if list.is_empty() { "" } else { "," });
                }
            }
            tx.execute(
                "INSERT INTO guardian_audit_index (tenant_id, sequence, recorded, pairs_low, pairs_high, terms) \
                 SELECT e.tenant_id, e.sequence, e.recorded, p.low, p.high, \
                 array_to_tsvector(string_to_array($3 || replace(e.terms, ' ', ' ' || $3), ' ')) \
                 FROM unnest(string_to_array($4, ',')::bigint[], string_to_array($5, ',')::bigint[]) \
                 WITH ORDINALITY AS p (low, high, at) \
                 JOIN guardian_audit_events e ON e.tenant_id = $1 AND e.sequence = $2 + p.at - 1",
                params![tenant, first, prefix, low, high],
            )
            .await?
        }
    };
    Ok(())
}

/// Waits until nobody drops bodies of the tenant's log, when the note is one that dropping depends on.
pub(super) async fn turn(tx: &mut TenantTx, kind: NoteKind) -> Result<(), StoreError> {
    if kind == NoteKind::Hold {
        let tenant = tx.scope().tenant().clone();
        hold(tx, &tenant).await?;
    }
    Ok(())
}

/// Writes a note, in the place of one of the same name.
pub(super) async fn note(tx: &mut TenantTx, kind: NoteKind, note: &Note) -> Result<(), StoreError> {
    let tenant = tx.scope().tenant().clone();
    tx.execute(
        "INSERT INTO guardian_audit_notes (tenant_id, kind, name, bytes) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant_id, kind, name) DO UPDATE SET bytes = excluded.bytes",
        params![tenant, kind.as_str(), note.name, note.bytes],
    )
    .await
    .map(drop)
}

/// Writes a checkpoint and the state of the key that sealed it, if the last checkpoint has this name; whether it had.
pub(super) async fn checkpoint(
    tx: &mut TenantTx,
    last: Option<&str>,
    checkpoint: &Note,
    state: Option<&Note>,
) -> Result<bool, StoreError> {
    let tenant = tx.scope().tenant().clone();
    // Who makes a checkpoint has the head: they take turns.
    hold(tx, &tenant).await?;
    let found = tx
        .fetch_optional(
            "SELECT name FROM guardian_audit_notes WHERE tenant_id = $1 AND kind = $2 ORDER BY name DESC LIMIT 1",
            params![tenant, NoteKind::Checkpoint.as_str()],
        )
        .await?;
    let found: Option<String> = found.map(|row| row.get("name")).transpose()?;
    if found.as_deref() != last {
        return Ok(false);
    }
    note(tx, NoteKind::Checkpoint, checkpoint).await?;
    if let Some(state) = state {
        note(tx, NoteKind::Seal, state).await?;
    }
    Ok(true)
}

/// Drops the bodies of what the plan finds before a time, the oldest first, and what they are found by.
pub(super) async fn drop_bodies(tx: &mut TenantTx, drop: &Drop<'_>) -> Result<u64, StoreError> {
    let (tenant, Drop { plan, before, limit, .. }) = (tx.scope().tenant().clone(), *drop);
    let Some(log) = Log::of(tx, &tenant).await? else { return Ok(0) };
    // Who drops, and who places or lifts a hold, take turns.
    hold(tx, &tenant).await?;
    let rows = tx
        .fetch_all(
            "SELECT name, bytes FROM guardian_audit_notes WHERE tenant_id = $1 AND kind = $2 ORDER BY name",
            params![tenant, NoteKind::Hold.as_str()],
        )
        .await?;
    let holds = rows.iter().map(|row| Ok(Note::new(row.get::<String>("name")?, row.get("bytes")?)));
    if !drop.knows(&holds.collect::<Result<Vec<_>, StoreError>>()?) {
        return Err(StoreError::new(StoreErrorKind::Conflict, tx.dialect().name()));
    }
    let (before, is_cut) =
        (before.timestamp_micros(), !before.timestamp_subsec_nanos().is_multiple_of(1_000));
    // Whole microseconds are stored: what lies within the cut one is earlier.
    let end = if is_cut { before.saturating_add(1) } else { before };
    let plan = Plan::And(vec![Plan::Recorded(i64::MIN, end), plan.clone()]);
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut places = Vec::new();
    let mut search = Search::newest(tx, log, &plan, None).await?.oldest_first();
    while left > 0 && !search.is_done() {
        let hits = search.next(Wanted::Times, left.min(search.reach())).await?;
        left = left.saturating_sub(hits.len());
        places.extend(hits.iter().map(|hit| hit.sequence));
    }
    for places in places.chunks(512) {
        forget(tx, &tenant, log.number, places).await?;
    }
    Ok(u64::try_from(places.len()).unwrap_or(u64::MAX))
}

async fn forget(tx: &mut TenantTx, tenant: &TenantId, number: i64, places: &[u64]) -> Result<(), StoreError> {
    let length = list_length(places.len());
    match tx.dialect() {
        Dialect::Sqlite => {
            // An index without contents has to be told what an entry was.
            let mut sql = Sql::builder(
                "INSERT INTO guardian_audit_index (guardian_audit_index, rowid, terms) SELECT 'delete', ",
            );
            sql.placeholder().push(" + sequence, ");
            sql.placeholder().push(" || replace(terms, ' ', ' ' || ").placeholder();
            sql.push(") FROM guardian_audit_events WHERE terms IS NOT NULL AND tenant_id = ").placeholder();
            let sql =
                sql.push(" AND sequence IN (").placeholders(length).push(") ORDER BY sequence").finish();
            let prefix = format!("{number}.");
            let mut given = vec![
                Param::Integer(number << PLACES),
                prefix.to_param(),
                prefix.to_param(),
                tenant.to_param(),
            ];
            given.extend(padded(places, length));
            tx.execute(sql, &given).await?;
        }
        Dialect::Postgres => {
            let mut sql = Sql::builder("DELETE FROM guardian_audit_index WHERE tenant_id = ");
            let sql = sql.placeholder().push(" AND sequence IN (").placeholders(length).push(")").finish();
            let mut given = vec![tenant.to_param()];
            given.extend(padded(places, length));
            tx.execute(sql, &given).await?;
        }
    }
    let mut sql =
        Sql::builder("UPDATE guardian_audit_events SET body = NULL, terms = NULL WHERE tenant_id = ");
    let sql = sql.placeholder().push(" AND sequence IN (").placeholders(length).push(")").finish();
    let mut given = vec![tenant.to_param()];
    given.extend(padded(places, length));
    tx.execute(sql, &given).await?;
    Ok(())
}

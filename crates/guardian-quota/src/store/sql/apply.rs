//! The statements that keep decisions.

use std::collections::BTreeMap;

use guardian_core::{Scope, StoreError, StoreErrorKind};
use guardian_sql::{Dialect, Insert, Param, Sql, SqlBuilder, TenantTx, ToParam, params};
use serde::Deserialize;

use super::{Found, Inner, signed};
use crate::account::Account;
use crate::entry::Entry;
use crate::{EventKey, FeatureName};

/// What is to be kept, and what it rests on.
pub(super) struct Work {
    /// Of the subscription.
    pub(super) revision: u64,
    /// Of the organisation's account.
    pub(super) expected: i64,
    /// The version afterwards.
    pub(super) seq: u64,
    /// The accounts that the decisions rest on: their paths and digests.
    pub(super) subjects: BTreeMap<String, u128>,
    /// The keys that must not be in the ledger.
    pub(super) keys: Vec<EventKey>,
    /// The organisation's new state.
    pub(super) root: Option<String>,
    /// The others' new states, by path.
    pub(super) accounts: Vec<(String, String)>,
    pub(super) entries: Vec<(u64, Option<EventKey>, String)>,
}

/// What became of it.
pub(super) enum Answer {
    /// It rested on what is there, and is kept if there was anything to keep.
    Kept,
    /// The subscription is another.
    Stale,
    /// These keys are in the ledger.
    Entries(Vec<Entry>),
    /// The accounts were changed: this is how they are.
    Accounts(Found),
}

/// What the function on PostgreSQL says when nothing was kept.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    Stale,
    Entries(Vec<String>),
    Accounts(Vec<(String, i64, String)>),
}

impl Work {
    /// Only wants to know how accounts are.
    pub(super) fn looking(revision: u64) -> Self {
        Self {
            revision,
            expected: -1,
            seq: 0,
            subjects: BTreeMap::new(),
            keys: Vec::new(),
            root: None,
            accounts: Vec::new(),
            entries: Vec::new(),
        }
    }
}

const ENTRIES: Insert<5> =
    Insert::into("guardian_quota_entries", ["tenant_id", "feature", "seq", "event_key", "document"]);
const ACCOUNTS: Insert<5> =
    Insert::into("guardian_quota_accounts", ["tenant_id", "feature", "subject", "version", "state"])
        .on_conflict(
            "(tenant_id, feature, subject) DO UPDATE SET version = excluded.version, state = excluded.state",
        );

impl Inner {
    pub(super) async fn apply(
        &self,
        scope: &Scope,
        feature: &FeatureName,
        work: &Work,
    ) -> Result<Answer, StoreError> {
        match self.db.dialect() {
            Dialect::Sqlite => self.apply_on_sqlite(scope, feature, work).await,
            Dialect::Postgres => self.apply_on_postgres(scope, feature, work).await,
        }
    }

    async fn apply_on_postgres(
        &self,
        scope: &Scope,
        feature: &FeatureName,
        work: &Work,
    ) -> Result<Answer, StoreError> {
        let list = |texts: &[&str]| self.write(&texts);
        let subjects: Vec<&str> = work.subjects.keys().map(String::as_str).collect();
        let keys: Vec<&str> = work.keys.iter().map(EventKey::as_str).collect();
        let keys = (!keys.is_empty()).then(|| list(&keys)).transpose()?;
        let accounts = (!work.accounts.is_empty()).then(|| self.write(&work.accounts)).transpose()?;
        // A single entry without a key needs no list.
        let (first, entries) = match work.entries.as_slice() {
            [] => (None, None),
            [(_, None, document)] => (Some(document.as_str()), None),
            entries => (None, Some(self.write(&entries)?)),
        };
        let sql = "SELECT guardian_quota_apply($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS answer";
        let rows = self
            .db
            .call(
                scope,
                sql,
                params![
                    feature.as_str(),
                    signed(work.revision),
                    work.expected,
                    signed(work.seq),
                    work.root.as_deref(),
                    list(&subjects)?,
                    keys,
                    accounts,
                    first,
                    entries
                ],
            )
            .await?;
        let row = rows.first().ok_or_else(|| StoreError::new(StoreErrorKind::Internal, self.backend()))?;
        let Some(answer) = row.get::<Option<&str>>("answer")? else { return Ok(Answer::Kept) };
        match self.read(answer)? {
            Told::Stale => Ok(Answer::Stale),
            Told::Entries(documents) => Ok(Answer::Entries(
                documents.iter().map(|document| self.read(document)).collect::<Result<_, _>>()?,
            )),
            Told::Accounts(accounts) => Ok(Answer::Accounts(
                accounts
                    .into_iter()
                    .map(|(path, version, state)| Ok((path, self.account(version, &state)?)))
                    .collect::<Result<_, StoreError>>()?,
            )),
        }
    }

    fn account(&self, version: i64, state: &str) -> Result<(u64, Account), StoreError> {
        Ok((self.number(version)?, self.read(state)?))
    }

    async fn apply_on_sqlite(
        &self,
        scope: &Scope,
        feature: &FeatureName,
        work: &Work,
    ) -> Result<Answer, StoreError> {
        let tenant = scope.tenant();
        let mut tx =
            if work.root.is_some() { self.db.begin(scope).await? } else { self.db.begin_read(scope).await? };
        if !work.keys.is_empty() {
            // Key by key: of a list SQLite thinks that looking at the whole ledger is cheaper.
            let mut sql = wanted(work.keys.len());
            sql.push("SELECT e.document AS document FROM wanted CROSS JOIN guardian_quota_entries e ")
                .push("INDEXED BY guardian_quota_entries_key ON e.event_key = wanted.name AND e.tenant_id = ")
                .placeholder()
                .push(" AND e.feature = ")
                .placeholder();
            let mut given: Vec<Param<'_>> =
                work.keys.iter().map(|key| Param::Text(key.as_str().into())).collect();
            given.extend([tenant.to_param(), Param::Text(feature.as_str().into())]);
            let rows = tx.fetch_all(sql.finish(), &given).await?;
            if !rows.is_empty() {
                let known = rows
                    .iter()
                    .map(|row| self.read(row.get::<&str>("document")?))
                    .collect::<Result<_, _>>()?;
                tx.rollback().await?;
                return Ok(Answer::Entries(known));
            }
        }
        let sql = "SELECT s.revision AS revision, COALESCE(a.version, 0) AS version FROM guardian_quota_subscriptions s \
                   LEFT JOIN guardian_quota_accounts a ON a.tenant_id = s.tenant_id AND a.feature = $2 AND a.subject = '' \
                   WHERE s.tenant_id = $1";
        let row = tx.fetch_optional(sql, params![tenant, feature.as_str()]).await?;
        let current = row
            .map(|row| Ok::<(i64, i64), StoreError>((row.get("revision")?, row.get("version")?)))
            .transpose()?;
        let Some((_, version)) = current.filter(|(revision, _)| *revision == signed(work.revision)) else {
            tx.rollback().await?;
            return Ok(Answer::Stale);
        };
        if version != work.expected {
            let found = self.found_on_sqlite(&mut tx, feature, work).await?;
            tx.rollback().await?;
            return Ok(Answer::Accounts(found));
        }
        let Some(root) = &work.root else {
            tx.rollback().await?;
            return Ok(Answer::Kept);
        };
        let (feature, seq) = (feature.as_str(), signed(work.seq));
        let accounts = std::iter::once(("", root.as_str()))
            .chain(work.accounts.iter().map(|(path, state)| (path.as_str(), state.as_str())))
            .map(|(path, state)| {
                [
                    tenant.to_param(),
                    Param::Text(feature.into()),
                    Param::Text(path.into()),
                    Param::Integer(seq),
                    Param::Text(state.into()),
                ]
            });
        tx.insert_many(&ACCOUNTS, accounts.collect::<Vec<_>>()).await?;
        let entries = work.entries.iter().map(|(seq, key, document)| {
            let key = key
                .as_ref()
                .map_or(Param::Null(guardian_sql::Type::Text), |key| Param::Text(key.as_str().into()));
            [
                tenant.to_param(),
                Param::Text(feature.into()),
                Param::Integer(signed(*seq)),
                key,
                document.to_param(),
            ]
        });
        tx.insert_many_and_commit(&ENTRIES, entries.collect::<Vec<_>>()).await?;
        Ok(Answer::Kept)
    }

    async fn found_on_sqlite(
        &self,
        tx: &mut TenantTx,
        feature: &FeatureName,
        work: &Work,
    ) -> Result<Found, StoreError> {
        let mut sql = wanted(work.subjects.len());
        sql.push("SELECT a.subject AS subject, a.version AS version, a.state AS state ")
            .push("FROM wanted CROSS JOIN guardian_quota_accounts a ON a.subject = wanted.name AND a.tenant_id = ")
            .placeholder()
            .push(" AND a.feature = ")
            .placeholder();
        let tenant = tx.scope().tenant().clone();
        let mut given: Vec<Param<'_>> = work.subjects.keys().map(ToParam::to_param).collect();
        given.extend([tenant.to_param(), Param::Text(feature.as_str().into())]);
        let rows = tx.fetch_all(sql.finish(), &given).await?;
        rows.iter()
            .map(|row| {
                Ok((row.get("subject")?, self.account(row.get("version")?, row.get::<&str>("state")?)?))
            })
            .collect()
    }
}

/// The beginning of a statement about so many names.
fn wanted(names: usize) -> SqlBuilder {
    let mut sql = Sql::builder("WITH wanted (name) AS (VALUES ");
    for number in 0..names {
        sql.push(if number > 0 { ", (" } else { "(" }).placeholder().push(")");
    }
    sql.push(") ");
    sql
}

//! The transactions on SQLite: read the states, decide here, write.

use std::sync::Arc;

use guardian_core::StoreError;
use guardian_sql::{Param, Sql, TenantTx, ToParam, UnscopedTx, params};

use super::counter::{Held, Kind, Terms, Verdict};
use super::state::State;
use super::{Answer, Inner, key};
use crate::limiter::Limiter;
use crate::store::{Call, Item, Release};

const DELETE: &str = "DELETE FROM guardian_rate_limits WHERE tenant_id = $1 AND policy = $2 AND subject = $3";
const HELD: &str = "SELECT SUM(cost), MAX(ends_at) FROM guardian_rate_permits
    WHERE tenant_id = $1 AND policy = $2 AND subject = $3 AND ends_at > $4";
/// Every row frees at least one.
const ENDS: &str = "SELECT ends_at, cost FROM guardian_rate_permits
    WHERE tenant_id = $1 AND policy = $2 AND subject = $3 AND ends_at > $4 ORDER BY ends_at LIMIT $5";
const DELETE_ENDED: &str = "DELETE FROM guardian_rate_permits
    WHERE tenant_id = $1 AND policy = $2 AND subject = $3 AND ends_at <= $4";
const HOLD: &str = "INSERT INTO guardian_rate_permits (tenant_id, policy, subject, permit, ends_at, cost)
    VALUES ($1, $2, $3, $4, $5, $6)";
const RELEASE: &str = "DELETE FROM guardian_rate_permits
    WHERE tenant_id = $1 AND policy = $2 AND subject = $3 AND permit = $4";
const RELEASE_ALL: &str =
    "DELETE FROM guardian_rate_permits WHERE tenant_id = $1 AND policy = $2 AND subject = $3";
const SWEEP_LIMITS: &str = "DELETE FROM guardian_rate_limits WHERE (tenant_id, policy, subject) IN
    (SELECT tenant_id, policy, subject FROM guardian_rate_limits WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
const SWEEP_PERMITS: &str = "DELETE FROM guardian_rate_permits WHERE (tenant_id, policy, subject, permit) IN
    (SELECT tenant_id, policy, subject, permit FROM guardian_rate_permits WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2)";

/// The statements about one to eight counters, by their number less one.
#[derive(Clone)]
pub(super) struct Statements {
    select: Arc<[Sql]>,
    upsert: Arc<[Sql]>,
}

impl Statements {
    pub(super) fn new() -> Self {
        let counts = || 1..=Limiter::MAX_LIMITS;
        Self { select: counts().map(select).collect(), upsert: counts().map(upsert).collect() }
    }

    fn of(statements: &[Sql], count: usize, make: fn(usize) -> Sql) -> Sql {
        // A store is not asked about more than eight; if it is, it says so for any number.
        count.checked_sub(1).and_then(|index| statements.get(index)).map_or_else(|| make(count), Sql::clone)
    }
}

fn select(counters: usize) -> Sql {
    let mut sql = Sql::builder("SELECT 0, state FROM guardian_rate_limits WHERE tenant_id = ");
    sql.placeholder().push(" AND policy = ").placeholder().push(" AND subject = ").placeholder();
    for (index, _) in (1_i64..).zip(1..counters) {
        sql.push(" UNION ALL SELECT ")
            .number(index)
            .push(", state FROM guardian_rate_limits WHERE tenant_id = $1");
        sql.push(" AND policy = ").placeholder().push(" AND subject = ").placeholder();
    }
    sql.finish()
}

fn upsert(counters: usize) -> Sql {
    let mut sql = Sql::builder(
        "INSERT INTO guardian_rate_limits (tenant_id, policy, subject, state, expires_at) VALUES ",
    );
    for index in 0..counters {
        sql.push(if index > 0 { ", (" } else { "(" }).placeholders(5).push(")");
    }
    sql.push(" ON CONFLICT (tenant_id, policy, subject) DO UPDATE SET state = excluded.state, expires_at = excluded.expires_at");
    sql.finish()
}

/// A state on its way into its row.
struct Kept<'k> {
    name: &'k str,
    subject: String,
    text: String,
    expires_at: i64,
}

impl<'k> Kept<'k> {
    fn new(item: &Item<'k>, state: &State) -> Self {
        Self {
            name: item.name.as_str(),
            subject: key::subject(item.subject).into_owned(),
            text: state.to_string(),
            expires_at: state.expires_at(),
        }
    }
}

impl Inner {
    /// The states of the counters, in the order of the items.
    async fn states(&self, tx: &mut TenantTx, call: &Call<'_>) -> Result<Vec<Option<State>>, StoreError> {
        let subjects: Vec<_> = call.items.iter().map(|item| key::subject(item.subject)).collect();
        let mut given = vec![key::tenant(call.realm).to_param()];
        for (item, subject) in call.items.iter().zip(&subjects) {
            given.extend([item.name.as_str().to_param(), subject.to_param()]);
        }
        let sql = Statements::of(&self.statements.select, call.items.len(), select);
        let mut states = vec![None; call.items.len()];
        for row in tx.fetch_all(sql, &given).await? {
            let index = usize::try_from(row.get::<i64>(0)?).unwrap_or(usize::MAX);
            let state = State::parse(row.get(1)?);
            let state = state.map_err(|_unreadable| self.corrupt("a row holds no state of a rate limit"))?;
            if let Some(place) = states.get_mut(index) {
                *place = Some(state);
            }
        }
        Ok(states)
    }

    async fn keep(&self, tx: &mut TenantTx, tenant: &str, kept: &[Kept<'_>]) -> Result<(), StoreError> {
        if kept.is_empty() {
            return Ok(());
        }
        let given: Vec<Param<'_>> = kept.iter().flat_map(|row| params_of(tenant, row)).collect();
        tx.execute(Statements::of(&self.statements.upsert, kept.len(), upsert), &given).await?;
        Ok(())
    }

    pub(super) async fn check_on_sqlite(&self, call: &Call<'_>, charge: bool) -> Result<Answer, StoreError> {
        let (scope, asked) = (self.scope(call.realm), self.now());
        let mut tx = if charge { self.db.begin(&scope).await? } else { self.db.begin_read(&scope).await? };
        let tenant = key::tenant(call.realm);
        let states = self.states(&mut tx, call).await?;
        let now = self.now();
        let mut verdicts = Vec::with_capacity(call.items.len());
        for (item, state) in call.items.iter().zip(&states) {
            let (terms, cost) = (Terms::of(item.rule), i64::from(item.cost));
            let verdict = match terms.kind {
                Kind::Permits { .. } => held(&mut tx, tenant, item, &terms, now).await?,
                _ => terms.check(state.as_ref(), now, cost),
            };
            verdicts.push((terms, verdict));
        }
        let numbers = verdicts.iter().map(|(_, verdict)| verdict.numbers()).collect();
        let answer = Answer { numbers, waited: now.saturating_sub(asked) };
        if !charge {
            tx.rollback().await?;
            return Ok(answer);
        }
        let denies = |(item, (_, verdict)): (&Item<'_>, &(Terms, Verdict))| {
            item.mode == crate::Mode::Enforce && !verdict.admits
        };
        let allowed = !call.items.iter().zip(&verdicts).any(denies);
        let (mut kept, mut holds) = (Vec::new(), false);
        for (item, (terms, verdict)) in call.items.iter().zip(&verdicts) {
            // A dry run that would deny is not charged.
            let take = allowed && verdict.admits;
            if let (true, Kind::Permits { ttl }, Some(permit)) = (take, terms.kind, call.permit) {
                let (name, subject) = (item.name.as_str(), key::subject(item.subject));
                tx.execute(DELETE_ENDED, params![tenant, name, subject, now]).await?;
                let ends_at = now.saturating_add(ttl);
                tx.execute(HOLD, params![tenant, name, subject, permit.to_string(), ends_at, item.cost])
                    .await?;
                holds = true;
            }
            let state = if take { &verdict.taken } else { &verdict.moved };
            kept.extend(state.iter().map(|state| Kept::new(item, state)));
        }
        if kept.is_empty() && !holds {
            tx.rollback().await?;
        } else {
            self.keep(&mut tx, tenant, &kept).await?;
            tx.commit().await?;
        }
        Ok(answer)
    }

    pub(super) async fn refund_on_sqlite(&self, call: &Call<'_>, age: i64) -> Result<(), StoreError> {
        // The caller told the age before it had to wait.
        let then = self.now().saturating_sub(age).max(0);
        let mut tx = self.db.begin(&self.scope(call.realm)).await?;
        let tenant = key::tenant(call.realm);
        let states = self.states(&mut tx, call).await?;
        let now = self.now();
        let put_back = |(item, state): (&Item<'_>, &Option<State>)| {
            Terms::of(item.rule).refund(state.as_ref(), then, now, i64::from(item.cost))
        };
        let refunded: Vec<_> = call.items.iter().zip(&states).map(put_back).collect();
        let changed =
            call.items.iter().zip(&refunded).filter_map(|(item, state)| Some((item, state.as_ref()?)));
        let kept: Vec<_> = changed.map(|(item, state)| Kept::new(item, state)).collect();
        self.keep(&mut tx, tenant, &kept).await?;
        tx.commit().await
    }

    pub(super) async fn reset_on_sqlite(&self, call: &Call<'_>) -> Result<(), StoreError> {
        let mut tx = self.db.begin(&self.scope(call.realm)).await?;
        for item in call.items {
            let (tenant, name, subject) =
                (key::tenant(call.realm), item.name.as_str(), key::subject(item.subject));
            tx.execute(DELETE, params![tenant, name, subject]).await?;
            tx.execute(RELEASE_ALL, params![tenant, name, subject]).await?;
        }
        tx.commit().await
    }

    pub(super) async fn release_on_sqlite(&self, release: &Release) -> Result<(), StoreError> {
        let mut tx = self.db.begin(&self.scope(release.realm())).await?;
        for counter in &release.counters {
            let subject = key::subject(counter.subject.as_subject());
            let (tenant, name) = (key::tenant(release.realm()), counter.name.as_str());
            tx.execute(RELEASE, params![tenant, name, subject, release.permit.to_string()]).await?;
        }
        tx.commit().await
    }
}

fn params_of<'p>(tenant: &'p str, row: &'p Kept<'_>) -> [Param<'p>; 5] {
    [
        tenant.to_param(),
        row.name.to_param(),
        row.subject.to_param(),
        row.text.to_param(),
        row.expires_at.to_param(),
    ]
}

/// Decides a concurrency limit; who holds what is read only as far as it takes to say how long to wait.
async fn held(
    tx: &mut TenantTx,
    tenant: &str,
    item: &Item<'_>,
    terms: &Terms,
    now: i64,
) -> Result<Verdict, StoreError> {
    let (name, subject, cost) = (item.name.as_str(), key::subject(item.subject), i64::from(item.cost));
    let row = tx.fetch_one(HELD, params![tenant, name, subject, now]).await?;
    let (used, last): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
    let held = Held { used: used.unwrap_or(0), last: last.unwrap_or(0) };
    let lacking = held.lacking(terms, cost);
    let rows = if lacking > 0 {
        tx.fetch_all(ENDS, params![tenant, name, subject, now, lacking]).await?
    } else {
        Vec::new()
    };
    let mut ends = Vec::with_capacity(rows.len());
    for row in &rows {
        ends.push((row.get::<i64>(0)?, row.get::<i64>(1)?));
    }
    Ok(held.check(terms, now, cost, |mut needed| {
        let enough = ends.iter().find(|(_, cost)| {
            needed -= cost;
            needed <= 0
        });
        enough.map_or(now, |(end, _)| *end)
    }))
}

pub(super) async fn sweep(tx: &mut UnscopedTx, now: i64, limit: u32) -> Result<u64, StoreError> {
    let counters = tx.execute(SWEEP_LIMITS, params![now, limit]).await?;
    let permits = tx.execute(SWEEP_PERMITS, params![now, limit]).await?;
    Ok(counters + permits)
}

//! The statements on PostgreSQL: each call is one, of a function that `migrations` has installed.

use guardian_core::{Scope, StoreError};
use guardian_sql::{Durability, Param, Row, UnscopedTx, params};

use super::counter::{Kind, Terms};
use super::{Answer, Inner, key};
use crate::store::{Call, Item, Release};
use crate::{Mode, PolicyName, Subject};

/// The call of a function, as a statement.
struct Function {
    durable: &'static str,
    /// A charge can be counted again: it need not wait for the disk. For this transaction alone.
    relaxed: &'static str,
}

macro_rules! function {
    ($call:literal) => {
        Function {
            durable: concat!("SELECT ", $call),
            relaxed: concat!("SELECT ", $call, ", set_config('synchronous_commit', 'off', true)"),
        }
    };
}

const CHECK: Function = function!("guardian_rate_limits_check($1, $2, $3, $4, $5, $6, $7)");
const REFUND: Function = function!("guardian_rate_limits_refund($1, $2, $3, $4, $5, $6)");
const RESET: Function = function!("guardian_rate_limits_reset($1, $2, $3)");
const RELEASE: Function = function!("guardian_rate_limits_release($1, $2, $3, $4)");

const SWEEP_LIMITS: &str =
    "DELETE FROM guardian_rate_limits WHERE ctid = ANY (ARRAY(SELECT ctid FROM guardian_rate_limits
    WHERE expires_at <= guardian_rate_limits_now($1) ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))";
const SWEEP_PERMITS: &str =
    "DELETE FROM guardian_rate_permits WHERE ctid = ANY (ARRAY(SELECT ctid FROM guardian_rate_permits
    WHERE ends_at <= guardian_rate_limits_now($1) ORDER BY ends_at LIMIT $2 FOR UPDATE SKIP LOCKED))";

/// The counters of a call, one on each line.
struct Keys {
    policies: String,
    subjects: String,
}

impl Keys {
    fn of<'k>(counters: impl Iterator<Item = (&'k PolicyName, Subject<'k>)>) -> Self {
        let mut keys = Self { policies: String::new(), subjects: String::new() };
        for (index, (name, subject)) in counters.enumerate() {
            if index > 0 {
                keys.policies.push('\n');
                keys.subjects.push('\n');
            }
            keys.policies.push_str(name.as_str());
            keys.subjects.push_str(&key::subject(subject));
        }
        keys
    }

    fn of_call(call: &Call<'_>) -> Self {
        Self::of(call.items.iter().map(|item| (item.name, item.subject)))
    }
}

/// The numbers of all limits.
fn rules(items: &[Item<'_>]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(items.len() * 48);
    for item in items {
        let Terms { limit, kind } = Terms::of(item.rule);
        let (kind, a, b, c) = match kind {
            Kind::Bucket { per, micros } => (1, per, micros, 0),
            Kind::Window(keeping) => (2, keeping.precision, keeping.window, keeping.slice),
            Kind::Fixed { window } => (3, window, 0, 0),
            Kind::Permits { ttl } => (4, ttl, 0, 0),
        };
        let comma = if text.is_empty() { "" } else { "," };
        let enforced = u8::from(item.mode == Mode::Enforce);
        let _ = write!(text, "{comma}{kind},{enforced},{},{limit},{a},{b},{c}", item.cost);
    }
    text
}

impl Inner {
    /// Runs one of the functions in a transaction of its own.
    async fn ask(&self, scope: &Scope, function: &Function, given: &[Param<'_>]) -> Result<Row, StoreError> {
        let is_relaxed = self.durability == Durability::Relaxed;
        let mut tx = self.db.begin(scope).await?;
        let row = tx.fetch_one(if is_relaxed { function.relaxed } else { function.durable }, given).await?;
        tx.commit().await?;
        Ok(row)
    }

    pub(super) async fn check_on_postgres(
        &self,
        call: &Call<'_>,
        charge: bool,
    ) -> Result<Answer, StoreError> {
        let (keys, rules) = (Keys::of_call(call), rules(call.items));
        let permit = call.permit.map_or_else(String::new, |permit| permit.to_string());
        let (tenant, time) = (call.realm.tenant(), self.given_time());
        let given = params![tenant, keys.policies, keys.subjects, rules, permit, charge, time];
        let scope = self.scope(call.realm);
        let row = if charge {
            self.ask(&scope, &CHECK, given).await?
        } else {
            let mut tx = self.db.begin_read(&scope).await?;
            let row = tx.fetch_one(CHECK.durable, given).await?;
            tx.commit().await?;
            row
        };
        let numbers: Option<Vec<i64>> =
            row.get::<&str>(0)?.split(',').map(|number| number.parse().ok()).collect();
        let numbers = numbers.unwrap_or_default();
        let (groups, rest) = numbers.as_chunks::<4>();
        if groups.len() == call.items.len() && rest.is_empty() {
            Ok(Answer { numbers: groups.to_vec(), waited: 0 })
        } else {
            Err(self.corrupt("the function's answer has another shape"))
        }
    }

    pub(super) async fn refund_on_postgres(&self, call: &Call<'_>, age: i64) -> Result<(), StoreError> {
        let (keys, rules) = (Keys::of_call(call), rules(call.items));
        let (tenant, time) = (call.realm.tenant(), self.given_time());
        let given = params![tenant, keys.policies, keys.subjects, rules, age, time];
        self.ask(&self.scope(call.realm), &REFUND, given).await.map(drop)
    }

    pub(super) async fn reset_on_postgres(&self, call: &Call<'_>) -> Result<(), StoreError> {
        let (keys, tenant) = (Keys::of_call(call), call.realm.tenant());
        let given = params![tenant, keys.policies, keys.subjects];
        self.ask(&self.scope(call.realm), &RESET, given).await.map(drop)
    }

    pub(super) async fn release_on_postgres(&self, release: &Release) -> Result<(), StoreError> {
        let keys =
            Keys::of(release.counters.iter().map(|counter| (&counter.name, counter.subject.as_subject())));
        let permit = release.permit.to_string();
        let given = params![release.tenant, keys.policies, keys.subjects, permit];
        self.ask(&self.scope(release.realm()), &RELEASE, given).await.map(drop)
    }
}

/// Rows that somebody works on are left for the next time.
pub(super) async fn sweep(tx: &mut UnscopedTx, given: Option<i64>, limit: u32) -> Result<u64, StoreError> {
    let counters = tx.execute(SWEEP_LIMITS, params![given, limit]).await?;
    let permits = tx.execute(SWEEP_PERMITS, params![given, limit]).await?;
    Ok(counters + permits)
}

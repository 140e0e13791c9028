//! Finding events: the index gives places, and what it cannot tell is asked of the events.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use guardian_core::{StoreError, StoreErrorKind, TenantId, Timestamp};
use guardian_sql::{Dialect, Param, Row, Sql, TenantTx, ToParam, params};

use super::pairs::Pairs;
use super::sieve::{Question, Sieve};
use super::token;
use crate::plan::{Candidate, Plan};

/// How many places are looked at together at first, and at most: who goes through everything asks the index a number of times
/// that does not grow with the square of what it finds.
const STRETCH: usize = 512;
const LONGEST_STRETCH: usize = 8_192;

/// How many places the server looks at together for a phrase.
const LONGEST_LOOK: usize = 65_536;

/// What is read of an event besides its place and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Times,
    Body,
    Terms,
}

/// An event that a plan found.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) sequence: u64,
    pub(super) recorded: i64,
    pub(super) body: Option<Vec<u8>>,
    /// As they are stored.
    pub(super) terms: Option<String>,
}

/// The head of a tenant's log, as far as finding needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Log {
    /// What stands for the tenant in the index.
    pub(super) number: i64,
    /// How many events there are.
    pub(super) size: u64,
}

impl Log {
    /// The tenant's log, if there is one.
    pub(super) async fn of(tx: &mut TenantTx, tenant: &TenantId) -> Result<Option<Self>, StoreError> {
        let row = tx
            .fetch_optional(
                "SELECT number, size FROM guardian_audit_heads WHERE tenant_id = $1",
                params![tenant],
            )
            .await?;
        row.map(|row| Ok(Self { number: row.get("number")?, size: row.get("size")? })).transpose()
    }
}

/// One run over what a plan finds, in the order of the log or against it.
pub(super) struct Search<'t> {
    tx: &'t mut TenantTx,
    tenant: TenantId,
    number: i64,
    plan: Plan,
    sieve: Sieve,
    oldest_first: bool,
    is_done: bool,
    stretch: usize,
}

impl<'t> Search<'t> {
    /// Of the events before a place, newest first.
    pub(super) async fn newest(
        tx: &'t mut TenantTx,
        log: Log,
        plan: &Plan,
        before: Option<u64>,
    ) -> Result<Self, StoreError> {
        let tenant = tx.scope().tenant().clone();
        let plan = by_places(tx, &tenant, log, plan).await?;
        let mut sieve = Sieve::of(&plan, tx.dialect(), log.number);
        let end = before.unwrap_or(u64::MAX).min(log.size);
        let mut is_done = end == 0 || sieve.question == Question::Nothing;
        sieve.to = sieve.to.min(end.saturating_sub(1));
        is_done |= sieve.from > sieve.to;
        Ok(Self {
            tx,
            tenant,
            number: log.number,
            plan,
            sieve,
            oldest_first: false,
            is_done,
            stretch: STRETCH,
        })
    }

    /// The same from the other end.
    pub(super) fn oldest_first(mut self) -> Self {
        self.oldest_first = true;
        self
    }

    /// Whether the index alone knows what is found.
    pub(super) fn is_exact(&self) -> bool {
        self.sieve.is_exact && self.sieve.phrases.is_empty()
    }

    /// The next hits, at most so many; fewer or none are not the end, [`is_done`](Self::is_done) is.
    pub(super) async fn next(&mut self, wanted: Wanted, most: usize) -> Result<Vec<Hit>, StoreError> {
        if self.is_done || most == 0 {
            return Ok(Vec::new());
        }
        let size = if self.is_exact() { most } else { self.stretch };
        self.stretch = match self.sieve.phrases.is_empty() {
            true => (self.stretch * 2).min(LONGEST_STRETCH),
            // The server looks at the texts: nothing but places comes here.
            false => LONGEST_LOOK,
        };
        let Places { mut places, mut last, is_end } = self.places(size).await?;
        self.is_done = is_end;
        if self.sieve.is_exact && places.len() > most {
            places.truncate(most);
            (last, self.is_done) = (places.last().copied(), false);
        }
        let mut hits = self.hits(&places, wanted).await?;
        if hits.len() > most {
            hits.truncate(most);
            self.is_done = false;
        }
        if !self.is_done && !self.sieve.is_exact && hits.len() == most {
            last = hits.last().map(|hit| hit.sequence);
        }
        if let Some(last) = last {
            self.go_on_after(last);
        }
        Ok(hits)
    }

    /// How many hits to ask for when all of them are wanted.
    pub(super) fn reach(&self) -> usize {
        self.stretch
    }

    /// Whether everything has been given.
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    fn go_on_after(&mut self, place: u64) {
        match self.oldest_first {
            true => self.sieve.from = place.saturating_add(1),
            false => match place.checked_sub(1) {
                Some(to) => self.sieve.to = to,
                None => self.is_done = true,
            },
        }
        self.is_done |= self.sieve.from > self.sieve.to;
    }

    /// How many events the index has within the sieve, counted up to a number.
    pub(super) async fn count(&mut self, most: i64) -> Result<u64, StoreError> {
        if self.is_done {
            return Ok(0);
        }
        let every = Sieve::every(self.tx.dialect(), self.number);
        let expression = match &self.sieve.question {
            Question::Of(expression) => expression,
            _ => &every,
        };
        let (from, to) = (place(self.sieve.from), place(self.sieve.to));
        let row = match self.tx.dialect() {
            Dialect::Sqlite => {
                let base = self.number << PLACES;
                self.tx
                    .fetch_one(
                        "SELECT count(*) AS n FROM (SELECT rowid FROM guardian_audit_index \
                         WHERE guardian_audit_index MATCH $1 AND rowid BETWEEN $2 AND $3 LIMIT $4)",
                        params![expression, base + from, base + to, most],
                    )
                    .await?
            }
            Dialect::Postgres => {
                self.tx
                    .fetch_one(
                        "SELECT count(*) AS n FROM guardian_audit_search.find($1, $2, $3, false, $4)",
                        params![expression, from, to, most],
                    )
                    .await?
            }
        };
        row.get("n")
    }

    /// The next places within the sieve.
    async fn places(&mut self, most: usize) -> Result<Places, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let (from, to) = (place(self.sieve.from), place(self.sieve.to));
        let dialect = self.tx.dialect();
        let (rows, base) = match (&self.sieve.question, dialect) {
            (Question::Nothing, _) => return Ok(Places { places: Vec::new(), last: None, is_end: true }),
            (Question::Everything, _) => {
                let sql = match self.oldest_first {
                    false => {
                        "SELECT sequence FROM guardian_audit_events WHERE tenant_id = $1 \
                         AND sequence BETWEEN $2 AND $3 AND body IS NOT NULL ORDER BY sequence DESC LIMIT $4"
                    }
                    true => {
                        "SELECT sequence FROM guardian_audit_events WHERE tenant_id = $1 \
                         AND sequence BETWEEN $2 AND $3 AND body IS NOT NULL ORDER BY sequence LIMIT $4"
                    }
                };
                (self.tx.fetch_all(sql, params![self.tenant, from, to, most]).await?, 0)
            }
            // The index is asked before anything else, and no table is joined with it: the planner would start there.
            (Question::Of(expression), Dialect::Sqlite) => {
                let sql = match self.oldest_first {
                    false => {
                        "SELECT rowid FROM guardian_audit_index WHERE guardian_audit_index MATCH $1 \
                         AND rowid BETWEEN $2 AND $3 ORDER BY rowid DESC LIMIT $4"
                    }
                    true => {
                        "SELECT rowid FROM guardian_audit_index WHERE guardian_audit_index MATCH $1 \
                         AND rowid BETWEEN $2 AND $3 ORDER BY rowid LIMIT $4"
                    }
                };
                let base = self.number << PLACES;
                (self.tx.fetch_all(sql, params![expression, base + from, base + to, most]).await?, base)
            }
            (Question::Of(expression), Dialect::Postgres) => {
                let asked = params![expression, from, to, self.oldest_first, most];
                if !self.sieve.phrases.is_empty() {
                    let mut given = asked.to_vec();
                    let Pairs { low, high } = self.sieve.pairs;
                    given.extend([low.to_param(), high.to_param(), self.tenant.to_param()]);
                    given.extend(self.sieve.phrases.iter().map(ToParam::to_param));
                    let sql = with_phrases(self.sieve.phrases.len(), self.oldest_first);
                    return places_with_phrases(
                        &self.tx.fetch_all(sql, &given).await?,
                        self.oldest_first,
                        most,
                    );
                }
                let sql = "SELECT find FROM guardian_audit_search.find($1, $2, $3, $4, $5)";
                (self.tx.fetch_all(sql, asked).await?, 0)
            }
        };
        let of_row = |row: &Row| {
            let place = row.get::<i64>(0_usize)?.checked_sub(base);
            place.and_then(|place| u64::try_from(place).ok()).ok_or_else(|| strange(dialect))
        };
        let last = rows.last().map(of_row).transpose()?;
        let is_end = i64::try_from(rows.len()).unwrap_or(i64::MAX) < most;
        let places = rows.iter().map(of_row).collect::<Result<_, _>>()?;
        Ok(Places { places, last, is_end })
    }

    /// Those of the events at these places that the plan finds, in the order of the search.
    async fn hits(&mut self, places: &[u64], wanted: Wanted) -> Result<Vec<Hit>, StoreError> {
        let columns = match (wanted, self.sieve.is_exact) {
            (Wanted::Times, true) => "SELECT sequence, recorded, occurred",
            (Wanted::Body, true) => "SELECT sequence, recorded, occurred, body",
            (Wanted::Terms, _) | (Wanted::Times, false) => "SELECT sequence, recorded, occurred, terms",
            (Wanted::Body, false) => "SELECT sequence, recorded, occurred, body, terms",
        };
        let (has_body, has_terms) = (columns.contains("body"), columns.contains("terms"));
        let mut hits = Vec::with_capacity(places.len());
        for rows in rows_at(self.tx, columns, &self.tenant, places).await? {
            let hit = Hit {
                sequence: rows.get("sequence")?,
                recorded: rows.get("recorded")?,
                body: if has_body { rows.get("body")? } else { None },
                terms: if has_terms { rows.get("terms")? } else { None },
            };
            if !self.sieve.is_exact {
                let Some(terms) = hit.terms.as_deref().map(token::decode) else { continue };
                let occurred = rows.get("occurred")?;
                if !self.plan.finds(&Candidate::new(&terms, hit.sequence, hit.recorded, occurred)) {
                    continue;
                }
            }
            hits.push(hit);
        }
        match self.oldest_first {
            true => hits.sort_unstable_by_key(|hit| hit.sequence),
            false => hits.sort_unstable_by_key(|hit| std::cmp::Reverse(hit.sequence)),
        }
        Ok(hits)
    }
}

/// What the index gave.
struct Places {
    places: Vec<u64>,
    /// How far the index went.
    last: Option<u64>,
    /// Whether it has no more.
    is_end: bool,
}

/// What [`with_phrases`] answered: a row for each place, or one without a place.
fn places_with_phrases(rows: &[Row], oldest_first: bool, most: i64) -> Result<Places, StoreError> {
    let number = |place: i64| u64::try_from(place).map_err(|_| strange(Dialect::Postgres));
    let first = rows.first().ok_or_else(|| strange(Dialect::Postgres))?;
    let last = first.get::<Option<i64>>(if oldest_first { "greatest" } else { "least" })?;
    let mut places = Vec::with_capacity(rows.len());
    for row in rows {
        places.extend(row.get::<Option<i64>>("sequence")?.map(number).transpose()?);
    }
    Ok(Places { places, last: last.map(number).transpose()?, is_end: first.get::<i64>("given")? < most })
}

/// Asks the index for places whose events have the bits of the phrases, how many it gives and between which, and which of these events
/// have so many phrases in their terms.
fn with_phrases(phrases: usize, oldest_first: bool) -> Sql {
    let mut sql = Sql::builder("WITH f AS MATERIALIZED (SELECT find FROM guardian_audit_search.find(");
    sql.placeholders(7).push(
        ")) SELECT s.given, s.least, s.greatest, e.sequence \
         FROM (SELECT count(*) AS given, min(find) AS least, max(find) AS greatest FROM f) s LEFT JOIN LATERAL \
         (SELECT e.sequence FROM guardian_audit_events e WHERE e.tenant_id = ",
    );
    // Rows are looked up by their keys, however many the index gives: joined, the planner might read the whole log instead.
    sql.placeholder().push(" AND e.sequence = ANY (ARRAY(SELECT find FROM f))");
    for _ in 0..phrases {
        sql.push(" AND strpos(' ' || e.terms || ' ', ").placeholder().push(") > 0");
    }
    sql.push(") e ON TRUE ORDER BY e.sequence");
    sql.push(if oldest_first { "" } else { " DESC" }).finish()
}

/// By how many bits a tenant's number is shifted in a row's id of SQLite's index: the places of a log go below.
pub(super) const PLACES: u32 = 40;

/// The places of one statement; shorter lists repeat their last one, so that few statements are prepared.
const LISTS: [usize; 4] = [1, 16, 64, 512];

/// The rows of the events at these places, in any order.
async fn rows_at(
    tx: &mut TenantTx,
    columns: &'static str,
    tenant: &TenantId,
    places: &[u64],
) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::with_capacity(places.len());
    let mut sql = Sql::builder(columns);
    sql.push(" FROM guardian_audit_events WHERE tenant_id = ").placeholder().push(" AND sequence IN (");
    for places in places.chunks(512) {
        let length = list_length(places.len());
        let sql = sql.clone().placeholders(length).push(")").finish();
        let mut given = Vec::with_capacity(1 + length);
        given.push(tenant.to_param());
        given.extend(padded(places, length));
        rows.extend(tx.fetch_all(sql, &given).await?);
    }
    Ok(rows)
}

/// How many parameters a list of so many is written with.
pub(super) fn list_length(count: usize) -> usize {
    LISTS.into_iter().find(|length| *length >= count).unwrap_or(count)
}

/// The places as parameters, the last one repeated.
pub(super) fn padded<'p>(places: &[u64], length: usize) -> Vec<Param<'p>> {
    let last = places.last().copied().unwrap_or_default();
    let more = std::iter::repeat_n(last, length.saturating_sub(places.len()));
    places.iter().copied().chain(more).map(|at| Param::Integer(place(at))).collect()
}

/// A place as the databases count. None is as large as 2^63.
pub(super) fn place(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// A time as it is stored, to the microsecond.
pub(super) fn moment(micros: i64) -> Timestamp {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

fn strange(dialect: Dialect) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, dialect.name()).with_source("a place that no log has")
}

/// The plan with its times of recording as places: the log is in the order of these times.
async fn by_places(tx: &mut TenantTx, tenant: &TenantId, log: Log, plan: &Plan) -> Result<Plan, StoreError> {
    let mut times = BTreeSet::new();
    each_time(plan, &mut times);
    let mut firsts = BTreeMap::new();
    for time in times {
        let row = tx
            .fetch_optional(
                "SELECT sequence FROM guardian_audit_events WHERE tenant_id = $1 AND recorded >= $2 \
                 ORDER BY recorded, sequence LIMIT 1",
                params![tenant, time],
            )
            .await?;
        firsts.insert(time, row.map_or(Ok(log.size), |row| row.get("sequence"))?);
    }
    Ok(rewritten(plan, &|time| firsts.get(&time).copied().unwrap_or(log.size)))
}

fn each_time(plan: &Plan, times: &mut BTreeSet<i64>) {
    match plan {
        Plan::Recorded(from, to) => times.extend([*from, *to]),
        Plan::Not(plan) => each_time(plan, times),
        Plan::And(plans) | Plan::Or(plans) => plans.iter().for_each(|plan| each_time(plan, times)),
        _ => {}
    }
}

fn rewritten(plan: &Plan, first: &impl Fn(i64) -> u64) -> Plan {
    let all = |plans: &[Plan]| plans.iter().map(|plan| rewritten(plan, first)).collect();
    match plan {
        Plan::Recorded(from, to) => match first(*to).checked_sub(1) {
            Some(last) if first(*from) <= last => Plan::Sequence(first(*from), last),
            _ => Plan::None,
        },
        Plan::Not(plan) => Plan::Not(Box::new(rewritten(plan, first))),
        Plan::And(plans) => Plan::And(all(plans)),
        Plan::Or(plans) => Plan::Or(all(plans)),
        plan => plan.clone(),
    }
}

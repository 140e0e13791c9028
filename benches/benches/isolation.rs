//! The cost of row-level security on a real Postgres: a walled table beside one with the same columns, rows and indexes
//! and no policy, as the application role of production, which owns nothing and does not pass by.
//!
//! - Both run the same statement with the same explicit tenant predicate, in the same sort of transaction, which sets the
//!   tenant; so what is compared is the policies alone.
//! - The five query classes run within one transaction a turn;
//!   `request` is a transaction of its own around a point query, as a service would run it.
//! - Inserts and updates are rolled back and have tables of their own. No table is vacuumed meanwhile, because the
//!   server would come to one of a pair before the other.
//! - Full text goes through the function of `rls::Search` on the walled table and is a plain query on the other. What the
//!   plain query costs on the walled table is printed as a measure.
//! - What is timed is the statements as a host calls them, through `guardian_sql`: prepared, with the way to the server and
//!   back and the reading of rows. BEGIN, the setting and ROLLBACK are timed in `request` only.
//! - Both take turns of a few milliseconds and go first by turns, so a slow moment of the machine strikes them alike. The
//!   measure `median_of_turns` is the median of the ratios of a turn and its twin, which no drift of the machine moves.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a benchmark that cannot run stops, and its places are its own"
)]

use std::collections::VecDeque;
use std::time::Duration;

use criterion::Criterion;
use guardian_core::{Clock, Scope, SystemClock, TenantId};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, Sql, Unscoped, params};
use guardian_tenant::rls::{Name, QualifiedName, Rls, Search, TenantTable};
use tokio::runtime::Runtime;

const ROWS: i64 = 200_000;
const TENANTS: i64 = 20;
/// The walled table and the other: one pair for reading, and one for writing, so that what was written slows no reader.
const READ: [&str; 2] = ["deals_walled", "deals_bare"];
const WRITTEN: [&str; 2] = ["written_walled", "written_bare"];
/// The tenant that asks.
const TENANT: &str = "t5";

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .without_plots()
        .configure_from_args();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // Only a build is asked for.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let ground = runtime.block_on(Ground::new());
    bars();
    let mut ratios = Vec::new();
    for (name, turn, sql, kind) in CLASSES {
        let writes = matches!(kind, Class::Insert | Class::Update);
        let [ours, theirs] = (if writes { WRITTEN } else { READ }).map(|table| on(sql, table));
        let ratio = case(
            &mut criterion,
            &runtime,
            name,
            *turn,
            [&mut |runtime, turn| runtime.block_on(ground.run(&ours, *kind, turn)), &mut |runtime, turn| {
                runtime.block_on(ground.run(&theirs, *kind, turn))
            }],
        );
        if *kind != Class::Request {
            ratios.push(ratio);
        }
    }
    five(ratios);
    for (name, turn, query) in SEARCHES {
        let (ours, theirs) = (ground.search.clone(), on(FULL_TEXT, READ[1]));
        case(
            &mut criterion,
            &runtime,
            name,
            *turn,
            [
                &mut |runtime, turn| runtime.block_on(ground.find(&ours, query, true, turn)),
                &mut |runtime, turn| runtime.block_on(ground.find(&theirs, query, false, turn)),
            ],
        );
        naive(&runtime, &ground, name, query);
    }
    criterion.final_summary();
}

#[expect(clippy::print_stdout, reason = "bars are reported on standard output")]
fn bars() {
    for (case, ..) in CLASSES {
        println!("bar isolation/{case} vs no_rls 1.03");
    }
    for (case, ..) in SEARCHES {
        println!("bar isolation/{case} vs no_rls 1.20");
    }
}

/// The middle one of the five classes.
#[expect(clippy::print_stdout, reason = "measures are reported on standard output")]
fn five(ratios: Vec<f64>) {
    println!("measure isolation/five_classes median {:.3} ratio", median(ratios));
}

/// The middle one, or NaN of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What the plain query costs under the policy, where its index cannot be used.
#[expect(clippy::print_stdout, reason = "measures are reported on standard output")]
fn naive(runtime: &Runtime, ground: &Ground, name: &str, query: &str) {
    let sql = on(FULL_TEXT, READ[0]);
    let mut times: Vec<_> = (0..7).map(|_| runtime.block_on(ground.find(&sql, query, false, 1))).collect();
    times.sort_unstable();
    println!("measure isolation/{name} plain_query_under_rls {:.2} ms", times[3].as_secs_f64() * 1e3);
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Class {
    /// Reads; the parameters are the tenant and an id.
    Read,
    /// The same in a transaction of its own.
    Request,
    /// Reads all of a tenant; the parameter is the tenant.
    Aggregate,
    /// Writes a row of a new id.
    Insert,
    /// Changes the row of an id.
    Update,
}

/// The query classes: the name, calls a turn, the statement on the table `%`.
const CLASSES: &[(&str, u64, &str, Class)] = &[
    ("point", 60, "SELECT title, amount FROM % WHERE tenant_id = $1 AND id = $2", Class::Read),
    (
        "page",
        16,
        "SELECT id, title, amount FROM % WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT 50",
        Class::Read,
    ),
    (
        "insert",
        40,
        "INSERT INTO % (tenant_id, id, title, amount, created) VALUES ($1, $2, 'renewal', 7, 0)",
        Class::Insert,
    ),
    ("update", 40, "UPDATE % SET amount = amount + 1 WHERE tenant_id = $1 AND id = $2", Class::Update),
    (
        "aggregate",
        2,
        "SELECT count(*) AS n, CAST(sum(amount) AS BIGINT) AS total FROM % WHERE tenant_id = $1",
        Class::Aggregate,
    ),
    ("request", 25, "SELECT title, amount FROM % WHERE tenant_id = $1 AND id = $2", Class::Request),
];

const FULL_TEXT: &str = "SELECT id, title FROM % WHERE tenant_id = $1 AND words @@ to_tsquery('simple', $2) \
                         ORDER BY created DESC LIMIT 50";

/// Searches: the name, calls a turn, the query. The first finds some ten rows of the tenant, the second some hundred.
const SEARCHES: &[(&str, u64, &str)] = &[("full_text", 8, "word7 & thing3"), ("full_text_broad", 6, "word7")];

fn on(sql: &str, table: &'static str) -> Sql {
    let mut text = Sql::builder("");
    for (place, piece) in sql.split('%').enumerate() {
        if place > 0 {
            text.name(table);
        }
        // Statements are literals of this program.
        text.push(Box::leak(piece.to_owned().into_boxed_str()));
    }
    text.finish()
}

struct Ground {
    db: Database,
    scope: Scope,
    search: Sql,
    next: std::cell::Cell<i64>,
    _fresh: Fresh,
}

impl Ground {
    async fn new() -> Self {
        let fresh = Kind::Postgres.open(&[]).await.expect("a Postgres: add --servers");
        let operator = Scope::system(TenantId::new("operator").expect("an id"));
        let unscoped = Unscoped::new(operator, "a benchmark fills its tables").expect("a reason");
        for table in READ.into_iter().chain(WRITTEN) {
            let mut tx = fresh.owner().begin_unscoped(&unscoped).await.expect("a transaction");
            tx.execute(
                on(
                    "CREATE TABLE % (tenant_id text NOT NULL, id bigint NOT NULL, title text NOT NULL, amount bigint NOT NULL, \
                     created bigint NOT NULL, words tsvector GENERATED ALWAYS AS (to_tsvector('simple', title)) STORED, \
                     PRIMARY KEY (tenant_id, id)) WITH (autovacuum_enabled = false)",
                    table,
                ),
                &[],
            )
            .await
            .expect("a table");
            // The title has a word of 97 and a thing of 11.
            tx.execute(
                on(
                    "INSERT INTO % (tenant_id, id, title, amount, created) \
                     SELECT 't' || i / $2, i, 'renewal word' || mod(i * 7919, 97) || ' thing' || mod(i * 31, 11), mod(i, 1000), i \
                     FROM generate_series(CAST(0 AS bigint), $1 - 1) AS i",
                    table,
                ),
                params![ROWS, ROWS / TENANTS],
            )
            .await
            .expect("rows");
            tx.execute(on("CREATE INDEX ON % USING gin (words)", table), &[]).await.expect("an index");
            tx.execute(on("ANALYZE %", table), &[]).await.expect("statistics");
            tx.commit().await.expect("a commit");
        }
        let role = fresh.app_role().expect("a role");
        let written =
            TenantTable::new("public", WRITTEN[0]).and_then(|table| table.key(["id"])).expect("names");
        let walled = TenantTable::new("public", READ[0])
            .and_then(|table| table.key(["id"]))
            .and_then(|table| Ok(table.search(Search::full_text("words")?.newest_first("created")?)))
            .expect("names");
        let rls = Rls::new()
            .application_role(role)
            .and_then(|rls| rls.search_role(&format!("bench_{}", &role[role.len() - 20..])))
            .expect("names");
        rls.plan(&[walled, written]).install(fresh.owner(), &unscoped).await.expect("the walls");
        let table = QualifiedName::new("public", READ[0]).expect("a name");
        let function = rls.search_function(&table, &Name::new("words").expect("a name"));
        let mut search = Sql::builder("SELECT id, title FROM ");
        search.name(function.schema().as_str()).push(".").name(function.name().as_str());
        search.push("(to_tsquery('simple', $1), 50)");
        Self {
            db: fresh.database().clone(),
            scope: Scope::system(TenantId::new(TENANT).expect("an id")),
            search: search.finish(),
            next: std::cell::Cell::new(ROWS),
            _fresh: fresh,
        }
    }

    async fn run(&self, sql: &Sql, class: Class, count: u64) -> Duration {
        let clock = SystemClock::new();
        let first = ROWS / TENANTS * 5;
        let ids =
            (0..i64::try_from(count).unwrap_or(0)).map(|turn| first + turn * 7919 % (ROWS / TENANTS - 100));
        if class == Class::Request {
            let start = clock.monotonic();
            for id in ids {
                let mut tx = self.db.begin(&self.scope).await.expect("a transaction");
                assert_eq!(tx.fetch_all(sql, params![TENANT, id]).await.expect("rows").len(), 1);
                tx.commit().await.expect("a commit");
            }
            return clock.monotonic().since(start);
        }
        let mut tx = self.db.begin(&self.scope).await.expect("a transaction");
        let start = clock.monotonic();
        for id in ids {
            match class {
                Class::Read | Class::Request => {
                    assert!(!tx.fetch_all(sql, params![TENANT, id]).await.expect("rows").is_empty());
                }
                Class::Aggregate => {
                    let row = tx.fetch_one(sql, params![TENANT]).await.expect("a row");
                    assert_eq!(row.get::<i64>("n").expect("a count"), ROWS / TENANTS);
                }
                Class::Insert => {
                    self.next.set(self.next.get() + 1);
                    let id = self.next.get();
                    assert_eq!(tx.execute(sql, params![TENANT, id]).await.expect("a row"), 1);
                }
                Class::Update => assert_eq!(tx.execute(sql, params![TENANT, id]).await.expect("a row"), 1),
            }
        }
        let time = clock.monotonic().since(start);
        tx.rollback().await.expect("a rollback");
        time
    }

    async fn find(&self, sql: &Sql, query: &str, function: bool, count: u64) -> Duration {
        let clock = SystemClock::new();
        let mut tx = self.db.begin(&self.scope).await.expect("a transaction");
        let start = clock.monotonic();
        for _ in 0..count {
            let rows = if function {
                tx.fetch_all(sql, params![query]).await
            } else {
                tx.fetch_all(sql, params![TENANT, query]).await
            };
            let rows = rows.expect("rows");
            assert!((5..=50).contains(&rows.len()), "{} rows", rows.len());
        }
        let time = clock.monotonic().since(start);
        tx.commit().await.expect("a commit");
        time
    }
}

type Turn<'t> = &'t mut dyn FnMut(&Runtime, u64) -> Duration;

/// Whenever one is to be measured both take a turn; the other's time waits until criterion comes to it. Returns the median
/// of the ratios of a turn of ours and its twin.
#[expect(clippy::print_stdout, reason = "measures are reported on standard output")]
fn case(
    criterion: &mut Criterion,
    runtime: &Runtime,
    name: &str,
    turn: u64,
    mut contestants: [Turn<'_>; 2],
) -> f64 {
    let mut waiting = [VecDeque::new(), VecDeque::new()];
    let mut ratios = Vec::new();
    let mut group = criterion.benchmark_group(name);
    for (own, function) in ["guardian", "vs/no_rls"].into_iter().enumerate() {
        group.bench_function(function, |bencher| {
            bencher.iter_custom(|iterations| {
                let turns = iterations.div_ceil(turn);
                let mut total = Duration::ZERO;
                for _ in 0..turns {
                    while waiting[own].is_empty() {
                        let mut times = [Duration::ZERO; 2];
                        let first = ratios.len() % 2;
                        for contestant in [first, 1 - first] {
                            times[contestant] = contestants[contestant](runtime, turn);
                            waiting[contestant].push_back(times[contestant]);
                        }
                        ratios.push(times[0].as_secs_f64() / times[1].as_secs_f64());
                    }
                    total += waiting[own].pop_front().unwrap_or_default();
                }
                #[expect(clippy::cast_precision_loss, reason = "the counts are far below 2⁵²")]
                total.mul_f64(iterations as f64 / (turns * turn) as f64)
            });
        });
    }
    group.finish();
    let ratio = median(ratios);
    println!("measure isolation/{name} median_of_turns {ratio:.3} ratio");
    ratio
}

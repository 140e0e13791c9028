//! The cost of row-level security on a real Postgres: a walled table beside one with the same columns, rows and indexes
//! and no policy, as the application role of production, which owns nothing and does not pass by.
//!
//! - Each of the five query classes is measured twice. `point` and so on is the statement alone: both run it with the same
//!   explicit tenant predicate, many times within one transaction, which sets the tenant; what is compared is the policies.
//! - `point_request` and so on is what a host pays for one operation: a transaction of its own, which begins, sets the
//!   tenant, runs the statement and commits. The other side's transaction has no tenant and its table no policies; it is
//!   the same in all else, its timeouts included.
//! - The bar is on the median over the five classes, for each of the two.
//! - `page_generic` is the page where PostgreSQL is told to keep one plan (`Plans::Generic`), on both sides.
//! - Statements that write have tables of their own; the turns of single statements are rolled back. No table is vacuumed meanwhile, because the
//!   server would come to one of a pair before the other.
//! - Full text goes through the function of `rls::Search` on the walled table and is a plain query on the other. What the
//!   plain query costs on the walled table is printed as a measure.
//! - What is timed is the statements as a host calls them, through `guardian_sql`: prepared, with the way to the server and
//!   back and the reading of rows. How a transaction begins and ends is timed in the `_request` cases only.
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
use guardian_sql::testkit::{self, Fresh, Interceptor};
use guardian_sql::{Database, Plans, Sql, TenantTx, Unscoped, params};
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
    let [mut statements, mut requests] = [Vec::new(), Vec::new()];
    for class in CLASSES {
        statements.push(ground.compare(&mut criterion, &runtime, class, class.name, [&ground.db; 2]));
        if class.name == "page" {
            ground.compare(&mut criterion, &runtime, class, "page_generic", [&ground.generic; 2]);
        }
    }
    for class in CLASSES {
        let request = format!("{}_request", class.name);
        requests.push(ground.compare_requests(&mut criterion, &runtime, class, &request));
    }
    over_all("five_classes", statements);
    over_all("five_classes_request", requests);
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
    for case in ["five_classes", "five_classes_request"] {
        println!("bar isolation/{case} vs no_rls 1.03");
    }
    for (case, ..) in SEARCHES {
        println!("bar isolation/{case} vs no_rls 1.20");
    }
}

/// The middle one of the classes.
#[expect(clippy::print_stdout, reason = "measures are reported on standard output")]
fn over_all(case: &str, ratios: Vec<f64>) {
    let ratio = median(ratios);
    // A run of some cases has nothing to say of all.
    if ratio.is_finite() {
        println!("measure isolation/{case} median_of_turns {ratio:.3} ratio");
    }
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

/// A query class.
struct Class {
    name: &'static str,
    /// Statements in a turn, and requests in one.
    turn: [u64; 2],
    /// The statement on the table `%`.
    sql: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Reads; the parameters are the tenant and an id.
    Read,
    /// Reads all of a tenant; the parameter is the tenant.
    Aggregate,
    /// Writes a row of a new id.
    Insert,
    /// Changes the row of an id.
    Update,
}

const CLASSES: &[Class] = &[
    Class {
        name: "point",
        turn: [60, 25],
        sql: "SELECT title, amount FROM % WHERE tenant_id = $1 AND id = $2",
        kind: Kind::Read,
    },
    Class {
        name: "page",
        turn: [16, 12],
        sql: "SELECT id, title, amount FROM % WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT 50",
        kind: Kind::Read,
    },
    Class {
        name: "insert",
        turn: [40, 20],
        sql: "INSERT INTO % (tenant_id, id, title, amount, created) VALUES ($1, $2, 'renewal', 7, 0)",
        kind: Kind::Insert,
    },
    Class {
        name: "update",
        turn: [40, 20],
        sql: "UPDATE % SET amount = amount + 1 WHERE tenant_id = $1 AND id = $2",
        kind: Kind::Update,
    },
    Class {
        name: "aggregate",
        turn: [2, 2],
        sql: "SELECT count(*) AS n, CAST(sum(amount) AS BIGINT) AS total FROM % WHERE tenant_id = $1",
        kind: Kind::Aggregate,
    },
];

const FULL_TEXT: &str = "SELECT id, title FROM % WHERE tenant_id = $1 AND words @@ to_tsquery('simple', $2) \
                         ORDER BY created DESC LIMIT 50";

/// Searches: the name, calls a turn, the query. The first finds some ten rows of the tenant, the second some hundred.
const SEARCHES: &[(&str, u64, &str)] = &[("full_text", 8, "word7 & thing3"), ("full_text_broad", 6, "word7")];

impl Class {
    /// On the walled table and on the other.
    fn statements(&self) -> [Sql; 2] {
        let writes = matches!(self.kind, Kind::Insert | Kind::Update);
        (if writes { WRITTEN } else { READ }).map(|table| on(self.sql, table))
    }
}

/// Rows of the tenant, from all over its share.
fn ids(count: u64) -> impl Iterator<Item = i64> {
    let first = ROWS / TENANTS * 5;
    (0..i64::try_from(count).unwrap_or(0)).map(move |turn| first + turn * 7919 % (ROWS / TENANTS - 100))
}

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

/// The transactions of a host that has no tenants.
#[derive(Debug)]
struct Plain;

impl Interceptor for Plain {
    fn sets_tenant(&self) -> bool {
        false
    }
}

struct Ground {
    db: Database,
    /// The same, with one plan for all values.
    generic: Database,
    /// The same as the first, with transactions that set no tenant.
    plain: Database,
    scope: Scope,
    search: Sql,
    next: std::cell::Cell<i64>,
    _fresh: Fresh,
}

impl Ground {
    async fn new() -> Self {
        let fresh = testkit::Kind::Postgres.open(&[]).await.expect("a Postgres: add --servers");
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
        let config = fresh.database().config().clone().with_plans(Plans::Generic);
        Self {
            db: fresh.database().clone(),
            generic: Database::open_with(fresh.url(), config).await.expect("a database"),
            plain: fresh.database().with_interceptor(Plain),
            scope: Scope::system(TenantId::new(TENANT).expect("an id")),
            search: search.finish(),
            next: std::cell::Cell::new(ROWS),
            _fresh: fresh,
        }
    }

    /// The statements alone, on the walled table by the first database and on the other by the second.
    fn compare(
        &self,
        criterion: &mut Criterion,
        runtime: &Runtime,
        class: &Class,
        name: &str,
        [walled, bare]: [&Database; 2],
    ) -> f64 {
        let [ours, theirs] = class.statements();
        case(
            criterion,
            runtime,
            name,
            class.turn[0],
            [
                &mut |runtime, turn| runtime.block_on(self.run(walled, &ours, class.kind, turn)),
                &mut |runtime, turn| runtime.block_on(self.run(bare, &theirs, class.kind, turn)),
            ],
        )
    }

    /// Whole transactions, with a tenant and policies beside such without.
    fn compare_requests(
        &self,
        criterion: &mut Criterion,
        runtime: &Runtime,
        class: &Class,
        name: &str,
    ) -> f64 {
        let [ours, theirs] = class.statements();
        case(
            criterion,
            runtime,
            name,
            class.turn[1],
            [
                &mut |runtime, turn| runtime.block_on(self.request(&self.db, &ours, class.kind, turn)),
                &mut |runtime, turn| runtime.block_on(self.request(&self.plain, &theirs, class.kind, turn)),
            ],
        )
    }

    /// The time of so many statements within one transaction, which is undone.
    async fn run(&self, db: &Database, sql: &Sql, kind: Kind, count: u64) -> Duration {
        let clock = SystemClock::new();
        let mut tx = db.begin(&self.scope).await.expect("a transaction");
        let start = clock.monotonic();
        for id in ids(count) {
            self.operate(&mut tx, sql, kind, id).await;
        }
        let time = clock.monotonic().since(start);
        tx.rollback().await.expect("a rollback");
        time
    }

    /// The time of so many transactions of one statement.
    async fn request(&self, db: &Database, sql: &Sql, kind: Kind, count: u64) -> Duration {
        let clock = SystemClock::new();
        let start = clock.monotonic();
        for id in ids(count) {
            let mut tx = db.begin(&self.scope).await.expect("a transaction");
            self.operate(&mut tx, sql, kind, id).await;
            tx.commit().await.expect("a commit");
        }
        clock.monotonic().since(start)
    }

    async fn operate(&self, tx: &mut TenantTx, sql: &Sql, kind: Kind, id: i64) {
        match kind {
            Kind::Read => {
                assert!(!tx.fetch_all(sql, params![TENANT, id]).await.expect("rows").is_empty());
            }
            Kind::Aggregate => {
                let row = tx.fetch_one(sql, params![TENANT]).await.expect("a row");
                assert_eq!(row.get::<i64>("n").expect("a count"), ROWS / TENANTS);
            }
            Kind::Insert => {
                self.next.set(self.next.get() + 1);
                let id = self.next.get();
                assert_eq!(tx.execute(sql, params![TENANT, id]).await.expect("a row"), 1);
            }
            Kind::Update => assert_eq!(tx.execute(sql, params![TENANT, id]).await.expect("a row"), 1),
        }
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
    if ratio.is_finite() {
        println!("measure isolation/{name} median_of_turns {ratio:.3} ratio");
    }
    ratio
}

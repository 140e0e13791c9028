//! `audit_sql sqlite|postgres [events]`: how fast the audit log's SQL store takes events and finds them.
//!
//! The events are those of the benchmark `audit`, in calls of 1,000 events of one tenant each; the searches are its
//! queries, a page of the 50 newest for each of the six largest tenants and one of middle size. PostgreSQL is the server at
//! `GUARDIAN_TEST_POSTGRES_URL`, where the store works as a role that is bound by row-level security.
#![expect(clippy::print_stdout, reason = "the measures are the program's result")]

#[path = "../../benches/audit/queries.rs"]
mod queries;

use std::error::Error;
use std::time::Duration;

use guardian_audit::store::{AuditStore, Batch, Draft, SqlStore};
use guardian_audit::{Plan, Query};
use guardian_benches::crm::{Crm, TENANTS};
use guardian_core::{Clock, Scope, SystemClock, Timestamp};
use guardian_sql::testkit::Kind;

const CALL: usize = 1_000;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut arguments = std::env::args().skip(1);
    let kind = match arguments.next().as_deref() {
        Some("sqlite") => Kind::SqliteFile,
        Some("postgres") => Kind::Postgres,
        _ => return Err("`audit_sql sqlite|postgres [events]`".into()),
    };
    let events = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    runtime.block_on(measure(kind, events))
}

async fn measure(kind: Kind, events: usize) -> Result<(), Box<dyn Error + Send + Sync>> {
    let fresh = kind.open(&[&SqlStore::MIGRATIONS]).await?;
    let store = SqlStore::new(fresh.database());
    let name = fresh.database().dialect().name();
    let mut crm = Crm::new(42);
    let scopes: Vec<_> = crm.tenants().iter().map(|tenant| Scope::system(tenant.clone())).collect();
    let mut waiting: Vec<Vec<Draft>> = (0..TENANTS).map(|_| Vec::new()).collect();
    let (clock, mut spent, mut longest) = (SystemClock::new(), Duration::ZERO, Duration::ZERO);
    let mut last = Timestamp::default();
    for _ in 0..events {
        let made = crm.event();
        last = made.at;
        let drafts = waiting.get_mut(made.tenant).ok_or("a tenant")?;
        drafts.push(Draft::new(&made.event, &made.risk, &[], &[])?);
        if drafts.len() == CALL {
            let took = append(&store, &clock, &scopes, made.tenant, drafts, last).await?;
            (spent, longest) = (spent + took, longest.max(took));
        }
    }
    for tenant in 0..TENANTS {
        let drafts = waiting.get_mut(tenant).ok_or("a tenant")?;
        spent += append(&store, &clock, &scopes, tenant, drafts, last).await?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
    let rate = events as f64 / spent.as_secs_f64();
    println!("measure audit_sql/{name} ingest {rate:.0} events/s");
    println!("measure audit_sql/{name} longest_call_of_{CALL} {:.1} ms", longest.as_secs_f64() * 1e3);
    for (is_count, (class, texts)) in queries::classes()
        .into_iter()
        .map(|class| (false, class))
        .chain(queries::counted().into_iter().map(|class| (true, class)))
    {
        let mut times = Vec::new();
        for text in &texts {
            let plan = Plan::compile(&text.parse::<Query>()?, &|_, _| None);
            for scope in scopes.iter().take(6).chain(scopes.get(40)) {
                let start = clock.monotonic();
                if is_count {
                    store.count(scope, &plan, None).await?;
                } else {
                    store.search(scope, &plan, None, 50).await?;
                }
                times.push(clock.monotonic().since(start));
            }
        }
        times.sort_unstable();
        let at = |part: usize| {
            times.get((times.len() * part / 100).min(times.len() - 1)).map_or(0.0, Duration::as_secs_f64)
                * 1e3
        };
        let what = if is_count { "count" } else { "search" };
        println!(
            "measure audit_sql/{name}_{what}_{class} p50 {:.2} ms p99 {:.2} ms longest {:.2} ms",
            at(50),
            at(99),
            at(100)
        );
    }
    Ok(())
}

async fn append(
    store: &SqlStore,
    clock: &SystemClock,
    scopes: &[Scope],
    tenant: usize,
    drafts: &mut Vec<Draft>,
    at: Timestamp,
) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    let scope = scopes.get(tenant).ok_or("a tenant")?;
    let start = clock.monotonic();
    store.append(&[Batch::new(scope, drafts)], at).await?;
    drafts.clear();
    Ok(clock.monotonic().since(start))
}

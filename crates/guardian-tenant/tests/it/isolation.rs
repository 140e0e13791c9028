//! The isolation suite on a small CRM, in memory, on SQLite and on Postgres; and what it notices when a wall is broken.

mod crm;
mod memory;

use guardian_sql::testkit::Kind;
use guardian_tenant::isolation::{Kill, Mutant, MutantKind, Saboteur, Suite};

use crm::{SqlHost, Walls, operations};
use memory::{FORGETFUL, MemoryHost};

/// A little more than ten thousand, so that each operation gets its turn.
const CALLS: u64 = 10_200;
/// Enough for every operation to see each of its positions foreign several times.
const MUTANT_CALLS: u64 = 1_400;

#[tokio::test]
async fn nothing_crosses_in_memory() {
    let suite = operations(Suite::new(MemoryHost));
    let report = suite.run(CALLS, 11).await.unwrap();
    report.verify().unwrap();
    assert_eq!(report.calls(), CALLS);
    assert!(report.positions() >= 14, "{}", report.positions());
}

#[tokio::test]
async fn every_forgetful_memory_is_noticed() {
    let suite = operations(Suite::new(MemoryHost));
    let mutants: Vec<_> = FORGETFUL.iter().map(|name| Mutant::named(*name)).collect();
    let report = suite.mutate(&mutants, MUTANT_CALLS, 12).await.unwrap();
    assert!(report.survivors().next().is_none(), "{report}");
}

/// The one predicate that breaks nothing when it is dropped.
const INNER: &str = "predicate 2 of `UPDATE deals SET amount";
const OUTER_HOLDS: &str =
    "the outer predicate holds: a deal of A never has a company of B, for its foreign key is composite";

async fn nothing_crosses_on(kind: Kind, seed: u64) {
    let host = SqlHost::new(kind, Saboteur::recording(), Walls::Both);
    let mut suite = operations(Suite::new(host));
    if kind == Kind::Postgres {
        suite = suite.read("wall", [], |crm: std::sync::Arc<crm::SqlCrm>, scope, _| async move {
            crm.probe(&scope).await
        });
    }
    let report = suite.run(CALLS, seed).await.unwrap();
    report.verify().unwrap();
    assert_eq!(report.calls(), CALLS);
}

#[tokio::test]
async fn nothing_crosses_on_sqlite() {
    nothing_crosses_on(Kind::SqliteMemory, 13).await;
}

#[tokio::test]
async fn nothing_crosses_on_postgres() {
    nothing_crosses_on(Kind::Postgres, 14).await;
}

/// All mutants of the statements that the operations run.
async fn mutants(kind: Kind) -> (Saboteur, Vec<Mutant>) {
    let saboteur = Saboteur::recording();
    let suite = operations(Suite::new(SqlHost::new(kind, saboteur.clone(), Walls::Both)));
    suite.run(300, 15).await.unwrap().verify().unwrap();
    let statements = saboteur.statements();
    let mutants = Mutant::dropped_predicates(statements.iter().map(String::as_str), &["tenant_id"]);
    assert!(mutants.len() >= 12, "{mutants:#?}");
    (saboteur, mutants)
}

#[tokio::test]
async fn every_dropped_predicate_is_noticed_on_sqlite() {
    let (saboteur, mutants) = mutants(Kind::SqliteMemory).await;
    let suite = operations(Suite::new(SqlHost::new(Kind::SqliteMemory, saboteur, Walls::Both)));
    let report = suite.mutate(&mutants, MUTANT_CALLS, 16).await.unwrap().equivalent(INNER, OUTER_HOLDS);
    assert_eq!(report.rate_of(MutantKind::DroppedPredicate), 1.0, "{report}");
    println!("{report}");
}

#[tokio::test]
async fn every_dropped_predicate_is_noticed_on_postgres() {
    let (saboteur, mutants) = mutants(Kind::Postgres).await;
    // A predicate is tried with the other wall down: with it up nothing would be there to notice.
    let suite = operations(Suite::new(SqlHost::new(Kind::Postgres, saboteur, Walls::PredicatesWhenDropped)));
    let report = suite.mutate(&mutants, MUTANT_CALLS, 17).await.unwrap().equivalent(INNER, OUTER_HOLDS);
    println!("{report}");
    assert_eq!(report.rate_of(MutantKind::DroppedPredicate), 1.0, "{report}");
}

#[tokio::test]
async fn a_broken_wall_is_noticed_on_postgres() {
    let host = SqlHost::new(Kind::Postgres, Saboteur::recording(), Walls::Both);
    // What stands on the wall alone tells whether it stands.
    let suite = operations(Suite::new(host)).read(
        "wall",
        [],
        |crm: std::sync::Arc<crm::SqlCrm>, scope, _| async move { crm.probe(&scope).await },
    );
    let mutants = [Mutant::skipped_tenant(), Mutant::swapped_role()];
    let report = suite.mutate(&mutants, MUTANT_CALLS, 19).await.unwrap();
    println!("{report}");
    assert!(report.survivors().next().is_none(), "{report}");
    assert_eq!(report.rate_of(MutantKind::SkippedTenant), 1.0);
    assert_eq!(report.rate_of(MutantKind::SwappedRole), 1.0);
}

#[tokio::test]
async fn the_second_wall_holds_whichever_predicate_is_forgotten() {
    let (saboteur, mutants) = mutants(Kind::Postgres).await;
    let suite = operations(Suite::new(SqlHost::new(Kind::Postgres, saboteur, Walls::Both)));
    let report = suite.mutate(&mutants, 170, 18).await.unwrap();
    let leaked: Vec<_> =
        report.outcomes().iter().filter(|(_, kill)| !matches!(kill, Kill::Survived)).collect();
    assert!(leaked.is_empty(), "{leaked:#?}");
}

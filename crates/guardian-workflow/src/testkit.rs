//! The laws that every workflow store must obey, to run against your own, and a simulator that crashes workers.
//!
//! Make a [`Fixture`] of your store and let [`workflow_store_tests!`](crate::workflow_store_tests) make one test of
//! each law. The kit is outside of semantic versioning: a new law may fail a store that passed before.

use std::time::Duration;

use guardian_core::{Actor, Clock, IdSource, ManualClock, PageRequest, Scope, SeededIds, TenantId};
use guardian_testkit::ensure;
use serde_json::json;
use uuid::Uuid;

use crate::action::Catalog;
use crate::definition::Definition;
use crate::machine::Message;
use crate::machine::state::{RunState, Status};
use crate::plan::Plan;
use crate::store::{Checkpoint, Kept, RunFilter, RunRecord, Save, Saved, WorkflowStore};
use crate::version::{Origin, Semver, Version, Workflow};

mod laws;
mod simulator;

pub use guardian_testkit::Violation;
pub use laws::{
    a_change_of_an_old_revision_is_refused, a_fence_keeps_out_who_was_too_slow, a_message_makes_a_run_due,
    a_message_that_comes_meanwhile_is_not_lost, a_run_belongs_to_one_worker, a_tenant_sees_its_own_alone,
    a_version_that_a_run_needs_stays, history_comes_in_order, large_messages_come_a_few_at_a_time,
    lists_come_in_pages, of_concurrent_claims_each_run_is_in_one, of_concurrent_starts_each_is_stored_once,
    the_state_alone_can_be_kept, what_was_started_is_there_once, what_was_taken_in_is_removed,
    who_listens_is_found,
};
pub use simulator::{Simulated, Simulation, simulate_schedule};

/// A store to test: [`InMemory`](guardian_testkit::InMemory), `guardian_sql::testkit::OnSql`, or one of your own.
pub trait Fixture: guardian_testkit::Fixture<Store: WorkflowStore + Clone> {}

impl<F: guardian_testkit::Fixture<Store: WorkflowStore + Clone>> Fixture for F {}

/// What laws make workflows and runs of.
struct Maker {
    scope: Scope,
    clock: ManualClock,
    ids: SeededIds,
}

impl Maker {
    fn new(tenant: &str) -> Result<Self, Violation> {
        let scope = Scope::new(TenantId::new(tenant)?, Actor::user("ann")?);
        Ok(Self { scope, clock: ManualClock::new(), ids: SeededIds::new(7) })
    }

    fn definition() -> Result<Definition, Violation> {
        Ok(Definition::from_value(json!({"schema": 1, "name": "w", "start": "w",
            "nodes": {"w": {"type": "wait", "for": {"signal": {"name": "go"}}}}}))?)
    }

    fn version(&self, number: u64) -> Result<Version, Violation> {
        let definition = Self::definition()?;
        Ok(Version {
            number,
            hash: definition.content_hash(),
            definition,
            parent: number.checked_sub(1).filter(|parent| *parent > 0),
            author: self.scope.actor().clone(),
            message: "a law".to_owned(),
            created: self.clock.now(),
            semver: Semver::FIRST,
            origin: Origin::Edit,
            squashed: 0,
        })
    }

    /// The change that makes the version of this number.
    fn save(&self, name: &str, number: u64) -> Result<Save, Violation> {
        let mut workflow = Workflow::new(name, self.clock.now());
        (workflow.revision, workflow.draft) = (number, number);
        Ok(Save { workflow, version: Some(self.version(number)?), squashed: None, listens: None })
    }

    fn run(&self, workflow: &str, version: u64) -> Result<RunRecord, Violation> {
        let now = self.clock.now();
        let plan = Plan::new(&Self::definition()?, &Catalog::new())?;
        Ok(RunRecord {
            id: self.ids.next_id(now),
            tenant: self.scope.tenant().clone(),
            workflow: workflow.into(),
            version,
            trigger: "manual".into(),
            created: now,
            state: RunState::new(workflow.into(), version, &plan, json!({"n": 1}), now),
        })
    }

    fn checkpoint(&self, run: &RunRecord, fence: i64) -> Checkpoint {
        Checkpoint {
            tenant: self.scope.tenant().clone(),
            run: run.id,
            fence,
            state: run.state.clone(),
            entries: Vec::new(),
            due: None,
            held: None,
            state_only: false,
            took: true,
            now: self.clock.now(),
        }
    }
}

/// Makes one `#[test]` of every law, in the module where it is called. The argument makes a new fixture.
#[macro_export]
macro_rules! workflow_store_tests {
    ($fixture:expr) => {
        $crate::workflow_store_tests!(@laws $fixture;
            a_change_of_an_old_revision_is_refused
            a_fence_keeps_out_who_was_too_slow
            a_message_makes_a_run_due
            a_message_that_comes_meanwhile_is_not_lost
            a_run_belongs_to_one_worker
            a_tenant_sees_its_own_alone
            a_version_that_a_run_needs_stays
            history_comes_in_order
            large_messages_come_a_few_at_a_time
            lists_come_in_pages
            of_concurrent_claims_each_run_is_in_one
            of_concurrent_starts_each_is_stored_once
            the_state_alone_can_be_kept
            what_was_started_is_there_once
            what_was_taken_in_is_removed
            who_listens_is_found
        );
    };
    (@laws $fixture:expr; $($law:ident)+) => {
        $(
            #[test]
            fn $law() -> Result<(), $crate::testkit::Violation> {
                let fixture = $fixture;
                $crate::testkit::$law(&fixture)
            }
        )+
    };
}

fn first(size: u32) -> Result<PageRequest, Violation> {
    Ok(PageRequest::first(size)?)
}

const LEASE: Duration = Duration::from_secs(60);

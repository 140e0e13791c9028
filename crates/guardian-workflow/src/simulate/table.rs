//! Tests that are data: what goes in, and what is to come out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Coverage, Stubs, run};
use crate::action::Catalog;
use crate::definition::Definition;
use crate::error::Error;
use crate::machine::state::Outcome;
use crate::plan::Plan;

/// Tests of a definition.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TestTable {
    /// Stubs for all cases; a case's own come first.
    #[serde(default)]
    pub stubs: Stubs,
    /// The cases.
    pub cases: Vec<TestCase>,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TestCase {
    /// What it shows.
    pub name: String,
    /// What the run is given.
    #[serde(default)]
    pub input: Value,
    /// What stands in for the world.
    #[serde(default)]
    pub stubs: Stubs,
    /// What is to come out.
    #[serde(default)]
    pub expect: Expectation,
}

/// What is to come out; what is not named is not looked at.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Expectation {
    /// The result.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "crate::definition::present")]
    pub result: Option<Value>,
    /// The code of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The nodes, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Vec<String>>,
    /// Nodes that are to be entered, in any order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub visits: Vec<String>,
    /// Nodes that are not to be entered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub avoids: Vec<String>,
    /// How often actions are called, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub calls: BTreeMap<String, usize>,
    /// Variables at the end.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Value>,
    /// The nodes at which it waits for what does not come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Vec<String>>,
}

/// What a table came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TestReport {
    /// The cases in their order.
    pub results: Vec<TestResult>,
    /// What all of them together went through.
    pub coverage: Coverage,
}

impl TestReport {
    /// Whether every case came out as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.results.iter().all(|result| result.faults.is_empty())
    }
}

/// What a case came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TestResult {
    /// The case.
    pub name: String,
    /// What came out otherwise; nothing if it passed.
    pub faults: Vec<String>,
}

/// Runs the tests of a table.
///
/// # Errors
/// [`Error::Invalid`] for a definition that makes no sense.
pub fn run_table(definition: &Definition, catalog: &Catalog, table: &TestTable) -> Result<TestReport, Error> {
    let plan = Arc::new(Plan::new(definition, catalog)?);
    let (mut results, mut entries) = (Vec::new(), Vec::new());
    for case in &table.cases {
        let mut stubs = table.stubs.clone();
        stubs.actions.extend(case.stubs.actions.clone());
        stubs.workflows.extend(case.stubs.workflows.clone());
        stubs.waits.extend(case.stubs.waits.clone());
        stubs.decisions.extend(case.stubs.decisions.clone());
        stubs.signals.extend(case.stubs.signals.clone());
        let faults = match run(&plan, &definition.name, case.input.clone(), &stubs) {
            Ok(trace) => {
                let faults = case.expect.faults(&trace);
                entries.extend(trace.entries);
                faults
            }
            Err(error) => vec![error.to_string()],
        };
        results.push(TestResult { name: case.name.clone(), faults });
    }
    Ok(TestReport { results, coverage: Coverage::of(definition, entries.iter()) })
}

impl Expectation {
    fn faults(&self, trace: &super::Trace) -> Vec<String> {
        let mut faults = Vec::new();
        let shown = match &trace.outcome {
            Some(Outcome::Result(value)) => format!("the result `{value}`"),
            Some(Outcome::Failure(failure)) => format!("the failure `{}`: {failure}", failure.code),
            Some(Outcome::Cancelled(reason)) => format!("a cancellation: {reason}"),
            None => format!("waiting at `{}`", trace.waiting.join("`, `")),
        };
        if let Some(result) = &self.result
            && trace.outcome != Some(Outcome::Result(result.clone()))
        {
            faults.push(format!("expected the result `{result}`, found {shown}"));
        }
        if let Some(code) = &self.failure
            && !matches!(&trace.outcome, Some(Outcome::Failure(failure)) if failure.code == *code)
        {
            faults.push(format!("expected the failure `{code}`, found {shown}"));
        }
        let path: Vec<&str> = trace.path().collect();
        if let Some(expected) = &self.path
            && !expected.iter().eq(&path)
        {
            faults.push(format!("expected the path {}, found {}", expected.join(" → "), path.join(" → ")));
        }
        faults.extend(
            self.visits
                .iter()
                .filter(|node| !path.contains(&node.as_str()))
                .map(|node| format!("`{node}` was not entered")),
        );
        faults.extend(
            self.avoids
                .iter()
                .filter(|node| path.contains(&node.as_str()))
                .map(|node| format!("`{node}` was entered")),
        );
        for (action, count) in &self.calls {
            let found = trace.calls.iter().filter(|call| call.action == *action).count();
            if found != *count {
                faults.push(format!("expected {count} calls of `{action}`, found {found}"));
            }
        }
        for (name, value) in &self.variables {
            let found = trace.variables.get(name);
            if found != Some(value) {
                let found = found.map_or_else(|| "nothing".to_owned(), |found| format!("`{found}`"));
                faults.push(format!("expected `{name}` to be `{value}`, found {found}"));
            }
        }
        if let Some(waiting) = &self.waiting
            && *waiting != trace.waiting
        {
            faults.push(format!("expected waiting at {waiting:?}, found {shown}"));
        }
        faults
    }
}

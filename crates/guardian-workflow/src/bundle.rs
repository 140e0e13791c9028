//! A workflow with its versions as one document, to take elsewhere.

use std::collections::BTreeSet;

use guardian_core::{PageRequest, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::definition::{ContentHash, NodeKind};
use crate::error::Error;
use crate::library::{Library, Update};
use crate::store::WorkflowStore;
use crate::validate::{Report, validate};
use crate::version::Version;

/// A workflow with all its versions, what it needs, and hashes that show whether anything was changed on the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bundle {
    /// The version of this format, 1.
    pub bundle: u32,
    /// The workflow's name.
    pub name: String,
    /// Its versions, the oldest first; the last one is the one to use.
    pub versions: Vec<Version>,
    /// The actions that they use.
    pub actions: BTreeSet<String>,
    /// The secrets that they need, by name.
    pub secrets: BTreeSet<String>,
    /// The workflows that they run.
    pub workflows: BTreeSet<String>,
    /// SHA-256 over all versions, each chained to the one before.
    pub hash: ContentHash,
    /// Who says so, if somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// A signature of a bundle's hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Signature {
    /// Which key.
    pub key: String,
    /// The signature's bytes.
    pub bytes: Vec<u8>,
}

/// What an import of a bundle came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BundleReport {
    /// Actions that the host does not have.
    pub missing_actions: BTreeSet<String>,
    /// Secrets that it needs; whether they are there the host knows.
    pub secrets: BTreeSet<String>,
    /// Workflows that it runs and that are not there.
    pub missing_workflows: BTreeSet<String>,
    /// What validation found in the last version.
    pub report: Report,
    /// Versions that make no sense here and were left out.
    pub left_out: Vec<u64>,
    /// What was saved last; `None` if nothing was.
    pub update: Option<Update>,
}

impl Bundle {
    /// A bundle of these versions, the oldest first.
    #[must_use]
    pub fn new(name: impl Into<String>, versions: Vec<Version>) -> Self {
        let (mut actions, mut secrets, mut workflows) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for version in &versions {
            secrets.extend(version.definition.secrets.iter().cloned());
            for node in version.definition.nodes.values() {
                match &node.kind {
                    NodeKind::Action { action, compensate, .. } => {
                        actions.insert(action.clone());
                        actions.extend(compensate.iter().map(|undo| undo.action.clone()));
                    }
                    NodeKind::SubWorkflow { workflow, .. } => {
                        workflows.insert(workflow.clone());
                    }
                    _ => {}
                }
            }
        }
        let hash = chain(&versions);
        Self { bundle: 1, name: name.into(), versions, actions, secrets, workflows, hash, signature: None }
    }

    /// The same bundle with a signature of its hash.
    #[must_use]
    pub fn signed(mut self, key: impl Into<String>, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Self {
        self.signature = Some(Signature { key: key.into(), bytes: sign(self.hash.as_bytes()) });
        self
    }

    /// Reads a bundle and makes sure that nothing in it was changed.
    ///
    /// # Errors
    /// [`Error::Bundle`] for a text that is none, that has no version, or whose hashes do not fit.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        const MAX_BYTES: usize = 64 << 20;
        let refused = |why: String| Error::Bundle { why };
        if text.len() > MAX_BYTES {
            return Err(refused(format!("it has {} bytes, the most is {MAX_BYTES}", text.len())));
        }
        let value: Value = serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
        if value.get("bundle") != Some(&Value::from(1)) {
            return Err(refused("it is of another format".to_owned()));
        }
        let bundle: Self = serde_json::from_value(value).map_err(|error| refused(error.to_string()))?;
        if let Some(version) =
            bundle.versions.iter().find(|version| version.definition.content_hash() != version.hash)
        {
            return Err(refused(format!("version {} is not what its hash says", version.number)));
        }
        if bundle.versions.is_empty() {
            return Err(refused("it has no version".to_owned()));
        }
        if chain(&bundle.versions) != bundle.hash {
            return Err(refused("its versions are not what its hash says".to_owned()));
        }
        Ok(bundle)
    }

    /// Whether somebody signed it whom `verify` knows: it gets the key's name, the hash and the signature.
    pub fn is_signed(&self, verify: impl FnOnce(&str, &[u8], &[u8]) -> bool) -> bool {
        self.signature.as_ref().is_some_and(|signed| verify(&signed.key, self.hash.as_bytes(), &signed.bytes))
    }

    /// The bundle as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// A hash over versions, each with that of the one before.
fn chain(versions: &[Version]) -> ContentHash {
    versions.iter().fold(ContentHash::of(b"guardian workflow bundle"), |before, version| {
        let mut bytes = before.as_bytes().to_vec();
        bytes.extend(serde_json::to_vec(version).unwrap_or_default());
        ContentHash::of(&bytes)
    })
}

impl<S: WorkflowStore> Library<S> {
    /// A workflow with all its versions.
    ///
    /// # Errors
    /// [`Error::NoWorkflow`], and faults of the store.
    pub async fn export(&self, scope: &Scope, name: &str) -> Result<Bundle, Error> {
        self.workflow(scope, name).await?;
        let mut versions = Vec::new();
        let mut page = PageRequest::first(PageRequest::MAX_SIZE).ok();
        while let Some(request) = page.take() {
            let found = self.versions(scope, name, &request).await?;
            versions.extend(found.items);
            page =
                found.next.and_then(|next| Some(PageRequest::first(PageRequest::MAX_SIZE).ok()?.after(next)));
        }
        versions.reverse();
        Ok(Bundle::new(name, versions))
    }

    /// Saves the versions of a bundle as versions of the workflow `name`, the oldest first, and reports what is missing. If
    /// the last one makes no sense here, nothing is saved.
    ///
    /// # Errors
    /// Faults of the store.
    pub async fn import_bundle(
        &self,
        scope: &Scope,
        name: &str,
        bundle: &Bundle,
    ) -> Result<BundleReport, Error> {
        let mut found = BundleReport {
            missing_actions: bundle
                .actions
                .iter()
                .filter(|action| self.catalog().get(action).is_none())
                .cloned()
                .collect(),
            secrets: bundle.secrets.clone(),
            missing_workflows: BTreeSet::new(),
            report: Report::default(),
            left_out: Vec::new(),
            update: None,
        };
        for workflow in &bundle.workflows {
            if *workflow != bundle.name && self.store().workflow(scope, workflow).await?.is_none() {
                found.missing_workflows.insert(workflow.clone());
            }
        }
        let Some(last) = bundle.versions.last() else { return Ok(found) };
        found.report = validate(&last.definition, self.catalog());
        if !found.report.is_valid() {
            found.left_out = bundle.versions.iter().map(|version| version.number).collect();
            return Ok(found);
        }
        for version in &bundle.versions {
            if !validate(&version.definition, self.catalog()).is_valid() {
                found.left_out.push(version.number);
                continue;
            }
            let message = format!("version {} by {}: {}", version.number, version.author, version.message);
            found.update = Some(self.import(scope, name, &version.definition, &message).await?);
        }
        Ok(found)
    }
}

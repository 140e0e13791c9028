//! Saves workflows: every update makes a version.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use guardian_core::{Clock, Page, PageRequest, Scope, Timestamp};

use crate::action::Catalog;
use crate::definition::{Definition, NodeId, NodeKind, SubVersion, Trigger};
use crate::diff::{Class, Diff, Merged, diff, merge};
use crate::error::Error;
use crate::plan::{self, Plan, Strictness};
use crate::store::{Listening, RunFilter, Save, Saved, WorkflowStore};
use crate::version::{Canary, Origin, Semver, Version, Workflow};

/// The workflows of tenants and their versions.
///
/// Every update makes a version, in the same transaction as the update; none is ever changed. New runs get the published
/// version, or the canary by its weight, and keep the version that they began with.
#[derive(Debug, Clone)]
pub struct Library<S> {
    store: S,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
    squash: Duration,
    /// The revision that changes are based on, where they are based on one.
    base: Option<u64>,
}

/// What became of an update.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Update {
    /// The workflow as it is now.
    pub workflow: Workflow,
    /// The version that was made; `None` where the content was as before.
    pub version: Option<Version>,
    /// What the version changed.
    pub diff: Diff,
}

/// Whether and how a run could go on in another version.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MigrationReport {
    /// The version in which it is.
    pub from: u64,
    /// The other one.
    pub to: u64,
    /// Where it stands, and whether each of these nodes is there and of the same type.
    pub positions: Vec<(NodeId, Option<String>)>,
    /// What is different between the versions.
    pub diff: Diff,
    /// Why it cannot; empty if it can.
    pub obstacles: Vec<String>,
}

impl MigrationReport {
    /// Whether it can.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.obstacles.is_empty()
    }
}

/// What a save is about, beside the definition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Note {
    /// Why it was changed.
    pub message: String,
    /// The version that the editor started from; where it is not the newest one any more, nothing is saved.
    pub expected: Option<u64>,
}

impl Note {
    /// With a message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), expected: None }
    }

    /// Only if this is still the newest version.
    #[must_use]
    pub fn from_version(mut self, number: u64) -> Self {
        self.expected = Some(number);
        self
    }
}

/// Concurrent changes of one workflow that a change gives way to before it gives up.
const TRIES: u32 = 8;

impl<S: WorkflowStore> Library<S> {
    /// The workflows in this store; definitions may use the actions of the catalog.
    #[must_use]
    pub fn new(store: S, catalog: Catalog, clock: impl Clock) -> Self {
        Self { store, catalog, clock: Arc::new(clock), squash: Duration::ZERO, base: None }
    }

    /// Additive edits of one author within this time become one version, as long as it is a draft that nothing uses. Off by
    /// default.
    #[must_use]
    pub fn with_squashing(mut self, window: Duration) -> Self {
        self.squash = window;
        self
    }

    /// The same for changes by somebody who has seen this [revision](Workflow::revision) of a workflow: they fail with [`Error::Changed`] when it
    /// has another one, so that nobody overwrites what they have not seen. 0 stands for a workflow that is not there yet.
    #[must_use]
    pub fn based_on(&self, revision: u64) -> Self
    where
        S: Clone,
    {
        Self { base: Some(revision), ..self.clone() }
    }

    fn check_base(&self, name: &str, actual: u64) -> Result<(), Error> {
        match self.base {
            Some(wanted) if wanted != actual => Err(Error::Changed { name: name.to_owned(), actual, wanted }),
            _ => Ok(()),
        }
    }

    /// Saves a workflow: makes it, or makes a new version of it. Content that is as before makes none.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the report, [`Error::Conflict`] where somebody else was first, and faults of the store.
    pub async fn save(
        &self,
        scope: &Scope,
        name: &str,
        definition: &Definition,
        note: &Note,
    ) -> Result<Update, Error> {
        let (report, plan) = plan::compile(definition, &self.catalog, Strictness::Full);
        if plan.is_none() {
            return Err(Error::Invalid { report: Box::new(report) });
        }
        self.put(scope, name, definition, note, &Origin::Edit).await
    }

    async fn put(
        &self,
        scope: &Scope,
        name: &str,
        definition: &Definition,
        note: &Note,
        origin: &Origin,
    ) -> Result<Update, Error> {
        for _ in 0..TRIES {
            let now = self.clock.now();
            let current = self.store.workflow(scope, name).await?;
            self.check_base(name, current.as_ref().map_or(0, |current| current.revision))?;
            let Some(current) = current else {
                let (workflow, version) = self.first(scope, name, definition, note, origin, now)?;
                let save = Save {
                    workflow: workflow.clone(),
                    version: Some(version.clone()),
                    squashed: None,
                    listens: None,
                };
                if self.store.save(scope, &save).await? == Saved::Done {
                    return Ok(Update { workflow, version: Some(version), diff: Diff::default() });
                }
                continue;
            };
            if let Some(expected) = note.expected.filter(|expected| *expected != current.draft) {
                return Err(Error::Conflict { name: name.to_owned(), expected, actual: current.draft });
            }
            let head = self.known(scope, name, current.draft).await?;
            let change = diff(&head.definition, &without_layout(definition));
            let mut workflow = current.clone();
            workflow.layout.clone_from(&definition.layout);
            workflow.updated = now;
            workflow.revision += 1;
            let version = if head.hash == definition.content_hash() && !matches!(origin, Origin::Rollback(_))
            {
                if current.layout == definition.layout {
                    return Ok(Update { workflow: current, version: None, diff: Diff::default() });
                }
                None
            } else {
                Some(self.next(scope, &current, &head, definition, (&change, note, origin), now).await?)
            };
            let squashed =
                version.as_ref().filter(|version| version.parent != Some(head.number)).map(|_| head.number);
            if let Some(version) = &version {
                workflow.draft = version.number;
            }
            let save = Save { workflow: workflow.clone(), version: version.clone(), squashed, listens: None };
            if self.store.save(scope, &save).await? == Saved::Done {
                return Ok(Update { workflow, version, diff: change });
            }
        }
        let actual = self.store.workflow(scope, name).await?.map_or(0, |workflow| workflow.draft);
        Err(Error::Conflict { name: name.to_owned(), expected: note.expected.unwrap_or(actual), actual })
    }

    fn first(
        &self,
        scope: &Scope,
        name: &str,
        definition: &Definition,
        note: &Note,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(Workflow, Version), Error> {
        if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
            return Err(Error::NoWorkflow { name: guardian_core::shorten(name) });
        }
        if let Some(expected) = note.expected.filter(|expected| *expected != 0) {
            return Err(Error::Conflict { name: name.to_owned(), expected, actual: 0 });
        }
        let mut workflow = Workflow::new(name, now);
        workflow.layout.clone_from(&definition.layout);
        let version = Version {
            number: 1,
            hash: definition.content_hash(),
            definition: without_layout(definition),
            parent: None,
            author: scope.actor().clone(),
            message: note.message.clone(),
            created: now,
            semver: Semver::FIRST,
            origin: origin.clone(),
            squashed: 0,
        };
        Ok((workflow, version))
    }

    /// The version behind the newest one, or in the place of it where it may be squashed.
    async fn next(
        &self,
        scope: &Scope,
        workflow: &Workflow,
        head: &Version,
        definition: &Definition,
        (change, note, origin): (&Diff, &Note, &Origin),
        now: Timestamp,
    ) -> Result<Version, Error> {
        let mut version = Version {
            number: head.number + 1,
            hash: definition.content_hash(),
            definition: without_layout(definition),
            parent: Some(head.number),
            author: scope.actor().clone(),
            message: note.message.clone(),
            created: now,
            semver: head.semver.after(change.class()),
            origin: origin.clone(),
            squashed: 0,
        };
        let since = now.signed_duration_since(head.created).to_std().unwrap_or(Duration::MAX);
        let squashes = since < self.squash
            && *origin == Origin::Edit
            && head.origin == Origin::Edit
            && head.author == *scope.actor()
            && head.parent.is_some()
            && workflow.published != Some(head.number)
            && workflow.canary.is_none_or(|canary| canary.version != head.number)
            && change.is_additive();
        if squashes {
            let one = PageRequest::first(1).map_err(|error| Error::change(error.to_string()))?;
            let filter = RunFilter::new().workflow(workflow.name.clone()).version(head.number);
            let before = match head.parent {
                Some(parent) => self.store.version(scope, &workflow.name, parent).await?,
                None => None,
            };
            if let Some(before) = before
                && self.store.runs(scope, &filter, &one).await?.items.is_empty()
            {
                let whole = diff(&before.definition, &version.definition);
                // Only where the head itself was no more than that: it would be lost otherwise.
                if whole.is_additive() {
                    version.parent = Some(before.number);
                    version.semver = before.semver.after(whole.class());
                    version.squashed = head.squashed + 1;
                }
            }
        }
        Ok(version)
    }

    /// The workflow of this name.
    ///
    /// # Errors
    /// [`Error::NoWorkflow`], and faults of the store.
    pub async fn workflow(&self, scope: &Scope, name: &str) -> Result<Workflow, Error> {
        let found = self.store.workflow(scope, name).await?;
        found.ok_or_else(|| Error::NoWorkflow { name: name.to_owned() })
    }

    /// The workflows by name.
    ///
    /// # Errors
    /// Faults of the store.
    pub async fn workflows(&self, scope: &Scope, page: &PageRequest) -> Result<Page<Workflow>, Error> {
        Ok(self.store.workflows(scope, page).await?)
    }

    /// A version.
    ///
    /// # Errors
    /// [`Error::NoVersion`], and faults of the store.
    pub async fn version(&self, scope: &Scope, name: &str, number: u64) -> Result<Version, Error> {
        self.known(scope, name, number).await
    }

    /// The versions, the newest first.
    ///
    /// # Errors
    /// Faults of the store.
    pub async fn versions(
        &self,
        scope: &Scope,
        name: &str,
        page: &PageRequest,
    ) -> Result<Page<Version>, Error> {
        Ok(self.store.versions(scope, name, page).await?)
    }

    async fn known(&self, scope: &Scope, name: &str, number: u64) -> Result<Version, Error> {
        let found = self.store.version(scope, name, number).await?;
        match found {
            Some(version) => Ok(version),
            None => {
                self.workflow(scope, name).await?;
                Err(Error::NoVersion { name: name.to_owned(), version: number.to_string() })
            }
        }
    }

    /// What is different between two versions.
    ///
    /// # Errors
    /// [`Error::NoVersion`], and faults of the store.
    pub async fn compare(&self, scope: &Scope, name: &str, old: u64, new: u64) -> Result<Diff, Error> {
        let (old, new) = (self.known(scope, name, old).await?, self.known(scope, name, new).await?);
        Ok(diff(&old.definition, &new.definition))
    }

    /// Changes the channels of a workflow that the caller has seen.
    async fn channel(
        &self,
        scope: &Scope,
        name: &str,
        change: impl Fn(&mut Workflow) + Send + Sync,
    ) -> Result<Workflow, Error> {
        let check = |workflow: &Workflow| self.check_base(name, workflow.revision);
        self.steer(scope, name, check, change).await
    }

    async fn steer(
        &self,
        scope: &Scope,
        name: &str,
        check: impl Fn(&Workflow) -> Result<(), Error> + Send + Sync,
        change: impl Fn(&mut Workflow) + Send + Sync,
    ) -> Result<Workflow, Error> {
        for _ in 0..TRIES {
            let mut workflow = self.workflow(scope, name).await?;
            check(&workflow)?;
            change(&mut workflow);
            workflow.revision += 1;
            workflow.updated = self.clock.now();
            let listens = Some(self.listens(scope, &workflow).await?);
            let save = Save { workflow: workflow.clone(), version: None, squashed: None, listens };
            match self.store.save(scope, &save).await? {
                Saved::Done => return Ok(workflow),
                Saved::Taken(path) => return Err(Error::PathTaken { path }),
                Saved::Conflict => {}
            }
        }
        let actual = self.workflow(scope, name).await?.draft;
        Err(Error::Conflict { name: name.to_owned(), expected: actual, actual })
    }

    /// What a workflow listens to on its channels.
    async fn listens(&self, scope: &Scope, workflow: &Workflow) -> Result<BTreeSet<Listening>, Error> {
        let mut listens = BTreeSet::new();
        if workflow.archived {
            return Ok(listens);
        }
        for number in workflow.published.into_iter().chain(workflow.canary.map(|canary| canary.version)) {
            let version = self.known(scope, &workflow.name, number).await?;
            listens.extend(version.definition.triggers.values().filter_map(Trigger::listening));
        }
        Ok(listens)
    }

    /// Lets new runs get this version. A canary ends.
    ///
    /// # Errors
    /// [`Error::NoVersion`], [`Error::PathTaken`] where another workflow has the path of one of its webhooks, and faults of the
    /// store.
    pub async fn publish(&self, scope: &Scope, name: &str, number: u64) -> Result<Workflow, Error> {
        self.known(scope, name, number).await?;
        self.channel(scope, name, |workflow| (workflow.published, workflow.canary) = (Some(number), None))
            .await
    }

    /// Lets `weight` of a hundred new runs get this version instead of the published one; 0 ends the canary.
    ///
    /// # Errors
    /// As for [`Self::publish`].
    pub async fn canary(
        &self,
        scope: &Scope,
        name: &str,
        number: u64,
        weight: u8,
    ) -> Result<Workflow, Error> {
        self.known(scope, name, number).await?;
        self.channel(scope, name, |workflow| {
            workflow.canary = (weight > 0).then(|| Canary::new(number, weight));
        })
        .await
    }

    /// Lets no further run begin, or lets them begin again. The paths of its webhooks are free for others meanwhile.
    ///
    /// # Errors
    /// [`Error::NoWorkflow`], and as for [`Self::publish`].
    pub async fn archive(&self, scope: &Scope, name: &str, archived: bool) -> Result<Workflow, Error> {
        self.channel(scope, name, |workflow| workflow.archived = archived).await
    }

    /// Makes a new version that says the same as an earlier one; nothing of what was in between is lost. It is published if
    /// the newest one was.
    ///
    /// # Errors
    /// [`Error::NoVersion`], [`Error::Invalid`] where the old content makes no sense any more, and faults of the store.
    pub async fn roll_back(&self, scope: &Scope, name: &str, to: u64) -> Result<Update, Error> {
        let old = self.known(scope, name, to).await?;
        let before = self.workflow(scope, name).await?;
        Plan::new(&old.definition, &self.catalog)?;
        let mut definition = old.definition.clone();
        definition.layout.clone_from(&before.layout);
        definition.layout.retain(|node, _| old.definition.nodes.contains_key(node));
        let note = Note::new(format!("back to version {to}"));
        let mut update = self.put(scope, name, &definition, &note, &Origin::Rollback(to)).await?;
        if before.published == Some(before.draft)
            && let Some(version) = &update.version
        {
            // A part of the same change, which was checked already.
            let number = version.number;
            let publish =
                |workflow: &mut Workflow| (workflow.published, workflow.canary) = (Some(number), None);
            update.workflow = self.steer(scope, name, |_| Ok(()), publish).await?;
        }
        Ok(update)
    }

    /// Joins an edit that started from an older version with what came since; saved if nothing stands against it.
    ///
    /// # Errors
    /// [`Error::NoVersion`], [`Error::Invalid`] where the joined definition makes no sense, and faults of the store.
    pub async fn merge(
        &self,
        scope: &Scope,
        name: &str,
        base: u64,
        edited: &Definition,
        note: &Note,
    ) -> Result<(Merged, Option<Update>), Error> {
        let workflow = self.workflow(scope, name).await?;
        let base = self.known(scope, name, base).await?.definition;
        let mut head = self.known(scope, name, workflow.draft).await?.definition;
        head.layout.clone_from(&workflow.layout);
        let base = Definition { layout: head.layout.clone(), ..base };
        let merged = merge(&base, edited, &head)?;
        if !merged.conflicts.is_empty() {
            return Ok((merged, None));
        }
        Plan::new(&merged.definition, &self.catalog)?;
        let note = Note { message: note.message.clone(), expected: Some(workflow.draft) };
        let update = self.put(scope, name, &merged.definition, &note, &Origin::Merge).await?;
        Ok((merged, Some(update)))
    }

    /// Forgets versions that are older than `keep_since` and that no channel leads to, no run needs and no other workflow names
    /// by number; at least the `keep_newest` newest stay. Says which are gone. O(versions of the tenant's workflows).
    ///
    /// # Errors
    /// Faults of the store.
    pub async fn retain(
        &self,
        scope: &Scope,
        name: &str,
        keep_newest: usize,
        keep_since: Timestamp,
    ) -> Result<Vec<u64>, Error> {
        let workflow = self.workflow(scope, name).await?;
        let (mut seen, mut old) = (0_usize, Vec::new());
        let mut page = PageRequest::first(PageRequest::MAX_SIZE).ok();
        while let Some(request) = page.take() {
            let found = self.store.versions(scope, name, &request).await?;
            for version in &found.items {
                seen += 1;
                if seen > keep_newest && version.created < keep_since && !workflow.leads_to(version.number) {
                    old.push(version.number);
                }
            }
            page =
                found.next.and_then(|next| Some(PageRequest::first(PageRequest::MAX_SIZE).ok()?.after(next)));
        }
        if !old.is_empty() {
            let named = self.named(scope, name).await?;
            old.retain(|number| !named.contains(number));
        }
        Ok(self.store.forget_versions(scope, name, &old).await?)
    }

    /// The versions of a workflow that other workflows of the tenant run by their number: a run may come to that node yet.
    async fn named(&self, scope: &Scope, name: &str) -> Result<BTreeSet<u64>, Error> {
        let mut named = BTreeSet::new();
        for workflow in self.every(async |page| self.store.workflows(scope, &page).await).await? {
            for version in
                self.every(async |page| self.store.versions(scope, &workflow.name, &page).await).await?
            {
                named.extend(version.definition.nodes.values().filter_map(|node| match &node.kind {
                    NodeKind::SubWorkflow { workflow, version: SubVersion::Number(number), .. }
                        if workflow == name =>
                    {
                        Some(*number)
                    }
                    _ => None,
                }));
            }
        }
        Ok(named)
    }

    /// Everything of a list that comes in pages.
    async fn every<T>(
        &self,
        read: impl AsyncFn(PageRequest) -> Result<Page<T>, guardian_core::StoreError>,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        let mut page = PageRequest::first(PageRequest::MAX_SIZE).ok();
        while let Some(request) = page.take() {
            let found = read(request).await?;
            all.extend(found.items);
            page =
                found.next.and_then(|next| Some(PageRequest::first(PageRequest::MAX_SIZE).ok()?.after(next)));
        }
        Ok(all)
    }

    /// What the worst difference between two versions means.
    ///
    /// # Errors
    /// As for [`Self::compare`].
    pub async fn class(&self, scope: &Scope, name: &str, old: u64, new: u64) -> Result<Class, Error> {
        Ok(self.compare(scope, name, old, new).await?.class())
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The actions that definitions may use.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Saves what came from elsewhere, as [`Self::save`] does.
    pub(crate) async fn import(
        &self,
        scope: &Scope,
        name: &str,
        definition: &Definition,
        message: &str,
    ) -> Result<Update, Error> {
        Plan::new(definition, &self.catalog)?;
        self.put(scope, name, definition, &Note::new(message), &Origin::Import).await
    }
}

fn without_layout(definition: &Definition) -> Definition {
    Definition { layout: std::collections::BTreeMap::new(), ..definition.clone() }
}

//! Events leave the log as a file: CSV, JSON, JSON lines, Parquet, or the Open Cybersecurity Schema, each with a manifest at its
//! end.

mod csv;
mod json;
mod ocsf;
mod parquet;

use std::io::{self, Write};

use guardian_core::{Scope, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::event::StoredEvent;
use crate::log::AuditLog;
use crate::merkle::Hash;
use crate::plan::Plan;
use crate::query::{Condition, Query};
use crate::store::AuditStore;
use parquet::Parquet;

/// How many events are read at once: what an export holds in memory,
const PAGE: usize = 1_000;
/// and one that is sent on while it is made, of which there may be many at once with readers that take their time.
const PART: usize = 100;

/// What an export is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportFormat {
    /// Comma-separated values (RFC 4180) with a line of names. A text that a spreadsheet would take for a formula has an
    /// apostrophe before it. The last record begins with `#manifest` and has the manifest as JSON in its second field.
    Csv,
    /// One JSON object: `events` and, last, `manifest`.
    Json,
    /// One JSON object for each line; the last is `{"manifest": …}`.
    NdJson,
    /// JSON lines of the Open Cybersecurity Schema Framework, version 1.3.0. What it has no place for is `unmapped`; the
    /// last line is a base event whose `unmapped` is the manifest.
    Ocsf,
    /// Apache Parquet with the columns of CSV, uncompressed; the manifest is `guardian.manifest` in the metadata of the file. It
    /// holds up to 10,000 events or 8 MiB in memory.
    Parquet,
}

/// What stands at the end of an export: a file without it was cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExportManifest {
    /// Whose events these are.
    pub tenant: String,
    /// What was asked for.
    pub query: String,
    /// How many events there are.
    pub count: u64,
    /// The place in the log of the first event of the file, the newest.
    pub first: Option<u64>,
    /// The place of the last one, the oldest.
    pub last: Option<u64>,
    /// How many events the log had when the export began; later ones are not in it.
    pub size: u64,
    /// The root of the log's tree at that size.
    pub root: Hash,
    /// When the export began.
    pub created: Timestamp,
}

impl<S: AuditStore> AuditLog<S> {
    /// Writes what the query finds, newest first, and a manifest. Takes the memory of a thousand events, whatever the
    /// length; `progress` is told how many are written after each thousand. Events that are recorded meanwhile are not
    /// part of it. The log records that somebody took them.
    ///
    /// ```
    /// use guardian_audit::store::MemoryStore;
    /// use guardian_audit::{AuditConfig, AuditEvent, AuditLog, ExportFormat, Query};
    /// use guardian_core::{Scope, TenantId};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let log = AuditLog::new(MemoryStore::new(), AuditConfig::default());
    /// let acme = Scope::system(TenantId::new("acme")?);
    /// log.record(&acme, AuditEvent::new("deal.updated").with_message("=1+1")).await?;
    ///
    /// let mut file = Vec::new();
    /// let manifest = log.export(&acme, &Query::All, ExportFormat::Csv, &mut file, |_| ()).await?;
    /// assert_eq!(manifest.count, 1);
    /// assert!(String::from_utf8(file)?.contains(",'=1+1,"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the store failed, or the file could not be written; what was written then has no manifest.
    pub async fn export(
        &self,
        scope: &Scope,
        query: &Query,
        format: ExportFormat,
        out: &mut (dyn Write + Send),
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<ExportManifest, Error> {
        let mut parts = self.export_parts(scope, query, format).await?;
        parts.size = PAGE;
        while let Some(bytes) = self.next_part(&mut parts).await? {
            out.write_all(&bytes).map_err(cannot_write)?;
            progress(parts.manifest.count);
        }
        out.flush().map_err(cannot_write)?;
        Ok(parts.manifest)
    }

    /// Begins an [export](Self::export) whose file is taken part by part, by [`next_part`](Self::next_part): for those who send it on while it is
    /// made. The log records that somebody takes the events.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn export_parts(
        &self,
        scope: &Scope,
        query: &Query,
        format: ExportFormat,
    ) -> Result<ExportParts, Error> {
        let head = self.store().head(scope).await?;
        let manifest = ExportManifest {
            tenant: scope.tenant().to_string(),
            query: query.to_string(),
            count: 0,
            first: None,
            last: None,
            size: head.size,
            root: head.root.into(),
            created: self.config().now(),
        };
        self.audit_use(scope, "audit_log.exported", query).await?;
        let plan = match head.size.checked_sub(1) {
            Some(newest) => {
                Some(self.plan(scope, &query.clone().and(Condition::Sequence(0, newest).into())).await?)
            }
            None => None,
        };
        let mut writer = Writer::new(format);
        let mut bytes = Vec::new();
        writer.begin(&mut bytes);
        let scope = scope.clone();
        Ok(ExportParts { scope, plan, before: None, manifest, size: PART, state: State::Goes(writer, bytes) })
    }

    /// The next part of the file: a hundred events at most, and with the last one the manifest; nothing when the file is whole. Where the
    /// store fails, or the call is dropped, it may be asked for again.
    ///
    /// # Errors
    /// When the store failed. When an event cannot be written: what was taken until then has no manifest, and there is none to come.
    pub async fn next_part(&self, parts: &mut ExportParts) -> Result<Option<Vec<u8>>, Error> {
        match &parts.state {
            State::Goes(..) => {}
            State::Whole => return Ok(None),
            State::Failed => {
                return Err(cannot_write(io::Error::other("an event could not be written before")));
            }
        }
        // What may fail for now, or be dropped half-way, comes before anything is changed.
        let (events, before, more) = match &parts.plan {
            Some(plan) => {
                let found = self.store().search(&parts.scope, plan, parts.before, parts.size).await?;
                let events = self.decode_all(&parts.scope, &found.records).await?;
                (events, found.records.last().map(|record| record.sequence), found.more)
            }
            None => (Vec::new(), None, false),
        };
        let State::Goes(mut writer, mut bytes) = std::mem::replace(&mut parts.state, State::Failed) else {
            return Ok(None);
        };
        for event in &events {
            writer.event(&mut bytes, event).map_err(cannot_write)?;
            parts.manifest.count += 1;
            parts.manifest.first.get_or_insert(event.sequence);
            parts.manifest.last = Some(event.sequence);
        }
        parts.before = before;
        if more {
            parts.state = State::Goes(writer, Vec::new());
        } else {
            writer.end(&mut bytes, &parts.manifest).map_err(cannot_write)?;
            parts.state = State::Whole;
        }
        Ok(Some(bytes))
    }
}

/// An export that is being taken; made by [`AuditLog::export_parts`].
///
/// ```
/// use guardian_audit::store::MemoryStore;
/// use guardian_audit::{AuditConfig, AuditEvent, AuditLog, ExportFormat, Query};
/// use guardian_core::{Scope, TenantId};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let log = AuditLog::new(MemoryStore::new(), AuditConfig::default());
/// let acme = Scope::system(TenantId::new("acme")?);
/// log.record(&acme, AuditEvent::new("deal.updated")).await?;
///
/// let mut parts = log.export_parts(&acme, &Query::All, ExportFormat::NdJson).await?;
/// while let Some(bytes) = log.next_part(&mut parts).await? {
///     assert!(bytes.ends_with(b"}}\n"), "a single part, with the manifest");
/// }
/// assert!(parts.is_whole());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct ExportParts {
    scope: Scope,
    /// Nothing of an empty log.
    plan: Option<Plan>,
    before: Option<u64>,
    manifest: ExportManifest,
    /// How many events are read for a part.
    size: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// With what begins the next part.
    Goes(Writer, Vec<u8>),
    Whole,
    Failed,
}

impl ExportParts {
    /// What was written until now.
    #[must_use]
    pub fn manifest(&self) -> &ExportManifest {
        &self.manifest
    }

    /// Whether everything was taken, with the manifest.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.state, State::Whole)
    }
}

fn cannot_write(error: impl Into<io::Error>) -> Error {
    Error::Export(error.into())
}

/// Writes the parts of a file into a buffer.
#[derive(Debug)]
struct Writer {
    format: ExportFormat,
    events: u64,
    parquet: Option<Parquet>,
}

impl Writer {
    fn new(format: ExportFormat) -> Self {
        Self { format, events: 0, parquet: None }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        match self.format {
            ExportFormat::Csv => csv::heading(out),
            ExportFormat::Json => out.extend_from_slice(b"{\"events\":["),
            ExportFormat::NdJson | ExportFormat::Ocsf => {}
            ExportFormat::Parquet => self.parquet = Some(Parquet::begin(out)),
        }
    }

    fn event(&mut self, out: &mut Vec<u8>, event: &StoredEvent) -> Result<(), serde_json::Error> {
        self.events += 1;
        match self.format {
            ExportFormat::Csv => csv::event(out, event),
            ExportFormat::Json => {
                out.extend_from_slice(if self.events > 1 { b",\n" } else { b"\n" });
                json::event(out, event)
            }
            ExportFormat::NdJson => {
                json::event(out, event)?;
                out.push(b'\n');
                Ok(())
            }
            ExportFormat::Ocsf => {
                serde_json::to_writer(&mut *out, &ocsf::event(event))?;
                out.push(b'\n');
                Ok(())
            }
            ExportFormat::Parquet => {
                self.parquet.as_mut().map_or(Ok(()), |parquet| parquet.event(out, event))
            }
        }
    }

    fn end(self, out: &mut Vec<u8>, manifest: &ExportManifest) -> Result<(), serde_json::Error> {
        match self.format {
            ExportFormat::Csv => csv::manifest(out, manifest),
            ExportFormat::Json => {
                out.extend_from_slice(b"\n],\"manifest\":");
                serde_json::to_writer(&mut *out, manifest)?;
                out.extend_from_slice(b"}\n");
                Ok(())
            }
            ExportFormat::NdJson => {
                out.extend_from_slice(b"{\"manifest\":");
                serde_json::to_writer(&mut *out, manifest)?;
                out.extend_from_slice(b"}\n");
                Ok(())
            }
            ExportFormat::Ocsf => {
                serde_json::to_writer(&mut *out, &ocsf::manifest(manifest))?;
                out.push(b'\n');
                Ok(())
            }
            ExportFormat::Parquet => self.parquet.map_or(Ok(()), |parquet| parquet.end(out, manifest)),
        }
    }
}

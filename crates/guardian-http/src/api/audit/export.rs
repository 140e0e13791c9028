//! Events leave the log as a file.

use std::io::{self, Write};

use axum::extract::State;
use axum::response::IntoResponse;
use guardian_audit::ExportFormat;
use guardian_audit::store::AuditStore;
use guardian_core::Scope;
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Reached, Shared, failed, query, reads};
use crate::Problem;
use crate::api::{Api, Caller, Operation, Params};

/// The longest export, in bytes: 32 MiB. It is made as a whole, so that one that fails is not half a file.
pub(super) const MOST: usize = 32 << 20;

/// What is exported.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct AuditExport {
    /// What the events have in common, in the language of the log; without it, all events.
    #[param(max_length = 4096, example = "created:2026-03")]
    q: Option<String>,
}

const CSV: &str = "text/csv";
const LINES: &str = "application/x-ndjson";

pub(super) fn declare<S: AuditStore>(api: Api<Shared<S>>) -> Api<Shared<S>> {
    let export = |id, summary, media_type| -> Operation {
        reads(id, summary)
            .about(
                "At most 32 MiB, the newest event first, and a manifest at the end: what was asked for, how many events there \
                 are, and the root of the log. The log records who took them.",
            )
            .query::<AuditExport>()
            .answers_of(StatusCode::OK, "The file.", media_type)
    };
    let csv = export("exportAuditAsCsv", "The events that a query finds, for a spreadsheet", CSV);
    let lines = export("exportAuditAsLines", "The events that a query finds, a JSON object a line", LINES);
    let ocsf = export("exportAuditAsOcsf", "The same in the Open Cybersecurity Schema, for a SIEM", LINES);
    api.get("/audit/export/csv", csv, export_csv::<S>)
        .get("/audit/export/ndjson", lines, export_lines::<S>)
        .get("/audit/export/ocsf", ocsf, export_ocsf::<S>)
}

async fn export_csv<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
    Params(asked): Params<AuditExport>,
) -> Result<impl IntoResponse, Problem> {
    exported(&reached, &scope, &asked, ExportFormat::Csv, CSV, "audit.csv").await
}

async fn export_lines<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
    Params(asked): Params<AuditExport>,
) -> Result<impl IntoResponse, Problem> {
    exported(&reached, &scope, &asked, ExportFormat::NdJson, LINES, "audit.ndjson").await
}

async fn export_ocsf<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
    Params(asked): Params<AuditExport>,
) -> Result<impl IntoResponse, Problem> {
    exported(&reached, &scope, &asked, ExportFormat::Ocsf, LINES, "audit.ocsf.ndjson").await
}

async fn exported<S: AuditStore>(
    reached: &Reached<S>,
    scope: &Scope,
    asked: &AuditExport,
    format: ExportFormat,
    media_type: &'static str,
    file: &'static str,
) -> Result<impl IntoResponse + use<S>, Problem> {
    let query = query(asked.q.as_deref())?;
    let mut out = Bounded(Vec::new());
    reached.log.export(scope, &query, format, &mut out, |_| ()).await.map_err(|error| failed(&error))?;
    let name = format!("attachment; filename=\"{file}\"");
    Ok(([(CONTENT_TYPE, media_type.to_owned()), (CONTENT_DISPOSITION, name)], out.0))
}

/// A file that does not grow beyond its bound.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len().saturating_add(bytes.len()) > MOST {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_does_not_grow_beyond_its_bound() {
        let mut file = Bounded(vec![0; MOST - 1]);
        assert!(file.write_all(b"12").is_err());
        assert!(file.write_all(b"1").is_ok());
        assert!(file.write_all(b"1").is_err());
        assert_eq!(file.0.len(), MOST);
    }
}

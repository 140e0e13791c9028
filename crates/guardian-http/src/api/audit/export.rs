//! Events leave the log as a file.

use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use futures_util::stream::{self, StreamExt as _, unfold};
use guardian_audit::ExportFormat;
use guardian_audit::store::AuditStore;
use guardian_core::Scope;
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Shared, failed, query, reads};
use crate::Problem;
use crate::api::streams::Lasting;
use crate::api::{Api, Caller, Operation, Params};

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
                "The newest event first, and a manifest at the end: what was asked for, how many events there are, and the root of the log. A \
                 file without it is not whole. It is sent while it is made, however long it is. The log records who took it.",
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
    lasting: Lasting,
) -> Result<impl IntoResponse, Problem> {
    exported(reached, &scope, &asked, lasting, (ExportFormat::Csv, CSV, "audit.csv")).await
}

async fn export_lines<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
    Params(asked): Params<AuditExport>,
    lasting: Lasting,
) -> Result<impl IntoResponse, Problem> {
    exported(reached, &scope, &asked, lasting, (ExportFormat::NdJson, LINES, "audit.ndjson")).await
}

async fn export_ocsf<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
    Params(asked): Params<AuditExport>,
    lasting: Lasting,
) -> Result<impl IntoResponse, Problem> {
    exported(reached, &scope, &asked, lasting, (ExportFormat::Ocsf, LINES, "audit.ocsf.ndjson")).await
}

/// The file is sent while it is made, a hundred events at a time and no faster than its reader takes them. What fails on the way cuts the
/// connection off, so nobody takes half a file for a whole one; and it has no manifest then.
async fn exported<S: AuditStore>(
    reached: Shared<S>,
    scope: &Scope,
    asked: &AuditExport,
    lasting: Lasting,
    (format, media_type, file): (ExportFormat, &'static str, &'static str),
) -> Result<impl IntoResponse + use<S>, Problem> {
    let query = query(asked.q.as_deref())?;
    let mut parts = reached.log.export_parts(scope, &query, format).await.map_err(|error| failed(&error))?;
    // What goes wrong at once is told as such.
    let first = reached.log.next_part(&mut parts).await.map_err(|error| failed(&error))?;
    let rest = unfold(Some((reached, parts, lasting)), |state| async move {
        let (reached, mut parts, mut lasting) = state?;
        if !parts.is_whole() && !lasting.may_go_on().await {
            return Some((Err(Cut::Permission), None));
        }
        match reached.log.next_part(&mut parts).await {
            Ok(part) => Some((Ok(part?), Some((reached, parts, lasting)))),
            Err(error) => Some((Err(Cut::Log(error)), None)),
        }
    });
    let first = stream::iter(first.map(Ok));
    let name = format!("attachment; filename=\"{file}\"");
    Ok((
        [(CONTENT_TYPE, media_type.to_owned()), (CONTENT_DISPOSITION, name)],
        Body::from_stream(first.chain(rest)),
    ))
}

/// Why a file ends in its middle.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("the permission was taken back")]
    Permission,
    #[error(transparent)]
    Log(guardian_audit::Error),
}

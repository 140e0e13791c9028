use std::fmt::Write as _;
use std::io;

use guardian_core::{Scope, StoreError, StoreErrorKind};
use serde_json::json;

use crate::entry::Entry;
use crate::store::QuotaStore;
use crate::{Error, FeatureName, Period, Quotas};

/// What a ledger is exported as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportFormat {
    /// Comma-separated values (RFC 4180) with a line of names.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

const COLUMNS: &str =
    "entry,kind,feature,subject,amount,at,recorded,period_start,period_end,beyond,key,hold,actor,note";

impl<S: QuotaStore> Quotas<S> {
    /// Writes the entries of a meter's ledger that happened within a span of time, and says how many. Texts that a spreadsheet
    /// would take for a formula begin with an apostrophe.
    ///
    /// # Errors
    /// When the name is none, the store fails, or what is written to does.
    pub async fn export(
        &self,
        scope: &Scope,
        feature: &str,
        span: Period,
        format: ExportFormat,
        to: &mut (dyn io::Write + Send),
    ) -> Result<u64, Error> {
        let feature = FeatureName::new(feature)?;
        let failed =
            |error: io::Error| StoreError::new(StoreErrorKind::Unavailable, "export").with_source(error);
        if format == ExportFormat::Csv {
            write!(to, "{COLUMNS}\r\n").map_err(failed)?;
        }
        let (mut after, mut count) = (0, 0);
        loop {
            let entries = self.store().entries(scope, &feature, after, crate::quotas::MAX_ENTRIES).await?;
            let Some(last) = entries.last() else { return Ok(count) };
            after = last.seq();
            for entry in entries.iter().filter(|entry| span.contains(entry.at())) {
                let line = match format {
                    ExportFormat::Csv => csv(&feature, entry),
                    ExportFormat::Ndjson => ndjson(&feature, entry),
                };
                to.write_all(line.as_bytes()).map_err(failed)?;
                count += 1;
            }
        }
    }
}

fn ndjson(feature: &FeatureName, entry: &Entry) -> String {
    let period = entry.period();
    let mut line = json!({
        "entry": entry.seq(),
        "kind": entry.kind(),
        "feature": feature,
        "subject": entry.subject(),
        "amount": entry.amount().to_string(),
        "at": entry.at(),
        "recorded": entry.recorded(),
        "period": { "start": period.start(), "end": period.end() },
        "beyond": entry.beyond().to_string(),
        "key": entry.key(),
        "hold": entry.hold(),
        "actor": entry.actor(),
        "note": entry.note(),
    })
    .to_string();
    line.push('\n');
    line
}

fn csv(feature: &FeatureName, entry: &Entry) -> String {
    let period = entry.period();
    let mut line = String::new();
    let mut put = |text: &str, is_last: bool| {
        let guarded = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<i128>().is_err();
        let quoted = guarded || text.contains([',', '"', '\r', '\n']);
        if quoted {
            // Writing to a text does not fail.
            let _ = write!(line, "\"{}{}\"", if guarded { "'" } else { "" }, text.replace('"', "\"\""));
        } else {
            line.push_str(text);
        }
        line.push_str(if is_last { "\r\n" } else { "," });
    };
    let time = |at: guardian_core::Timestamp| at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    put(&entry.seq().to_string(), false);
    put(entry.kind().as_str(), false);
    put(feature.as_str(), false);
    put(&entry.subject().to_string(), false);
    put(&entry.amount().to_string(), false);
    put(&time(entry.at()), false);
    put(&time(entry.recorded()), false);
    put(&time(period.start()), false);
    put(&period.end().map(time).unwrap_or_default(), false);
    put(&entry.beyond().to_string(), false);
    put(entry.key().map_or("", |key| key.as_str()), false);
    put(&entry.hold().map(|hold| hold.to_string()).unwrap_or_default(), false);
    put(&entry.actor().to_string(), false);
    put(entry.note().unwrap_or_default(), true);
    line
}

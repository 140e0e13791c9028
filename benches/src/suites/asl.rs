//! State machines of the Amazon States Language.

use std::error::Error;
use std::path::Path;

use guardian_workflow::import::asl;
use guardian_workflow::{ActionSpec, Catalog, validate};
use indicatif::ProgressBar;
use serde_json::Value;

use super::Report;

/// The share of right verdicts.
const BAR: f64 = 0.94;

/// Judges every file `valid-*.json` and `invalid-*.json` of the folder. A valid machine has to be imported, too, as a
/// definition in which validation finds no error.
pub(super) fn run(path: &Path, bar: &ProgressBar) -> Result<Report, Box<dyn Error>> {
    let mut report = Report::default();
    let mut files: Vec<_> =
        std::fs::read_dir(path)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.sort();
    bar.set_length(files.len() as u64);
    let (mut losses, mut lossless) = (0_u64, 0_u64);
    for file in files {
        bar.inc(1);
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if Path::new(&name).extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&file)?;
        let verdict = judge(&text);
        if name.starts_with("valid-") {
            match verdict {
                Ok(lost) => {
                    report.passed += 1;
                    losses += lost as u64;
                    lossless += u64::from(lost == 0);
                }
                Err(why) => report.failed.push(format!("{name}: refused: {why}")),
            }
        } else if name.starts_with("invalid-") {
            match verdict {
                Ok(_) => report.failed.push(format!("{name}: accepted")),
                Err(_) => report.passed += 1,
            }
        }
    }
    report.notes.push(format!(
        "{lossless} valid machines are represented wholly; {losses} losses are listed in the others"
    ));
    let failed = u32::try_from(report.failed.len()).map_or(f64::INFINITY, f64::from);
    let passed = u32::try_from(report.passed).map_or(0.0, f64::from);
    if passed < BAR * (passed + failed) || passed == 0.0 {
        report.missed.push(format!("{:.0} % of the verdicts are right", BAR * 100.0));
    }
    Ok(report)
}

/// How much of a machine cannot be represented, or why it is none.
fn judge(text: &str) -> Result<usize, String> {
    let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if let Some(fault) = asl::faults(&document).first() {
        return Err(fault.to_string());
    }
    let imported = asl::import(text).map_err(|error| error.to_string())?;
    let mut catalog = Catalog::new();
    for action in &imported.actions {
        catalog = catalog.with(ActionSpec::new(action)).map_err(|error| error.to_string())?;
    }
    let checked = validate(&imported.definition, &catalog);
    match checked.errors().next() {
        Some(finding) => Err(format!("imported: {finding}")),
        None => Ok(imported.losses.len()),
    }
}

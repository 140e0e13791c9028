//! MaxMind DB files, whole and damaged, as they are and with every part of them cut off or overwritten.
//!
//! A file whose name says that it is broken has to be refused when it is loaded, or harmless: every look-up ends and nothing that a rule
//! denies is let in. One whose name says nothing of the kind has to be taken if it is about something that there are rules for.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use guardian_core::Timestamp;
use guardian_ipaccess::{
    AccessPolicy, AccessRequest, CompiledPolicy, DatabaseKind, Defaults, MaxMind, Reason,
};
use indicatif::ProgressBar;

use super::Report;

const KINDS: [DatabaseKind; 3] = [DatabaseKind::Country, DatabaseKind::Asn, DatabaseKind::Anonymous];
/// So many places of each file are damaged, one at a time.
const DAMAGES: usize = 200;

pub(super) fn run(path: &Path, bar: &ProgressBar) -> Result<Report, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "mmdb") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(format!("`{}` has no file that ends with .mmdb", path.display()).into());
    }
    // An address that a database could only let in by being wrong: the policy denies every country and lets in none.
    let closed = CompiledPolicy::new(AccessPolicy::parse(
        "default deny\ndeny country US\ndeny anonymizer any",
        Defaults::closed(),
    )?);
    let mut report = Report::default();
    bar.set_length(u64::try_from(files.len() * (DAMAGES + 1))?);
    for file in &files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(file)?;
        let taken = judge(&mut report, &closed, &name, &bytes);
        let is_about_something =
            ["City", "Country", "ASN", "Anonymous"].iter().any(|about| name.contains(about));
        if is_about_something && !name.contains("Broken") {
            report.case((!taken).then(|| format!("{name}: a whole file was refused")));
        }
        bar.inc(1);
        for damage in 0..DAMAGES {
            let mut bytes = bytes.clone();
            let place = bytes.len() * damage / DAMAGES;
            if damage % 4 == 0 {
                bytes.truncate(place);
            } else if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << (damage % 8);
            }
            judge(&mut report, &closed, &format!("{name}, damage {damage}"), &bytes);
            bar.inc(1);
        }
    }
    report.notes.push(format!("{} files, {DAMAGES} damages each", files.len()));
    Ok(report)
}

/// Whether it was taken as a database of some kind.
fn judge(report: &mut Report, closed: &CompiledPolicy, name: &str, bytes: &[u8]) -> bool {
    let tried = catch_unwind(AssertUnwindSafe(|| {
        let geography = MaxMind::new();
        let taken = KINDS.iter().filter(|kind| geography.load(**kind, bytes.to_vec()).is_ok()).count();
        let wrong = addresses().find_map(|addr| {
            let decision = closed.decide_in(&AccessRequest::new(addr, Timestamp::UNIX_EPOCH), &geography);
            (!decision.denies() || decision.reason() == Reason::BreakGlass)
                .then(|| format!("{name}: {addr} was let in"))
        });
        (taken > 0, wrong)
    }));
    match tried {
        Ok((taken, wrong)) => {
            report.case(wrong);
            taken
        }
        Err(_) => {
            report.case(Some(format!("{name}: a panic")));
            false
        }
    }
}

/// All over both families, and where test files have their networks.
fn addresses() -> impl Iterator<Item = IpAddr> {
    let v4 = (0..=255_u8).map(|first| IpAddr::V4(Ipv4Addr::new(first, 128, 69, 160)));
    let v6 =
        (0..64_u16).map(|bits| IpAddr::V6(Ipv6Addr::new(0x2000 | bits << 4, 0x218, bits, 0, 0, 0, 0, 1)));
    v4.chain(v6)
}

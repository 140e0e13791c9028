//! What leaves the log as a file.

use guardian_audit::store::MemoryStore;
use guardian_audit::testkit::Sample;
use guardian_audit::{AuditConfig, AuditLog, ExportFormat, ExportManifest, Followed, Query, StoredEvent};
use guardian_core::{PageRequest, Scope, TenantId};
use serde_json::Value;

fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn filled(count: usize) -> (AuditLog<MemoryStore>, Scope) {
    let log = AuditLog::new(MemoryStore::new(), AuditConfig::default());
    let acme = Scope::system(TenantId::new("acme").unwrap());
    let mut sample = Sample::new(1);
    let events = (0..count).map(|_| sample.event()).collect();
    now(log.record_all(&acme, events)).unwrap();
    (log, acme)
}

fn export(
    log: &AuditLog<MemoryStore>,
    scope: &Scope,
    query: &str,
    format: ExportFormat,
) -> (ExportManifest, String) {
    let mut out = Vec::new();
    let mut told = Vec::new();
    let query: Query = query.parse().unwrap();
    let manifest = now(log.export(scope, &query, format, &mut out, |count| told.push(count))).unwrap();
    assert_eq!(told.last().copied().unwrap_or(0), manifest.count);
    (manifest, String::from_utf8(out).unwrap())
}

/// The records of a CSV file, read by the rules of RFC 4180.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted => {
                assert_eq!(chars.next(), Some('\n'));
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            c => field.push(c),
        }
    }
    assert!(record.is_empty() && field.is_empty() && !quoted, "the file ends with a record");
    records
}

#[test]
fn every_format_has_every_event_and_says_how_many() {
    let (log, acme) = filled(2_500);
    let page = PageRequest::first(3).unwrap();
    let newest: Vec<StoredEvent> = now(log.search(&acme, &"risk:low".parse().unwrap(), &page)).unwrap().items;

    let (manifest, csv) = export(&log, &acme, "risk:low", ExportFormat::Csv);
    let rows = records(&csv);
    assert!(rows.iter().all(|row| row.len() == 28));
    assert_eq!(u64::try_from(rows.len()).unwrap(), manifest.count + 2);
    assert_eq!(rows[0][0], "sequence");
    assert_eq!(rows[1][0], manifest.first.unwrap().to_string());
    let last = rows.last().unwrap();
    assert_eq!(last[0], "#manifest");
    assert_eq!(serde_json::from_str::<ExportManifest>(&last[1]).unwrap(), manifest);

    let (manifest, text) = export(&log, &acme, "risk:low", ExportFormat::NdJson);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(u64::try_from(lines.len()).unwrap(), manifest.count + 1);
    // The export of a moment ago is the newest event of low or higher risk by now.
    let read: Vec<StoredEvent> =
        lines[..lines.len() - 1].iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(newest.iter().all(|event| read.contains(event)));
    let end: Value = serde_json::from_str(lines[lines.len() - 1]).unwrap();
    assert_eq!(serde_json::from_value::<ExportManifest>(end["manifest"].clone()).unwrap(), manifest);

    let (manifest, text) = export(&log, &acme, "risk:low", ExportFormat::Json);
    let whole: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(u64::try_from(whole["events"].as_array().unwrap().len()).unwrap(), manifest.count);
    let cut = text.get(..text.len() / 2).unwrap();
    assert!(serde_json::from_str::<Value>(cut).is_err());
}

#[test]
fn an_export_is_an_event_and_not_part_of_itself() {
    let (log, acme) = filled(10);
    let (manifest, _) = export(&log, &acme, "", ExportFormat::NdJson);
    assert_eq!((manifest.count, manifest.size, manifest.first, manifest.last), (10, 10, Some(9), Some(0)));
    let event = now(log.get(&acme, 10)).unwrap().unwrap();
    assert_eq!(event.event.action, "audit_log.exported");
    let (manifest, text) = export(&log, &acme, "nowhere", ExportFormat::Csv);
    assert_eq!((manifest.count, manifest.first), (0, None));
    assert_eq!(records(&text).len(), 2);
}

#[test]
fn events_have_their_class_in_the_open_schema() {
    let (log, acme) = filled(200);
    let (manifest, text) = export(&log, &acme, "", ExportFormat::Ocsf);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        let number = |name: &str| line[name].as_u64().unwrap();
        assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"));
        assert_eq!(number("category_uid"), number("class_uid") / 1_000);
        assert_eq!(line["metadata"]["version"], "1.3.0");
        assert!(number("time") > 0 && line["severity_id"].is_u64());
        assert!(!line.to_string().replace("\"unmapped\"", "").contains(":null"), "{line}");
    }
    let login = lines.iter().find(|line| line["metadata"]["event_code"] == "user.login").unwrap();
    assert_eq!((&login["class_uid"], &login["activity_name"]), (&3002.into(), &"Logon".into()));
    let end = lines.last().unwrap();
    assert_eq!(end["unmapped"]["manifest"]["count"], manifest.count);
}

/// A file of more than one row group is what the format says at its ends; a cut one has no end.
#[test]
fn a_parquet_file_ends_with_its_manifest() {
    let (log, acme) = filled(12_000);
    let mut out = Vec::new();
    let manifest = now(log.export(&acme, &Query::All, ExportFormat::Parquet, &mut out, |_| ())).unwrap();
    assert_eq!(manifest.count, 12_000);
    let (body, end) = out.split_at(out.len() - 8);
    assert_eq!((&out[..4], &end[4..]), (b"PAR1".as_slice(), b"PAR1".as_slice()));
    let length = usize::try_from(u32::from_le_bytes(end[..4].try_into().unwrap())).unwrap();
    let footer = &body[body.len() - length..];
    let text = serde_json::to_vec(&manifest).unwrap();
    assert!(footer.windows(text.len()).any(|window| window == text));
    assert!(!body[..body.len() - length].windows(8).any(|window| window == b"guardian"));
    let names = footer.windows(9).filter(|window| *window == b"\x08metadata").count();
    // Once in the schema, and once in each of the two row groups.
    assert_eq!(names, 3);
}

#[test]
fn a_file_that_is_taken_in_parts_is_the_same_file() {
    let (log, acme) = filled(2_500);
    let query: Query = "-action:audit_log.*".parse().unwrap();
    for format in [ExportFormat::Csv, ExportFormat::NdJson, ExportFormat::Ocsf] {
        let (whole, text) = export(&log, &acme, "-action:audit_log.*", format);
        let mut parts = now(log.export_parts(&acme, &query, format)).unwrap();
        let (mut taken, mut count) = (Vec::new(), 0);
        while let Some(bytes) = now(log.next_part(&mut parts)).unwrap() {
            taken.extend(bytes);
            count += 1;
        }
        assert!(parts.is_whole() && count == 25, "{count} parts");
        assert_eq!((parts.manifest().count, parts.manifest().first), (whole.count, whole.first));
        // Only the manifest, which tells of the log as it was, is another one.
        let events = |text: &str| {
            text.lines().filter(|line| !line.contains("manifest")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(events(&String::from_utf8(taken).unwrap()), events(&text));
    }
}

#[test]
fn a_log_is_followed_without_a_gap_while_it_grows() {
    let (log, acme) = filled(450);
    for query in ["", "outcome:failure"] {
        let query: Query = if query.is_empty() { Query::All } else { query.parse().unwrap() };
        let (mut from, mut seen, mut grown) = (0, Vec::new(), 0);
        loop {
            let Followed { events, next, is_behind, .. } = now(log.follow(&acme, &query, from)).unwrap();
            assert!(events.len() <= 32 && (next > from || !is_behind));
            seen.extend(events.iter().map(|event| event.sequence));
            if next == from && grown == 3 {
                break;
            }
            if next == from {
                grown += 1;
                let mut sample = Sample::new(7);
                now(log.record_all(&acme, (0..70).map(|_| sample.event()).collect())).unwrap();
            }
            from = next;
        }
        let mut page = PageRequest::first(1_000).unwrap();
        let mut all = Vec::new();
        loop {
            let found = now(log.search(&acme, &query, &page)).unwrap();
            all.extend(found.items.iter().map(|event| event.sequence));
            let Some(next) = found.next else { break };
            page = PageRequest::first(1_000).unwrap().after(next);
        }
        // That somebody searched is in the log now.
        let end = from;
        all.retain(|sequence| *sequence < end);
        all.reverse();
        assert_eq!(seen, all);
        assert!(!seen.is_empty());
    }
    let head = now(log.head(&acme)).unwrap().size;
    let beyond = now(log.follow(&acme, &Query::All, head + 5)).unwrap();
    assert_eq!((beyond.events, beyond.next, beyond.is_behind), (Vec::new(), head + 5, false));
    // What the query does not find is passed over in large steps.
    let found = now(log.follow(&acme, &"action:nothing.like_this".parse().unwrap(), 0)).unwrap();
    assert_eq!((found.next, found.is_behind), (head, false));
}

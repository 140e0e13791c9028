//! Comma-separated values: RFC 4180, and safe to open in a spreadsheet (OWASP, CSV injection).

use std::io::Write;

use chrono::{SecondsFormat, Timelike};
use guardian_core::Timestamp;
use serde::Serialize;

use super::ExportManifest;
use crate::event::StoredEvent;

const COLUMNS: [&str; 28] = [
    "sequence",
    "recorded",
    "occurred",
    "id",
    "action",
    "category",
    "outcome",
    "risk",
    "score",
    "reasons",
    "actor_kind",
    "actor_id",
    "actor_name",
    "actor_email",
    "impersonator",
    "api_key",
    "session",
    "target_kind",
    "target_id",
    "target_name",
    "ip",
    "country",
    "user_agent",
    "request",
    "source",
    "message",
    "changes",
    "metadata",
];

pub(super) fn heading(out: &mut Vec<u8>) {
    out.extend_from_slice(COLUMNS.join(",").as_bytes());
    out.extend_from_slice(b"\r\n");
}

pub(super) fn event(out: &mut Vec<u8>, stored: &StoredEvent) -> Result<(), serde_json::Error> {
    let event = &stored.event;
    let (actor, target, origin) = (event.actor.as_ref(), event.target.as_ref(), &event.origin);
    // Numbers and times are written by us: they are what they look like.
    let _ = write!(out, "{},", stored.sequence);
    time(out, Some(stored.recorded));
    time(out, event.occurred);
    if let Some(id) = event.id {
        out.extend_from_slice(id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).as_bytes());
    }
    out.push(b',');
    text(out, Some(&event.action));
    text(out, Some(event.category()));
    text(out, Some(event.outcome.as_str()));
    text(out, Some(stored.risk.level.as_str()));
    let _ = write!(out, "{},", stored.risk.score);
    text(out, Some(&stored.risk.reasons.join("; ")));
    text(out, actor.map(|actor| actor.kind.as_str()));
    text(out, actor.map(|actor| actor.id.as_str()));
    text(out, actor.and_then(|actor| actor.name.as_deref()));
    text(out, actor.and_then(|actor| actor.email.as_deref()));
    text(out, actor.and_then(|actor| actor.impersonator.as_deref()));
    text(out, actor.and_then(|actor| actor.api_key.as_deref()));
    text(out, actor.and_then(|actor| actor.session.as_deref()));
    text(out, target.map(|target| target.kind.as_str()));
    text(out, target.map(|target| target.id.as_str()));
    text(out, target.and_then(|target| target.name.as_deref()));
    if let Some(address) = origin.address {
        let _ = write!(out, "{address}");
    }
    out.push(b',');
    text(out, origin.country.as_deref());
    text(out, origin.user_agent.as_deref());
    text(out, origin.request.as_deref());
    text(out, origin.source.as_deref());
    text(out, event.message.as_deref());
    json(out, &event.changes, event.changes.is_empty())?;
    json(out, &event.metadata, event.metadata.is_empty())?;
    end(out);
    Ok(())
}

pub(super) fn manifest(out: &mut Vec<u8>, manifest: &ExportManifest) -> Result<(), serde_json::Error> {
    text(out, Some("#manifest"));
    json(out, manifest, false)?;
    // Every record has as many fields as the first (RFC 4180, section 2).
    out.extend(std::iter::repeat_n(b',', COLUMNS.len() - 2));
    end(out);
    Ok(())
}

/// The comma after the last field becomes the end of the record.
fn end(out: &mut Vec<u8>) {
    out.pop();
    out.extend_from_slice(b"\r\n");
}

/// `2025-01-05T10:00:00.000001Z`; written by hand, because it is a large part of the time of an export.
fn time(out: &mut Vec<u8>, time: Option<Timestamp>) {
    if let Some(time) = time {
        let naive = time.naive_utc();
        match u16::try_from(chrono::Datelike::year(&naive.date())) {
            Ok(year @ 0..=9999) => {
                let date = naive.date();
                digits(out, u32::from(year), 4);
                for (sign, value) in [
                    (b'-', chrono::Datelike::month(&date)),
                    (b'-', chrono::Datelike::day(&date)),
                    (b'T', naive.hour()),
                    (b':', naive.minute()),
                    (b':', naive.second()),
                ] {
                    out.push(sign);
                    digits(out, value, 2);
                }
                out.push(b'.');
                digits(out, naive.nanosecond() / 1_000, 6);
                out.push(b'Z');
            }
            _ => out.extend_from_slice(time.to_rfc3339_opts(SecondsFormat::Micros, true).as_bytes()),
        }
    }
    out.push(b',');
}

fn digits(out: &mut Vec<u8>, value: u32, count: u32) {
    for place in (0..count).rev() {
        let digit = value / 10_u32.pow(place) % 10;
        out.push(b'0' + u8::try_from(digit).unwrap_or_default());
    }
}

fn json(out: &mut Vec<u8>, value: &impl Serialize, empty: bool) -> Result<(), serde_json::Error> {
    if empty {
        out.push(b',');
        return Ok(());
    }
    text(out, Some(&serde_json::to_string(value)?));
    Ok(())
}

/// A field of text, in quotation marks where it needs them, and disarmed where a spreadsheet would calculate it.
fn text(out: &mut Vec<u8>, text: Option<&str>) {
    let text = text.unwrap_or_default();
    let armed = text.starts_with(is_armed);
    let quoted = text.bytes().any(|b| matches!(b, b',' | b'"' | b'\r' | b'\n'));
    if quoted {
        out.push(b'"');
    }
    if armed {
        out.push(b'\'');
    }
    // Some spreadsheets begin a cell after these as well, whatever stands around them.
    const BREAKS: [char; 4] = [';', '\t', '\r', '\n'];
    let mut cells = text.split_inclusive(BREAKS);
    let first = cells.next().unwrap_or_default();
    field(out, first, quoted);
    for cell in cells {
        if cell.starts_with(is_armed) {
            out.push(b'\'');
        }
        field(out, cell, quoted);
    }
    if quoted {
        out.push(b'"');
    }
    out.push(b',');
}

/// A part of a field, in which a quotation mark is written twice.
fn field(out: &mut Vec<u8>, text: &str, quoted: bool) {
    if !quoted {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for part in text.split_inclusive('"') {
        out.extend_from_slice(part.as_bytes());
        if part.ends_with('"') {
            out.push(b'"');
        }
    }
}

/// What begins a formula.
fn is_armed(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '\0' | '＝' | '＋' | '－' | '＠')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &str) -> String {
        let mut out = Vec::new();
        text(&mut out, Some(value));
        out.pop();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_are_quoted_and_disarmed() {
        for (value, wanted) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t'=1"),
            ("＝1", "'＝1"),
            ("1-1", "1-1"),
            ("x;=1+1;y", "x;'=1+1;y"),
            ("x\n=1", "\"x\n'=1\""),
        ] {
            assert_eq!(written(value), wanted, "{value}");
        }
    }

    #[test]
    fn times_are_written_as_chrono_writes_them() {
        for micros in [0, 1_735_716_653_290_776, 951_782_399_999_999, -62_135_596_800_000_000] {
            let moment = chrono::DateTime::from_timestamp_micros(micros).unwrap();
            let mut out = Vec::new();
            time(&mut out, Some(moment));
            out.pop();
            assert_eq!(String::from_utf8(out).unwrap(), moment.to_rfc3339_opts(SecondsFormat::Micros, true));
        }
    }
}

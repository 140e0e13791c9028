//! Apache Parquet, format version 1, written plainly: no compression, no dictionaries, one data page for each column of a row
//! group. Every reader takes it, and it needs no library.
//!
//! A file is `PAR1`, row groups, a footer in Thrift's compact protocol, its length, `PAR1`. The manifest is the entry
//! `guardian.manifest` of the footer's key-value metadata, so that a file that was cut has neither.

use guardian_core::Timestamp;
use serde::Serialize;

use super::ExportManifest;
use crate::event::StoredEvent;

const MAGIC: &[u8; 4] = b"PAR1";

/// A row group has no more events than this, and ends once it has so many bytes: what is held in memory.
const MOST_ROWS: usize = 10_000;
const MOST_BYTES: usize = 8 << 20;

/// What a column holds, with its type and converted type in the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Moment,
    Text,
    Json,
}

impl Kind {
    fn physical(self) -> i64 {
        match self {
            Self::Integer | Self::Moment => 2,
            Self::Text | Self::Json => 6,
        }
    }

    fn converted(self) -> Option<i64> {
        match self {
            Self::Integer => None,
            Self::Moment => Some(10),
            Self::Text => Some(0),
            Self::Json => Some(19),
        }
    }
}

/// The columns, those of CSV; whether each event has a value.
const COLUMNS: [(&str, Kind, bool); 28] = [
    ("sequence", Kind::Integer, true),
    ("recorded", Kind::Moment, true),
    ("occurred", Kind::Moment, false),
    ("id", Kind::Text, false),
    ("action", Kind::Text, true),
    ("category", Kind::Text, true),
    ("outcome", Kind::Text, true),
    ("risk", Kind::Text, true),
    ("score", Kind::Integer, true),
    ("reasons", Kind::Json, false),
    ("actor_kind", Kind::Text, false),
    ("actor_id", Kind::Text, false),
    ("actor_name", Kind::Text, false),
    ("actor_email", Kind::Text, false),
    ("impersonator", Kind::Text, false),
    ("api_key", Kind::Text, false),
    ("session", Kind::Text, false),
    ("target_kind", Kind::Text, false),
    ("target_id", Kind::Text, false),
    ("target_name", Kind::Text, false),
    ("ip", Kind::Text, false),
    ("country", Kind::Text, false),
    ("user_agent", Kind::Text, false),
    ("request", Kind::Text, false),
    ("source", Kind::Text, false),
    ("message", Kind::Text, false),
    ("changes", Kind::Json, false),
    ("metadata", Kind::Json, false),
];

/// The values of one column of a row group.
#[derive(Debug, Default)]
struct Column {
    values: Vec<u8>,
    /// One bit for each event: whether it has a value.
    there: Vec<u8>,
    rows: usize,
}

impl Column {
    fn mark(&mut self, there: bool) {
        if self.rows.is_multiple_of(8) {
            self.there.push(0);
        }
        if let Some(last) = self.there.last_mut() {
            *last |= u8::from(there) << (self.rows % 8);
        }
        self.rows += 1;
    }

    fn bytes(&mut self, value: Option<&[u8]>) {
        self.mark(value.is_some());
        if let Some(value) = value {
            self.values.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
            self.values.extend_from_slice(value);
        }
    }

    fn number(&mut self, value: Option<i64>) {
        self.mark(value.is_some());
        self.values.extend(value.into_iter().flat_map(i64::to_le_bytes));
    }

    fn json<T: Serialize>(&mut self, value: &T, is_empty: bool) -> Result<(), serde_json::Error> {
        let json = if is_empty { None } else { Some(serde_json::to_vec(value)?) };
        self.bytes(json.as_deref());
        Ok(())
    }
}

/// Where a column of a row group is in the file.
#[derive(Debug)]
struct Chunk {
    offset: usize,
    length: usize,
}

#[derive(Debug)]
struct Group {
    rows: usize,
    chunks: Vec<Chunk>,
}

/// Writes a file from its start to its end.
#[derive(Debug)]
pub(super) struct Parquet {
    columns: Vec<Column>,
    groups: Vec<Group>,
    /// How long the file is.
    position: usize,
}

impl Parquet {
    pub(super) fn begin(out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(MAGIC);
        Self { columns: columns(), groups: Vec::new(), position: MAGIC.len() }
    }

    pub(super) fn event(&mut self, out: &mut Vec<u8>, stored: &StoredEvent) -> Result<(), serde_json::Error> {
        let event = &stored.event;
        let (actor, target, origin) = (event.actor.as_ref(), event.target.as_ref(), &event.origin);
        let micros = |time: Timestamp| time.timestamp_micros();
        let mut columns = self.columns.iter_mut();
        let mut number = |value: Option<i64>| {
            if let Some(column) = columns.next() {
                column.number(value);
            }
        };
        number(Some(i64::try_from(stored.sequence).unwrap_or(i64::MAX)));
        number(Some(micros(stored.recorded)));
        number(event.occurred.map(micros));
        let mut text = |value: Option<&str>| {
            if let Some(column) = columns.next() {
                column.bytes(value.map(str::as_bytes));
            }
        };
        let (id, address) =
            (event.id.map(|id| id.to_string()), origin.address.map(|address| address.to_string()));
        text(id.as_deref());
        text(Some(&event.action));
        text(Some(event.category()));
        text(Some(event.outcome.as_str()));
        text(Some(stored.risk.level.as_str()));
        if let Some(score) = columns.next() {
            score.number(Some(stored.risk.score.into()));
        }
        if let Some(reasons) = columns.next() {
            reasons.json(&stored.risk.reasons, stored.risk.reasons.is_empty())?;
        }
        let mut text = |value: Option<&str>| {
            if let Some(column) = columns.next() {
                column.bytes(value.map(str::as_bytes));
            }
        };
        text(actor.map(|actor| actor.kind.as_str()));
        text(actor.map(|actor| actor.id.as_str()));
        text(actor.and_then(|actor| actor.name.as_deref()));
        text(actor.and_then(|actor| actor.email.as_deref()));
        text(actor.and_then(|actor| actor.impersonator.as_deref()));
        text(actor.and_then(|actor| actor.api_key.as_deref()));
        text(actor.and_then(|actor| actor.session.as_deref()));
        text(target.map(|target| target.kind.as_str()));
        text(target.map(|target| target.id.as_str()));
        text(target.and_then(|target| target.name.as_deref()));
        text(address.as_deref());
        text(origin.country.as_deref());
        text(origin.user_agent.as_deref());
        text(origin.request.as_deref());
        text(origin.source.as_deref());
        text(event.message.as_deref());
        if let Some(changes) = columns.next() {
            changes.json(&event.changes, event.changes.is_empty())?;
        }
        if let Some(metadata) = columns.next() {
            metadata.json(&event.metadata, event.metadata.is_empty())?;
        }
        let bytes: usize = self.columns.iter().map(|column| column.values.len()).sum();
        if self.rows() >= MOST_ROWS || bytes >= MOST_BYTES {
            self.flush(out);
        }
        Ok(())
    }

    pub(super) fn end(
        mut self,
        out: &mut Vec<u8>,
        manifest: &ExportManifest,
    ) -> Result<(), serde_json::Error> {
        if self.rows() > 0 {
            self.flush(out);
        }
        let start = out.len();
        let manifest = serde_json::to_vec(manifest)?;
        self.footer(&mut Thrift { out, last: 0 }, &manifest);
        let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(MAGIC);
        Ok(())
    }

    fn rows(&self) -> usize {
        self.columns.first().map_or(0, |column| column.rows)
    }

    /// Writes what is held as a row group.
    fn flush(&mut self, out: &mut Vec<u8>) {
        let start = out.len();
        let mut chunks = Vec::with_capacity(COLUMNS.len());
        let rows = self.rows();
        for (column, (_, _, always)) in std::mem::replace(&mut self.columns, columns()).iter().zip(COLUMNS) {
            let from = out.len();
            // Which events have a value: one run of groups of eight bits, its length before it.
            let mut levels = Vec::new();
            if !always {
                varint(&mut levels, (wide(column.there.len()) << 1) | 1);
                levels.extend_from_slice(&column.there);
            }
            let before = if always { 0 } else { 4 + levels.len() };
            let size = int(before + column.values.len());
            let mut page = Thrift { out, last: 0 };
            page.int(1, 0);
            page.int(2, size);
            page.int(3, size);
            page.within(5, |header| {
                header.int(1, int(rows));
                header.int(2, 0);
                header.int(3, 3);
                header.int(4, 3);
            });
            page.stop();
            if !always {
                out.extend_from_slice(&u32::try_from(levels.len()).unwrap_or(u32::MAX).to_le_bytes());
                out.extend_from_slice(&levels);
            }
            out.extend_from_slice(&column.values);
            chunks.push(Chunk { offset: self.position + (from - start), length: out.len() - from });
        }
        self.position += out.len() - start;
        self.groups.push(Group { rows, chunks });
    }

    fn footer(&self, file: &mut Thrift<'_>, manifest: &[u8]) {
        file.int(1, 1);
        file.list(2, STRUCT, COLUMNS.len() + 1);
        file.item(|root| {
            root.bytes(4, b"event");
            root.int(5, int(COLUMNS.len()));
        });
        for (name, kind, always) in COLUMNS {
            file.item(|column| {
                column.int(1, kind.physical());
                column.int(3, i64::from(!always));
                column.bytes(4, name.as_bytes());
                if let Some(converted) = kind.converted() {
                    column.int(6, converted);
                }
            });
        }
        file.long(3, self.groups.iter().map(|group| int(group.rows)).sum());
        file.list(4, STRUCT, self.groups.len());
        for group in &self.groups {
            file.item(|written| group.describe(written));
        }
        file.list(5, STRUCT, 1);
        file.item(|entry| {
            entry.bytes(1, b"guardian.manifest");
            entry.bytes(2, manifest);
        });
        file.bytes(6, b"guardian-audit");
        file.stop();
    }
}

impl Group {
    fn describe(&self, group: &mut Thrift<'_>) {
        group.list(1, STRUCT, self.chunks.len());
        for (chunk, (name, kind, _)) in self.chunks.iter().zip(COLUMNS) {
            group.item(|column| {
                column.long(2, int(chunk.offset));
                column.within(3, |meta| {
                    meta.int(1, kind.physical());
                    meta.list(2, INT, 2);
                    meta.plain(0);
                    meta.plain(3);
                    meta.list(3, BINARY, 1);
                    meta.text(name.as_bytes());
                    meta.int(4, 0);
                    meta.long(5, int(self.rows));
                    meta.long(6, int(chunk.length));
                    meta.long(7, int(chunk.length));
                    meta.long(9, int(chunk.offset));
                });
            });
        }
        group.long(2, int(self.chunks.iter().map(|chunk| chunk.length).sum()));
        group.long(3, int(self.rows));
    }
}

fn columns() -> Vec<Column> {
    COLUMNS.iter().map(|_| Column::default()).collect()
}

const INT: u8 = 5;
const LONG: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// The fields of one structure in Thrift's compact protocol.
struct Thrift<'o> {
    out: &'o mut Vec<u8>,
    /// The number of the field before: fields are written by how much theirs is larger.
    last: u8,
}

impl Thrift<'_> {
    fn field(&mut self, number: u8, kind: u8) {
        self.out.push((number - self.last) << 4 | kind);
        self.last = number;
    }

    fn plain(&mut self, value: i64) {
        // Zigzag: small numbers of either sign are short.
        varint(self.out, value.cast_unsigned() << 1 ^ (value >> 63).cast_unsigned());
    }

    fn int(&mut self, number: u8, value: i64) {
        self.field(number, INT);
        self.plain(value);
    }

    fn long(&mut self, number: u8, value: i64) {
        self.field(number, LONG);
        self.plain(value);
    }

    fn text(&mut self, bytes: &[u8]) {
        varint(self.out, wide(bytes.len()));
        self.out.extend_from_slice(bytes);
    }

    fn bytes(&mut self, number: u8, bytes: &[u8]) {
        self.field(number, BINARY);
        self.text(bytes);
    }

    /// Begins a list; its items follow.
    fn list(&mut self, number: u8, kind: u8, length: usize) {
        self.field(number, LIST);
        match u8::try_from(length) {
            Ok(short @ 0..15) => self.out.push(short << 4 | kind),
            _ => {
                self.out.push(0xf0 | kind);
                varint(self.out, wide(length));
            }
        }
    }

    /// A structure that is an item of a list.
    fn item(&mut self, write: impl FnOnce(&mut Thrift<'_>)) {
        let mut inner = Thrift { out: &mut *self.out, last: 0 };
        write(&mut inner);
        inner.stop();
    }

    /// A structure that is a field.
    fn within(&mut self, number: u8, write: impl FnOnce(&mut Thrift<'_>)) {
        self.field(number, STRUCT);
        self.item(write);
    }

    fn stop(&mut self) {
        self.out.push(0);
    }
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn int(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

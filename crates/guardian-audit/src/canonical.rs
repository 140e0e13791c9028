//! The bytes that the log commits to: one event, one encoding, whatever stores it.
//!
//! Version 1. Integers are big-endian; `len` is a LEB128 number in its shortest form. A record is
//!
//! ```text
//! 0x01 | len tenant | sequence u64 | recorded i64 (µs since 1970) | body
//! body  = field*                     fields in ascending order of their tags, none twice
//! field = tag u8 | len payload
//! ```
//!
//! A decoder accepts exactly what the encoder writes, so a record has one form: `encode(decode(b)) == b`. JSON is not
//! used, because the same JSON value has many spellings.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::DateTime;
use guardian_core::{TenantId, Timestamp};
use serde_json::{Map, Number, Value};
use uuid::Uuid;

use crate::change::Change;
use crate::error::Malformed;
use crate::event::{Assessment, AuditEvent, EventActor, Outcome, Risk, StoredEvent, Target};
use crate::sealed::Sealed;

/// The version that is written.
pub const VERSION: u8 = 1;

/// The deepest that values in metadata and changes nest.
pub const MAX_DEPTH: usize = 32;

/// The longest body, in bytes.
pub const MAX_BODY: usize = 256 * 1024;

/// The longest record: a body and its heading.
pub const MAX_RECORD: usize = MAX_BODY + 1 + 2 + TenantId::MAX_LEN + 16;

mod tag {
    pub(super) const ID: u8 = 1;
    pub(super) const OCCURRED: u8 = 2;
    pub(super) const ACTION: u8 = 3;
    pub(super) const CATEGORY: u8 = 4;
    pub(super) const OUTCOME: u8 = 5;
    pub(super) const ACTOR_KIND: u8 = 6;
    pub(super) const ACTOR_ID: u8 = 7;
    pub(super) const ACTOR_NAME: u8 = 8;
    pub(super) const ACTOR_EMAIL: u8 = 9;
    pub(super) const IMPERSONATOR: u8 = 10;
    pub(super) const API_KEY: u8 = 11;
    pub(super) const SESSION: u8 = 12;
    pub(super) const TARGET_KIND: u8 = 13;
    pub(super) const TARGET_ID: u8 = 14;
    pub(super) const TARGET_NAME: u8 = 15;
    pub(super) const ADDRESS: u8 = 16;
    pub(super) const COUNTRY: u8 = 17;
    pub(super) const USER_AGENT: u8 = 18;
    pub(super) const REQUEST: u8 = 19;
    pub(super) const SOURCE: u8 = 20;
    pub(super) const RISK: u8 = 21;
    pub(super) const SCORE: u8 = 22;
    pub(super) const REASONS: u8 = 23;
    pub(super) const RULES: u8 = 24;
    pub(super) const MESSAGE: u8 = 25;
    pub(super) const CHANGES: u8 = 26;
    pub(super) const METADATA: u8 = 27;
    pub(super) const SEALED: u8 = 28;
}

/// The body of an event: everything but whose it is, its place and when it was recorded, which the store adds.
///
/// # Errors
/// When values nest deeper than [`MAX_DEPTH`], or the body would have more than [`MAX_BODY`] bytes.
pub fn encode_body(event: &AuditEvent, risk: &Assessment, sealed: &[Sealed]) -> Result<Vec<u8>, Malformed> {
    let mut out = Writer(Vec::with_capacity(512));
    if let Some(id) = event.id {
        out.field(tag::ID, id.as_bytes());
    }
    if let Some(occurred) = event.occurred {
        out.field(tag::OCCURRED, &occurred.timestamp_micros().to_be_bytes());
    }
    out.field(tag::ACTION, event.action.as_bytes());
    out.text(tag::CATEGORY, event.category.as_deref());
    out.field(tag::OUTCOME, &[outcome_code(event.outcome)]);
    if let Some(actor) = &event.actor {
        out.field(tag::ACTOR_KIND, actor.kind.as_bytes());
        out.field(tag::ACTOR_ID, actor.id.as_bytes());
        out.text(tag::ACTOR_NAME, actor.name.as_deref());
        out.text(tag::ACTOR_EMAIL, actor.email.as_deref());
        out.text(tag::IMPERSONATOR, actor.impersonator.as_deref());
        out.text(tag::API_KEY, actor.api_key.as_deref());
        out.text(tag::SESSION, actor.session.as_deref());
    }
    if let Some(target) = &event.target {
        out.field(tag::TARGET_KIND, target.kind.as_bytes());
        out.field(tag::TARGET_ID, target.id.as_bytes());
        out.text(tag::TARGET_NAME, target.name.as_deref());
    }
    match event.origin.address {
        Some(IpAddr::V4(address)) => out.field(tag::ADDRESS, &address.octets()),
        Some(IpAddr::V6(address)) => out.field(tag::ADDRESS, &address.octets()),
        None => {}
    }
    out.text(tag::COUNTRY, event.origin.country.as_deref());
    out.text(tag::USER_AGENT, event.origin.user_agent.as_deref());
    out.text(tag::REQUEST, event.origin.request.as_deref());
    out.text(tag::SOURCE, event.origin.source.as_deref());
    out.field(tag::RISK, &[risk_code(risk.level)]);
    out.field(tag::SCORE, &[risk.score]);
    if !risk.reasons.is_empty() {
        out.nested(tag::REASONS, |out| {
            for reason in &risk.reasons {
                out.bytes(reason.as_bytes());
            }
            Ok(())
        })?;
    }
    out.field(tag::RULES, &risk.rules.to_be_bytes());
    out.text(tag::MESSAGE, event.message.as_deref());
    if !event.changes.is_empty() {
        out.nested(tag::CHANGES, |out| {
            for change in &event.changes {
                out.bytes(change.path.as_bytes());
                for value in [&change.before, &change.after] {
                    match value {
                        None => out.0.push(0),
                        Some(value) => {
                            out.0.push(1);
                            out.value(value, MAX_DEPTH)?;
                        }
                    }
                }
            }
            Ok(())
        })?;
    }
    if !event.metadata.is_empty() {
        out.nested(tag::METADATA, |out| out.object(&event.metadata, MAX_DEPTH))?;
    }
    if !sealed.is_empty() {
        out.nested(tag::SEALED, |out| {
            for one in sealed {
                out.0.extend_from_slice(one.key.as_bytes());
                out.0.extend_from_slice(&one.nonce);
                out.bytes(&one.ciphertext);
            }
            Ok(())
        })?;
    }
    if out.0.len() > MAX_BODY {
        return Err(Malformed::new(format!("the event has {} bytes, the most is {MAX_BODY}", out.0.len())));
    }
    Ok(out.0)
}

/// What stands before the body in a record.
#[must_use]
pub fn heading(tenant: &TenantId, sequence: u64, recorded: Timestamp) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(32 + tenant.as_str().len()));
    out.0.push(VERSION);
    out.bytes(tenant.as_str().as_bytes());
    out.0.extend_from_slice(&sequence.to_be_bytes());
    out.0.extend_from_slice(&recorded.timestamp_micros().to_be_bytes());
    out.0
}

/// The record of a stored event: the bytes whose hash is a leaf of the tenant's tree.
///
/// # Errors
/// As [`encode_body`].
pub fn encode(event: &StoredEvent) -> Result<Vec<u8>, Malformed> {
    let mut record = heading(&event.tenant, event.sequence, event.recorded);
    record.extend_from_slice(&encode_body(&event.event, &event.risk, &event.sealed)?);
    Ok(record)
}

/// Reads a record.
///
/// # Errors
/// When the bytes are not exactly what [`encode`] writes; never panics, and takes memory in proportion to the bytes.
pub fn decode(record: &[u8]) -> Result<StoredEvent, Malformed> {
    let (tenant, sequence, recorded, body) = split(record)?;
    let (event, risk, sealed) = decode_body(body)?;
    Ok(StoredEvent { tenant, sequence, recorded, risk, event, sealed })
}

/// Takes the heading off a record: the tenant, the sequence, the time of recording, and the body.
///
/// # Errors
/// When the heading is not one.
pub fn split(record: &[u8]) -> Result<(TenantId, u64, Timestamp, &[u8]), Malformed> {
    if record.len() > MAX_RECORD {
        return Err(Malformed::new(format!("a record has {} bytes, the most is {MAX_RECORD}", record.len())));
    }
    let mut reader = Reader { rest: record, length: record.len() };
    let version = reader.byte()?;
    if version != VERSION {
        return Err(Malformed::new(format!("a record of version {version}, known is {VERSION}")));
    }
    let tenant = TenantId::new(text(reader.bytes()?)?).map_err(|error| Malformed::new(error.to_string()))?;
    let sequence = u64::from_be_bytes(reader.array()?);
    let recorded = time(reader.array()?)?;
    Ok((tenant, sequence, recorded, reader.rest))
}

/// Reads a body.
///
/// # Errors
/// When the bytes are not exactly what [`encode_body`] writes.
pub fn decode_body(body: &[u8]) -> Result<(AuditEvent, Assessment, Vec<Sealed>), Malformed> {
    let (event, risk, sealed) = read_body(body)?;
    // A field that is always written, and is not there, would make two forms of one event.
    if encode_body(&event, &risk, &sealed)? != body {
        return Err(Malformed::new("this is not the canonical form"));
    }
    Ok((event, risk, sealed))
}

/// Reads a body that the log wrote itself: that it is in its one form was seen to when it was written, and whether it is
/// still the same says its leaf.
///
/// # Errors
/// When the bytes are no body.
pub(crate) fn read_body(body: &[u8]) -> Result<(AuditEvent, Assessment, Vec<Sealed>), Malformed> {
    let mut reader = Reader { rest: body, length: body.len() };
    if body.len() > MAX_BODY {
        return Err(reader.wrong("the body is too long"));
    }
    let mut event = AuditEvent::new("");
    let mut risk = Assessment::default();
    let mut sealed = Vec::new();
    let mut fields = Fields::default();
    let mut last = 0;
    while !reader.rest.is_empty() {
        let tag = reader.byte()?;
        if tag <= last {
            return Err(reader.wrong("the fields are not in order"));
        }
        last = tag;
        let payload = reader.bytes()?;
        let mut inner = Reader { rest: payload, length: payload.len() };
        match tag {
            tag::ID => event.id = Some(Uuid::from_bytes(inner.array()?)),
            tag::OCCURRED => event.occurred = Some(time(inner.array()?)?),
            tag::ACTION => event.action = inner.text()?,
            tag::CATEGORY => event.category = Some(inner.text()?),
            tag::OUTCOME => event.outcome = outcome_of(inner.byte()?)?,
            tag::ACTOR_KIND..=tag::TARGET_NAME => {
                fields.0.insert(tag, inner.text()?);
            }
            tag::ADDRESS => event.origin.address = Some(inner.address()?),
            tag::COUNTRY => event.origin.country = Some(inner.text()?),
            tag::USER_AGENT => event.origin.user_agent = Some(inner.text()?),
            tag::REQUEST => event.origin.request = Some(inner.text()?),
            tag::SOURCE => event.origin.source = Some(inner.text()?),
            tag::RISK => risk.level = risk_of(inner.byte()?)?,
            tag::SCORE => risk.score = inner.byte()?,
            tag::REASONS => {
                while !inner.rest.is_empty() {
                    risk.reasons.push(text(inner.bytes()?)?.to_owned());
                }
            }
            tag::RULES => risk.rules = u32::from_be_bytes(inner.array()?),
            tag::MESSAGE => event.message = Some(inner.text()?),
            tag::CHANGES => event.changes = inner.changes()?,
            tag::METADATA => event.metadata = inner.object(MAX_DEPTH)?,
            tag::SEALED => sealed = inner.sealed()?,
            _ => return Err(reader.wrong("the field is unknown")),
        }
        let empty_list = matches!(tag, tag::REASONS | tag::CHANGES | tag::METADATA | tag::SEALED);
        if !inner.rest.is_empty() || (payload.is_empty() && empty_list) {
            return Err(reader.wrong("the field does not end where it says"));
        }
    }
    event.actor = fields.actor();
    event.target = fields.target();
    if !fields.0.is_empty() {
        return Err(reader.wrong("a field of an actor or a target stands alone"));
    }
    Ok((event, risk, sealed))
}

/// The fields of the actor and the target, until it is known that all that must be there are.
#[derive(Default)]
struct Fields(BTreeMap<u8, String>);

impl Fields {
    fn actor(&mut self) -> Option<EventActor> {
        let (kind, id) = (self.0.remove(&tag::ACTOR_KIND)?, self.0.remove(&tag::ACTOR_ID)?);
        let mut actor = EventActor::new(kind, id);
        actor.name = self.0.remove(&tag::ACTOR_NAME);
        actor.email = self.0.remove(&tag::ACTOR_EMAIL);
        actor.impersonator = self.0.remove(&tag::IMPERSONATOR);
        actor.api_key = self.0.remove(&tag::API_KEY);
        actor.session = self.0.remove(&tag::SESSION);
        Some(actor)
    }

    fn target(&mut self) -> Option<Target> {
        let (kind, id) = (self.0.remove(&tag::TARGET_KIND)?, self.0.remove(&tag::TARGET_ID)?);
        let mut target = Target::new(kind, id);
        target.name = self.0.remove(&tag::TARGET_NAME);
        Some(target)
    }
}

/// The codes of JSON values.
mod kind {
    pub(super) const NULL: u8 = 0;
    pub(super) const FALSE: u8 = 1;
    pub(super) const TRUE: u8 = 2;
    pub(super) const INT: u8 = 3;
    pub(super) const UINT: u8 = 4;
    pub(super) const FLOAT: u8 = 5;
    pub(super) const TEXT: u8 = 6;
    pub(super) const ARRAY: u8 = 7;
    pub(super) const OBJECT: u8 = 8;
}

struct Writer(Vec<u8>);

impl Writer {
    fn length(&mut self, mut length: usize) {
        loop {
            let low = u8::try_from(length & 0x7f).unwrap_or_default();
            length >>= 7;
            if length == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn field(&mut self, tag: u8, payload: &[u8]) {
        self.0.push(tag);
        self.bytes(payload);
    }

    fn text(&mut self, tag: u8, text: Option<&str>) {
        if let Some(text) = text {
            self.field(tag, text.as_bytes());
        }
    }

    /// A field whose payload is written by `inside`.
    fn nested(
        &mut self,
        tag: u8,
        inside: impl FnOnce(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.0.push(tag);
        let start = self.0.len();
        inside(self)?;
        // The length stands before the payload: it is written behind it, and turned to the front.
        let end = self.0.len();
        self.length(end - start);
        let length = self.0.len() - end;
        if let Some(field) = self.0.get_mut(start..) {
            field.rotate_right(length);
        }
        Ok(())
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Malformed> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Malformed::new(format!("a value nests deeper than {MAX_DEPTH} levels")));
        };
        match value {
            Value::Null => self.0.push(kind::NULL),
            Value::Bool(false) => self.0.push(kind::FALSE),
            Value::Bool(true) => self.0.push(kind::TRUE),
            Value::Number(number) => self.number(number),
            Value::String(text) => {
                self.0.push(kind::TEXT);
                self.bytes(text.as_bytes());
            }
            Value::Array(items) => {
                self.0.push(kind::ARRAY);
                self.length(items.len());
                for item in items {
                    self.value(item, depth)?;
                }
            }
            Value::Object(members) => {
                self.0.push(kind::OBJECT);
                self.object(members, depth)?;
            }
        }
        Ok(())
    }

    fn number(&mut self, number: &Number) {
        let (code, bytes) = if let Some(int) = number.as_i64() {
            (kind::INT, int.to_be_bytes())
        } else if let Some(uint) = number.as_u64() {
            (kind::UINT, uint.to_be_bytes())
        } else {
            // Numbers of JSON are finite.
            (kind::FLOAT, number.as_f64().unwrap_or_default().to_bits().to_be_bytes())
        };
        self.0.push(code);
        self.0.extend_from_slice(&bytes);
    }

    /// The members in the order of their names, whatever order the map keeps.
    fn object(&mut self, members: &Map<String, Value>, depth: usize) -> Result<(), Malformed> {
        self.length(members.len());
        let mut member = |(name, value): (&String, &Value)| {
            self.bytes(name.as_bytes());
            self.value(value, depth)
        };
        if members.keys().is_sorted() {
            return members.iter().try_for_each(member);
        }
        let mut sorted: Vec<_> = members.iter().collect();
        sorted.sort_unstable_by(|a, b| a.0.cmp(b.0));
        sorted.into_iter().try_for_each(&mut member)
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    /// How long `rest` was at the start, so that errors can say where they are.
    length: usize,
}

impl<'a> Reader<'a> {
    fn wrong(&self, what: &str) -> Malformed {
        Malformed::new(format!("{what}, at byte {}", self.length - self.rest.len()))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or_else(|| self.wrong("the bytes end early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| self.wrong("the bytes end early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        let mut length = 0_usize;
        // Four groups of seven bits are more than the longest record.
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(self.wrong("a length is not in its shortest form"));
                }
                return Ok(length);
            }
        }
        Err(self.wrong("a length is too large"))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length()?;
        self.take(length)
    }

    /// All that is left, as text.
    fn text(&mut self) -> Result<String, Malformed> {
        text(std::mem::take(&mut self.rest)).map(str::to_owned)
    }

    fn address(&mut self) -> Result<IpAddr, Malformed> {
        match self.rest.len() {
            4 => Ok(IpAddr::V4(Ipv4Addr::from(self.array::<4>()?))),
            16 => Ok(IpAddr::V6(Ipv6Addr::from(self.array::<16>()?))),
            _ => Err(self.wrong("an address has 4 or 16 bytes")),
        }
    }

    fn changes(&mut self) -> Result<Vec<Change>, Malformed> {
        let mut changes = Vec::new();
        while !self.rest.is_empty() {
            let path = text(self.bytes()?)?.to_owned();
            let (before, after) = (self.optional()?, self.optional()?);
            changes.push(Change::new(path, before, after));
        }
        Ok(changes)
    }

    fn optional(&mut self) -> Result<Option<Value>, Malformed> {
        match self.byte()? {
            0 => Ok(None),
            1 => self.value(MAX_DEPTH).map(Some),
            _ => Err(self.wrong("a value is there or it is not")),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.wrong("a value nests too deep"));
        };
        Ok(match self.byte()? {
            kind::NULL => Value::Null,
            kind::FALSE => Value::Bool(false),
            kind::TRUE => Value::Bool(true),
            kind::INT => Value::from(i64::from_be_bytes(self.array()?)),
            kind::UINT => Value::from(u64::from_be_bytes(self.array()?)),
            kind::FLOAT => {
                let float = f64::from_bits(u64::from_be_bytes(self.array()?));
                Value::Number(Number::from_f64(float).ok_or_else(|| self.wrong("a number is not finite"))?)
            }
            kind::TEXT => Value::String(text(self.bytes()?)?.to_owned()),
            kind::ARRAY => {
                let length = self.length()?;
                // Each item has at least one byte: a length that lies takes no memory.
                if length > self.rest.len() {
                    return Err(self.wrong("an array is longer than the bytes"));
                }
                let mut items = Vec::with_capacity(length.min(1_024));
                for _ in 0..length {
                    items.push(self.value(depth)?);
                }
                Value::Array(items)
            }
            kind::OBJECT => Value::Object(self.object(depth)?),
            _ => return Err(self.wrong("the value is of an unknown kind")),
        })
    }

    fn object(&mut self, depth: usize) -> Result<Map<String, Value>, Malformed> {
        let length = self.length()?;
        let mut members = Map::new();
        let mut last: Option<&str> = None;
        for _ in 0..length {
            let name = text(self.bytes()?)?;
            if last.is_some_and(|last| last >= name) {
                return Err(self.wrong("the members are not in order"));
            }
            last = Some(name);
            let value = self.value(depth)?;
            members.insert(name.to_owned(), value);
        }
        Ok(members)
    }

    fn sealed(&mut self) -> Result<Vec<Sealed>, Malformed> {
        let mut sealed = Vec::new();
        while !self.rest.is_empty() {
            let key = Uuid::from_bytes(self.array()?);
            let nonce = self.array()?;
            sealed.push(Sealed { key, nonce, ciphertext: self.bytes()?.to_vec() });
        }
        Ok(sealed)
    }
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|error| Malformed::new(format!("a text is not UTF-8: {error}")))
}

fn time(bytes: [u8; 8]) -> Result<Timestamp, Malformed> {
    let micros = i64::from_be_bytes(bytes);
    DateTime::from_timestamp_micros(micros).ok_or_else(|| Malformed::new(format!("`{micros}` µs is no time")))
}

fn outcome_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Success => 0,
        Outcome::Failure => 1,
        Outcome::Denied => 2,
    }
}

fn outcome_of(code: u8) -> Result<Outcome, Malformed> {
    let found = Outcome::ALL.into_iter().find(|outcome| outcome_code(*outcome) == code);
    found.ok_or_else(|| Malformed::new(format!("`{code}` is no outcome")))
}

fn risk_code(level: Risk) -> u8 {
    match level {
        Risk::Low => 0,
        Risk::Medium => 1,
        Risk::High => 2,
        Risk::Critical => 3,
    }
}

fn risk_of(code: u8) -> Result<Risk, Malformed> {
    let found = Risk::ALL.into_iter().find(|level| risk_code(*level) == code);
    found.ok_or_else(|| Malformed::new(format!("`{code}` is no risk level")))
}

//! MaxMind DB files: countries, autonomous systems, anonymisers.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use chrono::{DateTime, TimeDelta};
use guardian_core::Timestamp;
use maxminddb::{MaxMindDbError, PathElement, Reader};
use serde::Deserialize;

use super::{Anonymizers, Coordinates, Finding, Geography, Located, Wanted};
use crate::{Anonymizer, Country};

/// What a database is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DatabaseKind {
    /// Countries: GeoIP2 or GeoLite2 Country, City, Enterprise, and what has the same records.
    Country,
    /// Autonomous systems: GeoLite2 ASN, GeoIP2 ISP.
    Asn,
    /// Anonymisers: GeoIP2 Anonymous IP, Anonymous Plus.
    Anonymous,
}

impl fmt::Display for DatabaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Country => "country",
            Self::Asn => "asn",
            Self::Anonymous => "anonymous",
        })
    }
}

/// Why a database was refused. The one that was there before, if any, goes on serving.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// It is damaged, or no database.
    #[error("the {kind} database is damaged, or none")]
    Broken {
        /// What it was to be about.
        kind: DatabaseKind,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is about something else.
    #[error("a database of type `{given}` is not about {kind}")]
    WrongType {
        /// What it was to be about.
        kind: DatabaseKind,
        /// What it calls itself.
        given: String,
    },
    /// It is larger than is read.
    #[error("the {kind} database has {bytes} bytes, more than {max}")]
    TooLarge {
        /// What it was to be about.
        kind: DatabaseKind,
        /// How large it is.
        bytes: usize,
        /// How much is read.
        max: usize,
    },
}

/// MaxMind DB files in memory (format 2.0, <https://maxmind.github.io/MaxMind-DB/>), each of which can be replaced while others look
/// up.
///
/// A file is verified as a whole before it serves: its tree, its pointers, every record. A damaged one is refused, and the one
/// before it goes on. Of a record only the path that is wanted is decoded, and a country that was decoded once is remembered by its
/// place in the file.
///
/// ```no_run
/// use guardian_ipaccess::{DatabaseKind, MaxMind};
///
/// let geography = MaxMind::new().stale_after(chrono::TimeDelta::days(30));
/// geography.load(DatabaseKind::Country, std::fs::read("GeoLite2-Country.mmdb")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct MaxMind {
    country: ArcSwapOption<Database>,
    asn: ArcSwapOption<Database>,
    anonymous: ArcSwapOption<Database>,
    max_age: Option<TimeDelta>,
}

struct Database {
    reader: Reader<Vec<u8>>,
    built: Timestamp,
    /// Countries by the place of their record, as many as have their own place here: the record's offset and the two letters in one
    /// word, so that no reader sees half of an entry.
    seen: Box<[AtomicU64]>,
}

const SEEN: usize = 1 << 12;

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metadata = self.reader.metadata();
        write!(f, "Database({}, built {})", metadata.database_type, self.built)
    }
}

impl MaxMind {
    /// The most bytes of a database.
    pub const MAX_BYTES: usize = 2 << 30;

    /// Without any database yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls a database [stale](Finding::Stale) that was built so long ago. Without this none ever is.
    #[must_use]
    pub fn stale_after(mut self, age: TimeDelta) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Takes a database, or another one in the place of the one before. It is verified first, which takes about a second for the
    /// largest ones; look-ups go on meanwhile.
    ///
    /// # Errors
    /// When it is damaged, too large, or about something else; the one before it stays.
    pub fn load(&self, kind: DatabaseKind, bytes: Vec<u8>) -> Result<(), DatabaseError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(DatabaseError::TooLarge { kind, bytes: bytes.len(), max: Self::MAX_BYTES });
        }
        let broken = |source: MaxMindDbError| DatabaseError::Broken { kind, source: Box::new(source) };
        let reader = Reader::from_source(bytes).map_err(broken)?;
        let given = reader.metadata().database_type.clone();
        if speaks_of(&given).is_some_and(|other| other != kind) {
            return Err(DatabaseError::WrongType { kind, given });
        }
        reader.verify().map_err(broken)?;
        let epoch = i64::try_from(reader.metadata().build_epoch).unwrap_or(i64::MAX);
        let built = DateTime::from_timestamp(epoch, 0).unwrap_or(DateTime::<chrono::Utc>::MAX_UTC);
        let seen = std::iter::repeat_with(AtomicU64::default).take(SEEN).collect();
        self.slot(kind).store(Some(Arc::new(Database { reader, built, seen })));
        Ok(())
    }

    /// Takes a database away.
    pub fn unload(&self, kind: DatabaseKind) {
        self.slot(kind).store(None);
    }

    /// When a database was built, by its own account.
    #[must_use]
    pub fn built(&self, kind: DatabaseKind) -> Option<Timestamp> {
        self.slot(kind).load().as_ref().map(|database| database.built)
    }

    fn slot(&self, kind: DatabaseKind) -> &ArcSwapOption<Database> {
        match kind {
            DatabaseKind::Country => &self.country,
            DatabaseKind::Asn => &self.asn,
            DatabaseKind::Anonymous => &self.anonymous,
        }
    }

    #[inline]
    fn find<T>(
        &self,
        kind: DatabaseKind,
        at: Timestamp,
        read: impl Fn(&Database) -> Option<T>,
    ) -> Finding<T> {
        let slot = self.slot(kind).load();
        let Some(database) = slot.as_ref() else { return Finding::NoDatabase };
        let value = read(database);
        if self.max_age.is_some_and(|age| at.signed_duration_since(database.built) > age) {
            return Finding::Stale(value);
        }
        value.map_or(Finding::Unknown, Finding::Known)
    }
}

/// What a database with such a type is about, where its name tells.
fn speaks_of(database_type: &str) -> Option<DatabaseKind> {
    let names = [
        ("Anonymous", DatabaseKind::Anonymous),
        ("ASN", DatabaseKind::Asn),
        ("ISP", DatabaseKind::Asn),
        ("City", DatabaseKind::Country),
        ("Country", DatabaseKind::Country),
        ("Enterprise", DatabaseKind::Country),
    ];
    names.iter().find(|(name, _)| database_type.contains(name)).map(|(_, kind)| *kind)
}

impl Geography for MaxMind {
    #[inline]
    fn look_up(&self, addr: IpAddr, at: Timestamp, wanted: Wanted) -> Located {
        let mut located = Located::nowhere();
        if wanted.country {
            located.country = self.find(DatabaseKind::Country, at, |database| database.country(addr));
        }
        if wanted.asn {
            located.asn = self.find(DatabaseKind::Asn, at, |database| database.asn(addr));
        }
        if wanted.anonymizer {
            located.anonymizer =
                self.find(DatabaseKind::Anonymous, at, |database| Some(database.anonymizers(addr)));
        }
        located
    }

    fn coordinates(&self, addr: IpAddr) -> Option<Coordinates> {
        let slot = self.country.load();
        let found = slot.as_ref()?.reader.lookup(addr).ok()?;
        let degrees =
            |name| found.decode_path::<f64>(&[PathElement::Key("location"), PathElement::Key(name)]).ok()?;
        Coordinates::new(degrees("latitude")?, degrees("longitude")?)
    }
}

impl Database {
    /// Errors of a look-up are addresses that the database is not made for, and damage that the verification did not find: both are
    /// things that it does not know.
    #[inline]
    fn country(&self, addr: IpAddr) -> Option<Country> {
        let found = self.reader.lookup(addr).ok()?;
        let offset = found.offset()?;
        // 0 stands for a place that was not used yet, so offsets begin with 1.
        let key = (offset as u64 + 1) << 16;
        let seen = self.seen.get(offset.wrapping_mul(0x9e37_79b9) >> 7 & (SEEN - 1))?;
        let entry = seen.load(Ordering::Relaxed);
        if entry & !0xffff == key {
            let [.., a, b] = entry.to_be_bytes();
            return Country::new([a, b]);
        }
        let path = [PathElement::Key("country"), PathElement::Key("iso_code")];
        let country =
            found.decode_path::<&str>(&path).ok().flatten().and_then(|code| code.parse::<Country>().ok());
        let letters = country.map_or(0, |country| match *country.as_str().as_bytes() {
            [a, b] => u64::from(a) << 8 | u64::from(b),
            _ => 0,
        });
        seen.store(key | letters, Ordering::Relaxed);
        country
    }

    fn asn(&self, addr: IpAddr) -> Option<u32> {
        let found = self.reader.lookup(addr).ok()?;
        found.decode_path::<u32>(&[PathElement::Key("autonomous_system_number")]).ok()?
    }

    /// An address without a record hides nobody.
    fn anonymizers(&self, addr: IpAddr) -> Anonymizers {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        struct Record {
            is_anonymous: bool,
            is_anonymous_vpn: bool,
            is_hosting_provider: bool,
            is_public_proxy: bool,
            is_residential_proxy: bool,
            is_tor_exit_node: bool,
        }
        let record = self
            .reader
            .lookup(addr)
            .ok()
            .and_then(|found| found.decode::<Record>().ok()?)
            .unwrap_or_default();
        let kinds = [
            (record.is_anonymous, Anonymizer::Any),
            (record.is_anonymous_vpn, Anonymizer::Vpn),
            (record.is_hosting_provider, Anonymizer::Hosting),
            (record.is_public_proxy, Anonymizer::PublicProxy),
            (record.is_residential_proxy, Anonymizer::ResidentialProxy),
            (record.is_tor_exit_node, Anonymizer::Tor),
        ];
        kinds.iter().filter(|(is, _)| *is).fold(Anonymizers::none(), |all, (_, kind)| all.with(*kind))
    }
}

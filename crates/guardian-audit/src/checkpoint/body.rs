use chrono::{DateTime, Datelike, SecondsFormat, SubsecRound, Utc};
use guardian_core::{TenantId, Timestamp};
use sha2::{Digest, Sha256};

use crate::base64;
use crate::merkle::Hash;

/// What a tenant's log was at some moment.
///
/// ```
/// use guardian_audit::checkpoint::Checkpoint;
/// use guardian_audit::merkle::empty_root;
/// use guardian_core::{Clock, ManualClock, TenantId};
///
/// let now = ManualClock::new().now();
/// let checkpoint = Checkpoint::new(TenantId::new("acme")?, 0, empty_root(), None, now)?;
/// assert_eq!(Checkpoint::parse(&checkpoint.text())?, checkpoint);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    tenant: TenantId,
    size: u64,
    root: Hash,
    previous: Option<Hash>,
    time: Timestamp,
}

impl Checkpoint {
    /// The beginning of the first line, which says what the text is and in which version; the tenant follows.
    pub const ORIGIN: &str = "guardian-audit.v1/";

    /// The longest text, in bytes.
    pub const MAX_LEN: usize = 384;

    /// A checkpoint: the tenant, how many events its log has, the root over them, the [hash](Self::hash) of the
    /// checkpoint before (`None` for the first), and the time, which is cut to the microsecond.
    ///
    /// # Errors
    /// When the time is not in the years 0 to 9999.
    pub fn new(
        tenant: TenantId,
        size: u64,
        root: Hash,
        previous: Option<Hash>,
        time: Timestamp,
    ) -> Result<Self, InvalidCheckpoint> {
        if !(0..=9999).contains(&time.year()) {
            return Err(InvalidCheckpoint("the time is not in the years 0 to 9999".to_owned()));
        }
        Ok(Self { tenant, size, root, previous, time: time.trunc_subsecs(6) })
    }

    /// Whose log it is.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// How many events the log had.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over them.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The hash of the checkpoint before; `None` in the first.
    #[must_use]
    pub fn previous(&self) -> Option<Hash> {
        self.previous
    }

    /// When it was made.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The text that is sealed; see the [module](super) for what it looks like. It ends with a line feed.
    #[must_use]
    pub fn text(&self) -> String {
        let root = base64::encode(self.root.as_bytes());
        let previous =
            self.previous.map_or_else(|| "none".to_owned(), |hash| base64::encode(hash.as_bytes()));
        let time = self.time.to_rfc3339_opts(SecondsFormat::Micros, true);
        let origin = Self::ORIGIN;
        format!("{origin}{}\n{}\n{root}\nprevious {previous}\ntime {time}\n", self.tenant, self.size)
    }

    /// Reads a text, which must be exactly what [`Self::text`] writes.
    ///
    /// # Errors
    /// The first line that is not as it must be.
    pub fn parse(text: &str) -> Result<Self, InvalidCheckpoint> {
        let wrong = |why: &str| InvalidCheckpoint(why.to_owned());
        if text.len() > Self::MAX_LEN {
            return Err(InvalidCheckpoint(format!(
                "the text has {} bytes, the most is {}",
                text.len(),
                Self::MAX_LEN
            )));
        }
        let mut lines = text.lines();
        let mut line =
            |what| lines.next().ok_or_else(|| InvalidCheckpoint(format!("the line with {what} is missing")));
        let origin = line("the origin")?;
        let tenant = origin
            .strip_prefix(Self::ORIGIN)
            .ok_or_else(|| InvalidCheckpoint(format!("the origin does not begin with `{}`", Self::ORIGIN)))?;
        let tenant = TenantId::new(tenant).map_err(|error| InvalidCheckpoint(error.to_string()))?;
        let size = line("the size")?.parse().map_err(|_| wrong("the size is no number of 64 bits"))?;
        let root = hash(line("the root")?).ok_or_else(|| wrong("the root is no hash in base 64"))?;
        let previous = line("the checkpoint before")?.strip_prefix("previous ");
        let previous = match previous.ok_or_else(|| wrong("the line `previous …` is missing"))? {
            "none" => None,
            text => Some(hash(text).ok_or_else(|| wrong("the previous hash is none in base 64"))?),
        };
        let time = line("the time")?.strip_prefix("time ").map(DateTime::parse_from_rfc3339);
        let time =
            time.and_then(Result::ok).ok_or_else(|| wrong("the line `time …` is missing or has no time"))?;
        let checkpoint = Self::new(tenant, size, root, previous, time.with_timezone(&Utc))?;
        if checkpoint.text() == text {
            Ok(checkpoint)
        } else {
            Err(wrong("the text is not in its canonical form"))
        }
    }

    /// SHA-256 of the text, without any seal: what the next checkpoint names as the one before.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::new(Sha256::digest(self.text()).into())
    }
}

fn hash(text: &str) -> Option<Hash> {
    Hash::from_slice(&base64::decode(text)?)
}

/// A text that is no checkpoint, or values that make none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no checkpoint: {0}")]
pub struct InvalidCheckpoint(pub(super) String);

//! The `RateLimit` and `RateLimit-Policy` response fields.
//!
//! Written after draft-ietf-httpapi-ratelimit-headers-11 (23 May 2026, sections 3 and 4), an Internet-Draft and
//! not yet a standard. Both fields are Lists of Items in the sense of RFC 9651 (sections 3.1 and 3.3). Each item is a
//! String that names a policy, with parameters:
//!
//! | field | parameter | meaning | |
//! |---|---|---|---|
//! | `RateLimit-Policy` | `q` | the quota, in quota units | required |
//! | | `w` | the time window in whole seconds, not zero | optional |
//! | | `qu` | the quota unit, `requests` when absent | optional |
//! | | `pk` | the partition key | optional |
//! | `RateLimit` | `r` | what is left of the quota | required |
//! | | `t` | the effective window in whole seconds: the time in which no more than `r` may be used | optional |
//! | | `pk` | the partition key | optional |
//!
//! Neither field may be sent as a trailer.

mod structured;

use std::borrow::Borrow;
use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use structured::{MAX_BYTES, MAX_STRING, Writer, quoted};

/// The name of the `RateLimit` field: what is left (draft section 4).
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The name of the `RateLimit-Policy` field: what is allotted (draft section 3).
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// A value that the fields cannot carry.
///
/// ```
/// use guardian_http::PolicyName;
///
/// let error = PolicyName::new("täglich").unwrap_err();
/// assert_eq!(error.to_string(), "policy name `täglich` has characters that are not printable ASCII");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// A policy without a name.
    #[error("policy name is empty")]
    EmptyName,
    /// RFC 9651 section 3.3.3 allows the characters from space to `~` alone.
    #[error("policy name `{}` has characters that are not printable ASCII", name.escape_debug())]
    NotPrintable {
        /// The name that was given.
        name: String,
    },
    /// Recipients need not take a String of more than 1,024 characters (RFC 9651 section 3.3.3).
    #[error("policy name has {length} characters, more than {MAX_STRING}")]
    NameTooLong {
        /// The number of characters that were given.
        length: usize,
    },
    /// Recipients need not take a Byte Sequence of more than 16,384 bytes (RFC 9651 section 3.3.5).
    #[error("partition key has {length} bytes, more than {MAX_BYTES}")]
    KeyTooLong {
        /// The number of bytes that were given.
        length: usize,
    },
}

/// The name of a policy as it appears in the fields: 1 to 1,024 characters of printable ASCII.
///
/// ```
/// use guardian_http::PolicyName;
///
/// assert_eq!(PolicyName::new("burst").unwrap().as_str(), "burst");
/// assert!(PolicyName::new("").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyName {
    name: String,
    /// As it is written.
    quoted: String,
}

impl PolicyName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`FieldError`] when the name is empty, too long, or has a character outside printable ASCII, which a
    /// String of RFC 9651 cannot hold.
    pub fn new(name: impl Into<String>) -> Result<Self, FieldError> {
        let name = name.into();
        if name.is_empty() {
            Err(FieldError::EmptyName)
        } else if !name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            Err(FieldError::NotPrintable { name })
        } else if name.len() > MAX_STRING {
            Err(FieldError::NameTooLong { length: name.len() })
        } else {
            Ok(Self { quoted: quoted(&name), name })
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PolicyName").field(&self.name).finish()
    }
}

/// The part of a quota that a request falls into, say a user or a resource: at most 16,384 bytes of any value.
///
/// Clients see it, base64-encoded, so it should not hold anything sensitive (draft section 6.1).
///
/// ```
/// use guardian_http::PartitionKey;
///
/// assert_eq!(PartitionKey::new("user-7").unwrap().as_bytes(), b"user-7");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey(Vec<u8>);

impl PartitionKey {
    /// Checks a key.
    ///
    /// # Errors
    /// [`FieldError::KeyTooLong`].
    pub fn new(key: impl Into<Vec<u8>>) -> Result<Self, FieldError> {
        let key = key.into();
        if key.len() > MAX_BYTES { Err(FieldError::KeyTooLong { length: key.len() }) } else { Ok(Self(key)) }
    }

    /// The key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a quota counts (draft section 3.1.2).
///
/// ```
/// assert_eq!(guardian_http::QuotaUnit::ContentBytes.as_str(), "content-bytes");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuotaUnit {
    /// Requests, the unit of a policy that names none.
    #[default]
    Requests,
    /// Bytes of content.
    ContentBytes,
    /// Requests at the same time.
    ConcurrentRequests,
}

impl QuotaUnit {
    /// The unit's name in the field.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::ContentBytes => "content-bytes",
            Self::ConcurrentRequests => "concurrent-requests",
        }
    }
}

/// One item of `RateLimit-Policy`: what a policy allots.
///
/// Policies seldom change, so their field is best written once and cloned for every response.
///
/// ```
/// use std::time::Duration;
/// use guardian_http::{PartitionKey, PolicyName, QuotaPolicy, QuotaUnit};
///
/// let burst = QuotaPolicy::new(PolicyName::new("burst")?, 100)
///     .with_window(Duration::from_secs(60))
///     .with_unit(QuotaUnit::Requests)
///     .with_partition_key(PartitionKey::new("user-7")?);
/// let daily = QuotaPolicy::new(PolicyName::new("daily")?, 1000).with_window(Duration::from_secs(86_400));
///
/// assert_eq!(
///     QuotaPolicy::field([&burst, &daily]).unwrap(),
///     r#""burst";q=100;w=60;qu="requests";pk=:dXNlci03:, "daily";q=1000;w=86400"#,
/// );
/// # Ok::<(), guardian_http::FieldError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct QuotaPolicy {
    name: PolicyName,
    quota: u64,
    window: Option<u64>,
    unit: Option<QuotaUnit>,
    partition_key: Option<PartitionKey>,
}

impl QuotaPolicy {
    /// A policy that allots `quota` units. Above 999,999,999,999,999, the largest Integer of RFC 9651, that number
    /// is written.
    pub fn new(name: PolicyName, quota: u64) -> Self {
        Self { name, quota, window: None, unit: None, partition_key: None }
    }

    /// The window in which the quota may be used. It is written in whole seconds, rounded up, at least 1: a
    /// longer window promises less, so clients that keep to it are never refused.
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = Some(ceil_seconds(window).max(1));
        self
    }

    /// Names the unit; without this call the field leaves it out, which means requests.
    pub fn with_unit(mut self, unit: QuotaUnit) -> Self {
        self.unit = Some(unit);
        self
    }

    /// The partition that this quota is for.
    pub fn with_partition_key(mut self, key: PartitionKey) -> Self {
        self.partition_key = Some(key);
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &PolicyName {
        &self.name
    }

    /// Writes the field for `policies`, in their order; `None` when there are none, since a List without members
    /// is sent by leaving the field out (RFC 9651 section 3.1).
    #[must_use]
    pub fn field(policies: impl IntoIterator<Item: Borrow<Self>>) -> Option<HeaderValue> {
        let mut writer = Writer::new();
        for policy in policies {
            let policy = policy.borrow();
            writer.item(&policy.name.quoted);
            writer.integer(b";q=", policy.quota);
            if let Some(window) = policy.window {
                writer.integer(b";w=", window);
            }
            if let Some(unit) = policy.unit {
                writer.string(";qu=", unit.as_str());
            }
            if let Some(key) = &policy.partition_key {
                writer.bytes(";pk=", key.as_bytes());
            }
        }
        writer.finish()
    }
}

/// One item of `RateLimit`: what is left under a policy. It borrows the policy's name and key, because it is
/// written for every response.
///
/// ```
/// use std::time::Duration;
/// use guardian_http::{PolicyName, ServiceLimit};
///
/// let burst = PolicyName::new("burst")?;
/// let limit = ServiceLimit::new(&burst, 50).with_reset(Duration::from_millis(29_001));
/// assert_eq!(ServiceLimit::field([limit]).unwrap(), r#""burst";r=50;t=30"#);
/// # Ok::<(), guardian_http::FieldError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct ServiceLimit<'a> {
    name: &'a PolicyName,
    remaining: u64,
    reset: Option<u64>,
    partition_key: Option<&'a PartitionKey>,
}

impl<'a> ServiceLimit<'a> {
    /// `remaining` quota units are left; above 999,999,999,999,999, the largest Integer of RFC 9651, that number is
    /// written.
    pub fn new(name: &'a PolicyName, remaining: u64) -> Self {
        Self { name, remaining, reset: None, partition_key: None }
    }

    /// The effective window: how long what remains must last. It is written in whole seconds, rounded up, so
    /// that a client that waits for it does not come early.
    pub fn with_reset(mut self, reset: Duration) -> Self {
        self.reset = Some(ceil_seconds(reset));
        self
    }

    /// The partition that this limit is for.
    pub fn with_partition_key(mut self, key: &'a PartitionKey) -> Self {
        self.partition_key = Some(key);
        self
    }

    /// Writes the field for `limits`, in their order; `None` when there are none, since a List without members
    /// is sent by leaving the field out (RFC 9651 section 3.1).
    #[must_use]
    pub fn field(limits: impl IntoIterator<Item = Self>) -> Option<HeaderValue> {
        let mut writer = Writer::new();
        for limit in limits {
            writer.item(&limit.name.quoted);
            writer.integer(b";r=", limit.remaining);
            if let Some(reset) = limit.reset {
                writer.integer(b";t=", reset);
            }
            if let Some(key) = limit.partition_key {
                writer.bytes(";pk=", key.as_bytes());
            }
        }
        writer.finish()
    }
}

/// The `RateLimit-Policy` field of one quota without a window: what [`QuotaPolicy::field`] writes of it.
#[cfg(feature = "quota")]
pub(crate) fn quota_field(name: &PolicyName, quota: u64) -> Option<HeaderValue> {
    let mut writer = Writer::new();
    writer.item(&name.quoted);
    writer.integer(b";q=", quota);
    writer.finish()
}

/// Whole seconds, rounded up.
fn ceil_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

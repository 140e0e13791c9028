use std::hash::Hasher;

use guardian_core::Timestamp;
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::limit::MAX_AMOUNT;
use crate::{Error, EventKey, FeatureName, Subject};

/// One use of a metered feature: what, by whom, how much.
///
/// ```
/// use guardian_quota::{Subject, Usage};
///
/// let usage = Usage::of("tokens", &Subject::org().user("u_17")?, 1_250)?.with_key("req-7f3a")?;
/// assert_eq!(usage.amount(), 1_250);
/// # Ok::<(), guardian_quota::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    pub(crate) feature: FeatureName,
    pub(crate) subject: Subject,
    pub(crate) amount: u64,
    pub(crate) value: Option<u128>,
    pub(crate) key: Option<EventKey>,
}

impl Usage {
    /// So many units; of a meter of the maximum or of what is reported last, the number that is reported. No units can be
    /// consumed, which writes nothing, and cannot be reserved.
    ///
    /// # Errors
    /// When the feature's name is none, or the amount is above [`MAX_AMOUNT`].
    pub fn of(feature: impl AsRef<str>, subject: &Subject, amount: u64) -> Result<Self, Error> {
        if amount > MAX_AMOUNT {
            return Err(Error::range("the amount", "at most 2^62 - 1"));
        }
        let feature = FeatureName::new(feature)?;
        Ok(Self { feature, subject: subject.clone(), amount, value: None, key: None })
    }

    /// The same under an id of the caller's: a repetition changes nothing and gets the same answer.
    ///
    /// # Errors
    /// When the id is not an [`EventKey`], or begins with `close:` or `grant:`: such keys are the ledger's own; or with `client:`, as
    /// those of clients do.
    pub fn with_key(mut self, key: impl AsRef<str>) -> Result<Self, Error> {
        self.key = Some(EventKey::of_caller(key)?);
        Ok(self)
    }

    /// The same under an id that a client of the host's chose, such as the value of a header: in the ledger it is `client:` and the
    /// id, or a digest of it where that is longer than a key may be. So no client takes or repeats an id of the host's.
    ///
    /// ```
    /// use guardian_quota::{Subject, Usage};
    ///
    /// let usage = Usage::of("tokens", &Subject::org(), 1)?.with_client_key("req-7")?;
    /// assert_eq!(usage.key().map(|key| key.as_str()), Some("client:req-7"));
    /// # Ok::<(), guardian_quota::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Self::with_key`].
    pub fn with_client_key(mut self, key: impl AsRef<str>) -> Result<Self, Error> {
        self.key = Some(EventKey::of_client(key)?);
        Ok(self)
    }

    /// The same with a value, for meters that count different values. It is kept as a digest of 128 bits.
    #[must_use]
    pub fn with_value(mut self, value: &str) -> Self {
        let mut hasher = SipHasher13::new_with_keys(0, 3);
        hasher.write(value.as_bytes());
        self.value = Some(hasher.finish128().as_u128());
        self
    }

    /// The feature.
    #[must_use]
    pub fn feature(&self) -> &FeatureName {
        &self.feature
    }

    /// Who uses it.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// How much.
    #[must_use]
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// The caller's id.
    #[must_use]
    pub fn key(&self) -> Option<&EventKey> {
        self.key.as_ref()
    }
}

/// An event that happened, with its moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is a usage and its moment")]
pub struct Happened {
    /// What was used.
    pub usage: Usage,
    /// When.
    pub at: Timestamp,
}

//! How webhooks are set up.

use std::time::Duration;

use crate::egress::EgressPolicy;
use crate::event_type::EventTypes;

/// How webhooks are set up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Where webhooks may go. The sender has a policy too, see [`EgressPolicy`].
    pub egress: EgressPolicy,
    /// The event types that there are; none for any. An endpoint cannot ask for others.
    pub types: EventTypes,
    /// The most bytes of a message, all versions together; 1 MiB by default, at most 64 MiB.
    pub max_payload: usize,
    /// The most endpoints of a tenant; 1000 by default.
    pub max_endpoints: usize,
    /// How long an idempotency key holds; 24 hours by default.
    pub idempotency: Duration,
    /// How long an old key goes on signing beside a new one; 24 hours by default.
    pub overlap: Duration,
    /// The CloudEvents attribute `source`: a URI that names your service.
    pub source: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            egress: EgressPolicy::default(),
            types: EventTypes::default(),
            max_payload: 1 << 20,
            max_endpoints: 1000,
            idempotency: Duration::from_secs(86_400),
            overlap: Duration::from_secs(86_400),
            source: "urn:guardian:webhooks".to_owned(),
        }
    }
}

impl Config {
    /// With another egress policy. The sender has to have it too: make it of [`Config::http`], see [`EgressPolicy`].
    #[must_use]
    pub fn with_egress(mut self, policy: EgressPolicy) -> Self {
        self.egress = policy;
        self
    }

    /// With event types.
    #[must_use]
    pub fn with_types(mut self, types: EventTypes) -> Self {
        self.types = types;
        self
    }

    /// With another bound of a message's bytes, at most 64 MiB.
    #[must_use]
    pub fn with_max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes.min(64 << 20);
        self
    }

    /// With another bound of a tenant's endpoints.
    #[must_use]
    pub fn with_max_endpoints(mut self, endpoints: usize) -> Self {
        self.max_endpoints = endpoints;
        self
    }

    /// With another time for which old keys go on signing.
    #[must_use]
    pub fn with_overlap(mut self, overlap: Duration) -> Self {
        self.overlap = overlap;
        self
    }

    /// With another CloudEvents source.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// How a sender of these webhooks sends: as [`HttpConfig`](crate::HttpConfig) has it by default, to where the policy of
    /// [`Config::egress`] lets it.
    ///
    /// ```
    /// use guardian_webhook::{Config, EgressPolicy, ReqwestSender};
    ///
    /// let config = Config::default().with_egress(EgressPolicy::default().allow_target("localhost", 3000));
    /// let sender = ReqwestSender::new(config.http())?;
    /// # let _ = sender;
    /// # Ok::<(), guardian_webhook::Error>(())
    /// ```
    #[cfg(feature = "http")]
    #[must_use]
    pub fn http(&self) -> crate::HttpConfig {
        crate::HttpConfig::default().with_policy(self.egress.clone())
    }
}

#[cfg(test)]
#[cfg(feature = "http")]
mod tests {
    use super::*;

    #[test]
    fn a_sender_goes_where_endpoints_may_be() {
        let policy = EgressPolicy::default().https_only().allow_target("localhost", 3000);
        assert_eq!(Config::default().with_egress(policy.clone()).http().policy, policy);
    }
}

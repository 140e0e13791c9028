//! What is sent in one attempt: the message as the endpoint wants it, with every valid key's signature.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use guardian_core::{Scope, TenantId, Timestamp};
use serde_json::Value;

use crate::delivery::Exchange;
use crate::endpoint::{Endpoint, EndpointKey, KeyKind};
use crate::error::Error;
use crate::id::{EndpointId, MessageId};
use crate::message::{Message, Publish, render};
use crate::secret::{LENIENT, PrivateKey, Secret};
use crate::send::{Answer, HttpSender, Request, SendError, Verdict, judge};
use crate::signature::{SignatureHeaders, Signer};
use crate::store::DeliveryStore;
use crate::vault::Vault;
use crate::webhooks::Webhooks;

/// An endpoint with its keys opened.
pub(crate) struct Prepared {
    pub(crate) endpoint: Endpoint,
    signers: Vec<(EndpointKey, Arc<dyn Signer>)>,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("endpoint", &self.endpoint.id).finish_non_exhaustive()
    }
}

/// What signs with a key of an endpoint.
pub(crate) async fn signer(
    tenant: &TenantId,
    endpoint: EndpointId,
    key: &EndpointKey,
    vault: &dyn Vault,
) -> Result<Arc<dyn Signer>, Error> {
    if key.kind == KeyKind::External {
        return vault.external(tenant, &key.sealed).await;
    }
    let sealed = LENIENT.decode(&key.sealed).map_err(|_| Error::Sealed)?;
    let plain = vault.open(tenant, endpoint, &sealed).await?;
    if key.kind == KeyKind::Hmac {
        return Ok(Arc::new(Secret::from_bytes(&plain)?));
    }
    let seed = plain.as_slice().try_into().map_err(|_| Error::Sealed)?;
    Ok(Arc::new(PrivateKey::from_seed(seed)))
}

impl Prepared {
    /// Opens the keys of an endpoint that have not ended; one of them that cannot be opened is an error of all, for a signature would be
    /// missing in silence.
    pub(crate) async fn new(
        tenant: &TenantId,
        endpoint: Endpoint,
        vault: &dyn Vault,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let mut signers: Vec<(EndpointKey, Arc<dyn Signer>)> = Vec::with_capacity(endpoint.keys.len());
        for key in endpoint.keys.iter().filter(|key| !key.has_ended(now)) {
            signers.push((key.clone(), signer(tenant, endpoint.id, key, vault).await?));
        }
        Ok(Self { endpoint, signers })
    }

    /// The request of an attempt at this time.
    pub(crate) async fn request(
        &self,
        message: &Message,
        now: Timestamp,
        source: &str,
    ) -> Result<Request, Error> {
        let settings = &self.endpoint.settings;
        let rendered = render(message, settings.mode, settings.payload_version.as_deref(), source);
        let valid: Vec<Arc<dyn Signer>> = self
            .signers
            .iter()
            .filter(|(key, _)| key.is_valid(now))
            .map(|(_, signer)| Arc::clone(signer))
            .collect();
        let signed = SignatureHeaders::sign(message.id, now.timestamp(), &rendered.body, &valid).await?;
        let mut headers = rendered.headers;
        headers.push((
            "user-agent".to_owned(),
            concat!("guardian-webhook/", env!("CARGO_PKG_VERSION")).to_owned(),
        ));
        headers.extend(signed.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())));
        headers.extend(settings.headers.iter().cloned());
        Ok(Request::new(settings.url.clone(), headers, rendered.body))
    }
}

/// What is kept of an exchange: of the answer's body the beginning, of the endpoint's own headers the names alone.
pub(crate) fn exchange(
    endpoint: &Endpoint,
    request: &Request,
    outcome: &Result<Answer, SendError>,
    kept: usize,
) -> Exchange {
    let own = |name: &str| endpoint.settings.headers.iter().any(|(own, _)| own == name);
    let hidden = |(name, value): &(String, String)| {
        (name.clone(), if own(name) { "…".to_owned() } else { value.clone() })
    };
    let mut exchange =
        Exchange { request: request.headers.iter().map(hidden).collect(), ..Exchange::default() };
    if let Ok(answer) = outcome {
        const MAX_HEADERS: usize = 50;
        let short = |text: &str| text.chars().take(512).collect::<String>();
        exchange.response = answer
            .headers
            .iter()
            .take(MAX_HEADERS)
            .map(|(name, value)| (short(name), short(value)))
            .collect();
        let body = answer.body.get(..kept).unwrap_or(&answer.body);
        exchange.body = String::from_utf8_lossy(body).into_owned();
        exchange.truncated = answer.truncated || answer.body.len() > kept;
    }
    exchange
}

/// A trial of an endpoint, with all that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trial {
    /// What was sent, with the values of all headers.
    pub request: Request,
    /// What came back.
    pub outcome: Result<Answer, SendError>,
    /// What that means.
    pub verdict: Verdict,
    /// How long it took.
    pub latency: Duration,
}

impl<S: DeliveryStore> Webhooks<S> {
    /// Sends a message to an endpoint at once, signed as always, and shows the full exchange. Nothing is stored, no attempt is
    /// counted and the breaker does not learn of it; a disabled endpoint can be tried too.
    ///
    /// # Errors
    /// When there is no such endpoint, the message does not do, or it cannot be signed. What the endpoint answers is no error.
    pub async fn send_test(
        &self,
        scope: &Scope,
        endpoint: EndpointId,
        sender: &dyn HttpSender,
        publish: Publish,
    ) -> Result<Trial, Error> {
        let endpoint = self.endpoint(scope, endpoint).await?;
        publish.check(self.inner.config.max_payload)?;
        let now = self.now();
        let message = Message::of(MessageId::new(self.inner.ids.next_id(now)), now, publish);
        let prepared = Prepared::new(scope.tenant(), endpoint, &*self.inner.vault, now).await?;
        let request = prepared.request(&message, now, &self.inner.config.source).await?;
        let begun = self.inner.clock.monotonic();
        let outcome = sender.send(request.clone()).await;
        let latency = self.inner.clock.monotonic().since(begun);
        let verdict = judge(&outcome, self.now());
        Ok(Trial { request, outcome, verdict, latency })
    }

    /// The payload of an event type made up from its schema, the same for the same seed; its sample where it has no schema.
    ///
    /// # Errors
    /// When there is no such event type, or nothing can be made of its schema.
    pub fn simulate(&self, event_type: &str, seed: u64) -> Result<Value, Error> {
        let name = event_type.parse()?;
        let found = self
            .inner
            .config
            .types
            .get(&name)
            .ok_or_else(|| Error::NoEventType { name: event_type.to_owned() })?;
        let made = match (&found.schema, &found.sample) {
            (Some(schema), _) => crate::tools::schema::simulate(schema, seed),
            (None, sample) => sample.clone(),
        };
        made.ok_or_else(|| {
            Error::message("its event type has neither a sample nor a schema of which one can be made")
        })
    }

    /// The signed request of a message that was published, as it would be sent to this endpoint now: for a `curl` line, say.
    ///
    /// # Errors
    /// When there is no such endpoint or message, or it cannot be signed.
    pub async fn request_for(
        &self,
        scope: &Scope,
        endpoint: EndpointId,
        message: MessageId,
    ) -> Result<Request, Error> {
        let endpoint = self.endpoint(scope, endpoint).await?;
        let message = self.message(scope, message).await?;
        let now = self.now();
        let prepared = Prepared::new(scope.tenant(), endpoint, &*self.inner.vault, now).await?;
        prepared.request(&message, now, &self.inner.config.source).await
    }
}

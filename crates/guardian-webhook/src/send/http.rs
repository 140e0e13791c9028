//! The sender over reqwest.

use std::error::Error as _;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, redirect};

use super::tls::{self, Identity};
use super::{Answer, HttpSender, Request, SendError};
use crate::egress::{EgressPolicy, Refused, Resolver, check_all};
use crate::error::Error;
use guardian_core::shorten;

/// How the sender sends. [`Config::http`](crate::Config::http) makes one with the egress policy of the webhooks.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Where it may connect to. It is asked at each attempt, and has to be the one of [`Config::egress`](crate::Config::egress), by which
    /// endpoints are taken: what that allows and this does not fails whenever it is tried.
    pub policy: EgressPolicy,
    /// For a connection, with TLS; 3 seconds by default.
    pub connect_timeout: Duration,
    /// For everything until the headers of the answer; 15 seconds by default.
    pub timeout: Duration,
    /// For the body of an answer behind its headers; 2 seconds by default. What did not come by then is left out: the status has
    /// said already what there is to say.
    pub body_timeout: Duration,
    /// Bytes of an answer's body that are read, at most; 64 KiB by default.
    pub max_body: usize,
    /// Connections to a host that are kept for later; 8 by default.
    pub idle_connections: usize,
    /// A proxy that everything goes through: `http://…`. It resolves the names, so the addresses are its to check.
    pub proxy: Option<String>,
    identity: Option<Identity>,
    roots: Vec<u8>,
}

impl fmt::Debug for HttpConfig {
    /// Without the proxy's URL, which may have a password in it, and without keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig")
            .field("policy", &self.policy)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("body_timeout", &self.body_timeout)
            .field("max_body", &self.max_body)
            .field("idle_connections", &self.idle_connections)
            .field("proxy", &self.proxy.as_ref().map(|_| "…"))
            .field("identity", &self.identity)
            .field("roots", &self.roots.len())
            .finish_non_exhaustive()
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            policy: EgressPolicy::default(),
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(2),
            max_body: 64 * 1024,
            idle_connections: 8,
            proxy: None,
            identity: None,
            roots: Vec::new(),
        }
    }
}

impl HttpConfig {
    /// With another egress policy; [`Config::http`](crate::Config::http) has that of the webhooks already.
    #[must_use]
    pub fn with_policy(mut self, policy: EgressPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// With other times: for a connection, until the headers of the answer, and for its body.
    #[must_use]
    pub fn with_timeouts(mut self, connect: Duration, headers: Duration, body: Duration) -> Self {
        (self.connect_timeout, self.timeout, self.body_timeout) = (connect, headers, body);
        self
    }

    /// With another number of connections to a host that are kept for later.
    #[must_use]
    pub fn with_idle_connections(mut self, connections: usize) -> Self {
        self.idle_connections = connections;
        self
    }

    /// With a proxy for everything but the targets that the policy allows by name.
    #[must_use]
    pub fn with_proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// With a certificate and its private key, in PEM, that are shown to endpoints which ask for one (mutual TLS).
    #[must_use]
    pub fn with_identity(mut self, certificates: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some(Identity::new(certificates.into(), key.into()));
        self
    }

    /// With certificates of authorities, in PEM, that are trusted beside those of the system.
    #[must_use]
    pub fn with_roots(mut self, certificates: impl Into<Vec<u8>>) -> Self {
        self.roots = certificates.into();
        self
    }
}

/// Sends over reqwest, with TLS 1.2 or 1.3 by rustls.
///
/// The name of a target is resolved once, by the [`Resolver`], every address is checked, and the connection is made to one of
/// these addresses: an answer of DNS that changes between check and connection changes nothing. Redirects are not followed,
/// answers are not unpacked, cookies and the environment's proxies are not known. A connection that is kept is to an address
/// that was checked.
///
/// # Declared behaviour
/// | receiver | what comes of it |
/// |---|---|
/// | does not answer, or byte by byte | `Timeout` after 15 s |
/// | body without an end, or byte by byte | the status counts; the body is cut at 64 KiB or 2 s |
/// | more than 100 headers, or more than about 400 KiB of them | `Protocol` |
/// | a redirect | its status, a failure |
///
/// # Runtime
/// It sends within a runtime of tokio that has time and I/O: `#[tokio::main]`, or a builder with `enable_all()`. Where they are
/// missing, tokio panics when something is sent.
#[derive(Clone)]
pub struct ReqwestSender {
    inner: Arc<Inner>,
}

struct Inner {
    config: HttpConfig,
    resolver: Arc<dyn Resolver>,
    strict: Client,
    /// For targets that the policy allows by name, if there are any: their addresses are not checked.
    exempt: Client,
}

impl fmt::Debug for ReqwestSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestSender")
            .field("config", &self.inner.config)
            .field("resolver", &self.inner.resolver)
            .finish_non_exhaustive()
    }
}

impl ReqwestSender {
    /// A sender that asks the system for addresses. It sends within a tokio runtime that has time and I/O (`enable_all()`).
    ///
    /// # Errors
    /// When the proxy's URL, a certificate or a key does not read, or the system has no certificates.
    pub fn new(config: HttpConfig) -> Result<Self, Error> {
        Self::with_resolver(config, SystemResolver::new())
    }

    /// A sender that asks this resolver. It sends within a tokio runtime that has time and I/O (`enable_all()`).
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with_resolver(config: HttpConfig, resolver: impl Resolver) -> Result<Self, Error> {
        let resolver: Arc<dyn Resolver> = Arc::new(resolver);
        let proxy = config.proxy.as_deref().map(proxy_of).transpose()?;
        let checked = Checked {
            resolver: Arc::clone(&resolver),
            policy: Some(proxy.as_ref().map(|(_, host)| host.clone()).unwrap_or_default()),
        };
        let open = Checked { resolver: Arc::clone(&resolver), policy: None };
        let strict = client(&config, checked, proxy.map(|(proxy, _)| proxy))?;
        let exempt = client(&config, open, None)?;
        Ok(Self { inner: Arc::new(Inner { config, resolver, strict, exempt }) })
    }
}

fn proxy_of(url: &str) -> Result<(reqwest::Proxy, String), Error> {
    let client = |why: String| Error::Client { why };
    let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_ascii_lowercase));
    let host = host.ok_or_else(|| client("the proxy's URL does not read".to_owned()))?;
    let proxy = reqwest::Proxy::all(url).map_err(|_| client("the proxy's URL does not read".to_owned()))?;
    Ok((proxy, host))
}

fn client(config: &HttpConfig, resolver: Checked, proxy: Option<reqwest::Proxy>) -> Result<Client, Error> {
    let tls = tls::config(config.identity.as_ref(), &config.roots)?;
    let builder = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(config.connect_timeout)
        .pool_max_idle_per_host(config.idle_connections)
        .pool_idle_timeout(Duration::from_secs(30))
        .tcp_nodelay(true)
        .http1_only()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::new(resolver));
    let builder = match proxy {
        Some(proxy) => builder.proxy(proxy),
        None => builder,
    };
    builder.build().map_err(|error| Error::Client { why: error.to_string() })
}

#[async_trait]
impl HttpSender for ReqwestSender {
    async fn send(&self, request: Request) -> Result<Answer, SendError> {
        let Inner { config, strict, exempt, .. } = &*self.inner;
        let target = config.policy.check_url(&request.url)?;
        let client = if target.is_exempt() { exempt } else { strict };
        let mut call = client.post(target.parsed().clone());
        for (name, value) in &request.headers {
            call = call.header(name, value);
        }
        let call = call.body(request.body.to_vec()).send();
        let (timeout, port) = (config.timeout, target.port());
        let mut response = match tokio::time::timeout(timeout, call).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(send_error(&error, timeout, port)),
            Err(_elapsed) => return Err(SendError::Timeout(timeout)),
        };
        let mut answer = Answer {
            status: response.status().as_u16(),
            headers: response
                .headers()
                .iter()
                .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
                .collect(),
            body: Vec::new(),
            truncated: false,
            address: response.remote_addr().map(|address| address.ip()),
        };
        let body = async {
            loop {
                match response.chunk().await {
                    Ok(Some(chunk)) => {
                        let room = config.max_body.saturating_sub(answer.body.len());
                        answer.body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                        if chunk.len() > room {
                            return true;
                        }
                    }
                    Ok(None) => return false,
                    // It ended in the middle.
                    Err(_) => return true,
                }
            }
        };
        answer.truncated = tokio::time::timeout(config.body_timeout, body).await.unwrap_or(true);
        Ok(answer)
    }
}

/// What of a failure is the policy's, the connection's or the receiver's.
fn send_error(error: &reqwest::Error, timeout: Duration, port: u16) -> SendError {
    let mut source = error.source();
    let mut last = error.to_string();
    while let Some(each) = source {
        if let Some(refused) = each.downcast_ref::<Refused>() {
            return SendError::Refused(refused.clone().at(port));
        }
        last = each.to_string();
        source = each.source();
    }
    // The text of the client itself has the URL in it, the innermost one what happened.
    let why = shorten(&last);
    if error.is_connect() {
        SendError::Connect(why)
    } else if error.is_timeout() {
        SendError::Timeout(timeout)
    } else {
        SendError::Protocol(why)
    }
}

/// Resolves for the client: what it gives was checked, and is all that the client can connect to.
struct Checked {
    resolver: Arc<dyn Resolver>,
    /// The proxy's name, whose addresses are not checked; empty for none. Without a policy nothing is checked.
    policy: Option<String>,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().trim_end_matches('.').to_ascii_lowercase();
        let resolver = Arc::clone(&self.resolver);
        let checks = self.policy.as_ref().is_some_and(|proxy| *proxy != host);
        Box::pin(async move {
            let found = resolver
                .resolve(&host)
                .await
                .map_err(|why| Refused::NoAddress { host: shorten(&host), why: shorten(&why) })?;
            if checks {
                check_all(&host, None, &found)?;
            }
            // The client puts the URL's port in place of 0.
            let addresses: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// Asks the system, within 3 seconds.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct SystemResolver;

impl SystemResolver {
    /// A resolver; it has to be used within a runtime of tokio that has time and I/O.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        const LIMIT: Duration = Duration::from_secs(3);
        match tokio::time::timeout(LIMIT, tokio::net::lookup_host((host, 0))).await {
            Ok(Ok(found)) => {
                let mut found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
                found.sort();
                found.dedup();
                Ok(found)
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err("no answer within 3 s".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_password_is_not_shown() {
        let config = HttpConfig::default().with_proxy("http://ann:hush-hush@proxy.example.com:3128");
        let shown = format!("{config:?}");
        assert!(shown.contains("proxy") && !shown.contains("hush-hush") && !shown.contains("ann"), "{shown}");
    }
}

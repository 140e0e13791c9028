//! Counters in Redis, shared by several processes.

use std::fmt;
use std::sync::Arc;

use guardian_core::{Clock, MonoTime, StoreError, StoreErrorKind};
use redis::{Client, Cmd, IntoConnectionInfo};
use tokio::runtime::Handle;

use super::{Call, Release, Store, micros};
use crate::{Decision, PolicyName};

mod config;
mod key;
mod link;
mod script;

pub use config::RedisConfig;

use link::Link;
use script::{Arguments, Scripts};

/// Counters in Redis (5.0 or later, or a server that speaks the same), shared by several processes.
///
/// A call with up to eight limits is one `EVALSHA`: one round trip, decided and charged atomically by the server,
/// by the server's clock, with the same exact arithmetic as [`MemoryStore`](crate::MemoryStore), in whole
/// microseconds. Keys vanish by themselves when they are as good as new.
///
/// # When Redis is away
/// A call fails within [`response_timeout`](RedisConfig::response_timeout), or at once when it is known that there
/// is no connection, and the policies' [`OnStoreError`](crate::OnStoreError) decides. The store starts no task and
/// waits for nothing behind a caller's back: the first call after the [pause](RedisConfig::reconnect_backoff) makes
/// a new connection, waiting at most [`connect_timeout`](RedisConfig::connect_timeout); calls meanwhile fail at
/// once. A call that gets no answer in time gives its connection up. Calls are never repeated, since the first try
/// may have been charged; dropping a call's future leaves a charge that is whole or absent.
///
/// # Keys
/// `{prefix}{tenant}:policy:subject`, with the tenant in braces: `gr:{acme}:per-org:w` (the whole realm),
/// `gr:{acme}:per-key:i:42`, `gr:{acme}:per-endpoint:t:POST /deals`. The braces are a Redis Cluster hash tag, so all
/// counters of a tenant lie in one slot. In the shared realm the subject is the tag, `gr:-:per-address:{t:::1}`, so
/// that addresses spread over the slots; on a cluster a call in the shared realm must name one subject. `%`, `{` and
/// `}` in texts are escaped. This store connects to one server; a cluster needs a proxy in front.
///
/// # Time
/// The server's clock decides, so processes whose clocks differ agree. A clock that is set back by *t* makes
/// waiting longer by up to *t*, forward shorter. An event counts at the microsecond that the server's clock shows. A
/// refund finds what it puts back by the age that the caller's clock gives it, which the ways to the server blur:
/// sliding windows take the nearest entry.
///
/// # A change of a rule
/// Each state says which rule it was counted by, and the first check under a new rule converts it: a bucket keeps
/// the tokens taken, rounded up by less than a microsecond (two, where numbers exceed 2⁵²).
///
/// ```no_run
/// # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
/// use guardian_core::TenantId;
/// use guardian_ratelimit::{Limit, Limiter, Policy, RedisConfig, RedisStore};
///
/// let store = RedisStore::connect("redis://127.0.0.1/", RedisConfig::default()).await?;
/// let limiter = Limiter::new(store);
/// let per_org = limiter.define(Policy::new("per-org", "1000/min burst 200")?)?;
///
/// let acme = TenantId::new("acme")?;
/// assert!(limiter.check(&acme, &[Limit::whole(per_org)]).await?.is_allowed());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisStore {
    inner: Arc<Inner>,
}

struct Inner {
    link: Link,
    scripts: Scripts,
    /// Its prefix is escaped already.
    config: RedisConfig,
    /// For tests only: decides instead of the server's clock.
    time: Option<Arc<dyn Clock>>,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("address", &self.inner.link.address())
            .field("prefix", &self.inner.config.prefix)
            .field("connected", &self.inner.link.is_up())
            .finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Connects to a server: a URL (`redis://user:password@host:port/db`, `unix:///path`), or anything else that
    /// the `redis` crate makes connections of.
    ///
    /// # Errors
    /// When the URL does not read (`Unsupported`), or the server cannot be reached or refuses (as the calls do).
    pub async fn connect(server: impl IntoConnectionInfo, config: RedisConfig) -> Result<Self, StoreError> {
        let store = Self::lazy(server, config)?;
        store.inner.link.connection().await?;
        Ok(store)
    }

    /// The same without connecting yet: the first call does, so that a service starts while Redis is away.
    ///
    /// # Errors
    /// When the URL does not read (`Unsupported`).
    pub fn lazy(server: impl IntoConnectionInfo, config: RedisConfig) -> Result<Self, StoreError> {
        // The cause is left out: it might quote the URL with its password.
        let client = Client::open(server).map_err(|_error| {
            StoreError::new(StoreErrorKind::Unsupported, "redis")
                .with_source("the address is not a Redis URL")
        })?;
        Ok(Self::with_client(client, config))
    }

    /// The same with a client that was made elsewhere, with TLS or other settings.
    #[must_use]
    pub fn with_client(client: Client, mut config: RedisConfig) -> Self {
        config.prefix = key::escaped(&config.prefix);
        Self::of(Link::new(client, &config), config, None)
    }

    fn of(link: Link, config: RedisConfig, time: Option<Arc<dyn Clock>>) -> Self {
        let inner = Inner { link, scripts: Scripts::new(), config, time };
        Self { inner: Arc::new(inner) }
    }

    /// The same deciding by this clock's monotonic time, in whole microseconds, instead of the server's; keys live
    /// for an hour longer then. For tests.
    #[cfg(any(test, feature = "testkit"))]
    #[must_use]
    pub fn with_time_source(self, clock: Arc<dyn Clock>) -> Self {
        let config = self.inner.config.clone();
        Self::of(Link::new(self.inner.link.client(), &config), config, Some(clock))
    }

    fn keys(&self, call: &Call<'_>) -> Vec<String> {
        let key =
            |item: &super::Item<'_>| key::key(&self.inner.config.prefix, call.realm, item.name, item.subject);
        call.items.iter().map(key).collect()
    }

    /// The arguments every script about time begins with.
    fn arguments(&self) -> Arguments {
        let mut arguments = Arguments::default();
        let time = self.inner.time.as_ref();
        arguments
            .text(time.map_or_else(String::new, |clock| (clock.monotonic().as_nanos() / 1000).to_string()));
        arguments
    }

    async fn decide(&self, call: &Call<'_>, charge: bool) -> Result<Decision, StoreError> {
        let mut arguments = self.arguments();
        arguments.text(call.permit.map_or_else(String::new, |permit| permit.to_string()));
        arguments.number(u64::from(charge));
        for item in call.items {
            arguments.item(item);
        }
        let Inner { link, scripts, .. } = &*self.inner;
        let reply = scripts.check.run(link, &self.keys(call), &arguments).await?;
        Ok(Decision::from_outcomes(call.now, script::outcomes(call, reply)?))
    }
}

impl Store for RedisStore {
    /// Names need no number here.
    fn register(&self, _name: &PolicyName) -> u32 {
        0
    }

    async fn check(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        self.decide(call, true).await
    }

    /// Writes nothing, not even what a changed rule makes of a state.
    async fn peek(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        self.decide(call, false).await
    }

    async fn refund(&self, call: &Call<'_>, consumed_at: MonoTime) -> Result<(), StoreError> {
        let mut arguments = self.arguments();
        arguments.number(micros::age(call.now, consumed_at));
        for item in call.items {
            arguments.refunded(item);
        }
        let Inner { link, scripts, .. } = &*self.inner;
        scripts.refund.run(link, &self.keys(call), &arguments).await?;
        Ok(())
    }

    async fn reset(&self, call: &Call<'_>) -> Result<(), StoreError> {
        let mut command = Cmd::new();
        command.arg("UNLINK").arg(self.keys(call));
        self.inner.link.send(&command).await?;
        Ok(())
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        if release.counters.is_empty() {
            return Ok(());
        }
        let key = |counter: &super::ReleaseCounter| {
            key::key(&self.inner.config.prefix, release.realm(), &counter.name, counter.subject.as_subject())
        };
        let keys: Vec<_> = release.counters.iter().map(key).collect();
        let mut arguments = Arguments::default();
        arguments.text(release.permit.to_string());
        let Inner { link, scripts, .. } = &*self.inner;
        scripts.release.run(link, &keys, &arguments).await?;
        Ok(())
    }

    /// Tells the server in a task of the Tokio runtime that this is called on. Outside of one, and when the server
    /// is away, the permit's time ends it.
    fn release_detached(&self, release: Release) {
        if let Ok(runtime) = Handle::try_current() {
            let store = self.clone();
            runtime.spawn(async move {
                let _ = store.release(&release).await;
            });
        }
    }
}

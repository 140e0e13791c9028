//! Purses in Redis: a fast counter in front of the ledger, which can never hand out more than the ledger holds for it.

use std::fmt;
use std::time::Duration;

use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, RedisError, Script};
use serde::{Deserialize, Serialize};

use crate::store::QuotaStore;
use crate::{Decision, Error, Hold, Quotas, Reason, Usage};

/// How [`Purses`] work.
///
/// ```
/// use guardian_quota::PurseConfig;
///
/// let config = PurseConfig::default().with_chunk(5_000);
/// assert_eq!(config.chunk, 5_000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurseConfig {
    /// What keys begin with. Default: `guardian:quota:`.
    pub prefix: String,
    /// How many units a purse gets from the ledger at a time: the bound on what a loss of Redis forgets, and on what one subject
    /// may have lying idle while another is denied. Default: 1,000.
    pub chunk: u64,
    /// For how long the ledger holds them. Half of it a purse pays out; the other half is for
    /// [`settle`](Purses::settle). Default: 2 min.
    pub ttl: Duration,
    /// For how long the key of an event is remembered here. Default: 1 day.
    pub horizon: Duration,
    /// How long Redis may take to connect or to answer. Default: 1 s.
    pub timeout: Duration,
}

impl Default for PurseConfig {
    fn default() -> Self {
        Self {
            prefix: "guardian:quota:".to_owned(),
            chunk: 1_000,
            ttl: Duration::from_secs(120),
            horizon: Duration::from_secs(86_400),
            timeout: Duration::from_secs(1),
        }
    }
}

impl PurseConfig {
    /// With another beginning of keys.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// With that many units at a time, 1 to 2⁴⁰.
    #[must_use]
    pub fn with_chunk(mut self, chunk: u64) -> Self {
        self.chunk = chunk.clamp(1, 1 << 40);
        self
    }

    /// With that long to hold them.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// With that long to answer.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// Quotas with a purse in Redis for each subject and meter. A call takes one round trip to Redis; the ledger is asked once a
/// chunk.
///
/// A purse is filled by a reservation in the ledger, at every level, and pays out of it. So what all purses hand out is held in
/// the ledger before: **no more is ever spent than the limits allow**, whatever happens to Redis. What the ledger learns, it
/// learns when a purse is closed: at its time, or when it is empty, [`settle`](Self::settle) commits what was paid out and the
/// rest is free again. The price:
///
/// - If Redis loses its memory, what purses had paid out and not settled is forgotten: at most a chunk for each purse.
/// - A subject can be denied while at most a chunk lies in the purse of each other subject of the same limit.
/// - The ledger has an entry for each purse, not for each call.
///
/// The time of the ledger's clock and that of Redis must agree to within a quarter of `ttl`, and `settle` must run more
/// often than that; meters whose `late` rule is `always` count a purse that was settled too late all the same.
pub struct Purses<S> {
    quotas: Quotas<S>,
    client: Client,
    config: PurseConfig,
    connection: Mutex<Option<MultiplexedConnection>>,
    take: Script,
    fund: Script,
    close: Script,
    bury: Script,
    note: Script,
    forget: Script,
}

impl<S> fmt::Debug for Purses<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purses").field("prefix", &self.config.prefix).finish_non_exhaustive()
    }
}

/// What a purse said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Paid {
    /// Paid, and so much is left in the purse.
    Yes {
        /// Units left in the purse; the ledger may have more.
        left: u64,
        /// Whether the key was paid for before, and nothing was taken now.
        replayed: bool,
    },
    /// Denied by the ledger.
    No(Decision),
}

impl Paid {
    /// Whether the call may go on.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Yes { .. })
    }
}

/// What [`Purses::settle`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Settled {
    /// Purses whose spending the ledger has now.
    pub purses: usize,
    /// Units that they had paid out.
    pub units: u64,
    /// Purses that the ledger refused or that failed; they are tried again.
    pub left: usize,
    /// Purses that the ledger will never take: their hold ended before, or was closed in another way. The last thousand of a
    /// subject and meter are kept in Redis beside its purse, under `…:dead`, for somebody to look at.
    pub dead: usize,
}

/// A purse that was closed, as it waits to be settled.
#[derive(Debug, Serialize, Deserialize)]
struct Closed {
    tenant: TenantId,
    hold: Hold,
}

const TAKE: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local amount = tonumber(ARGV[1])
if ARGV[2] ~= '' then
  local before = redis.call('GET', KEYS[2])
  if before then
    if before == ARGV[1] then return {2, tonumber(redis.call('HGET', KEYS[1], 'left') or '0')} end
    return {3, 0}
  end
end
local purse = redis.call('HMGET', KEYS[1], 'left', 'expires')
if not purse[1] or tonumber(purse[2]) <= now or tonumber(purse[1]) < amount then return {0, 0} end
local left = redis.call('HINCRBY', KEYS[1], 'left', -amount)
redis.call('HINCRBY', KEYS[1], 'taken', amount)
if ARGV[2] ~= '' then redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[3]) end
return {1, left}
";

/// Puts a purse in the place of one that is empty or over, unless another was faster or its own time is over: a script that
/// waited long would pay out of a hold that has ended.
const FUND: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local ends = math.min(now + tonumber(ARGV[3]), tonumber(ARGV[5]))
if ends <= now then return 0 end
local purse = redis.call('HMGET', KEYS[1], 'left', 'expires', 'taken', 'document')
if purse[1] then
  if tonumber(purse[2]) > now and tonumber(purse[1]) >= tonumber(ARGV[4]) then return 0 end
  redis.call('RPUSH', KEYS[2], purse[3] .. ' ' .. purse[4])
end
redis.call('HSET', KEYS[1], 'left', ARGV[1], 'taken', 0, 'document', ARGV[2], 'expires', string.format('%.0f', ends))
return 1
";

const CLOSE: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local purse = redis.call('HMGET', KEYS[1], 'expires', 'taken', 'document')
if purse[1] and (ARGV[1] == '1' or tonumber(purse[1]) <= now) then
  redis.call('RPUSH', KEYS[2], purse[2] .. ' ' .. purse[3])
  redis.call('DEL', KEYS[1])
end
return redis.call('LRANGE', KEYS[2], ARGV[2], ARGV[2] + 99)
";

/// Takes a line off those that wait, and keeps it among the dead ones.
const BURY: &str = r"
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('LTRIM', KEYS[2], -1000, -1)
return 1
";

/// Notes that a purse is about to be filled.
const NOTE: &str = r"
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000), ARGV[1])
";

/// Forgets a purse of which nothing is left. One that was noted a short while ago stays: it may be about to be filled. After
/// that time its hold has ended, and it will not be.
const FORGET: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local noted = redis.call('ZSCORE', KEYS[1], ARGV[1])
if noted and tonumber(noted) + tonumber(ARGV[2]) <= now then redis.call('ZREM', KEYS[1], ARGV[1]) end
";

/// How many closed purses are read at a time.
const LINES: usize = 100;
/// How often the ledger is asked for a purse: the levels above a subject may each have less than the one before.
const ASKED: u32 = 5;

/// How often a call tries to fill a purse that others empty.
const TRIES: u32 = 8;

fn fault(error: RedisError) -> StoreError {
    let kind = if error.is_timeout() {
        StoreErrorKind::Timeout
    } else if error.is_io_error() || error.is_connection_dropped() || error.is_connection_refusal() {
        StoreErrorKind::Unavailable
    } else {
        StoreErrorKind::Internal
    };
    StoreError::new(kind, "redis").with_source(error)
}

impl<S: QuotaStore> Purses<S> {
    /// Purses of these quotas on a server: a URL, or anything else that the `redis` crate makes connections of. The first call
    /// connects.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(
        quotas: &Quotas<S>,
        server: impl IntoConnectionInfo,
        config: PurseConfig,
    ) -> Result<Self, StoreError> {
        // The cause is left out: it might quote the URL with its password.
        let client = Client::open(server).map_err(|_error| {
            StoreError::new(StoreErrorKind::Unsupported, "redis")
                .with_source("the address is not a Redis URL")
        })?;
        Ok(Self {
            quotas: quotas.clone(),
            client,
            config,
            connection: Mutex::new(None),
            take: Script::new(TAKE),
            fund: Script::new(FUND),
            close: Script::new(CLOSE),
            bury: Script::new(BURY),
            note: Script::new(NOTE),
            forget: Script::new(FORGET),
        })
    }

    async fn connection(&self) -> Result<MultiplexedConnection, StoreError> {
        if let Some(connection) = self.connection.lock().clone() {
            return Ok(connection);
        }
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.config.timeout))
            .set_response_timeout(Some(self.config.timeout));
        let made =
            self.client.get_multiplexed_async_connection_with_config(&settings).await.map_err(fault)?;
        *self.connection.lock() = Some(made.clone());
        Ok(made)
    }

    /// Looks an answer over; after a fault of the connection the next call makes a new one.
    fn answered<T>(&self, answer: Result<T, RedisError>) -> Result<T, StoreError> {
        answer.map_err(|error| {
            let error = fault(error);
            if error.kind() != StoreErrorKind::Internal {
                *self.connection.lock() = None;
            }
            error
        })
    }

    /// The purse, and what else belongs to it: one slot of a cluster.
    fn key(&self, scope: &Scope, usage: &Usage, kind: &str) -> String {
        format!("{}{{{}/{}/{}}}:{kind}", self.config.prefix, scope.tenant(), usage.feature, usage.subject)
    }

    fn registry(&self) -> String {
        format!("{}purses", self.config.prefix)
    }

    /// Pays out of the subject's purse, filling it from the ledger when it is empty. Under a key a repetition within the
    /// horizon changes nothing.
    ///
    /// # Errors
    /// When Redis or the store fails, the amount is above 2⁴⁰, the key was used for another amount, or as
    /// [`Quotas::reserve`].
    pub async fn spend(&self, scope: &Scope, usage: &Usage) -> Result<Paid, Error> {
        if usage.amount > 1 << 40 {
            return Err(Error::range("the amount", "at most 2^40 out of a purse"));
        }
        let key = usage.key.as_ref().map_or("", |key| key.as_str());
        let (purse, seen) = (self.key(scope, usage, "purse"), self.key(scope, usage, &format!("seen:{key}")));
        for _ in 0..TRIES {
            let mut connection = self.connection().await?;
            let (code, left): (u8, u64) = self.answered(
                self.take
                    .key(&purse)
                    .key(&seen)
                    .arg(usage.amount)
                    .arg(key)
                    .arg(self.config.horizon.as_secs().max(1))
                    .invoke_async(&mut connection)
                    .await,
            )?;
            match code {
                1 => return Ok(Paid::Yes { left, replayed: false }),
                2 => return Ok(Paid::Yes { left, replayed: true }),
                3 => return Err(Error::KeyReused { key: key.to_owned() }),
                _ => {}
            }
            if let Some(denied) = self.fill(scope, usage, &purse).await? {
                return Ok(Paid::No(denied));
            }
        }
        Err(StoreError::new(StoreErrorKind::Conflict, "redis").into())
    }

    /// Fills a purse; the decision of the ledger when it denies.
    async fn fill(&self, scope: &Scope, usage: &Usage, purse: &str) -> Result<Option<Decision>, Error> {
        let plain = |amount: u64| Usage { amount, key: None, ..usage.clone() };
        let ttl = self.config.ttl;
        let least = usage.amount.max(1);
        let mut wanted = self.config.chunk.max(least);
        let mut decision = self.quotas.reserve(scope, &plain(wanted), ttl).await?;
        for turn in 1..=ASKED {
            if !decision.is_denied() || wanted == least {
                break;
            }
            // What is left at the level that denied, which may be enough for this call; in the end what it needs.
            let left = decision.remaining.and_then(|left| u64::try_from(left).ok()).unwrap_or(0);
            wanted = if turn == ASKED { least } else { left.clamp(least, wanted - 1) };
            decision = self.quotas.reserve(scope, &plain(wanted), ttl).await?;
        }
        let Some(hold) = decision.hold.take() else { return Ok(Some(decision)) };
        let closed = Closed { tenant: scope.tenant().clone(), hold };
        let document = serde_json::to_string(&closed)
            .map_err(|error| StoreError::new(StoreErrorKind::Internal, "redis").with_source(error))?;
        let mut connection = self.connection().await?;
        // Known before it is filled, so that it is settled whatever happens in between.
        let known: Result<(), _> =
            self.note.key(self.registry()).arg(purse).invoke_async(&mut connection).await;
        self.answered(known)?;
        let half = u64::try_from(ttl.as_millis() / 2).unwrap_or(u64::MAX);
        let ends = closed.hold.expires.timestamp_millis().saturating_sub_unsigned(half);
        let funded: u8 = self.answered(
            self.fund
                .key(purse)
                .key(beside(purse, "old"))
                .arg(closed.hold.amount)
                .arg(document)
                .arg(half)
                .arg(usage.amount)
                .arg(ends)
                .invoke_async(&mut connection)
                .await,
        )?;
        if funded == 0 {
            self.quotas.release(scope, &closed.hold).await?;
        }
        Ok(None)
    }

    /// Tells the ledger what purses paid out whose time is over, and those that were replaced; `everything` closes all of them,
    /// before a shutdown. Run it every few seconds, from any process, at once from several.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn settle(&self, everything: bool) -> Result<Settled, Error> {
        let mut settled = Settled::default();
        let mut connection = self.connection().await?;
        let purses: Vec<String> = self.answered(
            redis::cmd("ZRANGE").arg(self.registry()).arg(0).arg(-1).query_async(&mut connection).await,
        )?;
        let keep = u64::try_from(self.config.ttl.as_millis()).unwrap_or(u64::MAX).saturating_mul(2);
        for purse in purses {
            let is_empty = self.settle_purse(&mut connection, &purse, everything, &mut settled).await?;
            if is_empty {
                let forgotten: Result<(), _> = self
                    .forget
                    .key(self.registry())
                    .arg(&purse)
                    .arg(keep)
                    .invoke_async(&mut connection)
                    .await;
                self.answered(forgotten)?;
            }
        }
        Ok(settled)
    }

    /// Settles one purse and those that it replaced, and says whether nothing is left of them.
    async fn settle_purse(
        &self,
        connection: &mut MultiplexedConnection,
        purse: &str,
        everything: bool,
        settled: &mut Settled,
    ) -> Result<bool, Error> {
        let old = beside(purse, "old");
        // How many lines stay and are stepped over.
        let mut stay = 0;
        loop {
            let lines: Vec<String> = self.answered(
                self.close
                    .key(purse)
                    .key(&old)
                    .arg(u8::from(everything))
                    .arg(stay)
                    .invoke_async(connection)
                    .await,
            )?;
            for line in &lines {
                let removed: Result<(), _> = match self.book(line, settled).await {
                    Booked::Yes => {
                        redis::cmd("LREM").arg(&old).arg(1).arg(line).query_async(connection).await
                    }
                    Booked::Later => {
                        settled.left += 1;
                        stay += 1;
                        continue;
                    }
                    Booked::Never => {
                        settled.dead += 1;
                        let dead = beside(purse, "dead");
                        self.bury.key(&old).key(dead).arg(line).invoke_async(connection).await
                    }
                };
                self.answered(removed)?;
            }
            if lines.len() < LINES {
                break;
            }
        }
        let open: u64 = self.answered(redis::cmd("EXISTS").arg(purse).query_async(connection).await)?;
        Ok(open == 0 && stay == 0)
    }

    /// Commits what a closed purse paid out, and says whether the ledger has it.
    async fn book(&self, line: &str, settled: &mut Settled) -> Booked {
        let Some((taken, document)) = line.split_once(' ') else { return Booked::Never };
        let (Ok(taken), Ok(closed)) = (taken.parse::<u64>(), serde_json::from_str::<Closed>(document)) else {
            return Booked::Never;
        };
        let scope = Scope::system(closed.tenant);
        let booked = if taken == 0 {
            match self.quotas.release(&scope, &closed.hold).await {
                Ok(()) => Booked::Yes,
                Err(error) => Booked::after(&error),
            }
        } else {
            match self.quotas.commit(&scope, &closed.hold, taken).await {
                Ok(decision) if decision.allowed => Booked::Yes,
                Ok(decision) if decision.reason == Reason::HoldExpired => Booked::Never,
                Ok(_) => Booked::Later,
                Err(error) => Booked::after(&error),
            }
        };
        if matches!(booked, Booked::Yes) {
            settled.purses += 1;
            settled.units += taken;
        }
        booked
    }
}

/// Whether the ledger has what a purse paid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Booked {
    Yes,
    Later,
    Never,
}

impl Booked {
    fn after(error: &Error) -> Self {
        if matches!(error, Error::HoldClosed { .. }) { Self::Never } else { Self::Later }
    }
}

/// Another key of the same purse: `old`, where those that it replaced wait, and `dead`, for those that the ledger never takes.
fn beside(purse: &str, kind: &str) -> String {
    format!("{}:{kind}", purse.strip_suffix(":purse").unwrap_or(purse))
}

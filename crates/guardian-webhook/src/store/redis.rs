//! Everything in Redis.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use guardian_core::{Cursor, Page, PageRequest, Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use redis::aio::ConnectionManager;
use redis::{Client, IntoConnectionInfo, Script};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::memory::after_cursor;
use super::{
    Allowance, Claim, Claimed, DeliveryStore, Enqueue, Enqueued, Next, QueueState, Removed, Saved, Settled,
    Settlement, WINDOW, gate_of, in_turn,
};
use crate::delivery::{Attempt, Delivery, DeliveryFilter, DeliveryState, first_id};
use crate::endpoint::{Endpoint, EndpointStatus};
use crate::health::{Health, HealthRules};
use crate::id::{DeliveryId, EndpointId, MessageId};
use crate::message::Message;
use crate::secret::{LENIENT, encode};

const BACKEND: &str = "redis";

/// Deliveries that one look at the log reads.
const CHUNK: usize = 200;

/// Everything in Redis (5.0 or later): for hosts that have no database and can live with what Redis keeps.
///
/// Every method is one or two scripts, so it happens as a whole. Due times are sorted sets, because a retry needs an order of time
/// that a stream does not have. All keys begin with one prefix in braces, so on a cluster they lie on one node.
///
/// **What survives is what Redis is set up to keep.** With `appendfsync everysec` a crash of the server loses up to a second; use
/// `appendfsync always` or a database where that is too much. There is no transaction that is shared with your own data.
#[derive(Clone)]
pub struct RedisStore {
    connection: ConnectionManager,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

macro_rules! scripts {
    ($($name:ident)+) => {
        struct Scripts {
            $($name: Script,)+
        }

        impl Scripts {
            fn new() -> Self {
                Self {
                    $($name: Script::new(concat!(
                        include_str!("redis/common.lua"),
                        include_str!(concat!("redis/", stringify!($name), ".lua"))
                    )),)+
                }
            }
        }
    };
}

scripts! { put remove enqueue ready take held settle load cancel redrive purge }

#[derive(Serialize, Deserialize)]
struct Kept {
    event_type: crate::EventTypeName,
    created: Timestamp,
    content_type: String,
    body: String,
    #[serde(default)]
    versions: BTreeMap<String, String>,
    ordering_key: Option<String>,
}

fn fault(error: redis::RedisError) -> StoreError {
    let kind = if error.is_timeout() {
        StoreErrorKind::Timeout
    } else if error.is_io_error() || error.is_connection_dropped() {
        StoreErrorKind::Unavailable
    } else {
        StoreErrorKind::Internal
    };
    StoreError::new(kind, BACKEND).with_source(error)
}

fn corrupt(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, BACKEND).with_source(error)
}

fn micros(time: Timestamp) -> i64 {
    time.timestamp_micros()
}

fn moment(text: &str) -> Result<Option<Timestamp>, StoreError> {
    if text.is_empty() {
        return Ok(None);
    }
    let micros = text.parse().map_err(|_| corrupt("a time that is none"))?;
    Timestamp::from_timestamp_micros(micros).map(Some).ok_or_else(|| corrupt("a time that is none"))
}

fn hex(id: Uuid) -> String {
    id.simple().to_string()
}

fn uuid(text: &str) -> Result<Uuid, StoreError> {
    Uuid::try_parse(text).map_err(corrupt)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| corrupt("a number that is none"))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(corrupt)
}

fn write(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(corrupt)
}

fn text(message: &Message) -> Result<String, StoreError> {
    let encoded = |(name, body): (&String, &Arc<[u8]>)| (name.clone(), encode(body));
    write(&Kept {
        event_type: message.event_type.clone(),
        created: message.created,
        content_type: message.content_type.clone(),
        body: encode(&message.body),
        versions: message.versions.iter().map(encoded).collect(),
        ordering_key: message.ordering_key.clone(),
    })
}

fn message(id: MessageId, text: &str) -> Result<Message, StoreError> {
    let kept: Kept = read(text)?;
    let decode = |text: &str| LENIENT.decode(text).map(Arc::<[u8]>::from).map_err(corrupt);
    let versions = kept.versions.iter().map(|(name, body)| Ok((name.clone(), decode(body)?)));
    Ok(Message {
        id,
        event_type: kept.event_type,
        created: kept.created,
        content_type: kept.content_type,
        body: decode(&kept.body)?,
        versions: versions.collect::<Result<_, StoreError>>()?,
        ordering_key: kept.ordering_key,
    })
}

fn delivery(fields: &[String]) -> Result<Delivery, StoreError> {
    let [message, endpoint, kind, state, reason, attempts, round, next, created, finished, lane, status, id] =
        fields
    else {
        return Err(corrupt("a delivery with other fields"));
    };
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    Ok(Delivery {
        id: DeliveryId::new(uuid(id)?),
        message: MessageId::new(uuid(message)?),
        endpoint: EndpointId::new(uuid(endpoint)?),
        event_type: kind.parse().map_err(corrupt)?,
        state: DeliveryState::of_number(number(state)?).ok_or_else(|| corrupt("an unknown state"))?,
        reason: some(reason),
        attempts: number(attempts)?,
        round_start: number(round)?,
        next_at: moment(next)?,
        created: moment(created)?.ok_or_else(|| corrupt("a delivery without a beginning"))?,
        finished: moment(finished)?,
        lane: some(lane),
        last_status: some(status).map(|status| number(&status)).transpose()?,
    })
}

impl RedisStore {
    /// Connects to a server. Stores with the same prefix are the same store.
    ///
    /// # Errors
    /// When the URL does not read (`Unsupported`), or the server cannot be reached.
    pub async fn connect(server: impl IntoConnectionInfo, prefix: &str) -> Result<Self, StoreError> {
        // The cause is left out: it might quote the URL with its password.
        let client = Client::open(server).map_err(|_error| {
            StoreError::new(StoreErrorKind::Unsupported, BACKEND)
                .with_source("the address is not a Redis URL")
        })?;
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(StoreError::new(StoreErrorKind::Unsupported, BACKEND)
                .with_source("a prefix is made of letters, digits and `-`"));
        }
        let connection = client.get_connection_manager().await.map_err(fault)?;
        Ok(Self { connection, prefix: format!("{{{prefix}}}").into(), scripts: Arc::new(Scripts::new()) })
    }

    async fn run<T: DeserializeOwned>(&self, script: &Script, argument: &Value) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        let mut call = script.prepare_invoke();
        call.key(&*self.prefix).arg(argument.to_string());
        let answer: String = call.invoke_async(&mut connection).await.map_err(fault)?;
        read(&answer)
    }

    async fn ask<T: redis::FromRedisValue>(
        &self,
        command: &str,
        parts: &[&str],
        more: &[String],
    ) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        let mut query = redis::cmd(command);
        query.arg(format!("{}|{}", self.prefix, parts.join("|")));
        for each in more {
            query.arg(each);
        }
        query.query_async(&mut connection).await.map_err(fault)
    }

    /// The deliveries of an index from one id on, in one direction, as far as the filter shows them; until there are enough.
    async fn scan(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        below: Option<Uuid>,
        newest_first: bool,
        enough: usize,
        also: impl Fn(&Delivery) -> bool + Send + Sync,
    ) -> Result<Vec<Delivery>, StoreError> {
        let tenant = scope.tenant().as_str();
        let mut found = Vec::new();
        let upper = [below, filter.until.map(first_id)].into_iter().flatten().min();
        let mut high = upper.map_or_else(|| "+".to_owned(), |id| format!("({}", hex(id)));
        let mut low = filter.since.map_or_else(|| "-".to_owned(), |time| format!("[{}", hex(first_id(time))));
        let endpoint = filter.endpoint.map(|id| hex(id.number()));
        loop {
            let mut ids: Vec<String> = if let Some(id) = filter.delivery {
                vec![hex(id.number())]
            } else if let Some(message) = filter.message {
                self.ask("SMEMBERS", &["of", tenant, &hex(message.number())], &[]).await?
            } else {
                let index: Vec<&str> = ["log", tenant].into_iter().chain(endpoint.as_deref()).collect();
                let limit = ["LIMIT".to_owned(), "0".to_owned(), CHUNK.to_string()];
                let (command, from, to) =
                    if newest_first { ("ZREVRANGEBYLEX", &high, &low) } else { ("ZRANGEBYLEX", &low, &high) };
                self.ask(command, &index, &[&[from.clone(), to.clone()][..], &limit].concat()).await?
            };
            ids.sort();
            if newest_first {
                ids.reverse();
            }
            let Some(last) = ids.last() else { return Ok(found) };
            if newest_first {
                high = format!("({last}");
            } else {
                low = format!("({last}");
            }
            let rows: Vec<Vec<String>> =
                self.run(&self.scripts.load, &json!({"t": tenant, "ids": ids})).await?;
            for row in &rows {
                let delivery = delivery(row)?;
                let in_range = below.is_none_or(|below| delivery.id.number() < below);
                if in_range && filter.shows(&delivery) && also(&delivery) {
                    found.push(delivery);
                }
            }
            if found.len() >= enough
                || ids.len() < CHUNK
                || filter.delivery.is_some()
                || filter.message.is_some()
            {
                found.truncate(enough);
                return Ok(found);
            }
        }
    }

    /// What becomes of settlements as things are now, and what the script is told that records those which are kept, if any are.
    async fn weigh(
        &self,
        batch: &[Settlement],
        rules: &HealthRules,
        now: Timestamp,
    ) -> Result<(Vec<Settled>, Option<Value>), StoreError> {
        let items: Vec<[String; 4]> = batch
            .iter()
            .map(|each| {
                let (id, endpoint) = (hex(each.delivery.number()), hex(each.endpoint.number()));
                [each.tenant.as_str().to_owned(), id, endpoint, each.fence.to_string()]
            })
            .collect();
        let held: Vec<[String; 4]> = self.run(&self.scripts.held, &json!({"items": items})).await?;
        let mut queues: BTreeMap<(TenantId, EndpointId), (Health, String, Option<Timestamp>)> =
            BTreeMap::new();
        let (mut settled, mut kept) = (Vec::with_capacity(batch.len()), Vec::new());
        for (each, [is_held, health, version, gate]) in batch.iter().zip(&held) {
            if is_held != "1" {
                settled.push(Settled { kept: false, change: None });
                continue;
            }
            let key = (each.tenant.clone(), each.endpoint);
            if !queues.contains_key(&key) {
                queues.insert(key.clone(), (read(health)?, version.clone(), moment(gate)?));
            }
            let Some((health, _, gate)) = queues.get_mut(&key) else { continue };
            let change = each.health.and_then(|success| health.record(success, now, rules));
            *gate = gate_of(health, *gate, each.pause, now);
            settled.push(Settled { kept: true, change });
            let (at, state, reason) = match &each.next {
                Next::At(at) => (micros(*at), DeliveryState::Queued, ""),
                Next::Ended(state, reason) => (-1, *state, reason.as_deref().unwrap_or_default()),
            };
            let attempt = each.attempt.as_ref();
            kept.push(json!({
                "t": each.tenant.as_str(), "id": hex(each.delivery.number()), "e": hex(each.endpoint.number()),
                "fence": each.fence.to_string(), "attempt": attempt.map(write).transpose()?.unwrap_or_default(),
                "number": attempt.map_or(0, |attempt| attempt.number),
                "status": attempt.and_then(|attempt| attempt.status).map_or_else(String::new, |status| status.to_string()),
                "at": at, "state": state.number().to_string(), "reason": reason,
            }));
        }
        if kept.is_empty() {
            return Ok((settled, None));
        }
        let queues = queues
            .iter()
            .map(|((tenant, endpoint), (health, version, gate))| {
                let gate = gate.map_or_else(String::new, |gate| micros(gate).to_string());
                Ok(json!({"t": tenant.as_str(), "e": hex(endpoint.number()), "health": write(health)?, "version": version, "gate": gate}))
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok((settled, Some(json!({"items": kept, "queues": queues, "now": micros(now)}))))
    }

    /// Records what was weighed; `false` if things are not as they were.
    async fn record(&self, argument: &Value) -> Result<bool, StoreError> {
        self.run(&self.scripts.settle, argument).await
    }
}

#[async_trait]
impl DeliveryStore for RedisStore {
    async fn put_endpoint(
        &self,
        scope: &Scope,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Result<Saved, StoreError> {
        let argument = json!({
            "t": scope.tenant().as_str(), "id": hex(endpoint.id.number()), "rev": endpoint.revision, "doc": write(endpoint)?,
            "pa": u8::from(endpoint.status != EndpointStatus::Enabled), "co": endpoint.settings.concurrency,
            "ra": endpoint.settings.rate.unwrap_or(0), "now": micros(now), "healthy": write(&Health::default())?,
        });
        let answer: String = self.run(&self.scripts.put, &argument).await?;
        Ok(if answer == "done" { Saved::Done } else { Saved::Conflict })
    }

    async fn remove_endpoint(
        &self,
        scope: &Scope,
        id: EndpointId,
        revision: Option<u64>,
        now: Timestamp,
    ) -> Result<Removed, StoreError> {
        let argument = json!({
            "t": scope.tenant().as_str(), "id": hex(id.number()), "any": revision.is_none(),
            "rev": revision.unwrap_or(0), "now": micros(now),
        });
        let answer: String = self.run(&self.scripts.remove, &argument).await?;
        Ok(match answer.as_str() {
            "done" => Removed::Done,
            "missing" => Removed::Missing,
            _ => Removed::Conflict,
        })
    }

    async fn endpoint(&self, scope: &Scope, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let found: Option<String> =
            self.ask("HGET", &["ep", scope.tenant().as_str()], &[hex(id.number())]).await?;
        found.map(|text| read(&text)).transpose()
    }

    async fn endpoints(&self, scope: &Scope, request: &PageRequest) -> Result<Page<Endpoint>, StoreError> {
        let tenant = scope.tenant().as_str();
        let from =
            after_cursor(request, BACKEND)?.map_or_else(|| "-".to_owned(), |id| format!("({}", hex(id)));
        let limit = request.size() + 1;
        let range = [from, "+".to_owned(), "LIMIT".to_owned(), "0".to_owned(), limit.to_string()];
        let ids: Vec<String> = self.ask("ZRANGEBYLEX", &["epi", tenant], &range).await?;
        if ids.is_empty() {
            return Ok(Page::new(Vec::new(), None));
        }
        let texts: Vec<Option<String>> = self.ask("HMGET", &["ep", tenant], &ids).await?;
        let items = texts.iter().flatten().map(|text| read(text)).collect::<Result<Vec<Endpoint>, _>>()?;
        Ok(page_of(items, request, |each| each.id.number()))
    }

    async fn endpoints_revision(&self, scope: &Scope) -> Result<i64, StoreError> {
        let found: Option<i64> = self.ask("GET", &["rev", scope.tenant().as_str()], &[]).await?;
        Ok(found.unwrap_or(0))
    }

    async fn queue(&self, scope: &Scope, id: EndpointId) -> Result<Option<QueueState>, StoreError> {
        let (tenant, id) = (scope.tenant().as_str(), hex(id.number()));
        let fields = ["he".to_owned(), "op".to_owned()];
        let found: Vec<Option<String>> = self.ask("HMGET", &["q", tenant, &id], &fields).await?;
        let [Some(health), Some(open)] = found.as_slice() else { return Ok(None) };
        let first = ["0".to_owned(), "0".to_owned(), "WITHSCORES".to_owned()];
        let due: Vec<String> = self.ask("ZRANGE", &["due", tenant, &id], &first).await?;
        let next_at = match due.get(1) {
            Some(score) => moment(&number::<f64>(score).map(|score| format!("{score:.0}"))?)?,
            None => None,
        };
        Ok(Some(QueueState { health: read(health)?, open: number(open)?, next_at }))
    }

    async fn enqueue(&self, scope: &Scope, batch: &[Enqueue]) -> Result<Vec<Enqueued>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let items = batch
            .iter()
            .map(|each| {
                let fan: Vec<[String; 3]> = each
                    .fanout
                    .iter()
                    .map(|(id, endpoint, lane)| [hex(id.number()), hex(endpoint.number()), lane.clone().unwrap_or_default()])
                    .collect();
                let (key, until, digest) = match &each.idempotency {
                    Some((key, until)) => (key.as_str(), micros(*until), encode(each.message.digest())),
                    None => ("", 0, String::new()),
                };
                Ok(json!({
                    "id": hex(each.message.id.number()), "msg": text(&each.message)?, "created": micros(each.message.created),
                    "ty": each.message.event_type.as_str(), "key": key, "until": until, "digest": digest, "fan": fan,
                }))
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        let argument = json!({"t": scope.tenant().as_str(), "items": items});
        let answers: Vec<String> = self.run(&self.scripts.enqueue, &argument).await?;
        let answer = |id: &String| {
            let of = |id: &str| uuid(id).map(MessageId::new);
            Ok(match id.strip_prefix('!') {
                Some(id) => Enqueued::Taken(of(id)?),
                None if id.is_empty() => Enqueued::New,
                None => Enqueued::Duplicate(of(id)?),
            })
        };
        answers.iter().map(answer).collect()
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        let argument = json!({"now": micros(claim.now), "window": WINDOW});
        let found: Value = self.run(&self.scripts.ready, &argument).await?;
        // An empty table is an empty object to the script.
        let Value::Array(_) = found else { return Ok(Vec::new()) };
        let ready: Vec<[String; 7]> = serde_json::from_value(found).map_err(corrupt)?;
        let ready = ready
            .into_iter()
            .map(|queue| Ok((TenantId::new(&queue[0]).map_err(corrupt)?, queue)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        let share = claim.limit.div_ceil(u32::try_from(ready.len()).unwrap_or(1).max(1));
        let mut queues = Vec::with_capacity(ready.len());
        for (_, [tenant, endpoint, concurrency, rate, health, version, inflight]) in
            in_turn(ready, |(tenant, _)| tenant)
        {
            let (health, concurrency): (Health, u32) = (read(&health)?, number(&concurrency)?);
            let rate = Some(number::<u32>(&rate)?).filter(|rate| *rate > 0);
            let allowance = Allowance::of(&health, concurrency, rate, number(&inflight)?, claim.now);
            queues.push(json!([tenant, endpoint, version, allowance.most.min(share), allowance.cap]));
        }
        let argument = json!({"now": micros(claim.now), "until": micros(claim.until), "limit": claim.limit, "queues": queues});
        let taken: Vec<[String; 9]> = self.run(&self.scripts.take, &argument).await?;
        let mut messages: HashMap<String, Arc<Message>> = HashMap::new();
        let mut claimed = Vec::with_capacity(taken.len());
        for [tenant, id, endpoint, of, fence, attempts, round, revision, text] in taken {
            let known = match messages.get(&of) {
                Some(known) => Arc::clone(known),
                None => {
                    let read = Arc::new(message(MessageId::new(uuid(&of)?), &text)?);
                    messages.insert(of, Arc::clone(&read));
                    read
                }
            };
            claimed.push(Claimed {
                tenant: TenantId::new(tenant).map_err(corrupt)?,
                delivery: DeliveryId::new(uuid(&id)?),
                endpoint: EndpointId::new(uuid(&endpoint)?),
                revision: number(&revision)?,
                fence: number(&fence)?,
                attempts: number(&attempts)?,
                round_start: number(&round)?,
                message: known,
            });
        }
        Ok(claimed)
    }

    async fn settle(
        &self,
        batch: &[Settlement],
        rules: &HealthRules,
        now: Timestamp,
    ) -> Result<Vec<Settled>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        // Another worker may have settled for the same endpoint between the two scripts.
        for _ in 0..50 {
            let (settled, argument) = self.weigh(batch, rules, now).await?;
            let done = match &argument {
                Some(argument) => self.record(argument).await?,
                None => true,
            };
            if done {
                return Ok(settled);
            }
        }
        Err(StoreError::new(StoreErrorKind::Conflict, BACKEND))
    }

    async fn endpoints_of(
        &self,
        wanted: &[(TenantId, EndpointId)],
    ) -> Result<Vec<(TenantId, Endpoint)>, StoreError> {
        let mut found = Vec::with_capacity(wanted.len());
        for (tenant, id) in wanted {
            let endpoint = self.endpoint(&Scope::system(tenant.clone()), *id).await?;
            found.extend(endpoint.map(|endpoint| (tenant.clone(), endpoint)));
        }
        Ok(found)
    }

    async fn message(&self, scope: &Scope, id: MessageId) -> Result<Option<Message>, StoreError> {
        let found: Option<String> =
            self.ask("HGET", &["msg", scope.tenant().as_str()], &[hex(id.number())]).await?;
        found.map(|text| message(id, &text)).transpose()
    }

    async fn holding(
        &self,
        scope: &Scope,
        deliveries: &[Delivery],
        text: &str,
    ) -> Result<BTreeSet<DeliveryId>, StoreError> {
        let mut holding = BTreeSet::new();
        // A message to many endpoints is read once.
        let mut messages = BTreeMap::new();
        for delivery in deliveries {
            let is_in_message = match messages.get(&delivery.message) {
                Some(known) => *known,
                None => {
                    let message = self.message(scope, delivery.message).await?;
                    let holds = message.is_some_and(|message| message.holds(text));
                    messages.insert(delivery.message, holds);
                    holds
                }
            };
            if is_in_message
                || self.attempts(scope, delivery.id).await?.iter().any(|attempt| attempt.holds(text))
            {
                holding.insert(delivery.id);
            }
        }
        Ok(holding)
    }

    async fn deliveries(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        request: &PageRequest,
    ) -> Result<Page<Delivery>, StoreError> {
        let below = after_cursor(request, BACKEND)?;
        let enough = usize::try_from(request.size()).unwrap_or(usize::MAX).saturating_add(1);
        let items = self.scan(scope, filter, below, true, enough, |_| true).await?;
        Ok(page_of(items, request, |each| each.id.number()))
    }

    async fn attempts(&self, scope: &Scope, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        let all = ["0".to_owned(), "-1".to_owned()];
        let found: Vec<String> =
            self.ask("LRANGE", &["a", scope.tenant().as_str(), &hex(id.number())], &all).await?;
        found.iter().map(|text| read(text)).collect()
    }

    async fn cancel(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let enough = usize::try_from(limit).unwrap_or(usize::MAX);
        let open = self.scan(scope, filter, None, false, enough, |each| !each.state.is_final()).await?;
        let ids: Vec<String> = open.iter().map(|each| hex(each.id.number())).collect();
        self.run(&self.scripts.cancel, &json!({"t": scope.tenant().as_str(), "ids": ids, "now": micros(now)}))
            .await
    }

    async fn redrive(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let enough = usize::try_from(limit).unwrap_or(usize::MAX);
        let ended = |each: &Delivery| each.state.is_final() && each.finished.is_none_or(|ended| ended <= now);
        let ended = self.scan(scope, filter, None, false, enough, ended).await?;
        let ids: Vec<String> = ended.iter().map(|each| hex(each.id.number())).collect();
        self.run(
            &self.scripts.redrive,
            &json!({"t": scope.tenant().as_str(), "ids": ids, "now": micros(now)}),
        )
        .await
    }

    async fn purge(&self, before: Timestamp, _: Timestamp, limit: u32) -> Result<u64, StoreError> {
        // Idempotency keys end by themselves.
        self.run(&self.scripts.purge, &json!({"before": hex(first_id(before)), "limit": limit})).await
    }
}

/// Items of a page that was asked for with one more than it has.
fn page_of<T>(mut items: Vec<T>, request: &PageRequest, cursor: impl Fn(&T) -> Uuid) -> Page<T> {
    let size = usize::try_from(request.size()).unwrap_or(usize::MAX);
    let more = items.len() > size;
    items.truncate(size);
    let next = items.last().filter(|_| more).map(|item| Cursor::from_bytes(cursor(item).as_bytes()));
    Page::new(items, next)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use guardian_core::{Clock as _, IdSource as _, ManualClock, SystemClock, SystemIds};

    use super::*;
    use crate::endpoint::{DisableReason, EndpointSettings};
    use crate::message::Publish;
    use crate::time::after;

    struct World {
        store: RedisStore,
        scope: Scope,
        clock: ManualClock,
        ids: SystemIds,
    }

    impl World {
        async fn new() -> Self {
            let url = std::env::var_os("GUARDIAN_TEST_REDIS_URL")
                .expect("GUARDIAN_TEST_REDIS_URL names the Redis of the tests");
            let prefix = SystemIds::new().next_id(SystemClock::new().now()).to_string();
            let store = RedisStore::connect(url.to_string_lossy().into_owned(), &prefix).await.unwrap();
            let scope = Scope::system(TenantId::new("acme").unwrap());
            Self { store, scope, clock: ManualClock::new(), ids: SystemIds::new() }
        }

        async fn endpoint(&self, settings: EndpointSettings, status: EndpointStatus) -> Endpoint {
            let now = self.clock.now();
            let id = EndpointId::new(self.ids.next_id(now));
            let endpoint = Endpoint { id, settings, keys: Vec::new(), status, created: now, revision: 1 };
            self.store.put_endpoint(&self.scope, &endpoint, now).await.unwrap();
            endpoint
        }

        async fn queue(&self, to: &Endpoint, count: usize) {
            let now = self.clock.now();
            let batch: Vec<Enqueue> = (0..count)
                .map(|_| {
                    let publish = Publish::json("deal.won", &json!({"n": 1})).unwrap();
                    let message = Message::of(MessageId::new(self.ids.next_id(now)), now, publish);
                    let fanout = vec![(DeliveryId::new(self.ids.next_id(now)), to.id, None)];
                    Enqueue { message, fanout, idempotency: None }
                })
                .collect();
            self.store.enqueue(&self.scope, &batch).await.unwrap();
        }

        async fn claim(&self) -> Vec<Claimed> {
            let now = self.clock.now();
            let claim = Claim { now, until: after(now, Duration::from_secs(60)), limit: 10 };
            self.store.claim(&claim).await.unwrap()
        }

        fn success(&self, claimed: &Claimed) -> Settlement {
            Settlement {
                tenant: claimed.tenant.clone(),
                delivery: claimed.delivery,
                endpoint: claimed.endpoint,
                fence: claimed.fence,
                attempt: None,
                next: Next::Ended(DeliveryState::Succeeded, None),
                health: Some(true),
                pause: None,
            }
        }
    }

    fn settings() -> EndpointSettings {
        EndpointSettings::new("https://example.com/hooks")
    }

    #[tokio::test]
    async fn a_claim_between_the_scripts_of_a_settlement_keeps_its_gate() {
        let world = World::new().await;
        let endpoint = world.endpoint(settings().with_rate(Some(1)), EndpointStatus::Enabled).await;
        world.queue(&endpoint, 3).await;
        let first = world.claim().await;
        assert_eq!(first.len(), 1);
        world.clock.advance(Duration::from_secs(1));
        let rules = HealthRules::default();
        let batch = [world.success(&first[0])];
        let (settled, argument) = world.store.weigh(&batch, &rules, world.clock.now()).await.unwrap();
        assert!(settled[0].kept);
        assert_eq!(world.claim().await.len(), 1, "the second is due");
        assert!(world.store.record(&argument.unwrap()).await.unwrap());
        assert!(world.claim().await.is_empty(), "two came in a second at a rate of one");
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(world.claim().await.len(), 1);
    }

    #[tokio::test]
    async fn what_is_old_and_open_does_not_hide_what_is_forgotten() {
        let world = World::new().await;
        let since = world.clock.now();
        let paused = EndpointStatus::Disabled { since, reason: DisableReason::Gone };
        let ill = world.endpoint(settings(), paused).await;
        world.queue(&ill, 1001).await;
        world.clock.advance(Duration::from_secs(1));
        let well = world.endpoint(settings(), EndpointStatus::Enabled).await;
        world.queue(&well, 1).await;
        let claimed = world.claim().await;
        let batch = [world.success(&claimed[0])];
        world.store.settle(&batch, &HealthRules::default(), world.clock.now()).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(world.store.purge(world.clock.now(), world.clock.now(), 10).await.unwrap(), 1);
        assert_eq!(world.store.purge(world.clock.now(), world.clock.now(), 10).await.unwrap(), 0);
    }
}

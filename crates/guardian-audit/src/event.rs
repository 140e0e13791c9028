use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use guardian_core::{Scope, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::change::Change;
use crate::error::InvalidEvent;
use crate::sealed::Sealed;

/// What a host reports: who did what, on what, from where and when.
///
/// Only the action is needed. The actor comes from the scope that records the event when
/// the event names none; the time is that of the recording when none is given.
///
/// ```
/// use guardian_audit::{AuditEvent, EventActor, Outcome, Target};
///
/// let event = AuditEvent::new("deal.updated")
///     .with_actor(EventActor::user("u_17").with_name("Ann Bauer"))
///     .with_target(Target::new("deal", "d_42").with_name("Acme renewal"))
///     .with_message("Stage changed from open to won")
///     .with_metadata("pipeline", "enterprise");
/// assert_eq!(event.category(), "deal");
/// assert_eq!(event.outcome, Outcome::Success);
/// event.check()?;
/// # Ok::<(), guardian_audit::InvalidEvent>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditEvent {
    /// Unique; an event whose id the log holds already is not recorded again. Given by the log when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// When it happened, by the host's clock; the time of recording when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred: Option<Timestamp>,
    /// What happened, `noun.past_tense`: `deal.updated`, `user.login`.
    pub action: String,
    /// The class of the action; the part of the action before its first full stop when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How it ended.
    #[serde(default)]
    pub outcome: Outcome,
    /// Who did it; the actor of the scope when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<EventActor>,
    /// What it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "Origin::is_empty")]
    pub origin: Origin,
    /// What it changed, field by field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// One sentence for people; searched as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Anything else; texts in it are searched as text, values by `meta.KEY:`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

impl AuditEvent {
    /// An event that succeeded and says nothing but what happened.
    #[must_use]
    pub fn new(action: impl Into<String>) -> Self {
        Self {
            id: None,
            occurred: None,
            action: action.into(),
            category: None,
            outcome: Outcome::Success,
            actor: None,
            target: None,
            origin: Origin::default(),
            changes: Vec::new(),
            message: None,
            metadata: Map::new(),
        }
    }

    /// The same event with an id of the host's: recording it twice stores it once.
    #[must_use]
    pub fn with_id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// The same event at this time.
    #[must_use]
    pub fn with_occurred(mut self, at: Timestamp) -> Self {
        self.occurred = Some(at);
        self
    }

    /// The same event in this category.
    #[must_use]
    pub fn with_category(mut self, category: impl Into<String>) -> Self {
        self.category = Some(category.into());
        self
    }

    /// The same event with this outcome.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// The same event, done by this actor.
    #[must_use]
    pub fn with_actor(mut self, actor: EventActor) -> Self {
        self.actor = Some(actor);
        self
    }

    /// The same event, done to this target.
    #[must_use]
    pub fn with_target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// The same event, from here.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// The same event with the difference of two states of its target, see [`changes_between`](crate::changes_between).
    #[must_use]
    pub fn with_changes(mut self, changes: Vec<Change>) -> Self {
        self.changes = changes;
        self
    }

    /// The same event with this sentence.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// The same event with one more entry of metadata.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// The class of the action: the given one, or the part of the action before its first full stop.
    #[must_use]
    pub fn category(&self) -> &str {
        match &self.category {
            Some(category) => category,
            None => self.action.split('.').next().unwrap_or_default(),
        }
    }

    /// Whether the log will take the event.
    ///
    /// The action is 1 to 128 characters of `a-z A-Z 0-9 . _ : -`; short fields have at most 1,024 bytes, the message
    /// 16,384; metadata and changes nest at most [`MAX_DEPTH`](crate::canonical::MAX_DEPTH) deep; the whole has at most
    /// [`MAX_BODY`](crate::canonical::MAX_BODY) bytes when encoded, which is checked when it is recorded.
    ///
    /// # Errors
    /// The first field that does not do.
    pub fn check(&self) -> Result<(), InvalidEvent> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b':' | b'-');
        if self.action.is_empty() || self.action.len() > 128 || !self.action.bytes().all(plain) {
            return Err(InvalidEvent::new(
                "action",
                &self.action,
                "an action has 1 to 128 characters of `a-z A-Z 0-9 . _ : -`",
            ));
        }
        if let Some(country) = &self.origin.country
            && (country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()))
        {
            return Err(InvalidEvent::new(
                "country",
                country,
                "a country has two capital letters (ISO 3166-1)",
            ));
        }
        for (field, text, most) in self.texts() {
            if text.len() > most {
                return Err(InvalidEvent::new(
                    field,
                    text,
                    format!("it has {} bytes, the most is {most}", text.len()),
                ));
            }
        }
        Ok(())
    }

    /// The texts with a limit, each with its name and the limit.
    fn texts(&self) -> impl Iterator<Item = (&'static str, &str, usize)> {
        const SHORT: usize = 1_024;
        const LONG: usize = 16_384;
        let actor = self.actor.iter().flat_map(|actor| {
            [
                ("actor.kind", Some(&actor.kind)),
                ("actor.id", Some(&actor.id)),
                ("actor.name", actor.name.as_ref()),
                ("actor.email", actor.email.as_ref()),
                ("actor.impersonator", actor.impersonator.as_ref()),
                ("actor.api_key", actor.api_key.as_ref()),
                ("actor.session", actor.session.as_ref()),
            ]
        });
        let target = self.target.iter().flat_map(|target| {
            [
                ("target.kind", Some(&target.kind)),
                ("target.id", Some(&target.id)),
                ("target.name", target.name.as_ref()),
            ]
        });
        let origin = [
            ("category", self.category.as_ref()),
            ("user_agent", self.origin.user_agent.as_ref()),
            ("request", self.origin.request.as_ref()),
            ("source", self.origin.source.as_ref()),
        ];
        let short = actor.chain(target).chain(origin);
        let short = short.filter_map(|(name, text)| Some((name, text?.as_str(), SHORT)));
        short.chain(self.message.iter().map(|message| ("message", message.as_str(), LONG)))
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventActor {
    /// `user`, `api_key`, `service`, `system`, or a kind of the host's.
    pub kind: String,
    /// The actor's id, unique among actors of its kind.
    pub id: String,
    /// The name that people know the actor by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The id of who acted in this actor's name: support staff that signed in as a customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impersonator: Option<String>,
    /// The public id of the API key that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// The session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

impl EventActor {
    /// An actor of any kind.
    #[must_use]
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            id: id.into(),
            name: None,
            email: None,
            impersonator: None,
            api_key: None,
            session: None,
        }
    }

    /// A person.
    #[must_use]
    pub fn user(id: impl Into<String>) -> Self {
        Self::new("user", id)
    }

    /// The actor of a scope.
    #[must_use]
    pub fn of(scope: &Scope) -> Self {
        Self::new(scope.actor().kind().to_string(), scope.actor().id().as_str())
    }

    /// The same actor with this name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same actor with this address.
    #[must_use]
    pub fn with_email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// The same actor, in whose name somebody else acted.
    #[must_use]
    pub fn with_impersonator(mut self, id: impl Into<String>) -> Self {
        self.impersonator = Some(id.into());
        self
    }

    /// The same actor, using this API key.
    #[must_use]
    pub fn with_api_key(mut self, id: impl Into<String>) -> Self {
        self.api_key = Some(id.into());
        self
    }

    /// The same actor in this session.
    #[must_use]
    pub fn with_session(mut self, id: impl Into<String>) -> Self {
        self.session = Some(id.into());
        self
    }
}

/// What something was done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Target {
    /// The type: `deal`, `contact`.
    pub kind: String,
    /// The id, unique among targets of its type.
    pub id: String,
    /// The name that people know it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Target {
    /// A target without a name.
    #[must_use]
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self { kind: kind.into(), id: id.into(), name: None }
    }

    /// The same target with this name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// Where it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Origin {
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The country, two capital letters (ISO 3166-1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The `User-Agent` field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The id of the request, for following it through logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The door: `web`, `api`, `mobile`, `import`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Origin {
    /// An origin that is known by its address.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        Self { address: Some(address), ..Self::default() }
    }

    /// The same origin in this country.
    #[must_use]
    pub fn with_country(mut self, country: impl Into<String>) -> Self {
        self.country = Some(country.into());
        self
    }

    /// The same origin with this user agent.
    #[must_use]
    pub fn with_user_agent(mut self, agent: impl Into<String>) -> Self {
        self.user_agent = Some(agent.into());
        self
    }

    /// The same origin with this request id.
    #[must_use]
    pub fn with_request(mut self, id: impl Into<String>) -> Self {
        self.request = Some(id.into());
        self
    }

    /// The same origin through this door.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How an action ended; as text `success`, `failure` and `denied`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It was done.
    #[default]
    Success,
    /// It was tried and did not work.
    Failure,
    /// It was not allowed.
    Denied,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Denied];

    /// The outcome as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Denied => "denied",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much an event deserves attention; as text `low`, `medium`, `high` and `critical`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Risk {
    /// Score 0 to 24: the daily business.
    #[default]
    Low,
    /// Score 25 to 49: worth a look in a review.
    Medium,
    /// Score 50 to 74: somebody should know today.
    High,
    /// Score 75 to 100: somebody should know now.
    Critical,
}

impl Risk {
    /// Every level, lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The level of a score from 0 to 100; higher ones are critical.
    #[must_use]
    pub fn of_score(score: u8) -> Self {
        match score {
            0..=24 => Self::Low,
            25..=49 => Self::Medium,
            50..=74 => Self::High,
            75.. => Self::Critical,
        }
    }

    /// The level as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Risk {
    type Err = InvalidEvent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| InvalidEvent::new("risk", text, "it is `low`, `medium`, `high` or `critical`"))
    }
}

/// How risky an event was found, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Assessment {
    /// The level that the score stands for.
    pub level: Risk,
    /// 0 to 100.
    pub score: u8,
    /// The names of the rules that added to the score, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// The version of the rules.
    #[serde(default)]
    pub rules: u32,
}

impl Assessment {
    /// An assessment by rules of this version; the score is capped at 100.
    #[must_use]
    pub fn new(score: u8, reasons: Vec<String>, rules: u32) -> Self {
        let score = score.min(100);
        Self { level: Risk::of_score(score), score, reasons, rules }
    }

    /// An assessment that a host made itself: the lowest score of the level.
    #[must_use]
    pub fn of_level(level: Risk) -> Self {
        let score = match level {
            Risk::Low => 0,
            Risk::Medium => 25,
            Risk::High => 50,
            Risk::Critical => 75,
        };
        Self { level, score, reasons: Vec::new(), rules: 0 }
    }
}

/// An event as the log holds it: placed, timed, assessed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StoredEvent {
    /// Whose event it is.
    pub tenant: TenantId,
    /// Its place in the tenant's log: 0, 1, 2 … without a gap.
    pub sequence: u64,
    /// When the log took it. Never earlier than the event before it, whatever the clock does.
    pub recorded: Timestamp,
    /// How risky it is.
    pub risk: Assessment,
    /// The event. Fields that are sealed and could not be opened are absent.
    #[serde(flatten)]
    pub event: AuditEvent,
    /// What is sealed for data subjects; empty once opened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sealed: Vec<Sealed>,
}

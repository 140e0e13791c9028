use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, TimeDelta};
use guardian_core::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::change::changes_between;
use crate::error::Malformed;
use crate::event::{Assessment, AuditEvent, EventActor, Origin, Outcome, Risk, Target};
use crate::store::Draft;

/// Events of a small CRM, the same for the same seed: skewed, with every dimension, words that repeat, and times that
/// do not follow the order.
#[derive(Debug, Clone)]
pub struct Sample {
    state: u64,
    made: i64,
}

/// Queries of every kind, against which stores are compared.
pub const QUERIES: [&str; 50] = [
    "",
    "renewal",
    "acme renewal",
    "RENEWAL acme OR globex",
    "\"annual renewal\"",
    "\"renewal annual\"",
    "\"renewal of acm\"*",
    "ren*",
    "zzz*",
    "nowhere",
    "creme",
    "契約",
    "action:deal.updated",
    "action:deal.*",
    "action:deal.updated,user.login",
    "actor:u3",
    "actor:\"ann bauer\"",
    "actor:ann@acme.example",
    "email:ann@acme.example",
    "actor_kind:api_key",
    "impersonator:s1",
    "api_key:k*",
    "has:api_key",
    "-has:country",
    "session:s_1",
    "category:deal",
    "outcome:denied",
    "outcome:failure,denied risk:>=medium",
    "target:d_7",
    "target_kind:contact target_id:d_3",
    "target_name:\"acme renewal\"",
    "ip:10.0.0.0/8",
    "ip:10.1.0.0/16 -ip:10.1.2.0/24",
    "ip:2001:db8::/32",
    "ip:10.1.2.3",
    "country:DE,US",
    "agent:mozilla*",
    "request:r_5",
    "source:api",
    "risk:>=high",
    "risk:low..medium renewal",
    "changed:/stage",
    "meta.plan:enterprise",
    "meta.plan:ent*",
    "meta.seats:12",
    "created:2025-01-02..2025-01-03",
    "created:>=2025-01-04 action:user.*",
    "occurred:2025-01-02",
    "-(renewal OR country:US) risk:low",
    "sequence:10..40 -action:deal.* (source:web OR source:api)",
];

impl Sample {
    /// Events of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed, made: 0 }
    }

    /// When the first events were recorded; one goes with each hour.
    #[must_use]
    pub fn start() -> Timestamp {
        DateTime::from_timestamp_micros(1_735_689_600_000_000).unwrap_or_default()
    }

    /// The next event.
    pub fn event(&mut self) -> AuditEvent {
        self.made += 1;
        let occurred = Self::start() + TimeDelta::minutes(self.made * 13 % 7_200);
        let (company, subject) = (
            self.of(&["Acme", "Globex", "Initech", "Crème SA", "契約社"]),
            self.of(&["renewal", "annual renewal", "offer"]),
        );
        let mut event =
            AuditEvent::new(self.of(&["deal.updated", "deal.created", "user.login", "contact.viewed"]))
                .with_id(self.id())
                .with_occurred(occurred)
                .with_outcome(self.one(&[
                    Outcome::Success,
                    Outcome::Success,
                    Outcome::Failure,
                    Outcome::Denied,
                ]))
                .with_actor(self.actor())
                .with_origin(self.origin());
        if self.chance(90) {
            event = event.with_message(format!("{subject} of {company} by hand"));
        }
        if self.chance(80) {
            let kind = self.of(&["deal", "contact"]);
            let id = format!("d_{}", self.below(9));
            event = event.with_target(Target::new(kind, id).with_name(format!("{company} {subject}")));
        }
        if self.chance(30) {
            let (old, new) = (json!({ "stage": "open" }), json!({ "stage": "won", "note": subject }));
            event = event.with_changes(changes_between(&old, &new));
        }
        if self.chance(50) {
            let plan = self.of(&["enterprise", "entry", "team"]);
            event = event.with_metadata("plan", plan).with_metadata("seats", self.below(20));
        }
        event
    }

    /// The next event, ready to be stored.
    ///
    /// # Errors
    /// Never, for these events.
    pub fn draft(&mut self) -> Result<Draft, Malformed> {
        let risk =
            Assessment::of_level(self.one(&[Risk::Low, Risk::Low, Risk::Medium, Risk::High, Risk::Critical]));
        Draft::new(&self.event(), &risk, &[], &[])
    }

    /// The next events.
    ///
    /// # Errors
    /// As [`Self::draft`].
    pub fn drafts(&mut self, count: usize) -> Result<Vec<Draft>, Malformed> {
        (0..count).map(|_| self.draft()).collect()
    }

    fn actor(&mut self) -> EventActor {
        match self.below(6) {
            0 => EventActor::new("api_key", "k1").with_api_key(format!("k{}", self.below(3))),
            1 => EventActor::user("u1")
                .with_name("Ann Bauer")
                .with_email("ann@acme.example")
                .with_impersonator("s1"),
            user => EventActor::user(format!("u{user}")).with_session(format!("s_{}", self.below(4))),
        }
    }

    fn origin(&mut self) -> Origin {
        let third = u8::try_from(self.below(4)).unwrap_or_default();
        let address = match self.below(4) {
            0 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, third.into())),
            1 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, third)),
            _ => IpAddr::V4(Ipv4Addr::new(10, 1, third, 3)),
        };
        let mut origin = Origin::address(address).with_source(self.of(&["web", "api", "mobile"]));
        if self.chance(70) {
            origin = origin.with_country(self.of(&["DE", "US", "FR"]));
        }
        if self.chance(50) {
            origin = origin
                .with_user_agent("Mozilla/5.0 (X11; Linux)")
                .with_request(format!("r_{}", self.below(9)));
        }
        origin
    }

    fn id(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.next(), self.next())
    }

    /// `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn of(&mut self, texts: &[&'static str]) -> &'static str {
        self.one(texts)
    }

    /// One of the items, or the default of none.
    fn one<T: Copy + Default>(&mut self, items: &[T]) -> T {
        let at = usize::try_from(self.next() >> 1).unwrap_or_default() % items.len().max(1);
        items.get(at).copied().unwrap_or_default()
    }
}

//! The audit events of a CRM with many tenants of very different size, the same for the same seed.

use std::net::{IpAddr, Ipv4Addr};

use guardian_audit::{Assessment, AuditEvent, EventActor, Origin, Outcome, Risk, Target};
use guardian_core::{TenantId, Timestamp};
use uuid::Uuid;

/// How many tenants there are.
pub const TENANTS: usize = 200;

/// Words that one event in ten thousand has.
pub const RARE: [&str; 4] = ["zebrafish", "quokka", "narwhal", "axolotl"];

/// What the messages are about.
pub const SUBJECTS: [&str; 10] = [
    "renewal",
    "webinar",
    "contract",
    "onboarding",
    "pricing",
    "migration",
    "roadmap",
    "invoice",
    "kickoff",
    "survey",
];

/// Whom they are about.
pub const COMPANIES: [&str; 16] = [
    "Acme",
    "Globex",
    "Initech",
    "Umbrella",
    "Monarch",
    "Wonka",
    "Aperture",
    "Hooli",
    "Vandelay",
    "Stark",
    "Wayne",
    "Cyberdyne",
    "Tyrell",
    "Soylent",
    "Oscorp",
    "Massive",
];

const FORMS: [&str; 5] = ["GmbH", "Ltd", "Inc", "SA", "Group"];
const FIRST: [&str; 16] = [
    "Ann", "Mateo", "Fatima", "Priya", "Amina", "Jonas", "Chen", "Olga", "Luis", "Sara", "Tom", "Yuki",
    "Ivan", "Mia", "Noah", "Zoe",
];
const LAST: [&str; 16] = [
    "Bauer", "Abara", "Xu", "Novak", "Ivanov", "Weber", "Silva", "Kim", "Rossi", "Haddad", "Olsen", "Sato",
    "Meyer", "Dubois", "Lopez", "Brown",
];
/// What happens, how often of a hundred, to what, and in which category.
const ACTIONS: [(&str, u64, &str, &str); 12] = [
    ("contact.updated", 18, "contact", "data"),
    ("contact.viewed", 14, "contact", "access"),
    ("workflow.executed", 10, "workflow", "automation"),
    ("email.sent", 10, "email", "communication"),
    ("user.login", 9, "user", "authentication"),
    ("deal.stage_changed", 9, "deal", "data"),
    ("contact.created", 8, "contact", "data"),
    ("note.created", 7, "note", "data"),
    ("email.opened", 6, "email", "communication"),
    ("user.logout", 4, "user", "authentication"),
    ("role.granted", 2, "role", "security"),
    ("export.created", 3, "export", "data"),
];
const COUNTRIES: [&str; 10] = ["US", "DE", "FR", "GB", "IN", "BR", "JP", "CA", "MX", "NG"];
const SOURCES: [&str; 4] = ["web", "api", "mobile", "import"];
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64) Firefox/129.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/128.0",
    "guardian-cli/2.1",
];
/// The share of the first tenant is about one in eight.
const SKEW: f64 = 0.9;

/// Makes the events.
#[derive(Debug)]
pub struct Crm {
    state: u64,
    made: u64,
    tenants: Vec<TenantId>,
    /// The running sum of the tenants' shares.
    shares: Vec<f64>,
}

/// An event, whose it is, and when.
#[derive(Debug)]
pub struct CrmEvent {
    /// The tenant's rank: 0 is the largest.
    pub tenant: usize,
    /// What happened.
    pub event: AuditEvent,
    /// How risky it is.
    pub risk: Assessment,
    /// When; ascending.
    pub at: Timestamp,
}

impl Crm {
    /// Events of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut sum = 0.0;
        let shares = (1..=u32::try_from(TENANTS).unwrap_or(u32::MAX)).map(|rank| {
            sum += f64::from(rank).powf(-SKEW);
            sum
        });
        let shares = shares.collect();
        let tenants = (1..=TENANTS).filter_map(|rank| TenantId::new(format!("t{rank:03}")).ok());
        Self { state: seed, made: 0, tenants: tenants.collect(), shares }
    }

    /// The tenants, the largest first.
    #[must_use]
    pub fn tenants(&self) -> &[TenantId] {
        &self.tenants
    }

    /// The next event.
    #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
    pub fn event(&mut self) -> CrmEvent {
        let all = self.shares.last().copied().unwrap_or(1.0);
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64 * all;
        let tenant = self.shares.partition_point(|sum| *sum < share).min(TENANTS - 1);
        // A year in a million events, from 2025 on.
        self.made += 1;
        let micros = 1_735_689_600_000_000 + i64::try_from(self.made * 31_536_000).unwrap_or(i64::MAX);
        let at = chrono::DateTime::from_timestamp_micros(micros).unwrap_or_default();
        let (action, kind, category) = self.action();
        let company = format!("{} {}", self.of(&COMPANIES), self.of(&FORMS));
        let subject = self.of(&SUBJECTS);
        let person = format!("{} {}", self.of(&FIRST), self.of(&LAST));
        let mut message = match category {
            "communication" => format!("Email \"{subject} for {company}\" to {person}"),
            "authentication" => format!("{person} signed in with a password"),
            "automation" => format!("Workflow {subject} ran for {company}"),
            _ => format!("{kind} of {company} about {subject}, owner {person}"),
        };
        if self.below(10_000) < 4 {
            message = format!("{message} {}", self.of(&RARE));
        }
        let risk = match (category, self.below(100)) {
            (_, 0) => Risk::Critical,
            ("security", 1..50) | (_, 1..4) => Risk::High,
            (_, 4..20) => Risk::Medium,
            _ => Risk::Low,
        };
        let outcome = match self.below(100) {
            0..3 => Outcome::Failure,
            3 => Outcome::Denied,
            _ => Outcome::Success,
        };
        let id = Uuid::from_u64_pair(self.next(), self.next());
        let user = self.below(40 + u64::try_from(2_000 / (tenant + 1)).unwrap_or(0));
        let event = AuditEvent::new(action)
            .with_id(id)
            .with_occurred(at)
            .with_category(category)
            .with_outcome(outcome)
            .with_actor(self.actor(tenant, user))
            .with_target(Target::new(kind, format!("{kind}_{}", self.below(50_000))).with_name(person))
            .with_origin(self.origin())
            .with_message(message)
            .with_metadata("template", subject)
            .with_metadata("thread", format!("{:010x}", self.next() >> 24));
        CrmEvent { tenant, event, risk: Assessment::of_level(risk), at }
    }

    fn action(&mut self) -> (&'static str, &'static str, &'static str) {
        let mut left = self.below(100);
        for (action, share, kind, category) in ACTIONS {
            match left.checked_sub(share) {
                Some(rest) => left = rest,
                None => return (action, kind, category),
            }
        }
        ("contact.viewed", "contact", "access")
    }

    fn actor(&mut self, tenant: usize, user: u64) -> EventActor {
        if self.below(100) < 8 {
            return EventActor::new("api_key", format!("key_{tenant}_{}", user % 5));
        }
        let first = pick(&FIRST, user);
        let last = pick(&LAST, user / 16);
        let email =
            format!("{}.{}{user}@{}{tenant}.example", first.to_lowercase(), last.to_lowercase(), "crm");
        EventActor::user(format!("u{tenant}_{user}"))
            .with_name(format!("{first} {last}"))
            .with_email(email)
            .with_session(format!(
                "{:016x}",
                ((user << 32) | (self.made / 20_000)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ))
    }

    fn origin(&mut self) -> Origin {
        let bits = u32::try_from(self.next() >> 32).unwrap_or(u32::MAX);
        // Half of the addresses are of a few networks.
        let bits = if bits & 1 == 0 { 0x3d00_0000 | bits & 0x00ff_ffff } else { bits };
        Origin::address(IpAddr::V4(Ipv4Addr::from_bits(bits)))
            .with_country(self.of(&COUNTRIES))
            .with_user_agent(self.of(&AGENTS))
            .with_request(format!("{:016x}", self.next()))
            .with_source(self.of(&SOURCES))
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

    fn of(&mut self, texts: &[&'static str]) -> &'static str {
        pick(texts, self.next())
    }
}

/// One of the texts, told by a number.
fn pick(texts: &[&'static str], number: u64) -> &'static str {
    let at = usize::try_from(number).unwrap_or(0) % texts.len().max(1);
    texts.get(at).copied().unwrap_or_default()
}

//! What is done about those who knock and are not let in, and about users who are suddenly somewhere else.

use std::hash::Hash;
use std::net::IpAddr;

use chrono::TimeDelta;
use foldhash::HashMap;
use guardian_core::{Event, IdSource, Scope, TenantId, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::geography::{Coordinates, Finding, Geography, Wanted};
use crate::{AccessRequest, Country, Decision, Reason};

/// When a [`Watch`] speaks up.
///
/// ```
/// use guardian_ipaccess::WatchConfig;
///
/// let config = WatchConfig::default();
/// assert_eq!((config.per_address, config.per_tenant), (50, 1_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct WatchConfig {
    /// Denials of one address for one reason within this time are one notice.
    pub window: TimeDelta,
    /// So many denials of one address of a tenant within the window are an alarm, once a window.
    pub per_address: u64,
    /// So many denials of a tenant within the window are an alarm, once a window.
    pub per_tenant: u64,
    /// Faster than so many kilometres an hour nobody travels.
    pub fastest_kmh: f64,
    /// Journeys shorter than this are not looked at: databases place addresses that far from where they are.
    pub shortest_km: f64,
    /// The most addresses, tenants and users that are remembered, each. Past that, what has been quiet longest is forgotten.
    pub max_entries: usize,
}

impl Default for WatchConfig {
    fn default() -> Self {
        Self {
            window: TimeDelta::minutes(5),
            per_address: 50,
            per_tenant: 1_000,
            fastest_kmh: 1_000.0,
            shortest_km: 500.0,
            max_entries: 100_000,
        }
    }
}

/// Something to be told about.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// An address was denied. Further denials for the same reason within the window are counted, and told with the next notice.
    Denied {
        /// The address.
        addr: IpAddr,
        /// Why.
        reason: Reason,
        /// Whether it was let in all the same, as denials are only reported.
        dry_run: bool,
        /// How many denials were not told since the last notice.
        untold: u64,
    },
    /// An address is denied again and again.
    AddressAlarm {
        /// The address.
        addr: IpAddr,
        /// How often within the window.
        denials: u64,
    },
    /// A tenant's door is knocked at again and again.
    TenantAlarm {
        /// How often within the window.
        denials: u64,
    },
    /// A user was let in from a country where they had not been before.
    NewCountry {
        /// The user.
        user: String,
        /// The country.
        country: Country,
    },
    /// A user was let in from two places between which nobody can have travelled.
    ImpossibleTravel {
        /// The user.
        user: String,
        /// Where they were.
        from: IpAddr,
        /// Where they are.
        to: IpAddr,
        /// How far apart that is along a great circle.
        kilometres: f64,
        /// How fast they would have had to be; infinite for two places at once.
        kmh: f64,
    },
}

/// Watches decisions. It remembers a bounded number of addresses, tenants and users, in this process, and asks nobody.
///
/// ```
/// use guardian_core::TenantId;
/// use guardian_ipaccess::{AccessPolicy, AccessRequest, CompiledPolicy, Defaults, Notice, Nowhere, Watch, WatchConfig};
///
/// let compiled = CompiledPolicy::new(AccessPolicy::parse("deny 203.0.113.0/24", Defaults::open())?);
/// let (watch, acme) = (Watch::new(WatchConfig::default()), TenantId::new("acme")?);
/// let request = AccessRequest::new("203.0.113.9".parse()?, "2026-03-01T12:00:00Z".parse()?);
/// let decision = compiled.decide(&request);
/// assert!(matches!(watch.observe(&acme, &request, &decision, &Nowhere)[..], [Notice::Denied { untold: 0, .. }]));
/// // The next ones are counted.
/// assert!(watch.observe(&acme, &request, &decision, &Nowhere).is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Watch {
    config: WatchConfig,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    addresses: HashMap<(TenantId, IpAddr, Reason), Denials>,
    tenants: HashMap<TenantId, Denials>,
    users: HashMap<(TenantId, String), Whereabouts>,
}

/// Denials since the window began.
#[derive(Debug, Clone, Copy)]
struct Denials {
    since: Timestamp,
    last: Timestamp,
    count: u64,
    alarmed: bool,
}

#[derive(Debug)]
struct Whereabouts {
    countries: Vec<Country>,
    last: Option<(IpAddr, Coordinates, Timestamp)>,
    seen: Timestamp,
}

/// More countries of a user are not remembered; who has been in so many is at home everywhere.
const MAX_COUNTRIES: usize = 64;

/// Something that was seen last at some time.
trait Aging {
    fn seen(&self) -> Timestamp;
}

impl Aging for Denials {
    fn seen(&self) -> Timestamp {
        self.last
    }
}

impl Aging for Whereabouts {
    fn seen(&self) -> Timestamp {
        self.seen
    }
}

impl Watch {
    /// Having seen nothing yet.
    #[must_use]
    pub fn new(config: WatchConfig) -> Self {
        Self { config, seen: Mutex::default() }
    }

    /// Looks at a decision; what there is to tell. A user's whereabouts count only when they were let in: whoever is kept out may be
    /// anybody.
    pub fn observe(
        &self,
        tenant: &TenantId,
        request: &AccessRequest<'_>,
        decision: &Decision,
        geography: &(impl Geography + ?Sized),
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        if decision.denies() {
            self.denied(tenant, request, decision, &mut notices);
        }
        if decision.is_allowed()
            && let Some(user) = request.user
        {
            self.arrived(tenant, user, request, geography, &mut notices);
        }
        notices
    }

    fn denied(
        &self,
        tenant: &TenantId,
        request: &AccessRequest<'_>,
        decision: &Decision,
        notices: &mut Vec<Notice>,
    ) {
        let Self { config, seen } = self;
        let (addr, reason, at) = (request.addr, decision.reason(), request.at);
        let mut seen = seen.lock();
        make_room(&mut seen.addresses, config.max_entries);
        make_room(&mut seen.tenants, config.max_entries);
        let fresh = Denials { since: at, last: at, count: 0, alarmed: false };
        let of_address = seen.addresses.entry((tenant.clone(), addr, reason)).or_insert(fresh);
        let is_first = of_address.count == 0;
        let untold = of_address.count.saturating_sub(1);
        let ended = of_address.turn(at, config.window);
        if is_first || ended {
            let (dry_run, untold) = (decision.is_dry_run(), if ended { untold } else { 0 });
            notices.push(Notice::Denied { addr, reason, dry_run, untold });
        }
        if of_address.alarms(config.per_address) {
            notices.push(Notice::AddressAlarm { addr, denials: of_address.count });
        }
        let of_tenant = seen.tenants.entry(tenant.clone()).or_insert(fresh);
        of_tenant.turn(at, config.window);
        if of_tenant.alarms(config.per_tenant) {
            notices.push(Notice::TenantAlarm { denials: of_tenant.count });
        }
    }

    fn arrived(
        &self,
        tenant: &TenantId,
        user: &str,
        request: &AccessRequest<'_>,
        geography: &(impl Geography + ?Sized),
        notices: &mut Vec<Notice>,
    ) {
        let wanted = Wanted { country: true, ..Wanted::default() };
        let country = match geography.look_up(request.addr, request.at, wanted).country {
            Finding::Known(country) => Some(country),
            _ => None,
        };
        let place = geography.coordinates(request.addr);
        if country.is_none() && place.is_none() {
            return;
        }
        let mut seen = self.seen.lock();
        make_room(&mut seen.users, self.config.max_entries);
        let fresh = || Whereabouts { countries: Vec::new(), last: None, seen: request.at };
        let known = seen.users.entry((tenant.clone(), user.to_owned())).or_insert_with(fresh);
        known.seen = known.seen.max(request.at);
        if let Some(country) = country
            && !known.countries.contains(&country)
            && known.countries.len() < MAX_COUNTRIES
        {
            // The first one is where they are at home.
            if !known.countries.is_empty() {
                notices.push(Notice::NewCountry { user: user.to_owned(), country });
            }
            known.countries.push(country);
        }
        let Some(place) = place else { return };
        let last = known.last.replace((request.addr, place, request.at));
        if let Some((from, left, then)) = last {
            let kilometres = left.kilometres_to(place);
            // Requests may be told out of order; the time between them is what counts.
            let hours = request.at.signed_duration_since(then).abs().as_seconds_f64() / 3600.0;
            let kmh = kilometres / hours;
            if kilometres >= self.config.shortest_km && kmh > self.config.fastest_kmh {
                let (user, to) = (user.to_owned(), request.addr);
                notices.push(Notice::ImpossibleTravel { user, from, to, kilometres, kmh });
            }
        }
    }
}

impl Denials {
    /// Counts one more, in the next window if this one has ended; whether it has.
    fn turn(&mut self, at: Timestamp, window: TimeDelta) -> bool {
        let ended = at.signed_duration_since(self.since) >= window;
        if ended {
            *self = Self { since: at, last: at, count: 0, alarmed: false };
        }
        self.count += 1;
        self.last = self.last.max(at);
        ended
    }

    fn alarms(&mut self, threshold: u64) -> bool {
        let is_due = self.count >= threshold && !self.alarmed;
        self.alarmed |= is_due;
        is_due
    }
}

/// Forgets the quieter half of what is remembered when it is as much as may be: seldom, so that a flood of new ones costs a constant
/// time each.
fn make_room<K: Hash + Eq, V: Aging>(entries: &mut HashMap<K, V>, max: usize) {
    if entries.len() < max.max(2) {
        return;
    }
    let mut times: Vec<Timestamp> = entries.values().map(Aging::seen).collect();
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    let median = *median;
    let mut keep = times.len() / 2;
    // Of those that were seen at the same time some stay and some go.
    entries.retain(|_, entry| {
        let stays = entry.seen() > median || (entry.seen() == median && keep > 0);
        keep = keep.saturating_sub(usize::from(stays));
        stays
    });
}

impl Notice {
    /// What kind of event it is: `ip_access.denied`, `ip_access.address_alarm`, `ip_access.tenant_alarm`, `ip_access.new_country`,
    /// `ip_access.impossible_travel`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "ip_access.denied",
            Self::AddressAlarm { .. } => "ip_access.address_alarm",
            Self::TenantAlarm { .. } => "ip_access.tenant_alarm",
            Self::NewCountry { .. } => "ip_access.new_country",
            Self::ImpossibleTravel { .. } => "ip_access.impossible_travel",
        }
    }

    /// The same as an event, for an event sink.
    #[must_use]
    pub fn event(&self, scope: &Scope, at: Timestamp, ids: &(impl IdSource + ?Sized)) -> Event {
        Event::new(ids.next_id(at), at, scope, self.name()).with_data(self.data())
    }

    fn data(&self) -> Value {
        match self {
            Self::Denied { addr, reason, dry_run, untold } => {
                json!({ "address": addr, "reason": reason, "dry_run": dry_run, "untold": untold })
            }
            Self::AddressAlarm { addr, denials } => json!({ "address": addr, "denials": denials }),
            Self::TenantAlarm { denials } => json!({ "denials": denials }),
            Self::NewCountry { user, country } => json!({ "user": user, "country": country }),
            Self::ImpossibleTravel { user, from, to, kilometres, kmh } => {
                let speed = kmh.is_finite().then_some(kmh);
                json!({ "user": user, "from": from, "to": to, "kilometres": kilometres, "kmh": speed })
            }
        }
    }
}

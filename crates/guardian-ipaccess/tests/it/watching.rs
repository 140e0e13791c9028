//! Notices: once a window, and about journeys that nobody makes.

use std::net::IpAddr;

use chrono::TimeDelta;
use guardian_core::{TenantId, Timestamp};
use guardian_ipaccess::{
    AccessPolicy, AccessRequest, CompiledPolicy, Coordinates, Defaults, Finding, Geography, Located, Notice,
    Nowhere, Wanted, Watch, WatchConfig,
};

fn at(seconds: i64) -> Timestamp {
    "2026-03-01T12:00:00Z".parse::<Timestamp>().unwrap() + TimeDelta::seconds(seconds)
}

fn acme() -> TenantId {
    TenantId::new("acme").unwrap()
}

#[test]
fn a_thousand_denials_are_one_notice_a_window_and_one_alarm() {
    let compiled = CompiledPolicy::new(AccessPolicy::parse("deny 203.0.113.0/24", Defaults::open()).unwrap());
    let watch = Watch::new(WatchConfig::default());
    let mut notices = Vec::new();
    for second in 0..600 {
        let request = AccessRequest::new("203.0.113.9".parse().unwrap(), at(second));
        notices.extend(watch.observe(&acme(), &request, &compiled.decide(&request), &Nowhere));
    }
    let denied: Vec<_> = notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::Denied { untold, .. } => Some(*untold),
            _ => None,
        })
        .collect();
    // At the beginning of the first window, and of the second with those of the first that were not told.
    assert_eq!(denied, [0, 299]);
    let alarms =
        notices.iter().filter(|notice| matches!(notice, Notice::AddressAlarm { denials: 50, .. })).count();
    assert_eq!(alarms, 2);
}

#[test]
fn a_tenant_s_door_that_many_knock_at_is_an_alarm() {
    let compiled = CompiledPolicy::new(AccessPolicy::parse("default deny", Defaults::closed()).unwrap());
    let watch = Watch::new(WatchConfig::default());
    let knock = |tenant: &TenantId, number: u32| {
        let addr = IpAddr::from(number.to_be_bytes());
        let request = AccessRequest::new(addr, at(0));
        watch.observe(tenant, &request, &compiled.decide(&request), &Nowhere)
    };
    let alarms = (0..2_000)
        .flat_map(|number| knock(&acme(), number))
        .filter(|notice| matches!(notice, Notice::TenantAlarm { .. }));
    assert_eq!(alarms.count(), 1);
    // Another tenant's door is another one.
    assert!(
        !knock(&TenantId::new("other").unwrap(), 1)
            .iter()
            .any(|notice| matches!(notice, Notice::TenantAlarm { .. }))
    );
}

#[test]
fn memory_is_bounded_in_a_flood() {
    let compiled = CompiledPolicy::new(AccessPolicy::parse("default deny", Defaults::closed()).unwrap());
    let mut config = WatchConfig::default();
    config.max_entries = 100;
    let watch = Watch::new(config);
    for number in 0..100_000_u32 {
        let request = AccessRequest::new(IpAddr::from(number.to_be_bytes()), at(i64::from(number / 1_000)));
        let _ = watch.observe(&acme(), &request, &compiled.decide(&request), &Nowhere);
    }
    // What it holds shows in how it prints.
    let shown = format!("{watch:?}").matches("NoRule").count();
    assert!(shown <= 100, "{shown}");
}

/// Berlin, Sydney, and a place that nobody knows.
#[derive(Debug)]
struct Globe;

impl Geography for Globe {
    fn look_up(&self, addr: IpAddr, _at: Timestamp, _wanted: Wanted) -> Located {
        let country = match addr.to_string().as_str() {
            "192.0.2.1" => Finding::Known("DE".parse().unwrap()),
            "192.0.2.2" => Finding::Known("AU".parse().unwrap()),
            _ => Finding::Unknown,
        };
        Located { country, ..Located::nowhere() }
    }

    fn coordinates(&self, addr: IpAddr) -> Option<Coordinates> {
        match addr.to_string().as_str() {
            "192.0.2.1" => Coordinates::new(52.52, 13.40),
            "192.0.2.2" => Coordinates::new(-33.87, 151.21),
            _ => None,
        }
    }
}

#[test]
fn nobody_is_in_berlin_and_an_hour_later_in_sydney() {
    let compiled = CompiledPolicy::new(AccessPolicy::new(Defaults::open()));
    let watch = Watch::new(WatchConfig::default());
    let seen = |user: &str, addr: &str, hours: i64| {
        let request = AccessRequest::new(addr.parse().unwrap(), at(hours * 3600)).user(user);
        watch.observe(&acme(), &request, &compiled.decide(&request), &Globe)
    };
    assert!(seen("ann", "192.0.2.1", 0).is_empty());
    assert!(seen("ann", "203.0.113.1", 0).is_empty());
    let notices = seen("ann", "192.0.2.2", 1);
    assert!(
        matches!(&notices[..], [
        Notice::NewCountry { country, .. },
        Notice::ImpossibleTravel { kilometres, kmh, .. },
    ] if country.as_str() == "AU" && (16_000.0..16_200.0).contains(kilometres) && *kmh == *kilometres),
        "{notices:?}"
    );
    // A day is enough, and the country is known by now.
    assert!(seen("ann", "192.0.2.1", 25).is_empty());
    // Of another user nothing is known.
    assert!(seen("bob", "192.0.2.2", 25).is_empty());
}

#[test]
fn whoever_is_kept_out_moves_nobody() {
    let compiled = CompiledPolicy::new(AccessPolicy::parse("deny 192.0.2.2", Defaults::open()).unwrap());
    let watch = Watch::new(WatchConfig::default());
    let seen = |addr: &str| {
        let request = AccessRequest::new(addr.parse().unwrap(), at(0)).user("ann");
        watch.observe(&acme(), &request, &compiled.decide(&request), &Globe)
    };
    assert!(seen("192.0.2.1").is_empty());
    assert!(!seen("192.0.2.2").iter().any(|notice| matches!(notice, Notice::NewCountry { .. })));
    assert!(seen("192.0.2.1").is_empty());
}

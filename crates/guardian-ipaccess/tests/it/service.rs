//! Doors, changes, and what keeps people from locking themselves out.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;
use guardian_core::{Actor, Clock, Event, EventSink, ManualClock, Scope, StoreError, TenantId};
use guardian_ipaccess::{
    AccessPolicy, AccessRequest, Confirm, Defaults, Effect, Error, IpAccess, MemoryStore, Reason,
};
use parking_lot::Mutex;

fn scope(tenant: &str) -> Scope {
    Scope::new(TenantId::new(tenant).unwrap(), Actor::user("ann").unwrap())
}

fn request(addr: &str) -> AccessRequest<'static> {
    AccessRequest::new(addr.parse().unwrap(), ManualClock::new().now())
}

#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<Vec<Event>>>);

#[async_trait]
impl EventSink for Heard {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        self.0.lock().push(event);
        Ok(())
    }
}

fn replace(text: &str) -> impl FnOnce(&mut AccessPolicy) -> Result<(), guardian_ipaccess::PolicyError> {
    let policy = AccessPolicy::parse(text, Defaults::closed());
    move |old| policy.map(|policy| *old = policy)
}

#[tokio::test]
async fn a_change_shows_at_once_in_every_clone_and_only_to_its_tenant() {
    let access = IpAccess::new(MemoryStore::new());
    let (acme, other) = (scope("acme"), scope("other"));
    let (door, neighbour) = (access.door(&acme).await.unwrap(), access.door(&other).await.unwrap());
    let here = request("192.0.2.1");
    let revision = access.change(&acme, &here, Confirm::Ask, replace("allow 192.0.2.0/24")).await.unwrap();
    assert_eq!((revision, door.revision(), neighbour.revision()), (1, 1, 0));
    assert!(!door.decide(&request("203.0.113.1")).is_allowed());
    assert!(neighbour.decide(&request("203.0.113.1")).is_allowed());
    assert_eq!(access.policy(&other).await.unwrap().1, 0);
}

#[tokio::test]
async fn nobody_locks_themselves_out_by_accident() {
    let access = IpAccess::new(MemoryStore::new());
    let acme = scope("acme");
    let here = request("198.51.100.1");
    let error = access.change(&acme, &here, Confirm::Ask, replace("allow 192.0.2.0/24")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the change would lock `198.51.100.1` out, from where it is made: default: no rule is about it; confirm it if that is meant"
    );
    assert_eq!(access.policy(&acme).await.unwrap().1, 0);
    access.change(&acme, &here, Confirm::Meant, replace("allow 192.0.2.0/24")).await.unwrap();
    assert!(!access.door(&acme).await.unwrap().decide(&here).is_allowed());
    // A dry run locks nobody out.
    access.change(&acme, &here, Confirm::Ask, replace("dry run\nallow 192.0.2.0/24")).await.unwrap();
}

#[tokio::test]
async fn an_override_lets_one_user_in_for_a_while_and_is_told() {
    let (clock, heard) = (ManualClock::new(), Heard::default());
    let access = IpAccess::new(MemoryStore::new()).with_clock(clock.clone()).with_events(heard.clone());
    let acme = scope("acme");
    let here = request("198.51.100.1");
    access.change(&acme, &here, Confirm::Meant, replace("default deny")).await.unwrap();
    access.break_glass(&acme, "ann", "on call", TimeDelta::hours(1)).await.unwrap();
    let door = access.door(&acme).await.unwrap();
    assert_eq!(door.decide(&here.user("ann")).reason(), Reason::BreakGlass);
    assert!(!door.decide(&here.user("eve")).is_allowed());
    assert!(!door.decide(&here).is_allowed());
    let later = AccessRequest::new(here.addr, here.at + TimeDelta::hours(1));
    assert!(!door.decide(&later.user("ann")).is_allowed());
    // One for each user: the last.
    access.break_glass(&acme, "ann", "on call", TimeDelta::hours(3)).await.unwrap();
    access.break_glass(&acme, "ann", "on call", TimeDelta::minutes(30)).await.unwrap();
    assert_eq!(door.decide(&here.user("ann")).reason(), Reason::BreakGlass);
    assert!(!door.decide(&later.user("ann")).is_allowed());
    access.close_break_glass(&acme, "ann").await.unwrap();
    assert!(!door.decide(&here.user("ann")).is_allowed());
    let names: Vec<_> = heard.0.lock().iter().map(|event| event.name.clone()).collect();
    let opened = "ip_access.break_glass_opened";
    assert_eq!(names, ["ip_access.policy_changed", opened, opened, opened, "ip_access.break_glass_closed"]);
    for (holds, reason) in [(0, "x"), (25, "x"), (1, " ")] {
        let refused = access.break_glass(&acme, "ann", reason, TimeDelta::hours(holds)).await;
        assert!(matches!(refused, Err(Error::BreakGlass { .. })), "{holds} {reason:?}");
    }
}

#[tokio::test]
async fn two_processes_on_one_store_see_each_other_and_do_not_overwrite() {
    let store = Arc::new(MemoryStore::new());
    let (one, two) = (IpAccess::new(Arc::clone(&store)), IpAccess::new(store));
    let acme = scope("acme");
    let here = request("192.0.2.1");
    let door = two.door(&acme).await.unwrap();
    one.change(&acme, &here, Confirm::Ask, replace("allow 192.0.2.0/24")).await.unwrap();
    assert!(door.decide(&request("203.0.113.1")).is_allowed());
    assert!(two.refresh(&acme).await.unwrap() && !two.refresh(&acme).await.unwrap());
    assert!(!door.decide(&request("203.0.113.1")).is_allowed());
}

/// What a policy says is never half of the old one and half of the new one, and nobody waits for it to be made.
#[test]
fn a_large_policy_is_swapped_while_others_look() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let access = IpAccess::new(MemoryStore::new());
    let acme = scope("acme");
    let door = runtime.block_on(access.door(&acme)).unwrap();
    let done = AtomicBool::new(false);
    // Both policies say the same of the two addresses: all of it is denied, or all of it allowed.
    let text = |effect: Effect| {
        let nets = (0..100_000_u32)
            .map(|number| format!("{effect} {}\n", IpAddr::from((number << 12 | 1 << 8).to_be_bytes())));
        format!("default {effect}\n{}", nets.collect::<String>())
    };
    std::thread::scope(|threads| {
        for _ in 0..2 {
            let (door, done) = (door.clone(), &done);
            threads.spawn(move || {
                let (first, last) = (request("0.0.1.0"), request("24.105.241.0"));
                while !done.load(Ordering::Relaxed) {
                    let before = door.revision();
                    let said = (door.decide(&first).effect(), door.decide(&last).effect());
                    if before == door.revision() {
                        assert_eq!(said.0, said.1, "half of revision {before}");
                    }
                }
            });
        }
        for effect in [Effect::Deny, Effect::Allow, Effect::Deny] {
            let author = request("192.0.2.1");
            runtime.block_on(access.change(&acme, &author, Confirm::Meant, replace(&text(effect)))).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
}

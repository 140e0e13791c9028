//! What the service promises: refusals that name their reason, revocation of trees, emergencies, reviews, events, revisions,
//! propagation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use guardian_core::{
    Actor, Clock, Event, EventSink, ManualClock, Scope, SeededIds, StoreError, TenantId, Timestamp,
};
use guardian_rbac::store::{Committed, News, PolicyStore};
use guardian_rbac::{
    Area, Ask, BREAK_GLASS, Catalog, Change, Constraint, DecisionEvents, Duty, Error, GrantId, Item,
    Membership, MemoryStore, NewGrant, OnStale, Outcome, Principal, Rbac, Resource, Revision, Role, RoleId,
    Rule, Session, Subject, WRITE_GRANTS, Window,
};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::random::time;

pub(crate) fn catalog() -> Catalog {
    Catalog::builder()
        .permission("deal:read", "")
        .permission("deal:edit", "")
        .sensitive("deal:export", "")
        .permission("pay:make", "")
        .permission("pay:approve", "")
        .build()
        .unwrap()
}

pub(crate) fn host() -> Scope {
    Scope::system(TenantId::new("acme").unwrap())
}

pub(crate) fn as_user(name: &str) -> Scope {
    Scope::new(TenantId::new("acme").unwrap(), Actor::user(name).unwrap())
}

fn new(who: &str, role: &str) -> NewGrant {
    NewGrant::new(who.parse().unwrap(), role, "a test").unwrap()
}

#[derive(Debug, Default, Clone)]
struct Told(Arc<Mutex<Vec<Event>>>);

impl Told {
    fn names(&self) -> Vec<String> {
        self.0.lock().iter().map(|event| event.name.clone()).collect()
    }
}

#[async_trait]
impl EventSink for Told {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        self.0.lock().push(event);
        Ok(())
    }
}

struct World {
    rbac: Rbac,
    clock: ManualClock,
    told: Told,
}

async fn world() -> World {
    let (clock, told) = (ManualClock::at(time(0)), Told::default());
    let rbac = Rbac::new(catalog(), MemoryStore::new())
        .with_clock(clock.clone())
        .with_ids(SeededIds::new(1))
        .with_sink(told.clone());
    let roles = [
        Role::new("viewer").unwrap().with(Rule::allow("deal:read").unwrap()),
        Role::new("rep").unwrap().inherits("viewer").unwrap().with(Rule::allow("deal:edit").unwrap()),
        Role::new("no-export").unwrap().with(Rule::deny("deal:export").unwrap()),
        Role::new("exporter").unwrap().with(Rule::allow("deal:export").unwrap()).for_emergencies(3600),
        Role::new("manager").unwrap().with(Rule::allow(WRITE_GRANTS).unwrap()),
        Role::new("payer").unwrap().with(Rule::allow("pay:make").unwrap()),
        Role::new("approver").unwrap().with(Rule::allow("pay:approve").unwrap()),
    ];
    for role in roles {
        rbac.put_role(&host(), role).await.unwrap();
    }
    World { rbac, clock, told }
}

async fn outcome(rbac: &Rbac, who: &str, permission: &str) -> Outcome {
    rbac.check(&as_user(who), permission, Resource::tenant()).await.unwrap().outcome()
}

#[tokio::test]
async fn mistakes_are_named() {
    let World { rbac, clock, .. } = world().await;
    let host = host();
    let says = |result: Result<Revision, Error>| result.unwrap_err().to_string();
    let unknown = Role::new("x").unwrap().with(Rule::allow("deal:reed").unwrap());
    assert_eq!(
        says(rbac.put_role(&host, unknown).await),
        "there is no permission `deal:reed`; did you mean `deal:read`?"
    );
    let orphan = Role::new("x").unwrap().inherits("viewr").unwrap();
    assert_eq!(says(rbac.put_role(&host, orphan).await), "there is no role `viewr`; did you mean `viewer`?");
    let circle = Role::new("viewer").unwrap().inherits("rep").unwrap();
    assert_eq!(
        says(rbac.put_role(&host, circle).await),
        "the inheritance would be a cycle: `viewer` -> `rep` -> `viewer`"
    );
    let mut heir = Role::new("heir").unwrap();
    heir.parents = vec![RoleId::new("viewer").unwrap(); 100_000];
    assert_eq!(
        says(rbac.put_role(&host, heir).await),
        "the role `heir` has 100000 parents, the most is 1000"
    );
    let late = new("user:ann", "rep").during(Window::until(clock.now()));
    let error = rbac.grant(&host, late).await.unwrap_err().to_string();
    assert_eq!(error, "the window ended at `2026-05-28T20:26:40Z`, now is `2026-05-28T20:26:40Z`");
    for (text, wanted) in [
        ("user:", "invalid principal ``: it is empty"),
        ("", "invalid subject ``: write `user:ID`, `api_key:ID`, `service:ID`, `group:NAME` or `everyone`"),
        ("user:a\u{0}b", "invalid principal `a\\0b`: it has a control character at byte 1"),
        ("group:\n", "invalid group `\\n`: it has a control character at byte 0"),
    ] {
        assert_eq!(text.parse::<Subject>().unwrap_err().to_string(), wanted);
    }
    let backwards = Window::between(time(5), time(4)).unwrap_err().to_string();
    assert_eq!(
        backwards,
        "invalid window `2026-05-29T01:26:40Z to 2026-05-29T00:26:40Z`: it ends before it starts"
    );
    let missing = GrantId::new(Uuid::from_u128(5));
    assert_eq!(
        says(rbac.revoke(&host, missing).await),
        "there is no grant `00000000-0000-0000-0000-000000000005`"
    );
    rbac.grant(&host, new("user:ann", "rep")).await.unwrap();
    let used = rbac.remove_role(&host, &"rep".parse().unwrap()).await;
    assert_eq!(says(used), "the role `rep` is in use by 1 grant");
    let parent = rbac.remove_role(&host, &"viewer".parse().unwrap()).await;
    assert_eq!(says(parent), "the role `viewer` is in use by the role `rep`, which inherits from it");
    let error = rbac.check_local(&as_user("ann"), "deal:raed", Resource::tenant()).unwrap_err();
    assert_eq!(error.to_string(), "there is no permission `deal:raed`; did you mean `deal:read`?");
    assert_eq!(says(rbac.import(&host, Vec::new()).await), "0 changes at once, it must be 1 to 10000");
    // What was refused left nothing behind.
    assert!(rbac.tenant(host.tenant()).unwrap().policy().role(&"x".parse().unwrap()).is_none());
}

#[tokio::test]
async fn windows_end_when_they_should_and_say_so() {
    let World { rbac, clock, .. } = world().await;
    let window = Window::between(time(1), time(2)).unwrap();
    rbac.grant(&host(), new("user:ann", "rep").during(window)).await.unwrap();
    assert_eq!(outcome(&rbac, "ann", "deal:edit").await, Outcome::NotYetActive { at: time(1) });
    clock.advance(Duration::from_secs(3600));
    assert_eq!(outcome(&rbac, "ann", "deal:edit").await, Outcome::Allow);
    clock.advance(Duration::from_micros(3_599_999_999));
    assert_eq!(outcome(&rbac, "ann", "deal:edit").await, Outcome::Allow);
    clock.advance(Duration::from_micros(1));
    assert_eq!(outcome(&rbac, "ann", "deal:edit").await, Outcome::Expired { at: time(2) });
    assert_eq!(outcome(&rbac, "ann", "deal:export").await, Outcome::NotPermitted);
    let ann = as_user("ann");
    let explained = rbac.explain(&host(), &Ask::new(ann.actor(), "deal:edit")).await.unwrap().to_string();
    assert!(explained.contains("`deal:edit` on the tenant is not permitted any more since"), "{explained}");
    assert!(explained.contains("-> ") || explained.contains("of rep to user:ann"), "{explained}");
    assert!(explained.contains("it expired at 2026-05-28T22:26:40Z"), "{explained}");
    let swept = rbac.sweep_expired(&host(), Duration::ZERO).await.unwrap();
    assert_eq!(swept.grants.len(), 1);
    assert_eq!(rbac.sweep_expired(&host(), Duration::ZERO).await.unwrap().grants.len(), 0);
}

#[tokio::test]
async fn deny_wins_and_says_by_which() {
    let World { rbac, .. } = world().await;
    rbac.grant(&host(), new("user:ann", "exporter")).await.unwrap();
    rbac.put_member(&host(), Membership::new("temps".parse().unwrap(), "user:ann".parse().unwrap()))
        .await
        .unwrap();
    assert_eq!(outcome(&rbac, "ann", "deal:export").await, Outcome::Allow);
    let (deny, _) = rbac.grant(&host(), new("group:temps", "no-export")).await.unwrap();
    let decision = rbac.check(&as_user("ann"), "deal:export", Resource::tenant()).await.unwrap();
    assert_eq!((decision.outcome(), decision.grant()), (Outcome::Forbidden, Some(deny)));
    let ann = as_user("ann");
    let explained = rbac.explain(&host(), &Ask::new(ann.actor(), "deal:export")).await.unwrap();
    let because = explained.because.clone().unwrap();
    assert_eq!(because.groups, ["temps".parse().unwrap()]);
    assert_eq!(because.roles, ["no-export".parse().unwrap()]);
    let json = serde_json::to_value(&explained).unwrap();
    assert_eq!(json["decision"]["outcome"], "forbidden");
    assert_eq!(json["because"]["grant"], deny.to_string());
}

#[tokio::test]
async fn what_is_passed_on_ends_with_its_source() {
    let World { rbac, clock, .. } = world().await;
    let team = Area::new("team", "emea").unwrap();
    let own = new("user:ann", "rep").in_area(team.clone()).during(Window::until(time(9))).delegable(2);
    let (own, _) = rbac.grant(&host(), own).await.unwrap();
    let (ann, bob) = (as_user("ann"), as_user("bob"));
    let pass = |who: &str| new(who, "viewer").in_area(team.clone()).during(Window::until(time(9)));
    let refusal = |result: Result<(GrantId, Revision), Error>| result.unwrap_err().to_string();

    let wider = rbac.delegate(&ann, own, new("user:bob", "viewer").during(Window::until(time(9)))).await;
    assert!(refusal(wider).contains("its area does not include"));
    let longer = rbac.delegate(&ann, own, new("user:bob", "viewer").in_area(team.clone())).await;
    assert!(refusal(longer).contains("its window does not include"));
    let more = rbac.delegate(&ann, own, new("user:bob", "exporter").in_area(team.clone())).await;
    assert!(refusal(more).contains("its role does not include"));
    let again = rbac.delegate(&ann, own, pass("user:bob").delegable(2)).await;
    assert!(refusal(again).contains("more often than it may"));
    assert!(refusal(rbac.delegate(&bob, own, pass("user:bob")).await).contains("not the actor's own"));
    let (to_bob, _) = rbac.delegate(&ann, own, pass("user:bob").delegable(1)).await.unwrap();
    let (to_cy, _) = rbac.delegate(&bob, to_bob, pass("user:cy")).await.unwrap();
    let last = rbac.delegate(&as_user("cy"), to_cy, pass("user:dee")).await;
    assert!(refusal(last).contains("may not be passed on"));

    let can = async |who: &str| {
        rbac.check(&as_user(who), "deal:read", Resource::area(&team)).await.unwrap().outcome()
    };
    assert_eq!(can("cy").await, Outcome::Allow);
    // A stranger may not take it back; the giver may, and the next check sees it.
    assert!(rbac.revoke(&as_user("eve"), to_cy).await.is_err());
    rbac.revoke(&host(), own).await.unwrap();
    assert_eq!(
        (can("ann").await, can("bob").await, can("cy").await),
        (Outcome::NotPermitted, Outcome::NotPermitted, Outcome::NotPermitted)
    );
    assert!(rbac.tenant(host().tenant()).unwrap().policy().grants().next().is_none());
    let _ = clock;
}

#[tokio::test]
async fn roles_that_must_not_come_together() {
    let World { rbac, .. } = world().await;
    let apart = Constraint::new("pay", Duty::Static, ["payer", "approver"], 2).unwrap();
    rbac.put_constraint(&host(), apart).await.unwrap();
    rbac.grant(&host(), new("user:ann", "payer")).await.unwrap();
    rbac.grant(&host(), new("group:board", "approver")).await.unwrap();
    let error = rbac.grant(&host(), new("user:ann", "approver")).await.unwrap_err().to_string();
    assert_eq!(error, "`user:ann` would have the roles `payer`, `approver`, which `pay` keeps apart");
    let joins = Membership::new("board".parse().unwrap(), "user:ann".parse().unwrap());
    assert!(matches!(rbac.put_member(&host(), joins).await, Err(Error::Separation { .. })));
    let both = Role::new("both").unwrap().inherits("payer").unwrap().inherits("approver").unwrap();
    rbac.put_role(&host(), both).await.unwrap();
    assert!(matches!(rbac.grant(&host(), new("user:bob", "both")).await, Err(Error::Separation { .. })));
    assert!(matches!(rbac.grant(&host(), new("everyone", "approver")).await, Err(Error::Separation { .. })));
}

#[tokio::test]
async fn sessions_activate_what_is_held_and_not_too_much_at_once() {
    let World { rbac, clock, .. } = world().await;
    let apart = Constraint::new("pay", Duty::Dynamic, ["payer", "approver"], 2).unwrap();
    rbac.put_constraint(&host(), apart).await.unwrap();
    for role in ["payer", "approver", "rep", "no-export", "exporter"] {
        rbac.grant(&host(), new("user:ann", role)).await.unwrap();
    }
    let ann = as_user("ann");
    let mut session = Session::new(Principal::from(ann.actor()));
    let tenant = rbac.tenant(host().tenant()).unwrap();
    let mut activate = |role: &str| session.activate(&tenant.snapshot(), &role.parse().unwrap(), clock.now());
    assert!(matches!(activate("manager"), Err(Error::NotHeld { .. })));
    activate("payer").unwrap();
    assert!(matches!(activate("approver"), Err(Error::Separation { .. })));
    // A part of a role that is held.
    activate("viewer").unwrap();
    let ask =
        |permission| rbac.ask_local(&ann, &Ask::new(ann.actor(), permission).in_session(&session)).unwrap();
    assert!(ask("pay:make").is_allowed());
    assert!(ask("deal:read").is_allowed());
    assert_eq!(ask("deal:edit").outcome(), Outcome::NotPermitted);
    // A prohibition is not shed by not activating it.
    assert_eq!(ask("deal:export").outcome(), Outcome::Forbidden);
    session.deactivate(&"payer".parse().unwrap());
    session.activate(&tenant.snapshot(), &"approver".parse().unwrap(), clock.now()).unwrap();
}

#[tokio::test]
async fn an_emergency_is_short_and_heard() {
    let World { rbac, clock, told } = world().await;
    let hour = Duration::from_secs(3600);
    let glass = Role::new("on-call").unwrap().with(Rule::allow(BREAK_GLASS).unwrap());
    rbac.put_role(&host(), glass).await.unwrap();
    rbac.put_role(&host(), Role::new("admin").unwrap().with(Rule::allow("*").unwrap())).await.unwrap();
    let ann = as_user("ann");
    let exporter: RoleId = "exporter".parse().unwrap();
    let open = async |role: &RoleId, time| {
        rbac.break_glass(&ann, role, Area::tenant(), "the database burns", time).await
    };
    // No wildcard means this permission.
    rbac.grant(&host(), new("user:ann", "admin")).await.unwrap();
    assert!(matches!(open(&exporter, hour).await, Err(Error::NotAllowed { .. })));
    rbac.grant(&host(), new("user:ann", "on-call")).await.unwrap();
    assert!(matches!(open(&"payer".parse().unwrap(), hour).await, Err(Error::NoEmergency { .. })));
    assert!(matches!(open(&exporter, hour * 2).await, Err(Error::NoEmergency { .. })));
    let (grant, _) = open(&exporter, hour).await.unwrap();
    assert!(told.names().contains(&"rbac.break_glass.opened".to_owned()));
    let passed_on = rbac.delegate(&ann, grant, new("user:bob", "exporter")).await;
    assert!(passed_on.is_err());
    clock.advance(hour);
    let swept = rbac.sweep_expired(&host(), Duration::ZERO).await.unwrap();
    assert_eq!(swept.grants, [grant]);
}

#[tokio::test]
async fn grants_are_reviewed_or_lost() {
    let World { rbac, clock, .. } = world().await;
    let day = Duration::from_secs(86_400);
    let (used, _) = rbac.grant(&host(), new("user:ann", "rep")).await.unwrap();
    let (unused, _) = rbac.grant(&host(), new("user:bob", "rep")).await.unwrap();
    let (certified, _) = rbac.grant(&host(), new("user:cy", "rep")).await.unwrap();
    clock.advance(day * 20);
    assert_eq!(outcome(&rbac, "ann", "deal:edit").await, Outcome::Allow);
    rbac.recertify(&host(), certified).await.unwrap();
    assert!(matches!(rbac.recertify(&as_user("bob"), unused).await, Err(Error::NotAllowed { .. })));
    let review = rbac.review(&host()).await.unwrap();
    let of = |id| review.iter().find(|item| item.grant.id == id).unwrap();
    assert_eq!((of(used).last_used, of(unused).last_used), (Some(clock.now()), None));
    assert_eq!(of(certified).last_seen, clock.now());
    clock.advance(day * 15);
    assert_eq!(rbac.revoke_unused(&host(), day * 30).await.unwrap().grants, [unused]);
    assert_eq!(rbac.revoke_unseen(&host(), day * 30).await.unwrap().grants, [used]);
    assert_eq!(outcome(&rbac, "cy", "deal:edit").await, Outcome::Allow);
    assert_eq!(outcome(&rbac, "ann", "deal:edit").await, Outcome::NotPermitted);
}

#[tokio::test]
async fn each_change_and_each_decision_that_matters_is_told() {
    let World { rbac, told, .. } = world().await;
    let rbac = rbac.with_decision_events(DecisionEvents::default());
    told.0.lock().clear();
    let (grant, _) = rbac.grant(&host(), new("user:ann", "exporter")).await.unwrap();
    rbac.put_place(&host(), Area::new("team", "a").unwrap(), vec![]).await.unwrap();
    rbac.revoke(&host(), grant).await.unwrap();
    assert_eq!(told.names(), ["rbac.grant.given", "rbac.area.placed", "rbac.grant.revoked"]);
    let given = told.0.lock()[0].clone();
    assert_eq!(given.data["after"]["grant"]["reason"], "a test");
    assert_eq!(given.data["before"], serde_json::Value::Null);
    told.0.lock().clear();
    assert_eq!(outcome(&rbac, "ann", "deal:export").await, Outcome::NotPermitted);
    assert_eq!(outcome(&rbac, "ann", "deal:read").await, Outcome::NotPermitted);
    assert_eq!(rbac.flush_decisions().await.unwrap().delivered, 1);
    assert_eq!(told.names(), ["rbac.decision"]);
    assert_eq!(told.0.lock()[0].data["permission"], "deal:export");
    assert_eq!(told.0.lock()[0].data["decision"]["outcome"], "not_permitted");
}

#[tokio::test]
async fn a_preview_says_who_gains_and_loses() {
    let World { rbac, .. } = world().await;
    rbac.grant(&host(), new("user:ann", "rep")).await.unwrap();
    rbac.put_member(&host(), Membership::new("sales".parse().unwrap(), "user:bob".parse().unwrap()))
        .await
        .unwrap();
    rbac.grant(&host(), new("group:sales", "viewer")).await.unwrap();
    let viewer = Role::new("viewer").unwrap().with(Rule::allow("pay:make").unwrap());
    let found = rbac.preview(&host(), &[Change::Put(Item::Role(viewer))]).await.unwrap();
    let told: Vec<String> = found
        .iter()
        .map(|each| {
            format!(
                "{} {} {}",
                each.principal.as_ref().unwrap(),
                each.permission,
                if each.is_gain() { '+' } else { '-' }
            )
        })
        .collect();
    assert_eq!(
        told,
        ["user:ann deal:read -", "user:ann pay:make +", "user:bob deal:read -", "user:bob pay:make +"]
    );
    // Nothing was written.
    assert_eq!(outcome(&rbac, "bob", "pay:make").await, Outcome::NotPermitted);
}

#[tokio::test]
async fn who_was_not_compared_for_too_long_does_not_answer() {
    let clock = ManualClock::at(time(0));
    let rbac = Rbac::new(catalog(), MemoryStore::new())
        .with_clock(clock.clone())
        .with_staleness(Duration::from_secs(2), OnStale::Refuse);
    rbac.load(&host()).await.unwrap();
    let ann = as_user("ann");
    clock.advance(Duration::from_secs(2));
    assert!(rbac.check_local(&ann, "deal:read", Resource::tenant()).is_ok());
    clock.advance(Duration::from_millis(1));
    assert!(matches!(
        rbac.check_local(&ann, "deal:read", Resource::tenant()),
        Err(Error::Stale { seconds: 3 })
    ));
    rbac.follow().await.unwrap();
    assert!(rbac.check_local(&ann, "deal:read", Resource::tenant()).is_ok());
}

#[tokio::test]
async fn two_services_on_one_store_agree_and_tenants_do_not_meet() {
    let store = Arc::new(MemoryStore::new());
    let (one, two) = (Rbac::new(catalog(), store.clone()), Rbac::new(catalog(), store));
    let role = Role::new("rep").unwrap().with(Rule::allow("deal:edit").unwrap());
    one.put_role(&host(), role).await.unwrap();
    two.load(&host()).await.unwrap();
    let ann = as_user("ann");
    let (grant, token) = one.grant(&host(), new("user:ann", "rep")).await.unwrap();
    let ask = Ask::new(ann.actor(), "deal:edit");
    // The other does not know yet, unless it is told how new it has to be.
    assert_eq!(two.ask_local(&ann, &ask).unwrap().outcome(), Outcome::NotPermitted);
    assert!(two.ask_at_least(&ann, &ask, token).await.unwrap().is_allowed());
    let beyond = Revision::new(token.number() + 1);
    assert!(matches!(two.ask_at_least(&ann, &ask, beyond).await, Err(Error::TooOld { .. })));
    // Both write: the slower one looks again.
    two.revoke(&host(), grant).await.unwrap();
    one.grant(&host(), new("user:bob", "rep")).await.unwrap();
    assert_eq!(one.ask_local(&ann, &ask).unwrap().outcome(), Outcome::NotPermitted);
    two.follow().await.unwrap();
    assert!(two.check(&as_user("bob"), "deal:edit", Resource::tenant()).await.unwrap().is_allowed());
    let elsewhere = Scope::new(TenantId::new("globex").unwrap(), Actor::user("bob").unwrap());
    assert!(!two.check(&elsewhere, "deal:edit", Resource::tenant()).await.unwrap().is_allowed());
}

/// A store whose answer to a load comes late, with what it read before.
#[derive(Debug, Default)]
struct Late {
    inner: MemoryStore,
    holds: AtomicBool,
    has_read: AtomicBool,
}

#[async_trait]
impl PolicyStore for Late {
    async fn load(&self, scope: &Scope) -> Result<(Revision, Vec<Item>), StoreError> {
        let loaded = self.inner.load(scope).await?;
        while self.holds.load(Ordering::Relaxed) {
            self.has_read.store(true, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
        Ok(loaded)
    }
    async fn commit(
        &self,
        scope: &Scope,
        expected: Revision,
        changes: &[Change],
        events: &[Event],
    ) -> Result<Committed, StoreError> {
        self.inner.commit(scope, expected, changes, events).await
    }
    async fn since(&self, scope: &Scope, after: Revision) -> Result<News, StoreError> {
        if self.holds.load(Ordering::Relaxed) {
            Ok(News::Reload)
        } else {
            self.inner.since(scope, after).await
        }
    }
    async fn prune(&self, scope: &Scope, up_to: Revision) -> Result<(), StoreError> {
        self.inner.prune(scope, up_to).await
    }
    async fn undelivered(&self, scope: &Scope, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.inner.undelivered(scope, limit).await
    }
    async fn delivered(&self, scope: &Scope, event: Uuid) -> Result<(), StoreError> {
        self.inner.delivered(scope, event).await
    }
    async fn record_uses(&self, scope: &Scope, grants: &[GrantId], at: Timestamp) -> Result<(), StoreError> {
        self.inner.record_uses(scope, grants, at).await
    }
    async fn uses(&self, scope: &Scope) -> Result<BTreeMap<GrantId, Timestamp>, StoreError> {
        self.inner.uses(scope).await
    }
}

#[tokio::test]
async fn a_load_that_comes_late_takes_no_revocation_back() {
    let store = Arc::new(Late::default());
    let rbac = Rbac::new(catalog(), Arc::clone(&store));
    let role = Role::new("rep").unwrap().with(Rule::allow("deal:edit").unwrap());
    rbac.put_role(&host(), role).await.unwrap();
    let (grant, _) = rbac.grant(&host(), new("user:ann", "rep")).await.unwrap();
    store.holds.store(true, Ordering::Relaxed);
    let ann = as_user("ann");
    let scope = host();
    let revoked = async {
        while !store.has_read.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        rbac.revoke(&host(), grant).await.unwrap();
        store.holds.store(false, Ordering::Relaxed);
    };
    let (refreshed, ()) = tokio::join!(rbac.refresh(&scope), revoked);
    refreshed.unwrap();
    assert!(!rbac.check_local(&ann, "deal:edit", Resource::tenant()).unwrap().is_allowed());
}

#[tokio::test]
async fn a_write_based_on_a_revision_overwrites_nothing_unseen() {
    let rbac = Rbac::new(catalog(), MemoryStore::new());
    let seen = rbac.put_role(&host(), Role::new("rep").unwrap()).await.unwrap();
    let mine = rbac.based_on(seen);
    // Somebody else was faster.
    let now = rbac.put_role(&host(), Role::new("rep").unwrap().titled("Sales")).await.unwrap();
    let refused = mine.put_role(&host(), Role::new("rep").unwrap().titled("Mine")).await.unwrap_err();
    assert!(
        matches!(refused, Error::Changed { actual, wanted } if actual == now && wanted == seen),
        "{refused}"
    );
    let policy = rbac.load(&host()).await.unwrap().policy();
    assert_eq!(policy.role(&RoleId::new("rep").unwrap()).unwrap().title, "Sales");
    rbac.based_on(now).put_role(&host(), Role::new("rep").unwrap().titled("Mine")).await.unwrap();
    // Without a base a write holds for whatever is there.
    rbac.remove_role(&host(), &RoleId::new("rep").unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_write_based_on_what_another_process_wrote_is_seen_first() {
    let store = Arc::new(MemoryStore::new());
    let (here, there) = (Rbac::new(catalog(), Arc::clone(&store)), Rbac::new(catalog(), Arc::clone(&store)));
    here.load(&host()).await.unwrap();
    let seen = there.put_role(&host(), Role::new("rep").unwrap()).await.unwrap();
    here.based_on(seen).put_role(&host(), Role::new("rep").unwrap().titled("Sales")).await.unwrap();
}

//! What changes while accounts live: plans, limits, catalogs, and grants that come and go.

use std::sync::Arc;
use std::time::Duration;

use guardian_core::{Clock, ManualClock, Scope, TenantId, Timestamp};
use guardian_quota::{
    Aggregation, Cadence, Error, Feature, FeatureName, Grant, Happened, Level, Limit, MemoryStore, Meter,
    Plan, PlanName, Proration, Quotas, Rollover, Subject, Subscription, Usage,
};
use uuid::Uuid;

type Shared = Quotas<Arc<MemoryStore>>;

fn scope() -> Scope {
    Scope::system(TenantId::new("acme").unwrap())
}

fn name(text: &str) -> PlanName {
    PlanName::new(text).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A plan with one meter, `tokens`, that has one limit of the organisation.
fn plan(text: &str, limit: Limit) -> Plan {
    let meter = Meter::new("token", Aggregation::Sum).with_limit(Level::Org, limit);
    Plan::new(name(text)).with_feature(FeatureName::new("tokens").unwrap(), Feature::Metered(meter))
}

fn over(store: &Arc<MemoryStore>, plans: Vec<Plan>, clock: &ManualClock) -> Shared {
    Quotas::new(Arc::clone(store), plans).unwrap().with_clock(clock.clone()).unwrap()
}

/// Quotas at noon of 16 April 2026, with a tenant on the first of these plans, whose periods begin on the first of the month.
async fn quotas(plans: Vec<Plan>) -> (Shared, ManualClock) {
    let clock = ManualClock::at(at("2026-04-16T00:00:00Z"));
    let first = plans.first().unwrap().name.clone();
    let quotas = over(&Arc::new(MemoryStore::new()), plans, &clock);
    quotas.subscribe(&scope(), Subscription::new(first, at("2026-01-01T00:00:00Z"))).await.unwrap();
    (quotas, clock)
}

fn tokens(amount: u64) -> Usage {
    Usage::of("tokens", &Subject::org(), amount).unwrap()
}

async fn spend(quotas: &Shared, amount: u64) -> bool {
    quotas.consume(&scope(), &tokens(amount)).await.unwrap().allowed
}

async fn balance(quotas: &Shared) -> guardian_quota::Balance {
    quotas.balance(&scope(), "tokens", &Subject::org()).await.unwrap()
}

#[tokio::test]
async fn a_key_of_the_ledgers_own_is_refused() {
    let (quotas, _) = quotas(vec![plan("p", Limit::hard(100, Cadence::Month))]).await;
    let ttl = Duration::from_secs(60);
    let hold = quotas.reserve(&scope(), &tokens(10), ttl).await.unwrap().hold.unwrap();
    for key in [format!("close:{}", hold.id), format!("grant:{}", Uuid::nil())] {
        let error = tokens(0).with_key(&key).unwrap_err().to_string();
        assert!(error.contains(&format!("`{key}`")), "{error}");
        let event = serde_json::json!({
            "id": key, "feature": "tokens", "time": "2026-04-16T00:00:00Z", "amount": 1
        });
        assert!(Happened::parse(&event.to_string()).is_err());
    }
    // What only looks like it is the caller's.
    assert!(tokens(0).with_key("closed:1").is_ok());
    assert!(quotas.commit(&scope(), &hold, 10).await.unwrap().allowed);
}

#[tokio::test]
async fn a_grant_under_a_used_id_must_be_the_same() {
    let (quotas, clock) = quotas(vec![plan("p", Limit::hard(100, Cadence::Month))]).await;
    let org = Subject::org();
    let (start, end) = (at("2026-04-16T00:00:00Z"), at("2026-06-01T00:00:00Z"));
    let plain = Grant::new(10).unwrap().with_id(Uuid::from_u128(1));
    let ends = Grant::new(10).unwrap().with_id(Uuid::from_u128(2)).with_expiry(end);
    let starts = Grant::new(10).unwrap().with_id(Uuid::from_u128(3)).with_start(start);
    for grant in [&plain, &ends, &starts] {
        assert!(!quotas.grant(&scope(), "tokens", &org, grant).await.unwrap().replayed);
        clock.advance(Duration::from_secs(1));
        assert!(quotas.grant(&scope(), "tokens", &org, grant).await.unwrap().replayed);
    }
    let later = Duration::from_secs(60);
    for other in [
        plain.clone().with_expiry(end),
        plain.with_start(start),
        ends.clone().with_expiry(end + later),
        ends.with_start(start),
        starts.with_start(start + later),
    ] {
        let answer = quotas.grant(&scope(), "tokens", &org, &other).await;
        assert!(matches!(answer, Err(Error::KeyReused { .. })), "{other:?}: {answer:?}");
    }
    assert_eq!(balance(&quotas).await.grants.len(), 3);
}

#[tokio::test]
async fn two_administrators_do_not_undo_each_others_work() {
    let limit = || Limit::hard(100, Cadence::Month);
    let (quotas, _) = quotas(vec![plan("a", limit()), plan("b", limit())]).await;
    let names: Vec<String> = quotas.plans().iter().map(|plan| plan.name.to_string()).collect();
    assert_eq!(names, ["a", "b"]);
    let read = quotas.subscription(&scope()).await.unwrap().unwrap();
    assert_eq!(read.limits().count(), 0);
    let org = Subject::org();
    let own = Limit::hard(7, Cadence::Month);
    let one =
        quotas.set_limit_at(&scope(), read.revision(), "tokens", &org, Some(own.clone())).await.unwrap();
    assert_eq!(one.revision(), read.revision() + 1);
    // The other one read the same, and comes second.
    let how = Proration::Immediate;
    let late = quotas.change_plan_at(&scope(), read.revision(), &name("b"), how).await;
    assert!(matches!(late, Err(Error::Changed { revision }) if revision == one.revision()), "{late:?}");
    let late = quotas.set_limit_at(&scope(), read.revision(), "tokens", &org, None).await;
    assert!(matches!(late, Err(Error::Changed { .. })), "{late:?}");
    assert_eq!(balance(&quotas).await.limit, Some(7), "nothing changed");
    let two = quotas.change_plan_at(&scope(), one.revision(), &name("b"), how).await.unwrap();
    assert_eq!((two.plan(), two.revision()), (&name("b"), one.revision() + 1));
    let limits: Vec<_> =
        two.limits().map(|(feature, subject, limit)| (feature.as_str(), subject, limit)).collect();
    assert_eq!(limits, [("tokens", &org, &own)]);
}

#[tokio::test]
async fn another_process_learns_of_a_plan_within_seconds() {
    let clock = ManualClock::at(at("2026-04-16T00:00:00Z"));
    let store = Arc::new(MemoryStore::new());
    let plans = || {
        let sso = FeatureName::new("sso").unwrap();
        let region = FeatureName::new("region").unwrap();
        vec![
            plan("small", Limit::hard(10, Cadence::Month))
                .with_feature(sso.clone(), Feature::Boolean(false))
                .with_feature(region.clone(), Feature::Static("eu".into())),
            plan("large", Limit::hard(10, Cadence::Month))
                .with_feature(sso, Feature::Boolean(true))
                .with_feature(region, Feature::Static("us".into()))
                .with_feature(
                    FeatureName::new("calls").unwrap(),
                    Feature::Metered(Meter::new("call", Aggregation::Sum)),
                ),
        ]
    };
    let (one, two) = (over(&store, plans(), &clock), over(&store, plans(), &clock));
    let subscription = Subscription::new(name("small"), at("2026-01-01T00:00:00Z"));
    one.subscribe(&scope(), subscription).await.unwrap();
    assert!(!two.has(&scope(), "sso").await.unwrap());
    one.change_plan(&scope(), &name("large"), Proration::Immediate).await.unwrap();
    clock.advance(Duration::from_secs(6));
    assert!(two.has(&scope(), "sso").await.unwrap());
    assert_eq!(two.setting(&scope(), "region").await.unwrap(), Some("us".into()));
    let calls = Usage::of("calls", &Subject::org(), 1).unwrap();
    assert!(two.consume(&scope(), &calls).await.unwrap().allowed);
}

#[tokio::test]
async fn a_second_change_prorates_only_the_rest() {
    let plans = || {
        vec![
            plan("small", Limit::hard(100, Cadence::Month)),
            plan("large", Limit::hard(1000, Cadence::Month)),
        ]
    };
    let limit = async |quotas: &Shared| balance(quotas).await.limit;
    let change = async |quotas: &Shared, to: &str, how: Proration| {
        quotas.change_plan(&scope(), &name(to), how).await.unwrap();
    };
    // Half of April is over.
    let (one, clock) = quotas(plans()).await;
    change(&one, "large", Proration::ByTime).await;
    assert_eq!(limit(&one).await, Some(550));
    change(&one, "small", Proration::ByTime).await;
    assert_eq!(limit(&one).await, Some(100));
    change(&one, "large", Proration::ByTime).await;
    // A third of the rest under the large plan, the others under the small one.
    clock.advance(Duration::from_secs(5 * 86_400));
    change(&one, "small", Proration::ByTime).await;
    assert_eq!(limit(&one).await, Some(250));
    // What waits for the next period changes neither the sum nor the rate.
    let (two, clock) = quotas(plans()).await;
    change(&two, "large", Proration::ByTime).await;
    change(&two, "small", Proration::NextPeriod).await;
    assert_eq!(limit(&two).await, Some(550));
    clock.advance(Duration::from_secs(5 * 86_400));
    change(&two, "small", Proration::ByTime).await;
    assert_eq!(limit(&two).await, Some(250));
    clock.advance(Duration::from_secs(15 * 86_400));
    assert_eq!(limit(&two).await, Some(100));
}

#[tokio::test]
async fn rollover_is_of_what_the_period_included() {
    let rolls =
        |amount| Limit::hard(amount, Cadence::Month).with_rollover(Rollover { most: 10_000, periods: 1 });
    for (used, how) in [(100, Proration::Restart), (70, Proration::Restart), (100, Proration::NextPeriod)] {
        let (quotas, clock) = quotas(vec![plan("small", rolls(100)), plan("large", rolls(1000))]).await;
        assert!(spend(&quotas, used).await);
        quotas.change_plan(&scope(), &name("large"), how).await.unwrap();
        if how == Proration::NextPeriod {
            clock.advance(Duration::from_secs(16 * 86_400));
        }
        assert!(spend(&quotas, 0).await);
        let rolled: i128 = balance(&quotas).await.grants.iter().map(|grant| grant.amount).sum();
        assert_eq!(rolled, i128::from(100 - used), "{used} used, {how:?}");
    }
}

#[tokio::test]
async fn grants_that_are_used_up_make_room() {
    let limit = || Limit::hard(0, Cadence::Lifetime).with_thresholds([50, 90]);
    let (quotas, clock) = quotas(vec![plan("p", limit())]).await;
    let org = Subject::org();
    let top_up = async || {
        clock.advance(Duration::from_secs(1));
        quotas.grant(&scope(), "tokens", &org, &Grant::new(10).unwrap()).await
    };
    // One that is held all the time comes back.
    top_up().await.unwrap();
    let ttl = Duration::from_secs(86_400);
    let hold = quotas.reserve(&scope(), &tokens(10), ttl).await.unwrap().hold.unwrap();
    for _ in 0..600 {
        top_up().await.unwrap();
        assert!(spend(&quotas, 10).await);
    }
    quotas.release(&scope(), &hold).await.unwrap();
    let balance = balance(&quotas).await;
    assert!(balance.grants.len() <= 256, "{}", balance.grants.len());
    assert_eq!((balance.remaining, balance.percent()), (Some(10), Some(99)));
    let open = |grants: &[guardian_quota::GrantBalance]| -> Vec<_> {
        grants.iter().filter(|grant| grant.left > 0).cloned().collect()
    };
    let replay = quotas.replay(&scope(), "tokens").await.unwrap();
    assert_eq!(open(&balance.grants), open(&replay.at(&org, balance.period, clock.now()).grants));
    // Those that are not used up stay.
    for _ in 0..255 {
        top_up().await.unwrap();
    }
    assert!(matches!(top_up().await, Err(Error::OutOfRange { .. })));
    assert!(spend(&quotas, 2560).await);
    assert!(!spend(&quotas, 1).await);
    top_up().await.unwrap();
}

#[tokio::test]
async fn a_rolling_window_of_another_width_keeps_what_is_in_it() {
    let rolling = |seconds| Limit::hard(100, Cadence::Rolling(seconds));
    for (from, to, half) in [(3600, 60, 25), (60, 3600, 1500)] {
        let (quotas, clock) = quotas(vec![plan("one", rolling(from)), plan("two", rolling(to))]).await;
        assert!(spend(&quotas, 100).await);
        clock.advance(Duration::from_secs(1));
        quotas.change_plan(&scope(), &name("two"), Proration::Immediate).await.unwrap();
        clock.advance(Duration::from_secs(half));
        assert!(!spend(&quotas, 1).await, "{from} to {to}");
        clock.advance(Duration::from_secs(u64::from(to) + 120 - half));
        assert!(spend(&quotas, 100).await, "{from} to {to}");
    }
}

#[tokio::test]
async fn what_a_period_had_leaves_a_rolling_window() {
    for cadence in [Cadence::Month, Cadence::Lifetime] {
        let plans = vec![
            plan("one", Limit::hard(100, cadence.clone())),
            plan("two", Limit::hard(100, Cadence::Rolling(60))),
        ];
        let (quotas, clock) = quotas(plans).await;
        assert!(spend(&quotas, 80).await);
        let ttl = Duration::from_secs(600);
        let hold = quotas.reserve(&scope(), &tokens(20), ttl).await.unwrap().hold.unwrap();
        quotas.change_plan(&scope(), &name("two"), Proration::Immediate).await.unwrap();
        assert!(!spend(&quotas, 1).await, "{cadence:?}");
        clock.advance(Duration::from_secs(62));
        let balance = balance(&quotas).await;
        assert_eq!((balance.used, balance.held, balance.remaining), (0, 20, Some(80)), "{cadence:?}");
        quotas.release(&scope(), &hold).await.unwrap();
        assert!(!spend(&quotas, 101).await);
        assert!(spend(&quotas, 100).await);
    }
}

#[tokio::test]
async fn there_and_back_gives_no_second_allowance() {
    for shorter in [Cadence::Day, Cadence::Week] {
        let plans = || {
            let (long, short) = (Limit::hard(100, Cadence::Month), Limit::hard(100, shorter.clone()));
            vec![plan("long", long), plan("short", short)]
        };
        let (one, clock) = quotas(plans()).await;
        assert!(spend(&one, 70).await);
        let hold = one.reserve(&scope(), &tokens(30), Duration::from_secs(3600)).await.unwrap().hold.unwrap();
        for to in ["short", "long", "short"] {
            one.change_plan(&scope(), &name(to), Proration::Immediate).await.unwrap();
            assert!(!spend(&one, 1).await, "{shorter:?}");
        }
        one.release(&scope(), &hold).await.unwrap();
        assert_eq!(balance(&one).await.remaining, Some(30));
        // The next period is the new plan's.
        clock.advance(Duration::from_secs(15 * 86_400));
        assert!(spend(&one, 100).await);
        assert_ne!(balance(&one).await.resets_at, Some(at("2026-06-01T00:00:00Z")));
        // Whoever asks for a new period gets it.
        let (two, _) = quotas(plans()).await;
        assert!(spend(&two, 100).await);
        two.change_plan(&scope(), &name("short"), Proration::Restart).await.unwrap();
        assert!(spend(&two, 100).await);
    }
}

#[tokio::test]
async fn a_limit_of_days_begins_with_its_day_where_there_was_none() {
    let free = Meter::new("token", Aggregation::Sum);
    let free =
        Plan::new(name("free")).with_feature(FeatureName::new("tokens").unwrap(), Feature::Metered(free));
    let (quotas, _) = quotas(vec![free, plan("daily", Limit::hard(100, Cadence::Day))]).await;
    assert!(spend(&quotas, 1000).await);
    let hold = quotas.reserve(&scope(), &tokens(30), Duration::from_secs(3600)).await.unwrap().hold.unwrap();
    quotas.change_plan(&scope(), &name("daily"), Proration::Immediate).await.unwrap();
    assert!(spend(&quotas, 100).await);
    quotas.change_plan(&scope(), &name("free"), Proration::Immediate).await.unwrap();
    assert!(spend(&quotas, 1).await);
    quotas.release(&scope(), &hold).await.unwrap();
    assert_eq!((balance(&quotas).await.used, balance(&quotas).await.held), (101, 0));
}

#[tokio::test]
async fn a_rolling_window_tells_a_threshold_again() {
    let limit = Limit::hard(100, Cadence::Rolling(3600)).with_thresholds([50, 80]);
    let (quotas, clock) = quotas(vec![plan("p", limit)]).await;
    for (amount, told) in [(60, 50), (30, 80)] {
        assert!(spend(&quotas, amount).await);
        assert_eq!(balance(&quotas).await.told, told);
        clock.advance(Duration::from_secs(1800));
    }
    // The sixty are gone and the thirty are there: both are told anew when they are reached.
    clock.advance(Duration::from_secs(120));
    for (amount, told) in [(10, 0), (10, 50), (35, 80)] {
        assert!(spend(&quotas, amount).await);
        assert_eq!(balance(&quotas).await.told, told);
    }
}

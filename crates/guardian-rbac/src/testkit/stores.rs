//! The laws of a store of policies.

use chrono::TimeDelta;
use guardian_core::{Clock, Event, IdSource, ManualClock, Scope, SeededIds, TenantId};
pub use guardian_testkit::Violation;
use guardian_testkit::ensure;

use crate::store::{Committed, News, PolicyStore};
use crate::{
    Area, Change, Constraint, Duty, Grant, GrantId, InvalidName, Item, Key, Membership, NewGrant, Place,
    Policy, Principal, Revision, Role, Rule,
};

/// A store to test: [`InMemory`](guardian_testkit::InMemory), `guardian_sql::testkit::OnSql`, or one of your own.
pub trait Fixture: guardian_testkit::Fixture<Store: PolicyStore + Clone> {}

impl<F: guardian_testkit::Fixture<Store: PolicyStore + Clone>> Fixture for F {}

/// A law's result.
type Law = Result<(), Violation>;

fn scope(tenant: &str) -> Result<Scope, Violation> {
    Ok(Scope::system(TenantId::new(tenant)?))
}

fn grant_id(number: u128) -> GrantId {
    GrantId::new(uuid::Uuid::from_u128(number))
}

/// One of everything, with texts that stores may trip over.
fn items() -> Result<Vec<Item>, Violation> {
    let clock = ManualClock::new();
    let odd = "O'Brien \"the\" ünïcödé %_\\ $1";
    let role = Role::new("base")?.with(Rule::allow("*:read")?);
    let heir = Role::new(odd)?.titled(odd).inherits("base")?.with(Rule::deny("deal:export")?);
    let area = Area::new("team", odd)?;
    let group = crate::GroupId::new(odd)?;
    let window = crate::Window::until(clock.now()).with_hours("mon-fri 09:00-17:00 Europe/Vienna".parse()?);
    let new = NewGrant::new("user:ann".parse()?, odd, odd)?
        .in_area(area.clone())
        .during(window.clone())
        .when(crate::Condition::new("context.mfa == true")?)
        .delegable(3);
    let mut passed = Grant::of(new, grant_id(7), Principal::user(odd)?, clock.now());
    passed.parent = Some(grant_id(8));
    let root = Grant::of(
        NewGrant::new("everyone".parse()?, "base", "x")?,
        grant_id(8),
        Principal::user("x")?,
        clock.now(),
    );
    Ok(vec![
        Item::Role(role),
        Item::Role(heir),
        Item::Place(Place { area, parents: vec![Area::new("team", "top")?] }),
        Item::Membership(Membership::new(group, format!("user:{odd}").parse()?).during(window)),
        Item::Grant(root),
        Item::Grant(passed),
        Item::Constraint(Constraint::new("apart", Duty::Static, ["base", odd], 2)?),
    ])
}

fn sorted(items: impl IntoIterator<Item = Item>) -> Vec<(Key, Item)> {
    let mut items: Vec<_> = items.into_iter().map(|item| (item.key(), item)).collect();
    items.sort_by(|left, right| left.0.cmp(&right.0));
    items
}

fn puts(items: impl IntoIterator<Item = Item>) -> Vec<Change> {
    items.into_iter().map(Change::Put).collect()
}

async fn done(store: &impl PolicyStore, scope: &Scope, at: i64, changes: &[Change]) -> Law {
    let committed = store.commit(scope, Revision::new(at), changes, &[]).await?;
    ensure!(
        committed == Committed::Done(Revision::new(at + 1)),
        "a commit at {at} was answered {committed:?}"
    );
    Ok(())
}

/// What is committed is loaded as it was written.
///
/// # Errors
/// When the store breaks the law, or fails.
pub fn a_policy_comes_back_as_it_was_written(fixture: &impl Fixture) -> Law {
    fixture.block_on(async {
        let (store, scope) = (fixture.store(), scope("acme")?);
        let before = store.load(&scope).await?;
        ensure!(before == (Revision::new(0), Vec::new()), "an unknown tenant has {before:?}");
        done(&store, &scope, 0, &puts(items()?)).await?;
        let (revision, loaded) = store.load(&scope).await?;
        ensure!(revision == Revision::new(1), "the first commit is at {revision}");
        ensure!(sorted(loaded.clone()) == sorted(items()?), "what came back differs: {loaded:?}");
        Ok(())
    })
}

/// A commit at another revision than the store's writes nothing.
///
/// # Errors
/// When the store breaks the law, or fails.
pub fn a_commit_names_the_revision(fixture: &impl Fixture) -> Law {
    fixture.block_on(async {
        let (store, scope) = (fixture.store(), scope("acme")?);
        done(&store, &scope, 0, &puts(items()?)).await?;
        let change = [Change::Remove(Key::Grant(grant_id(7)))];
        for wrong in [0, 2, 99] {
            let committed = store.commit(&scope, Revision::new(wrong), &change, &[]).await?;
            ensure!(committed == Committed::Conflict(Revision::new(1)), "a commit at {wrong}: {committed:?}");
        }
        let (revision, loaded) = store.load(&scope).await?;
        ensure!(
            revision == Revision::new(1) && sorted(loaded) == sorted(items()?),
            "a conflict wrote something"
        );
        ensure!(
            store.since(&scope, Revision::new(1)).await? == News::Changes(Vec::new()),
            "a conflict left a commit"
        );
        Ok(())
    })
}

/// Of commits at the same revision one wins.
///
/// # Errors
/// When the store breaks the law, or fails.
pub fn of_concurrent_commits_one_wins(fixture: &impl Fixture) -> Law {
    const WRITERS: i64 = 8;
    let (store, scope) = (fixture.store(), scope("acme")?);
    fixture.block_on(done(&store, &scope, 0, &puts(items()?)))?;
    let attempt = |number: i64| -> Result<Committed, Violation> {
        let role = Role::new(&format!("writer-{number}"))?;
        let changes = puts([Item::Role(role)]);
        let (store, scope) = (store.clone(), scope.clone());
        let mut tries = 0;
        loop {
            match fixture.block_on(store.commit(&scope, Revision::new(1), &changes, &[])) {
                Err(error) if error.is_transient() && tries < 20 => tries += 1,
                other => return Ok(other?),
            }
        }
    };
    let results: Vec<Result<Committed, Violation>> = std::thread::scope(|threads| {
        let attempt = &attempt;
        let started: Vec<_> = (0..WRITERS).map(|number| threads.spawn(move || attempt(number))).collect();
        started
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(Violation::new("a writer panicked"))))
            .collect()
    });
    let mut winners = 0;
    for result in results {
        match result? {
            Committed::Done(revision) => {
                ensure!(revision == Revision::new(2), "the winner is at {revision}");
                winners += 1;
            }
            Committed::Conflict(_) => {}
        }
    }
    ensure!(winners == 1, "{winners} commits at the same revision won");
    Ok(())
}

/// Whoever follows the commits has the policy that is loaded.
///
/// # Errors
/// When the store breaks the law, or fails.
pub fn followers_arrive_where_loaders_do(fixture: &impl Fixture) -> Law {
    fixture.block_on(async {
        let (store, scope) = (fixture.store(), scope("acme")?);
        let mut followed = Policy::new();
        let mut at = Revision::new(0);
        let base = puts(items()?);
        done(&store, &scope, 0, &base).await?;
        done(
            &store,
            &scope,
            1,
            &[Change::Remove(Key::Grant(grant_id(7))), Change::Remove(Key::Grant(grant_id(99)))],
        )
        .await?;
        // Removed and written again in one commit, in this order.
        let role = Role::new("late")?;
        let again = [
            Change::Put(Item::Role(role.clone())),
            Change::Remove(Key::Role(role.id.clone())),
            Change::Put(Item::Role(role.clone().titled("again"))),
        ];
        done(&store, &scope, 2, &again).await?;
        while let News::Changes(news) = store.since(&scope, at).await? {
            if news.is_empty() {
                break;
            }
            for (revision, changes) in news {
                ensure!(revision > at, "commits come in order");
                at = revision;
                for change in changes {
                    followed.apply(change);
                }
            }
        }
        let (revision, loaded) = store.load(&scope).await?;
        ensure!(at == revision, "followed to {at}, loaded {revision}");
        ensure!(sorted(followed.items()) == sorted(loaded), "a follower has something else");
        Ok(())
    })
}

/// Commits that were forgotten are not pretended to.
///
/// # Errors
/// When the store breaks the law, or fails.
pub fn who_is_too_far_behind_is_told(fixture: &impl Fixture) -> Law {
    fixture.block_on(async {
        let (store, scope) = (fixture.store(), scope("acme")?);
        for at in 0..5 {
            done(&store, &scope, at, &puts([Item::Role(Role::new(&format!("r{at}"))?)])).await?;
        }
        store.prune(&scope, Revision::new(3)).await?;
        let behind = store.since(&scope, Revision::new(2)).await?;
        ensure!(behind == News::Reload, "behind what is kept: {behind:?}");
        let News::Changes(news) = store.since(&scope, Revision::new(3)).await? else {
            return Err(Violation::new("what is kept was not returned"));
        };
        ensure!(news.len() == 2, "{} commits instead of 2", news.len());
        // One that claims to be ahead has seen another life of the store.
        let ahead = store.since(&scope, Revision::new(9)).await?;
        ensure!(ahead == News::Reload, "ahead of the store: {ahead:?}");
        let (revision, loaded) = store.load(&scope).await?;
        ensure!(revision == Revision::new(5) && loaded.len() == 5, "forgetting commits changed the policy");
        Ok(())
    })
}

/// Events are stored with their commit, and wait until they are marked.
///
/// # Errors
/// When the store breaks the law, or fails.
pub fn events_wait_until_they_are_delivered(fixture: &impl Fixture) -> Law {
    fixture.block_on(async {
        let (store, scope) = (fixture.store(), scope("acme")?);
        let (clock, ids) = (ManualClock::new(), SeededIds::new(3));
        let event = |name: &str| {
            let made = Event::new(ids.next_id(clock.now()), clock.now(), &scope, name);
            made.with_data(serde_json::json!({ "text": "O'Brien", "number": 1 }))
        };
        let events = [event("rbac.one"), event("rbac.two"), event("rbac.three")];
        let changes = puts(items()?);
        store.commit(&scope, Revision::new(0), &changes, &events).await?;
        let lost = [event("rbac.lost")];
        store.commit(&scope, Revision::new(0), &changes, &lost).await?;
        let waiting = store.undelivered(&scope, 2).await?;
        ensure!(waiting == events.get(..2).unwrap_or_default(), "the oldest do not come first: {waiting:?}");
        let [first, ..] = &events;
        store.delivered(&scope, first.id).await?;
        store.delivered(&scope, first.id).await?;
        let waiting = store.undelivered(&scope, 10).await?;
        ensure!(waiting == events.get(1..).unwrap_or_default(), "one was delivered: {waiting:?}");
        Ok(())
    })
}

/// The latest use counts, and goes with its grant.
///
/// # Errors
/// When the store breaks the law, or fails.
pub fn the_latest_use_counts(fixture: &impl Fixture) -> Law {
    fixture.block_on(async {
        let (store, scope) = (fixture.store(), scope("acme")?);
        done(&store, &scope, 0, &puts(items()?)).await?;
        let now = ManualClock::new().now();
        let later = now + TimeDelta::hours(1);
        store.record_uses(&scope, &[grant_id(7), grant_id(8), grant_id(7)], now).await?;
        store.record_uses(&scope, &[grant_id(7), grant_id(55)], later).await?;
        store.record_uses(&scope, &[grant_id(7)], now).await?;
        let uses = store.uses(&scope).await?;
        let wanted = [(grant_id(7), later), (grant_id(8), now)].into();
        ensure!(uses == wanted, "the uses are {uses:?}");
        done(&store, &scope, 1, &[Change::Remove(Key::Grant(grant_id(7)))]).await?;
        let uses = store.uses(&scope).await?;
        ensure!(uses == [(grant_id(8), now)].into(), "a use outlived its grant: {uses:?}");
        Ok(())
    })
}

/// Whatever one tenant does, another sees nothing of it.
///
/// # Errors
/// When the store breaks the law, or fails.
pub fn tenants_do_not_meet(fixture: &impl Fixture) -> Law {
    fixture.block_on(async {
        let (store, acme, globex) = (fixture.store(), scope("acme")?, scope("globex")?);
        done(&store, &acme, 0, &puts(items()?)).await?;
        let (clock, ids) = (ManualClock::new(), SeededIds::new(4));
        let event = Event::new(ids.next_id(clock.now()), clock.now(), &acme, "rbac.one");
        store
            .commit(
                &acme,
                Revision::new(1),
                &puts([Item::Role(Role::new("own")?)]),
                std::slice::from_ref(&event),
            )
            .await?;
        store.record_uses(&acme, &[grant_id(8)], clock.now()).await?;

        let loaded = store.load(&globex).await?;
        ensure!(loaded == (Revision::new(0), Vec::new()), "another tenant loads {loaded:?}");
        let news = store.since(&globex, Revision::new(0)).await?;
        ensure!(news == News::Changes(Vec::new()), "another tenant follows {news:?}");
        ensure!(store.undelivered(&globex, 10).await?.is_empty(), "another tenant reads events");
        ensure!(store.uses(&globex).await?.is_empty(), "another tenant reads uses");
        // With the same keys and ids it changes only its own.
        store.delivered(&globex, event.id).await?;
        store.record_uses(&globex, &[grant_id(8)], clock.now() + TimeDelta::days(1)).await?;
        done(
            &store,
            &globex,
            0,
            &[Change::Remove(Key::Grant(grant_id(8))), Change::Remove(Key::Grant(grant_id(7)))],
        )
        .await?;
        store.prune(&globex, Revision::new(9)).await?;
        let (revision, loaded) = store.load(&acme).await?;
        ensure!(
            revision == Revision::new(2) && loaded.len() == items()?.len() + 1,
            "another tenant changed it"
        );
        ensure!(store.undelivered(&acme, 10).await? == [event], "another tenant took an event");
        ensure!(
            store.uses(&acme).await? == [(grant_id(8), clock.now())].into(),
            "another tenant noted a use"
        );
        ensure!(
            matches!(store.since(&acme, Revision::new(0)).await?, News::Changes(news) if news.len() == 2),
            "pruned"
        );
        Ok(())
    })
}

/// Many changes are one commit.
///
/// # Errors
/// When the store breaks the law, or fails.
pub fn a_large_commit_is_whole(fixture: &impl Fixture) -> Law {
    fixture.block_on(async {
        let (store, scope) = (fixture.store(), scope("acme")?);
        let role = Item::Role(Role::new("base")?);
        let grants = (0..3_000).map(|number| -> Result<Item, InvalidName> {
            let new = NewGrant::new(format!("user:u{number}").parse()?, "base", "many")?;
            Ok(Item::Grant(Grant::of(
                new,
                grant_id(number + 1),
                Principal::user("x")?,
                ManualClock::new().now(),
            )))
        });
        let changes: Vec<Item> = std::iter::once(Ok(role)).chain(grants).collect::<Result<_, _>>()?;
        done(&store, &scope, 0, &puts(changes)).await?;
        let (_, loaded) = store.load(&scope).await?;
        ensure!(loaded.len() == 3_001, "{} things of 3,001", loaded.len());
        Ok(())
    })
}

/// Makes one `#[test]` of every law, in the module where it is called. The argument makes a new fixture.
#[macro_export]
macro_rules! store_conformance {
    ($fixture:expr) => {
        $crate::store_conformance!(@laws $fixture;
            a_policy_comes_back_as_it_was_written
            a_commit_names_the_revision
            of_concurrent_commits_one_wins
            followers_arrive_where_loaders_do
            who_is_too_far_behind_is_told
            events_wait_until_they_are_delivered
            the_latest_use_counts
            tenants_do_not_meet
            a_large_commit_is_whole
        );
    };
    (@laws $fixture:expr; $($law:ident)+) => {
        $(
            #[test]
            fn $law() -> Result<(), $crate::testkit::Violation> {
                let fixture = $fixture;
                $crate::testkit::stores::$law(&fixture)
            }
        )+
    };
}

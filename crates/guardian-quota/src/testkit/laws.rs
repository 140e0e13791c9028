use std::collections::HashSet;
use std::time::Duration;

use guardian_core::{Clock, IdSource, SeededIds};

use super::sample::beside;
use super::{DAY, Fixture, Verdict, Violation, equal, holds, quotas};
use crate::store::QuotaStore;
use crate::{Error, Grant, Happened, Hold, PlanName, Proration, Quotas, Replay, Subject, Usage};

/// The id of an event is decided on once, for ever and in every process; another payload under it is an error.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn a_key_is_decided_once(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (quotas, clock, scope) = quotas(fixture.store(), "keys").await?;
        let other = beside(fixture.store(), &clock)?;
        let org = Subject::org();
        let usage = Usage::of("calls", &org, 30)?.with_key("event-1")?;
        let first = quotas.consume(&scope, &usage).await?;
        equal(&(first.allowed, first.replayed), &(true, false), "the first time")?;
        for each in [&quotas, &other] {
            let again = each.consume(&scope, &usage).await?;
            equal(&(again.allowed, again.replayed, again.entry), &(true, true, first.entry), "again")?;
        }
        let different = Usage::of("calls", &org, 31)?.with_key("event-1")?;
        holds(matches!(other.consume(&scope, &different).await, Err(Error::KeyReused { .. })), || {
            "another payload passed under a used key".to_owned()
        })?;
        let elsewhere = Usage::of("calls", &org.team("a")?, 30)?.with_key("event-1")?;
        holds(matches!(quotas.consume(&scope, &elsewhere).await, Err(Error::KeyReused { .. })), || {
            "another subject passed under a used key".to_owned()
        })?;
        // A key belongs to its meter.
        let tokens = Usage::of("tokens", &org, 5)?.with_key("event-1")?;
        equal(&quotas.consume(&scope, &tokens).await?.replayed, &false, "another meter")?;
        // What was denied may be tried again.
        let large = Usage::of("calls", &org, 80)?.with_key("event-2")?;
        equal(&quotas.consume(&scope, &large).await?.allowed, &false, "beyond the limit")?;
        quotas.grant(&scope, "calls", &org, &Grant::new(10)?).await?;
        equal(&quotas.consume(&scope, &large).await?.allowed, &true, "with a grant")?;
        let held = Usage::of("tokens", &org, 10)?.with_key("hold-1")?;
        let one = quotas.reserve(&scope, &held, Duration::from_secs(60)).await?.hold;
        let two = other.reserve(&scope, &held, Duration::from_secs(60)).await?.hold;
        equal(&one, &two, "the hold of one key")?;
        equal(&quotas.balance(&scope, "tokens", &org).await?.held, &10, "what is held")?;
        Ok(())
    })
}

/// Each threshold is told exactly once a period, whoever passes it, and again in the next period.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn a_threshold_is_told_once(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (quotas, clock, scope) = quotas(fixture.store(), "thresholds").await?;
        let org = Subject::org();
        for _ in 0..2 {
            for amount in [49, 1, 10, 30, 5] {
                // Another process each time.
                let other = beside(fixture.store(), &clock)?;
                equal(
                    &other.consume(&scope, &Usage::of("calls", &org, amount)?).await?.allowed,
                    &true,
                    "a call",
                )?;
            }
            quotas.give_back(&scope, &Usage::of("calls", &org, 60)?).await?;
            drop(quotas.consume(&scope, &Usage::of("calls", &org, 60)?).await?);
            drop(quotas.consume(&scope, &Usage::of("calls", &org, 5)?).await?);
            clock.advance(31 * DAY);
        }
        let entries = quotas.entries(&scope, "calls", 0, 1000).await?;
        let told: Vec<u16> =
            entries.iter().flat_map(|entry| entry.told().map(|(_, percent)| percent)).collect();
        equal(&told, &vec![50, 80, 100, 50, 80, 100], "the thresholds that were told")?;
        Ok(())
    })
}

/// An event of a period that is over corrects that period and leaves the present alone; of the present one it counts.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn late_events_correct_their_period(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (quotas, clock, scope) = quotas(fixture.store(), "late").await?;
        let user = Subject::org().user("ann")?;
        drop(quotas.consume(&scope, &Usage::of("calls", &user, 7)?).await?);
        clock.advance(31 * DAY);
        let late = Happened {
            usage: Usage::of("calls", &user, 500)?.with_key("late-1")?,
            at: "2026-01-20T00:00:00Z".parse()?,
        };
        for replayed in [false, true] {
            equal(&quotas.record(&scope, &late).await?.replayed, &replayed, "a late event")?;
        }
        equal(&quotas.balance(&scope, "calls", &Subject::org()).await?.used, &0, "the present period")?;
        let replay = quotas.replay(&scope, "calls").await?;
        let january =
            replay.periods(&Subject::org()).first().copied().ok_or_else(|| Violation::new("no period"))?;
        equal(&replay.used(&Subject::org(), january), &507, "the corrected period")?;
        // Yesterday is over for the user, whose periods are days, and not for the organisation, whose are months.
        let yesterday = Happened { usage: Usage::of("calls", &user, 3)?, at: clock.now() - DAY };
        quotas.record(&scope, &yesterday).await?;
        equal(&quotas.balance(&scope, "calls", &user).await?.used, &0, "the user's day")?;
        equal(&quotas.balance(&scope, "calls", &Subject::org()).await?.used, &3, "the organisation's month")?;
        let beyond = Happened { usage: Usage::of("calls", &user, 1000)?, at: clock.now() };
        quotas.record(&scope, &beyond).await?;
        equal(&quotas.balance(&scope, "calls", &user).await?.used, &1000, "what happened, happened")?;
        let future = Happened { usage: Usage::of("calls", &user, 1)?, at: clock.now() + DAY };
        holds(quotas.record(&scope, &future).await.is_err(), || "an event of tomorrow was taken".to_owned())?;
        Ok(())
    })
}

/// Nothing of one tenant shows in another: no balance, no entry, no key, no hold.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn tenants_do_not_meet(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (ours, _, acme) = quotas(fixture.store(), "acme").await?;
        let (theirs, _, zeta) = quotas(fixture.store(), "zeta").await?;
        let org = Subject::org();
        let usage = Usage::of("calls", &org, 60)?.with_key("k")?;
        let hold = ours
            .reserve(&acme, &usage, Duration::from_secs(60))
            .await?
            .hold
            .ok_or_else(|| Violation::new("no hold"))?;
        equal(&theirs.consume(&zeta, &usage).await?.replayed, &false, "a key of another tenant")?;
        equal(&theirs.balance(&zeta, "calls", &org).await?.held, &0, "a hold of another tenant")?;
        holds(theirs.commit(&zeta, &hold, 60).await.is_err(), || {
            "a tenant committed another's hold".to_owned()
        })?;
        equal(&ours.balance(&acme, "calls", &org).await?.held, &60, "the own hold")?;
        equal(&theirs.entries(&zeta, "calls", 0, 100).await?.len(), &1, "the entries")?;
        equal(&ours.entries(&acme, "calls", 0, 100).await?.len(), &1, "the entries")?;
        Ok(())
    })
}

/// A change of plan or of a limit holds at once, for processes too that know only the old one.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn a_change_of_plan_holds_at_once_everywhere(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (quotas, clock, scope) = quotas(fixture.store(), "plans").await?;
        let other = beside(fixture.store(), &clock)?;
        let org = Subject::org();
        let one = Usage::of("calls", &org, 1)?;
        equal(
            &other.consume(&scope, &Usage::of("calls", &org, 100)?).await?.allowed,
            &true,
            "all of the small plan",
        )?;
        equal(&other.consume(&scope, &one).await?.allowed, &false, "beyond the small plan")?;
        let large = PlanName::new("large")?;
        // Half of the month is over, less a bit: 14.5 of 31 days.
        quotas.change_plan(&scope, &large, Proration::ByTime).await?;
        let upgraded = other.consume(&scope, &one).await?;
        let expected = (100 * 29 + 1000 * 33) / 62;
        equal(&(upgraded.allowed, upgraded.limit), &(true, Some(expected)), "in the middle of the month")?;
        clock.advance(31 * DAY);
        let next = other.consume(&scope, &one).await?;
        equal(&(next.limit, next.used), &(Some(1000), 1), "in the next month")?;
        quotas.change_plan(&scope, &PlanName::new("small")?, Proration::NextPeriod).await?;
        equal(&other.consume(&scope, &one).await?.limit, &Some(1000), "what was paid for")?;
        quotas.change_plan(&scope, &PlanName::new("small")?, Proration::Immediate).await?;
        equal(&other.consume(&scope, &one).await?.limit, &Some(100), "at once")?;
        quotas.change_plan(&scope, &large, Proration::Restart).await?;
        let anew = other.consume(&scope, &one).await?;
        equal(&(anew.used, anew.resets_at), &(1, Some("2026-03-15T12:00:00Z".parse()?)), "a new period")?;
        let limit = crate::Limit::hard(2, crate::Cadence::Day);
        let ann = org.user("ann")?;
        quotas.set_limit(&scope, "calls", &ann, Some(limit)).await?;
        equal(
            &other.consume(&scope, &Usage::of("calls", &ann, 3)?).await?.allowed,
            &false,
            "the user's own limit",
        )?;
        quotas.set_limit(&scope, "calls", &ann, None).await?;
        equal(
            &other.consume(&scope, &Usage::of("calls", &ann, 3)?).await?.allowed,
            &true,
            "the plan's again",
        )?;
        Ok(())
    })
}

/// Whoever relays a ledger has it alone, goes on where the last one stopped, and is noticed when it comes too late.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn a_ledger_is_relayed_once_and_in_order(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (quotas, clock, scope) = quotas(fixture.store(), "relay").await?;
        let store = fixture.store();
        for _ in 0..5 {
            drop(quotas.consume(&scope, &Usage::of("calls", &Subject::org(), 1)?).await?);
        }
        let own = async || -> Result<Vec<(u64, u64)>, guardian_core::StoreError> {
            let books = store.unsent(None, 1000).await?;
            Ok(books
                .iter()
                .filter(|book| book.tenant == *scope.tenant())
                .map(|book| (book.last, book.sent))
                .collect())
        };
        equal(&own().await?, &vec![(5, 0)], "what is to be relayed")?;
        let (tenant, calls) = (scope.tenant(), crate::FeatureName::new("calls")?);
        let now = clock.now();
        let until = now + Duration::from_secs(30);
        let first =
            store.claim(tenant, &calls, now, until).await?.ok_or_else(|| Violation::new("nobody had it"))?;
        equal(&first.0, &0, "where it begins")?;
        equal(&store.claim(tenant, &calls, now, until).await?, &None, "a second one")?;
        let later = until;
        let second = store
            .claim(tenant, &calls, later, later + DAY)
            .await?
            .ok_or_else(|| Violation::new("its time was over"))?;
        holds(second.1 > first.1, || "the fencing number does not rise".to_owned())?;
        equal(&store.advance(tenant, &calls, first.1, 5).await?, &false, "one that was taken over")?;
        equal(&store.advance(tenant, &calls, second.1, 3).await?, &true, "the one that has it")?;
        equal(&own().await?, &vec![(5, 3)], "what is left")?;
        let third = store
            .claim(tenant, &calls, later, later + DAY)
            .await?
            .ok_or_else(|| Violation::new("it was given back"))?;
        equal(&third.0, &3, "where it goes on")?;
        equal(&store.advance(tenant, &calls, third.1, 5).await?, &true, "the rest")?;
        equal(&own().await?, &Vec::new(), "nothing is left")?;
        Ok(())
    })
}

/// After any calls the balances are what the ledger alone adds up to, in any order and with repetitions.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn the_ledger_is_the_balance(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        for seed in 0..4 {
            let (quotas, clock, scope) = quotas(fixture.store(), &format!("ledger-{seed}")).await?;
            let mut random = Random(SeededIds::new(seed), clock.now());
            let mut open: Vec<Hold> = Vec::new();
            for _ in 0..120 {
                any_call(&quotas, &scope, &clock, &mut random, &mut open).await?;
            }
            for feature in ["calls", "tokens", "emails", "exports", "burst", "peak", "people", "stored"] {
                settled(&quotas, &scope, feature).await?;
                agrees(&quotas, &scope, feature, clock.now()).await?;
            }
        }
        Ok(())
    })
}

struct Random(SeededIds, guardian_core::Timestamp);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_id(self.1).as_u64_pair().1 % bound.max(1)
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let place = self.below(items.len() as u64);
        items.get(usize::try_from(place).ok()?)
    }
}

async fn any_call<S: QuotaStore>(
    quotas: &Quotas<S>,
    scope: &guardian_core::Scope,
    clock: &guardian_core::ManualClock,
    random: &mut Random,
    open: &mut Vec<Hold>,
) -> Result<(), Error> {
    let team = Subject::org().team("sales")?;
    let subjects =
        [Subject::org(), team.clone(), team.user("ann")?, team.user("bob")?, Subject::org().user("cid")?];
    let subject = random.of(&subjects).cloned().unwrap_or_else(Subject::org);
    let summing = ["calls", "tokens", "emails", "exports"];
    let feature = random.of(&summing).copied().unwrap_or("calls");
    let amount = 1 + random.below(15);
    let usage = Usage::of(feature, &subject, amount)?;
    match random.below(16) {
        0..=3 => drop(quotas.consume(scope, &usage).await?),
        4 => {
            let decision =
                quotas.reserve(scope, &usage, Duration::from_secs(1 + random.below(90_000))).await?;
            open.extend(decision.hold);
        }
        5 | 6 => {
            if let Some(hold) = random.of(open).cloned() {
                // It may have been closed or have ended.
                let _ = quotas.commit(scope, &hold, random.below(20)).await;
            }
        }
        7 => {
            if let Some(hold) = random.of(open).cloned() {
                let _ = quotas.release(scope, &hold).await;
            }
        }
        8 => {
            if let Some(hold) = random.of(open).cloned() {
                let _ = quotas.extend(scope, &hold, Duration::from_secs(1 + random.below(90_000))).await;
            }
        }
        9 => {
            let expiry = clock.now() + Duration::from_secs(1 + random.below(20 * 86_400));
            let priority = u8::try_from(random.below(255)).unwrap_or(1);
            let grant = Grant::new(amount)?.with_expiry(expiry).with_priority(priority);
            // Not every level has a limit.
            let _ = quotas.grant(scope, feature, &subject, &grant).await;
        }
        10 => {
            let at = clock.now() - Duration::from_secs(random.below(40 * 86_400));
            let usage = usage.with_key(format!("late-{}", random.below(40)))?;
            // The key may be another event's.
            let _ = quotas.record(scope, &Happened { usage, at }).await;
        }
        11 => {
            let _ = quotas.give_back(scope, &usage).await;
        }
        12 => {
            drop(quotas.consume(scope, &Usage::of("burst", &Subject::org(), amount)?).await?);
            drop(quotas.consume(scope, &Usage::of("peak", &Subject::org(), amount % 9)?).await?);
            let person = Usage::of("people", &Subject::org(), 1)?.with_value(&amount.to_string());
            drop(quotas.consume(scope, &person).await?);
            drop(quotas.consume(scope, &Usage::of("stored", &Subject::org(), amount)?).await?);
        }
        13 => {
            let _ = quotas.reset(scope, feature, &subject, "a test").await;
        }
        14 if random.below(4) == 0 => {
            let plan = random.of(&["small", "large"]).copied().unwrap_or("small");
            let all = [Proration::ByTime, Proration::Immediate, Proration::Restart, Proration::NextPeriod];
            let how = random.of(&all).copied().unwrap_or_default();
            quotas.change_plan(scope, &PlanName::new(plan)?, how).await?;
        }
        _ => clock.advance(Duration::from_secs(random.below(2 * 86_400))),
    }
    Ok(())
}

/// What was rolled over is written with the next entry: one for every subject.
async fn settled<S: QuotaStore>(quotas: &Quotas<S>, scope: &guardian_core::Scope, feature: &str) -> Verdict {
    if ["calls", "tokens", "emails", "exports"].contains(&feature) {
        let team = Subject::org().team("sales")?;
        for subject in [team.user("ann")?, team.user("bob")?, Subject::org().user("cid")?] {
            quotas.adjust(scope, feature, &subject, 0, "so that it is written").await?;
        }
    }
    Ok(())
}

/// The balances of every subject against the ledger, in its order, in another, and in two parts.
async fn agrees<S: QuotaStore>(
    quotas: &Quotas<S>,
    scope: &guardian_core::Scope,
    feature: &str,
    now: guardian_core::Timestamp,
) -> Verdict {
    let replay = quotas.replay(scope, feature).await?;
    let entries = quotas.entries(scope, feature, 0, 10_000).await?;
    let numbers: Vec<u64> = entries.iter().map(crate::Entry::seq).collect();
    equal(&numbers, &(1..=entries.len() as u64).collect(), "the numbers of the entries")?;
    let keys: Vec<_> = entries.iter().filter_map(crate::Entry::key).collect();
    equal(&keys.iter().collect::<HashSet<_>>().len(), &keys.len(), "the keys of the entries")?;
    let terms = quotas.meter(scope, &crate::FeatureName::new(feature)?).await?;
    let how = terms.meter().aggregation;
    let twice = entries.iter().rev().chain(&entries);
    holds(Replay::of(how, twice) == replay, || format!("`{feature}`: the order or a repetition counts"))?;
    let (front, back) = entries.split_at(entries.len() / 3);
    let mut parts = Replay::of(how, back);
    holds(parts.merge(&Replay::of(how, front)) && parts == replay, || {
        format!("`{feature}`: the parts are not the whole")
    })?;
    for subject in replay.subjects() {
        let balance = quotas.balance(scope, feature, subject).await?;
        if !terms.limits(subject) && *subject != Subject::org() {
            continue;
        }
        let folded = replay.at(subject, balance.period, now);
        let what = |each| format!("`{feature}` of `{subject}`: {each}");
        let cycle = &terms.of(subject).cycle;
        let used =
            if cycle.rolling().is_some() { replay.used_within(subject, cycle, now) } else { folded.used };
        equal(&balance.used, &used, &what("what was used"))?;
        equal(&balance.held, &folded.held, &what("what is held"))?;
        equal(&balance.grants, &folded.grants, &what("the grants"))?;
        if terms.of(subject).cycle.rolling().is_none() {
            equal(&balance.beyond, &folded.beyond, &what("what is beyond the limit"))?;
            equal(&balance.told, &folded.told.last().copied().unwrap_or(0), &what("what was told"))?;
        }
    }
    Ok(())
}
